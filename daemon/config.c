/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "daemon/config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/time.h"
#include "daemon/ini_file.h"
#include "storage/storage.h"

/* ---- the table --------------------------------------------------------------------- */

enum option_type {
    OPTION_TEXT,
    OPTION_ADDRESS,  /* host:port */
    OPTION_COUNT,    /* integer */
    OPTION_BYTES,    /* integer, or one with K, M or G (powers of 1024) */
    OPTION_DURATION, /* "30s"; kept in ms */
    OPTION_CHOICE,   /* one of words, kept as its index */
};

struct option {
    const char *section, *key;
    enum option_type type;
    size_t at;
    int64_t least, most;
    const char *initial;
    const char *const *words;
    const char *help;
};

#define AT(field) offsetof(struct config, field)
#define KIB INT64_C(1024)
#define MIB (1024 * KIB)
#define GIB (1024 * MIB)
#define SECOND INT64_C(1000)
#define DAY (86400 * SECOND)

static const char *const durability_words[] = {
    [DURABILITY_FULL] = "full", [DURABILITY_NORMAL] = "normal", NULL};
static const char *const level_words[] = {[LOG_LEVEL_ERROR] = "error",
                                          [LOG_LEVEL_WARN] = "warn",
                                          [LOG_LEVEL_INFO] = "info",
                                          [LOG_LEVEL_DEBUG] = "debug",
                                          NULL};

static const struct option options[] = {
    {"server", "listen", OPTION_ADDRESS, AT(listen), 0, 0, "127.0.0.1:9797", NULL,
     "address and port of the HTTP interface; port 0 takes a free one"},
    {"server", "credentials", OPTION_TEXT, AT(credentials), 0, 0, "none", NULL,
     "file of user, password and token that requests must have; none: anybody may ask"},
    {"server", "threads", OPTION_COUNT, AT(http_threads), 1, 64, "2", NULL,
     "threads that read requests and write answers"},
    {"server", "workers", OPTION_COUNT, AT(workers), 1, 64, "2", NULL,
     "threads that compute forecasts and read samples"},
    {"server", "max_connections", OPTION_COUNT, AT(connections_max), 1, 65536, "1024",
     NULL, "connections at a time"},
    {"server", "max_body", OPTION_BYTES, AT(body_max), KIB, GIB, "16M", NULL,
     "largest body of a request, decompressed"},
    {"server", "max_import", OPTION_BYTES, AT(import_max), MIB, 1024 * GIB, "16G", NULL,
     "largest import, decompressed"},
    {"server", "max_columns", OPTION_COUNT, AT(columns_max), 2, 65536, "4096", NULL,
     "most columns of a CSV file"},
    {"server", "max_future", OPTION_DURATION, AT(future_max_ms), 0, 3650 * DAY, "10m",
     NULL, "how far ahead of the clock a sample may lie"},
    {"server", "timeout", OPTION_DURATION, AT(timeout_ms), SECOND, 3600 * SECOND, "30s",
     NULL, "a connection without traffic is closed after this time"},

    {"store", "folder", OPTION_TEXT, AT(folder), 0, 0, "/var/lib/frwkvd", NULL,
     "folder of the database, owned by one process at a time"},
    {"store", "durability", OPTION_CHOICE, AT(durability), 0, 0, "full", durability_words,
     "full: acknowledged samples survive a power loss; normal: the death of the process"},
    {"store", "max_series", OPTION_COUNT, AT(series_max), 1, 100000000, "1000000", NULL,
     "most series"},
    {"store", "max_head_samples", OPTION_COUNT, AT(head_samples_max), 10000, 1000000000,
     "50000000", NULL, "samples held in memory; past it new ones are answered with 503"},
    {"store", "max_queue_samples", OPTION_COUNT, AT(queue_samples_max), 1000, 100000000,
     "2000000", NULL,
     "samples waiting for a commit; past it new ones are answered with 503"},
    {"store", "max_wal", OPTION_BYTES, AT(wal_bytes_max), 64 * MIB, 1024 * GIB, "1G",
     NULL,
     "write-ahead log that a long read (a backup) may make; past it new samples are "
     "answered with 503"},
    {"store", "late_after", OPTION_DURATION, AT(late_after_ms), SECOND, 365 * DAY, "1h",
     NULL, "a sample older than this on arrival is remembered as late"},

    {"retention", "samples", OPTION_DURATION, AT(keep_samples_ms), 0, 36500 * DAY, "400d",
     NULL, "samples are kept for this long; 0: for ever"},
    {"retention", "hours", OPTION_DURATION, AT(keep_hours_ms), 0, 36500 * DAY, "1825d",
     NULL,
     "hourly summaries, and samples of which there are fewer than 30 an hour; 0: for "
     "ever"},
    {"retention", "forecasts", OPTION_DURATION, AT(keep_forecasts_ms), 0, 36500 * DAY,
     "400d", NULL, "issued forecasts, by whole days; 0: for ever"},
    {"retention", "models", OPTION_DURATION, AT(keep_models_ms), 0, 36500 * DAY, "90d",
     NULL, "models that no longer serve, but for the one before; 0: for ever"},
    {"retention", "jobs", OPTION_DURATION, AT(keep_jobs_ms), 0, 36500 * DAY, "30d", NULL,
     "jobs that have ended; 0: for ever"},
    {"retention", "size", OPTION_BYTES, AT(keep_bytes), 0, 1024 * 1024 * GIB, "0", NULL,
     "largest size of the database; past it the oldest samples and forecasts go first; "
     "0: no limit"},

    {"train", "threads", OPTION_COUNT, AT(train_threads), 0, 256, "0", NULL,
     "threads of a training; 0: one for each core"},
    {"train", "memory", OPTION_BYTES, AT(train_memory), 0, 1024 * GIB, "2G", NULL,
     "most memory of a training's network; a larger one is refused; 0: no limit"},
    {"train", "checkpoint_every", OPTION_DURATION, AT(checkpoint_ms), SECOND,
     3600 * SECOND, "10s", NULL, "most time that a killed training loses"},

    {"jobs", "timeout", OPTION_DURATION, AT(job_timeout_ms), 0, 365 * DAY, "1d", NULL,
     "a job that runs longer is stopped and marked failed; 0: none is"},

    {"log", "level", OPTION_CHOICE, AT(log_level), 0, 0, "info", level_words,
     "error, warn, info or debug"},
};

