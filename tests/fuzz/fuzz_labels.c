/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A series that is read has one canonical form; a selector that is read rules something
 * out. */
#undef NDEBUG /* the asserts are the test */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "base/labels.h"
#include "base/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_series(const char *text, size_t len)
{
    struct labels labels, again;
    char first[LABELS_TEXT_MAX], second[LABELS_TEXT_MAX];
    if (labels_parse(text, len, &labels, NULL))
        return;
    int result = labels_format(&labels, first, NULL);
    assert(result == 0 && text_is_utf8(first, strlen(first)));
    result = labels_parse(first, strlen(first), &again, NULL);
    assert(result == 0 && labels.count == again.count);
    result = labels_format(&again, second, NULL);
    assert(result == 0 && strcmp(first, second) == 0);
    for (size_t i = 1; i < labels.count; i++)
        assert(strcmp(labels.label[i - 1].name, labels.label[i].name) < 0);
}

static void try_selector(const char *text, size_t len)
{
    struct selector selector;
    struct err err = {0};
    if (selector_parse(text, len, &selector, &err)) {
        assert(text_is_utf8(err.msg, strlen(err.msg)));
        return;
    }
    assert(selector.count > 0 && selector.count <= LABELS_COUNT_MAX);
    for (size_t i = 0; i < selector.count; i++)
        assert(strlen(selector.matcher[i].name) > 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    try_series((const char *)data, size);
    try_selector((const char *)data, size);
    return 0;
}
