/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "api/rules.h"

#include <string.h>

#include "base/time.h"

int rule_series(const char *text, char canonical[static LABELS_TEXT_MAX], struct err *err)
{
    struct labels labels;
    return labels_parse(text, strlen(text), &labels, err) ||
                   labels_format(&labels, canonical, err)
               ? -1
               : 0;
}

int rule_field(const char *field, struct err *err)
{
    static const char *const words[] = {"series: ", "selector: "};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        const size_t len = strlen(words[i]);
        if (strncmp(err->msg, words[i], len))
            continue;
        memmove(err->msg, err->msg + len, strlen(err->msg + len) + 1);
        break;
    }
    err_prefix(err, "%s", field);
    return -1;
}

int rule_time_now(int64_t time_ms, int64_t now_ms, int64_t future_max_ms, struct err *err)
{
    if (time_ms <= now_ms + future_max_ms)
        return 0;
    char most[TIME_TEXT_SIZE], now[TIME_TEXT_SIZE], got[TIME_TEXT_SIZE];
    return err_set(err, ERR_INVALID, "must be at most %s ahead of the clock (%s), got %s",
                   duration_format(future_max_ms, most), time_format(now_ms, now),
                   time_format(time_ms, got));
}
