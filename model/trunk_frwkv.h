/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * trunk_frwkv.h -- what the parts of FRWKV's trunk share; its formulas are in trunk.h.
 */
#ifndef TRUNK_FRWKV_H
#define TRUNK_FRWKV_H

#include "model/sequence.h"
#include "model/trunk.h"

/* Order of the six maps in everything that holds all of them. */
enum trunk_map { MAP_R, MAP_K, MAP_V, MAP_DECAY, MAP_RATE, MAP_GATE, MAPS, MLPS = 3 };

/* C width, E width inside the MLPs, q rank of the low-rank maps. */
enum { DIM_NONE, DIM_C, DIM_E, DIM_Q, DIMS };

/* Without MIXER_MAPS there are no decay, rate, mu_d, mu_a, xi and alpha. */
#define TRUNK_TENSORS(X)                                                                 \
    X(MU_R, "mu_r", C, NONE, NONE, NORMAL, 0.02)                                         \
    X(MU_K, "mu_k", C, NONE, NONE, NORMAL, 0.02)                                         \
    X(MU_V, "mu_v", C, NONE, NONE, NORMAL, 0.02)                                         \
    X(MU_D, "mu_d", C, NONE, NONE, NORMAL, 0.02)                                         \
    X(MU_A, "mu_a", C, NONE, NONE, NORMAL, 0.02)                                         \
    X(MU_G, "mu_g", C, NONE, NONE, NORMAL, 0.02)                                         \
    X(WR_W1, "wr.w1", E, C, C, UNIFORM, 0)                                               \
    X(WK_W1, "wk.w1", E, C, C, UNIFORM, 0)                                               \
    X(WV_W1, "wv.w1", E, C, C, UNIFORM, 0)                                               \
    X(DECAY_A, "decay.a", Q, C, C, UNIFORM, 0)                                           \
    X(RATE_A, "rate.a", Q, C, C, UNIFORM, 0)                                             \
    X(GATE_A, "gate.a", Q, C, C, UNIFORM, 0)                                             \
    X(WR_B1, "wr.b1", E, NONE, C, UNIFORM, 0)                                            \
    X(WK_B1, "wk.b1", E, NONE, C, UNIFORM, 0)                                            \
    X(WV_B1, "wv.b1", E, NONE, C, UNIFORM, 0)                                            \
    X(WR_W2, "wr.w2", C, E, E, UNIFORM, 0)                                               \
    X(WK_W2, "wk.w2", C, E, E, UNIFORM, 0)                                               \
    X(WV_W2, "wv.w2", C, E, E, UNIFORM, 0)                                               \
    X(DECAY_B, "decay.b", C, Q, Q, UNIFORM, 0)                                           \
    X(RATE_B, "rate.b", C, Q, Q, UNIFORM, 0)                                             \
    X(GATE_B, "gate.b", C, Q, Q, UNIFORM, 0)                                             \
    X(WR_B2, "wr.b2", C, NONE, E, UNIFORM, 0)                                            \
    X(WK_B2, "wk.b2", C, NONE, E, UNIFORM, 0)                                            \
    X(WV_B2, "wv.b2", C, NONE, E, UNIFORM, 0)                                            \
    X(DECAY_BIAS, "decay.bias", C, NONE, NONE, CONSTANT, 0)                              \
    X(RATE_BIAS, "rate.bias", C, NONE, NONE, CONSTANT, 0)                                \
    X(XI, "xi", C, NONE, NONE, NORMAL, 0.05)                                             \
    X(ALPHA, "alpha", C, NONE, NONE, CONSTANT, 0.7)                                      \
    X(BONUS, "bonus", C, NONE, NONE, CONSTANT, 1.2)                                      \
    X(LN_G, "ln.g", C, NONE, NONE, CONSTANT, 1)                                          \
    X(LN_B, "ln.b", C, NONE, NONE, CONSTANT, 0)                                          \
    X(WO_W1, "wo.w1", E, C, C, UNIFORM, 0)                                               \
    X(WO_B1, "wo.b1", E, NONE, C, UNIFORM, 0)                                            \
    X(WO_W2, "wo.w2", C, E, E, UNIFORM, 0)                                               \
    X(WO_B2, "wo.b2", C, NONE, E, UNIFORM, 0)

#define X(id, name, rows, columns, fan_in, rule, value) TRUNK_##id,
enum trunk_tensor { TRUNK_TENSORS(X) TRUNK_TENSOR_COUNT };
#undef X

/* Sizes of one call and where its tensors lie in theta. */
struct trunk_shape {
    size_t B, T, R, C, H, E, Q, M; /* R = B T */
    size_t maps;                   /* how many there are */
    enum trunk_map map[MAPS];      /* which, in order */
    size_t at[TRUNK_TENSOR_COUNT]; /* undefined for those that are not there */
    size_t size;                   /* where the core's begin */
    bool wide_decay;
};

struct trunk_shape trunk_shape(const struct mixer_config *config, size_t B, size_t T);

/* What forward keeps.  (R,C) unless noted; by map where there is one. */
struct trunk_tape {
    real *first;     /* (R,M) slopes of the three GELUs, then the low-rank values */
    real *active;    /* (R,3E) the three GELUs */
    real *map[MAPS]; /* r, k, v, decay, rate, g */
    void *sequence;
    real *xhat, *rstd;
    real *gated;     /* LayerNorm(o) g */
    real *out_slope; /* (R,E) */
    real *out_active;
};

struct trunk_work {
    real *bias; /* (M) of the first maps, with W1 mu */
    real *o;    /* (R,C) */
    void *sequence;
    /* training only */
    real *d_out, *d_o, *d_gated; /* (R,C) */
    real *d_out_active;          /* (R,E) */
    real *d_map[MAPS];           /* (R,C) */
    real *d_first;               /* (R,M) */
    real *d_bias;                /* (M) */
};

/* trunk_shape.c: these entries of the trunk. */
int trunk_frwkv_check(const struct mixer_config *config, struct err *err);
void trunk_frwkv_params(const struct mixer_config *config, struct tensors *tensors,
                        const char *prefix);
size_t trunk_frwkv_size(const struct mixer_config *config);
void *trunk_frwkv_tape(const struct mixer_config *config, size_t B, size_t T,
                       struct arena *arena);
void *trunk_frwkv_work(const struct mixer_config *config, size_t B, size_t T,
                       bool training, struct arena *arena);

/* trunk_step.c: and these. */
size_t trunk_frwkv_state_size(const struct mixer_config *config);
size_t trunk_frwkv_step_work_size(const struct mixer_config *config);
void trunk_frwkv_step(const struct mixer_config *config, const real *theta, const real *x,
                      real *y, real *state, real *work);

#define TRUNK_LN_EPS REAL_C(1e-6)

#endif
