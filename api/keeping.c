/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "api/keeping.h"

#include <inttypes.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"

enum {
    LOOK_MS = 1000,
    FLUSH_MS = 600000,
    SLICE = 64,     /* series read, or written, at a time */
    BEHIND_MAX = 8, /* steps that a forecast reads rather than wait for the thread */
    NICE = 10,
};

/* The states of one forecaster. */
struct kept {
    struct kept *next;
    char forecaster[FORECASTER_NAME_MAX];
    int64_t model_id;
    int64_t end_ms;   /* all of them have taken the steps before this */
    int64_t flush_ms; /* when they are due in the store; monotonic */
    size_t size, count;
    char **names;     /* sorted, owned */
    void **states;    /* owned; NULL: to be made */
    uint64_t *upsets; /* of each when it was read */
};

struct keeping {
    struct serving *serving;
    struct store *store;
    pthread_t thread;
    pthread_mutex_t mutex; /* stop */
    pthread_cond_t wake;
    bool stop;
    pthread_rwlock_t lock; /* of what follows: the thread alone changes it */
    struct kept *first;
    atomic_uint_fast64_t made, loaded, served, read;
};

static void kept_free(struct kept *k)
{
    for (size_t i = 0; i < k->count; i++) {
        free(k->names[i]);
        free(k->states[i]);
    }
    free(k->names);
    free(k->states);
    free(k->upsets);
    free(k);
}

static size_t find_name(const struct kept *k, const char *name)
{
    size_t low = 0, high = k->count;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        const int order = strcmp(name, k->names[middle]);
        if (order == 0)
            return middle;
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return k->count;
}

/* ---- the thread: what there should be ---------------------------------------------- */

static struct kept *kept_new(const struct served *served, const struct extent *extent,
                             size_t size, int64_t end_ms)
{
    struct kept *const k = mem_new(1, sizeof *k);
    k->model_id = served->model_id;
    memcpy(k->forecaster, served->definition.name, sizeof k->forecaster);
    k->size = size;
    k->end_ms = end_ms;
    k->count = extent->names.count;
    k->names = mem_new(k->count, sizeof *k->names);
    k->states = mem_new(k->count, sizeof *k->states);
    k->upsets = mem_new(k->count, sizeof *k->upsets);
    for (size_t i = 0; i < k->count; i++)
        k->names[i] = mem_text(extent->names.name[i]);
    return k;
}

static bool same_names(const struct kept *k, const struct extent *extent)
{
    if (k->count != extent->names.count)
        return false;
    for (size_t i = 0; i < k->count; i++)
        if (strcmp(k->names[i], extent->names.name[i]))
            return false;
    return true;
}

/* Puts one in the place of another of its forecaster (NULL: of none). */
static void swap_in(struct keeping *keeping, struct kept *old, struct kept *fresh)
{
    pthread_rwlock_wrlock(&keeping->lock);
    struct kept **at = &keeping->first;
    while (*at && *at != old)
        at = &(*at)->next;
    if (old)
        *at = old->next;
    if (fresh) {
        fresh->next = keeping->first;
        keeping->first = fresh;
    }
    pthread_rwlock_unlock(&keeping->lock);
    if (old)
        kept_free(old);
}

struct load {
    struct kept *kept;
    int64_t *through_ms; /* of each that came */
    int64_t newest_ms;
};

static void take_stored(void *ctx, const char *series, int64_t through_ms,
                        const void *bytes, size_t len)
{
    struct load *const load = ctx;
    struct kept *const k = load->kept;
    const size_t i = find_name(k, series);
    if (i == k->count || len != k->size || through_ms > k->end_ms || k->states[i])
        return;
    k->states[i] = memcpy(mem_new(1, len), bytes, len);
    load->through_ms[i] = through_ms;
    if (through_ms > load->newest_ms)
        load->newest_ms = through_ms;
}

/* From the store; those that stand where most do, so that all move on together. */
static void load(struct keeping *keeping, struct kept *k)
{
    struct err err = {0};
    struct load l = {.kept = k, .newest_ms = INT64_MIN};
    l.through_ms = mem_new(k->count, sizeof *l.through_ms);
    store_upsets(keeping->store, k->names, k->count, k->upsets);
    if (store_states(keeping->store, k->forecaster, k->model_id, take_stored, &l, &err))
        log_warn("states cannot be read forecaster=%s: %s", k->forecaster, err.msg);
    for (size_t i = 0; i < k->count; i++)
        if (k->states[i] && l.through_ms[i] != l.newest_ms) {
            free(k->states[i]);
            k->states[i] = NULL;
        } else if (k->states[i]) {
            atomic_fetch_add(&keeping->loaded, 1);
        }
    if (l.newest_ms > INT64_MIN)
        k->end_ms = l.newest_ms;
    free(l.through_ms);
}

