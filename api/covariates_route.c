/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is known in advance: GET /v1/covariates, PUT, GET and DELETE of one.
 */
#include "api/handlers.h"

#include <stdlib.h>
#include <string.h>

#include "api/fields.h"
#include "api/known.h"
#include "api/query.h"
#include "api/rules.h"
#include "api/server.h"

enum { ANSWER_SPANS_MAX = 1 << 18 };

static int check_name(const char *name, struct err *err)
{
    if (!known_name_check(name, err))
        return 0;
    err_prefix(err, "name");
    return -1;
}

int covariates_get(struct request *req, struct reply *reply, struct err *err)
{
    struct store_covariate_name *names = NULL;
    size_t count = 0;
    if (query_none(req, err) ||
        store_covariate_names(req->api->config.store, &names, &count, err))
        return -1;
    json_t *const list = json_array();
    for (size_t i = 0; i < count; i++) {
        const struct store_covariate_name *const c = &names[i];
        json_array_append_new(list, json_pack("{s:s, s:o, s:o, s:o, s:I}", "name",
                                              c->name, "from", json_time(c->from_ms),
                                              "to", json_time(c->to_ms), "changed",
                                              json_time(c->arrived_ms), "statements",
                                              (json_int_t)c->statements));
        free(names[i].name);
    }
    free(names);
    reply_json(reply, 200, json_pack("{s:o}", "covariates", list), DIGITS_SHORT);
    return HANDLED;
}

int covariate_put(struct request *req, struct reply *reply, struct err *err)
{
    const struct api_config *const config = &req->api->config;
    struct covariate_statement statement = {0};
    bool stored = false;
    if (query_none(req, err) || check_name(req->name, err))
        return -1;
    json_auto_t *body = fields_parse(req->body ? req->body : "", req->body_len, err);
    if (!body ||
        known_statement_read(body, "", clock_now_ms(&config->clock), &statement, err))
        return -1;
    const int rc =
        store_covariate_put(config->store, req->name, &statement, &stored, err);
    if (rc == 0)
        reply_json(reply, 200,
                   json_pack("{s:s, s:b, s:o, s:o, s:o, s:I}", "name", req->name,
                             "stored", (int)stored, "from", json_time(statement.from_ms),
                             "to", json_time(statement.to_ms), "known",
                             statement.known_ms == KNOWN_ALWAYS
                                 ? json_string("always")
                                 : json_time(statement.known_ms),
                             "values", (json_int_t)statement.count),
                   DIGITS_SHORT);
    free(statement.spans);
    return rc ? -1 : HANDLED;
}

int covariate_get(struct request *req, struct reply *reply, struct err *err)
{
    struct wish {
        int64_t from_ms, to_ms, as_of_ms;
    } wish = {TIME_MIN_MS, TIME_MAX_MS, AS_OF_NOW};
    static const struct query_rule rules[] = {
        QUERY("from", QUERY_TIME, struct wish, from_ms),
        QUERY("to", QUERY_TIME, struct wish, to_ms),
        QUERY("as_of", QUERY_TIME, struct wish, as_of_ms),
    };
    struct store_covariate *said = NULL;
    size_t count = 0, spans = 0;
    if (QUERY_READ(req, rules, &wish, err) || check_name(req->name, err) ||
        store_covariate_read(req->api->config.store, req->name, wish.from_ms, wish.to_ms,
                             wish.as_of_ms, &said, &count, err))
        return -1;
    for (size_t i = 0; i < count; i++)
        spans += said[i].statement.count + 1;
    int rc = HANDLED;
    if (spans > ANSWER_SPANS_MAX) {
        rc = err_set(err, ERR_TOO_LARGE,
                     "from: narrow from and to, the answer would hold %zu values", spans);
    } else {
        json_t *const list = json_array();
        for (size_t i = 0; i < count; i++) {
            json_t *const one = known_statement_json(&said[i].statement);
            json_object_set_new(one, "arrived", json_time(said[i].arrived_ms));
            json_array_append_new(list, one);
        }
        reply_json(reply, 200,
                   json_pack("{s:s, s:o}", "name", req->name, "statements", list),
                   DIGITS_DOUBLE);
    }
    store_covariates_fini(said, count);
    return rc;
}

static bool uses(const struct store_forecaster *stored, const char *name)
{
    struct forecaster f = {0};
    struct err damaged = {0};
    bool found = false;
    if (forecaster_load(stored, &f, &damaged))
        return false;
    for (size_t k = 0; k < f.covariate_count; k++)
        found |= !strcmp(f.covariates[k], name);
    forecaster_fini(&f);
    return found;
}

/* What a forecaster wants stays. */
static int check_unused(struct store *store, const char *name, struct err *err)
{
    struct store_forecaster *all = NULL;
    size_t count = 0;
    if (store_forecasters(store, &all, &count, err))
        return -1;
    int rc = 0;
    for (size_t i = 0; i < count; i++) {
        if (rc == 0 && uses(&all[i], name))
            rc = err_set(err, ERR_CONFLICT,
                         "covariate %s: forecaster %s uses it; take it out of its "
                         "covariates first",
                         name, all[i].name);
        store_forecaster_fini(&all[i]);
    }
    free(all);
    return rc;
}

int covariate_delete(struct request *req, struct reply *reply, struct err *err)
{
    struct store *const store = req->api->config.store;
    if (query_none(req, err) || check_name(req->name, err) ||
        check_unused(store, req->name, err) ||
        store_covariate_delete(store, req->name, err))
        return -1;
    reply->status = 204;
    return HANDLED;
}
