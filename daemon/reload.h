/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * reload.h -- the administrator's files, at the start and again.
 *
 * The configuration and every file of forecasters beside it are read once, checked as a
 * whole, and only then do the forecasters become what the files say, in one transaction.
 * Any fault leaves everything as it was.  Options of the configuration take a restart;
 * which have changed is said.
 */
#ifndef RELOAD_H
#define RELOAD_H

#include "base/err.h"

struct config;
struct serving;
struct store;

/* Makes the forecasters what the files beside this configuration say. */
int reload_first(const struct config *config, struct store *store,
                 struct serving *serving, struct err *err);

/* Reads all again.  *report (JSON text, freed by the caller): what has changed, and the
 * options that take a restart.  Tells the service manager meanwhile. */
int reload_again(const struct config *running, struct store *store,
                 struct serving *serving, char **report, struct err *err);

#endif
