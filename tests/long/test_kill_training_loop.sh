#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The end-to-end test of the same name with a kill in every epoch of longer ones.
STEPS=${STEPS:-400} POINTS=${POINTS:-fit:1 fit:2 fit:3 fit:4 fit:5 refit:1 refit:2} \
    exec "$(dirname "$0")/../e2e/test_kill_training.sh"
