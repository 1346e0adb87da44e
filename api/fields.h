/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fields.h -- the members of a JSON object that a client sent.
 *
 * Each refusal is "place.key: rule, got value" with ERR_INVALID; place may be "".
 * Getters of an absent member leave *out as it was, unless it is required.
 */
#ifndef FIELDS_H
#define FIELDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "base/err.h"

/* Reads text as one JSON object; refuses empty text, repeated keys and anything else,
 * with line and column.  The caller's reference. */
json_t *fields_parse(const char *text, size_t len, struct err *err)
    __attribute__((warn_unused_result));

/* Refuses members whose key is not in keys, which ends in NULL. */
int fields_known(const json_t *object, const char *place, const char *const *keys,
                 struct err *err);

enum { FIELD_SHOWN_MAX = 80 };
/* A value as a message shows it: its JSON, cut at the end. */
const char *field_shown(const json_t *value, char out[static FIELD_SHOWN_MAX]);

int field_text(const json_t *object, const char *place, const char *key, bool required,
               const char **out, struct err *err);
int field_integer(const json_t *object, const char *place, const char *key, int64_t least,
                  int64_t most, int64_t *out, struct err *err);
int field_bool(const json_t *object, const char *place, const char *key, bool *out,
               struct err *err);
/* A finite number; null leaves *out as it was. */
int field_number(const json_t *object, const char *place, const char *key, double *out,
                 struct err *err);

#endif
