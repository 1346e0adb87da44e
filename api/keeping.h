/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * keeping.h -- what models keep of their series (model.h, states), in memory and in the
 * store: forecasts that need not read history.
 *
 * Of every forecaster whose model streams, a thread of low priority keeps the states of
 * all its series.  Once a second it
 *
 *   - takes the ones that are not there from the store, or makes them from history: a new
 *     series, a new version of the model, one whose samples changed before where it
 *     stands (store_upsets());
 *   - moves all on, by reading the steps that have ended since.  The last step is left
 *     to the forecast: samples of it may still be on their way;
 *   - writes them to the store: soon after some were made, then every ten minutes and at
 *     the end.  After a kill the steps since then are read again.
 *
 * A forecast goes on from states where they are, true and near enough to its origin, reads
 * what is between, and reads history for the other series: the answer is the same.
 */
#ifndef KEEPING_H
#define KEEPING_H

#include "api/reading.h"
#include "api/serving.h"

/* The states for the columns of a forecast, under a lock that others may share. */
struct kept_columns {
    struct keeping *keeping; /* NULL: none */
    const void **states;     /* (cols), NULL: read history */
    size_t behind;
    struct grid *tail; /* that they belong to */
};

/*
 * The tail of a forecast as extent_grid() reads it, but that the columns of states are
 * missing in all rows but the last `behind`: forecaster_states_tail() has them.  Without a
 * state for any column out->states is NULL, and it is extent_grid().  -1 as there.  End
 * with kept_done(), which takes a zeroed one, too.
 */
int kept_grid(struct keeping *keeping, const struct served *served, struct store *store,
              int64_t as_of_ms, const struct extent *extent,
              const struct forecast_wish *wish, struct kept_columns *out,
              struct grid *tail, struct err *err);
void kept_done(struct kept_columns *columns);

#endif
