/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Rows S, L, I, T and U of mixers.md, section 8: attention whose tokens have no order, in
 * one pass against its weights written out. */
#include "model/featured.h"
#include "model/matrix.h"
#include "tests/model/core_alone.h"

enum { SMALL = 9, LARGE = 70, TOKENS = LARGE };

static const struct mixer_options usual = {USUAL};

typedef double kernel(const struct core_alone *c, const real *q, const real *k);

static double weights[TOKENS][TOKENS]; /* of query t on token i */

static void write_out_weights(const struct core_alone *c, kernel *f, double eps)
{
    for (size_t t = 0; t < c->T; t++) {
        double sum = eps;
        for (size_t i = 0; i < c->T; i++) {
            weights[t][i] = f(c, c->q + t * c->N, c->k + i * c->N);
            sum += weights[t][i];
        }
        for (size_t i = 0; i < c->T; i++)
            weights[t][i] /= sum;
    }
}

/* Of the core's outputs to the weights' own. */
static double distance(const struct core_alone *c)
{
    static real want[TOKENS * TOKENS];
    memset(want, 0, sizeof want);
    for (size_t t = 0; t < c->T; t++)
        for (size_t i = 0; i < c->T; i++)
            for (size_t n = 0; n < c->N; n++)
                want[t * c->N + n] += (real)weights[t][i] * c->v[i * c->N + n];
    return worst_difference(c->o, want, c->n);
}

static double score(const struct core_alone *c, const real *q, const real *k)
{
    return dot(q, k, c->N) / sqrt((double)c->N);
}

static double exponential(const struct core_alone *c, const real *q, const real *k)
{
    return exp(score(c, q, k));
}

static void assert_rows_sum_to_one(const struct core_alone *c)
{
    for (size_t t = 0; t < c->T; t++) {
        double sum = 0;
        for (size_t i = 0; i < c->T; i++)
            sum += (double)c->o[t * c->N + i];
        assert_true(fabs(sum - 1) < 1e-12);
    }
}

static void mean_of(real *mean, const real *x, size_t T, size_t N)
{
    memset(mean, 0, N * sizeof *mean);
    for (size_t i = 0; i < T * N; i++)
        mean[i % N] += x[i] / (real)T;
}

/* ---- softmax ----------------------------------------------------------------------- */

static void s1_weights_are_a_distribution(void **state)
{
    (void)state;
    struct core_alone c;
    real before[SMALL * SMALL];
    core_alone_open(&c, "softmax", SMALL, SMALL, false, 0, usual);
    core_alone_show_weights(&c);
    core_alone_forward(&c);
    assert_rows_sum_to_one(&c);
    write_out_weights(&c, exponential, 0);
    assert_true(distance(&c) < 1e-12);
    memcpy(before, c.o, sizeof before);
    for (size_t i = 0; i < c.n; i++) /* the same vector on every key */
        c.k[i] += (real)(i % c.N) - 3;
    core_alone_forward(&c);
    assert_true(worst_difference(c.o, before, c.n) < 1e-12);
    core_alone_close(&c);
}

static void s2_a_query_of_zero_takes_the_mean(void **state)
{
    (void)state;
    struct core_alone c;
    real mean[4];
    core_alone_open(&c, "softmax", SMALL, 4, false, 0, usual);
    memset(c.q, 0, c.n * sizeof *c.q);
    core_alone_forward(&c);
    mean_of(mean, c.v, c.T, c.N);
    for (size_t t = 0; t < c.T; t++)
        assert_true(worst_difference(c.o + t * c.N, mean, c.N) < 1e-12);
    core_alone_close(&c);
}

/* ---- linear ------------------------------------------------------------------------ */

static double elu_plus_one(const struct core_alone *c, const real *q, const real *k)
{
    double sum = 0;
    for (size_t n = 0; n < c->N; n++)
        sum += (double)((q[n] > 0 ? q[n] + 1 : exp(q[n])) *
                        (k[n] > 0 ? k[n] + 1 : exp(k[n])));
    return sum;
}

