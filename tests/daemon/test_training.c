/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/check.h"

#include <stdio.h>

#include "api/api.h"
#include "base/mem.h"
#include "daemon/outlook.h"
#include "daemon/training.h"

static void progress_reads_back_from_json(void **state)
{
    (void)state;
    const struct model_progress p = {.phase = "refit",
                                     .epoch = 3,
                                     .epochs = 20,
                                     .step = 120,
                                     .steps = 800,
                                     .loss_train = 0.25,
                                     .loss_valid = (double)NAN,
                                     .steps_per_s = 12.5,
                                     .eta_s = 54};
    json_t *const json = training_progress_json(&p);
    assert_true(json_is_null(json_object_get(json, "loss_valid")));
    const struct model_progress got = training_progress_read(json);
    assert_string_equal(got.phase, "refit");
    assert_int_equal(got.epoch, 3);
    assert_int_equal(got.steps, 800);
    assert_close(got.loss_train, 0.25, 0);
    assert_close(got.loss_valid, NAN, 0);
    char text[TRAINING_TEXT_SIZE];
    assert_string_equal(training_progress_text(&got, text),
                        "refit  epoch 3/20  loss 0.2500  12 steps/s  54 s left");
    json_decref(json);
}

static void a_report_without_progress_is_short(void **state)
{
    (void)state;
    const struct model_progress p = training_progress_read(NULL);
    char text[TRAINING_TEXT_SIZE];
    assert_string_equal(training_progress_text(&p, text), "     ");
}

static void reports_say_null_for_what_is_unknown(void **state)
{
    (void)state;
    struct model_figure figures[] = {
        {.candidate = "naive", .bucket = -1, .mse = 1.5, .wql = (double)NAN},
        {.candidate = "frwkv", .bucket = 2, .mse = (double)INFINITY, .params = 7}};
    struct model_champion champions[2 * MODEL_BUCKETS] = {
        [5] = {.candidate = "frwkv", .skill = 0.25}, [6] = {.skill = (double)NAN}};
    const struct model_report report = {
        .figure_count = 2, .figures = figures, .series_count = 2, .champions = champions};
    char a[] = "a", b[] = "b", *names[] = {a, b};
    const struct grid grid = {.names = names, .cols = 2};
    json_t *const json = report_json_backtest(&report, 24, &grid);
    const json_t *const rows = json_object_get(json, "results");
    const json_t *const first = json_array_get(rows, 0), *const second =
                                                             json_array_get(rows, 1);
    assert_string_equal(json_string_value(json_object_get(first, "bucket")), "all");
    assert_true(json_is_null(json_object_get(first, "wql")));
    assert_int_equal(json_integer_value(json_object_get(second, "bucket")), 2);
    assert_true(json_is_null(json_object_get(second, "mse")));
    assert_int_equal(json_integer_value(json_object_get(second, "params")), 7);
    assert_int_equal(json_integer_value(json_object_get(second, "horizon")), 24);
    const json_t *const list = json_object_get(json, "champion");
    assert_int_equal(json_array_size(list), 8);
    const json_t *const champion = json_array_get(list, 5);
    assert_string_equal(json_string_value(json_object_get(champion, "series")), "b");
    assert_int_equal(json_integer_value(json_object_get(champion, "bucket")), 1);
    assert_close(json_number_value(json_object_get(champion, "skill")), 0.25, 0);
    assert_true(json_is_null(json_object_get(json_array_get(list, 6), "skill")));
    json_decref(json);
}

static void candidates_are_named_in_order(void **state)
{
    (void)state;
    static const char *const names[] = {"frwkv", "frwkv", "naive", "frwkv"};
    char *text = outlook_served_by(4, names);
    assert_string_equal(text, "frwkv, then naive, then frwkv");
    free(text);
    text = outlook_served_by(2, names);
    assert_string_equal(text, "frwkv");
    free(text);
    text = outlook_served_by(0, names);
    assert_string_equal(text, "");
    free(text);
}

static void skill_weighs_the_parts_of_the_horizon(void **state)
{
    (void)state;
    static const double skills[] = {0.8, 0.4, 0.2, 0.1};
    assert_close(outlook_skill(4, skills), (0.8 + 0.4 + 2 * 0.2 + 4 * 0.1) / 8, 1e-12);
    assert_close(outlook_skill(1, skills), 0.8, 1e-12);
    assert_close(outlook_skill(0, skills), NAN, 0);
}

static void an_outlook_is_head_table_and_plot(void **state)
{
    (void)state;
    setenv("LC_ALL", "C", 1);
    double past[6] = {1, 2, 3, 4, 5, 6}, low[2] = {5, 6}, mid[2] = {7, 8},
           high[2] = {9, 10};
    struct outlook o = {.series = mem_text("cpu"),
                        .served_by = mem_text("frwkv"),
                        .skill = 0.25,
                        .first_ms = INT64_C(1795500000000), /* 2026-11-24 06:00 */
                        .step_ms = 3600000,
                        .steps = 2,
                        .low = low,
                        .mid = mid,
                        .high = high,
                        .past_count = 6,
                        .past = past};
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    outlook_print(&o, out);
    fclose(out);
    static const char head[] =
        "cpu  by frwkv, error 25 % smaller than repeating the season\n"
        "  UTC       Tue 06:00  Tue 07:00\n"
        "  90 %          9.000      10.00\n"
        "  median        7.000      8.000\n"
        "  10 %          5.000      6.000\n"
        "       10.00 ";
    assert_memory_equal(text, head, sizeof head - 1);
    free(text);

    o.why = mem_text("history: must be at least 5 steps, got 1");
    out = open_memstream(&text, &len);
    outlook_print(&o, out);
    fclose(out);
    assert_string_equal(text,
                        "cpu  no forecast: history: must be at least 5 steps, got 1\n");
    free(text);
    free(o.series);
    free(o.served_by);
    free(o.why);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(progress_reads_back_from_json),
        cmocka_unit_test(a_report_without_progress_is_short),
        cmocka_unit_test(reports_say_null_for_what_is_unknown),
        cmocka_unit_test(candidates_are_named_in_order),
        cmocka_unit_test(skill_weighs_the_parts_of_the_horizon),
        cmocka_unit_test(an_outlook_is_head_table_and_plot),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
