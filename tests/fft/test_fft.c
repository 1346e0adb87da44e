/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "fft/fft.h"

#include "base/rng.h"
#include "tests/check.h"

enum { L_MAX = 4096, F_MAX = L_MAX / 2 + 1 };

/* Even, odd, prime, and the smallest. */
static const size_t lengths[] = {96, 95, 36, 1, 2, 3, 97, 720};
enum { LENGTHS = sizeof lengths / sizeof *lengths };

static void fill(real *x, size_t n, uint32_t purpose)
{
    const struct rng_stream stream = {.seed = 7, .purpose = purpose};
    for (size_t i = 0; i < n; i++)
        x[i] = (real)rng_normal(stream, i);
}

static double dot(const real *a, const real *b, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += (double)a[i] * (double)b[i];
    return sum;
}

static _Alignas(64) real work[2 * L_MAX + 64];

/* The definition, term by term. */
static void forward_naive(real *re, real *im, const real *x, size_t L)
{
    for (size_t f = 0; f < fft_bins(L); f++) {
        re[f] = im[f] = 0;
        for (size_t t = 0; t < L; t++) {
            const double angle = -2 * M_PI * (double)(f * t % L) / (double)L;
            re[f] += (real)(cos(angle) / sqrt((double)L)) * x[t];
            im[f] += (real)(sin(angle) / sqrt((double)L)) * x[t];
        }
    }
}

static void forward_is_the_definition(void **state)
{
    (void)state;
    real x[L_MAX], re[F_MAX], im[F_MAX], re2[F_MAX], im2[F_MAX];
    for (size_t i = 0; i < LENGTHS; i++) {
        const size_t L = lengths[i];
        fill(x, L, 1);
        fft_forward(fft_plan(L, NULL), re, im, x, work);
        forward_naive(re2, im2, x, L);
        for (size_t f = 0; f < fft_bins(L); f++) {
            assert_close(re[f], re2[f], 1e-12);
            assert_close(im[f], im2[f], 1e-12);
        }
    }
}

static void inverse_undoes_forward(void **state)
{
    (void)state;
    real x[L_MAX], back[L_MAX], re[F_MAX], im[F_MAX];
    for (size_t i = 0; i < LENGTHS; i++) {
        const size_t L = lengths[i];
        const struct fft_plan *plan = fft_plan(L, NULL);
        fill(x, L, 2);
        fft_forward(plan, re, im, x, work);
        fft_inverse(plan, back, re, im, work);
        for (size_t t = 0; t < L; t++)
            assert_close(back[t], x[t], 1e-13);
    }
}

/* F1: <A x, y> = <x, A' y>, and adjoints add to what is there. */
static void f1_adjoints_keep_the_dot_product(void **state)
{
    (void)state;
    real x[L_MAX], dx[L_MAX], re[F_MAX], im[F_MAX], dre[F_MAX], dim[F_MAX];
    for (size_t i = 0; i < LENGTHS; i++) {
        const size_t L = lengths[i], F = fft_bins(L);
        const struct fft_plan *plan = fft_plan(L, NULL);
        fill(x, L, 3);
        fill(dre, F, 4);
        fill(dim, F, 5);
        fft_forward(plan, re, im, x, work);
        memset(dx, 0, sizeof dx);
        fft_forward_adjoint(plan, dx, dre, dim, work);
        assert_close(dot(re, dre, F) + dot(im, dim, F), dot(x, dx, L), 1e-12);
        fft_forward_adjoint(plan, dx, dre, dim, work);
        assert_close(2 * (dot(re, dre, F) + dot(im, dim, F)), dot(x, dx, L), 1e-12);

        fft_inverse(plan, x, dre, dim, work);
        fill(dx, L, 6);
        memset(re, 0, sizeof re);
        memset(im, 0, sizeof im);
        fft_inverse_adjoint(plan, re, im, dx, work);
        assert_close(dot(re, dre, F) + dot(im, dim, F), dot(x, dx, L), 1e-12);
    }
}

/* The numbers of the specification 1.1 by central differences. */
static void f1_inverse_adjoint_is_the_derivative(void **state)
{
    (void)state;
    real dx[L_MAX], x[L_MAX], re[F_MAX], im[F_MAX], dre[F_MAX], dim[F_MAX];
    for (size_t i = 0; i < 3; i++) {
        const size_t L = lengths[i], F = fft_bins(L);
        const struct fft_plan *plan = fft_plan(L, NULL);
        fill(dx, L, 7);
        fill(re, F, 8);
        fill(im, F, 9);
        memset(dre, 0, sizeof dre);
        memset(dim, 0, sizeof dim);
        fft_inverse_adjoint(plan, dre, dim, dx, work);
        for (size_t k = 0; k < 2 * F; k++) {
            real *const at = k < F ? &re[k] : &im[k - F];
            const real kept = *at, step = REAL_C(1e-4);
            *at = kept + step;
            fft_inverse(plan, x, re, im, work);
            const double up = dot(x, dx, L);
            *at = kept - step;
            fft_inverse(plan, x, re, im, work);
            const double down = dot(x, dx, L);
            *at = kept;
            assert_close(k < F ? dre[k] : dim[k - F], (up - down) / (2 * (double)step),
                         1e-9);
        }
    }
}

static void f1_imaginary_ends_do_not_matter(void **state)
{
    (void)state;
    real x[L_MAX], y[L_MAX], re[F_MAX], im[F_MAX];
    for (size_t i = 0; i < LENGTHS; i++) {
        const size_t L = lengths[i], F = fft_bins(L);
        const struct fft_plan *plan = fft_plan(L, NULL);
        fill(re, F, 10);
        fill(im, F, 11);
        fft_inverse(plan, x, re, im, work);
        im[0] = 1e6;
        if (L % 2 == 0)
            im[L / 2] = -1e6;
        fft_inverse(plan, y, re, im, work);
        assert_memory_equal(x, y, L * sizeof *x);

        real dre[F_MAX] = {0}, dim[F_MAX] = {0};
        fft_inverse_adjoint(plan, dre, dim, x, work);
        assert_true(dim[0] == 0);
        if (L % 2 == 0)
            assert_true(dim[L / 2] == 0);
    }
}

static void plans_are_kept_and_checked(void **state)
{
    (void)state;
    struct err err = {0};
    assert_ptr_equal(fft_plan(96, NULL), fft_plan(96, NULL));
    assert_null(fft_plan(0, &err));
    assert_int_equal(err.code, ERR_INVALID);
    assert_string_equal(err.msg, "length: must be 1..1048576, got 0");
    assert_null(fft_plan((size_t)FFT_LENGTH_MAX + 1, NULL));
    assert_int_equal(fft_bins(96), 49);
    assert_int_equal(fft_bins(95), 48);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(forward_is_the_definition),
        cmocka_unit_test(inverse_undoes_forward),
        cmocka_unit_test(f1_adjoints_keep_the_dot_product),
        cmocka_unit_test(f1_inverse_adjoint_is_the_derivative),
        cmocka_unit_test(f1_imaginary_ends_do_not_matter),
        cmocka_unit_test(plans_are_kept_and_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
