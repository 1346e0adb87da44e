/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fleet.c -- makes up the metrics of a small fleet, as CSV on stdout.
 *
 *     fleet [--weeks 8] [--end TIME] [--seed N]
 *
 * Two web servers behind a balancer and their database, one line an hour, the last one
 * before --end (default: now).  The same seed and end give the same bytes.
 *
 *     request_rate        requests per second.  A morning and an evening peak, calmer
 *                         weekends, busy and quiet days, a level that wanders over
 *                         weeks, and now and then a campaign that dies away in hours.
 *     cpu_usage_ratio     0..1.  On web hosts it follows the request rate and saturates;
 *                         on the database it also has the nightly backup at 02:00.
 *     memory_used_bytes   On web-1 a cache that follows the traffic slowly; on db-1 a
 *                         leak, until somebody restarts the server at night.
 *     disk_used_ratio     0..1.  Fills with the traffic; cleaned on Sunday mornings,
 *                         unless that is forgotten.
 *
 * Like real monitoring it has holes: single values and whole lines missing, and one
 * outage of nine hours in which web-1 is silent and hardly a request arrives.
 */
#include <getopt.h>
#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/civil.h"
#include "base/rng.h"
#include "base/time.h"

enum { MS_PER_HOUR = 3600000, HOURS_PER_WEEK = 168, WARM_UP_WEEKS = 4, OUTAGE_HOURS = 9 };

enum series {
    WEB1_RATE,
    WEB2_RATE,
    WEB1_CPU,
    WEB2_CPU,
    DB1_CPU,
    WEB1_MEMORY,
    DB1_MEMORY,
    DB1_DISK,
    SERIES
};

static const struct {
    const char *name, *host;
    int decimals;
} columns[SERIES] = {
    [WEB1_RATE] = {"request_rate", "web-1", 2},
    [WEB2_RATE] = {"request_rate", "web-2", 2},
    [WEB1_CPU] = {"cpu_usage_ratio", "web-1", 4},
    [WEB2_CPU] = {"cpu_usage_ratio", "web-2", 4},
    [DB1_CPU] = {"cpu_usage_ratio", "db-1", 4},
    [WEB1_MEMORY] = {"memory_used_bytes", "web-1", 0},
    [DB1_MEMORY] = {"memory_used_bytes", "db-1", 0},
    [DB1_DISK] = {"disk_used_ratio", "db-1", 5},
};

/* ---- chance ------------------------------------------------------------------------ */

/* What wanders: x = memory x + noise, scaled to variance 1.  The memory is that of an
 * hour, so 0.8 forgets within a shift and 0.997 within two weeks. */
enum wander {
    LEVEL,
    BUSY,
    BALANCE,
    RATE_1,
    RATE_2,
    CPU_1,
    CPU_2,
    CPU_DB,
    CACHE,
    WANDERS
};

static const double memory_of[WANDERS] = {
    [LEVEL] = 0.997, [BUSY] = 0.97, [BALANCE] = 0.98, [RATE_1] = 0.75, [RATE_2] = 0.75,
    [CPU_1] = 0.8,   [CPU_2] = 0.8, [CPU_DB] = 0.7,   [CACHE] = 0.95,
};

/* Purposes of random streams that are no wander. */
enum { CAMPAIGN = WANDERS, CLEANING, LOST_LINE, LOST_VALUE };

static double uniform(uint64_t seed, uint32_t purpose, int64_t index)
{
    return rng_uniform((struct rng_stream){.seed = seed, .purpose = purpose},
                       (uint64_t)index);
}

static double normal(uint64_t seed, uint32_t purpose, int64_t index)
{
    return rng_normal((struct rng_stream){.seed = seed, .purpose = purpose},
                      (uint64_t)index);
}

/* ---- the fleet --------------------------------------------------------------------- */

