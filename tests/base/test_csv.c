/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Files of tests/data/csv/valid have a .out with what the sink sees, those of invalid a
 * .err with a part of the message; the first word of a name is the form. */
#include "base/csv.h"

#include <glob.h>
#include <stdio.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/time.h"
#include "tests/check.h"

/* Everything a sink saw, as text. */
struct seen {
    char text[4096];
    size_t used;
    size_t series, samples;
};

static int on_series(void *ctx, size_t id, const char *name, struct err *err)
{
    (void)err;
    struct seen *seen = ctx;
    assert_int_equal(id, seen->series++);
    if (seen->used < sizeof seen->text)
        seen->used +=
            (size_t)snprintf(seen->text + seen->used, sizeof seen->text - seen->used,
                             "series %zu %s\n", id, name);
    return 0;
}

static int on_sample(void *ctx, size_t id, int64_t time_ms, double value, struct err *err)
{
    (void)err;
    struct seen *seen = ctx;
    char time[TIME_TEXT_SIZE];
    assert_true(id < seen->series && isfinite(value));
    seen->samples++;
    if (seen->used < sizeof seen->text)
        seen->used +=
            (size_t)snprintf(seen->text + seen->used, sizeof seen->text - seen->used,
                             "%zu %s %.15g\n", id, time_format(time_ms, time), value);
    return 0;
}

static struct csv_sink sink_of(struct seen *seen)
{
    return (struct csv_sink){on_series, on_sample, seen};
}

/* Pushes text in pieces of piece bytes. */
static int read_text(const struct csv_options *options, const char *text, size_t len,
                     size_t piece, struct seen *seen, struct err *err)
{
    *seen = (struct seen){0};
    const struct csv_sink sink = sink_of(seen);
    struct csv_reader *reader = csv_open(options, &sink);
    int result = 0;
    for (size_t at = 0; at < len && result == 0; at += piece)
        result = csv_push(reader, text + at, len - at < piece ? len - at : piece, err);
    if (result == 0)
        result = csv_finish(reader, err);
    if (result == 0)
        assert_int_equal(csv_samples(reader), seen->samples);
    csv_close(reader);
    return result;
}

static size_t slurp(const char *path, char *text, size_t size)
{
    FILE *file = fopen(path, "rb");
    if (!file)
        print_error("cannot open %s\n", path);
    assert_non_null(file);
    const size_t len = fread(text, 1, size - 1, file);
    text[len] = '\0';
    fclose(file);
    return len;
}

/* The form that the file's name begins with. */
static struct csv_options options_of(const char *path)
{
    const char *name = strrchr(path, '/') + 1;
    char word[8] = "";
    memcpy(word, name, 4);
    const int form = csv_form_parse(word);
    assert_true(form >= 0);
    return (struct csv_options){
        .form = (enum csv_form)form, .start_ms = 1577836800000, .step_ms = 3600000};
}

static void for_each_file(const char *pattern, const char *suffix,
                          void (*check)(const char *path, const char *text, size_t len,
                                        const char *expected))
{
    glob_t found;
    char text[4096], expected[4096], path[256];
    assert_int_equal(glob(pattern, 0, NULL, &found), 0);
    for (size_t i = 0; i < found.gl_pathc; i++) {
        const char *csv = found.gl_pathv[i];
        const size_t len = slurp(csv, text, sizeof text);
        snprintf(path, sizeof path, "%.*s%s", (int)(strlen(csv) - 4), csv, suffix);
        slurp(path, expected, sizeof expected);
        check(csv, text, len, expected);
    }
    globfree(&found);
}

static void check_valid(const char *path, const char *text, size_t len,
                        const char *expected)
{
    const struct csv_options options = options_of(path);
    for (size_t piece = 1; piece <= len; piece++) {
        struct err err = {0};
        struct seen seen;
        if (read_text(&options, text, len, piece, &seen, &err))
            print_error("%s: %s\n", path, err.msg);
        assert_int_equal(err.code, ERR_NONE);
        assert_string_equal(seen.text, expected);
    }
}