enum { OPTION_NUMBER = sizeof options / sizeof options[0] };

/* ---- values as text and back ------------------------------------------------------- */

static char *text_at(struct config *config, const struct option *option)
{
    return (char *)config + option->at;
}

static int64_t *number_at(struct config *config, const struct option *option)
{
    return (int64_t *)((char *)config + option->at);
}

static int integer_parse(const char *value, bool bytes, int64_t *number)
{
    char *end;
    errno = 0;
    *number = strtoll(value, &end, 10);
    if (end == value || errno)
        return -1;
    static const char units[] = "KMG";
    const char *const unit = bytes && *end ? strchr(units, *end) : NULL;
    for (const char *u = units; unit && u <= unit; u++)
        if (__builtin_mul_overflow(*number, 1024, number))
            return -1;
    return *(unit ? end + 1 : end) ? -1 : 0;
}

/* The largest unit that divides it. */
static const char *bytes_format(int64_t bytes, char text[static TIME_TEXT_SIZE])
{
    static const char units[] = {'\0', 'K', 'M', 'G'};
    size_t unit = 0;
    for (; unit + 1 < sizeof units && bytes && bytes % 1024 == 0; unit++)
        bytes /= 1024;
    snprintf(text, TIME_TEXT_SIZE, "%" PRId64 "%.1s", bytes, &units[unit]);
    return text;
}

static const char *number_format(const struct option *option, int64_t number,
                                 char text[static TIME_TEXT_SIZE])
{
    if (option->type == OPTION_BYTES)
        return bytes_format(number, text);
    if (option->type == OPTION_DURATION && number > 0)
        return duration_format(number, text);
    if (option->type == OPTION_CHOICE)
        return option->words[number];
    snprintf(text, TIME_TEXT_SIZE, "%" PRId64, number);
    return text;
}

static int address_check(const char *key, const char *value, struct err *err)
{
    const char *const colon = strrchr(value, ':');
    int64_t port;
    if (!colon || colon == value || integer_parse(colon + 1, false, &port) || port < 0 ||
        port > 65535)
        return err_set(err, ERR_INVALID,
                       "%s: must be host:port such as 127.0.0.1:9797, got \"%s\"", key,
                       value);
    return 0;
}

static int text_set(struct config *config, const struct option *option, const char *value,
                    struct err *err)
{
    const size_t len = strlen(value);
    if (len == 0 || len >= CONFIG_TEXT_MAX)
        return err_set(err, ERR_INVALID, "%s: must have 1..%d bytes, got %zu",
                       option->key, CONFIG_TEXT_MAX - 1, len);
    if (option->type == OPTION_ADDRESS && address_check(option->key, value, err))
        return -1;
    memcpy(text_at(config, option), value, len + 1);
    return 0;
}

static int choice_set(struct config *config, const struct option *option,
                      const char *value, struct err *err)
{
    for (int64_t i = 0; option->words[i]; i++)
        if (strcmp(option->words[i], value) == 0) {
            *number_at(config, option) = i;
            return 0;
        }
    char words[100] = "";
    for (size_t i = 0, used = 0; option->words[i] && used < sizeof words; i++)
        used += (size_t)snprintf(words + used, sizeof words - used, "%s%s", i ? ", " : "",
                                 option->words[i]);
    return err_set(err, ERR_INVALID, "%s: must be one of %s, got \"%s\"", option->key,
                   words, value);
}

