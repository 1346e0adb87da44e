/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The W rows of mixers.md, section 8. */
#include "model/gate.h"

#include <stdio.h>

#include "fft/fft.h"
#include "model/gate_router.h"
#include "model/linear.h"
#include "model/network.h"
#include "model/threads.h"
#include "tests/model/gradient.h"

enum { R = 3, D = 2, L = 12, F = 7 };

static const char *const kinds[] = {"none", "base", "phase", "full", "adaptive"};

struct fixture {
    struct gate_config config;
    struct gate_call call;
    struct tensors tensors;
    struct arena arena;
    struct gate_tape *tape;
    real *theta, *dtheta;
    real e[D], z[R * L], re[R * F], im[R * F], y_re[R * D * F], y_im[R * D * F];
    real de[D], dz[R * L], d_re[R * F], d_im[R * F], dy_re[R * D * F], dy_im[R * D * F];
    real out_re[R * D * F], out_im[R * D * F], weight[2 * R * D * F];
};

static struct gate_config config_of(enum gate_kind kind, enum gate_ctx ctx)
{
    return (struct gate_config){.kind = kind,
                                .ctx = ctx,
                                .L = L,
                                .D = D,
                                .F = F,
                                .period = 5,
                                .routers = 2,
                                .alpha0 = 0.1,
                                .trust_bias = -2};
}

static void carve(struct fixture *f, struct arena *arena)
{
    f->tape = gate_tape(&f->config, R, true, arena);
    f->theta = arena_reals(arena, f->tensors.size);
    f->dtheta = arena_reals(arena, f->tensors.size);
}

static void set_up(struct fixture *f, const struct gate_config *config)
{
    *f = (struct fixture){.config = *config};
    gate_params(&f->config, &f->tensors);
    struct arena arena = arena_measure();
    carve(f, &arena);
    assert_int_equal(arena_open(&arena, NULL), 0);
    carve(f, &arena);
    f->arena = arena;
    f->call = (struct gate_call){.config = &f->config,
                                 .R = R,
                                 .e = f->e,
                                 .z = f->z,
                                 .re = f->re,
                                 .im = f->im,
                                 .y_re = f->y_re,
                                 .y_im = f->y_im};
    fill_normal(f->theta, f->tensors.size, 1, 0.5);
    fill_normal(f->e, D, 2, 1);
    fill_normal(f->z, R * L, 3, 1);
    fill_normal(f->re, R * F, 4, 1);
    fill_normal(f->im, R * F, 5, 1);
    fill_normal(f->y_re, R * D * F, 6, 1);
    fill_normal(f->y_im, R * D * F, 7, 1);
    fill_normal(f->weight, 2 * R * D * F, 8, 1);
    if (config->kind != GATE_BASE)
        f->theta[f->tensors.size - 1] = REAL_C(0.13); /* alpha, where it may be */
}

static void tear_down(struct fixture *f)
{
    assert_true(arena_check(&f->arena));
    arena_close(&f->arena);
    tensors_fini(&f->tensors);
}

static double value(void *ctx)
{
    struct fixture *const f = ctx;
    gate_forward(&f->call, f->theta, f->out_re, f->out_im, f->tape);
    return weigh(f->out_re, f->weight, R * D * F) +
           weigh(f->out_im, f->weight + R * D * F, R * D * F);
}

static void backward(struct fixture *f)
{
    const struct gate_grad grad = {.d_re = f->dy_re,
                                   .d_im = f->dy_im,
                                   .dz = f->dz,
                                   .d_spectrum_re = f->d_re,
                                   .d_spectrum_im = f->d_im,
                                   .de = f->de,
                                   .dtheta = f->dtheta};
    value(f);
    memcpy(f->dy_re, f->weight, sizeof f->dy_re);
    memcpy(f->dy_im, f->weight + R * D * F, sizeof f->dy_im);
    gate_backward(&f->call, f->theta, &grad, f->tape);
}

static const struct tensor *tensor(const struct tensors *tensors, const char *name)
{
    for (size_t i = 0; i < tensors->count; i++)
        if (!strcmp(tensors->list[i].name, name))
            return &tensors->list[i];
    fail_msg("no tensor %s", name);
    return NULL;
}

