/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "api/promql.h"

#include <ctype.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/selector_text.h"
#include "base/mem.h"
#include "base/text.h"

enum { NESTED_MAX = 32, NUMBER_MAX = 64 };
#define DURATION_MAX_MS INT64_C(31536000000000) /* a thousand years */

struct cursor {
    const char *start, *at, *end;
    int nested;
    struct err *err;
};

void promql_fini(struct promql *query)
{
    free(query->selector);
    *query = (struct promql){0};
}

/* ---- refusals -------------------------------------------------------------------- */

static int refuse(const struct cursor *c, const char *construct)
{
    return err_set(c->err, ERR_INVALID,
                   "query: %s, at byte %zu, is more than is understood here: a selector, "
                   "offset, one comparison with a number; a Prometheus in front that "
                   "reads here (remote_read) gives all of PromQL",
                   construct, (size_t)(c->at - c->start) + 1);
}

static int bad(const struct cursor *c, const char *rule)
{
    return err_set(c->err, ERR_INVALID, "query: %s at byte %zu", rule,
                   (size_t)(c->at - c->start) + 1);
}

/* ---- tokens ---------------------------------------------------------------------- */

/* Comments count as space. */
static void skip(struct cursor *c)
{
    while (c->at < c->end && (isspace((unsigned char)*c->at) || *c->at == '#'))
        if (*c->at == '#')
            while (c->at < c->end && *c->at != '\n')
                c->at++;
        else
            c->at++;
}

/* The next character that is no space; zero at the end. */
static char next(struct cursor *c)
{
    skip(c);
    return c->at < c->end ? *c->at : '\0';
}

static bool take(struct cursor *c, const char *word)
{
    skip(c);
    const size_t len = strlen(word);
    if ((size_t)(c->end - c->at) < len || memcmp(c->at, word, len) != 0)
        return false;
    c->at += len;
    return true;
}

static bool is_word_char(char c, bool first)
{
    return (isascii((unsigned char)c) && isalpha((unsigned char)c)) || c == '_' ||
           c == ':' || (!first && isdigit((unsigned char)c));
}

/* The length of the word at the cursor. */
static size_t word_len(struct cursor *c)
{
    size_t len = 0;
    skip(c);
    while (c->at + len < c->end && is_word_char(c->at[len], len == 0))
        len++;
    return len;
}

static bool is_word(const struct cursor *c, size_t len, const char *word)
{
    return len == strlen(word) && !strncasecmp(c->at, word, len);
}

/* Refuses what stands at the cursor where a query might go on. */
static int refuse_rest(struct cursor *c)
{
    static const struct {
        const char *token, *construct;
    } known[] = {
        {"[", "a second range"},       {"@", "the modifier @"},
        {"+", "arithmetic on series"}, {"-", "arithmetic on series"},
        {"*", "arithmetic on series"}, {"/", "arithmetic on series"},
        {"%", "the operator %"},       {"^", "the operator ^"},
        {")", "a parenthesis"},        {"(", "a call"},
        {"{", "a second selector"},
    };
    char quoted[TEXT_QUOTE_SIZE], construct[TEXT_QUOTE_SIZE + 16];
    skip(c);
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (c->at < c->end && *c->at == *known[i].token)
            return refuse(c, known[i].construct);
    const size_t len = word_len(c);
    snprintf(construct, sizeof construct, "the word %s",
             text_quote(c->at, len ? len : (size_t)(c->end - c->at), quoted));
    return refuse(c, len ? construct : construct + 4);
}

/* ---- durations ------------------------------------------------------------------- */

static const struct unit {
    const char *word;
    int64_t ms;
} units[] = {
    {"ms", 1},
    {"s", 1000},
    {"m", 60000},
    {"h", 3600000},
    {"d", 86400000},
    {"w", INT64_C(604800000)},
    {"y", INT64_C(31536000000)},
};

