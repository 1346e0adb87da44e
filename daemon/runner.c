/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "daemon/runner.h"

#include <dirent.h>
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "api/api.h"
#include "base/failpoint.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/time.h"
#include "daemon/backtest_job.h"
#include "daemon/convert_job.h"
#include "daemon/retrain.h"
#include "daemon/training.h"
#include "daemon/waker.h"
#include "storage/storage.h"

enum {
    LEASE_MS = 60000,
    PROGRESS_MS = 1000,
    NICE = 10,
};

struct runner {
    struct runner_config config;
    char *checkpoint_folder;
    char owner[64];
    pthread_t thread;
    struct waker waker;
    atomic_bool stop;
    atomic_int_fast64_t beat_ms;
    struct err trouble; /* why no job could be taken last; the thread's */
};

/* The job at hand.  Owned by the runner's thread. */
struct work {
    struct runner *runner;
    const struct store_job *job;
    int64_t next_ms;     /* when to write progress again */
    int64_t deadline_ms; /* monotonic; 0: none */
    int epoch;           /* last one logged */
    bool cancel;         /* somebody asked, or the job is no longer ours */
    bool late;           /* past its deadline */
    bool told;           /* that its progress cannot be written */
};

static void beat(struct runner *runner)
{
    atomic_store(&runner->beat_ms, time_monotonic_ms());
}

int64_t runner_beat_ms(const struct runner *runner)
{
    return atomic_load(&runner->beat_ms);
}

/* ---- progress ---------------------------------------------------------------------- */

static void progress_log(struct work *work, const struct model_progress *p)
{
    if (p->note)
        log_info("training job=%" PRId64 " forecaster=%s: %s", work->job->id,
                 work->job->forecaster, p->note);
    if (p->epoch == 0 || p->epoch == work->epoch)
        return;
    work->epoch = p->epoch;
    log_info("training job=%" PRId64 " forecaster=%s phase=%s epoch=%d/%d loss=%.4f "
             "valid=%.4f steps_per_s=%.1f eta_s=%.0f",
             work->job->id, work->job->forecaster, p->phase, p->epoch, p->epochs,
             p->loss_train, p->loss_valid, p->steps_per_s, p->eta_s);
}

static void tell(struct work *work, const struct model_progress *p)
{
    const struct runner_config *const config = &work->runner->config;
    char text[TRAINING_TEXT_SIZE], line[TRAINING_TEXT_SIZE + 100];
    if (!config->doing)
        return;
    snprintf(line, sizeof line, "%s %.60s: %s", work->job->kind, work->job->forecaster,
             training_progress_text(p, text));
    config->doing(config->doing_ctx, line);
}

static void progress_store(struct work *work, const struct model_progress *p)
{
    const int64_t now_ms = time_monotonic_ms();
    if (now_ms < work->next_ms)
        return;
    work->next_ms = now_ms + PROGRESS_MS;
    tell(work, p);
    json_t *const json = training_progress_json(p);
    char *const text = json_dumps(json, JSON_COMPACT | JSON_REAL_PRECISION(6));
    json_decref(json);
    struct err err = {0};
    struct runner *const r = work->runner;
    bool cancel = false;
    if (store_job_progress(r->config.store, work->job->id, r->owner, LEASE_MS, text,
                           &cancel, &err)) {
        if (!work->told)
            log_warn("cannot write progress job=%" PRId64 ": %s", work->job->id, err.msg);
        work->told = true;
        /* A full disk is no reason to give up; a job that is not ours any more is. */
        cancel = err.code == ERR_CONFLICT || err.code == ERR_NOT_FOUND;
    }
    work->cancel = work->cancel || cancel;
    free(text);
}

static int on_progress(void *ctx, const struct model_progress *p)
{
    struct work *const work = ctx;
    beat(work->runner);
    progress_log(work, p);
    progress_store(work, p);
    work->late = work->deadline_ms && time_monotonic_ms() > work->deadline_ms;
    return work->cancel || work->late || atomic_load(&work->runner->stop);
}

/* ---- one job ----------------------------------------------------------------------- */

/* Looks back at how wide its bands should be, issues, then looks at whether to train. */
static int forecast_job_run(const struct job_run *run, struct err *err)
{
    int64_t issue_id;
    struct err why = {0};
    bool queued = false;
    if (serving_calibrate(run->serving, run->job->forecaster, &why))
        log_warn("bands stay as they are forecaster=%s: %s", run->job->forecaster,
                 why.msg);
    why = (struct err){0};
    if (serving_issue(run->serving, run->job->forecaster, run->job->id, NULL, &issue_id,
                      err))
        return -1;
    if (retrain_look(run->store, run->job->forecaster, clock_now_ms(&run->clock), &queued,
                     &why))
        log_warn("cannot look back forecaster=%s: %s", run->job->forecaster, why.msg);
    if (queued && run->queued)
        run->queued(run->queued_ctx);
    return 0;
}