static void l1_products_are_the_quadratic_form(void **state)
{
    (void)state;
    static const size_t sizes[][2] = {{1, 4}, {2, 4}, {SMALL, 4}, {LARGE, 16}};
    for (size_t i = 0; i < 4; i++) {
        struct core_alone c;
        core_alone_open(&c, "linear", sizes[i][0], sizes[i][1], false, 0, usual);
        core_alone_forward(&c);
        write_out_weights(&c, elu_plus_one, 1e-6);
        assert_true(distance(&c) < 1e-12);
        core_alone_close(&c);
    }
}

/* Queries of one direction are one query to a map without a scale; not to inline. */
static void l2_a_homogeneous_map_forgets_lengths(void **state)
{
    (void)state;
    enum { N = 4, n = SMALL * N };
    struct core_alone c;
    real a[n], f[n], once[n], thrice[n];
    const struct featured relu = {.T = SMALL, .N = N, .D = N};
    real *const scratch = calloc(featured_scratch(&relu, false), sizeof *scratch);
    core_alone_open(&c, "inline", SMALL, N, false, 0, usual);
    for (size_t i = 0; i < n; i++) {
        a[i] = fabs(c.q[i]); /* what relu leaves as it is */
        f[i] = c.k[i] > 0 ? c.k[i] : 0;
        c.q[i] = a[i];
        c.k[i] = f[i];
    }
    featured_forward(&relu, a, f, c.v, once, scratch);
    for (size_t i = 0; i < n; i++)
        a[i] *= 3;
    featured_forward(&relu, a, f, c.v, thrice, scratch);
    assert_true(worst_difference(thrice, once, n) < 1e-12);
    core_alone_forward(&c);
    memcpy(once, c.o, sizeof once);
    memcpy(c.q, a, sizeof a);
    core_alone_forward(&c);
    assert_true(worst_difference(c.o, once, n) > 0.1);
    free(scratch);
    core_alone_close(&c);
}

/* ---- inline ------------------------------------------------------------------------ */

static void write_out_inline(const struct core_alone *c)
{
    for (size_t t = 0; t < c->T; t++) {
        double mean = 0;
        for (size_t i = 0; i < c->T; i++)
            mean += score(c, c->q + t * c->N, c->k + i * c->N) / (double)c->T;
        for (size_t i = 0; i < c->T; i++)
            weights[t][i] =
                (score(c, c->q + t * c->N, c->k + i * c->N) - mean + 1) / (double)c->T;
    }
}

/* The linear form as the source writes it: M' q + (1 - s q . mean(k)) mean(v). */
static void uncentred(const struct core_alone *c, real *o)
{
    const size_t N = c->N;
    const real s = 1 / sqrt((real)N);
    real kb[TOKENS], vb[TOKENS];
    mean_of(kb, c->k, c->T, N);
    mean_of(vb, c->v, c->T, N);
    for (size_t t = 0; t < c->T; t++)
        for (size_t n = 0; n < N; n++) {
            const real own = 1 - s * (real)dot(c->q + t * N, kb, N);
            o[t * N + n] = own * vb[n];
            for (size_t m = 0; m < N; m++) {
                real M = 0;
                for (size_t i = 0; i < c->T; i++)
                    M += s / (real)c->T * c->k[i * N + m] * c->v[i * N + n];
                o[t * N + n] += M * c->q[t * N + m];
            }
        }
}

static void i1_three_forms_are_one(void **state)
{
    (void)state;
    static const size_t sizes[][2] = {{1, 4}, {2, 4}, {SMALL, 4}, {LARGE, 16}};
    static real o[LARGE * 16];
    struct core_alone c;
    for (size_t i = 0; i < 4; i++) {
        core_alone_open(&c, "inline", sizes[i][0], sizes[i][1], false, 0, usual);
        core_alone_forward(&c);
        write_out_inline(&c);
        assert_true(distance(&c) < 1e-12);
        uncentred(&c, o);
        assert_true(worst_difference(c.o, o, c.n) < 1e-12);
        core_alone_close(&c);
    }
    core_alone_open(&c, "inline", SMALL, SMALL, false, 0, usual);
    core_alone_show_weights(&c);
    core_alone_forward(&c);
    assert_rows_sum_to_one(&c);
    core_alone_close(&c);
}

