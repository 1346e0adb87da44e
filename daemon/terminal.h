/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * terminal.h -- text for people: a line of progress, and tables.
 *
 * Progress goes to stderr: one line that rewrites itself on a terminal, a plain line now
 * and then elsewhere.  Used by one thread.
 */
#ifndef TERMINAL_H
#define TERMINAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* Whether the locale of the environment says UTF-8 (LC_ALL, LC_CTYPE, LANG). */
bool terminal_utf8(void);

/* Columns of the terminal behind stdout; 80 where there is none, 40 to 160. */
size_t terminal_columns(void);

struct progress {
    bool tty;
    bool open;       /* a line without its newline stands on the terminal */
    int64_t next_ms; /* not before this instant of the monotonic clock */
};

struct progress progress_start(void);
/* Shows a line, unless the last one is too fresh: ten a second on a terminal, else one
 * in five seconds. */
void progress_show(struct progress *progress, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Clears the line: what is printed next stands alone. */
void progress_end(struct progress *progress);

/*
 * A table whose columns are as wide as their widest cell, numbers to the right.
 *
 *     struct table *t = table_new("candidate", ">mse", ">mae", NULL);
 *     table_add(t, "%s", name); table_add(t, "%.3f", mse); table_add(t, "%.3f", mae);
 *     table_print(t, stdout);
 *     table_free(t);
 *
 * A heading that begins with ">" aligns its column to the right.
 */
struct table;
struct table *table_new(const char *heading, ...) __attribute__((sentinel));
void table_free(struct table *table);
/* The next cell, row by row. */
void table_add(struct table *table, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* The same of a number, with so many digits behind the point, and of a share, "81.6 %";
 * "-" where it is NaN. */
void table_add_number(struct table *table, int digits, double value);
void table_add_percent(struct table *table, int digits, double share);
/* Two spaces before each line. */
void table_print(const struct table *table, FILE *out);

/* A number with about four digits that matter: "0.0123", "41.27", "8512", "1.204G".
 * "-" when missing. */
enum { NUMBER_TEXT_SIZE = 32 };
const char *number_text(double value, char text[static NUMBER_TEXT_SIZE]);

#endif
