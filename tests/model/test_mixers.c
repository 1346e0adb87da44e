/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The G rows of mixers.md, section 8: what holds for every mixer, in every mode. */
#include "model/core.h"
#include "model/matrix.h"
#include "tests/model/mixers.h"

/* The trunk around cores that ask the same of it is the same code: what it was checked
 * with before, its own tensors are not checked with again. */
static bool trunk_is_new(const struct mixer_config *config, size_t T)
{
    enum { WANTS = MIXER_MAPS | MIXER_WIDE_DECAY | MIXER_CONV };
    static bool seen[TRUNKS][WANTS + 1][3][TOKENS_MAX];
    const unsigned wants = config->mixer->flags(config) & WANTS;
    bool *const before = &seen[config->trunk][wants][config->dir][T];
    const bool new = !*before;
    *before = true;
    return new;
}

static void check_gradients(struct fixture *f, const char *label)
{
    char what[160];
    fixture_backward(f);
    const int trunk = (int)f->config.trunk, dir = (int)f->config.dir;
    const bool trunk_too = trunk_is_new(&f->config, f->call.T);
    const size_t own = f->tensors.count - core_tensors(&f->config).count;
    snprintf(what, sizeof what, "%s, trunk %d, dir %d, T %zu: x", label, trunk, dir,
             f->call.T);
    /* Everything of the usual size; of what is larger, smaller or repeated, some. */
    const bool usual = f->call.T == 9 && f->config.dir == DIR_FWD;
    const size_t most = usual ? 64 : 4;
    assert_gradient(fixture_value, f, f->x, f->dx, f->n, most, what);
    for (size_t k = trunk_too ? 0 : own; k < f->tensors.count; k++) {
        const struct tensor *const t = &f->tensors.list[k];
        snprintf(what, sizeof what, "%s, trunk %d, dir %d, T %zu: %s", label, trunk, dir,
                 f->call.T, t->name);
        assert_gradient(fixture_value, f, f->theta + t->offset, f->dtheta + t->offset,
                        t->shape[0] * t->shape[1], most, what);
    }
}

static void gradient_case(const struct variant *v, struct mixer_config *config, size_t B,
                          size_t T)
{
    struct fixture f;
    if (T > 9 && config->trunk == TRUNK_FRWKV)
        return; /* many tokens change what cores do, not what is around them */
    fixture_open(&f, config, B, T, true);
    check_gradients(&f, v->label);
    fixture_close(&f);
}

static void g1_gradients(void **state)
{
    (void)state;
    each(gradient_case, SIZES);
}

/* In every direction, in another order, and with dropout. */
static void direction_case(const struct variant *v, struct mixer_config *config, size_t B,
                           size_t T)
{
    if (T < 9)
        return;
    for (size_t i = 0; i < 4; i++) {
        struct fixture f;
        config->dir = i < 3 ? (enum mixer_dir)i : DIR_BI;
        config->order = i == 3 ? token_order : NULL;
        fixture_open(&f, config, B, T, true);
        f.dropout = (struct dropout){.stream = {.seed = 4}, .p = 0.3};
        check_gradients(&f, v->label);
        fixture_close(&f);
    }
}

static void g1_gradients_in_every_direction(void **state)
{
    (void)state;
    each(direction_case, SMALL_SIZES);
}

static void added_case(const struct variant *v, struct mixer_config *config, size_t B,
                       size_t T)
{
    struct fixture f;
    fixture_open(&f, config, B, T, true);
    fixture_backward(&f);
    real *const once = malloc((f.n + f.tensors.size) * sizeof *once);
    for (size_t i = 0; i < f.n; i++)
        once[i] = 2 * f.dx[i];
    for (size_t i = 0; i < f.tensors.size; i++)
        once[f.n + i] = 2 * f.dtheta[i];
    fixture_backward(&f);
    if (worst_difference(f.dx, once, f.n) > 1e-12 ||
        worst_difference(f.dtheta, once + f.n, f.tensors.size) > 1e-12) {
        print_error("%s: gradients are not added\n", v->label);
        fail();
    }
    free(once);
    fixture_close(&f);
}

