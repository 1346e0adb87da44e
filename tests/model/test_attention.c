/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The P rows of mixers.md, section 8. */
#include "tests/check.h"

#include <string.h>

#include "base/rng.h"
#include "model/attention.h"

static const struct rng_stream stream = {8, 3, 0};

static double dot(const double *a, const double *b, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += a[i] * b[i];
    return sum;
}

/* The Monte Carlo risk of W* is the formula's.  x = harmonics of random size, so that
 * its covariance is circulant. */
static void p1_the_closed_form_has_its_risk(void **state)
{
    (void)state;
    enum { p = 6, n = 15, F = p / 2 + 1, DRAWS = 200000 };
    static const double power[F] = {0.5, 3, 1, 0.25}; /* of the covariance */
    const double prior = 0.7, noise = 0.4;
    struct attention t;
    struct err err = {0};
    assert_ok(attention_init(&t, p, &err), &err);
    attention_precondition(&t, power, n, prior, noise);

    double trace = noise / prior, gain = 0; /* in units of the prior */
    for (int f = 0; f < F; f++)
        trace += power[f] * (f == 0 || f == p / 2 ? 1 : 2);
    for (int f = 0; f < F; f++)
        gain += (f == 0 || f == p / 2 ? 1 : 2) * power[f] * power[f] /
                ((n + 1) * power[f] + trace);
    const double want = prior * (trace - n * gain);

    double basis[p][p]; /* orthonormal harmonics times the deviation in each */
    for (int i = 0; i < p; i++)
        for (int k = 0; k < p; k++) {
            const int f = (k + 1) / 2;
            const double angle = 2 * M_PI * f * i / p;
            basis[i][k] = (k == 0 || k == p - 1 ? sqrt(1.0 / p) : sqrt(2.0 / p)) *
                          (k % 2 || k == 0 ? cos(angle) : sin(angle)) * sqrt(power[f]);
        }
    double risk = 0, w[n], score[n];
    for (int i = 0; i < n; i++)
        w[i] = 1.0 / n;
    uint64_t draw = 0;
    for (int run = 0; run < DRAWS; run++) {
        double x[n + 1][p] = {0}, b[p], y[n + 1], a[p], answer = 0;
        for (int i = 0; i < p; i++)
            b[i] = sqrt(prior) * rng_normal(stream, draw++);
        for (int s = 0; s <= n; s++) {
            for (int k = 0; k < p; k++) {
                const double u = rng_normal(stream, draw++);
                for (int i = 0; i < p; i++)
                    x[s][i] += basis[i][k] * u;
            }
            y[s] = dot(x[s], b, p) + sqrt(noise) * rng_normal(stream, draw++);
        }
        attention_direction(&t, x[n], a);
        attention_score(score, x[0], p, w, n, a, p);
        attention_answer(&answer, score, y, 1, n, 1);
        risk += (answer - y[n]) * (answer - y[n]) / DRAWS;
    }
    assert_close(risk, want, 0.02 * want);
    attention_fini(&t);
}

/* Weights for a task that drifts have the risk of their formula, and never more
 * than equal ones have. */
static void p2_weights_for_a_drift_have_their_risk(void **state)
{
    (void)state;
    enum { p = 5, n = 20, DRAWS = 100000 };
    const double rho = 0.9, noise = 0.5;
    double w[n], scratch[n], r = 0;
    attention_drift(w, n, rho, p + 1 + noise, scratch);
    for (int i = 0; i < n; i++) { /* what it solves: (R + extra I) w = r */
        double left = (p + 1 + noise) * w[i];
        for (int j = 0; j < n; j++)
            left += pow(rho, abs(i - j)) * w[j];
        assert_close(left, pow(rho, n - i), 1e-12);
        r += w[i] * pow(rho, n - i);
    }
    const double want = p + noise - p * r;
    assert_close(want, 4.03, 0.005);

    double risk = 0, flat = 0, sum = 0, all = 0; /* the best common weight */
    for (int i = 0; i < n; i++) {
        sum += pow(rho, n - i);
        all += p + 1 + noise;
        for (int j = 0; j < n; j++)
            all += pow(rho, abs(i - j));
    }
    uint64_t draw = 1u << 30;
    for (int run = 0; run < DRAWS; run++) {
        double b[p] = {0}, x[n + 1][p], y[n + 1], weighted = 0, equal = 0;
        for (int s = 0; s <= n; s++) {
            for (int i = 0; i < p; i++) {
                const double u = rng_normal(stream, draw++);
                b[i] = s ? rho * b[i] + sqrt(1 - rho * rho) * u : u;
                x[s][i] = rng_normal(stream, draw++);
            }
            y[s] = dot(x[s], b, p) + sqrt(noise) * rng_normal(stream, draw++);
        }
        for (int i = 0; i < n; i++) {
            const double value = y[i] * dot(x[i], x[n], p);
            weighted += w[i] * value;
            equal += sum / all * value;
        }
        risk += (weighted - y[n]) * (weighted - y[n]) / DRAWS;
        flat += (equal - y[n]) * (equal - y[n]) / DRAWS;
    }
    assert_close(risk, want, 0.02 * want);
    assert_true(risk <= flat);
}

