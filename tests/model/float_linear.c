/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "model/linear.h"
#include "model/matrix.h"

#include "tests/model/gradient.h"

enum { R_MAX = 264, K_MAX = 1536, O_MAX = 720 };

static real x[R_MAX * K_MAX], w[O_MAX * K_MAX], y[R_MAX * O_MAX], b[O_MAX], one[O_MAX];

/* At the root: a row has the same bits alone, anywhere, and among any others. */
static void g6_a_row_depends_on_itself_alone(void **state)
{
    (void)state;
    static const size_t widths[] = {2,  16, 24, 48,  49,  63,  64,
                                    76, 96, 98, 257, 512, 614, 720};
    static const size_t depths[] = {1, 13, 36, 49, 64, 76, 192, 512, 614, 1536};
    static const size_t rows[] = {1, 7, 14, 24, 25, 49, 112, 120, 121, 224, 264};
    fill_normal(w, O_MAX * K_MAX, 1, 1);
    fill_normal(b, O_MAX, 2, 1);
    for (size_t i = 0; i < sizeof widths / sizeof *widths; i++)
        for (size_t k = 0; k < sizeof depths / sizeof *depths; k++) {
            const size_t O = widths[i], K = depths[k];
            fill_normal(x, K, 3, 1);
            for (size_t r = 1; r < R_MAX; r++)
                memcpy(x + r * K, x, K * sizeof *x);
            linear_forward(NULL, y, O, x, K, w, b, 1, K, O);
            memcpy(one, y, O * sizeof *y);
            for (size_t j = 0; j < sizeof rows / sizeof *rows; j++) {
                linear_forward(NULL, y, O, x, K, w, b, rows[j], K, O);
                for (size_t r = 0; r < rows[j]; r++)
                    if (memcmp(y + r * O, one, O * sizeof *y)) {
                        print_error("row %zu of %zu, %zu x %zu\n", r, rows[j], O, K);
                        fail();
                    }
            }
        }
}

int main(void)
{
    matrix_start();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(g6_a_row_depends_on_itself_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
