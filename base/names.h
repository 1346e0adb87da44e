/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * names.h -- small integers for texts: the first new text is 0, the next 1, and so on.
 *
 * An open-addressing hash table that only grows.  Used by one thread.
 */
#ifndef NAMES_H
#define NAMES_H

#include <stdbool.h>
#include <stddef.h>

struct names {
    size_t count;
    size_t room; /* slots, a power of two; 0 before the first name */
    struct names_slot *slots;
};

/* The id of text; *is_new when it had none before.  Copies the text.  Start from a
 * zeroed struct. */
size_t names_id(struct names *names, const char *text, bool *is_new);

void names_fini(struct names *names);

#endif
