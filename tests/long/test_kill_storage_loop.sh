#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The unit test of kill -9 in ingest and compaction, 100 times each.
KILL_ROUNDS=${ROUNDS:-100} exec "${BUILD:-build}/tests/storage/test_kill"
