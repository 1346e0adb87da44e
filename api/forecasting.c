/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From a published model to a forecast of now: grid tail, forward pass, float32 values
 * inside the bounds, the fingerprint of what was read, and the ledger.
 */
#include "api/serving.h"

#include <assert.h>
#include <endian.h>
#include <float.h>
#include <math.h>
#include <nettle/sha2.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/keeping.h"
#include "api/reading.h"
#include "api/reply.h"
#include "base/mem.h"

static_assert(STORE_HASH_SIZE == SHA256_DIGEST_SIZE, "the ledger keeps SHA-256");

/* Numbers in one forecast: past that, ask for fewer series, steps or quantiles. */
enum { NUMBERS_MAX = 4 << 20 };

void forecast_fini(struct forecast *f)
{
    for (size_t i = 0; i < f->count; i++) {
        free(f->series[i].name);
        free(f->series[i].values);
        free(f->series[i].observed);
    }
    free(f->series);
    zone_free(f->zone);
    *f = (struct forecast){0};
}

int forecast_zone(struct forecast *f, const struct forecaster *definition,
                  struct err *err)
{
    const struct zone *const zone = forecaster_zone(definition);
    f->zone = zone ? zone_load(zone_name(zone), err) : NULL;
    return zone && !f->zone ? -1 : 0;
}

int64_t forecast_target_ms(const struct forecast *f, size_t step)
{
    const struct grid targets = {
        .start_ms = f->first_ms, .step_ms = f->step_ms, .zone = f->zone};
    return grid_time_ms(&targets, step);
}

/* ---- the fingerprint of the input ------------------------------------------------ */

static void hash_u64(struct sha256_ctx *sha, uint64_t value)
{
    uint8_t bytes[8];
    for (size_t i = 0; i < 8; i++)
        bytes[i] = (uint8_t)(value >> (8 * i));
    sha256_update(sha, sizeof bytes, bytes);
}

/* Every missing value as the same bits. */
static uint64_t bits_of(double value)
{
    uint64_t bits = UINT64_C(0x7ff8000000000000);
    if (!isnan(value))
        memcpy(&bits, &value, sizeof bits);
    return htole64(bits);
}

static void hash_bytes(void *sha, const void *bytes, size_t len)
{
    sha256_update(sha, len, bytes);
}

/* What all series of a forecast share: it is long, and hashed once for all of them. */
static void hash_covariates(const struct grid *tail,
                            unsigned char out[static STORE_HASH_SIZE])
{
    struct sha256_ctx sha;
    sha256_init(&sha);
    if (tail->covariates)
        covariates_each_byte(tail->covariates, hash_bytes, &sha);
    sha256_digest(&sha, STORE_HASH_SIZE, out);
}

/* SHA-256 of step, start, rows and the columns [from, to), little-endian, row by row, then
 * of the covariates' hash. */
static void hash_window(const struct grid *tail, size_t from, size_t to,
                        const unsigned char covariates[static STORE_HASH_SIZE],
                        unsigned char out[static STORE_HASH_SIZE])
{
    enum { WORDS = 512 };
    uint64_t words[WORDS];
    size_t used = 0;
    struct sha256_ctx sha;
    sha256_init(&sha);
    hash_u64(&sha, (uint64_t)tail->step_ms);
    hash_u64(&sha, (uint64_t)tail->start_ms);
    hash_u64(&sha, tail->rows);
    hash_u64(&sha, to - from);
    for (size_t row = 0; row < tail->rows; row++)
        for (size_t col = from; col < to; col++) {
            words[used++] = bits_of(tail->values[row * tail->cols + col]);
            if (used == WORDS || (row + 1 == tail->rows && col + 1 == to)) {
                hash_bytes(&sha, words, used * sizeof *words);
                used = 0;
            }
        }
    hash_bytes(&sha, covariates, STORE_HASH_SIZE);
    sha256_digest(&sha, STORE_HASH_SIZE, out);
}

/* ---- values ---------------------------------------------------------------------- */

/* To the ledger's precision; rounding must not carry a value past a bound. */
static float issued_value(double value, const struct model_spec *spec)
{
    float out = (float)value;
    while ((double)out > spec->max)
        out = nextafterf(out, -INFINITY);
    while ((double)out < spec->min)
        out = nextafterf(out, INFINITY);
    return out;
}

static void take_answer(struct forecast_series *series, const struct model_answer *answer,
                        const struct model_spec *spec, size_t numbers)
{
    series->served = answer->served;
    memcpy(series->why, answer->why, sizeof series->why);
    memcpy(series->candidate, answer->candidate, sizeof series->candidate);
    memcpy(series->skill, answer->skill, sizeof series->skill);
    series->missing = answer->missing;
    series->covariates = answer->covariates;
    if (!answer->served)
        return;
    series->values = mem_new(numbers, sizeof *series->values);
    for (size_t i = 0; i < numbers; i++) {
        series->values[i] = issued_value(answer->values[i], spec);
        series->served &= isfinite(series->values[i]);
    }
    if (series->served)
        return;
    free(series->values);
    series->values = NULL;
    snprintf(series->why, sizeof series->why,
             "the forecast is past what can be kept of it, %.2g", (double)FLT_MAX);
}

