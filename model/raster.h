/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * raster.h -- tokens that stay what they are when time goes on.
 *
 * Patches of a window move with it, and so do the mean and deviation that they are
 * brought to: nothing done for one origin serves the next.  With `stream` a series is
 * cut by the clock instead, and each token is a function of what was known at its end:
 *
 *   - Encoders begin anew at every absolute step that is a multiple of L/2.  The window
 *     of L steps before an origin reads from the first such step in it, which is its row
 *     `begin` < L/2: between L/2 + 1 and L steps, and every one of those before an origin
 *     is read from the same beginning, so a recurrent mixer can go on where it stood.
 *   - From there patches follow each other as long as they are whole.  The steps left
 *     over are read with those before them, as one more token: the last patch of the
 *     window, whatever it shares with the token before.  A state answers with that token
 *     and forgets it (model/network_state.c).
 *   - A token is less the mean of all steps from `begin` to its own end, over their
 *     deviation.
 *   - What the branches make of a token stands at its steps, g; of two, the later stands.
 *     The window itself, z, is brought to mean and deviation of all its L steps as ever
 *     (model/revin.h): L values are kept, and it costs L to do so.
 *
 *         h[t,d] = 2 e[d] z[t] + g[t,d],  g = irfft(y_re + i y_im), 0 before `begin`
 *
 *     so the head knows each step by its distance from the origin, wherever tokens lie.
 *     Tokens have no other position.
 *
 * Rows r are series of windows, (B V); x (B,L,V); K = L/patch rows of p and of g for each,
 * of which raster_count() mean something.  phase (B): the absolute step of the first
 * target, modulo L.
 */
#ifndef RASTER_H
#define RASTER_H

#include <stddef.h>
#include <stdint.h>

#include "base/real.h"

struct threads;

struct raster {
    size_t L, patch, D, V;
    const uint32_t *phase;
};

/* First row of a window that encoders read, and the tokens from there on. */
size_t raster_begin(const struct raster *raster, uint32_t phase);
size_t raster_count(const struct raster *raster, size_t begin);

/* p (patch): the last of count >= patch values, `stride` apart, from `begin` to its end. */
void raster_token(real *p, const real *x, size_t stride, size_t count, size_t patch);

/* p (R K, patch) from x (B,L,V). */
void raster_tokens(const struct raster *raster, struct threads *pool, real *p,
                   const real *x, size_t B);

/* h (R, L D) from z (R,L), e (D) and g (R K, patch D). */
void raster_join(const struct raster *raster, struct threads *pool, real *h,
                 const real *z, const real *e, const real *g, size_t R);
/* dz, de += ; dg = the gradients at dh. */
void raster_join_backward(const struct raster *raster, struct threads *pool, real *dz,
                          real *de, real *dg, const real *dh, const real *z,
                          const real *e, size_t R);

#endif
