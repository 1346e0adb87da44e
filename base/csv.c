/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/csv.h"

#include <csv.h>
#include <inttypes.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/column.h"
#include "base/mem.h"
#include "base/names.h"
#include "base/text.h"
#include "base/time.h"

/* A field of the present line: text + at, zero-terminated. */
struct field {
    size_t at, len;
};

struct csv_reader {
    struct csv_options options;
    struct csv_sink sink;
    struct csv_parser parser; /* libcsv's */
    locale_t c_locale;        /* a decimal point is a point */
    struct err *err;          /* of the present call */
    bool failed;

    uint64_t lines, samples;
    uint64_t row_line;  /* where the present row began */
    size_t line_bytes;  /* of the present row so far */
    size_t bom_matched; /* bytes of the byte-order mark; 3 once past it */

    /* The present row. */
    char *text;
    size_t text_used, text_room;
    struct field *fields;
    size_t field_count, field_room; /* field_count goes on past the limit */

    /* What the header said. */
    bool have_header, have_data;
    size_t columns;      /* of the header; 0 in `rows` */
    size_t column_time;  /* wide, long */
    size_t column_value; /* long */
    size_t column_series;
    char **column_names; /* as written, for messages */

    /* Series so far, by canonical name. */
    struct names names;
    char *last_written; /* long: the last row's series, which is mostly the next's */
    size_t last_id;
};

static size_t max_columns(const struct csv_reader *r)
{
    if (r->options.form == CSV_ROWS)
        return CSV_MAX_LINE_BYTES;
    return r->options.max_columns ? r->options.max_columns : CSV_MAX_COLUMNS_DEFAULT;
}

static const char *field_text(const struct csv_reader *r, size_t i)
{
    return r->text + r->fields[i].at;
}

/* ---- one field --------------------------------------------------------------------- */

static bool is_missing(const char *text)
{
    static const char *const words[] = {"", "nan", "na", "null"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strcasecmp(text, words[i]) == 0)
            return true;
    return false;
}

/* A finite decimal number and nothing else; strtod alone takes hexadecimal, "inf" and
 * leading spaces, too. */
static bool parse_number(const char *text, size_t len, locale_t locale, double *out)
{
    char *end;
    if (len == 0 || strspn(text, "0123456789+-.eE") != len)
        return false;
    *out = strtod_l(text, &end, locale);
    return end == text + len && isfinite(*out);
}

/* A value of series id; what ("column", "series") and its name are for the message. */
static int take_value(struct csv_reader *r, size_t field, size_t id, int64_t time_ms,
                      const char *what, const char *name)
{
    const char *text = field_text(r, field);
    const size_t len = r->fields[field].len;
    char quoted[TEXT_QUOTE_SIZE], quoted_name[TEXT_QUOTE_SIZE];
    double value;
    r->have_data = true;
    if (is_missing(text))
        return 0;
    if (!parse_number(text, len, r->c_locale, &value))
        return err_set(r->err, ERR_INVALID, "value: must be a number in %s %s, got %s",
                       what, text_quote(name, strlen(name), quoted_name),
                       text_quote(text, len, quoted));
    if (r->sink.sample(r->sink.ctx, id, time_ms, value, r->err))
        return -1;
    r->samples++;
    return 0;
}

static int take_time(struct csv_reader *r, int64_t *time_ms)
{
    char quoted[TEXT_QUOTE_SIZE];
    const size_t at = r->column_time;
    if (time_parse(field_text(r, at), r->fields[at].len, r->options.zone, time_ms,
                   r->err) == 0)
        return 0;
    const char *name = r->column_names[at];
    err_prefix(r->err, "column %s", text_quote(name, strlen(name), quoted));
    return -1;
}

/* ---- names of series --------------------------------------------------------------- */

