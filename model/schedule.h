/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * schedule.h -- the learning rate of every step.
 *
 *     cosine    rate/2 (1 + cos(pi t / steps)), t = 0, 1, ...: per step, to zero
 *     halving   rate in epochs 1 and 2, halved every epoch after (FRWKV's first release)
 *     constant  rate
 */
#ifndef SCHEDULE_H
#define SCHEDULE_H

#include <stdint.h>

#include "model/model.h"

/* At step t (from 0) of `steps` in all, `per_epoch` of them an epoch. */
double schedule_rate(enum model_schedule schedule, double rate, uint64_t t,
                     uint64_t steps, uint64_t per_epoch);

#endif
