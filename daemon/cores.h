/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * cores.h -- how much of the machine is ours.
 */
#ifndef CORES_H
#define CORES_H

#include <stddef.h>

/* Cores this process may run on, at least 1: what its affinity allows. */
size_t cores_usable(void);

#endif
