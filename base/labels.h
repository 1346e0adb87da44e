/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * labels.h -- the name of a series, and the wish for some of them.
 *
 * A series is a metric name plus labels, written as Prometheus writes it:
 * `name{a="x",b="y"}`.  Its canonical form has the labels sorted by name, no spaces,
 * and only \\, \" and \n escaped; two spellings of one series have one canonical form,
 * so the text is the key.  A label with an empty value is the same as no label.
 *
 * Metric names are any UTF-8 text in the form {__name__="...", ...}; those of
 * [a-zA-Z_:][a-zA-Z0-9_:]* stand before the brace.
 */
#ifndef LABELS_H
#define LABELS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

enum {
    LABELS_TEXT_MAX = 4096, /* bytes of a canonical form, with its final zero */
    LABELS_COUNT_MAX = 64,
};

struct label {
    const char *name, *value;
};

/*
 * A parsed series: labels sorted by name, "__name__" among them.  Zeroed, it is the
 * empty set, to be filled with labels_add().  It points into itself: not to be copied.
 */
struct labels {
    size_t count;
    struct label label[LABELS_COUNT_MAX];
    size_t used; /* bytes of text */
    char text[2 * LABELS_TEXT_MAX];
};

/* Reads `name{a="x"}` (len bytes), spaces between the parts allowed.  ERR_INVALID: bad
 * syntax, bad UTF-8, a repeated label, no name, too long. */
int labels_parse(const char *text, size_t len, struct labels *out, struct err *err);

/* Adds one label, copied; keeps the order.  An empty value adds nothing.  ERR_INVALID:
 * a name that is repeated or not of [a-zA-Z_][a-zA-Z0-9_]*, bad UTF-8, past a limit. */
int labels_add(struct labels *labels, const char *name, const char *value,
               struct err *err);

/* The same of texts without a final zero. */
int labels_add_n(struct labels *labels, const char *name, size_t name_len,
                 const char *value, size_t value_len, struct err *err);

/* NULL where there is no such label. */
const char *labels_get(const struct labels *labels, const char *name);

/* Writes the canonical form.  ERR_INVALID when it does not fit or there is no name. */
int labels_format(const struct labels *labels, char out[static LABELS_TEXT_MAX],
                  struct err *err);

enum match_kind { MATCH_EQUAL, MATCH_NOT_EQUAL, MATCH_REGEX, MATCH_NOT_REGEX };

struct matcher {
    enum match_kind kind;
    const char *name, *value;
};

/* A selector: `cpu{host=~"web-.*",job!="x"}`.  Every matcher must hold.  It points into
 * itself: not to be copied. */
struct selector {
    size_t count;
    struct matcher matcher[LABELS_COUNT_MAX];
    size_t used; /* bytes of text */
    char text[2 * LABELS_TEXT_MAX];
};

/*
 * ERR_INVALID: bad syntax, or nothing in it that an empty label set fails to match.
 * Regular expressions are not compiled here: of them "" and ".*" count as matching the
 * empty text, all others as failing to.
 */
int selector_parse(const char *text, size_t len, struct selector *out, struct err *err);

#endif