/* What x (N) has along a unit vector. */
static void take_away(real *x, const real *unit, size_t N)
{
    const real along = (real)dot(unit, x, N);
    for (size_t n = 0; n < N; n++)
        x[n] -= along * unit[n];
}

/* Brings the centred keys to orthonormal rows in `basis`; returns how many: their rank. */
static size_t centred_rank(const struct core_alone *c, real basis[][SMALL])
{
    const size_t N = c->N;
    real mean[SMALL];
    size_t rank = 0;
    mean_of(mean, c->k, c->T, N);
    for (size_t t = 0; t < c->T; t++) {
        real *const row = basis[rank];
        for (size_t n = 0; n < N; n++)
            row[n] = c->k[t * N + n] - mean[n];
        for (size_t r = 0; r < 2 * rank; r++) /* twice: to the last bit */
            take_away(row, basis[r % rank], N);
        const real norm = sqrt((real)dot(row, row, N));
        for (size_t n = 0; n < N; n++)
            row[n] /= norm;
        rank += norm > 1e-9;
    }
    return rank;
}

/* With more tokens than channels no query has another's weights; with fewer it has those
 * of every query that differs from it by what the centred keys do not see. */
static void i2_queries_collide_only_where_keys_lack_rank(void **state)
{
    (void)state;
    real basis[SMALL + 1][SMALL];
    struct core_alone c;
    core_alone_open(&c, "inline", SMALL, SMALL, false, 0, usual);
    core_alone_show_weights(&c);
    assert_int_equal(centred_rank(&c, basis), SMALL - 1); /* T = N: not enough */
    for (size_t n = 0; n < c.N; n++) /* query 1: query 0 and what no key sees */
        c.q[c.N + n] = 1;
    for (size_t r = 0; r < SMALL - 1; r++)
        take_away(c.q + c.N, basis[r], c.N);
    assert_true(dot(c.q + c.N, c.q + c.N, c.N) > 1e-3);
    for (size_t n = 0; n < c.N; n++)
        c.q[c.N + n] += c.q[n];
    core_alone_forward(&c);
    assert_true(worst_difference(c.o, c.o + c.N, c.N) < 1e-12);
    assert_true(worst_difference(c.o, c.o + 2 * c.N, c.N) > 1e-2);
    core_alone_close(&c);

    /* N + 1 tokens.  Values are the first N of them: the last's weight is what is left
     * to one, so what o shows are all weights. */
    core_alone_open(&c, "inline", 5, 4, false, 0, usual);
    assert_int_equal(centred_rank(&c, basis), 4);
    memset(c.v, 0, c.n * sizeof *c.v);
    for (size_t n = 0; n < c.N; n++)
        c.v[n * c.N + n] = 1;
    core_alone_forward(&c);
    for (size_t t = 0; t < c.T; t++)
        for (size_t i = 0; i < t; i++)
            assert_true(worst_difference(c.o + t * c.N, c.o + i * c.N, c.N) > 1e-3);
    core_alone_close(&c);
}

/* The covariance from differences of pairs, which knows no mean. */
static void i3_it_is_the_mean_and_a_covariance(void **state)
{
    (void)state;
    enum { N = 4 };
    struct core_alone c;
    real want[SMALL * N], mean[N];
    core_alone_open(&c, "inline", SMALL, N, false, 0, usual);
    core_alone_forward(&c);
    mean_of(mean, c.v, c.T, N);
    for (size_t t = 0; t < c.T; t++)
        for (size_t n = 0; n < N; n++) {
            real cov = 0; /* of v[n] and s k . q_t */
            for (size_t i = 0; i < c.T; i++)
                for (size_t j = 0; j < c.T; j++)
                    cov += (c.v[i * N + n] - c.v[j * N + n]) *
                           (real)(score(&c, c.q + t * N, c.k + i * N) -
                                  score(&c, c.q + t * N, c.k + j * N)) /
                           (real)(2 * c.T * c.T);
            want[t * N + n] = mean[n] + cov;
        }
    assert_true(worst_difference(c.o, want, c.n) < 1e-12);
    core_alone_close(&c);
}

