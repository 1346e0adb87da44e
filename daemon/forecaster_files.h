/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * forecaster_files.h -- forecasters that an administrator defines in files.
 *
 *     [web]
 *     select = {__name__=~"cpu_.*|request_.*"}
 *     step = 1h
 *     quantiles = [0.1, 0.5, 0.9]
 *     train.every = 1d
 *     forecast.cron = 5 * * * *
 *     settings.epochs = 10
 *
 * A section is a forecaster, a key a field of its definition as HTTP takes it, a dot
 * leads inside an object.  A value that reads as a JSON number, list, true, false or null
 * is that; any other is text.
 */
#ifndef FORECASTER_FILES_H
#define FORECASTER_FILES_H

#include <stddef.h>

#include "base/err.h"

struct store_forecaster;

struct forecaster_files {
    struct store_forecaster *list; /* each with its origin, checked, ready to be stored */
    size_t count;
};

/* Reads every *.conf of a folder, in the order of their names.  No such folder is no
 * files.  Any fault, of any file, fails the whole: file, line, reason. */
int forecaster_files_read(const char *folder, struct forecaster_files *out,
                          struct err *err);
void forecaster_files_fini(struct forecaster_files *files);

#endif
