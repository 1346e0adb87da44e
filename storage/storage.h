/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * storage.h -- what must outlive the process.
 *
 * Series and their samples, forecasters, published models, issued forecasts (the
 * ledger), jobs and their schedules.  Times are int64_t milliseconds since 1970 UTC.  A missing value
 * is NaN in memory and absent on disk.
 *
 * This header is a seam: verbs are coarse and atomic, no transaction spans two calls,
 * and nothing here says how a driver keeps its promises.  Any thread may call; the
 * driver owns its threads.  Strings and arrays handed in are copied; what comes out
 * belongs to the caller unless it says "borrowed".
 */
#ifndef STORAGE_H
#define STORAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/covariates.h"
#include "base/err.h"
#include "base/grid.h"
#include "base/time.h"

struct store;

enum store_durability {
    DURABILITY_FULL,   /* acknowledged samples survive power loss */
    DURABILITY_NORMAL, /* they survive the death of the process, not of the machine */
};

/* For how long things are kept, 0: for ever.  Samples, hours and forecasts are counted
 * from the newest sample (or the clock, where that is behind it): nothing of them goes
 * while nothing comes.  Models and jobs are counted from the clock. */
struct store_retention {
    int64_t samples_ms;   /* whole chunks of them; where they are not summed up by the
                             hour (fewer than 30 in one) for the longer of both */
    int64_t hours_ms;     /* hourly summaries, by some days at once */
    int64_t forecasts_ms; /* issues, by whole UTC days */
    int64_t models_ms;    /* that neither serve nor served last */
    int64_t jobs_ms;      /* since they ended */
    uint64_t bytes;       /* of the database's file: past it the oldest samples and
                             forecasts go, whatever their age */
};

/* What the store does unasked, or on behalf of many. */
enum store_work {
    STORE_COMMITS,     /* of what is sent; why the next one is expected to fail */
    STORE_CHECKPOINTS, /* the write-ahead log into the database */
    STORE_COMPACTION,  /* memory into chunks */
    STORE_RETENTION,   /* what is past its time goes */
    STORE_READS,       /* by these two: what cannot be read is passed by, told once for
                          each series (the first 16), and never as over */
};

/* A work fails (why, and what to do) or goes well again (NULL): told once each time that
 * changes.  From threads of the store's: it must not block, nor call the store. */
typedef void store_tell(void *ctx, enum store_work work, const struct err *why);

struct store_options {
    enum store_durability durability;
    struct clock clock;
    size_t head_samples_max;  /* samples held in memory; past it appends are ERR_BUSY */
    size_t queue_samples_max; /* samples waiting for a commit; past it ERR_BUSY */
    size_t series_max;
    int64_t late_after_ms;  /* a sample older than this at arrival leaves a revision */
    size_t chunk_samples;   /* of one series, compressed together; 1..32768 */
    size_t compact_samples; /* new ones in memory that start a compaction; 0: none does */
    size_t wal_bytes_max;   /* a reader that keeps the write-ahead log from being moved
                               into the database makes it grow; past this ERR_BUSY */
    struct store_retention retention;
    store_tell *tell; /* NULL: nobody wants to know */
    void *tell_ctx;
};

struct store_options store_options_default(void);

/*
 * Opens the store at uri ("sqlite:FOLDER"), creating folder content if absent, and
 * takes the exclusive lock of the folder.  ERR_CONFLICT when another process holds it
 * (the message names the folder), ERR_CORRUPT or ERR_INVALID say what to do.
 */
struct store *store_open(const char *uri, const struct store_options *options,
                         struct err *err) __attribute__((warn_unused_result));
/* Commits what is queued, closes.  NULL is fine. */
void store_close(struct store *store);

/* ---- samples ------------------------------------------------------------------- */

/* What happened to the samples of one batch.  They add up to its size: within a batch
 * too, the later of two samples with one series and time wins. */
struct store_counts {
    uint64_t stored;
    uint64_t replaced;  /* same series and time, other value */
    uint64_t duplicate; /* same series, time and value */
};

/* Samples on their way in.  Built by one thread, then handed over. */
struct store_batch;
struct store_batch *store_batch_new(void) __attribute__((warn_unused_result));
void store_batch_free(struct store_batch *batch);
/* The batch's own number of the series with this canonical name (labels.h).  A series
 * comes into being with its first sample. */
