/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * client.h -- the HTTP interface, for subcommands.
 *
 * When a daemon holds the state folder, requests go to its configured address, and
 * stderr says so.  When the folder is free, the client opens it itself and asks over a
 * socket inside it: the same code answers, so the result is the same.  That takes the
 * owner of the folder; another user is told what to type.  Used by one thread.
 */
#ifndef CLIENT_H
#define CLIENT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/err.h"

struct client;

struct client_options {
    const char *command; /* for what another user is told to type: "import" */
    const char *config;  /* its file, or NULL for the usual one */
    bool jobs;           /* where no daemon runs, run jobs ourselves */
    bool create;         /* make the state folder if there is none */
    bool quiet;          /* do not say whom it asks */
};

/* Rows for command_options(): those that every such subcommand has. */
#define CLIENT_OPTIONS(options)                                                          \
    {.name = "config", .letter = 'c', .value = &(options).config},                       \
    {                                                                                    \
        .name = "quiet", .letter = 'q', .flag = &(options).quiet                         \
    }

struct client *client_open(const struct client_options *options, struct err *err)
    __attribute__((warn_unused_result));
void client_close(struct client *client);

/* A subcommand that asks: opens, calls ask(client, ctx, err), which prints what it
 * learns and returns 0 or -1, closes.  The exit status. */
typedef int client_fn(struct client *client, const void *ctx, struct err *err);
int client_command(const struct client_options *options, client_fn *ask, const void *ctx);

/*
 * Asks, and returns the JSON of the answer (owned by the caller).  NULL on failure: the
 * detail of a problem document, or that nobody answered.
 */
json_t *client_get(struct client *client, const char *path, struct err *err)
    __attribute__((warn_unused_result));
/* body: JSON text or NULL. */
json_t *client_send(struct client *client, const char *method, const char *path,
                    const char *body, struct err *err)
    __attribute__((warn_unused_result));

/* On stdout, for --json, with so many digits of a number. */
void client_print(const json_t *answer, int digits);

/* The text under a key of an answer, or "". */
const char *client_text(const json_t *object, const char *key);
/* The number there, or NaN. */
double client_number(const json_t *object, const char *key);

/* Sends a file as it is read, not held in memory.  sent(ctx, bytes) now and then. */
json_t *client_upload(struct client *client, const char *path, const char *type,
                      FILE *file, void (*sent)(void *ctx, uint64_t bytes), void *ctx,
                      struct err *err) __attribute__((warn_unused_result));

/* A path with one more parameter, escaped, where it is given; path is taken over. */
char *client_with(struct client *client, char *path, const char *key, const char *value)
    __attribute__((warn_unused_result));

/* Text as part of a URL; freed with client_text_free(). */
char *client_escape(struct client *client, const char *text);
void client_text_free(char *text);

#endif
