/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * api.h -- the HTTP surface, and the forecasters behind it.
 *
 * Owns libmicrohttpd's threads and a few workers.  Callbacks parse and never block: a
 * connection is suspended while a worker or the store works for it.
 */
#ifndef API_H
#define API_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "base/err.h"
#include "base/holidays.h"
#include "base/time.h"
#include "base/timetable.h"
#include "model/model.h"
#include "storage/storage.h"

/* ---- what a forecaster is -------------------------------------------------------- */

enum { FORECASTER_NAME_MAX = 64, FORECASTER_COVARIATES_MAX = 16 };

/* How a backtest cuts history when nobody says (model_split_parse()). */
#define BACKTEST_SPLIT "0.7,0.1,0.2"

enum { SCHEDULE_TRAIN, SCHEDULE_FORECAST, SCHEDULE_BACKTEST, SCHEDULES };

/* "train", "forecast", "backtest": the kind of job, and the name of the field. */
const char *schedule_kind(size_t schedule);

/* When jobs of one kind run by themselves. */
struct schedule {
    bool set;
    struct timetable when;
    char *cron;        /* what was written, or NULL for an interval */
    int64_t jitter_ms; /* each time is moved later by less than this, at random */
    bool catch_up;     /* what was missed is done once, late; else left out */
};

enum { THRESHOLD_BELOW, THRESHOLD_ABOVE, THRESHOLDS };

/* "below", "above". */
const char *threshold_word(size_t threshold);

/* A value whose crossing is to be told of before it happens, in the grid's units. */
struct threshold {
    bool set;
    double value;
};

/* A forecaster's definition, read from its JSON text. */
struct forecaster {
    char name[FORECASTER_NAME_MAX];
    char *select; /* a selector of labels.h */
    int64_t step_ms;
    enum aggregate aggregate;
    int64_t history_ms; /* how far back training reads; 0: everything */
    size_t quantile_count;
    double quantiles[MODEL_QUANTILES_MAX];
    struct model_spec spec;
    struct zone *zone;               /* of the calendar */
    unsigned calendar;               /* parts (base/calendar.h) that are covariates */
    const struct holidays *holidays; /* of a country, that are one, too; or NULL */
    size_t covariate_count;
    char *covariates[FORECASTER_COVARIATES_MAX]; /* names of those that were put */
    struct schedule schedules[SCHEDULES];
    struct threshold thresholds[THRESHOLDS];
};

/* A definition with every default written out, keys in a fixed order: what is stored and
 * compared.  What models depend on stands in body, the rest in policy (storage.h). */
struct forecaster_text {
    char *body, *policy;
};
void forecaster_text_fini(struct forecaster_text *text);

/* Reads and checks a definition.  ERR_INVALID names field, value and rule; unknown
 * fields are refused.  text may be NULL. */
int forecaster_parse(const char *name, const char *json, size_t len,
                     struct forecaster *out, struct forecaster_text *text,
                     struct err *err);
/* The same of one that is stored; ERR_CORRUPT. */
int forecaster_load(const struct store_forecaster *stored, struct forecaster *out,
                    struct err *err);
/* The same by name: as it is now, with its revision (NULL: not wanted), or as it was in
 * one.  ERR_NOT_FOUND. */
int forecaster_now(struct store *store, const char *name, struct forecaster *out,
                   int64_t *revision, struct err *err);
int forecaster_then(struct store *store, const char *name, int64_t revision,
                    struct forecaster *out, struct err *err);
void forecaster_fini(struct forecaster *forecaster);

/* The zone whose calendar the steps follow, where they are whole days; else NULL. */
const struct zone *forecaster_zone(const struct forecaster *forecaster);

/* Letters, digits, "-", "_" and ".", 1 to 63, the first a letter or digit. */
bool forecaster_name_ok(const char *name);

/*
 * Reads the grid of the forecaster's series, with what had arrived at as_of_ms: complete
 * steps only, the last one ending at or before as_of_ms and not after the step of the
 * newest sample.  Exactly rows of them, those before the first sample missing; 0: as
 * many as there are, or as `history` allows.  ERR_CONFLICT when no series matches or
 * none has a complete step.
 */
int forecaster_grid(const struct forecaster *forecaster, struct store *store,
                    int64_t as_of_ms, size_t rows, struct grid *out, struct err *err);

/* How many steps forecaster_grid() would read.  ERR_CONFLICT as there. */
int forecaster_rows(const struct forecaster *forecaster, struct store *store,
                    int64_t as_of_ms, size_t *rows, struct err *err);

/* ---- serving --------------------------------------------------------------------- */

/* The published models in memory, one of each forecaster, swapped whole. */
struct serving;
struct serving *serving_new(struct store *store, struct clock clock)
    __attribute__((warn_unused_result));
void serving_free(struct serving *serving);

/* Forgets what it holds of a forecaster (NULL: of all); the next forecast loads the one
 * that serves by then. */
void serving_changed(struct serving *serving, const char *forecaster);

/*
 * Bands adapt: lays what the model that serves has issued beside what has come since, and
 * where that asks for it appends a calibration to the ledger, which forecasts from then on
 * name.  Too little to tell from, or no model yet, is no error.  For every series at most
 * a factor each for both sides of the median, in each bucket of the horizon.
 */
int serving_calibrate(struct serving *serving, const char *forecaster, struct err *err);

/*
 * Computes a forecast of now and appends it to the ledger.  job_id and result as in
 * storage.h; result NULL: what was issued.  ERR_NOT_FOUND, ERR_CONFLICT (no model yet;
 * says what to do).
 */
