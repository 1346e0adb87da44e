/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "model/revin.h"

#include <tgmath.h>

#include "model/threads.h"

/* Forward goes by windows, backward by series: a series' gain and bias are then summed
 * by one thread, over the windows in their order. */

static const real EPS = REAL_C(1e-5), GAIN_EPS = REAL_C(1e-10);

struct revin {
    real *out, *mean_out, *scale_out, *dgain, *dbias;
    const real *in, *aux, *mean, *scale, *gain, *bias, *dy;
    size_t B, L, P, V;
};

static void forward_window(void *ctx, size_t b)
{
    const struct revin *const n = ctx;
    const size_t L = n->L, V = n->V;
    const real *const x = n->in + b * L * V;
    for (size_t v = 0; v < V; v++) {
        double sum = 0, squares = 0;
        for (size_t t = 0; t < L; t++)
            sum += (double)x[t * V + v];
        const real m = (real)(sum / (double)L);
        for (size_t t = 0; t < L; t++)
            squares += (double)(x[t * V + v] - m) * (double)(x[t * V + v] - m);
        const real s = sqrt((real)(squares / (double)L) + EPS);
        const size_t row = b * V + v;
        n->mean_out[row] = m;
        n->scale_out[row] = s;
        for (size_t t = 0; t < L; t++)
            n->out[row * L + t] = (x[t * V + v] - m) / s * n->gain[v] + n->bias[v];
    }
}

void revin_forward(struct threads *pool, real *z, real *mean, real *scale, const real *x,
                   const real *gain, const real *bias, size_t B, size_t L, size_t V)
{
    struct revin n = {.out = z,
                      .mean_out = mean,
                      .scale_out = scale,
                      .in = x,
                      .gain = gain,
                      .bias = bias,
                      .B = B,
                      .L = L,
                      .V = V};
    threads_run(pool, B, forward_window, &n);
}

static void restore_window(void *ctx, size_t b)
{
    const struct revin *const n = ctx;
    const size_t P = n->L, V = n->V;
    for (size_t v = 0; v < V; v++) {
        const size_t row = b * V + v;
        const real factor = n->scale[row] / (n->gain[v] + GAIN_EPS);
        for (size_t t = 0; t < P; t++)
            n->out[(b * P + t) * V + v] =
                (n->in[row * P + t] - n->bias[v]) * factor + n->mean[row];
    }
}

void revin_restore(struct threads *pool, real *y, const real *out, const real *mean,
                   const real *scale, const real *gain, const real *bias, size_t B,
                   size_t P, size_t V)
{
    struct revin n = {.out = y,
                      .in = out,
                      .mean = mean,
                      .scale = scale,
                      .gain = gain,
                      .bias = bias,
                      .B = B,
                      .L = P,
                      .V = V};
    threads_run(pool, B, restore_window, &n);
}

static void restore_backward_series(void *ctx, size_t v)
{
    const struct revin *const n = ctx;
    const size_t P = n->L, V = n->V;
    const real gain = n->gain[v] + GAIN_EPS, bias = n->bias[v];
    double dgain = 0, dbias = 0;
    for (size_t b = 0; b < n->B; b++) {
        const size_t row = b * V + v;
        const real factor = n->scale[row] / gain; /* y = (out - bias) factor + mean */
        for (size_t t = 0; t < P; t++) {
            const real dout = n->in[(b * P + t) * V + v] * factor;
            n->out[row * P + t] = dout;
            dbias -= (double)dout;
            dgain -= (double)(dout * (n->aux[row * P + t] - bias) / gain);
        }
    }
    n->dgain[v] += (real)dgain;
    n->dbias[v] += (real)dbias;
}

void revin_restore_backward(struct threads *pool, real *dout, real *dgain, real *dbias,
                            const real *dy, const real *out, const real *scale,
                            const real *gain, const real *bias, size_t B, size_t P,
                            size_t V)
{
    struct revin n = {.out = dout,
                      .dgain = dgain,
                      .dbias = dbias,
                      .in = dy,
                      .aux = out,
                      .scale = scale,
                      .gain = gain,
                      .bias = bias,
                      .B = B,
                      .L = P,
                      .V = V};
    threads_run(pool, V, restore_backward_series, &n);
}

static void backward_series(void *ctx, size_t v)
{
    const struct revin *const n = ctx;
    const size_t L = n->L, V = n->V;
    double dgain = 0, dbias = 0;
    for (size_t b = 0; b < n->B; b++) {
        const size_t row = b * V + v;
        const real m = n->mean[row], s = n->scale[row];
        for (size_t t = 0; t < L; t++) {
            const real dz = n->in[row * L + t];
            dbias += (double)dz;
            dgain += (double)(dz * (n->aux[(b * L + t) * V + v] - m) / s);
            if (n->out)
                n->out[(b * L + t) * V + v] = dz * n->gain[v] / s;
        }
    }
    n->dgain[v] += (real)dgain;
    n->dbias[v] += (real)dbias;
}

void revin_backward(struct threads *pool, real *dx, real *dgain, real *dbias,
                    const real *dz, const real *x, const real *mean, const real *scale,
                    const real *gain, size_t B, size_t L, size_t V)
{
    struct revin n = {.out = dx,
                      .dgain = dgain,
                      .dbias = dbias,
                      .in = dz,
                      .aux = x,
                      .mean = mean,
                      .scale = scale,
                      .gain = gain,
                      .B = B,
                      .L = L,
                      .V = V};
    threads_run(pool, V, backward_series, &n);
}

/*
 * y = (out - bias) s/(gain + eps) + m, z = (x - m)/s gain + bias, s^2 = var(x) + eps:
 *     dm = sum dy - sum dx,  ds = sum dy (out - bias)/(gain + eps) - sum dx (x - m)/s
 *     dx += dm/L + ds (x - m)/(L s)
 */
static void statistics_window(void *ctx, size_t b)
{
    const struct revin *const n = ctx;
    const size_t L = n->L, P = n->P, V = n->V;
    for (size_t v = 0; v < V; v++) {
        const size_t row = b * V + v;
        const real *const x = n->aux + b * L * V + v, *const out = n->in + row * P;
        const real *const dy = n->dy + b * P * V + v;
        real *const dx = n->out + b * L * V + v;
        const double m = (double)n->mean[row], s = (double)n->scale[row];
        double dm = 0, ds = 0;
        for (size_t t = 0; t < P; t++) {
            dm += (double)dy[t * V];
            ds += (double)(dy[t * V] * (out[t] - n->bias[v]) / (n->gain[v] + GAIN_EPS));
        }
        for (size_t t = 0; t < L; t++) {
            dm -= (double)dx[t * V];
            ds -= (double)dx[t * V] * ((double)x[t * V] - m) / s;
        }
        for (size_t t = 0; t < L; t++)
            dx[t * V] += (real)((dm + ds * ((double)x[t * V] - m) / s) / (double)L);
    }
}

void revin_statistics_backward(struct threads *pool, real *dx, const real *dy,
                               const real *out, const real *x, const real *mean,
                               const real *scale, const real *gain, const real *bias,
                               size_t B, size_t L, size_t P, size_t V)
{
    struct revin n = {.out = dx,
                      .in = out,
                      .aux = x,
                      .dy = dy,
                      .mean = mean,
                      .scale = scale,
                      .gain = gain,
                      .bias = bias,
                      .B = B,
                      .L = L,
                      .P = P,
                      .V = V};
    threads_run(pool, B, statistics_window, &n);
}
