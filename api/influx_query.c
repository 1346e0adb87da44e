/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * InfluxDB's /query: what its clients ask before they write, and what its shell needs for
 * USE.  A database is a value of the label db, or a name that CREATE DATABASE gave since
 * the start; each has the one retention policy autogen.
 */
#include "api/handlers.h"

#include <ctype.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "api/influx.h"
#include "api/query.h"
#include "api/server.h"
#include "base/labels.h"
#include "base/mem.h"

/* ---- databases ----------------------------------------------------------------------- */

enum { DATABASES_MAX = 1000, DATABASE_NAME_MAX = 255 };

struct influx_databases {
    pthread_mutex_t lock;
    json_t *created; /* a set: an object's keys, in the order they came */
};

struct influx_databases *influx_databases_new(void)
{
    struct influx_databases *const databases = mem_new(1, sizeof *databases);
    pthread_mutex_init(&databases->lock, NULL);
    databases->created = json_object();
    return databases;
}

void influx_databases_free(struct influx_databases *databases)
{
    json_decref(databases->created);
    pthread_mutex_destroy(&databases->lock);
    free(databases);
}

static int create(struct influx_databases *databases, const char *name, struct err *err)
{
    int rc = 0;
    pthread_mutex_lock(&databases->lock);
    if (json_object_size(databases->created) == DATABASES_MAX &&
        !json_object_get(databases->created, name))
        rc = err_set(err, ERR_INVALID,
                     "q: %d databases were created since the start, and no more will be; "
                     "writing needs none",
                     DATABASES_MAX);
    else if (json_object_set_new(databases->created, name, json_true()))
        rc = err_set(err, ERR_INVALID, "q: a database's name must be UTF-8");
    pthread_mutex_unlock(&databases->lock);
    return rc;
}

/* Those of the store behind those that were created. */
static json_t *list(const struct api *api, struct err *err)
{
    struct influx_databases *const databases = api->databases;
    struct store_names names = {0};
    struct labels labels;
    if (store_select(api->config.store, "{db!=\"\"}", 0, &names, err))
        return NULL;
    pthread_mutex_lock(&databases->lock);
    json_auto_t *set = json_copy(databases->created);
    pthread_mutex_unlock(&databases->lock);
    for (size_t i = 0; i < names.count; i++)
        if (!labels_parse(names.name[i], strlen(names.name[i]), &labels, NULL))
            json_object_set_new(set, labels_get(&labels, "db"), json_true());
    store_names_fini(&names);
    json_t *const rows = json_array();
    const char *name;
    json_t *unused;
    json_object_foreach(set, name, unused)
        json_array_append_new(rows, json_pack("[s]", name));
    return rows;
}

/* ---- statements ------------------------------------------------------------------------ */

static void skip_space(const char **at)
{
    while (isspace((unsigned char)**at))
        ++*at;
}

/* Whether these words, lower case and each with a space behind, come next. */
static bool take(const char **at, const char *words)
{
    const char *here = *at;
    for (; *words; words += strcspn(words, " ") + 1) {
        const size_t len = strcspn(words, " ");
        skip_space(&here);
        if (strncasecmp(here, words, len) || isalnum((unsigned char)here[len]) ||
            here[len] == '_')
            return false;
        here += len;
    }
    *at = here;
    return true;
}

/* A name, bare or in double quotes. */
static int take_name(const char **at, char name[static DATABASE_NAME_MAX + 1],
                     struct err *err)
{
    size_t len = 0;
    skip_space(at);
    const bool quoted = **at == '"';
    const char *here = *at + quoted;
    for (; quoted ? *here && *here != '"' : isalnum((unsigned char)*here) || *here == '_';
         here++) {
        here += *here == '\\' && here[1];
        if (len < DATABASE_NAME_MAX)
            name[len] = *here;
        len++;
    }
    if (len == 0 || len > DATABASE_NAME_MAX || (quoted && *here != '"'))
        return err_set(
            err, ERR_INVALID,
            "q: must name a database, of at most %d bytes, and in double quotes "
            "where it is more than letters, digits and _",
            DATABASE_NAME_MAX);
    name[len] = '\0';
    *at = here + quoted;
    return 0;
}

/* ---- what is answered ------------------------------------------------------------------ */

static int create_database(struct api *api, const char **at, json_t *result,
                           struct err *err)
{
    char name[DATABASE_NAME_MAX + 1];
    (void)result;
    return take_name(at, name, err) ? -1 : create(api->databases, name, err);
}

static int create_policy(struct api *api, const char **at, json_t *result,
                         struct err *err)
{
    char name[DATABASE_NAME_MAX + 1];
    (void)api, (void)result;
    return take_name(at, name, err);
}

static int show_databases(struct api *api, const char **at, json_t *result,
                          struct err *err)
{
    (void)at;
    json_t *const rows = list(api, err);
    if (!rows)
        return -1;
    json_object_set_new(result, "series",
                        json_pack("[{s:s, s:[s], s:o}]", "name", "databases", "columns",
                                  "name", "values", rows));
    return 0;
}

static int show_policies(struct api *api, const char **at, json_t *result,
                         struct err *err)
{
    char name[DATABASE_NAME_MAX + 1];
    (void)api;
    if (take(at, "on ") && take_name(at, name, err))
        return -1;
    json_object_set_new(result, "series",
                        json_pack("[{s:[s, s], s:[[s, b]]}]", "columns", "name",
                                  "default", "values", "autogen", 1));
    return 0;
}

static const struct {
    const char *words;
    bool more; /* about durations and replicas, which are not ours to keep */
    int (*run)(struct api *api, const char **at, json_t *result, struct err *err);
} statements[] = {
    {"create database ", true, create_database},
    {"create retention policy ", true, create_policy},
    {"show databases ", false, show_databases},
    {"show retention policies ", false, show_policies},
};

/* One statement, up to a semicolon or the end. */
static int answer(struct api *api, const char **at, json_t *result, struct err *err)
{
    for (size_t s = 0; s < sizeof statements / sizeof *statements; s++) {
        if (!take(at, statements[s].words))
            continue;
        if (statements[s].run(api, at, result, err))
            return -1;
        *at += statements[s].more ? strcspn(*at, ";") : strspn(*at, " \t\r\n");
        if (**at == '\0' || **at == ';')
            return 0;
        break;
    }
    return err_set(
        err, ERR_INVALID,
        "q: must be CREATE DATABASE, SHOW DATABASES or SHOW RETENTION POLICIES; "
        "samples and forecasts are read at /v1/samples and /v1/forecasters, or "
        "by PromQL at /api/v1/query_range");
}

int influx_query(struct request *req, struct reply *reply, struct err *err)
{
    if (query_form(req, err))
        return -1;
    const char *const given = query_text(req, "q");
    const char *at = given ? given : "";
    json_auto_t *results = json_array();
    do {
        json_t *const result =
            json_pack("{s:I}", "statement_id", (json_int_t)json_array_size(results));
        json_array_append_new(results, result);
        if (answer(req->api, &at, result, err))
            return -1;
        at += *at == ';';
        skip_space(&at);
    } while (*at);
    reply_json(reply, 200, json_pack("{s:O}", "results", results), DIGITS_DOUBLE);
    influx_version(reply);
    return HANDLED;
}
