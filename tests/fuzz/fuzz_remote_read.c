/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The body of remote_read, unpacked: what is read can be asked of a store, or is refused
 * with a message that is text. */
#undef NDEBUG /* the asserts are the test */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "api/remote_read.h"
#include "base/labels.h"
#include "base/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Every name and value of a selector was in the request: none was made up. */
static void try_selector(const char *text, const uint8_t *data, size_t size)
{
    struct selector *const selector = malloc(sizeof *selector);
    assert(selector);
    if (!selector_parse(text, strlen(text), selector, NULL))
        for (size_t i = 0; i < selector->count; i++) {
            const struct matcher *const m = &selector->matcher[i];
            assert(memmem(data, size, m->name, strlen(m->name)));
            assert(memmem(data, size, m->value, strlen(m->value)));
        }
    free(selector);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct remote_read *const read = malloc(sizeof *read);
    struct err err = {0};
    assert(read);
    const int rc = remote_read_parse((const char *)data, size, read, &err);
    assert(rc == 0 ? err.code == ERR_NONE : err.code == ERR_INVALID);
    assert(text_is_utf8(err.msg, strlen(err.msg)));
    assert(rc == 0 || read->count == 0);
    for (size_t i = 0; i < read->count; i++)
        if (read->query[i].selector)
            try_selector(read->query[i].selector, data, size);
    remote_read_fini(read);
    free(read);
    return 0;
}
