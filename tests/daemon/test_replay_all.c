/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What `frwkvd verify` says of forecasts made again, from a state folder that nobody has
 * open: of those that come out, and of one that was forged with its chain in order. */
#include "tests/forge.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "daemon/replay_all.h"
#include "tests/daemon/trained.h"

#define HOUR INT64_C(3600000)

enum { HOURS = 400 };

static const char definition[] =
    "{\"select\": \"load\", \"step\": \"1h\", \"lookback\": 24, \"horizon\": 12,"
    " \"settings\": {\"width\": 8, \"ff\": 8, \"heads\": 1, \"lift\": 1, \"rank\": 2,"
    " \"epochs\": 2, \"steps_per_epoch\": 5, \"batch\": 4}}";

static void samples_add(const struct folder *folder, struct store *store)
{
    struct err err = {0};
    struct store_counts counts;
    struct store_batch *const batch = store_batch_new();
    const int64_t end_ms = folder->now_ms / HOUR * HOUR;
    store_batch_history(batch);
    for (int s = 0; s < 2; s++) {
        const uint32_t series =
            store_batch_series(batch, s ? "load{host=\"b\"}" : "load{host=\"a\"}");
        for (int i = 0; i < HOURS; i++)
            store_batch_add(batch, series, end_ms - (HOURS - i) * HOUR,
                            sin(i / 3.1) + sin(i / 1.7 + s));
    }
    assert_ok(store_append_wait(store, batch, &counts, &err), &err);
}

/* A trained model with three issues. */
static void live(struct folder *folder)
{
    struct err err = {0};
    int64_t id;
    struct store *const store = folder_open(folder);
    struct serving *const serving = serving_new(store, folder->options.clock);
    samples_add(folder, store);
    trained(folder, store, serving, definition);
    for (int i = 0; i < 2; i++) {
        folder->now_ms += 60000;
        assert_ok(serving_issue(serving, "load", 0, NULL, &id, &err), &err);
    }
    serving_free(serving);
    store_close(store);
}

/* The newest issue again, one value of it moved. */
static int64_t forge(struct folder *folder)
{
    struct store *const store = folder_open(folder);
    const int64_t id = forge_issue(store, "load", 3, 0.5F);
    store_close(store);
    return id;
}

/* Runs it with its output in text. */
static bool comes_out(const struct folder *folder, size_t issues, char text[static 2000])
{
    struct err err = {0};
    bool came_out = false;
    char *const config = folder_file(folder, "frwkvd.conf");
    FILE *const written = fopen(config, "w");
    assert_non_null(written);
    fprintf(written, "[store]\nfolder = %s\n", folder->path);
    fclose(written);
    FILE *const file = tmpfile();
    assert_non_null(file);
    fflush(stdout);
    const int stdout_is = dup(1);
    dup2(fileno(file), 1);
    const int rc = replay_all(config, issues, &came_out, &err);
    fflush(stdout);
    dup2(stdout_is, 1);
    close(stdout_is);
    rewind(file);
    text[fread(text, 1, 1999, file)] = '\0';
    fclose(file);
    free(config);
    assert_ok(rc, &err);
    return came_out;
}

static void what_verify_says(void **state)
{
    (void)state;
    struct folder folder;
    char text[2000], want[100];
    folder_init(&folder);
    live(&folder);
    assert_true(comes_out(&folder, 100, text));
    assert_string_equal(
        text, "replayed 6 forecasts of 3 issues of load: 6 the same, 0 differ\n");
    const int64_t id = forge(&folder);
    assert_false(comes_out(&folder, 100, text));
    assert_non_null(strstr(text, "replayed 8 forecasts of 4 issues of load: 7 the same, "
                                 "1 differ\n"));
    snprintf(want, sizeof want, "\ndiffers: issue %" PRId64 " of ", id);
    assert_non_null(strstr(text, want));
    assert_non_null(strstr(text, ", load{host=\"b\"}, at "));
    assert_non_null(strstr(text, ", quantile 0.1: was "));
    char *const command = mem_printf("rm -rf %s", folder.path);
    assert_int_equal(system(command), 0);
    free(command);
}

int main(void)
{
    log_init(LOG_LEVEL_ERROR);
    model_start();
    const struct CMUnitTest tests[] = {cmocka_unit_test(what_verify_says)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
