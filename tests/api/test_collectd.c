/* SPDX-License-Identifier: GPL-2.0-or-later */
/* POST /collectd: names as write_prometheus has them, and every status. */
#include "tests/api/books.h"

static const char dialect[] = "collectd";
static const char collectd_path[] = "/collectd";

#define LIST(values, types, names, rest)                                                 \
    "[{\"values\":" values ",\"dstypes\":" types ",\"dsnames\":" names                   \
    ",\"time\":1774785600.057,\"interval\":1.000,\"host\":\"web-1\"," rest "}]"

static void test_names(void **state)
{
    struct fixture *const f = *state;
    static const struct {
        const char *body, *series;
        double value;
    } cases[] = {
        {LIST("[0.12,0.2,0.3]", "[\"gauge\",\"gauge\",\"gauge\"]",
              "[\"shortterm\",\"midterm\",\"longterm\"]",
              "\"plugin\":\"load\",\"plugin_instance\":\"\",\"type\":\"load\","
              "\"type_instance\":\"\""),
         "collectd_load_midterm{instance=\"web-1\"}", 0.2},
        {LIST("[7]", "[\"derive\"]", "[\"value\"]",
              "\"plugin\":\"cpu\",\"plugin_instance\":\"0\",\"type\":\"cpu\","
              "\"type_instance\":\"idle\",\"meta\":{\"a\":true}"),
         "collectd_cpu_total{cpu=\"0\",instance=\"web-1\",type=\"idle\"}", 7},
        {LIST("[1e9]", "[\"gauge\"]", "[\"value\"]",
              "\"plugin\":\"memory\",\"plugin_instance\":\"\",\"type\":\"memory\","
              "\"type_instance\":\"free\""),
         "collectd_memory{instance=\"web-1\",memory=\"free\"}", 1e9},
        {LIST("[1,2]", "[\"counter\",\"counter\"]", "[\"rx\",\"tx\"]",
              "\"plugin\":\"interface\",\"plugin_instance\":\"eth0\",\"type\":"
              "\"if_octets\",\"type_instance\":\"\""),
         "collectd_interface_if_octets_tx_total{instance=\"web-1\",interface=\"eth0\"}",
         2},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct answer a = post(f, collectd_path, cases[i].body);
        assert_status(a, 200); /* 204 would be logged as a failure */
        answer_fini(&a);
        const struct sample got = only_sample(f, cases[i].series);
        assert_true(got.value == cases[i].value);
        assert_int_equal(got.time_ms, 1774785600057);
    }
    assert_books_close(f, dialect, 7);
}

#define PLUGIN "\"plugin\":\"p\",\"type\":\"t\""

static void test_partial(void **state)
{
    struct fixture *const f = *state;
    static const struct {
        int status;
        const char *list, *says;
        long received;
    } cases[] = {
        {200, LIST("[null,1]", "[]", "[]", PLUGIN), "stored", 2},
        {200, LIST("[]", "[]", "[]", PLUGIN), "stored", 0},
        {400, LIST("[3,\"x\"]", "[]", "[]", PLUGIN), "[0]: values[1]: must be a number",
         2},
        {400, LIST("7", "[]", "[]", PLUGIN), "values: must be a list", 1},
        {400, LIST("[1,2]", "[]", "[]", "\"type\":\"t\""), "plugin: is missing", 2},
        {400, LIST("[1]", "[]", "[]", "\"plugin\":\"p\",\"type\":3"),
         "type: must be a text", 1},
        {400, LIST("[1]", "[]", "[]", PLUGIN ",\"plugin_instance\":\"x\",\"host\":\"\""),
         "host: is missing", 1},
        {400, "[{\"values\":[1],\"time\":\"now\"}]", "time: must be a number", 1},
        {400, "[{\"values\":[1],\"time\":1e300}]", "time: must be a number", 1},
        {400, "[{\"values\":[1],\"time\":1774786201,\"host\":\"h\"," PLUGIN "}]",
         "must be at most 10m ahead", 1},
        {400, "[3]", "values: must be a list", 1},
        {400, "{}", "body: must be a list", 0},
        {400, "[", "body", 0},
        {400, "", "body", 0},
    };
    long received = 0;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct answer a = post(f, collectd_path, cases[i].list);
        assert_status(a, cases[i].status);
        assert_non_null(strstr(a.head, "text/plain"));
        if (!strstr(a.body, cases[i].says))
            fail_msg("case %zu: \"%s\" lacks \"%s\"", i, a.body, cases[i].says);
        answer_fini(&a);
        received += cases[i].received;
    }
    assert_int_equal(accepted(f, dialect, "stored"), 1);
    assert_int_equal(accepted(f, dialect, "replaced"), 1);
    assert_int_equal(rejected(f, dialect, "not_finite"), 1);
    assert_int_equal(rejected(f, dialect, "future"), 1);
    assert_books_close(f, dialect, received);
}

static void test_statuses(void **state)
{
    struct fixture *const f = *state;
    char *const large = mem_new(f->config.body_max + 1, 1);
    struct answer a = ask(f, "POST", collectd_path, "", large, f->config.body_max + 1);
    assert_status(a, 413);
    answer_fini(&a);
    free(large);
    a = ask(f, "POST", collectd_path, "Content-Encoding: br\r\n", "[]", 2);
    assert_status(a, 415);
    answer_fini(&a);
    a = get(f, collectd_path);
    assert_status(a, 405);
    answer_fini(&a);
    fixture_fill_head(f, 2);
    a = post(f, collectd_path, LIST("[1,2]", "[]", "[\"a\",\"b\"]", PLUGIN));
    assert_status(a, 503);
    assert_non_null(strcasestr(a.head, "\r\nRetry-After: "));
    answer_fini(&a);
    assert_books_close(f, dialect, 2);
}

int main(void)
{
#define CASE(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        CASE(test_names),
        CASE(test_partial),
        CASE(test_statuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
