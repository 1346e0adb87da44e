/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "model/model.h"

#include "model/linear.h"

void model_start(void)
{
    linear_start();
}