static void check_invalid(const char *path, const char *text, size_t len,
                          const char *expected)
{
    const struct csv_options options = options_of(path);
    char want[512];
    snprintf(want, sizeof want, "%.*s", (int)strcspn(expected, "\n"), expected);
    for (size_t piece = 1; piece <= len + 1; piece++) {
        struct err err = {0};
        struct seen seen;
        assert_int_equal(read_text(&options, text, len, piece, &seen, &err), -1);
        assert_int_equal(err.code, ERR_INVALID);
        if (!strstr(err.msg, want))
            print_error("%s: \"%s\" lacks \"%s\"\n", path, err.msg, want);
        assert_non_null(strstr(err.msg, want));
    }
}

static void valid_files(void **state)
{
    (void)state;
    for_each_file("tests/data/csv/valid/*.csv", ".out", check_valid);
}

static void invalid_files(void **state)
{
    (void)state;
    for_each_file("tests/data/csv/invalid/*.csv", ".err", check_invalid);
}

static void read_ok(const struct csv_options *options, const char *text, const char *want)
{
    struct err err = {0};
    struct seen seen;
    assert_ok(read_text(options, text, strlen(text), 7, &seen, &err), &err);
    assert_string_equal(seen.text, want);
}

static void options_hold(void **state)
{
    (void)state;
    struct err err = {0};
    struct seen seen;
    const char text[] = "cpu,when,0\n5,2026-03-29 02:30,6\n";
    struct zone *zone = zone_load("+02:00", &err);
    const struct csv_options options = {
        .time_column = "when", .series_prefix = "fx_", .zone = zone};
    read_ok(&options, text,
            "series 0 fx_cpu\nseries 1 fx_0\n0 2026-03-29T00:30:00Z 5\n"
            "1 2026-03-29T00:30:00Z 6\n");
    const struct csv_options absent = {.time_column = "at"};
    assert_err(read_text(&absent, text, strlen(text), 7, &seen, &err), &err, ERR_INVALID,
               "line 1: header: must have a column \"at\"");
    const struct csv_options other = {.form = CSV_LONG, .time_column = "at"};
    read_ok(&other, "at,series,value\n0,a,1\n", "series 0 a\n0 1970-01-01T00:00:00Z 1\n");
    /* a series with labels keeps its name */
    read_ok(&options, "when,\"a{b=\"\"c\"\"}\"\n0,1\n",
            "series 0 a{b=\"c\"}\n0 1970-01-01T00:00:00Z 1\n");
    zone_free(zone);
    assert_int_equal(csv_form_parse("tall"), -1);
}

static void limits_hold(void **state)
{
    (void)state;
    struct err err;
    struct seen seen;
    const struct csv_options three = {.max_columns = 3};
    assert_err(read_text(&three, "time,a,b,c,d\n", 13, 5, &seen, &err), &err,
               ERR_TOO_LARGE, "line 1: columns: must be at most 3, got 5");

    const size_t len = CSV_MAX_LINE_BYTES + 16;
    char *line = mem_new(len, 1);
    memset(line, 'x', len);
    memcpy(line, "time,a\n0,1\n", 11);
    const struct csv_options wide = {0};
    assert_err(read_text(&wide, line, len, 1000, &seen, &err), &err, ERR_TOO_LARGE,
               "line 3: length: must be at most 1048576 bytes");
    line[11] = '"'; /* a quote left open cannot hide newlines from the limit */
    for (size_t i = 100; i < len; i += 100)
        line[i] = '\n';
    assert_err(read_text(&wide, line, len, 1000, &seen, &err), &err, ERR_TOO_LARGE,
               "line 3: length:");

    memset(line, ',', len); /* the default number of columns */
    line[5000] = '\n';
    assert_err(read_text(&wide, line, 5001, 1000, &seen, &err), &err, ERR_TOO_LARGE,
               "columns: must be at most 4096, got 5001");
    free(line);

    const struct csv_options rows = {.form = CSV_ROWS, .step_ms = INT64_MAX / 2};
    assert_err(read_text(&rows, "a,1,2\n", 6, 6, &seen, &err), &err, ERR_INVALID,
               "line 1: time: value 2 lies outside the years");
}

