/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "model/rwkv7.h"

#include <string.h>
#include <tgmath.h>

#include "model/vector.h"

/* The recurrent form, one token at a time and in plain loops: for those who stream
 * tokens, and a second opinion on forward(). */

size_t rwkv7_state_size(const struct mixer_config *config)
{
    return config->C * (config->C / config->H); /* H states of (N,N) */
}

enum { VECTORS = 12 }; /* of C reals, in struct step */

struct step {
    const struct rwkv7_shape *s;
    const real *theta, *x;
    real *shifted, *map[MAPS], *kappa, *b, *kt, *o, *u; /* (C) */
    real *hidden;                                       /* (max(E, Q)) */
};

static size_t hidden_size(const struct rwkv7_shape *s)
{
    return s->E > s->Q ? s->E : s->Q;
}

size_t rwkv7_step_work_size(const struct mixer_config *config)
{
    const struct rwkv7_shape s = rwkv7_shape(config, 1, 1);
    return VECTORS * s.C + hidden_size(&s);
}

static struct step step_of(const struct rwkv7_shape *s, const real *theta, const real *x,
                           real *work)
{
    struct step j = {.s = s, .theta = theta, .x = x};
    real **const vectors[] = {&j.shifted, &j.kappa, &j.b, &j.kt, &j.o, &j.u};
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++, work += s->C)
        *vectors[i] = work;
    for (size_t i = 0; i < MAPS; i++, work += s->C)
        j.map[i] = work;
    j.hidden = work;
    return j;
}

/* y (O) = w (O,K) x + b; b may be NULL. */
static void matvec(real *y, const real *w, const real *x, const real *b, size_t O,
                   size_t K)
{
    for (size_t o = 0; o < O; o++)
        y[o] = vector_dot(w + o * K, x, K) + (b ? b[o] : 0);
}

static const real *tensor(const struct step *j, enum rwkv7_tensor id)
{
    return j->theta + j->s->at[id];
}

/* y = W2 gelu(W1 x + b1) + b2 */
static void mlp(const struct step *j, real *y, const real *x, enum rwkv7_tensor w1,
                enum rwkv7_tensor b1, enum rwkv7_tensor w2, enum rwkv7_tensor b2)
{
    const size_t C = j->s->C, E = j->s->E;
    matvec(j->hidden, tensor(j, w1), x, tensor(j, b1), E, C);
    for (size_t e = 0; e < E; e++)
        j->hidden[e] *= REAL_C(0.5) * (1 + erf(j->hidden[e] * (real)M_SQRT1_2));
    matvec(y, tensor(j, w2), j->hidden, tensor(j, b2), C, E);
}

static const real *shift(const struct step *j, enum rwkv7_tensor mu)
{
    for (size_t c = 0; c < j->s->C; c++)
        j->shifted[c] = j->x[c] + tensor(j, mu)[c];
    return j->shifted;
}

static void low_rank(const struct step *j, real *y, enum rwkv7_tensor mu,
                     enum rwkv7_tensor a, enum rwkv7_tensor b, const real *bias)
{
    matvec(j->hidden, tensor(j, a), shift(j, mu), NULL, j->s->Q, j->s->C);
    matvec(y, tensor(j, b), j->hidden, bias, j->s->C, j->s->Q);
}

static void project(const struct step *j)
{
    mlp(j, j->map[MAP_R], shift(j, RWKV7_MU_R), RWKV7_WR_W1, RWKV7_WR_B1, RWKV7_WR_W2,
        RWKV7_WR_B2);
    mlp(j, j->map[MAP_K], shift(j, RWKV7_MU_K), RWKV7_WK_W1, RWKV7_WK_B1, RWKV7_WK_W2,
        RWKV7_WK_B2);
    mlp(j, j->map[MAP_V], shift(j, RWKV7_MU_V), RWKV7_WV_W1, RWKV7_WV_B1, RWKV7_WV_W2,
        RWKV7_WV_B2);
    low_rank(j, j->map[MAP_DECAY], RWKV7_MU_D, RWKV7_DECAY_A, RWKV7_DECAY_B,
             tensor(j, RWKV7_DECAY_BIAS));
    low_rank(j, j->map[MAP_RATE], RWKV7_MU_A, RWKV7_RATE_A, RWKV7_RATE_B,
             tensor(j, RWKV7_RATE_BIAS));
    low_rank(j, j->map[MAP_GATE], RWKV7_MU_G, RWKV7_GATE_A, RWKV7_GATE_B, NULL);
}

static void gates(const struct step *j)
{
    for (size_t c = 0; c < j->s->C; c++) {
        const struct rwkv7_gates at =
            rwkv7_gates(j->map[MAP_DECAY][c], j->map[MAP_RATE][c], j->map[MAP_K][c],
                        tensor(j, RWKV7_ALPHA)[c]);
        j->map[MAP_DECAY][c] = at.w;
        j->map[MAP_GATE][c] = rwkv7_sigmoid(j->map[MAP_GATE][c]);
        j->kt[c] = at.kt;
        j->b[c] = at.a * j->kappa[c];
    }
}

static void head_step(const struct step *j, size_t h, real *S)
{
    const size_t N = j->s->N, at = h * N;
    const struct rwkv7_core core = {
        .T = 1,
        .N = N,
        .stride = j->s->C,
        .r = j->map[MAP_R] + at,
        .w = j->map[MAP_DECAY] + at,
        .kappa = j->kappa + at,
        .b = j->b + at,
        .v = j->map[MAP_V] + at,
        .k = j->kt + at,
    };
    rwkv7_state_step(&core, 0, j->o + at, S, j->u);
    const real match = RWKV7_BONUS_SCALE * vector_dot(core.r, core.k, N);
    for (size_t n = 0; n < N; n++)
        j->o[at + n] += match * tensor(j, RWKV7_BONUS)[at + n] * core.v[n];
}

static void normalise(const struct step *j)
{
    const size_t C = j->s->C;
    real mean = 0, var = 0;
    for (size_t c = 0; c < C; c++)
        mean += j->o[c] / (real)C;
    for (size_t c = 0; c < C; c++)
        var += (j->o[c] - mean) * (j->o[c] - mean) / (real)C;
    const real rstd = 1 / sqrt(var + RWKV7_LN_EPS);
    for (size_t c = 0; c < C; c++)
        j->o[c] = ((j->o[c] - mean) * rstd * tensor(j, RWKV7_LN_G)[c] +
                   tensor(j, RWKV7_LN_B)[c]) *
                  j->map[MAP_GATE][c];
}

void rwkv7_step(const struct mixer_config *config, const real *theta, const real *x,
                real *y, real *state, real *work)
{
    const struct rwkv7_shape s = rwkv7_shape(config, 1, 1);
    const struct step j = step_of(&s, theta, x, work);
    project(&j);
    for (size_t h = 0; h < s.H; h++)
        rwkv7_direction(j.kappa + h * s.N, j.map[MAP_K] + h * s.N,
                        tensor(&j, RWKV7_XI) + h * s.N, s.N);
    gates(&j);
    for (size_t h = 0; h < s.H; h++)
        head_step(&j, h, state + h * s.N * s.N);
    normalise(&j);
    mlp(&j, y, j.o, RWKV7_WO_W1, RWKV7_WO_B1, RWKV7_WO_W2, RWKV7_WO_B2);
}
