/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * config.h -- what the administrator decides, read from an INI file.
 *
 *     [server]
 *     listen = 127.0.0.1:9797
 *
 * Every option is one row of a table in config.c: section, key, type, range, default
 * and a line of help.  The sample file, `frwkvd check-config` and the refusals all come
 * from it.  An unknown section or key, a key given twice, a bad value and a value out of
 * range are refused with file, line and reason.  A long value goes on in indented lines,
 * which are joined by a space.  Read-only once loaded.
 */
#ifndef CONFIG_H
#define CONFIG_H

#include <stdint.h>
#include <stdio.h>

#include "base/err.h"

enum { CONFIG_TEXT_MAX = 200 };

#define CONFIG_PATH_DEFAULT "/etc/frwkvd.conf"

struct config {
    char path[CONFIG_TEXT_MAX]; /* where it was read from; "" for the defaults */

    char listen[CONFIG_TEXT_MAX];
    char credentials[CONFIG_TEXT_MAX]; /* "none", or credentials.h */
    int64_t http_threads, workers, connections_max;
    int64_t body_max, import_max; /* bytes */
    int64_t columns_max;
    int64_t future_max_ms, timeout_ms;

    char folder[CONFIG_TEXT_MAX];
    int64_t durability; /* enum store_durability */
    int64_t series_max, head_samples_max, queue_samples_max, wal_bytes_max;
    int64_t late_after_ms;

    /* For how long things are kept (storage.h); 0: for ever, no budget. */
    int64_t keep_samples_ms, keep_hours_ms, keep_forecasts_ms, keep_models_ms;
    int64_t keep_jobs_ms, keep_bytes;

    int64_t train_threads; /* 0: one for each core */
    int64_t train_memory;  /* bytes; 0: no limit */
    int64_t checkpoint_ms;
    int64_t job_timeout_ms; /* 0: none */

    int64_t log_level; /* enum log_level */
};

/* Every option at its default. */
void config_defaults(struct config *config);

/*
 * Reads path over the defaults.  NULL: CONFIG_PATH_DEFAULT where there is one, else the
 * defaults.  "/etc/frwkvd.conf: line 3: threads: must be 1..64, got 0"
 */
int config_load(const char *path, struct config *config, struct err *err);

/* The same from an open stream, which name stands for in messages. */
int config_read(FILE *file, const char *name, struct config *config, struct err *err);

/* The folder of files that define forecasters, beside the configuration:
 * "/etc/frwkvd.d" for "/etc/frwkvd.conf". */
const char *config_folder(const struct config *config, char out[static CONFIG_TEXT_MAX]);

/* Calls each for every option in which two differ. */
void config_differences(const struct config *a, const struct config *b,
                        void (*each)(void *ctx, const char *section, const char *key),
                        void *ctx);

/* Writes it as INI text that config_read() takes, with a line of help for each option. */
void config_write(const struct config *config, FILE *out);

#endif
