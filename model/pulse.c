/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "model/pulse.h"

#include <math.h>

#include "base/time.h"

enum { BEAT_MS = 400 };

void pulse_start(struct pulse *pulse, const struct model_hooks *hooks, const char *phase,
                 uint64_t step, uint64_t steps)
{
    *pulse = (struct pulse){
        .hooks = hooks,
        .now = {.phase = phase,
                .step = step,
                .steps = steps,
                .loss_train = (double)NAN,
                .loss_valid = (double)NAN},
        .start_ms = time_monotonic_ms(),
        .start_step = step,
    };
}

int pulse_beat(struct pulse *pulse, bool force, struct err *err)
{
    const int64_t ms = time_monotonic_ms();
    if (!pulse->hooks || !pulse->hooks->progress ||
        (!force && ms - pulse->last_ms < BEAT_MS))
        return 0;
    pulse->last_ms = ms;

    struct model_progress *const now = &pulse->now;
    const double seconds = (double)(ms - pulse->start_ms) / 1000.0;
    const double done = (double)(now->step - pulse->start_step);
    now->steps_per_s = seconds > 0 ? done / seconds : 0;
    now->eta_s =
        done > 0 ? (double)(now->steps - now->step) * seconds / done : (double)NAN;
    if (pulse->hooks->progress(pulse->hooks->ctx, now))
        return err_set(err, ERR_CANCELLED, "%s: cancelled at step %llu of %llu",
                       now->phase, (unsigned long long)now->step,
                       (unsigned long long)now->steps);
    return 0;
}

int pulse_note(struct pulse *pulse, const char *note, struct err *err)
{
    pulse->now.note = note;
    const int rc = pulse_beat(pulse, true, err);
    pulse->now.note = NULL;
    return rc;
}
