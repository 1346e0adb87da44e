/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * safetensors.h -- named tensors in one block of bytes, read and written.
 *
 * The format of the safetensors project: 8 bytes little-endian header length, a JSON
 * header {name: {dtype, shape, data_offsets}, "__metadata__": {text: text}}, then the
 * data.  Reading trusts nothing: a header that is truncated, oversized, not JSON, or
 * whose tensors overlap, leave holes, lie outside the data or disagree with shape and
 * type is refused with ERR_CORRUPT naming the tensor.
 */
#ifndef SAFETENSORS_H
#define SAFETENSORS_H

#include <stddef.h>

#include "base/err.h"
#include "base/real.h"

enum safetensor_type { SAFETENSOR_F32, SAFETENSOR_F64, SAFETENSOR_I64, SAFETENSOR_U8 };

enum { SAFETENSOR_RANK_MAX = 8, SAFETENSORS_HEADER_MAX = 64 << 20 };

struct safetensor {
    const char *name;
    enum safetensor_type type;
    size_t rank, shape[SAFETENSOR_RANK_MAX];
    const void *data; /* may be unaligned: copy out */
    size_t count;     /* elements */
};

struct safetensors;

/* Reads len bytes, which must outlive the result (it points into them). */
struct safetensors *safetensors_parse(const void *bytes, size_t len, struct err *err)
    __attribute__((warn_unused_result));
void safetensors_free(struct safetensors *file);

size_t safetensors_count(const struct safetensors *file);
const struct safetensor *safetensors_at(const struct safetensors *file, size_t index);
/* NULL where there is no such tensor, or no such metadata key. */
const struct safetensor *safetensors_find(const struct safetensors *file,
                                          const char *name);
const char *safetensors_meta(const struct safetensors *file, const char *key);

/* Copies out as real or double from F32 or F64, which must hold count elements. */
int safetensor_reals(const struct safetensor *tensor, real *out, size_t count,
                     struct err *err);
int safetensor_doubles(const struct safetensor *tensor, double *out, size_t count,
                       struct err *err);

struct safetensors_meta {
    const char *key, *value;
};

/* Writes tensors (in the order given) and metadata; the same input gives the same
 * bytes.  Caller frees *bytes. */
int safetensors_write(const struct safetensor *tensors, size_t count,
                      const struct safetensors_meta *meta, size_t meta_count,
                      void **bytes, size_t *len, struct err *err);

#endif
