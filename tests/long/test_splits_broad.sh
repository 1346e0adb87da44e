#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The end-to-end test of splits, with the network for 2,000 columns.
NETWORK=1 exec "$(dirname "$0")/../e2e/test_splits.sh"
