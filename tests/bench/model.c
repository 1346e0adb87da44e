/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * model -- how fast networks train and forecast here: shares of what this machine's BLAS
 * reaches on one large product, measured in turns with it; growth with the number of
 * series and the look-back; a whole training on real data.
 *
 *     model [THREADS]      (all cores)
 */
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cblas.h>
#undef I /* of <complex.h>, which cblas.h includes */

#include "tests/bench/trainee.h"

enum { LARGE = 2048, V = 7, BATCH = 32 };

static real *noise(size_t count)
{
    real *const x = mem_new(count, sizeof *x);
    for (size_t i = 0; i < count; i++)
        x[i] = (real)(i * 2654435761u % 1000) / 1000 - REAL_C(0.5);
    return x;
}

/* ---- steps beside one large product ------------------------------------------------- */

struct product {
    int threads;
    real *a, *b, *c;
};

static void product_run(void *ctx)
{
    const struct product *const p = ctx;
    openblas_set_num_threads(p->threads);
    GEMM(CblasRowMajor, CblasNoTrans, CblasNoTrans, LARGE, LARGE, LARGE, 1, p->a, LARGE,
         p->b, LARGE, 0, p->c, LARGE);
    openblas_set_num_threads(1);
}

static void measure_step(const char *preset, const struct product *product, size_t P,
                         size_t steps, double share, double most_ms, struct threads *pool)
{
    struct trainee t;
    trainee_init(&t, preset, 96, V, P, BATCH, steps, pool);
    struct result_turn turns[] = {
        {.run = trainee_run, .ctx = &t},
        {.run = product_run, .ctx = (void *)(uintptr_t)product}};
    result_turns(turns, 2, 7);
    const double step_s = turns[0].median_s / (double)steps;
    const double rate = 2.0 * LARGE * LARGE * LARGE / turns[1].median_s;
    const double flop = 6.0 * (double)network_params(t.network) * BATCH * V;
    char name[80];
    snprintf(name, sizeof name, "%s: sgemm of 2048^3", preset);
    result_add(&(struct result){.name = name, .value = rate / 1e9, .unit = "GFLOP/s"});
    snprintf(name, sizeof name, "%s: a training step, B = 32, V = 7", preset);
    result_add(&(struct result){
        .name = name, .value = 1e3 * step_s, .unit = "ms", .at_most = most_ms});
    snprintf(name, sizeof name, "%s: GEMM share of the step", preset);
    result_add(&(struct result){.name = name,
                                .value = flop / step_s / rate,
                                .unit = "of sgemm",
                                .at_least = share});
    trainee_fini(&t);
}

/* The share on one thread, of the processor's time: it holds on a busy machine, too. */
static void measure_share(const char *preset, const struct product *on, size_t steps)
{
    struct product product = *on;
    struct trainee t;
    product.threads = 1;
    trainee_init(&t, preset, 96, V, 96, BATCH, steps, NULL);
    struct result_turn turns[] = {{.run = trainee_run, .ctx = &t},
                                  {.run = product_run, .ctx = &product}};
    result_turns(turns, 2, 5);
    const double step_s = turns[0].cpu_s / (double)steps;
    const double rate = 2.0 * LARGE * LARGE * LARGE / turns[1].cpu_s;
    const double flop = 6.0 * (double)network_params(t.network) * BATCH * V;
    char name[80];
    snprintf(name, sizeof name, "%s: a training step on one thread", preset);
    result_add(
        &(struct result){.name = name, .value = 1e3 * step_s, .unit = "ms of CPU"});
    snprintf(name, sizeof name, "%s: GEMM share on one thread", preset);
    result_add(&(struct result){
        .name = name, .value = flop / step_s / rate, .unit = "of sgemm"});
    trainee_fini(&t);
}

static void measure_steps(int threads, struct threads *pool)
{
    const size_t size = (size_t)LARGE * LARGE;
    struct product product = {threads, noise(size), noise(size), noise(size)};
    measure_step("paper", &product, 96, 6, 0.60, 200, pool);
    measure_step("default", &product, 96, 40, 0.40, 0, pool);
    measure_share("paper", &product, 6);
    measure_share("default", &product, 40);
    free(product.a);
    free(product.b);
    free(product.c);
}

