/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "daemon/forecaster_files.h"

#include <dirent.h>
#include <errno.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/api.h"
#include "base/mem.h"
#include "daemon/ini_file.h"
#include "storage/storage.h"

void forecaster_files_fini(struct forecaster_files *files)
{
    for (size_t i = 0; i < files->count; i++)
        store_forecaster_fini(&files->list[i]);
    free(files->list);
    *files = (struct forecaster_files){0};
}

/* ---- one file ------------------------------------------------------------------------ */

struct reading {
    const char *path;
    struct forecaster_files *out;
    char name[FORECASTER_NAME_MAX]; /* of the section at hand; "": none yet */
    json_t *body, *lines;           /* its definition, and the line of each key */
};

/* What is not text, as JSON says it. */
static json_t *value_json(const char *value)
{
    json_t *const json = json_loads(value, JSON_DECODE_ANY, NULL);
    if (json && !json_is_string(json) && !json_is_object(json))
        return json;
    json_decref(json);
    return json_string(value);
}

/* Puts value at "a.b" of an object. */
static int value_put(json_t *object, const char *key, const char *value, struct err *err)
{
    const char *const dot = strchr(key, '.');
    char *const head = dot ? mem_text_n(key, (size_t)(dot - key)) : mem_text(key);
    json_t *inner = json_object_get(object, head);
    int result = 0;
    if (!dot && inner)
        result = err_set(err, ERR_INVALID, "%s: given twice", key);
    else if (dot && inner && !json_is_object(inner))
        result =
            err_set(err, ERR_INVALID, "%s: has a value already, and no fields", head);
    else if (!dot && json_object_set_new(object, head, value_json(value)))
        result = err_set(err, ERR_INVALID, "%s: must be UTF-8", head);
    if (result == 0 && dot) {
        if (!inner) {
            inner = json_object();
            json_object_set_new(object, head, inner);
        }
        result = value_put(inner, dot + 1, value, err);
    }
    free(head);
    return result;
}

/* The line of the field that a message is about, or the first of the section. */
static json_int_t line_of(const json_t *lines, const char *message)
{
    char *const field = mem_text_n(message, strcspn(message, ":["));
    const json_t *line = json_object_get(lines, field);
    if (!line)
        line = json_object_get(lines, "");
    free(field);
    return json_integer_value(line);
}

static const struct store_forecaster *find(const struct forecaster_files *files,
                                           const char *name)
{
    for (size_t i = 0; i < files->count; i++)
        if (strcmp(files->list[i].name, name) == 0)
            return &files->list[i];
    return NULL;
}

static int keep(struct reading *r, struct err *err)
{
    struct forecaster parsed;
    struct forecaster_text text;
    char *const json = json_dumps(r->body, JSON_COMPACT | JSON_REAL_PRECISION(17));
    const struct store_forecaster *const other = find(r->out, r->name);
    int result = -1;
    if (other)
        err_set(err, ERR_INVALID, "[%s]: stands in %s already", r->name, other->origin);
    else
        result = forecaster_parse(r->name, json, strlen(json), &parsed, &text, err);
    free(json);
    if (result)
        return -1;
    forecaster_fini(&parsed);
    struct forecaster_files *const out = r->out;
    out->list = mem_resize(out->list, out->count + 1, sizeof *out->list);
    out->list[out->count++] = (struct store_forecaster){.name = mem_text(r->name),
                                                        .body = text.body,
                                                        .policy = text.policy,
                                                        .origin = mem_text(r->path)};
    return 0;
}

/* The section at hand has ended. */
static int section_end(struct reading *r, struct err *err)
{
    struct err why = {0};
    int result = 0;
    if (r->name[0] && keep(r, &why))
        result = err_set(err, why.code, "%s: line %" JSON_INTEGER_FORMAT ": %s", r->path,
                         line_of(r->lines, why.msg), why.msg);
    json_decref(r->body);
    json_decref(r->lines);
    r->body = r->lines = NULL;
    r->name[0] = '\0';
    return result;
}

static int section_begin(struct reading *r, const char *section, int line,
                         struct err *err)
{
    if (!forecaster_name_ok(section))
        return err_set(err, ERR_INVALID,
                       "[%.80s]: a key must follow the name of its forecaster, 1..%d "
                       "letters, digits, -, _ and ., in brackets",
                       section, FORECASTER_NAME_MAX - 1);
    snprintf(r->name, sizeof r->name, "%s", section);
    r->body = json_object();
    r->lines = json_pack("{s:i}", "", line);
    return 0;
}

/* A fault of the section before has its own line: err->msg is whole, then. */
struct file {
    struct reading reading;
    struct err whole;
};

static int take(void *ctx, const char *section, const char *key, const char *value,
                int line, struct err *err)
{
    struct file *const file = ctx;
    struct reading *const r = &file->reading;
    if (strcmp(r->name, section) != 0 &&
        (section_end(r, &file->whole) || section_begin(r, section, line, err)))
        return err_set(err, ERR_INVALID, "not accepted");
    json_object_set_new(r->lines, key, json_integer(line));
    return value_put(r->body, key, value, err);
}

static int file_read(const char *path, struct forecaster_files *out, struct err *err)
{
    struct file f = {.reading = {.path = path, .out = out}};
    FILE *const file = fopen(path, "re");
    struct err why = {0};
    if (!file)
        return err_errno(err, "%s", path);
    int result = ini_file_read(file, path, take, &f, &why);
    if (section_end(&f.reading, result == 0 ? &f.whole : NULL))
        result = -1;
    fclose(file);
    const struct err *const first = f.whole.code ? &f.whole : &why;
    return result ? err_copy(err, first) : 0;
}

/* ---- the folder ---------------------------------------------------------------------- */

static int is_conf(const struct dirent *entry)
{
    const size_t len = strlen(entry->d_name);
    return entry->d_name[0] != '.' && len > 5 &&
           strcmp(entry->d_name + len - 5, ".conf") == 0;
}

int forecaster_files_read(const char *folder, struct forecaster_files *out,
                          struct err *err)
{
    struct dirent **entries = NULL;
    *out = (struct forecaster_files){0};
    const int count = scandir(folder, &entries, is_conf, alphasort);
    if (count < 0)
        return errno == ENOENT ? 0 : err_errno(err, "folder %s", folder);
    int result = 0;
    for (int i = 0; i < count; i++) {
        char *const path = mem_printf("%s/%s", folder, entries[i]->d_name);
        if (result == 0)
            result = file_read(path, out, err);
        free(path);
        free(entries[i]);
    }
    free(entries);
    if (result)
        forecaster_files_fini(out);
    return result;
}
