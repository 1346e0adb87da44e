/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Any bytes are a model or are refused; a model can answer. */
#include <stdint.h>
#include <stdlib.h>

#include "model/model.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Asks for one step of the first series, which was 1 an hour ago. */
static void ask(const struct model *model)
{
    struct forecaster_work *const work = forecaster_work_new(model, NULL);
    struct grid tail;
    if (!work || grid_init(&tail, 0, model_step_ms(model), 1, 1, NULL)) {
        forecaster_work_free(work);
        return;
    }
    grid_name(&tail, 0, model_series_name(model, 0));
    tail.values[0] = 1;
    static const double quantiles[] = {0.1, 0.9};
    double values[2];
    struct model_answer answer = {.values = values};
    if (model_forecast(model, work, &tail, 1, quantiles, 2, &answer, NULL) == 0 &&
        answer.served && !(values[0] <= values[1]))
        abort();
    grid_fini(&tail);
    forecaster_work_free(work);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct model *const model = model_load(data, size, NULL);
    if (!model)
        return 0;
    ask(model);
    void *bytes;
    size_t len;
    if (model_save(model, &bytes, &len, NULL) == 0)
        free(bytes);
    model_free(model);
    return 0;
}
