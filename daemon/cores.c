/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "daemon/cores.h"

#include <sched.h>

size_t cores_usable(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set))
        return 1;
    const int count = CPU_COUNT(&set);
    return count > 0 ? (size_t)count : 1;
}
