/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/store.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "base/labels.h"
#include "base/mem.h"

/* What one value may cost; a pattern past it is refused, not waited for. */
enum { MATCH_LIMIT = 100000, DEPTH_LIMIT = 1000, HEAP_LIMIT_KIB = 1024 };

/*
 * A selector ready to match.  The canonical name of what an equality takes contains it:
 * names without that need not be taken apart.
 */
struct store_selection {
    struct selector selector;
    char *part[LABELS_COUNT_MAX];       /* NULL: any name may match */
    bool in_front;                      /* part[0] is what stands before the brace */
    pcre2_code *code[LABELS_COUNT_MAX]; /* NULL: not a regular expression */
    pcre2_match_context *limits;
    pcre2_match_data *data;
    struct labels labels; /* of the series being looked at */
};

void store_names_fini(struct store_names *names)
{
    for (size_t i = 0; i < names->count; i++)
        free(names->name[i]);
    free(names->name);
    *names = (struct store_names){0};
}

void store_selection_free(struct store_selection *selection)
{
    if (!selection)
        return;
    for (size_t i = 0; i < selection->selector.count; i++) {
        pcre2_code_free(selection->code[i]);
        free(selection->part[i]);
    }
    pcre2_match_context_free(selection->limits);
    pcre2_match_data_free(selection->data);
    free(selection);
}

/* As Prometheus reads it: anchored at both ends, `.` takes a line end too. */
static int compile(const struct matcher *matcher, pcre2_code **code, struct err *err)
{
    const uint32_t options = PCRE2_ANCHORED | PCRE2_ENDANCHORED | PCRE2_DOTALL |
                             PCRE2_UTF | PCRE2_NEVER_BACKSLASH_C | PCRE2_DOLLAR_ENDONLY;
    int number;
    PCRE2_SIZE offset;
    *code = pcre2_compile((PCRE2_SPTR)matcher->value, PCRE2_ZERO_TERMINATED, options,
                          &number, &offset, NULL);
    if (*code)
        return 0;
    unsigned char text[120];
    pcre2_get_error_message(number, text, sizeof text);
    return err_set(err, ERR_INVALID, "selector: %s=~\"%.100s\": %s at %zu", matcher->name,
                   matcher->value, (const char *)text, offset);
}

/* What the canonical form writes for a label; NULL where there is no such form. */
static char *part_of(const struct matcher *matcher, struct labels *labels, bool *in_front)
{
    char text[LABELS_TEXT_MAX];
    const bool metric = strcmp(matcher->name, "__name__") == 0;
    labels->count = labels->used = 0;
    if (matcher->kind != MATCH_EQUAL || matcher->value[0] == '\0' ||
        (!metric && labels_add(labels, "__name__", "x", NULL)) ||
        labels_add(labels, matcher->name, matcher->value, NULL) ||
        labels_format(labels, text, NULL))
        return NULL;
    *in_front = metric && text[0] != '{';
    if (*in_front)
        return mem_text(text);
    char *const open = strchr(text, '{');
    return mem_printf("%.*s", (int)(strlen(open) - 2), open + 1);
}

static void find_parts(struct store_selection *selection)
{
    for (size_t i = 0; i < selection->selector.count; i++) {
        bool in_front = false;
        char *const part =
            part_of(&selection->selector.matcher[i], &selection->labels, &in_front);
        selection->part[i] = part;
        if (in_front && !selection->in_front) {
            selection->part[i] = selection->part[0];
            selection->part[0] = part;
            selection->in_front = true;
        }
    }
}

/* Whether a series of this canonical name can match at all. */
static bool may_match(const struct store_selection *selection, const char *name)
{
    size_t i = 0;
    if (selection->in_front) {
        const size_t len = strlen(selection->part[0]);
        if (strncmp(name, selection->part[0], len) != 0 ||
            (name[len] != '{' && name[len] != '\0'))
            return false;
        i = 1;
    }
    for (; i < selection->selector.count; i++)
        if (selection->part[i] && !strstr(name, selection->part[i]))
            return false;
    return true;
}

