/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "api/fields.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool is_blank(const char *text, size_t len)
{
    while (len && strchr(" \t\r\n", text[len - 1]) && text[len - 1])
        len--;
    return len == 0;
}

json_t *fields_parse(const char *text, size_t len, struct err *err)
{
    if (is_blank(text, len)) {
        err_set(err, ERR_INVALID, "body: must be a JSON object, got nothing");
        return NULL;
    }
    json_error_t why;
    json_t *const value = json_loadb(text, len, JSON_REJECT_DUPLICATES, &why);
    if (!value) {
        err_set(err, ERR_INVALID, "body: is not JSON at line %d, column %d: %s", why.line,
                why.column, why.text);
        return NULL;
    }
    if (!json_is_object(value)) {
        char shown[FIELD_SHOWN_MAX];
        err_set(err, ERR_INVALID, "body: must be a JSON object, got %s",
                field_shown(value, shown));
        json_decref(value);
        return NULL;
    }
    return value;
}

/* place and key as one name. */
struct path {
    char text[160];
};

static struct path path_of(const char *place, const char *key)
{
    struct path path;
    snprintf(path.text, sizeof path.text, "%s%s%.80s", place, *place ? "." : "", key);
    return path;
}

int fields_known(const json_t *object, const char *place, const char *const *keys,
                 struct err *err)
{
    for (void *at = json_object_iter((json_t *)(uintptr_t)object); at;
         at = json_object_iter_next((json_t *)(uintptr_t)object, at)) {
        const char *const key = json_object_iter_key(at);
        size_t k = 0;
        while (keys[k] && strcmp(keys[k], key))
            k++;
        if (keys[k])
            continue;
        char list[240] = "";
        for (k = 0; keys[k]; k++) {
            const size_t len = strlen(list);
            snprintf(list + len, sizeof list - len, "%s%s", k ? ", " : "", keys[k]);
        }
        return err_set(err, ERR_INVALID, "%s: is not a field; those are %s",
                       path_of(place, key).text, list);
    }
    return 0;
}

struct shown {
    char *out;
    size_t len;
};

static int show(const char *bytes, size_t len, void *ctx)
{
    struct shown *const shown = ctx;
    const size_t room = FIELD_SHOWN_MAX - 4 - shown->len;
    const size_t take = len < room ? len : room;
    memcpy(shown->out + shown->len, bytes, take);
    shown->len += take;
    return take < len ? -1 : 0;
}

const char *field_shown(const json_t *value, char out[static FIELD_SHOWN_MAX])
{
    struct shown shown = {.out = out};
    if (json_dump_callback(value, show, &shown,
                           JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(15))) {
        memcpy(out + shown.len, "...", 3);
        shown.len += 3;
    }
    out[shown.len] = '\0';
    return out;
}

static int wrong(const char *place, const char *key, const char *rule,
                 const json_t *value, struct err *err)
{
    char shown[FIELD_SHOWN_MAX];
    return err_set(err, ERR_INVALID, "%s: must be %s, got %s", path_of(place, key).text,
                   rule, field_shown(value, shown));
}

int field_text(const json_t *object, const char *place, const char *key, bool required,
               const char **out, struct err *err)
{
    const json_t *const value = json_object_get(object, key);
    if (!value && !required)
        return 0;
    if (!value)
        return err_set(err, ERR_INVALID, "%s: is missing", path_of(place, key).text);
    if (!json_is_string(value))
        return wrong(place, key, "text", value, err);
    *out = json_string_value(value);
    return 0;
}

int field_integer(const json_t *object, const char *place, const char *key, int64_t least,
                  int64_t most, int64_t *out, struct err *err)
{
    const json_t *const value = json_object_get(object, key);
    if (!value)
        return 0;
    const json_int_t number = json_integer_value(value);
    if (!json_is_integer(value) || number < least || number > most) {
        char rule[80];
        snprintf(rule, sizeof rule, "an integer in %" PRId64 "..%" PRId64, least, most);
        return wrong(place, key, rule, value, err);
    }
    *out = number;
    return 0;
}

int field_bool(const json_t *object, const char *place, const char *key, bool *out,
               struct err *err)
{
    const json_t *const value = json_object_get(object, key);
    if (!value)
        return 0;
    if (!json_is_boolean(value))
        return wrong(place, key, "true or false", value, err);
    *out = json_is_true(value);
    return 0;
}

int field_number(const json_t *object, const char *place, const char *key, double *out,
                 struct err *err)
{
    const json_t *const value = json_object_get(object, key);
    if (!value || json_is_null(value))
        return 0;
    if (!json_is_number(value))
        return wrong(place, key, "a number", value, err);
    *out = json_number_value(value);
    return 0;
}
