/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One table row per setting; presets, parsing, ranges and help all come from it. */
#include "model/model.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/mixer.h"

enum kind { WORD, INTEGER, INTEGER64, NUMBER, FLAG, CHOICE };
enum preset { DEFAULT, PAPER, PRESETS };

static const char *const preset_names[PRESETS] = {"default", "paper"};
static const char *const loss_words[] = {"l1", "l2", "l1+l2", NULL};
static const char *const schedule_words[] = {"cosine", "halving", "constant", NULL};

/* Numbered as the enums of model.h and mixer.h; inline_local has "auto" before them. */
static const char *const trunk_words[] = {"frwkv", "native", NULL};
static const char *const dir_words[] = {"fwd", "bwd", "bi", NULL};
static const char *const order_words[] = {"file", "corr", NULL};
static const char *const axis_words[] = {"variate", "embed", "patch", NULL};
static const char *const decay_words[] = {"narrow", "wide", NULL};
static const char *const local_words[] = {"auto", "none", "order3", "knn", NULL};
static const char *const phi_words[] = {"identity", "relu", "leaky", "exp", NULL};
static const char *const taylor2_words[] = {"norm2", "diag", "sym", "full", NULL};
static const char *const beta_words[] = {"fixed", "learn", NULL};
static const char *const pos_words[] = {"none", "learn", NULL};
static const char *const nonneg_words[] = {"softplus", "relu", NULL};
static const char *const env_words[] = {"none", "exp", NULL};
static const char *const gate_words[] = {"none", "base",     "phase",
                                         "full", "adaptive", NULL};
static const char *const ctx_words[] = {"mean", "band", NULL};
static const char *const clamp_words[] = {"param", "forward", NULL};
static const char *const pattern_words[] = {"alternate", "fuse", NULL};

struct row {
    const char *name;
    enum kind kind;
    size_t offset;
    double least, most;
    const char *const *words; /* WORD and CHOICE: what is taken */
    double value[PRESETS];    /* WORD and CHOICE: index into words */
    const char *help;
};

#define ROW(kind, field, least, most, usual, paper, help)                                \
    {                                                                                    \
#field, kind, offsetof(struct model_settings, field), least, most, NULL,         \
            {usual, paper }, help                                                        \
    }
#define WORDS(kind, field, words, usual, paper, help)                                    \
    {                                                                                    \
#field, kind, offsetof(struct model_settings, field), 0, 0, words,               \
            {usual, paper }, help                                                        \
    }

