/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * process.h -- what the process uses, and what it may use, as metrics under the names
 * that all Prometheus clients give them.
 */
#ifndef PROCESS_H
#define PROCESS_H

#include "api/exposition.h"

/* From /proc/self and the control group's files; what cannot be read is left out. */
void process_write(struct exposition *out);

#endif
