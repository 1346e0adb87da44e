/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * collectd.h -- what collectd's plugin write_http sends with "Format JSON"
 * (collectd.org/wiki/index.php/JSON).
 *
 *     [{"values": [0.12], "dstypes": ["gauge"], "dsnames": ["shortterm"],
 *       "time": 1774785600.057, "interval": 10.0, "host": "web-1", "plugin": "load",
 *       "plugin_instance": "", "type": "load", "type_instance": ""}]
 *
 * Series are called as collectd's own write_prometheus calls them: collectd_PLUGIN, then
 * _TYPE where that is another word, _DSNAME unless it is "value", _total for a counter or
 * a derive; labels instance (the host), PLUGIN (its instance, or the type's where there
 * is none) and type.  null is no value.  The plugin never sends a second time and logs
 * every status but 200.
 */
#ifndef COLLECTD_H
#define COLLECTD_H

#include <stddef.h>

#include "api/intake.h"

/* A value list that is not as above is refused with its values, the others are taken; -1
 * (ERR_INVALID) when it is no list at all. */
int collectd_read(const char *text, size_t len, struct intake *in, struct err *err);

/* A status and a line of text. */
void collectd_refuse(struct reply *reply, const struct err *err);

#endif
