/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * query.h -- the parameters of a URL, by table.
 *
 *     struct wish { const char *series; int64_t limit; int format; };
 *     static const struct query_rule rules[] = {
 *         QUERY("series", QUERY_TEXT, struct wish, series),
 *         QUERY("limit", QUERY_COUNT, struct wish, limit, .most = 10000),
 *         QUERY("format", QUERY_WORD, struct wish, format, .words = formats),
 *     };
 *
 * A parameter that is not in the table, that is there twice, or that breaks its rule
 * is refused.  One that is absent leaves its place as it was: defaults go there first.
 */
#ifndef QUERY_H
#define QUERY_H

#include <stddef.h>
#include <stdint.h>

#include "api/request.h"

enum query_kind {
    QUERY_TEXT,  /* const char *, borrowed from the request, not empty */
    QUERY_COUNT, /* int64_t from 1 to most */
    QUERY_TIME,  /* int64_t ms: RFC 3339, or an integer as time_parse() takes it */
    QUERY_FLAG,  /* bool: "true" or "false" */
    QUERY_WORD,  /* int: the index of one of words */
};

struct query_rule {
    const char *name;
    enum query_kind kind;
    size_t offset;
    int64_t most;
    const char *const *words; /* ends in NULL */
};

#define QUERY(parameter, what, type, member, ...)                                        \
    {                                                                                    \
        .name = (parameter), .kind = (what), .offset = offsetof(type, member),           \
        __VA_ARGS__                                                                      \
    }

int query_read(const struct request *request, const struct query_rule *rules,
               size_t count, void *out, struct err *err);

/* Parameters of a form body (application/x-www-form-urlencoded) join those of the URL. */
int query_form(struct request *request, struct err *err);

/* The first of this name, or NULL: for dialects, which do not mind what else is there. */
const char *query_text(const struct request *request, const char *name);

/* The same as query_read() for routes that take no parameter. */
int query_none(const struct request *request, struct err *err);

#define QUERY_READ(request, rules, out, err)                                             \
    query_read((request), (rules), sizeof(rules) / sizeof *(rules), (out), (err))

#endif
