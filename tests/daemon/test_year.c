/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A year of hourly data of 50 series in minutes: the real scheduler, job runners, model
 * and store, with a clock that the test moves.
 *
 * A child process lives through it in steps of half an hour; the parent kills it now and
 * then, and the next child goes on from what the store holds.  Restarts, two days without
 * power, and both changes of the clocks come as well, and twice the process that makes
 * the data changes.  What must have happened is worked out by a plain loop over the year
 * and laid beside the rows that the store ends up with.
 *
 * YEAR_DAYS says how long it is (14: what `make test` has time for), YEAR_KILLS how often
 * it is killed.
 */
#include "tests/check.h"

#include <math.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "api/replay.h"
#include "base/civil.h"
#include "base/log.h"
#include "base/rng.h"
#include "base/zone.h"
#include "daemon/retrain.h"
#include "daemon/runner.h"
#include "daemon/scheduler.h"
#include "tests/storage/folder.h"

#define MINUTE INT64_C(60000)
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)
#define TICK (30 * MINUTE)

enum { SERIES = 50, HISTORY_DAYS = 60, RESTART_DAYS = 9, JOBS_MAX = 100000 };

/* ---- the world --------------------------------------------------------------------- */

static int days = 14, kills = 1;
static const char *const begin_text = "2026-03-20T00:00:00Z";

/* What the processes share. */
static struct shared {
    _Atomic int64_t now_ms;
    _Atomic int lives;
    atomic_bool works; /* at a long job */
} * shared;

struct world {
    struct folder folder;
    int64_t begin_ms, end_ms;
    int64_t noisy_ms, other_ms; /* the process changes; 0: in the short run it does not */
    int64_t dark_from_ms, dark_to_ms; /* the machine is off */
};

static int64_t world_now_ms(void *ctx)
{
    (void)ctx;
    return shared->now_ms;
}

static int64_t at(const char *utc)
{
    struct err err = {0};
    int64_t ms = 0;
    assert_ok(time_parse(utc, strlen(utc), NULL, &ms, &err), &err);
    return ms;
}

static struct world world_new(void)
{
    struct world w = {0};
    folder_init(&w.folder);
    w.folder.options.clock = (struct clock){world_now_ms, NULL};
    w.folder.options.durability = DURABILITY_NORMAL;
    w.folder.options.retention =
        (struct store_retention){0}; /* all is looked at at last */
    w.begin_ms = at(begin_text);
    w.end_ms = w.begin_ms + days * DAY;
    if (days >= 300) {
        w.noisy_ms = w.begin_ms + 110 * DAY;
        w.other_ms = w.begin_ms + 240 * DAY;
    }
    w.dark_from_ms = w.begin_ms + days * 3 / 4 * DAY + 7 * HOUR;
    w.dark_to_ms = w.dark_from_ms + 2 * DAY;
    return w;
}

/* A daily rhythm of the series' own with noise; from noisy_ms on four times the noise,
 * from other_ms on a rhythm of 17 hours and little noise again. */
static double value_of(const struct world *w, int series, int64_t time_ms)
{
    const int64_t hour = time_ms / HOUR;
    const bool noisy = w->noisy_ms && time_ms >= w->noisy_ms && time_ms < w->other_ms;
    const bool other = w->other_ms && time_ms >= w->other_ms;
    const double period = other ? 17 : 24;
    const double phase = 6.283185307179586 * (double)hour / period + series;
    const double noise = rng_normal(
        (struct rng_stream){.seed = 6, .purpose = (uint32_t)series}, (uint64_t)hour);
    return 100 + 10 * sin(phase) + 4 * sin(2 * phase + series) +
           (noisy ? 6 : 1.5) * noise;
}

static void samples_add(const struct world *w, struct store *store, int64_t from_ms,
                        int64_t to_ms)
{
    struct err err = {0};
    struct store_counts counts;
    struct store_batch *const batch = store_batch_new();
    store_batch_history(batch);
    for (int s = 0; s < SERIES; s++) {
        char name[32];
        snprintf(name, sizeof name, "load{host=\"%02d\"}", s);
        const uint32_t series = store_batch_series(batch, name);
        for (int64_t t = from_ms; t < to_ms; t += HOUR)
            store_batch_add(batch, series, t, value_of(w, s, t));
    }
    assert_ok(store_append_wait(store, batch, &counts, &err), &err);
}