typedef int job_function(const struct job_run *run, struct err *err);

static const struct {
    const char *kind;
    job_function *run;
} kinds[] = {
    {"train", train_job_run},
    {"backtest", backtest_job_run},
    {"convert", convert_job_run},
    {"forecast", forecast_job_run},
};

static job_function *kind_find(const char *kind)
{
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (strcmp(kinds[i].kind, kind) == 0)
            return kinds[i].run;
    return NULL;
}

/* A failure that may pass without anybody doing anything about the job. */
static bool may_pass(const struct err *why)
{
    return why->code == ERR_BUSY || why->code == ERR_IO || why->code == ERR_NO_MEMORY;
}

/* What becomes of a job that is not done. */
enum verdict { GIVEN_BACK, CANCELLED, TO_BE_RETRIED, FAILED };

static enum verdict judge(const struct runner *r, const struct work *work,
                          const struct err *why)
{
    if (atomic_load(&r->stop) && !work->cancel && !work->late &&
        (why->code == ERR_CANCELLED || may_pass(why)))
        return GIVEN_BACK;
    if (why->code == ERR_CANCELLED && !work->late)
        return CANCELLED;
    return may_pass(why) && work->job->retries < RUNNER_RETRIES ? TO_BE_RETRIED : FAILED;
}

static int64_t wait_of(const struct store_job *job)
{
    return (int64_t)RUNNER_WAIT_MS << job->retries;
}

static void tell_verdict(const struct store_job *job, enum verdict verdict,
                         const char *reason)
{
    if (verdict == GIVEN_BACK)
        log_info("giving back job=%" PRId64 " kind=%s", job->id, job->kind);
    else if (verdict == CANCELLED)
        log_info("cancelled job=%" PRId64 " kind=%s", job->id, job->kind);
    else if (verdict == TO_BE_RETRIED)
        log_warn("to be tried again job=%" PRId64 " kind=%s forecaster=%s retry=%d/%d "
                 "wait_s=%" PRId64 ": %s",
                 job->id, job->kind, job->forecaster, job->retries + 1, RUNNER_RETRIES,
                 wait_of(job) / 1000, reason);
    else
        log_error("failed job=%" PRId64 " kind=%s forecaster=%s: %s", job->id, job->kind,
                  job->forecaster, reason);
}

static int write_verdict(struct runner *r, const struct store_job *job,
                         enum verdict verdict, const char *reason, struct err *err)
{
    struct store *const store = r->config.store;
    if (verdict == GIVEN_BACK)
        return store_job_release(store, job->id, r->owner, err);
    if (verdict == TO_BE_RETRIED)
        return store_job_retry(store, job->id, r->owner,
                               clock_now_ms(&r->config.clock) + wait_of(job), reason,
                               err);
    train_job_clean(r->checkpoint_folder, job);
    return verdict == CANCELLED
               ? store_job_finish(store, job->id, r->owner, "cancelled", NULL, NULL, err)
               : store_job_finish(store, job->id, r->owner, "failed", NULL, reason, err);
}

/*
 * A failed job says why; one that was interrupted goes back to the queue.  The full disk
 * that a job failed for takes no word of that either: it is told when there is room, or
 * the job would be taken as if nothing had happened.
 */
static void job_close(struct runner *r, const struct work *work, const struct err *why)
{
    const struct store_job *const job = work->job;
    const enum verdict verdict = judge(r, work, why);
    char late[120];
    const char *reason = why->msg;
    if (work->late) {
        char limit[TIME_TEXT_SIZE];
        snprintf(late, sizeof late, "timeout: it ran longer than %s ([jobs] timeout)",
                 duration_format(r->config.timeout_ms, limit));
        reason = late;
    }
    tell_verdict(job, verdict, reason);
    for (bool told = false;; told = true) {
        struct err err = {0};
        if (write_verdict(r, job, verdict, reason, &err) == 0)
            return;
        const bool go_on = may_pass(&err) && !atomic_load(&r->stop);
        if (!told || !go_on)
            log_error("cannot close job=%" PRId64 "%s: %s", job->id,
                      go_on ? ", trying on" : "", err.msg);
        if (!go_on)
            return;
        beat(r);
        waker_rest(&r->waker);
    }
}

