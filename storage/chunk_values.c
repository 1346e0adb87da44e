/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/chunk.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/*
 * Everything wider than a byte is transposed: all lowest bytes, then all second ones...
 * so that zstd finds like next to like.
 *
 *     u8 layout
 *     bytes       8 planes of the doubles
 *     dictionary  u32 d; 1 or 2 planes of numbers 0..d-1; what they stand for, as steps
 *                 or bytes
 *     decimal     u8 power of ten; u8 1: through float; u8 width; u8 width of
 *     and steps   what is missed (0: nothing, 1); i64 base; planes of integers above
 *                 base (decimal) or folded differences that begin at base (steps);
 *                 planes of what is missed, folded
 *
 * Most values were once printed with a few decimals.  integer / 10^power, rounded by
 * the division as by every reader of decimals (and to float, where one was on the way),
 * is then the value; arithmetic on it since leaves a few units in the last place, which
 * are kept as the difference of the bits.
 */

enum { POWER_MAX = 15, MISSED_MAX = 255, PLANES = 8 };

static const double TEN_TO[POWER_MAX + 1] = {
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15};

/* Integers that a double holds with room for rounding. */
static const double INTEGER_MAX = 0x1p51;

static uint64_t bits_of(double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static double double_of(uint64_t bits)
{
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* ---- planes --------------------------------------------------------------------- */

static void put_bytes(struct chunk_bytes *out, const void *from, size_t len)
{
    memcpy(chunk_bytes_room(out, len), from, len);
    out->len += len;
}

static void put_planes(struct chunk_bytes *out, const uint64_t *word, size_t count,
                       size_t width)
{
    unsigned char *const to = chunk_bytes_room(out, count * width);
    for (size_t p = 0; p < width; p++)
        for (size_t i = 0; i < count; i++)
            to[p * count + i] = (unsigned char)(word[i] >> (8 * p));
    out->len += count * width;
}

static void get_planes(const unsigned char *from, uint64_t *word, size_t count,
                       size_t width)
{
    memset(word, 0, count * sizeof *word);
    for (size_t p = 0; p < width; p++)
        for (size_t i = 0; i < count; i++)
            word[i] |= (uint64_t)from[p * count + i] << (8 * p);
}

/* Bytes that every word fits. */
static unsigned char width_of(const uint64_t *word, size_t count)
{
    uint64_t all = 0;
    for (size_t i = 0; i < count; i++)
        all |= word[i];
    unsigned char width = 0;
    for (; all > 0; all >>= 8)
        width++;
    return width;
}

/* ---- decimals ------------------------------------------------------------------- */

struct decimal {
    unsigned char power, single, width, missed_width;
    int64_t base;
};
enum { DECIMAL_BYTES = 4 + 8 };

/* The bits of the number that an integer stands for. */
static uint64_t decimal_bits(int64_t integer, const struct decimal *decimal)
{
    const double value = (double)integer / TEN_TO[decimal->power];
    return bits_of(decimal->single ? (double)(float)value : value);
}

/* The integers, and folded what they miss, at one power; false where that is too much. */
static bool split(const double *value, size_t count, const struct decimal *decimal,
                  int64_t *integer, uint64_t *missed)
{
    /* Adding and taking away 1.5 * 2^52 rounds to the nearest integer. */
    static const double ROUND = 0x1.8p52;
    for (size_t i = 0; i < count; i++) {
        const double scaled = value[i] * TEN_TO[decimal->power];
        if (!(fabs(scaled) < INTEGER_MAX))
            return false;
        integer[i] = (int64_t)((scaled + ROUND) - ROUND);
        missed[i] =
            chunk_fold((int64_t)(bits_of(value[i]) - decimal_bits(integer[i], decimal)));
        if (missed[i] > MISSED_MAX)
            return false;
    }
    return true;
}

/* The least power that will do; the others fail within a few values. */
static bool find_decimal(const double *value, size_t count, struct decimal *decimal,
                         int64_t *integer, uint64_t *missed)
{
    for (decimal->power = 0; decimal->power <= POWER_MAX; decimal->power++)
        for (decimal->single = 0; decimal->single <= 1; decimal->single++)
            if (split(value, count, decimal, integer, missed))
                return true;
    return false;
}

/* In place, from integers to what is stored of them. */
static int64_t to_steps(int64_t *integer, size_t count)
{
    const int64_t base = integer[0];
    for (size_t i = count; i-- > 0;)
        integer[i] = (int64_t)chunk_fold(integer[i] - integer[i > 0 ? i - 1 : 0]);
    return base;
}

static int64_t to_offsets(int64_t *integer, size_t count)
{
    int64_t base = integer[0];
    for (size_t i = 1; i < count; i++)
        base = integer[i] < base ? integer[i] : base;
    for (size_t i = 0; i < count; i++)
        integer[i] -= base;
    return base;
}

static int put_decimal(struct chunk_bytes *out, const double *value, size_t count,
                       bool steps)
{
    uint64_t *const word = mem_new(2 * count, sizeof *word), *const missed = word + count;
    int64_t *const integer = (int64_t *)word;
    struct decimal decimal = {0};
    const bool fine = find_decimal(value, count, &decimal, integer, missed);
    if (fine) {
        decimal.base = steps ? to_steps(integer, count) : to_offsets(integer, count);
        decimal.width = width_of(word, count);
        decimal.missed_width = width_of(missed, count);
        put_bytes(out, &decimal.power, 4);
        put_bytes(out, &decimal.base, sizeof decimal.base);
        put_planes(out, word, count, decimal.width);
        put_planes(out, missed, count, decimal.missed_width);
    }
    free(word);
    return fine ? 0 : -1;
}

static bool get_decimal(const unsigned char *bytes, size_t len, uint64_t *word,
                        size_t count, bool steps)
{
    struct decimal decimal;
    if (len < DECIMAL_BYTES)
        return false;
    memcpy(&decimal.power, bytes, 4);
    memcpy(&decimal.base, bytes + 4, sizeof decimal.base);
    if (decimal.power > POWER_MAX || decimal.single > 1 || decimal.width > PLANES ||
        decimal.missed_width > 1 ||
        len != DECIMAL_BYTES + count * (decimal.width + decimal.missed_width))
        return false;
    uint64_t *const missed = mem_new(count, sizeof *missed);
    get_planes(bytes + DECIMAL_BYTES, word, count, decimal.width);
    get_planes(bytes + DECIMAL_BYTES + count * decimal.width, missed, count,
               decimal.missed_width);
    uint64_t integer = (uint64_t)decimal.base;
    for (size_t i = 0; i < count; i++) {
        integer = steps ? integer + (uint64_t)chunk_unfold(word[i])
                        : (uint64_t)decimal.base + word[i];
        word[i] =
            decimal_bits((int64_t)integer, &decimal) + (uint64_t)chunk_unfold(missed[i]);
    }
    free(missed);
    return true;
}

/* Every layout but the dictionary, which would nest. */
static bool get_words(const unsigned char *bytes, size_t len, uint64_t *word,
                      size_t count)
{
    if (len == 0)
        return false;
    const unsigned char layout = *bytes++;
    len--;
    if (layout == CHUNK_DECIMAL || layout == CHUNK_STEPS)
        return get_decimal(bytes, len, word, count, layout == CHUNK_STEPS);
    if (layout != CHUNK_BYTES || len != count * PLANES)
        return false;
    get_planes(bytes, word, count, PLANES);
    return true;
}

/* ---- dictionary ----------------------------------------------------------------- */

static int ascending(const void *left, const void *right)
{
    const uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;
    return a < b ? -1 : a > b;
}

/* Sorts the doubles as their bits would sort if the sign were not the top one. */
static uint64_t sortable(uint64_t bits)
{
    return bits >> 63 ? ~bits : bits | (uint64_t)1 << 63;
}

static uint64_t unsortable(uint64_t key)
{
    return key >> 63 ? key & ~((uint64_t)1 << 63) : ~key;
}

static size_t number_of(const uint64_t *key, size_t count, uint64_t wanted)
{
    size_t from = 0;
    while (count > 1) {
        const size_t half = count / 2;
        from += key[from + half] <= wanted ? half : 0;
        count -= half;
    }
    return from;
}

/* Keys of the values that differ, or 0 when they are more than limit: an open-addressed
 * set, since most chunks have far too many and must find out quickly. */
static size_t distinct(const double *value, size_t count, uint64_t *key, size_t limit)
{
    size_t slots = 16, found = 0;
    while (slots < 2 * limit + 2)
        slots *= 2;
    uint64_t *const slot = mem_new(slots, sizeof *slot); /* no double has the key 0 */
    for (size_t i = 0; i < count; i++) {
        const uint64_t wanted = sortable(bits_of(value[i]));
        size_t at = (size_t)(wanted * UINT64_C(0x9e3779b97f4a7c15) >> 32) & (slots - 1);
        while (slot[at] != 0 && slot[at] != wanted)
            at = (at + 1) & (slots - 1);
        if (slot[at] == wanted)
            continue;
        if (found == limit) {
            found = 0;
            break;
        }
        slot[at] = key[found++] = wanted;
    }
    free(slot);
    qsort(key, found, sizeof *key, ascending);
    return found;
}

/* The keys are values laid out themselves: ascending decimals are small steps. */
static void put_keys(struct chunk_bytes *out, uint64_t *key, size_t size)
{
    for (size_t i = 0; i < size; i++)
        key[i] = unsortable(key[i]);
    double *const value = mem_new(size, sizeof *value);
    memcpy(value, key, size * sizeof *value);
    if (chunk_values_put(out, CHUNK_STEPS, value, size))
        chunk_values_put(out, CHUNK_BYTES, value, size);
    free(value);
}

static size_t width_for(size_t size)
{
    return size > 256 ? 2 : 1;
}

/* A dictionary of every second value saves nothing. */
static int put_dictionary(struct chunk_bytes *out, const double *value, size_t count)
{
    const size_t limit = count / 2 + 1;
    uint64_t *const word = mem_new(count + limit, sizeof *word), *const key =
                                                                     word + count;
    const size_t size = distinct(value, count, key, limit);
    if (size > 0) {
        for (size_t i = 0; i < count; i++)
            word[i] = number_of(key, size, sortable(bits_of(value[i])));
        const uint32_t stored = (uint32_t)size;
        put_bytes(out, &stored, sizeof stored);
        put_planes(out, word, count, width_for(size));
        put_keys(out, key, size);
    }
    free(word);
    return size > 0 ? 0 : -1;
}

static bool get_dictionary(const unsigned char *bytes, size_t len, uint64_t *word,
                           size_t count)
{
    uint32_t size;
    if (len < sizeof size)
        return false;
    memcpy(&size, bytes, sizeof size);
    const size_t head = sizeof size + count * width_for(size);
    if (size == 0 || size > count || len < head)
        return false;
    uint64_t *const key = mem_new(size, sizeof *key);
    bool fine = get_words(bytes + head, len - head, key, size);
    get_planes(bytes + sizeof size, word, count, width_for(size));
    for (size_t i = 0; i < count && fine; i++)
        if ((fine = word[i] < size))
            word[i] = key[word[i]];
    free(key);
    return fine;
}

/* ---- the ways ------------------------------------------------------------------- */

static void put_doubles(struct chunk_bytes *out, const double *value, size_t count)
{
    uint64_t *const word = mem_new(count, sizeof *word);
    memcpy(word, value, count * sizeof *word);
    put_planes(out, word, count, PLANES);
    free(word);
}

int chunk_values_put(struct chunk_bytes *out, enum chunk_layout layout,
                     const double *value, size_t count)
{
    const size_t before = out->len;
    const unsigned char stored = (unsigned char)layout;
    int status = 0;
    put_bytes(out, &stored, 1);
    if (layout == CHUNK_BYTES)
        put_doubles(out, value, count);
    else if (layout == CHUNK_DICTIONARY)
        status = put_dictionary(out, value, count);
    else
        status = put_decimal(out, value, count, layout == CHUNK_STEPS);
    if (status)
        out->len = before;
    return status;
}

int chunk_values_get(const unsigned char *bytes, size_t len, struct sample *out,
                     size_t count, struct err *err)
{
    uint64_t *const word = mem_new(count, sizeof *word);
    const bool fine = len > 0 && *bytes == CHUNK_DICTIONARY
                          ? get_dictionary(bytes + 1, len - 1, word, count)
                          : get_words(bytes, len, word, count);
    for (size_t i = 0; fine && i < count; i++)
        out[i].value = double_of(word[i]);
    free(word);
    return fine ? 0 : err_set(err, ERR_CORRUPT, "chunk: its values are laid out wrong");
}
