/* SPDX-License-Identifier: GPL-2.0-or-later */
/* trained.h -- a forecaster called "load", defined and trained in a store. */
#ifndef TRAINED_H
#define TRAINED_H

#include "tests/check.h"

#include "api/api.h"
#include "daemon/runner.h"
#include "tests/storage/folder.h"

static inline void trained(struct folder *folder, struct store *store,
                           struct serving *serving, const char *definition)
{
    struct err err = {0};
    int64_t revision, id;
    bool created;
    assert_ok(
        store_forecaster_put(store, "load", definition, "{}", &revision, &created, &err),
        &err);
    const struct store_job_wish wish = {.kind = "train", .forecaster = "load"};
    assert_ok(store_job_add(store, &wish, &id, &created, &err), &err);
    const struct runner_config lane = {
        .store = store,
        .serving = serving,
        .clock = folder->options.clock,
        .kinds = RUNNER_LONG,
        .checkpoint_folder = folder->path,
        .checkpoint_s = 1,
        .threads = 1,
    };
    assert_true(runner_once(&lane));
}

#endif
