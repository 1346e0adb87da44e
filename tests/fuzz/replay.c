/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * replay.c -- runs a fuzz target over kept inputs, without a fuzzing engine.
 *
 * replay_NAME [FOLDER...]: every file of the folders, or of tests/fuzz/corpus/NAME.
 * A finding ends the program, as it would under the engine; the file is named before
 * it is tried, so the last name printed is the one that did it.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { INPUT_MAX = 1 << 24 };

static int replay_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (!file)
        return -1;
    uint8_t *bytes = malloc(INPUT_MAX);
    const size_t len = bytes ? fread(bytes, 1, INPUT_MAX, file) : 0;
    /* A block of exactly its size, so that the sanitizers see reads past the end. */
    uint8_t *exact = malloc(len ? len : 1);
    const int result = bytes && exact && !ferror(file) ? 0 : -1;
    if (result == 0) {
        if (len > 0)
            memcpy(exact, bytes, len);
        LLVMFuzzerTestOneInput(exact, len);
    }
    free(exact);
    free(bytes);
    fclose(file);
    return result;
}

static int is_file(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

/* The number of files tried, or -1. */
static int replay_folder(const char *folder)
{
    struct dirent **entries;
    const int count = scandir(folder, &entries, is_file, alphasort);
    int result = count > 0 ? count : -1; /* an empty corpus proves nothing */
    for (int i = 0; i < count; i++) {
        char *path = mem_printf("%s/%s", folder, entries[i]->d_name);
        printf("# %s\n", path);
        fflush(stdout);
        if (replay_file(path))
            result = -1;
        free(path);
        free(entries[i]);
    }
    if (count >= 0)
        free(entries);
    return result;
}

int main(int argc, char **argv)
{
    const char *slash = strrchr(argv[0], '/');
    const char *name = slash ? slash + 1 : argv[0];
    if (strncmp(name, "replay_", 7) == 0)
        name += 7;
    char *corpus = mem_printf("tests/fuzz/corpus/%s", name);

    int failed = 0;
    for (int i = 1; i < argc || i == 1; i++) {
        const char *folder = i < argc ? argv[i] : corpus;
        const int count = replay_folder(folder);
        if (count < 0)
            printf("not ok %s no readable file in %s\n", name, folder);
        else
            printf("ok %s %d files\n", name, count);
        failed += count < 0;
    }
    free(corpus);
    return failed ? 1 : 0;
}
