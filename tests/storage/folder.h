/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * folder.h -- a state folder of a test's own, and a clock that it sets.
 */
#ifndef TESTS_STORAGE_FOLDER_H
#define TESTS_STORAGE_FOLDER_H

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"
#include "storage/storage.h"
#include "tests/check.h"

enum { SCHEMA_VERSION = 7 }; /* what a store opened now has */

struct folder {
    char path[64], uri[80];
    _Atomic int64_t now_ms; /* what the store takes for the present */
    struct store_options options;
};

static inline int64_t folder_now_ms(void *ctx)
{
    return ((const struct folder *)ctx)->now_ms;
}

static inline void folder_init(struct folder *folder)
{
    *folder =
        (struct folder){.path = "/tmp/frwkvd-storage-XXXXXX", .now_ms = 1700000000000};
    if (!mkdtemp(folder->path))
        abort();
    snprintf(folder->uri, sizeof folder->uri, "sqlite:%s", folder->path);
    folder->options = store_options_default();
    folder->options.clock = (struct clock){folder_now_ms, folder};
    folder->options.head_samples_max = 1000000;
    folder->options.queue_samples_max = 100000;
}

/* Removes the files in the folder. */
static inline void folder_empty(const struct folder *folder)
{
    DIR *const dir = opendir(folder->path);
    for (struct dirent *entry; dir && (entry = readdir(dir));) {
        char *const path = mem_printf("%s/%s", folder->path, entry->d_name);
        unlink(path);
        free(path);
    }
    if (dir)
        closedir(dir);
}

static inline void folder_fini(struct folder *folder)
{
    folder_empty(folder);
    rmdir(folder->path);
}

static inline char *folder_file(const struct folder *folder, const char *name)
{
    return mem_printf("%s/%s", folder->path, name);
}

static inline struct store *folder_open(struct folder *folder)
{
    struct err err = {0};
    struct store *const store = store_open(folder->uri, &folder->options, &err);
    if (!store) {
        fprintf(stderr, "%s\n", err.msg);
        abort();
    }
    return store;
}

static inline void folder_print_finding(void *ctx, const char *what)
{
    (void)ctx;
    print_error("%s\n", what);
}

/* What is stored has no damage that verify knows of. */
static inline void folder_assert_sound(const struct folder *folder)
{
    struct err err = {0};
    struct store_verified verified;
    assert_ok(store_verify(folder->uri, folder_print_finding, NULL, &verified, &err),
              &err);
    assert_int_equal(verified.findings, 0);
}

#endif
