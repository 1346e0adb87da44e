/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * golden FILE... -- replays what the reference network computed in double precision.
 *
 * A file holds the sizes of a small network, its parameters, one batch, and the output,
 * loss and gradients that the reference got from them; in the double build also three
 * AdamW steps.  Prints the worst difference of each group of tensors, relative to the
 * largest value of the tensor.
 *
 * Exits 0 if all is within the tolerance, 1 if not, 2 if a file cannot be used.  A
 * tensor that is missing, has another shape, or is not known makes it unusable.
 */
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "model/adamw.h"
#include "model/mixer.h"
#include "model/network.h"
#include "model/safetensors.h"

#ifdef REAL_DOUBLE
static const double TOLERANCE = 1e-9;
static const bool WITH_ADAMW = true;
#else
/* Adam turns the sign of a vanishing gradient into a full step. */
static const double TOLERANCE = 1e-4;
static const bool WITH_ADAMW = false;
#endif

enum { STEPS = 3, GROUPS_MAX = 32, FILE_MAX = 1 << 30 };

/* ---- the reference's names --------------------------------------------------------- */

struct alias {
    const char *ours, *theirs;
};

/* After "real.layer<i>." and "model.encoder_fre_real.attn_layers.<i>.". */
static const struct alias of_layer[] = {
    {"mixer.mu_r", "attention.mu_r"},
    {"mixer.mu_k", "attention.mu_k"},
    {"mixer.mu_v", "attention.mu_v"},
    {"mixer.mu_d", "attention.mu_d"},
    {"mixer.mu_a", "attention.mu_a"},
    {"mixer.mu_g", "attention.mu_g"},
    {"mixer.wr.w1", "attention.W_receptance.0.weight"},
    {"mixer.wr.b1", "attention.W_receptance.0.bias"},
    {"mixer.wr.w2", "attention.W_receptance.2.weight"},
    {"mixer.wr.b2", "attention.W_receptance.2.bias"},
    {"mixer.wk.w1", "attention.W_key.0.weight"},
    {"mixer.wk.b1", "attention.W_key.0.bias"},
    {"mixer.wk.w2", "attention.W_key.2.weight"},
    {"mixer.wk.b2", "attention.W_key.2.bias"},
    {"mixer.wv.w1", "attention.W_value.0.weight"},
    {"mixer.wv.b1", "attention.W_value.0.bias"},
    {"mixer.wv.w2", "attention.W_value.2.weight"},
    {"mixer.wv.b2", "attention.W_value.2.bias"},
    {"mixer.wo.w1", "attention.W_output.0.weight"},
    {"mixer.wo.b1", "attention.W_output.0.bias"},
    {"mixer.wo.w2", "attention.W_output.2.weight"},
    {"mixer.wo.b2", "attention.W_output.2.bias"},
    {"mixer.decay.a", "attention.decay_lora.A.weight"},
    {"mixer.decay.b", "attention.decay_lora.B.weight"},
    {"mixer.decay.bias", "attention.decay_lora.bias"},
    {"mixer.rate.a", "attention.iclr_lora.A.weight"},
    {"mixer.rate.b", "attention.iclr_lora.B.weight"},
    {"mixer.rate.bias", "attention.iclr_lora.bias"},
    {"mixer.gate.a", "attention.gate_lora.A.weight"},
    {"mixer.gate.b", "attention.gate_lora.B.weight"},
    {"mixer.xi", "attention.removal_key_multiplier"},
    {"mixer.alpha", "attention.iclr_mix_amt"},
    {"mixer.bonus", "attention.bonus_multiplier"},
    {"mixer.ln.g", "attention.ln_x.weight"},
    {"mixer.ln.b", "attention.ln_x.bias"},
    {"ln1.g", "norm1.weight"},
    {"ln1.b", "norm1.bias"},
    {"ff.w1", "conv1.weight"},
    {"ff.b1", "conv1.bias"},
    {"ff.w2", "conv2.weight"},
    {"ff.b2", "conv2.bias"},
    {"ln2.g", "norm2.weight"},
    {"ln2.b", "norm2.bias"},
    {NULL, NULL},
};

