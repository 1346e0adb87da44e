/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/check.h"

#include "base/rng.h"
#include "model/follow.h"
#include "model/score.h"

static const struct rng_stream stream = {17, 4, 0};

static void origins_kept_span_the_rows_at_all_hours(void **state)
{
    (void)state;
    static const struct {
        size_t rows, P, season, kept, want;
    } cases[] = {
        {256, 8, 1, 256, 1},      {5760, 96, 24, 256, 23}, {5760, 96, 25, 256, 23},
        {6100, 96, 24, 256, 25},  {100, 48, 24, 256, 1},   {100, 720, 24, 256, 13},
        {8640, 24, 168, 32, 271},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(
            follow_spacing(cases[i].rows, cases[i].P, cases[i].season, cases[i].kept),
            cases[i].want);
}

/* Residuals of the origin `row`: noise of deviation `sd`, wider with the step, with
 * gaps. */
static void draw(float *residuals, size_t P, size_t row, double sd)
{
    for (size_t k = 0; k < bands_knots(P); k++) {
        const uint64_t at = row * 4096 + bands_step(k, P);
        const double noise = rng_normal(stream, at);
        residuals[k] = at % 11 == 5 ? NAN : (float)(sd * noise * sqrt(1 + (double)k));
    }
}

static int compare_floats(const void *a, const void *b)
{
    const float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

/* The rank of follow_offset() by plain sorting, at the newest of `kept` origins whose
 * bucket is over before `now`. */
static double plain(const struct follow *f, size_t k, int level, size_t now)
{
    float list[64];
    size_t n = 0;
    const size_t end = horizon_end(f->P, f->bucket[k]);
    for (size_t row = now > 1000 ? now - 1000 : 0; row < now; row++) {
        float e[BANDS_KNOTS_MAX];
        draw(e, f->P, row, 1);
        const bool kept = row + f->kept * f->spacing > now - 1;
        if (row % f->spacing == 0 && kept && row + end <= now && !isnan(e[k]))
            list[n++] = e[k];
    }
    qsort(list, n, sizeof *list, compare_floats);
    const double looks = 4 * (double)(n * f->spacing) / (double)end;
    const int b = f->bucket[k];
    return (double)bands_order(list, n, looks, level) *
           exp(f->widening[b] + f->common->widening[b]);
}

/* A series that shares its bands with none. */
static void begin(struct follow *f, struct follow_common *common, size_t P, size_t kept,
                  size_t spacing)
{
    follow_common_init(common, 1);
    assert_true(follow_init(f, common, P, kept, spacing));
}

static void mature(struct follow *f, size_t row)
{
    follow_mature(f, row);
    follow_settle(f->common);
}

static void lists_are_what_sorting_gives(void **state)
{
    (void)state;
    enum { P = 12, KEPT = 64, SPACING = 3 };
    struct follow_common common;
    struct follow f;
    begin(&f, &common, P, KEPT, SPACING);
    for (size_t row = 0; row < 700; row++) {
        float e[BANDS_KNOTS_MAX];
        mature(&f, row);
        if (row == 100 || row == 350 || row == 699)
            for (size_t k = 0; k < P; k++)
                for (int l = 0; l < BANDS_LEVELS; l++)
                    assert_close(follow_offset(&f, k, l), plain(&f, k, l, row), 1e-12);
        draw(e, P, row, 1);
        follow_add(&f, row, e);
    }
    follow_fini(&f);
}

/* A band at a row is the same whatever happens from that row on. */
static void nothing_is_read_before_it_happened(void **state)
{
    (void)state;
    enum { P = 16, NOW = 200 };
    struct follow_common common[2];
    struct follow f[2];
    for (int i = 0; i < 2; i++) {
        begin(&f[i], &common[i], P, 64, 1);
        for (size_t row = 0; row < NOW; row++) {
            float e[BANDS_KNOTS_MAX];
            mature(&f[i], row);
            draw(e, P, row, 1);
            for (size_t k = 0; i && k < P; k++)
                if (row + bands_step(k, P) >= NOW)
                    e[k] = 1e6F;
            follow_add(&f[i], row, e);
        }
        mature(&f[i], NOW);
    }
    for (size_t k = 0; k < P; k++)
        for (int l = 0; l < BANDS_LEVELS; l++)
            assert_true(follow_offset(&f[0], k, l) == follow_offset(&f[1], k, l));
    mature(&f[1], NOW + P); /* and of what happened, much */
    assert_true(follow_offset(&f[1], P - 1, BANDS_HIGH) >
                2 * follow_offset(&f[0], P - 1, BANDS_HIGH));
    for (int i = 0; i < 2; i++)
        follow_fini(&f[i]);
}

/* Share of residuals in rows [from, to) inside the 80 % band as it was; the deviation of
 * the noise is sd[0], and sd[1] from row `change` on. */
static double coverage(size_t P, size_t change, const double sd[2], size_t from,
                       size_t to, bool widen)
{
    struct follow_common common;
    struct follow f;
    double inside = 0, seen = 0;
    begin(&f, &common, P, 256, follow_spacing(to, P, 1, 256));
    for (size_t row = 0; row < to; row++) {
        float e[BANDS_KNOTS_MAX];
        mature(&f, row);
        for (int b = 0; !widen && b < MODEL_BUCKETS; b++)
            f.widening[b] = common.widening[b] = 0, f.factor[b] = common.factor[b] = 1;
        draw(e, P, row, sd[row >= change]);
        for (size_t k = 0; row >= from && k < f.knots; k++) {
            if (isnan(e[k]))
                continue;
            double last = -INFINITY;
            for (int l = 0; l < BANDS_LEVELS; l++) {
                const double offset = follow_offset(&f, k, l);
                assert_true(isfinite(offset) && offset >= last);
                last = offset;
            }
            seen += 1;
            inside += (double)e[k] >= follow_offset(&f, k, BANDS_LOW) &&
                      (double)e[k] <= follow_offset(&f, k, BANDS_HIGH);
        }
        follow_add(&f, row, e);
    }
    follow_fini(&f);
    return inside / seen;
}

static void bands_hold_where_errors_stay_as_they_are(void **state)
{
    (void)state;
    static const double same[] = {1, 1};
    assert_close(coverage(12, 0, same, 200, 2000, true), 0.8, 0.02);
    assert_close(coverage(48, 0, same, 200, 2000, true), 0.8, 0.02);
    assert_close(coverage(200, 0, same, 500, 2000, true), 0.8, 0.02);
    /* Two horizons of history: on the safe side. */
    assert_close(coverage(48, 0, same, 96, 200, true), 0.85, 0.05);
}

static void bands_hold_where_errors_grow_or_shrink(void **state)
{
    (void)state;
    static const double grow[] = {1, 3}, shrink[] = {3, 1};
    assert_true(coverage(24, 600, grow, 800, 1000, false) < 0.65);
    assert_close(coverage(24, 600, grow, 800, 1000, true), 0.8, 0.05);
    assert_true(coverage(24, 600, shrink, 800, 1000, false) > 0.95);
    assert_close(coverage(24, 600, shrink, 800, 1000, true), 0.8, 0.07);
}

/* Coverage in rows [from, to) of `count` series that share bands, walked through from
 * series `first` on; all their errors triple at row `change`. */
static double together(size_t count, size_t first, size_t change, size_t from, size_t to)
{
    enum { P = 200, MOST = 8 };
    struct follow_common common;
    struct follow f[MOST];
    double inside = 0, seen = 0;
    follow_common_init(&common, count);
    for (size_t s = 0; s < count; s++)
        assert_true(follow_init(&f[s], &common, P, 256, follow_spacing(to, P, 1, 256)));
    for (size_t row = 0; row < to; row++) {
        for (size_t i = 0; i < count; i++)
            follow_mature(&f[(first + i) % count], row);
        follow_settle(&common);
        for (size_t i = 0; i < count; i++) {
            const size_t s = (first + i) % count;
            float e[BANDS_KNOTS_MAX];
            draw(e, P, row + s * 5000, row < change ? 1 : 3);
            for (size_t k = 0; row >= from && k < f[s].knots; k++) {
                if (isnan(e[k]))
                    continue;
                seen += 1;
                inside += (double)e[k] >= follow_offset(&f[s], k, BANDS_LOW) &&
                          (double)e[k] <= follow_offset(&f[s], k, BANDS_HIGH);
            }
            follow_add(&f[s], row, e);
        }
    }
    for (size_t s = 0; s < count; s++)
        follow_fini(&f[s]);
    return inside / seen;
}

static void series_that_share_bands_learn_sooner(void **state)
{
    (void)state;
    const double all = together(8, 0, 1000, 1400, 1600);
    assert_true(together(1, 0, 1000, 1400, 1600) < 0.7);
    assert_close(all, 0.8, 0.05);
    assert_true(together(8, 3, 1000, 1400, 1600) == all); /* in whatever order */
}

static void without_residuals_nothing_is_said(void **state)
{
    (void)state;
    struct follow_common common;
    struct follow f;
    struct bands bands;
    struct err err = {0};
    float e[8];
    begin(&f, &common, 8, 64, 1);
    assert_ok(bands_init(&bands, 1, 8, &err), &err);
    bands.offset[0] = 7;
    for (size_t row = 0; row < 40; row++) {
        mature(&f, row);
        assert_false(follow_ready(&f, 3));
        assert_true(follow_offset(&f, 3, BANDS_HIGH) == 0);
        for (int k = 0; k < 8; k++)
            e[k] = NAN;
        follow_add(&f, row, e);
    }
    assert_false(follow_bands(&f, &bands, 0, 1));
    assert_true(bands.offset[0] == 7);
    draw(e, 8, 1000, 1);
    e[3] = 2;
    mature(&f, 1000);
    follow_add(&f, 1000, e);
    mature(&f, 1008);
    assert_true(follow_bands(&f, &bands, 0, 10) ==
                !isnan(e[0] + e[1] + e[2] + e[3] + e[4] + e[5] + e[6] + e[7]));
    follow_fini(&f);
    bands_fini(&bands);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(origins_kept_span_the_rows_at_all_hours),
        cmocka_unit_test(lists_are_what_sorting_gives),
        cmocka_unit_test(nothing_is_read_before_it_happened),
        cmocka_unit_test(bands_hold_where_errors_stay_as_they_are),
        cmocka_unit_test(bands_hold_where_errors_grow_or_shrink),
        cmocka_unit_test(series_that_share_bands_learn_sooner),
        cmocka_unit_test(without_residuals_nothing_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
