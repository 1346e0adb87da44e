/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "model/mixer.h"

#include <string.h>

#include "model/rwkv7.h"

static const struct mixer *const mixers[] = {&rwkv7_mixer};

const struct mixer *mixer_find(const char *name, struct err *err)
{
    for (size_t i = 0; i < sizeof mixers / sizeof *mixers; i++)
        if (!strcmp(mixers[i]->name, name))
            return mixers[i];
    err_set(err, ERR_INVALID, "mixer: must be rwkv7, got %s", name);
    return NULL;
}
