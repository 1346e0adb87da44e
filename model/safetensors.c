/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "model/safetensors.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/mem.h"

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the format is little-endian");

enum { LENGTH_BYTES = 8, ALIGNMENT = 8 };

static const struct {
    const char *word;
    size_t bytes;
} types[] = {
    [SAFETENSOR_F32] = {"F32", 4},
    [SAFETENSOR_F64] = {"F64", 8},
    [SAFETENSOR_I64] = {"I64", 8},
    [SAFETENSOR_U8] = {"U8", 1},
};

/* A tensor and where it lies, for the check that the data has no hole. */
struct span {
    size_t begin, end;
    const char *name;
};

struct safetensors {
    json_t *header; /* owns every name and metadata text */
    size_t count;
    struct safetensor *tensors;
};

/* ---- reading --------------------------------------------------------------------- */

static int refuse(struct err *err, const char *name, const char *rule)
{
    return err_set(err, ERR_CORRUPT, "tensor \"%.80s\": %s", name, rule);
}

static int read_type(const json_t *entry, const char *name, enum safetensor_type *type,
                     struct err *err)
{
    const char *const word = json_string_value(json_object_get(entry, "dtype"));
    for (size_t i = 0; word && i < sizeof types / sizeof *types; i++)
        if (strcmp(word, types[i].word) == 0) {
            *type = (enum safetensor_type)i;
            return 0;
        }
    return refuse(err, name, "dtype is none of F32, F64, I64, U8");
}

/* A JSON integer that is a size. */
static int read_size(const json_t *number, size_t *out)
{
    if (!json_is_integer(number) || json_integer_value(number) < 0)
        return -1;
    *out = (size_t)json_integer_value(number);
    return 0;
}

static int read_shape(const json_t *entry, struct safetensor *t, struct err *err)
{
    const json_t *const shape = json_object_get(entry, "shape");
    if (!json_is_array(shape) || json_array_size(shape) > SAFETENSOR_RANK_MAX)
        return refuse(err, t->name, "shape is not a list of at most 8 sizes");
    t->rank = json_array_size(shape);
    t->count = 1;
    for (size_t i = 0; i < t->rank; i++)
        if (read_size(json_array_get(shape, i), &t->shape[i]) ||
            __builtin_mul_overflow(t->count, t->shape[i], &t->count))
            return refuse(err, t->name, "shape is not a list of sizes");
    return 0;
}

static int read_tensor(const char *name, const json_t *entry, const unsigned char *data,
                       size_t data_len, struct safetensor *t, struct span *span,
                       struct err *err)
{
    t->name = span->name = name;
    if (!json_is_object(entry) || json_object_size(entry) != 3)
        return refuse(err, name, "must have dtype, shape and data_offsets alone");
    if (read_type(entry, name, &t->type, err) || read_shape(entry, t, err))
        return -1;

    const json_t *const offsets = json_object_get(entry, "data_offsets");
    if (json_array_size(offsets) != 2 ||
        read_size(json_array_get(offsets, 0), &span->begin) ||
        read_size(json_array_get(offsets, 1), &span->end))
        return refuse(err, name, "data_offsets are not two sizes");
    if (span->begin > span->end || span->end > data_len)
        return refuse(err, name, "lies outside the data");

    size_t bytes;
    if (__builtin_mul_overflow(t->count, types[t->type].bytes, &bytes) ||
        bytes != span->end - span->begin)
        return refuse(err, name, "data_offsets disagree with shape and dtype");
    t->data = data + span->begin;
    return 0;
}

static int compare_spans(const void *a, const void *b)
{
    const struct span *const x = a, *const y = b;
    if (x->begin != y->begin)
        return x->begin < y->begin ? -1 : 1;
    return (x->end > y->end) - (x->end < y->end);
}

/* Sorted by place, every tensor must begin where the one before it ends. */
static int check_cover(struct span *spans, size_t count, size_t data_len, struct err *err)
{
    qsort(spans, count, sizeof *spans, compare_spans);
    size_t at = 0;
    for (size_t i = 0; i < count; i++) {
        if (spans[i].begin < at)
            return refuse(err, spans[i].name, "overlaps another");
        if (spans[i].begin > at)
            return refuse(err, spans[i].name, "leaves a hole before it");
        at = spans[i].end;
    }
    if (at != data_len)
        return err_set(err, ERR_CORRUPT, "safetensors: %zu bytes belong to no tensor",
                       data_len - at);
    return 0;
}

