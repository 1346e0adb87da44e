/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * selector_text.h -- a selector (labels.h) put together from the matchers of a request.
 *
 * Starts as a zeroed page; without a matcher it stays empty, bytes NULL.
 */
#ifndef SELECTOR_TEXT_H
#define SELECTOR_TEXT_H

#include "api/reply.h"
#include "base/labels.h"

/* ERR_INVALID: a name that is none, a zero byte in a value. */
int selector_text_add(struct page *text, enum match_kind kind, const char *name,
                      size_t name_len, const char *value, size_t value_len,
                      struct err *err);
/* After the last. */
void selector_text_end(struct page *text);

#endif
