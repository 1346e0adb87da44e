/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/zone.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/civil.h"
#include "base/mem.h"
#include "base/posix_tz.h"
#include "base/text.h"

enum {
    FILE_MAX = 1 << 18, /* bytes; the largest of tzdata are below 4 KiB */
    NAME_MAX_BYTES = 64,
    MS_PER_DAY = 86400000,
    OFFSET_MAX_S = 26 * 3600, /* RFC 8536 asks for -25..26 hours */
};

struct transition {
    int64_t at_s;
    int32_t offset_s; /* from here on */
};

struct zone {
    char *name;
    int32_t first_offset_s; /* before the first transition */
    size_t count;
    struct transition *transitions; /* ascending */
    bool has_rule;                  /* after the last one; else the last one stays */
    struct posix_tz rule;
};

/* ---- TZif (RFC 8536) --------------------------------------------------------------- */

struct bytes {
    const unsigned char *at, *end;
};

/* The next n bytes, or NULL when there are fewer. */
static const unsigned char *take(struct bytes *b, size_t n)
{
    if ((size_t)(b->end - b->at) < n)
        return NULL;
    b->at += n;
    return b->at - n;
}

/* A signed big-endian number of 4 or 8 bytes. */
static int64_t big_endian(const unsigned char *bytes, size_t n)
{
    uint64_t value = bytes[0] & 0x80 ? UINT64_MAX : 0;
    for (size_t i = 0; i < n; i++)
        value = value << 8 | bytes[i];
    return (int64_t)value;
}

static bool offset_is_sane(int32_t offset_s)
{
    return offset_s >= -OFFSET_MAX_S && offset_s <= OFFSET_MAX_S;
}

struct header {
    int version;
    size_t isutcnt, isstdcnt, leapcnt, timecnt, typecnt, charcnt;
};

static bool take_header(struct bytes *b, struct header *h)
{
    const unsigned char *p = take(b, 44);
    if (!p || memcmp(p, "TZif", 4) != 0)
        return false;
    size_t *const counts[] = {&h->isutcnt, &h->isstdcnt, &h->leapcnt,
                              &h->timecnt, &h->typecnt,  &h->charcnt};
    h->version = p[4] ? p[4] - '0' : 1;
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        const int64_t count = big_endian(p + 20 + 4 * i, 4);
        if (count < 0 || count > FILE_MAX)
            return false;
        *counts[i] = (size_t)count;
    }
    return h->typecnt >= 1;
}

/* Skips what a data block holds besides transitions and types. */
static bool skip_tail(struct bytes *b, const struct header *h, size_t time_bytes)
{
    return take(b, h->charcnt + h->leapcnt * (time_bytes + 4) + h->isstdcnt + h->isutcnt);
}

static bool take_block(struct bytes *b, const struct header *h, size_t time_bytes,
                       struct zone *zone)
{
    const unsigned char *times = take(b, h->timecnt * time_bytes);
    const unsigned char *indexes = take(b, h->timecnt);
    const unsigned char *types = take(b, h->typecnt * 6);
    if (!times || !indexes || !types || !skip_tail(b, h, time_bytes))
        return false;
    zone->first_offset_s = (int32_t)big_endian(types, 4);
    zone->transitions = mem_new(h->timecnt, sizeof *zone->transitions);
    zone->count = h->timecnt;
    for (size_t i = 0; i < h->timecnt; i++) {
        struct transition *t = &zone->transitions[i];
        if (indexes[i] >= h->typecnt)
            return false;
        t->at_s = big_endian(times + i * time_bytes, time_bytes);
        t->offset_s = (int32_t)big_endian(types + indexes[i] * 6, 4);
        if (!offset_is_sane(t->offset_s) || (i > 0 && t->at_s <= t[-1].at_s))
            return false;
    }
    return offset_is_sane(zone->first_offset_s);
}

/* "\n" rule "\n"; an empty rule says nothing about the future. */
static bool take_rule(struct bytes *b, struct zone *zone)
{
    char rule[128];
    const unsigned char *start = take(b, 1);
    if (!start || *start != '\n')
        return false;
    const unsigned char *end = memchr(b->at, '\n', (size_t)(b->end - b->at));
    if (!end || (size_t)(end - b->at) >= sizeof rule)
        return false;
    const size_t len = (size_t)(end - b->at);
    memcpy(rule, b->at, len);
    rule[len] = '\0';
    zone->has_rule = len > 0;
    return len == 0 || posix_tz_parse(rule, &zone->rule);
}

static bool tzif_parse(struct bytes b, struct zone *zone)
{
    struct header h;
    if (!take_header(&b, &h))
        return false;
    if (h.version == 1)
        return h.leapcnt == 0 && take_block(&b, &h, 4, zone);
    /* The first block repeats the second with 32-bit times. */
    if (!take(&b, h.timecnt * 5 + h.typecnt * 6) || !skip_tail(&b, &h, 4) ||
        !take_header(&b, &h))
        return false;
    /* A table of leap seconds would make its times no POSIX times. */
    return h.leapcnt == 0 && take_block(&b, &h, 8, zone) && take_rule(&b, zone);
}

