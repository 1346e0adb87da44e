/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * replay_all.h -- the newest issues of every forecaster, made again and told of.
 */
#ifndef REPLAY_ALL_H
#define REPLAY_ALL_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

/* Asks the daemon, or opens the folder (client.h; config: its file or NULL), and prints a
 * line for each forecaster, with the first forecast that differs.  *came_out: none does. */
int replay_all(const char *config, size_t issues, bool *came_out, struct err *err);

#endif