static void g1_gradients_are_added(void **state)
{
    (void)state;
    each(added_case, 1);
}

static void permute_rows(real *to, const real *from, size_t T, size_t C)
{
    for (size_t t = 0; t < T; t++)
        memcpy(to + t * C, from + token_order[t] * C, C * sizeof *to);
}

/* The knn neighbours are of places, so they move along. */
static void permute_neighbours(size_t T)
{
    uint32_t place[TOKENS_MAX], moved[2 * TOKENS_MAX];
    for (size_t t = 0; t < T; t++)
        place[token_order[t]] = (uint32_t)t;
    for (size_t i = 0; i < 2 * T; i++)
        moved[i] = place[near_tokens[2 * token_order[i / 2] + i % 2]];
    memcpy(near_tokens, moved, 2 * T * sizeof *moved);
}

static void permutation_case(const struct variant *v, struct mixer_config *config,
                             size_t B, size_t T)
{
    (void)B;
    struct fixture f;
    const size_t C = config->C;
    if (!(mixer_flags(config) & MIXER_ORDER_FREE))
        return;
    fixture_open(&f, config, 1, T, true);
    real *const x = malloc(f.n * sizeof *x), *const want = malloc(f.n * sizeof *want);
    fixture_value(&f);
    permute_rows(x, f.x, T, C);
    permute_rows(want, f.y, T, C);
    memcpy(f.x, x, f.n * sizeof *x);
    permute_neighbours(T);
    fixture_value(&f);
    if (worst_difference(f.y, want, f.n) > 1e-12) {
        print_error("%s: outputs do not permute\n", v->label);
        fail();
    }
    free(x);
    free(want);
    fixture_close(&f);
}

static void g3_tokens_permute(void **state)
{
    (void)state;
    each(permutation_case, SIZES);
}

/* h3 by transforms sees later tokens in the last bit; by sums it does not. */
static void causal_case(const struct variant *v, struct mixer_config *config, size_t B,
                        size_t T)
{
    (void)B;
    if (!(mixer_flags(config) & MIXER_CAUSAL))
        return;
    struct fixture f;
    const size_t C = config->C, t = T / 2;
    const bool transforms = T > 64 && !strcmp(v->mixer, "h3");
    fixture_open(&f, config, 1, T, true);
    real *const before = malloc(f.n * sizeof *before);
    fixture_value(&f);
    memcpy(before, f.y, f.n * sizeof *before);
    for (size_t c = 0; c < C; c++)
        f.x[t * C + c] += 1;
    fixture_value(&f);
    if (transforms ? worst_difference(f.y, before, t * C) > 1e-12
                   : memcmp(before, f.y, t * C * sizeof *before) != 0) {
        print_error("%s, T %zu: a later token changed an earlier output\n", v->label, T);
        fail();
    }
    assert_memory_not_equal(before + t * C, f.y + t * C, C * sizeof *before);
    free(before);
    fixture_close(&f);
}

static void g4_later_tokens_do_not_matter(void **state)
{
    (void)state;
    each(causal_case, SIZES);
}

static void step_case(const struct variant *v, struct mixer_config *config, size_t B,
                      size_t T)
{
    (void)B;
    if (!(mixer_flags(config) & MIXER_STEP))
        return;
    struct fixture f;
    fixture_open(&f, config, 1, T, true);
    const size_t C = config->C, size = mixer_state_size(config);
    real *const memory = calloc(size + 1, sizeof *memory);
    real *const work = calloc(mixer_step_work_size(config), sizeof *work);
    real y[64];
    memory[size] = 7; /* where the state ends */
    fixture_value(&f);
    for (size_t t = 0; t < T; t++) {
        mixer_step(config, f.theta, f.x + t * C, y, memory, work);
        if (worst_difference(y, f.y + t * C, C) > 1e-10) {
            print_error("%s, trunk %d, T %zu: step %zu is not the forward pass: %g\n",
                        v->label, (int)config->trunk, T, t,
                        worst_difference(y, f.y + t * C, C));
            fail();
        }
    }
    assert_true(memory[size] == 7);
    free(work);
    free(memory);
    fixture_close(&f);
}

