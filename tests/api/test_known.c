/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is known in advance: statements out of JSON, and the covariates of a grid. */
#include "tests/api/fixture.h"

#include "api/fields.h"
#include "api/known.h"

enum { HOUR_MS = 3600000 };

static int read_text(const char *text, int64_t now_ms, struct covariate_statement *out,
                     struct err *err)
{
    json_auto_t *body = fields_parse(text, strlen(text), err);
    assert_non_null(body);
    return known_statement_read(body, "", now_ms, out, err);
}

static void statements_are_read(void **state)
{
    (void)state;
    struct covariate_statement s;
    struct err err = {0};
    assert_ok(read_text("{\"from\":\"2026-03-29\",\"to\":\"2026-03-30\",\"otherwise\":0,"
                        "\"zone\":\"Europe/Berlin\",\"known\":\"always\",\"values\":["
                        "{\"from\":\"2026-03-29 08:00\",\"to\":\"2026-03-29 10:00\","
                        "\"value\":1.5}]}",
                        FIXTURE_NOW, &s, &err),
              &err);
    assert_int_equal(s.to_ms - s.from_ms, 23 * HOUR_MS); /* the short day */
    assert_true(s.known_ms == KNOWN_ALWAYS);
    assert_close(s.otherwise, 0, 0);
    assert_int_equal(s.count, 1);
    assert_int_equal(s.spans[0].from_ms - s.from_ms, 7 * HOUR_MS);
    assert_close(s.spans[0].value, 1.5, 0);
    free(s.spans);

    assert_ok(read_text("{\"from\":1000,\"step\":\"1h\",\"values\":[1,null,-3e5]}",
                        FIXTURE_NOW, &s, &err),
              &err);
    assert_int_equal(s.to_ms, 1000 + 3 * HOUR_MS);
    assert_int_equal(s.known_ms, FIXTURE_NOW);
    assert_true(isnan(s.otherwise) && isnan(s.spans[1].value));
    assert_int_equal(s.spans[2].from_ms, 1000 + 2 * HOUR_MS);
    assert_close(s.spans[2].value, -3e5, 0);
    free(s.spans);

    /* days as they are there: the second has 25 hours */
    assert_ok(read_text("{\"from\":\"2026-10-24\",\"step\":\"1d\",\"values\":[1,2,3],"
                        "\"zone\":\"Europe/Berlin\"}",
                        FIXTURE_NOW, &s, &err),
              &err);
    assert_int_equal(s.spans[1].from_ms - s.from_ms, 24 * HOUR_MS);
    assert_int_equal(s.spans[2].from_ms - s.from_ms, 49 * HOUR_MS);
    assert_int_equal(s.to_ms - s.from_ms, 73 * HOUR_MS);
    free(s.spans);
}