/* The states that are already there, for a set of names that has changed. */
static void take_over(struct kept *to, struct kept *from)
{
    to->end_ms = from->end_ms;
    for (size_t i = 0; i < to->count; i++) {
        const size_t old = find_name(from, to->names[i]);
        if (old == from->count)
            continue;
        to->states[i] = from->states[old];
        to->upsets[i] = from->upsets[old];
        from->states[old] = NULL;
    }
}

static struct kept *find(struct keeping *keeping, const char *forecaster)
{
    struct kept *k = keeping->first;
    while (k && strcmp(k->forecaster, forecaster))
        k = k->next;
    return k;
}

static struct kept *renew(struct keeping *keeping, const struct served *served,
                          const struct extent *extent, size_t size, int64_t end_ms)
{
    struct kept *const old = find(keeping, served->definition.name);
    if (old && old->model_id == served->model_id && same_names(old, extent))
        return old;
    struct kept *const fresh = kept_new(served, extent, size, end_ms);
    if (old && old->model_id == served->model_id) {
        pthread_rwlock_wrlock(&keeping->lock);
        take_over(fresh, old);
        pthread_rwlock_unlock(&keeping->lock);
    } else {
        load(keeping, fresh);
    }
    swap_in(keeping, old, fresh);
    return fresh;
}

/* ---- the thread: up to date --------------------------------------------------------- */

/* rows steps that end at end_ms, of some of the names. */
static int read_rows(const struct keeping *keeping, const struct served *served,
                     char *const *names, size_t count, int64_t end_ms, size_t rows,
                     struct grid *out, struct err *err)
{
    const struct forecaster *const f = &served->definition;
    const struct zone *const zone = forecaster_zone(f);
    const struct store_grid_wish wish = {
        .names = names,
        .count = count,
        .start_ms = grid_step_from(zone, end_ms, f->step_ms, -(int64_t)rows),
        .step_ms = f->step_ms,
        .rows = rows,
        .how = f->aggregate,
        .as_of_ms = AS_OF_NOW,
        .zone = zone,
    };
    return store_grid(keeping->store, &wish, out, err);
}

/* Lets go of those that samples have made untrue; what is read from here on is counted. */
static void drop_upset(struct keeping *keeping, struct kept *k, int64_t end_ms)
{
    uint64_t *const now = mem_new(k->count, sizeof *now);
    store_settle(keeping->store, k->names, k->count, end_ms);
    store_upsets(keeping->store, k->names, k->count, now);
    pthread_rwlock_wrlock(&keeping->lock);
    for (size_t i = 0; i < k->count; i++) {
        if (k->states[i] && k->upsets[i] == now[i])
            continue;
        free(k->states[i]);
        k->states[i] = NULL;
        k->upsets[i] = now[i];
    }
    pthread_rwlock_unlock(&keeping->lock);
    free(now);
}

static void drop_all(struct keeping *keeping, struct kept *k, int64_t end_ms)
{
    pthread_rwlock_wrlock(&keeping->lock);
    for (size_t i = 0; i < k->count; i++) {
        free(k->states[i]);
        k->states[i] = NULL;
    }
    k->end_ms = end_ms;
    pthread_rwlock_unlock(&keeping->lock);
}

/* The steps that have ended since, for all states at once. */
static int move_on(struct keeping *keeping, const struct served *served, struct kept *k,
                   int64_t end_ms, struct forecaster_work *work, struct err *err)
{
    const struct forecaster *const f = &served->definition;
    const int64_t steps =
        grid_steps_between(forecaster_zone(f), k->end_ms, end_ms, f->step_ms);
    struct grid rows;
    if (steps == 0)
        return 0;
    if (steps < 0 || (size_t)steps >= model_tail_rows(served->model)) {
        drop_all(keeping, k, end_ms);
        return 0;
    }
    if (read_rows(keeping, served, k->names, k->count, end_ms, (size_t)steps, &rows, err))
        return -1;
    pthread_rwlock_wrlock(&keeping->lock);
    forecaster_states_push(served->model, work, &rows, k->states);
    k->end_ms = end_ms;
    pthread_rwlock_unlock(&keeping->lock);
    grid_fini(&rows);
    return 0;
}