/* The id of the series that a field names, announced to the sink if new. */
static int series_of(struct csv_reader *r, size_t field, size_t *id, bool *is_new)
{
    const char *prefix = r->options.series_prefix ? r->options.series_prefix : "";
    char canonical[LABELS_TEXT_MAX];
    if (column_series(prefix, field_text(r, field), r->fields[field].len, canonical,
                      r->err)) {
        err_prefix(r->err, "column %zu", field + 1);
        return -1;
    }
    *id = names_id(&r->names, canonical, is_new);
    if (*is_new && r->names.count > CSV_MAX_SERIES)
        return err_set(r->err, ERR_TOO_LARGE, "series: at most %d in one file are taken",
                       CSV_MAX_SERIES);
    return *is_new ? r->sink.series(r->sink.ctx, *id, canonical, r->err) : 0;
}

/* For forms where a series is named once. */
static int new_series_of(struct csv_reader *r, size_t field, size_t *id)
{
    bool is_new;
    char quoted[TEXT_QUOTE_SIZE];
    if (series_of(r, field, id, &is_new))
        return -1;
    if (is_new)
        return 0;
    return err_set(r->err, ERR_INVALID, "series: stands twice: %s",
                   text_quote(field_text(r, field), r->fields[field].len, quoted));
}

/* ---- headers ----------------------------------------------------------------------- */

static int find_column(struct csv_reader *r, const char *name, size_t *column)
{
    for (size_t i = 0; i < r->columns; i++) {
        if (strcmp(r->column_names[i], name) == 0) {
            *column = i;
            return 0;
        }
    }
    char quoted[TEXT_QUOTE_SIZE];
    return err_set(r->err, ERR_INVALID, "header: must have a column %s",
                   text_quote(name, strlen(name), quoted));
}

static int header_wide(struct csv_reader *r)
{
    size_t id;
    if (r->columns < 2)
        return err_set(r->err, ERR_INVALID,
                       "header: must have a time and a series, with a comma between");
    if (r->options.time_column && find_column(r, r->options.time_column, &r->column_time))
        return -1;
    for (size_t i = 0; i < r->columns; i++)
        if (i != r->column_time && new_series_of(r, i, &id))
            return -1;
    return 0;
}

static int header_long(struct csv_reader *r)
{
    const char *time = r->options.time_column ? r->options.time_column : "time";
    if (r->columns != 3)
        return err_set(r->err, ERR_INVALID,
                       "header: must have 3 columns in the long form, got %zu",
                       r->columns);
    return find_column(r, "series", &r->column_series) ||
                   find_column(r, time, &r->column_time) ||
                   find_column(r, "value", &r->column_value)
               ? -1
               : 0;
}

static int take_header(struct csv_reader *r)
{
    r->have_header = true;
    r->columns = r->field_count;
    r->column_names = mem_new(r->columns, sizeof *r->column_names);
    for (size_t i = 0; i < r->columns; i++)
        r->column_names[i] = mem_text(field_text(r, i));
    return r->options.form == CSV_WIDE ? header_wide(r) : header_long(r);
}

/* ---- rows -------------------------------------------------------------------------- */

static int row_wide(struct csv_reader *r)
{
    int64_t time_ms;
    if (take_time(r, &time_ms))
        return -1;
    size_t id = 0; /* counts the columns that are series */
    for (size_t i = 0; i < r->field_count; i++) {
        if (i == r->column_time)
            continue;
        if (take_value(r, i, id++, time_ms, "column", r->column_names[i]))
            return -1;
    }
    return 0;
}

static int row_long(struct csv_reader *r)
{
    int64_t time_ms;
    bool is_new;
    const char *series = field_text(r, r->column_series);
    if (!r->last_written || strcmp(r->last_written, series) != 0) {
        if (series_of(r, r->column_series, &r->last_id, &is_new))
            return -1;
        free(r->last_written);
        r->last_written = mem_text(series);
    }
    if (take_time(r, &time_ms))
        return -1;
    return take_value(r, r->column_value, r->last_id, time_ms, "series", series);
}

