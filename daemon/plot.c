/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "daemon/plot.h"

#include <math.h>
#include <stdlib.h>

#include "base/mem.h"
#include "daemon/terminal.h"

enum { LABEL_WIDTH = 12, DOTS_X = 2, DOTS_Y = 4 };

/* One character of the picture: braille dots, and whether the band covers it. */
struct cell {
    unsigned char dots;
    bool band, past;
};

struct canvas {
    const struct plot *plot;
    size_t columns, rows; /* characters */
    double least, most;
    struct cell *cells;
};

static void range_take(struct canvas *c, const double *values, size_t count)
{
    for (size_t i = 0; values && i < count; i++) {
        if (!isfinite(values[i]))
            continue;
        c->least = fmin(c->least, values[i]);
        c->most = fmax(c->most, values[i]);
    }
}

/* The row of dots, from the top, at which a value lies. */
static size_t dot_row(const struct canvas *c, double value)
{
    const double dots = (double)(c->rows * DOTS_Y - 1);
    const double span = c->most - c->least;
    const double share = span > 0 ? (c->most - value) / span : 0.5;
    return (size_t)lround(fmin(fmax(share, 0), 1) * dots);
}

static void dot_set(struct canvas *c, size_t x, size_t y, bool past)
{
    /* Unicode numbers the dots of a braille character down its columns, the fourth row
     * last. */
    static const unsigned char bits[DOTS_Y][DOTS_X] = {
        {0x01, 0x08}, {0x02, 0x10}, {0x04, 0x20}, {0x40, 0x80}};
    struct cell *const cell = &c->cells[y / DOTS_Y * c->columns + x / DOTS_X];
    cell->dots |= bits[y % DOTS_Y][x % DOTS_X];
    cell->past = past;
}

/* The value of step i of count steps spread over dots columns of dots, at column x. */
static double value_at(const double *values, size_t count, size_t x, size_t dots)
{
    return values[dots > 1 ? x * (count - 1) / (dots - 1) : 0];
}

/* A line over dots columns from column from on, joined vertically where it is steep. */
static void line_draw(struct canvas *c, const double *values, size_t count, size_t from,
                      size_t dots, bool past)
{
    size_t before = SIZE_MAX;
    for (size_t x = 0; count && x < dots; x++) {
        const double value = value_at(values, count, x, dots);
        if (!isfinite(value)) {
            before = SIZE_MAX;
            continue;
        }
        const size_t y = dot_row(c, value);
        const size_t start = before == SIZE_MAX ? y : before;
        for (size_t at = start; at != y; at += at < y ? 1 : (size_t)-1)
            dot_set(c, from + x, at, past);
        dot_set(c, from + x, y, past);
        before = y;
    }
}

static void band_draw(struct canvas *c, size_t from, size_t dots)
{
    const struct plot *const p = c->plot;
    for (size_t x = 0; p->next_count && x < dots; x++) {
        const double low = value_at(p->low, p->next_count, x, dots);
        const double high = value_at(p->high, p->next_count, x, dots);
        if (!isfinite(low) || !isfinite(high))
            continue;
        for (size_t y = dot_row(c, high) / DOTS_Y; y <= dot_row(c, low) / DOTS_Y; y++)
            c->cells[y * c->columns + (from + x) / DOTS_X].band = true;
    }
}

static void cell_print(const struct cell *cell, bool utf8, FILE *out)
{
    if (!utf8)
        fputc(cell->dots ? (cell->past ? '.' : '*') : cell->band ? ':' : ' ', out);
    else if (cell->dots) /* U+2800 + dots */
        fprintf(out, "\xE2%c%c", 0xA0 | cell->dots >> 6, 0x80 | (cell->dots & 0x3F));
    else
        fputs(cell->band ? "░" : " ", out);
}

/* Characters left of the bar: the past and the forecast share the width by their steps,
 * but neither gets less than a quarter. */
static size_t past_columns(const struct plot *plot, size_t columns)
{
    const size_t steps = plot->past_count + plot->next_count;
    const size_t share = steps ? columns * plot->past_count / steps : 0;
    const size_t least = columns / 4, most = columns - columns / 4;
    return share < least ? least : share > most ? most : share;
}

static size_t canvas_columns(const struct plot *plot)
{
    return plot->width > LABEL_WIDTH + 10 ? plot->width - LABEL_WIDTH - 2 : 8;
}

static void canvas_print(const struct canvas *c, size_t past, FILE *out)
{
    const bool utf8 = c->plot->utf8;
    for (size_t row = 0; row < c->rows; row++) {
        char text[NUMBER_TEXT_SIZE];
        const char *const label = row == 0             ? number_text(c->most, text)
                                  : row + 1 == c->rows ? number_text(c->least, text)
                                                       : "";
        fprintf(out, "%*s ", LABEL_WIDTH, label);
        size_t end = c->columns; /* no blanks at the end of a line */
        while (end > past && !c->cells[row * c->columns + end - 1].dots &&
               !c->cells[row * c->columns + end - 1].band)
            end--;
        for (size_t x = 0; x < end; x++) {
            if (x == past)
                fputs(utf8 ? "│" : "|", out);
            cell_print(&c->cells[row * c->columns + x], utf8, out);
        }
        fputs(end == past ? (utf8 ? "│\n" : "|\n") : "\n", out);
    }
}

void plot_print(const struct plot *plot, FILE *out)
{
    struct canvas c = {.plot = plot,
                       .columns = canvas_columns(plot),
                       .rows = plot->height,
                       .least = INFINITY,
                       .most = -INFINITY};
    range_take(&c, plot->past, plot->past_count);
    range_take(&c, plot->low, plot->next_count);
    range_take(&c, plot->high, plot->next_count);
    if (!isfinite(c.least) || c.rows == 0)
        return;
    c.cells = mem_new(c.columns * c.rows, sizeof *c.cells);
    const size_t past = past_columns(plot, c.columns);
    const size_t next_dots = (c.columns - past) * DOTS_X;
    band_draw(&c, past * DOTS_X, next_dots);
    line_draw(&c, plot->past, plot->past_count, 0, past * DOTS_X, true);
    line_draw(&c, plot->mid, plot->next_count, past * DOTS_X, next_dots, false);
    canvas_print(&c, past, out);
    free(c.cells);
}
