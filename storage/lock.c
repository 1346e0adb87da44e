/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/store.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/mem.h"

/* WAL keeps its index in memory shared by the processes of one host. */
static int refuse_network(const char *folder, struct err *err)
{
    static const struct {
        unsigned long magic;
        const char *name;
    } NETWORK[] = {
        {NFS_SUPER_MAGIC, "NFS"},   {SMB_SUPER_MAGIC, "SMB"}, {CIFS_SUPER_MAGIC, "CIFS"},
        {SMB2_SUPER_MAGIC, "SMB"},  {AFS_SUPER_MAGIC, "AFS"}, {CEPH_SUPER_MAGIC, "Ceph"},
        {CODA_SUPER_MAGIC, "Coda"}, {V9FS_MAGIC, "9p"},
    };
    struct statfs fs;
    if (statfs(folder, &fs))
        return err_errno(err, "state folder %s", folder);
    for (size_t i = 0; i < sizeof NETWORK / sizeof *NETWORK; i++)
        if ((unsigned long)(unsigned int)fs.f_type == NETWORK[i].magic)
            return err_set(err, ERR_INVALID,
                           "state folder %s: lies on a network file system (%s), where "
                           "SQLite is not safe; choose a local disk",
                           folder, NETWORK[i].name);
    return 0;
}

/* The folder's own entry must outlive a power loss as well as what is in it. */
static int sync_parent(const char *folder, struct err *err)
{
    char *const path = mem_printf("%s/..", folder);
    const int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    free(path);
    const int status = fd >= 0 ? fsync(fd) : -1;
    if (status)
        err_errno(err, "state folder %s: its folder cannot be synced", folder);
    if (fd >= 0)
        close(fd);
    return status;
}

static int check_folder(const char *folder, struct err *err)
{
    if (mkdir(folder, 0700) == 0) {
        if (sync_parent(folder, err))
            return -1;
    } else if (errno != EEXIST) {
        return err_errno(err, "state folder %s: cannot be created", folder);
    }
    struct stat stat_buf;
    if (stat(folder, &stat_buf))
        return err_errno(err, "state folder %s", folder);
    if (!S_ISDIR(stat_buf.st_mode))
        return err_set(err, ERR_INVALID, "state folder %s: is not a folder", folder);
    if (access(folder, R_OK | W_OK | X_OK))
        return err_set(err, ERR_IO,
                       "state folder %s: not writable by user %u; its owner is user %u",
                       folder, (unsigned)geteuid(), (unsigned)stat_buf.st_uid);
    return refuse_network(folder, err);
}

/* The holder writes its process number into the file, for this message. */
static int held(int fd, const char *folder, struct err *err)
{
    char owner[32] = "";
    const ssize_t len = pread(fd, owner, sizeof owner - 1, 0);
    owner[len > 0 ? len : 0] = '\0';
    owner[strcspn(owner, "\n")] = '\0';
    return err_set(err, ERR_CONFLICT, "state folder %s: in use by process %s", folder,
                   owner[0] ? owner : "unknown");
}

/* An open file description lock: it ends with the process however that ends, and a
 * second opening in the same process is refused like any other. */
int lock_folder(const char *folder, struct err *err)
{
    if (check_folder(folder, err))
        return -1;
    char *const path = mem_printf("%s/lock", folder);
    const int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) {
        err_errno(err, "state folder %s: lock file", folder);
        goto fail;
    }
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    if (fcntl(fd, F_OFD_SETLK, &lock)) {
        if (errno == EAGAIN || errno == EACCES)
            held(fd, folder, err);
        else
            err_errno(err, "state folder %s: lock file", folder);
        goto fail;
    }
    /* Only a courtesy to held(): a full disk does not matter here. */
    if (ftruncate(fd, 0) == 0)
        dprintf(fd, "%ld\n", (long)getpid());
    free(path);
    return fd;
fail:
    if (fd >= 0)
        close(fd);
    free(path);
    return -1;
}
