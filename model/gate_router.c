/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "model/gate_router.h"

#include <string.h>

#include "model/elementary.h"
#include "model/vector.h"

static const real EPS = REAL_C(1e-5);

/* What forward goes through, and what backward adds to it. */
struct walk {
    real *phase;               /* (P) the mean step of each phase: phi = phase e */
    real *hat, *rstd, *xn;     /* (P,D), (P), (P,D) */
    real *q, *k, *u;           /* (P,D) */
    real *read, *buf, *write;  /* (R,P), (R,D), (P,R) */
    real *tok;                 /* (D), the mean */
    real *dq, *dk, *du, *dxn;  /* (P,D) */
    real *dread, *dbuf, *dtok; /* (R,P), (R,D), (D) */
    real *rest;
};

static struct walk walk_at(const struct gate_router *r, real *at)
{
    const size_t PD = r->P * r->D, RP = r->R * r->P, RD = r->R * r->D;
    struct walk w;
    const struct {
        real **place;
        size_t size;
    } parts[] = {
        {&w.phase, r->P}, {&w.hat, PD},  {&w.rstd, r->P}, {&w.xn, PD},  {&w.q, PD},
        {&w.k, PD},       {&w.u, PD},    {&w.read, RP},   {&w.buf, RD}, {&w.write, RP},
        {&w.tok, r->D},   {&w.dq, PD},   {&w.dk, PD},     {&w.du, PD},  {&w.dxn, PD},
        {&w.dread, RP},   {&w.dbuf, RD}, {&w.dtok, r->D},
    };
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        *parts[i].place = at;
        at += parts[i].size;
    }
    w.rest = at;
    return w;
}

size_t gate_router_scratch(const struct gate_router *r)
{
    return 2 * r->P + 9 * r->P * r->D + 3 * r->R * r->P + 2 * r->R * r->D + 2 * r->D;
}

/* Steps of the window and its wrapped beginning, in whole periods. */
static size_t steps_of(const struct gate_router *r)
{
    return (r->L + r->P - 1) / r->P * r->P;
}

/* y (rows,D) = x w', w (D,D) */
static void map(real *y, const real *x, const real *w, size_t rows, size_t D)
{
    for (size_t i = 0; i < rows; i++)
        for (size_t d = 0; d < D; d++)
            y[i * D + d] = vector_dot(x + i * D, w + d * D, D);
}

/* dx += dy w, dw += dy' x */
static void map_backward(real *dx, real *dw, const real *dy, const real *x, const real *w,
                         size_t rows, size_t D)
{
    for (size_t i = 0; i < rows; i++)
        for (size_t d = 0; d < D; d++) {
            vector_add(dx + i * D, dy[i * D + d], w + d * D, D);
            vector_add(dw + d * D, dy[i * D + d], x + i * D, D);
        }
}

/* a (n) = softmax */
static void softmax(real *a, size_t n)
{
    real most = a[0], sum = 0;
    for (size_t i = 1; i < n; i++)
        most = a[i] > most ? a[i] : most;
    for (size_t i = 0; i < n; i++)
        sum += a[i] = elementary_exp(a[i] - most);
    for (size_t i = 0; i < n; i++)
        a[i] /= sum;
}

/* da (n) becomes the gradient before the softmax. */
static void softmax_backward(real *da, const real *a, size_t n)
{
    const real mean = vector_dot(a, da, n);
    for (size_t i = 0; i < n; i++)
        da[i] = a[i] * (da[i] - mean);
}

static void normalise(const struct gate_router *r, const struct walk *w, const real *e)
{
    const size_t D = r->D;
    for (size_t p = 0; p < r->P; p++) {
        real *const hat = w->hat + p * D;
        real mean = 0, var = 0;
        for (size_t d = 0; d < D; d++) {
            hat[d] = w->phase[p] * e[d];
            mean += hat[d] / (real)D;
        }
        for (size_t d = 0; d < D; d++)
            var += (hat[d] - mean) * (hat[d] - mean) / (real)D;
        w->rstd[p] = 1 / sqrt(var + EPS);
        for (size_t d = 0; d < D; d++) {
            hat[d] = (hat[d] - mean) * w->rstd[p];
            w->xn[p * D + d] =
                hat[d] * r->theta[ROUTER_GAIN][d] + r->theta[ROUTER_BIAS][d];
        }
    }
}

