/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/check.h"

#include <stdio.h>
#include <unistd.h>

#include "daemon/csv_grid.h"

#define HOUR INT64_C(3600000)

/* Reads text as a file. */
static int grid_of(const char *text, enum csv_form form, struct grid *grid,
                   struct err *err)
{
    char path[] = "/tmp/frwkvd-test-XXXXXX";
    const int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
    const struct csv_options options = {.form = form, .step_ms = CSV_GRID_STEP_MS};
    const int result = csv_grid_read(path, &options, grid, err);
    unlink(path);
    return result;
}

static void a_wide_file_is_its_grid(void **state)
{
    (void)state;
    struct grid grid = {0};
    struct err err = {0};
    assert_ok(grid_of("date,a,b\n"
                      "2026-01-01 00:00,1,10\n"
                      "2026-01-01 01:00,2,\n"
                      "2026-01-01 02:00,3,30\n",
                      CSV_WIDE, &grid, &err),
              &err);
    assert_int_equal(grid.rows, 3);
    assert_int_equal(grid.cols, 2);
    assert_int_equal(grid.step_ms, HOUR);
    assert_int_equal(grid.start_ms, INT64_C(1767225600000));
    assert_string_equal(grid.names[1], "b");
    static const double want[] = {1, 10, 2, (double)NAN, 3, 30};
    for (size_t i = 0; i < 6; i++)
        assert_close(grid.values[i], want[i], 0);
    grid_fini(&grid);
}

static void irregular_times_become_means_and_gaps(void **state)
{
    (void)state;
    struct grid grid = {0};
    struct err err = {0};
    /* Unsorted; the longest series decides about the step. */
    assert_ok(grid_of("series,time,value\n"
                      "a,2026-01-01T03:00:00Z,4\n"
                      "a,2026-01-01T00:00:00Z,1\n"
                      "b,2026-01-01T00:10:00Z,5\n"
                      "a,2026-01-01T01:00:00Z,2\n"
                      "a,2026-01-01T01:30:00Z,3\n"
                      "a,2026-01-01T05:00:00Z,6\n"
                      "a,2026-01-01T06:00:00Z,7\n"
                      "b,2026-01-01T00:20:00Z,7\n"
                      "a,2026-01-01T07:00:00Z,8\n",
                      CSV_LONG, &grid, &err),
              &err);
    assert_int_equal(grid.step_ms, HOUR);
    assert_int_equal(grid.rows, 8);
    static const double a[] = {1, 2.5, (double)NAN, 4, (double)NAN, 6, 7, 8};
    for (size_t i = 0; i < 8; i++)
        assert_close(grid.values[2 * i], a[i], 0);
    assert_close(grid.values[1], 6, 0);
    assert_close(grid.values[3], NAN, 0);
    grid_fini(&grid);
}

static void rows_have_no_times(void **state)
{
    (void)state;
    struct grid grid = {0};
    struct err err = {0};
    assert_ok(grid_of("a,1,2,3\nb,4,5,6\n", CSV_ROWS, &grid, &err), &err);
    assert_int_equal(grid.rows, 3);
    assert_int_equal(grid.cols, 2);
    assert_int_equal(grid.start_ms, 0);
    assert_close(grid.values[5], 6, 0);
    grid_fini(&grid);
}

/* As M4's files are: rows of unlike length, some filled up with empty fields. */
static void rows_end_together(void **state)
{
    (void)state;
    struct grid grid = {0};
    struct err err = {0};
    assert_ok(grid_of("a,1,,2,,3\nb,7,8\nc,9,,,,\nd,,,,,\n", CSV_ROWS, &grid, &err),
              &err);
    assert_int_equal(grid.step_ms, CSV_GRID_STEP_MS);
    assert_int_equal(grid.rows, 5);
    assert_int_equal(grid.cols, 4);
    static const double want[] = {1,   NAN, NAN, NAN, NAN, NAN, NAN, NAN, 2, NAN,
                                  NAN, NAN, NAN, 7,   NAN, NAN, 3,   8,   9, NAN};
    for (size_t i = 0; i < sizeof want / sizeof *want; i++)
        assert_close(grid.values[i], want[i], 0);
    grid_fini(&grid);
}

static void what_cannot_be_a_grid_is_refused(void **state)
{
    (void)state;
    struct grid grid = {0};
    struct err err;
    assert_err(grid_of("time,a\n2026-01-01,1\n", CSV_WIDE, &grid, &err), &err,
               ERR_INVALID, "holds no step");
    assert_err(grid_of("time,a\n2026-01-01,1\n2026-01-02,x\n", CSV_WIDE, &grid, &err),
               &err, ERR_INVALID, "line 3");
    /* A step of a second over centuries is more than fits. */
    assert_err(grid_of("time,a\n1000-01-01,1\n2026-01-01T00:00:00Z,1\n"
                       "2026-01-01T00:00:01Z,1\n2026-01-01T00:00:02Z,1\n",
                       CSV_WIDE, &grid, &err),
               &err, ERR_INVALID, "");
    const struct csv_options options = {.form = CSV_WIDE};
    assert_err(csv_grid_read("/nonexistent.csv", &options, &grid, &err), &err, ERR_IO,
               "/nonexistent.csv");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_wide_file_is_its_grid),
        cmocka_unit_test(irregular_times_become_means_and_gaps),
        cmocka_unit_test(rows_have_no_times),
        cmocka_unit_test(rows_end_together),
        cmocka_unit_test(what_cannot_be_a_grid_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
