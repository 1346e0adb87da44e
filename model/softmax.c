/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The mixer softmax: attention as everybody knows it, the reference of all others.
 */
#include "model/slices.h"
#include "model/windowed.h"

static struct windowed mask_of(const struct mixer_config *config, size_t T, size_t N)
{
    return (struct windowed){.T = T, .N = N, .causal = config->causal};
}

static size_t softmax_tape(const struct mixer_config *config, size_t T, size_t N)
{
    (void)config;
    (void)N;
    return T; /* log_sum */
}

static size_t softmax_scratch(const struct mixer_config *config, size_t T, size_t N,
                              bool training)
{
    const struct windowed mask = mask_of(config, T, N);
    return windowed_scratch(&mask, training);
}

static void softmax_forward(const struct slice *s, real *o)
{
    const struct windowed mask = mask_of(s->config, s->T, s->N);
    windowed_forward(&mask, s->q, s->k, s->v, o, s->tape, s->scratch);
}

static void softmax_backward(const struct slice *s, const real *d_o,
                             const struct slice_grad *g)
{
    const struct windowed mask = mask_of(s->config, s->T, s->N);
    windowed_backward(&mask, s->q, s->k, s->v, d_o, s->tape, g->dq, g->dk, g->dv,
                      s->scratch);
}

static unsigned softmax_flags(const struct mixer_config *config)
{
    return config->causal ? MIXER_CAUSAL : MIXER_ORDER_FREE;
}

static const struct slices loops = {
    .tape = softmax_tape,
    .scratch = softmax_scratch,
    .forward = softmax_forward,
    .backward = softmax_backward,
};

const struct mixer softmax_mixer = {
    .name = "softmax", .flags = softmax_flags, .slices = &loops};
