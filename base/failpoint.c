/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/failpoint.h"

#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"

enum { LOOK_US = 20000 };

static const char *folder; /* set once */
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void find_folder(void)
{
    folder = getenv("FRWKVD_FAILPOINTS");
}

void failpoint(const char *name)
{
    pthread_once(&once, find_folder);
    if (!folder)
        return;
    char *const path = mem_printf("%s/%s", folder, name);
    while (access(path, F_OK) == 0)
        usleep(LOOK_US);
    free(path);
}
