/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ini_file.h -- INI text as sections, keys and whole values.
 *
 * inih does the reading; it knows no line numbers in its handler, splits long lines
 * without a word, and calls the handler once a line for a value that goes on.  This adds
 * the first, refuses the second, and joins the third: a long value goes on in indented
 * lines, which are joined by a space.
 */
#ifndef INI_FILE_H
#define INI_FILE_H

#include <stdio.h>

#include "base/err.h"

/* One key.  line is that of its beginning; -1 with err ends the reading. */
typedef int ini_file_key(void *ctx, const char *section, const char *key,
                         const char *value, int line, struct err *err);

/* name stands for the stream in messages: "/etc/frwkvd.conf: line 3: threads: ..." */
int ini_file_read(FILE *file, const char *name, ini_file_key *each, void *ctx,
                  struct err *err);

#endif
