/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "daemon/csv_job.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/calendar.h"
#include "base/covariates.h"
#include "base/mem.h"
#include "base/time.h"
#include "daemon/cores.h"
#include "daemon/csv_grid.h"
#include "daemon/training.h"

const char csv_job_help[] =
    "  --csv FILE          the data; - is standard input\n"
    "  --format FORM       wide: one column a series (default);\n"
    "                      long: series,time,value;\n"
    "                      rows: one series a row, name first, no times; the\n"
    "                      last value of each is the newest\n"
    "  --time-column NAME  the column with the times; default the first\n"
    "  --zone ZONE         of times without an offset; default UTC\n"
    "  --group KIND        each: one model, every series by itself (default);\n"
    "                      joint: the series are seen together\n"
    "  --lookback N        steps the model sees; default 96\n"
    "  --horizon N         steps to forecast; default 96\n"
    "  --season N          steps of the season; default: found in the data\n"
    "  --covariates FILE   what is known in advance: wide, one column a covariate\n"
    "  --calendar LIST     of ZONE, as covariates: hour,weekday (default where there\n"
    "                      are times) or none\n"
    "  --holidays COUNTRY  its public holidays as a covariate: DE, US, ...\n"
    "  --missing HOW       a covariate's value that is missing: error (default),\n"
    "                      hold the last one, or zero\n"
    "  --preset NAME       default or paper\n"
    "  --mixer NAME        rwkv7, rwkv7x, softmax, linear, inline, taylor2, luna, "
    "gdn_swa, h3, none\n"
    "  --seed N            of everything random; default 1\n"
    "  --set KEY=VALUE     a setting of the model; may be repeated\n"
    "  --threads N         default: one for each core\n"
    "  --checkpoint FILE   go on from here after a stop; removed at the end\n"
    "  --json              print one JSON object\n";

void csv_job_init(struct csv_job *job)
{
    *job = (struct csv_job){
        .csv = {.form = CSV_WIDE, .step_ms = CSV_GRID_STEP_MS},
        .preset = "default",
        .spec = {.group = GROUP_EACH,
                 .lookback = 96,
                 .horizon = 96,
                 .min = -INFINITY,
                 .max = INFINITY},
        .covariates = {.parts = 1u << CALENDAR_HOUR | 1u << CALENDAR_WEEKDAY},
        .threads = cores_usable(),
    };
}

void csv_job_fini(struct csv_job *job)
{
    zone_free(job->zone);
}

static int size_take(const char *name, const char *value, size_t least, size_t most,
                     size_t *size, struct err *err)
{
    char *end;
    errno = 0;
    const long long number = strtoll(value, &end, 10);
    if (end == value || *end || errno || number < (long long)least ||
        number > (long long)most)
        return err_set(err, ERR_INVALID, "%s: must be %zu..%zu, got \"%s\"", name, least,
                       most, value);
    *size = (size_t)number;
    return 1;
}

static int form_take(struct csv_job *job, const char *value, struct err *err)
{
    const int form = csv_form_parse(value);
    if (form < 0)
        return err_set(err, ERR_INVALID,
                       "--format: must be wide, long or rows, got \"%s\"", value);
    job->csv.form = (enum csv_form)form;
    return 1;
}

static int group_take(struct csv_job *job, const char *value, struct err *err)
{
    if (strcmp(value, "each") != 0 && strcmp(value, "joint") != 0)
        return err_set(err, ERR_INVALID, "--group: must be each or joint, got \"%s\"",
                       value);
    job->spec.group = value[0] == 'e' ? GROUP_EACH : GROUP_JOINT;
    return 1;
}

static int zone_take(struct csv_job *job, const char *value, struct err *err)
{
    zone_free(job->zone);
    job->zone = zone_load(value, err);
    job->csv.zone = job->zone;
    return job->zone ? 1 : -1;
}

