/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "model/matrix.h"

#include <cblas.h>
#undef I /* of <complex.h>, which cblas.h includes */

void matrix_start(void)
{
    openblas_set_num_threads(1);
}

void matrix_nn(real *y, const real *a, const real *b, size_t I, size_t K, size_t J,
               real scale, real keep)
{
    GEMM(CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)I, (int)J, (int)K, scale, a,
         (int)K, b, (int)J, keep, y, (int)J);
}

void matrix_nt(real *y, const real *a, const real *b, size_t I, size_t K, size_t J,
               real scale, real keep)
{
    GEMM(CblasRowMajor, CblasNoTrans, CblasTrans, (int)I, (int)J, (int)K, scale, a,
         (int)K, b, (int)K, keep, y, (int)J);
}

void matrix_tn(real *y, const real *a, const real *b, size_t I, size_t K, size_t J,
               real scale, real keep)
{
    GEMM(CblasRowMajor, CblasTrans, CblasNoTrans, (int)I, (int)J, (int)K, scale, a,
         (int)I, b, (int)J, keep, y, (int)J);
}