static void define(struct store *store)
{
    static const char json[] =
        "{\"select\": \"load\", \"step\": \"1h\", \"lookback\": 72, \"horizon\": 24,"
        " \"history\": \"60d\", \"settings\": {\"width\": 16, \"ff\": 16, \"heads\": 2,"
        " \"rank\": 4, \"epochs\": 2, \"steps_per_epoch\": 60},"
        " \"train\": {\"cron\": \"30 2 * * sun\", \"zone\": \"Europe/Berlin\"},"
        " \"forecast\": {\"cron\": \"0 */6 * * *\", \"zone\": \"Europe/Berlin\"},"
        " \"backtest\": {\"every\": \"120d\", \"catch_up\": \"skip\"}}";
    struct err err = {0};
    struct forecaster f;
    struct forecaster_text text;
    int64_t revision;
    bool created;
    assert_ok(forecaster_parse("load", json, strlen(json), &f, &text, &err), &err);
    assert_ok(store_forecaster_put(store, "load", text.body, text.policy, &revision,
                                   &created, &err),
              &err);
    forecaster_text_fini(&text);
    forecaster_fini(&f);
}

/* ---- one life ------------------------------------------------------------------------ */

static bool is_dark(const struct world *w, int64_t time_ms)
{
    return time_ms >= w->dark_from_ms && time_ms < w->dark_to_ms;
}

static void do_jobs(const struct world *w, struct store *store, struct serving *serving)
{
    struct runner_config lane = {
        .store = store,
        .serving = serving,
        .clock = w->folder.options.clock,
        .kinds = RUNNER_SHORT,
        .checkpoint_folder = w->folder.path,
        .checkpoint_s = 1,
        .threads = 2,
    };
    struct runner_config other = lane;
    other.kinds = RUNNER_LONG;
    bool any = true;
    while (any) {
        any = runner_once(&lane);
        shared->works = true;
        any = runner_once(&other) || any;
        shared->works = false;
    }
}

static void look(const struct world *w, struct store *store, struct serving *serving)
{
    struct err err = {0};
    struct scheduler_seen seen;
    assert_ok(scheduler_look(store, w->folder.options.clock, &seen, &err), &err);
    assert_int_equal(seen.failed, 0);
    if (seen.queued)
        do_jobs(w, store, serving);
}

static void live_until(const struct world *w, int64_t until_ms)
{
    struct err err = {0};
    struct store *const store = store_open(w->folder.uri, &w->folder.options, &err);
    if (!store)
        fail_msg("%s", err.msg);
    struct serving *const serving = serving_new(store, w->folder.options.clock);
    do_jobs(w, store, serving); /* what a killed one left */
    look(w, store, serving);    /* and did not get to see */
    while (shared->now_ms < until_ms && !is_dark(w, shared->now_ms + TICK)) {
        const int64_t now_ms = shared->now_ms + TICK;
        if (now_ms % HOUR == 0)
            samples_add(w, store, now_ms - HOUR, now_ms);
        shared->now_ms = now_ms;
        look(w, store, serving);
    }
    serving_free(serving);
    store_close(store);
}

/* Life after life, until the end of the year. */
static void live(const struct world *w)
{
    while (shared->now_ms < w->end_ms) {
        if (is_dark(w, shared->now_ms + TICK)) {
            shared->now_ms = w->dark_to_ms;
            struct store *const store =
                folder_open((struct folder *)(uintptr_t)&w->folder);
            samples_add(w, store, w->dark_from_ms - HOUR, w->dark_to_ms / HOUR * HOUR);
            store_close(store);
        }
        const int64_t until_ms = shared->now_ms + RESTART_DAYS * DAY;
        live_until(w, until_ms < w->end_ms ? until_ms : w->end_ms);
    }
}

/* ---- what is due ------------------------------------------------------------------------ */

/* The plain loop: whether the clock of Berlin shows this at an instant, or has just
 * skipped it, for the first time that day. */
