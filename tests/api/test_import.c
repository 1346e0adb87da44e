/* SPDX-License-Identifier: GPL-2.0-or-later */
/* POST /v1/import: whole files, bad lines, gzip, sizes past one batch. */
#include "tests/api/fixture.h"

#include <dirent.h>
#include <pthread.h>

static struct answer import(const struct fixture *f, const char *query, const char *csv)
{
    char *const path = mem_printf("/v1/import?%s", query);
    struct answer a = post(f, path, csv);
    free(path);
    return a;
}

static void assert_no_spool(const struct fixture *f)
{
    DIR *const dir = opendir(f->folder);
    for (const struct dirent *at; (at = readdir(dir));)
        assert_true(strncmp(at->d_name, "import-", 7) != 0);
    closedir(dir);
}

static void test_wide(void **state)
{
    struct fixture *const f = *state;
    struct answer a = import(f, "format=wide",
                             "date,cpu,\"disk used\"\n"
                             "2026-01-01 00:00:00,1,2\n"
                             "2026-01-01 01:00:00,,4\n"
                             "2026-01-01 02:00:00,5,NaN\n");
    assert_status(a, 200);
    assert_int_equal(number(&a, "received"), 4);
    assert_int_equal(number(&a, "stored"), 4);
    assert_int_equal(number(&a, "series"), 2);
    answer_fini(&a);
    a = get(f, "/v1/samples?series=cpu");
    assert_int_equal(json_array_size(json_object_get(a.json, "samples")), 2);
    answer_fini(&a);
    a = import(f, "", "date,cpu\n2026-01-01T00:00:00Z,1\n2026-01-01T02:00:00Z,6\n");
    assert_int_equal(number(&a, "duplicate"), 1);
    assert_int_equal(number(&a, "replaced"), 1);
    answer_fini(&a);
    assert_no_spool(f);
}

static void test_long_zone_prefix(void **state)
{
    struct fixture *const f = *state;
    struct answer a = import(f, "format=long&zone=%2B02:00&prefix=lab_&history=true",
                             "series,time,value\ncpu,2026-01-01 02:00,1\n");
    assert_status(a, 200);
    answer_fini(&a);
    a = get(f, "/v1/samples?series=lab_cpu&format=csv");
    assert_status(a, 200);
    assert_non_null(strstr(a.body, "lab_cpu,2026-01-01T00:00:00Z,1\n"));
    answer_fini(&a);
}

