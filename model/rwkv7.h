/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * rwkv7.h -- FRWKV's token mixer: its parameters, and what its parts share.
 *
 * For each token x, with mlp(x) = W2 gelu(W1 x + b1) + b2, sg the logistic function:
 *
 *     r = mlp_r(x + mu_r)    k = mlp_k(x + mu_k)    v = mlp_v(x + mu_v)
 *     w = exp(-exp(-0.3) sg(tanh(decay_b decay_a (x + mu_d) + decay_bias)))
 *     a = sg(rate_b rate_a (x + mu_a) + rate_bias)
 *     g = sg(gate_b gate_a (x + mu_g))
 *     kr = k xi     kappa = kr / max(|kr|, 1e-12), by head
 *     kt = k (1 + (a - 1) alpha)
 *     o = the recurrence of rwkv7_core.h over r, w, kappa, b = a kappa, v, kt
 *       + 0.2 (r . kt) bonus v, the dot product by head
 *     y = drop(mlp_o(LayerNorm(o) g))
 *
 * After "FRWKV: Frequency-Domain Linear Attention for Long-Term Time Series
 * Forecasting".  The vectors mu are added, not mixed in from the token before, and r, k,
 * v and the output are two-layer maps: this is not RWKV-7, and is meant to be so.
 *
 * The tensors of the six first maps follow each other, so they are one product of
 * M = 3E + 3q rows; adding mu to x is adding W1 mu to the bias.
 */
#ifndef RWKV7_H
#define RWKV7_H

#include "model/mixer.h"
#include "model/rwkv7_core.h"

extern const struct mixer rwkv7_mixer;

/* Order of the six maps in everything that holds all of them. */
enum rwkv7_map { MAP_R, MAP_K, MAP_V, MAP_DECAY, MAP_RATE, MAP_GATE, MAPS, MLPS = 3 };

/* C width, E width inside the MLPs, q rank of the low-rank maps. */
enum { DIM_NONE, DIM_C, DIM_E, DIM_Q, DIMS };

#define RWKV7_TENSORS(X)                                                                 \
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

#define X(id, name, rows, columns, fan_in, rule, value) RWKV7_##id,
enum rwkv7_tensor { RWKV7_TENSORS(X) RWKV7_TENSOR_COUNT };
#undef X

/* Sizes of one call and where its tensors lie in theta. */
struct rwkv7_shape {
    size_t B, T, R, C, H, N, E, Q, M; /* R = B T */
    size_t at[RWKV7_TENSOR_COUNT];
};

struct rwkv7_shape rwkv7_shape(const struct mixer_config *config, size_t B, size_t T);

/* What forward keeps.  (R,C) unless noted. */
struct rwkv7_tape {
    real *first;  /* (R,M) slopes of the three GELUs, then the low-rank hidden values */
    real *active; /* (R,3E) the three GELUs */
    real *map[MAPS]; /* r, k, v, w, a, g */
    real *w_slope;   /* dw / d(what tanh is taken of) */
    real *kappa, *b, *kt;
    real *norm;   /* (R,H) |kr| */
    real *states; /* of the state form, (B,H) blocks */
    real *xhat, *rstd;
    real *gated;     /* LayerNorm(o) g */
    real *out_slope; /* (R,E) */
    real *out_active;
};

/* Slices of (B,H) share this many blocks of scratch, whatever the number of threads. */
enum { RWKV7_LANES = 32 };

struct rwkv7_work {
    real *bias;  /* (M) of the six first maps, with W1 mu */
    real *o;     /* (R,C) */
    real *lanes; /* RWKV7_LANES times core scratch */
    size_t lane_size;
    /* training only */
    real *d_out, *d_o, *d_gated;    /* (R,C) */
    real *d_out_active;             /* (R,E) */
    real *d_map[MAPS];              /* (R,C) */
    real *d_kappa, *d_b, *d_kt;     /* (R,C) */
    real *d_first;                  /* (R,M) */
    real *d_bias;                   /* (M) */
    real *d_xi, *d_alpha, *d_bonus; /* (B,C) sums by sample */
};

/* rwkv7_shape.c: these entries of the mixer's table. */
int rwkv7_check(const struct mixer_config *config, struct err *err);
void rwkv7_params(const struct mixer_config *config, struct tensors *tensors,
                  const char *prefix);
size_t rwkv7_size(const struct mixer_config *config);
void *rwkv7_tape_carve(const struct mixer_config *config, size_t B, size_t T,
                       struct arena *arena);
void *rwkv7_work_carve(const struct mixer_config *config, size_t B, size_t T,
                       bool training, struct arena *arena);

/* rwkv7_step.c: and these. */
size_t rwkv7_state_size(const struct mixer_config *config);
size_t rwkv7_step_work_size(const struct mixer_config *config);
void rwkv7_step(const struct mixer_config *config, const real *theta, const real *x,
                real *y, real *state, real *work);

/* rwkv7_head.c: from the maps before their last functions to o, and back.  d_map comes
 * out as the gradients at r, k, v and at what tanh and the rate's sg are taken of. */
void rwkv7_heads_forward(const struct rwkv7_shape *shape, struct threads *pool,
                         const real *theta, const struct rwkv7_tape *tape,
                         const struct rwkv7_work *work);
void rwkv7_heads_backward(const struct rwkv7_shape *shape, struct threads *pool,
                          const real *theta, real *dtheta, const struct rwkv7_tape *tape,
                          const struct rwkv7_work *work);

/* The channel-wise functions of one head, which forward and step share. */
struct rwkv7_gates {
    real w, w_slope, a, kt;
};
struct rwkv7_gates rwkv7_gates(real decay, real rate, real k, real alpha);
real rwkv7_sigmoid(real x);
/* kappa = k xi / |k xi| over N channels; returns the norm. */
real rwkv7_direction(real *kappa, const real *k, const real *xi, size_t N);
#define RWKV7_BONUS_SCALE REAL_C(0.2)
#define RWKV7_LN_EPS REAL_C(1e-6)

#endif
