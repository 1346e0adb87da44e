/* SPDX-License-Identifier: GPL-2.0-or-later */
/* InfluxDB's lines: each value is taken, passed over or refused with a message that is
 * text. */
#undef NDEBUG /* the asserts are the test */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "api/influx.h"
#include "api/influx_line.h"
#include "base/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct intake in;
    struct influx_lines lines = {.db = size % 2 ? "db" : NULL, .unit_ns = 1000000};
    intake_init(&in, INT64_C(1774785600000), 600000);
    influx_lines_read((const char *)data, size, &lines, &in);
    assert(lines.unreadable <= in.refused);
    assert((in.refused > 0) == (in.why.code == ERR_INVALID));
    assert(intake_received(&in) >= store_batch_size(in.batch) + in.refused);
    assert(text_is_utf8(in.why.msg, strlen(in.why.msg)));
    struct reply reply = {0};
    influx_refuse_v2(&reply, &in.why);
    assert(reply.status == (in.refused ? 400 : 500) && reply.len > 0);
    reply_fini(&reply);
    intake_fini(&in);
    return 0;
}
