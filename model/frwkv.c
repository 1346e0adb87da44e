/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "model/frwkv.h"

#include <stdlib.h>

#include "base/mem.h"
#include "model/candidate.h"
#include "model/mixer.h"
#include "model/windows.h"

int frwkv_config(const struct model_spec *spec, size_t season, size_t width,
                 struct network_config *config, struct err *err)
{
    const struct model_settings *const s = &spec->settings;
    const struct mixer *const mixer = mixer_find(s->mixer, err);
    if (!mixer)
        return -1;
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
        .dropout = s->dropout,
        .out_dropout = s->out_dropout,
        /* A table for each series would be sized by their number. */
        .season = s->cycle && season > 1 && spec->group == GROUP_JOINT ? season : 0,
        .skip = s->skip,
    };
    return 0;
}

int frwkv_init(struct frwkv *frwkv, const struct model_spec *spec, size_t season,
               size_t width, size_t batch, const real *theta, struct threads *pool,
               struct err *err)
{
    struct network_config config;
    *frwkv = (struct frwkv){.theta = theta, .batch = batch, .season = season};
    if (frwkv_config(spec, season, width, &config, err) ||
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
            windows_input(task->panel, o, c->L, f->season, f->x + b * in);
            if (f->rhythm.season) {
                rhythm_find(&f->rhythm, task->panel, o);
                rhythm_remove_before(&f->rhythm, f->x + b * in, c->L);
            }
            f->phase[b] = panel_phase(task->panel, o.row, f->season);
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
