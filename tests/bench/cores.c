/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * cores.c -- what the core of each mixer costs when the tokens double, and what the delta
 * rule gains by chunks.
 *
 * A core is what is between queries, keys, values and outputs (model/core.h); the trunk
 * around it is the same for all, and linear.  One thread, its processor time: a machine
 * that does other things besides changes little.  Of each figure, the least of TURNS, the
 * sizes in turns.
 */
#include <math.h>
#include <string.h>

#include "base/arena.h"
#include "base/rng.h"
#include "model/core.h"
#include "model/gdn.h"
#include "model/model.h"
#include "tests/bench/result.h"

enum { FEW = 1024, MANY = 2048, C = 64, H = 4, TURNS = 7 };

static double cpu_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static void fill(real *x, size_t n, uint32_t purpose, double deviation)
{
    const struct rng_stream stream = {.seed = 5, .purpose = purpose};
    for (size_t i = 0; i < n; i++)
        x[i] = (real)(deviation * rng_normal(stream, i));
}

/* ---- one core at one size ---------------------------------------------------------- */

enum {
    X_,
    Q_,
    K_,
    V_,
    DECAY_,
    RATE_,
    O_,
    D_O_,
    DX_,
    DQ_,
    DK_,
    DV_,
    D_DECAY_,
    D_RATE_,
    ROWS
};
enum { XI_, ALPHA_, BONUS_, DXI_, DALPHA_, DBONUS_, VECTORS };

struct run {
    const struct mixer_config *config;
    size_t T;
    struct arena arena;
    void *tape, *work;
    real *theta, *dtheta, *row[ROWS], *vector[VECTORS];
    size_t theta_size;
};

static void carve(struct run *r, struct arena *arena)
{
    r->tape = core_tape(r->config, 1, r->T, arena);
    r->work = core_work(r->config, 1, r->T, true, arena);
    r->theta = arena_reals(arena, r->theta_size);
    r->dtheta = arena_reals(arena, r->theta_size);
    for (size_t i = 0; i < ROWS; i++)
        r->row[i] = arena_reals(arena, r->T * C);
    for (size_t i = 0; i < VECTORS; i++)
        r->vector[i] = arena_reals(arena, C);
}

static void open_run(struct run *r, const struct mixer_config *config, size_t T)
{
    size_t at[CORE_TENSORS_MAX];
    struct err err = {0};
    *r = (struct run){.config = config, .T = T, .theta_size = core_layout(config, at)};
    struct arena arena = arena_measure();
    carve(r, &arena);
    if (arena_open(&arena, &err))
        die("memory", &err);
    carve(r, &arena);
    r->arena = arena;
    fill(r->theta, r->theta_size, 1, 0.3);
    for (uint32_t i = 0; i < O_; i++)
        fill(r->row[i], T * C, 2 + i, 1);
    fill(r->row[D_O_], T * C, 20, 1);
    for (size_t i = 0; i < T * C; i++) { /* FRWKV's decay and rate are within (0, 1) */
        r->row[DECAY_][i] = REAL_C(0.7);
        r->row[RATE_][i] = REAL_C(0.5);
    }
    for (uint32_t i = XI_; i <= BONUS_; i++)
        fill(r->vector[i], C, 30 + i, 1);
}

/* Forward and backward. */
static void both(const struct run *r)
{
    const struct mixer_call call = {.config = r->config, .B = 1, .T = r->T};
    real *const *const row = r->row, *const *const vector = r->vector;
    const struct core_io io = {.x = row[X_],
                               .q = row[Q_],
                               .k = row[K_],
                               .v = row[V_],
                               .decay = row[DECAY_],
                               .rate = row[RATE_],
                               .xi = vector[XI_],
                               .alpha = vector[ALPHA_],
                               .bonus = vector[BONUS_],
                               .o = row[O_]};
    const struct core_grad grad = {.d_o = row[D_O_],
                                   .dx = row[DX_],
                                   .dq = row[DQ_],
                                   .dk = row[DK_],
                                   .dv = row[DV_],
                                   .d_decay = row[D_DECAY_],
                                   .d_rate = row[D_RATE_],
                                   .dxi = vector[DXI_],
                                   .dalpha = vector[DALPHA_],
                                   .dbonus = vector[DBONUS_]};
    core_forward(&call, r->theta, &io, r->tape, r->work);
    core_backward(&call, r->theta, r->dtheta, &io, &grad, r->tape, r->work);
}

/* ---- twice the tokens -------------------------------------------------------------- */

static const struct mixer_options USUAL = {.taylor2_shortcut = true,
                                           .luna_m = 16,
                                           .luna_lc = 4,
                                           .luna_hidden = 64,
                                           .gdn_window = 32,
                                           .gdn_sinks = 1,
                                           .gdn_chunk = 16,
                                           .h3_head = 8,
                                           .h3_shift_len = 64,
                                           .h3_state = 32};

