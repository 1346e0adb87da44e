/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The mixer none: the core's output is zero, so tokens never see each other and the
 * trunk is a function of one token.  The control of every comparison: what a mixer gains
 * over it, it gains by mixing.
 */
#include <string.h>

#include "model/slices.h"

static void none_forward(const struct slice *s, real *o)
{
    memset(o, 0, s->T * s->N * sizeof *o);
}

static void none_backward(const struct slice *s, const real *d_o,
                          const struct slice_grad *g)
{
    (void)s, (void)d_o, (void)g; /* gradients are zeroed beforehand */
}

static unsigned none_flags(const struct mixer_config *config)
{
    (void)config;
    return MIXER_ORDER_FREE;
}

static const struct slices loops = {.forward = none_forward, .backward = none_backward};

const struct mixer none_mixer = {.name = "none", .flags = none_flags, .slices = &loops};
