/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "model/concentration.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"

enum { DRAWS = CONCENTRATION_DRAWS, QUERIES = CONCENTRATION_QUERIES, FEWER = 16 };
enum { SMALLEST = 8, SLOPE_FROM = 32, BOOTSTRAPS = 200 };
enum { PURPOSE_SUBSET = 1, PURPOSE_GAUSS, PURPOSE_GRADIENT, PURPOSE_BOOTSTRAP };

/* Some tokens of one sample, with what is computed from them. */
struct draw {
    size_t T, N, Q;      /* tokens, channels, queries: the first Q of the tokens */
    double *q, *k, *v;   /* (T,N) */
    double *kb, *vb, *M; /* (N), (N), (N,N): mean, mean, s Cov(k,v) */
    double *a;           /* (T) the weights of one query */
    double *d_o;         /* (N) */
    double *grad[4];     /* (N,N): of values and of keys-queries, softmax and inline */
};

static void draw_open(struct draw *d, size_t T, size_t N)
{
    *d = (struct draw){.N = N};
    double *const block = mem_new(3 * T * N + 3 * N + 5 * N * N + T, sizeof *block);
    d->q = block;
    d->k = block + T * N;
    d->v = block + 2 * T * N;
    d->kb = block + 3 * T * N;
    d->vb = d->kb + N;
    d->d_o = d->vb + N;
    d->M = d->d_o + N;
    for (size_t i = 0; i < 4; i++)
        d->grad[i] = d->M + (i + 1) * N * N;
    d->a = d->M + 5 * N * N;
}

static double dot(const double *a, const double *b, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += a[i] * b[i];
    return sum;
}

static double apart(const double *a, const double *b, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += (a[i] - b[i]) * (a[i] - b[i]);
    return sum;
}

/* Means, and M = Cov(k, v) / sqrt(N), of T tokens. */
static void moments(const double *k, const double *v, size_t T, size_t N, double *kb,
                    double *vb, double *M)
{
    memset(kb, 0, N * sizeof *kb);
    memset(vb, 0, N * sizeof *vb);
    memset(M, 0, N * N * sizeof *M);
    for (size_t t = 0; t < T; t++)
        for (size_t n = 0; n < N; n++) {
            kb[n] += k[t * N + n] / (double)T;
            vb[n] += v[t * N + n] / (double)T;
        }
    const double scale = 1 / (sqrt((double)N) * (double)T);
    for (size_t t = 0; t < T; t++)
        for (size_t i = 0; i < N; i++)
            for (size_t j = 0; j < N; j++)
                M[i * N + j] += scale * (k[t * N + i] - kb[i]) * (v[t * N + j] - vb[j]);
}

/* o = vb + M' q */
static void linear_answer(const double *q, const double *vb, const double *M, size_t N,
                          double *o)
{
    memcpy(o, vb, N * sizeof *o);
    for (size_t i = 0; i < N; i++)
        for (size_t j = 0; j < N; j++)
            o[j] += q[i] * M[i * N + j];
}

/* a (T) = softmax of the scores; o = sum a v. */
static void softmax_answer(const struct draw *d, const double *q, double *a, double *o)
{
    const double scale = 1 / sqrt((double)d->N);
    double most = -INFINITY, sum = 0;
    for (size_t i = 0; i < d->T; i++) {
        a[i] = scale * dot(q, d->k + i * d->N, d->N);
        most = fmax(most, a[i]);
    }
    for (size_t i = 0; i < d->T; i++)
        sum += a[i] = exp(a[i] - most);
    memset(o, 0, d->N * sizeof *o);
    for (size_t i = 0; i < d->T; i++) {
        a[i] /= sum;
        for (size_t n = 0; n < d->N; n++)
            o[n] += a[i] * d->v[i * d->N + n];
    }
}

/* ---- draws ------------------------------------------------------------------------- */

static void take_tokens(struct draw *d, const struct concentration_data *data, size_t s,
                        size_t count, uint32_t *order, struct rng_stream stream)
{
    const size_t N = data->N, at = s * data->T * N;
    d->T = count;
    d->Q = count < QUERIES ? count : QUERIES;
    rng_shuffle(stream, order, data->T);
    for (size_t i = 0; i < count; i++) {
        const size_t from = at + order[i] * N;
        memcpy(d->q + i * N, data->q + from, N * sizeof *d->q);
        memcpy(d->k + i * N, data->k + from, N * sizeof *d->k);
        memcpy(d->v + i * N, data->v + from, N * sizeof *d->v);
    }
}