/* ---- loading ----------------------------------------------------------------------- */

/* Words of letters, digits, "_", "+" and "-" between slashes: no dots, so no "..". */
static bool name_is_safe(const char *name)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                  "0123456789_+-/";
    const size_t len = strlen(name);
    return len > 0 && len <= NAME_MAX_BYTES && strspn(name, allowed) == len &&
           name[0] != '/' && name[len - 1] != '/';
}

/* "+02:00" */
static bool parse_fixed(const char *name, int32_t *offset_s)
{
    static const char form[] = "+00:00";
    if (strlen(name) != strlen(form) || (name[0] != '+' && name[0] != '-'))
        return false;
    for (size_t i = 1; form[i]; i++)
        if (form[i] == '0' ? name[i] < '0' || name[i] > '9' : name[i] != form[i])
            return false;
    const int hours = (name[1] - '0') * 10 + (name[2] - '0');
    const int minutes = (name[4] - '0') * 10 + (name[5] - '0');
    *offset_s = (hours * 60 + minutes) * (name[0] == '-' ? -60 : 60);
    return hours <= 23 && minutes <= 59;
}

static int load_file(const char *name, struct zone *zone, struct err *err)
{
    const char *folder = getenv("TZDIR");
    char *path = mem_printf("%s/%s", folder ? folder : "/usr/share/zoneinfo", name);
    unsigned char *bytes = mem_new(FILE_MAX, 1);
    int result = -1;
    FILE *file = fopen(path, "rb");
    if (!file) {
        err_set(err, ERR_INVALID, "zone: must be a name of the tz database, got \"%s\"",
                name);
        goto out;
    }
    const size_t len = fread(bytes, 1, FILE_MAX, file);
    if (ferror(file)) { /* a folder opens, but cannot be read */
        if (errno == EISDIR)
            err_set(err, ERR_INVALID, "zone: must be a zone, not a group of them: \"%s\"",
                    name);
        else
            err_errno(err, "zone: cannot read %s", path);
        goto out;
    }
    if (!tzif_parse((struct bytes){bytes, bytes + len}, zone)) {
        err_set(err, ERR_CORRUPT, "zone: %s is no TZif file of POSIX times", path);
        goto out;
    }
    result = 0;
out:
    if (file)
        fclose(file);
    free(bytes);
    free(path);
    return result;
}

struct zone *zone_load(const char *name, struct err *err)
{
    struct zone *zone = mem_new(1, sizeof *zone);
    zone->name = mem_text(name);
    if (strcmp(name, "UTC") == 0 || parse_fixed(name, &zone->first_offset_s))
        return zone; /* one offset for ever */
    char quoted[TEXT_QUOTE_SIZE];
    if (!name_is_safe(name))
        err_set(err, ERR_INVALID,
                "zone: must be \"UTC\", an offset such as \"+02:00\" or a name of the tz "
                "database, got %s",
                text_quote(name, strlen(name), quoted));
    else if (load_file(name, zone, err) == 0)
        return zone;
    zone_free(zone);
    return NULL;
}

void zone_free(struct zone *zone)
{
    if (!zone)
        return;
    free(zone->transitions);
    free(zone->name);
    free(zone);
}

const char *zone_name(const struct zone *zone)
{
    return zone ? zone->name : "UTC";
}

/* ---- using ------------------------------------------------------------------------- */

int32_t zone_offset_s(const struct zone *zone, int64_t time_ms)
{
    if (!zone)
        return 0;
    const int64_t time_s = floor_div(time_ms, 1000);
    size_t low = 0, high = zone->count; /* transitions at or before time_s */
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (zone->transitions[middle].at_s <= time_s)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == zone->count && zone->has_rule)
        return posix_tz_offset_s(&zone->rule, time_s);
    return low ? zone->transitions[low - 1].offset_s : zone->first_offset_s;
}

int64_t zone_to_utc(const struct zone *zone, int64_t local_ms)
{
    /* No offset reaches a day and no zone changes twice in two, so these are the
     * offsets on both sides of a change that may be near. */
    const int64_t before_ms = zone_offset_s(zone, local_ms - MS_PER_DAY) * INT64_C(1000);
    const int64_t after_ms = zone_offset_s(zone, local_ms + MS_PER_DAY) * INT64_C(1000);
    const int64_t first = local_ms - before_ms, second = local_ms - after_ms;
    if (zone_offset_s(zone, first) * INT64_C(1000) == before_ms)
        return first;
    if (zone_offset_s(zone, second) * INT64_C(1000) == after_ms)
        return second;
    return first; /* skipped: read with the old offset, it lands behind the jump */
}
