/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/nameset.h"

#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/mem.h"

uint64_t nameset_hash(const char *name, size_t len)
{
    return XXH3_64bits(name, len);
}

const char *nameset_text(const struct nameset *names, uint32_t number)
{
    return names->text + names->name[number].offset;
}

uint32_t nameset_find(const struct nameset *names, uint64_t hash, const char *name)
{
    if (names->slot_count == 0)
        return NAMESET_NONE;
    const size_t mask = names->slot_count - 1;
    for (size_t at = hash & mask; names->slot[at]; at = (at + 1) & mask) {
        const uint32_t number = names->slot[at] - 1;
        if (names->name[number].hash == hash &&
            strcmp(nameset_text(names, number), name) == 0)
            return number;
    }
    return NAMESET_NONE;
}

static void slot_put(struct nameset *names, uint32_t number)
{
    const size_t mask = names->slot_count - 1;
    size_t at = names->name[number].hash & mask;
    while (names->slot[at])
        at = (at + 1) & mask;
    names->slot[at] = number + 1;
}

/* At most half full, so that a probe is short.  Names go in by number: the newest is
 * always the last that was put, which nameset_cut() relies on. */
static void slots_grow(struct nameset *names)
{
    if (2 * ((size_t)names->count + 1) <= names->slot_count)
        return;
    free(names->slot);
    names->slot_count = names->slot_count ? 2 * names->slot_count : 16;
    names->slot = mem_new(names->slot_count, sizeof *names->slot);
    for (uint32_t i = 0; i < names->count; i++)
        slot_put(names, i);
}

uint32_t nameset_add(struct nameset *names, uint64_t hash, const char *name, size_t len)
{
    slots_grow(names);
    if (names->count == names->cap) {
        names->cap = names->cap ? 2 * names->cap : 8;
        names->name = mem_resize(names->name, names->cap, sizeof *names->name);
    }
    if (names->text_len + len + 1 > names->text_cap) {
        names->text_cap = 2 * names->text_cap + len + 1;
        names->text = mem_resize(names->text, names->text_cap, 1);
    }
    const uint32_t number = names->count++;
    names->name[number] = (struct nameset_entry){.hash = hash, .offset = names->text_len};
    memcpy(names->text + names->text_len, name, len);
    names->text[names->text_len + len] = '\0';
    names->text_len += len + 1;
    slot_put(names, number);
    return number;
}

void nameset_cut(struct nameset *names, uint32_t count)
{
    const size_t mask = names->slot_count - 1;
    while (names->count > count) {
        const uint32_t number = --names->count;
        size_t at = names->name[number].hash & mask;
        while (names->slot[at] != number + 1)
            at = (at + 1) & mask;
        names->slot[at] = 0; /* nothing was put after it, so no probe crosses it */
        names->text_len = names->name[number].offset;
    }
}

size_t nameset_bytes(const struct nameset *names)
{
    return names->cap * sizeof *names->name + names->text_cap +
           names->slot_count * sizeof *names->slot;
}

void nameset_fini(struct nameset *names)
{
    free(names->name);
    free(names->text);
    free(names->slot);
    *names = (struct nameset){0};
}
