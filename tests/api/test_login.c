/* SPDX-License-Identifier: GPL-2.0-or-later */
/* User and password, or a token: who gets in, where, and what the others are told. */
#include "tests/api/fixture.h"

static struct api_credentials both = {"sender", "s3cr:et \xc3\xa4", "t0ken"};
static struct api_credentials token_only = {.token = "t0ken"};
static struct api_credentials pair_only = {"sender", "s3cr:et \xc3\xa4", NULL};

static void ask_for(struct fixture *f, const struct api_credentials *credentials)
{
    f->config.credentials = credentials;
    fixture_restart(f);
}

/* "sender:s3cr:et ä" */
#define BASIC "Authorization: Basic c2VuZGVyOnMzY3I6ZXQgw6Q=\r\n"

static void test_ways(void **state)
{
    struct fixture *const f = *state;
    static const struct {
        const char *header;
        bool pair, token; /* which of them it is */
    } cases[] = {
        {"", false, false},
        {BASIC, true, false},
        {"authorization: basic  c2VuZGVyOnMzY3I6ZXQgw6Q=\r\n", true, false},
        {"Authorization: Basic c2VuZGVyOnMzY3I6ZXQgw6Q\r\n", false, false},
        {"Authorization: Basic !!!\r\n", false, false},
        {"Authorization: Basic \r\n", false, false},
        {"Authorization: Basic Og==\r\n", false, false},
        {"Authorization: Basic c2VuZGVy\r\n", false, false},
        {"Authorization: Basic dDBrZW4=\r\n", false, false},
        {"Authorization: Bearer t0ken\r\n", false, true},
        {"Authorization: Token t0ken\r\n", false, true},
        {"Authorization: Token sender:s3cr:et \xc3\xa4\r\n", true, false},
        {"Authorization: Bearer t0ken2\r\n", false, false},
        {"Authorization: Bearer t0ke\r\n", false, false},
        {"Authorization: Bearer\r\n", false, false},
        {"Authorization: t0ken\r\n", false, false},
        {"Authorization: Digest t0ken\r\n", false, false},
    };
    const struct api_credentials *const asked[] = {&both, &pair_only, &token_only};
    for (size_t k = 0; k < 3; k++) {
        ask_for(f, asked[k]);
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
            const bool in =
                (asked[k]->user && cases[i].pair) || (asked[k]->token && cases[i].token);
            struct answer a = ask(f, "GET", "/v1/series", cases[i].header, NULL, 0);
            if (a.status != (in ? 200 : 401))
                fail_msg("%zu, %s: %d", k, cases[i].header, a.status);
            if (!in)
                assert_non_null(strstr(a.head, asked[k]->user
                                                   ? "WWW-Authenticate: Basic realm="
                                                   : "WWW-Authenticate: Bearer realm="));
            answer_fini(&a);
        }
    }
}

/* Each dialect says 401 in its own way, and stores nothing. */
static void test_dialects(void **state)
{
    struct fixture *const f = *state;
    ask_for(f, &both);
    static const struct {
        const char *path, *body, *says;
        int status; /* with credentials */
    } cases[] = {
        {"/api/v1/write", "\0", "credentials are needed here\n", 204},
        {"/api/v1/push", "\0", "credentials are needed here\n", 204},
        {"/write", "m v=1", "{\"error\":\"credentials are needed here\"}", 204},
        {"/query?q=SHOW+DATABASES", "", "{\"error\":\"credentials", 200},
        {"/api/v2/write", "n v=1", "{\"code\":\"unauthorized\",\"message\":", 204},
        {"/collectd", "[]", "credentials are needed here\n", 200},
        {"/api/put?summary", "[]", "{\"error\":{\"code\":401,", 200},
        {"/v1/samples", "{}", "urn:frwkvd:problem:denied", 400},
        {"/v1/import", "x", "urn:frwkvd:problem:denied", 400},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const size_t len =
            *cases[i].body || cases[i].status != 204 ? strlen(cases[i].body) : 1;
        struct answer a = ask(f, "POST", cases[i].path, "", cases[i].body, len);
        assert_status(a, 401);
        assert_non_null(strstr(a.head, "WWW-Authenticate: Basic realm="));
        if (!strstr(a.body, cases[i].says))
            fail_msg("%s: \"%s\" lacks \"%s\"", cases[i].path, a.body, cases[i].says);
        answer_fini(&a);
    }
    assert_int_equal(samples_held(f), 0);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const size_t len =
            *cases[i].body || cases[i].status != 204 ? strlen(cases[i].body) : 1;
        struct answer a = ask(f, "POST", cases[i].path, BASIC, cases[i].body, len);
        assert_status(a, cases[i].status);
        answer_fini(&a);
    }
    assert_int_equal(samples_held(f), 2);
}

/* InfluxDB 1 may have them in the URL; health is everybody's. */
static void test_elsewhere(void **state)
{
    struct fixture *const f = *state;
    ask_for(f, &both);
    static const struct {
        const char *path;
        int status;
    } cases[] = {
        {"/query?q=SHOW+DATABASES&u=sender&p=s3cr:et%20%C3%A4", 200},
        {"/query?q=SHOW+DATABASES&u=sender&p=wrong", 401},
        {"/query?q=SHOW+DATABASES&u=sender", 401},
        {"/-/healthy", 200},
        {"/-/ready", 200},
        {"/ping", 204},
        {"/health", 200},
        {"/metrics", 401},
        {"/", 401},
        {"/nothing", 404},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct answer a = get(f, cases[i].path);
        assert_status(a, cases[i].status);
        answer_fini(&a);
    }
}

int main(void)
{
#define CASE(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        CASE(test_ways),
        CASE(test_dialects),
        CASE(test_elsewhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
