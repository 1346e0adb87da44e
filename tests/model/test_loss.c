/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/check.h"

#include "base/rng.h"
#include "model/loss.h"

enum { B = 3, P = 5, V = 2, SIZE = B * P * V };

static const struct rng_stream stream = {7, 1, 0};

static void fill(real *y, real *target)
{
    for (uint64_t i = 0; i < SIZE; i++) {
        y[i] = rng_normal(stream, i);
        target[i] = i % 4 == 1 ? (real)NAN : rng_normal(stream, i + SIZE);
    }
}

static void is_the_weighted_mean_over_what_is_there(void **state)
{
    (void)state;
    real y[SIZE], target[SIZE], weight[P];
    fill(y, target);
    loss_weights(weight, P, 0.5);
    double want[3] = {0}, count = 0;
    for (int i = 0; i < SIZE; i++) {
        if (isnan(target[i]))
            continue;
        const int j = i / V % P;
        const double e = y[i] - target[i], w = pow(j + 1, -0.5);
        want[LOSS_L1] += w * fabs(e);
        want[LOSS_L2] += w * e * e;
        want[LOSS_L1_L2] += w * (fabs(e) + e * e);
        count++;
    }
    for (int kind = 0; kind < 3; kind++) {
        const struct loss_sum got =
            loss_forward((enum model_loss)kind, weight, y, target, B, P, V);
        assert_true(got.count == count);
        assert_close(loss_mean(got), want[kind] / count, 1e-14);
    }
}

static void gradient_is_that_of_central_differences(void **state)
{
    (void)state;
    for (int kind = 0; kind < 3; kind++) {
        real y[SIZE], target[SIZE], weight[P], dy[SIZE];
        fill(y, target);
        loss_weights(weight, P, 0.5);
        const enum model_loss loss = (enum model_loss)kind;
        const double count = loss_forward(loss, weight, y, target, B, P, V).count;
        loss_backward(loss, weight, dy, y, target, B, P, V, count);
        for (int i = 0; i < SIZE; i++) {
            const real kept = y[i], h = 1e-5;
            y[i] = kept + h;
            const double up = loss_mean(loss_forward(loss, weight, y, target, B, P, V));
            y[i] = kept - h;
            const double down = loss_mean(loss_forward(loss, weight, y, target, B, P, V));
            y[i] = kept;
            assert_close(dy[i], (up - down) / (2 * h), 1e-9);
        }
    }
}

static void no_target_at_all_is_no_loss(void **state)
{
    (void)state;
    real y[2] = {1, 2}, target[2] = {(real)NAN, (real)NAN}, weight[1] = {1}, dy[2];
    const struct loss_sum got = loss_forward(LOSS_L1, weight, y, target, 2, 1, 1);
    assert_true(got.count == 0 && loss_mean(got) == 0);
    loss_backward(LOSS_L1, weight, dy, y, target, 2, 1, 1, got.count);
    assert_true(dy[0] == 0 && dy[1] == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(is_the_weighted_mean_over_what_is_there),
        cmocka_unit_test(gradient_is_that_of_central_differences),
        cmocka_unit_test(no_target_at_all_is_no_loss),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
