/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * nameset.h -- a set of strings, numbered 0, 1, 2... in the order they came.
 *
 * Used for the series of one batch and for all series of the store.  The hash is the
 * caller's to keep: a name hashed once for its batch is found in the store's set
 * without hashing again.  Open addressing with linear probing; the newest names can be
 * taken back (nameset_cut), which is how a failed commit forgets its new series, and any
 * can be removed, whose number is not given again.
 * Not locked.
 */
#ifndef STORAGE_NAMESET_H
#define STORAGE_NAMESET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NAMESET_NONE UINT32_MAX

struct nameset_entry {
    uint64_t hash;
    size_t offset; /* in text; NAMESET_GONE: removed, or never there */
};
#define NAMESET_GONE SIZE_MAX

struct nameset {
    uint32_t count, cap;
    struct nameset_entry *name;
    char *text;                           /* all names, each with its final zero */
    size_t text_len, text_cap, text_gone; /* text_gone: bytes of removed names */
    uint32_t gone;
    uint32_t *slot; /* number + 1, 0: free; a power of two of them */
    size_t slot_count;
};

uint64_t nameset_hash(const char *name, size_t len);

/* The number of a name, or NAMESET_NONE. */
uint32_t nameset_find(const struct nameset *names, uint64_t hash, const char *name);

/* Adds a name that is not in the set; returns its number. */
uint32_t nameset_add(struct nameset *names, uint64_t hash, const char *name, size_t len);

/* Leaves out the next number. */
void nameset_skip(struct nameset *names);
/* Removes a name, if it is there. */
void nameset_remove(struct nameset *names, uint32_t number);
bool nameset_gone(const struct nameset *names, uint32_t number);

/* Borrowed until the set changes.  Of one that is not gone. */
const char *nameset_text(const struct nameset *names, uint32_t number);

/* Forgets all names but the first count. */
void nameset_cut(struct nameset *names, uint32_t count);

/* Bytes held, for bounds on memory. */
size_t nameset_bytes(const struct nameset *names);

void nameset_fini(struct nameset *names);

#endif
