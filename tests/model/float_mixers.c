/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The rows of mixers.md, section 8, that are about float: every mixer, in every mode. */
#include <libgen.h>
#include <limits.h>
#include <unistd.h>

#include "model/luna_map.h"
#include "model/matrix.h"
#include "tests/model/allocations.h"
#include "tests/model/core_alone.h"

/* ---- G2: what test_mixers, the same in double, computes ------------------------------ */

static FILE *in_double;

static void precision_case(const struct variant *v, struct mixer_config *config, size_t B,
                           size_t T)
{
    struct fixture f;
    fixture_open(&f, config, B, T, true);
    fixture_value(&f);
    double *const want = malloc(f.n * sizeof *want), worst = 0, scale = 0;
    assert_int_equal(fread(want, sizeof *want, f.n, in_double), f.n);
    for (size_t i = 0; i < f.n; i++) {
        worst = fmax(worst, fabs((double)f.y[i] - want[i]));
        scale = fmax(scale, fabs(want[i]));
    }
    if (!(worst <= 2e-4 * scale)) {
        print_error("%s, trunk %d, T %zu: off by %g of %g\n", v->label,
                    (int)config->trunk, T, worst, scale);
        fail();
    }
    free(want);
    fixture_close(&f);
}

static void g2_float_is_double(void **state)
{
    (void)state;
    char self[PATH_MAX] = "", command[PATH_MAX + 32];
    assert_true(readlink("/proc/self/exe", self, sizeof self - 1) > 0);
    snprintf(command, sizeof command, "%s/test_mixers outputs", dirname(self));
    in_double = popen(command, "r");
    assert_non_null(in_double);
    each(precision_case, SIZES);
    assert_int_equal(fgetc(in_double), EOF);
    assert_int_equal(pclose(in_double), 0);
}

/* ---- the rest of G ------------------------------------------------------------------ */

static void allocation_case(const struct variant *v, struct mixer_config *config,
                            size_t B, size_t T)
{
    struct fixture f;
    real y[64];
    fixture_open(&f, config, B, T, true);
    const bool steps = mixer_flags(config) & MIXER_STEP;
    real *const state = steps ? calloc(mixer_state_size(config), sizeof *state) : NULL;
    real *const work = steps ? calloc(mixer_step_work_size(config), sizeof *work) : NULL;
    const size_t before = allocations();
    fixture_backward(&f);
    if (steps)
        mixer_step(config, f.theta, f.x, y, state, work);
    if (allocations() != before) {
        print_error("%s, T %zu: %zu allocations\n", v->label, T, allocations() - before);
        fail();
    }
    free(work);
    free(state);
    fixture_close(&f);
}

static void g7_calls_allocate_nothing(void **state)
{
    (void)state;
    each(allocation_case, SIZES);
    const size_t before = allocations();
    void *volatile block = malloc(1);
    free(block);
    assert_true(!COUNTS || allocations() > before);
}

static void extreme_case(const struct variant *v, struct mixer_config *config, size_t B,
                         size_t T)
{
    static const double sizes[] = {0, 1e3};
    for (size_t k = 0; k < 2; k++) {
        struct fixture f;
        fixture_open(&f, config, B, T, true);
        fill_normal(f.x, f.n, 2, sizes[k]);
        fixture_value(&f);
        for (size_t i = 0; i < f.n; i++)
            if (!isfinite(f.y[i])) {
                print_error("%s, trunk %d, T %zu: an input of size %g gives %g\n",
                            v->label, (int)config->trunk, T, sizes[k], (double)f.y[i]);
                fail();
            }
        fixture_close(&f);
    }
}

static void g8_extremes_stay_finite(void **state)
{
    (void)state;
    each(extreme_case, SIZES);
}

/* ---- two cores ---------------------------------------------------------------------- */

static void l1_products_are_the_quadratic_form(void **state)
{
    (void)state;
    enum { T = 70, N = 16 };
    const struct mixer_options usual = {USUAL};
    struct core_alone c;
    static double want[T * N];
    double worst = 0, scale = 0;
    core_alone_open(&c, "linear", T, N, false, 0, usual);
    core_alone_forward(&c);
    for (size_t t = 0; t < T; t++) {
        double sum = 1e-6;
        for (size_t i = 0; i < T; i++) {
            double weight = 0;
            for (size_t n = 0; n < N; n++) {
                const double q = (double)c.q[t * N + n], k = (double)c.k[i * N + n];
                weight += (q > 0 ? q + 1 : exp(q)) * (k > 0 ? k + 1 : exp(k));
            }
            sum += weight;
            for (size_t n = 0; n < N; n++)
                want[t * N + n] += weight * (double)c.v[i * N + n];
        }
        for (size_t n = 0; n < N; n++) {
            const double o = want[t * N + n] / sum;
            worst = fmax(worst, fabs((double)c.o[t * N + n] - o));
            scale = fmax(scale, fabs(o));
        }
    }
    assert_true(worst <= 1e-5 * scale);
    core_alone_close(&c);
}

/* The table against the net, at knots and everywhere else. */
static void u2_the_table_is_the_net(void **state)
{
    (void)state;
    enum { L = 4, HD = 64, POINTS = 10000 };
    static real c1[HD], d1[HD], c2[L * HD], d2[L], u[POINTS], got[POINTS * L];
    static real space[2 * HD + 2 * (HD + 1) * L];
    for (int act = LUNA_SOFTPLUS; act <= LUNA_RELU; act++) {
        const struct luna_map map = {.L = L,
                                     .Hd = HD,
                                     .act = (enum luna_nonneg)act,
                                     .c1 = c1,
                                     .d1 = d1,
                                     .c2 = c2,
                                     .d2 = d2};
        fill_normal(c1, HD, 1, 0.5);
        fill_normal(d1, HD, 2, 0.5);
        fill_normal(c2, L * HD, 3, 0.1);
        fill_normal(d2, L, 4, 0.1);
        c1[3] = 0, d1[3] = REAL_C(0.5); /* a unit that is always on, one never */
        c1[4] = 0, d1[4] = REAL_C(-0.5);
        assert_true(luna_table_size(&map) <= sizeof space / sizeof *space);
        const struct luna_table table = luna_table(&map, space);
        fill_normal(u, POINTS, 5, 2);
        for (size_t h = 0; h < HD; h++)
            u[h] = c1[h] != 0 ? -d1[h] / c1[h] : 0;
        luna_look_up(&map, &table, u, POINTS, got);
        luna_act(&map, got, POINTS * L);
        double worst = 0, scale = 0;
        for (size_t i = 0; i < POINTS; i++) {
            real psi[L], hidden[HD];
            luna_map(&map, u[i], psi, hidden);
            for (size_t l = 0; l < L; l++) {
                worst = fmax(worst, fabs((double)got[i * L + l] - (double)psi[l]));
                scale = fmax(scale, fabs((double)psi[l]));
            }
        }
        assert_true(worst <= 1e-6 * scale);
    }
}

int main(void)
{
    matrix_start();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(g7_calls_allocate_nothing), /* first: nothing is kept yet */
        cmocka_unit_test(g2_float_is_double),
        cmocka_unit_test(g8_extremes_stay_finite),
        cmocka_unit_test(l1_products_are_the_quadratic_form),
        cmocka_unit_test(u2_the_table_is_the_net),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