uint32_t store_batch_series(struct store_batch *batch, const char *name);
/* A NaN, or a time outside TIME_MIN_MS..TIME_MAX_MS, makes the whole batch ERR_INVALID
 * when it is appended. */
void store_batch_add(struct store_batch *batch, uint32_t series, int64_t time_ms,
                     double value);
size_t store_batch_size(const struct store_batch *batch);
/* All samples count as known at their own time: no revisions. */
void store_batch_history(struct store_batch *batch);

/*
 * Queues a batch, which the store owns from here on, success or not.  done is called
 * once, from the store's thread, after the commit or its failure (err is NULL or says
 * why: ERR_BUSY for a full disk, ERR_IO, ERR_TOO_LARGE for series_max; then nothing of
 * the batch is stored).  It must not block.  -1 without a call of done: ERR_BUSY (queue,
 * head or write-ahead log full, closing), ERR_INVALID (a sample that cannot be),
 * ERR_TOO_LARGE (more samples than the queue holds, more series than series_max).
 */
typedef void store_done(void *ctx, const struct store_counts *counts,
                        const struct err *err);
int store_append(struct store *store, struct store_batch *batch, store_done *done,
                 void *ctx, struct err *err);
/* Most samples of one batch, the queue's or a quarter of the head's: a larger one is
 * ERR_TOO_LARGE. */
size_t store_batch_max(const struct store *store);
/* The same, and waits. */
int store_append_wait(struct store *store, struct store_batch *batch,
                      struct store_counts *counts, struct err *err);

/*
 * Moves samples from memory into compressed chunks now, as far as whole chunks go, and
 * waits.  The store does so by itself (compact_samples); this is for after an import.
 * Not together with store_close().  What cannot be written is ERR_BUSY or ERR_IO and
 * stays where it was.
 */
int store_compact(struct store *store, struct err *err);

/*
 * Drops what is past its time now, and waits.  The store does so by itself every hour.
 * What is dropped goes in small transactions beside ingest, and its room goes back to
 * the file system.  A series that has no samples and no hours left is no more, with its
 * revisions; revisions of samples that are gone go with them, so that hours whose samples
 * are gone are as they were known last.  Not together with store_close().
 */
int store_retain(struct store *store, struct err *err);

/* A list of canonical names. */
struct store_names {
    size_t count;
    char **name;
};
void store_names_fini(struct store_names *names);

/* Series that match a selector (`cpu{host=~"web-.*"}`; NULL: all), sorted, at most
 * limit (0: no limit).  ERR_INVALID for a bad selector or regular expression. */
int store_select(struct store *store, const char *selector, size_t limit,
                 struct store_names *out, struct err *err);

/*
 * A selector ready to be asked about names that the store need not hold.  One thread at a
 * time.  NULL: ERR_INVALID as store_select().
 */
struct labels;
struct store_selection;
struct store_selection *store_selection_new(const char *selector, struct err *err)
    __attribute__((warn_unused_result));
void store_selection_free(struct store_selection *selection);
/* 1: takes a series with these labels; 0: does not; -1: a regular expression is too
 * costly. */
int store_selection_takes(struct store_selection *selection, const struct labels *labels,
                          struct err *err);
/* The same of one label alone: 1 also where nothing is said about it. */
int store_selection_allows(struct store_selection *selection, const char *label,
                           const char *value, struct err *err);

/* What is known of one series. */
struct store_series {
    uint64_t samples;
    int64_t first_ms, last_ms;
    double last_value;
};
int store_series(struct store *store, const char *name, struct store_series *out,
                 struct err *err);
/* The same of many, as they are at one moment.  One that is not there has no samples. */
void store_series_many(struct store *store, char *const *names, size_t count,
                       struct store_series *out);

/* AS_OF_NOW: with everything that has arrived; else revisions after that instant are
 * undone and samples of later times left out. */
#define AS_OF_NOW INT64_MAX

/*
 * Samples of one series in [from_ms, to_ms), oldest first, at most limit (0: all);
 * *samples by the caller freed.  ERR_NOT_FOUND when there is no such series.
 */
int store_read(struct store *store, const char *name, int64_t from_ms, int64_t to_ms,
               int64_t as_of_ms, size_t limit, struct sample **samples, size_t *count,
               struct err *err);

/* Which grid to read. */
struct store_grid_wish {
    char *const *names; /* canonical; a column each */
    size_t count;
    int64_t start_ms, step_ms;
    size_t rows;
    enum aggregate how;
    int64_t as_of_ms;
    /* Not NULL: rows are days or weeks of the calendar there (base/grid.h), which the
     * grid goes on borrowing. */
    const struct zone *zone;
};