static void i4_a_kernel_adds_the_tokens_it_says(void **state)
{
    (void)state;
    enum { N = 4, B2 = 3 };
    struct mixer_options local = usual;
    local.inline_local = LOCAL_ORDER3;
    struct core_alone plain, c;
    core_alone_open(&plain, "inline", SMALL, N, false, 0, usual);
    core_alone_open(&c, "inline", SMALL, N, false, 0, local);
    core_alone_forward(&plain);
    for (size_t tap = 0; tap < 3; tap++) {
        memset(c.theta, 0, c.size * sizeof *c.theta);
        for (size_t n = 0; n < N; n++)
            c.theta[c.at[B2] + 3 * n + tap] = 1;
        core_alone_forward(&c);
        for (size_t t = 0; t < SMALL; t++)
            for (size_t n = 0; n < N; n++) {
                const bool inside = t + tap >= 1 && t + tap - 1 < SMALL;
                const real added = inside ? c.v[(t + tap - 1) * N + n] : 0;
                assert_close(c.o[t * N + n], plain.o[t * N + n] + added, 1e-12);
            }
    }
    core_alone_close(&c);
    core_alone_close(&plain);
}

/* ---- cores that are features ------------------------------------------------------- */

/* f (D): the features of x, which a key adds to an empty state's last D numbers. */
static void features_of(struct core_alone *c, const real *x, real *f, size_t D)
{
    real o[TOKENS];
    const struct core_token token = {.x = c->x, .q = x, .k = x, .v = c->v, .o = o};
    memset(c->state, 0, mixer_state_size(&c->config) * sizeof *c->state);
    core_step(&c->config, c->theta, &token, c->state, c->step_work);
    memcpy(f, c->state + D * c->N, D * sizeof *f);
}

/* As a kernel: of what its steps keep, without their normaliser. */
enum { FEATURES = 1 + 16 + 256 };
static size_t width;

static double of_features(const struct core_alone *c, const real *q, const real *k)
{
    struct core_alone copy = *c;
    real a[FEATURES], f[FEATURES];
    features_of(&copy, q, a, width);
    features_of(&copy, k, f, width);
    return dot(a, f, width);
}

/* ---- taylor2 ----------------------------------------------------------------------- */

static double second_order(const struct core_alone *c, const real *q, const real *k)
{
    const double z = score(c, q, k);
    return 1 + z + z * z / 2;
}

static void open_taylor(struct core_alone *c, enum taylor2_mode mode, size_t T, size_t N,
                        bool beta, bool causal)
{
    struct mixer_options options = usual;
    options.taylor2_mode = mode;
    options.taylor2_shortcut = false;
    options.taylor2_beta = beta;
    core_alone_open(c, "taylor2", T, N, causal, 0, options);
}

/* Both the features by themselves and all tokens at once. */
static void assert_kernel(enum taylor2_mode mode, size_t N, size_t D, bool beta,
                          kernel *want, double least, double most)
{
    struct core_alone c;
    width = D;
    open_taylor(&c, mode, SMALL, N, beta, true);
    for (size_t i = 0; i < c.size; i++)
        c.theta[i] = REAL_C(0.8) + REAL_C(0.1) * (real)i;
    for (size_t t = 0; t < c.T; t++)
        for (size_t i = 0; i < c.T; i++) {
            const double got = of_features(&c, c.q + t * N, c.k + i * N);
            assert_close(got, want(&c, c.q + t * N, c.k + i * N), 1e-12);
            assert_true(got >= least && got <= most);
        }
    struct core_alone all;
    open_taylor(&all, mode, SMALL, N, beta, false);
    memcpy(all.theta, c.theta, c.size * sizeof *c.theta);
    core_alone_forward(&all);
    write_out_weights(&all, want, 1e-6);
    assert_true(distance(&all) < 1e-12);
    core_alone_close(&all);
    core_alone_close(&c);
}

