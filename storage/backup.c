/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/mem.h"
#include "storage/sql.h"

/* Whether there is a database that this user can open; SQLite says of all else only that
 * it cannot. */
static int look_for(const char *path, const char *folder, struct err *err)
{
    static const char wanted[] =
        "expected a state folder or a backup; name one, or with -c the configuration";
    struct stat status;
    if (stat(folder, &status) && errno == ENOENT)
        return err_set(err, ERR_NOT_FOUND,
                       "%s: holds no database: there is no such folder: %s", folder,
                       wanted);
    if (stat(folder, &status) == 0 && !S_ISDIR(status.st_mode))
        return err_set(err, ERR_INVALID, "%s: holds no database: is not a folder: %s",
                       folder, wanted);
    if (stat(path, &status) && errno == ENOENT)
        return err_set(err, ERR_NOT_FOUND,
                       "%s: holds no database: no frwkvd.db is in it: %s", folder,
                       wanted);
    if (stat(path, &status) == 0 && !S_ISREG(status.st_mode))
        return err_set(err, ERR_INVALID, "%s: holds no database: is not a file: %s", path,
                       wanted);
    if (access(path, R_OK | W_OK) == 0)
        return 0;
    return err_set(err, ERR_IO,
                   "%s: cannot be opened by user %u (%s): run this as its "
                   "owner",
                   path, (unsigned)geteuid(), strerrordesc_np(errno));
}

/* A connection beside whoever has the store open; it changes nothing. */
sqlite3 *store_connect(const char *uri, struct err *err)
{
    const char *const folder = store_folder(uri, err);
    if (!folder)
        return NULL;
    char *const path = mem_printf("%s/frwkvd.db", folder);
    sqlite3 *db = NULL;
    bool fine = false;
    if (look_for(path, folder, err) == 0) {
        if (sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX,
                            NULL) != SQLITE_OK)
            sql_fail(db, err);
        else
            fine = schema_connect(db, err) == 0 && schema_present(db, err) == 0;
        if (!fine && err)
            err_prefix(err, "%s", path);
    }
    if (!fine) {
        sqlite3_close(db);
        db = NULL;
    }
    free(path);
    return db;
}

static int sync_path(const char *path, int flags, struct err *err)
{
    const int fd = open(path, flags | O_CLOEXEC);
    const int status = fd >= 0 ? fsync(fd) : -1;
    if (status)
        err_errno(err, "%s: cannot be synced", path);
    if (fd >= 0)
        close(fd);
    return status;
}

/* The file is made first, for its mode. */
static int create(const char *path, struct err *err)
{
    if (unlink(path) && errno != ENOENT)
        return err_errno(err, "%s", path);
    const int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return err_errno(err, "%s", path);
    close(fd);
    return 0;
}

/* What a full disk takes to be a copy: SQLite says only that it is full. */
static int copy_rows(sqlite3 *db, const char *path, const char *folder, struct err *err)
{
    struct err why = {0};
    struct statvfs disk;
    int64_t pages = 0, free_pages = 0;
    if (sql_run(db, &why, "VACUUM INTO ?", "s", path) >= 0)
        return 0;
    if ((sqlite3_errcode(db) & 0xff) != SQLITE_FULL || statvfs(folder, &disk) ||
        sql_value(db, NULL, &pages, "PRAGMA page_count", "") ||
        sql_value(db, NULL, &free_pages, "PRAGMA freelist_count", ""))
        return err_set(err, why.code, "%s: %s", folder, why.msg);
    const uint64_t there = (uint64_t)disk.f_bavail * disk.f_frsize;
    const uint64_t wanted = (uint64_t)(pages - free_pages) * STORE_PAGE_BYTES;
    return err_set(
        err, ERR_BUSY,
        "%s: the disk is full: the copy takes up to %.1f MB, %.1f MB are free; "
        "nothing was copied; make room, or choose another folder",
        folder, (double)wanted / 1e6, (double)there / 1e6);
}

/*
 * VACUUM INTO reads one moment of the database while others write to it (their log
 * grows meanwhile) and writes it without what was free.  The copy has its name once it
 * is whole and on disk: killed before, there is none.
 */
static int copy_into(sqlite3 *db, const char *folder, struct err *err)
{
    char *const path = mem_printf("%s/frwkvd.db", folder);
    char *const part = mem_printf("%s.part", path);
    char *const wal = mem_printf("%s-wal", path);
    int status = -1;
    /* A log left behind would be replayed over the copy. */
    const char *const there = access(path, F_OK) == 0  ? path
                              : access(wal, F_OK) == 0 ? wal
                                                       : NULL;
    if (there)
        err_set(err, ERR_CONFLICT,
                "%s: is there already and is never overwritten; move it away, or "
                "choose another folder",
                there);
    else if (create(part, err) == 0 && copy_rows(db, part, folder, err) == 0 &&
             sync_path(part, O_RDWR, err) == 0)
        status = rename(part, path) ? err_errno(err, "%s", path)
                                    : sync_path(folder, O_RDONLY | O_DIRECTORY, err);
    if (status)
        unlink(part);
    free(wal);
    free(part);
    free(path);
    return status;
}

int store_backup(const char *uri, const char *folder, struct err *err)
{
    sqlite3 *const db = store_connect(uri, err);
    int status = -1;
    if (!db)
        return -1;
    if (mkdir(folder, 0700) && errno != EEXIST)
        err_errno(err, "backup folder %s: cannot be created", folder);
    else
        status = copy_into(db, folder, err);
    sqlite3_close(db);
    return status;
}

/* Files must belong to who will open them. */
static int check_owner(const char *folder, struct err *err)
{
    struct stat status;
    if (stat(folder, &status) || status.st_uid == geteuid())
        return 0;
    return err_set(err, ERR_CONFLICT,
                   "state folder %s: belongs to user %u, this is user %u; run this as "
                   "its owner (sudo -u '#%u' ...)",
                   folder, (unsigned)status.st_uid, (unsigned)geteuid(),
                   (unsigned)status.st_uid);
}

int store_restore(const char *folder, const char *uri, struct err *err)
{
    const char *const to = store_folder(uri, err);
    if (!to || check_owner(to, err))
        return -1;
    char *const from = mem_printf("sqlite:%s", folder);
    sqlite3 *const db = store_connect(from, err);
    const int lock_fd = db ? lock_folder(to, err) : -1;
    const int status = lock_fd >= 0 ? copy_into(db, to, err) : -1;
    if (lock_fd >= 0)
        close(lock_fd);
    sqlite3_close(db);
    free(from);
    return status;
}
