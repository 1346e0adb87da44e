/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * routes.h -- the table of everything that can be asked.
 */
#ifndef ROUTES_H
#define ROUTES_H

#include <stddef.h>

#include "api/request.h"

/* The route of method (HEAD counts as GET) and path.  NULL with a 404 or 405 in reply.
 * *name and *name2 (the caller's) are what stood in place of {...}. */
const struct route *routes_find(const char *method, const char *path, char **name,
                                char **name2, struct reply *reply);

size_t routes_count(void);
const struct route *routes_at(size_t index);
size_t routes_index(const struct route *route);

#endif