static void t1_products_are_the_second_order(void **state)
{
    (void)state;
    for (size_t N = 4; N <= 16; N *= 4) {
        assert_kernel(TAYLOR_SYM, N, 1 + N + N * (N + 1) / 2, false, second_order, 0.5,
                      INFINITY);
        assert_kernel(TAYLOR_FULL, N, 1 + N + N * N, false, second_order, 0.5, INFINITY);
    }
}

static double squares_stand_for_all(const struct core_alone *c, const real *q,
                                    const real *k)
{
    const double alpha = (double)c->theta[0], gamma = (double)c->theta[1];
    const double beta = c->config.options.taylor2_beta ? (double)c->theta[2] : 0;
    double squares = 0;
    for (size_t n = 0; n < c->N; n++)
        squares += (double)(q[n] * q[n] * k[n] * k[n]);
    return (alpha * alpha * squares + 2 * beta * beta * score(c, q, k) + gamma * gamma +
            1) /
           2;
}

static void t2_diag_is_its_formula(void **state)
{
    (void)state;
    for (int beta = 0; beta < 2; beta++)
        assert_kernel(TAYLOR_DIAG, 4, 10, beta, squares_stand_for_all, 0, INFINITY);
}

/* Squares brought to unit length, without a unit vector before. */
static double squares_of_unit_length(const struct core_alone *c, const real *q,
                                     const real *k)
{
    double qq = 0, kk = 0, qk = 0;
    for (size_t n = 0; n < c->N; n++) {
        const double a = (double)(q[n] * q[n]), b = (double)(k[n] * k[n]);
        qq += a * a, kk += b * b, qk += a * b;
    }
    return (double)(c->theta[0] * c->theta[0]) + qk / (sqrt(qq) * sqrt(kk));
}

static void t3_norm2_is_bounded(void **state)
{
    (void)state;
    struct core_alone c, all;
    width = 5;
    open_taylor(&c, TAYLOR_NORM2, SMALL, 4, false, true);
    open_taylor(&all, TAYLOR_NORM2, SMALL, 4, false, false);
    for (int i = 0; i < 3; i++) {
        const double square = 0.25 * (1 + i) * (1 + i);
        *c.theta = *all.theta = (real)(0.5 * (1 + i));
        for (size_t t = 0; t < c.T * c.T; t++) {
            const double got = of_features(&c, c.q + t / c.T * c.N, c.k + t % c.T * c.N);
            assert_true(got >= square && got <= square + 1);
        }
        core_alone_forward(&all);
        write_out_weights(&all, squares_of_unit_length, 1e-6);
        assert_true(distance(&all) < 1e-6);
    }
    core_alone_close(&all);
    core_alone_close(&c);
}

/* exp(z) - (1 + z + z^2/2) is z^3/6: half the scores, an eighth of the difference.  So it
 * is where they are small, and the normaliser is the same: beside a softmax without that
 * 1e-6, it is all that differs below scores of a hundredth. */
static void t4_the_difference_to_softmax_is_of_third_order(void **state)
{
    (void)state;
    struct core_alone c;
    double before = 0;
    open_taylor(&c, TAYLOR_SYM, SMALL, 4, false, false);
    for (int halvings = 0; halvings < 10; halvings++) {
        core_alone_forward(&c);
        write_out_weights(&c, exponential, 1e-6);
        const double now = distance(&c);
        assert_true(halvings < 4 || (before > 7 * now && before < 9 * now));
        before = now;
        for (size_t i = 0; i < c.n; i++)
            c.q[i] /= 2;
    }
    core_alone_close(&c);
}

/* It is the same as other keys, at no other place. */
static void a_place_adds_its_vector_to_the_key(void **state)
{
    (void)state;
    struct mixer_options options = usual;
    struct core_alone c, plain;
    core_alone_open(&plain, "taylor2", SMALL, 4, false, 0, options);
    options.taylor2_pos = true;
    core_alone_open(&c, "taylor2", SMALL, 4, false, 0, options);
    memcpy(plain.theta, c.theta, plain.size * sizeof *c.theta);
    assert_int_equal(c.size, plain.size + c.n);
    for (size_t i = 0; i < c.n; i++)
        plain.k[i] += c.theta[plain.size + i];
    core_alone_forward(&plain);
    core_alone_forward(&c);
    assert_true(worst_difference(c.o, plain.o, c.n) < 1e-12);
    core_alone_close(&c);
    core_alone_close(&plain);
}

