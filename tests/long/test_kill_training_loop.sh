#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The end-to-end test of the same name with a kill in every epoch of longer ones.
KILLS=${KILLS:-5} STEPS=${STEPS:-400} exec "$(dirname "$0")/../e2e/test_kill_training.sh"
