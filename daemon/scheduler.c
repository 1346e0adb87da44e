/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "daemon/scheduler.h"

#include <inttypes.h>
#include <jansson.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "api/api.h"
#include "base/failpoint.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/rng.h"
#include "base/text.h"
#include "daemon/waker.h"
#include "model/model.h"
#include "storage/storage.h"

enum {
    LOOK_MS = 60000,         /* a look at least this often */
    FIRST_WAIT_MS = 600000,  /* between tries to make a first model, then doubled */
    FIRST_DOUBLINGS = 8,     /* up to a day and a half */
    CLOCK_JUMP_MS = 3600000, /* a time of the future further off is a wrong clock's */
};

/* ---- what stands in the store ------------------------------------------------------ */

struct look {
    struct store *store;
    int64_t now_ms;
    struct store_schedule *rows;
    size_t row_count;
    struct scheduler_seen seen;
};

static int compare_rows(const void *a, const void *b)
{
    const struct store_schedule *const left = a, *const right = b;
    const int order = strcmp(left->forecaster, right->forecaster);
    return order ? order : strcmp(left->kind, right->kind);
}

/* They come sorted. */
static const struct store_schedule *row_find(const struct look *look,
                                             const char *forecaster, const char *kind)
{
    const struct store_schedule key = {.forecaster = (char *)(uintptr_t)forecaster,
                                       .kind = (char *)(uintptr_t)kind};
    return look->row_count ? bsearch(&key, look->rows, look->row_count,
                                     sizeof *look->rows, compare_rows)
                           : NULL;
}

static void wait_until(struct look *look, int64_t time_ms)
{
    if (time_ms < look->seen.next_ms)
        look->seen.next_ms = time_ms;
}

static int fire(struct look *look, const char *forecaster, const char *kind,
                int64_t fired_ms, const char *memo, const struct store_job_wish *wish,
                struct err *err)
{
    int64_t job_id = 0;
    if (store_schedule_fire(look->store, forecaster, kind, fired_ms, memo, wish, &job_id,
                            err))
        return -1;
    look->seen.queued += job_id != 0;
    if (job_id)
        log_info("queued job=%" PRId64 " kind=%s forecaster=%s reason=\"%s\"", job_id,
                 wish->kind, forecaster, wish->reason);
    return 0;
}

/* ---- a schedule ---------------------------------------------------------------------- */

/* An instant of the timetable with its jitter: the same after a restart. */
static int64_t moved(const struct schedule *schedule, uint64_t seed, int64_t at_ms)
{
    const double part =
        rng_uniform((struct rng_stream){.seed = seed}, (uint64_t)(at_ms / 1000));
    return at_ms + (int64_t)(part * (double)schedule->jitter_ms);
}

/* Since when instants count.  What a clock noted that was far ahead does not. */
static int counts_from(struct look *look, const struct store_forecaster *stored,
                       const char *kind, int64_t *from_ms, struct err *err)
{
    const int64_t limit_ms = look->now_ms + CLOCK_JUMP_MS;
    const struct store_schedule *const row = row_find(look, stored->name, kind);
    int64_t fired_ms = row ? row->fired_ms : INT64_MIN, changed_ms = stored->changed_ms;
    if (fired_ms > limit_ms || (!row && changed_ms > limit_ms)) {
        fired_ms = look->now_ms;
        if (fire(look, stored->name, kind, fired_ms, NULL, NULL, err))
            return -1;
    }
    if (changed_ms > limit_ms)
        changed_ms = fired_ms;
    *from_ms = fired_ms > changed_ms ? fired_ms : changed_ms;
    return 0;
}

static int due(struct look *look, const struct forecaster *f, size_t which, int64_t at_ms,
               int64_t moved_ms, bool has_model, struct err *err)
{
    const struct schedule *const schedule = &f->schedules[which];
    const char *const kind = schedule_kind(which);
    const bool missed = look->now_ms - moved_ms > SCHEDULER_GRACE_MS;
    const struct store_job_wish wish = {
        .kind = kind, .forecaster = f->name, .reason = missed ? "catch-up" : "schedule"};
    char at[TIME_TEXT_SIZE];
    const bool skipped = missed && !schedule->catch_up;
    const bool idle = which == SCHEDULE_FORECAST && !has_model;
    if (skipped)
        log_info("skipped what was missed kind=%s forecaster=%s at=%s", kind, f->name,
                 time_format(at_ms, at));
    return fire(look, f->name, kind, at_ms, NULL, skipped || idle ? NULL : &wish, err);
}

