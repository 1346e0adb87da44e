/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * influx_line.h -- lines of InfluxDB's protocol
 * (docs.influxdata.com/influxdb/v1/write_protocols/line_protocol_reference).
 *
 *     cpu,host=web-1,core=0 user=0.31,system=2i,state="ok" 1774785600000000000
 *
 * becomes cpu_user{core="0",host="web-1"} and cpu_system{...}: a series for each field
 * that is a number or a boolean (1, 0); text is passed over and counted.  Characters that
 * no label name may have become "_".  A line that cannot be read is refused whole and
 * counts as one sample; the other lines are taken.
 */
#ifndef INFLUX_LINE_H
#define INFLUX_LINE_H

#include <stddef.h>

#include "api/intake.h"

struct influx_lines {
    const char *db;      /* becomes a label unless the line has that tag; or NULL */
    int64_t unit_ns;     /* of time stamps */
    uint64_t unreadable; /* out: lines */
};

void influx_lines_read(const char *text, size_t len, struct influx_lines *lines,
                       struct intake *in);

#endif