static bool due(const struct zone *zone, int64_t now_ms, const char *kind)
{
    const int64_t local = now_ms + zone_offset_s(zone, now_ms) * INT64_C(1000);
    const int64_t before =
        now_ms - TICK + zone_offset_s(zone, now_ms - TICK) * INT64_C(1000);
    for (int64_t l = before + TICK; l <= local; l += TICK) {
        const int64_t minute = floor_div(l, MINUTE) % 1440;
        if (strcmp(kind, "forecast") == 0
                ? minute % 360 == 0
                : minute == 150 && civil_weekday(floor_div(l, DAY)) == 0) {
            /* Of an hour that comes twice the first counts. */
            return zone_to_utc(zone, l) == now_ms || local - before != TICK;
        }
    }
    return false;
}

/* The first training due after an instant. */
static int64_t training_after(int64_t after_ms)
{
    struct err err = {0};
    struct zone *const zone = zone_load("Europe/Berlin", &err);
    int64_t ms = after_ms / TICK * TICK + TICK;
    while (!due(zone, ms, "train"))
        ms += TICK;
    zone_free(zone);
    return ms;
}

/* ---- lives and deaths ---------------------------------------------------------------------- */

/* The parent: kills the child in a training, whenever its time has come, and starts
 * another. */
static void live_with_kills(const struct world *w)
{
    int killed = 0, status = -1;
    while (shared->now_ms < w->end_ms) {
        const pid_t child = fork();
        if (child == 0) {
            shared->lives++;
            live(w);
            _exit(0);
        }
        const int64_t due_ms = training_after(
            w->begin_ms + (killed + 1) * (w->end_ms - w->begin_ms) / (kills + 1));
        while (waitpid(child, &status, WNOHANG) == 0) {
            usleep(2000);
            if (killed == kills || shared->now_ms < due_ms || !shared->works)
                continue;
            usleep(40000u * (unsigned)(killed + 1));
            kill(child, SIGKILL);
            waitpid(child, &status, 0);
            killed++;
            break;
        }
        if (killed == kills)
            assert_true((WIFEXITED(status) && WEXITSTATUS(status) == 0) ||
                        WIFSIGNALED(status));
        assert_true(WIFSIGNALED(status) ? WTERMSIG(status) == SIGKILL
                                        : WEXITSTATUS(status) == 0);
    }
    assert_int_equal(killed, kills);
}

/* ---- what must have happened ------------------------------------------------------------ */

struct ledger {
    struct store_job *jobs;
    size_t count;
};

static const struct store_job *find(const struct ledger *l, const char *kind, int64_t ms)
{
    for (size_t i = 0; i < l->count; i++)
        if (strcmp(l->jobs[i].kind, kind) == 0 && l->jobs[i].created_ms == ms)
            return &l->jobs[i];
    return NULL;
}

static size_t count_of(const struct ledger *l, const char *kind, const char *reason)
{
    size_t count = 0;
    for (size_t i = 0; i < l->count; i++)
        count +=
            strcmp(l->jobs[i].kind, kind) == 0 && strcmp(l->jobs[i].reason, reason) == 0;
    return count;
}

/* Every instant of the year at which it was due has its job, and no other has. */
static void check_schedule(const struct world *w, const struct ledger *l,
                           const char *kind)
{
    struct err err = {0};
    struct zone *const zone = zone_load("Europe/Berlin", &err);
    size_t wanted = 0;
    bool missed = false;
    for (int64_t ms = w->begin_ms + TICK; ms <= w->end_ms; ms += TICK) {
        char text[TIME_TEXT_SIZE];
        const bool is = due(zone, ms, kind);
        if (is_dark(w, ms) || ms == w->dark_to_ms) {
            missed = missed || is;
            continue;
        }
        if (!is)
            continue;
        wanted++;
        const struct store_job *const job = find(l, kind, ms);
        if (!job)
            fail_msg("%s: nothing at %s", kind, time_format(ms, text));
        /* By chance another may have waited already; the scheduler's reason or its own. */
        assert_true(strcmp(job->reason, "catch-up") != 0);
    }
    assert_int_equal(count_of(l, kind, "catch-up"), missed);
    const size_t scheduled = count_of(l, kind, "schedule");
    print_message("%s: %zu due, %zu on schedule, %d caught up\n", kind, wanted, scheduled,
                  missed);
    assert_true(scheduled == wanted);
    zone_free(zone);
}

static bool for_drift(const struct store_job *job)
{
    return strcmp(job->kind, "train") == 0 &&
           (strncmp(job->reason, "live skill", 10) == 0 ||
            strncmp(job->reason, "coverage", 8) == 0);
}

