/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/check.h"

#include "model/adamw.h"

/* A stand-in for the network: a weight that decays, a bias that does not, and a vector
 * that takes no part. */
static const struct tensor parts[] = {
    {.name = "w", .offset = 0, .rank = 2, .shape = {2, 2}, .decay = true, .used = true},
    {.name = "b", .offset = 4, .rank = 1, .shape = {2}, .decay = false, .used = true},
    {.name = "unused", .offset = 6, .rank = 1, .shape = {2}, .decay = true},
};
enum { SIZE = 8 };

size_t network_tensors(const struct network *network)
{
    (void)network;
    return sizeof parts / sizeof *parts;
}

const struct tensor *network_tensor(const struct network *network, size_t index)
{
    (void)network;
    return &parts[index];
}

/* The formula of the header, one number at a time. */
static double reference(double p, const double *g, int steps, double rate, double wd)
{
    double m = 0, v = 0;
    for (int t = 1; t <= steps; t++) {
        m = 0.9 * m + 0.1 * g[t - 1];
        v = 0.999 * v + 0.001 * g[t - 1] * g[t - 1];
        p -= rate * wd * p;
        p -= rate * (m / (1 - pow(0.9, t))) / (sqrt(v / (1 - pow(0.999, t))) + 1e-8);
    }
    return p;
}

static void check_steps(bool decay_all)
{
    const struct adamw adamw = {.learning_rate = 0.01,
                                .beta1 = 0.9,
                                .beta2 = 0.999,
                                .epsilon = 1e-8,
                                .weight_decay = 0.1,
                                .decay_all = decay_all};
    enum { STEPS = 5 };
    real theta[SIZE], m[SIZE] = {0}, v[SIZE] = {0};
    double gradient[SIZE][STEPS];
    for (int i = 0; i < SIZE; i++)
        theta[i] = (real)(1 + i);
    for (int t = 0; t < STEPS; t++) {
        real g[SIZE];
        for (int i = 0; i < SIZE; i++)
            g[i] = gradient[i][t] = sin(1.0 + i * 3 + t * 7);
        adamw_step(&adamw, NULL, theta, g, m, v, (uint64_t)t + 1);
    }
    for (int i = 0; i < 6; i++) {
        const double wd = i < 4 || decay_all ? 0.1 : 0.0;
        assert_close(theta[i], reference(1 + i, gradient[i], STEPS, 0.01, wd), 1e-14);
    }
    for (int i = 6; i < SIZE; i++)
        assert_true(theta[i] == 1 + i && m[i] == 0 && v[i] == 0);
}

static void decays_what_the_tensors_say(void **state)
{
    (void)state;
    check_steps(false);
}

static void decays_every_used_tensor(void **state)
{
    (void)state;
    check_steps(true);
}

static void a_first_step_has_the_size_of_the_rate(void **state)
{
    (void)state;
    const struct adamw adamw = {0.5, 0.9, 0.999, 1e-8, 0, false, NULL};
    real theta[SIZE] = {0}, m[SIZE] = {0}, v[SIZE] = {0};
    const real g[SIZE] = {1e-3, -1e3, 0, 5, -5, 2};
    adamw_step(&adamw, NULL, theta, g, m, v, 1);
    for (int i = 0; i < 6; i++)
        assert_close(theta[i], g[i] > 0 ? -0.5 : g[i] < 0 ? 0.5 : 0, 1e-4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decays_what_the_tensors_say),
        cmocka_unit_test(decays_every_used_tensor),
        cmocka_unit_test(a_first_step_has_the_size_of_the_rate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
