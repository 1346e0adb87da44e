/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "api/known.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "api/fields.h"
#include "base/calendar.h"
#include "base/mem.h"

/* ---- in the definition ------------------------------------------------------------- */

int known_name_check(const char *name, struct err *err)
{
    if (forecaster_name_ok(name) && strncmp(name, "calendar.", strlen("calendar.")))
        return 0;
    return err_set(
        err, ERR_INVALID,
        "must be 1..%d letters, digits, -, _ and ., beginning with a letter or "
        "digit but not with \"calendar.\", got \"%.80s\"",
        FORECASTER_NAME_MAX - 1, name);
}

static int read_zone(const json_t *body, struct forecaster *f, struct err *err)
{
    const char *name = "UTC";
    struct err why = {0};
    if (field_text(body, "", "zone", false, &name, err))
        return -1;
    f->zone = zone_load(name, &why); /* its message begins with "zone: " */
    return f->zone ? 0 : err_copy(err, &why);
}

/* A list of texts; each(f, index, text). */
static int read_list(const json_t *body, const char *key, struct forecaster *f,
                     int (*each)(struct forecaster *f, size_t index, const char *text,
                                 struct err *err),
                     struct err *err)
{
    const json_t *const list = json_object_get(body, key);
    char shown[FIELD_SHOWN_MAX];
    if (list && !json_is_array(list))
        return err_set(err, ERR_INVALID, "%s: must be a list of texts, got %s", key,
                       field_shown(list, shown));
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *const one = json_array_get(list, i);
        struct err why = {0};
        if (!json_is_string(one))
            return err_set(err, ERR_INVALID, "%s[%zu]: must be text, got %s", key, i,
                           field_shown(one, shown));
        if (each(f, i, json_string_value(one), &why))
            return err_set(err, why.code, "%s[%zu]: %s", key, i, why.msg);
    }
    return 0;
}

static int take_part(struct forecaster *f, size_t index, const char *text,
                     struct err *err)
{
    (void)index;
    const int part = calendar_part_parse(text);
    if (part < 0)
        return err_set(err, ERR_INVALID, "must be one of hour, weekday, got \"%.40s\"",
                       text);
    f->calendar |= 1u << part;
    return 0;
}

static int take_name(struct forecaster *f, size_t index, const char *text,
                     struct err *err)
{
    if (index == FORECASTER_COVARIATES_MAX)
        return err_set(err, ERR_INVALID, "must be at most %d of them",
                       FORECASTER_COVARIATES_MAX);
    if (known_name_check(text, err))
        return -1;
    for (size_t i = 0; i < index; i++)
        if (!strcmp(f->covariates[i], text))
            return err_set(err, ERR_INVALID, "must not stand twice, got \"%.80s\"", text);
    f->covariates[index] = mem_text(text);
    f->covariate_count = index + 1;
    return 0;
}

static int read_holidays(const json_t *body, struct forecaster *f, struct err *err)
{
    const char *country = NULL;
    if (json_is_null(json_object_get(body, "holidays")))
        return 0;
    if (field_text(body, "", "holidays", false, &country, err))
        return -1;
    f->holidays = country ? holidays_find(country) : NULL;
    if (country && !f->holidays)
        return err_set(err, ERR_INVALID,
                       "holidays: must be null or one of %s, got \"%.40s\"",
                       holidays_countries(), country);
    return 0;
}

static int read_missing(const json_t *body, struct forecaster *f, struct err *err)
{
    const char *word = "error";
    if (field_text(body, "", "covariates_missing", false, &word, err))
        return -1;
    const int gap = covariate_gap_parse(word);
    if (gap < 0)
        return err_set(err, ERR_INVALID,
                       "covariates_missing: must be one of error, hold, zero, got "
                       "\"%.40s\"",
                       word);
    f->spec.gap = (enum covariate_gap)gap;
    return 0;
}

