/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * GET /v1/openapi.yaml: the description of everything here, api/openapi.yaml as it is,
 * built in by the assembler.
 */
#include "api/handlers.h"

#include <stdlib.h>
#include <string.h>

#include "api/query.h"

__asm__(".pushsection .rodata\n"
        ".balign 16\n"
        "openapi_yaml: .incbin \"api/openapi.yaml\"\n"
        "openapi_yaml_end: .byte 0\n"
        ".popsection\n");
extern const char openapi_yaml[], openapi_yaml_end[];

int openapi_get(struct request *req, struct reply *reply, struct err *err)
{
    struct page page = {0};
    if (query_none(req, err))
        return -1;
    page_add_bytes(&page, openapi_yaml, (size_t)(openapi_yaml_end - openapi_yaml));
    reply_text(reply, 200, "application/yaml", page.bytes, page.len);
    return HANDLED;
}
