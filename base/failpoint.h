/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * failpoint.h -- places where a test makes the program hang.
 *
 * $FRWKVD_FAILPOINTS names a folder: whoever passes the failpoint NAME waits there for as
 * long as the file NAME is in it.  They are in every binary, so that what is tested is
 * what is shipped; without the variable a pass is one load.
 */
#ifndef FAILPOINT_H
#define FAILPOINT_H

void failpoint(const char *name);

#endif
