/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "model/candidate.h"

#include <stdio.h>
#include <string.h>

#include "model/effect.h"
#include "model/model.h"

enum { TAIL_SEASONS = 4 };

const struct candidate candidates[CANDIDATES] = {
    [CANDIDATE_NAIVE] = {"naive", false, false, naive_forecast},
    [CANDIDATE_SEASONAL_NAIVE] = {"seasonal_naive", false, false, seasonal_forecast},
    [CANDIDATE_DRIFT] = {"drift", false, false, drift_forecast},
    [CANDIDATE_PROFILE] = {"profile", false, true, profile_forecast},
    [CANDIDATE_IN_CONTEXT] = {"in_context", false, true, in_context_forecast},
    [CANDIDATE_FRWKV] = {"frwkv", true, true, frwkv_forecast},
};

void candidate_forecast(int candidate, const struct candidate_task *task,
                        const struct origin *at, size_t count, double *y)
{
    const struct candidate *const c = &candidates[candidate];
    struct candidate_task less = *task;
    if (!c->covariates || !task->effect) {
        c->forecast(task, at, count, y);
        return;
    }
    less.panel = task->less;
    c->forecast(&less, at, count, y);
    effect_add(task->effect, task->panel, at, count, task->P, y);
}

int candidate_find(const char *name, struct err *err)
{
    char names[160] = "";
    size_t used = 0;
    for (int i = 0; i < CANDIDATES; i++) {
        if (strcmp(candidates[i].name, name) == 0)
            return i;
        used += (size_t)snprintf(names + used, sizeof names - used, "%s%s", i ? ", " : "",
                                 candidates[i].name);
    }
    return err_set(err, ERR_INVALID, "model: must be one of %s, got \"%.40s\"", names,
                   name);
}

unsigned candidate_untrained(void)
{
    unsigned mask = 0;
    for (int i = 0; i < CANDIDATES; i++)
        mask |= candidates[i].trained ? 0u : 1u << i;
    return mask;
}

size_t candidate_tail(size_t lookback, size_t season, size_t horizon)
{
    const size_t seasons = TAIL_SEASONS * season;
    const size_t rows = seasons > lookback ? seasons : lookback;
    return rows > horizon ? rows : horizon + 1;
}