struct store_selection *store_selection_new(const char *text, struct err *err)
{
    struct store_selection *const selection = mem_new(1, sizeof *selection);
    if (selector_parse(text, strlen(text), &selection->selector, err)) {
        selection->selector.count = 0;
        store_selection_free(selection);
        return NULL;
    }
    selection->limits = pcre2_match_context_create(NULL);
    selection->data = pcre2_match_data_create(1, NULL);
    bool fine = selection->limits && selection->data;
    if (fine) {
        pcre2_set_match_limit(selection->limits, MATCH_LIMIT);
        pcre2_set_depth_limit(selection->limits, DEPTH_LIMIT);
        pcre2_set_heap_limit(selection->limits, HEAP_LIMIT_KIB);
    } else {
        err_set(err, ERR_NO_MEMORY, "selector: no memory");
    }
    for (size_t i = 0; fine && i < selection->selector.count; i++) {
        const struct matcher *const matcher = &selection->selector.matcher[i];
        if (matcher->kind == MATCH_REGEX || matcher->kind == MATCH_NOT_REGEX)
            fine = compile(matcher, &selection->code[i], err) == 0;
    }
    if (fine) {
        find_parts(selection);
        return selection;
    }
    store_selection_free(selection);
    return NULL;
}

/* 1: matches, 0: does not, -1: too costly. */
static int holds(struct store_selection *selection, size_t i, const char *value,
                 struct err *err)
{
    const struct matcher *const matcher = &selection->selector.matcher[i];
    if (matcher->kind == MATCH_EQUAL)
        return strcmp(value, matcher->value) == 0;
    if (matcher->kind == MATCH_NOT_EQUAL)
        return strcmp(value, matcher->value) != 0;
    const int result =
        pcre2_match(selection->code[i], (PCRE2_SPTR)value, strlen(value), 0,
                    PCRE2_NO_UTF_CHECK, selection->data, selection->limits);
    if (result < 0 && result != PCRE2_ERROR_NOMATCH)
        return err_set(err, ERR_INVALID,
                       "selector: %s=~\"%.100s\" is too costly to match", matcher->name,
                       matcher->value);
    return (result >= 0) == (matcher->kind == MATCH_REGEX);
}

/* An absent label equals "". */
int store_selection_takes(struct store_selection *selection, const struct labels *labels,
                          struct err *err)
{
    for (size_t i = 0; i < selection->selector.count; i++) {
        const char *const found = labels_get(labels, selection->selector.matcher[i].name);
        const int status = holds(selection, i, found ? found : "", err);
        if (status <= 0)
            return status;
    }
    return 1;
}

int store_selection_allows(struct store_selection *selection, const char *label,
                           const char *value, struct err *err)
{
    for (size_t i = 0; i < selection->selector.count; i++) {
        if (strcmp(selection->selector.matcher[i].name, label) != 0)
            continue;
        const int status = holds(selection, i, value, err);
        if (status <= 0)
            return status;
    }
    return 1;
}

static int matches(struct store_selection *selection, const char *name, struct err *err)
{
    if (!selection)
        return 1;
    if (!may_match(selection, name))
        return 0;
    if (labels_parse(name, strlen(name), &selection->labels, err))
        return -1;
    return store_selection_takes(selection, &selection->labels, err);
}

static int by_name(const void *left, const void *right)
{
    return strcmp(*(char *const *)left, *(char *const *)right);
}

/* Under the index's lock: names are borrowed until they are copied. */
static int collect(const struct index *index, struct store_selection *selection,
                   size_t limit, struct store_names *out, struct err *err)
{
    char **const found = mem_new(index->committed, sizeof *found);
    size_t count = 0;
    int status = 1;
    for (uint32_t i = 0; status >= 0 && i < index->committed; i++) {
        if (nameset_gone(&index->names, i))
            continue;
        const char *const name = nameset_text(&index->names, i);
        status = matches(selection, name, err);
        if (status > 0)
            memcpy(&found[count++], &name, sizeof name);
    }
    if (status >= 0) {
        qsort(found, count, sizeof *found, by_name);
        out->count = limit > 0 && count > limit ? limit : count;
        out->name = found;
        for (size_t i = 0; i < out->count; i++)
            found[i] = mem_text(found[i]);
        return 0;
    }
    free(found);
    return -1;
}

int store_select(struct store *store, const char *selector, size_t limit,
                 struct store_names *out, struct err *err)
{
    *out = (struct store_names){0};
    struct store_selection *const selection =
        selector ? store_selection_new(selector, err) : NULL;
    if (selector && !selection)
        return -1;
    pthread_rwlock_rdlock(&store->index.lock);
    const int status = collect(&store->index, selection, limit, out, err);
    pthread_rwlock_unlock(&store->index.lock);
    store_selection_free(selection);
    return status;
}