static void walk(const struct gate_router *r, const struct walk *w, const real *e,
                 const real *z)
{
    const size_t D = r->D, P = r->P, R = r->R, steps = steps_of(r);
    const real root = 1 / sqrt((real)D);
    memset(w->phase, 0, P * sizeof *w->phase);
    for (size_t t = 0; t < steps; t++)
        w->phase[t % P] += z[t % r->L] / (real)(steps / P);
    normalise(r, w, e);
    map(w->q, w->xn, r->theta[ROUTER_Q], P, D);
    map(w->k, w->xn, r->theta[ROUTER_K], P, D);
    map(w->u, w->xn, r->theta[ROUTER_V], P, D);
    memset(w->buf, 0, R * D * sizeof *w->buf);
    for (size_t i = 0; i < R; i++) {
        real *const read = w->read + i * P;
        for (size_t p = 0; p < P; p++)
            read[p] = root * vector_dot(r->theta[ROUTER_RT] + i * D, w->k + p * D, D);
        softmax(read, P);
        for (size_t p = 0; p < P; p++)
            vector_add(w->buf + i * D, read[p], w->u + p * D, D);
    }
    memset(w->tok, 0, D * sizeof *w->tok);
    for (size_t p = 0; p < P; p++) {
        real *const write = w->write + p * R;
        for (size_t i = 0; i < R; i++)
            write[i] = root * vector_dot(w->q + p * D, w->buf + i * D, D);
        softmax(write, R);
        for (size_t i = 0; i < R; i++)
            vector_add(w->tok, write[i] / (real)P, w->buf + i * D, D);
    }
}

void gate_router_forward(const struct gate_router *r, const real *e, const real *z,
                         real *cp, real *scratch)
{
    const struct walk w = walk_at(r, scratch);
    walk(r, &w, e, z);
    map(cp, w.tok, r->theta[ROUTER_O], 1, r->D);
}

/* From dtok to dq, dbuf; then to dk, du and the routers. */
static void attention_backward(const struct gate_router *r, const struct walk *w,
                               real *drt)
{
    const size_t D = r->D, P = r->P, R = r->R;
    const real root = 1 / sqrt((real)D);
    for (size_t p = 0; p < P; p++) {
        real *const d = w->dread; /* (R), free so far */
        for (size_t i = 0; i < R; i++) {
            d[i] = vector_dot(w->dtok, w->buf + i * D, D) / (real)P;
            vector_add(w->dbuf + i * D, w->write[p * R + i] / (real)P, w->dtok, D);
        }
        softmax_backward(d, w->write + p * R, R);
        for (size_t i = 0; i < R; i++) {
            vector_add(w->dq + p * D, root * d[i], w->buf + i * D, D);
            vector_add(w->dbuf + i * D, root * d[i], w->q + p * D, D);
        }
    }
    for (size_t i = 0; i < R; i++) {
        real *const d = w->dread + i * P;
        for (size_t p = 0; p < P; p++) {
            d[p] = vector_dot(w->dbuf + i * D, w->u + p * D, D);
            vector_add(w->du + p * D, w->read[i * P + p], w->dbuf + i * D, D);
        }
        softmax_backward(d, w->read + i * P, P);
        for (size_t p = 0; p < P; p++) {
            vector_add(drt + i * D, root * d[p], w->k + p * D, D);
            vector_add(w->dk + p * D, root * d[p], r->theta[ROUTER_RT] + i * D, D);
        }
    }
}

/* From dxn through the norm to the window and the lift. */
static void phases_backward(const struct gate_router *r, const struct walk *w,
                            const real *e, real *dgain, real *dbias, real *de, real *dz)
{
    const size_t D = r->D, P = r->P, steps = steps_of(r);
    for (size_t p = 0; p < P; p++) {
        real *const d = w->dxn + p * D;
        const real *const hat = w->hat + p * D;
        real mean = 0, along = 0, dphase = 0;
        for (size_t n = 0; n < D; n++) {
            dgain[n] += d[n] * hat[n];
            dbias[n] += d[n];
            d[n] *= r->theta[ROUTER_GAIN][n];
            mean += d[n] / (real)D;
            along += d[n] * hat[n] / (real)D;
        }
        for (size_t n = 0; n < D; n++) {
            const real dphi = w->rstd[p] * (d[n] - mean - hat[n] * along);
            de[n] += dphi * w->phase[p];
            dphase += dphi * e[n];
        }
        w->rstd[p] = dphase / (real)(steps / P);
    }
    for (size_t t = 0; t < steps; t++)
        dz[t % r->L] += w->rstd[t % P];
}

void gate_router_backward(const struct gate_router *r, const real *e, const real *z,
                          const real *dcp, real *const d[ROUTER_TENSORS], real *de,
                          real *dz, real *scratch)
{
    const struct walk w = walk_at(r, scratch);
    const size_t D = r->D, P = r->P;
    walk(r, &w, e, z);
    memset(w.dq, 0, (size_t)(w.rest - w.dq) * sizeof *w.dq);
    map_backward(w.dtok, d[ROUTER_O], dcp, w.tok, r->theta[ROUTER_O], 1, D);
    attention_backward(r, &w, d[ROUTER_RT]);
    map_backward(w.dxn, d[ROUTER_Q], w.dq, w.xn, r->theta[ROUTER_Q], P, D);
    map_backward(w.dxn, d[ROUTER_K], w.dk, w.xn, r->theta[ROUTER_K], P, D);
    map_backward(w.dxn, d[ROUTER_V], w.du, w.xn, r->theta[ROUTER_V], P, D);
    phases_backward(r, &w, e, d[ROUTER_GAIN], d[ROUTER_BIAS], de, dz);
}