/* ---- the forecast ---------------------------------------------------------------- */

static int check_wish(const struct served *served, const struct forecast_wish *wish,
                      struct forecast *out, struct err *err)
{
    const struct forecaster *const f = &served->definition;
    out->horizon = f->spec.horizon;
    out->steps = wish->horizon ? wish->horizon : f->spec.horizon;
    if (out->steps > f->spec.horizon)
        return err_set(err, ERR_INVALID, "horizon: must be 1..%zu, got %zu",
                       f->spec.horizon, out->steps);
    out->quantile_count = wish->quantile_count ? wish->quantile_count : f->quantile_count;
    memcpy(out->quantiles, wish->quantile_count ? wish->quantiles : f->quantiles,
           sizeof out->quantiles);
    memcpy(out->forecaster, f->name, sizeof out->forecaster);
    out->revision = served->revision;
    out->model_id = served->model_id;
    out->calibration = served->calibration.number;
    out->hash_known = true;
    memcpy(out->model_hash, served->hash, sizeof out->model_hash);
    out->step_ms = f->step_ms;
    return forecast_zone(out, f, err);
}

static void take_covariates(const struct model *model, const struct forecast_wish *wish,
                            struct forecast *out)
{
    const struct model_report *const report = model_report(model);
    out->covariate_count = report->covariate_count;
    for (size_t i = 0; i < report->covariate_count; i++) {
        struct forecast_covariate *const c = &out->covariates[i];
        memcpy(c->name, report->covariates[i].name, sizeof c->name);
        for (size_t o = 0; o < wish->override_count; o++)
            c->supposed |= !strcmp(wish->overrides[o].name, c->name);
    }
}

static void take_answers(const struct grid *tail, const struct model_answer *answers,
                         const struct model_spec *spec, struct forecast *out)
{
    const bool joint = spec->group == GROUP_JOINT;
    unsigned char covariates[STORE_HASH_SIZE], all[STORE_HASH_SIZE];
    hash_covariates(tail, covariates);
    if (joint)
        hash_window(tail, 0, tail->cols, covariates, all);
    out->series = mem_new(tail->cols, sizeof *out->series);
    out->count = tail->cols;
    for (size_t c = 0; c < tail->cols; c++) {
        struct forecast_series *const series = &out->series[c];
        series->name = mem_text(tail->names[c]);
        take_answer(series, &answers[c], spec, out->steps * out->quantile_count);
        if (joint)
            memcpy(series->input_hash, all, sizeof all);
        else
            hash_window(tail, c, c + 1, covariates, series->input_hash);
    }
}

static int run_model(struct serving *s, struct served *served, const struct grid *tail,
                     const struct kept_columns *kept, const struct forecast *out,
                     struct model_answer *answers, struct err *err)
{
    struct forecaster_work *const work = serving_work(s, served, err);
    if (!work)
        return -1;
    if (kept && kept->states) {
        forecaster_states_tail(work, kept->states, kept->behind, kept->tail);
        forecaster_go_on(work, kept->states, kept->behind);
    }
    const int rc = model_forecast(served->model, work, tail, out->steps, out->quantiles,
                                  out->quantile_count, answers, err);
    serving_work_done(s, served, work);
    return rc;
}

/* Forecasts every column of tail. */
static int compute(struct serving *s, struct served *served, const struct grid *tail,
                   const struct kept_columns *kept, struct forecast *out, struct err *err)
{
    const size_t numbers = out->steps * out->quantile_count;
    const struct model_spec *const spec = &served->definition.spec;
    if (tail->cols > NUMBERS_MAX / numbers)
        return err_set(err, ERR_TOO_LARGE,
                       "forecast: must be at most %d numbers, got %zu series of %zu",
                       NUMBERS_MAX, tail->cols, numbers);
    int rc = -1;
    struct model_answer *const answers = mem_try(tail->cols, sizeof *answers);
    double *const values = mem_try(tail->cols * numbers, sizeof *values);
    if (!answers || !values) {
        err_set(err, ERR_NO_MEMORY, "forecast: no memory for %zu series", tail->cols);
        goto out;
    }
    for (size_t c = 0; c < tail->cols; c++) {
        answers[c].values = values + c * numbers;
        answers[c].stretch = calibration_find(&served->calibration, tail->names[c]);
    }
    rc = run_model(s, served, tail, kept, out, answers, err);
    if (rc == 0)
        take_answers(tail, answers, spec, out);
out:
    free(values);
    free(answers);
    return rc;
}

