/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "model/rwkv7.h"

#include <string.h>

#include "model/linear.h"

enum { RANK_MAX = 4096 };

#define X(id, name, rows, columns, fan_in, rule, value)                                  \
    {name, DIM_##rows, DIM_##columns, DIM_##fan_in, INIT_##rule, value},
static const struct tensor_row table[] = {RWKV7_TENSORS(X)};
#undef X

/* ---- shape and parameters ---------------------------------------------------------- */

static void dims_of(const struct mixer_config *config, size_t dims[DIMS])
{
    dims[DIM_NONE] = 1;
    dims[DIM_C] = config->C;
    dims[DIM_E] = (size_t)(1.2 * (double)config->C);
    dims[DIM_Q] = config->rank;
}

struct rwkv7_shape rwkv7_shape(const struct mixer_config *config, size_t B, size_t T)
{
    size_t dims[DIMS];
    dims_of(config, dims);
    struct rwkv7_shape s = {
        .B = B,
        .T = T,
        .R = B * T,
        .C = config->C,
        .H = config->H,
        .N = config->C / config->H,
        .E = dims[DIM_E],
        .Q = dims[DIM_Q],
        .M = MLPS * dims[DIM_E] + (MAPS - MLPS) * dims[DIM_Q],
    };
    tensors_layout(table, RWKV7_TENSOR_COUNT, dims, s.at);
    return s;
}

int rwkv7_check(const struct mixer_config *config, struct err *err)
{
    if (config->rank >= 1 && config->rank <= RANK_MAX)
        return 0;
    return err_set(err, ERR_INVALID, "rank: must be 1..%d, got %zu", RANK_MAX,
                   config->rank);
}

void rwkv7_params(const struct mixer_config *config, struct tensors *tensors,
                  const char *prefix)
{
    size_t dims[DIMS];
    dims_of(config, dims);
    tensors_add(tensors, prefix, table, RWKV7_TENSOR_COUNT, dims);
}

size_t rwkv7_size(const struct mixer_config *config)
{
    size_t dims[DIMS], at[RWKV7_TENSOR_COUNT];
    dims_of(config, dims);
    return tensors_layout(table, RWKV7_TENSOR_COUNT, dims, at);
}

/* ---- memory ------------------------------------------------------------------------ */

static void *kept(struct arena *arena, const void *what, size_t size)
{
    void *const block = arena_bytes(arena, size);
    return block ? memcpy(block, what, size) : NULL;
}

void *rwkv7_tape_carve(const struct mixer_config *config, size_t B, size_t T,
                       struct arena *arena)
{
    const struct rwkv7_shape s = rwkv7_shape(config, B, T);
    const size_t R = linear_rows(s.R), states = rwkv7_core_states(T, s.N);
    struct rwkv7_tape t = {
        .first = arena_reals(arena, R * s.M),
        .active = arena_reals(arena, R * MLPS * s.E),
        .w_slope = arena_reals(arena, R * s.C),
        .kappa = arena_reals(arena, R * s.C),
        .b = arena_reals(arena, R * s.C),
        .kt = arena_reals(arena, R * s.C),
        .norm = arena_reals(arena, R * s.H),
        .states = states ? arena_reals(arena, B * s.H * states) : NULL,
        .xhat = arena_reals(arena, R * s.C),
        .rstd = arena_reals(arena, R),
        .gated = arena_reals(arena, R * s.C),
        .out_slope = arena_reals(arena, R * s.E),
        .out_active = arena_reals(arena, R * s.E),
    };
    for (size_t i = 0; i < MAPS; i++)
        t.map[i] = arena_reals(arena, R * s.C);
    return kept(arena, &t, sizeof t);
}

void *rwkv7_work_carve(const struct mixer_config *config, size_t B, size_t T,
                       bool training, struct arena *arena)
{
    const struct rwkv7_shape s = rwkv7_shape(config, B, T);
    const size_t R = linear_rows(s.R);
    struct rwkv7_work w = {.lane_size =
                               (rwkv7_core_work(T, s.N, training) + 15) / 16 * 16};
    w.bias = arena_reals(arena, s.M);
    w.o = arena_reals(arena, R * s.C);
    w.lanes = arena_reals(arena, RWKV7_LANES * w.lane_size);
    if (training) {
        real **const by_row[] = {&w.d_out,   &w.d_o, &w.d_gated,
                                 &w.d_kappa, &w.d_b, &w.d_kt};
        for (size_t i = 0; i < sizeof by_row / sizeof *by_row; i++)
            *by_row[i] = arena_reals(arena, R * s.C);
        for (size_t i = 0; i < MAPS; i++)
            w.d_map[i] = arena_reals(arena, R * s.C);
        w.d_out_active = arena_reals(arena, R * s.E);
        w.d_first = arena_reals(arena, R * s.M);
        w.d_bias = arena_reals(arena, s.M);
        w.d_xi = arena_reals(arena, B * s.C);
        w.d_alpha = arena_reals(arena, B * s.C);
        w.d_bonus = arena_reals(arena, B * s.C);
    }
    return kept(arena, &w, sizeof w);
}
