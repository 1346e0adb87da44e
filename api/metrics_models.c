/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Forecasters, the models that serve them, how these were judged and how their forecasts
 * come true, and jobs, as metrics.
 */
#include "api/metrics.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "api/exposition.h"
#include "api/server.h"
#include "api/standing.h"
#include "base/mem.h"

enum { JOBS_COUNTED = 1000 };

/* ---- models ---------------------------------------------------------------------- */

/* Of one forecaster; without a model only the name counts. */
struct state {
    char *name;
    struct served *served;    /* held, or NULL */
    int64_t issued_ms;        /* of the newest issue; 0: none */
    struct standing standing; /* zeroes without both */
};

static const struct model_report *report_of(const struct state *state)
{
    return state->served ? model_report(state->served->model) : NULL;
}

static void put_name(struct exposition *out, const char *metric, const char *forecaster)
{
    page_add(&out->page, "%s{forecaster=", metric);
    exposition_label(out, forecaster);
}

static double published(const struct state *s)
{
    return s->served ? (double)s->served->published_ms / 1e3 : (double)NAN;
}

static double watermark(const struct state *s)
{
    return s->served ? (double)s->served->watermark_ms / 1e3 : (double)NAN;
}

static double version(const struct state *s)
{
    return s->served ? (double)s->served->model_id : (double)NAN;
}

static double series(const struct state *s)
{
    return s->served ? (double)model_series(s->served->model) : (double)NAN;
}

static double parameters(const struct state *s)
{
    return s->served ? (double)model_params(s->served->model) : (double)NAN;
}

static double issued(const struct state *s)
{
    return s->issued_ms ? (double)s->issued_ms / 1e3 : (double)NAN;
}

static double calibrated(const struct state *s)
{
    return s->served ? (double)s->served->calibration.number : (double)NAN;
}

static double banded(const struct state *s)
{
    return s->issued_ms ? (double)s->standing.judged : (double)NAN;
}

static double outside(const struct state *s)
{
    return s->issued_ms ? (double)s->standing.anomalies : (double)NAN;
}

/* The mean skill of those who serve, over all that could be judged. */
static double skill(const struct state *s)
{
    const struct model_report *const report = report_of(s);
    double sum = 0;
    size_t count = 0;
    for (size_t i = 0; report && i < report->series_count * MODEL_BUCKETS; i++)
        if (!isnan(report->champions[i].skill)) {
            sum += report->champions[i].skill;
            count++;
        }
    return count ? sum / (double)count : (double)NAN;
}

static const struct {
    const char *name, *help;
    double (*of)(const struct state *state); /* NAN: nothing to say */
} figures[] = {
    {"frwkvd_model_version", "Number of the version that serves.", version},
    {"frwkvd_model_published_timestamp_seconds",
     "When the model that serves was published, since 1970.", published},
    {"frwkvd_model_watermark_timestamp_seconds",
     "The newest sample that the model that serves was trained on, since 1970.",
     watermark},
    {"frwkvd_model_series", "Series of the model that serves.", series},
    {"frwkvd_model_parameters", "Weights of the model that serves.", parameters},
    {"frwkvd_model_judged_skill_ratio",
     "Share of the seasonal naive forecast's error that those who serve avoid, as judged "
     "before publication; mean over series and parts of the horizon.",
     skill},
    {"frwkvd_forecast_issued_timestamp_seconds",
     "When a forecast was last issued, since 1970.", issued},
    {"frwkvd_calibration_version",
     "Number of the calibration that stretches the bands; 0: they are as judged.",
     calibrated},
    {"frwkvd_anomalies_judged",
     "Observations of the last day, or of fewer steps where series are many, of which "
     "a band had been issued.",
     banded},
    {"frwkvd_anomalies", "Of these, how many lay outside their band.", outside},
};

static void write_judgement(struct exposition *out, const struct state *states,
                            size_t count)
{
    static const struct {
        const char *name, *help;
        size_t offset;
    } judged[] = {
        {"frwkvd_model_judged_mase",
         "Mean absolute scaled error of each candidate, judged before publication; "
         "champion is what serves.",
         offsetof(struct model_figure, mase)},
        {"frwkvd_model_judged_coverage_ratio",
         "Share of values inside the band of 80 %, of each candidate.",
         offsetof(struct model_figure, coverage80)},
    };
    for (size_t j = 0; j < sizeof judged / sizeof *judged; j++) {
        exposition_family(out, judged[j].name, FAMILY_GAUGE, judged[j].help);
        for (size_t i = 0; i < count; i++) {
            const struct model_report *const report = report_of(&states[i]);
            for (size_t f = 0; report && f < report->figure_count; f++) {
                const struct model_figure *const figure = &report->figures[f];
                double value;
                memcpy(&value, (const char *)figure + judged[j].offset, sizeof value);
                if (figure->bucket >= 0 || isnan(value))
                    continue;
                put_name(out, judged[j].name, states[i].name);
                page_add(&out->page, ",candidate=");
                exposition_label(out, figure->candidate);
                page_add(&out->page, "} %.9g\n", value);
            }
        }
    }
}

