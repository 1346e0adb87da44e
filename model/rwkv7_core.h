/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * rwkv7_core.h -- the recurrence of one head over its tokens, without parameters.
 *
 * FRWKV's variant of RWKV-7 (Peng et al.: "RWKV-7 'Goose' with Expressive Dynamic State
 * Evolution", 2025).  The state S (N,N) has a row a value channel and a column a key
 * channel; S_0 = 0, and for each token
 *
 *     S_t = diag(w_t) S_{t-1} - kappa_t (b_t' S_{t-1}) + v_t k_t'      o_t = S_t r_t
 *
 * The transition stands left of the state, so decay and removal act on the value side;
 * RWKV-7 has it on the right.  Two exact ways to compute it:
 *
 * state form, about 5 T N^2: the recurrence as written.
 * dual form, about 2.5 T^2 N, no state: every value is carried forward by itself,
 *     z_i(i) = v_i,  z_i(t) = w_t z_i(t-1) - kappa_t (b_t . z_i(t-1)),
 *     o_t = sum over i <= t of (k_i . r_t) z_i(t).
 *
 * The dual form is cheaper while T < 2N.
 *
 * Turned is RWKV-7's own recurrence, the transition on the key side:
 *
 *     S_t = S_{t-1} diag(w_t) - (S_{t-1} kappa_t) b_t' + v_t k_t'      o_t = S_t r_t
 *
 * Its transpose is the recurrence above with kappa and b, and v and k, exchanged; so it
 * is the state form with these exchanged by the caller, and o_t = S_t' r_t.
 */
#ifndef RWKV7_CORE_H
#define RWKV7_CORE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/real.h"

enum { RWKV7_CHECKPOINT = 16 }; /* tokens from one kept state to the next */

/* One head of one sample: T tokens of N channels, `stride` reals apart. */
struct rwkv7_core {
    size_t T, N, stride;
    const real *r, *w, *kappa, *b, *v, *k;
    bool turned; /* see above */
};

/* Gradients, laid out like the inputs; each is added to. */
struct rwkv7_core_grad {
    real *dr, *dw, *dkappa, *db, *dv, *dk;
};

static inline bool rwkv7_core_is_dual(const struct rwkv7_core *core)
{
    return core->T < 2 * core->N && !core->turned;
}

/* Reals that a call needs, and reals of states that forward keeps for backward (0 for
 * the dual form).  Of the core, the sizes and `turned` are read. */
size_t rwkv7_core_work(const struct rwkv7_core *core, bool training);
size_t rwkv7_core_states(const struct rwkv7_core *core);

/* o (T,N), with the stride of the inputs.  states may be NULL: nothing is kept. */
void rwkv7_core_forward(const struct rwkv7_core *core, real *o, real *states, real *work);
void rwkv7_core_backward(const struct rwkv7_core *core,
                         const struct rwkv7_core_grad *grad, const real *d_o,
                         const real *states, real *work);

/* The forms by themselves; what the two functions above choose between. */
size_t rwkv7_dual_work(size_t T, size_t N);
void rwkv7_dual_forward(const struct rwkv7_core *core, real *o, real *work);
void rwkv7_dual_backward(const struct rwkv7_core *core,
                         const struct rwkv7_core_grad *grad, const real *d_o, real *work);
size_t rwkv7_state_work(size_t N);
size_t rwkv7_state_states(size_t T, size_t N);
void rwkv7_state_forward(const struct rwkv7_core *core, real *o, real *states,
                         real *work);
void rwkv7_state_backward(const struct rwkv7_core *core,
                          const struct rwkv7_core_grad *grad, const real *d_o,
                          const real *states, real *work);

/* One token: S becomes the next state, o (N) its answer.  u (N) is scratch. */
void rwkv7_state_step(const struct rwkv7_core *core, size_t t, real *o, real *S, real *u);

#endif
