/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "daemon/replay_all.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/time.h"
#include "daemon/client.h"

enum { PAGE = 20 }; /* issues in one request: each may be of thousands of series */

/* Of one forecaster. */
struct sums {
    json_int_t issues, forecasts, same, near, differ, changed, gone;
    json_t *first; /* owned; NULL: none */
};

static void add(struct sums *s, const json_t *page)
{
    const struct {
        const char *key;
        json_int_t *to;
    } counts[] = {{"issues", &s->issues}, {"forecasts", &s->forecasts},
                  {"same", &s->same},     {"near", &s->near},
                  {"differ", &s->differ}, {"changed", &s->changed},
                  {"gone", &s->gone}};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
        *counts[i].to += json_integer_value(json_object_get(page, counts[i].key));
    json_t *const first = json_object_get(page, "first");
    if (json_is_object(first)) { /* pages go back in time */
        json_decref(s->first);
        s->first = json_incref(first);
    }
}

/* The instant before the oldest issue of a page; false: it had none. */
static bool before(const json_t *page, int64_t *at_ms)
{
    const char *const text = json_string_value(json_object_get(page, "oldest"));
    struct err none = {0};
    if (!text || time_parse(text, strlen(text), NULL, at_ms, &none))
        return false;
    --*at_ms;
    return true;
}

static int replay(struct client *client, const char *name, size_t issues,
                  struct sums *sums, struct err *err)
{
    char *const escaped = client_escape(client, name);
    int64_t as_of_ms = TIME_MAX_MS;
    int rc = 0;
    while (rc == 0 && (size_t)sums->issues < issues) {
        const size_t left = issues - (size_t)sums->issues;
        char *const path =
            mem_printf("/v1/forecasters/%s/replay?as_of=%" PRId64 "&limit=%zu", escaped,
                       as_of_ms, left < PAGE ? left : PAGE);
        json_t *const page = client_get(client, path, err);
        free(path);
        if (!page) {
            rc = -1;
            break;
        }
        add(sums, page);
        const bool more = before(page, &as_of_ms);
        json_decref(page);
        if (!more)
            break;
    }
    client_text_free(escaped);
    return rc;
}

static void print(const char *name, const struct sums *s)
{
    printf("replayed %" JSON_INTEGER_FORMAT " forecasts of %" JSON_INTEGER_FORMAT
           " issues of %s: %" JSON_INTEGER_FORMAT " the same",
           s->forecasts, s->issues, name, s->same);
    if (s->near)
        printf(", %" JSON_INTEGER_FORMAT " within 1e-5 (another processor or library)",
               s->near);
    if (s->changed)
        printf(", %" JSON_INTEGER_FORMAT " not, as their input has changed since",
               s->changed);
    if (s->gone)
        printf(", %" JSON_INTEGER_FORMAT " not, as their model is gone", s->gone);
    printf(", %" JSON_INTEGER_FORMAT " differ\n", s->differ);
    if (s->first)
        printf("differs: issue %" JSON_INTEGER_FORMAT
               " of %s, %s, at %s, quantile %g: was "
               "%.9g, is %.9g\n",
               json_integer_value(json_object_get(s->first, "issue")),
               client_text(s->first, "issued"), client_text(s->first, "series"),
               client_text(s->first, "time"),
               json_number_value(json_object_get(s->first, "quantile")),
               json_number_value(json_object_get(s->first, "was")),
               json_number_value(json_object_get(s->first, "is")));
}

int replay_all(const char *config, size_t issues, bool *came_out, struct err *err)
{
    const struct client_options options = {
        .command = "verify", .config = config, .quiet = true};
    struct client *const client = client_open(&options, err);
    json_t *const answer = client ? client_get(client, "/v1/forecasters", err) : NULL;
    int rc = answer ? 0 : -1;
    size_t i;
    json_t *one;
    *came_out = true;
    json_array_foreach(json_object_get(answer, "forecasters"), i, one)
    {
        struct sums sums = {0};
        const char *const name = client_text(one, "name");
        if (rc == 0)
            rc = replay(client, name, issues, &sums, err);
        if (rc == 0 && sums.issues)
            print(name, &sums);
        *came_out = *came_out && sums.differ == 0;
        json_decref(sums.first);
    }
    json_decref(answer);
    client_close(client);
    return rc;
}
