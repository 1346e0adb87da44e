/* SPDX-License-Identifier: GPL-2.0-or-later */
/* With the source itself, to try every kernel this processor can run. */
#include "model/product.c"

#include "tests/model/gradient.h"

enum { SIDE = 70, DEPTH = 1100, STRIDE = 1103 };

static real a[STRIDE * STRIDE], b[STRIDE * STRIDE];
static real before[SIDE * SIDE], y[SIDE * SIDE], plain[SIDE * SIDE];

/* The plain loop, with the layout of every kind of operand. */
static void product_plain(real *out, const struct product *p)
{
    for (size_t m = 0; m < p->M; m++)
        for (size_t n = 0; n < p->N; n++) {
            real sum = p->add ? out[m * p->y_row + n] : p->start ? p->start[n] : 0;
            for (size_t k = 0; k < p->K; k++)
                sum += p->a[m * p->a_row + k * p->a_step] *
                       p->b[k * p->b_row + n * p->b_step];
            out[m * p->y_row + n] = sum;
        }
}

static const struct choice plain_choice = {kernel_plain, 32 / sizeof(real)};

/* Those of the choices that this processor has; the last is what product() takes. */
static size_t choices(struct choice list[3])
{
    size_t n = 0;
    list[n++] = plain_choice;
#ifdef __x86_64__
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        list[n++] = (struct choice){kernel_avx2, 64 / sizeof(real)};
    if (__builtin_cpu_supports("avx512f"))
        list[n++] = (struct choice){kernel_avx512, 128 / sizeof(real)};
#endif
    assert_ptr_equal(list[n - 1].run, choose().run);
    return n;
}

/* Sizes around tiles, panels and the depth of a panel; what stands beside stays. */
static void is_the_plain_loop(void **state)
{
    (void)state;
    static const size_t rows[] = {1, 5, 6, 7, 13}, columns[] = {1, 15, 16, 17, 33, 64};
    static const size_t depths[] = {1, 2, 255, 256, 257, 1100};
    struct choice list[3];
    const size_t kernels = choices(list);
    fill_normal(a, STRIDE * STRIDE, 1, 1);
    fill_normal(b, STRIDE * STRIDE, 2, 1);
    fill_normal(before, SIDE * SIDE, 3, 1);
    for (size_t which = 0; which < 16; which++)
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
            for (size_t j = 0; j < sizeof columns / sizeof *columns; j++)
                for (size_t k = 0; k < sizeof depths / sizeof *depths; k++) {
                    const bool a_across = which & 1, b_across = which & 2;
                    const struct product p = {
                        .y = y,
                        .a = a,
                        .b = b,
                        .y_row = SIDE,
                        .a_row = a_across ? 1 : STRIDE,
                        .a_step = a_across ? STRIDE : 1,
                        .b_row = b_across ? 1 : STRIDE,
                        .b_step = b_across ? STRIDE : 1,
                        .M = rows[i],
                        .K = depths[k],
                        .N = columns[j],
                        .add = which & 4,
                        .start = which & 8 ? a + 1 : NULL,
                    };
                    for (size_t c = 0; c < kernels; c++) {
                        memcpy(y, before, sizeof y);
                        memcpy(plain, before, sizeof plain);
                        product_by(list[c], &p);
                        product_plain(plain, &p);
                        assert_true(worst_difference(y, plain, SIDE * SIDE) < 1e-12);
                    }
                }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(is_the_plain_loop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
