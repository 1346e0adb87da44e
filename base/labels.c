/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/labels.h"

#include <string.h>

#include "base/text.h"

static const char name_label[] = "__name__";

/* ---- names and bytes --------------------------------------------------------------- */

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Bytes at the front of text that can be a name; metric names may have colons. */
static size_t name_length(const char *text, size_t len, bool metric)
{
    size_t n = 0;
    while (n < len && (is_letter(text[n]) || (metric && text[n] == ':') ||
                       (n > 0 && is_digit(text[n]))))
        n++;
    return n;
}

static bool is_name(const char *text, bool metric)
{
    const size_t len = strlen(text);
    return len > 0 && name_length(text, len, metric) == len;
}

/* The text that parsed names and values are copied into. */
struct heap {
    char *text;
    size_t *used;
};
enum { HEAP_SIZE = 2 * LABELS_TEXT_MAX };

static bool heap_put(struct heap heap, char c)
{
    if (*heap.used == HEAP_SIZE)
        return false;
    heap.text[(*heap.used)++] = c;
    return true;
}

/* A zero-terminated copy, or NULL when there is no room. */
static const char *heap_copy(struct heap heap, const char *text, size_t len)
{
    if (HEAP_SIZE - *heap.used <= len)
        return NULL;
    char *const copy = heap.text + *heap.used;
    memcpy(copy, text, len);
    copy[len] = '\0';
    *heap.used += len + 1;
    return copy;
}

/* ---- reading what series and selectors share --------------------------------------- */

struct cursor {
    const char *start, *at, *end;
    const char *what; /* "series" or "selector", for messages */
};

static int fail(const struct cursor *c, struct err *err, const char *rule)
{
    char quoted[TEXT_QUOTE_SIZE];
    return err_set(err, ERR_INVALID, "%s: %s at byte %zu of %s", c->what, rule,
                   (size_t)(c->at - c->start) + 1,
                   text_quote(c->start, (size_t)(c->end - c->start), quoted));
}

static void skip_spaces(struct cursor *c)
{
    while (c->at < c->end && (*c->at == ' ' || *c->at == '\t'))
        c->at++;
}

static bool take(struct cursor *c, char want)
{
    skip_spaces(c);
    if (c->at == c->end || *c->at != want)
        return false;
    c->at++;
    return true;
}

/* The name at the cursor into the heap; *out NULL when there is none. */
static int take_name(struct cursor *c, struct heap heap, bool metric, const char **out,
                     struct err *err)
{
    skip_spaces(c);
    const size_t len = name_length(c->at, (size_t)(c->end - c->at), metric);
    *out = NULL;
    if (len == 0)
        return 0;
    *out = heap_copy(heap, c->at, len);
    if (!*out)
        return fail(c, err, "too long");
    c->at += len;
    return 0;
}

/* A text in double quotes, unescaped. */
static int take_quoted(struct cursor *c, struct heap heap, const char **out,
                       struct err *err)
{
    *out = heap.text + *heap.used;
    if (!take(c, '"'))
        return fail(c, err, "must have a value in double quotes");
    while (c->at < c->end && *c->at != '"') {
        char byte = *c->at++;
        if (byte == '\\') {
            byte = c->at < c->end ? *c->at : '\0';
            if (byte == 'n')
                byte = '\n';
            else if (byte != '\\' && byte != '"')
                return fail(c, err, "must have only \\\\, \\\" and \\n escaped");
            c->at++;
        }
        if (!heap_put(heap, byte))
            return fail(c, err, "too long");
    }
    if (c->at == c->end)
        return fail(c, err, "must end with a double quote");
    c->at++;
    return heap_put(heap, '\0') ? 0 : fail(c, err, "too long");
}

static int check_utf8(const struct cursor *c, struct err *err)
{
    if (text_is_utf8(c->start, (size_t)(c->end - c->start)))
        return 0;
    return fail(c, err, "must be UTF-8 without zero bytes");
}

/*
 * After the metric name: nothing, or a brace with pairs, a comma after the last one
 * allowed.  pair() reads from the operator on and stores.
 */
