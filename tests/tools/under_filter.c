/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * under_filter ALLOWED COMMAND... -- runs a command under what the unit forbids.
 *
 * ALLOWED is a file with the names of the system calls the unit allows; every other one
 * fails with EPERM, as SystemCallErrorNumber= says.  Memory that is written to and run
 * (MemoryDenyWriteExecute=) and sockets but of IPv4, IPv6 and UNIX are forbidden, too.
 */
#include <errno.h>
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

static void must(int status, const char *what)
{
    if (status >= 0)
        return;
    fprintf(stderr, "under_filter: %s: %s\n", what, strerror(-status));
    exit(125);
}

/* Names that this machine's kernel headers do not know are of others. */
static int allow(scmp_filter_ctx filter, FILE *names)
{
    char name[64];
    int count = 0;
    while (fscanf(names, "%63s", name) == 1) {
        const int number = seccomp_syscall_resolve_name(name);
        if (number == __NR_SCMP_ERROR || number < 0)
            continue;
        if (strcmp(name, "mmap") && strcmp(name, "mprotect") && strcmp(name, "socket"))
            must(seccomp_rule_add(filter, SCMP_ACT_ALLOW, number, 0), name);
        count++;
    }
    return count;
}

/* mmap() and mprotect() but to run what can be written or was. */
static void deny_write_execute(scmp_filter_ctx filter)
{
    const struct scmp_arg_cmp no_exec = SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0);
    const struct scmp_arg_cmp exec =
        SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC | PROT_WRITE, PROT_EXEC);
    must(seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1, no_exec), "mmap");
    must(seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1, exec), "mmap");
    must(seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1, no_exec),
         "mprotect");
}

static void allow_sockets(scmp_filter_ctx filter)
{
    static const int families[] = {AF_INET, AF_INET6, AF_UNIX};
    for (size_t i = 0; i < sizeof families / sizeof *families; i++)
        must(seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(socket), 1,
                              SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)families[i])),
             "socket");
}

int main(int argc, char **argv)
{
    FILE *const names = argc > 2 ? fopen(argv[1], "r") : NULL;
    if (!names) {
        fprintf(stderr, "usage: under_filter ALLOWED COMMAND...\n");
        return 125;
    }
    const scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
    if (!filter || allow(filter, names) < 100) {
        fprintf(stderr, "under_filter: %s: names no system calls\n", argv[1]);
        return 125;
    }
    fclose(names);
    deny_write_execute(filter);
    allow_sockets(filter);
    must(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ? -errno : 0, "no_new_privs");
    must(seccomp_load(filter), "seccomp_load");
    execvp(argv[2], argv + 2);
    fprintf(stderr, "under_filter: %s: %s\n", argv[2], strerror(errno));
    return 127;
}
