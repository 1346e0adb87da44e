/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * model.h -- what comes next: candidates, training, the referee, and forecasts.
 *
 * Words: a *candidate* is something that can forecast a grid (naive, seasonal_naive,
 * drift, profile, in_context, frwkv).  A *model* is everything needed to answer for one set of series: the weights
 * of the trained candidate, what every other candidate needs, the ordered list of
 * series, who serves where (the champion table), residual quantiles for the bands,
 * and the judged figures.  It is immutable once made; any thread may read it.
 *
 * A forecast's origin is the last row of the grid it is made from: target j (0-based)
 * lies at grid_time_ms(grid, rows + j).
 *
 * Honest by construction: history is cut by time into fit | stop | judge.  A trained
 * candidate fits on the first and stops on the second; all are compared, and the
 * bands calibrated, on the third; then the winner is refitted on everything for the
 * same number of steps.  Nothing reads past an origin.
 */
#ifndef MODEL_H
#define MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/covariates.h"
#include "base/err.h"
#include "base/grid.h"

struct threads;

/* ---- settings ------------------------------------------------------------------ */

enum model_group {
    GROUP_EACH,  /* one shared model, every series by itself; its size knows no count */
    GROUP_JOINT, /* the series are the tokens of one model; their list is fixed */
};

enum model_loss { LOSS_L1, LOSS_L2, LOSS_L1_L2 };
enum model_schedule { SCHEDULE_COSINE, SCHEDULE_HALVING, SCHEDULE_CONSTANT };

enum model_axis { AXIS_VARIATE, AXIS_EMBED, AXIS_PATCH };
enum model_order { ORDER_FILE, ORDER_CORR };

/* How a network is built and trained.  Every field has a row in the settings table. */
struct model_settings {
    char preset[16]; /* "default" or "paper" */
    char mixer[16];  /* "rwkv7" */
    int trunk, dir;  /* of it: model/mixer.h */
    int order, axis; /* enums model_order, model_axis */
    int patch;       /* steps of a token, for AXIS_PATCH */
    bool causal;
    bool stream; /* tokens by the clock, so that states can be kept: model/raster.h */
    /* Of single mixers; the words are numbered as in model/mixer.h. */
    int rwkv7x_decay, inline_local, inline_phi;
    int taylor2_mode, taylor2_beta, taylor2_pos;
    bool taylor2_shortcut;
    int luna_m, luna_lc, luna_hidden, luna_nonneg, luna_env;
    bool luna_chrms, luna_per_head;
    int gdn_window, gdn_sinks, gdn_chunk, gdn_pattern;
    bool gdn_rope, gdn_neg_eig;
    int h3_head, h3_shift_len, h3_ssm_state;
    int width, ff, heads, lift, layers, rank; /* C, Fd, H, D, layers, low-rank maps */
    bool cycle; /* the season apart: learnt (joint), or computed (each) */
    bool skip;  /* a linear map past the network */
    int gate, gate_ctx, gate_alpha_clamp; /* enums of model/gate.h */
    int gate_period, gate_routers;
    double gate_alpha0, gate_trust_bias;
    double dropout;
    bool out_dropout;
    enum model_loss loss;
    double loss_alpha;     /* weight of step j is (j+1)^-alpha */
    double frequency_loss; /* share of the training loss on the error's spectrum */
    int batch, epochs, patience;
    int steps_per_epoch; /* at most; 0: every window once, within what is sensible */
    enum model_schedule schedule;
    double learning_rate, weight_decay;
    bool decay_all;     /* weight decay on every trained tensor (preset paper) */
    double ema;         /* 0: off; else the largest decay of the averaged weights */
    double max_missing; /* a window whose input misses a larger share is left out */
    int64_t seed;
};

/* Fills settings with a preset; ERR_INVALID names the presets there are. */
int model_settings_preset(struct model_settings *settings, const char *preset,
                          struct err *err);
/* Sets one field by its name ("epochs", "learning_rate").  ERR_INVALID names key,
 * value and range. */
int model_settings_set(struct model_settings *settings, const char *key,
                       const char *value, struct err *err);
/* Calls each(ctx, key, value, help) for every field, in table order. */
void model_settings_each(const struct model_settings *settings,
                         void (*each)(void *ctx, const char *key, const char *value,
                                      const char *help),
                         void *ctx);

enum {
    MODEL_LOOKBACK_MAX = 8192,
    MODEL_HORIZON_MAX = 2048,
    MODEL_SERIES_MAX = 4096,
    MODEL_QUANTILES_MAX = 32,
    MODEL_BUCKETS = 4, /* the horizon cut at 1/8, 1/4 and 1/2 */
};