/* A joint model reads all its series to forecast one: the others are left out here. */
static int keep_only(struct forecast *out, const char *name, struct err *err)
{
    size_t kept = 0;
    for (size_t i = 0; i < out->count; i++) {
        if (!strcmp(out->series[i].name, name)) {
            const struct forecast_series found = out->series[i];
            out->series[i] = out->series[kept];
            out->series[kept++] = found;
        }
    }
    for (size_t i = kept; i < out->count; i++) {
        free(out->series[i].name);
        free(out->series[i].values);
    }
    out->count = kept;
    return kept ? 0
                : err_set(err, ERR_NOT_FOUND,
                          "series: must be one of the forecaster's, got %.200s", name);
}

int serving_forecast(struct serving *s, struct served *served,
                     const struct forecast_wish *wish, struct forecast *out,
                     struct err *err)
{
    *out = (struct forecast){.issued_ms = serving_now_ms(s)};
    const struct forecaster *const f = &served->definition;
    const bool joint = f->spec.group == GROUP_JOINT;
    struct store *const store = serving_store(s);
    struct extent extent = {0};
    struct grid tail = {0};
    struct kept_columns kept = {0};
    int rc = -1;
    if (check_wish(served, wish, out, err) ||
        extent_read(f, store, out->issued_ms, &extent, err))
        goto out;
    if (kept_grid(serving_keeping(s), served, store, out->issued_ms, &extent, wish, &kept,
                  &tail, err))
        goto out;
    take_covariates(served->model, wish, out);
    out->watermark_ms = extent.newest_ms;
    out->first_ms = extent.end_ms;
    rc = compute(s, served, &tail, &kept, out, err);
    if (rc == 0 && joint && wish->series)
        rc = keep_only(out, wish->series, err);
out:
    kept_done(&kept);
    grid_fini(&tail);
    extent_fini(&extent);
    if (rc)
        forecast_fini(out);
    return rc;
}

int serving_forecast_grid(struct serving *s, struct served *served,
                          const struct forecast_wish *wish, const struct grid *tail,
                          struct forecast *out, struct err *err)
{
    *out = (struct forecast){.issued_ms = serving_now_ms(s)};
    if (check_wish(served, wish, out, err)) {
        forecast_fini(out);
        return -1;
    }
    take_covariates(served->model, wish, out);
    out->first_ms = grid_time_ms(tail, tail->rows);
    const int rc = compute(s, served, tail, NULL, out, err);
    if (rc)
        forecast_fini(out);
    return rc;
}

/* ---- the ledger ------------------------------------------------------------------ */

int serving_append(struct serving *s, struct forecast *f, int64_t job_id,
                   const char *result, struct err *err)
{
    struct store_forecast *const served = mem_new(f->count, sizeof *served);
    size_t count = 0;
    for (size_t i = 0; i < f->count; i++) {
        const struct forecast_series *const series = &f->series[i];
        if (!series->served)
            continue;
        served[count] =
            (struct store_forecast){.series = series->name, .values = series->values};
        memcpy(served[count++].input_hash, series->input_hash, STORE_HASH_SIZE);
    }
    const struct store_issue issue = {
        .forecaster = f->forecaster,
        .revision = f->revision,
        .model_id = f->model_id,
        .calibration = f->calibration,
        .issued_ms = f->issued_ms,
        .first_ms = f->first_ms,
        .step_ms = f->step_ms,
        .steps = f->steps,
        .quantile_count = f->quantile_count,
        .quantiles = f->quantiles,
        .count = count,
        .forecasts = served,
    };
    const int rc =
        count ? store_issue_append(serving_store(s), &issue, job_id, result, &f->issue_id,
                                   err)
              : err_set(err, ERR_CONFLICT, "no series can be forecast now: %.200s",
                        f->count ? f->series[0].why : "there is none");
    free(served);
    return rc;
}

/* What a job's row keeps of an issue: JSON text the caller frees. */
static char *issue_text(const struct forecast *f)
{
    json_int_t served = 0;
    for (size_t i = 0; i < f->count; i++)
        served += f->series[i].served;
    json_auto_t *json =
        json_pack("{s:I, s:I, s:I, s:I, s:o}", "model", (json_int_t)f->model_id, "series",
                  (json_int_t)f->count, "served", served, "steps", (json_int_t)f->steps,
                  "first", json_time(f->first_ms));
    return json_dumps(json, JSON_COMPACT);
}

int serving_issue(struct serving *s, const char *forecaster, int64_t job_id,
                  const char *result, int64_t *issue_id, struct err *err)
{
    struct served *const served = serving_get(s, forecaster, err);
    if (!served)
        return -1;
    const struct forecast_wish everything = {0};
    struct forecast forecast;
    int rc = serving_forecast(s, served, &everything, &forecast, err);
    serving_put(s, served);
    if (rc)
        return -1;
    char *const issued = result ? NULL : issue_text(&forecast);
    rc = serving_append(s, &forecast, job_id, result ? result : issued, err);
    free(issued);
    *issue_id = forecast.issue_id;
    forecast_fini(&forecast);
    return rc;
}
