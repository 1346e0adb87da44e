/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/log.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/check.h"

/* stderr while a test looks at it. */
struct capture {
    FILE *file;
    int kept_fd;
};

static struct capture capture_start(void)
{
    fflush(stderr);
    struct capture c = {tmpfile(), dup(STDERR_FILENO)};
    assert_non_null(c.file);
    dup2(fileno(c.file), STDERR_FILENO);
    return c;
}

static size_t capture_stop(struct capture c, char *text, size_t size)
{
    dup2(c.kept_fd, STDERR_FILENO);
    close(c.kept_fd);
    rewind(c.file);
    const size_t len = fread(text, 1, size - 1, c.file);
    text[len] = '\0';
    fclose(c.file);
    return len;
}

static void a_line_has_time_level_and_text(void **state)
{
    (void)state;
    char text[8192];
    const struct capture c = capture_start();
    log_init(LOG_LEVEL_INFO);
    log_info("trained series=%s steps=%d", "cpu", 400);
    log_debug("not shown");
    capture_stop(c, text, sizeof text);
    const char *rest = strchr(text, 'Z');
    assert_non_null(rest);
    assert_true(text[4] == '-' && text[10] == 'T');
    assert_string_equal(rest, "Z info trained series=cpu steps=400\n");
}

static void journald_gets_a_priority(void **state)
{
    (void)state;
    char text[8192], stream[64];
    struct stat stat;
    const struct capture c = capture_start();
    assert_int_equal(fstat(STDERR_FILENO, &stat), 0);
    snprintf(stream, sizeof stream, "%ju:%ju", (uintmax_t)stat.st_dev,
             (uintmax_t)stat.st_ino);
    setenv("JOURNAL_STREAM", stream, 1);
    log_init(LOG_LEVEL_DEBUG);
    log_error("a");
    log_warn("b");
    log_debug("c");
    setenv("JOURNAL_STREAM", "1:1", 1); /* another file's */
    log_init(LOG_LEVEL_DEBUG);
    log_warn("d");
    unsetenv("JOURNAL_STREAM");
    capture_stop(c, text, sizeof text);
    const char want[] = "<3>a\n<4>b\n<7>c\n";
    assert_int_equal(strncmp(text, want, strlen(want)), 0);
    assert_non_null(strstr(text, "Z warn d\n"));
}

static void an_event_stays_one_line(void **state)
{
    (void)state;
    char text[16384], big[8192];
    const struct capture c = capture_start();
    log_init(LOG_LEVEL_INFO);
    log_info("evil=%s", "a\nb\rc\x1b");
    memset(big, 'x', sizeof big - 1);
    big[sizeof big - 1] = '\0';
    log_info("%s", big);
    const size_t len = capture_stop(c, text, sizeof text);
    assert_non_null(strstr(text, "evil=a b c \n"));
    size_t newlines = 0;
    for (size_t i = 0; i < len; i++)
        newlines += text[i] == '\n';
    assert_int_equal(newlines, 2);
    assert_int_equal(text[len - 1], '\n');
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_has_time_level_and_text),
        cmocka_unit_test(journald_gets_a_priority),
        cmocka_unit_test(an_event_stays_one_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