/*
 * Many series on one step, as they are at one moment.  What is missing is NaN.  A rate
 * also looks at the step before the first.  Rows that begin at full hours are made from
 * hourly summaries where there are any; the values are the same, and they are there for
 * longer than the samples are.  ERR_NOT_FOUND when one of them is not there,
 * ERR_INVALID for a grid that cannot be (grid_init()).
 */
int store_grid(struct store *store, const struct store_grid_wish *wish, struct grid *out,
               struct err *err);

/* ---- covariates ------------------------------------------------------------------ */

/* What is known in advance: statements (base/covariates.h) under a name, kept as they
 * came, apart from samples. */
enum { STORE_STATEMENTS_MAX = 1 << 16, STORE_COVARIATES_MAX = 1 << 10 };

struct store_covariate {
    struct covariate_statement statement;
    int64_t arrived_ms;
};
void store_covariates_fini(struct store_covariate *covariates, size_t count);

/*
 * Adds a statement.  One that says what the newest of that name said already, not known
 * earlier, is none: *stored is false.  ERR_INVALID as covariate_check(), ERR_TOO_LARGE
 * past a limit above.
 */
int store_covariate_put(struct store *store, const char *name,
                        const struct covariate_statement *statement, bool *stored,
                        struct err *err);
/* Statements about any part of [from_ms, to_ms) that had arrived at as_of_ms, in the
 * order they came.  ERR_NOT_FOUND when there is no such name; ERR_CORRUPT. */
int store_covariate_read(struct store *store, const char *name, int64_t from_ms,
                         int64_t to_ms, int64_t as_of_ms, struct store_covariate **out,
                         size_t *count, struct err *err);
/* Deletes all that was said under a name.  ERR_NOT_FOUND. */
int store_covariate_delete(struct store *store, const char *name, struct err *err);

struct store_covariate_name {
    char *name;
    int64_t from_ms, to_ms; /* from the first instant that is spoken of to the last */
    int64_t arrived_ms;     /* of the newest statement */
    uint64_t statements;
};
/* All, sorted by name; the caller frees each name and the list. */
int store_covariate_names(struct store *store, struct store_covariate_name **out,
                          size_t *count, struct err *err);

/* ---- forecasters --------------------------------------------------------------- */

/* body is what its models are made from, policy how it is run (schedules and the like),
 * both JSON text.  origin: the file that defines it, "" where it came over HTTP. */
struct store_forecaster {
    char *name, *body, *policy, *origin;
    int64_t revision, changed_ms;
};
void store_forecaster_fini(struct store_forecaster *forecaster);

/* Creates or changes; the revision grows only when body differs.  *created tells.  A
 * name that was deleted goes on counting where it stopped.  ERR_CONFLICT names the file
 * where a file defines it. */
int store_forecaster_put(struct store *store, const char *name, const char *body,
                         const char *policy, int64_t *revision, bool *created,
                         struct err *err);
int store_forecaster_get(struct store *store, const char *name,
                         struct store_forecaster *out, struct err *err);
/* As it was defined in a revision, also where it has been changed or deleted since. */
int store_forecaster_revision(struct store *store, const char *name, int64_t revision,
                              struct store_forecaster *out, struct err *err);
/* Deletes it with its models and schedules; its forecasts stay in the ledger.
 * ERR_NOT_FOUND, or ERR_CONFLICT as above. */
int store_forecaster_delete(struct store *store, const char *name, struct err *err);
/* All, sorted by name. */
int store_forecasters(struct store *store, struct store_forecaster **out, size_t *count,
                      struct err *err);

/* What became of a set of files. */
struct store_applied {
    size_t created, changed, deleted;
};

/* Makes these, each with its origin, the forecasters that files define: one that came
 * over HTTP becomes the file's, and those of files that are not among them are deleted.
 * All or none. */
int store_forecasters_apply(struct store *store, const struct store_forecaster *files,
                            size_t count, struct store_applied *applied, struct err *err);

/* ---- models -------------------------------------------------------------------- */

enum { STORE_HASH_SIZE = 32 }; /* SHA-256 */