/* The part of the horizon (0..MODEL_BUCKETS-1) in which step j of P lies. */
int horizon_bucket(size_t j, size_t P);

/* Steps up to the end of a bucket: cut at 1/8, 1/4, 1/2 and the end. */
size_t horizon_end(size_t P, int bucket);

/* What a model is asked to do. */
struct model_spec {
    enum model_group group;
    size_t lookback, horizon; /* steps */
    size_t season;            /* steps; 0: found in the fit part */
    double min, max;          /* bounds of every answer; -INFINITY, INFINITY: none */
    bool integer;
    bool untrained;         /* candidates without training only */
    enum covariate_gap gap; /* what stands for a covariate's value that is missing */
    struct model_settings settings;
};

/* Whether a model of this spec can be trained at all; ERR_INVALID names the field (of
 * the spec or its settings), the rule and the value.  Allocates nothing. */
int model_spec_check(const struct model_spec *spec, struct err *err);

/* Least rows of a grid with which a train can judge a trained candidate, and least
 * for candidates without training. */
size_t model_rows_for_training(const struct model_spec *spec);
size_t model_rows_for_candidates(const struct model_spec *spec);

/* ---- figures ------------------------------------------------------------------- */

struct model_epoch {
    int epoch; /* from 1 */
    double loss_train, loss_valid;
    double rate;    /* of learning, at the epoch's end */
    double seconds; /* wall time; NAN in a model that was loaded */
    bool best;
};

/* One row of a judgement: a candidate on a bucket of the horizon, over all series. */
struct model_figure {
    char candidate[24]; /* or "champion" */
    int bucket;         /* 0..MODEL_BUCKETS-1, or -1 for the whole horizon */
    double mse, mae;    /* in units standardised by the fit part */
    double mase, wql, coverage80;
    double seconds; /* training and forecasting; NAN in a model that was loaded */
    size_t params;
};

/* Who serves one series in one bucket, and its skill there: 1 - MAE / MAE of
 * seasonal_naive on the judged origins; NAN where nothing could be judged.  coverage80:
 * the share of actuals inside its 80 % band there; NAN, too, in a model that was loaded. */
struct model_champion {
    char candidate[24];
    double skill, coverage80;
};

/* A covariate, or a group of them that belong together, and who uses it. */
struct model_covariate {
    char name[COVARIATE_NAME_MAX];
    double known;  /* share of the past in which it was known a horizon ahead; NAN where
                    * no step is a season after another, so that nothing can be judged */
    size_t series; /* that are forecast better with it */
};

struct model_report {
    size_t windows_fit, windows_stop, windows_judge;
    size_t season; /* found or given, 1 for none */
    size_t figure_count, epoch_count, series_count;
    struct model_figure *figures;
    struct model_epoch *epochs;
    struct model_champion *champions; /* series_count x MODEL_BUCKETS */
    size_t covariate_count;
    struct model_covariate *covariates;
    char note[200]; /* why nothing was trained, where so; else "" */
};

void model_report_fini(struct model_report *report);

/* ---- training ------------------------------------------------------------------ */

struct model_progress {
    const char *phase;             /* "fit", "judge", "refit", "layers" */
    int epoch, epochs;             /* the one being worked on, from 1; at most so many */
    uint64_t step, steps;          /* done in this phase, of at most */
    double loss_train, loss_valid; /* so far in this epoch, of the last; NAN before */
    double steps_per_s, eta_s;     /* to the end of this phase, without an early stop */
    const char *note; /* something worth a line, once: a checkpoint resumed or ignored */
};

/* All may be NULL / 0.  Called from the training thread. */
struct model_hooks {
    /* After every epoch and about twice a second.  Non-zero stops: ERR_CANCELLED, the
     * checkpoint kept. */
    int (*progress)(void *ctx, const struct model_progress *progress);
    void *ctx;
    /* A file from which a killed training goes on, written (synced, renamed) after
     * every epoch and at least every checkpoint_s seconds; removed at the end by
     * whoever published the result.  A checkpoint of other data or settings is
     * ignored. */
    const char *checkpoint_path;
    int checkpoint_s;
    size_t threads;
    /* Most bytes of a training's network with its gradients and moments; 0: no limit.
     * More is ERR_TOO_LARGE, before any of it is allocated. */
    size_t memory_max;
};

struct model;