/* When the process has changed, and not otherwise. */
static void check_retraining(const struct world *w, const struct ledger *l)
{
    const int64_t changes[] = {w->noisy_ms, w->other_ms};
    const int64_t soon = 8 * DAY, settled = 30 * DAY;
    size_t answered[2] = {0};
    for (size_t i = 0; i < l->count; i++) {
        const struct store_job *const job = &l->jobs[i];
        if (!for_drift(job))
            continue;
        char text[TIME_TEXT_SIZE];
        bool near = false;
        for (size_t c = 0; c < 2; c++) {
            const int64_t since = job->created_ms - changes[c];
            near = near || (changes[c] && since > 0 && since < settled);
            answered[c] += changes[c] && since > 0 && since < soon;
        }
        print_message("trained at %s: %s\n", time_format(job->created_ms, text),
                      job->reason);
        if (!near)
            fail_msg("a training without a reason: %s", job->reason);
    }
    for (size_t c = 0; c < 2; c++)
        assert_true(!changes[c] || (answered[c] >= 1 && answered[c] <= 4));
}

static void check_jobs(const struct ledger *l)
{
    size_t interrupted = 0;
    for (size_t i = 0; i < l->count; i++) {
        const struct store_job *const job = &l->jobs[i];
        if (strcmp(job->state, "done") != 0)
            fail_msg("job %d (%s, %s) is %s: %s", (int)job->id, job->kind, job->reason,
                     job->state, job->error ? job->error : "");
        interrupted += job->attempts > 1;
    }
    print_message("%zu jobs, all done, %zu of them interrupted\n", l->count, interrupted);
    assert_true(interrupted >= 1);
}

/* Each forecast job has left one issue, no more and no less; so has each training. */
static void check_issues(const struct world *w, struct store *store,
                         const struct ledger *l)
{
    struct err err = {0};
    struct store_issue_line *lines = NULL;
    size_t count = 0, wanted = 0;
    assert_ok(
        store_issues(store, "load", w->begin_ms, w->end_ms, 0, &lines, &count, &err),
        &err);
    for (size_t i = 0; i < l->count; i++)
        wanted += strcmp(l->jobs[i].kind, "backtest") != 0;
    assert_int_equal(count, wanted);
    free(lines);
}

/* The same figures from the world itself, and what was issued. */
static void check_live(const struct world *w, struct store *store)
{
    struct err err = {0};
    struct store_forecaster stored;
    struct forecaster f;
    struct store_model serving;
    struct live got;
    assert_ok(store_forecaster_get(store, "load", &stored, &err), &err);
    assert_ok(forecaster_load(&stored, &f, &err), &err);
    assert_ok(store_model_serving(store, "load", &serving, &err), &err);
    struct model *const model = model_load(serving.bytes, serving.len, &err);
    assert_non_null(model);
    assert_ok(live_read(store, &f, model, serving.id, w->end_ms, &got, &err), &err);

    const int64_t season = (int64_t)model_report(model)->season;
    double error[SERIES] = {0}, reference[SERIES] = {0}, inside = 0, values = 0,
           skill = 0;
    struct store_issue_line *lines = NULL;
    size_t count = 0, own = 0;
    assert_ok(store_issues(store, "load", w->end_ms - 72 * HOUR, w->end_ms, 0, &lines,
                           &count, &err),
              &err);
    for (size_t i = 0; i < count; i++) {
        struct store_issued *issued = NULL;
        size_t series = 0;
        if (lines[i].model_id != serving.id || lines[i].first_ms >= w->end_ms)
            continue;
        own++;
        assert_ok(store_issue_get(store, "load", lines[i].issue_id, NULL, &issued,
                                  &series, &err),
                  &err);
        assert_int_equal(series, SERIES);
        for (int s = 0; s < SERIES; s++)
            for (int64_t j = 0; j < 24; j++) {
                const int64_t t = issued[s].first_ms + j * HOUR;
                const float *const q = issued[s].values + j * 3;
                if (t >= w->end_ms)
                    continue;
                const double actual = value_of(w, s, t);
                const int64_t past = issued[s].first_ms - (season - j % season) * HOUR;
                error[s] += fabs((double)q[1] - actual);
                reference[s] += fabs(value_of(w, s, past) - actual);
                inside += actual >= (double)q[0] && actual <= (double)q[2];
                values++;
            }
        store_issued_fini(issued, series);
    }
    for (int s = 0; s < SERIES; s++)
        skill += (1 - error[s] / reference[s]) / SERIES;
    print_message(
        "live at the end: skill %.3f (judged %.3f), coverage %.3f, %zu issues\n",
        got.skill, got.judged, got.coverage, got.issues);
    assert_true(own > 0 && own <= LIVE_ISSUES);
    assert_int_equal(got.issues, own);
    assert_int_equal((double)got.values, values);
    assert_close(got.skill, skill, 1e-9);
    assert_close(got.coverage, inside / values, 1e-12);
    free(lines);
    model_free(model);
    store_model_fini(&serving);
    forecaster_fini(&f);
    store_forecaster_fini(&stored);
}

