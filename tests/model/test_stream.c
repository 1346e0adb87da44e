/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Networks that stream: gradients, and a state against windows, for every mixer that has
 * a step. */
#include "model/network.h"

#include "model/panel.h"
#include "model/windows.h"
#include "tests/model/gradient.h"

#include <stdio.h>

enum { L = 24, PATCH = 4, P = 3, B = 3, STEPS = 5 * L + 7, D = 2 };

struct variant {
    const char *label, *mixer;
    bool causal, fuse;
    enum taylor2_mode mode;
};

static const struct variant variants[] = {
    {"rwkv7", "rwkv7", false, false, 0},
    {"rwkv7x", "rwkv7x", false, false, 0},
    {"linear", "linear", true, false, 0},
    {"inline", "inline", true, false, 0},
    {"taylor2 norm2", "taylor2", true, false, TAYLOR_NORM2},
    {"taylor2 diag", "taylor2", true, false, TAYLOR_DIAG},
    {"luna", "luna", true, false, 0},
    {"gdn_swa", "gdn_swa", false, false, 0},
    {"gdn_swa fuse", "gdn_swa", false, true, 0},
    {"h3", "h3", false, false, 0},
};
enum { VARIANTS = sizeof variants / sizeof *variants };

static struct network_config config_of(const struct variant *v, int trunk, size_t lift)
{
    return (struct network_config){
        .L = L,
        .V = 1,
        .P = P,
        .C = 8,
        .Fd = 10,
        .H = 2,
        .D = lift,
        .layers = 2,
        .rank = 3,
        .mixer = mixer_find(v->mixer, NULL),
        .trunk = (enum mixer_trunk)trunk,
        .causal = v->causal,
        .options = {.taylor2_shortcut = true,
                    .taylor2_mode = v->mode,
                    .luna_m = 3,
                    .luna_lc = 2,
                    .luna_hidden = 5,
                    .gdn_window = 4,
                    .gdn_sinks = 1,
                    .gdn_chunk = 16,
                    .gdn_pattern = v->fuse ? GDN_FUSE : GDN_ALTERNATE,
                    .h3_head = 4,
                    .h3_shift_len = 5,
                    .h3_state = 3},
        .axis = AXIS_PATCH,
        .patch = PATCH,
        .stream = true,
        .dropout = 0.4,
        .skip = true,
    };
}

static struct network *open_network(const struct network_config *config, bool training,
                                    real **theta)
{
    struct err err = {0};
    struct network *const n = network_new(config, B, training, NULL, &err);
    if (!n)
        fail_msg("%s", err.msg);
    *theta = calloc(network_size(n), sizeof **theta);
    network_init(n, *theta, 1);
    if (!training) { /* no tensor at its first zeros */
        real *const more = calloc(network_size(n), sizeof *more);
        fill_normal(more, network_size(n), 8, 0.1);
        for (size_t i = 0; i < network_size(n); i++)
            (*theta)[i] += more[i];
        free(more);
    }
    return n;
}

/* ---- training ---------------------------------------------------------------------- */

struct fixture {
    struct network *network;
    real *theta, *dtheta, x[B * L], y[B * P], weight[B * P];
    uint32_t phase[B];
    struct dropout_step step;
};

static double value(void *ctx)
{
    struct fixture *const f = ctx;
    network_forward(f->network, f->theta, f->x, f->phase, B, f->y, &f->step);
    return weigh(f->y, f->weight, B * P);
}

/* Through tokens that overlap, tokens that are left out, and beginnings anywhere. */
static void gradients(void **state)
{
    (void)state;
    for (size_t m = 0; m < VARIANTS; m += 4) { /* the mixers' own are in test_mixers */
        const struct network_config config = config_of(&variants[m], TRUNK_FRWKV, D);
        struct fixture f = {.step = {3, 9}, .phase = {0, 5, 15}};
        f.network = open_network(&config, true, &f.theta);
        f.dtheta = calloc(network_size(f.network), sizeof *f.dtheta);
        fill_normal(f.x, B * L, 1, 2);
        fill_normal(f.weight, B * P, 2, 1);
        value(&f);
        network_backward(f.network, f.theta, f.weight, f.dtheta, NULL);
        for (size_t i = 0; i < network_tensors(f.network); i++) {
            const struct tensor *const t = network_tensor(f.network, i);
            char what[120];
            snprintf(what, sizeof what, "%s: %s", variants[m].label, t->name);
            assert_gradient(value, &f, f.theta + t->offset, f.dtheta + t->offset,
                            t->shape[0] * t->shape[1], 2, what);
        }
        network_free(f.network);
        free(f.theta);
        free(f.dtheta);
    }
}

/* ---- serving ----------------------------------------------------------------------- */

/* A series with gaps: one of a step, one longer than L, one where lanes begin. */
static void fill_series(double *z)
{
    real x[STEPS];
    fill_normal(x, STEPS, 4, 1);
    for (size_t i = 0; i < STEPS; i++) {
        const bool gap = i < 2 || i == 31 || (i >= 45 && i < 48 + L + 5);
        z[i] = gap ? (double)NAN : 0.1 * (double)i + (double)x[i];
    }
}

