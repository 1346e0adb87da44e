/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * body.h -- memory of bodies that are collected, and how they are unpacked.
 *
 * All bodies together hold at most so much; what is past it is ERR_BUSY.
 */
#ifndef BODY_H
#define BODY_H

#include <stddef.h>

#include "api/request.h"

/* Room for len more bytes and a zero. */
int body_reserve(struct request *request, size_t len, struct err *err);

/*
 * Puts what the body says, by its encoding, in place of the body.  ERR_INVALID: is not
 * what it claims to be; ERR_TOO_LARGE: would be past the limit of its route, which is
 * found before memory is taken for it.
 */
int body_unpack(struct request *request, struct err *err);

#endif
