/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "model/checkpoint.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "model/digest.h"
#include "model/safetensors.h"

static const char format[] = "frwkvd checkpoint 1 " REAL_NAME;

enum { ARRAYS = 5, COUNTERS = 6, NUMBERS = 3, EPOCH_NUMBERS = 6 };

static const char *const array_names[ARRAYS] = {"theta", "m", "v", "shadow", "best"};

static const enum safetensor_type real_type =
    sizeof(real) == sizeof(double) ? SAFETENSOR_F64 : SAFETENSOR_F32;

int train_state_init(struct train_state *state, size_t size, int epochs, struct err *err)
{
    *state = (struct train_state){
        .size = size,
        .best_loss = (double)INFINITY,
        .epoch_capacity = epochs,
        .epochs = mem_new((size_t)epochs, sizeof *state->epochs),
    };
    real **const arrays[ARRAYS] = {&state->theta, &state->m, &state->v, &state->shadow,
                                   &state->best};
    for (int i = 0; i < ARRAYS; i++)
        if (!(*arrays[i] = mem_try(size, sizeof(real)))) {
            train_state_fini(state);
            return err_set(err, ERR_NO_MEMORY, "training: no memory for %zu parameters",
                           size);
        }
    return 0;
}

void train_state_fini(struct train_state *state)
{
    free(state->theta);
    free(state->m);
    free(state->v);
    free(state->shadow);
    free(state->best);
    free(state->epochs);
    *state = (struct train_state){0};
}

/* ---- the state as tensors, for writing and for reading --------------------------- */

struct flat {
    int64_t counters[COUNTERS];
    double numbers[NUMBERS];
    double *history; /* epoch_count x EPOCH_NUMBERS */
};

static void flatten(struct flat *flat, const struct train_state *s)
{
    const int64_t counters[COUNTERS] = {s->phase,          (int64_t)s->step,
                                        s->best_epoch,     s->epoch_count,
                                        s->epoch_capacity, (int64_t)s->size};
    const double numbers[NUMBERS] = {s->epoch_loss.sum, s->epoch_loss.count,
                                     s->best_loss};
    memcpy(flat->counters, counters, sizeof counters);
    memcpy(flat->numbers, numbers, sizeof numbers);
    flat->history = mem_new((size_t)s->epoch_count * EPOCH_NUMBERS, sizeof(double));
    for (int i = 0; i < s->epoch_count; i++) {
        const struct model_epoch *const e = &s->epochs[i];
        const double row[EPOCH_NUMBERS] = {e->epoch, e->loss_train, e->loss_valid,
                                           e->rate,  e->seconds,    e->best};
        memcpy(flat->history + i * EPOCH_NUMBERS, row, sizeof row);
    }
}

static void unflatten(struct train_state *s, const struct flat *flat)
{
    s->phase = (enum train_phase)flat->counters[0];
    s->step = (uint64_t)flat->counters[1];
    s->best_epoch = (int)flat->counters[2];
    s->epoch_count = (int)flat->counters[3];
    s->epoch_loss = (struct loss_sum){flat->numbers[0], flat->numbers[1]};
    s->best_loss = flat->numbers[2];
    for (int i = 0; i < s->epoch_count; i++) {
        const double *const row = flat->history + i * EPOCH_NUMBERS;
        s->epochs[i] = (struct model_epoch){(int)row[0], row[1], row[2],
                                            row[3],      row[4], row[5] != 0};
    }
}

enum { TENSORS = ARRAYS + 3 };

static void list_tensors(struct safetensor out[TENSORS], const struct train_state *s,
                         const struct flat *flat)
{
    const real *const arrays[ARRAYS] = {s->theta, s->m, s->v, s->shadow, s->best};
    for (int i = 0; i < ARRAYS; i++)
        out[i] = (struct safetensor){array_names[i], real_type, 1,
                                     {s->size},      arrays[i], s->size};
    const size_t rows = (size_t)s->epoch_count;
    out[ARRAYS] = (struct safetensor){"counters", SAFETENSOR_I64, 1,
                                      {COUNTERS}, flat->counters, COUNTERS};
    out[ARRAYS + 1] = (struct safetensor){"numbers", SAFETENSOR_F64, 1,
                                          {NUMBERS}, flat->numbers,  NUMBERS};
    out[ARRAYS + 2] =
        (struct safetensor){"history",     SAFETENSOR_F64,      2, {rows, EPOCH_NUMBERS},
                            flat->history, rows * EPOCH_NUMBERS};
}

static struct digest checksum(const struct safetensor tensors[TENSORS])
{
    struct digest d = {0};
    for (int i = 0; i < TENSORS; i++)
        digest_bytes(&d, tensors[i].data,
                     tensors[i].count * (tensors[i].type == SAFETENSOR_F32 ? 4 : 8));
    return d;
}

/* ---- the file ---------------------------------------------------------------------- */

static int write_all(int fd, const unsigned char *bytes, size_t len)
{
    while (len) {
        const ssize_t put = write(fd, bytes, len);
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return -1;
        bytes += put;
        len -= (size_t)put;
    }
    return fsync(fd);
}

static int sync_folder(const char *path)
{
    const char *const slash = strrchr(path, '/');
    char *const folder =
        slash ? mem_text_n(path, (size_t)(slash - path) + 1) : mem_text(".");
    const int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    free(folder);
    if (fd < 0)
        return -1;
    const int rc = fsync(fd);
    close(fd);
    return rc;
}