/* The season of the model that made an issue. */
static int64_t season_of(struct store *store, int64_t model_id)
{
    static int64_t ids[256], seasons[256];
    static size_t count;
    struct err err = {0};
    struct store_model stored;
    for (size_t i = 0; i < count; i++)
        if (ids[i] == model_id)
            return seasons[i];
    assert_true(count < 256);
    assert_ok(store_model_get(store, "load", model_id, &stored, &err), &err);
    struct model *const model = model_load(stored.bytes, stored.len, &err);
    assert_non_null(model);
    ids[count] = model_id;
    seasons[count] = (int64_t)model_report(model)->season;
    model_free(model);
    store_model_fini(&stored);
    return seasons[count++];
}

/* Sums over one series and bucket (4: the whole horizon). */
struct outside {
    double values, absolute, error, scaled, inside, pinball, size;
};

static void add_outside(const struct world *w, const struct store_issued *issued, int s,
                        int64_t season, int64_t as_of_ms, struct outside out[static 5])
{
    static const double p[] = {0.1, 0.5, 0.9};
    double scale = 0;
    for (int64_t t = issued->first_ms - 72 * HOUR; t < issued->first_ms; t += HOUR)
        scale += fabs(value_of(w, s, t) - value_of(w, s, t - season * HOUR)) / 72;
    for (int64_t j = 0; j < 24; j++) {
        const int64_t t = issued->first_ms + j * HOUR;
        const float *const q = issued->values + j * 3;
        const int bucket = j < 3 ? 0 : j < 6 ? 1 : j < 12 ? 2 : 3;
        const double y = value_of(w, s, t);
        double loss = 0;
        for (int k = 0; k < 3; k++)
            loss += fmax(p[k] * (y - (double)q[k]), (1 - p[k]) * ((double)q[k] - y)) / 3;
        for (int b = 0; b < 5 && t + HOUR <= as_of_ms; b++)
            if (b == bucket || b == 4) {
                out[b].values++;
                out[b].absolute += fabs((double)q[1] - y);
                out[b].error += (double)q[1] - y;
                out[b].scaled += fabs((double)q[1] - y) / scale;
                out[b].inside += y >= (double)q[0] && y <= (double)q[2];
                out[b].pinball += loss;
                out[b].size += fabs(y);
            }
    }
}