struct store_model {
    int64_t id, forecaster_revision, published_ms, watermark_ms;
    unsigned char hash[STORE_HASH_SIZE]; /* of bytes, as sha256sum(1) prints it */
    int64_t job_id;                      /* that made it; 0: not known */
    int64_t served_ms;                   /* since when it serves, or last did; 0: never */
    bool serves;
    char *trial; /* how it did against the one before, JSON text or NULL */
    void *bytes; /* NULL in listings */
    size_t len;
};
void store_model_fini(struct store_model *model);

struct store_publication {
    const char *forecaster;
    int64_t revision, watermark_ms;
    const void *bytes;
    size_t len;
    bool kept_only;    /* it does not serve: kept for a restore */
    const char *trial; /* or NULL */
    int64_t job_id;    /* the job that made it, or 0 */
    /* Not NULL: the same transaction finishes that job with this: exactly once. */
    const char *result;
};

/* Publishes a model whole: unless kept_only, it serves from then on.
 * ERR_NOT_FOUND, or ERR_CONFLICT when the forecaster has another revision by now. */
int store_model_publish(struct store *store, const struct store_publication *publication,
                        int64_t *model_id, struct err *err);
/* The one of a forecaster's present revision that serves.  ERR_NOT_FOUND; ERR_CORRUPT
 * when its hash does not match: never served. */
int store_model_serving(struct store *store, const char *forecaster,
                        struct store_model *out, struct err *err);
/* The one of this number.  ERR_NOT_FOUND; ERR_CORRUPT as above. */
int store_model_get(struct store *store, const char *forecaster, int64_t id,
                    struct store_model *out, struct err *err);
/* The one a job has published.  ERR_NOT_FOUND. */
int store_model_of_job(struct store *store, int64_t job_id, struct store_model *out,
                       struct err *err);
/* All versions of a forecaster, newest first, without bytes. */
int store_models(struct store *store, const char *forecaster, struct store_model **out,
                 size_t *count, struct err *err);
/* From then on this version serves.  ERR_NOT_FOUND; ERR_CONFLICT for one of another
 * revision of the forecaster. */
int store_model_restore(struct store *store, const char *forecaster, int64_t id,
                        struct err *err);

/* ---- states -------------------------------------------------------------------- */

/*
 * What a model keeps of a series so that it need not be read again.  A state stands for
 * all samples before some instant.  One that changes any of them later, by coming late or
 * with another value, makes it untrue: the store then drops it, in the transaction of that
 * sample, and counts an upset of the series for whoever has it in memory.
 */

/* Samples of these series before an instant are about to be read: from now on changes to
 * them are upsets. */
void store_settle(struct store *store, char *const *names, size_t count,
                  int64_t before_ms);
/* How many each has had.  After store_settle() and before reading; once it is another
 * number, what was made of the samples must be made anew. */
void store_upsets(struct store *store, char *const *names, size_t count,
                  uint64_t *upsets);

struct store_state {
    const char *series;
    uint64_t upsets; /* before its samples were read */
    const void *bytes;
    size_t len;
};
/* Keeps states of a model, instead of those there are, and none of the forecaster's other
 * models.  One that an upset has made untrue by now is left out. */
int store_states_put(struct store *store, const char *forecaster, int64_t model_id,
                     int64_t through_ms, const struct store_state *states, size_t count,
                     struct err *err);
/* Calls each for all of a model; bytes are borrowed.  A damaged one is left out, since all
 * of it can be made anew. */
typedef void store_state_each(void *ctx, const char *series, int64_t through_ms,
                              const void *bytes, size_t len);
int store_states(struct store *store, const char *forecaster, int64_t model_id,
                 store_state_each *each, void *ctx, struct err *err);

/* ---- the ledger ---------------------------------------------------------------- */

/* One issue for one series. */
struct store_forecast {
    const char *series;
    unsigned char input_hash[STORE_HASH_SIZE];
    const float *values; /* steps x quantile_count */
};

struct store_issue {
    const char *forecaster;
    int64_t revision, model_id, calibration, issued_ms;
    int64_t first_ms, step_ms; /* of the targets */
    size_t steps, quantile_count;
    const double *quantiles;
    size_t count;
    const struct store_forecast *forecasts;
};

/* Appends to the ledger, hash-chained per forecaster and UTC day.  With job_id not 0
 * the same transaction finishes that job with result (JSON text): exactly once.
 * *issue_id counts issues.  ERR_CONFLICT where the calibration it names is not there. */
int store_issue_append(struct store *store, const struct store_issue *issue,
                       int64_t job_id, const char *result, int64_t *issue_id,
                       struct err *err);

