/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "model/trunk_frwkv.h"

#include "model/linear.h"

enum { RANK_MAX = 4096 };

#define X(id, name, rows, columns, fan_in, rule, value)                                  \
    {name, DIM_##rows, DIM_##columns, DIM_##fan_in, INIT_##rule, value},
static const struct tensor_row table[] = {TRUNK_TENSORS(X)};
#undef X

/* ---- shape and parameters ---------------------------------------------------------- */

static void dims_of(const struct mixer_config *config, size_t dims[DIMS])
{
    dims[DIM_NONE] = 1;
    dims[DIM_C] = config->C;
    dims[DIM_E] = (size_t)(1.2 * (double)config->C);
    dims[DIM_Q] = config->rank;
}

/* Only what the two optional maps need. */
static bool is_of_maps(size_t tensor)
{
    switch (tensor) {
    case TRUNK_MU_D:
    case TRUNK_MU_A:
    case TRUNK_DECAY_A:
    case TRUNK_RATE_A:
    case TRUNK_DECAY_B:
    case TRUNK_RATE_B:
    case TRUNK_DECAY_BIAS:
    case TRUNK_RATE_BIAS:
    case TRUNK_XI:
    case TRUNK_ALPHA:
        return true;
    default:
        return false;
    }
}

/* The rows of the table that this configuration has, and which they are. */
static size_t rows_of(const struct mixer_config *config,
                      struct tensor_row rows[TRUNK_TENSOR_COUNT],
                      size_t which[TRUNK_TENSOR_COUNT])
{
    const unsigned flags = config->mixer->flags(config);
    size_t count = 0;
    for (size_t i = 0; i < TRUNK_TENSOR_COUNT; i++) {
        if (is_of_maps(i) && !(flags & MIXER_MAPS))
            continue;
        rows[count] = table[i];
        if (i == TRUNK_DECAY_BIAS && flags & MIXER_WIDE_DECAY) {
            rows[count].init = INIT_SPREAD;
            rows[count].value = -5.5;
        }
        which[count++] = i;
    }
    return count;
}

struct trunk_shape trunk_shape(const struct mixer_config *config, size_t B, size_t T)
{
    struct tensor_row rows[TRUNK_TENSOR_COUNT];
    size_t dims[DIMS], which[TRUNK_TENSOR_COUNT], at[TRUNK_TENSOR_COUNT];
    dims_of(config, dims);
    struct trunk_shape s = {
        .B = B,
        .T = T,
        .R = B * T,
        .C = config->C,
        .H = config->H,
        .E = dims[DIM_E],
        .Q = dims[DIM_Q],
        .wide_decay = config->mixer->flags(config) & MIXER_WIDE_DECAY,
    };
    const bool all = config->mixer->flags(config) & MIXER_MAPS;
    for (size_t i = 0; i < MAPS; i++)
        if (all || (i != MAP_DECAY && i != MAP_RATE))
            s.map[s.maps++] = (enum trunk_map)i;
    s.M = MLPS * s.E + (s.maps - MLPS) * s.Q;
    const size_t count = rows_of(config, rows, which);
    s.size = tensors_layout(rows, count, dims, at);
    for (size_t i = 0; i < count; i++)
        s.at[which[i]] = at[i];
    return s;
}

int trunk_frwkv_check(const struct mixer_config *config, struct err *err)
{
    if (config->rank >= 1 && config->rank <= RANK_MAX)
        return 0;
    return err_set(err, ERR_INVALID, "rank: must be 1..%d, got %zu", RANK_MAX,
                   config->rank);
}

void trunk_frwkv_params(const struct mixer_config *config, struct tensors *tensors,
                        const char *prefix)
{
    struct tensor_row rows[TRUNK_TENSOR_COUNT];
    size_t dims[DIMS], which[TRUNK_TENSOR_COUNT];
    dims_of(config, dims);
    tensors_add(tensors, prefix, rows, rows_of(config, rows, which), dims);
}

size_t trunk_frwkv_size(const struct mixer_config *config)
{
    return trunk_shape(config, 1, 1).size;
}

/* ---- memory ------------------------------------------------------------------------ */

void *trunk_frwkv_tape(const struct mixer_config *config, size_t B, size_t T,
                       struct arena *arena)
{
    const struct trunk_shape s = trunk_shape(config, B, T);
    const size_t R = s.R;
    struct trunk_tape t = {
        .first = arena_reals(arena, R * s.M),
        .active = arena_reals(arena, R * MLPS * s.E),
        .sequence = sequence_tape(config, B, T, arena),
        .xhat = arena_reals(arena, R * s.C),
        .rstd = arena_reals(arena, R),
        .gated = arena_reals(arena, R * s.C),
        .out_slope = arena_reals(arena, R * s.E),
        .out_active = arena_reals(arena, R * s.E),
    };
    for (size_t i = 0; i < s.maps; i++)
        t.map[s.map[i]] = arena_reals(arena, R * s.C);
    return core_keep(arena, &t, sizeof t);
}

void *trunk_frwkv_work(const struct mixer_config *config, size_t B, size_t T,
                       bool training, struct arena *arena)
{
    const struct trunk_shape s = trunk_shape(config, B, T);
    const size_t R = s.R;
    struct trunk_work w = {
        .bias = arena_reals(arena, s.M),
        .o = arena_reals(arena, R * s.C),
        .sequence = sequence_work(config, B, T, training, arena),
    };
    if (training) {
        real **const by_row[] = {&w.d_out, &w.d_o, &w.d_gated};
        for (size_t i = 0; i < sizeof by_row / sizeof *by_row; i++)
            *by_row[i] = arena_reals(arena, R * s.C);
        for (size_t i = 0; i < s.maps; i++)
            w.d_map[s.map[i]] = arena_reals(arena, R * s.C);
        w.d_out_active = arena_reals(arena, R * s.E);
        w.d_first = arena_reals(arena, R * s.M);
        w.d_bias = arena_reals(arena, s.M);
    }
    return core_keep(arena, &w, sizeof w);
}