/* ---- W1 ---------------------------------------------------------------------------- */

static size_t size_of(enum gate_kind kind, size_t lift)
{
    struct tensors tensors = {0};
    const struct gate_config config = {
        .kind = kind, .L = 96, .D = lift, .F = 49, .period = 24, .routers = 4};
    gate_params(&config, &tensors);
    const size_t size = tensors.size;
    tensors_fini(&tensors);
    return size;
}

static void w1_parameter_counts(void **state)
{
    (void)state;
    assert_int_equal(size_of(GATE_ADAPTIVE, 8), 12065);
    assert_int_equal(size_of(GATE_ADAPTIVE, 16), 47169);
    for (size_t d = 1; d <= 16; d *= 2) {
        const size_t hg = d * 8 > 32 ? d * 8 : 32, ht = d * 12 > 32 ? d * 12 : 32;
        const size_t base = 2 * ((d + 1) * hg + (hg + 1) * d);
        const size_t period = 2 * d + 4 * d * d + 4 * d + 1;
        const size_t two = 2 * ((2 * d + 1) * hg + (hg + 1) * d);
        const size_t three = 2 * ((3 * d + 1) * hg + (hg + 1) * d);
        assert_int_equal(size_of(GATE_BASE, d), base);
        assert_int_equal(size_of(GATE_PHASE, d), base + two + period);
        assert_int_equal(size_of(GATE_FULL, d), base + three + period);
        assert_int_equal(size_of(GATE_ADAPTIVE, d),
                         base + two + 2 * ((3 * d + 1) * ht + (ht + 1) * d) + period);
    }
}

/* The published 14.369 M, less the 2 D numbers that the released program never uses. */
static void w1_the_network_has_the_published_total(void **state)
{
    (void)state;
    const struct network_config config = {
        .L = 96,
        .V = 7,
        .P = 96,
        .C = 512,
        .Fd = 512,
        .H = 8,
        .D = 8,
        .layers = 2,
        .mixer = mixer_find("rwkv7", NULL),
        .gate = {.kind = GATE_ADAPTIVE, .period = 24, .routers = 4}};
    struct network *const network = network_new(&config, 1, false, NULL, NULL);
    assert_non_null(network);
    assert_int_equal(network_params(network), 14368791 - 2 * 8);
    network_free(network);
}

/* At first: delta's last layers are zero, so R'' / R' = 1 + g, the same for every bin. */
static void w1_at_first_it_is_one_and_g(void **state)
{
    (void)state;
    const struct gate_config config = config_of(GATE_ADAPTIVE, GATE_MEAN);
    struct fixture f;
    set_up(&f, &config);
    for (size_t i = 0; i < f.tensors.count; i++) {
        const struct tensor *const t = &f.tensors.list[i];
        for (size_t k = 0; t->init == INIT_CONSTANT && k < t->shape[0] * t->shape[1]; k++)
            f.theta[t->offset + k] = (real)t->init_value;
    }
    value(&f);
    const real *const w1 = f.theta + tensor(&f.tensors, "gate.i2r.w1")->offset;
    const real *const b1 = f.theta + tensor(&f.tensors, "gate.i2r.b1")->offset;
    const real *const w2 = f.theta + tensor(&f.tensors, "gate.i2r.w2")->offset;
    const real *const b2 = f.theta + tensor(&f.tensors, "gate.i2r.b2")->offset;
    for (size_t r = 0; r < R; r++) {
        double ci[D] = {0}, pre[D] = {b2[0], b2[1]};
        for (size_t d = 0; d < D; d++)
            for (size_t k = 0; k < F; k++)
                ci[d] += (f.e[d] * f.im[r * F + k] + f.y_im[(r * D + d) * F + k]) / F;
        for (size_t h = 0; h < 32; h++) {
            const double x = b1[h] + w1[h * D] * ci[0] + w1[h * D + 1] * ci[1];
            for (size_t d = 0; d < D; d++)
                pre[d] += w2[d * 32 + h] * 0.5 * x * (1 + erf(x / sqrt(2)));
        }
        for (size_t d = 0; d < D; d++)
            for (size_t k = 0; k < F; k++) {
                const size_t at = (r * D + d) * F + k;
                const double lifted = f.e[d] * f.re[r * F + k];
                assert_close((f.out_re[at] + lifted) / (f.y_re[at] + lifted),
                             1 + 1 / (1 + exp(-pre[d])), 1e-10);
            }
    }
    tear_down(&f);
}

