/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A forecaster's definition: refused, or inside its limits and stable when written out
 * and read again. */
#undef NDEBUG /* the asserts are the test */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "api/api.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct forecaster *f)
{
    assert(f->select && f->step_ms >= 1000);
    assert(f->spec.lookback >= 4 && f->spec.lookback <= MODEL_LOOKBACK_MAX);
    assert(f->spec.horizon >= 1 && f->spec.horizon <= MODEL_HORIZON_MAX);
    assert(f->quantile_count >= 1 && f->quantile_count <= MODEL_QUANTILES_MAX);
    for (size_t q = 0; q < f->quantile_count; q++)
        assert(f->quantiles[q] > (q ? f->quantiles[q - 1] : 0) && f->quantiles[q] < 1);
    assert(f->spec.min < f->spec.max);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct forecaster f;
    struct err err = {0};
    struct forecaster_text first, second;
    if (forecaster_parse("x", (const char *)data, size, &f, &first, &err)) {
        assert(err.code == ERR_INVALID && err.msg[0]);
        return 0;
    }
    check(&f);
    forecaster_fini(&f);
    const struct store_forecaster stored = {
        .name = (char[]){"x"}, .body = first.body, .policy = first.policy};
    const int loaded = forecaster_load(&stored, &f, &err);
    assert(loaded == 0);
    check(&f);
    forecaster_fini(&f);
    const int again =
        forecaster_parse("x", first.policy, strlen(first.policy), &f, NULL, &err);
    assert(again == -1 && strstr(err.msg, "is missing"));
    err = (struct err){0};
    const int body =
        forecaster_parse("x", first.body, strlen(first.body), &f, &second, &err);
    assert(body == 0 && strcmp(first.body, second.body) == 0);
    forecaster_fini(&f);
    forecaster_text_fini(&first);
    forecaster_text_fini(&second);
    return 0;
}
