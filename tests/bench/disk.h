/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * disk.h -- the disk's own figure, beside which the store's are read.
 */
#ifndef TESTS_BENCH_DISK_H
#define TESTS_BENCH_DISK_H

#include <fcntl.h>
#include <unistd.h>

#include "tests/bench/result.h"

/* Appends of one batch's size, each synced. */
static inline void disk_measure(const char *folder)
{
    enum { TIMES = 100, BYTES = 32000 };
    double took_s[TIMES];
    char *const path = mem_printf("%s.sync", folder);
    char *const bytes = mem_new(BYTES, 1);
    const int fd = open(path, O_CREAT | O_WRONLY | O_TRUNC, 0600);
    for (size_t i = 0; i < TIMES; i++) {
        const double began_s = now_s();
        if (write(fd, bytes, BYTES) != BYTES || fdatasync(fd))
            die("fdatasync", NULL);
        took_s[i] = now_s() - began_s;
    }
    close(fd);
    unlink(path);
    qsort(took_s, TIMES, sizeof *took_s, ascending);
    result_add(&(struct result){.name = "fdatasync of 32 kB, median",
                                .value = 1e3 * took_s[TIMES / 2],
                                .unit = "ms"});
    result_add(&(struct result){.name = "fdatasync of 32 kB, 99th percentile",
                                .value = 1e3 * took_s[TIMES - 2],
                                .unit = "ms"});
    free(bytes);
    free(path);
}

/* Removes a state folder. */
static inline void disk_clean(const char *folder)
{
    static const char *const FILES[] = {"frwkvd.db", "frwkvd.db-wal", "frwkvd.db-shm",
                                        "lock"};
    for (size_t i = 0; i < sizeof FILES / sizeof *FILES; i++) {
        char *const path = mem_printf("%s/%s", folder, FILES[i]);
        unlink(path);
        free(path);
    }
    rmdir(folder);
}

#endif