/* ---- W2 ---------------------------------------------------------------------------- */

enum { ROUTED_D = 3, WINDOW = 96, LONG = 108 };

static real router_theta[2 * ROUTED_D + 4 * ROUTED_D * ROUTED_D + 4 * ROUTED_D];

static struct gate_router router_of(size_t length, size_t period)
{
    static const size_t sizes[ROUTER_TENSORS] = {ROUTED_D,
                                                 ROUTED_D,
                                                 ROUTED_D * ROUTED_D,
                                                 ROUTED_D * ROUTED_D,
                                                 ROUTED_D * ROUTED_D,
                                                 ROUTED_D * ROUTED_D,
                                                 4 * ROUTED_D};
    struct gate_router r = {.L = length, .D = ROUTED_D, .P = period, .R = 4};
    fill_normal(router_theta, sizeof router_theta / sizeof *router_theta, 4, 0.7);
    const real *at = router_theta;
    for (size_t i = 0; i < ROUTER_TENSORS; at += sizes[i++])
        r.theta[i] = at;
    return r;
}

static void context(const struct gate_router *r, const real *z, real *cp)
{
    real e[ROUTED_D], *const scratch = calloc(gate_router_scratch(r), sizeof *scratch);
    fill_normal(e, ROUTED_D, 6, 1);
    gate_router_forward(r, e, z, cp, scratch);
    free(scratch);
}

static void w2_positions_may_permute(void **state)
{
    (void)state;
    const struct gate_router r = router_of(WINDOW, 24);
    uint32_t order[24];
    real z[WINDOW], moved[WINDOW], cp[ROUTED_D], other[ROUTED_D];
    rng_shuffle((struct rng_stream){.seed = 8}, order, 24);
    fill_normal(z, WINDOW, 5, 1);
    for (size_t t = 0; t < WINDOW; t++)
        moved[t] = z[t / 24 * 24 + order[t % 24]];
    context(&r, z, cp);
    context(&r, moved, other);
    assert_true(worst_difference(other, cp, ROUTED_D) < 1e-12);
    moved[0] += 5; /* but what stands there matters */
    context(&r, moved, other);
    assert_true(worst_difference(other, cp, ROUTED_D) > 1e-6);
}

static void w2_the_window_begins_again(void **state)
{
    (void)state;
    const struct gate_router r = router_of(WINDOW, 36), whole = router_of(LONG, 36);
    real z[LONG], cp[ROUTED_D], other[ROUTED_D];
    fill_normal(z, WINDOW, 5, 1);
    memcpy(z + WINDOW, z, (LONG - WINDOW) * sizeof *z);
    context(&r, z, cp);
    context(&whole, z, other);
    assert_true(worst_difference(other, cp, ROUTED_D) < 1e-12);
}

/* ---- W3 ---------------------------------------------------------------------------- */

/* What the mean over the bins sees: the window's first value and the spectrum's ends. */
static void w3_the_mean_context_is_the_first_value(void **state)
{
    (void)state;
    enum { BINS = WINDOW / 2 + 1 };
    const struct fft_plan *const plan = fft_plan(WINDOW, NULL);
    struct arena arena = arena_measure();
    arena_reals(&arena, WINDOW + 2 * BINS + fft_work(WINDOW) + 64);
    assert_int_equal(arena_open(&arena, NULL), 0);
    real *const x = arena_reals(&arena, WINDOW + 2 * BINS + fft_work(WINDOW) + 64);
    real *const work = x + WINDOW;
    real *const re = work + (fft_work(WINDOW) + 15) / 16 * 16, *const im = re + BINS;
    double mean = 0;
    fill_normal(x, WINDOW, 5, 1);
    const double first = (double)x[0];
    fft_forward(plan, re, im, x, work);
    for (size_t k = 0; k < BINS; k++)
        mean += (double)re[k] / BINS;
    assert_close(mean, (sqrt(WINDOW) * first + re[0] + re[BINS - 1]) / (2 * BINS), 1e-12);
    arena_close(&arena);
}

