#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The unit test of a simulated year, whole and killed three times.
YEAR_DAYS=${YEAR_DAYS:-365} YEAR_KILLS=${YEAR_KILLS:-3} exec "${BUILD:-build}/tests/daemon/test_year"