/* Every row of accuracy, from the world itself and what was issued. */
static void check_accuracy(const struct world *w, struct store *store, int64_t as_of_ms)
{
    struct err err = {0};
    struct accuracy got;
    static struct outside want[SERIES][5];
    struct store_issue_line *lines = NULL;
    size_t count = 0, rows = 0;
    const struct accuracy_wish wish = {
        .forecaster = "load", .days = 10, .as_of_ms = as_of_ms};
    memset(want, 0, sizeof want);
    assert_ok(accuracy_read(store, &wish, &got, &err), &err);
    assert_ok(store_issues(store, "load", got.from_ms, as_of_ms, 0, &lines, &count, &err),
              &err);
    for (size_t i = 0; i < count; i++) {
        struct store_issued *issued = NULL;
        size_t series = 0;
        if (lines[i].issued_ms < got.from_ms)
            continue;
        assert_ok(store_issue_get(store, "load", lines[i].issue_id, NULL, &issued,
                                  &series, &err),
                  &err);
        for (int s = 0; s < SERIES; s++)
            add_outside(w, &issued[s], s, season_of(store, lines[i].model_id), as_of_ms,
                        want[s]);
        store_issued_fini(issued, series);
    }
    for (size_t i = 0; i < got.count; i++) {
        const struct accuracy_row *const row = &got.rows[i];
        if (!row->series)
            continue;
        const int s = (row->series[11] - '0') * 10 + row->series[12] - '0';
        const struct outside *const o = &want[s][row->bucket < 0 ? 4 : row->bucket];
        assert_close(row->values, o->values, 0);
        assert_close(row->mae, o->absolute / o->values, 1e-9);
        assert_close(row->bias, o->error / o->values, 1e-9);
        assert_close(row->mase, o->scaled / o->values, 1e-9);
        assert_close(row->wql, 2 * o->pinball / o->size, 1e-9);
        assert_close(row->coverage, o->inside / o->values, 1e-12);
        rows++;
    }
    char text[TIME_TEXT_SIZE];
    assert_int_equal(rows, 5 * SERIES);
    print_message("accuracy at %s: %zu rows of %zu issues, MASE %.3f, coverage %.3f\n",
                  time_format(as_of_ms, text), rows, got.issues, got.rows[0].mase,
                  got.rows[0].coverage);
    accuracy_fini(&got);
    free(lines);
}

/* What was issued comes out again, whoever was killed meanwhile. */
static void check_replay(const struct world *w, struct store *store)
{
    struct err err = {0};
    struct replay replay;
    struct serving *const serving = serving_new(store, w->folder.options.clock);
    const struct replay_wish wish = {
        .forecaster = "load", .as_of_ms = w->end_ms, .limit = REPLAY_ISSUES_MAX};
    assert_ok(replay_read(serving, &wish, &replay, &err), &err);
    print_message("replayed %zu issues: %zu forecasts, %zu the same\n", replay.issues,
                  replay.forecasts, replay.same);
    assert_int_equal(replay.forecasts, replay.issues * SERIES);
    assert_int_equal(replay.same, replay.forecasts);
    replay_fini(&replay);
    serving_free(serving);
}

static void on_finding(void *ctx, const char *what)
{
    (void)ctx;
    print_error("%s\n", what);
}

static void a_year(void **state)
{
    (void)state;
    struct world w = world_new();
    struct err err = {0};
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE,
                  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(shared != MAP_FAILED);
    shared->now_ms = w.begin_ms;
    struct store *store = folder_open(&w.folder);
    samples_add(&w, store, w.begin_ms - HISTORY_DAYS * DAY, w.begin_ms);
    define(store);
    store_close(store);

    const int64_t began_ms = time_monotonic_ms();
    live_with_kills(&w);
    print_message("%d days in %.1f s, %d lives\n", days,
                  (double)(time_monotonic_ms() - began_ms) / 1e3, shared->lives);

    store = folder_open(&w.folder);
    struct ledger l = {0};
    struct store_verified verified;
    assert_ok(store_jobs(store, NULL, JOBS_MAX, &l.jobs, &l.count, &err), &err);
    check_jobs(&l);
    check_schedule(&w, &l, "forecast");
    check_schedule(&w, &l, "train");
    check_retraining(&w, &l);
    check_issues(&w, store, &l);
    check_live(&w, store);
    check_accuracy(&w, store, w.end_ms);
    check_accuracy(&w, store, w.begin_ms + days * DAY / 2 + 5 * HOUR);
    check_replay(&w, store);
    assert_ok(store_verify(w.folder.uri, on_finding, NULL, &verified, &err), &err);
    assert_int_equal(verified.findings, 0);
    print_message("%d calibrations\n", (int)verified.calibrations);
    assert_true(verified.calibrations > (uint64_t)days / 2);
    for (size_t i = 0; i < l.count; i++)
        store_job_fini(&l.jobs[i]);
    free(l.jobs);
    store_close(store);
    folder_fini(&w.folder);
    munmap(shared, sizeof *shared);
}

int main(void)
{
    log_init(LOG_LEVEL_ERROR);
    model_start();
    if (getenv("YEAR_DAYS"))
        days = (int)strtol(getenv("YEAR_DAYS"), NULL, 10);
    if (getenv("YEAR_KILLS"))
        kills = (int)strtol(getenv("YEAR_KILLS"), NULL, 10);
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_year)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