/* Of the instants that have passed unseen the last one counts, if its jitter has passed
 * too; else the one before. */
static int see_to(struct look *look, const struct store_forecaster *stored,
                  const struct forecaster *f, size_t which, bool has_model,
                  struct err *err)
{
    const struct schedule *const schedule = &f->schedules[which];
    const char *const kind = schedule_kind(which);
    const uint64_t seed = text_hash(text_hash(TEXT_HASH, f->name), kind);
    int64_t from_ms, at_ms, until_ms = look->now_ms;
    if (counts_from(look, stored, kind, &from_ms, err))
        return -1;
    while (timetable_last(&schedule->when, from_ms, until_ms, &at_ms)) {
        const int64_t moved_ms = moved(schedule, seed, at_ms);
        if (moved_ms <= look->now_ms) {
            if (due(look, f, which, at_ms, moved_ms, has_model, err))
                return -1;
            from_ms = at_ms;
            break;
        }
        until_ms = at_ms - 1;
    }
    wait_until(look, moved(schedule, seed, timetable_next(&schedule->when, from_ms)));
    return 0;
}

/* ---- the first model ----------------------------------------------------------------- */

static int serves(struct look *look, const char *forecaster, bool *yes, struct err *err)
{
    struct store_model *models = NULL;
    size_t count = 0;
    *yes = false;
    if (store_models(look->store, forecaster, &models, &count, err))
        return -1;
    for (size_t i = 0; i < count; i++) {
        *yes = *yes || models[i].serves;
        store_model_fini(&models[i]);
    }
    free(models);
    return 0;
}

/* How often it was tried for this revision, by what was remembered. */
static json_int_t tries_of(const struct store_schedule *row, int64_t revision)
{
    json_t *const memo = row && row->memo ? json_loads(row->memo, 0, NULL) : NULL;
    const bool same = json_integer_value(json_object_get(memo, "revision")) == revision;
    const json_int_t tries =
        same ? json_integer_value(json_object_get(memo, "tries")) : 0;
    json_decref(memo);
    return tries;
}

static int64_t wait_of(json_int_t tries)
{
    if (tries == 0)
        return 0;
    return (int64_t)FIRST_WAIT_MS
           << (tries < FIRST_DOUBLINGS ? tries - 1 : FIRST_DOUBLINGS - 1);
}

static int make_first(struct look *look, const struct store_forecaster *stored,
                      const struct forecaster *f, struct err *err)
{
    static const char kind[] = "first";
    const struct store_schedule *const row = row_find(look, f->name, kind);
    const json_int_t tries = tries_of(row, stored->revision);
    size_t rows = 0;
    struct err none = {0};
    if (row && row->fired_ms <= look->now_ms &&
        row->fired_ms + wait_of(tries) > look->now_ms)
        return 0;
    if (forecaster_rows(f, look->store, look->now_ms, &rows, &none))
        return none.code == ERR_CONFLICT ? 0 : err_copy(err, &none);
    if (rows < model_rows_for_candidates(&f->spec))
        return 0;
    const struct store_job_wish wish = {
        .kind = "train", .forecaster = f->name, .reason = "there is no model yet"};
    char memo[80];
    snprintf(memo, sizeof memo, "{\"revision\": %" PRId64 ", \"tries\": %" PRId64 "}",
             stored->revision, (int64_t)tries + 1);
    return fire(look, f->name, kind, look->now_ms, memo, &wish, err);
}

/* ---- all of them --------------------------------------------------------------------- */

static int forecaster_look(struct look *look, const struct store_forecaster *stored,
                           struct err *err)
{
    struct forecaster f = {0};
    bool any = false, has_model = false;
    if (forecaster_load(stored, &f, err))
        return -1;
    for (size_t s = 0; s < SCHEDULES; s++)
        any = any || f.schedules[s].set;
    int result = any ? serves(look, f.name, &has_model, err) : 0;
    if (result == 0 && !has_model && f.schedules[SCHEDULE_TRAIN].set)
        result = make_first(look, stored, &f, err);
    for (size_t s = 0; result == 0 && s < SCHEDULES; s++)
        if (f.schedules[s].set)
            result = see_to(look, stored, &f, s, has_model, err);
    forecaster_fini(&f);
    return result;
}