static int number_set(struct config *config, const struct option *option,
                      const char *value, struct err *err)
{
    static const char *const wants[] = {
        [OPTION_COUNT] = "a whole number",
        [OPTION_BYTES] = "a number of bytes such as 512K or 16M",
        [OPTION_DURATION] = "a duration such as 30s or 10m",
    };
    int64_t number = 0;
    const bool duration = option->type == OPTION_DURATION && strcmp(value, "0") != 0;
    if (duration ? duration_parse(value, &number, NULL)
                 : integer_parse(value, option->type == OPTION_BYTES, &number))
        return err_set(err, ERR_INVALID, "%s: must be %s, got \"%s\"", option->key,
                       wants[option->type], value);
    if (number < option->least || number > option->most) {
        char least[TIME_TEXT_SIZE], most[TIME_TEXT_SIZE];
        return err_set(err, ERR_INVALID, "%s: must be %s..%s, got %s", option->key,
                       number_format(option, option->least, least),
                       number_format(option, option->most, most), value);
    }
    *number_at(config, option) = number;
    return 0;
}

static int option_set(struct config *config, const struct option *option,
                      const char *value, struct err *err)
{
    switch (option->type) {
    case OPTION_TEXT:
    case OPTION_ADDRESS:
        return text_set(config, option, value, err);
    case OPTION_CHOICE:
        return choice_set(config, option, value, err);
    default:
        return number_set(config, option, value, err);
    }
}

void config_defaults(struct config *config)
{
    *config = (struct config){0};
    for (size_t i = 0; i < OPTION_NUMBER; i++)
        option_set(config, &options[i], options[i].initial, NULL);
}

/* ---- reading ----------------------------------------------------------------------- */

struct reading {
    struct config *config;
    bool seen[OPTION_NUMBER];
};

static const struct option *option_find(const char *section, const char *key,
                                        struct err *err)
{
    bool known_section = false;
    for (size_t i = 0; i < OPTION_NUMBER; i++) {
        if (strcmp(options[i].section, section) != 0)
            continue;
        known_section = true;
        if (strcmp(options[i].key, key) == 0)
            return &options[i];
    }
    if (known_section)
        err_set(err, ERR_INVALID, "%s: no such option in [%s]; frwkvd.conf(5) lists them",
                key, section);
    else
        err_set(err, ERR_INVALID, "[%s]: no such section; frwkvd.conf(5) lists them",
                section);
    return NULL;
}

static int take(void *ctx, const char *section, const char *key, const char *value,
                int line, struct err *err)
{
    (void)line;
    struct reading *const r = ctx;
    const struct option *const option = option_find(section, key, err);
    if (!option)
        return -1;
    if (r->seen[option - options])
        return err_set(err, ERR_INVALID, "%s: given twice", key);
    r->seen[option - options] = true;
    return option_set(r->config, option, value, err);
}

int config_read(FILE *file, const char *name, struct config *config, struct err *err)
{
    struct reading reading = {.config = config};
    config_defaults(config);
    snprintf(config->path, sizeof config->path, "%s", name);
    return ini_file_read(file, name, take, &reading, err);
}

int config_load(const char *path, struct config *config, struct err *err)
{
    if (!path && access(CONFIG_PATH_DEFAULT, F_OK) != 0) {
        config_defaults(config);
        return 0;
    }
    const char *const name = path ? path : CONFIG_PATH_DEFAULT;
    FILE *const file = fopen(name, "re");
    if (!file)
        return err_errno(err, "%s", name);
    const int result = config_read(file, name, config, err);
    fclose(file);
    return result;
}

const char *config_folder(const struct config *config, char out[static CONFIG_TEXT_MAX])
{
    const char *const path = config->path[0] ? config->path : CONFIG_PATH_DEFAULT;
    const size_t len = strlen(path);
    const bool conf = len > 5 && strcmp(path + len - 5, ".conf") == 0;
    snprintf(out, CONFIG_TEXT_MAX, "%.*s.d", (int)(conf ? len - 5 : len), path);
    return out;
}

void config_differences(const struct config *a, const struct config *b,
                        void (*each)(void *ctx, const char *section, const char *key),
                        void *ctx)
{
    struct config left = *a, right = *b; /* as in config_write() */
    for (size_t i = 0; i < OPTION_NUMBER; i++) {
        const struct option *const option = &options[i];
        const bool is_text =
            option->type == OPTION_TEXT || option->type == OPTION_ADDRESS;
        if (is_text ? strcmp(text_at(&left, option), text_at(&right, option)) != 0
                    : *number_at(&left, option) != *number_at(&right, option))
            each(ctx, option->section, option->key);
    }
}

/* ---- writing ----------------------------------------------------------------------- */

void config_write(const struct config *config, FILE *out)
{
    struct config copy = *config; /* number_at() and text_at() give out writable fields */
    const char *section = NULL;
    for (size_t i = 0; i < OPTION_NUMBER; i++) {
        const struct option *const option = &options[i];
        if (!section || strcmp(section, option->section) != 0)
            fprintf(out, "%s[%s]\n", section ? "\n" : "", option->section);
        section = option->section;
        char text[TIME_TEXT_SIZE];
        const bool is_text =
            option->type == OPTION_TEXT || option->type == OPTION_ADDRESS;
        fprintf(out, "# %s\n%s = %s\n", option->help, option->key,
                is_text ? text_at(&copy, option)
                        : number_format(option, *number_at(&copy, option), text));
    }
}
