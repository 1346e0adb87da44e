/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * checkpoint.h -- everything a training needs to go on, in memory and in a file.
 *
 * The file is a safetensors file of the five arrays, the counters and the history,
 * with a checksum over them and a fingerprint of data and settings.  It is written
 * whole beside its place, synced, renamed and the folder synced, so at any instant
 * there is either the old one or the new one.
 */
#ifndef CHECKPOINT_H
#define CHECKPOINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/real.h"
#include "model/loss.h"
#include "model/model.h"

enum train_phase { PHASE_FIT, PHASE_REFIT };

struct train_state {
    size_t size; /* reals in each array */
    real *theta, *m, *v;
    real *shadow; /* averaged weights */
    real *best;   /* what the fit chose; kept through the refit */

    enum train_phase phase;
    uint64_t step; /* done in this phase */
    struct loss_sum epoch_loss;
    double best_loss;
    int best_epoch; /* 0: the initial weights */

    int epoch_count, epoch_capacity;
    struct model_epoch *epochs;
};

/* Zeroed arrays for `size` reals and up to `epochs` epochs of history. */
int train_state_init(struct train_state *state, size_t size, int epochs, struct err *err);
void train_state_fini(struct train_state *state);

/* Writes state to path.  ERR_IO. */
int checkpoint_write(const struct train_state *state, const char *path,
                     uint64_t fingerprint, struct err *err);

/*
 * Reads path into an initialised state.  ERR_NOT_FOUND where there is no file,
 * ERR_CORRUPT for a damaged one, ERR_CONFLICT for one of other data or settings; the
 * state is untouched then.
 */
int checkpoint_read(struct train_state *state, const char *path, uint64_t fingerprint,
                    struct err *err);

#endif