/* clang-format off */
static const struct row rows[] = {
    WORDS(WORD,     preset, preset_names, DEFAULT, PAPER, "where every other setting begins; setting it resets the others"),
    WORDS(WORD,     mixer, NULL, 0, 0,                 "what lets tokens see each other inside a layer"),
    WORDS(CHOICE,  trunk, trunk_words, 0, 0,           "around the mixer's core: FRWKV's projections and gate, or those of its source"),
    WORDS(CHOICE,  axis, axis_words, 0, 0,             "tokens: the series (group = joint), the copies of a series, or patches of its window"),
    ROW(INTEGER,   patch, 1, 4096, 24, 24,             "axis = patch: steps of a token; a divisor of the look-back"),
    WORDS(CHOICE,  order, order_words, 0, 0,           "series as tokens: as the file has them, or chained by correlation"),
    WORDS(CHOICE,  dir, dir_words, 0, 0,               "of a mixer that knows an order: from the first token, from the last, or the mean of both"),
    ROW(FLAG,      causal, 0, 1, 0, 0,                 "softmax, linear, inline, taylor2, luna: a token sees itself and those before it"),
    ROW(FLAG,      stream, 0, 1, 0, 0,                 "axis = patch: patches by the clock, so that a state of each series is kept and goes on with each value"),
    WORDS(CHOICE,  rwkv7x_decay, decay_words, 0, 0,    "FRWKV's range of decays or RWKV-7's, (0.545, 1)"),
    WORDS(CHOICE,  inline_local, local_words, 0, 0,    "also add a mixture of three tokens: by order, or the series most alike; auto: by the axis"),
    WORDS(CHOICE,  inline_phi, phi_words, 0, 0,        "of queries and keys"),
    WORDS(CHOICE,  taylor2_mode, taylor2_words, 0, 0,  "which features; full and sym for heads of at most 16 channels"),
    ROW(FLAG,      taylor2_shortcut, 0, 1, 1, 1,       "also add gelu(LayerNorm(value))"),
    WORDS(CHOICE,  taylor2_beta, beta_words, 0, 0,     "mode diag: the linear term, left out or learnt"),
    WORDS(CHOICE,  taylor2_pos, pos_words, 0, 0,       "axis = patch: a learnt vector for the key of each place in the window"),
    ROW(INTEGER,   luna_m, 1, 256, 16, 16,             "M, directions of the feature map"),
    ROW(INTEGER,   luna_lc, 1, 64, 4, 4,               "Lc, learnt functions of each direction"),
    ROW(INTEGER,   luna_hidden, 1, 512, 64, 64,        "width of the net that is those functions"),
    WORDS(CHOICE,  luna_nonneg, nonneg_words, 0, 0,    "what makes features positive"),
    WORDS(CHOICE,  luna_env, env_words, 0, 0,          "features fall with the token's length, or not"),
    ROW(FLAG,      luna_chrms, 0, 1, 0, 0,             "scale the functions by their root mean square"),
    ROW(FLAG,      luna_per_head, 0, 1, 0, 0,          "a feature map for each head, not one for all of a layer"),
    ROW(INTEGER,   gdn_window, 0, 8192, 0, 0,          "tokens of the sliding window; 0: 16 series or 32 patches"),
    ROW(INTEGER,   gdn_sinks, 0, 64, 1, 1,             "first tokens that the window always sees"),
    WORDS(CHOICE,  gdn_pattern, pattern_words, 0, 0,   "window in every fourth layer and delta rule in the others, or both in each"),
    ROW(INTEGER,   gdn_chunk, 1, 256, 16, 16,          "tokens of the delta rule at a time, from 64 tokens on"),
    ROW(FLAG,      gdn_rope, 0, 1, 0, 0,               "axis = patch: the window knows distances"),
    ROW(FLAG,      gdn_neg_eig, 0, 1, 0, 0,            "steps of the delta rule up to 2"),
    ROW(INTEGER,   h3_head, 1, 64, 8, 8,               "channels of a head, whatever heads says; a divisor of the width"),
    ROW(INTEGER,   h3_shift_len, 1, 256, 64, 64,       "tokens that the shift reaches back"),
    ROW(INTEGER,   h3_ssm_state, 1, 256, 32, 32,       "complex states of each filter"),
    ROW(INTEGER,   width, 8, 2048, 64, 512,            "C, width of the encoders; a multiple of heads"),
    ROW(INTEGER,   ff, 8, 8192, 64, 512,               "Fd, width of the feed-forward layers and of the head"),
    ROW(INTEGER,   heads, 1, 64, 4, 8,                 "H, heads of the mixer"),
    ROW(INTEGER,   lift, 1, 64, 2, 16,                 "D, copies of the window before the spectrum"),
    ROW(INTEGER,   layers, 1, 16, 2, 2,                "encoder layers in each branch"),
    ROW(INTEGER,   rank, 0, 1024, 16, 0,               "of the mixer's low-rank maps; 0: max(64, C/8)"),
    ROW(FLAG,      cycle, 0, 1, 1, 0,                  "take a season out before the network and put it back after"),
    ROW(FLAG,      skip, 0, 1, 1, 0,                   "a linear map from the window straight to the forecast"),
    WORDS(CHOICE,  gate, gate_words, 0, 0,             "FRWKV+'s: each branch's spectrum scaled by what the other says"),
    ROW(INTEGER,   gate_period, 1, 8192, 24, 24,       "steps of the rhythm that phase, full and adaptive look at"),
    ROW(INTEGER,   gate_routers, 1, 256, 4, 4,         "vectors that gather it"),
    ROW(NUMBER,    gate_alpha0, 0, 0.2, 0.1, 0.1,      "where the share of that begins"),
    ROW(NUMBER,    gate_trust_bias, -20, 20, -2, -2,   "gate = adaptive: where the trust in it begins, before the logistic function"),
    WORDS(CHOICE,  gate_ctx, ctx_words, 0, 0,          "of a spectrum: its mean, or the logarithm of its power in lift bands"),
    WORDS(CHOICE,  gate_alpha_clamp, clamp_words, 0, 0, "keep the share within 0..0.2 where it is stored, or where it is read (parity)"),
    ROW(NUMBER,    dropout, 0, 0.9, 0.2, 0.2,          "p; the layers use fixed shares of it"),
    ROW(FLAG,      out_dropout, 0, 1, 0, 1,            "also drop points of the forecast itself while training"),
    WORDS(CHOICE,  loss, loss_words, LOSS_L1, LOSS_L1, "absolute error, squared error, or their sum"),
    ROW(NUMBER,    loss_alpha, 0, 4, 0.5, 0.5,         "step j of the horizon weighs (j+1)^-loss_alpha"),
    ROW(NUMBER,    frequency_loss, 0, 1, 0.5, 0,       "share of the training loss that is the error's spectrum"),
    ROW(INTEGER,   batch, 1, 1024, 32, 32,             "windows in a training step"),
    ROW(INTEGER,   epochs, 1, 1000, 20, 20,            "most epochs"),
    ROW(INTEGER,   patience, 1, 1000, 3, 3,            "epochs without a better stop loss before training ends"),
    ROW(INTEGER,   steps_per_epoch, 0, 1000000, 0, 0,  "most steps in an epoch; 0: every window once, up to 400 (each) or 2000 (joint)"),
    WORDS(CHOICE,  schedule, schedule_words, SCHEDULE_COSINE, SCHEDULE_COSINE, "of the learning rate: per step to zero; halved every epoch from the third; none"),
    ROW(NUMBER,    learning_rate, 1e-8, 1, 7e-4, 1e-4, "at the first step"),
    ROW(NUMBER,    weight_decay, 0, 1, 1e-3, 1e-3,     "of AdamW"),
    ROW(FLAG,      decay_all, 0, 1, 0, 1,              "decay every trained tensor, not the matrices alone"),
    ROW(NUMBER,    ema, 0, 0.99999, 0.998, 0,          "largest decay of the averaged weights; 0: no average"),
    ROW(NUMBER,    max_missing, 0, 1, 0.3, 0.3,        "a window whose input misses a larger share trains nothing"),
    ROW(INTEGER64, seed, 0, 9007199254740992.0, 1, 1,  "of initial weights, order and dropout"),
};
/* clang-format on */