/* At every step a state says what the window there does. */
static void check_states(const struct network_config *config, const char *label)
{
    enum { FIRST_STEP = 1000003 };
    real *theta, x[L], y[P], want[P];
    double z[STEPS], worst = 0;
    struct err err = {0};
    struct network *const n = open_network(config, false, &theta);
    struct network_fold *const fold = network_fold_new(n, theta, &err);
    assert_non_null(fold);
    real *const kept = calloc(network_state_size(n), sizeof *kept);
    const struct panel panel = {
        .rows = STEPS, .cols = 1, .width = 1, .first_step = FIRST_STEP, .z = z};
    fill_series(z);
    for (uint32_t i = 0; i < STEPS; i++) {
        network_state_push(n, theta, fold, kept, panel_phase(&panel, i, L), (real)z[i]);
        if (i + 1 < L)
            continue;
        const uint32_t phase = panel_phase(&panel, i + 1, L);
        const real *const states[] = {kept};
        windows_input(&panel, (struct origin){i + 1, 0}, L, 0, x);
        network_forward(n, theta, x, &phase, 1, want, NULL);
        network_state_forward(n, theta, fold, states, phase, 1, y);
        worst = fmax(worst, worst_difference(y, want, P));
        network_forward_folded(n, theta, fold, x, &phase, 1, want);
        assert_memory_equal(y, want, sizeof want);
    }
    if (!(worst <= 1e-10)) {
        print_error("%s: off by %.3g\n", label, worst);
        fail();
    }
    network_fold_free(fold);
    network_free(n);
    free(theta);
    free(kept);
}

static void a_state_is_its_window(void **state)
{
    (void)state;
    for (size_t m = 0; m < VARIANTS; m++)
        for (int trunk = TRUNK_FRWKV; trunk <= TRUNK_NATIVE; trunk++)
            for (size_t lift = 1; lift <= D; lift++) {
                const struct network_config config = config_of(&variants[m], trunk, lift);
                check_states(&config, variants[m].label);
            }
}

/* Rebuilt from the last 2 L values, the first half noted only: the same bits. */
static void only_the_last_values_count(void **state)
{
    (void)state;
    const struct network_config config = config_of(&variants[0], TRUNK_FRWKV, D);
    real *theta;
    double z[STEPS];
    struct err err = {0};
    struct network *const n = open_network(&config, false, &theta);
    struct network_fold *const fold = network_fold_new(n, theta, &err);
    const size_t size = network_state_size(n);
    real *const all = calloc(size, sizeof *all), *const late = calloc(size, sizeof *late);
    fill_series(z);
    for (uint32_t i = 0; i < STEPS; i++) {
        network_state_push(n, theta, fold, all, i % L, (real)z[i]);
        if (i + L >= STEPS)
            network_state_push(n, theta, fold, late, i % L, (real)z[i]);
        else if (i + 2 * L >= STEPS)
            network_state_note(n, late, i % L, (real)z[i]);
    }
    assert_memory_equal(all, late, size * sizeof *all);
    network_fold_free(fold);
    network_free(n);
    free(theta);
    free(all);
    free(late);
}

/* A batch of states is each of them. */
static void states_stay_apart(void **state)
{
    (void)state;
    const struct network_config config = config_of(&variants[2], TRUNK_FRWKV, 1);
    real *theta, x[B * 2 * L], y[B * P], one[P];
    struct err err = {0};
    struct network *const n = open_network(&config, false, &theta);
    struct network_fold *const fold = network_fold_new(n, theta, &err);
    real *kept[B];
    const real *states[B];
    fill_normal(x, B * 2 * L, 6, 1);
    for (size_t b = 0; b < B; b++) {
        states[b] = kept[b] = calloc(network_state_size(n), sizeof **kept);
        for (uint32_t i = 0; i < 2 * L - 5; i++)
            network_state_push(n, theta, fold, kept[b], i % L, x[b * 2 * L + i]);
    }
    network_state_forward(n, theta, fold, states, L - 5, B, y);
    for (size_t b = 0; b < B; b++) {
        network_state_forward(n, theta, fold, states + b, L - 5, 1, one);
        assert_memory_equal(one, y + b * P, sizeof one);
        free(kept[b]);
    }
    network_fold_free(fold);
    network_free(n);
    free(theta);
}

static void what_cannot_stream(void **state)
{
    (void)state;
    const struct variant soft = {"softmax", "softmax", true, false, 0};
    struct network_config cases[6];
    for (size_t i = 0; i < 6; i++)
        cases[i] = config_of(i == 0 ? &soft : &variants[2], TRUNK_FRWKV, 1);
    cases[1].causal = false;
    cases[2].dir = DIR_BI;
    cases[3].axis = AXIS_EMBED;
    cases[4].patch = L;
    cases[5].season = 8;
    for (size_t i = 0; i < 6; i++) {
        struct err err = {0};
        assert_int_equal(network_check(&cases[i], 1, &err), -1);
        assert_int_equal(err.code, ERR_INVALID);
        assert_non_null(strstr(err.msg, "stream"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gradients),
        cmocka_unit_test(a_state_is_its_window),
        cmocka_unit_test(only_the_last_values_count),
        cmocka_unit_test(states_stay_apart),
        cmocka_unit_test(what_cannot_stream),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