static int row_series(struct csv_reader *r)
{
    size_t id;
    if (new_series_of(r, 0, &id))
        return -1;
    const char *name = field_text(r, 0);
    for (size_t i = 1; i < r->field_count; i++) {
        int64_t time_ms;
        if (__builtin_mul_overflow((int64_t)(i - 1), r->options.step_ms, &time_ms) ||
            __builtin_add_overflow(time_ms, r->options.start_ms, &time_ms) ||
            time_ms < TIME_MIN_MS || time_ms > TIME_MAX_MS)
            return err_set(r->err, ERR_INVALID,
                           "time: value %zu lies outside the years 1 to 9999", i);
        if (take_value(r, i, id, time_ms, "series", name))
            return -1;
    }
    return 0;
}

static int take_row(struct csv_reader *r)
{
    if (r->field_count > max_columns(r))
        return err_set(r->err, ERR_TOO_LARGE, "columns: must be at most %zu, got %zu",
                       max_columns(r), r->field_count);
    for (size_t i = 0; i < r->field_count; i++)
        if (strlen(field_text(r, i)) != r->fields[i].len)
            return err_set(r->err, ERR_INVALID, "column %zu: must not have a zero byte",
                           i + 1);
    if (r->options.form == CSV_ROWS)
        return row_series(r);
    if (!r->have_header)
        return take_header(r);
    if (r->field_count != r->columns)
        return err_set(r->err, ERR_INVALID,
                       "columns: must be %zu as in the header, got %zu", r->columns,
                       r->field_count);
    return r->options.form == CSV_WIDE ? row_wide(r) : row_long(r);
}

/* ---- libcsv's callbacks ------------------------------------------------------------ */

static void on_field(void *bytes, size_t len, void *ctx)
{
    struct csv_reader *r = ctx;
    if (r->failed || ++r->field_count > max_columns(r))
        return;
    if (r->field_count > r->field_room) {
        r->field_room = r->field_room ? 2 * r->field_room : 64;
        r->fields = mem_resize(r->fields, r->field_room, sizeof *r->fields);
    }
    if (r->text_used + len + 1 > r->text_room) {
        r->text_room = 2 * (r->text_used + len + 1);
        r->text = mem_resize(r->text, r->text_room, 1);
    }
    if (len > 0)
        memcpy(r->text + r->text_used, bytes, len);
    r->text[r->text_used + len] = '\0';
    r->fields[r->field_count - 1] = (struct field){r->text_used, len};
    r->text_used += len + 1;
}

static int fail_at(struct csv_reader *r)
{
    r->failed = true;
    err_prefix(r->err, "line %" PRIu64, r->row_line);
    return -1;
}

static void on_row(int end, void *ctx)
{
    (void)end;
    struct csv_reader *r = ctx;
    if (!r->failed && take_row(r))
        fail_at(r);
    r->field_count = r->text_used = r->line_bytes = 0;
}

/* ---- the reader -------------------------------------------------------------------- */

struct csv_reader *csv_open(const struct csv_options *options,
                            const struct csv_sink *sink)
{
    struct csv_reader *r = mem_new(1, sizeof *r);
    r->options = *options;
    r->sink = *sink;
    r->row_line = 1;
    r->c_locale = newlocale(LC_ALL_MASK, "C", NULL);
    csv_init(&r->parser, CSV_STRICT | CSV_STRICT_FINI);
    csv_set_blk_size(&r->parser, 1 << 16); /* its own 128 make a long field quadratic */
    return r;
}

void csv_close(struct csv_reader *reader)
{
    if (!reader)
        return;
    for (size_t i = 0; i < reader->columns; i++)
        free(reader->column_names[i]);
    free(reader->column_names);
    names_fini(&reader->names);
    free(reader->last_written);
    free(reader->fields);
    free(reader->text);
    freelocale(reader->c_locale);
    csv_free(&reader->parser);
    free(reader);
}