static const struct unit *unit_at(const char *text, size_t len)
{
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        const size_t width = strlen(units[i].word);
        if (len >= width && !memcmp(text, units[i].word, width) &&
            (len == width || isdigit((unsigned char)text[width])))
            return &units[i];
    }
    return NULL;
}

/* How many bytes at text are a duration; 0: none. */
static size_t duration_len(const char *text, size_t len, int64_t *duration_ms)
{
    size_t at = 0;
    *duration_ms = 0;
    while (at < len && isdigit((unsigned char)text[at])) {
        int64_t count = 0, part;
        while (at < len && isdigit((unsigned char)text[at])) {
            if (__builtin_mul_overflow(count, 10, &count) ||
                __builtin_add_overflow(count, text[at] - '0', &count))
                return 0;
            at++;
        }
        /* The unit ends where anything but a digit or letter follows. */
        size_t rest = at;
        while (rest < len && isalnum((unsigned char)text[rest]))
            rest++;
        const struct unit *const unit = unit_at(text + at, rest - at);
        if (!unit || __builtin_mul_overflow(count, unit->ms, &part) ||
            __builtin_add_overflow(*duration_ms, part, duration_ms) ||
            *duration_ms > DURATION_MAX_MS)
            return 0;
        at += strlen(unit->word);
    }
    return at;
}

int promql_duration(const char *text, size_t len, int64_t *duration_ms, struct err *err)
{
    char number[NUMBER_MAX], quoted[TEXT_QUOTE_SIZE], *end = NULL;
    if (len && duration_len(text, len, duration_ms) == len)
        return 0;
    if (len && len < sizeof number && (isdigit((unsigned char)*text) || *text == '.')) {
        memcpy(number, text, len);
        number[len] = '\0';
        const double seconds = strtod(number, &end);
        if (!*end && seconds >= 0 && seconds <= (double)DURATION_MAX_MS / 1e3) {
            *duration_ms = llround(seconds * 1e3);
            return 0;
        }
    }
    return err_set(err, ERR_INVALID, "duration: must be one, got %s",
                   text_quote(text, len, quoted));
}

static int take_duration(struct cursor *c, int64_t *duration_ms)
{
    skip(c);
    const size_t len = duration_len(c->at, (size_t)(c->end - c->at), duration_ms);
    if (!len || !*duration_ms)
        return bad(c, "must have a duration such as 5m");
    c->at += len;
    return 0;
}

/* ---- numbers --------------------------------------------------------------------- */

static int take_sum(struct cursor *c, double *out);

static int take_literal(struct cursor *c, double *out)
{
    char text[NUMBER_MAX], *end = NULL;
    const size_t word = word_len(c);
    if (is_word(c, word, "inf") || is_word(c, word, "nan")) {
        *out = is_word(c, word, "inf") ? (double)INFINITY : (double)NAN;
        c->at += word;
        return 0;
    }
    if (word) {
        size_t after = word;
        while (c->at + after < c->end && isspace((unsigned char)c->at[after]))
            after++;
        return refuse(c, c->at + after < c->end && c->at[after] == '('
                             ? "a function"
                             : "a series in this place");
    }
    if (next(c) == '{')
        return refuse(c, "a series in this place");
    if (next(c) == '"' || next(c) == '\'' || next(c) == '`')
        return refuse(c, "a string");
    size_t len = (size_t)(c->end - c->at);
    len = len < sizeof text ? len : sizeof text - 1;
    memcpy(text, c->at, len);
    text[len] = '\0';
    if (!isdigit((unsigned char)*text) && *text != '.')
        return bad(c, "must have a number or a series");
    *out = strtod(text, &end);
    if (end == text || (end < text + len && is_word_char(*end, true)))
        return bad(c, "must have a number or a series");
    c->at += end - text;
    return 0;
}