enum { ROWS = sizeof rows / sizeof *rows };

/* The i-th word that a row takes, NULL past the end; the mixers name themselves. */
static const char *word_at(const struct row *row, size_t i)
{
    if (row->words == preset_names)
        return i < PRESETS ? preset_names[i] : NULL;
    return row->words ? row->words[i] : mixer_name(i);
}

static void *field_at(struct model_settings *settings, const struct row *row)
{
    return (char *)settings + row->offset;
}

static const void *field_of(const struct model_settings *settings, const struct row *row)
{
    return (const char *)settings + row->offset;
}

static void store(struct model_settings *settings, const struct row *row, double value)
{
    void *const field = field_at(settings, row);
    switch (row->kind) {
    case WORD:
        snprintf(field, sizeof settings->preset, "%s", word_at(row, (size_t)value));
        break;
    case INTEGER:
        *(int *)field = (int)value;
        break;
    case INTEGER64:
        *(int64_t *)field = (int64_t)value;
        break;
    case NUMBER:
        *(double *)field = value;
        break;
    case FLAG:
        *(bool *)field = value != 0;
        break;
    case CHOICE:
        *(int *)field = (int)value;
        break;
    }
}

static_assert(sizeof((struct model_settings *)0)->preset ==
                  sizeof((struct model_settings *)0)->mixer,
              "store() writes both words with one bound");
static_assert(sizeof(enum model_loss) == sizeof(int), "store() writes choices as int");

