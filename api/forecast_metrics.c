/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "api/forecast_metrics.h"

#include <math.h>
#include <stdlib.h>

#include "api/crossings.h"

/* The families, written one after the other once all forecasters have been looked at. */
struct families {
    struct page crossing, probability;
};

static void write_crossings(void *ctx, const char *forecaster, const struct crossings *c,
                            const struct err *why)
{
    struct families *const f = ctx;
    double probability = 0;
    (void)why;
    if (!c)
        return;
    for (size_t q = 0; q < CROSSING_QUANTILES; q++) {
        int64_t soonest_ms = 0;
        for (size_t i = 0; i < c->count; i++) {
            const int64_t at_ms = c->list[i].at_ms[q];
            if (at_ms && (!soonest_ms || at_ms < soonest_ms))
                soonest_ms = at_ms;
        }
        page_add(&f->crossing,
                 "frwkvd_crossing_timestamp_seconds{forecaster=\"%s\",p=\"%g\"} ",
                 forecaster, crossing_quantiles[q]);
        if (soonest_ms)
            page_add(&f->crossing, "%.3f\n", (double)soonest_ms / 1e3);
        else
            page_add(&f->crossing, "+Inf\n");
    }
    for (size_t i = 0; i < c->count; i++)
        probability = fmax(probability, c->list[i].probability);
    page_add(&f->probability, "frwkvd_crossing_probability{forecaster=\"%s\"} %g\n",
             forecaster, probability);
}

static void write_family(struct page *out, struct page *rows, const char *name,
                         const char *help)
{
    page_add(out, "# HELP %s %s\n# TYPE %s gauge\n", name, help, name);
    if (rows->len)
        page_add_bytes(out, rows->bytes, rows->len);
    free(rows->bytes);
}

int forecast_metrics(struct page *out, struct api *api, struct err *err)
{
    struct families f = {0};
    const int rc = crossings_each(api, NULL, write_crossings, &f, err);
    write_family(out, &f.crossing, "frwkvd_crossing_timestamp_seconds",
                 "When the soonest series of a forecaster crosses a threshold, by "
                 "quantile; +Inf: not within the horizon.");
    write_family(out, &f.probability, "frwkvd_crossing_probability",
                 "That any one series crosses within the horizon: the largest.");
    return rc;
}
