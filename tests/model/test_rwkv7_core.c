/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "model/rwkv7_core.h"

#include "model/elementary.h"
#include "model/rwkv7.h"
#include "tests/model/gradient.h"
#include "tests/model/rwkv7_plain.h"

enum { T_MAX = 70, N_MAX = 16, STRIDE = 20, ALL = T_MAX * STRIDE };

enum { R, W, KAPPA, B, V, K, INPUTS };

/* Inputs in the ranges that the gates give them, and gradients. */
struct fixture {
    struct rwkv7_core core;
    struct rwkv7_core_grad grad;
    real in[INPUTS][ALL], d_in[INPUTS][ALL], o[ALL], weight[ALL];
    real states[T_MAX * N_MAX * N_MAX];
    real work[3 * N_MAX + (RWKV7_CHECKPOINT + 2) * N_MAX * N_MAX + (T_MAX + 1) * N_MAX];
};

static void fill(struct fixture *f, size_t T, size_t N)
{
    for (uint32_t i = 0; i < INPUTS; i++)
        fill_normal(f->in[i], ALL, 10 + i, 1);
    fill_normal(f->weight, ALL, 20, 1);
    for (size_t t = 0; t < T; t++) {
        real *const kappa = f->in[KAPPA] + t * STRIDE;
        double squares = 0;
        for (size_t n = 0; n < N; n++)
            squares += (double)(kappa[n] * kappa[n]);
        for (size_t n = 0; n < N; n++) {
            const size_t at = t * STRIDE + n;
            kappa[n] /= (real)sqrt(squares);
            f->in[W][at] = (real)(0.7 + 0.1 * tanh((double)f->in[W][at]));
            f->in[B][at] = kappa[n] * (real)plain_sigmoid((double)f->in[B][at]);
        }
    }
    memset(f->d_in, 0, sizeof f->d_in);
    f->core = (struct rwkv7_core){.T = T,
                                  .N = N,
                                  .stride = STRIDE,
                                  .r = f->in[R],
                                  .w = f->in[W],
                                  .kappa = f->in[KAPPA],
                                  .b = f->in[B],
                                  .v = f->in[V],
                                  .k = f->in[K]};
    f->grad = (struct rwkv7_core_grad){.dr = f->d_in[R],
                                       .dw = f->d_in[W],
                                       .dkappa = f->d_in[KAPPA],
                                       .db = f->d_in[B],
                                       .dv = f->d_in[V],
                                       .dk = f->d_in[K]};
}

static void forward_plain(const struct fixture *f, real *o)
{
    const size_t N = f->core.N;
    double S[N_MAX * N_MAX] = {0};
    for (size_t t = 0; t < f->core.T; t++) {
        const size_t at = t * STRIDE;
        plain_core_step(S, o + at, N, f->in[R] + at, f->in[W] + at, f->in[KAPPA] + at,
                        f->in[B] + at, f->in[V] + at, f->in[K] + at);
    }
}

static const struct {
    size_t T, N;
} sizes[] = {{1, 4}, {2, 4}, {9, 4}, {16, 4}, {17, 4}, {70, 16}};
enum { SIZES = sizeof sizes / sizeof *sizes };

static real rows_differ(const real *a, const real *b, size_t T, size_t N)
{
    double worst = 0;
    for (size_t t = 0; t < T; t++)
        worst = fmax(worst, worst_difference(a + t * STRIDE, b + t * STRIDE, N));
    return worst;
}

static void r1_three_forms_are_one(void **state)
{
    (void)state;
    static struct fixture f;
    static real plain[ALL];
    for (size_t i = 0; i < SIZES; i++) {
        const size_t T = sizes[i].T, N = sizes[i].N;
        fill(&f, T, N);
        forward_plain(&f, plain);
        rwkv7_dual_forward(&f.core, f.o, f.work);
        assert_true(rows_differ(f.o, plain, T, N) < 1e-12);
        rwkv7_state_forward(&f.core, f.o, NULL, f.work);
        assert_true(rows_differ(f.o, plain, T, N) < 1e-12);
        rwkv7_core_forward(&f.core, f.o, f.states, f.work);
        assert_true(rows_differ(f.o, plain, T, N) < 1e-12);
    }
    assert_true(rwkv7_core_is_dual(&(struct rwkv7_core){.T = 7, .N = 4}) &&
                !rwkv7_core_is_dual(&(struct rwkv7_core){.T = 8, .N = 4}));
}

