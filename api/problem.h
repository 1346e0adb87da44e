/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * problem.h -- failures as RFC 9457 problem documents.
 *
 *     {"type":"urn:frwkvd:problem:invalid","title":"The request breaks a rule",
 *      "status":400,"detail":"horizon: must be 1..48, got 0",
 *      "instance":"/v1/forecasters/web/forecast",
 *      "field":"horizon","rule":"must be 1..48","value":"0"}
 *
 * `field`, `rule` and `value` are there where the message has the form
 * "field: rule, got value" (err.h); `line` where it begins with "line N: ".
 */
#ifndef PROBLEM_H
#define PROBLEM_H

#include <jansson.h>

#include "api/reply.h"
#include "base/err.h"

/* The one place where an error code becomes an HTTP status. */
unsigned problem_status(enum err_code code);
/* When the same request may succeed: seconds; 0: never by itself. */
int problem_retry_after_s(enum err_code code);

/* Answers with err.  members may be NULL; its reference is taken over, and its keys
 * join the document. */
void reply_problem(struct reply *reply, const struct err *err, const char *instance,
                   json_t *members);

/* The same for failures of HTTP itself, which no err_code names (405). */
void reply_problem_status(struct reply *reply, unsigned status, const char *word,
                          const char *title, const char *detail, const char *instance);

#endif