/* A stored issue of one series, as it was. */
struct store_issued {
    int64_t issue_id, revision, model_id, calibration, issued_ms, first_ms, step_ms;
    size_t steps, quantile_count;
    double *quantiles;
    float *values;
    char *series;
    unsigned char input_hash[STORE_HASH_SIZE], chain[STORE_HASH_SIZE];
};
void store_issued_fini(struct store_issued *issued, size_t count);
/* The newest issue of a forecaster at or before at_ms, every series of it.
 * ERR_NOT_FOUND when there is none (the message says since when there are issues);
 * ERR_CORRUPT when its checksum or chain fails. */
int store_issue_newest(struct store *store, const char *forecaster, int64_t at_ms,
                       struct store_issued **out, size_t *count, struct err *err);

/* An issue without its values. */
struct store_issue_line {
    int64_t issue_id, revision, model_id, issued_ms, first_ms, step_ms;
    size_t steps;
};
/*
 * The issues that were a forecaster's newest at some instant in [from_ms, to_ms]: the
 * newest at or before from_ms and all after it, oldest first, at most limit (0: all) of
 * the newest of them.  *out is the caller's to free.  None is no error.
 */
int store_issues(struct store *store, const char *forecaster, int64_t from_ms,
                 int64_t to_ms, size_t limit, struct store_issue_line **out,
                 size_t *count, struct err *err);
/* One of them, every series or (not NULL) only that one.  ERR_NOT_FOUND, also where it
 * says nothing of that series; ERR_CORRUPT. */
int store_issue_get(struct store *store, const char *forecaster, int64_t issue_id,
                    const char *series, struct store_issued **out, size_t *count,
                    struct err *err);

/* How the bands of a model are stretched from a time on.  Part of the ledger: appended,
 * never changed, in a chain of its own that the issues which name it are bound to; kept
 * while an issue names it or a later one could. */
struct store_calibration {
    int64_t number; /* from 1 for each forecaster; 0 in an issue: none, as judged */
    int64_t revision, model_id, made_ms;
    char *body; /* JSON text; NULL in listings */
};
void store_calibration_fini(struct store_calibration *calibration);

/* Appends one; its number is given. */
int store_calibration_append(struct store *store, const char *forecaster,
                             const struct store_calibration *calibration, int64_t *number,
                             struct err *err);
/* The newest of a model, made at or before at_ms.  ERR_NOT_FOUND; ERR_CORRUPT when it
 * does not match its chain. */
int store_calibration_newest(struct store *store, const char *forecaster,
                             int64_t model_id, int64_t at_ms,
                             struct store_calibration *out, struct err *err);
/* The one of this number.  ERR_NOT_FOUND; ERR_CORRUPT as above. */
int store_calibration_get(struct store *store, const char *forecaster, int64_t number,
                          struct store_calibration *out, struct err *err);
/* Those made at or before to_ms, newest first, at most limit, without bodies.  *out is
 * the caller's to free.  None is no error. */
int store_calibrations(struct store *store, const char *forecaster, int64_t to_ms,
                       size_t limit, struct store_calibration **out, size_t *count,
                       struct err *err);

/* ---- jobs ---------------------------------------------------------------------- */

struct store_job {
    int64_t id;
    char kind[16]; /* "train" */
    char forecaster[128];
    char state[16];  /* queued, running, done, failed, cancelled */
    char reason[64]; /* why it was added: "asked", "schedule" */
    char owner[64];
    int64_t lease_until_ms, created_ms, started_ms, finished_ms; /* 0: not yet */
    int64_t not_before_ms;   /* a waiting one is not taken earlier; 0: at once */
    int attempts;            /* times it was taken */
    int retries;             /* of these, after a failure that may pass */
    bool cancel;             /* somebody asked to stop */
    char *params;            /* JSON text or NULL */
    char *progress, *result; /* JSON text or NULL */
    char *error;             /* text or NULL; of a waiting one, of its last failure */
};
void store_job_fini(struct store_job *job);

struct store_job_wish {
    const char *kind, *forecaster;
    const char *reason; /* NULL: "asked" */
    const char *params; /* JSON text or NULL */
};

/* Queues a job; when one of the same kind and forecaster waits or runs already, *id is
 * that one and *created is false. */
int store_job_add(struct store *store, const struct store_job_wish *wish, int64_t *id,
                  bool *created, struct err *err);
