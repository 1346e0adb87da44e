/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "daemon/terminal.h"

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/time.h"

bool terminal_utf8(void)
{
    static const char *const names[] = {"LC_ALL", "LC_CTYPE", "LANG"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const char *const value = getenv(names[i]);
        if (value && *value) /* the first that is set decides, as in setlocale() */
            return strcasestr(value, "utf-8") || strcasestr(value, "utf8");
    }
    return false;
}

size_t terminal_columns(void)
{
    enum { LEAST = 40, USUAL = 80, MOST = 160 };
    struct winsize size;
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) || size.ws_col == 0)
        return USUAL;
    return size.ws_col < LEAST ? LEAST : size.ws_col > MOST ? MOST : size.ws_col;
}

/* ---- progress ---------------------------------------------------------------------- */

static int64_t pause_ms(bool tty)
{
    return tty ? 100 : 5000;
}

/* What is over at once shows nothing. */
struct progress progress_start(void)
{
    const bool tty = isatty(STDERR_FILENO) != 0;
    return (struct progress){.tty = tty, .next_ms = time_monotonic_ms() + pause_ms(tty)};
}

void progress_show(struct progress *progress, const char *format, ...)
{
    const int64_t now_ms = time_monotonic_ms();
    if (now_ms < progress->next_ms)
        return;
    progress->next_ms = now_ms + pause_ms(progress->tty);
    if (progress->tty)
        fputs("\r\033[K", stderr);
    va_list args;
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    if (!progress->tty)
        fputc('\n', stderr);
    fflush(stderr);
    progress->open = progress->tty;
}

void progress_end(struct progress *progress)
{
    if (progress->open)
        fputs("\r\033[K", stderr);
    progress->open = false;
}

/* ---- tables ------------------------------------------------------------------------ */

enum { COLUMNS_MAX = 24 };

struct table {
    size_t columns, cells, room;
    bool right[COLUMNS_MAX];
    size_t width[COLUMNS_MAX];
    char **cell; /* the headings are the first row */
};

/* Characters, not bytes, of UTF-8 text. */
static size_t text_width(const char *text)
{
    size_t width = 0;
    for (; *text; text++)
        width += ((unsigned char)*text & 0xC0U) != 0x80U;
    return width;
}

static void cell_take(struct table *t, char *text)
{
    if (t->cells == t->room) {
        t->room = 2 * t->room + 64;
        t->cell = mem_resize(t->cell, t->room, sizeof *t->cell);
    }
    const size_t column = t->cells % t->columns, width = text_width(text);
    if (width > t->width[column])
        t->width[column] = width;
    t->cell[t->cells++] = text;
}

struct table *table_new(const char *heading, ...)
{
    struct table *const t = mem_new(1, sizeof *t);
    const char *headings[COLUMNS_MAX];
    va_list args;
    va_start(args, heading);
    for (const char *h = heading; h && t->columns < COLUMNS_MAX;
         h = va_arg(args, const char *))
        headings[t->columns++] = h;
    va_end(args);
    for (size_t i = 0; i < t->columns; i++) {
        t->right[i] = headings[i][0] == '>';
        cell_take(t, mem_text(headings[i] + t->right[i]));
    }
    return t;
}

void table_free(struct table *table)
{
    if (!table)
        return;
    for (size_t i = 0; i < table->cells; i++)
        free(table->cell[i]);
    free(table->cell);
    free(table);
}

void table_add(struct table *table, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    cell_take(table, mem_text(text));
}

void table_add_number(struct table *table, int digits, double value)
{
    table_add(table, isnan(value) ? "-" : "%.*f", digits, value);
}

void table_add_percent(struct table *table, int digits, double share)
{
    table_add(table, isnan(share) ? "-" : "%.*f %%", digits, 100 * share);
}

void table_print(const struct table *table, FILE *out)
{
    for (size_t i = 0; i < table->cells; i++) {
        const size_t column = i % table->columns;
        const bool last = column + 1 == table->columns;
        const int pad = (int)(table->width[column] - text_width(table->cell[i]));
        if (table->right[column])
            fprintf(out, "  %*s%s", pad, "", table->cell[i]);
        else /* no blanks at the end of a line */
            fprintf(out, "  %s%*s", table->cell[i], last ? 0 : pad, "");
        if (last)
            fputc('\n', out);
    }
}

const char *number_text(double value, char text[static NUMBER_TEXT_SIZE])
{
    static const struct {
        double size;
        const char *letter;
    } units[] = {{1e12, "T"}, {1e9, "G"}, {1e6, "M"}};
    const double size = fabs(value);
    if (isnan(value))
        return "-";
    if (size >= 1e16 || (size != 0 && size < 1e-4)) {
        snprintf(text, NUMBER_TEXT_SIZE, "%.3e", value);
        return text;
    }
    const char *letter = "";
    for (size_t i = 0; !*letter && i < sizeof units / sizeof units[0]; i++)
        if (size >= units[i].size) {
            value /= units[i].size;
            letter = units[i].letter;
        }
    const double left = fabs(value);
    const int digits = left >= 1000  ? 0
                       : left >= 100 ? 1
                       : left >= 10  ? 2
                       : left >= 1   ? 3
                                     : 4;
    snprintf(text, NUMBER_TEXT_SIZE, "%.*f%s", digits, value, letter);
    return text;
}
