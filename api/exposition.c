/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "api/exposition.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "base/mem.h"

void exposition_family(struct exposition *out, const char *name, enum family family,
                       const char *help)
{
    static const char *const words[] = {[FAMILY_COUNTER] = "counter",
                                        [FAMILY_GAUGE] = "gauge",
                                        [FAMILY_HISTOGRAM] = "histogram"};
    int len = (int)strlen(name);
    if (out->openmetrics && family == FAMILY_COUNTER)
        len -= (int)sizeof "_total" - 1;
    page_add(&out->page, "# HELP %.*s %s\n# TYPE %.*s %s\n", len, name, help, len, name,
             words[family]);
}

static void add_value(struct exposition *out, double value)
{
    if (isnan(value))
        page_add(&out->page, "NaN\n");
    else
        page_add(&out->page, "%.17g\n", value);
}

void exposition_one(struct exposition *out, const char *name, enum family family,
                    const char *help, double value)
{
    exposition_family(out, name, family, help);
    page_add(&out->page, "%s ", name);
    add_value(out, value);
}

void exposition_label(struct exposition *out, const char *value)
{
    page_add(&out->page, "\"");
    for (; *value; value++)
        if (*value == '\n')
            page_add_bytes(&out->page, "\\n", 2);
        else if (*value == '"' || *value == '\\')
            page_add_bytes(&out->page, (const char[]){'\\', *value}, 2);
        else
            page_add_bytes(&out->page, value, 1);
    page_add(&out->page, "\"");
}

void exposition_bound(struct exposition *out, double bound)
{
    const bool whole = bound == floor(bound);
    page_add(&out->page, whole ? "%.1f" : "%g", bound);
}

static int pack(struct page *page, struct err *err)
{
    z_stream z = {0};
    if (deflateInit2(&z, 1, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY) != Z_OK)
        return err_set(err, ERR_NO_MEMORY, "no memory to pack the answer");
    const uLong room = deflateBound(&z, page->len);
    char *const packed = mem_new(room, 1);
    z.next_in = (Bytef *)page->bytes;
    z.avail_in = (uInt)page->len;
    z.next_out = (Bytef *)packed;
    z.avail_out = (uInt)room;
    deflate(&z, Z_FINISH); /* the bound is enough */
    free(page->bytes);
    *page = (struct page){packed, z.total_out, room};
    deflateEnd(&z);
    return 0;
}

int exposition_reply(struct exposition *out, bool gzip, struct reply *reply,
                     struct err *err)
{
    if (out->openmetrics)
        page_add(&out->page, "# EOF\n");
    if (gzip && pack(&out->page, err)) {
        free(out->page.bytes);
        return -1;
    }
    reply_text(reply, 200,
               out->openmetrics
                   ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
                   : "text/plain; version=0.0.4; charset=utf-8",
               out->page.bytes, out->page.len);
    if (gzip)
        reply_header(reply, "Content-Encoding", "gzip");
    reply_header(reply, "Vary", "Accept, Accept-Encoding");
    return 0;
}
