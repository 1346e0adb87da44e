/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * every_route.h -- the table of routes, for what must hold of each.
 */
#ifndef EVERY_ROUTE_H
#define EVERY_ROUTE_H

#include <string.h>

#include "api/routes.h"
#include "base/mem.h"

/* The path of a pattern, with something in place of names; to be freed. */
static inline char *route_path(const char *pattern)
{
    char *const path = mem_text(pattern);
    size_t len = 0;
    for (const char *at = pattern; *at; at++) {
        path[len++] = *at == '{' ? '1' : *at;
        at = *at == '{' ? strchr(at, '}') : at;
    }
    path[len] = '\0';
    return path;
}

#endif
