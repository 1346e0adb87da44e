/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sequence.h -- the core over its tokens: in which order, in which direction, and the
 * bonus.
 *
 * A core that knows an order takes the tokens as the configuration's `order` has them, or
 * as they stand; `dir` bwd takes them from the end, and bi both ways with the same
 * parameters, the two outputs averaged.  For a core that knows none all of it is the
 * same and is left out.  Cores without MIXER_MAPS get the bonus here.
 */
#ifndef SEQUENCE_H
#define SEQUENCE_H

#include "model/core.h"

#define SEQUENCE_BONUS REAL_C(0.2)

void *sequence_tape(const struct mixer_config *config, size_t B, size_t T,
                    struct arena *arena);
void *sequence_work(const struct mixer_config *config, size_t B, size_t T, bool training,
                    struct arena *arena);

/* As the core's own, in core.h.  io->bonus may be NULL. */
void sequence_forward(const struct mixer_call *call, const real *theta,
                      const struct core_io *io, void *tape, void *work);
void sequence_backward(const struct mixer_call *call, const real *theta, real *dtheta,
                       const struct core_io *io, const struct core_grad *grad, void *tape,
                       void *work);

#endif