/*
 * Trains, judges, calibrates and refits on grid, with its covariates where it has some
 * (model/effect.h: a series uses those that helped on its past).  One value that leaps
 * away from its series is taken as missing, here as in model_forecast() (model/leap.h).
 * NULL on failure: ERR_CONFLICT says how many steps there are and are needed,
 * ERR_CANCELLED, ERR_NO_MEMORY.  With too little history for training, but enough for the
 * others, the model holds candidates without training and its report says so.
 */
struct model *model_train(const struct grid *grid, const struct model_spec *spec,
                          const struct model_hooks *hooks, struct err *err)
    __attribute__((warn_unused_result));
void model_free(struct model *model);

const struct model_spec *model_spec(const struct model *model);
const struct model_report *model_report(const struct model *model);
size_t model_series(const struct model *model);
const char *model_series_name(const struct model *model, size_t index);
size_t model_params(const struct model *model); /* 0 when nothing was trained */
int64_t model_step_ms(const struct model *model);

/* The model as bytes (safetensors: weights as tensors, the rest as its metadata) and
 * back.  The bytes are a function of the model alone.  Caller frees *bytes.
 * ERR_CORRUPT for anything that is not one, whatever the bytes. */
int model_save(const struct model *model, void **bytes, size_t *len, struct err *err);
struct model *model_load(const void *bytes, size_t len, struct err *err)
    __attribute__((warn_unused_result));

/* ---- conversion ---------------------------------------------------------------- */

struct model_conversion {
    /* Of the outputs of attention, by their own square: with the new mixer in softmax's
     * place, and after its own tensors were fitted to them. */
    double layers_before, layers_after;
    /* In the newest fifth of the history: of softmax, of the new mixer in its place, and
     * after fine-tuning. */
    double loss_softmax, loss_swapped, loss_converted;
    size_t windows;
    bool accepted; /* the last is no more than half a percent above softmax's */
};

/* Whether softmax can be converted to it: inline and luna. */
bool model_can_convert(const char *mixer);

/*
 * A model with a mixer of linear cost and the weights of one trained with softmax: inline
 * has no tensors of its own and takes softmax's place as it is; those of luna, its feature
 * map, are fitted layer by layer until they say what softmax says (model/distil.h).  Then
 * all is trained on for a quarter of the epochs at a fifth of the learning rate on the fit
 * part, where the stop part finds it better than before, and judged on the judge part,
 * which softmax has seen in its training and the conversion has not: nothing is accepted
 * that gains from it.  The rest of the model, champions and bands among it, stays.
 *
 * grid: the series of the training, in its order.  NULL on failure: ERR_INVALID for another
 * mixer; ERR_CONFLICT where `from` has no softmax, the series are others, or the history
 * is too short; ERR_CANCELLED, ERR_NO_MEMORY as of model_train().  What is not accepted is
 * returned all the same.
 */
struct model *model_convert(const struct model *from, const char *mixer,
                            const struct grid *grid, const struct model_hooks *hooks,
                            struct model_conversion *out, struct err *err)
    __attribute__((warn_unused_result));

/* ---- forecasts ----------------------------------------------------------------- */

/* Rows of grid tail that model_forecast() wants before the origin. */
size_t model_tail_rows(const struct model *model);

/* Work space for forecasts from one model by one thread at a time. */
struct forecaster_work;
struct forecaster_work *forecaster_work_new(const struct model *model, struct err *err)
    __attribute__((warn_unused_result));
void forecaster_work_free(struct forecaster_work *work);

/* Factors, above 0, of the distance between the median and the quantiles below and above
 * it, in each bucket of the horizon. */
struct band_stretch {
    float below[MODEL_BUCKETS], above[MODEL_BUCKETS];
};

/* The answer for one series. */
struct model_answer {
    bool served; /* false: why says what is missing for this series */
    char why[160];
    char candidate[MODEL_BUCKETS][24]; /* who served each bucket */
    double skill[MODEL_BUCKETS];       /* judged; NAN where unknown */
    double missing;                    /* share of its look-back that was missing */
    uint32_t covariates; /* those it rests on: bit i is number i of the report */
    double *values;      /* horizon x quantile_count, by the caller */
    /* By the caller: what the bands are stretched by, or NULL: they are as judged. */
    const struct band_stretch *stretch;
};

