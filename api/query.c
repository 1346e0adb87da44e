/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "api/query.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/time.h"

static int read_count(const char *name, const char *value, int64_t most, int64_t *out,
                      struct err *err)
{
    char *end = NULL;
    errno = 0;
    const long long number = strtoll(value, &end, 10);
    if (end == value || *end || errno || number < 1 || number > most)
        return err_set(err, ERR_INVALID, "%s: must be 1..%" PRId64 ", got %.60s", name,
                       most, value);
    *out = number;
    return 0;
}

static int read_time(const char *name, const char *value, int64_t *out, struct err *err)
{
    struct err why = {0};
    if (!time_parse(value, strlen(value), NULL, out, &why))
        return 0;
    return err_set(err, ERR_INVALID,
                   "%s: must be a time such as 2026-03-29T02:30:00Z, got %.60s", name,
                   value);
}

static int read_word(const struct query_rule *rule, const char *value, int *out,
                     struct err *err)
{
    char list[160] = "";
    for (int w = 0; rule->words[w]; w++) {
        if (!strcmp(rule->words[w], value)) {
            *out = w;
            return 0;
        }
        const size_t len = strlen(list);
        snprintf(list + len, sizeof list - len, "%s%s", w ? ", " : "", rule->words[w]);
    }
    return err_set(err, ERR_INVALID, "%s: must be one of %s, got %.60s", rule->name, list,
                   value);
}

static int read_one(const struct query_rule *rule, const char *value, void *out,
                    struct err *err)
{
    static const char *const flags[] = {"false", "true", NULL};
    const struct query_rule flag = {.name = rule->name, .words = flags};
    void *const place = (char *)out + rule->offset;
    int word = 0;
    switch (rule->kind) {
    case QUERY_TEXT:
        if (!*value)
            return err_set(err, ERR_INVALID, "%s: must not be empty", rule->name);
        *(const char **)place = value;
        return 0;
    case QUERY_COUNT:
        return read_count(rule->name, value, rule->most, place, err);
    case QUERY_TIME:
        return read_time(rule->name, value, place, err);
    case QUERY_FLAG:
        if (read_word(&flag, value, &word, err))
            return -1;
        *(bool *)place = word;
        return 0;
    case QUERY_WORD:
        return read_word(rule, value, place, err);
    }
    return -1;
}

/* "x: is not a parameter of this route; those are a, b". */
static int unknown(const char *name, const struct query_rule *rules, size_t count,
                   struct err *err)
{
    char list[200] = "";
    for (size_t r = 0; r < count; r++) {
        const size_t len = strlen(list);
        snprintf(list + len, sizeof list - len, "%s%s", r ? ", " : "", rules[r].name);
    }
    return err_set(err, ERR_INVALID,
                   "%.60s: is not a parameter of this route, which has %s", name,
                   count ? list : "none");
}

int query_read(const struct request *req, const struct query_rule *rules, size_t count,
               void *out, struct err *err)
{
    for (size_t p = 0; p < req->parameter_count; p++) {
        const struct parameter *const given = &req->parameter[p];
        size_t r = 0;
        while (r < count && strcmp(rules[r].name, given->name))
            r++;
        if (r == count)
            return unknown(given->name, rules, count, err);
        for (size_t q = 0; q < p; q++)
            if (!strcmp(req->parameter[q].name, given->name))
                return err_set(err, ERR_INVALID,
                               "%s: must be given once, got %.60s and %.60s", given->name,
                               req->parameter[q].value, given->value);
        if (read_one(&rules[r], given->value, out, err))
            return -1;
    }
    return 0;
}

int query_none(const struct request *req, struct err *err)
{
    return query_read(req, NULL, 0, NULL, err);
}
