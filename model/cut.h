/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * cut.h -- history cut by time into the parts that may know one another.
 *
 *     rows [0, fit)      a trained candidate fits here, and scales come from here
 *     rows [fit, stop)   it stops here
 *     rows [stop, end)   everybody is judged here
 */
#ifndef CUT_H
#define CUT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "model/model.h"

struct cut {
    size_t fit, stop, end;
};

/*
 * How model_train() cuts: the judge part is the last fifth and at least three
 * horizons, the stop part a tenth and at least one horizon, the fit part the rest.
 * Where that is shorter than a look-back and two horizons, nothing can be trained:
 * false, and fit is no less than half of the rows.
 */
bool cut_history(size_t rows, size_t lookback, size_t horizon, struct cut *cut);

/*
 * A published protocol: fit = train, stop = validation, end = test.  ERR_CONFLICT when
 * a part is shorter than a horizon, or the first one than a window.
 */
int cut_split(const struct model_split *split, size_t rows, size_t lookback,
              size_t horizon, struct cut *cut, struct err *err);

#endif
