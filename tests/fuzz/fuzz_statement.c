/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A statement about a covariate: refused with a reason, or inside its rules, and the same
 * when written out and read again. */
#undef NDEBUG /* the asserts are the test */
#include <assert.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>

#include "api/fields.h"
#include "api/known.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const int64_t now_ms = INT64_C(1774785600000);

static bool same(double a, double b)
{
    return a == b || (isnan(a) && isnan(b));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct covariate_statement first, second;
    struct err err = {0};
    json_t *body = fields_parse((const char *)data, size, &err);
    if (!body)
        return 0;
    const int read = known_statement_read(body, "", now_ms, &first, &err);
    json_decref(body);
    if (read) {
        assert(err.msg[0] && !first.spans);
        return 0;
    }
    assert(covariate_check(&first, &err) == 0);
    assert(first.known_ms <= now_ms);
    json_t *const out = known_statement_json(&first);
    const int again = known_statement_read(out, "", now_ms, &second, &err);
    assert(again == 0 && second.count == first.count);
    assert(second.from_ms == first.from_ms && second.to_ms == first.to_ms &&
           second.known_ms == first.known_ms && same(first.otherwise, second.otherwise));
    for (size_t i = 0; i < first.count; i++)
        assert(second.spans[i].from_ms == first.spans[i].from_ms &&
               second.spans[i].to_ms == first.spans[i].to_ms &&
               same(first.spans[i].value, second.spans[i].value));
    json_decref(out);
    free(first.spans);
    free(second.spans);
    return 0;
}
