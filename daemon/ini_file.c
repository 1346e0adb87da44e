/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "daemon/ini_file.h"

#include <ini.h>
#include <stdbool.h>
#include <string.h>

enum {
    VALUE_MAX = 4096,     /* of one option, its continuation lines included */
    LINE_BYTES_MAX = 198, /* inih's 200 less newline and end: it splits longer ones */
    WORD_MAX = LINE_BYTES_MAX + 1,
};

/* We hand inih its lines ourselves, and a value waits here until a line comes that does
 * not continue it. */
struct reading {
    FILE *file;
    ini_file_key *each;
    void *ctx;
    struct err *err;
    int line;      /* of the line last handed out */
    int err_line;  /* of the first refusal; 0: none */
    bool indented; /* the line last handed out begins with a blank */
    bool waits;
    int waiting_line;
    char section[WORD_MAX], key[WORD_MAX], value[VALUE_MAX];
};

static void refuse(struct reading *r, int line)
{
    if (!r->err_line)
        r->err_line = line;
}

static char *next_line(char *line, int size, void *ctx)
{
    struct reading *const r = ctx;
    if (r->err_line || !fgets(line, size, r->file))
        return NULL;
    r->line++;
    r->indented = line[0] == ' ' || line[0] == '\t';
    const size_t len = strcspn(line, "\n");
    if (len > LINE_BYTES_MAX || (!line[len] && !feof(r->file))) {
        err_set(
            r->err, ERR_INVALID,
            "longer than %d bytes, or holds a zero byte: put the rest of the value on "
            "an indented line",
            LINE_BYTES_MAX);
        refuse(r, r->line);
        return NULL;
    }
    return line;
}

static void value_hand_out(struct reading *r)
{
    if (r->waits && !r->err_line &&
        r->each(r->ctx, r->section, r->key, r->value, r->waiting_line, r->err))
        refuse(r, r->waiting_line);
    r->waits = false;
}

static int value_go_on(struct reading *r, const char *value)
{
    const size_t used = strlen(r->value);
    const int more = snprintf(r->value + used, VALUE_MAX - used, " %s", value);
    if (more >= 0 && (size_t)more < VALUE_MAX - used)
        return 0;
    refuse(r, r->line);
    return err_set(r->err, ERR_INVALID, "%s: must have less than %d bytes", r->key,
                   VALUE_MAX);
}

/* Returns 1 to go on, as inih wants it. */
static int take(void *ctx, const char *section, const char *key, const char *value)
{
    struct reading *const r = ctx;
    if (r->indented && r->waits && strcmp(r->key, key) == 0)
        return value_go_on(r, value) == 0;
    value_hand_out(r);
    if (r->err_line)
        return 0;
    if (!*section) {
        err_set(r->err, ERR_INVALID, "%s: must stand under a [section]", key);
        refuse(r, r->line);
        return 0;
    }
    r->waits = true;
    r->waiting_line = r->line;
    snprintf(r->section, sizeof r->section, "%s", section);
    snprintf(r->key, sizeof r->key, "%s", key);
    snprintf(r->value, sizeof r->value, "%s", value);
    return 1;
}

int ini_file_read(FILE *file, const char *name, ini_file_key *each, void *ctx,
                  struct err *err)
{
    struct err reason = {0};
    struct reading r = {.file = file, .each = each, .ctx = ctx, .err = &reason};
    const int bad_line = ini_parse_stream(next_line, &r, take, &r);
    value_hand_out(&r);
    if (ferror(file))
        return err_errno(err, "%s", name);
    /* inih goes on behind a line it cannot read: the first of both counts. */
    if (r.err_line && (bad_line <= 0 || bad_line >= r.err_line))
        return err_set(err, reason.code, "%s: line %d: %s", name, r.err_line, reason.msg);
    if (bad_line > 0)
        return err_set(err, ERR_INVALID,
                       "%s: line %d: must be \"key = value\", \"[section]\" or a comment",
                       name, bad_line);
    if (bad_line < 0)
        return err_set(err, ERR_NO_MEMORY, "%s: no memory to read it", name);
    return 0;
}
