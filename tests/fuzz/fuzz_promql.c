/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A query that is read can be asked of a store; all else is refused with a message that
 * is text. */
#undef NDEBUG /* the asserts are the test */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "api/promql.h"
#include "base/labels.h"
#include "base/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum { A_THOUSAND_YEARS_S = 31536000 };
    const int64_t most_ms = INT64_C(1000000) * A_THOUSAND_YEARS_S;
    struct promql query;
    struct err err = {0};
    if (promql_parse((const char *)data, size, &query, &err)) {
        assert(err.code == ERR_INVALID && text_is_utf8(err.msg, strlen(err.msg)));
        assert(!query.selector);
        return 0;
    }
    assert(err.code == ERR_NONE);
    assert((query.kind == PROMQL_NUMBER) == !query.selector);
    assert((query.kind == PROMQL_MATRIX) == (query.range_ms > 0));
    assert(query.range_ms <= most_ms && llabs(query.offset_ms) <= most_ms);
    if (query.selector) {
        struct selector *const selector = malloc(sizeof *selector);
        struct err why = {0};
        assert(selector);
        /* Well-formed; what may yet be wrong is that it is too long or rules out nothing. */
        if (selector_parse(query.selector, strlen(query.selector), selector, &why))
            assert(strstr(why.msg, "too long") || strstr(why.msg, "at most") ||
                   strstr(why.msg, "rules out"));
        free(selector);
    }
    promql_fini(&query);
    return 0;
}
