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
    char *first = NULL, *second = NULL;
    if (forecaster_parse("x", (const char *)data, size, &f, &first, &err)) {
        assert(err.code == ERR_INVALID && err.msg[0]);
        return 0;
    }
    check(&f);
    forecaster_fini(&f);
    const int again = forecaster_parse("x", first, strlen(first), &f, &second, &err);
    assert(again == 0 && strcmp(first, second) == 0);
    check(&f);
    forecaster_fini(&f);
    free(first);
    free(second);
    return 0;
}
