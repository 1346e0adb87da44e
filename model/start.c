/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "model/model.h"

#include "model/matrix.h"

void model_start(void)
{
    matrix_start();
}
