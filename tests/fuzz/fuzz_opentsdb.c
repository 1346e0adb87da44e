/* SPDX-License-Identifier: GPL-2.0-or-later */
/* OpenTSDB's JSON: each point is taken, passed over or refused with a message that is
 * text. */
#undef NDEBUG /* the asserts are the test */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "api/opentsdb.h"
#include "base/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct intake in;
    struct err err = {0};
    intake_init(&in, INT64_C(1774785600000), 600000);
    const int rc = opentsdb_read((const char *)data, size, &in, &err);
    assert((rc == 0) == (err.code == ERR_NONE));
    assert((in.refused > 0) == (in.why.code == ERR_INVALID));
    assert(text_is_utf8(in.why.msg, strlen(in.why.msg)));
    intake_fini(&in);
    return 0;
}