/* The Gaussian of (k,v): mean (2N) and the factor of its covariance (2N,2N). */
struct gauss {
    size_t n, key_rank; /* directions in which keys differ */
    double *mean, *factor;
};

static void gauss_fit(struct gauss *g, const double *k, const double *v, size_t T,
                      size_t N)
{
    const size_t n = g->n = 2 * N;
    g->mean = mem_new(n + n * n, sizeof *g->mean);
    g->factor = g->mean + n;
    double *const row = mem_new(n, sizeof *row);
    for (size_t pass = 0; pass < 2; pass++)
        for (size_t t = 0; t < T; t++) {
            memcpy(row, k + t * N, N * sizeof *row);
            memcpy(row + N, v + t * N, N * sizeof *row);
            for (size_t i = 0; i < n; i++) {
                if (pass == 0)
                    g->mean[i] += row[i] / (double)T;
                for (size_t j = 0; pass == 1 && j <= i; j++)
                    g->factor[i * n + j] +=
                        (row[i] - g->mean[i]) * (row[j] - g->mean[j]) / (double)T;
            }
        }
    free(row);
    /* Cholesky; a direction without variance stays without. */
    for (size_t j = 0; j < n; j++) {
        double *const at = g->factor + j * n;
        const double whole = at[j], left = whole - dot(at, at, j);
        at[j] = left > 1e-12 * whole ? sqrt(left) : 0;
        g->key_rank += j < N && at[j] > 0;
        for (size_t i = j + 1; i < n; i++) {
            double *const below = g->factor + i * n;
            below[j] = at[j] > 0 ? (below[j] - dot(below, at, j)) / at[j] : 0;
        }
    }
}

static void draw_gauss(struct draw *d, const struct gauss *g, struct rng_stream stream)
{
    const size_t N = d->N, n = g->n;
    double *const x = mem_new(n, sizeof *x);
    for (size_t t = 0; t < d->T; t++) {
        for (size_t i = 0; i < n; i++)
            x[i] = rng_normal(stream, t * n + i);
        for (size_t i = 0; i < n; i++) {
            const double y = g->mean[i] + dot(g->factor + i * n, x, i + 1);
            *(i < N ? d->k + t * N + i : d->v + t * N + i - N) = y;
        }
    }
    free(x);
}

/* a / whole, both sums over a draw's queries of squares; 0 where softmax itself says no
 * more than the mean, but for rounding. */
static double share_of(const struct draw *d, double a, double whole)
{
    double spread = 0;
    for (size_t t = 0; t < d->T; t++)
        spread += apart(d->v + t * d->N, d->vb, d->N);
    return whole > 1e-18 * spread ? a / whole : 0;
}

/* gap, and population where the moments of all tokens are given. */
static double gap_of(const struct draw *d, const double *vb_all, const double *M_all,
                     double *population)
{
    double away = 0, away_all = 0, whole = 0;
    double *const o = mem_new(2 * d->N, sizeof *o), *const near = o + d->N;
    moments(d->k, d->v, d->T, d->N, d->kb, d->vb, d->M);
    for (size_t t = 0; t < d->Q; t++) {
        softmax_answer(d, d->q + t * d->N, d->a, o);
        whole += apart(o, d->vb, d->N);
        linear_answer(d->q + t * d->N, d->vb, d->M, d->N, near);
        away += apart(o, near, d->N);
        if (!population)
            continue;
        linear_answer(d->q + t * d->N, vb_all, M_all, d->N, near);
        away_all += apart(o, near, d->N);
    }
    free(o);
    if (population)
        *population = share_of(d, away_all, whole);
    return share_of(d, away, whole);
}

