/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/check.h"

#include <stdio.h>

#include "base/log.h"
#include "base/rng.h"
#include "daemon/config.h"
#include "storage/storage.h"

static int read_text(const char *text, size_t len, struct config *config, struct err *err)
{
    /* An empty memory stream cannot be opened. */
    FILE *const file = len ? fmemopen((void *)(uintptr_t)text, len, "r") : tmpfile();
    assert_non_null(file);
    const int result = config_read(file, "x.conf", config, err);
    fclose(file);
    return result;
}

static char *written(const struct config *config)
{
    char *text = NULL;
    size_t len = 0;
    FILE *const out = open_memstream(&text, &len);
    config_write(config, out);
    fclose(out);
    return text;
}

static void options_go_where_they_belong(void **state)
{
    (void)state;
    static const char text[] = "# a comment\n"
                               "[server]\n"
                               "listen = [::1]:8080 ; another\n"
                               "max_body = 2M\n"
                               "max_future = 0\n"
                               "timeout=90s\n"
                               "[store]\n"
                               "  folder = /tmp/a\n"
                               "durability = normal\n"
                               "[log]\n"
                               "level = debug\n";
    struct config config;
    struct err err = {0};
    assert_ok(read_text(text, sizeof text - 1, &config, &err), &err);
    assert_string_equal(config.listen, "[::1]:8080");
    assert_int_equal(config.body_max, 2 << 20);
    assert_int_equal(config.future_max_ms, 0);
    assert_int_equal(config.timeout_ms, 90000);
    assert_string_equal(config.folder, "/tmp/a");
    assert_int_equal(config.durability, DURABILITY_NORMAL);
    assert_int_equal(config.log_level, LOG_LEVEL_DEBUG);
    assert_int_equal(config.columns_max, 4096); /* untouched: its default */
    assert_string_equal(config.path, "x.conf");
}

static void values_go_on_in_indented_lines(void **state)
{
    (void)state;
    static const char text[] = "[store]\nfolder = /a\n\tb\n  c\ndurability = normal\n";
    struct config config;
    struct err err = {0};
    assert_ok(read_text(text, sizeof text - 1, &config, &err), &err);
    assert_string_equal(config.folder, "/a b c");
    assert_int_equal(config.durability, DURABILITY_NORMAL);
}

static void refusals_name_file_line_and_reason(void **state)
{
    (void)state;
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"[server]\nport = 1\n",
         "x.conf: line 2: port: no such option in [server]; frwkvd.conf(5) lists them"},
        {"[nets]\nlisten = a:1\n",
         "x.conf: line 2: [nets]: no such section; frwkvd.conf(5) lists them"},
        {"listen = a:1\n", "x.conf: line 1: listen: must stand under a [section]"},
        {"\n\n[server]\nthreads = 0\n", "x.conf: line 4: threads: must be 1..64, got 0"},
        {"[server]\nthreads = 65\n[log]\n", "line 2: threads: must be 1..64, got 65"},
        {"[server]\nthreads = two\n", "threads: must be a whole number, got \"two\""},
        {"[server]\nthreads = 2x\n", "threads: must be a whole number, got \"2x\""},
        {"[server]\nthreads =\n", "line 2: threads: must be a whole number, got \"\""},
        {"[server]\nthreads = 99999999999999999999\n", "threads: must be a whole number"},
        {"[server]\nmax_body = 1T\n", "max_body: must be a number of bytes"},
        {"[server]\nmax_body = 9223372036854775807G\n",
         "max_body: must be a number of bytes"},
        {"[server]\nmax_body = 1\n", "max_body: must be 1K..1G, got 1"},
        {"[server]\ntimeout = 5\n", "timeout: must be a duration such as 30s"},
        {"[server]\ntimeout = 2h\n", "timeout: must be 1s..1h, got 2h"},
        {"[server]\nlisten = 9797\n", "listen: must be host:port"},
        {"[server]\nlisten = a:99999\n", "listen: must be host:port"},
        {"[store]\ndurability = none\n",
         "durability: must be one of full, normal, got \"none\""},
        {"[store]\nfolder =\n", "line 2: folder: must have 1..199 bytes, got 0"},
        {"[server]\nthreads = 2\nthreads = 3\n", "line 3: threads: given twice"},
        {"[server\nthreads = 2\n", "line 1: must be \"key = value\", \"[section]\""},
        {"[server]\nnonsense\nthreads = 2\n", "line 2: must be \"key = value\""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct config config;
        struct err err = {0};
        const size_t len = strlen(cases[i].text);
        assert_err(read_text(cases[i].text, len, &config, &err), &err, ERR_INVALID,
                   cases[i].message);
    }
}

