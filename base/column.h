/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * column.h -- the series that a column of a table stands for.
 *
 * Text with labels (known by its `="`) is a series as it stands.  Any other text
 * becomes a metric name: prefix is put before it, each character that a metric name
 * cannot have becomes "_", and a digit in front gets a "_" before it.  If that changed
 * the text, it is kept as written in the label `column`, so that two such texts never
 * become one series:
 *
 *     cpu{host="a"}   cpu{host="a"}
 *     HUFL            HUFL
 *     CPU load %      CPU_load__{column="CPU load %"}
 *     0               _0{column="0"}, or fx_0 with the prefix "fx_"
 */
#ifndef COLUMN_H
#define COLUMN_H

#include <stddef.h>

#include "base/err.h"
#include "base/labels.h"

/* Writes the canonical form.  text is zero-terminated at len.  ERR_INVALID: empty, too
 * long, not UTF-8, or labels that labels_parse() refuses. */
int column_series(const char *prefix, const char *text, size_t len,
                  char out[static LABELS_TEXT_MAX], struct err *err);

#endif
