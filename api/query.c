/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "api/query.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/time.h"

static int read_count(const char *name, const char *value, int64_t most, int64_t *out,
                      struct err *err)
{
    char *end = NULL;
    errno = 0;
    const long long number = strtoll(value, &end, 10);
    if (end == value || *end)
        return err_set(err, ERR_INVALID,
                       "%s: must be a whole number, 1..%" PRId64 ", got %.60s", name,
                       most, value);
    if (errno || number < 1 || number > most)
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

/* ---- forms --------------------------------------------------------------------------- */

static int hex_digit(char c)
{
    static const char digits[] = "0123456789abcdef";
    const char *const at = c ? strchr(digits, tolower((unsigned char)c)) : NULL;
    return at ? (int)(at - digits) : -1;
}

/* A part of a form, unescaped; NULL where it holds a zero byte. */
static char *form_text(const char *text, size_t len)
{
    char *const out = mem_text_n(text, len);
    size_t used = 0;
    for (size_t i = 0; i < len; i++) {
        const int high = text[i] == '%' && i + 2 < len ? hex_digit(text[i + 1]) : -1;
        const int low = high >= 0 ? hex_digit(text[i + 2]) : -1;
        char c = text[i] == '+' ? ' ' : text[i];
        if (low >= 0) {
            c = (char)(16 * high + low);
            i += 2;
        }
        if (c == '\0') {
            free(out);
            return NULL;
        }
        out[used++] = c;
    }
    out[used] = '\0';
    return out;
}

static int form_pair(struct request *req, const char *text, size_t len, struct err *err)
{
    const char *const equals = memchr(text, '=', len);
    const size_t name_len = equals ? (size_t)(equals - text) : len;
    if (req->parameter_count == REQUEST_PARAMETERS_MAX)
        return err_set(err, ERR_INVALID, "form: must have at most %d parameters",
                       REQUEST_PARAMETERS_MAX);
    struct parameter *const parameter = &req->parameter[req->parameter_count];
    parameter->name = form_text(text, name_len);
    parameter->value = equals ? form_text(equals + 1, len - name_len - 1) : mem_text("");
    if (parameter->name && parameter->value) {
        req->parameter_count++;
        return 0;
    }
    free(parameter->name);
    free(parameter->value);
    return err_set(err, ERR_INVALID, "form: must have no zero bytes");
}

int query_form(struct request *req, struct err *err)
{
    const char *at = req->body, *const end = at + req->body_len;
    while (at && at < end) {
        const char *const stop = memchr(at, '&', (size_t)(end - at));
        const size_t len = (size_t)((stop ? stop : end) - at);
        if (len && form_pair(req, at, len, err))
            return -1;
        at += len + 1;
    }
    return 0;
}

const char *query_text(const struct request *req, const char *name)
{
    for (size_t p = 0; p < req->parameter_count; p++)
        if (!strcmp(req->parameter[p].name, name))
            return req->parameter[p].value;
    return NULL;
}