static void g5_steps_are_the_forward_pass(void **state)
{
    (void)state;
    each(step_case, SIZES);
}

static void sample_case(const struct variant *v, struct mixer_config *config, size_t B,
                        size_t T)
{
    struct fixture f;
    (void)B;
    fixture_open(&f, config, 3, T, true);
    const size_t sample = T * config->C;
    real *const before = malloc(f.n * sizeof *before);
    fixture_value(&f);
    memcpy(before, f.y, f.n * sizeof *before);
    for (size_t i = 0; i < f.n; i++)
        if (i / sample != 1)
            f.x[i] += 1;
    fixture_value(&f);
    if (memcmp(before + sample, f.y + sample, sample * sizeof *before) != 0) {
        print_error("%s: a sample depends on the others\n", v->label);
        fail();
    }
    free(before);
    fixture_close(&f);
}

static void g6_samples_are_independent(void **state)
{
    (void)state;
    each(sample_case, SMALL_SIZES);
}

static struct threads *four_threads;

static void threads_case(const struct variant *v, struct mixer_config *config, size_t B,
                         size_t T)
{
    struct fixture one, four;
    config->dir = T == 9 ? DIR_BI : DIR_FWD;
    fixture_open(&one, config, B, T, true);
    fixture_open(&four, config, B, T, true);
    one.dropout = four.dropout = (struct dropout){.stream = {.seed = 4}, .p = 0.3};
    four.call.pool = four_threads;
    fixture_backward(&one);
    fixture_backward(&four);
    if (memcmp(one.y, four.y, one.n * sizeof *one.y) ||
        memcmp(one.dx, four.dx, one.n * sizeof *one.dx) ||
        memcmp(one.dtheta, four.dtheta, one.tensors.size * sizeof *one.dtheta)) {
        print_error("%s: threads change bits\n", v->label);
        fail();
    }
    fixture_close(&four);
    fixture_close(&one);
}

static void g7_threads_change_no_bit(void **state)
{
    (void)state;
    four_threads = threads_start(4);
    each(threads_case, SIZES);
    threads_stop(four_threads);
}

/* The work space for forecasts alone gives what that for training gives. */
static void inference_case(const struct variant *v, struct mixer_config *config, size_t B,
                           size_t T)
{
    struct fixture training, forecast;
    fixture_open(&training, config, B, T, true);
    fixture_open(&forecast, config, B, T, false);
    fixture_value(&training);
    fixture_value(&forecast);
    if (worst_difference(forecast.y, training.y, training.n) > 1e-12) {
        print_error("%s: a forecast is not what was trained\n", v->label);
        fail();
    }
    fixture_close(&forecast);
    fixture_close(&training);
}

static void forecasts_are_what_was_trained(void **state)
{
    (void)state;
    each(inference_case, SIZES);
}

/* luna's map for each head: where all are the same it is the map for all, and what each
 * would like changed adds up to what that would. */