struct fleet {
    uint64_t seed;
    double wander[WANDERS];
    double campaign;     /* extra share of traffic, dying away */
    double cache_bytes;  /* web-1's memory */
    double leaked_bytes; /* db-1's memory above its base */
    double disk;         /* db-1's, a share */
};

/* A hump of the day around an hour, over midnight too. */
static double hump(double hour, double centre, double width)
{
    const double away = fabs(hour - centre);
    const double distance = away > 12 ? 24 - away : away;
    return exp(-distance * distance / (2 * width * width));
}

/* The rhythm that a model has to find, about 0.15 at night and 1 at a weekday's peak. */
static double rhythm(int weekday, int hour)
{
    static const double office[] = {0.35, 1, 1.03, 1, 0.98, 0.9, 0.45}; /* from Sunday */
    static const double evening[] = {0.8, 0.65, 0.6, 0.65, 0.7, 0.75, 0.85};
    return 0.15 + 0.85 * office[weekday] * hump(hour, 11, 2.8) +
           0.85 * evening[weekday] * hump(hour, 20, 2.2);
}

static void step_traffic(struct fleet *f, int64_t hour, int weekday, int hour_of_day,
                         bool outage, double value[SERIES])
{
    const bool daytime = hour_of_day >= 7 && hour_of_day <= 21;
    const bool starts = daytime && uniform(f->seed, CAMPAIGN, hour) < 1.0 / 240;
    f->campaign = f->campaign * 0.8 + (starts ? 0.5 : 0);

    /* Busy days have higher peaks, not higher nights. */
    const double *w = f->wander;
    const double peaks = exp(0.1 * w[BUSY]) + f->campaign;
    const double demand = 120 * exp(0.15 * w[LEVEL]) *
                          (0.15 + (rhythm(weekday, hour_of_day) - 0.15) * peaks);
    const double share = 0.55 + 0.02 * w[BALANCE];
    const double alive = outage ? 0.004 : 1;
    value[WEB1_RATE] = alive * demand * share * exp(0.06 * w[RATE_1]);
    value[WEB2_RATE] = alive * demand * (1 - share) * exp(0.06 * w[RATE_2]);
}

/* Load into use of a processor: straight at first, bending towards 1; never quite idle.
 */
static double saturate(double load)
{
    return 1 - exp(-fmax(load, 0.01));
}

static void step_hosts(struct fleet *f, int64_t hour, int weekday, int hour_of_day,
                       double value[SERIES])
{
    const double *w = f->wander;
    const double total = value[WEB1_RATE] + value[WEB2_RATE];
    value[WEB1_CPU] = saturate(0.05 + value[WEB1_RATE] / 70 + 0.02 * w[CPU_1]);
    value[WEB2_CPU] = saturate(0.06 + value[WEB2_RATE] / 60 + 0.02 * w[CPU_2]);
    const double backup = hour_of_day == 2 ? 0.45 : hour_of_day == 3 ? 0.2 : 0;
    value[DB1_CPU] = saturate(0.1 + total / 250 + backup + 0.02 * w[CPU_DB]);

    f->cache_bytes += 0.08 * (1.2e9 + 2.2e7 * value[WEB1_RATE] - f->cache_bytes);
    value[WEB1_MEMORY] = f->cache_bytes + 3e7 * w[CACHE];

    f->leaked_bytes += 1.4e7 + 1.6e5 * total;
    if (f->leaked_bytes > 6e9 && hour_of_day == 3)
        f->leaked_bytes = 0;
    value[DB1_MEMORY] = 5.5e9 + f->leaked_bytes + 6e7 * w[CACHE];

    f->disk = fmin(f->disk + 0.0005 + 1.5e-5 * total, 0.99);
    const bool forgotten = uniform(f->seed, CLEANING, hour) < 0.25;
    if (weekday == 0 && hour_of_day == 4 && (!forgotten || f->disk > 0.75))
        f->disk = 0.3 + 0.02 * uniform(f->seed, CLEANING, -hour);
    value[DB1_DISK] = f->disk;
}

