/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/check.h"

#include "base/rng.h"
#include "model/rhythm.h"

enum { SEASON = 12, ROWS = 600, COLS = 2, P = 20, L = 30 };

static const struct rng_stream stream = {5, 3, 0};

static double wave(size_t row)
{
    return 3 * sin(2 * M_PI * (double)row / SEASON) + (row % SEASON == 5 ? 2 : 0) -
           2.0 / SEASON;
}

struct fixture {
    double z[ROWS * COLS];
    struct panel panel;
    struct rhythm rhythm;
};

/* Of the second column: size times the wave, a slope and noise. */
static void set_up(struct fixture *f, double size, double slope, double noise)
{
    struct err err = {0};
    f->panel = (struct panel){.rows = ROWS, .cols = COLS, .width = 1, .z = f->z};
    for (size_t i = 0; i < ROWS; i++) {
        f->z[i * COLS] = 1e3;
        f->z[i * COLS + 1] =
            size * wave(i) + slope * (double)i + noise * rng_normal(stream, i);
    }
    assert_ok(rhythm_init(&f->rhythm, SEASON, &err), &err);
}

static const struct origin at = {500, 1};

static void a_clean_season_is_found_whole(void **state)
{
    (void)state;
    for (int sloped = 0; sloped < 2; sloped++) {
        struct fixture f;
        set_up(&f, 1, sloped ? 0.3 : 0, 0);
        rhythm_find(&f.rhythm, &f.panel, at);
        for (size_t k = 0; k < SEASON; k++)
            assert_close(f.rhythm.step[k], wave(at.row + k), 1e-9);

        real x[L], target[P];
        double y[P] = {0};
        for (size_t i = 0; i < L; i++)
            x[i] = (real)wave(at.row - L + i);
        for (size_t j = 0; j < P; j++)
            target[j] = (real)wave(at.row + j);
        rhythm_remove_before(&f.rhythm, x, L);
        rhythm_remove_after(&f.rhythm, target, P);
        rhythm_restore(&f.rhythm, y, P);
        for (size_t i = 0; i < L; i++)
            assert_close(x[i], 0, 1e-9);
        for (size_t j = 0; j < P; j++) {
            assert_close(target[j], 0, 1e-9);
            assert_close(y[j], wave(at.row + j), 1e-9);
        }
        rhythm_fini(&f.rhythm);
    }
}

/* 28 seasons leave a noise of 1/sqrt(28) in each mean; shrinking takes most of it. */
static void noise_has_next_to_none(void **state)
{
    (void)state;
    struct fixture f;
    set_up(&f, 0, 0, 1);
    double squares = 0;
    size_t count = 0;
    for (struct origin o = {400, 1}; o.row < ROWS; o.row += 7)
        for (size_t k = 0; k < SEASON; k++, count++) {
            if (k == 0)
                rhythm_find(&f.rhythm, &f.panel, o);
            squares += f.rhythm.step[k] * f.rhythm.step[k];
        }
    assert_true(squares / (double)count < 0.5 / 28);
    rhythm_fini(&f.rhythm);

    set_up(&f, 1, 0, 1);
    rhythm_find(&f.rhythm, &f.panel, at);
    for (size_t k = 0; k < SEASON; k++)
        assert_true(fabs(f.rhythm.step[k] - wave(at.row + k)) < 5 / sqrt(28));
    rhythm_fini(&f.rhythm);
}

static void gaps_and_wild_values_do_no_harm(void **state)
{
    (void)state;
    struct fixture f;
    set_up(&f, 1, 0, 0);
    for (size_t i = 0; i < ROWS; i++)
        if (i % 7 == 3 || i / 40 == 10 || i % SEASON == 4)
            f.z[i * COLS + 1] = (double)NAN;
    rhythm_find(&f.rhythm, &f.panel, at);
    for (size_t k = 0; k < SEASON; k++) {
        const bool unseen = (at.row + k) % SEASON == 4;
        assert_true(fabs(f.rhythm.step[k] - (unseen ? 0 : wave(at.row + k))) < 0.6);
    }
    f.z[490 * COLS + 1] = 1e300;
    rhythm_find(&f.rhythm, &f.panel, at);
    for (size_t k = 0; k < SEASON; k++)
        assert_true(isfinite(f.rhythm.step[k]));
    for (size_t i = 0; i < ROWS; i++)
        f.z[i * COLS + 1] = (double)NAN;
    rhythm_find(&f.rhythm, &f.panel, at);
    for (size_t k = 0; k < SEASON; k++)
        assert_true(f.rhythm.step[k] == 0);
    rhythm_fini(&f.rhythm);
}

/* Nothing after the origin, and nothing older than rhythm_rows(). */
static void it_reads_its_rows_alone(void **state)
{
    (void)state;
    struct fixture f;
    set_up(&f, 1, 0.01, 0.5);
    assert_int_equal(rhythm_rows(SEASON), 28 * SEASON);
    assert_int_equal(rhythm_rows(168), 6 * 168);
    assert_int_equal(rhythm_rows(1440), 4 * 1440);
    rhythm_find(&f.rhythm, &f.panel, at);
    double before[SEASON];
    memcpy(before, f.rhythm.step, sizeof before);
    for (size_t i = 0; i < ROWS; i++)
        if (i >= at.row || i < at.row - rhythm_rows(SEASON))
            f.z[i * COLS + 1] = 77;
    rhythm_find(&f.rhythm, &f.panel, at);
    assert_memory_equal(before, f.rhythm.step, sizeof before);

    for (uint32_t row = 0; row < 2 * SEASON; row++) { /* less than two seasons: none */
        rhythm_find(&f.rhythm, &f.panel, (struct origin){row, 1});
        for (size_t k = 0; k < SEASON; k++)
            assert_true(f.rhythm.step[k] == 0);
    }
    rhythm_fini(&f.rhythm);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_clean_season_is_found_whole),
        cmocka_unit_test(noise_has_next_to_none),
        cmocka_unit_test(gaps_and_wild_values_do_no_harm),
        cmocka_unit_test(it_reads_its_rows_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
