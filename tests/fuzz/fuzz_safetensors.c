/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Any bytes are read or refused; what is read can be read wholly. */
#include <stdint.h>
#include <stdlib.h>

#include "model/safetensors.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct safetensors *const file = safetensors_parse(data, size, NULL);
    if (!file)
        return 0;
    volatile double sum = 0;
    for (size_t i = 0; i < safetensors_count(file); i++) {
        const struct safetensor *const t = safetensors_at(file, i);
        double *const out = malloc((t->count + 1) * sizeof *out);
        if (out && safetensor_doubles(t, out, t->count, NULL) == 0)
            for (size_t j = 0; j < t->count; j++)
                sum = sum + out[j];
        free(out);
    }
    safetensors_free(file);
    return 0;
}
