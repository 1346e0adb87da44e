/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/check.h"

#include "base/rng.h"
#include "model/duel.h"

static const struct rng_stream stream = {23, 6, 0};

enum { SERIES = 12, ROWS = 240, END = 24 };

struct game {
    struct evidence own[SERIES], fleet, shared[SERIES];
    double spread;
};

/* Differences of series s: mean[s], own noise and noise common to all, which last for a
 * stretch. */
static struct game play(const double *mean, double own, double common, uint64_t seed)
{
    static struct duel duel[SERIES];
    static struct fleet fleet;
    struct game g;
    fleet = (struct fleet){0};
    for (size_t s = 0; s < SERIES; s++) {
        duel[s] = (struct duel){0};
        for (size_t row = 100; row < 100 + ROWS; row++) {
            const uint64_t at = seed * 100000 + row / END * 100;
            const double d = mean[s] + common * rng_normal(stream, at) +
                             own * rng_normal(stream, at + 1 + s);
            duel_add(&duel[s], d, row, END, 1);
            fleet_add(&fleet, d, row, fleet_stretch(1000, END));
        }
        g.own[s] = duel_weigh(&duel[s], END);
    }
    g.fleet = fleet_weigh(&fleet, ROWS, END);
    g.spread = fleet_spread(g.own, SERIES, g.fleet.error);
    for (size_t s = 0; s < SERIES; s++)
        g.shared[s] = fleet_share(g.own[s], g.fleet, g.spread);
    return g;
}

static bool clear(struct evidence e)
{
    return e.mean < -e.margin;
}

static int count_clear(const struct evidence *e)
{
    int n = 0;
    for (size_t s = 0; s < SERIES; s++)
        n += clear(e[s]);
    return n;
}

/* What no series can show by itself, a fleet of like ones shows. */
static void a_fleet_shows_what_its_series_cannot(void **state)
{
    (void)state;
    double mean[SERIES];
    int alone = 0, together = 0;
    for (size_t s = 0; s < SERIES; s++)
        mean[s] = -0.4;
    for (uint64_t run = 0; run < 20; run++) {
        const struct game g = play(mean, 1, 0, run);
        alone += count_clear(g.own);
        together += count_clear(g.shared);
    }
    assert_true(alone < 20 * SERIES / 4);
    assert_true(together > 20 * SERIES * 3 / 4);
}

/* Errors that all series make together are one observation, however many series. */
static void common_errors_count_once(void **state)
{
    (void)state;
    const double mean[SERIES] = {0};
    int fleets = 0, wrong = 0;
    for (uint64_t run = 0; run < 300; run++) {
        const struct game g = play(mean, 0.1, 1, run);
        fleets += clear(g.fleet);
        wrong += count_clear(g.shared);
    }
    assert_true(fleets <= 300 * 5 / 100);
    assert_true(wrong <= 300 * SERIES * 5 / 100);
    assert_true(wrong > 0); /* and there is something to count */
}

/* Series that differ for sure are each judged by themselves. */
static void unlike_series_stay_unlike(void **state)
{
    (void)state;
    double mean[SERIES];
    for (size_t s = 0; s < SERIES; s++)
        mean[s] = s % 2 ? 5 : -5;
    const struct game g = play(mean, 1, 0, 1);
    assert_true(g.spread > 15);
    for (size_t s = 0; s < SERIES; s++) {
        assert_true(clear(g.shared[s]) == (s % 2 == 0));
        assert_close(g.shared[s].mean, g.own[s].mean, 0.2);
    }
}

static void shares_are_weighed_by_how_sure_they_are(void **state)
{
    (void)state;
    const struct evidence own = {-1, 1, 4}, fleet = {3, 1, 2};
    /* own: (4 / 2)^2 less the fleet's 1 is 3: half of the way. */
    const struct evidence both = fleet_share(own, fleet, 3);
    assert_close(both.mean, 1, 1e-12);
    assert_close(both.error, sqrt(1 + 1.5), 1e-12);
    assert_close(both.margin, 2 * sqrt(2.5), 1e-12);
    assert_close(fleet_share(own, fleet, 0).mean, fleet.mean, 1e-12);
    const struct evidence silent = {0, (double)INFINITY, (double)INFINITY};
    assert_true(fleet_share(own, silent, 0).margin == own.margin);
    assert_true(fleet_share(silent, fleet, 0).mean == fleet.mean);
    assert_true(isinf(fleet_share(silent, silent, 0).margin));
    const struct evidence exact = {-2, 0, 0};
    assert_close(fleet_share(exact, fleet, 1).mean, -2, 1e-12);
    /* Fewer than three observations say nothing. */
    struct duel duel = {0};
    for (size_t row = 0; row < 48; row++)
        duel_add(&duel, -1, row, END, 1);
    assert_true(isinf(duel_weigh(&duel, END).margin));
    duel_add(&duel, -1, 48, END, 1);
    assert_true(duel_weigh(&duel, END).margin < 1e-9);
}

static void long_history_fits_the_fleet(void **state)
{
    (void)state;
    static const size_t rows[] = {1, 511, 512, 513, 100000};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_true((rows[i] - 1) / fleet_stretch(rows[i], 1) < FLEET_STRETCHES);
    assert_int_equal(fleet_stretch(1000, 48), 48);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_fleet_shows_what_its_series_cannot),
        cmocka_unit_test(common_errors_count_once),
        cmocka_unit_test(unlike_series_stay_unlike),
        cmocka_unit_test(shares_are_weighed_by_how_sure_they_are),
        cmocka_unit_test(long_history_fits_the_fleet),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
