/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is read as a time, a duration or a zone's rule is written or used again. */
#undef NDEBUG /* the asserts are the test */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "base/posix_tz.h"
#include "base/time.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_time(const char *text, size_t len)
{
    char written[TIME_TEXT_SIZE];
    int64_t ms, back;
    if (time_parse(text, len, NULL, &ms, NULL))
        return;
    assert(ms >= TIME_MIN_MS && ms <= TIME_MAX_MS);
    time_format(ms, written);
    const int result = time_parse(written, strlen(written), NULL, &back, NULL);
    assert(result == 0 && back == ms);
}

static void try_duration(const char *text)
{
    char written[TIME_TEXT_SIZE];
    int64_t ms, back;
    if (duration_parse(text, &ms, NULL))
        return;
    assert(ms > 0);
    const int result = duration_parse(duration_format(ms, written), &back, NULL);
    assert(result == 0 && back == ms);
}

static void try_rule(const char *text)
{
    struct posix_tz tz;
    if (!posix_tz_parse(text, &tz))
        return;
    for (int64_t s = TIME_MIN_MS / 1000; s < TIME_MAX_MS / 1000;
         s += INT64_C(9999999999)) {
        const int32_t offset_s = posix_tz_offset_s(&tz, s);
        assert(offset_s == tz.standard_s || offset_s == tz.daylight_s);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char text[128];
    try_time((const char *)data, size);
    if (size >= sizeof text)
        return 0;
    if (size > 0)
        memcpy(text, data, size);
    text[size] = '\0';
    try_duration(text);
    try_rule(text);
    return 0;
}
