/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "api/selector_text.h"

#include <ctype.h>
#include <string.h>

#include "base/text.h"

static bool is_name(const char *name, size_t len)
{
    if (len == 0 || isdigit((unsigned char)*name))
        return false;
    for (size_t i = 0; i < len; i++)
        if (name[i] != '_' &&
            !(isascii((unsigned char)name[i]) && isalnum((unsigned char)name[i])))
            return false;
    return true;
}

static void add_quoted(struct page *text, const char *value, size_t len)
{
    page_add(text, "\"");
    for (size_t i = 0; i < len; i++)
        if (value[i] == '\n')
            page_add_bytes(text, "\\n", 2);
        else if (value[i] == '"' || value[i] == '\\')
            page_add_bytes(text, (const char[]){'\\', value[i]}, 2);
        else
            page_add_bytes(text, value + i, 1);
    page_add(text, "\"");
}

int selector_text_add(struct page *text, enum match_kind kind, const char *name,
                      size_t name_len, const char *value, size_t value_len,
                      struct err *err)
{
    static const char *const words[] = {[MATCH_EQUAL] = "=",
                                        [MATCH_NOT_EQUAL] = "!=",
                                        [MATCH_REGEX] = "=~",
                                        [MATCH_NOT_REGEX] = "!~"};
    char quoted[TEXT_QUOTE_SIZE];
    if (!is_name(name, name_len))
        return err_set(err, ERR_INVALID,
                       "matcher: name must be of [a-zA-Z_][a-zA-Z0-9_]*, got %s",
                       text_quote(name, name_len, quoted));
    if (memchr(value, '\0', value_len))
        return err_set(err, ERR_INVALID, "matcher: value must have no zero bytes, got %s",
                       text_quote(value, value_len, quoted));
    page_add(text, "%s", text->len ? "," : "{");
    page_add_bytes(text, name, name_len);
    page_add(text, "%s", words[kind]);
    add_quoted(text, value, value_len);
    return 0;
}

void selector_text_end(struct page *text)
{
    if (text->len)
        page_add(text, "}");
}
