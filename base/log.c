/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/log.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/time.h"

enum { LINE_SIZE = 4096 };

static const struct {
    const char *word;
    int priority; /* syslog's */
} levels[] = {
    [LOG_LEVEL_ERROR] = {"error", 3},
    [LOG_LEVEL_WARN] = {"warn", 4},
    [LOG_LEVEL_INFO] = {"info", 6},
    [LOG_LEVEL_DEBUG] = {"debug", 7},
};

static struct {
    enum log_level least;
    bool journald;
} config = {LOG_LEVEL_INFO, false};

/* $JOURNAL_STREAM names the device and inode of the stream systemd opened; a stderr
 * redirected since then is another file (systemd.exec(5)). */
static bool stderr_is_journal(void)
{
    const char *stream = getenv("JOURNAL_STREAM");
    struct stat stat;
    if (!stream || fstat(STDERR_FILENO, &stat))
        return false;
    char want[64];
    snprintf(want, sizeof want, "%ju:%ju", (uintmax_t)stat.st_dev,
             (uintmax_t)stat.st_ino);
    return strcmp(stream, want) == 0;
}

void log_init(enum log_level least)
{
    config.least = least;
    config.journald = stderr_is_journal();
}

void log_write(enum log_level level, const char *format, ...)
{
    if (level > config.least)
        return;
    char line[LINE_SIZE], now[TIME_TEXT_SIZE];
    const struct clock clock = clock_real();
    const int head =
        config.journald
            ? snprintf(line, sizeof line, "<%d>", levels[level].priority)
            : snprintf(line, sizeof line, "%s %s ",
                       time_format(clock_now_ms(&clock), now), levels[level].word);
    va_list args;
    va_start(args, format);
    const int body = vsnprintf(line + head, sizeof line - (size_t)head, format, args);
    va_end(args);
    if (body < 0)
        return;

    size_t len = (size_t)head + (size_t)body;
    if (len > sizeof line - 1) /* too long: loses its end */
        len = sizeof line - 1;
    for (size_t i = (size_t)head; i < len; i++)
        if ((unsigned char)line[i] < ' ') /* one event stays one line */
            line[i] = ' ';
    line[len++] = '\n';
    if (write(STDERR_FILENO, line, len) < 0)
        return; /* nowhere left to say so */
}
