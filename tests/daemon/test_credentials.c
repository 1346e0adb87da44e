/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The file of credentials: where it is looked for, and what it may hold. */
#include "tests/check.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "daemon/credentials.h"

static char folder[] = "/tmp/frwkvd-credentials-XXXXXX";

static char *file_write(const char *name, const char *text, mode_t mode)
{
    char *const path = mem_printf("%s/%s", folder, name);
    FILE *const file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
    assert_int_equal(chmod(path, mode), 0);
    return path;
}

static int load(const char *name, struct credentials *out, struct err *err)
{
    struct config config;
    config_defaults(&config);
    snprintf(config.path, sizeof config.path, "%s/frwkvd.conf", folder);
    snprintf(config.credentials, sizeof config.credentials, "%s", name);
    return credentials_load(&config, out, err);
}

static void what_it_holds(void **state)
{
    (void)state;
    struct credentials got;
    struct err err = {0};
    char *const path = file_write("all",
                                  "# who may\n\n user=a b \npassword =  p=;#\" q\t\r\n"
                                  "token = t\n",
                                  0640);
    assert_ok(load(path, &got, &err), &err);
    assert_true(got.given);
    assert_string_equal(got.api.user, "a b");
    assert_string_equal(got.api.password, "p=;#\" q");
    assert_string_equal(got.api.token, "t");
    free(path);
    free(file_write("token", "token=only", 0400));
    assert_ok(load("token", &got, &err), &err); /* beside the configuration */
    assert_null(got.api.user);
    assert_string_equal(got.api.token, "only");
    assert_ok(load("none", &got, &err), &err);
    assert_false(got.given);
}

static void what_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text, *says;
        mode_t mode;
    } cases[] = {
        {"", "must have user and password, or a token", 0600},
        {"user = a\n", "password: is missing", 0600},
        {"password = a\n", "user: is missing", 0600},
        {"user = a:b\n", "line 1: user: must have 1..255 bytes of UTF-8 without a colon",
         0600},
        {"token =\n", "line 1: token: must have 1..255 bytes", 0600},
        {"\ntoken = \xff\n", "line 2: token: must have", 0600},
        {"token = a\ntoken = b\n", "line 2: token: given twice", 0600},
        {"secret = a\n", "line 1: key must be one of", 0600},
        {"token\n", "line 1: must be \"key = value\"", 0600},
        {"token = a\n", "is open to others; type  chmod o= ", 0644},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct credentials got;
        struct err err = {0};
        char *const path = file_write("bad", cases[i].text, cases[i].mode);
        assert_err(load(path, &got, &err), &err, ERR_INVALID, cases[i].says);
        assert_non_null(strstr(err.msg, path));
        free(path);
    }
    struct credentials got;
    struct err err = {0};
    char text[700];
    snprintf(text, sizeof text, "token = %0600d\n", 1);
    free(file_write("long", text, 0600));
    assert_err(load("long", &got, &err), &err, ERR_INVALID, "line 1: too long");
    assert_err(load("absent", &got, &err), &err, ERR_IO, "absent: No such file");
}

/* As systemd hands it over. */
static void from_systemd(void **state)
{
    (void)state;
    struct credentials got;
    struct err err = {0};
    char *const other = mem_printf("%s/given", folder);
    assert_int_equal(mkdir(other, 0700), 0);
    free(file_write("given/token", "token = from systemd\n", 0400));
    free(file_write("token", "token = beside\n", 0600));
    setenv("CREDENTIALS_DIRECTORY", other, 1);
    assert_ok(load("token", &got, &err), &err);
    unsetenv("CREDENTIALS_DIRECTORY");
    assert_string_equal(got.api.token, "from systemd");
    assert_ok(load("token", &got, &err), &err);
    assert_string_equal(got.api.token, "beside");
    free(other);
}

static int setup(void **state)
{
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    char *const clean = mem_printf("rm -rf '%s'", folder);
    const int result = system(clean);
    free(clean);
    return result;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_it_holds),
        cmocka_unit_test(what_is_refused),
        cmocka_unit_test(from_systemd),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