/* ---- luna -------------------------------------------------------------------------- */

enum { W, B, C1, D1, C2, D2, E0, E1 };

/* Cholesky's factor of the kernel's matrix with `shift` on its diagonal exists. */
static bool is_positive(double *a, size_t n, double shift)
{
    for (size_t i = 0; i < n; i++)
        a[i * n + i] += shift;
    for (size_t j = 0; j < n; j++) {
        for (size_t i = j; i < n; i++) {
            for (size_t k = 0; k < j; k++)
                a[i * n + j] -= a[i * n + k] * a[j * n + k];
            if (i == j && !(a[j * n + j] > 0))
                return false;
            if (i > j)
                a[i * n + j] /= sqrt(a[j * n + j]);
        }
        a[j * n + j] = sqrt(a[j * n + j]);
    }
    return true;
}

static void u1_the_kernel_is_positive(void **state)
{
    (void)state;
    static double gram[SMALL * SMALL];
    for (int i = 0; i < 4; i++) {
        struct mixer_options options = usual;
        struct core_alone steps, c;
        options.luna_nonneg = i % 2 ? LUNA_RELU : LUNA_SOFTPLUS;
        options.luna_env = i / 2 ? LUNA_EXP : LUNA_FLAT;
        core_alone_open(&steps, "luna", SMALL, 4, true, 0, options);
        core_alone_open(&c, "luna", SMALL, 4, false, 0, options);
        width = (size_t)(options.luna_m * options.luna_lc);
        for (size_t l = 0; l < 2; l++) /* relu lets some through */
            steps.theta[steps.at[D2] + l] = c.theta[c.at[D2] + l] = REAL_C(0.3);
        for (size_t t = 0; t < SMALL * SMALL; t++) {
            gram[t] = of_features(&steps, c.k + t / SMALL * c.N, c.k + t % SMALL * c.N);
            assert_true(gram[t] >= 0);
        }
        assert_true(is_positive(gram, SMALL, 1e-10));
        /* All at once has the same features, for queries too. */
        for (size_t t = 0; t < SMALL; t++)
            for (size_t k = 0; k < SMALL; k++)
                gram[t * SMALL + k] = of_features(&steps, c.q + t * c.N, c.k + k * c.N);
        for (size_t t = 0; t < SMALL; t++) {
            double sum = 0;
            for (size_t k = 0; k < SMALL; k++)
                sum += gram[t * SMALL + k];
            assert_true(sum > 1e-6); /* below which it is held */
            for (size_t k = 0; k < SMALL; k++)
                weights[t][k] = gram[t * SMALL + k] / sum;
        }
        core_alone_forward(&c);
        assert_true(distance(&c) < 1e-12);
        core_alone_close(&c);
        core_alone_close(&steps);
    }
}

static void u3_without_features_there_is_no_output(void **state)
{
    (void)state;
    struct mixer_options options = usual;
    options.luna_nonneg = LUNA_RELU;
    for (int causal = 0; causal < 2; causal++) {
        struct core_alone c;
        core_alone_open(&c, "luna", SMALL, 4, causal, 0, options);
        memset(c.theta + c.at[C2], 0, (size_t)(2 * 5) * sizeof *c.theta);
        for (size_t l = 0; l < 2; l++)
            c.theta[c.at[D2] + l] = -1;
        core_alone_forward(&c);
        for (size_t i = 0; i < c.n; i++)
            assert_true(c.o[i] == 0);
        core_alone_backward(&c);
        const real *const grads[] = {c.dq, c.dk, c.dv, c.dtheta};
        for (size_t g = 0; g < 4; g++)
            for (size_t i = 0; i < (g < 3 ? c.n : c.size); i++)
                assert_true(isfinite(grads[g][i]));
        core_alone_close(&c);
    }
}

