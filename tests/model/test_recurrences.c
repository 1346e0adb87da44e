/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Rows D and H of mixers.md, section 8, and what of R is about two mixers: cores whose
 * tokens follow each other. */
#include <complex.h>
#undef I

#include "model/gdn.h"
#include "model/matrix.h"
#include "tests/model/core_alone.h"

static const struct mixer_options usual = {USUAL};

/* ---- the gated delta rule ---------------------------------------------------------- */

enum { T_MAX = 140, N_MAX = 16, ALL = T_MAX * N_MAX, SCRATCH = 32768 };

struct delta {
    struct gdn gdn;
    real q[ALL], k[ALL], v[ALL], g[T_MAX], beta[T_MAX];
    real S[N_MAX * N_MAX], o[N_MAX], e[N_MAX];
};

/* Random unit queries and keys, decays and steps within their ranges. */
static void delta_set_up(struct delta *d, size_t T, size_t N, size_t chunk)
{
    *d = (struct delta){.gdn = {.T = T, .N = N, .chunk = chunk}};
    real *const inputs[] = {d->q, d->k, d->v, d->g, d->beta};
    for (uint32_t i = 0; i < 5; i++)
        fill_normal(inputs[i], i < 3 ? T * N : T, 30 + i, 1);
    for (size_t t = 0; t < T; t++) {
        const real qq = sqrt((real)dot(d->q + t * N, d->q + t * N, N));
        const real kk = sqrt((real)dot(d->k + t * N, d->k + t * N, N));
        for (size_t n = 0; n < N; n++) {
            d->q[t * N + n] /= qq;
            d->k[t * N + n] /= kk;
        }
        d->g[t] = -fabs(d->g[t]) / 4;
        d->beta[t] = 1 / (1 + exp(-d->beta[t]));
    }
    d->gdn.q = d->q, d->gdn.k = d->k, d->gdn.v = d->v;
    d->gdn.g = d->g, d->gdn.beta = d->beta;
}

static void write_token(struct delta *d, size_t t)
{
    gdn_step(&d->gdn, t, d->o, d->S, d->e);
}

static void d1_chunks_are_the_recurrence(void **state)
{
    (void)state;
    static struct delta d;
    static real want[ALL], got[ALL], scratch[SCRATCH];
    static const size_t tokens[] = {1, 9, 63, 65, 70, 130}, chunks[] = {4, 16, 64};
    for (size_t i = 0; i < 6; i++)
        for (size_t c = 0; c < 3; c++) {
            delta_set_up(&d, tokens[i], N_MAX, chunks[c]);
            assert_true(gdn_scratch(&d.gdn) <= SCRATCH);
            gdn_recurrent(&d.gdn, want, NULL, scratch);
            gdn_chunked(&d.gdn, got, NULL, scratch);
            assert_true(worst_difference(got, want, tokens[i] * N_MAX) < 1e-10);
        }
}

/* value (N) = S' k */
static void read_key(const struct delta *d, const real *k, real *value)
{
    const size_t N = d->gdn.N;
    memset(value, 0, N * sizeof *value);
    for (size_t i = 0; i < N; i++)
        for (size_t j = 0; j < N; j++)
            value[j] += d->S[i * N + j] * k[i];
}

/* Orthonormal keys, whole steps, no decay: a memory, overwritten where a key repeats. */
static void d2_what_is_written_is_read(void **state)
{
    (void)state;
    enum { N = 4, TOKENS = N + 1 };
    static struct delta d;
    real value[N];
    delta_set_up(&d, TOKENS, N, 16);
    for (size_t t = 0; t < TOKENS; t++) { /* a Hadamard matrix, and its row 1 again */
        static const int sign[N][N] = {
            {1, 1, 1, 1}, {1, -1, 1, -1}, {1, 1, -1, -1}, {1, -1, -1, 1}};
        for (size_t n = 0; n < N; n++)
            d.k[t * N + n] = (real)sign[t < N ? t : 1][n] / 2;
        d.g[t] = 0;
        d.beta[t] = 1;
        write_token(&d, t);
        for (size_t i = 0; i <= t; i++) {
            read_key(&d, d.k + i * N, value);
            const size_t last = t == N && i == 1 ? N : i;
            assert_true(worst_difference(value, d.v + last * N, N) < 1e-12);
        }
    }
}

