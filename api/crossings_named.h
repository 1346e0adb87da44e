/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * crossings_named.h -- crossings as series, for readers of metrics.
 *
 *     <metric>:crossing_timestamp_seconds{forecaster="disks",threshold="above",p="0.5",...}
 *     <metric>:crossing_probability{forecaster="disks",threshold="above",...}
 *
 * with all labels of the series (one that has one of these names is called exported_p and
 * so on): when it crosses, since 1970, +Inf where not within the horizon; and how probable
 * it is to cross within it.  They say what is known now, since the newest step ended: there
 * is a point then, and one at least every four minutes up to now, none before or after.
 */
#ifndef CROSSINGS_NAMED_H
#define CROSSINGS_NAMED_H

#include "api/named.h"

struct api;

/* As named_read() and named_list(), which it goes with.  A forecaster of which nothing can
 * be said now has no series. */
int crossings_named(struct api *api, const struct named_wish *wish, bool names_only,
                    named_each *each, void *ctx, struct err *err);

#endif
