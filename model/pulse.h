/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pulse.h -- tells whoever waits how far long work is, and hears when to stop.
 *
 * Call pulse_beat() as often as you like: it reaches the hook twice a second.
 */
#ifndef PULSE_H
#define PULSE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "model/model.h"

struct pulse {
    const struct model_hooks *hooks; /* NULL: nobody waits */
    struct model_progress now;
    int64_t start_ms, last_ms;
    uint64_t start_step;
};

/* A phase begins (or goes on) after `step` of `steps` steps. */
void pulse_start(struct pulse *pulse, const struct model_hooks *hooks, const char *phase,
                 uint64_t step, uint64_t steps);

/* Reports where now.step stands, always if `force`.  ERR_CANCELLED when told to stop. */
int pulse_beat(struct pulse *pulse, bool force, struct err *err);

/* One line worth telling, at once. */
int pulse_note(struct pulse *pulse, const char *note, struct err *err);

#endif
