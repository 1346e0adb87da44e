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
        if (!nameset_gone(names, i))
            slot_put(names, i);
}

static uint32_t next_number(struct nameset *names)
{
    if (names->count == names->cap) {
        names->cap = names->cap ? 2 * names->cap : 8;
        names->name = mem_resize(names->name, names->cap, sizeof *names->name);
    }
    return names->count++;
}

uint32_t nameset_add(struct nameset *names, uint64_t hash, const char *name, size_t len)
{
    slots_grow(names);
    if (names->text_len + len + 1 > names->text_cap) {
        names->text_cap = 2 * names->text_cap + len + 1;
        names->text = mem_resize(names->text, names->text_cap, 1);
    }
    const uint32_t number = next_number(names);
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

/* ---- gaps ------------------------------------------------------------------------- */

bool nameset_gone(const struct nameset *names, uint32_t number)
{
    return names->name[number].offset == NAMESET_GONE;
}

void nameset_skip(struct nameset *names)
{
    const uint32_t number = next_number(names);
    names->name[number] = (struct nameset_entry){.offset = NAMESET_GONE};
    names->gone++;
}

/* Moves the names that are left together once half of the text is of removed ones. */
static void text_pack(struct nameset *names)
{
    if (names->text_gone <= names->text_len / 2)
        return;
    char *const text = mem_new(names->text_len - names->text_gone + 1, 1);
    size_t len = 0;
    for (uint32_t i = 0; i < names->count; i++) {
        if (nameset_gone(names, i))
            continue;
        const size_t bytes = strlen(nameset_text(names, i)) + 1;
        memcpy(text + len, nameset_text(names, i), bytes);
        names->name[i].offset = len;
        len += bytes;
    }
    free(names->text);
    names->text = text;
    names->text_len = len;
    names->text_cap = len + 1;
    names->text_gone = 0;
}

/* The slots behind it are put anew, so that no probe ends before its name. */
void nameset_remove(struct nameset *names, uint32_t number)
{
    if (nameset_gone(names, number))
        return;
    const size_t mask = names->slot_count - 1;
    size_t at = names->name[number].hash & mask;
    while (names->slot[at] != number + 1)
        at = (at + 1) & mask;
    names->slot[at] = 0;
    for (at = (at + 1) & mask; names->slot[at]; at = (at + 1) & mask) {
        const uint32_t moved = names->slot[at] - 1;
        names->slot[at] = 0;
        slot_put(names, moved);
    }
    names->text_gone += strlen(nameset_text(names, number)) + 1;
    names->name[number].offset = NAMESET_GONE;
    names->gone++;
    text_pack(names);
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