static void a_map_for_each_head(void **state)
{
    (void)state;
    struct mixer_config config = {.mixer = mixer_find("luna", NULL),
                                  .trunk = TRUNK_NATIVE,
                                  .C = 8,
                                  .H = 2,
                                  .options = {USUAL, .luna_env = LUNA_EXP}};
    struct fixture one, each_head;
    fixture_open(&one, &config, 2, 9, true);
    config.options.luna_per_head = true;
    fixture_open(&each_head, &config, 2, 9, true);
    const size_t own = one.tensors.count - core_tensors(&one.config).count;
    const size_t at = one.tensors.list[own].offset, size = one.tensors.size - at;
    assert_int_equal(each_head.tensors.size, at + 2 * size);
    memcpy(each_head.theta, one.theta, at * sizeof(real));
    for (size_t k = own; k < one.tensors.count; k++) {
        const struct tensor *const t = &one.tensors.list[k];
        const size_t n = t->shape[0] * t->shape[1];
        real *const to = each_head.theta + each_head.tensors.list[k].offset;
        memcpy(to, one.theta + t->offset, n * sizeof *to);
        memcpy(to + n, one.theta + t->offset, n * sizeof *to);
    }
    fixture_backward(&one);
    fixture_backward(&each_head);
    assert_true(worst_difference(each_head.y, one.y, one.n) < 1e-12);
    for (size_t k = own; k < one.tensors.count; k++) {
        const struct tensor *const t = &one.tensors.list[k];
        const size_t n = t->shape[0] * t->shape[1];
        real *const d = each_head.dtheta + each_head.tensors.list[k].offset;
        assert_true(worst_difference(d, d + n, n) > 1e-2); /* they differ */
        for (size_t i = 0; i < n; i++)
            d[i] += d[n + i];
        assert_true(worst_difference(d, one.dtheta + t->offset, n) < 1e-12);
    }
    fixture_close(&each_head);
    fixture_close(&one);
}

static void refused(const char *mixer, size_t C, size_t H, struct mixer_options options,
                    bool causal, const char *rule)
{
    struct err err = {0};
    const struct mixer_config config = {.mixer = mixer_find(mixer, NULL),
                                        .C = C,
                                        .H = H,
                                        .rank = 4,
                                        .causal = causal,
                                        .options = options};
    assert_err(mixer_check(&config, &err), &err, ERR_INVALID, rule);
}

static void what_cannot_be_is_refused(void **state)
{
    (void)state;
    refused("inline", 8, 2, (struct mixer_options){.inline_local = LOCAL_KNN}, false,
            "inline_local: knn needs series as tokens");
    refused("inline", 8, 2, (struct mixer_options){.inline_local = LOCAL_ORDER3}, true,
            "inline_local: must be none where causal is true");
    refused("taylor2", 64, 2, (struct mixer_options){.taylor2_mode = TAYLOR_SYM}, false,
            "taylor2_mode: full and sym need heads of at most 16 channels, got 32");
    refused("taylor2", 8, 2, (struct mixer_options){.taylor2_pos = true}, false,
            "taylor2_pos: must be none unless axis is patch");
    refused("luna", 8, 2, (struct mixer_options){.luna_chrms = true}, true,
            "luna_chrms: must be false where causal is true");
    refused("h3", 12, 2, (struct mixer_options){.h3_head = 8}, false,
            "h3_head: must divide the width 12, got 8");
}

/* For float_mixers, whose outputs should be the same. */
static void write_case(const struct variant *v, struct mixer_config *config, size_t B,
                       size_t T)
{
    struct fixture f;
    (void)v;
    fixture_open(&f, config, B, T, true);
    fixture_value(&f);
    assert_int_equal(fwrite(f.y, sizeof *f.y, f.n, stdout), f.n);
    fixture_close(&f);
}

int main(int argc, char **argv)
{
    matrix_start();
    if (argc == 2 && !strcmp(argv[1], "outputs")) {
        each(write_case, SIZES);
        return 0;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(g1_gradients),
        cmocka_unit_test(g1_gradients_in_every_direction),
        cmocka_unit_test(g1_gradients_are_added),
        cmocka_unit_test(g3_tokens_permute),
        cmocka_unit_test(g4_later_tokens_do_not_matter),
        cmocka_unit_test(g5_steps_are_the_forward_pass),
        cmocka_unit_test(g6_samples_are_independent),
        cmocka_unit_test(g7_threads_change_no_bit),
        cmocka_unit_test(forecasts_are_what_was_trained),
        cmocka_unit_test(a_map_for_each_head),
        cmocka_unit_test(what_cannot_be_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