static int take_factor(struct cursor *c, double *out)
{
    if (c->nested == NESTED_MAX)
        return bad(c, "is nested too deep");
    c->nested++;
    int rc = 0;
    if (take(c, "-")) {
        rc = take_factor(c, out);
        *out = -*out;
    } else if (take(c, "+")) {
        rc = take_factor(c, out);
    } else if (take(c, "(")) {
        rc = take_sum(c, out);
        if (rc == 0 && !take(c, ")"))
            rc = next(c) ? refuse_rest(c) : bad(c, "must have a closing parenthesis");
    } else {
        rc = take_literal(c, out);
    }
    c->nested--;
    return rc;
}

static int take_product(struct cursor *c, double *out)
{
    double right = 0;
    if (take_factor(c, out))
        return -1;
    for (char op; (op = next(c)) == '*' || op == '/';) {
        c->at++;
        if (take_factor(c, &right))
            return -1;
        *out = op == '*' ? *out * right : *out / right;
    }
    return 0;
}

static int take_sum(struct cursor *c, double *out)
{
    double right = 0;
    *out = 0;
    if (take_product(c, out))
        return -1;
    for (char op; (op = next(c)) == '+' || op == '-';) {
        c->at++;
        if (take_product(c, &right))
            return -1;
        *out = op == '+' ? *out + right : *out - right;
    }
    return 0;
}

/* ---- selectors ------------------------------------------------------------------- */

static int take_escape(struct cursor *c, struct page *out)
{
    static const char names[] = "nrt\\\"'abfv", bytes[] = "\n\r\t\\\"'\a\b\f\v";
    const char *const found = c->at < c->end ? strchr(names, *c->at) : NULL;
    if (!found || !*c->at)
        return bad(c, "must have only \\n, \\t, \\\\ and the like escaped");
    page_add_bytes(out, bytes + (found - names), 1);
    c->at++;
    return 0;
}

/* In double or single quotes with escapes, or in backticks as it stands. */
static int take_string(struct cursor *c, struct page *out)
{
    const char quote = next(c);
    if (quote != '"' && quote != '\'' && quote != '`')
        return bad(c, "must have a value in quotes");
    c->at++;
    page_add(out, "%s", "");
    while (c->at < c->end && *c->at != quote) {
        if (*c->at == '\\' && quote != '`') {
            c->at++;
            if (take_escape(c, out))
                return -1;
        } else {
            page_add_bytes(out, c->at++, 1);
        }
    }
    if (c->at == c->end)
        return bad(c, "must have a closing quote");
    c->at++;
    return 0;
}

static int take_kind(struct cursor *c, enum match_kind *kind)
{
    if (take(c, "=~"))
        *kind = MATCH_REGEX;
    else if (take(c, "!~"))
        *kind = MATCH_NOT_REGEX;
    else if (take(c, "!="))
        *kind = MATCH_NOT_EQUAL;
    else if (take(c, "="))
        *kind = MATCH_EQUAL;
    else
        return bad(c, "must have =, !=, =~ or !~");
    return 0;
}

static int take_matcher(struct cursor *c, struct page *selector)
{
    enum match_kind kind = MATCH_EQUAL;
    struct page value = {0};
    const size_t len = word_len(c);
    const char *const name = c->at;
    c->at += len;
    if (!len)
        return bad(c, "must have the name of a label");
    int rc = take_kind(c, &kind);
    if (rc == 0)
        rc = take_string(c, &value);
    if (rc == 0)
        rc = selector_text_add(selector, kind, name, len, value.bytes, value.len, c->err);
    free(value.bytes);
    return rc;
}

static int take_selector(struct cursor *c, struct page *selector)
{
    const size_t len = word_len(c);
    if (len &&
        selector_text_add(selector, MATCH_EQUAL, "__name__", 8, c->at, len, c->err))
        return -1;
    c->at += len;
    if (!take(c, "{"))
        return 0;
    for (bool more = true; !take(c, "}"); more = take(c, ",")) {
        if (!more)
            return bad(c, "must have \",\" or \"}\"");
        if (take_matcher(c, selector))
            return -1;
    }
    return 0;
}

/* ---- queries --------------------------------------------------------------------- */

