/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/names.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

struct names_slot {
    char *text; /* NULL: free */
    uint64_t hash;
    size_t id;
};

/* FNV-1a; whoever chooses names to collide only makes their own import slow. */
static uint64_t hash_of(const char *text)
{
    uint64_t hash = 0xCBF29CE484222325;
    for (; *text; text++)
        hash = (hash ^ (unsigned char)*text) * 0x100000001B3;
    return hash;
}

/* The slot of text, or the free one where it belongs. */
static struct names_slot *find(const struct names *names, const char *text, uint64_t hash)
{
    for (size_t at = hash & (names->room - 1);; at = (at + 1) & (names->room - 1)) {
        struct names_slot *slot = &names->slots[at];
        if (!slot->text || (slot->hash == hash && strcmp(slot->text, text) == 0))
            return slot;
    }
}

static void grow(struct names *names)
{
    struct names old = *names;
    names->room = old.room ? 2 * old.room : 64;
    names->slots = mem_new(names->room, sizeof *names->slots);
    for (size_t i = 0; i < old.room; i++)
        if (old.slots[i].text)
            *find(names, old.slots[i].text, old.slots[i].hash) = old.slots[i];
    free(old.slots);
}

size_t names_id(struct names *names, const char *text, bool *is_new)
{
    if (2 * names->count >= names->room)
        grow(names);
    const uint64_t hash = hash_of(text);
    struct names_slot *slot = find(names, text, hash);
    *is_new = !slot->text;
    if (*is_new)
        *slot = (struct names_slot){mem_text(text), hash, names->count++};
    return slot->id;
}

void names_fini(struct names *names)
{
    for (size_t i = 0; i < names->room; i++)
        free(names->slots[i].text);
    free(names->slots);
    *names = (struct names){0};
}
