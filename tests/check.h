/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * check.h -- cmocka, with what it lacks.
 */
#ifndef CHECK_H
#define CHECK_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <string.h>
#include <stdlib.h>

#include "base/err.h"

/* |got - want| <= tolerance * max(1, |want|); NaN equals NaN. */
#define assert_close(got, want, tolerance)                                               \
    check_close((double)(got), (double)(want), (tolerance), #got, __FILE__, __LINE__)

static inline void check_close(double got, double want, double tolerance,
                               const char *what, const char *file, int line)
{
    const int both_nan = isnan(got) && isnan(want);
    const double scale = fabs(want) > 1.0 ? fabs(want) : 1.0;
    if (both_nan || fabs(got - want) <= tolerance * scale)
        return;
    print_error("%s: got %.17g, want %.17g\n", what, got, want);
    _fail(file, line);
}

/* The call succeeded: 0 or more and nothing reported. */
#define assert_ok(call, err)                                                             \
    do {                                                                                 \
        if ((call) < 0) {                                                                \
            print_error("%s: %s\n", #call, (err)->msg);                                  \
            _fail(__FILE__, __LINE__);                                                   \
        }                                                                                \
    } while (0)

/* The call failed with this code and a message that contains text. */
#define assert_err(call, error, want_code, text)                                         \
    do {                                                                                 \
        *(error) = (struct err){0};                                                      \
        assert_int_equal((call), -1);                                                    \
        assert_int_equal((error)->code, (want_code));                                    \
        if (!strstr((error)->msg, (text))) {                                             \
            print_error("message \"%s\" lacks \"%s\"\n", (error)->msg, (text));          \
            _fail(__FILE__, __LINE__);                                                   \
        }                                                                                \
    } while (0)

#endif