/* Relative differences of both gradients, for one random gradient of the outputs. */
static void gradients_of(const struct draw *d, struct rng_stream stream, double *of_v,
                         double *of_kq)
{
    const size_t N = d->N, T = d->T;
    const double root = 1 / sqrt((double)N);
    double *const o = mem_new(N, sizeof *o);
    for (size_t i = 0; i < 4; i++)
        memset(d->grad[i], 0, N * N * sizeof *d->grad[i]);
    for (size_t t = 0; t < d->Q && t < FEWER; t++) {
        const double *const q = d->q + t * N;
        double mean = 0;
        for (size_t n = 0; n < N; n++)
            d->d_o[n] = rng_normal(stream, t * N + n);
        softmax_answer(d, q, d->a, o);
        for (size_t i = 0; i < T; i++)
            mean += dot(d->d_o, d->v + i * N, N) / (double)T;
        const double along = dot(d->d_o, o, N);
        for (size_t i = 0; i < T; i++) {
            const double *const k = d->k + i * N;
            const double da = dot(d->d_o, d->v + i * N, N);
            const double soft = root * d->a[i] * (da - along);
            const double line = root / (double)T * (da - mean);
            const double weight =
                (1 + root * (dot(q, k, N) - dot(q, d->kb, N))) / (double)T;
            for (size_t m = 0; m < N; m++)
                for (size_t n = 0; n < N; n++) {
                    d->grad[0][m * N + n] += d->a[i] * d->d_o[m] * k[n];
                    d->grad[1][m * N + n] += weight * d->d_o[m] * k[n];
                    d->grad[2][m * N + n] += soft * k[m] * q[n];
                    d->grad[3][m * N + n] += line * k[m] * q[n];
                }
        }
    }
    free(o);
    const size_t NN = N * N;
    *of_v = sqrt(apart(d->grad[0], d->grad[1], NN) / dot(d->grad[0], d->grad[0], NN));
    *of_kq = sqrt(apart(d->grad[2], d->grad[3], NN) / dot(d->grad[2], d->grad[2], NN));
}

/* ---- figures ----------------------------------------------------------------------- */

