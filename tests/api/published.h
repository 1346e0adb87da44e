/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * published.h -- a model of the forecaster "web" as the daemon's training job makes it,
 * here from too little history to train on, so that candidates without training serve.
 */
#ifndef PUBLISHED_H
#define PUBLISHED_H

#include "tests/api/fixture.h"

static inline void publish(const struct fixture *f, int64_t as_of_ms)
{
    struct err err = {0};
    struct store_forecaster stored = {0};
    struct forecaster definition;
    struct grid grid = {0};
    void *bytes;
    size_t len;
    int64_t id;
    assert_ok(store_forecaster_get(f->store, "web", &stored, &err), &err);
    assert_ok(forecaster_load(&stored, &definition, &err), &err);
    assert_ok(forecaster_grid(&definition, f->store, as_of_ms, 0, &grid, &err), &err);
    assert_true(grid.rows < model_rows_for_training(&definition.spec));
    struct model *const model = model_train(&grid, &definition.spec, NULL, &err);
    if (!model)
        fail_msg("model_train: %s", err.msg);
    assert_ok(model_save(model, &bytes, &len, &err), &err);
    assert_ok(store_model_publish(f->store,
                                  &(struct store_publication){.forecaster = "web",
                                                              .revision = stored.revision,
                                                              .watermark_ms = as_of_ms,
                                                              .bytes = bytes,
                                                              .len = len},
                                  &id, &err),
              &err);
    serving_changed(f->serving, "web");
    free(bytes);
    model_free(model);
    grid_fini(&grid);
    forecaster_fini(&definition);
    store_forecaster_fini(&stored);
}

#endif
