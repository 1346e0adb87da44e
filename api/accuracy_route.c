/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * GET /v1/forecasters/{name}/accuracy: how what was issued came true.
 */
#include "api/handlers.h"

#include <stddef.h>

#include "api/matured.h"
#include "api/query.h"
#include "api/rules.h"
#include "api/server.h"
#include "api/serving.h"
#include "base/labels.h"

struct wish {
    const char *series;
    int64_t as_of_ms, days;
    int format;
};

enum { FORMAT_JSON, FORMAT_CSV };

static const struct {
    const char *name;
    size_t offset;
} columns[] = {
#define COLUMN(member)                                                                   \
    {                                                                                    \
#member, offsetof(struct accuracy_row, member)                                   \
    }
    COLUMN(mae),      COLUMN(bias),    COLUMN(mase),  COLUMN(wql),
    COLUMN(coverage), COLUMN(nominal), COLUMN(below), COLUMN(above),
#undef COLUMN
};
enum { COLUMNS = sizeof columns / sizeof *columns };

static double figure(const struct accuracy_row *row, size_t column)
{
    return *(const double *)(const void *)((const char *)row + columns[column].offset);
}

static json_t *row_json(const struct accuracy_row *row)
{
    json_t *const json = json_pack(
        "{s:o, s:o, s:I}", "series", row->series ? json_string(row->series) : json_null(),
        "bucket", row->bucket < 0 ? json_string("all") : json_integer(row->bucket),
        "values", (json_int_t)row->values);
    for (size_t c = 0; c < COLUMNS; c++)
        json_object_set_new(json, columns[c].name, json_number(figure(row, c)));
    return json;
}

static void answer_json(const char *forecaster, const struct accuracy *a,
                        struct reply *reply)
{
    json_t *const rows = json_array();
    for (size_t i = 0; i < a->count; i++)
        json_array_append_new(rows, row_json(&a->rows[i]));
    reply_json(reply, 200,
               json_pack("{s:s, s:o, s:o, s:I, s:o}", "forecaster", forecaster, "from",
                         json_time(a->from_ms), "as_of", json_time(a->as_of_ms), "issues",
                         (json_int_t)a->issues, "rows", rows),
               DIGITS_DOUBLE);
}

static void answer_csv(const struct accuracy *a, struct reply *reply)
{
    struct page page = {0};
    page_add(&page, "series,bucket,values");
    for (size_t c = 0; c < COLUMNS; c++)
        page_add(&page, ",%s", columns[c].name);
    page_add(&page, "\n");
    for (size_t i = 0; i < a->count; i++) {
        const struct accuracy_row *const row = &a->rows[i];
        if (row->series)
            page_add_field(&page, row->series);
        if (row->bucket < 0)
            page_add(&page, ",all,%.0f", row->values);
        else
            page_add(&page, ",%d,%.0f", row->bucket, row->values);
        for (size_t c = 0; c < COLUMNS; c++) {
            page_add(&page, ",");
            page_add_number(&page, figure(row, c));
        }
        page_add(&page, "\n");
    }
    reply_text(reply, 200, "text/csv; charset=utf-8", page.bytes, page.len);
}

int accuracy_get(struct request *req, struct reply *reply, struct err *err)
{
    static const char *const formats[] = {"json", "csv", NULL};
    static const struct query_rule rules[] = {
        QUERY("series", QUERY_TEXT, struct wish, series),
        QUERY("as_of", QUERY_TIME, struct wish, as_of_ms),
        QUERY("days", QUERY_COUNT, struct wish, days, .most = ACCURACY_DAYS_MAX),
        QUERY("format", QUERY_WORD, struct wish, format, .words = formats),
    };
    const struct api_config *const config = &req->api->config;
    struct wish wish = {.as_of_ms = serving_now_ms(config->serving),
                        .days = ACCURACY_DAYS};
    struct accuracy accuracy;
    char name[LABELS_TEXT_MAX];
    if (QUERY_READ(req, rules, &wish, err) ||
        matured_known(config->store, req->name, err))
        return -1;
    if (wish.series && rule_series(wish.series, name, err))
        return rule_field("series", err);
    const struct accuracy_wish what = {.forecaster = req->name,
                                       .series = wish.series ? name : NULL,
                                       .days = wish.days,
                                       .as_of_ms = wish.as_of_ms};
    if (accuracy_read(config->store, &what, &accuracy, err))
        return -1;
    if (wish.format == FORMAT_CSV)
        answer_csv(&accuracy, reply);
    else
        answer_json(req->name, &accuracy, reply);
    accuracy_fini(&accuracy);
    return HANDLED;
}