static void w3_gradients(void **state)
{
    (void)state;
    for (int kind = GATE_BASE; kind <= GATE_ADAPTIVE; kind++)
        for (int ctx = GATE_MEAN; ctx <= GATE_BAND; ctx++) {
            const struct gate_config config =
                config_of((enum gate_kind)kind, (enum gate_ctx)ctx);
            struct fixture f;
            set_up(&f, &config);
            backward(&f);
            const struct {
                const char *name;
                real *x, *dx;
                size_t size;
            } inputs[] = {
                {"e", f.e, f.de, D},
                {"z", f.z, f.dz, R * L},
                {"re", f.re, f.d_re, R * F},
                {"im", f.im, f.d_im, R * F},
                {"y_re", f.y_re, f.dy_re, R * D * F},
                {"y_im", f.y_im, f.dy_im, R * D * F},
            };
            char what[120];
            for (size_t i = 0; i < sizeof inputs / sizeof *inputs; i++) {
                snprintf(what, sizeof what, "%s, ctx %d: %s", kinds[kind], ctx,
                         inputs[i].name);
                assert_gradient(value, &f, inputs[i].x, inputs[i].dx, inputs[i].size, 64,
                                what);
            }
            for (size_t i = 0; i < f.tensors.count; i++) {
                const struct tensor *const t = &f.tensors.list[i];
                snprintf(what, sizeof what, "%s, ctx %d: %s", kinds[kind], ctx, t->name);
                assert_gradient(value, &f, f.theta + t->offset, f.dtheta + t->offset,
                                t->shape[0] * t->shape[1], 64, what);
            }
            tear_down(&f);
        }
}

/* Within the whole network: every parameter, and what goes in. */
struct whole {
    struct network *network;
    real *theta, *dtheta, x[2 * L * 3], dx[2 * L * 3], y[2 * 5 * 3], weight[2 * 5 * 3];
};

static double whole_value(void *ctx)
{
    struct whole *const w = ctx;
    network_forward(w->network, w->theta, w->x, NULL, 2, w->y, NULL);
    return weigh(w->y, w->weight, 2 * 5 * 3);
}

static struct network_config whole_config(enum gate_kind kind)
{
    return (struct network_config){.L = L,
                                   .V = 3,
                                   .P = 5,
                                   .C = 8,
                                   .Fd = 10,
                                   .H = 2,
                                   .D = D,
                                   .layers = 1,
                                   .rank = 3,
                                   .mixer = mixer_find("rwkv7", NULL),
                                   .skip = true,
                                   .gate = config_of(kind, GATE_MEAN)};
}

static void w3_gradients_of_a_network(void **state)
{
    (void)state;
    for (int kind = GATE_BASE; kind <= GATE_ADAPTIVE; kind++) {
        const struct network_config config = whole_config((enum gate_kind)kind);
        struct whole w = {.network = network_new(&config, 2, true, NULL, NULL)};
        assert_non_null(w.network);
        w.theta = calloc(network_size(w.network), sizeof *w.theta);
        w.dtheta = calloc(network_size(w.network), sizeof *w.dtheta);
        network_init(w.network, w.theta, 1);
        fill_normal(w.x, 2 * L * 3, 1, 2);
        fill_normal(w.weight, 2 * 5 * 3, 2, 1);
        for (size_t i = 0; i < network_size(w.network); i++) /* the zeros too */
            w.theta[i] += (real)(0.02 * rng_normal((struct rng_stream){.seed = 6}, i));
        whole_value(&w);
        network_backward(w.network, w.theta, w.weight, w.dtheta, NULL);
        for (size_t i = 0; i < network_tensors(w.network); i++) {
            const struct tensor *const t = network_tensor(w.network, i);
            assert_gradient(whole_value, &w, w.theta + t->offset, w.dtheta + t->offset,
                            t->shape[0] * t->shape[1], 8, t->name);
        }
        free(w.theta);
        free(w.dtheta);
        network_free(w.network);
    }
}

/* ---- what else it promises --------------------------------------------------------- */