/* Feeds bytes that hold at most one newline, at their end. */
static int push_piece(struct csv_reader *r, const char *bytes, size_t len)
{
    const bool newline = bytes[len - 1] == '\n';
    r->line_bytes += len;
    if (r->line_bytes > CSV_MAX_LINE_BYTES) {
        err_set(r->err, ERR_TOO_LARGE, "length: must be at most %d bytes",
                CSV_MAX_LINE_BYTES);
        return fail_at(r);
    }
    if (csv_parse(&r->parser, bytes, len, on_field, on_row, r) != len) {
        if (csv_error(&r->parser) == CSV_EPARSE)
            err_set(r->err, ERR_INVALID,
                    "quotes: must stand around a whole field, doubled inside it");
        else
            err_set(r->err, ERR_NO_MEMORY, "csv: cannot hold the line");
        return fail_at(r);
    }
    r->lines += newline;
    if (newline && !r->parser.quoted) { /* else the row goes on in the next line */
        r->row_line = r->lines + 1;
        r->line_bytes = 0;
    }
    return r->failed ? -1 : 0;
}

/* Skips a byte-order mark at the start of the file, however it is cut up. */
static int skip_bom(struct csv_reader *r, const char **bytes, size_t *len)
{
    static const char bom[] = "\xEF\xBB\xBF";
    while (*len > 0 && r->bom_matched < 3 && **bytes == bom[r->bom_matched]) {
        r->bom_matched++;
        ++*bytes;
        --*len;
    }
    if (*len == 0 || r->bom_matched == 3)
        return 0;
    const size_t matched = r->bom_matched;
    r->bom_matched = 3;
    return matched ? push_piece(r, bom, matched) : 0;
}

int csv_push(struct csv_reader *reader, const char *bytes, size_t len, struct err *err)
{
    reader->err = err;
    if (reader->failed)
        return err_set(err, ERR_INVALID, "csv: an earlier line was refused");
    if (skip_bom(reader, &bytes, &len))
        return -1;
    while (len > 0) {
        const char *newline = memchr(bytes, '\n', len);
        const size_t piece = newline ? (size_t)(newline - bytes) + 1 : len;
        if (push_piece(reader, bytes, piece))
            return -1;
        bytes += piece;
        len -= piece;
    }
    return 0;
}

int csv_finish(struct csv_reader *reader, struct err *err)
{
    reader->err = err;
    if (reader->failed)
        return err_set(err, ERR_INVALID, "csv: an earlier line was refused");
    if (reader->line_bytes > 0)
        reader->lines++;
    if (csv_fini(&reader->parser, on_field, on_row, reader)) {
        err_set(err, ERR_INVALID, "quotes: must be closed");
        return fail_at(reader);
    }
    if (reader->failed)
        return -1;
    if (!reader->have_header && reader->options.form != CSV_ROWS)
        return err_set(err, ERR_INVALID, "csv: must have a header line");
    if (!reader->have_data)
        return err_set(err, ERR_INVALID, "csv: must have a line of data");
    return 0;
}

uint64_t csv_lines(const struct csv_reader *reader)
{
    return reader->lines;
}

uint64_t csv_samples(const struct csv_reader *reader)
{
    return reader->samples;
}

int csv_form_parse(const char *word)
{
    static const char *const words[] = {
        [CSV_WIDE] = "wide", [CSV_LONG] = "long", [CSV_ROWS] = "rows"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strcmp(word, words[i]) == 0)
            return (int)i;
    return -1;
}

int csv_read_file(const char *path, const struct csv_options *options,
                  const struct csv_sink *sink, struct err *err)
{
    enum { CHUNK = 1 << 16 };
    FILE *file = fopen(path, "rb");
    if (!file)
        return err_errno(err, "%s: cannot open", path);
    struct csv_reader *reader = csv_open(options, sink);
    char *chunk = mem_new(CHUNK, 1);
    int result = 0;
    size_t len;
    while (result == 0 && (len = fread(chunk, 1, CHUNK, file)) > 0)
        result = csv_push(reader, chunk, len, err);
    if (result == 0)
        result = ferror(file) ? err_errno(err, "cannot read") : csv_finish(reader, err);
    if (result)
        err_prefix(err, "%s", path);
    free(chunk);
    csv_close(reader);
    fclose(file);
    return result;
}
