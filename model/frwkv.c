/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "model/frwkv.h"

#include <stdlib.h>

#include "base/mem.h"
#include "model/candidate.h"
#include "model/mixer.h"
#include "model/windows.h"

enum { WINDOW_SERIES = 16, WINDOW_PATCHES = 32 }; /* what gdn_window 0 stands for */
enum { SERIES_MOST = 2048 };                      /* in a batch of more than a window */

/* What `auto` stands for: three series alike, or three patches in a row. */
static enum inline_local local_of(const struct model_spec *spec)
{
    const struct model_settings *const s = &spec->settings;
    if (s->inline_local > 0)
        return (enum inline_local)(s->inline_local - 1);
    if (s->causal)
        return LOCAL_NONE;
    if (s->axis == AXIS_PATCH)
        return LOCAL_ORDER3;
    return s->axis == AXIS_VARIATE && spec->group == GROUP_JOINT ? LOCAL_KNN : LOCAL_NONE;
}

static struct mixer_options options_of(const struct model_spec *spec)
{
    const struct model_settings *const s = &spec->settings;
    const int window = s->axis == AXIS_PATCH ? WINDOW_PATCHES : WINDOW_SERIES;
    return (struct mixer_options){
        .rwkv7x_wide = s->rwkv7x_decay,
        .inline_local = local_of(spec),
        .inline_phi = (enum inline_phi)s->inline_phi,
        .taylor2_mode = (enum taylor2_mode)s->taylor2_mode,
        .taylor2_shortcut = s->taylor2_shortcut,
        .taylor2_beta = s->taylor2_beta,
        .taylor2_pos = s->taylor2_pos,
        .luna_m = s->luna_m,
        .luna_lc = s->luna_lc,
        .luna_hidden = s->luna_hidden,
        .luna_nonneg = (enum luna_nonneg)s->luna_nonneg,
        .luna_env = (enum luna_env)s->luna_env,
        .luna_chrms = s->luna_chrms,
        .luna_per_head = s->luna_per_head,
        .gdn_window = s->gdn_window ? s->gdn_window : window,
        .gdn_sinks = s->gdn_sinks,
        .gdn_chunk = s->gdn_chunk,
        .gdn_pattern = (enum gdn_pattern)s->gdn_pattern,
        .gdn_rope = s->gdn_rope,
        .gdn_neg_eig = s->gdn_neg_eig,
        .h3_head = s->h3_head,
        .h3_shift_len = s->h3_shift_len,
        .h3_state = s->h3_ssm_state,
    };
}

/* What the mixer's own check, which knows one axis only, cannot tell. */
static int check_axis(const struct model_spec *spec, struct err *err)
{
    const struct model_settings *const s = &spec->settings;
    if (s->order == ORDER_CORR && (s->axis != AXIS_VARIATE || spec->group != GROUP_JOINT))
        return err_set(err, ERR_INVALID,
                       "order: corr needs series as tokens (group = joint, axis = "
                       "variate)");
    if (s->gdn_rope && s->axis != AXIS_PATCH)
        return err_set(err, ERR_INVALID,
                       "gdn_rope: must be false unless axis is patch: other tokens have "
                       "no distance");
    if (s->stream && (spec->group != GROUP_EACH || s->cycle))
        return err_set(
            err, ERR_INVALID,
            "stream: needs group = each and cycle = false: a season found anew "
            "at each origin makes other values of what a state has seen");
    return 0;
}

