/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * gdn.h -- the gated delta rule over the tokens of one head (Yang, Kautz, Hatamizadeh:
 * "Gated Delta Networks: Improving Mamba2 with Delta Rule", 2024).
 *
 *     Sd = exp(g_t) S_{t-1}       S (N,N): a row is a key channel, g_t <= 0
 *     e_t = v_t - Sd' k_t
 *     S_t = Sd + beta_t k_t e_t'      o_t = S_t' q_t / sqrt(N)
 *
 * recurrent: as written.  chunked: n tokens at a time by dense products, with the
 * inverse of a unit triangular matrix by substitution (all exponents are <= 0):
 * worth it from 64 tokens on.
 */
#ifndef GDN_H
#define GDN_H

#include <stdbool.h>
#include <stddef.h>

#include "base/real.h"

enum { GDN_CHECKPOINT = 16, GDN_CHUNK_FROM = 64 };

struct gdn {
    size_t T, N, chunk;
    const real *q, *k, *v; /* (T,N) */
    const real *g, *beta;  /* (T) */
};

/* What backward starts from: the state before every 16th token. */
size_t gdn_states(const struct gdn *gdn);
size_t gdn_scratch(const struct gdn *gdn);

/* Chunked from GDN_CHUNK_FROM tokens on; states may be NULL. */
void gdn_forward(const struct gdn *gdn, real *o, real *states, real *scratch);
void gdn_recurrent(const struct gdn *gdn, real *o, real *states, real *scratch);
void gdn_chunked(const struct gdn *gdn, real *o, real *states, real *scratch);

/* dq, dk, dv (T,N), dg, dbeta (T): added to. */
void gdn_backward(const struct gdn *gdn, const real *d_o, const real *states, real *dq,
                  real *dk, real *dv, real *dg, real *dbeta, real *scratch);

/* One token; S (N,N) becomes the next state; e (N) is scratch. */
void gdn_step(const struct gdn *gdn, size_t t, real *o, real *S, real *e);

#endif
