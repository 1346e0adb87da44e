/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * named.h -- what readers of metrics see: stored series under their own names, and of
 * every forecaster what it issued, under the names and at the times of predicted.h.
 *
 * For a time t counts the newest forecast that was issued before t and has got there: the
 * past shows what was believed then, the future what is believed now.  Where the newest
 * says nothing of a series, no older one is shown in its place.  Only what was issued
 * (store_issue_append()) is seen, of forecasters that are there now.
 */
#ifndef NAMED_H
#define NAMED_H

#include "base/grid.h"
#include "base/labels.h"
#include "storage/storage.h"

/* How far PromQL looks back for a sample. */
enum { NAMED_LOOKBACK_MS = 300000 };

struct named_wish {
    const char *selector;   /* of labels.h, over all names; NULL: everything */
    int64_t from_ms, to_ms; /* both belong to it */
    /* Also what a look back from from_ms finds: five minutes, and of a stored series a
     * step of the forecasters that read it. */
    bool look_back;
    size_t samples_max; /* of all series together: past it ERR_TOO_LARGE */
};

struct named {
    const struct labels *labels;
    const struct sample *samples; /* ascending */
    size_t count;
    int64_t lookback_ms; /* 0 unless that was wished for */
};
/* All is borrowed; -1 ends the reading. */
typedef int named_each(void *ctx, const struct named *named, struct err *err);

/* Calls each once a series that has samples, in no order.  ERR_INVALID: a bad selector;
 * ERR_TOO_LARGE; ERR_CORRUPT; what each says. */
int named_read(struct store *store, const struct named_wish *wish, named_each *each,
               void *ctx, struct err *err);

/* The names alone: of stored series with samples in the span, and of the newest issue
 * before its end of each forecaster that reaches into it. */
int named_list(struct store *store, const struct named_wish *wish, named_each *each,
               void *ctx, struct err *err);

#endif
