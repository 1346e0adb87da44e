/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "api/thresholds.h"

#include "api/fields.h"

static const char *const keys[THRESHOLDS + 1] = {
    [THRESHOLD_BELOW] = "below", [THRESHOLD_ABOVE] = "above"};

const char *threshold_word(size_t threshold)
{
    return keys[threshold];
}

static int read_one(const json_t *object, struct forecaster *f, size_t which,
                    struct err *err)
{
    struct threshold *const t = &f->thresholds[which];
    const json_t *const value = json_object_get(object, keys[which]);
    if (field_number(object, "thresholds", keys[which], &t->value, err))
        return -1;
    t->set = value && !json_is_null(value);
    if (t->set && (t->value < f->spec.min || t->value > f->spec.max))
        return err_set(err, ERR_INVALID,
                       "thresholds.%s: must lie in %g..%g, the bounds, got %g",
                       keys[which], f->spec.min, f->spec.max, t->value);
    return 0;
}

int thresholds_read(const json_t *body, struct forecaster *f, struct err *err)
{
    const json_t *const object = json_object_get(body, "thresholds");
    char shown[FIELD_SHOWN_MAX];
    if (!object || json_is_null(object))
        return 0;
    if (!json_is_object(object))
        return err_set(
            err, ERR_INVALID,
            "thresholds: must be null or an object such as {\"above\": 0.9}, got %s",
            field_shown(object, shown));
    if (fields_known(object, "thresholds", keys, err))
        return -1;
    for (size_t i = 0; i < THRESHOLDS; i++)
        if (read_one(object, f, i, err))
            return -1;
    const struct threshold *const t = f->thresholds;
    if (t[THRESHOLD_BELOW].set && t[THRESHOLD_ABOVE].set &&
        t[THRESHOLD_BELOW].value >= t[THRESHOLD_ABOVE].value)
        return err_set(err, ERR_INVALID,
                       "thresholds.below: must be below above (%g), got %g",
                       t[THRESHOLD_ABOVE].value, t[THRESHOLD_BELOW].value);
    return 0;
}

void thresholds_write(const struct forecaster *f, json_t *policy)
{
    json_t *const object = json_object();
    bool any = false;
    for (size_t i = THRESHOLDS; i-- > 0;) {
        any |= f->thresholds[i].set;
        json_object_set_new(object, keys[i],
                            f->thresholds[i].set ? json_real(f->thresholds[i].value)
                                                 : json_null());
    }
    if (any) {
        json_object_set_new(policy, "thresholds", object);
        return;
    }
    json_decref(object);
    json_object_set_new(policy, "thresholds", json_null());
}