static void d3_steps_and_decays_at_their_ends(void **state)
{
    (void)state;
    enum { N = 4 };
    static struct delta d;
    real before[N * N];
    delta_set_up(&d, 4, N, 16);
    write_token(&d, 0);
    write_token(&d, 1);
    memcpy(before, d.S, sizeof before);
    d.g[2] = d.beta[2] = 0;
    write_token(&d, 2);
    assert_memory_equal(d.S, before, sizeof before);
    d.g[3] = -50;
    write_token(&d, 3);
    for (size_t i = 0; i < N; i++)
        for (size_t j = 0; j < N; j++)
            assert_close(d.S[i * N + j], d.beta[3] * d.k[3 * N + i] * d.v[3 * N + j],
                         1e-12);
}

/* ---- the window -------------------------------------------------------------------- */

static void open_window(struct core_alone *c, size_t T, size_t N, int window, int sinks,
                        bool rope)
{
    struct mixer_options options = usual;
    options.gdn_window = window, options.gdn_sinks = sinks, options.gdn_rope = rope;
    core_alone_open(c, "gdn_swa", T, N, false, 0, options);
}

static void d4_a_wide_window_is_causal_softmax(void **state)
{
    (void)state;
    struct core_alone softmax, wide;
    core_alone_open(&softmax, "softmax", 70, 16, true, 0, usual);
    core_alone_forward(&softmax);
    for (int window = 70; window < 200; window += 58) {
        open_window(&wide, 70, 16, window, 0, false);
        core_alone_forward(&wide);
        assert_true(worst_difference(wide.o, softmax.o, wide.n) < 1e-12);
        core_alone_close(&wide);
    }
    core_alone_close(&softmax);
}

