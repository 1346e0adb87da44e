/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "daemon/trial.h"

#include <math.h>
#include <stdlib.h>

#include "base/covariates.h"
#include "base/mem.h"

size_t trial_steps(const struct model_spec *spec, size_t rows)
{
    const size_t training = model_rows_for_training(spec);
    const size_t needed = rows < training ? model_rows_for_candidates(spec) : training;
    const size_t spare = rows > needed ? rows - needed : 0;
    return spare < spec->horizon ? spare : spec->horizon;
}

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

size_t trial_rows(const struct model *champion, const struct model *challenger,
                  size_t steps)
{
    return larger(model_tail_rows(champion), model_tail_rows(challenger)) + steps;
}

/* One of the two, with what it needs to forecast. */
struct side {
    const struct model *model;
    struct forecaster_work *work;
    struct model_answer *answers; /* (cols) */
    double *values;               /* (cols, P) medians */
    double *errors;               /* (cols) sums of absolute errors */
};

static int side_init(struct side *side, const struct model *model, size_t cols, size_t P,
                     struct err *err)
{
    side->model = model;
    side->work = forecaster_work_new(model, err);
    side->answers = mem_try(cols, sizeof *side->answers);
    side->values = mem_try(cols * P, sizeof *side->values);
    side->errors = mem_try(cols, sizeof *side->errors);
    if (!side->work)
        return -1;
    if (!side->answers || !side->values || !side->errors)
        return err_set(err, ERR_NO_MEMORY, "trial: no memory for %zu series", cols);
    return 0;
}

static void side_fini(struct side *side)
{
    forecaster_work_free(side->work);
    free(side->answers);
    free(side->values);
    free(side->errors);
}

/* Forecasts the leads steps from row `origin` on. */
static int side_forecast(struct side *side, const struct grid *grid, size_t origin,
                         size_t leads, struct err *err)
{
    static const double median = 0.5;
    const size_t rows = model_tail_rows(side->model), from = origin - rows;
    const struct grid tail = {
        .start_ms = grid_time_ms(grid, from),
        .step_ms = grid->step_ms,
        .zone = grid->zone,
        .rows = rows,
        .cols = grid->cols,
        .values = grid->values + from * grid->cols,
        .names = grid->names,
        .covariates = covariates_slice(grid->covariates, from),
    };
    for (size_t c = 0; c < grid->cols; c++)
        side->answers[c].values = side->values + c * leads;
    const int rc = model_forecast(side->model, side->work, &tail, leads, &median, 1,
                                  side->answers, err);
    covariates_free(tail.covariates);
    return rc;
}

/* Where both forecast a value that is known. */
static size_t errors_add(struct side sides[2], const struct grid *grid, size_t origin,
                         size_t leads)
{
    size_t count = 0;
    for (size_t c = 0; c < grid->cols; c++) {
        if (!sides[0].answers[c].served || !sides[1].answers[c].served)
            continue;
        for (size_t j = 0; j < leads; j++) {
            const double actual = grid->values[(origin + j) * grid->cols + c];
            if (isnan(actual))
                continue;
            for (int s = 0; s < 2; s++)
                sides[s].errors[c] += fabs(sides[s].answers[c].values[j] - actual);
            count++;
        }
    }
    return count;
}

static void decide(const struct side sides[2], size_t cols, struct trial *out)
{
    double sum = 0;
    for (size_t c = 0; c < cols; c++) {
        const double before = sides[0].errors[c], now = sides[1].errors[c];
        if (!(before + now > 0))
            continue;
        sum += (now - before) / (now + before);
        out->series++;
    }
    out->change = out->series ? sum / (double)out->series : (double)NAN;
    out->better = out->change < 0;
}

int trial_run(const struct model *champion, const struct model *challenger,
              const struct grid *grid, size_t steps, struct trial *out, struct err *err)
{
    const size_t first = grid->rows - steps;
    const size_t stride = (steps + TRIAL_ORIGINS - 1) / TRIAL_ORIGINS;
    const size_t P = model_spec(challenger)->horizon;
    struct side sides[2] = {0};
    *out = (struct trial){.steps = steps, .change = (double)NAN};
    int rc = side_init(&sides[0], champion, grid->cols, P, err) ||
                     side_init(&sides[1], challenger, grid->cols, P, err)
                 ? -1
                 : 0;
    for (size_t o = first; rc == 0 && o < grid->rows; o += stride) {
        const size_t leads = grid->rows - o < P ? grid->rows - o : P;
        rc = side_forecast(&sides[0], grid, o, leads, err) ||
                     side_forecast(&sides[1], grid, o, leads, err)
                 ? -1
                 : 0;
        if (rc == 0)
            out->values += errors_add(sides, grid, o, leads);
        out->origins++;
    }
    if (rc == 0)
        decide(sides, grid->cols, out);
    side_fini(&sides[0]);
    side_fini(&sides[1]);
    return rc;
}