static int take_pairs(struct cursor *c, struct heap heap,
                      int (*pair)(struct cursor *c, const char *name, void *set,
                                  struct err *err),
                      void *set, struct err *err)
{
    if (take(c, '{')) {
        bool more = true;
        while (!take(c, '}')) {
            const char *name;
            if (!more)
                return fail(c, err, "must have \",\" or \"}\"");
            if (take_name(c, heap, false, &name, err))
                return -1;
            if (!name)
                return fail(c, err, "must have a label name");
            if (pair(c, name, set, err))
                return -1;
            more = take(c, ',');
        }
    }
    skip_spaces(c);
    return c->at == c->end ? 0 : fail(c, err, "must end");
}

/* ---- series ------------------------------------------------------------------------ */

/* Puts a label whose texts are in the heap in its place. */
static int insert(struct labels *labels, const char *name, const char *value,
                  struct err *err)
{
    char quoted[TEXT_QUOTE_SIZE];
    if (*value == '\0')
        return 0;
    size_t at = labels->count;
    while (at > 0 && strcmp(labels->label[at - 1].name, name) >= 0)
        at--;
    if (at < labels->count && strcmp(labels->label[at].name, name) == 0)
        return err_set(err, ERR_INVALID, "series: label %s stands twice",
                       text_quote(name, strlen(name), quoted));
    if (labels->count == LABELS_COUNT_MAX)
        return err_set(err, ERR_INVALID, "series: at most %d labels are taken",
                       LABELS_COUNT_MAX);
    memmove(&labels->label[at + 1], &labels->label[at],
            (labels->count - at) * sizeof *labels->label);
    labels->label[at] = (struct label){name, value};
    labels->count++;
    return 0;
}

static struct heap heap_of(struct labels *labels)
{
    return (struct heap){labels->text, &labels->used};
}

static int take_label(struct cursor *c, const char *name, void *set, struct err *err)
{
    struct labels *labels = set;
    const char *value;
    if (!take(c, '='))
        return fail(c, err, "must have \"=\"");
    if (take_quoted(c, heap_of(labels), &value, err))
        return -1;
    return insert(labels, name, value, err);
}

int labels_parse(const char *text, size_t len, struct labels *out, struct err *err)
{
    struct cursor c = {text, text, text + len, "series"};
    const char *metric;
    char canonical[LABELS_TEXT_MAX];
    out->count = out->used = 0;
    if (check_utf8(&c, err) || take_name(&c, heap_of(out), true, &metric, err) ||
        (metric && insert(out, name_label, metric, err)) ||
        take_pairs(&c, heap_of(out), take_label, out, err))
        return -1;
    return labels_format(out, canonical, err); /* names it, and fits */
}

int labels_add_n(struct labels *labels, const char *name, size_t name_len,
                 const char *value, size_t value_len, struct err *err)
{
    char quoted[TEXT_QUOTE_SIZE];
    if (name_len == 0 || name_len >= LABELS_TEXT_MAX ||
        name_length(name, name_len, false) != name_len)
        return err_set(err, ERR_INVALID,
                       "label: name must be of [a-zA-Z_][a-zA-Z0-9_]*, got %s",
                       text_quote(name, name_len, quoted));
    if (!text_is_utf8(value, value_len))
        return err_set(err, ERR_INVALID, "label: value of %.*s must be UTF-8, got %s",
                       (int)name_len, name, text_quote(value, value_len, quoted));
    const size_t kept = labels->used;
    const char *own_name = heap_copy(heap_of(labels), name, name_len);
    const char *own_value = heap_copy(heap_of(labels), value, value_len);
    if (own_name && own_value && insert(labels, own_name, own_value, err) == 0)
        return 0;
    labels->used = kept;
    return err_set(err, ERR_INVALID, "series: must be below %d bytes", LABELS_TEXT_MAX);
}

int labels_add(struct labels *labels, const char *name, const char *value,
               struct err *err)
{
    return labels_add_n(labels, name, strlen(name), value, strlen(value), err);
}

const char *labels_get(const struct labels *labels, const char *name)
{
    for (size_t i = 0; i < labels->count; i++)
        if (strcmp(labels->label[i].name, name) == 0)
            return labels->label[i].value;
    return NULL;
}

/* ---- the canonical form ------------------------------------------------------------ */

struct writer {
    char *at, *end; /* end: where the final zero can still go */
    bool full;
};