/* Who sees whom, and a step at a time from a ring the same. */
static void d4_the_mask_is_its_truth_table(void **state)
{
    (void)state;
    static const int cases[][2] = {{1, 0}, {1, 1}, {4, 0}, {4, 1},
                                   {4, 3}, {3, 5}, {16, 1}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (int rope = 0; rope < 2; rope++) {
            enum { T = 12 };
            struct core_alone c;
            real o[T];
            const size_t window = (size_t)cases[i][0], sinks = (size_t)cases[i][1];
            open_window(&c, T, T, cases[i][0], cases[i][1], rope);
            core_alone_show_weights(&c);
            core_alone_forward(&c);
            for (size_t t = 0; t < T; t++) {
                core_alone_step(&c, t, o);
                assert_true(worst_difference(o, c.o + t * T, T) < 1e-10);
                for (size_t k = 0; k < T; k++) {
                    const bool sees = k <= t && (k < sinks || t - k < window);
                    assert_true(sees ? c.o[t * T + k] > 0 : c.o[t * T + k] == 0);
                }
            }
            core_alone_close(&c);
        }
}

/* ---- h3 ---------------------------------------------------------------------------- */

enum { SHIFT_C, SHIFT_D, LOG_DT, LOG_RE, IM, B_RE, B_IM, C_RE, C_IM, D_ };

static real *tensor_of(const struct core_alone *c, size_t tensor)
{
    return c->theta + c->at[tensor];
}

/* One head of N channels. */
static void open_h3(struct core_alone *c, size_t T, size_t N)
{
    struct mixer_options options = usual;
    options.h3_head = (int)N;
    core_alone_open(c, "h3", T, N, false, 0, options);
    for (size_t n = 0; n < 3; n++) /* states that turn and last */
        tensor_of(c, IM)[n] = (real)n + 1;
    *tensor_of(c, LOG_DT) = REAL_C(-2.0);
}

/* 2 Re sum C Bb Ab^l, each power by itself. */
static double filter_at(const struct core_alone *c, size_t l)
{
    const double dt = exp((double)*tensor_of(c, LOG_DT));
    double sum = 0;
    for (size_t n = 0; n < (size_t)usual.h3_state; n++) {
        const double complex A =
            CMPLX(-exp((double)tensor_of(c, LOG_RE)[n]), (double)tensor_of(c, IM)[n]);
        const double complex B =
            CMPLX((double)tensor_of(c, B_RE)[n], (double)tensor_of(c, B_IM)[n]);
        const double complex C =
            CMPLX((double)tensor_of(c, C_RE)[n], (double)tensor_of(c, C_IM)[n]);
        const double complex Ab = (1 + dt * A / 2) / (1 - dt * A / 2);
        sum += 2 * creal(C * dt * B / (1 - dt * A / 2) * cpow(Ab, (double)l));
    }
    return sum;
}

static double shifted(const struct core_alone *c, size_t t, size_t i)
{
    const size_t taps = (size_t)usual.h3_shift_len;
    double sum = (double)(tensor_of(c, SHIFT_D)[i] * c->k[t * c->N + i]);
    for (size_t l = 0; l < taps && l <= t; l++)
        sum += (double)(tensor_of(c, SHIFT_C)[i * taps + l] * c->k[(t - l) * c->N + i]);
    return sum;
}

/* By transforms from 65 tokens on; here by the sums of the formulas. */
static void h1_transforms_are_sums(void **state)
{
    (void)state;
    static const size_t tokens[] = {1, 2, 63, 64, 65, 140};
    enum { N = 2 };
    for (size_t i = 0; i < 6; i++) {
        struct core_alone c;
        real want[T_MAX * N] = {0};
        double filter[T_MAX];
        open_h3(&c, tokens[i], N);
        core_alone_forward(&c);
        for (size_t l = 0; l < c.T; l++)
            filter[l] = filter_at(&c, l);
        filter[0] += (double)*tensor_of(&c, D_);
        for (size_t t = 0; t < c.T; t++)
            for (size_t pair = 0; pair < N * N; pair++) {
                const size_t a = pair / N, b = pair % N;
                double sum = 0;
                for (size_t l = 0; l <= t; l++)
                    sum += filter[t - l] * shifted(&c, l, a) * (double)c.v[l * N + b];
                want[t * N + b] += c.q[t * N + a] * (real)sum;
            }
        assert_true(worst_difference(c.o, want, c.n) < 1e-10);
        core_alone_close(&c);
    }
}

/* Everything but the filter is one: what comes out is what the filter does. */
static void open_through(struct core_alone *c, size_t T)
{
    open_h3(c, T, 1);
    memset(tensor_of(c, SHIFT_C), 0, (size_t)usual.h3_shift_len * sizeof(real));
    *tensor_of(c, SHIFT_D) = 1;
    *tensor_of(c, D_) = 0;
    for (size_t t = 0; t < T; t++)
        c->q[t] = c->v[t] = 1;
}

static void h2_the_filter_is_the_steps_response(void **state)
{
    (void)state;
    for (size_t T = 64; T <= 140; T += 76) {
        struct core_alone c;
        real response[T_MAX], want[T_MAX];
        open_through(&c, T);
        memset(c.k, 0, c.n * sizeof *c.k);
        c.k[0] = 1;
        core_alone_forward(&c);
        for (size_t t = 0; t < T; t++) {
            core_alone_step(&c, t, response + t);
            want[t] = (real)filter_at(&c, t);
        }
        assert_true(worst_difference(response, want, T) < 1e-12);
        assert_true(worst_difference(c.o, want, T) < 1e-12);
        core_alone_close(&c);
    }
}

/* A state of 1, always: dt = 2 C B = 1, A = 0. */
static void make_filter_one(const struct core_alone *c)
{
    *tensor_of(c, LOG_DT) = 0;
    for (size_t n = 0; n < 3; n++) {
        tensor_of(c, LOG_RE)[n] = -1000;
        tensor_of(c, IM)[n] = tensor_of(c, B_IM)[n] = tensor_of(c, C_IM)[n] = 0;
        tensor_of(c, B_RE)[n] = 1;
        tensor_of(c, C_RE)[n] = n == 0 ? REAL_C(0.5) : 0;
    }
}

/* The source's shift is a state that moves along, x <- (b_0 u, x_0 + b_1 u, ...): read by
 * Cs it is the filter sum over m of b_m Cs_(m+j).  With b the first unit vector that is
 * Cs itself, as here; of any other b the filter is that sum. */
static void h3_the_shift_is_a_filter(void **state)
{
    (void)state;
    enum { T = 20, TAPS = 5 };
    real b[TAPS], Cs[TAPS], want[T];
    struct core_alone c;
    fill_normal(Cs, TAPS, 50, 1);
    for (int general = 0; general < 2; general++) {
        fill_normal(b, TAPS, 51, general);
        b[0] += 1 - (real)general;
        open_through(&c, T);
        for (size_t n = 0; n < 3; n++) /* nothing but d reaches the output */
            tensor_of(&c, C_RE)[n] = tensor_of(&c, C_IM)[n] = 0;
        *tensor_of(&c, D_) = 1;
        *tensor_of(&c, SHIFT_D) = 0;
        for (size_t j = 0; j < TAPS; j++)
            for (size_t m = 0; m + j < TAPS; m++)
                tensor_of(&c, SHIFT_C)[j] += b[m] * Cs[m + j];
        real x[TAPS] = {0};
        for (size_t t = 0; t < T; t++) {
            memmove(x + 1, x, (TAPS - 1) * sizeof *x);
            x[0] = 0;
            for (size_t m = 0; m < TAPS; m++)
                x[m] += b[m] * c.k[t];
            want[t] = (real)dot(Cs, x, TAPS);
        }
        core_alone_forward(&c);
        assert_true(worst_difference(c.o, want, T) < 1e-12);
        core_alone_close(&c);
    }
}

/* With q = W x it is a step of gradient descent for each token (section 5.1). */
static void h4_it_contains_linear_attention(void **state)
{
    (void)state;
    enum { N = 4 };
    for (size_t T = 9; T <= 70; T += 61) {
        struct core_alone c;
        real W[N * N], want[70 * N] = {0};
        open_h3(&c, T, N);
        make_filter_one(&c);
        memset(tensor_of(&c, SHIFT_C), 0, N * (size_t)usual.h3_shift_len * sizeof(real));
        for (size_t n = 0; n < N; n++)
            tensor_of(&c, SHIFT_D)[n] = 1;
        *tensor_of(&c, D_) = 0;
        fill_normal(W, N * N, 52, 1);
        for (size_t i = 0; i < c.n; i++)
            c.q[i] = (real)dot(W + i % N * N, c.x + i / N * N, N);
        core_alone_forward(&c);
        for (size_t t = 0; t < T; t++)
            for (size_t i = 0; i <= t; i++)
                for (size_t n = 0; n < N; n++)
                    want[t * N + n] +=
                        (real)dot(c.k + i * N, c.q + t * N, N) * c.v[i * N + n];
        assert_true(worst_difference(c.o, want, c.n) < 1e-12);
        core_alone_close(&c);
    }
}

/* ---- rwkv7 and rwkv7x -------------------------------------------------------------- */

enum { RT = 9, RN = 4 };

/* o of one head under FRWKV's maps; rate and decay as given, which are used up. */
static void with_maps(const char *mixer, real decay_spread, real rate_shift, real *o)
{
    struct core_alone c;
    real decay[RT * RN], rate[RT * RN], xi[RN], alpha[RN], bonus[RN];
    core_alone_open(&c, mixer, RT, RN, true, 0, usual);
    fill_normal(decay, RT * RN, 60, 1);
    fill_normal(rate, RT * RN, 61, 1);
    fill_normal(xi, RN, 62, 1);
    fill_normal(alpha, RN, 63, 1);
    fill_normal(bonus, RN, 64, 1);
    for (size_t i = 0; i < RT * RN; i++) { /* spread 0: one decay for all channels */
        decay[i] = decay[i - i % RN] + decay_spread * (decay[i] - decay[i - i % RN]);
        rate[i] += rate_shift;
    }
    struct core_io io = core_alone_io(&c);
    io.decay = decay, io.rate = rate;
    io.xi = xi, io.alpha = alpha, io.bonus = bonus;
    core_forward(&c.call, c.theta, &io, c.tape, c.work);
    memcpy(o, c.o, c.n * sizeof *o);
    core_alone_close(&c);
}

static void r5_rwkv7x_is_another_mixer(void **state)
{
    (void)state;
    real one[RT * RN], other[RT * RN];
    with_maps("rwkv7", 1, 0, one);
    with_maps("rwkv7x", 1, 0, other);
    assert_true(worst_difference(one, other, RT * RN) > 1e-2);
    with_maps("rwkv7", 0, -1000, one); /* equal decays, no removal */
    with_maps("rwkv7x", 0, -1000, other);
    assert_true(worst_difference(one, other, RT * RN) < 1e-12);
}

int main(void)
{
    matrix_start();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(d1_chunks_are_the_recurrence),
        cmocka_unit_test(d2_what_is_written_is_read),
        cmocka_unit_test(d3_steps_and_decays_at_their_ends),
        cmocka_unit_test(d4_a_wide_window_is_causal_softmax),
        cmocka_unit_test(d4_the_mask_is_its_truth_table),
        cmocka_unit_test(h1_transforms_are_sums),
        cmocka_unit_test(h2_the_filter_is_the_steps_response),
        cmocka_unit_test(h3_the_shift_is_a_filter),
        cmocka_unit_test(h4_it_contains_linear_attention),
        cmocka_unit_test(r5_rwkv7x_is_another_mixer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