/* One hour later.  hour counts from 1970. */
static void step(struct fleet *f, int64_t hour, bool outage, double value[SERIES])
{
    for (uint32_t i = 0; i < WANDERS; i++)
        f->wander[i] = memory_of[i] * f->wander[i] +
                       sqrt(1 - memory_of[i] * memory_of[i]) * normal(f->seed, i, hour);
    const int64_t day = floor_div(hour, 24);
    const int weekday = civil_weekday(day), hour_of_day = (int)(hour - day * 24);
    step_traffic(f, hour, weekday, hour_of_day, outage, value);
    step_hosts(f, hour, weekday, hour_of_day, value);
    for (int i = 0; outage && i < SERIES; i++)
        if (strcmp(columns[i].host, "web-1") == 0)
            value[i] = NAN;
}

/* ---- output ------------------------------------------------------------------------ */

static void print_header(void)
{
    printf("time");
    for (int i = 0; i < SERIES; i++)
        printf(",\"%s{host=\"\"%s\"\"}\"", columns[i].name, columns[i].host);
    printf("\n");
}

static void print_line(uint64_t seed, int64_t hour, const double value[SERIES])
{
    char time[TIME_TEXT_SIZE];
    if (uniform(seed, LOST_LINE, hour) < 1.0 / 400)
        return;
    printf("%s", time_format(hour * MS_PER_HOUR, time));
    for (int i = 0; i < SERIES; i++) {
        const bool lost = uniform(seed, LOST_VALUE, hour * SERIES + i) < 1.0 / 250;
        if (lost || isnan(value[i]))
            printf(",");
        else
            printf(",%.*f", columns[i].decimals, value[i]);
    }
    printf("\n");
}

static void generate(uint64_t seed, int64_t end_ms, int64_t weeks)
{
    /* end is the first hour not told; the outage lies before the part that judges. */
    const int64_t end = floor_div(end_ms - 1, MS_PER_HOUR) + 1;
    const int64_t begin = end - weeks * HOURS_PER_WEEK;
    const int64_t outage = begin + (end - begin) * 3 / 5;
    struct fleet fleet = {.seed = seed, .cache_bytes = 2e9, .disk = 0.3};
    print_header();
    /* Some weeks unseen first, so that the story does not begin at a beginning. */
    for (int64_t hour = begin - WARM_UP_WEEKS * HOURS_PER_WEEK; hour < end; hour++) {
        double value[SERIES];
        step(&fleet, hour, hour >= outage && hour < outage + OUTAGE_HOURS, value);
        if (hour >= begin)
            print_line(seed, hour, value);
    }
}

static bool parse_number(const char *text, int64_t least, int64_t most, int64_t *out)
{
    char *end;
    const long long value = strtoll(text, &end, 10);
    *out = value;
    return *text && *end == '\0' && value >= least && value <= most;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {{"weeks", required_argument, NULL, 'w'},
                                            {"end", required_argument, NULL, 'e'},
                                            {"seed", required_argument, NULL, 's'},
                                            {0}};
    const struct clock clock = clock_real();
    int64_t weeks = 8, seed = 1, end_ms = clock_now_ms(&clock);
    struct err err = {0};
    bool ok = true;
    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (c == 'w')
            ok = ok && parse_number(optarg, 1, 520, &weeks);
        else if (c == 's')
            ok = ok && parse_number(optarg, 0, INT64_MAX, &seed);
        else
            ok = ok && c == 'e' &&
                 time_parse(optarg, strlen(optarg), NULL, &end_ms, &err) == 0;
    }

    if (!ok || optind < argc) {
        fprintf(stderr, "usage: fleet [--weeks 1..520] [--end TIME] [--seed 0..]\n%s%s",
                err.msg, err.msg[0] ? "\n" : "");
        return 2;
    }
    generate((uint64_t)seed, end_ms, weeks);
    return fflush(stdout) == 0 ? 0 : 1;
}