int serving_issue(struct serving *serving, const char *forecaster, int64_t job_id,
                  const char *result, int64_t *issue_id, struct err *err);

/*
 * A thread that keeps what models of series that stream keep (api/keeping.h): forecasts
 * that need not read history.  keeping_stop() writes them to the store; free it once
 * nobody forecasts any more, and before serving.  Both take NULL.
 */
struct keeping;
struct keeping *keeping_start(struct serving *serving, struct err *err)
    __attribute__((warn_unused_result));
void keeping_stop(struct keeping *keeping);
void keeping_free(struct keeping *keeping);
/* Its operating figures, as of store_figures(). */
void keeping_figures(struct keeping *keeping,
                     void (*each)(void *ctx, const char *name, double value), void *ctx);

/* ---- how forecasts came true ------------------------------------------------------- */

/* The quantile nearest to the middle. */
size_t issued_median(const struct store_issued *issued);

enum { ACCURACY_DAYS = 30, ACCURACY_DAYS_MAX = 3660 };

/* Issues of so many UTC days up to that of as_of_ms, and what had arrived by then of what
 * happened at their targets: whole steps, a missing one counts nowhere. */
struct accuracy_wish {
    const char *forecaster;
    const char *series; /* one canonical name, or NULL: all */
    int64_t days;       /* 1..ACCURACY_DAYS_MAX */
    int64_t as_of_ms;
};

/*
 * Of one series and one bucket of the horizon; NAN: nothing to tell from.
 *
 *     mae, bias   mean of |median - actual| and of median - actual, in the data's units
 *     mase        mean of |median - actual| / the error that repeating the season (the
 *                 model's) had over the look-back before the issue
 *     wql         2 sum of pinball losses / sum of |actual|, averaged over the quantiles
 *     coverage    share of actuals inside the outermost quantiles; below, above: the rest
 *     nominal     what coverage should be
 *
 * Of all series together: mase is the mean of theirs, mae and bias (of different units)
 * are NAN, the others are of all values alike.
 */
struct accuracy_row {
    const char *series; /* NULL: all together */
    int bucket;         /* 0..MODEL_BUCKETS-1; -1: the whole horizon */
    double values;      /* compared */
    double mae, bias, mase, wql, coverage, nominal, below, above;
};

struct accuracy {
    int64_t from_ms, as_of_ms;
    size_t issues; /* with at least one target that has come */
    size_t count;  /* all together first, then by series and bucket; rows that compare
                    * nothing are left out */
    struct accuracy_row *rows;
    char **names; /* owned */
    size_t name_count;
};

/* Nothing issued or matured yet is no error. */
int accuracy_read(struct store *store, const struct accuracy_wish *wish,
                  struct accuracy *out, struct err *err);
void accuracy_fini(struct accuracy *accuracy);

/* ---- the server ------------------------------------------------------------------ */

/* What a request must know: user and password, or the token; NULL: not that way.  A user
 * holds no colon. */
struct api_credentials {
    const char *user, *password, *token;
};

/* Figures for /metrics: each(each_ctx, name, value), names as store_figures() has them. */
typedef void api_figures(void *ctx,
                         void (*each)(void *each_ctx, const char *name, double value),
                         void *each_ctx);

/* Copied by api_start(), but what it points to (texts, store, serving, the contexts) is
 * borrowed until api_stop() has returned.  Nothing here may be NULL but contexts, reload,
 * figures, credentials, and address where listen_fd is given. */
struct api_config {
    const char *address;       /* "127.0.0.1:9797", "[::1]:0" */
    int listen_fd;             /* -1, or a socket handed over by systemd */
    const char *import_folder; /* where uploads are spooled */
    size_t http_threads, workers;
    size_t connections_max;
    size_t body_max;   /* bytes of a JSON body */
    size_t import_max; /* bytes of an import, decompressed */
    size_t csv_columns_max;
    int64_t future_max_ms; /* how far ahead of the clock a sample may lie */
    int timeout_s;         /* of an idle connection */
    int work_timeout_s;    /* of an answer, then 503; 0: 60 */
    struct clock clock;
    struct store *store;
    struct serving *serving;
    const struct api_credentials *credentials; /* NULL: anybody may ask */
    const char *version;
    /* A job was added or cancelled, or a definition changed: whoever runs jobs and keeps
     * schedules should look. */
    void (*wake)(void *ctx);
    void *wake_ctx;
    /* Reads the administrator's files again; *report is JSON text for the caller to free.
     * NULL: there are none. */
    int (*reload)(void *ctx, char **report, struct err *err);
    void *reload_ctx;
    /* What the process around the server counts; NULL: nothing. */
    api_figures *figures;
    void *figures_ctx;
};

/*
 * How candidates were judged, in the words of the documentation (openapi.yaml: Report):
 * {"windows", "season", "note", "results", "champion", "history", "covariates"}.  "bucket"
 * is "all" or a part of the horizon from 0; a number that JSON cannot say is null.
 */
json_t *report_json(const struct model *model) __attribute__((warn_unused_result));
json_t *report_json_backtest(const struct model_report *report, size_t horizon,
                             const struct grid *grid) __attribute__((warn_unused_result));

struct api;

/* Listens and answers.  NULL on failure: ERR_IO names the address. */
struct api *api_start(const struct api_config *config, struct err *err)
    __attribute__((warn_unused_result));
/* Answers what is in flight, refuses the rest with 503, stops.  NULL is fine. */
void api_stop(struct api *api);

/* The port it listens on (of use with port 0). */
int api_port(const struct api *api);

#endif
