/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * training.h -- what a training says of itself while it goes on: to people, and as JSON,
 * in which a number that it cannot say is null.
 */
#ifndef TRAINING_H
#define TRAINING_H

#include <jansson.h>
#include <stddef.h>

#include "model/model.h"

/* A number, or null for NaN and infinities. */
json_t *json_number_or_null(double value);

/* {"phase","epoch","epochs","step","steps","loss_train","loss_valid","steps_per_s",
 * "eta_s"} and back; a missing member is 0, or NaN for a loss. */
json_t *training_progress_json(const struct model_progress *progress);
/* phase is borrowed from json. */
struct model_progress training_progress_read(const json_t *json);

/* "fit  epoch 3/20  loss 0.412  valid 0.398  210 steps/s  12 s left" */
enum { TRAINING_TEXT_SIZE = 160 };
const char *training_progress_text(const struct model_progress *progress,
                                   char text[static TRAINING_TEXT_SIZE]);

/* How a challenger did in its trial (train_job.h), in words: "error 12 % smaller than of
 * version 3"; "" for null: it was the first. */
const char *training_trial_text(const json_t *trial,
                                char text[static TRAINING_TEXT_SIZE]);

/* A progress hook whose ctx is a struct progress: shows it, and notes on a line of their
 * own. */
int training_progress_show(void *ctx, const struct model_progress *progress);

/* For people: "all", or the part of the horizon, "0-1/8", that a bucket covers. */
const char *training_bucket(int bucket);

#endif
