/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "api/body.h"

#include <snappy-c.h>
#include <stdlib.h>
#include <string.h>

#include "api/gunzip.h"
#include "api/server.h"

enum {
    BODIES_AT_ONCE = 32, /* bodies of the largest size that memory may hold */
    SNAPPY_GROWTH = 22,  /* at most: a copy of 64 bytes takes 3 */
};

/* A block of the server's memory for bodies. */
struct block {
    char *bytes;
    size_t len, room;
};

/* Room for want bytes in all. */
static int block_grow(struct api *api, struct block *block, size_t want, struct err *err)
{
    if (want <= block->room)
        return 0;
    const size_t most = BODIES_AT_ONCE * (api->config.body_max + 2);
    const size_t before = atomic_fetch_add(&api->body_bytes, want - block->room);
    char *const bytes =
        before + want <= most + block->room ? realloc(block->bytes, want) : NULL;
    if (!bytes) {
        atomic_fetch_sub(&api->body_bytes, want - block->room);
        return err_set(err, ERR_BUSY, "too many request bodies at once");
    }
    block->bytes = bytes;
    block->room = want;
    return 0;
}

static void block_free(struct api *api, struct block *block)
{
    atomic_fetch_sub(&api->body_bytes, block->room);
    free(block->bytes);
}

int body_reserve(struct request *req, size_t len, struct err *err)
{
    const size_t want = req->body_len + len + 1;
    if (want <= req->body_room)
        return 0;
    struct block block = {req->body, req->body_len, req->body_room};
    const int rc = block_grow(req->api, &block, 2 * want, err);
    req->body = block.bytes;
    req->body_room = block.room;
    return rc;
}

/* ---- gzip ------------------------------------------------------------------------ */

struct unzip {
    struct api *api;
    struct block out;
};

static int unzip_take(void *ctx, const char *bytes, size_t len, struct err *err)
{
    struct unzip *const u = ctx;
    const size_t want = u->out.len + len + 1;
    if (want > u->out.room && block_grow(u->api, &u->out, 2 * want, err))
        return -1;
    memcpy(u->out.bytes + u->out.len, bytes, len);
    u->out.len += len;
    return 0;
}

static int unpack_gzip(struct request *req, struct block *out, struct err *err)
{
    struct unzip u = {req->api, *out};
    struct gunzip *const gunzip = gunzip_new(req->body_limit, unzip_take, &u);
    if (!gunzip)
        return err_set(err, ERR_NO_MEMORY, "cannot unpack gzip");
    int rc = gunzip_push(gunzip, req->body, req->body_len, err);
    if (rc == 0)
        rc = gunzip_finish(gunzip, err);
    gunzip_free(gunzip);
    *out = u.out;
    return rc;
}

/* ---- snappy ---------------------------------------------------------------------- */

/* The block format; its first bytes say how long the result is. */
static int unpack_snappy(struct request *req, struct block *out, struct err *err)
{
    size_t len = 0;
    if (snappy_uncompressed_length(req->body, req->body_len, &len) != SNAPPY_OK ||
        (len <= req->body_limit && len > SNAPPY_GROWTH * req->body_len))
        return err_set(err, ERR_INVALID, "body: is not a snappy block");
    if (len > req->body_limit)
        return err_set(err, ERR_TOO_LARGE, "body: must unpack to at most %zu bytes",
                       req->body_limit);
    if (block_grow(req->api, out, len + 1, err))
        return -1;
    if (snappy_uncompress(req->body, req->body_len, out->bytes, &len) != SNAPPY_OK)
        return err_set(err, ERR_INVALID, "body: is not a snappy block");
    out->len = len;
    return 0;
}

int body_unpack(struct request *req, struct err *err)
{
    if (req->encoding == ENCODING_NONE ||
        (req->body_len == 0 && req->encoding == ENCODING_GZIP))
        return 0;
    struct block out = {0};
    const int rc = req->encoding == ENCODING_GZIP ? unpack_gzip(req, &out, err)
                                                  : unpack_snappy(req, &out, err);
    if (rc || !out.bytes) {
        block_free(req->api, &out);
        req->body_len = 0;
        return rc;
    }
    struct block packed = {req->body, req->body_len, req->body_room};
    block_free(req->api, &packed);
    out.bytes[out.len] = '\0';
    req->body = out.bytes;
    req->body_len = out.len;
    req->body_room = out.room;
    return 0;
}