static const struct alias whole[] = {
    {"real.in.w", "model.fre_trans_real.0.weight"},
    {"real.in.b", "model.fre_trans_real.0.bias"},
    {"real.norm.g", "model.encoder_fre_real.norm.weight"},
    {"real.norm.b", "model.encoder_fre_real.norm.bias"},
    {"real.out.w", "model.fre_trans_real.2.weight"},
    {"real.out.b", "model.fre_trans_real.2.bias"},
    {"imag.in.w", "model.fre_trans_imag.0.weight"},
    {"imag.in.b", "model.fre_trans_imag.0.bias"},
    {"imag.norm.g", "model.encoder_fre_imag.norm.weight"},
    {"imag.norm.b", "model.encoder_fre_imag.norm.bias"},
    {"imag.out.w", "model.fre_trans_imag.2.weight"},
    {"imag.out.b", "model.fre_trans_imag.2.bias"},
    {"head.w1", "model.fc.0.weight"},
    {"head.b1", "model.fc.0.bias"},
    {"head.w2", "model.fc.3.weight"},
    {"head.b2", "model.fc.3.bias"},
    {"head.w3", "model.fc.6.weight"},
    {"head.b3", "model.fc.6.bias"},
    {"revin.gain", "model.revin_layer.affine_weight"},
    {"revin.bias", "model.revin_layer.affine_bias"},
    {"lift", "model.embeddings"},
    {NULL, NULL},
};

/* Tensors of the reference that take part in nothing. */
static const char *const idle[] = {"model.embeddings2", "model.embeddings_time"};
enum { IDLE = sizeof idle / sizeof *idle };

static const char *look_up(const struct alias *table, const char *ours)
{
    for (; table->ours; table++)
        if (!strcmp(table->ours, ours))
            return table->theirs;
    return NULL;
}

struct name {
    char text[192];
};

/* prefix (param., grad., adamw3.) and the reference's name of our tensor. */
static int name_of(struct name *name, const char *prefix, const char *ours,
                   struct err *err)
{
    char branch[8];
    unsigned layer;
    int rest = 0;
    const char *theirs = look_up(whole, ours);
    if (theirs) {
        snprintf(name->text, sizeof name->text, "%s%s", prefix, theirs);
        return 0;
    }
    if (sscanf(ours, "%4[a-z].layer%u.%n", branch, &layer, &rest) == 2 && rest)
        theirs = look_up(of_layer, ours + rest);
    if (!theirs)
        return err_set(err, ERR_INVALID, "%s: the reference has no such tensor", ours);
    snprintf(name->text, sizeof name->text, "%smodel.encoder_fre_%s.attn_layers.%u.%s",
             prefix, branch, layer, theirs);
    return 0;
}

/* ---- differences ------------------------------------------------------------------- */

struct group {
    char name[32];
    double worst;
    char tensor[80];
};

struct report {
    struct group groups[GROUPS_MAX];
    size_t count;
};

static void note(struct report *report, const char *what, const char *tensor,
                 double difference)
{
    char name[32];
    snprintf(name, sizeof name, "%s%.*s", what, (int)strcspn(tensor, "."), tensor);
    size_t i = 0;
    while (i < report->count && strcmp(report->groups[i].name, name))
        i++;
    if (i == GROUPS_MAX)
        return;
    struct group *const group = &report->groups[i];
    if (i == report->count) {
        *group = (struct group){.worst = -1};
        memcpy(group->name, name, sizeof name);
        report->count++;
    }
    /* A NaN is worse than everything. */
    if (!(difference <= group->worst)) {
        group->worst = isnan(difference) ? HUGE_VAL : difference;
        snprintf(group->tensor, sizeof group->tensor, "%s", tensor);
    }
}

static double relative(const real *got, const double *want, size_t count)
{
    double worst = 0, scale = 0;
    for (size_t i = 0; i < count; i++) {
        const double difference = fabs((double)got[i] - want[i]);
        if (!(difference <= worst))
            worst = difference;
        if (fabs(want[i]) > scale)
            scale = fabs(want[i]);
    }
    return worst > 0 || isnan(worst) ? worst / scale : 0;
}