static int calendar_take(struct csv_job *job, const char *value, struct err *err)
{
    char *const words = mem_text(value);
    int rc = 1;
    job->covariates.parts = 0;
    for (char *rest = words, *word; rc == 1 && (word = strsep(&rest, ","));) {
        const int part = calendar_part_parse(word);
        if (part >= 0)
            job->covariates.parts |= 1u << part;
        else if (strcmp(value, "none"))
            rc = err_set(err, ERR_INVALID,
                         "--calendar: must be hour, weekday, both or none, got \"%s\"",
                         word);
    }
    free(words);
    job->calendar = true;
    return rc;
}

static int holidays_take(struct csv_job *job, const char *value, struct err *err)
{
    job->covariates.holidays = holidays_find(value);
    if (job->covariates.holidays)
        return 1;
    return err_set(err, ERR_INVALID, "--holidays: must be one of %s, got \"%.40s\"",
                   holidays_countries(), value);
}

static int missing_take(struct csv_job *job, const char *value, struct err *err)
{
    const int gap = covariate_gap_parse(value);
    if (gap < 0)
        return err_set(err, ERR_INVALID,
                       "--missing: must be error, hold or zero, got \"%s\"", value);
    job->spec.gap = (enum covariate_gap)gap;
    return 1;
}

static int set_take(struct csv_job *job, const char *value, struct err *err)
{
    if (!strchr(value, '='))
        return err_set(err, ERR_INVALID, "--set: must be key=value, got \"%s\"", value);
    if (job->set_count == CSV_JOB_SETS_MAX)
        return err_set(err, ERR_INVALID, "--set: at most %d of them", CSV_JOB_SETS_MAX);
    job->sets[job->set_count++] = value;
    return 1;
}

int csv_job_option(struct csv_job *job, int option, const char *value, struct err *err)
{
    struct model_spec *const spec = &job->spec;
    switch (option) {
    case 'C':
        return job->file = value, 1;
    case 'F':
        return form_take(job, value, err);
    case 'T':
        return job->csv.time_column = value, 1;
    case 'Z':
        return zone_take(job, value, err);
    case 'G':
        return group_take(job, value, err);
    case 'L':
        return size_take("--lookback", value, 2, MODEL_LOOKBACK_MAX, &spec->lookback,
                         err);
    case 'H':
        return size_take("--horizon", value, 1, MODEL_HORIZON_MAX, &spec->horizon, err);
    case 'S':
        return size_take("--season", value, 1, MODEL_LOOKBACK_MAX, &spec->season, err);
    case 'O':
        return job->covariates.file = value, 1;
    case 'D':
        return calendar_take(job, value, err);
    case 'Y':
        return holidays_take(job, value, err);
    case 'I':
        return missing_take(job, value, err);
    case 'P':
        return job->preset = value, 1;
    case 'M':
        return job->mixer = value, 1;
    case 'R':
        return job->seed = value, 1;
    case 'V':
        return set_take(job, value, err);
    case 'N':
        return size_take("--threads", value, 1, 256, &job->threads, err);
    case 'K':
        return job->checkpoint = value, 1;
    case 'J':
        return job->json = true, 1;
    default:
        return 0;
    }
}

static int pair_apply(struct model_settings *settings, const char *pair, struct err *err)
{
    const char *const equal = strchr(pair, '=');
    char key[64];
    if ((size_t)(equal - pair) >= sizeof key)
        return err_set(err, ERR_INVALID, "--set: no such setting: %s", pair);
    memcpy(key, pair, (size_t)(equal - pair));
    key[equal - pair] = '\0';
    return model_settings_set(settings, key, equal + 1, err);
}

/* A checkpoint is written over and removed: no other file may lose its life for a slip of
 * the command line.  All of them begin with a length in 8 bytes and a brace (safetensors). */