static void test_refused(void **state)
{
    struct fixture *const f = *state;
    char many[1024] = "time";
    for (int i = 0; i < 80; i++)
        snprintf(many + strlen(many), sizeof many - strlen(many), ",c%d", i);
    strcat(many, "\n");
    static const char good[] = "time,cpu\n2026-01-01,1\n";
    const struct {
        const char *query, *csv, *text;
        int status;
        json_int_t line;
    } cases[] = {
        {"", "", "", 400, -1},
        {"", "time,cpu\n", "", 400, -1},
        {"", "time,cpu\n2026-01-01,1\n2026-01-02,abc\n",
         "value: must be a number in column \"cpu\", got \"abc\"", 400, 3},
        {"", "time,cpu\n2026-01-01,1\nnoon,2\n", "noon", 400, 3},
        {"", "time,cpu\n2026-01-01,1,2\n", "columns", 400, 2},
        {"", "time,cpu\n2026-01-01,1\n2027-01-01,1\n", "at most 10m ahead", 400, 3},
        {"", many, "64", 413, 1},
        {"format=xml", good, "format: must be one of wide, long, got xml", 400, -1},
        {"zone=Mars%2FBase", good, "zone", 400, -1},
        {"time_column=when", good, "when", 400, 1},
        {"history=yes", good, "history: must be one of false, true, got yes", 400, -1},
        {"step=1h", good, "step: is not a parameter", 400, -1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct answer a = import(f, cases[i].query, cases[i].csv);
        assert_status(a, cases[i].status);
        assert_non_null(strstr(a.head, "application/problem+json"));
        if (!strstr(member(&a, "detail"), cases[i].text))
            fail_msg("detail \"%s\" lacks \"%s\"", member(&a, "detail"), cases[i].text);
        assert_int_equal(number(&a, "line"), cases[i].line);
        answer_fini(&a);
    }
    assert_int_equal(samples_held(f), 0);
    assert_no_spool(f);
}

/* Three series, so many rows that the second pass makes several batches. */
static struct page_of_rows {
    char *text;
    size_t len;
} rows_new(size_t rows)
{
    struct page_of_rows page = {.text = mem_new(rows * 48 + 64, 1)};
    page.len = (size_t)snprintf(page.text, 64, "time,a,b,c\n");
    for (size_t i = 0; i < rows; i++)
        page.len += (size_t)snprintf(page.text + page.len, 48, "%zu,%zu,%zu,%zu\n",
                                     1700000000 + 60 * i, i, 2 * i, 3 * i);
    return page;
}

static void test_many_batches(void **state)
{
    struct fixture *const f = *state;
    const size_t rows = 60000;
    struct page_of_rows page = rows_new(rows);
    struct answer a = ask(f, "POST", "/v1/import", "", page.text, page.len);
    assert_status(a, 200);
    assert_int_equal(number(&a, "stored"), 3 * rows);
    answer_fini(&a);
    assert_int_equal(samples_held(f), 3 * rows);
    free(page.text);
}

struct sender {
    const struct fixture *fixture;
    struct page_of_rows page;
    const char *path;
    int status;
    json_int_t stored;
};

static void *send_file(void *ctx)
{
    struct sender *const s = ctx;
    struct answer a = ask(s->fixture, "POST", s->path, "", s->page.text, s->page.len);
    s->status = a.status;
    s->stored = number(&a, "stored");
    answer_fini(&a);
    return NULL;
}

/* A queue that takes one batch at a time: the others wait for their turn and lose
 * nothing, and two workers serve three files. */
static void test_backpressure(void **state)
{
    struct fixture *const f = *state;
    f->queue_samples_max = 90000;
    fixture_restart(f);
    struct sender senders[3];
    static const char *const paths[] = {"/v1/import?prefix=x", "/v1/import?prefix=y",
                                        "/v1/import?prefix=z"};
    pthread_t threads[3];
    for (size_t i = 0; i < 3; i++) {
        senders[i] =
            (struct sender){.fixture = f, .page = rows_new(40000), .path = paths[i]};
        pthread_create(&threads[i], NULL, send_file, &senders[i]);
    }
    for (size_t i = 0; i < 3; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(senders[i].status, 200);
        assert_int_equal(senders[i].stored, 120000);
        free(senders[i].page.text);
    }
    assert_int_equal(samples_held(f), 360000);
}

/* A queue shorter than a block of the file: batches are no longer than it. */
static void test_short_queue(void **state)
{
    struct fixture *const f = *state;
    f->queue_samples_max = 1000;
    fixture_restart(f);
    struct page_of_rows page = rows_new(4000);
    struct answer a = ask(f, "POST", "/v1/import", "", page.text, page.len);
    assert_status(a, 200);
    assert_int_equal(number(&a, "stored"), 12000);
    answer_fini(&a);
    assert_int_equal(samples_held(f), 12000);
    free(page.text);
}

/* The bad line stands at the end of a long file: its sender still gets the answer. */
static void test_late_bad_line(void **state)
{
    struct fixture *const f = *state;
    struct page_of_rows page = rows_new(40000);
    memcpy(page.text + page.len - 6, "broken", 6);
    struct answer a = ask(f, "POST", "/v1/import", "", page.text, page.len);
    assert_status(a, 400);
    assert_int_equal(number(&a, "line"), 40001);
    answer_fini(&a);
    memcpy(page.text + 20, "broken", 6); /* and early: the rest is read and dropped */
    a = ask(f, "POST", "/v1/import", "", page.text, page.len);
    assert_status(a, 400);
    assert_int_equal(number(&a, "line"), 2);
    answer_fini(&a);
    assert_int_equal(samples_held(f), 0);
    free(page.text);
}

static void test_gzip(void **state)
{
    struct fixture *const f = *state;
    static const char encoded[] = "Content-Encoding: gzip\r\n";
    struct page_of_rows page = rows_new(20000);
    unsigned char *const packed = mem_new(page.len, 1);
    const size_t len = gzip_pack(page.text, page.len, packed, page.len);
    struct answer a = ask(f, "POST", "/v1/import", encoded, packed, len);
    assert_status(a, 200);
    assert_int_equal(number(&a, "stored"), 60000);
    answer_fini(&a);
    a = ask(f, "POST", "/v1/import", encoded, packed, len / 2);
    assert_status(a, 400);
    answer_fini(&a);
    a = ask(f, "POST", "/v1/import", encoded, page.text, page.len);
    assert_problem(a, 400, "body", "is not gzip");
    answer_fini(&a);
    free(packed);
    free(page.text);
}

/* A kilobyte that unpacks into more than the limit. */
static void test_gzip_bomb(void **state)
{
    struct fixture *const f = *state;
    f->config.import_max = 1 << 20;
    fixture_restart(f);
    const size_t size = 4 << 20;
    char *const zeros = mem_new(size, 1);
    memset(zeros, '\n', size);
    unsigned char packed[16384];
    const size_t len = gzip_pack(zeros, size, packed, sizeof packed);
    struct answer a =
        ask(f, "POST", "/v1/import", "Content-Encoding: gzip\r\n", packed, len);
    assert_problem(a, 413, "body", "unpack to at most 1048576 bytes");
    answer_fini(&a);
    a = ask(f, "POST", "/v1/import", "", zeros, size);
    assert_problem(a, 413, "body", "at most 1048576 bytes");
    answer_fini(&a);
    free(zeros);
}

int main(void)
{
#define CASE(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        CASE(test_wide),         CASE(test_long_zone_prefix), CASE(test_refused),
        CASE(test_many_batches), CASE(test_backpressure),     CASE(test_late_bad_line),
        CASE(test_gzip),         CASE(test_gzip_bomb),        CASE(test_short_queue),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
