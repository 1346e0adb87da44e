/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "api/influx_line.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/label_set.h"
#include "base/text.h"
#include "base/time.h"

enum {
    TEXT_MAX = 2 * LABELS_TEXT_MAX, /* of a line's names and tags */
    NUMBER_MAX = 64,
    NS_PER_MS = 1000000,
};

/* One line while it is read. */
struct line {
    const char *at, *end;
    char text[TEXT_MAX]; /* unescaped */
    size_t used;
    struct label_set set; /* of the tags; the metric's name stands at 0 */
    size_t measurement_len;
};

static int fail(struct err *why, const char *what)
{
    return err_set(why, ERR_INVALID, "%s", what);
}

/* ---- names and tags ------------------------------------------------------------------ */

/* What ends a part of a line unless a backslash stands before it. */
static bool is_one_of(char c, const char *stops)
{
    return c && strchr(stops, c);
}

/* The text up to one of stops, unescaped, into the line's own; NULL: no room. */
static char *take(struct line *line, const char *stops, size_t *len)
{
    char *const out = line->text + line->used;
    *len = 0;
    while (line->at < line->end && !is_one_of(*line->at, stops)) {
        /* Before other characters a backslash is itself. */
        if (*line->at == '\\' && line->at + 1 < line->end &&
            is_one_of(line->at[1], ",= "))
            line->at++;
        if (line->used == TEXT_MAX)
            return NULL;
        line->text[line->used++] = *line->at++;
        ++*len;
    }
    return out;
}

static bool next_is(struct line *line, char c)
{
    if (line->at == line->end || *line->at != c)
        return false;
    line->at++;
    return true;
}

static bool has_tag(const struct label_set *set, const char *name)
{
    for (size_t i = 0; i < set->count && i < LABELS_COUNT_MAX; i++)
        if (set->label[i].name_len == strlen(name) &&
            !memcmp(set->label[i].name, name, strlen(name)))
            return true;
    return false;
}

/* measurement[,tag=value]... up to the space before the fields. */
static int read_key(struct line *line, const char *db, struct err *why)
{
    size_t len, value_len;
    if (!take(line, ", ", &line->measurement_len))
        return fail(why, "too long");
    if (line->measurement_len == 0)
        return fail(why, "missing measurement");
    label_set_add(&line->set, "__name__", 8, NULL, 0);
    while (next_is(line, ',')) {
        char *const name = take(line, ",= ", &len);
        if (name && (len == 0 || !next_is(line, '=')))
            return fail(why, "missing tag value");
        const char *const value = name ? take(line, ",= ", &value_len) : NULL;
        if (!value)
            return fail(why, "too long");
        if (value_len == 0)
            return fail(why, "missing tag value");
        label_name_mend(name, len);
        label_set_add(&line->set, name, len, value, value_len);
    }
    if (!next_is(line, ' '))
        return fail(why, "missing fields");
    if (db && *db && !has_tag(&line->set, "db"))
        label_set_add(&line->set, "db", 2, db, strlen(db));
    return 0;
}

/* ---- fields -------------------------------------------------------------------------- */

enum field_kind { FIELD_NUMBER, FIELD_TEXT };

struct field {
    const char *name;
    size_t name_len;
    enum field_kind kind;
    double value;
};

/* Stands behind the opening quote; passes over the text. */
static int read_text(struct line *line, struct err *why)
{
    for (; line->at < line->end; line->at++) {
        if (*line->at == '\\' && line->at + 1 < line->end)
            line->at++;
        else if (next_is(line, '"'))
            return 0;
    }
    return fail(why, "unbalanced quotes");
}

static int read_boolean(const char *word, double *value)
{
    static const char *const words[] = {"f", "F", "false", "False", "FALSE",
                                        "t", "T", "true",  "True",  "TRUE"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (!strcmp(words[i], word)) {
            *value = i >= 5;
            return 0;
        }
    return -1;
}

static int read_number(const char *word, double *value)
{
    char *end = NULL;
    const size_t len = strlen(word);
    const char kind = len ? word[len - 1] : '\0';
    errno = 0;
    if (kind == 'i')
        *value = (double)strtoll(word, &end, 10);
    else if (kind == 'u' && *word != '-')
        *value = (double)strtoull(word, &end, 10);
    else if (len && strspn(word, "+-.0123456789eE") == len)
        *value = strtod(word, &end);
    else
        return -1;
    const bool whole =
        end && end != word && *end == (kind == 'i' || kind == 'u' ? kind : '\0');
    /* Too small for a double is nearly 0, too large is none. */
    return whole && isfinite(*value) && !(errno && kind == 'i') && !(errno && kind == 'u')
               ? 0
               : -1;
}

static int read_value(struct line *line, struct field *field, struct err *why)
{
    char word[NUMBER_MAX];
    if (next_is(line, '"')) {
        field->kind = FIELD_TEXT;
        return read_text(line, why);
    }
    size_t len = 0;
    while (line->at < line->end && !is_one_of(*line->at, ", ")) {
        if (len + 1 == sizeof word || !*line->at)
            return fail(why, "invalid number");
        word[len++] = *line->at++;
    }
    word[len] = '\0';
    field->kind = FIELD_NUMBER;
    if (len == 0)
        return fail(why, "missing field value");
    if (read_boolean(word, &field->value) && read_number(word, &field->value))
        return fail(why, isdigit((unsigned char)*word) || is_one_of(*word, "+-.")
                             ? "invalid number"
                             : "invalid boolean");
    return 0;
}

static int read_field(struct line *line, struct field *field, struct err *why)
{
    field->name = take(line, ",= ", &field->name_len);
    if (!field->name)
        return fail(why, "too long");
    if (field->name_len == 0 || !next_is(line, '='))
        return fail(why, "invalid field format");
    return read_value(line, field, why);
}

/* name=value[,name=value]...; each is called for them unless it is NULL. */
static int read_fields(struct line *line,
                       void (*each)(void *ctx, struct line *line,
                                    const struct field *field),
                       void *ctx, struct err *why)
{
    const size_t used = line->used;
    do {
        struct field field;
        line->used = used;
        if (read_field(line, &field, why))
            return -1;
        if (each)
            each(ctx, line, &field);
    } while (next_is(line, ','));
    return 0;
}

/* ---- time ---------------------------------------------------------------------------- */

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b != 0 && (a < 0) != (b < 0));
}