/* The net that is exp between knots on [-KNOTS/2, KNOTS/2] / PER_ONE, by chords. */
enum { PER_ONE = 100, KNOTS = 12 * PER_ONE, DIRECTIONS = 2000 };

static double chord(double at)
{
    return (exp(at + 1.0 / PER_ONE) - exp(at)) * PER_ONE;
}

static void make_exponential(const struct core_alone *c)
{
    double slope = 0;
    for (size_t h = 0; h < KNOTS; h++) {
        const double knot = ((double)h - KNOTS / 2.0) / PER_ONE;
        c->theta[c->at[C1] + h] = 1;
        c->theta[c->at[D1] + h] = (real)-knot;
        c->theta[c->at[C2] + h] = (real)(chord(knot) - slope);
        slope = chord(knot);
    }
    c->theta[c->at[D2]] = (real)exp(-KNOTS / 2.0 / PER_ONE);
    c->theta[c->at[E0]] = 0;
    c->theta[c->at[E1]] = (real)log(exp(1) - 1); /* softplus 1 */
}

/* With psi = exp and the envelope the features are the positive random features, whose
 * kernel is exp(q . k / sqrt N) on average. */
static void u4_positive_random_features_are_a_case(void **state)
{
    (void)state;
    enum { N = 4, T = 3 };
    struct mixer_options options = usual;
    struct core_alone c;
    options.luna_m = DIRECTIONS, options.luna_lc = 1, options.luna_hidden = KNOTS;
    options.luna_env = LUNA_EXP;
    options.luna_nonneg = LUNA_RELU;
    core_alone_open(&c, "luna", T, N, true, 0, options);
    make_exponential(&c);
    memset(c.theta + c.at[B], 0, DIRECTIONS * sizeof *c.theta);
    fill_normal(c.theta + c.at[W], (size_t)(DIRECTIONS * N), 40, pow(N, -0.25));
    real *const a = calloc(2 * DIRECTIONS, sizeof *a), *const f = a + DIRECTIONS;
    for (size_t i = 0; i < c.n; i++)
        c.q[i] /= 2, c.k[i] /= 2;
    for (size_t t = 0; t < T; t++) {
        features_of(&c, c.q + t * N, a, DIRECTIONS);
        features_of(&c, c.k + t * N, f, DIRECTIONS);
        const double square = dot(c.q + t * N, c.q + t * N, N);
        for (size_t m = 0; m < DIRECTIONS; m++) {
            const double u = dot(c.theta + c.at[W] + m * N, c.q + t * N, N);
            assert_true(fabs(u) < KNOTS / 2.0 / PER_ONE);
            const double want = exp(u - square / (2 * sqrt(N))) / sqrt(DIRECTIONS);
            assert_true(fabs((double)a[m] - want) < 2e-5 * want);
        }
        assert_true(
            fabs(dot(a, f, DIRECTIONS) / exponential(&c, c.q + t * N, c.k + t * N) - 1) <
            0.05);
    }
    free(a);
    core_alone_close(&c);
}

int main(void)
{
    matrix_start();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(s1_weights_are_a_distribution),
        cmocka_unit_test(s2_a_query_of_zero_takes_the_mean),
        cmocka_unit_test(l1_products_are_the_quadratic_form),
        cmocka_unit_test(l2_a_homogeneous_map_forgets_lengths),
        cmocka_unit_test(i1_three_forms_are_one),
        cmocka_unit_test(i2_queries_collide_only_where_keys_lack_rank),
        cmocka_unit_test(i3_it_is_the_mean_and_a_covariance),
        cmocka_unit_test(i4_a_kernel_adds_the_tokens_it_says),
        cmocka_unit_test(t1_products_are_the_second_order),
        cmocka_unit_test(t2_diag_is_its_formula),
        cmocka_unit_test(t3_norm2_is_bounded),
        cmocka_unit_test(t4_the_difference_to_softmax_is_of_third_order),
        cmocka_unit_test(a_place_adds_its_vector_to_the_key),
        cmocka_unit_test(u1_the_kernel_is_positive),
        cmocka_unit_test(u3_without_features_there_is_no_output),
        cmocka_unit_test(u4_positive_random_features_are_a_case),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
