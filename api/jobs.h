/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * jobs.h -- a job as JSON.
 */
#ifndef JOBS_H
#define JOBS_H

#include <jansson.h>

#include "storage/storage.h"

json_t *job_json(const struct store_job *job);

/* The number in a request's path.  ERR_NOT_FOUND for what is none. */
struct request;
int job_id(const struct request *request, int64_t *id, struct err *err);

#endif
