/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/column.h"

#include <stdbool.h>
#include <string.h>

/* prefix + text as a metric name: one "_" for each character that cannot be in it. */
static void to_metric(const char *prefix, const char *text, char *out)
{
    const char *const parts[] = {prefix, text};
    char *const start = out;
    if (*prefix == '\0' && *text >= '0' && *text <= '9')
        *out++ = '_';
    for (size_t p = 0; p < 2; p++) {
        for (const char *c = parts[p]; *c; c++) {
            const bool letter = (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z');
            const bool digit = *c >= '0' && *c <= '9' && out > start;
            if (letter || digit || *c == '_' || *c == ':')
                *out++ = *c;
            else if ((*c & 0xC0) != 0x80) /* not for the rest of a UTF-8 character */
                *out++ = '_';
        }
    }
    *out = '\0';
}

static int labels_of(const char *prefix, const char *text, size_t len,
                     struct labels *labels, struct err *err)
{
    const size_t prefix_len = strlen(prefix);
    char metric[LABELS_TEXT_MAX];
    if (strstr(text, "=\""))
        return labels_parse(text, len, labels, err);
    if (len == 0)
        return err_set(err, ERR_INVALID, "series: must have a name");
    if (prefix_len + len >= sizeof metric - 1) /* room for a "_" in front */
        return err_set(err, ERR_INVALID, "series: must be below %d bytes",
                       LABELS_TEXT_MAX);
    to_metric(prefix, text, metric);
    const bool same = strncmp(metric, prefix, prefix_len) == 0 &&
                      strcmp(metric + prefix_len, text) == 0;
    *labels = (struct labels){0};
    if (labels_add(labels, "__name__", metric, err))
        return -1;
    return same ? 0 : labels_add(labels, "column", text, err);
}

int column_series(const char *prefix, const char *text, size_t len,
                  char out[static LABELS_TEXT_MAX], struct err *err)
{
    struct labels labels;
    if (labels_of(prefix, text, len, &labels, err))
        return -1;
    return labels_format(&labels, out, err);
}