static void bad_statements_name_their_field(void **state)
{
    (void)state;
    static const struct {
        const char *text, *want;
    } cases[] = {
        {"{}", "from: is missing"},
        {"{\"from\":0}", "to: is missing"},
        {"{\"from\":0,\"to\":0}", "to: must be after from, got 1970-01-01T00:00:00Z"},
        {"{\"from\":\"soon\",\"to\":1}", "from: must be RFC 3339, a date or"},
        {"{\"from\":1e3,\"to\":1}", "from: must be RFC 3339, a date or"},
        {"{\"from\":0,\"to\":9,\"x\":1}", "x: is not a field"},
        {"{\"from\":0,\"to\":9,\"otherwise\":\"0\"}", "otherwise: must be a number"},
        {"{\"from\":0,\"to\":9,\"otherwise\":1e101}",
         "otherwise: must be within -1e+100"},
        {"{\"from\":0,\"step\":\"1h\",\"values\":[1,-1e300]}",
         "values[1]: must be within -1e+100 and 1e+100, got -1"},
        {"{\"from\":0,\"to\":9,\"known\":\"never\"}", "known: must be RFC 3339"},
        {"{\"from\":0,\"to\":9,\"zone\":\"../x\"}", "zone: must be \"UTC\""},
        {"{\"from\":0,\"to\":9,\"values\":{}}", "values: must be a list"},
        {"{\"from\":0,\"to\":9,\"values\":[1]}", "values[0]: must be an object"},
        {"{\"from\":0,\"to\":9,\"values\":[{\"from\":0,\"value\":1}]}",
         "values[0].to: is"},
        {"{\"from\":0,\"to\":9,\"values\":[{\"from\":0,\"to\":10,\"value\":1}]}",
         "values[0]: must lie within from and to, got 1970-01-01T00:00:00.010Z"},
        {"{\"from\":0,\"to\":9,\"values\":[{\"from\":0,\"to\":5,\"value\":1},"
         "{\"from\":4,\"to\":6,\"value\":1}]}",
         "values[1].from: must not be before the end"},
        {"{\"from\":0,\"to\":9,\"values\":[{\"from\":0,\"to\":5,\"valu\":1}]}",
         "values[0].valu: is not a field"},
        {"{\"from\":0,\"step\":\"1h\",\"values\":[]}", "values: must hold at least one"},
        {"{\"from\":0,\"step\":\"1h\",\"to\":5,\"values\":[1]}", "to: is step times"},
        {"{\"from\":0,\"step\":\"soon\",\"values\":[1]}", "step: must be a duration"},
        {"{\"from\":0,\"step\":\"1h\",\"values\":[1,true]}",
         "values[1]: must be a number"},
        {"{\"from\":\"9999-12-31\",\"step\":\"1d\",\"values\":[1,1]}",
         "by the year 9999"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct covariate_statement s;
        struct err err;
        assert_err(read_text(cases[i].text, FIXTURE_NOW, &s, &err), &err, ERR_INVALID,
                   cases[i].want);
        assert_null(s.spans);
    }
    /* what is supposed has no past */
    struct covariate_statement s;
    struct err err;
    assert_err(read_text("{\"from\":0,\"to\":9,\"known\":\"always\"}", 0, &s, &err), &err,
               ERR_INVALID, "known: is not a field");
}

/* A day of the covariate "load" of a forecaster of hours, as of an instant. */
static double load_at(const struct fixture *f, int64_t as_of_ms, size_t row,
                      size_t origin, const struct known_override *override)
{
    static const char definition[] =
        "{\"select\":\"cpu\",\"step\":\"1h\",\"calendar\":[],\"covariates\":[\"load\"]}";
    struct forecaster wanted;
    struct grid grid;
    struct err err = {0};
    assert_ok(
        forecaster_parse("web", definition, strlen(definition), &wanted, NULL, &err),
        &err);
    assert_ok(grid_init(&grid, FIXTURE_NOW - 24 * HOUR_MS, HOUR_MS, 24, 1, &err), &err);
    assert_ok(
        known_add(&wanted, f->store, as_of_ms, override, override != NULL, &grid, &err),
        &err);
    assert_int_equal(covariates_count(grid.covariates), 1);
    assert_int_equal(covariates_rows(grid.covariates), 24 + wanted.spec.horizon);
    const double value = covariates_at(grid.covariates, 0, row, origin, GAP_ERROR);
    grid_fini(&grid);
    forecaster_fini(&wanted);
    return value;
}

static void put_load(struct fixture *f, double value, int64_t known_ms)
{
    const struct covariate_statement s = {.from_ms = FIXTURE_NOW - 24 * HOUR_MS,
                                          .to_ms = FIXTURE_NOW + 48 * HOUR_MS,
                                          .known_ms = known_ms,
                                          .otherwise = value};
    struct err err = {0};
    bool stored;
    assert_ok(store_covariate_put(f->store, "load", &s, &stored, &err), &err);
    assert_true(stored);
}

/* P3, at the place where stored statements become a grid's. */
static void an_origin_sees_what_had_come(void **state)
{
    struct fixture *const f = *state;
    put_load(f, 1, KNOWN_ALWAYS);
    put_load(f, 2, FIXTURE_NOW - 10 * HOUR_MS);
    f->now_ms += HOUR_MS;
    put_load(f, 3, f->now_ms);
    assert_close(load_at(f, FIXTURE_NOW, 30, 0, NULL), 1, 0);
    assert_close(load_at(f, FIXTURE_NOW, 30, 13, NULL), 1, 0);
    assert_close(load_at(f, FIXTURE_NOW, 30, 14, NULL), 2, 0);
    assert_close(load_at(f, FIXTURE_NOW, 30, 24, NULL), 2, 0);
    /* half an hour after the last whole step what came meanwhile is known at its end */
    assert_close(load_at(f, f->now_ms, 30, 23, NULL), 2, 0);
    assert_close(load_at(f, f->now_ms, 30, 24, NULL), 3, 0);
    const struct known_override four = {
        "load",
        {.from_ms = FIXTURE_NOW, .to_ms = FIXTURE_NOW + 10 * HOUR_MS, .otherwise = 4}};
    assert_close(load_at(f, f->now_ms, 30, 24, &four), 4, 0);
    assert_close(load_at(f, f->now_ms, 40, 24, &four), 3, 0);
    assert_close(load_at(f, f->now_ms, 23, 24, &four), 3, 0);
}

static void what_is_not_there_is_named(void **state)
{
    struct fixture *const f = *state;
    static const char definition[] =
        "{\"select\":\"cpu\",\"step\":\"1h\",\"covariates\":[\"load\"]}";
    struct forecaster wanted;
    struct grid grid;
    struct err err = {0};
    assert_ok(
        forecaster_parse("web", definition, strlen(definition), &wanted, NULL, &err),
        &err);
    assert_ok(grid_init(&grid, FIXTURE_NOW, HOUR_MS, 2, 1, &err), &err);
    assert_err(known_add(&wanted, f->store, FIXTURE_NOW, NULL, 0, &grid, &err), &err,
               ERR_CONFLICT, "covariates: load is not there: PUT /v1/covariates/load");
    grid_fini(&grid);
    forecaster_fini(&wanted);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(statements_are_read),
        cmocka_unit_test(bad_statements_name_their_field),
        cmocka_unit_test_setup_teardown(an_origin_sees_what_had_come, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(what_is_not_there_is_named, fixture_setup,
                                        fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
