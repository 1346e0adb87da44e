/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * shim.h -- a disk that loses what was not synced.
 *
 * A VFS of SQLite's in front of the usual one: it remembers what every write and every
 * truncation since a file's last sync replaced.  At the n-th call that changes or syncs a
 * file the lights go out: each of these changes is undone or not, by chance, and of one
 * that stays perhaps only some sectors do.  What was synced stays.  One process, once: it
 * ends there.
 *
 * Some bytes of the database can be made unreadable (shim_spoil()), or all of it such that
 * nothing can be written to it (not to its log).
 */
#ifndef TESTS_STORAGE_SHIM_H
#define TESTS_STORAGE_SHIM_H

#include <fcntl.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/rng.h"

enum { SHIM_FILES = 16, SHIM_SECTOR = 512 };

/* What one call changed; in order. */
struct shim_change {
    bool truncates;           /* at offset; len is what is cut off */
    int64_t offset, len;      /* bytes written */
    int64_t size_before;      /* of the file */
    unsigned char *old, *new; /* len each; old is zero past the end */
};

struct shim_disk_file {
    char *path;
    struct shim_change *change;
    size_t count, cap;
};

static struct {
    sqlite3_vfs vfs, *real;
    pthread_mutex_t mutex;
    struct shim_disk_file file[SHIM_FILES];
    size_t files;
    uint64_t calls, last; /* of those that change something; the last one */
    bool forgets;         /* else it is the process alone that ends there */
    struct rng_stream chance;
    uint64_t drawn;
    _Atomic int64_t spoilt_from, spoilt_to; /* bytes of the database */
    _Atomic bool read_only;
} shim = {.forgets = true, .mutex = PTHREAD_MUTEX_INITIALIZER};

struct shim_file {
    sqlite3_file base;
    struct shim_disk_file *disk; /* NULL: not of interest */
    bool database;
    sqlite3_file *real; /* behind this struct */
};

static uint32_t shim_draw(uint32_t sides)
{
    return rng_at(shim.chance, shim.drawn++).word[0] % sides;
}

/* ---- the lights go out -------------------------------------------------------------- */

/* As it was at the last sync, and then some of what came after. */
static void shim_settle(const struct shim_disk_file *file)
{
    const int fd = open(file->path, O_RDWR);
    if (fd < 0)
        return; /* deleted */
    for (size_t i = file->count; i-- > 0;) {
        const struct shim_change *const c = &file->change[i];
        if (c->len > 0 && pwrite(fd, c->old, (size_t)c->len, c->offset) != c->len)
            abort();
        if (ftruncate(fd, c->size_before))
            abort();
    }
    const bool none = shim_draw(3) == 0;
    for (size_t i = 0; !none && i < file->count; i++) {
        const struct shim_change *const c = &file->change[i];
        if (shim_draw(2))
            continue;
        if (c->truncates) {
            if (ftruncate(fd, c->offset))
                abort();
            continue;
        }
        const bool torn = shim_draw(4) == 0;
        for (int64_t at = 0; at < c->len; at += SHIM_SECTOR) {
            const int64_t n = c->len - at < SHIM_SECTOR ? c->len - at : SHIM_SECTOR;
            if (torn && shim_draw(2))
                continue;
            if (pwrite(fd, c->new + at, (size_t)n, c->offset + at) != n)
                abort();
        }
    }
    close(fd);
}

static _Noreturn void shim_lights_out(void)
{
    for (size_t i = 0; shim.forgets && i < shim.files; i++)
        shim_settle(&shim.file[i]);
    _exit(9);
}

/* Under the mutex. */
static void shim_note(struct shim_file *file, const void *new, int64_t len,
                      int64_t offset)
{
    struct shim_disk_file *const disk = file->disk;
    if (disk->count == disk->cap) {
        disk->cap = disk->cap ? 2 * disk->cap : 64;
        disk->change = mem_resize(disk->change, disk->cap, sizeof *disk->change);
    }
    struct shim_change *const c = &disk->change[disk->count++];
    *c = (struct shim_change){.truncates = !new, .offset = offset, .len = len};
    sqlite3_int64 size = 0;
    file->real->pMethods->xFileSize(file->real, &size);
    c->size_before = size;
    if (len > 0) {
        c->old = mem_new((size_t)len, 1);
        c->new = mem_new((size_t)len, 1);
        if (new)
            memcpy(c->new, new, (size_t)len);
        const int64_t there = size > offset ? size - offset : 0;
        if (there > 0)
            file->real->pMethods->xRead(file->real, c->old,
                                        (int)(there < len ? there : len), offset);
    }
}

/* Under the mutex. */
static void shim_forget(struct shim_disk_file *disk)
{
    for (size_t i = 0; i < disk->count; i++) {
        free(disk->change[i].old);
        free(disk->change[i].new);
    }
    disk->count = 0;
}

static void shim_count(void)
{
    if (++shim.calls == shim.last)
        shim_lights_out();
}

/* ---- the methods of a file ---------------------------------------------------------- */

#define REAL(file) (((struct shim_file *)(file))->real)
#define PASS(name, file, ...) REAL(file)->pMethods->name(REAL(file), ##__VA_ARGS__)

static int shim_close(sqlite3_file *file)
{
    return PASS(xClose, file);
}

static int shim_read(sqlite3_file *file, void *to, int len, sqlite3_int64 offset)
{
    const bool spoilt = ((struct shim_file *)file)->database &&
                        offset < atomic_load(&shim.spoilt_to) &&
                        offset + len > atomic_load(&shim.spoilt_from);
    return spoilt ? SQLITE_IOERR_READ : PASS(xRead, file, to, len, offset);
}

