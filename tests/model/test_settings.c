/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/check.h"

#include "model/model.h"

static void presets_hold_the_recipe(void **state)
{
    (void)state;
    struct err err = {0};
    struct model_settings s;
    assert_ok(model_settings_preset(&s, "paper", &err), &err);
    assert_int_equal(s.width, 512);
    assert_int_equal(s.ff, 512);
    assert_int_equal(s.heads, 8);
    assert_int_equal(s.lift, 16);
    assert_int_equal(s.rank, 0);
    assert_int_equal(s.epochs, 20);
    assert_int_equal(s.patience, 3);
    assert_true(s.learning_rate == 1e-4 && s.weight_decay == 1e-3 && s.decay_all);
    assert_true(!s.cycle && !s.skip && s.frequency_loss == 0);
    assert_true(s.ema == 0 && s.out_dropout && s.loss == LOSS_L1 && s.loss_alpha == 0.5);
    assert_int_equal(s.schedule, SCHEDULE_COSINE);
    assert_string_equal(s.mixer, "rwkv7");

    assert_ok(model_settings_preset(&s, "default", &err), &err);
    assert_int_equal(s.width, 64);
    assert_int_equal(s.heads, 4);
    assert_int_equal(s.lift, 2);
    assert_int_equal(s.rank, 16);
    assert_true(s.ema == 0.998 && s.learning_rate == 7e-4);
    assert_true(s.cycle && s.skip && s.frequency_loss == 0.5 && !s.out_dropout);
    assert_string_equal(s.preset, "default");
    assert_err(model_settings_preset(&s, "big", &err), &err, ERR_INVALID,
               "preset: must be one of default, paper, got \"big\"");
}

