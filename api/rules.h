/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * rules.h -- what every way in asks of a sample.
 *
 * Messages have no field: the caller puts the place before them with err_prefix().
 */
#ifndef RULES_H
#define RULES_H

#include <stdint.h>

#include "base/err.h"
#include "base/labels.h"

/* A series' canonical name from any spelling. */
int rule_series(const char *text, char canonical[static LABELS_TEXT_MAX],
                struct err *err);

/* Makes a message about a series or a selector one about the field that held it:
 * "selector: must ..." becomes "select: must ...".  -1. */
int rule_field(const char *field, struct err *err);

/* At most future_max_ms ahead of the clock: one wrong clock must not move the end of
 * everybody's data. */
int rule_time_now(int64_t time_ms, int64_t now_ms, int64_t future_max_ms,
                  struct err *err);

#endif
