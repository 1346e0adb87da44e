/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * log.h -- one line per event on stderr.
 *
 *     log_info("trained series=%s steps=%d loss=%.3f took_ms=%lld", ...);
 *
 * A short phrase, then key=value.  With journald behind stderr ($JOURNAL_STREAM) a
 * `<N>` priority takes the place of the time stamp.  Only api and daemon log; fft,
 * model and storage return errors.  No secrets and no request bodies.  Any thread may
 * call; a line is one write.
 */
#ifndef LOG_H
#define LOG_H

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* Call once, before the first thread starts. */
void log_init(enum log_level least);

void log_write(enum log_level level, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#define log_error(...) log_write(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warn(...) log_write(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_info(...) log_write(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_write(LOG_LEVEL_DEBUG, __VA_ARGS__)

#endif
