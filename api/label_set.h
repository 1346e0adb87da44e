/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * label_set.h -- the labels of one series as they stand in a request, and its canonical
 * name (labels.h) made of them.
 *
 * Points into the request.  What real senders send, labels sorted and of plain ASCII,
 * goes straight from their bytes into the name; all else through labels.h, which knows
 * every case and says what is wrong.
 */
#ifndef LABEL_SET_H
#define LABEL_SET_H

#include <stddef.h>

#include "base/labels.h"

struct label_set {
    size_t count; /* of all that were added, though only so many are kept */
    struct label_text {
        const char *name, *value;
        size_t name_len, value_len;
    } label[LABELS_COUNT_MAX];
};

static inline void label_set_add(struct label_set *set, const char *name, size_t name_len,
                                 const char *value, size_t value_len)
{
    if (set->count < LABELS_COUNT_MAX)
        set->label[set->count] = (struct label_text){name, value, name_len, value_len};
    set->count++;
}

/* Makes a label name of any text: characters that none may have become "_". */
void label_name_mend(char *name, size_t len);

/* ERR_INVALID as of labels_add() and labels_format(). */
int label_set_name(const struct label_set *set, char out[static LABELS_TEXT_MAX],
                   struct err *err);

#endif
