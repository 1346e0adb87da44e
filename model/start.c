/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "model/model.h"

#include <cblas.h>

/* Products are shared out by model/threads.h, whose blocks do not depend on the number
 * of threads as OpenBLAS's own do. */
void model_start(void)
{
    openblas_set_num_threads(1);
}