int scheduler_look(struct store *store, struct clock clock, struct scheduler_seen *seen,
                   struct err *err)
{
    struct look look = {.store = store, .now_ms = clock_now_ms(&clock)};
    struct store_forecaster *all = NULL;
    size_t count = 0;
    look.seen.next_ms = look.now_ms + LOOK_MS;
    *seen = look.seen;
    if (store_schedules(store, &look.rows, &look.row_count, err))
        return -1;
    const int result = store_forecasters(store, &all, &count, err);
    for (size_t i = 0; i < count; i++) {
        struct err why = {0};
        if (forecaster_look(&look, &all[i], &why)) {
            log_error("cannot keep the schedules of forecaster=%s: %s", all[i].name,
                      why.msg);
            look.seen.failed++;
        }
        store_forecaster_fini(&all[i]);
    }
    free(all);
    store_schedules_fini(look.rows, look.row_count);
    *seen = look.seen;
    return result;
}

/* ---- the thread ---------------------------------------------------------------------- */

struct scheduler {
    struct store *store;
    struct clock clock;
    void (*queued)(void *ctx);
    void *ctx;
    pthread_t thread;
    struct waker waker;
    atomic_bool stop;
    atomic_int_fast64_t beat_ms;
    atomic_uint_fast64_t looks, failures, jobs;
};

void scheduler_figures(const struct scheduler *s,
                       void (*each)(void *ctx, const char *name, double value), void *ctx)
{
    each(ctx, "frwkvd_scheduler_looks_total", (double)atomic_load(&s->looks));
    each(ctx, "frwkvd_scheduler_failures_total", (double)atomic_load(&s->failures));
    each(ctx, "frwkvd_scheduler_jobs_queued_total", (double)atomic_load(&s->jobs));
}

int64_t scheduler_beat_ms(const struct scheduler *s)
{
    return atomic_load(&s->beat_ms);
}

static void *scheduler_main(void *arg)
{
    struct scheduler *const s = arg;
    struct scheduler_seen seen = {0};
    int64_t last_ms = 0;
    bool woken = true;
    pthread_setname_np(pthread_self(), "frwkvd-clock");
    while (!atomic_load(&s->stop)) {
        const int64_t now_ms = clock_now_ms(&s->clock);
        atomic_store(&s->beat_ms, time_monotonic_ms());
        failpoint("scheduler");
        if (woken || now_ms >= seen.next_ms || now_ms < last_ms) {
            struct err err = {0};
            const bool failed = scheduler_look(s->store, s->clock, &seen, &err);
            if (failed)
                log_error("cannot look at the schedules: %s", err.msg);
            atomic_fetch_add(&s->failures, seen.failed + failed);
            atomic_fetch_add(&s->looks, 1);
            atomic_fetch_add(&s->jobs, seen.queued);
            last_ms = now_ms;
            if (seen.queued)
                s->queued(s->ctx);
        }
        woken = waker_rest(&s->waker);
    }
    return NULL;
}

void scheduler_free(struct scheduler *s)
{
    if (!s)
        return;
    waker_fini(&s->waker);
    free(s);
}

struct scheduler *scheduler_start(struct store *store, struct clock clock,
                                  void (*queued)(void *ctx), void *ctx, struct err *err)
{
    struct scheduler *const s = mem_new(1, sizeof *s);
    *s = (struct scheduler){.store = store, .clock = clock, .queued = queued, .ctx = ctx};
    atomic_store(&s->beat_ms, time_monotonic_ms());
    waker_init(&s->waker);
    const int failed = pthread_create(&s->thread, NULL, scheduler_main, s);
    if (!failed)
        return s;
    err_set(err, ERR_IO, "cannot start a thread: %s", strerrordesc_np(failed));
    scheduler_free(s);
    return NULL;
}

void scheduler_wake(struct scheduler *s)
{
    waker_wake(&s->waker);
}

void scheduler_stop(struct scheduler *s)
{
    if (!s)
        return;
    atomic_store(&s->stop, true);
    scheduler_wake(s);
    pthread_join(s->thread, NULL);
}