/* Makes what is not there from history, some series at a time. */
static int make(struct keeping *keeping, const struct served *served, struct kept *k,
                struct forecaster_work *work, struct err *err)
{
    const size_t tail = model_tail_rows(served->model);
    for (size_t from = 0; from < k->count;) {
        char *names[SLICE];
        void *states[SLICE];
        size_t place[SLICE], n = 0;
        struct grid rows;
        for (; from < k->count && n < SLICE; from++)
            if (!k->states[from]) {
                names[n] = k->names[from];
                place[n++] = from;
            }
        if (n == 0)
            break;
        if (read_rows(keeping, served, names, n, k->end_ms, tail, &rows, err))
            return -1;
        for (size_t i = 0; i < n; i++) {
            states[i] = mem_new(1, k->size);
            forecaster_state_begin(work, states[i]);
        }
        forecaster_states_push(served->model, work, &rows, states);
        grid_fini(&rows);
        pthread_rwlock_wrlock(&keeping->lock);
        for (size_t i = 0; i < n; i++)
            k->states[place[i]] = states[i];
        pthread_rwlock_unlock(&keeping->lock);
        atomic_fetch_add(&keeping->made, n);
        k->flush_ms = 0;
    }
    return 0;
}

static int flush(struct keeping *keeping, struct kept *k, struct err *err)
{
    for (size_t from = 0; from < k->count;) {
        struct store_state some[SLICE];
        size_t n = 0;
        for (; from < k->count && n < SLICE; from++)
            if (k->states[from])
                some[n++] = (struct store_state){k->names[from], k->upsets[from],
                                                 k->states[from], k->size};
        if (n && store_states_put(keeping->store, k->forecaster, k->model_id, k->end_ms,
                                  some, n, err))
            return -1;
    }
    k->flush_ms = time_monotonic_ms() + FLUSH_MS;
    return 0;
}

static int update(struct keeping *keeping, const struct served *served,
                  struct forecaster_work *work, struct err *err)
{
    const struct forecaster *const f = &served->definition;
    const size_t size = forecaster_state_size(work);
    struct extent extent = {0};
    struct err nothing = {0};
    if (size == 0 || extent_read(f, keeping->store, serving_now_ms(keeping->serving),
                                 &extent, &nothing)) {
        struct kept *const old = find(keeping, f->name);
        if (old)
            swap_in(keeping, old, NULL);
        return 0;
    }
    const int64_t end_ms =
        grid_step_from(forecaster_zone(f), extent.end_ms, f->step_ms, -1);
    struct kept *const k = renew(keeping, served, &extent, size, end_ms);
    extent_fini(&extent);
    drop_upset(keeping, k, end_ms);
    if (move_on(keeping, served, k, end_ms, work, err) ||
        make(keeping, served, k, work, err))
        return -1;
    return time_monotonic_ms() >= k->flush_ms ? flush(keeping, k, err) : 0;
}

static void look_at(struct keeping *keeping, const char *forecaster)
{
    struct err err = {0};
    struct served *const served = serving_get(keeping->serving, forecaster, &err);
    if (!served)
        return; /* no model yet */
    if (model_spec(served->model)->settings.stream) {
        struct forecaster_work *const work = serving_work(keeping->serving, served, &err);
        if (!work || update(keeping, served, work, &err))
            log_warn("states wait forecaster=%s: %s", forecaster, err.msg);
        if (work)
            serving_work_done(keeping->serving, served, work);
    }
    serving_put(keeping->serving, served);
}

/* By its definition: models of the others, which may be many, need not be loaded. */
static bool streams(const struct store_forecaster *stored)
{
    json_t *const body = json_loads(stored->body, 0, NULL);
    const bool yes =
        json_is_true(json_object_get(json_object_get(body, "settings"), "stream"));
    json_decref(body);
    return yes;
}

/* Those of forecasters that are no more, or whose model keeps none now. */
static bool is_wanted(struct keeping *keeping, const char *forecaster)
{
    struct err err = {0};
    struct served *const served = serving_get(keeping->serving, forecaster, &err);
    const bool wanted = served && model_spec(served->model)->settings.stream;
    serving_put(keeping->serving, served);
    return wanted;
}

static void look(struct keeping *keeping)
{
    struct store_forecaster *list = NULL;
    size_t count = 0;
    struct err err = {0};
    for (struct kept *k = keeping->first, *next; k; k = next) {
        next = k->next;
        if (!is_wanted(keeping, k->forecaster))
            swap_in(keeping, k, NULL);
    }
    if (store_forecasters(keeping->store, &list, &count, &err))
        log_warn("states wait: %s", err.msg);
    for (size_t i = 0; i < count; i++) {
        if (streams(&list[i]))
            look_at(keeping, list[i].name);
        store_forecaster_fini(&list[i]);
    }
    free(list);
}

