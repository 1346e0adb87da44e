/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "api/label_set.h"

#include <string.h>

/* ---- the quick way --------------------------------------------------------------------- */

/* What a byte may be part of. */
enum { PLAIN = 1, NAME = 2, METRIC = 4 };

static unsigned char kind_of(unsigned char byte)
{
    static const unsigned char kinds[256] = {
        [' '] = PLAIN,
        ['!'] = PLAIN,
        ['#' ... '/'] = PLAIN,
        ['0' ... '9'] = PLAIN | NAME | METRIC,
        [':'] = PLAIN | METRIC,
        [';' ... '@'] = PLAIN,
        ['A' ... 'Z'] = PLAIN | NAME | METRIC,
        ['['] = PLAIN,
        [']' ... '^'] = PLAIN,
        ['_'] = PLAIN | NAME | METRIC,
        ['`'] = PLAIN,
        ['a' ... 'z'] = PLAIN | NAME | METRIC,
        ['{' ... '~'] = PLAIN,
    };
    return kinds[byte];
}

/* Copies text; false where a byte of it is of another kind. */
static bool put(char **at, const char *text, size_t len, unsigned char kind)
{
    unsigned char all = kind;
    for (size_t i = 0; i < len; i++) {
        all &= kind_of((unsigned char)text[i]);
        (*at)[i] = text[i];
    }
    *at += len;
    return all & kind;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool ascending(const struct label_text *a, const struct label_text *b)
{
    const size_t len = a->name_len < b->name_len ? a->name_len : b->name_len;
    const int order = memcmp(a->name, b->name, len);
    return order < 0 || (order == 0 && a->name_len < b->name_len);
}

static bool is_metric(const struct label_text *label)
{
    return label->name_len == 8 && memcmp(label->name, "__name__", 8) == 0;
}

/* The metric's name first; its label's place among the others is then free. */
static const struct label_text *metric_of(const struct label_set *set)
{
    for (size_t i = 0; i < set->count; i++)
        if (is_metric(&set->label[i]))
            return &set->label[i];
    return NULL;
}

/* false: not a case of this way. */
static bool name_quickly(const struct label_set *set, char *out)
{
    const struct label_text *const metric =
        set->count <= LABELS_COUNT_MAX ? metric_of(set) : NULL;
    if (!metric || metric->value_len == 0 || is_digit(metric->value[0]))
        return false;
    size_t len = 3; /* braces, and the final zero */
    for (size_t i = 0; i < set->count; i++)
        len += set->label[i].name_len + set->label[i].value_len + 4; /* ="", */
    char *at = out;
    if (len > LABELS_TEXT_MAX || !put(&at, metric->value, metric->value_len, METRIC))
        return false;
    char before = '{';
    for (size_t i = 0; i < set->count; i++) {
        const struct label_text *const label = &set->label[i];
        if (i > 0 && !ascending(label - 1, label))
            return false;
        if (label == metric)
            continue;
        *at++ = before;
        if (label->name_len == 0 || label->value_len == 0 || is_digit(label->name[0]) ||
            !put(&at, label->name, label->name_len, NAME))
            return false;
        *at++ = '=';
        *at++ = '"';
        if (!put(&at, label->value, label->value_len, PLAIN))
            return false;
        *at++ = '"';
        before = ',';
    }
    if (before == ',')
        *at++ = '}';
    *at = '\0';
    return true;
}

void label_name_mend(char *name, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (!(kind_of((unsigned char)name[i]) & NAME) || (i == 0 && is_digit(name[i])))
            name[i] = '_';
}

/* ---- the other ------------------------------------------------------------------------- */

int label_set_name(const struct label_set *set, char out[static LABELS_TEXT_MAX],
                   struct err *err)
{
    if (name_quickly(set, out))
        return 0;
    struct labels labels;
    labels.count = labels.used = 0;
    for (size_t i = 0; i < set->count && i < LABELS_COUNT_MAX; i++) {
        const struct label_text *const label = &set->label[i];
        if (labels_add_n(&labels, label->name, label->name_len, label->value,
                         label->value_len, err))
            return -1;
    }
    if (set->count > LABELS_COUNT_MAX)
        return err_set(err, ERR_INVALID, "series: at most %d labels are taken, got %zu",
                       LABELS_COUNT_MAX, set->count);
    return labels_format(&labels, out, err);
}
