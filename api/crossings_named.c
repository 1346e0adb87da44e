/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "api/crossings_named.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/crossings.h"
#include "api/predicted.h"
#include "api/server.h"
#include "base/mem.h"

static const char timestamp[] = ":crossing_timestamp_seconds",
                  probability[] = ":crossing_probability";

struct run {
    const struct named_wish *wish;
    struct store_selection *selection; /* NULL: takes all */
    bool names_only;
    named_each *each;
    void *ctx;
    int64_t now_ms;
    size_t left; /* samples that may come */
    int rc;
    struct err *err;
    struct labels series, labels; /* large, so here */
};

static bool ends_in(const char *text, const char *suffix)
{
    const size_t len = strlen(text), n = strlen(suffix);
    return len >= n && !strcmp(text + len - n, suffix);
}

/* A name that is asked for alone says whether crossings are meant: most readers are spared
 * working them out. */
static bool may_be_crossing(const char *text)
{
    struct selector *const selector = mem_new(1, sizeof *selector);
    bool may = true;
    if (!selector_parse(text, strlen(text), selector, NULL))
        for (size_t i = 0; i < selector->count; i++) {
            const struct matcher *const m = &selector->matcher[i];
            if (m->kind == MATCH_EQUAL && !strcmp(m->name, "__name__"))
                may = may &&
                      (ends_in(m->value, timestamp) || ends_in(m->value, probability));
        }
    free(selector);
    return may;
}

/* The points at which something is known, ascending: since_ms, then every four minutes. */
static struct sample *points(struct run *run, int64_t since_ms, double value,
                             size_t *count)
{
    const int64_t back = run->wish->look_back ? NAMED_LOOKBACK_MS : 0;
    const int64_t from_ms = run->wish->from_ms - back;
    const int64_t to_ms = run->wish->to_ms < run->now_ms ? run->wish->to_ms : run->now_ms;
    int64_t at_ms = since_ms;
    if (from_ms > since_ms)
        at_ms += (from_ms - since_ms + PREDICTED_GAP_MS - 1) / PREDICTED_GAP_MS *
                 PREDICTED_GAP_MS;
    *count = at_ms <= to_ms ? (size_t)((to_ms - at_ms) / PREDICTED_GAP_MS) + 1 : 0;
    if (*count == 0 || *count > run->left)
        return NULL;
    struct sample *const samples = mem_new(*count, sizeof *samples);
    for (size_t i = 0; i < *count; i++)
        samples[i] = (struct sample){at_ms + (int64_t)i * PREDICTED_GAP_MS, value};
    return samples;
}

static int emit(struct run *run, int64_t since_ms, double value)
{
    struct named named = {.labels = &run->labels,
                          .lookback_ms = run->wish->look_back ? NAMED_LOOKBACK_MS : 0};
    const int takes = run->selection
                          ? store_selection_takes(run->selection, &run->labels, run->err)
                          : 1;
    if (takes <= 0)
        return takes;
    struct sample *const samples = points(run, since_ms, value, &named.count);
    if (named.count > run->left)
        return err_set(run->err, ERR_TOO_LARGE,
                       "more than %zu samples: ask for a shorter time or fewer series",
                       run->wish->samples_max);
    if (named.count == 0)
        return 0;
    named.samples = samples;
    if (run->names_only)
        named.count = 0;
    run->left -= named.count;
    const int rc = run->each(run->ctx, &named, run->err);
    free(samples);
    return rc;
}

/* One that is so long that nothing can be added has none to be seen here. */
static int emit_one(struct run *run, const struct crossings *c,
                    const struct series_crossing *one)
{
    const char *const word = threshold_word(one->threshold);
    if (labels_parse(one->series, strlen(one->series), &run->series, run->err))
        return -1;
    for (size_t q = 0; q < CROSSING_QUANTILES; q++) {
        char p[16];
        snprintf(p, sizeof p, "%g", crossing_quantiles[q]);
        const double at = one->at_ms[q] ? (double)one->at_ms[q] / 1e3 : (double)INFINITY;
        if (crossing_labels(&run->series, timestamp, c->forecaster, word, p, &run->labels,
                            NULL) == 0 &&
            emit(run, c->from_ms, at))
            return -1;
    }
    if (crossing_labels(&run->series, probability, c->forecaster, word, NULL,
                        &run->labels, NULL))
        return 0;
    return emit(run, c->from_ms, one->probability);
}

static bool wants(void *ctx, const char *forecaster)
{
    struct run *const run = ctx;
    const int may =
        run->rc == 0 && run->selection
            ? store_selection_allows(run->selection, "forecaster", forecaster, run->err)
            : run->rc == 0;
    if (may < 0)
        run->rc = -1;
    return may > 0;
}

static void take(void *ctx, const char *forecaster, const struct crossings *c,
                 const struct err *why)
{
    struct run *const run = ctx;
    (void)forecaster;
    (void)why;
    for (size_t i = 0; run->rc == 0 && c && i < c->count; i++)
        run->rc = emit_one(run, c, &c->list[i]);
}

int crossings_named(struct api *api, const struct named_wish *wish, bool names_only,
                    named_each *each, void *ctx, struct err *err)
{
    if (wish->selector && !may_be_crossing(wish->selector))
        return 0;
    struct run *const run = mem_new(1, sizeof *run);
    run->wish = wish;
    run->names_only = names_only;
    run->each = each;
    run->ctx = ctx;
    run->now_ms = serving_now_ms(api->config.serving);
    run->left = names_only ? SIZE_MAX / 2 : wish->samples_max;
    run->err = err;
    if (wish->selector && !(run->selection = store_selection_new(wish->selector, err)))
        run->rc = -1;
    if (run->rc == 0 && crossings_each(api, wants, take, run, err))
        run->rc = -1;
    const int rc = run->rc;
    store_selection_free(run->selection);
    free(run);
    return rc;
}
