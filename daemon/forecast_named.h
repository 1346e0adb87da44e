/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * forecast_named.h -- asks for the forecast of a forecaster and prints it.
 */
#ifndef FORECAST_NAMED_H
#define FORECAST_NAMED_H

#include <stdbool.h>

#include "base/err.h"
#include "daemon/client.h"

struct forecast_wish {
    const char *name;
    const char *series;  /* NULL: all of them */
    const char *horizon; /* steps as text; NULL: as defined */
    bool json;           /* the answer as it comes */
};

int forecast_named(struct client *client, const struct forecast_wish *wish,
                   struct err *err);

#endif
