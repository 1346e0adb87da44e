/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * convert_job.h -- from the softmax model that serves to one of linear cost.
 *
 * model_convert() on the history as it was known when the job was made; params are
 * {"mixer": "inline"} or luna.  What comes out serves if it was accepted, else it is kept
 * for a restore; its trial says how it did: "mixer", "layers_before", "layers_after",
 * "loss_softmax", "loss_swapped", "loss_converted", "windows", beside "champion", "better"
 * and "change", which mean what they mean for a training.  The definition stays as it is:
 * the next training follows it again.
 */
#ifndef CONVERT_JOB_H
#define CONVERT_JOB_H

#include "daemon/train_job.h"

int convert_job_run(const struct job_run *run, struct err *err);

#endif
