/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * err.h -- how a failure travels to whoever can act on it.
 *
 * A function that can fail in more than one way takes a `struct err *` last and
 * returns 0 / -1, or a pointer / NULL.  The caller zeroes the struct.  The first
 * report wins, so a cleanup path cannot hide the cause; NULL is allowed where only
 * the fact matters.
 *
 * The message names the thing, the rule and the value, in that order, and begins
 * with the field where there is one:  "horizon: must be 1..720, got 0".
 * The HTTP layer splits it at the first ": " into the members of a problem document.
 */
#ifndef ERR_H
#define ERR_H

enum err_code {
    ERR_NONE = 0,
    ERR_INVALID,     /* the caller's input breaks a rule; the same call fails again */
    ERR_NOT_FOUND,   /* what was named does not exist */
    ERR_CONFLICT,    /* exists, but its present state does not allow this */
    ERR_TOO_LARGE,   /* past a limit of size that the message names */
    ERR_BUSY,        /* overload or shutting down: the same call may succeed later */
    ERR_CANCELLED,   /* somebody asked to stop */
    ERR_NO_MEMORY,   /* a size that input decided could not be allocated */
    ERR_CORRUPT,     /* stored bytes fail their check */
    ERR_IO,          /* the operating system refused */
    ERR_DENIED,      /* who asks did not prove to be allowed to */
    ERR_UNSUPPORTED, /* a form of data that is not understood here */
};

struct err {
    enum err_code code;
    char msg[400];
};

/* Records a failure unless one is recorded already.  Always returns -1. */
int err_set(struct err *err, enum err_code code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* As err_set() with ERR_IO, and appends ": " and the text of errno. */
int err_errno(struct err *err, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Records what another call has reported.  0 where that is nothing, else -1. */
int err_copy(struct err *err, const struct err *from);

/* Puts "context: " before a recorded message. */
void err_prefix(struct err *err, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* "invalid", "not-found", ...: one stable word a code. */
const char *err_word(enum err_code code);

#endif