/* Index of a word that the row takes, or -1. */
static int word_index(const struct row *row, const char *word)
{
    for (size_t i = 0; word_at(row, i); i++)
        if (strcmp(word_at(row, i), word) == 0)
            return (int)i;
    return -1;
}

static int refuse_word(const struct row *row, const char *value, struct err *err)
{
    char list[160] = "";
    size_t used = 0;
    for (size_t i = 0; word_at(row, i); i++)
        used += (size_t)snprintf(list + used, sizeof list - used, "%s%s", i ? ", " : "",
                                 word_at(row, i));
    return err_set(err, ERR_INVALID, "%s: must be one of %s, got \"%.40s\"", row->name,
                   list, value);
}

int model_settings_preset(struct model_settings *settings, const char *preset,
                          struct err *err)
{
    const int p = word_index(&rows[0], preset);
    if (p < 0)
        return refuse_word(&rows[0], preset, err);
    *settings = (struct model_settings){0};
    for (size_t i = 0; i < ROWS; i++)
        store(settings, &rows[i], rows[i].value[p]);
    return 0;
}

static int set_number(struct model_settings *settings, const struct row *row,
                      const char *text, struct err *err)
{
    char *end;
    errno = 0;
    const double value = strtod(text, &end);
    const bool whole = row->kind == NUMBER || value == floor(value);
    if (end == text || *end || errno == ERANGE || !whole || !(value >= row->least) ||
        !(value <= row->most))
        return err_set(err, ERR_INVALID, "%s: must be %s%.17g..%.17g, got \"%.40s\"",
                       row->name, row->kind == NUMBER ? "" : "a whole number ",
                       row->least, row->most, text);
    store(settings, row, value);
    return 0;
}

static int set_flag(struct model_settings *settings, const struct row *row,
                    const char *text, struct err *err)
{
    const bool yes = strcmp(text, "true") == 0 || strcmp(text, "1") == 0;
    if (!yes && strcmp(text, "false") != 0 && strcmp(text, "0") != 0)
        return err_set(err, ERR_INVALID, "%s: must be true or false, got \"%.40s\"",
                       row->name, text);
    store(settings, row, yes);
    return 0;
}

int model_settings_set(struct model_settings *settings, const char *key,
                       const char *value, struct err *err)
{
    const struct row *row = rows;
    while (row < rows + ROWS && strcmp(row->name, key) != 0)
        row++;
    if (row == rows + ROWS)
        return err_set(err, ERR_INVALID, "%.40s: no such model setting", key);
    if (row == rows)
        return model_settings_preset(settings, value, err);
    if (row->kind == FLAG)
        return set_flag(settings, row, value, err);
    if (row->kind != WORD && row->kind != CHOICE)
        return set_number(settings, row, value, err);
    const int index = word_index(row, value);
    if (index < 0)
        return refuse_word(row, value, err);
    store(settings, row, index);
    return 0;
}

/* The shortest text that reads back as the same number. */
static void number_text(char *out, size_t size, double value)
{
    for (int digits = 1; digits <= 17; digits++) {
        snprintf(out, size, "%.*g", digits, value);
        if (strtod(out, NULL) == value)
            return;
    }
}

static const char *text_of(const struct model_settings *settings, const struct row *row,
                           char out[static 32])
{
    const void *const field = field_of(settings, row);
    switch (row->kind) {
    case WORD:
        return field;
    case INTEGER:
        snprintf(out, 32, "%d", *(const int *)field);
        break;
    case INTEGER64:
        snprintf(out, 32, "%lld", (long long)*(const int64_t *)field);
        break;
    case NUMBER:
        number_text(out, 32, *(const double *)field);
        break;
    case FLAG:
        return *(const bool *)field ? "true" : "false";
    case CHOICE:
        return word_at(row, (size_t) * (const int *)field);
    }
    return out;
}

void model_settings_each(const struct model_settings *settings,
                         void (*each)(void *ctx, const char *key, const char *value,
                                      const char *help),
                         void *ctx)
{
    for (size_t i = 0; i < ROWS; i++) {
        char text[32];
        each(ctx, rows[i].name, text_of(settings, &rows[i], text), rows[i].help);
    }
}