static void values_are_read_and_refused(void **state)
{
    (void)state;
    static const struct {
        const char *key, *value, *refusal; /* NULL: taken */
    } cases[] = {
        {"epochs", "7", NULL},
        {"epochs", "7.5", "epochs: must be a whole number 1..1000"},
        {"epochs", "0", "epochs: must be"},
        {"epochs", "1001", "got \"1001\""},
        {"epochs", "", "epochs: must be"},
        {"epochs", "7x", "epochs: must be"},
        {"epochs", "nan", "epochs: must be"},
        {"learning_rate", "1e-3", NULL},
        {"learning_rate", "1e999", "learning_rate: must be 1e-08..1"},
        {"learning_rate", "nan", "learning_rate: must be"},
        {"learning_rate", "-1", "learning_rate: must be"},
        {"dropout", "0", NULL},
        {"cycle", "false", NULL},
        {"skip", "maybe", "skip: must be true or false"},
        {"frequency_loss", "1.1", "frequency_loss: must be 0..1"},
        {"dropout", "0.91", "dropout: must be"},
        {"decay_all", "true", NULL},
        {"decay_all", "0", NULL},
        {"decay_all", "yes", "decay_all: must be true or false"},
        {"loss", "l1+l2", NULL},
        {"loss", "huber", "loss: must be one of l1, l2, l1+l2"},
        {"schedule", "halving", NULL},
        {"mixer", "rwkv7", NULL},
        {"mixer", "softmaxsoftmaxsoftmax",
         "mixer: must be one of rwkv7, rwkv7x, softmax, "},
        {"mixer", "h3", NULL},
        {"trunk", "native", NULL},
        {"trunk", "oak", "trunk: must be one of frwkv, native, got \"oak\""},
        {"axis", "time", "axis: must be one of variate, embed, patch, got \"time\""},
        {"patch", "0", "patch: must be a whole number 1..4096, got \"0\""},
        {"inline_local", "knn", NULL},
        {"luna_lc", "65", "luna_lc: must be a whole number 1..64, got \"65\""},
        {"h3_head", "0", "h3_head: must be a whole number 1..64, got \"0\""},
        {"seed", "9007199254740992", NULL},
        {"seed", "-1", "seed: must be"},
        {"preset", "paper", NULL},
        {"nonsense", "1", "nonsense: no such model setting"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct err err = {0};
        struct model_settings s, before;
        assert_ok(model_settings_preset(&s, "default", &err), &err);
        before = s;
        const int rc = model_settings_set(&s, cases[i].key, cases[i].value, &err);
        if (!cases[i].refusal) {
            assert_ok(rc, &err);
            continue;
        }
        assert_int_equal(rc, -1);
        assert_int_equal(err.code, ERR_INVALID);
        if (!strstr(err.msg, cases[i].refusal))
            fail_msg("\"%s\" lacks \"%s\"", err.msg, cases[i].refusal);
        assert_memory_equal(&s, &before, sizeof s);
    }
}

/* What a mixer, its tokens and the gate can be told: all words, both ends of a range, and
 * what lies beyond. */
static void options_of_mixers_keep_to_their_ranges(void **state)
{
    (void)state;
    static const struct {
        const char *key, *taken[5], *refused[2];
    } cases[] = {
        {"trunk", {"frwkv", "native"}, {"none"}},
        {"axis", {"variate", "embed", "patch"}, {"time"}},
        {"dir", {"fwd", "bwd", "bi"}, {"both"}},
        {"order", {"file", "corr"}, {"name"}},
        {"causal", {"true", "false"}, {"2"}},
        {"patch", {"1", "4096"}, {"0", "4097"}},
        {"rwkv7x_decay", {"narrow", "wide"}, {"none"}},
        {"inline_local", {"auto", "none", "order3", "knn"}, {"order5"}},
        {"inline_phi", {"identity", "relu", "leaky", "exp"}, {"elu"}},
        {"taylor2_mode", {"norm2", "diag", "sym", "full"}, {"norm"}},
        {"taylor2_shortcut", {"true", "false"}, {"on"}},
        {"taylor2_beta", {"fixed", "learn"}, {"0"}},
        {"taylor2_pos", {"none", "learn"}, {"fixed"}},
        {"luna_m", {"1", "256"}, {"0", "257"}},
        {"luna_lc", {"1", "64"}, {"0", "65"}},
        {"luna_hidden", {"1", "512"}, {"0", "513"}},
        {"luna_nonneg", {"softplus", "relu"}, {"exp"}},
        {"luna_env", {"none", "exp"}, {"relu"}},
        {"luna_chrms", {"true", "false"}, {"2"}},
        {"luna_per_head", {"true", "false"}, {"2"}},
        {"gdn_window", {"0", "8192"}, {"-1", "8193"}},
        {"gdn_sinks", {"0", "64"}, {"-1", "65"}},
        {"gdn_pattern", {"alternate", "fuse"}, {"none"}},
        {"gdn_chunk", {"1", "256"}, {"0", "257"}},
        {"gdn_rope", {"true", "false"}, {"2"}},
        {"gdn_neg_eig", {"true", "false"}, {"2"}},
        {"h3_head", {"1", "64"}, {"0", "65"}},
        {"h3_shift_len", {"1", "256"}, {"0", "257"}},
        {"h3_ssm_state", {"1", "256"}, {"0", "257"}},
        {"gate", {"none", "base", "phase", "full", "adaptive"}, {"open"}},
        {"gate_period", {"1", "8192"}, {"0", "8193"}},
        {"gate_routers", {"1", "256"}, {"0", "257"}},
        {"gate_alpha0", {"0", "0.2"}, {"-0.1", "0.21"}},
        {"gate_trust_bias", {"-20", "20"}, {"-21", "21"}},
        {"gate_ctx", {"mean", "band"}, {"none"}},
        {"gate_alpha_clamp", {"param", "forward"}, {"none"}},
        {"out_dropout", {"true", "false"}, {"2"}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct err err = {0};
        struct model_settings s;
        assert_ok(model_settings_preset(&s, "default", &err), &err);
        for (size_t k = 0; k < 5 && cases[i].taken[k]; k++)
            assert_ok(model_settings_set(&s, cases[i].key, cases[i].taken[k], &err),
                      &err);
        for (size_t k = 0; k < 2 && cases[i].refused[k]; k++)
            assert_err(model_settings_set(&s, cases[i].key, cases[i].refused[k], &err),
                       &err, ERR_INVALID, cases[i].key);
    }
}

static void copy(void *ctx, const char *key, const char *value, const char *help)
{
    struct err err = {0};
    assert_true(help[0] != '\0');
    assert_ok(model_settings_set(ctx, key, value, &err), &err);
}

static void every_setting_reads_back_what_it_says(void **state)
{
    (void)state;
    struct err err = {0};
    struct model_settings s, t;
    assert_ok(model_settings_preset(&s, "paper", &err), &err);
    assert_ok(model_settings_set(&s, "learning_rate", "0.000123456789012345", &err),
              &err);
    assert_ok(model_settings_set(&s, "loss", "l2", &err), &err);
    assert_ok(model_settings_set(&s, "schedule", "constant", &err), &err);
    assert_ok(model_settings_set(&s, "mixer", "gdn_swa", &err), &err);
    assert_ok(model_settings_set(&s, "gdn_pattern", "fuse", &err), &err);
    assert_ok(model_settings_set(&s, "seed", "123456789012345", &err), &err);
    assert_ok(model_settings_preset(&t, "default", &err), &err);
    model_settings_each(&s, copy, &t);
    assert_memory_equal(&s, &t, sizeof s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(presets_hold_the_recipe),
        cmocka_unit_test(values_are_read_and_refused),
        cmocka_unit_test(options_of_mixers_keep_to_their_ranges),
        cmocka_unit_test(every_setting_reads_back_what_it_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