/* ---- the thread itself --------------------------------------------------------------- */

static bool wait_a_while(struct keeping *keeping)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += LOOK_MS / 1000;
    pthread_mutex_lock(&keeping->mutex);
    while (!keeping->stop && pthread_cond_clockwait(&keeping->wake, &keeping->mutex,
                                                    CLOCK_MONOTONIC, &until) == 0)
        ;
    const bool stop = keeping->stop;
    pthread_mutex_unlock(&keeping->mutex);
    return !stop;
}

static void *run(void *ctx)
{
    struct keeping *const keeping = ctx;
    pthread_setname_np(pthread_self(), "frwkvd-keeping");
    setpriority(PRIO_PROCESS, (id_t)gettid(), NICE);
    do
        look(keeping);
    while (wait_a_while(keeping));
    for (struct kept *k = keeping->first; k; k = k->next) {
        struct err err = {0};
        if (flush(keeping, k, &err))
            log_warn("states are not written forecaster=%s: %s", k->forecaster, err.msg);
    }
    return NULL;
}

struct keeping *keeping_start(struct serving *serving, struct err *err)
{
    struct keeping *const keeping = mem_new(1, sizeof *keeping);
    keeping->serving = serving;
    keeping->store = serving_store(serving);
    pthread_mutex_init(&keeping->mutex, NULL);
    pthread_cond_init(&keeping->wake, NULL);
    pthread_rwlock_init(&keeping->lock, NULL);
    if (pthread_create(&keeping->thread, NULL, run, keeping)) {
        free(keeping);
        err_set(err, ERR_NO_MEMORY, "no thread for states");
        return NULL;
    }
    serving_keep(serving, keeping);
    return keeping;
}

void keeping_stop(struct keeping *keeping)
{
    if (!keeping)
        return;
    pthread_mutex_lock(&keeping->mutex);
    keeping->stop = true;
    pthread_cond_signal(&keeping->wake);
    pthread_mutex_unlock(&keeping->mutex);
    pthread_join(keeping->thread, NULL);
}

void keeping_free(struct keeping *keeping)
{
    if (!keeping)
        return;
    while (keeping->first)
        swap_in(keeping, keeping->first, NULL);
    pthread_mutex_destroy(&keeping->mutex);
    pthread_cond_destroy(&keeping->wake);
    pthread_rwlock_destroy(&keeping->lock);
    free(keeping);
}

void keeping_figures(struct keeping *keeping,
                     void (*each)(void *ctx, const char *name, double value), void *ctx)
{
    size_t held = 0, bytes = 0;
    if (!keeping)
        return;
    pthread_rwlock_rdlock(&keeping->lock);
    for (const struct kept *k = keeping->first; k; k = k->next)
        for (size_t i = 0; i < k->count; i++)
            if (k->states[i]) {
                held++;
                bytes += k->size;
            }
    pthread_rwlock_unlock(&keeping->lock);
    each(ctx, "frwkvd_states", (double)held);
    each(ctx, "frwkvd_states_bytes", (double)bytes);
    each(ctx, "frwkvd_states_loaded_total", (double)atomic_load(&keeping->loaded));
    each(ctx, "frwkvd_states_made_total", (double)atomic_load(&keeping->made));
    each(ctx, "frwkvd_series_served_total{from=\"state\"}",
         (double)atomic_load(&keeping->served));
    each(ctx, "frwkvd_series_served_total{from=\"history\"}",
         (double)atomic_load(&keeping->read));
}

/* ---- a forecast ------------------------------------------------------------------------ */

void kept_done(struct kept_columns *columns)
{
    if (columns->states)
        pthread_rwlock_unlock(&columns->keeping->lock);
    free(columns->states);
    *columns = (struct kept_columns){0};
}

/* The states of the columns that are true now; how many. */
static size_t choose(struct keeping *keeping, const struct kept *k,
                     const struct grid *tail, const void **states)
{
    uint64_t *const now = mem_new(tail->cols, sizeof *now);
    size_t n = 0;
    store_upsets(keeping->store, tail->names, tail->cols, now);
    for (size_t c = 0; c < tail->cols; c++) {
        const size_t i = find_name(k, tail->names[c]);
        if (i < k->count && k->states[i] && k->upsets[i] == now[c]) {
            states[c] = k->states[i];
            n++;
        }
    }
    free(now);
    return n;
}

