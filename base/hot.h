/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hot.h -- loops compiled for several widths of vectors.
 *
 * HOT before a function compiles it for several vector widths and picks one at start.
 * Nothing but model/product.c may contract products (-ffp-contract=off), so loops without
 * a sum over lanes give the same bits in each.
 */
#ifndef HOT_H
#define HOT_H

/* The functions that pick run before a sanitizer is ready. */
#if defined(__x86_64__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define HOT __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define HOT
#endif

/* A part of a HOT function: compiled into it, and for the sizes it is called with. */
#define HOT_PART static inline __attribute__((always_inline))

#endif