/* The new content stands beside path until it is safe, then takes its place. */
static int replace_file(const char *path, const void *bytes, size_t len, struct err *err)
{
    char *const beside = mem_printf("%s.new", path);
    const int fd = open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    int rc = -1;
    if (fd < 0 || write_all(fd, bytes, len)) {
        err_errno(err, "checkpoint %s", beside);
        goto out;
    }
    if (rename(beside, path) || sync_folder(path)) {
        err_errno(err, "checkpoint %s", path);
        goto out;
    }
    rc = 0;
out:
    if (fd >= 0)
        close(fd);
    if (rc)
        unlink(beside);
    free(beside);
    return rc;
}

int checkpoint_write(const struct train_state *state, const char *path,
                     uint64_t fingerprint, struct err *err)
{
    struct flat flat;
    struct safetensor tensors[TENSORS];
    flatten(&flat, state);
    list_tensors(tensors, state, &flat);

    char print[DIGEST_TEXT_SIZE], sum[DIGEST_TEXT_SIZE];
    const struct safetensors_meta meta[] = {
        {"format", format},
        {"fingerprint", digest_hex((struct digest){fingerprint}, print)},
        {"checksum", digest_hex(checksum(tensors), sum)},
    };
    void *bytes = NULL;
    size_t len;
    int rc = safetensors_write(tensors, TENSORS, meta, 3, &bytes, &len, err);
    if (rc == 0)
        rc = replace_file(path, bytes, len, err);
    free(bytes);
    free(flat.history);
    return rc;
}

static int read_file(const char *path, unsigned char **bytes, size_t *len,
                     struct err *err)
{
    struct stat info;
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_set(err, errno == ENOENT ? ERR_NOT_FOUND : ERR_IO, "checkpoint %s: %s",
                       path, strerrordesc_np(errno));
    int rc = -1;
    *bytes = NULL;
    *len = 0;
    if (fstat(fd, &info) || !(*bytes = mem_try((size_t)info.st_size, 1))) {
        err_set(err, ERR_NO_MEMORY, "checkpoint %s: no memory to read it", path);
        goto out;
    }
    while (*len < (size_t)info.st_size) {
        const ssize_t got = read(fd, *bytes + *len, (size_t)info.st_size - *len);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            break;
        *len += (size_t)got;
    }
    rc = 0;
out:
    close(fd);
    return rc;
}

static int corrupt(struct err *err, const char *what)
{
    return err_set(err, ERR_CORRUPT, "checkpoint: %s", what);
}

/* Points tensors[] at the file's, in the order of list_tensors(). */
static int find_tensors(const struct safetensors *file, struct safetensor out[TENSORS],
                        const struct train_state *state, struct err *err)
{
    list_tensors(out, state, &(struct flat){0});
    for (int i = 0; i < TENSORS; i++) {
        const struct safetensor *const t = safetensors_find(file, out[i].name);
        const bool history = i == TENSORS - 1;
        if (!t || t->type != out[i].type || (!history && t->count != out[i].count))
            return corrupt(err, "a tensor is missing or has another shape");
        out[i] = *t;
    }
    char sum[DIGEST_TEXT_SIZE];
    const char *const want = safetensors_meta(file, "checksum");
    if (!want || strcmp(want, digest_hex(checksum(out), sum)) != 0)
        return corrupt(err, "checksum does not match");
    return 0;
}

static int take(struct train_state *state, const struct safetensor tensors[TENSORS],
                struct err *err)
{
    real *const arrays[ARRAYS] = {state->theta, state->m, state->v, state->shadow,
                                  state->best};
    struct flat flat;
    memcpy(flat.counters, tensors[ARRAYS].data, sizeof flat.counters);
    memcpy(flat.numbers, tensors[ARRAYS + 1].data, sizeof flat.numbers);
    const int64_t epochs = flat.counters[3];
    const struct safetensor *const history = &tensors[ARRAYS + 2];
    if (epochs < 0 || epochs > state->epoch_capacity ||
        history->count != (size_t)epochs * EPOCH_NUMBERS)
        return corrupt(err, "history does not match the counters");
    flat.history = mem_new(history->count, sizeof(double));
    if (history->count)
        memcpy(flat.history, history->data, history->count * sizeof(double));
    for (int i = 0; i < ARRAYS; i++)
        memcpy(arrays[i], tensors[i].data, state->size * sizeof(real));
    unflatten(state, &flat);
    free(flat.history);
    return 0;
}

static int check_origin(const struct safetensors *file, uint64_t fingerprint,
                        struct err *err)
{
    char print[DIGEST_TEXT_SIZE];
    const char *const kind = safetensors_meta(file, "format");
    const char *const of = safetensors_meta(file, "fingerprint");
    if (!kind || !of)
        return corrupt(err, "no format or fingerprint");
    if (strcmp(kind, format) != 0 ||
        strcmp(of, digest_hex((struct digest){fingerprint}, print)) != 0)
        return err_set(err, ERR_CONFLICT, "checkpoint: of other data or settings");
    return 0;
}

int checkpoint_read(struct train_state *state, const char *path, uint64_t fingerprint,
                    struct err *err)
{
    unsigned char *bytes = NULL;
    size_t len = 0;
    struct safetensor tensors[TENSORS];
    struct safetensors *file = NULL;
    int rc = -1;
    if (read_file(path, &bytes, &len, err) == 0 &&
        (file = safetensors_parse(bytes, len, err)) &&
        check_origin(file, fingerprint, err) == 0 &&
        find_tensors(file, tensors, state, err) == 0)
        rc = take(state, tensors, err);
    safetensors_free(file);
    free(bytes);
    return rc;
}
