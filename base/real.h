/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * real.h -- the precision this build computes in.
 *
 * The program computes in float.  The tests compile the same sources once more with
 * -DREAL_DOUBLE, where a gradient check is good to about 1e-10 instead of 1e-5.
 * Write <tgmath.h> functions and REAL_C(0.5) constants, and both builds are exact.
 */
#ifndef REAL_H
#define REAL_H

#ifdef REAL_DOUBLE
typedef double real;
#define REAL_C(x) x
#define REAL_NAME "float64"
#define FFTW(name) fftw_##name
#define GEMM cblas_dgemm
#else
typedef float real;
#define REAL_C(x) x##f
#define REAL_NAME "float32"
#define FFTW(name) fftwf_##name
#define GEMM cblas_sgemm
#endif

#endif