static int shim_write(sqlite3_file *file, const void *from, int len, sqlite3_int64 offset)
{
    struct shim_file *const own = (struct shim_file *)file;
    if (own->database && atomic_load(&shim.read_only))
        return SQLITE_IOERR_WRITE;
    pthread_mutex_lock(&shim.mutex);
    if (own->disk) {
        shim_note(own, from, len, offset);
        shim_count();
    }
    const int status = PASS(xWrite, file, from, len, offset);
    pthread_mutex_unlock(&shim.mutex);
    return status;
}

static int shim_truncate(sqlite3_file *file, sqlite3_int64 size)
{
    struct shim_file *const own = (struct shim_file *)file;
    pthread_mutex_lock(&shim.mutex);
    if (own->disk) {
        /* What is cut off comes back when it is undone. */
        sqlite3_int64 now = 0;
        PASS(xFileSize, file, &now);
        shim_note(own, NULL, now > size ? now - size : 0, size);
        shim_count();
    }
    const int status = PASS(xTruncate, file, size);
    pthread_mutex_unlock(&shim.mutex);
    return status;
}

static int shim_sync(sqlite3_file *file, int flags)
{
    struct shim_file *const own = (struct shim_file *)file;
    pthread_mutex_lock(&shim.mutex);
    if (own->disk) {
        shim_count();
        shim_forget(own->disk);
    }
    const int status = PASS(xSync, file, flags);
    pthread_mutex_unlock(&shim.mutex);
    return status;
}

static int shim_size(sqlite3_file *file, sqlite3_int64 *size)
{
    return PASS(xFileSize, file, size);
}
static int shim_lock(sqlite3_file *file, int level)
{
    return PASS(xLock, file, level);
}
static int shim_unlock(sqlite3_file *file, int level)
{
    return PASS(xUnlock, file, level);
}
static int shim_reserved(sqlite3_file *file, int *out)
{
    return PASS(xCheckReservedLock, file, out);
}
static int shim_control(sqlite3_file *file, int op, void *arg)
{
    return PASS(xFileControl, file, op, arg);
}
static int shim_sector(sqlite3_file *file)
{
    (void)file;
    return SHIM_SECTOR;
}
static int shim_traits(sqlite3_file *file)
{
    (void)file;
    return 0; /* no promise about torn writes */
}
static int shim_shm_map(sqlite3_file *file, int page, int size, int extend,
                        void volatile **out)
{
    return PASS(xShmMap, file, page, size, extend, out);
}
static int shim_shm_lock(sqlite3_file *file, int offset, int n, int flags)
{
    return PASS(xShmLock, file, offset, n, flags);
}
static void shim_shm_barrier(sqlite3_file *file)
{
    PASS(xShmBarrier, file);
}
static int shim_shm_unmap(sqlite3_file *file, int remove)
{
    return PASS(xShmUnmap, file, remove);
}

static const sqlite3_io_methods SHIM_METHODS = {
    .iVersion = 2,
    .xClose = shim_close,
    .xRead = shim_read,
    .xWrite = shim_write,
    .xTruncate = shim_truncate,
    .xSync = shim_sync,
    .xFileSize = shim_size,
    .xLock = shim_lock,
    .xUnlock = shim_unlock,
    .xCheckReservedLock = shim_reserved,
    .xFileControl = shim_control,
    .xSectorSize = shim_sector,
    .xDeviceCharacteristics = shim_traits,
    .xShmMap = shim_shm_map,
    .xShmLock = shim_shm_lock,
    .xShmBarrier = shim_shm_barrier,
    .xShmUnmap = shim_shm_unmap,
};

/* ---- the file system ---------------------------------------------------------------- */

static struct shim_disk_file *shim_disk(const char *path)
{
    pthread_mutex_lock(&shim.mutex);
    size_t i = 0;
    while (i < shim.files && strcmp(shim.file[i].path, path) != 0)
        i++;
    if (i == shim.files) {
        if (i == SHIM_FILES)
            abort();
        shim.file[shim.files++].path = mem_text(path);
    }
    pthread_mutex_unlock(&shim.mutex);
    return &shim.file[i];
}

static int shim_open(sqlite3_vfs *vfs, const char *path, sqlite3_file *file, int flags,
                     int *out)
{
    (void)vfs;
    struct shim_file *const own = (struct shim_file *)file;
    *own = (struct shim_file){.real = (sqlite3_file *)(own + 1)};
    const int status = shim.real->xOpen(shim.real, path, own->real, flags, out);
    if (own->real->pMethods)
        own->base.pMethods = &SHIM_METHODS;
    if (status == SQLITE_OK && path && flags & (SQLITE_OPEN_MAIN_DB | SQLITE_OPEN_WAL))
        own->disk = shim_disk(path);
    own->database = flags & SQLITE_OPEN_MAIN_DB;
    return status;
}

/* From here on a read that touches these bytes of a database fails. */
static inline void shim_spoil(int64_t from, int64_t to)
{
    atomic_store(&shim.spoilt_from, from);
    atomic_store(&shim.spoilt_to, to);
}

/* From here on SQLite writes through it; call number `last` is the end. */
static inline void shim_install(uint64_t seed, uint64_t last)
{
    shim.real = sqlite3_vfs_find(NULL);
    shim.vfs = *shim.real;
    shim.vfs.zName = "shim";
    shim.vfs.szOsFile = (int)sizeof(struct shim_file) + shim.real->szOsFile;
    shim.vfs.xOpen = shim_open;
    shim.chance = (struct rng_stream){.seed = seed, .purpose = 9};
    shim.last = last;
    if (sqlite3_vfs_register(&shim.vfs, 1) != SQLITE_OK)
        abort();
}

#endif