/* With every state kept, as the formulas read. */
static void backward_plain(const struct fixture *f, real grad[INPUTS][ALL])
{
    const size_t N = f->core.N, T = f->core.T;
    static double S[T_MAX + 1][N_MAX * N_MAX];
    double dS[N_MAX * N_MAX] = {0}, o[N_MAX], u[N_MAX], du[N_MAX];
    memset(S, 0, sizeof S);
    for (size_t t = 0; t < T; t++) {
        const size_t at = t * STRIDE;
        memcpy(S[t + 1], S[t], sizeof S[t]);
        plain_core_step(S[t + 1], o, N, f->in[R] + at, f->in[W] + at, f->in[KAPPA] + at,
                        f->in[B] + at, f->in[V] + at, f->in[K] + at);
    }
    memset(grad, 0, INPUTS * sizeof *grad);
    for (size_t t = T; t-- > 0;) {
        const size_t at = t * STRIDE;
        const double *const Sp = S[t];
        for (size_t j = 0; j < N; j++) {
            u[j] = du[j] = 0;
            for (size_t i = 0; i < N; i++) {
                grad[R][at + j] += S[t + 1][i * N + j] * f->weight[at + i];
                dS[i * N + j] += f->weight[at + i] * f->in[R][at + j];
                u[j] += Sp[i * N + j] * f->in[B][at + i];
                du[j] -= dS[i * N + j] * f->in[KAPPA][at + i];
            }
        }
        for (size_t i = 0; i < N; i++)
            for (size_t j = 0; j < N; j++) {
                grad[V][at + i] += dS[i * N + j] * f->in[K][at + j];
                grad[K][at + j] += dS[i * N + j] * f->in[V][at + i];
                grad[W][at + i] += dS[i * N + j] * Sp[i * N + j];
                grad[KAPPA][at + i] -= dS[i * N + j] * u[j];
                grad[B][at + i] += Sp[i * N + j] * du[j];
            }
        for (size_t i = 0; i < N; i++)
            for (size_t j = 0; j < N; j++)
                dS[i * N + j] =
                    f->in[W][at + i] * dS[i * N + j] + f->in[B][at + i] * du[j];
    }
}

/* And the dual form's own backward. */
static void r3_backwards_are_one(void **state)
{
    (void)state;
    static struct fixture f;
    static real plain[INPUTS][ALL];
    for (size_t i = 0; i < SIZES; i++) {
        const size_t T = sizes[i].T, N = sizes[i].N;
        fill(&f, T, N);
        backward_plain(&f, plain);
        rwkv7_dual_backward(&f.core, &f.grad, f.weight, f.work);
        for (size_t k = 0; k < INPUTS; k++)
            assert_true(worst_difference(f.d_in[k], plain[k], ALL) < 1e-12);
        fill(&f, T, N);
        rwkv7_state_forward(&f.core, f.o, f.states, f.work);
        rwkv7_state_backward(&f.core, &f.grad, f.weight, f.states, f.work);
        for (size_t k = 0; k < INPUTS; k++)
            assert_true(worst_difference(f.d_in[k], plain[k], ALL) < 1e-12);
        rwkv7_core_forward(&f.core, f.o, f.states, f.work);
        rwkv7_core_backward(&f.core, &f.grad, f.weight, f.states, f.work);
        for (size_t k = 0; k < INPUTS; k++) { /* added to */
            for (size_t n = 0; n < ALL; n++)
                plain[k][n] *= 2;
            assert_true(worst_difference(f.d_in[k], plain[k], ALL) < 1e-12);
        }
    }
}

static double value(void *ctx)
{
    struct fixture *const f = ctx;
    memset(f->o, 0, sizeof f->o);
    rwkv7_core_forward(&f->core, f->o, f->states, f->work);
    return weigh(f->o, f->weight, ALL);
}

static void gradients(void **state)
{
    (void)state;
    static const char *const names[INPUTS] = {"r", "w", "kappa", "b", "v", "k"};
    static struct fixture f;
    for (size_t i = 0; i < SIZES; i++) {
        fill(&f, sizes[i].T, sizes[i].N);
        value(&f);
        rwkv7_core_backward(&f.core, &f.grad, f.weight, f.states, f.work);
        for (size_t k = 0; k < INPUTS; k++)
            assert_gradient(value, &f, f.in[k], f.d_in[k], sizes[i].T * STRIDE, 64,
                            names[k]);
    }
}

/* The decay's range, whatever comes in. */
static void r2_decay_stays_in_its_range(void **state)
{
    (void)state;
    static const real inputs[] = {-1000, -20, -1, 0, 0.3, 1, 20, 1000};
    for (size_t i = 0; i < sizeof inputs / sizeof *inputs; i++) {
        const struct rwkv7_gates g = rwkv7_gates(inputs[i], inputs[i], 1, 1);
        assert_true(g.w > 0.5818 && g.w < 0.8194);
        assert_true(g.a >= 0 && g.a <= 1 && isfinite(g.w_slope));
    }
    assert_close(rwkv7_gates(0, 0, 1, 1).w, 0.690, 5e-4); /* where it starts */
}

