/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The first byte picks the form and the size of the pieces; the rest is the file. */
#undef NDEBUG /* the asserts are the test */
#include <assert.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

#include "base/csv.h"
#include "base/labels.h"
#include "base/time.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Names come canonical and numbered; ctx counts them. */
static int on_series(void *ctx, size_t id, const char *name, struct err *err)
{
    struct labels labels;
    char canonical[LABELS_TEXT_MAX];
    size_t *count = ctx;
    const int parsed = labels_parse(name, strlen(name), &labels, err);
    assert(parsed == 0);
    const int formatted = labels_format(&labels, canonical, err);
    assert(formatted == 0 && strcmp(name, canonical) == 0);
    assert(id == *count);
    ++*count;
    return parsed | formatted;
}

static int on_sample(void *ctx, size_t id, int64_t time_ms, double value, struct err *err)
{
    (void)err;
    assert(id < *(size_t *)ctx);
    assert(time_ms >= TIME_MIN_MS && time_ms <= TIME_MAX_MS && isfinite(value));
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    size_t count = 0, left = size - 1;
    const size_t piece = 1 + data[0] / 4;
    const struct csv_options options = {.form = (enum csv_form)(data[0] % 3),
                                        .series_prefix = data[0] % 4 == 3 ? "p_" : NULL,
                                        .step_ms = 3600000};
    const struct csv_sink sink = {on_series, on_sample, &count};
    const char *at = (const char *)data + 1;
    struct csv_reader *reader = csv_open(&options, &sink);
    struct err err = {0};
    int result = 0;
    while (left > 0 && result == 0) {
        const size_t len = left < piece ? left : piece;
        result = csv_push(reader, at, len, &err);
        at += len;
        left -= len;
    }
    if (result == 0)
        result = csv_finish(reader, &err);
    assert((result == 0) == (err.code == ERR_NONE));
    csv_close(reader);
    return 0;
}
