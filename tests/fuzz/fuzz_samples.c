/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The body of POST /v1/samples: taken whole or refused with a message that is text. */
#undef NDEBUG /* the asserts are the test */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "api/problem.h"
#include "api/samples_in.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Every refusal can be said as a problem document. */
static void check_problem(const struct err *err)
{
    struct reply reply = {0};
    assert(err->code == ERR_INVALID && err->msg[0]);
    reply_problem(&reply, err, "/v1/samples", NULL);
    json_t *const document = json_loadb(reply.body, reply.len, 0, NULL);
    assert(reply.status == 400 && json_is_string(json_object_get(document, "detail")));
    json_decref(document);
    reply_fini(&reply);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const int64_t now_ms = INT64_C(1774785600000);
    struct store_batch *const batch = store_batch_new();
    struct samples_in in;
    struct err err = {0};
    const int rc =
        samples_in_read((const char *)data, size, now_ms, 600000, batch, &in, &err);
    if (rc)
        check_problem(&err);
    else
        assert(err.code == ERR_NONE && in.count > 0 &&
               store_batch_size(batch) == in.count);
    store_batch_free(batch);
    return 0;
}
