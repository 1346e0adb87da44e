/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stream.c -- 10,000 series with a state each: its size, a value, a forecast, and the same
 * forecast from history through the batched network.
 *
 * One thread, all sides in turns.  A value costs most where it ends a token, so a turn
 * pushes L of them to each of some series.  What stands beside a forecast reads 2 L rows
 * of a panel in memory: what it costs to get them out of a store comes on top.
 */
#include <math.h>
#include <string.h>

#include "base/rng.h"
#include "model/network.h"
#include "model/panel.h"
#include "model/windows.h"
#include "tests/bench/result.h"

enum { SERIES = 10000, L = 96, PATCH = 12, P = 24, BATCH = 32, FEW = 500, TURNS = 5 };

struct bench {
    struct network *network;
    struct network_fold *fold;
    real *theta, *states, *x, *y, *again;
    size_t size; /* reals of a state */
    struct panel panel;
    uint32_t phase; /* of the first target */
};

static struct network_config config_of(const char *mixer, bool causal)
{
    struct err err = {0};
    const struct mixer *const found = mixer_find(mixer, &err);
    if (!found)
        die("mixer", &err);
    return (struct network_config){
        .L = L,
        .V = 1,
        .P = P,
        .C = 32,
        .Fd = 32,
        .H = 4,
        .D = 1,
        .layers = 1,
        .rank = 8,
        .mixer = found,
        .causal = causal,
        .options = {.gdn_window = 8,
                    .gdn_sinks = 1,
                    .gdn_chunk = 16,
                    .gdn_pattern = GDN_FUSE},
        .axis = AXIS_PATCH,
        .patch = PATCH,
        .stream = true,
        .skip = true,
    };
}

static void open_bench(struct bench *b, const char *mixer, bool causal)
{
    const struct network_config config = config_of(mixer, causal);
    struct err err = {0};
    *b = (struct bench){.network = network_new(&config, BATCH, false, NULL, &err)};
    if (!b->network)
        die("network", &err);
    b->theta = mem_new(network_size(b->network), sizeof *b->theta);
    network_init(b->network, b->theta, 1);
    b->fold = network_fold_new(b->network, b->theta, &err);
    b->size = network_state_size(b->network);
    b->states = mem_new(SERIES * b->size, sizeof *b->states);
    b->x = mem_new((size_t)BATCH * L, sizeof *b->x);
    b->y = mem_new((size_t)SERIES * P, sizeof *b->y);
    b->again = mem_new((size_t)SERIES * P, sizeof *b->again);
    b->panel = (struct panel){.rows = 2 * L, .cols = SERIES, .width = 1};
    b->panel.z = mem_new((size_t)2 * L * SERIES, sizeof *b->panel.z);
    const struct rng_stream stream = {.seed = 7};
    for (size_t i = 0; i < (size_t)2 * L * SERIES; i++)
        b->panel.z[i] = rng_normal(stream, i);
    b->phase = panel_phase(&b->panel, 2 * L - 5, L);
}

static void close_bench(struct bench *b)
{
    network_fold_free(b->fold);
    network_free(b->network);
    free(b->theta);
    free(b->states);
    free(b->x);
    free(b->y);
    free(b->again);
    free(b->panel.z);
}

/* All rows before the origin, which is no end of a patch: the dearer case. */
static void push(struct bench *b, size_t series)
{
    for (size_t row = 0; row < 2 * L - 5; row++) {
        real *const state = b->states + series * b->size;
        const real value = (real)b->panel.z[row * SERIES + series];
        const uint32_t phase = panel_phase(&b->panel, row, L);
        if (row < L - 5)
            network_state_note(b->network, state, phase, value);
        else
            network_state_push(b->network, b->theta, b->fold, state, phase, value);
    }
}

static void push_few(void *ctx)
{
    for (size_t s = 0; s < FEW; s++)
        push(ctx, s);
}

static void from_states(void *ctx)
{
    struct bench *const b = ctx;
    for (size_t s = 0; s < SERIES; s += BATCH) {
        const real *state[BATCH];
        const size_t n = SERIES - s < BATCH ? SERIES - s : BATCH;
        for (size_t i = 0; i < n; i++)
            state[i] = b->states + (s + i) * b->size;
        network_state_forward(b->network, b->theta, b->fold, state, b->phase, n,
                              b->y + s * P);
    }
}

static void from_history(void *ctx)
{
    struct bench *const b = ctx;
    uint32_t phase[BATCH];
    for (size_t i = 0; i < BATCH; i++)
        phase[i] = b->phase;
    for (size_t s = 0; s < SERIES; s += BATCH) {
        const size_t n = SERIES - s < BATCH ? SERIES - s : BATCH;
        for (size_t i = 0; i < n; i++)
            windows_input(&b->panel, (struct origin){2 * L - 5, (uint32_t)(s + i)}, L, 0,
                          b->x + i * L);
        network_forward(b->network, b->theta, b->x, phase, n, b->again + s * P, NULL);
    }
}

static void measure(const char *mixer, bool causal)
{
    struct bench b;
    char name[80];
    open_bench(&b, mixer, causal);
    for (size_t s = 0; s < SERIES; s++)
        push(&b, s);
    struct result_turn turns[] = {{.run = push_few, .ctx = &b},
                                  {.run = from_states, .ctx = &b},
                                  {.run = from_history, .ctx = &b}};
    result_turns(turns, 3, TURNS);
    double worst = 0;
    for (size_t i = 0; i < (size_t)SERIES * P; i++)
        worst = fmax(worst, fabs((double)b.y[i] - (double)b.again[i]));
    if (!(worst < 1e-4))
        die("states and history differ", NULL);
    snprintf(name, sizeof name, "%s: a state", mixer);
    result_add(&(struct result){
        .name = name, .value = (double)(b.size * sizeof(real)), .unit = "B"});
    snprintf(name, sizeof name, "%s: a value", mixer);
    result_add(&(struct result){
        .name = name, .value = 1e6 * turns[0].cpu_s / FEW / L, .unit = "us"});
    snprintf(name, sizeof name, "%s: a forecast from a state", mixer);
    result_add(&(struct result){.name = name,
                                .value = 1e6 * turns[1].cpu_s / SERIES,
                                .unit = "us",
                                .ratio = turns[1].cpu_s / turns[2].cpu_s,
                                .beside = "from history in memory"});
    snprintf(name, sizeof name, "%s: worst difference", mixer);
    result_add(&(struct result){.name = name, .value = worst, .unit = "deviations"});
    close_bench(&b);
}

int main(void)
{
    model_start();
    printf("  %d series, look-back %d in patches of %d, one thread\n", SERIES, L, PATCH);
    measure("rwkv7", false);
    measure("linear", true);
    measure("gdn_swa", false);
    return 0;
}