/*
 * Takes the oldest waiting job of these kinds ("train backtest"; NULL: any), or a
 * running one whose lease has passed or whose owner is this one (after a restart).
 * *found tells whether there was any.  One that was taken STORE_JOB_BARREN times in a row
 * without a word of progress is failed instead: it takes its process down.
 */
enum { STORE_JOB_BARREN = 5 };
int store_job_claim(struct store *store, const char *owner, const char *kinds,
                    int64_t lease_ms, struct store_job *out, bool *found,
                    struct err *err);
/* Extends the lease, writes progress; *cancel tells whether to stop. */
int store_job_progress(struct store *store, int64_t id, const char *owner,
                       int64_t lease_ms, const char *progress, bool *cancel,
                       struct err *err);
/* Gives a running job back to the queue (clean shutdown). */
int store_job_release(struct store *store, int64_t id, const char *owner,
                      struct err *err);
/* Gives it back after a failure that may pass, to be taken again at that time. */
int store_job_retry(struct store *store, int64_t id, const char *owner,
                    int64_t not_before_ms, const char *error, struct err *err);
/* Ends it: state "done", "failed" or "cancelled". */
int store_job_finish(struct store *store, int64_t id, const char *owner,
                     const char *state, const char *result, const char *error,
                     struct err *err);
/* Asks to cancel: a waiting job ends at once, a running one at its next progress.
 * ERR_CONFLICT when it has ended already. */
int store_job_cancel(struct store *store, int64_t id, struct err *err);
int store_job_get(struct store *store, int64_t id, struct store_job *out,
                  struct err *err);
/* Which jobs; NULL members: any. */
struct store_job_filter {
    const char *kind, *forecaster, *state;
};
/* Newest first, at most limit.  filter NULL: all. */
int store_jobs(struct store *store, const struct store_job_filter *filter, size_t limit,
               struct store_job **out, size_t *count, struct err *err);

/* ---- schedules ------------------------------------------------------------------ */

struct store_schedule {
    char *forecaster, *kind;
    int64_t fired_ms;
    char *memo; /* or NULL */
};
void store_schedules_fini(struct store_schedule *schedules, size_t count);

/* All, sorted by forecaster and kind. */
int store_schedules(struct store *store, struct store_schedule **out, size_t *count,
                    struct err *err);

/*
 * Notes that the instant fired_ms of a forecaster's timetable has been seen to, and in
 * the same transaction queues the job wish asks for (NULL: none): a restart neither
 * skips it nor does it twice.  memo (or NULL) replaces what was remembered.  *job_id is
 * the job's, 0 without one.
 */
int store_schedule_fire(struct store *store, const char *forecaster, const char *kind,
                        int64_t fired_ms, const char *memo,
                        const struct store_job_wish *wish, int64_t *job_id,
                        struct err *err);

/* ---- copies and checks ---------------------------------------------------------- */

/*
 * These take a state folder ("sqlite:FOLDER") that a store, of this process or another,
 * may have open and be writing to: they see it as it is at one moment.
 */

/* What was looked at, and how much of it was damaged. */
struct store_verified {
    uint64_t batches, chunks, rollups, models, covariates, states, issues, calibrations,
        findings;
};
typedef void store_finding(void *ctx, const char *what);

/*
 * Checks everything that is under a checksum: log batches, chunks, hours, models,
 * covariates, states, and the ledger with its chains and calibrations; the rest of the
 * file is checked for being well-formed only.  each is called for what is damaged, and for
 * chunks and pages that the disk does not give back.  -1 when it could not be checked.
 */
int store_verify(const char *uri, store_finding *each, void *ctx,
                 struct store_verified *verified, struct err *err);

/* Copies it into a folder, created if absent.  ERR_CONFLICT when that holds a store. */
int store_backup(const char *uri, const char *folder, struct err *err);
/* Copies what store_backup() made to where a store can open it.  ERR_CONFLICT when that
 * holds a store already, is open, or belongs to another user. */
int store_restore(const char *folder, const char *uri, struct err *err);

/* ---- operation ----------------------------------------------------------------- */

/* Operating figures: each(ctx, name, value); names are metric names in full, those of a
 * histogram with its label le. */
void store_figures(struct store *store,
                   void (*each)(void *ctx, const char *name, double value), void *ctx);

/* For how long the writer has been at what it does now; 0 while it waits for work. */
int64_t store_busy_ms(const struct store *store);

/* Whether a commit can be expected to succeed now; the message says why not. */
int store_ready(struct store *store, struct err *err);

#endif
