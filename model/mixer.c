/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "model/mixer.h"

#include <stdio.h>
#include <string.h>

#include "model/core.h"
#include "model/slices.h"
#include "model/trunk.h"

extern const struct mixer softmax_mixer, linear_mixer, rwkv7_mixer, rwkv7x_mixer,
    inline_mixer, taylor2_mixer, luna_mixer, gdn_swa_mixer, h3_mixer, none_mixer;

/* clang-format off */
static const struct mixer *const mixers[] = {
    &rwkv7_mixer,
    &rwkv7x_mixer,
    &softmax_mixer,
    &linear_mixer,
    &inline_mixer,
    &taylor2_mixer,
    &luna_mixer,
    &gdn_swa_mixer,
    &h3_mixer,
    &none_mixer,
};
/* clang-format on */

enum { MIXERS = sizeof mixers / sizeof *mixers };

const char *mixer_name(size_t index)
{
    return index < MIXERS ? mixers[index]->name : NULL;
}

const struct mixer *mixer_find(const char *name, struct err *err)
{
    char names[160] = "";
    size_t used = 0;
    for (size_t i = 0; i < MIXERS; i++) {
        if (!strcmp(mixers[i]->name, name))
            return mixers[i];
        used += (size_t)snprintf(names + used, sizeof names - used, "%s%s", i ? ", " : "",
                                 mixers[i]->name);
    }
    err_set(err, ERR_INVALID, "mixer: must be one of %s, got \"%.40s\"", names, name);
    return NULL;
}

/* ---- the core ---------------------------------------------------------------------- */

struct core_tensors core_tensors(const struct mixer_config *config)
{
    struct core_tensors tensors = {.dims = {1}};
    if (config->mixer->tensors)
        config->mixer->tensors(config, &tensors);
    return tensors;
}

size_t core_layout(const struct mixer_config *config, size_t *offset)
{
    const struct core_tensors t = core_tensors(config);
    return tensors_layout(t.row, t.count, t.dims, offset);
}

void *core_keep(struct arena *arena, const void *what, size_t size)
{
    void *const block = arena_bytes(arena, size);
    return block ? memcpy(block, what, size) : NULL;
}

void *core_tape(const struct mixer_config *config, size_t B, size_t T,
                struct arena *arena)
{
    return config->mixer->slices ? slices_tape(config, B, T, arena)
                                 : config->mixer->tape(config, B, T, arena);
}

void *core_work(const struct mixer_config *config, size_t B, size_t T, bool training,
                struct arena *arena)
{
    return config->mixer->slices ? slices_work(config, B, T, training, arena)
                                 : config->mixer->work(config, B, T, training, arena);
}

void core_forward(const struct mixer_call *call, const real *theta,
                  const struct core_io *io, void *tape, void *work)
{
    if (call->config->tap)
        call->config->tap->see(call->config->tap->ctx, call, io);
    if (call->config->mixer->slices)
        slices_forward(call, theta, io, tape, work);
    else
        call->config->mixer->forward(call, theta, io, tape, work);
}

void core_backward(const struct mixer_call *call, const real *theta, real *dtheta,
                   const struct core_io *io, const struct core_grad *grad, void *tape,
                   void *work)
{
    if (call->config->mixer->slices)
        slices_backward(call, theta, dtheta, io, grad, tape, work);
    else
        call->config->mixer->backward(call, theta, dtheta, io, grad, tape, work);
}

void core_step(const struct mixer_config *config, const real *theta,
               const struct core_token *token, real *state, real *work)
{
    if (config->mixer->slices)
        slices_step(config, theta, token, state, work);
    else
        config->mixer->step(config, theta, token, state, work);
}

static size_t core_state_size(const struct mixer_config *config)
{
    return config->mixer->slices ? slices_state_size(config)
                                 : config->mixer->state_size(config);
}

static size_t core_step_work_size(const struct mixer_config *config)
{
    return config->mixer->slices ? slices_step_work_size(config)
                                 : config->mixer->step_work_size(config);
}

/* ---- the trunk around it ----------------------------------------------------------- */

/* FRWKV's trunk is that of the cores which want its maps. */
static const struct trunk *trunk_of(const struct mixer_config *config)
{
    const bool native = config->trunk == TRUNK_NATIVE;
    return native && !(config->mixer->flags(config) & MIXER_MAPS) ? &trunk_native
                                                                  : &trunk_frwkv;
}

unsigned mixer_flags(const struct mixer_config *config)
{
    const unsigned flags = config->mixer->flags(config);
    const bool forward = config->dir == DIR_FWD && !config->order;
    return forward || flags & MIXER_ORDER_FREE
               ? flags
               : flags & ~(unsigned)(MIXER_CAUSAL | MIXER_STEP);
}

size_t mixer_kind(const struct mixer_config *config)
{
    struct mixer_config first = *config;
    first.layer = 0;
    return config->mixer->flags(config) != config->mixer->flags(&first);
}

int mixer_check(const struct mixer_config *config, struct err *err)
{
    if (trunk_of(config)->check && trunk_of(config)->check(config, err))
        return -1;
    return config->mixer->check ? config->mixer->check(config, err) : 0;
}

void mixer_params(const struct mixer_config *config, struct tensors *tensors,
                  const char *prefix)
{
    const struct core_tensors core = core_tensors(config);
    trunk_of(config)->params(config, tensors, prefix);
    tensors_add(tensors, prefix, core.row, core.count, core.dims);
}

size_t mixer_size(const struct mixer_config *config)
{
    size_t at[CORE_TENSORS_MAX];
    return trunk_of(config)->size(config) + core_layout(config, at);
}

void *mixer_tape(const struct mixer_config *config, size_t B, size_t T,
                 struct arena *arena)
{
    return trunk_of(config)->tape(config, B, T, arena);
}

void *mixer_work(const struct mixer_config *config, size_t B, size_t T, bool training,
                 struct arena *arena)
{
    return trunk_of(config)->work(config, B, T, training, arena);
}

void mixer_forward(const struct mixer_call *call, const real *theta, const real *x,
                   real *y, void *tape, void *work)
{
    trunk_of(call->config)->forward(call, theta, x, y, tape, work);
}

void mixer_backward(const struct mixer_call *call, const real *theta, const real *x,
                    const real *dy, real *dx, real *dtheta, void *tape, void *work)
{
    trunk_of(call->config)->backward(call, theta, x, dy, dx, dtheta, tape, work);
}

size_t mixer_state_size(const struct mixer_config *config)
{
    return trunk_of(config)->state_size(config) + core_state_size(config);
}

size_t mixer_step_work_size(const struct mixer_config *config)
{
    return trunk_of(config)->step_work_size(config) + core_step_work_size(config);
}

void mixer_step(const struct mixer_config *config, const real *theta, const real *x,
                real *y, real *state, real *work)
{
    trunk_of(config)->step(config, theta, x, y, state, work);
}