static int take_range(struct cursor *c, struct promql *out)
{
    if (!take(c, "["))
        return 0;
    out->kind = PROMQL_MATRIX;
    if (take_duration(c, &out->range_ms))
        return -1;
    if (next(c) == ':')
        return refuse(c, "a subquery");
    return take(c, "]") ? 0 : bad(c, "must have a closing bracket");
}

static int take_offset(struct cursor *c, struct promql *out)
{
    if (!is_word(c, word_len(c), "offset"))
        return 0;
    c->at += 6;
    const bool back = take(c, "-");
    if (take_duration(c, &out->offset_ms))
        return -1;
    out->offset_ms = back ? -out->offset_ms : out->offset_ms;
    return 0;
}

static int take_filter(struct cursor *c, struct promql *out)
{
    static const struct {
        const char *token;
        enum promql_filter filter;
    } tokens[] = {
        {">=", FILTER_AT_LEAST}, {"<=", FILTER_AT_MOST}, {"==", FILTER_EQUAL},
        {"!=", FILTER_OTHER},    {">", FILTER_ABOVE},    {"<", FILTER_BELOW},
    };
    size_t i = 0;
    while (i < sizeof tokens / sizeof *tokens && !take(c, tokens[i].token))
        i++;
    if (i == sizeof tokens / sizeof *tokens)
        return 0;
    out->filter = tokens[i].filter;
    if (out->kind == PROMQL_MATRIX)
        return refuse(c, "a comparison of a range");
    if (is_word(c, word_len(c), "bool"))
        return refuse(c, "the modifier bool");
    return take_sum(c, &out->number);
}

/* What a word means that does not begin a selector; NULL: it does. */
static const char *construct_of(struct cursor *c, size_t len)
{
    size_t after = len;
    while (c->at + after < c->end && isspace((unsigned char)c->at[after]))
        after++;
    const struct cursor behind = {.at = c->at + after, .end = c->end};
    const size_t left = (size_t)(behind.end - behind.at);
    if (left && *behind.at == '(')
        return "a function or aggregation";
    if ((left > 2 && is_word(&behind, 2, "by")) ||
        (left > 7 && is_word(&behind, 7, "without")))
        return after > len ? "an aggregation" : NULL;
    return NULL;
}

static int take_series(struct cursor *c, struct promql *out)
{
    struct page selector = {0};
    const char *const construct = construct_of(c, word_len(c));
    if (construct)
        return refuse(c, construct);
    out->kind = PROMQL_VECTOR;
    const int rc = take_selector(c, &selector);
    selector_text_end(&selector);
    out->selector = selector.bytes;
    if (rc)
        return -1;
    if (!out->selector)
        return bad(c, "must have a matcher");
    return take_range(c, out) || take_offset(c, out) || take_filter(c, out) ? -1 : 0;
}

int promql_parse(const char *text, size_t len, struct promql *out, struct err *err)
{
    struct cursor c = {.start = text, .at = text, .end = text + len, .err = err};
    *out = (struct promql){0};
    if (!text_is_utf8(text, len))
        return bad(&c, "must be UTF-8 without zero bytes");
    const size_t word = word_len(&c);
    const bool series = next(&c) == '{' ||
                        (word && !is_word(&c, word, "inf") && !is_word(&c, word, "nan"));
    int rc = series ? take_series(&c, out) : take_sum(&c, &out->number);
    if (rc == 0 && next(&c))
        rc = strchr("<>=!", next(&c)) ? refuse(&c, "a comparison in this place")
                                      : refuse_rest(&c);
    if (rc)
        promql_fini(out);
    return rc;
}

int promql_passes(const struct promql *query, double value)
{
    switch (query->filter) {
    case FILTER_ABOVE:
        return value > query->number;
    case FILTER_BELOW:
        return value < query->number;
    case FILTER_AT_LEAST:
        return value >= query->number;
    case FILTER_AT_MOST:
        return value <= query->number;
    case FILTER_EQUAL:
        return value == query->number;
    case FILTER_OTHER:
        return value != query->number;
    default:
        return 1;
    }
}
