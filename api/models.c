/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * GET /v1/forecasters/{name}/models: what serves, and how it was judged.
 *
 * The report has the names that `frwkvd backtest --json` uses.
 */
#include "api/handlers.h"

#include <stdio.h>

#include "api/query.h"
#include "api/server.h"
#include "api/serving.h"

static json_t *bucket_json(int bucket)
{
    return bucket < 0 ? json_string("all") : json_integer(bucket);
}

static json_t *figure_json(const struct model_figure *figure, size_t horizon)
{
    return json_pack("{s:s, s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:I}", "candidate",
                     figure->candidate, "horizon", (json_int_t)horizon, "bucket",
                     bucket_json(figure->bucket), "mse", json_number(figure->mse), "mae",
                     json_number(figure->mae), "mase", json_number(figure->mase), "wql",
                     json_number(figure->wql), "coverage80",
                     json_number(figure->coverage80), "seconds",
                     json_number(figure->seconds), "params", (json_int_t)figure->params);
}

static json_t *epoch_json(const struct model_epoch *epoch)
{
    return json_pack("{s:i, s:o, s:o, s:o, s:o, s:b}", "epoch", epoch->epoch,
                     "loss_train", json_number(epoch->loss_train), "loss_valid",
                     json_number(epoch->loss_valid), "rate", json_number(epoch->rate),
                     "seconds", json_number(epoch->seconds), "best", (int)epoch->best);
}

static json_t *report_json(const struct model *model)
{
    const struct model_report *const report = model_report(model);
    json_t *const results = json_array();
    json_t *const champions = json_array();
    json_t *const history = json_array();
    for (size_t i = 0; i < report->figure_count; i++)
        json_array_append_new(
            results, figure_json(&report->figures[i], model_spec(model)->horizon));
    for (size_t s = 0; s < report->series_count; s++)
        for (size_t b = 0; b < MODEL_BUCKETS; b++) {
            const struct model_champion *const one =
                &report->champions[s * MODEL_BUCKETS + b];
            json_array_append_new(champions,
                                  json_pack("{s:s, s:I, s:s, s:o}", "series",
                                            model_series_name(model, s), "bucket",
                                            (json_int_t)b, "candidate", one->candidate,
                                            "skill", json_number(one->skill)));
        }
    for (size_t i = 0; i < report->epoch_count; i++)
        json_array_append_new(history, epoch_json(&report->epochs[i]));
    return json_pack("{s:{s:I, s:I, s:I}, s:I, s:s, s:o, s:o, s:o}", "windows", "fit",
                     (json_int_t)report->windows_fit, "stop",
                     (json_int_t)report->windows_stop, "judge",
                     (json_int_t)report->windows_judge, "season",
                     (json_int_t)report->season, "note", report->note, "results", results,
                     "champion", champions, "history", history);
}

int models_get(struct request *req, struct reply *reply, struct err *err)
{
    struct serving *const serving = req->api->config.serving;
    if (query_none(req, err))
        return -1;
    struct served *const served = serving_get(serving, req->name, err);
    if (!served)
        return -1;
    json_t *const newest = json_pack(
        "{s:I, s:o, s:I, s:o, s:o, s:I, s:I, s:o}", "id", (json_int_t)served->model_id,
        "hash", json_hex(served->hash, sizeof served->hash), "revision",
        (json_int_t)served->revision, "published", json_time(served->published_ms),
        "watermark", json_time(served->watermark_ms), "params",
        (json_int_t)model_params(served->model), "series",
        (json_int_t)model_series(served->model), "report", report_json(served->model));
    reply_json(reply, 200, json_pack("{s:[o]}", "models", newest), DIGITS_SHORT);
    serving_put(serving, served);
    return HANDLED;
}
