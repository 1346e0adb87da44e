/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * full_disk.so -- a disk that is full for as long as a test says so.
 *
 * Preloaded (LD_PRELOAD), with $FULL_DISK naming a file: while that exists, whatever would
 * write to a regular file whose path contains the text in it fails with ENOSPC.  So do all
 * writes of a file system that is full and copies what it changes; that of others fail
 * where a file grows.  Reading, cutting, deleting and renaming go on.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Whether the disk under this file is full.  errno is left alone but where it is. */
static int full(int fd)
{
    const int before = errno;
    const char *const path = getenv("FULL_DISK");
    char text[256], link[64], name[4096];
    struct stat info;
    const int at = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    ssize_t len = at < 0 ? -1 : read(at, text, sizeof text - 1);
    if (at >= 0)
        close(at);
    errno = before;
    if (len < 0 || fstat(fd, &info) || !S_ISREG(info.st_mode))
        return 0;
    text[len] = '\0';
    text[strcspn(text, "\n")] = '\0';
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    len = readlink(link, name, sizeof name - 1);
    name[len > 0 ? len : 0] = '\0';
    const int is = strstr(name, text) != NULL;
    errno = is ? ENOSPC : before;
    return is;
}

#define WRITES(result, call, parameters, ...)                                            \
    result call parameters;                                                              \
    result call parameters                                                               \
    {                                                                                    \
        static result(*real) parameters;                                                 \
        if (!real)                                                                       \
            *(void **)&real = dlsym(RTLD_NEXT, #call);                                   \
        return full(fd) ? -1 : real(__VA_ARGS__);                                        \
    }

WRITES(ssize_t, write, (int fd, const void *from, size_t len), fd, from, len)
WRITES(ssize_t, pwrite, (int fd, const void *from, size_t len, off_t offset), fd, from,
       len, offset)
WRITES(ssize_t, pwrite64, (int fd, const void *from, size_t len, off_t offset), fd, from,
       len, offset)
