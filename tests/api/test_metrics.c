/* SPDX-License-Identifier: GPL-2.0-or-later */
/* GET /metrics as a reader of each format takes it apart. */
#include "tests/api/issued.h"

enum { FAMILIES_MAX = 128 };

static const char openmetrics[] =
    "Accept: application/openmetrics-text;version=1.0.0,text/plain;q=0.5\r\n";

/* Every sample stands under its own family, and each family comes once, with its help. */
static void check_families(char *text, bool open)
{
    char family[128] = "", type[16] = "", seen[FAMILIES_MAX][128];
    size_t families = 0, samples = 0;
    char *rest = NULL;
    for (char *line = strtok_r(text, "\n", &rest); line;
         line = strtok_r(NULL, "\n", &rest)) {
        if (!strcmp(line, "# EOF")) {
            assert_true(open);
            assert_int_equal(*rest, '\0');
        } else if (!strncmp(line, "# HELP ", 7)) {
            assert_true(families < FAMILIES_MAX);
            assert_int_equal(sscanf(line, "# HELP %127s", family), 1);
            if (strstr(line, "Operating figure of the store."))
                fail_msg("%s has no help in api/metrics_figures.c", family);
            assert_true(strlen(line) > 7 + strlen(family) + 1);
            for (size_t i = 0; i < families; i++)
                assert_string_not_equal(seen[i], family);
            memcpy(seen[families++], family, sizeof family);
        } else if (!strncmp(line, "# TYPE ", 7)) {
            char named[128];
            assert_int_equal(sscanf(line, "# TYPE %127s %15s", named, type), 2);
            assert_string_equal(named, family);
            const size_t len = strlen(family);
            if (!strcmp(type, "counter"))
                assert_int_equal(len > 6 && !strcmp(family + len - 6, "_total"), !open);
        } else {
            const size_t len = strlen(family);
            const char *suffix = line + len;
            assert_int_equal(strncmp(line, family, len), 0);
            if (!strcmp(type, "counter") && open) {
                assert_int_equal(strncmp(suffix, "_total", 6), 0);
                suffix += 6;
            } else if (!strcmp(type, "histogram")) {
                suffix += strcspn(suffix, "{ ");
            }
            assert_true(*suffix == '{' || *suffix == ' ');
            char *end = NULL;
            strtod(strrchr(line, ' ') + 1, &end);
            assert_true(*end == '\0');
            samples++;
        }
    }
    assert_true(families > 35 && samples > 100);
}

static void test_text(void **state)
{
    struct fixture *const f = *state;
    struct answer a = get(f, "/v1/series");
    answer_fini(&a);
    forecaster_make(f, "web", "{\"select\": \"cpu\", \"step\": \"1h\"}");
    issue_put(f, (struct issuing){"web", FIXTURE_NOW, FIXTURE_NOW, HOUR_MS, 2,
                                  .series = (const char *const[]){"cpu", NULL}});
    /* Forecasters do not write over each other's. */
    forecaster_make(f, "db", "{\"select\": \"db\", \"step\": \"1h\"}");
    issue_put(f, (struct issuing){"db", FIXTURE_NOW - 5000, FIXTURE_NOW, HOUR_MS, 2,
                                  .series = (const char *const[]){"db", NULL}});
    a = get(f, "/metrics");
    assert_status(a, 200);
    assert_non_null(
        strstr(a.head, "Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"));
    static const char *const wanted[] = {
        "\nfrwkvd_forecasters 2\n",
        "\nfrwkvd_forecast_issued_timestamp_seconds{forecaster=\"db\"} 1774785595\n",
        "\nfrwkvd_forecast_issued_timestamp_seconds{forecaster=\"web\"} 1774785600\n",
        "\nfrwkvd_storage_commit_duration_seconds_bucket{le=\"1.0\"} ",
        "\nfrwkvd_storage_queue_samples 0\n",
        "\nfrwkvd_storage_wal_bytes ",
        "\nfrwkvd_http_requests_total{route=\"/v1/"
        "series\",method=\"GET\",status=\"200\"} 1\n",
        "\nprocess_resident_memory_bytes ",
        "\nprocess_open_fds ",
    };
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++)
        if (!strstr(a.body, wanted[i]))
            fail_msg("lacks %s", wanted[i]);
    /* Without a model nothing is said of one. */
    assert_null(strstr(a.body, "frwkvd_model_version{"));
    check_families(a.body, false);
    answer_fini(&a);
}

static void test_openmetrics(void **state)
{
    struct fixture *const f = *state;
    struct answer a = get(f, "/v1/series");
    answer_fini(&a);
    a = ask(f, "GET", "/metrics", openmetrics, NULL, 0);
    assert_status(a, 200);
    assert_non_null(strstr(a.head, "Content-Type: application/openmetrics-text; "
                                   "version=1.0.0; charset=utf-8\r\n"));
    assert_non_null(strstr(a.body, "\n# TYPE frwkvd_http_requests counter\n"));
    assert_string_equal(a.body + strlen(a.body) - 7, "\n# EOF\n");
    check_families(a.body, true);
    answer_fini(&a);
    /* At weight 0 it is what is not wanted. */
    a = ask(f, "GET", "/metrics", "Accept: application/openmetrics-text;q=0\r\n", NULL,
            0);
    assert_non_null(strstr(a.head, "Content-Type: text/plain"));
    answer_fini(&a);
}

static void test_gzip(void **state)
{
    struct fixture *const f = *state;
    struct answer a = ask(f, "GET", "/metrics", "Accept-Encoding: gzip\r\n", NULL, 0);
    assert_status(a, 200);
    assert_non_null(strstr(a.head, "Content-Encoding: gzip\r\n"));
    const size_t len = strtoull(strstr(a.head, "Content-Length: ") + 16, NULL, 10);
    z_stream z = {.next_in = (Bytef *)a.body, .avail_in = (uInt)len};
    char *const text = mem_new(1 << 20, 1);
    z.next_out = (Bytef *)text;
    z.avail_out = (1 << 20) - 1;
    assert_int_equal(inflateInit2(&z, 16 + MAX_WBITS), Z_OK);
    assert_int_equal(inflate(&z, Z_FINISH), Z_STREAM_END);
    inflateEnd(&z);
    assert_true(z.total_out > len);
    check_families(text, false);
    free(text);
    answer_fini(&a);
}

int main(void)
{
#define SERVED(test)                                                                     \
    cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        SERVED(test_text),
        SERVED(test_openmetrics),
        SERVED(test_gzip),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