/* Largest singular value of diag(w) - kappa b', by power iteration. */
static double norm_of(const real *w, const real *kappa, const real *b, size_t N)
{
    double x[N_MAX], y[N_MAX], norm = 0;
    for (size_t i = 0; i < N; i++)
        x[i] = 1 + 0.1 * (double)i;
    for (int k = 0; k < 60; k++) {
        double along = 0, back = 0, length = 0;
        for (size_t i = 0; i < N; i++)
            along += (double)b[i] * x[i];
        for (size_t i = 0; i < N; i++) {
            y[i] = (double)w[i] * x[i] - (double)kappa[i] * along;
            back += (double)kappa[i] * y[i];
        }
        for (size_t i = 0; i < N; i++) {
            x[i] = (double)w[i] * y[i] - (double)b[i] * back;
            length += x[i] * x[i];
        }
        norm = sqrt(sqrt(length));
        for (size_t i = 0; i < N; i++)
            x[i] /= sqrt(length);
    }
    return norm;
}

/* A transition never makes the state grow. */
static void r2_transitions_shrink(void **state)
{
    (void)state;
    const struct rng_stream stream = {.seed = 2};
    for (size_t draw = 0; draw < 10000; draw++) {
        const size_t N = 2 + draw % 7;
        real w[N_MAX], kappa[N_MAX], b[N_MAX];
        double squares = 0;
        for (size_t i = 0; i < N; i++) {
            const uint64_t at = (draw * N_MAX + i) * 3;
            kappa[i] = (real)rng_normal(stream, at);
            squares += (double)(kappa[i] * kappa[i]);
            w[i] = rwkv7_gates((real)(5 * rng_normal(stream, at + 1)), 0, 0, 0).w;
            b[i] = elementary_sigmoid((real)(5 * rng_normal(stream, at + 2)));
        }
        for (size_t i = 0; i < N; i++) {
            kappa[i] /= (real)sqrt(squares);
            b[i] *= kappa[i];
        }
        assert_true(norm_of(w, kappa, b, N) < 1);
    }
}

/* Without removal, S is a sum of outer products, each row decaying by itself. */
static void r4_without_rate_it_is_decayed_linear_attention(void **state)
{
    (void)state;
    static struct fixture f;
    const size_t T = 9, N = 4;
    fill(&f, T, N);
    memset(f.in[B], 0, sizeof f.in[B]);
    rwkv7_state_forward(&f.core, f.o, NULL, f.work);
    for (size_t t = 0; t < T; t++)
        for (size_t n = 0; n < N; n++) {
            double want = 0;
            for (size_t i = 0; i <= t; i++) {
                double decay = 1, match = 0;
                for (size_t s = i + 1; s <= t; s++)
                    decay *= (double)f.in[W][s * STRIDE + n];
                for (size_t m = 0; m < N; m++)
                    match += (double)(f.in[K][i * STRIDE + m] * f.in[R][t * STRIDE + m]);
                want += decay * match * (double)f.in[V][i * STRIDE + n];
            }
            assert_close(f.o[t * STRIDE + n], want, 1e-12);
        }
}

/* RWKV-7 itself has its transition on the key side: S = S (diag(w) - kappa b') + v k'. */
static void forward_key_side(const struct fixture *f, real *o)
{
    const size_t N = f->core.N;
    double S[N_MAX * N_MAX] = {0}, next[N_MAX * N_MAX];
    for (size_t t = 0; t < f->core.T; t++) {
        const size_t at = t * STRIDE;
        for (size_t i = 0; i < N; i++)
            for (size_t j = 0; j < N; j++) {
                next[i * N + j] = f->in[V][at + i] * f->in[K][at + j];
                for (size_t m = 0; m < N; m++)
                    next[i * N + j] +=
                        S[i * N + m] * ((m == j ? f->in[W][at + j] : 0) -
                                        f->in[KAPPA][at + m] * f->in[B][at + j]);
            }
        memcpy(S, next, sizeof S);
        for (size_t i = 0; i < N; i++) {
            o[at + i] = 0;
            for (size_t j = 0; j < N; j++)
                o[at + i] += S[i * N + j] * f->in[R][at + j];
        }
    }
}

/* Guards against a silent transposition. */
static void r5_it_is_not_rwkv7(void **state)
{
    (void)state;
    static struct fixture f;
    static real other[ALL];
    const size_t T = 9, N = 4;
    fill(&f, T, N);
    rwkv7_state_forward(&f.core, f.o, NULL, f.work);
    forward_key_side(&f, other);
    assert_true(rows_differ(f.o, other, T, N) > 1e-2);
    memset(f.in[B], 0, sizeof f.in[B]);
    for (size_t t = 0; t < T; t++)
        for (size_t n = 1; n < N; n++)
            f.in[W][t * STRIDE + n] = f.in[W][t * STRIDE];
    rwkv7_state_forward(&f.core, f.o, NULL, f.work);
    forward_key_side(&f, other);
    assert_true(rows_differ(f.o, other, T, N) < 1e-12);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(r1_three_forms_are_one),
        cmocka_unit_test(r3_backwards_are_one),
        cmocka_unit_test(gradients),
        cmocka_unit_test(r2_decay_stays_in_its_range),
        cmocka_unit_test(r2_transitions_shrink),
        cmocka_unit_test(r4_without_rate_it_is_decayed_linear_attention),
        cmocka_unit_test(r5_it_is_not_rwkv7),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
