#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# kill -9 in ingest, compaction, retention and backup, 160 times in all; and a
# disk that loses what was not synced, 100 times; a migration ends at each of its calls.
bin=${BUILD:-build}/tests/storage
export KILL_ROUNDS=${ROUNDS:-40} POWER_ROUNDS=${POWER_ROUNDS:-100}
"$bin/test_kill" && exec "$bin/test_backup"
