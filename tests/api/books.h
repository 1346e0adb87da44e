/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * books.h -- what /metrics says of the samples of one dialect.
 */
#ifndef BOOKS_H
#define BOOKS_H

#include "tests/api/fixture.h"

/* The counter whose labels, braces left out, are these; -1 where there is none. */
static inline long metric(const struct fixture *f, const char *labels)
{
    struct answer a = get(f, "/metrics");
    char *const wanted = mem_printf("{%s} ", labels);
    const char *at = strstr(a.body, wanted);
    const long value = at ? strtol(at + strlen(wanted), NULL, 10) : -1;
    free(wanted);
    answer_fini(&a);
    return value;
}

static inline long dialect_metric(const struct fixture *f, const char *dialect,
                                  const char *kind, const char *word)
{
    char labels[100];
    snprintf(labels, sizeof labels, "dialect=\"%s\",%s=\"%s\"", dialect, kind, word);
    return metric(f, labels);
}

static inline long rejected(const struct fixture *f, const char *dialect,
                            const char *reason)
{
    return dialect_metric(f, dialect, "reason", reason);
}

static inline long accepted(const struct fixture *f, const char *dialect,
                            const char *result)
{
    return dialect_metric(f, dialect, "result", result);
}

/* received = stored + replaced + duplicate + rejected, and want of them in all. */
static inline void assert_books_close(const struct fixture *f, const char *dialect,
                                      long want)
{
    static const char *const results[] = {"stored", "replaced", "duplicate"};
    static const char *const reasons[] = {
        "invalid", "future",     "conflict",   "busy",     "store",
        "stale",   "not_finite", "not_number", "exemplar", "metadata"};
    char labels[60];
    long sum = 0;
    for (size_t i = 0; i < sizeof results / sizeof *results; i++)
        sum += accepted(f, dialect, results[i]);
    for (size_t i = 0; i < sizeof reasons / sizeof *reasons; i++)
        sum += rejected(f, dialect, reasons[i]);
    snprintf(labels, sizeof labels, "dialect=\"%s\"", dialect);
    assert_int_equal(metric(f, labels), sum);
    assert_int_equal(sum, want);
}

/* The only sample of a series. */
static inline struct sample only_sample(const struct fixture *f, const char *series)
{
    struct sample *samples = NULL;
    size_t count = 0;
    struct err err = {0};
    assert_ok(store_read(f->store, series, TIME_MIN_MS, TIME_MAX_MS, AS_OF_NOW, 0,
                         &samples, &count, &err),
              &err);
    assert_int_equal(count, 1);
    const struct sample sample = *samples;
    free(samples);
    return sample;
}

#endif