static const struct {
    const char *label, *mixer;
    bool causal;
    size_t layer;
    double growth; /* expected */
} cores[] = {
    {"softmax", "softmax", false, 0, 4},
    {"linear", "linear", false, 0, 2},
    {"linear, causal", "linear", true, 0, 2},
    {"inline", "inline", false, 0, 2},
    {"inline, causal", "inline", true, 0, 2},
    {"taylor2", "taylor2", false, 0, 2},
    {"taylor2, causal", "taylor2", true, 0, 2},
    {"luna", "luna", false, 0, 2},
    {"luna, causal", "luna", true, 0, 2},
    {"rwkv7", "rwkv7", false, 0, 2},
    {"rwkv7x", "rwkv7x", false, 0, 2},
    {"gdn_swa, window", "gdn_swa", false, 0, 2},
    {"gdn_swa, delta rule", "gdn_swa", false, 1, 2},
    {"h3", "h3", false, 0, 2},
};

static void measure_growth(size_t c)
{
    struct err err = {0};
    const struct mixer_config config = {.mixer = mixer_find(cores[c].mixer, &err),
                                        .C = C,
                                        .H = H,
                                        .rank = 16,
                                        .layer = cores[c].layer,
                                        .causal = cores[c].causal,
                                        .options = USUAL};
    struct run runs[2];
    double least[2] = {1e9, 1e9};
    if (!config.mixer || mixer_check(&config, &err))
        die(cores[c].label, &err);
    for (size_t i = 0; i < 2; i++) {
        open_run(&runs[i], &config, i ? MANY : FEW);
        both(&runs[i]);
    }
    for (size_t turn = 0; turn < TURNS; turn++)
        for (size_t i = 0; i < 2; i++) {
            const double began = cpu_s();
            both(&runs[i]);
            const double took = cpu_s() - began;
            least[i] = took < least[i] ? took : least[i];
        }
    char name[80];
    snprintf(name, sizeof name, "%s: %d tokens, %.1f MiB", cores[c].label, FEW,
             (double)runs[0].arena.size / (1 << 20));
    result_add(&(struct result){.name = name, .value = 1e3 * least[0], .unit = "ms"});
    snprintf(name, sizeof name, "%s: %d for %d tokens", cores[c].label, MANY, FEW);
    const double growth = least[1] / least[0];
    result_add(&(struct result){.name = name,
                                .value = growth,
                                .unit = "times",
                                .at_most = cores[c].growth == 2 ? 2.4 : 0,
                                .at_least = cores[c].growth == 4 ? 3.2 : 0});
    for (size_t i = 0; i < 2; i++)
        arena_close(&runs[i].arena);
}

/* ---- the delta rule ---------------------------------------------------------------- */

typedef void form(const struct gdn *gdn, real *o, real *states, real *scratch);

static void measure_chunks(size_t N)
{
    static form *const forms[] = {gdn_recurrent, gdn_chunked};
    struct gdn gdn = {.T = MANY, .N = N, .chunk = 16};
    const size_t size = MANY * N;
    real *const x = mem_new(4 * size + 2 * MANY, sizeof *x);
    real *const scratch = mem_new(gdn_scratch(&gdn), sizeof *scratch);
    real *const g = x + 4 * size, *const beta = g + MANY;
    double least[2] = {1e9, 1e9};
    fill(x, 3 * size, 1, 1 / sqrt((double)N));
    for (size_t t = 0; t < MANY; t++) {
        g[t] = REAL_C(-0.05);
        beta[t] = REAL_C(0.5);
    }
    gdn.q = x;
    gdn.k = x + size;
    gdn.v = x + 2 * size;
    gdn.g = g;
    gdn.beta = beta;
    for (size_t turn = 0; turn <= TURNS; turn++)
        for (size_t i = 0; i < 2; i++) {
            const double began = cpu_s();
            forms[i](&gdn, x + 3 * size, NULL, scratch);
            const double took = cpu_s() - began;
            least[i] = took < least[i] && turn ? took : least[i];
        }
    char name[80];
    snprintf(name, sizeof name, "delta rule, %d tokens, heads of %zu, chunks", MANY, N);
    result_add(&(struct result){.name = name,
                                .value = 1e3 * least[1],
                                .unit = "ms",
                                .ratio = least[0] / least[1],
                                .beside = "faster than token by token"});
    snprintf(name, sizeof name, "delta rule, heads of %zu: gain of chunks", N);
    result_add(&(struct result){
        .name = name, .value = least[0] / least[1], .unit = "times", .at_least = 2});
    free(scratch);
    free(x);
}

int main(void)
{
    model_start();
    printf("Forward and backward of one core, width %d, %d heads, one thread\n", C, H);
    for (size_t c = 0; c < sizeof cores / sizeof *cores; c++)
        measure_growth(c);
    for (size_t N = 16; N <= 128; N *= 2)
        measure_chunks(N);
    return 0;
}
