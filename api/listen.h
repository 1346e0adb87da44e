/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * listen.h -- the socket a server listens on.
 */
#ifndef LISTEN_H
#define LISTEN_H

#include "base/err.h"

/* Listens on "127.0.0.1:9797", "[::1]:0" or "localhost:9797"; the descriptor is the
 * caller's.  -1: ERR_INVALID or ERR_IO, naming the address. */
int listen_open(const char *address, struct err *err);

/* The port a listening socket has, or -1. */
int listen_port(int fd);

#endif
