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

int frwkv_init(struct frwkv *frwkv, const struct network_config *config, size_t batch,
               size_t season, const real *theta, struct threads *pool, struct err *err)
{
    *frwkv = (struct frwkv){
        .network = network_new(config, batch, false, pool, err),
        .theta = theta,
        .batch = batch,
        .season = season,
        .phase = mem_try(batch, sizeof(uint32_t)),
        .x = mem_try(batch * config->L * config->V, sizeof(real)),
        .y = mem_try(batch * config->P * config->V, sizeof(real)),
    };
    if (frwkv->network && frwkv->phase && frwkv->x && frwkv->y)
        return 0;
    frwkv_fini(frwkv);
    return err_set(err, ERR_NO_MEMORY, "network: no memory for a batch of %zu", batch);
}

void frwkv_fini(struct frwkv *frwkv)
{
    network_free(frwkv->network);
    free(frwkv->phase);
    free(frwkv->x);
    free(frwkv->y);
    *frwkv = (struct frwkv){0};
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
            f->phase[b] = panel_phase(task->panel, o.row, f->season);
        }
        network_forward(f->network, f->theta, f->x, f->phase, B, f->y, NULL);
        for (size_t i = 0; i < B * out; i++)
            y[done * out + i] = (double)f->y[i];
        done += B;
    }
}