static void put_bytes(struct writer *w, const char *bytes, size_t len)
{
    w->full = w->full || (size_t)(w->end - w->at) < len;
    if (w->full)
        return;
    memcpy(w->at, bytes, len);
    w->at += len;
}

static void put(struct writer *w, const char *text)
{
    put_bytes(w, text, strlen(text));
}

static void put_escaped(struct writer *w, const char *value)
{
    for (; *value; value++) {
        if (*value == '\n')
            put(w, "\\n");
        else if (*value == '\\' || *value == '"')
            put_bytes(w, (const char[]){'\\', *value}, 2);
        else
            put_bytes(w, value, 1);
    }
}

int labels_format(const struct labels *labels, char out[static LABELS_TEXT_MAX],
                  struct err *err)
{
    struct writer w = {out, out + LABELS_TEXT_MAX - 1, false};
    const char *metric = labels_get(labels, name_label);
    if (!metric)
        return err_set(err, ERR_INVALID, "series: must have a name");
    const bool in_front = is_name(metric, true);
    if (in_front)
        put(&w, metric);
    const char *before = "{";
    for (size_t i = 0; i < labels->count; i++) {
        const struct label *label = &labels->label[i];
        if (in_front && strcmp(label->name, name_label) == 0)
            continue;
        put(&w, before);
        put(&w, label->name);
        put(&w, "=\"");
        put_escaped(&w, label->value);
        put(&w, "\"");
        before = ",";
    }
    if (*before == ',')
        put(&w, "}");
    *w.at = '\0';
    return w.full ? err_set(err, ERR_INVALID, "series: must be below %d bytes",
                            LABELS_TEXT_MAX)
                  : 0;
}

/* ---- selectors --------------------------------------------------------------------- */

static int add_matcher(struct selector *selector, struct matcher matcher, struct err *err)
{
    if (selector->count == LABELS_COUNT_MAX)
        return err_set(err, ERR_INVALID, "selector: at most %d matchers are taken",
                       LABELS_COUNT_MAX);
    selector->matcher[selector->count++] = matcher;
    return 0;
}

static int take_matcher(struct cursor *c, const char *name, void *set, struct err *err)
{
    struct selector *selector = set;
    struct matcher matcher = {.name = name};
    const bool negated = take(c, '!');
    if (!negated && !take(c, '='))
        return fail(c, err, "must have =, !=, =~ or !~");
    /* The second character stands right behind the first. */
    const char second = c->at < c->end ? *c->at : '\0';
    if (negated && second != '=' && second != '~')
        return fail(c, err, "must have =, !=, =~ or !~");
    const bool regex = second == '~';
    c->at += negated || regex;
    if (regex)
        matcher.kind = negated ? MATCH_NOT_REGEX : MATCH_REGEX;
    else
        matcher.kind = negated ? MATCH_NOT_EQUAL : MATCH_EQUAL;
    if (take_quoted(c, (struct heap){selector->text, &selector->used}, &matcher.value,
                    err))
        return -1;
    return add_matcher(selector, matcher, err);
}

static bool fails_on_empty(const struct matcher *matcher)
{
    const char *value = matcher->value;
    const bool negated =
        matcher->kind == MATCH_NOT_EQUAL || matcher->kind == MATCH_NOT_REGEX;
    const bool regex = matcher->kind == MATCH_REGEX || matcher->kind == MATCH_NOT_REGEX;
    const bool matches = *value == '\0' || (regex && strcmp(value, ".*") == 0);
    return matches == negated;
}

int selector_parse(const char *text, size_t len, struct selector *out, struct err *err)
{
    struct cursor c = {text, text, text + len, "selector"};
    const struct heap heap = {out->text, &out->used};
    const char *metric;
    out->count = out->used = 0;
    if (check_utf8(&c, err) || take_name(&c, heap, true, &metric, err))
        return -1;
    if (metric &&
        add_matcher(out, (struct matcher){MATCH_EQUAL, name_label, metric}, err))
        return -1;
    if (take_pairs(&c, heap, take_matcher, out, err))
        return -1;
    for (size_t i = 0; i < out->count; i++)
        if (fails_on_empty(&out->matcher[i]))
            return 0;
    char quoted[TEXT_QUOTE_SIZE];
    return err_set(err, ERR_INVALID,
                   "selector: must have a matcher that rules out a series without "
                   "labels, got %s",
                   text_quote(text, len, quoted));
}