static bool print_report(const struct report *report)
{
    bool good = true;
    for (size_t i = 0; i < report->count; i++) {
        const struct group *const group = &report->groups[i];
        const bool within = group->worst <= TOLERANCE;
        printf("  %-16s %9.2e  %s%s\n", group->name, group->worst, group->tensor,
               within ? "" : "  PAST THE TOLERANCE");
        good = good && within;
    }
    return good;
}

/* ---- one file ---------------------------------------------------------------------- */

struct golden {
    void *bytes;
    size_t len;
    struct safetensors *file;
    bool *known; /* of the file's tensors */
    struct network_config config;
    size_t B;
    struct network *network;
    size_t size, inputs, outputs;
    real *theta, *dtheta, *m, *v, *x, *target, *y, *dy;
    double *want; /* room for the largest tensor */
};

static int read_file(struct golden *g, const char *path, struct err *err)
{
    FILE *const in = fopen(path, "rb");
    if (!in)
        return err_errno(err, "%s", path);
    int rc = -1;
    if (fseek(in, 0, SEEK_END) || ftell(in) < 0 || ftell(in) > FILE_MAX) {
        err_set(err, ERR_TOO_LARGE, "%s: no file of at most 1 GiB", path);
        goto out;
    }
    g->len = (size_t)ftell(in);
    rewind(in);
    g->bytes = mem_new(g->len + 1, 1);
    if (fread(g->bytes, 1, g->len, in) != g->len) {
        err_errno(err, "%s", path);
        goto out;
    }
    g->file = safetensors_parse(g->bytes, g->len, err);
    rc = g->file ? 0 : -1;
out:
    fclose(in);
    return rc;
}

static int read_sizes(struct golden *g, struct err *err)
{
    struct network_config *const c = &g->config;
    const struct {
        const char *key;
        size_t *value;
    } sizes[] = {
        {"seq_len", &c->L},    {"pred_len", &c->P},      {"enc_in", &c->V},
        {"d_model", &c->C},    {"d_ff", &c->Fd},         {"n_heads", &c->H},
        {"embed_size", &c->D}, {"e_layers", &c->layers}, {"batch", &g->B},
    };
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        const char *const text = safetensors_meta(g->file, sizes[i].key);
        char *end = NULL;
        const unsigned long value = text ? strtoul(text, &end, 10) : 0;
        if (!text || end == text || *end || value < 1 || value > 1 << 20)
            return err_set(err, ERR_INVALID, "__metadata__.%s: must be 1..%d, got %s",
                           sizes[i].key, 1 << 20, text ? text : "nothing");
        *sizes[i].value = value;
    }
    c->mixer = mixer_find("rwkv7", err);
    return c->mixer ? 0 : -1;
}

/* Same size after dropping dimensions of 1: the reference's convolutions end in one. */
static bool same_shape(const struct safetensor *t, const size_t *shape, size_t rank)
{
    size_t i = 0, k = 0;
    for (;;) {
        while (i < t->rank && t->shape[i] == 1)
            i++;
        while (k < rank && shape[k] == 1)
            k++;
        if (i == t->rank || k == rank)
            return i == t->rank && k == rank;
        if (t->shape[i++] != shape[k++])
            return false;
    }
}

/* The tensor of that name and shape, which is then known. */
static const struct safetensor *find(struct golden *g, const char *name,
                                     const size_t *shape, size_t rank, struct err *err)
{
    for (size_t i = 0; i < safetensors_count(g->file); i++) {
        const struct safetensor *const t = safetensors_at(g->file, i);
        if (strcmp(t->name, name))
            continue;
        g->known[i] = true;
        if (same_shape(t, shape, rank))
            return t;
        err_set(err, ERR_INVALID, "%s: has another shape", name);
        return NULL;
    }
    err_set(err, ERR_NOT_FOUND, "%s: not in the file", name);
    return NULL;
}

static const struct safetensor *find_ours(struct golden *g, const char *prefix,
                                          const struct tensor *tensor, struct err *err)
{
    struct name name;
    if (name_of(&name, prefix, tensor->name, err))
        return NULL;
    return find(g, name.text, tensor->shape, tensor->rank, err);
}

