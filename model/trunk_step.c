/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "model/trunk_frwkv.h"

#include "model/elementary.h"
#include "model/vector.h"

/* The recurrent form, one token at a time and in plain loops: for those who stream
 * tokens, and a second opinion on forward(). */

size_t trunk_frwkv_state_size(const struct mixer_config *config)
{
    (void)config; /* the trunk looks at one token only */
    return 0;
}

enum { VECTORS = 2 + MAPS }; /* of C reals, in struct step */

struct step {
    const struct trunk_shape *s;
    const real *theta, *x;
    real *shifted, *o, *map[MAPS]; /* (C) */
    real *hidden;                  /* (max(E, Q)) */
    real *core;
};

static size_t hidden_size(const struct trunk_shape *s)
{
    return s->E > s->Q ? s->E : s->Q;
}

size_t trunk_frwkv_step_work_size(const struct mixer_config *config)
{
    const struct trunk_shape s = trunk_shape(config, 1, 1);
    return VECTORS * s.C + hidden_size(&s);
}

static struct step step_of(const struct trunk_shape *s, const real *theta, const real *x,
                           real *work)
{
    struct step j = {.s = s, .theta = theta, .x = x};
    j.shifted = work;
    j.o = work + s->C;
    for (size_t i = 0; i < MAPS; i++)
        j.map[i] = work + (2 + i) * s->C;
    j.hidden = work + VECTORS * s->C;
    j.core = j.hidden + hidden_size(s);
    return j;
}

/* y (O) = w (O,K) x + b; b may be NULL. */
static void matvec(real *y, const real *w, const real *x, const real *b, size_t O,
                   size_t K)
{
    for (size_t o = 0; o < O; o++)
        y[o] = vector_dot(w + o * K, x, K) + (b ? b[o] : 0);
}

static const real *tensor(const struct step *j, enum trunk_tensor id)
{
    return j->theta + j->s->at[id];
}

/* y = W2 gelu(W1 x + b1) + b2 */
static void mlp(const struct step *j, real *y, const real *x, enum trunk_tensor w1,
                enum trunk_tensor b1, enum trunk_tensor w2, enum trunk_tensor b2)
{
    const size_t C = j->s->C, E = j->s->E;
    matvec(j->hidden, tensor(j, w1), x, tensor(j, b1), E, C);
    for (size_t e = 0; e < E; e++)
        j->hidden[e] *= REAL_C(0.5) * (1 + erf(j->hidden[e] * (real)M_SQRT1_2));
    matvec(y, tensor(j, w2), j->hidden, tensor(j, b2), C, E);
}

static const real *shift(const struct step *j, enum trunk_tensor mu)
{
    for (size_t c = 0; c < j->s->C; c++)
        j->shifted[c] = j->x[c] + tensor(j, mu)[c];
    return j->shifted;
}

static void low_rank(const struct step *j, real *y, enum trunk_tensor mu,
                     enum trunk_tensor a, enum trunk_tensor b, const real *bias,
                     bool bent)
{
    matvec(j->hidden, tensor(j, a), shift(j, mu), NULL, j->s->Q, j->s->C);
    for (size_t i = 0; bent && i < j->s->Q; i++)
        j->hidden[i] = tanh(j->hidden[i]);
    matvec(y, tensor(j, b), j->hidden, bias, j->s->C, j->s->Q);
}

static void project(const struct step *j)
{
    mlp(j, j->map[MAP_R], shift(j, TRUNK_MU_R), TRUNK_WR_W1, TRUNK_WR_B1, TRUNK_WR_W2,
        TRUNK_WR_B2);
    mlp(j, j->map[MAP_K], shift(j, TRUNK_MU_K), TRUNK_WK_W1, TRUNK_WK_B1, TRUNK_WK_W2,
        TRUNK_WK_B2);
    mlp(j, j->map[MAP_V], shift(j, TRUNK_MU_V), TRUNK_WV_W1, TRUNK_WV_B1, TRUNK_WV_W2,
        TRUNK_WV_B2);
    low_rank(j, j->map[MAP_GATE], TRUNK_MU_G, TRUNK_GATE_A, TRUNK_GATE_B, NULL, false);
    if (j->s->maps < MAPS)
        return;
    low_rank(j, j->map[MAP_DECAY], TRUNK_MU_D, TRUNK_DECAY_A, TRUNK_DECAY_B,
             tensor(j, TRUNK_DECAY_BIAS), j->s->wide_decay);
    low_rank(j, j->map[MAP_RATE], TRUNK_MU_A, TRUNK_RATE_A, TRUNK_RATE_B,
             tensor(j, TRUNK_RATE_BIAS), false);
}

static void bonus(const struct step *j)
{
    const size_t N = j->s->C / j->s->H;
    for (size_t at = 0; at < j->s->C; at += N) {
        const real match =
            SEQUENCE_BONUS * vector_dot(j->map[MAP_R] + at, j->map[MAP_K] + at, N);
        for (size_t n = at; n < at + N; n++)
            j->o[n] += match * tensor(j, TRUNK_BONUS)[n] * j->map[MAP_V][n];
    }
}

static void normalise(const struct step *j)
{
    const size_t C = j->s->C;
    real mean = 0, var = 0;
    for (size_t c = 0; c < C; c++)
        mean += j->o[c] / (real)C;
    for (size_t c = 0; c < C; c++)
        var += (j->o[c] - mean) * (j->o[c] - mean) / (real)C;
    const real rstd = 1 / sqrt(var + TRUNK_LN_EPS);
    for (size_t c = 0; c < C; c++)
        j->o[c] = ((j->o[c] - mean) * rstd * tensor(j, TRUNK_LN_G)[c] +
                   tensor(j, TRUNK_LN_B)[c]) *
                  elementary_sigmoid(j->map[MAP_GATE][c]);
}

void trunk_frwkv_step(const struct mixer_config *config, const real *theta, const real *x,
                      real *y, real *state, real *work)
{
    const struct trunk_shape s = trunk_shape(config, 1, 1);
    const struct step j = step_of(&s, theta, x, work);
    const bool all = s.maps == MAPS;
    project(&j);
    const struct core_token token = {
        .x = x,
        .q = j.map[MAP_R],
        .k = j.map[MAP_K],
        .v = j.map[MAP_V],
        .decay = j.map[MAP_DECAY],
        .rate = j.map[MAP_RATE],
        .xi = all ? tensor(&j, TRUNK_XI) : NULL,
        .alpha = all ? tensor(&j, TRUNK_ALPHA) : NULL,
        .bonus = tensor(&j, TRUNK_BONUS),
        .o = j.o,
    };
    core_step(config, theta + s.size, &token, state, j.core);
    if (!all)
        bonus(&j);
    normalise(&j);
    mlp(&j, y, j.o, TRUNK_WO_W1, TRUNK_WO_B1, TRUNK_WO_W2, TRUNK_WO_B2);
}
