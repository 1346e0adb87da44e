/* SPDX-License-Identifier: GPL-2.0-or-later */
/* InfluxDB's lines by both versions: what they become, and every status. */
#include "tests/api/books.h"

static const char dialect[] = "influx";

static struct answer write_v1(const struct fixture *f, const char *query,
                              const char *lines)
{
    char *const path = mem_printf("/write%s", query);
    const struct answer a = post(f, path, lines);
    free(path);
    return a;
}

/* One line, the series it becomes and its value there. */
static void test_lines(void **state)
{
    struct fixture *const f = *state;
    static const struct {
        const char *line, *series;
        double value;
    } cases[] = {
        {"cpu v=1", "cpu_v", 1},
        {"  cpu,host=a v2=1.5e3\r", "cpu_v2{host=\"a\"}", 1500},
        {"m,b=2,a=1 i=-7i", "m_i{a=\"1\",b=\"2\"}", -7},
        {"m u=18446744073709551615u", "m_u", 18446744073709551615.0},
        {"m t=t", "m_t", 1},
        {"m tt=True", "m_tt", 1},
        {"m ff=FALSE", "m_ff", 0},
        {"m s=\"a, b=c \\\" d\",after=4", "m_after", 4},
        {"esc\\ aped\\,m,t\\ ag=v\\=al\\,ue f\\ ield=2",
         "{__name__=\"esc aped,m_f ield\",t_ag=\"v=al,ue\"}", 2},
        {"back\\slash v=3", "{__name__=\"back\\\\slash_v\"}", 3},
        {"dash,ho-st=1,2x=3 v=5", "dash_v{_x=\"3\",ho_st=\"1\"}", 5},
        {"uml\xc3\xa4ut v=6", "{__name__=\"uml\xc3\xa4ut_v\"}", 6},
        {"m,db=own v=7", "m_v{db=\"own\"}", 7},
        {"small v=1e-400", "small_v", 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct answer a = write_v1(f, "", cases[i].line);
        assert_status(a, 204);
        assert_non_null(strstr(a.head, "X-Influxdb-Version: "));
        assert_string_equal(a.body, "");
        answer_fini(&a);
        const struct sample got = only_sample(f, cases[i].series);
        assert_true(got.value == cases[i].value);
        assert_int_equal(got.time_ms, FIXTURE_NOW);
    }
    assert_int_equal(rejected(f, dialect, "not_number"), 1);
}

static void test_precision(void **state)
{
    struct fixture *const f = *state;
    static const struct {
        const char *precision, *time;
        int64_t time_ms;
    } cases[] = {
        {"", "1774785600123456789", 1774785600123},
        {"ns", "-1", -1},
        {"n", "1774785600123456789", 1774785600123},
        {"us", "1774785600123456", 1774785600123},
        {"u", "1774785600123999", 1774785600123},
        {"ms", "1774785600123", 1774785600123},
        {"s", "1774785600", 1774785600000},
        {"m", "29579760", 1774785600000},
        {"h", "492996", 1774785600000},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char query[60], line[80], series[40];
        snprintf(query, sizeof query, "?db=x&precision=%s", cases[i].precision);
        snprintf(line, sizeof line, "m%zu v=1 %s \n", i, cases[i].time);
        snprintf(series, sizeof series, "m%zu_v{db=\"x\"}", i);
        struct answer a = write_v1(f, query, line);
        assert_status(a, 204);
        answer_fini(&a);
        assert_int_equal(only_sample(f, series).time_ms, cases[i].time_ms);
    }
}

/* A line that cannot be read does not take the others with it, and is shown. */
static void test_bad_lines(void **state)
{
    struct fixture *const f = *state;
    static const struct {
        const char *line, *says;
    } cases[] = {
        {"bad line here", "unable to parse 'bad line here': invalid field format"},
        {"m", "missing fields"},
        {"m,host=a", "missing fields"},
        {",host=a v=1", "missing measurement"},
        {"m,host v=1", "missing tag value"},
        {"m,host= v=1", "missing tag value"},
        {"m,=a v=1", "missing tag value"},
        {"m v=", "missing field value"},
        {"m =1", "invalid field format"},
        {"m v=1,", "invalid field format"},
        {"m v=1x", "invalid number"},
        {"m v=1.5i", "invalid number"},
        {"m v=-1u", "invalid number"},
        {"m v=99999999999999999999i", "invalid number"},
        {"m v=1e999", "invalid number"},
        {"m v=0x10", "invalid number"},
        {"m v=NaN", "invalid boolean"},
        {"m v=inf", "invalid boolean"},
        {"m v=maybe", "invalid boolean"},
        {"m v=\"open", "unbalanced quotes"},
        {"m v=1 soon", "bad timestamp"},
        {"m v=1 1 2", "bad timestamp"},
        {"m v=1 99999999999999999999", "bad timestamp"},
    };
    const size_t count = sizeof cases / sizeof *cases;
    for (size_t i = 0; i < count; i++) {
        char *const lines =
            mem_printf("# a comment\n\ngood v=1 %zu\n%s\n", i, cases[i].line);
        struct answer a = write_v1(f, "?precision=ms", lines);
        free(lines);
        assert_status(a, 400);
        if (!strstr(member(&a, "error"), cases[i].says))
            fail_msg("%s: \"%s\" lacks \"%s\"", cases[i].line, member(&a, "error"),
                     cases[i].says);
        assert_non_null(strstr(member(&a, "error"), "partial write: "));
        assert_non_null(strstr(member(&a, "error"), " dropped=1"));
        assert_non_null(strstr(a.head, "X-Influxdb-Error: partial write: "));
        answer_fini(&a);
    }
    assert_int_equal(samples_held(f), count);
    assert_books_close(f, dialect, (long)(2 * count));
}

/* What can be read but not stored. */
static void test_refused_values(void **state)
{
    struct fixture *const f = *state;
    static const char lines[] = "good v=1 1774785600000\n"
                                "ahead v=1 1774786200001\n"
                                "far v=1 9223372036854775807\n"
                                "m,a\xff=b,t=\xfe v=1,w=2\n"
                                "m,a=1,a=2 v=1\n";
    struct answer a = write_v1(f, "?precision=ms", lines);
    assert_status(a, 400);
    assert_non_null(strstr(member(&a, "error"), "line 2\": time: must be at most 10m"));
    assert_non_null(strstr(member(&a, "error"), "dropped=5"));
    answer_fini(&a);
    assert_int_equal(rejected(f, dialect, "future"), 1);
    assert_int_equal(rejected(f, dialect, "invalid"), 4);
    assert_books_close(f, dialect, 6);
    assert_int_equal(samples_held(f), 1);
    /* Version 2 has a status for it. */
    a = post(f, "/api/v2/write?bucket=b&precision=ms", lines);
    assert_status(a, 422);
    assert_string_equal(member(&a, "code"), "unprocessable entity");
    assert_non_null(strstr(member(&a, "message"), "5 of 6 values were refused"));
    answer_fini(&a);
    assert_true(only_sample(f, "good_v{db=\"b\"}").value == 1);
    assert_books_close(f, dialect, 12);
}

/* Version 2 takes a request whole or, with an unreadable line, not at all. */
static void test_v2(void **state)
{
    struct fixture *const f = *state;
    static const char encoded[] = "Content-Encoding: gzip\r\nAuthorization: Token t\r\n";
    static const char lines[] = "cpu,host=a v=1 1774785600\ncpu,host=b v=2 1774785600";
    unsigned char packed[400];
    const size_t len = gzip_pack(lines, strlen(lines), packed, sizeof packed);
    struct answer a =
        ask(f, "POST", "/api/v2/write?org=o&bucket=b&precision=s", encoded, packed, len);
    assert_status(a, 204);
    answer_fini(&a);
    assert_true(only_sample(f, "cpu_v{db=\"b\",host=\"b\"}").value == 2);
    a = post(f, "/api/v2/write?bucket=b", "more v=1\nbad line here\nmore v=2");
    assert_status(a, 400);
    assert_string_equal(member(&a, "code"), "invalid");
    assert_non_null(strstr(member(&a, "message"), "unable to parse 'bad line here'"));
    answer_fini(&a);
    assert_int_equal(samples_held(f), 2);
    assert_int_equal(rejected(f, dialect, "invalid"), 3);
    assert_books_close(f, dialect, 5);
}

static void test_statuses(void **state)
{
    struct fixture *const f = *state;
    /* Any database is there. */
    struct answer a = write_v1(f, "?db=nope&rp=&consistency=all&u=x&p=y", "m v=1");
    assert_status(a, 204);
    answer_fini(&a);
    a = write_v1(f, "?precision=fortnight", "m v=1");
    assert_status(a, 400);
    assert_non_null(strstr(member(&a, "error"), "precision: must be one of"));
    answer_fini(&a);
    a = post(f, "/api/v2/write?precision=fortnight", "m v=1");
    assert_status(a, 400);
    assert_non_null(strstr(member(&a, "message"), "precision: must be one of"));
    answer_fini(&a);
    char *const large = mem_new(f->config.body_max + 1, 1);
    static const char *const paths[] = {"/write", "/api/v2/write"};
    static const char *const keys[] = {"error", "message"};
    for (size_t i = 0; i < 2; i++) {
        a = ask(f, "POST", paths[i], "", large, f->config.body_max + 1);
        assert_status(a, 413);
        assert_non_null(strstr(member(&a, keys[i]), "at most 1048576 bytes"));
        answer_fini(&a);
        a = ask(f, "POST", paths[i], "Content-Encoding: br\r\n", "x", 1);
        assert_status(a, 415);
        assert_non_null(strstr(member(&a, keys[i]), "must be gzip or identity"));
        answer_fini(&a);
        a = get(f, paths[i]);
        assert_status(a, 405);
        answer_fini(&a);
    }
    free(large);
    fixture_fill_head(f, 3);
    for (size_t i = 0; i < 2; i++) {
        a = post(f, paths[i], "m v=1 1\nm v=2 2\nm v=3 3");
        assert_status(a, 503);
        assert_non_null(strcasestr(a.head, "\r\nRetry-After: "));
        assert_non_null(strstr(member(&a, keys[i]), "memory for samples is full"));
        answer_fini(&a);
    }
    a = get(f, "/health");
    assert_status(a, 503);
    assert_string_equal(member(&a, "status"), "fail");
    answer_fini(&a);
    a = get(f, "/api/v2/buckets");
    assert_status(a, 404);
    answer_fini(&a);
}

/* What clients say before they write. */
static void test_handshakes(void **state)
{
    struct fixture *const f = *state;
    struct answer a = ask(f, "HEAD", "/ping", "", NULL, 0);
    assert_status(a, 204);
    assert_non_null(strstr(a.head, "X-Influxdb-Version: 1.8"));
    assert_non_null(strstr(a.head, "X-Influxdb-Build: frwkvd"));
    answer_fini(&a);
    a = ask(f, "GET", "/ping", "Content-Encoding: gzip\r\n", NULL, 0);
    assert_status(a, 204);
    answer_fini(&a);
    a = get(f, "/health");
    assert_status(a, 200);
    assert_string_equal(member(&a, "status"), "pass");
    answer_fini(&a);
}

/* What the shell asks, and what it makes USE of. */
static void test_databases(void **state)
{
    struct fixture *const f = *state;
    static const char *const policies = "\"series\":[{\"columns\":[\"name\",\"default\"],"
                                        "\"values\":[[\"autogen\",true]]}]";
    static const struct {
        const char *method, *path, *body, *results;
    } cases[] = {
        {"GET", "/query?q=SHOW+DATABASES", "", "[[\"stored\"]]"},
        {"POST", "/query?q=create%20database+%22x%20y%22&db=", "", NULL},
        {"POST", "/query", "q=CREATE+DATABASE%20y+WITH+DURATION+1d;&db=%", NULL},
        {"POST", "/query", "q=CREATE+DATABASE%20y", NULL},
        {"GET", "/query?q=%20show+databases%20;", "", "[[\"x y\"],[\"y\"],[\"stored\"]]"},
    };
    struct answer a = write_v1(f, "?db=stored", "m v=1,w=2");
    assert_status(a, 204);
    answer_fini(&a);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        a = ask(f, cases[i].method, cases[i].path, "", cases[i].body,
                strlen(cases[i].body));
        assert_status(a, 200);
        assert_non_null(strstr(a.head, "X-Influxdb-Version: 1.8"));
        char *const want =
            cases[i].results
                ? mem_printf(",\"series\":[{\"name\":\"databases\",\"columns\":"
                             "[\"name\"],\"values\":%s}]",
                             cases[i].results)
                : mem_text("");
        char *const whole = mem_printf("{\"results\":[{\"statement_id\":0%s}]}\n", want);
        assert_string_equal(a.body, whole);
        answer_fini(&a);
        free(whole);
        free(want);
    }
    a = get(f, "/query?q=SHOW+RETENTION+POLICIES+ON+%22x%22;show+retention+policies");
    assert_status(a, 200);
    char *const both = mem_printf("{\"results\":[{\"statement_id\":0,%s},"
                                  "{\"statement_id\":1,%s}]}\n",
                                  policies, policies);
    assert_string_equal(a.body, both);
    free(both);
    answer_fini(&a);
}