/* The last rows of those columns of tail that have a state, or all of those without. */
static int read_columns(const struct keeping *keeping, const struct served *served,
                        const void *const *states, bool with, size_t rows, int64_t end_ms,
                        struct grid *tail, struct err *err)
{
    char **const names = mem_new(tail->cols, sizeof *names);
    size_t *const place = mem_new(tail->cols, sizeof *place);
    size_t n = 0;
    struct grid some;
    for (size_t c = 0; c < tail->cols; c++)
        if ((states[c] != NULL) == with) {
            names[n] = tail->names[c];
            place[n++] = c;
        }
    int rc = 0;
    if (n && rows) {
        rc = read_rows(keeping, served, names, n, end_ms, rows, &some, err);
        for (size_t row = 0; rc == 0 && row < rows; row++)
            for (size_t i = 0; i < n; i++)
                tail->values[(tail->rows - rows + row) * tail->cols + place[i]] =
                    some.values[row * n + i];
        if (rc == 0)
            grid_fini(&some);
    }
    free(names);
    free(place);
    return rc;
}

/* An empty tail with its names. */
static int tail_init(const struct served *served, const struct extent *extent,
                     const char *only, struct grid *tail, struct err *err)
{
    const struct forecaster *const f = &served->definition;
    const size_t rows = model_tail_rows(served->model);
    const struct zone *const zone = forecaster_zone(f);
    if (grid_init(tail, grid_step_from(zone, extent->end_ms, f->step_ms, -(int64_t)rows),
                  f->step_ms, rows, only ? 1 : extent->names.count, err))
        return -1;
    tail->zone = zone;
    for (size_t c = 0; c < tail->cols; c++)
        grid_name(tail, c, only ? only : extent->names.name[c]);
    return 0;
}

/* Under the lock that out keeps. */
static int fill(struct keeping *keeping, const struct served *served, struct store *store,
                int64_t as_of_ms, const struct extent *extent,
                const struct forecast_wish *wish, struct kept_columns *out,
                struct grid *tail, struct err *err)
{
    const size_t n = tail->cols;
    size_t stated = 0;
    for (size_t c = 0; c < n; c++)
        stated += out->states[c] != NULL;
    if (read_columns(keeping, served, out->states, true, out->behind, extent->end_ms,
                     tail, err) ||
        read_columns(keeping, served, out->states, false, tail->rows, extent->end_ms,
                     tail, err) ||
        known_add(&served->definition, store, as_of_ms, wish->overrides,
                  wish->override_count, tail, err))
        return -1;
    atomic_fetch_add(&keeping->served, stated);
    atomic_fetch_add(&keeping->read, n - stated);
    return 0;
}

int kept_grid(struct keeping *keeping, const struct served *served, struct store *store,
              int64_t as_of_ms, const struct extent *extent,
              const struct forecast_wish *wish, struct kept_columns *out,
              struct grid *tail, struct err *err)
{
    const struct forecaster *const f = &served->definition;
    *out = (struct kept_columns){0};
    if (keeping && model_spec(served->model)->settings.stream) {
        pthread_rwlock_rdlock(&keeping->lock);
        const struct kept *const k = find(keeping, f->name);
        const int64_t behind = k ? grid_steps_between(forecaster_zone(f), k->end_ms,
                                                      extent->end_ms, f->step_ms)
                                 : -1;
        const bool usable = k && k->model_id == served->model_id && behind >= 0 &&
                            behind <= BEHIND_MAX &&
                            (size_t)behind < model_tail_rows(served->model) &&
                            (!wish->series || find_name(k, wish->series) < k->count);
        if (usable && tail_init(served, extent, wish->series, tail, err) == 0) {
            out->keeping = keeping;
            out->tail = tail;
            out->behind = (size_t)behind;
            out->states = mem_new(tail->cols, sizeof *out->states);
            choose(keeping, k, tail, out->states);
            if (fill(keeping, served, store, as_of_ms, extent, wish, out, tail, err) == 0)
                return 0;
            grid_fini(tail);
            kept_done(out);
            return -1;
        }
        pthread_rwlock_unlock(&keeping->lock);
        if (usable)
            return -1;
    }
    if (extent_grid(f, store, as_of_ms, extent, model_tail_rows(served->model),
                    f->spec.group == GROUP_JOINT ? NULL : wish->series, wish->overrides,
                    wish->override_count, tail, err))
        return -1;
    if (keeping && model_spec(served->model)->settings.stream)
        atomic_fetch_add(&keeping->read, tail->cols);
    return 0;
}