static void job_do(struct runner *r, const struct store_job *job)
{
    struct work work = {.runner = r, .job = job};
    const struct job_run run = {
        .store = r->config.store,
        .serving = r->config.serving,
        .job = job,
        .checkpoint_folder = r->checkpoint_folder,
        .checkpoint_s = r->config.checkpoint_s,
        .threads = r->config.threads,
        .memory_max = r->config.memory_max,
        .clock = r->config.clock,
        .queued = r->config.queued,
        .queued_ctx = r->config.queued_ctx,
        .progress = on_progress,
        .progress_ctx = &work,
    };
    const int64_t start_ms = time_monotonic_ms();
    struct err err = {0};
    if (r->config.timeout_ms)
        work.deadline_ms = start_ms + r->config.timeout_ms;
    log_info("starting job=%" PRId64 " kind=%s forecaster=%s attempt=%d "
             "reason=\"%s\"",
             job->id, job->kind, job->forecaster, job->attempts, job->reason);
    job_function *const function = kind_find(job->kind);
    int result = -1;
    if (function)
        result = function(&run, &err);
    else
        err_set(&err, ERR_INVALID, "kind: this version knows no job of kind %s",
                job->kind);
    if (r->config.doing)
        r->config.doing(r->config.doing_ctx, NULL);
    if (result)
        job_close(r, &work, &err);
    else
        log_info("done job=%" PRId64 " kind=%s forecaster=%s took_ms=%" PRId64, job->id,
                 job->kind, job->forecaster, time_monotonic_ms() - start_ms);
}

/* ---- the thread -------------------------------------------------------------------- */

/* Checkpoints whose job has ended: their process died between the two. */
static void checkpoints_sweep(struct runner *r)
{
    DIR *const folder = opendir(r->checkpoint_folder);
    if (!folder)
        return;
    for (struct dirent *entry; (entry = readdir(folder));) {
        const char *const dash = strrchr(entry->d_name, '-');
        const int64_t id = dash ? strtoll(dash + 1, NULL, 10) : 0;
        struct store_job job = {0};
        struct err err = {0};
        if (id <= 0)
            continue;
        const int got = store_job_get(r->config.store, id, &job, &err);
        const bool alive = got == 0 && (strcmp(job.state, "queued") == 0 ||
                                        strcmp(job.state, "running") == 0);
        if (!alive && (got == 0 || err.code == ERR_NOT_FOUND))
            unlinkat(dirfd(folder), entry->d_name, 0);
        store_job_fini(&job);
    }
    closedir(folder);
}

/* Takes one job and does it; false when none waits. */
static bool take_one(struct runner *r)
{
    struct store_job job = {0};
    struct err err = {0};
    bool found = false;
    if (store_job_claim(r->config.store, r->owner, r->config.kinds, LEASE_MS, &job,
                        &found, &err)) {
        /* Each second: told once. */
        if (strcmp(err.msg, r->trouble.msg) != 0)
            log_error("cannot take a job: %s", err.msg);
        r->trouble = err;
        return false;
    }
    if (r->trouble.code != ERR_NONE)
        log_info("jobs are taken again");
    r->trouble = (struct err){0};
    if (found)
        job_do(r, &job);
    store_job_fini(&job);
    return found;
}

/* Linux keeps policy and nice value per thread; threads started from here inherit both.
 */
static void lower_priority(void)
{
    const struct sched_param param = {0};
    if (pthread_setschedparam(pthread_self(), SCHED_BATCH, &param))
        log_warn("training keeps the usual scheduling policy");
    if (setpriority(PRIO_PROCESS, (id_t)gettid(), NICE))
        log_warn("training keeps the usual priority");
}

static void *runner_main(void *ctx)
{
    struct runner *const r = ctx;
    pthread_setname_np(pthread_self(),
                       r->config.low_priority ? "frwkvd-long" : "frwkvd-short");
    if (r->config.low_priority)
        lower_priority();
    checkpoints_sweep(r);
    while (!atomic_load(&r->stop)) {
        beat(r);
        failpoint(r->config.low_priority ? "runner-long" : "runner-short");
        if (!take_one(r))
            waker_rest(&r->waker);
    }
    return NULL;
}

static struct runner *runner_new(const struct runner_config *config)
{
    struct runner *const r = mem_new(1, sizeof *r);
    r->config = *config;
    r->checkpoint_folder = mem_text(config->checkpoint_folder);
    if (gethostname(r->owner, sizeof r->owner - 1))
        snprintf(r->owner, sizeof r->owner, "localhost");
    waker_init(&r->waker);
    beat(r);
    return r;
}

void runner_free(struct runner *r)
{
    if (!r)
        return;
    waker_fini(&r->waker);
    free(r->checkpoint_folder);
    free(r);
}

struct runner *runner_start(const struct runner_config *config, struct err *err)
{
    struct runner *const r = runner_new(config);
    const int failed = pthread_create(&r->thread, NULL, runner_main, r);
    if (!failed)
        return r;
    err_set(err, ERR_IO, "cannot start a thread: %s", strerrordesc_np(failed));
    runner_free(r);
    return NULL;
}

bool runner_once(const struct runner_config *config)
{
    struct runner *const r = runner_new(config);
    const bool found = take_one(r);
    runner_free(r);
    return found;
}

void runner_wake(struct runner *runner)
{
    waker_wake(&runner->waker);
}

void runner_stop(struct runner *runner)
{
    if (!runner)
        return;
    atomic_store(&runner->stop, true);
    runner_wake(runner);
    pthread_join(runner->thread, NULL);
}
