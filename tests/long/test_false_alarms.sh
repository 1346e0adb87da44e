#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The record of crossings on the demo's disks, beside predict_linear's.
exec "${BUILD:-build}/tests/model/float_crossing"
