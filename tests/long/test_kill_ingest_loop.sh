#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The end-to-end test of the same name, many times over.
ROUNDS=${ROUNDS:-40} exec "$(dirname "$0")/../e2e/test_kill_ingest.sh"