static int checkpoint_check(const char *path, struct err *err)
{
    char head[9];
    FILE *const file = fopen(path, "rb");
    if (!file)
        return 0; /* there is none, or who reads it says why */
    const size_t len = fread(head, 1, sizeof head, file);
    const bool bad =
        ferror(file) == 0 && len > 0 && (len < sizeof head || head[8] != '{');
    fclose(file);
    if (bad)
        return err_set(err, ERR_INVALID,
                       "--checkpoint: must name a checkpoint or no file yet, got \"%s\"",
                       path);
    return 0;
}

int csv_job_settle(struct csv_job *job, struct err *err)
{
    struct model_settings *const settings = &job->spec.settings;
    if (!job->file)
        return err_set(err, ERR_INVALID, "--csv: which file?");
    if (job->checkpoint && checkpoint_check(job->checkpoint, err))
        return -1;
    if (job->csv.form == CSV_ROWS && !job->calendar)
        job->covariates.parts = 0; /* its times are made up */
    if (model_settings_preset(settings, job->preset, err))
        return -1;
    if (job->mixer && model_settings_set(settings, "mixer", job->mixer, err))
        return -1;
    if (job->seed && model_settings_set(settings, "seed", job->seed, err))
        return -1;
    for (size_t i = 0; i < job->set_count; i++)
        if (pair_apply(settings, job->sets[i], err))
            return -1;
    return model_spec_check(&job->spec, err);
}

int csv_job_grid(const struct csv_job *job, struct grid *out, struct err *err)
{
    struct csv_covariates from = job->covariates;
    from.zone = job->zone;
    if (csv_grid_read(job->file, &job->csv, out, err) == 0 &&
        csv_covariates_read(&from, job->spec.horizon, out, err) == 0)
        return 0;
    grid_fini(out);
    return -1;
}

void csv_job_covariates_print(const struct model_report *report)
{
    for (size_t i = 0; i < report->covariate_count; i++) {
        const struct model_covariate *const c = &report->covariates[i];
        if (isnan(c->known))
            printf(
                "covariate %s: not used: no step of the past lies a season of %zu steps "
                "after another\n",
                c->name, report->season);
        else
            printf(
                "covariate %s: helps %zu of %zu series; known a horizon ahead in %.0f %% "
                "of the past\n",
                c->name, c->series, report->series_count, 100 * c->known);
    }
}

json_t *csv_job_data_json(const struct csv_job *job, const struct grid *grid)
{
    size_t missing = 0;
    const size_t cells = grid->rows * grid->cols;
    for (size_t i = 0; i < cells; i++)
        missing += isnan(grid->values[i]) != 0;
    char first[TIME_TEXT_SIZE], last[TIME_TEXT_SIZE];
    return json_pack("{s:s, s:I, s:I, s:f, s:s, s:s, s:f}", "file", job->file, "rows",
                     (json_int_t)grid->rows, "series", (json_int_t)grid->cols, "step_s",
                     (double)grid->step_ms / 1000, "first",
                     time_format(grid_time_ms(grid, 0), first), "last",
                     time_format(grid_time_ms(grid, grid->rows - 1), last), "missing",
                     cells ? (double)missing / (double)cells : 0.0);
}

/* A setting goes out as the number or truth value that its text is. */
static void setting_json(void *ctx, const char *key, const char *value, const char *help)
{
    (void)help;
    json_t *parsed = json_loads(value, JSON_DECODE_ANY, NULL);
    json_object_set_new(ctx, key, parsed ? parsed : json_string(value));
}

json_t *csv_job_settings_json(const struct csv_job *job)
{
    const struct model_spec *const spec = &job->spec;
    json_t *const settings = json_pack(
        "{s:s, s:I, s:I, s:I, s:I}", "group",
        spec->group == GROUP_EACH ? "each" : "joint", "lookback",
        (json_int_t)spec->lookback, "horizon", (json_int_t)spec->horizon, "season",
        (json_int_t)spec->season, "threads", (json_int_t)job->threads);
    model_settings_each(&spec->settings, setting_json, settings);
    return settings;
}
