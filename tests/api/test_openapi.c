/* SPDX-License-Identifier: GPL-2.0-or-later */
/* GET /v1/openapi.yaml and the table of routes say the same: every route is described, and
 * nothing is that is no route.  A route is added to both. */
#include "tests/api/every_route.h"
#include "tests/api/fixture.h"

#include <ctype.h>

enum { OPERATIONS_MAX = 256 };

struct operation {
    char method[8], path[128], id[64], parameters[200]; /* "a, b" */
    bool responses, summary, names_in_path;
};

struct description {
    size_t count;
    struct operation at[OPERATIONS_MAX];
};

static size_t indent_of(const char *line)
{
    return strspn(line, " ");
}

/* The key of `  key: value`. */
static void key_of(const char *line, char *out, size_t room)
{
    const char *const key = line + indent_of(line);
    const char *end = strstr(key, ": ");
    end = end ? end : key + strlen(key) - 1;
    snprintf(out, room, "%.*s", (int)(end - key), key);
}

/* The name of a parameter: `- {name: as_of, in: query` or its reference, AsOf. */
static void add_parameter(const char *line, struct operation *operation)
{
    const char *at = strstr(line, "{name: ");
    at = at ? at + 7 : strstr(line, "/parameters/");
    assert_non_null(at);
    if (*at == '/')
        at += 12;
    char *out = operation->parameters + strlen(operation->parameters);
    if (out > operation->parameters)
        out = stpcpy(out, ", ");
    for (const char *const begin = at; isalnum((unsigned char)*at) || *at == '_'; at++) {
        assert_true(out < operation->parameters + sizeof operation->parameters - 2);
        if (isupper((unsigned char)*at) && at > begin)
            *out++ = '_';
        *out++ = (char)tolower((unsigned char)*at);
    }
    *out = '\0';
}

/* The operations, read as this file is laid out: paths two in, methods four. */
static void read_paths(char *yaml, struct description *out)
{
    bool inside = false, parameters = false, own = false;
    char path[128] = "", key[128], *rest = NULL;
    for (char *line = strtok_r(yaml, "\n", &rest); line;
         line = strtok_r(NULL, "\n", &rest)) {
        const size_t indent = indent_of(line);
        if (!line[indent] || line[indent] == '#')
            continue;
        key_of(line, key, sizeof key);
        if (indent == 0) {
            inside = !strcmp(line, "paths:");
        } else if (inside && indent == 2) {
            memcpy(path, key, sizeof path);
            parameters = false;
        } else if (inside && indent == 4 && !strcmp(key, "parameters")) {
            parameters = true;
        } else if (inside && indent == 4) {
            assert_true(out->count < OPERATIONS_MAX);
            struct operation *const operation = &out->at[out->count++];
            for (size_t i = 0; key[i] && i < sizeof operation->method - 1; i++)
                operation->method[i] = (char)(key[i] - 'a' + 'A');
            memcpy(operation->path, path, sizeof path);
            operation->names_in_path = parameters;
        } else if (inside && indent == 6 && out->count) {
            struct operation *const operation = &out->at[out->count - 1];
            own = !strcmp(key, "parameters");
            operation->responses |= !strcmp(key, "responses");
            operation->summary |= !strcmp(key, "summary");
            if (!strcmp(key, "operationId"))
                snprintf(operation->id, sizeof operation->id, "%s",
                         strstr(line, ": ") + 2);
        } else if (inside && own && indent == 8 && out->count) {
            add_parameter(line, &out->at[out->count - 1]);
        }
    }
}

static const struct operation *find(const struct description *d, const char *method,
                                    const char *path)
{
    for (size_t i = 0; i < d->count; i++)
        if (!strcmp(d->at[i].method, method) && !strcmp(d->at[i].path, path))
            return &d->at[i];
    return NULL;
}

static void test_both_ways(void **state)
{
    const struct fixture *const f = *state;
    struct answer a = get(f, "/v1/openapi.yaml");
    assert_status(a, 200);
    assert_non_null(strstr(a.head, "Content-Type: application/yaml\r\n"));
    assert_non_null(strstr(a.body, "\nopenapi: 3.1.0\n"));
    struct description *const d = mem_new(1, sizeof *d);
    read_paths(a.body, d);
    for (size_t r = 0; r < routes_count(); r++) {
        const struct route *const route = routes_at(r);
        const struct operation *const operation = find(d, route->method, route->pattern);
        if (!operation)
            fail_msg("%s %s is not in api/openapi.yaml", route->method, route->pattern);
    }
    for (size_t i = 0; i < d->count; i++) {
        const struct operation *const operation = &d->at[i];
        size_t r = 0;
        while (r < routes_count() && (strcmp(routes_at(r)->method, operation->method) ||
                                      strcmp(routes_at(r)->pattern, operation->path)))
            r++;
        if (r == routes_count())
            fail_msg("api/openapi.yaml has %s %s, which is no route", operation->method,
                     operation->path);
        if (!operation->responses || !operation->summary || !*operation->id)
            fail_msg("%s %s lacks responses, summary or operationId", operation->method,
                     operation->path);
        assert_true(operation->names_in_path == (strchr(operation->path, '{') != NULL));
        for (size_t k = 0; k < i; k++)
            assert_string_not_equal(d->at[k].id, operation->id);
    }
    assert_int_equal(d->count, routes_count());
    free(d);
    answer_fini(&a);
}

/* Each route under /v1 names its parameters to who gives it another; the description has
 * the same, in the same order. */
static void test_parameters(void **state)
{
    const struct fixture *const f = *state;
    struct answer a = put(f, "/v1/forecasters/1", "{\"select\":\"x\",\"step\":\"1h\"}");
    assert_status(a, 201);
    answer_fini(&a);
    a = get(f, "/v1/openapi.yaml");
    struct description *const d = mem_new(1, sizeof *d);
    read_paths(a.body, d);
    answer_fini(&a);
    size_t asked = 0;
    for (size_t i = 0; i < d->count; i++) {
        const struct operation *const operation = &d->at[i];
        if (strncmp(operation->path, "/v1", 3))
            continue;
        char *const path = route_path(operation->path);
        char *const wanted =
            mem_printf("another: is not a parameter of this route, which has %s",
                       *operation->parameters ? operation->parameters : "none");
        char *const other = mem_printf("%s?another=1", path);
        a = ask(f, operation->method, other, "", NULL, 0);
        if (a.status != 400 || strcmp(member(&a, "field"), "another") != 0 ||
            strcmp(member(&a, "detail"), wanted) != 0)
            fail_msg("%s %s: %s, described: %s", operation->method, operation->path,
                     a.body, wanted);
        answer_fini(&a);
        free(other);
        free(wanted);
        free(path);
        asked++;
    }
    assert_true(asked > 25);
    free(d);
}

/* What is built in is the file, byte for byte. */
static void test_whole(void **state)
{
    const struct fixture *const f = *state;
    FILE *const file = fopen("api/openapi.yaml", "r");
    assert_non_null(file);
    char *const text = mem_new(1 << 20, 1);
    text[fread(text, 1, (1 << 20) - 1, file)] = '\0';
    fclose(file);
    struct answer a = get(f, "/v1/openapi.yaml");
    assert_string_equal(a.body, text);
    free(text);
    answer_fini(&a);
}

int main(void)
{
#define SERVED(test)                                                                     \
    cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {SERVED(test_both_ways), SERVED(test_parameters),
                                       SERVED(test_whole)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