static int check_meta(json_t *meta, struct err *err)
{
    if (!json_is_object(meta))
        return err_set(err, ERR_CORRUPT, "safetensors: __metadata__ is not an object");
    for (void *at = json_object_iter(meta); at; at = json_object_iter_next(meta, at))
        if (!json_is_string(json_object_iter_value(at)))
            return err_set(err, ERR_CORRUPT, "safetensors: __metadata__ is not text");
    return 0;
}

static int read_entries(struct safetensors *file, const unsigned char *data,
                        size_t data_len, struct span *spans, struct err *err)
{
    for (void *at = json_object_iter(file->header); at;
         at = json_object_iter_next(file->header, at)) {
        const char *const name = json_object_iter_key(at);
        json_t *const entry = json_object_iter_value(at);
        if (strcmp(name, "__metadata__") == 0) {
            if (check_meta(entry, err))
                return -1;
            continue;
        }
        if (read_tensor(name, entry, data, data_len, &file->tensors[file->count],
                        &spans[file->count], err))
            return -1;
        file->count++;
    }
    return check_cover(spans, file->count, data_len, err);
}

struct safetensors *safetensors_parse(const void *bytes, size_t len, struct err *err)
{
    uint64_t header_len;
    if (len < LENGTH_BYTES) {
        err_set(err, ERR_CORRUPT, "safetensors: %zu bytes are too few", len);
        return NULL;
    }
    memcpy(&header_len, bytes, sizeof header_len);
    if (header_len > SAFETENSORS_HEADER_MAX || header_len > len - LENGTH_BYTES) {
        err_set(err, ERR_CORRUPT, "safetensors: a header of %llu bytes in a file of %zu",
                (unsigned long long)header_len, len);
        return NULL;
    }

    const char *const text = (const char *)bytes + LENGTH_BYTES;
    json_error_t json_err;
    json_t *const header =
        json_loadb(text, (size_t)header_len, JSON_REJECT_DUPLICATES, &json_err);
    if (!json_is_object(header)) {
        err_set(err, ERR_CORRUPT, "safetensors: header: %s",
                header ? "not an object" : json_err.text);
        json_decref(header);
        return NULL;
    }

    struct safetensors *file = mem_new(1, sizeof *file);
    const size_t entries = json_object_size(header) + 1;
    struct span *const spans = mem_try(entries, sizeof *spans);
    file->header = header;
    file->tensors = mem_try(entries, sizeof *file->tensors);
    int rc = -1;
    if (!spans || !file->tensors)
        err_set(err, ERR_NO_MEMORY, "safetensors: no memory for %zu tensors", entries);
    else
        rc = read_entries(file, (const unsigned char *)text + header_len,
                          len - LENGTH_BYTES - (size_t)header_len, spans, err);
    free(spans);
    if (rc) {
        safetensors_free(file);
        return NULL;
    }
    return file;
}

void safetensors_free(struct safetensors *file)
{
    if (!file)
        return;
    json_decref(file->header);
    free(file->tensors);
    free(file);
}

size_t safetensors_count(const struct safetensors *file)
{
    return file->count;
}

const struct safetensor *safetensors_at(const struct safetensors *file, size_t index)
{
    assert(index < file->count);
    return &file->tensors[index];
}

const struct safetensor *safetensors_find(const struct safetensors *file,
                                          const char *name)
{
    for (size_t i = 0; i < file->count; i++)
        if (strcmp(file->tensors[i].name, name) == 0)
            return &file->tensors[i];
    return NULL;
}

const char *safetensors_meta(const struct safetensors *file, const char *key)
{
    const json_t *const meta = json_object_get(file->header, "__metadata__");
    return json_string_value(json_object_get(meta, key));
}

static int check_floats(const struct safetensor *t, size_t count, struct err *err)
{
    if (t->type != SAFETENSOR_F32 && t->type != SAFETENSOR_F64)
        return refuse(err, t->name, "is not of type F32 or F64");
    if (t->count != count)
        return err_set(err, ERR_CORRUPT, "tensor \"%.80s\": %zu numbers, expected %zu",
                       t->name, t->count, count);
    return 0;
}