/* inih would make keys out of what stands behind byte 199. */
static void long_lines_are_refused_by_number(void **state)
{
    (void)state;
    for (size_t len = 150; len < 500; len++) {
        char text[600];
        const int head = snprintf(text, sizeof text, "[store]\nfolder = /");
        memset(text + head, 'x', len);
        memcpy(text + head + len, "\n", 2);
        struct config config;
        struct err err = {0};
        const size_t line = strlen("folder = /") + len;
        if (line <= 198) {
            assert_ok(read_text(text, strlen(text), &config, &err), &err);
            assert_int_equal(strlen(config.folder), len + 1);
        } else {
            assert_err(read_text(text, strlen(text), &config, &err), &err, ERR_INVALID,
                       "x.conf: line 2: ");
        }
    }
}

static void a_zero_byte_is_refused(void **state)
{
    (void)state;
    static const char text[] = "[server]\nthreads = 2\0 3\n";
    struct config config;
    struct err err = {0};
    assert_err(read_text(text, sizeof text - 1, &config, &err), &err, ERR_INVALID,
               "line 2");
}

static void an_empty_file_gives_the_defaults(void **state)
{
    (void)state;
    struct config config, defaults;
    struct err err = {0};
    assert_ok(read_text("", 0, &config, &err), &err);
    config_defaults(&defaults);
    memset(config.path, 0, sizeof config.path);
    assert_memory_equal(&config, &defaults, sizeof config);
}

static void what_is_written_reads_back(void **state)
{
    (void)state;
    static const char text[] = "[server]\nmax_import=3G\ntimeout=61s\nmax_future = 0\n"
                               "[store]\nlate_after=2d\n[train]\nthreads=7\n";
    struct config config, again;
    struct err err = {0};
    assert_ok(read_text(text, sizeof text - 1, &config, &err), &err);
    char *const out = written(&config);
    assert_ok(read_text(out, strlen(out), &again, &err), &err);
    assert_memory_equal(&config, &again, sizeof config);
    assert_non_null(strstr(out, "max_import = 3G\n"));
    free(out);
}

static void the_sample_file_shows_every_default(void **state)
{
    (void)state;
    FILE *const file = fopen("etc/frwkvd.conf", "r");
    assert_non_null(file);
    static char sample[1 << 16];
    const size_t len = fread(sample, 1, sizeof sample - 1, file);
    fclose(file);
    sample[len] = '\0';
    struct config defaults;
    config_defaults(&defaults);
    char *const want = written(&defaults);
    /* The head of the sample is for its reader. */
    const char *const table = strstr(sample, "[server]");
    assert_non_null(table);
    assert_string_equal(table, want);
    free(want);
}

/* Bytes changed at random: read, or refused with a line that exists. */
static void damage_is_read_or_refused(void **state)
{
    (void)state;
    struct config config;
    config_defaults(&config);
    char *const whole = written(&config);
    const size_t len = strlen(whole);
    char *const damaged = malloc(len);
    for (uint32_t round = 0; round < 2000; round++) {
        const struct rng_stream stream = {.seed = 1, .step = round};
        memcpy(damaged, whole, len);
        for (uint64_t i = 0; i <= round % 5; i++) {
            const struct rng_block block = rng_at(stream, i);
            static const char bytes[] = "\n\0 =[];#:9\t\xff";
            damaged[block.word[0] % len] = bytes[block.word[1] % sizeof bytes];
        }
        struct err err = {0};
        if (read_text(damaged, len, &config, &err) == 0)
            continue;
        assert_int_equal(err.code, ERR_INVALID);
        assert_memory_equal(err.msg, "x.conf: line ", 13);
        const long line = strtol(err.msg + 13, NULL, 10);
        assert_in_range(line, 1, 200);
    }
    free(damaged);
    free(whole);
}

static void a_missing_file_is_an_error(void **state)
{
    (void)state;
    struct config config;
    struct err err = {0};
    assert_err(config_load("/nonexistent/x.conf", &config, &err), &err, ERR_IO,
               "/nonexistent/x.conf: No such file");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_go_where_they_belong),
        cmocka_unit_test(values_go_on_in_indented_lines),
        cmocka_unit_test(refusals_name_file_line_and_reason),
        cmocka_unit_test(long_lines_are_refused_by_number),
        cmocka_unit_test(a_zero_byte_is_refused),
        cmocka_unit_test(an_empty_file_gives_the_defaults),
        cmocka_unit_test(what_is_written_reads_back),
        cmocka_unit_test(the_sample_file_shows_every_default),
        cmocka_unit_test(damage_is_read_or_refused),
        cmocka_unit_test(a_missing_file_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
