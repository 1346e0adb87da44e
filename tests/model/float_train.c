/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Killed and resumed in the precision the program is built in. */
#include "tests/model/test_train.c"
