/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/calendar.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/civil.h"
#include "base/mem.h"

static const int64_t day_ms = INT64_C(86400000);

static const char *const words[CALENDAR_PARTS] = {
    [CALENDAR_HOUR] = "hour", [CALENDAR_WEEKDAY] = "weekday"};

int calendar_part_parse(const char *word)
{
    for (int p = 0; p < CALENDAR_PARTS; p++)
        if (strcmp(words[p], word) == 0)
            return p;
    return -1;
}

const char *calendar_part_word(enum calendar_part part)
{
    return words[part];
}

/* A column's value at a local time. */
typedef double column_value(int64_t local_ms, int which);

static double hour_value(int64_t local_ms, int which)
{
    const double share =
        (double)(local_ms - floor_div(local_ms, day_ms) * day_ms) / (double)day_ms;
    const double angle = 2 * M_PI * share * (double)(which / 2 + 1);
    return which % 2 ? sin(angle) : cos(angle);
}

static double weekday_value(int64_t local_ms, int which)
{
    return civil_weekday(floor_div(local_ms, day_ms)) == which;
}

static const struct {
    column_value *value;
    const char *names[8]; /* up to NULL */
} columns[CALENDAR_PARTS] = {
    [CALENDAR_HOUR] = {hour_value, {"cos", "sin", "cos2", "sin2"}},
    [CALENDAR_WEEKDAY] = {weekday_value,
                          {"sun", "mon", "tue", "wed", "thu", "fri", "sat"}},
};

/* A column of values at local times; group and name without "calendar.". */
static int add_column(struct covariates *c, const char *group, const char *name,
                      const double *values, struct err *err)
{
    char whole_group[COVARIATE_NAME_MAX], whole_name[COVARIATE_NAME_MAX];
    snprintf(whole_group, sizeof whole_group, "calendar.%s", group);
    snprintf(whole_name, sizeof whole_name, "calendar.%s%s%s", group, *name ? "." : "",
             name);
    return covariates_add_always(c, whole_name, whole_group, values, err);
}

static int add_part(struct covariates *c, enum calendar_part part,
                    const int64_t *local_ms, double *values, struct err *err)
{
    for (int k = 0; columns[part].names[k]; k++) {
        for (size_t row = 0; row < covariates_rows(c); row++)
            values[row] = columns[part].value(local_ms[row], k);
        if (add_column(c, words[part], columns[part].names[k], values, err))
            return -1;
    }
    return 0;
}

static int add_holidays(struct covariates *c, const struct holidays *holidays,
                        const int64_t *local_ms, double *values, struct err *err)
{
    for (size_t row = 0; row < covariates_rows(c); row++)
        values[row] = holidays_is(holidays, floor_div(local_ms[row], day_ms));
    return add_column(c, "holiday", "", values, err);
}

int calendar_add(struct covariates *c, const struct zone *zone, unsigned parts,
                 const struct holidays *holidays, struct err *err)
{
    const size_t rows = covariates_rows(c);
    int64_t *const local_ms = mem_try(rows + 1, sizeof *local_ms);
    double *const values = mem_try(rows + 1, sizeof *values);
    int rc = 0;
    if (!local_ms || !values)
        rc = err_set(err, ERR_NO_MEMORY, "calendar: no memory for %zu steps", rows);
    for (size_t row = 0; rc == 0 && row < rows; row++) {
        const int64_t middle_ms = covariates_middle_ms(c, row);
        local_ms[row] = middle_ms + zone_offset_s(zone, middle_ms) * INT64_C(1000);
    }
    for (int p = 0; p < CALENDAR_PARTS; p++)
        if (rc == 0 && parts >> p & 1)
            rc = add_part(c, (enum calendar_part)p, local_ms, values, err);
    if (rc == 0 && holidays)
        rc = add_holidays(c, holidays, local_ms, values, err);
    free(local_ms);
    free(values);
    return rc;
}