int frwkv_config(const struct model_spec *spec, size_t season, size_t width,
                 const struct chain *chain, struct network_config *config,
                 struct err *err)
{
    const struct model_settings *const s = &spec->settings;
    const struct mixer *const mixer = mixer_find(s->mixer, err);
    if (!mixer || check_axis(spec, err))
        return -1;
    const bool chained = chain && chain->V == width;
    *config = (struct network_config){
        .L = spec->lookback,
        .V = width,
        .P = spec->horizon,
        .C = (size_t)s->width,
        .Fd = (size_t)s->ff,
        .H = (size_t)s->heads,
        .D = (size_t)s->lift,
        .layers = (size_t)s->layers,
        .rank = (size_t)s->rank,
        .mixer = mixer,
        .trunk = (enum mixer_trunk)s->trunk,
        .dir = (enum mixer_dir)s->dir,
        .causal = s->causal,
        .stream = s->stream,
        .options = options_of(spec),
        .axis = (enum model_axis)s->axis,
        .patch = (size_t)s->patch,
        .order = chained && s->order == ORDER_CORR ? chain->order : NULL,
        .near = chained ? chain->near : NULL,
        .dropout = s->dropout,
        .out_dropout = s->out_dropout,
        /* A table for each series would be sized by their number. */
        .season = s->cycle && season > 1 && spec->group == GROUP_JOINT ? season : 0,
        .skip = s->skip,
        .gate = {.kind = (enum gate_kind)s->gate,
                 .ctx = (enum gate_ctx)s->gate_ctx,
                 .clamp = (enum gate_clamp)s->gate_alpha_clamp,
                 .period = (size_t)s->gate_period,
                 .routers = (size_t)s->gate_routers,
                 .alpha0 = s->gate_alpha0,
                 .trust_bias = s->gate_trust_bias},
    };
    return 0;
}

int frwkv_init(struct frwkv *frwkv, const struct model_spec *spec, size_t season,
               size_t width, const struct chain *chain, size_t batch, const real *theta,
               struct threads *pool, struct err *err)
{
    struct network_config config;
    const size_t most = width < SERIES_MOST ? SERIES_MOST / width : 1;
    if (batch > most)
        batch = most;
    *frwkv = (struct frwkv){.theta = theta, .batch = batch, .season = season};
    if (frwkv_config(spec, season, width, chain, &config, err) ||
        !(frwkv->network = network_new(&config, batch, false, pool, err)) ||
        rhythm_init(&frwkv->rhythm, rhythm_season(spec, season), err)) {
        frwkv_fini(frwkv);
        return -1;
    }
    frwkv->phase = mem_try(batch, sizeof(uint32_t));
    frwkv->x = mem_try(batch * config.L * config.V, sizeof(real));
    frwkv->y = mem_try(batch * config.P * config.V, sizeof(real));
    if (frwkv->phase && frwkv->x && frwkv->y)
        return 0;
    frwkv_fini(frwkv);
    return err_set(err, ERR_NO_MEMORY, "network: no memory for a batch of %zu", batch);
}

void frwkv_fini(struct frwkv *frwkv)
{
    network_free(frwkv->network);
    rhythm_fini(&frwkv->rhythm);
    free(frwkv->phase);
    free(frwkv->x);
    free(frwkv->y);
    *frwkv = (struct frwkv){0};
}

/* Found a second time: cheaper than keeping a batch of them. */
static void add_rhythm(struct frwkv *f, const struct panel *panel,
                       const struct origin *at, size_t B, double *y)
{
    const size_t P = network_config(f->network)->P;
    for (size_t b = 0; f->rhythm.season && b < B; b++) {
        rhythm_find(&f->rhythm, panel, at[b]);
        rhythm_restore(&f->rhythm, y + b * P, P);
    }
}

void frwkv_forecast(const struct candidate_task *task, const struct origin *at,
                    size_t count, double *y)
{
    struct frwkv *const f = task->frwkv;
    const struct network_config *const c = network_config(f->network);
    const size_t in = c->L * c->V, out = c->P * c->V;
    for (size_t done = 0; done < count;) {
        const size_t B = count - done < f->batch ? count - done : f->batch;
        for (size_t b = 0; b < B; b++) {
            const struct origin o = at[done + b];
            windows_input(task->panel, o, c->L, c->stream ? 0 : f->season, f->x + b * in);
            if (f->rhythm.season) {
                rhythm_find(&f->rhythm, task->panel, o);
                rhythm_remove_before(&f->rhythm, f->x + b * in, c->L);
            }
            f->phase[b] = panel_phase(task->panel, o.row, c->stream ? c->L : f->season);
        }
        if (f->fold)
            network_forward_folded(f->network, f->theta, f->fold, f->x, f->phase, B,
                                   f->y);
        else
            network_forward(f->network, f->theta, f->x, f->phase, B, f->y, NULL);
        for (size_t i = 0; i < B * out; i++)
            y[done * out + i] = (double)f->y[i];
        add_rhythm(f, task->panel, at + done, B, y + done * out);
        done += B;
    }
}
