/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "api/api.h"

#include "api/reply.h"

typedef const char *series_name(const void *of, size_t index);

static const char *name_of_model(const void *model, size_t index)
{
    return model_series_name(model, index);
}

static const char *name_of_column(const void *grid, size_t index)
{
    return ((const struct grid *)grid)->names[index];
}

static json_t *figures(const struct model_report *report, size_t horizon)
{
    json_t *const list = json_array();
    for (size_t i = 0; i < report->figure_count; i++) {
        const struct model_figure *const f = &report->figures[i];
        json_array_append_new(
            list,
            json_pack("{s:s, s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:I}", "candidate",
                      f->candidate, "horizon", (json_int_t)horizon, "bucket",
                      f->bucket < 0 ? json_string("all") : json_integer(f->bucket), "mse",
                      json_number(f->mse), "mae", json_number(f->mae), "mase",
                      json_number(f->mase), "wql", json_number(f->wql), "coverage80",
                      json_number(f->coverage80), "seconds", json_number(f->seconds),
                      "params", (json_int_t)f->params));
    }
    return list;
}

static json_t *champions(const struct model_report *report, series_name *name,
                         const void *of)
{
    json_t *const list = json_array();
    for (size_t i = 0; i < report->series_count * MODEL_BUCKETS; i++) {
        const struct model_champion *const c = &report->champions[i];
        json_array_append_new(list,
                              json_pack("{s:s, s:I, s:s, s:o, s:o}", "series",
                                        name(of, i / MODEL_BUCKETS), "bucket",
                                        (json_int_t)(i % MODEL_BUCKETS), "candidate",
                                        c->candidate, "skill", json_number(c->skill),
                                        "coverage80", json_number(c->coverage80)));
    }
    return list;
}

static json_t *epochs(const struct model_report *report)
{
    json_t *const list = json_array();
    for (size_t i = 0; i < report->epoch_count; i++) {
        const struct model_epoch *const e = &report->epochs[i];
        json_array_append_new(
            list, json_pack("{s:i, s:o, s:o, s:o, s:o, s:b}", "epoch", e->epoch,
                            "loss_train", json_number(e->loss_train), "loss_valid",
                            json_number(e->loss_valid), "rate", json_number(e->rate),
                            "seconds", json_number(e->seconds), "best", (int)e->best));
    }
    return list;
}

static json_t *covariates(const struct model_report *report)
{
    json_t *const list = json_array();
    for (size_t i = 0; i < report->covariate_count; i++) {
        const struct model_covariate *const c = &report->covariates[i];
        json_array_append_new(list, json_pack("{s:s, s:o, s:I}", "name", c->name, "known",
                                              json_number(c->known), "series",
                                              (json_int_t)c->series));
    }
    return list;
}

static json_t *whole(const struct model_report *report, size_t horizon, series_name *name,
                     const void *of)
{
    return json_pack("{s:{s:I, s:I, s:I}, s:I, s:s, s:o, s:o, s:o, s:o}", "windows",
                     "fit", (json_int_t)report->windows_fit, "stop",
                     (json_int_t)report->windows_stop, "judge",
                     (json_int_t)report->windows_judge, "season",
                     (json_int_t)report->season, "note", report->note, "results",
                     figures(report, horizon), "champion", champions(report, name, of),
                     "history", epochs(report), "covariates", covariates(report));
}

json_t *report_json(const struct model *model)
{
    return whole(model_report(model), model_spec(model)->horizon, name_of_model, model);
}

json_t *report_json_backtest(const struct model_report *report, size_t horizon,
                             const struct grid *grid)
{
    return whole(report, horizon, name_of_column, grid);
}