static int refuse(void *ctx, size_t id, int64_t time_ms, double value, struct err *err)
{
    (void)id;
    (void)time_ms;
    (void)value;
    return ++*(int *)ctx == 2 ? err_set(err, ERR_BUSY, "store: full") : 0;
}

static int accept_series(void *ctx, size_t id, const char *name, struct err *err)
{
    (void)ctx;
    (void)id;
    (void)name;
    (void)err;
    return 0;
}

static void a_sink_can_refuse(void **state)
{
    (void)state;
    struct err err;
    int calls = 0;
    const struct csv_options options = {0};
    const struct csv_sink sink = {accept_series, refuse, &calls};
    struct csv_reader *reader = csv_open(&options, &sink);
    const char text[] = "time,a\n0,1\n60,2\n120,3\n";
    assert_err(csv_push(reader, text, strlen(text), &err), &err, ERR_BUSY,
               "line 3: store: full");
    assert_int_equal(calls, 2);
    assert_int_equal(csv_samples(reader), 1);
    assert_err(csv_push(reader, text, strlen(text), &err), &err, ERR_INVALID, "earlier");
    assert_err(csv_finish(reader, &err), &err, ERR_INVALID, "earlier");
    csv_close(reader);
    csv_close(NULL);
}

static void lines_are_counted(void **state)
{
    (void)state;
    struct err err = {0};
    struct seen seen = {0};
    const struct csv_options options = {0};
    const struct csv_sink sink = sink_of(&seen);
    struct csv_reader *reader = csv_open(&options, &sink);
    assert_ok(csv_push(reader, "time,a\n\n0,1\n60,", 15, &err), &err);
    assert_int_equal(csv_lines(reader), 3);
    assert_ok(csv_push(reader, "2", 1, &err), &err);
    assert_ok(csv_finish(reader, &err), &err);
    assert_int_equal(csv_lines(reader), 4);
    assert_int_equal(csv_samples(reader), 2);
    csv_close(reader);
}

static void missing_file_is_named(void **state)
{
    (void)state;
    struct err err;
    struct seen seen = {0};
    const struct csv_options options = {0};
    const struct csv_sink sink = sink_of(&seen);
    assert_err(csv_read_file("tests/data/csv/absent.csv", &options, &sink, &err), &err,
               ERR_IO, "tests/data/csv/absent.csv: cannot open: No such file");
    assert_err(
        csv_read_file("tests/data/csv/invalid/wide-inf.csv", &options, &sink, &err), &err,
        ERR_INVALID, "wide-inf.csv: line 2: value");
}

/* Public data that lies beside the project on the machines it is developed on. */
static void real_files(void **state)
{
    (void)state;
    static const struct {
        const char *path;
        size_t series, samples;
    } cases[] = {
        {"../shared/data/ETTh1.csv", 7, 17420 * 7},
        {"../shared/data/exchange_rate.csv", 8, (size_t)7588 * 8},
        {"../shared/data/ec2_cpu_utilization_5f5533.csv", 1, 4032},
        {"../shared/data/elb_request_count_8c0756.csv", 1, 4032},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (access(cases[i].path, R_OK)) {
            print_message("skipped: needs %s\n", cases[i].path);
            skip();
        }
        struct err err = {0};
        struct seen seen = {0};
        const struct csv_options options = {0};
        const struct csv_sink sink = sink_of(&seen);
        assert_ok(csv_read_file(cases[i].path, &options, &sink, &err), &err);
        assert_int_equal(seen.series, cases[i].series);
        assert_int_equal(seen.samples, cases[i].samples);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(valid_files),           cmocka_unit_test(invalid_files),
        cmocka_unit_test(options_hold),          cmocka_unit_test(limits_hold),
        cmocka_unit_test(a_sink_can_refuse),     cmocka_unit_test(lines_are_counted),
        cmocka_unit_test(missing_file_is_named), cmocka_unit_test(real_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