int known_read(const json_t *body, struct forecaster *f, struct err *err)
{
    if (!json_object_get(body, "calendar"))
        f->calendar = 1u << CALENDAR_HOUR | 1u << CALENDAR_WEEKDAY;
    return read_zone(body, f, err) || read_list(body, "calendar", f, take_part, err) ||
                   read_list(body, "covariates", f, take_name, err) ||
                   read_holidays(body, f, err) || read_missing(body, f, err)
               ? -1
               : 0;
}

void known_fini(struct forecaster *f)
{
    zone_free(f->zone);
    for (size_t i = 0; i < f->covariate_count; i++)
        free(f->covariates[i]);
}

void known_write(const struct forecaster *f, json_t *body)
{
    json_t *const calendar = json_array(), *const covariates = json_array();
    for (int p = 0; p < CALENDAR_PARTS; p++)
        if (f->calendar >> p & 1)
            json_array_append_new(calendar,
                                  json_string(calendar_part_word((enum calendar_part)p)));
    for (size_t i = 0; i < f->covariate_count; i++)
        json_array_append_new(covariates, json_string(f->covariates[i]));
    json_object_set_new(body, "zone", json_string(zone_name(f->zone)));
    json_object_set_new(body, "calendar", calendar);
    json_object_set_new(body, "holidays",
                        f->holidays ? json_string(holidays_country(f->holidays))
                                    : json_null());
    json_object_set_new(body, "covariates", covariates);
    json_object_set_new(body, "covariates_missing",
                        json_string(covariate_gap_word(f->spec.gap)));
}

/* ---- for a grid -------------------------------------------------------------------- */

/* Statements about a grid's rows and those ahead, with room for one more. */
static int read_statements(struct store *store, const char *name, int64_t from_ms,
                           int64_t to_ms, int64_t as_of_ms, struct store_covariate **out,
                           size_t *count, struct err *err)
{
    struct err why = {0};
    *out = NULL;
    *count = 0;
    if (!store ||
        !store_covariate_read(store, name, from_ms, to_ms, as_of_ms, out, count, &why))
        return 0;
    if (why.code == ERR_NOT_FOUND)
        return err_set(err, ERR_CONFLICT,
                       "covariates: %s is not there: PUT /v1/covariates/%s", name, name);
    return err_copy(err, &why);
}

static const struct known_override *find_override(const struct known_override *overrides,
                                                  size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (!strcmp(overrides[i].name, name))
            return &overrides[i];
    return NULL;
}

static int add_one(const char *name, struct store *store, int64_t as_of_ms,
                   const struct known_override *override, const struct grid *grid,
                   struct err *err)
{
    struct covariates *const c = grid->covariates;
    const int64_t end_ms = grid_time_ms(grid, grid->rows);
    struct store_covariate *said;
    size_t count;
    if (read_statements(store, name, grid->start_ms,
                        grid_time_ms(grid, covariates_rows(c)), as_of_ms, &said, &count,
                        err))
        return -1;
    struct covariate_statement *const all = mem_new(count + 1, sizeof *all);
    for (size_t i = 0; i < count; i++) {
        all[i] = said[i].statement;
        if (all[i].known_ms > end_ms) /* it has arrived: this forecast may know it */
            all[i].known_ms = end_ms;
    }
    if (override) { /* the newest of all at the end; the only one where nothing is stored */
        all[count] = override->statement;
        all[count].known_ms = store ? end_ms : KNOWN_ALWAYS;
    }
    const int rc = covariates_add(c, name, name, all, count + (override != NULL), err);
    free(all);
    store_covariates_fini(said, count);
    return rc;
}

int known_add(const struct forecaster *f, struct store *store, int64_t as_of_ms,
              const struct known_override *overrides, size_t count, struct grid *grid,
              struct err *err)
{
    if (f->calendar == 0 && !f->holidays && f->covariate_count == 0)
        return 0;
    grid->covariates = covariates_new(grid, f->spec.horizon);
    int rc = calendar_add(grid->covariates, f->zone, f->calendar, f->holidays, err);
    for (size_t i = 0; rc == 0 && i < f->covariate_count; i++)
        rc = add_one(f->covariates[i], store, as_of_ms,
                     find_override(overrides, count, f->covariates[i]), grid, err);
    return rc;
}