/* Element i, through memcpy because nothing promises alignment. */
static double element(const struct safetensor *t, size_t i)
{
    if (t->type == SAFETENSOR_F64) {
        double x;
        memcpy(&x, (const unsigned char *)t->data + i * sizeof x, sizeof x);
        return x;
    }
    float x;
    memcpy(&x, (const unsigned char *)t->data + i * sizeof x, sizeof x);
    return (double)x;
}

int safetensor_reals(const struct safetensor *tensor, real *out, size_t count,
                     struct err *err)
{
    if (check_floats(tensor, count, err))
        return -1;
    for (size_t i = 0; i < count; i++)
        out[i] = (real)element(tensor, i);
    return 0;
}

int safetensor_doubles(const struct safetensor *tensor, double *out, size_t count,
                       struct err *err)
{
    if (check_floats(tensor, count, err))
        return -1;
    for (size_t i = 0; i < count; i++)
        out[i] = element(tensor, i);
    return 0;
}

/* ---- writing ---------------------------------------------------------------------- */

static json_t *header_entry(const struct safetensor *t, size_t begin, size_t end)
{
    json_t *const shape = json_array();
    for (size_t i = 0; i < t->rank; i++)
        json_array_append_new(shape, json_integer((json_int_t)t->shape[i]));
    return json_pack("{s:s, s:o, s:[I,I]}", "dtype", types[t->type].word, "shape", shape,
                     "data_offsets", (json_int_t)begin, (json_int_t)end);
}

/* The header as text padded with spaces, so that the data begins aligned. */
static char *header_text(const struct safetensor *tensors, size_t count,
                         const struct safetensors_meta *meta, size_t meta_count,
                         size_t *text_len, size_t *data_len, struct err *err)
{
    json_t *const header = json_object();
    char *text = NULL;
    if (meta_count) {
        json_t *const object = json_object();
        json_object_set_new(header, "__metadata__", object);
        for (size_t i = 0; i < meta_count; i++)
            if (json_object_set_new(object, meta[i].key, json_string(meta[i].value))) {
                err_set(err, ERR_INVALID, "metadata %s: not UTF-8", meta[i].key);
                goto out;
            }
    }
    size_t at = 0;
    for (size_t i = 0; i < count; i++) {
        const struct safetensor *const t = &tensors[i];
        const size_t end = at + t->count * types[t->type].bytes;
        if (json_object_get(header, t->name) ||
            json_object_set_new(header, t->name, header_entry(t, at, end))) {
            err_set(err, ERR_INVALID, "tensor \"%.80s\": a repeated or bad name",
                    t->name);
            goto out;
        }
        at = end;
    }
    char *const dump = json_dumps(header, JSON_COMPACT);
    if (!dump) {
        err_set(err, ERR_NO_MEMORY, "safetensors: no memory for the header");
        goto out;
    }
    const size_t len = strlen(dump);
    *text_len = (len + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    *data_len = at;
    text = mem_resize(dump, *text_len, 1);
    memset(text + len, ' ', *text_len - len);
out:
    json_decref(header);
    return text;
}

int safetensors_write(const struct safetensor *tensors, size_t count,
                      const struct safetensors_meta *meta, size_t meta_count,
                      void **bytes, size_t *len, struct err *err)
{
    size_t text_len, data_len;
    char *const text =
        header_text(tensors, count, meta, meta_count, &text_len, &data_len, err);
    if (!text)
        return -1;
    if (text_len > SAFETENSORS_HEADER_MAX) {
        free(text);
        return err_set(err, ERR_TOO_LARGE, "safetensors: header of %zu bytes", text_len);
    }

    unsigned char *const out = mem_try(LENGTH_BYTES + text_len + data_len, 1);
    if (out) {
        const uint64_t header_len = text_len;
        memcpy(out, &header_len, sizeof header_len);
        memcpy(out + LENGTH_BYTES, text, text_len);
        unsigned char *at = out + LENGTH_BYTES + text_len;
        for (size_t i = 0; i < count; i++) {
            const size_t size = tensors[i].count * types[tensors[i].type].bytes;
            if (size)
                memcpy(at, tensors[i].data, size);
            at += size;
        }
        *bytes = out;
        *len = LENGTH_BYTES + text_len + data_len;
    }
    free(text);
    return out ? 0
               : err_set(err, ERR_NO_MEMORY, "safetensors: no memory for %zu bytes",
                         data_len);
}