/* Of all series of a forecaster together. */
static void write_standing(struct exposition *out, const struct state *states,
                           size_t count)
{
    static const struct {
        const char *name, *help;
        size_t offset;
    } live[] = {
        {"frwkvd_live_values",
         "Observations laid beside issues of the last ten horizons, by part of the "
         "horizon: "
         "0 to 3, to its eighth, quarter, half and end.",
         offsetof(struct accuracy_row, values)},
        {"frwkvd_live_mase",
         "Mean error of the median, scaled by that of repeating the season before the "
         "issue; of all series.",
         offsetof(struct accuracy_row, mase)},
        {"frwkvd_live_quantile_loss_ratio",
         "Weighted quantile loss: of all quantiles, over the observations' size.",
         offsetof(struct accuracy_row, wql)},
        {"frwkvd_live_coverage_ratio", "Share of observations inside the outermost band.",
         offsetof(struct accuracy_row, coverage)},
        {"frwkvd_live_coverage_promised_ratio", "What that share should be.",
         offsetof(struct accuracy_row, nominal)},
    };
    static const char *const buckets[1 + MODEL_BUCKETS] = {"all", "0", "1", "2", "3"};
    for (size_t l = 0; l < sizeof live / sizeof *live; l++) {
        exposition_family(out, live[l].name, FAMILY_GAUGE, live[l].help);
        for (size_t i = 0; i < count; i++)
            for (size_t b = 0; b <= MODEL_BUCKETS; b++) {
                const struct accuracy_row *const row = &states[i].standing.rows[b];
                double value;
                memcpy(&value, (const char *)row + live[l].offset, sizeof value);
                if (row->values == 0 || isnan(value))
                    continue;
                put_name(out, live[l].name, states[i].name);
                page_add(&out->page, ",bucket=\"%s\"} %.9g\n", buckets[b], value);
            }
    }
}

static void write_states(struct exposition *out, const struct state *states, size_t count)
{
    exposition_one(out, "frwkvd_forecasters", FAMILY_GAUGE, "Forecasters defined.",
                   (double)count);
    for (size_t f = 0; f < sizeof figures / sizeof *figures; f++) {
        exposition_family(out, figures[f].name, FAMILY_GAUGE, figures[f].help);
        for (size_t i = 0; i < count; i++) {
            const double value = figures[f].of(&states[i]);
            if (isnan(value))
                continue;
            put_name(out, figures[f].name, states[i].name);
            page_add(&out->page, "} %.17g\n", value);
        }
    }
    write_judgement(out, states, count);
    write_standing(out, states, count);
}

static int read_state(struct api *api, struct state *state, struct err *err)
{
    struct store_issue_line *lines = NULL;
    size_t count = 0;
    struct err none = {0};
    /* Without a model there is none to be judged; one that fails its check shows by its
     * absence here and by every forecast's 500. */
    state->served = serving_get(api->config.serving, state->name, &none);
    if (store_issues(api->config.store, state->name, TIME_MAX_MS, TIME_MAX_MS, 1, &lines,
                     &count, err))
        return -1;
    const int64_t issue_id = count ? lines[0].issue_id : 0;
    state->issued_ms = count ? lines[0].issued_ms : 0;
    free(lines);
    /* A damaged ledger is told by who asks for it, and by verify; not by a scrape that
     * fails. */
    if (state->served && issue_id)
        standing_read(api->standings, api->config.serving, state->served, issue_id,
                      &state->standing, &none);
    return 0;
}

int metrics_write_models(struct exposition *out, struct api *api, struct err *err)
{
    struct store_forecaster *stored = NULL;
    size_t count = 0;
    if (store_forecasters(api->config.store, &stored, &count, err))
        return -1;
    struct state *const states = mem_new(count, sizeof *states);
    int rc = 0;
    for (size_t i = 0; i < count; i++) {
        states[i].name = mem_text(stored[i].name);
        if (rc == 0)
            rc = read_state(api, &states[i], err);
        store_forecaster_fini(&stored[i]);
    }
    if (rc == 0)
        write_states(out, states, count);
    for (size_t i = 0; i < count; i++) {
        serving_put(api->config.serving, states[i].served);
        free(states[i].name);
    }
    free(states);
    free(stored);
    return rc;
}

/* ---- jobs ------------------------------------------------------------------------ */

static void write_jobs(struct exposition *out, const struct store_job *jobs, size_t count)
{
    static const char *const words[] = {"queued", "running", "done", "failed",
                                        "cancelled"};
    exposition_family(out, "frwkvd_jobs", FAMILY_GAUGE,
                      "Jobs by kind and state, of the newest thousand.");
    for (size_t k = 0; k < SCHEDULES; k++)
        for (size_t s = 0; s < sizeof words / sizeof *words; s++) {
            size_t in_state = 0;
            for (size_t j = 0; j < count; j++)
                in_state += !strcmp(jobs[j].kind, schedule_kind(k)) &&
                            !strcmp(jobs[j].state, words[s]);
            page_add(&out->page, "frwkvd_jobs{kind=\"%s\",state=\"%s\"} %zu\n",
                     schedule_kind(k), words[s], in_state);
        }
    exposition_family(out, "frwkvd_job_last_duration_seconds", FAMILY_GAUGE,
                      "How long the newest finished job of each kind took.");
    for (size_t k = 0; k < SCHEDULES; k++) {
        size_t j = 0;
        while (j < count && (strcmp(jobs[j].kind, schedule_kind(k)) != 0 ||
                             strcmp(jobs[j].state, "done") != 0))
            j++;
        if (j < count)
            page_add(&out->page, "frwkvd_job_last_duration_seconds{kind=\"%s\"} %.3f\n",
                     schedule_kind(k),
                     (double)(jobs[j].finished_ms - jobs[j].started_ms) / 1e3);
    }
}

int metrics_write_jobs(struct exposition *out, struct store *store, struct err *err)
{
    struct store_job *jobs = NULL;
    size_t count = 0;
    if (store_jobs(store, NULL, JOBS_COUNTED, &jobs, &count, err))
        return -1;
    write_jobs(out, jobs, count);
    for (size_t j = 0; j < count; j++)
        store_job_fini(&jobs[j]);
    free(jobs);
    return 0;
}
