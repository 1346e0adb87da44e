/* SPDX-License-Identifier: GPL-2.0-or-later */
/* spec.h -- whether what a model is asked to do can be done. */
#ifndef SPEC_H
#define SPEC_H

#include "base/err.h"
#include "base/grid.h"
#include "model/model.h"

/* ERR_INVALID names field, rule and value.  grid may be NULL. */
int model_spec_check(const struct model_spec *spec, const struct grid *grid,
                     struct err *err);

#endif
