/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "api/problem.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

struct meaning {
    const char *title;
    unsigned status;
    int retry_after_s; /* the same request may succeed later */
};

static const struct meaning meanings[] = {
    [ERR_NONE] = {"Failed without a reason", 500, 0},
    [ERR_INVALID] = {"The request breaks a rule", 400, 0},
    [ERR_NOT_FOUND] = {"There is no such thing", 404, 0},
    [ERR_CONFLICT] = {"The present state does not allow this", 409, 0},
    [ERR_TOO_LARGE] = {"Larger than the limit", 413, 0},
    [ERR_BUSY] = {"Too busy, try again", 503, 2},
    [ERR_CANCELLED] = {"Cancelled", 409, 0},
    [ERR_NO_MEMORY] = {"Out of memory, try again", 503, 10},
    [ERR_CORRUPT] = {"Stored data fails its check", 500, 0},
    [ERR_IO] = {"The operating system refused, try again", 503, 10},
    [ERR_DENIED] = {"Credentials are missing or wrong", 401, 0},
    [ERR_UNSUPPORTED] = {"A form of data that is not understood here", 415, 0},
};

static const struct meaning *meaning_of(enum err_code code)
{
    const size_t count = sizeof meanings / sizeof *meanings;
    return &meanings[(size_t)code < count ? code : ERR_NONE];
}

unsigned problem_status(enum err_code code)
{
    return meaning_of(code)->status;
}

int problem_retry_after_s(enum err_code code)
{
    return meaning_of(code)->retry_after_s;
}

/* A field is one word, such as horizon or samples[3].value. */
static size_t field_len(const char *msg)
{
    const char *const end = strstr(msg, ": ");
    if (!end || end == msg)
        return 0;
    for (const char *at = msg; at < end; at++)
        if (!isalnum((unsigned char)*at) && !strchr("_-.[]", *at))
            return 0;
    return (size_t)(end - msg);
}

static void set_part(json_t *document, const char *key, const char *text, size_t len)
{
    char *const part = mem_text_n(text, len);
    json_object_set_new(document, key, json_text(part));
    free(part);
}

/* Splits "line N: field: rule, got value" into what of it is there.  Of a failure that
 * is not about a rule ("job: 7 not found") only "got" tells that it has those parts. */
static void add_parts(json_t *document, enum err_code code, const char *msg)
{
    if (code != ERR_INVALID && code != ERR_TOO_LARGE && !strstr(msg, ", got "))
        return;
    if (!strncmp(msg, "line ", 5)) {
        char *end = NULL;
        const long long line = strtoll(msg + 5, &end, 10);
        if (end > msg + 5)
            json_object_set_new(document, "line", json_integer(line));
        if (end > msg + 5 && !strncmp(end, ": ", 2))
            msg = end + 2;
    }
    const size_t len = field_len(msg);
    if (!len)
        return;
    set_part(document, "field", msg, len);
    const char *const rule = msg + len + 2;
    const char *const got = strstr(rule, ", got ");
    set_part(document, "rule", rule, got ? (size_t)(got - rule) : strlen(rule));
    if (got)
        json_object_set_new(document, "value", json_text(got + 6));
}

static json_t *document_new(unsigned status, const char *word, const char *title,
                            const char *detail, const char *instance)
{
    char *const type = mem_printf("urn:frwkvd:problem:%s", word);
    json_t *const document = json_pack(
        "{s:s, s:s, s:i, s:o, s:o}", "type", type, "title", title, "status", (int)status,
        "detail", json_text(detail), "instance", json_text(instance));
    free(type);
    return document;
}

static void reply_document(struct reply *reply, unsigned status, json_t *document)
{
    reply_json(reply, status, document, DIGITS_SHORT);
    reply->type = "application/problem+json";
}

void reply_problem(struct reply *reply, const struct err *err, const char *instance,
                   json_t *members)
{
    const struct meaning *const meaning = meaning_of(err->code);
    json_t *const document = document_new(meaning->status, err_word(err->code),
                                          meaning->title, err->msg, instance);
    add_parts(document, err->code, err->msg);
    if (members)
        json_object_update_new(document, members);
    reply_document(reply, meaning->status, document);
    reply->retry_after_s = meaning->retry_after_s;
}

void reply_problem_status(struct reply *reply, unsigned status, const char *word,
                          const char *title, const char *detail, const char *instance)
{
    json_t *const document = document_new(status, word, title, detail, instance);
    add_parts(document, ERR_INVALID, detail);
    reply_document(reply, status, document);
}
