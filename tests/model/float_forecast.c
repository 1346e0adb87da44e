/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Promises P4 and P5 in the precision the program is built in. */
#include "tests/model/test_forecast.c"