/* What is left of the line: a space and an integer, or nothing. */
static int read_time(const struct line *line, int64_t unit_ns, int64_t now_ms,
                     int64_t *time_ms, struct err *why)
{
    char word[NUMBER_MAX], *end = NULL;
    const char *at = line->at, *last = line->end;
    while (at < last && *at == ' ')
        at++;
    while (last > at && (last[-1] == ' '))
        last--;
    *time_ms = now_ms;
    if (at == last)
        return 0;
    const size_t len = (size_t)(last - at);
    if (len >= sizeof word)
        return fail(why, "bad timestamp");
    memcpy(word, at, len);
    word[len] = '\0';
    errno = 0;
    const long long number = strtoll(word, &end, 10);
    if (errno || *end || end == word || isspace((unsigned char)*word))
        return fail(why, "bad timestamp");
    /* Not by way of nanoseconds, which overflow in the year 2262. */
    if (unit_ns < NS_PER_MS)
        *time_ms = floor_div(number, NS_PER_MS / unit_ns);
    else if (__builtin_mul_overflow(number, unit_ns / NS_PER_MS, time_ms))
        return fail(why, "time outside range");
    return 0;
}

/* ---- lines --------------------------------------------------------------------------- */

struct adding {
    struct intake *in;
    int64_t time_ms;
    size_t number; /* of the line */
};

static void add_field(void *ctx, struct line *line, const struct field *field)
{
    const struct adding *const adding = ctx;
    struct intake *const in = adding->in;
    char metric[TEXT_MAX], name[LABELS_TEXT_MAX], place[32];
    if (field->kind == FIELD_TEXT) {
        intake_pass_over(in, REJECT_NOT_NUMBER, 1);
        return;
    }
    struct err why;
    why.code = ERR_NONE;
    const int len =
        snprintf(metric, sizeof metric, "%.*s_%.*s", (int)line->measurement_len,
                 line->text, (int)field->name_len, field->name);
    snprintf(place, sizeof place, "line %zu", adding->number);
    line->set.label[0].value = metric;
    line->set.label[0].value_len = (size_t)len;
    if ((size_t)len >= sizeof metric)
        fail(&why, "too long");
    else if (label_set_name(&line->set, name, &why) == 0) {
        const uint32_t series = store_batch_series(in->batch, name);
        intake_add(in, series, adding->time_ms, field->value, place);
        return;
    }
    err_prefix(&why, "%s", place);
    intake_refuse(in, REJECT_INVALID, 1, &why);
}

/* The fields are read twice, so that of a bad line nothing is taken. */
static int read_line(struct line *line, size_t number, const struct influx_lines *lines,
                     struct intake *in, struct err *why)
{
    struct adding adding = {.in = in, .number = number};
    if (read_key(line, lines->db, why))
        return -1;
    const char *const fields = line->at;
    if (read_fields(line, NULL, NULL, why) ||
        read_time(line, lines->unit_ns, in->now_ms, &adding.time_ms, why))
        return -1;
    line->at = fields;
    return read_fields(line, add_field, &adding, why);
}

static void refuse(struct intake *in, const char *text, size_t len, const struct err *why)
{
    char shown[TEXT_QUOTE_SIZE];
    struct err err = {0};
    text_quote(text, len, shown);
    err_set(&err, ERR_INVALID, "unable to parse '%.*s': %s", (int)strlen(shown) - 2,
            shown + 1, why->msg);
    intake_refuse(in, REJECT_INVALID, 1, &err);
}

void influx_lines_read(const char *text, size_t len, struct influx_lines *lines,
                       struct intake *in)
{
    const char *const end = text + len;
    size_t number = 0;
    struct line line;
    lines->unreadable = 0;
    for (const char *at = text; at < end; number++) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        stop = stop ? stop : end;
        while (at < stop && is_one_of(*at, " \t\r"))
            at++;
        if (at < stop && *at != '#') {
            struct err why;
            why.code = ERR_NONE;
            line.at = at;
            line.end = stop[-1] == '\r' ? stop - 1 : stop;
            line.used = line.set.count = 0;
            if (read_line(&line, number + 1, lines, in, &why)) {
                refuse(in, at, (size_t)(stop - at), &why);
                lines->unreadable++;
            }
        }
        at = stop + 1;
    }
}