static size_t elements(const struct tensor *tensor)
{
    return tensor->shape[0] * tensor->shape[1];
}

static int read_params(struct golden *g, struct err *err)
{
    for (size_t i = 0; i < network_tensors(g->network); i++) {
        const struct tensor *const tensor = network_tensor(g->network, i);
        const struct safetensor *const t = find_ours(g, "param.", tensor, err);
        if (!t || safetensor_reals(t, g->theta + tensor->offset, elements(tensor), err))
            return -1;
    }
    return 0;
}

static int read_batch(struct golden *g, struct err *err)
{
    const struct network_config *const c = &g->config;
    const size_t in[] = {g->B, c->L, c->V}, out[] = {g->B, c->P, c->V};
    const struct safetensor *const input = find(g, "input", in, 3, err);
    const struct safetensor *const target = find(g, "target", out, 3, err);
    if (!input || !target || safetensor_reals(input, g->x, g->inputs, err))
        return -1;
    return safetensor_reals(target, g->target, g->outputs, err);
}

/* The tensors that take no part: there, of the lift's size, and not moved by AdamW. */
static int check_idle(struct golden *g, struct err *err)
{
    for (size_t i = 0; i < IDLE; i++) {
        struct name param, after;
        snprintf(param.text, sizeof param.text, "param.%s", idle[i]);
        snprintf(after.text, sizeof after.text, "adamw3.%s", idle[i]);
        if (!find(g, param.text, &g->config.D, 1, err))
            return -1;
        if (safetensors_find(g->file, after.text) &&
            !find(g, after.text, &g->config.D, 1, err))
            return -1;
    }
    return 0;
}

/* Mean of |y - target| (t+1)^-0.5 over the batch, and its gradient. */
static double loss(struct golden *g)
{
    const size_t V = g->config.V, P = g->config.P;
    double sum = 0;
    for (size_t i = 0; i < g->outputs; i++) {
        const double weight = 1 / sqrt((double)(i / V % P) + 1) / (double)g->outputs;
        const double error = (double)g->y[i] - (double)g->target[i];
        sum += weight * fabs(error);
        g->dy[i] = (real)(error > 0 ? weight : error < 0 ? -weight : 0);
    }
    return sum;
}

static double pass(struct golden *g)
{
    network_forward(g->network, g->theta, g->x, NULL, g->B, g->y, NULL);
    const double value = loss(g);
    memset(g->dtheta, 0, g->size * sizeof *g->dtheta);
    network_backward(g->network, g->theta, g->dy, g->dtheta, NULL);
    return value;
}

static int compare_pass(struct golden *g, struct report *report, struct err *err)
{
    const size_t out[] = {g->B, g->config.P, g->config.V}, one[] = {1};
    const struct safetensor *const output = find(g, "output", out, 3, err);
    const struct safetensor *const value = find(g, "loss", one, 1, err);
    if (!output || !value || safetensor_doubles(output, g->want, g->outputs, err))
        return -1;
    const real got = (real)pass(g);
    note(report, "", "output", relative(g->y, g->want, g->outputs));
    if (safetensor_doubles(value, g->want, 1, err))
        return -1;
    note(report, "", "loss", relative(&got, g->want, 1));
    for (size_t i = 0; i < network_tensors(g->network); i++) {
        const struct tensor *const tensor = network_tensor(g->network, i);
        if (!tensor->used)
            continue;
        const struct safetensor *const t = find_ours(g, "grad.", tensor, err);
        if (!t || safetensor_doubles(t, g->want, elements(tensor), err))
            return -1;
        note(report, "grad ", tensor->name,
             relative(g->dtheta + tensor->offset, g->want, elements(tensor)));
    }
    return 0;
}

