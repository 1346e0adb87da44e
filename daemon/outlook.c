/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "daemon/outlook.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/grid.h"
#include "base/mem.h"
#include "base/time.h"
#include "daemon/plot.h"
#include "daemon/terminal.h"

#define DAY_MS INT64_C(86400000)

enum { TABLE_COLUMNS_MOST = 9, PLOT_HEIGHT = 6, CELL_WIDTH = 9 };

void outlook_fini(struct outlook *outlook)
{
    free(outlook->series);
    free(outlook->served_by);
    free(outlook->why);
    free(outlook->low);
    free(outlook->mid);
    free(outlook->high);
    free(outlook->past);
    *outlook = (struct outlook){0};
}

size_t outlook_past_steps(size_t steps)
{
    return 3 * steps;
}

char *outlook_served_by(size_t count, const char *const *candidates)
{
    char *text = mem_text(count ? candidates[0] : "");
    for (size_t i = 1; i < count; i++) {
        if (strcmp(candidates[i], candidates[i - 1]) == 0)
            continue;
        char *const longer = mem_printf("%s, then %s", text, candidates[i]);
        free(text);
        text = longer;
    }
    return text;
}

double outlook_skill(size_t count, const double *skills)
{
    static const double share[] = {1, 1, 2, 4}; /* eighths: cut at 1/8, 1/4 and 1/2 */
    double sum = 0, weight = 0;
    for (size_t i = 0; i < count && i < sizeof share / sizeof share[0]; i++) {
        sum += share[i] * skills[i];
        weight += share[i];
    }
    return weight > 0 ? sum / weight : (double)NAN;
}

/* Every so many steps, so that the columns fit and stand at round distances. */
static size_t stride_of(size_t steps, size_t columns)
{
    static const size_t round[] = {1, 2, 3, 4, 6, 8, 12, 24, 48, 96, 168};
    for (size_t i = 0; i < sizeof round / sizeof round[0]; i++)
        if ((steps + round[i] - 1) / round[i] <= columns)
            return round[i];
    return (steps + columns - 1) / columns;
}

/* "Tue 06:00" by the clock of the zone, or "24 Nov" for steps of days: as wide as a cell. */
static const char *when_text(const struct outlook *o, size_t step,
                             char text[static CELL_WIDTH + 1])
{
    static const char days[7][4] = {"Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"};
    static const char months[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                       "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    const int64_t at = grid_step_from(o->zone, o->first_ms, o->step_ms, (int64_t)step);
    const int64_t time_ms = at + INT64_C(1000) * zone_offset_s(o->zone, at);
    char full[TIME_TEXT_SIZE];
    time_format(time_ms, full); /* 2026-11-24T06:00:00Z */
    if (o->step_ms % DAY_MS == 0) {
        const int month = (full[5] - '0') * 10 + full[6] - '0';
        snprintf(text, CELL_WIDTH + 1, "%.2s %s", full + 8, months[month - 1]);
    } else { /* the first of 1970 was a Thursday */
        const int64_t day = grid_floor_ms(time_ms, DAY_MS) / DAY_MS;
        snprintf(text, CELL_WIDTH + 1, "%s %.5s", days[(day % 7 + 7) % 7], full + 11);
    }
    return text;
}

static void row_print(const char *name, const double *values, size_t steps, size_t stride,
                      FILE *out)
{
    fprintf(out, "  %-8s", name);
    for (size_t i = 0; i < steps; i += stride) {
        char text[NUMBER_TEXT_SIZE];
        fprintf(out, "  %*s", CELL_WIDTH, number_text(values[i], text));
    }
    fputc('\n', out);
}

static void table_of(const struct outlook *o, size_t width, FILE *out)
{
    size_t columns = (width - 10) / (CELL_WIDTH + 2);
    if (columns > TABLE_COLUMNS_MOST)
        columns = TABLE_COLUMNS_MOST;
    const size_t stride = stride_of(o->steps, columns ? columns : 1);
    fprintf(out, "  %-8s", o->zone ? "local" : "UTC");
    for (size_t i = 0; i < o->steps; i += stride) {
        char text[CELL_WIDTH + 1];
        fprintf(out, "  %*s", CELL_WIDTH, when_text(o, i, text));
    }
    fputc('\n', out);
    row_print("90 %", o->high, o->steps, stride, out);
    row_print("median", o->mid, o->steps, stride, out);
    row_print("10 %", o->low, o->steps, stride, out);
}

static void plot_of(const struct outlook *o, size_t width, FILE *out)
{
    const struct plot plot = {.past = o->past,
                              .past_count = o->past_count,
                              .low = o->low,
                              .mid = o->mid,
                              .high = o->high,
                              .next_count = o->steps,
                              .width = width,
                              .height = PLOT_HEIGHT,
                              .utf8 = terminal_utf8()};
    plot_print(&plot, out);
}

void outlook_print(const struct outlook *o, FILE *out)
{
    const size_t width = terminal_columns();
    fprintf(out, "%s", o->series);
    if (o->why) {
        fprintf(out, "  no forecast: %s\n", o->why);
        return;
    }
    fprintf(out, "  by %s", o->served_by);
    const double percent = round(100 * o->skill);
    if (isfinite(percent) && percent != 0)
        fprintf(out, ", error %.0f %% %s than repeating the season", fabs(percent),
                percent < 0 ? "larger" : "smaller");
    fputc('\n', out);
    table_of(o, width, out);
    plot_of(o, width, out);
}
