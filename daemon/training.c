/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "daemon/training.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>

#include "daemon/terminal.h"

json_t *json_number_or_null(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

json_t *training_progress_json(const struct model_progress *p)
{
    return json_pack(
        "{s:s, s:i, s:i, s:I, s:I, s:o, s:o, s:o, s:o}", "phase", p->phase, "epoch",
        p->epoch, "epochs", p->epochs, "step", (json_int_t)p->step, "steps",
        (json_int_t)p->steps, "loss_train", json_number_or_null(p->loss_train),
        "loss_valid", json_number_or_null(p->loss_valid), "steps_per_s",
        json_number_or_null(p->steps_per_s), "eta_s", json_number_or_null(p->eta_s));
}

static double number_of(const json_t *json, const char *key, double otherwise)
{
    const json_t *const value = json_object_get(json, key);
    return json_is_number(value) ? json_number_value(value) : otherwise;
}

struct model_progress training_progress_read(const json_t *json)
{
    const char *const phase = json_string_value(json_object_get(json, "phase"));
    return (struct model_progress){
        .phase = phase ? phase : "",
        .epoch = (int)number_of(json, "epoch", 0),
        .epochs = (int)number_of(json, "epochs", 0),
        .step = (uint64_t)number_of(json, "step", 0),
        .steps = (uint64_t)number_of(json, "steps", 0),
        .loss_train = number_of(json, "loss_train", NAN),
        .loss_valid = number_of(json, "loss_valid", NAN),
        .steps_per_s = number_of(json, "steps_per_s", 0),
        .eta_s = number_of(json, "eta_s", NAN),
    };
}

/* Appends at text + used; what does not fit is cut. */
__attribute__((format(printf, 3, 4))) static void append(char *text, size_t *used,
                                                         const char *format, ...)
{
    va_list args;
    va_start(args, format);
    const int len = vsnprintf(text + *used, TRAINING_TEXT_SIZE - *used, format, args);
    va_end(args);
    if (len > 0)
        *used += (size_t)len;
    if (*used >= TRAINING_TEXT_SIZE)
        *used = TRAINING_TEXT_SIZE - 1;
}

const char *training_progress_text(const struct model_progress *p,
                                   char text[static TRAINING_TEXT_SIZE])
{
    size_t used = 0;
    append(text, &used, "%-5s", p->phase);
    if (p->epochs > 0)
        append(text, &used, "  epoch %d/%d", p->epoch, p->epochs);
    if (isfinite(p->loss_train))
        append(text, &used, "  loss %.4f", p->loss_train);
    if (isfinite(p->loss_valid))
        append(text, &used, "  valid %.4f", p->loss_valid);
    if (p->steps_per_s > 0)
        append(text, &used, p->steps_per_s < 10 ? "  %.1f steps/s" : "  %.0f steps/s",
               p->steps_per_s);
    if (isfinite(p->eta_s) && p->eta_s >= 0.5)
        append(text, &used, "  %.0f s left", p->eta_s);
    return text;
}

/* (new - old) / (new + old) of the errors, as people compare them: new against old. */
const char *training_trial_text(const json_t *trial, char text[static TRAINING_TEXT_SIZE])
{
    const long long champion = json_integer_value(json_object_get(trial, "champion"));
    const double c = number_of(trial, "change", NAN);
    if (!json_is_object(trial))
        *text = '\0';
    else if (!isfinite(c) || c >= 1)
        snprintf(text, TRAINING_TEXT_SIZE, "nothing to judge it against version %lld by",
                 champion);
    else
        snprintf(text, TRAINING_TEXT_SIZE, "error %.0f %% %s than of version %lld",
                 100 * fabs(2 * c / (1 - c)), c < 0 ? "smaller" : "larger", champion);
    return text;
}

int training_progress_show(void *ctx, const struct model_progress *p)
{
    struct progress *const progress = ctx;
    char text[TRAINING_TEXT_SIZE];
    if (p->note) {
        progress_end(progress);
        fprintf(stderr, "%s\n", p->note);
    }
    progress_show(progress, "  %s", training_progress_text(p, text));
    return 0;
}

const char *training_bucket(int bucket)
{
    static const char *const names[MODEL_BUCKETS] = {"0-1/8", "1/8-1/4", "1/4-1/2",
                                                     "1/2-1"};
    return bucket < 0 || bucket >= MODEL_BUCKETS ? "all" : names[bucket];
}