/* Three AdamW steps; in float the tensors are only looked for. */
static int compare_adamw(struct golden *g, struct report *report, struct err *err)
{
    const struct adamw adamw = {.learning_rate = 1e-3,
                                .beta1 = 0.9,
                                .beta2 = 0.999,
                                .epsilon = 1e-8,
                                .weight_decay = 1e-3,
                                .decay_all = true};
    const size_t steps[] = {STEPS};
    const struct safetensor *const losses = find(g, "adamw_losses", steps, 1, err);
    real got[STEPS];
    if (!losses || safetensor_doubles(losses, g->want, STEPS, err))
        return -1;
    for (uint64_t t = 1; WITH_ADAMW && t <= STEPS; t++) {
        got[t - 1] = (real)pass(g);
        adamw_step(&adamw, g->network, g->theta, g->dtheta, g->m, g->v, t);
    }
    if (WITH_ADAMW)
        note(report, "", "adamw_losses", relative(got, g->want, STEPS));
    for (size_t i = 0; i < network_tensors(g->network); i++) {
        const struct tensor *const tensor = network_tensor(g->network, i);
        struct name name;
        if (name_of(&name, "adamw3.", tensor->name, err))
            return -1;
        if (!tensor->used && !safetensors_find(g->file, name.text))
            continue;
        const struct safetensor *const t = find_ours(g, "adamw3.", tensor, err);
        if (!t || safetensor_doubles(t, g->want, elements(tensor), err))
            return -1;
        if (WITH_ADAMW)
            note(report, "adamw3 ", tensor->name,
                 relative(g->theta + tensor->offset, g->want, elements(tensor)));
    }
    return 0;
}

static int check_known(const struct golden *g, struct err *err)
{
    for (size_t i = 0; i < safetensors_count(g->file); i++)
        if (!g->known[i])
            return err_set(err, ERR_INVALID, "%s: not known",
                           safetensors_at(g->file, i)->name);
    return 0;
}

static int open_golden(struct golden *g, const char *path, struct err *err)
{
    if (read_file(g, path, err) || read_sizes(g, err))
        return -1;
    g->network = network_new(&g->config, g->B, true, NULL, err);
    if (!g->network)
        return -1;
    g->size = network_size(g->network);
    g->inputs = g->B * g->config.L * g->config.V;
    g->outputs = g->B * g->config.P * g->config.V;
    const size_t largest = g->size > g->outputs ? g->size : g->outputs;
    g->known = mem_new(safetensors_count(g->file) + 1, sizeof *g->known);
    g->theta = mem_new(g->size, sizeof *g->theta);
    g->dtheta = mem_new(g->size, sizeof *g->dtheta);
    g->m = mem_new(g->size, sizeof *g->m);
    g->v = mem_new(g->size, sizeof *g->v);
    g->x = mem_new(g->inputs, sizeof *g->x);
    g->target = mem_new(g->outputs, sizeof *g->target);
    g->y = mem_new(g->outputs, sizeof *g->y);
    g->dy = mem_new(g->outputs, sizeof *g->dy);
    g->want = mem_new(largest > STEPS ? largest : STEPS, sizeof *g->want);
    return 0;
}

static void close_golden(struct golden *g)
{
    void *const blocks[] = {g->want, g->dy, g->y,      g->target, g->x,
                            g->v,    g->m,  g->dtheta, g->theta,  g->known};
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++)
        free(blocks[i]);
    network_free(g->network);
    safetensors_free(g->file);
    free(g->bytes);
}

static int replay(const char *path)
{
    struct err err = {0};
    struct golden g = {0};
    struct report report = {0};
    const int failed = open_golden(&g, path, &err) || read_params(&g, &err) ||
                       read_batch(&g, &err) || check_idle(&g, &err) ||
                       compare_pass(&g, &report, &err) ||
                       compare_adamw(&g, &report, &err) || check_known(&g, &err);
    close_golden(&g);
    if (failed) {
        fprintf(stderr, "%s: %s\n", path, err.msg);
        return 2;
    }
    printf("%s (%s, tolerance %g)\n", path, REAL_NAME, TOLERANCE);
    const bool good = print_report(&report);
    printf("  %s\n", good ? "ok" : "FAILED");
    return good ? 0 : 1;
}

int main(int argc, char **argv)
{
    int worst = argc < 2 ? 2 : 0;
    if (argc < 2)
        fprintf(stderr, "usage: %s FILE...\n", argv[0]);
    for (int i = 1; i < argc; i++) {
        const int rc = replay(argv[i]);
        worst = rc > worst ? rc : worst;
    }
    return worst;
}
