/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "model/cut.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

bool cut_history(size_t rows, size_t lookback, size_t horizon, struct cut *cut)
{
    const size_t judge = larger((rows + 4) / 5, 3 * horizon);
    const size_t stop = larger(rows / 10, horizon);
    const bool enough = rows >= judge + stop + lookback + 2 * horizon;
    const size_t half = rows / 2;
    const size_t judge_from = rows > judge ? rows - judge : 0;
    cut->end = rows;
    cut->stop = enough ? judge_from : larger(judge_from, half);
    cut->fit = enough ? judge_from - stop : cut->stop;
    return enough;
}

size_t model_rows_for_training(const struct model_spec *spec)
{
    struct cut cut;
    size_t rows = spec->lookback + 6 * spec->horizon; /* no less can do */
    while (!cut_history(rows, spec->lookback, spec->horizon, &cut))
        rows++;
    return rows;
}

size_t model_rows_for_candidates(const struct model_spec *spec)
{
    return 3 * spec->horizon;
}

/* ---- published protocols ----------------------------------------------------------- */

static int parse_shares(const char *text, struct model_split *split)
{
    double *const out[] = {&split->train, &split->valid, &split->test};
    char *end;
    for (int i = 0; i < 3; i++) {
        *out[i] = strtod(text, &end);
        if (end == text || *end != (i < 2 ? ',' : '\0') || !(*out[i] > 0) || *out[i] >= 1)
            return -1;
        text = end + 1;
    }
    split->kind = SPLIT_SHARES;
    return fabs(split->train + split->valid + split->test - 1) < 1e-9 ? 0 : -1;
}

static int parse_last(const char *text, struct model_split *split)
{
    char *end;
    errno = 0;
    const unsigned long long n = strtoull(text, &end, 10);
    if (*text < '0' || *text > '9' || *end || errno || n == 0 || n > GRID_CELLS_MAX)
        return -1;
    split->kind = SPLIT_LAST;
    split->last = (size_t)n;
    return 0;
}

int model_split_parse(const char *text, struct model_split *split, struct err *err)
{
    *split = (struct model_split){0};
    int rc = -1;
    if (strcmp(text, "ett-hour") == 0) {
        split->kind = SPLIT_ETT_HOUR;
        rc = 0;
    } else if (strncmp(text, "last:", 5) == 0) {
        rc = parse_last(text + 5, split);
    } else {
        rc = parse_shares(text, split);
    }
    if (rc)
        err_set(
            err, ERR_INVALID,
            "split: must be ett-hour, three shares that add up to 1 (0.7,0.1,0.2), or "
            "last:ROWS, got \"%.60s\"",
            text);
    return rc;
}

/* Twelve, four and four months of 30 days, hourly. */
static const struct cut ett_hour = {8640, 8640 + 2880, 8640 + 2 * 2880};

int cut_split(const struct model_split *split, size_t rows, size_t lookback,
              size_t horizon, struct cut *cut, struct err *err)
{
    size_t test;
    switch (split->kind) {
    case SPLIT_ETT_HOUR:
        *cut = ett_hour;
        break;
    case SPLIT_SHARES:
        /* A share such as 0.7 is a little less in binary: 0.7 n of 10 n is 7 n. */
        test = (size_t)floor(split->test * (double)rows + 1e-9);
        *cut = (struct cut){(size_t)floor(split->train * (double)rows + 1e-9),
                            rows - test, rows};
        break;
    case SPLIT_LAST:
        test = split->last < rows ? split->last : rows;
        *cut = (struct cut){(rows - test) / 8 * 7, rows - test, rows};
        break;
    }
    if (cut->end > rows || cut->fit > cut->stop || cut->fit < lookback + horizon ||
        cut->stop - cut->fit < horizon || cut->end - cut->stop < horizon)
        return err_set(err, ERR_CONFLICT,
                       "split: parts of %zu, %zu and %zu of %zu rows are too short for a "
                       "lookback of %zu and a horizon of %zu: the first needs both, each "
                       "of the others a horizon",
                       cut->fit, cut->stop - cut->fit, cut->end - cut->stop, rows,
                       lookback, horizon);
    return 0;
}