/*
 * Forecasts cols series of tail, whose last row is the newest step.  For GROUP_JOINT
 * column names are matched to the model's series; a series unknown to the model is
 * served by a candidate without training (its champion entry says which), one of the
 * model's that is absent is masked.  A series that misses more of its look-back than
 * max_missing is served by a candidate without training, and one without any value in
 * the tail not at all; nor is one that uses a covariate whose value at some target is
 * missing (GAP_ERROR); each answer says so.  The tail's covariates, as known after its
 * last row, are those of the training by name: ERR_CONFLICT names one that is used and
 * not there.  A level that has just moved is followed (model/level.h).  quantiles:
 * ascending, each in (0, 1).  Every value respects bounds; quantiles never cross.
 * answers[cols] in the columns' order.
 */
int model_forecast(const struct model *model, struct forecaster_work *work,
                   const struct grid *tail, size_t horizon, const double *quantiles,
                   size_t quantile_count, struct model_answer *answers, struct err *err);

/* ---- bands that follow ------------------------------------------------------------ */

/* What has come of issued forecasts widens or narrows the bands of those to come: never
 * by more than this, either way. */
#define BAND_STRETCH_MOST 10.0F

/* How far an actual lay from the median, counted in distances of one edge of the band from
 * the median as it was judged; negative on the other side.  block: when; such as lie far
 * enough apart to say something of their own have others. */
struct band_ratio {
    float ratio;
    uint16_t block;
};

/* Both of the following want them in order. */
void band_stretch_sort(struct band_ratio *ratios, size_t count);

/*
 * The factor for one side of the bands.  p > 0.5 is the share that the edge should have on
 * its inner side.  The answer is the p-th order statistic, its rank counted in n + 1 (Lei
 * et al. 2018) where n is how many of them were independent; 1 where that is too few.
 */
float band_stretch_fit(const struct band_ratio *ratios, size_t count, double independent,
                       double p);

/* What that would have held: of each of so many blocks, by the factor from all others.
 * Adds to *inside and *all. */
void band_stretch_check(const struct band_ratio *ratios, size_t count, size_t blocks,
                        double independent, double p, double *inside, double *all);

/* Whether so many independent ones tell anything of p. */
bool band_stretch_knows(double independent, double p);

/* ---- states: a forecast without its history ----------------------------------------- */

/*
 * A model with the setting `stream` can keep a state of each series: the values that its
 * candidates look back at, and where the network's encoders stand (model/raster.h).  It is
 * forecaster_state_size() bytes of this machine's numbers, whatever the length of the
 * series; it takes the rows of a grid as they come, and a forecast from it has the same
 * bits as one from history.  A state is the caller's, used by one thread at a time, and
 * belongs to one model.
 */
size_t forecaster_state_size(const struct forecaster_work *work); /* 0: keeps none */

/* The state of a series before its first row; after model_tail_rows() rows, nothing before
 * them matters. */
void forecaster_state_begin(const struct forecaster_work *work, void *state);

/* Takes the rows of a grid that follow those already taken; states[cols], NULL: not that
 * one. */
void forecaster_states_push(const struct model *model, struct forecaster_work *work,
                            const struct grid *rows, void *const *states);

/* Fills the first rows of a tail of model_tail_rows(), all but the last `behind`, from
 * states that have taken as many; states[cols], NULL: not that one. */
void forecaster_states_tail(const struct forecaster_work *work, const void *const *states,
                            size_t behind, struct grid *tail);

/* The next model_forecast() with this work goes on from these: states[cols] of its tail,
 * NULL: from the tail alone; behind: rows at its end that they have not taken. */
void forecaster_go_on(struct forecaster_work *work, const void *const *states,
                      size_t behind);

/* ---- crossings ------------------------------------------------------------------ */

/*
 * When a threshold is crossed: the first passage of sample paths.
 *
 * A sample path is the median forecast plus one *whole* path of residuals, that is what a
 * forecast of the past was off by at each of its steps, so that steps stay as dependent on
 * each other as they were.  The first step at which a path lies at or past the threshold
 * is its crossing; the answer is the quantiles of that over the paths (Siegert 1951 for
 * first passage; scenarios from residual paths: Pinson et al. 2009).
 *
 * Where the bands of a forecast cross is something else: they say where each step lies by
 * itself, and a path that wanders for long crosses far earlier than its median does.
 */
struct crossing_task {
    size_t steps, paths;
    const float *median; /* (steps) */
    const float
        *residuals; /* (paths, steps): actual - median; NAN: the one before holds */
    double threshold;
    bool above;      /* or below */
    double min, max; /* bounds of the series; -INFINITY, INFINITY: none */
};

/* The first step of a path at or past the threshold; steps: none.  Missing steps are
 * passed over. */
