/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "api/gunzip.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <zlib.h>

#include "base/mem.h"

enum { OUT_BYTES = 64 << 10, GZIP_ONLY = 16 + MAX_WBITS };

struct gunzip {
    z_stream stream;
    size_t out, out_max;
    bool ended;
    gunzip_sink *sink;
    void *ctx;
    unsigned char buffer[OUT_BYTES];
};

struct gunzip *gunzip_new(size_t out_max, gunzip_sink *sink, void *ctx)
{
    struct gunzip *const g = mem_new(1, sizeof *g);
    g->out_max = out_max;
    g->sink = sink;
    g->ctx = ctx;
    if (inflateInit2(&g->stream, GZIP_ONLY) == Z_OK)
        return g;
    free(g);
    return NULL;
}

void gunzip_free(struct gunzip *g)
{
    if (!g)
        return;
    inflateEnd(&g->stream);
    free(g);
}

/* One call of zlib, what it gives handed on. */
static int unpack(struct gunzip *g, struct err *err)
{
    g->stream.next_out = g->buffer;
    g->stream.avail_out = OUT_BYTES;
    const int rc = inflate(&g->stream, Z_NO_FLUSH);
    if (rc != Z_OK && rc != Z_STREAM_END && rc != Z_BUF_ERROR)
        return err_set(err, ERR_INVALID, "body: is not gzip: %s",
                       g->stream.msg ? g->stream.msg : "broken stream");
    const size_t len = OUT_BYTES - g->stream.avail_out;
    g->ended = rc == Z_STREAM_END;
    g->out += len;
    if (g->out > g->out_max)
        return err_set(err, ERR_TOO_LARGE, "body: must unpack to at most %zu bytes",
                       g->out_max);
    return len ? g->sink(g->ctx, (const char *)g->buffer, len, err) : 0;
}

int gunzip_push(struct gunzip *g, const char *bytes, size_t len, struct err *err)
{
    g->stream.next_in = (Bytef *)(uintptr_t)bytes;
    g->stream.avail_in = (uInt)len;
    do {
        /* A gzip file may be several members, one after another. */
        if (g->ended && g->stream.avail_in && inflateReset(&g->stream) != Z_OK)
            return err_set(err, ERR_INVALID, "body: is not gzip");
        if (g->ended && !g->stream.avail_in)
            return 0;
        if (unpack(g, err))
            return -1;
    } while (g->stream.avail_in || g->stream.avail_out == 0);
    return 0;
}

int gunzip_finish(const struct gunzip *g, struct err *err)
{
    return g->ended ? 0 : err_set(err, ERR_INVALID, "body: gzip stream is cut off");
}