static void measure_threads(struct threads *pool)
{
    enum { STEPS = 40 };
    struct trainee one, all;
    trainee_init(&one, "default", 96, V, 96, BATCH, STEPS, NULL);
    trainee_init(&all, "default", 96, V, 96, BATCH, STEPS, pool);
    struct result_turn turns[] = {{.run = trainee_run, .ctx = &all},
                                  {.run = trainee_run, .ctx = &one}};
    result_turns(turns, 2, 5);
    result_add(&(struct result){.name = "default: a training step on all cores",
                                .value = 1e3 * turns[0].median_s / STEPS,
                                .unit = "ms",
                                .ratio = turns[0].median_s / turns[1].median_s,
                                .beside = "that on one"});
    if (memcmp(one.state.theta, all.state.theta, one.state.size * sizeof(real)) != 0)
        die("weights of one thread and of all differ", NULL);
    trainee_fini(&all);
    trainee_fini(&one);
}

/* ---- forecasts ------------------------------------------------------------------------ */

/* Windows of one network, on one thread. */
struct forecast {
    struct network *network;
    struct network_fold *fold;
    real *theta, *x, *y;
    uint32_t *phase;
    size_t batch, times;
};

static void forecast_init(struct forecast *f, size_t L, size_t width, size_t P,
                          size_t batch, size_t times)
{
    struct err err = {0};
    struct network_config config;
    const struct model_spec spec = trainee_spec("default", L, P);
    *f = (struct forecast){.batch = batch, .times = times};
    if (frwkv_config(&spec, TRAINEE_SEASON, width, NULL, &config, &err) ||
        !(f->network = network_new(&config, batch, false, NULL, &err)))
        die("network", &err);
    f->theta = mem_new(network_size(f->network), sizeof *f->theta);
    network_init(f->network, f->theta, 1);
    if (!(f->fold = network_fold_new(f->network, f->theta, &err)))
        die("fold", &err);
    f->x = noise(batch * L * width);
    f->y = noise(batch * P * width);
    f->phase = mem_new(batch, sizeof *f->phase);
}

static void forecast_fini(struct forecast *f)
{
    network_fold_free(f->fold);
    network_free(f->network);
    free(f->theta);
    free(f->x);
    free(f->y);
    free(f->phase);
}

static void forecast_run(void *forecast)
{
    const struct forecast *const f = forecast;
    for (size_t i = 0; i < f->times; i++)
        network_forward_folded(f->network, f->theta, f->fold, f->x, f->phase, f->batch,
                               f->y);
}

static void measure_forecasts(void)
{
    enum { TIMES = 50 };
    struct forecast one, many;
    forecast_init(&one, 96, V, 720, 1, TIMES);
    forecast_init(&many, 96, V, 720, BATCH, TIMES / 10);
    struct result_turn turns[] = {{.run = forecast_run, .ctx = &one},
                                  {.run = forecast_run, .ctx = &many}};
    result_turns(turns, 2, 9);
    const double alone_s = turns[0].cpu_s / TIMES; /* one thread: all its time */
    const double batched_s = turns[1].cpu_s / (TIMES / 10) / BATCH;
    result_add(&(struct result){.name = "default: one forecast, V = 7, P = 720",
                                .value = 1e3 * alone_s,
                                .unit = "ms",
                                .at_most = 0.3});
    result_add(&(struct result){.name = "default: the same in a batch of 32, each",
                                .value = 1e3 * batched_s,
                                .unit = "ms",
                                .ratio = batched_s / alone_s,
                                .beside = "that alone"});
    forecast_fini(&many);
    forecast_fini(&one);
}

/* ---- growth ----------------------------------------------------------------------------- */