/* Many steps of descent are least squares. */
static void p3_descent_ends_at_least_squares(void **state)
{
    (void)state;
    enum { p = 8, n = 200 };
    double x[n][p], w[n], query[p], score[n], a[p], b[p], matrix[p * p];
    for (int i = 0; i < n; i++) {
        w[i] = (1 + i % 3) / (2.0 * n);
        for (int k = 0; k < p; k++)
            x[i][k] = rng_normal(stream, (uint64_t)(i * p + k));
    }
    for (int k = 0; k < p; k++)
        query[k] = rng_normal(stream, (uint64_t)(n * p + k));
    struct attention t;
    struct err err = {0};
    assert_ok(attention_init(&t, p, &err), &err);
    for (size_t f = 0; f < t.bins; f++)
        t.weight[f] = 0.6; /* below one over the largest eigenvalue of S */
    attention_descend(&t, x[0], p, w, n, query, 500, score, a);
    attention_ridge(x[0], p, w, n, p, query, 0, matrix, b);
    for (int k = 0; k < p; k++)
        assert_close(a[k], b[k], 1e-8);
    attention_descend(&t, x[0], p, w, n, query, 1, score, a);
    attention_direction(&t, query, b); /* one step is the layer itself */
    for (int k = 0; k < p; k++)
        assert_close(a[k], b[k], 1e-14);
    attention_fini(&t);
}

/* Old pairs fade and one comes in, again and again: what all pairs at once give. */
static void p3_one_pair_at_a_time_is_all_at_once(void **state)
{
    (void)state;
    enum { p = 8, n = 200, P = 3 };
    const double rho = 0.97;
    static double x[n][p], y[n][P], w[n], score[n];
    double a[p], whole[P] = {0}, running[P] = {0};
    for (int i = 0; i < n; i++) {
        w[i] = pow(rho, n - 1 - i);
        for (int k = 0; k < p; k++)
            x[i][k] = rng_normal(stream, (uint64_t)(i * p + k));
        for (int j = 0; j < P; j++)
            y[i][j] = rng_normal(stream, (uint64_t)(n * p + i * P + j));
    }
    for (int k = 0; k < p; k++)
        a[k] = 1 + k;
    attention_score(score, x[0], p, w, n, a, p);
    attention_answer(whole, score, y[0], P, n, P);
    for (int i = 0; i < n; i++) {
        for (int j = 0; j < P; j++)
            running[j] *= rho;
        attention_score(score, x[i], p, (double[]){1}, 1, a, p);
        attention_answer(running, score, y[i], P, 1, P);
    }
    for (int j = 0; j < P; j++)
        assert_close(running[j], whole[j], 1e-12);
}

/* The frequencies' weights are a circulant W in time. */
static void p4_weights_of_frequencies_are_a_circulant(void **state)
{
    (void)state;
    for (size_t p = 7; p <= 8; p++) {
        struct attention t;
        struct err err = {0};
        assert_ok(attention_init(&t, p, &err), &err);
        double power[8], W[8][8], x[8], query[8], a[8], want = 0;
        for (size_t i = 0; i < p; i++) {
            power[i] = 0.1 + (double)(i * i);
            x[i] = rng_normal(stream, i);
            query[i] = rng_normal(stream, 100 + i);
        }
        attention_precondition(&t, power, 5, 2, 0.3);
        for (size_t i = 0; i < p; i++)
            for (size_t k = 0; k < p; k++) {
                W[i][k] = 0;
                for (size_t f = 0; f < p; f++) /* both halves of the spectrum */
                    W[i][k] +=
                        t.weight[f < p - f ? f : p - f] / (double)p *
                        cos(2 * M_PI * (double)f * ((double)i - (double)k) / (double)p);
            }
        for (size_t i = 0; i < p; i++)
            want += x[i] * dot(W[i], query, p);
        attention_direction(&t, query, a);
        assert_close(dot(x, a, p), want, 1e-12);
        attention_fini(&t);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(p1_the_closed_form_has_its_risk),
        cmocka_unit_test(p2_weights_for_a_drift_have_their_risk),
        cmocka_unit_test(p3_descent_ends_at_least_squares),
        cmocka_unit_test(p3_one_pair_at_a_time_is_all_at_once),
        cmocka_unit_test(p4_weights_of_frequencies_are_a_circulant),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
