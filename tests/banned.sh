#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# banned.sh -- calls that have a safer replacement here: see base/time.h, base/zone.h,
# base/rng.h, and snprintf, strtol, memcpy.  And the clock that may be set, by which
# nobody waits: base/time.c reads it for all.
set -u
cd "$(dirname "$0")/.." || exit 1
words='strcpy|strcat|sprintf|vsprintf|strtok|atoi|atol|atof|localtime|gmtime|rand|srand|gets|alloca'
found=$(grep -nE "(^|[^A-Za-z0-9_])(${words})(_r)?[[:space:]]*\(" \
    base/*.[ch] fft/*.[ch] model/*.[ch] storage/*.[ch] api/*.[ch] daemon/*.[ch] etc/demo/*.c \
    2>/dev/null | grep -vE ':[0-9]+:[[:space:]]*(/\*|\*)')
clock=$(grep -n CLOCK_REALTIME base/*.[ch] fft/*.[ch] model/*.[ch] storage/*.[ch] api/*.[ch] daemon/*.[ch] |
    grep -vE '^(base/time|api/process)\.c:')
if [ -n "$found$clock" ]; then
    echo "$found$clock"
    echo "not ok banned calls"
    exit 1
fi
echo "ok banned calls"
