/* SPDX-License-Identifier: GPL-2.0-or-later */
/* spec.h -- whether what a model is asked to do can be done with this grid. */
#ifndef SPEC_H
#define SPEC_H

#include "base/err.h"
#include "base/grid.h"
#include "model/model.h"

/* model_spec_check(), and whether the grid has as many series as a model may. */
int spec_check_grid(const struct model_spec *spec, const struct grid *grid,
                    struct err *err);

#endif