size_t crossing_first(const float *path, size_t steps, double threshold, bool above);

/* The crossings of all paths into first[paths], soonest first; steps: none. */
void crossing_all(const struct crossing_task *task, size_t *first);

/* Share of paths that cross at all. */
double crossing_probability(const size_t *first, size_t paths, size_t steps);

/* The step by which a share p of paths has crossed, counted in n + 1 and rounded outwards
 * as bands are (conformal.h); steps: not within the horizon. */
size_t crossing_quantile(const size_t *first, size_t paths, size_t steps, double p);

/* A forecast of the past and what happened, for a record of the answers. */
struct crossing_case {
    int64_t origin;               /* its first step, counted in steps from anywhere */
    float last;                   /* the value before it; NAN: missing */
    const float *median, *actual; /* (steps) */
};

enum { CROSSING_PATHS_LEAST = 10 };

/* What would have been said, and whether it was so. */
struct crossing_record {
    size_t origins; /* of forecasts that could have been told of, not past already */
    size_t crossed; /* followed by a crossing */
    size_t alarms;  /* a crossing within the horizon was more likely than not */
    size_t false_alarms, missed;
};

/*
 * Cases in order of origin.  Each is answered from the residuals of those whose targets
 * had all come by then; with fewer than CROSSING_PATHS_LEAST of them it is left out.
 */
void crossing_backtest(const struct crossing_case *cases, size_t count, size_t steps,
                       double threshold, bool above, double min, double max,
                       struct crossing_record *record);

/* ---- backtest under a published protocol ---------------------------------------- */

enum split_kind { SPLIT_ETT_HOUR, SPLIT_SHARES, SPLIT_LAST };

struct model_split {
    enum split_kind kind;
    double train, valid, test; /* SPLIT_SHARES */
    size_t last; /* SPLIT_LAST: test rows at the end; validation is the eighth before */
};

/* "ett-hour", "0.7,0.1,0.2" or "last:N". */
int model_split_parse(const char *text, struct model_split *split, struct err *err);

/*
 * The standard protocol: standardised by the train part, all windows of stride 1 that
 * end inside a part, look-backs reaching into the part before; every choice on the
 * validation part, the test part read once, no refit.  candidates: names, or NULL for
 * all.
 */
int model_backtest(const struct grid *grid, const struct model_spec *spec,
                   const struct model_split *split, const char *const *candidates,
                   size_t candidate_count, const struct model_hooks *hooks,
                   struct model_report *report, struct err *err);

/* ---- how close softmax is to its linear limit ------------------------------------ */

enum { MODEL_CONCENTRATION_GRID = 16 };

/* One head of one layer (model/concentration.h says what each figure is). */
struct model_concentration {
    const char *branch; /* "real" or "imag" */
    size_t layer, head;
    size_t grid_count, tokens[MODEL_CONCENTRATION_GRID];
    double gap[MODEL_CONCENTRATION_GRID][3]; /* quartiles */
    double population[MODEL_CONCENTRATION_GRID], control[MODEL_CONCENTRATION_GRID];
    double gradient_v[MODEL_CONCENTRATION_GRID], gradient_kq[MODEL_CONCENTRATION_GRID];
    double slope[3], control_slope[3];    /* and the ends of 95 %; NAN below 64 tokens */
    double floor, k3;                     /* gap at all tokens; of the third cumulant */
    double deviation, effective, entropy; /* of scores; tokens read; nats */
    /* Of the centred keys: below a head's width, inline cannot tell all queries apart. */
    double key_rank;
};

struct model_diagnosis {
    size_t count, samples; /* heads; windows looked at */
    struct model_concentration *heads;
    double loss_softmax, loss_inline; /* of the validation part, the same weights */
    bool convertible; /* every floor below 1e-2, the loss changes by less than 0.5 % */
};

void model_diagnosis_fini(struct model_diagnosis *diagnosis);

/*
 * Trains the network with the mixer softmax as model_backtest() would, and looks at the
 * queries, keys and values of each head on the validation part; then answers the same
 * windows with inline in softmax's place.  ERR_CONFLICT for fewer than 2 tokens or too
 * few rows; ERR_INVALID for another mixer, or a causal one.
 */
int model_diagnose(const struct grid *grid, const struct model_spec *spec,
                   const struct model_split *split, const struct model_hooks *hooks,
                   struct model_diagnosis *diagnosis, struct err *err);

/* Sets the BLAS library to one thread: call once at start, before any other thread. */
void model_start(void);

#endif