/* One size beside the first: what the time of a value is to the time of a value there. */
static void measure_growth(const char *what, size_t L, size_t width, struct threads *pool)
{
    enum { L0 = 96, P = 96, B = 2, TIMES = 5 };
    const size_t times = 60;
    struct trainee t[2];
    struct forecast f[2];
    trainee_init(&t[0], "default", L0, V, P, B, times, pool);
    trainee_init(&t[1], "default", L, width, P, B, 2, pool);
    forecast_init(&f[0], L0, V, P, 1, times);
    forecast_init(&f[1], L, width, P, 1, 2);
    struct result_turn turns[] = {{.run = trainee_run, .ctx = &t[0]},
                                  {.run = trainee_run, .ctx = &t[1]},
                                  {.run = forecast_run, .ctx = &f[0]},
                                  {.run = forecast_run, .ctx = &f[1]}};
    result_turns(turns, 4, TIMES);
    for (size_t k = 0; k < 4; k += 2) {
        const double small_s = turns[k].median_s / (double)times;
        const double large_s = turns[k + 1].median_s / 2;
        const double size = (double)(L * width) / (double)(L0 * V);
        char name[80];
        snprintf(name, sizeof name, "%s: %s", what, k ? "a forecast" : "a training step");
        result_add(&(struct result){.name = name,
                                    .value = 1e3 * large_s,
                                    .unit = "ms",
                                    .ratio = large_s / small_s / size,
                                    .beside = "a value of L = 96, V = 7"});
    }
    for (size_t i = 0; i < 2; i++) {
        trainee_fini(&t[i]);
        forecast_fini(&f[i]);
    }
}

static void measure_growths(struct threads *pool)
{
    static const size_t widths[] = {70, 500, 2000}, lookbacks[] = {512, 2048, 8192};
    char what[40];
    for (size_t i = 0; i < 3; i++) {
        snprintf(what, sizeof what, "L = 96, V = %zu", widths[i]);
        measure_growth(what, 96, widths[i], pool);
    }
    for (size_t i = 0; i < 3; i++) {
        snprintf(what, sizeof what, "L = %zu, V = 7", lookbacks[i]);
        measure_growth(what, lookbacks[i], V, pool);
    }
}

/* ---- a whole training --------------------------------------------------------------------- */

/* The third column of the line that begins with these two words. */
static double figure(const char *text, const char *candidate, const char *bucket)
{
    char who[24], where[24];
    double mse;
    for (const char *line = text; line; line = strchr(line + 1, '\n'))
        if (sscanf(line, "%23s %23s %lf", who, where, &mse) == 3 &&
            !strcmp(who, candidate) && !strcmp(where, bucket))
            return mse;
    die(text, NULL);
    return 0;
}

/* As an operator would: `frwkvd backtest` of the network alone. */
static void measure_training(const char *program, const char *csv)
{
    if (access(csv, R_OK)) {
        printf("  a whole training: skipped, needs %s\n", csv);
        return;
    }
    char *const command = mem_printf(
        "exec %s backtest --csv %s --split ett-hour --group joint --lookback 96 "
        "--horizon 96 --seed 1 --model frwkv 2>/dev/null",
        program, csv);
    char text[16384];
    const double began_s = now_s();
    FILE *const pipe = popen(command, "r");
    const size_t len = pipe ? fread(text, 1, sizeof text - 1, pipe) : 0;
    text[len] = '\0';
    if (!pipe || pclose(pipe))
        die(command, NULL);
    const double took_s = now_s() - began_s;
    struct rusage use;
    getrusage(RUSAGE_CHILDREN, &use);
    result_add(&(struct result){.name = "default, ETTh1-96: MSE",
                                .value = figure(text, "frwkv", "all"),
                                .unit = "",
                                .at_most = 0.373});
    result_add(&(struct result){.name = "default, ETTh1-96: the whole run",
                                .value = took_s,
                                .unit = "s",
                                .at_most = 30});
    result_add(&(struct result){.name = "default, ETTh1-96: most memory",
                                .value = (double)use.ru_maxrss / 1024,
                                .unit = "MB",
                                .at_most = 200});
    free(command);
}

int main(int argc, char **argv)
{
    const int threads =
        argc > 1 ? (int)strtol(argv[1], NULL, 10) : (int)sysconf(_SC_NPROCESSORS_ONLN);
    /* build/tests/bench/model -> build/frwkvd */
    const char *const build = strstr(argv[0], "/tests/bench/");
    char *const program =
        mem_printf("%.*s/frwkvd", build ? (int)(build - argv[0]) : 0, argv[0]);
    /* First: a child's memory counts from its parent's on. */
    measure_training(program, "../shared/data/ETTh1.csv");
    free(program);
    model_start();
    struct threads *const pool = threads_start((size_t)threads);
    printf("  on %d threads\n", threads);
    measure_steps(threads, pool);
    measure_threads(pool);
    measure_forecasts();
    measure_growths(pool);
    threads_stop(pool);
    return 0;
}