/* What it has no answer to is said, the rest of a request too. */
static void test_other_statements(void **state)
{
    struct fixture *const f = *state;
    static const char *const queries[] = {
        "",
        "q=",
        "q=SELECT+1",
        "q=SHOW+MEASUREMENTS",
        "q=SHOW+DATABASESX",
        "q=SHOW+DATABASES+LIMIT+1",
        "q=SHOW+DATABASES%0aUSE+x",
        "q=SHOW+DATABASES;SELECT+1",
        "q=SHOW+RETENTION+POLICIES+ON",
        "q=CREATE+DATABASE",
        "q=CREATE+DATABASE+%22x",
        "q=CREATE+DATABASE+%22%ff%22",
        "q=CREATE%00",
    };
    for (size_t i = 0; i < sizeof queries / sizeof *queries; i++) {
        struct answer a = post(f, "/query", queries[i]);
        assert_status(a, 400);
        if (strncmp(member(&a, "error"), "q: ", 3) && !strstr(queries[i], "%00"))
            fail_msg("%s: %s", queries[i], member(&a, "error"));
        answer_fini(&a);
    }
    struct answer a = post(f, "/query", "q=SELECT+1");
    assert_non_null(strstr(member(&a, "error"), "q: must be CREATE DATABASE"));
    assert_non_null(strstr(member(&a, "error"), "/v1/forecasters"));
    answer_fini(&a);
    for (int i = 0; i <= 1000; i++) {
        char query[60];
        snprintf(query, sizeof query, "q=CREATE+DATABASE+many_%d", i);
        a = post(f, "/query", query);
        assert_status(a, i < 1000 ? 200 : 400);
        answer_fini(&a);
    }
}

int main(void)
{
#define CASE(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        CASE(test_lines),          CASE(test_precision), CASE(test_bad_lines),
        CASE(test_refused_values), CASE(test_v2),        CASE(test_statuses),
        CASE(test_handshakes),     CASE(test_databases), CASE(test_other_statements),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
