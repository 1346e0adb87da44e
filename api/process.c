/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "api/process.h"

#include <dirent.h>
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/sysinfo.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"

/* A small file of the kernel's into text; false: cannot be read. */
static bool read_small(const char *path, char *text, size_t room)
{
    FILE *const file = fopen(path, "re");
    if (!file)
        return false;
    const size_t len = fread(text, 1, room - 1, file);
    text[len] = '\0';
    fclose(file);
    return len > 0;
}

/* /proc/self/stat, proc(5): what stands behind the name, which may hold anything. */
static void write_stat(struct exposition *out)
{
    char text[1024];
    uint64_t user, system, started, size;
    int64_t threads, pages;
    if (!read_small("/proc/self/stat", text, sizeof text))
        return;
    const char *const behind = strrchr(text, ')');
    if (!behind ||
        sscanf(behind,
               ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %" SCNu64 " %" SCNu64
               " %*d %*d %*d %*d %" SCNd64 " %*d %" SCNu64 " %" SCNu64 " %" SCNd64,
               &user, &system, &threads, &started, &size, &pages) != 6)
        return;
    const double ticks = (double)sysconf(_SC_CLK_TCK);
    exposition_one(out, "process_cpu_seconds_total", FAMILY_COUNTER,
                   "Processor time of the process, user and system.",
                   (double)(user + system) / ticks);
    exposition_one(out, "process_virtual_memory_bytes", FAMILY_GAUGE,
                   "Address space of the process.", (double)size);
    exposition_one(out, "process_resident_memory_bytes", FAMILY_GAUGE,
                   "Memory of the process that is in RAM.",
                   (double)pages * (double)sysconf(_SC_PAGESIZE));
    exposition_one(out, "process_threads", FAMILY_GAUGE, "Threads of the process.",
                   (double)threads);
    struct timespec now, up;
    if (clock_gettime(CLOCK_REALTIME, &now) || clock_gettime(CLOCK_BOOTTIME, &up))
        return;
    const double booted =
        (double)(now.tv_sec - up.tv_sec) + 1e-9 * (double)(now.tv_nsec - up.tv_nsec);
    exposition_one(out, "process_start_time_seconds", FAMILY_GAUGE,
                   "When the process started, since 1970.",
                   booted + (double)started / ticks);
}

static void write_files(struct exposition *out)
{
    DIR *const folder = opendir("/proc/self/fd");
    size_t count = 0;
    while (folder && readdir(folder))
        count++;
    if (folder) {
        closedir(folder);
        /* Without ".", ".." and the folder itself. */
        exposition_one(out, "process_open_fds", FAMILY_GAUGE, "Open file descriptors.",
                       (double)count - 3);
    }
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
        exposition_one(out, "process_max_fds", FAMILY_GAUGE,
                       "File descriptors that may be open at once.",
                       (double)limit.rlim_cur);
}

/* The limit of the process's own control group (version 2); 0: none. */
static double group_memory(void)
{
    char text[512], limit[64];
    if (!read_small("/proc/self/cgroup", text, sizeof text))
        return 0;
    char *const own = strstr(text, "0::/");
    if (!own)
        return 0;
    own[strcspn(own, "\n")] = '\0';
    char *const path = mem_printf("/sys/fs/cgroup%s/memory.max", own + 3);
    const bool found = read_small(path, limit, sizeof limit);
    free(path);
    return found ? strtod(limit, NULL) : 0; /* "max" is 0, too */
}

static void write_machine(struct exposition *out)
{
    cpu_set_t set;
    struct sysinfo machine;
    if (sched_getaffinity(0, sizeof set, &set) == 0)
        exposition_one(out, "frwkvd_cores_available", FAMILY_GAUGE,
                       "Processor cores that the process may run on.", CPU_COUNT(&set));
    if (sysinfo(&machine))
        return;
    const double all = (double)machine.totalram * (double)machine.mem_unit;
    const double group = group_memory();
    exposition_one(out, "frwkvd_memory_available_bytes", FAMILY_GAUGE,
                   "Memory that the process may use: of the machine, or of its control "
                   "group.",
                   group > 0 && group < all ? group : all);
}

void process_write(struct exposition *out)
{
    write_stat(out);
    write_files(out);
    write_machine(out);
}
