/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * csv.h -- samples out of comma-separated text, as it arrives.
 *
 * Three forms, all with a header line but `rows`:
 *
 *     wide   time,cpu,mem           one column a series, named by the header
 *     long   series,time,value      one row a sample; the three in any order
 *     rows   cpu,1.0,1.1,1.2        one series a row, no times: steps from `start_ms`
 *
 * In `wide` the first column is the time whatever its name, unless time_column names
 * another; in `long` that column is `time` or what time_column names.
 *
 * A column's name becomes a series as column.h says, `series_prefix` before it.
 * Two columns of `wide`, or two rows of `rows`, cannot be the same series.
 *
 * An empty field, "NaN", "NA" and "null" (in any case) are missing values and give no
 * sample; infinities and hexadecimal numbers are refused.  Quoted fields are RFC
 * 4180's; blank lines and a byte-order mark are skipped; lines end with LF or CRLF.
 *
 * The reader holds one line at a time, never the file.  Used by one thread.
 */
#ifndef CSV_H
#define CSV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/zone.h"

enum csv_form { CSV_WIDE, CSV_LONG, CSV_ROWS };

enum {
    CSV_MAX_COLUMNS_DEFAULT = 4096,
    CSV_MAX_LINE_BYTES = 1 << 20,
    CSV_MAX_SERIES = 1 << 20, /* in `long` and `rows` */
};

struct csv_options {
    enum csv_form form;
    const char *time_column;   /* NULL: the first */
    const char *series_prefix; /* NULL: none */
    const struct zone *zone;   /* of times without an offset; NULL: UTC */
    size_t max_columns;        /* 0: the default; `rows` has only the line's bound */
    int64_t start_ms, step_ms; /* `rows` only */
};

struct csv_sink {
    /* A series seen for the first time: its canonical name; ids count from 0. */
    int (*series)(void *ctx, size_t id, const char *name, struct err *err);
    /* One sample of it. */
    int (*sample)(void *ctx, size_t id, int64_t time_ms, double value, struct err *err);
    void *ctx;
};

struct csv_reader;

/* Never NULL.  What options and sink point to must outlive the reader; they themselves
 * are copied. */
struct csv_reader *csv_open(const struct csv_options *options,
                            const struct csv_sink *sink);
void csv_close(struct csv_reader *reader);

/*
 * Takes the next bytes.  -1 on the first bad line or a refusal of the sink:
 * "line 17: value: must be a number in column \"cpu\", got \"abc\"".  ERR_INVALID, or
 * ERR_TOO_LARGE past a limit above.  Nothing more is taken after that.
 */
int csv_push(struct csv_reader *reader, const char *bytes, size_t len, struct err *err);

/* The end of the file: takes a last line without a newline.  ERR_INVALID when there
 * was no header or no line of data. */
int csv_finish(struct csv_reader *reader, struct err *err);

/* Lines and samples so far, missing values not counted. */
uint64_t csv_lines(const struct csv_reader *reader);
uint64_t csv_samples(const struct csv_reader *reader);

/* "wide", "long" or "rows"; -1 for any other word. */
int csv_form_parse(const char *word);

/* Reads a whole file through a reader; the message names the file. */
int csv_read_file(const char *path, const struct csv_options *options,
                  const struct csv_sink *sink, struct err *err);

#endif