static void threads_change_no_bit(void **state)
{
    (void)state;
    const struct gate_config config = config_of(GATE_ADAPTIVE, GATE_BAND);
    struct fixture one, four;
    struct threads *const pool = threads_start(4);
    set_up(&one, &config);
    set_up(&four, &config);
    four.call.pool = pool;
    backward(&one);
    backward(&four);
    assert_memory_equal(one.out_re, four.out_re, sizeof one.out_re);
    assert_memory_equal(one.dy_im, four.dy_im, sizeof one.dy_im);
    assert_memory_equal(one.dz, four.dz, sizeof one.dz);
    assert_memory_equal(one.de, four.de, sizeof one.de);
    assert_memory_equal(one.dtheta, four.dtheta, one.tensors.size * sizeof(real));
    tear_down(&four);
    tear_down(&one);
    threads_stop(pool);
}

/* The share of delta leaves its range: stored, it is brought back and learns on; only
 * read within it (parity), its gradient is gone. */
static void the_share_stays_in_its_range(void **state)
{
    (void)state;
    struct gate_config config = config_of(GATE_ADAPTIVE, GATE_MEAN);
    for (int clamp = GATE_CLAMP_PARAM; clamp <= GATE_CLAMP_FORWARD; clamp++) {
        struct fixture f;
        config.clamp = (enum gate_clamp)clamp;
        set_up(&f, &config);
        const size_t alpha = tensor(&f.tensors, "gate.alpha")->offset;
        f.theta[alpha] = REAL_C(0.2);
        const double most = value(&f);
        f.theta[alpha] = REAL_C(0.7);
        gate_clamp(&f.config, f.theta);
        assert_close(value(&f), most, 0);
        assert_close(f.theta[alpha], clamp == GATE_CLAMP_PARAM ? 0.2 : 0.7, 0);
        backward(&f);
        assert_int_equal(f.dtheta[alpha] != 0, clamp == GATE_CLAMP_PARAM);
        tear_down(&f);
    }
}

static void what_serves_is_what_was_trained(void **state)
{
    (void)state;
    const struct network_config config = whole_config(GATE_ADAPTIVE);
    struct network *const network = network_new(&config, 2, false, NULL, NULL);
    real *const theta = calloc(network_size(network), sizeof *theta);
    real x[2 * L * 3], y[2 * 5 * 3], other[2 * 5 * 3];
    network_init(network, theta, 1);
    fill_normal(x, 2 * L * 3, 1, 2);
    struct network_fold *const fold = network_fold_new(network, theta, NULL);
    network_forward(network, theta, x, NULL, 2, y, NULL);
    network_forward_folded(network, theta, fold, x, NULL, 2, other);
    assert_memory_equal(y, other, sizeof y);
    network_fold_free(fold);
    free(theta);
    network_free(network);
}

static void what_cannot_be_is_refused(void **state)
{
    (void)state;
    struct err err = {0};
    struct network_config config = whole_config(GATE_BASE);
    config.axis = AXIS_PATCH;
    config.patch = 4;
    assert_int_equal(network_check(&config, 1, &err), -1);
    assert_non_null(strstr(err.msg, "gate: must be none where axis is patch"));
    err = (struct err){0};
    config = whole_config(GATE_BASE);
    config.gate.ctx = GATE_BAND;
    config.D = 8;
    assert_int_equal(network_check(&config, 1, &err), -1);
    assert_non_null(strstr(err.msg, "gate_ctx: band needs a lift of at most 7"));
}

int main(void)
{
    model_start();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(w1_parameter_counts),
        cmocka_unit_test(w1_the_network_has_the_published_total),
        cmocka_unit_test(w1_at_first_it_is_one_and_g),
        cmocka_unit_test(w2_positions_may_permute),
        cmocka_unit_test(w2_the_window_begins_again),
        cmocka_unit_test(w3_the_mean_context_is_the_first_value),
        cmocka_unit_test(w3_gradients),
        cmocka_unit_test(w3_gradients_of_a_network),
        cmocka_unit_test(threads_change_no_bit),
        cmocka_unit_test(the_share_stays_in_its_range),
        cmocka_unit_test(what_serves_is_what_was_trained),
        cmocka_unit_test(what_cannot_be_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
