/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * backtest_job.h -- judges the candidates on a forecaster's own history.
 *
 * The protocol of `frwkvd backtest`, with its words for the result; nothing is published
 * and nothing changes who serves.  params: {"split": "0.7,0.1,0.2"}.
 */
#ifndef BACKTEST_JOB_H
#define BACKTEST_JOB_H

#include "daemon/train_job.h"

/* On success the job is done.  Else the caller ends it or gives it back. */
int backtest_job_run(const struct job_run *run, struct err *err);

#endif
