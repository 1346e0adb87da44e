/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * result.h -- a row of a bench's table: printed, and kept as JSON.
 *
 *     result_add(&(struct result){.name = "one forecast", .value = 0.21, .unit = "ms",
 *                                 .at_most = 0.3, .ratio = 0.4, .beside = "unfolded"});
 *
 * Where BENCH_JSON names a file, each row is appended to it as one line of JSON; `make
 * bench` gathers them as an array in build/bench.json.
 *
 * A ratio is measured in one run, both sides in turns: result_turns().
 */
#ifndef TESTS_BENCH_RESULT_H
#define TESTS_BENCH_RESULT_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <jansson.h>

#include "base/err.h"
#include "base/mem.h"

static inline double clock_s(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static inline double now_s(void)
{
    return clock_s(CLOCK_MONOTONIC);
}

static inline void die(const char *what, const struct err *err)
{
    fprintf(stderr, "%s: %s\n", what, err ? err->msg : "failed");
    exit(1);
}

static inline int ascending(const void *left, const void *right)
{
    const double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

/* ---- rows ----------------------------------------------------------------------------- */

struct result {
    const char *name;
    double value;
    const char *unit;
    double ratio;             /* value to that of what stands beside it; 0: none */
    const char *beside;       /* what that is */
    double at_most, at_least; /* the bar for value; 0: none */
};

static inline bool result_met(const struct result *r)
{
    return (r->at_most == 0 || r->value <= r->at_most) && r->value >= r->at_least;
}

static inline void result_keep(const struct result *r)
{
    const char *const path = getenv("BENCH_JSON");
    if (!path)
        return;
    json_t *const row =
        json_pack("{s:s, s:s, s:f, s:s}", "bench", program_invocation_short_name, "name",
                  r->name, "value", r->value, "unit", r->unit);
    if (r->beside)
        json_object_set_new(row, "beside", json_string(r->beside));
    if (r->ratio != 0)
        json_object_set_new(row, "ratio", json_real(r->ratio));
    const double bar = r->at_most + r->at_least;
    if (bar != 0) {
        json_object_set_new(row, r->at_most != 0 ? "at_most" : "at_least",
                            json_real(bar));
        json_object_set_new(row, "met", json_boolean(result_met(r)));
    }
    FILE *const file = fopen(path, "a");
    if (!row || !file || json_dumpf(row, file, JSON_REAL_PRECISION(6)) ||
        fputc('\n', file) < 0 || fclose(file))
        die(path, NULL);
    json_decref(row);
}

static inline void result_add(const struct result *r)
{
    const double bar = r->at_most + r->at_least;
    printf("  %-46s %10.4g %-14s", r->name, r->value, r->unit);
    if (r->ratio != 0)
        printf(" %.2f times", r->ratio);
    if (r->beside)
        printf(" %s", r->beside);
    if (bar != 0)
        printf(" [%s %.4g: %s", r->at_most != 0 ? "at most" : "at least", bar,
               result_met(r) ? "met" : "missed");
    if (bar != 0 && !result_met(r))
        printf(" by %.0f %%",
               100 * (r->value > bar ? r->value / bar - 1 : 1 - r->value / bar));
    printf("%s\n", bar != 0 ? "]" : "");
    fflush(stdout);
    result_keep(r);
}

/* ---- two and more ways to do the same thing --------------------------------------------- */

struct result_turn {
    void (*run)(void *ctx);
    void *ctx;
    double median_s; /* of one run */
    double cpu_s;    /* the same of the processor's time, which other work leaves alone */
};

/* Runs each in turn, `times` over after a round that does not count. */
static inline void result_turns(struct result_turn *turns, size_t count, size_t times)
{
    double *const took_s = mem_new(count * times, sizeof *took_s);
    double *const cpu_s = mem_new(count * times, sizeof *cpu_s);
    for (size_t i = 0; i <= times; i++)
        for (size_t k = 0; k < count; k++) {
            const double began_s = now_s(),
                         cpu_began_s = clock_s(CLOCK_PROCESS_CPUTIME_ID);
            turns[k].run(turns[k].ctx);
            if (i == 0)
                continue;
            took_s[k * times + i - 1] = now_s() - began_s;
            cpu_s[k * times + i - 1] = clock_s(CLOCK_PROCESS_CPUTIME_ID) - cpu_began_s;
        }
    for (size_t k = 0; k < count; k++) {
        qsort(took_s + k * times, times, sizeof *took_s, ascending);
        qsort(cpu_s + k * times, times, sizeof *cpu_s, ascending);
        turns[k].median_s = took_s[k * times + times / 2];
        turns[k].cpu_s = cpu_s[k * times + times / 2];
    }
    free(cpu_s);
    free(took_s);
}

#endif