static int ascending(const void *left, const void *right)
{
    const double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

/* Sorts. */
static double quantile(double *x, size_t n, double share)
{
    qsort(x, n, sizeof *x, ascending);
    return x[(size_t)(share * (double)(n - 1) + 0.5)];
}

static double median(const double *x, size_t n)
{
    double sorted[DRAWS];
    memcpy(sorted, x, n * sizeof *x);
    return quantile(sorted, n, 0.5);
}

/* Of log y against log T', from SLOPE_FROM tokens on; NAN with fewer than two points. */
static double slope_of(const size_t *tokens, const double *y, size_t count)
{
    double n = 0, sx = 0, sy = 0, sxx = 0, sxy = 0;
    for (size_t i = 0; i < count; i++) {
        if (tokens[i] < SLOPE_FROM || !(y[i] > 0))
            continue;
        const double lx = log((double)tokens[i]), ly = log(y[i]);
        n++, sx += lx, sy += ly, sxx += lx * lx, sxy += lx * ly;
    }
    return n < 2 ? (double)NAN : (n * sxy - sx * sy) / (n * sxx - sx * sx);
}

/* The slope of the medians, and the middle 95 % of those of resampled draws. */
static void slopes(const size_t *tokens, const double (*y)[DRAWS], size_t count,
                   uint64_t seed, double out[static 3])
{
    double middle[MODEL_CONCENTRATION_GRID], again[BOOTSTRAPS], drawn[DRAWS];
    for (size_t i = 0; i < count; i++)
        middle[i] = median(y[i], DRAWS);
    out[0] = slope_of(tokens, middle, count);
    out[1] = out[2] = (double)NAN;
    if (isnan(out[0]))
        return;
    for (uint32_t b = 0; b < BOOTSTRAPS; b++) {
        const struct rng_stream stream = {
            .seed = seed, .purpose = PURPOSE_BOOTSTRAP, .step = b};
        for (size_t i = 0; i < count; i++) {
            for (size_t k = 0; k < DRAWS; k++)
                drawn[k] = y[i][(size_t)(rng_uniform(stream, i * DRAWS + k) * DRAWS)];
            middle[i] = median(drawn, DRAWS);
        }
        again[b] = slope_of(tokens, middle, count);
    }
    out[1] = quantile(again, BOOTSTRAPS, 0.025);
    out[2] = quantile(again, BOOTSTRAPS, 0.975);
}

/* All tokens of a sample: the third cumulant, the scores' deviation, how many tokens a
 * query really reads. */
static void whole_sample(const struct draw *d, struct model_concentration *out, size_t S)
{
    const size_t N = d->N, T = d->T;
    const double scale = 1 / sqrt((double)N), share = 1 / (double)(d->Q * S);
    double *const o = mem_new(2 * N, sizeof *o), *const third = o + N;
    double cube = 0, whole = 0;
    moments(d->k, d->v, T, N, d->kb, d->vb, d->M);
    for (size_t t = 0; t < d->Q; t++) {
        const double *const q = d->q + t * N;
        double variance = 0, squares = 0, entropy = 0;
        softmax_answer(d, q, d->a, o);
        whole += apart(o, d->vb, N);
        memset(third, 0, N * sizeof *third);
        for (size_t i = 0; i < T; i++) {
            const double s = scale * (dot(q, d->k + i * N, N) - dot(q, d->kb, N));
            variance += s * s / (double)T;
            squares += d->a[i] * d->a[i];
            entropy -= d->a[i] > 0 ? d->a[i] * log(d->a[i]) : 0;
            for (size_t n = 0; n < N; n++)
                third[n] += s * s * (d->v[i * N + n] - d->vb[n]) / (2 * (double)T);
        }
        cube += dot(third, third, N);
        out->deviation += share * sqrt(variance);
        out->effective += share / squares;
        out->entropy += share * entropy;
    }
    out->k3 += share_of(d, cube, whole) / (double)S;
    free(o);
}

static size_t fill_grid(size_t T, size_t *grid)
{
    size_t count = 0;
    for (size_t n = SMALLEST; n < T && count + 1 < MODEL_CONCENTRATION_GRID; n *= 2)
        grid[count++] = n;
    grid[count++] = T;
    return count;
}

/* One T': every draw from the next sample. */
static void measure_tokens(const struct concentration_data *data, uint64_t seed,
                           size_t index, struct draw *d, const struct gauss *gauss,
                           const double *all, uint32_t *order, double (*gap)[DRAWS],
                           double (*control)[DRAWS], struct model_concentration *out)
{
    const size_t N = data->N, count = out->tokens[index], moments_size = 2 * N + N * N;
    double population[DRAWS], of_v[DRAWS], of_kq[DRAWS];
    for (uint32_t i = 0; i < DRAWS; i++) {
        const size_t s = i % data->S;
        const uint32_t step = (uint32_t)(index * DRAWS) + i;
        const double *const whole = all + s * moments_size;
        take_tokens(d, data, s, count, order,
                    (struct rng_stream){seed, PURPOSE_SUBSET, step});
        gap[index][i] = gap_of(d, whole + N, whole + 2 * N, &population[i]);
        gradients_of(d, (struct rng_stream){seed, PURPOSE_GRADIENT, step}, &of_v[i],
                     &of_kq[i]);
        draw_gauss(d, &gauss[s], (struct rng_stream){seed, PURPOSE_GAUSS, step});
        control[index][i] = gap_of(d, NULL, NULL, NULL);
    }
    double sorted[DRAWS];
    memcpy(sorted, gap[index], sizeof sorted);
    for (size_t i = 0; i < 3; i++)
        out->gap[index][i] = quantile(sorted, DRAWS, 0.25 * (double)(i + 1));
    out->population[index] = quantile(population, DRAWS, 0.5);
    out->control[index] = median(control[index], DRAWS);
    out->gradient_v[index] = quantile(of_v, DRAWS, 0.5);
    out->gradient_kq[index] = quantile(of_kq, DRAWS, 0.5);
}

void concentration_measure(const struct concentration_data *data, uint64_t seed,
                           struct model_concentration *out)
{
    const size_t T = data->T, N = data->N, S = data->S, moments_size = 2 * N + N * N;
    double(*const gap)[DRAWS] = mem_new(2 * MODEL_CONCENTRATION_GRID, sizeof *gap);
    double(*const control)[DRAWS] = gap + MODEL_CONCENTRATION_GRID;
    double *const all = mem_new(S * moments_size, sizeof *all);
    struct gauss *const gauss = mem_new(S, sizeof *gauss);
    uint32_t *const order = mem_new(T, sizeof *order);
    struct draw d;
    draw_open(&d, T, N);
    *out = (struct model_concentration){.grid_count = fill_grid(T, out->tokens)};
    fill_grid(T, out->tokens);
    for (size_t s = 0; s < S; s++) {
        const size_t at = s * T * N;
        double *const whole = all + s * moments_size;
        moments(data->k + at, data->v + at, T, N, whole, whole + N, whole + 2 * N);
        gauss_fit(&gauss[s], data->k + at, data->v + at, T, N);
        out->key_rank += (double)gauss[s].key_rank / (double)S;
        take_tokens(&d, data, s, T, order,
                    (struct rng_stream){seed, PURPOSE_SUBSET, UINT32_MAX});
        whole_sample(&d, out, S);
    }
    for (size_t i = 0; i < out->grid_count; i++)
        measure_tokens(data, seed, i, &d, gauss, all, order, gap, control, out);
    slopes(out->tokens, (const double(*)[DRAWS])gap, out->grid_count, seed, out->slope);
    slopes(out->tokens, (const double(*)[DRAWS])control, out->grid_count, seed,
           out->control_slope);
    out->floor = out->gap[out->grid_count - 1][1];
    for (size_t s = 0; s < S; s++)
        free(gauss[s].mean);
    free(d.q);
    free(order);
    free(gauss);
    free(all);
    free(gap);
}
