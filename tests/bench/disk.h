/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * disk.h -- a clock, and the disk's own figure beside which the store's are read.
 */
#ifndef TESTS_BENCH_DISK_H
#define TESTS_BENCH_DISK_H

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/err.h"
#include "base/mem.h"

static inline double now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static inline void die(const char *what, const struct err *err)
{
    fprintf(stderr, "%s: %s\n", what, err ? err->msg : "failed");
    exit(1);
}

static inline int disk_ascending(const void *left, const void *right)
{
    const double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

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
    qsort(took_s, TIMES, sizeof *took_s, disk_ascending);
    printf("%-16s %6.2f ms median, %.2f ms at the 99th of 100 (32 kB each)\n",
           "fdatasync", 1e3 * took_s[TIMES / 2], 1e3 * took_s[TIMES - 2]);
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
