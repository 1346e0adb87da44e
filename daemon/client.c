/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "daemon/client.h"

#include <curl/curl.h>
#include <math.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "daemon/command.h"
#include "daemon/config.h"
#include "daemon/instance.h"

enum { ANSWER_MAX = 1 << 28, CONNECT_TIMEOUT_S = 5 };

struct client {
    struct config config;
    CURL *curl;
    struct instance own; /* where no daemon runs */
    char *socket;        /* of the own instance, or NULL */
    char *base;          /* "http://127.0.0.1:9797" */
    struct credentials credentials;
};

/* ---- one request ------------------------------------------------------------------- */

struct answer {
    char *text;
    size_t len;
};

static size_t on_answer(char *bytes, size_t size, size_t count, void *ctx)
{
    struct answer *const answer = ctx;
    const size_t len = size * count;
    if (answer->len + len > ANSWER_MAX)
        return 0; /* curl gives up */
    answer->text = mem_resize(answer->text, answer->len + len + 1, 1);
    memcpy(answer->text + answer->len, bytes, len);
    answer->len += len;
    answer->text[answer->len] = '\0';
    return len;
}

static enum err_code code_of(long status)
{
    switch (status) {
    case 401:
        return ERR_DENIED;
    case 404:
        return ERR_NOT_FOUND;
    case 409:
        return ERR_CONFLICT;
    case 413:
        return ERR_TOO_LARGE;
    case 503:
        return ERR_BUSY;
    default:
        return status >= 500 ? ERR_IO : ERR_INVALID;
    }
}

static json_t *answer_read(const struct answer *answer, long status, struct err *err)
{
    json_t *const json =
        answer->len ? json_loadb(answer->text, answer->len, 0, NULL) : NULL;
    if (status / 100 == 2) {
        if (!json && answer->len)
            err_set(err, ERR_IO, "the daemon's answer is not JSON");
        return json || answer->len ? json : json_object();
    }
    const char *const detail = json_string_value(json_object_get(json, "detail"));
    const char *const title = json_string_value(json_object_get(json, "title"));
    if (detail || title)
        err_set(err, code_of(status), "%s", detail ? detail : title);
    else
        err_set(err, code_of(status), "the daemon answered with status %ld", status);
    json_decref(json);
    return NULL;
}

static void login(struct client *client)
{
    const struct api_credentials *const known = &client->credentials.api;
    if (known->user) {
        curl_easy_setopt(client->curl, CURLOPT_HTTPAUTH, (long)CURLAUTH_BASIC);
        curl_easy_setopt(client->curl, CURLOPT_USERNAME, known->user);
        curl_easy_setopt(client->curl, CURLOPT_PASSWORD, known->password);
    } else if (known->token) {
        curl_easy_setopt(client->curl, CURLOPT_HTTPAUTH, (long)CURLAUTH_BEARER);
        curl_easy_setopt(client->curl, CURLOPT_XOAUTH2_BEARER, known->token);
    }
}

/* Performs what the handle has been set up for. */
static json_t *perform(struct client *client, const char *path, const char *type,
                       struct err *err)
{
    struct answer answer = {0};
    CURL *const curl = client->curl;
    char *const url = mem_printf("%s%s", client->base, path);
    char *const content_type = mem_printf("Content-Type: %s", type);
    struct curl_slist *headers = curl_slist_append(NULL, content_type);
    headers = curl_slist_append(headers, "Expect:"); /* no waiting for a 100 */
    if (!client->socket)
        login(client);
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_TIMEOUT_S);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_answer);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &answer);
    if (client->socket)
        curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, client->socket);
    const CURLcode code = curl_easy_perform(curl);
    long status = 0;
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    json_t *json = NULL;
    if (code != CURLE_OK)
        err_set(err, ERR_IO, "%s: %s", url, curl_easy_strerror(code));
    else
        json = answer_read(&answer, status, err);
    curl_easy_reset(curl);
    curl_slist_free_all(headers);
    free(content_type);
    free(url);
    free(answer.text);
    return json;
}

json_t *client_get(struct client *client, const char *path, struct err *err)
{
    curl_easy_setopt(client->curl, CURLOPT_HTTPGET, 1L);
    return perform(client, path, "application/json", err);
}

json_t *client_send(struct client *client, const char *method, const char *path,
                    const char *body, struct err *err)
{
    curl_easy_setopt(client->curl, CURLOPT_POSTFIELDS, body ? body : "");
    curl_easy_setopt(client->curl, CURLOPT_CUSTOMREQUEST, method);
    return perform(client, path, "application/json", err);
}

struct upload {
    FILE *file;
    uint64_t bytes;
    void (*sent)(void *ctx, uint64_t bytes);
    void *ctx;
};

static size_t on_upload(char *bytes, size_t size, size_t count, void *ctx)
{
    struct upload *const upload = ctx;
    const size_t len = fread(bytes, 1, size * count, upload->file);
    if (ferror(upload->file))
        return CURL_READFUNC_ABORT;
    upload->bytes += len;
    upload->sent(upload->ctx, upload->bytes);
    return len;
}

json_t *client_upload(struct client *client, const char *path, const char *type,
                      FILE *file, void (*sent)(void *ctx, uint64_t bytes), void *ctx,
                      struct err *err)
{
    struct upload upload = {.file = file, .sent = sent, .ctx = ctx};
    curl_easy_setopt(client->curl, CURLOPT_POST, 1L);
    curl_easy_setopt(client->curl, CURLOPT_POSTFIELDSIZE, -1L);
    curl_easy_setopt(client->curl, CURLOPT_READFUNCTION, on_upload);
    curl_easy_setopt(client->curl, CURLOPT_READDATA, &upload);
    return perform(client, path, type, err);
}

char *client_escape(struct client *client, const char *text)
{
    return curl_easy_escape(client->curl, text, 0);
}

void client_text_free(char *text)
{
    curl_free(text);
}

/* ---- whom to ask ------------------------------------------------------------------- */

/* Where a daemon that listens on every address is reached. */
static char *base_url(const char *listen)
{
    if (strncmp(listen, "0.0.0.0:", 8) == 0)
        return mem_printf("http://127.0.0.1%s", listen + 7);
    if (strncmp(listen, "[::]:", 5) == 0)
        return mem_printf("http://[::1]%s", listen + 4);
    return mem_printf("http://%s", listen);
}

/* Whether the folder is there and belongs to somebody else. */
static bool foreign(const struct config *config, uid_t *owner)
{
    struct stat info;
    if (stat(config->folder, &info) || info.st_uid == geteuid())
        return false;
    *owner = info.st_uid;
    return true;
}

static int refuse_foreign(const struct config *config, const char *command, uid_t owner,
                          struct err *err)
{
    const struct passwd *const entry = getpwuid(owner);
    char number[24];
    snprintf(number, sizeof number, "#%u", (unsigned)owner);
    const char *const name = entry ? entry->pw_name : number;
    return err_set(err, ERR_CONFLICT,
                   "no daemon answers at %s, and the folder %s belongs to %s: start the "
                   "daemon, or type  sudo -u %s frwkvd %s ...",
                   config->listen, config->folder, name, name, command);
}

/* Without a word in err: nobody answers. */
static int ask_daemon(struct client *client, const struct config *config,
                      const struct client_options *options, struct err *err)
{
    struct err why = {0};
    if (credentials_load(config, &client->credentials, err))
        return -1;
    client->base = base_url(config->listen);
    json_t *const answer = client_get(client, "/v1/jobs?limit=1", &why);
    json_decref(answer);
    if (why.code == ERR_DENIED)
        return err_set(err, ERR_DENIED,
                       "the daemon at %s: %s ([server] credentials = %s)", config->listen,
                       why.msg, config->credentials);
    if (!answer)
        return -1;
    if (!options->quiet)
        fprintf(stderr, "The daemon at %s holds %s: asking it.\n", config->listen,
                config->folder);
    return 0;
}

static int open_own(struct client *client, const struct config *config,
                    const struct client_options *options, struct err *err)
{
    log_init(LOG_LEVEL_WARN); /* what this process does is shown, not logged */
    client->socket = mem_printf("%s/socket", config->folder);
    client->base = mem_text("http://localhost");
    const struct instance_options own = {.listen_fd = -1,
                                         .socket = client->socket,
                                         .jobs = options->jobs,
                                         .create = options->create};
    if (instance_start(&client->own, config, &own, err) == 0)
        return 0;
    free(client->socket);
    free(client->base);
    client->socket = client->base = NULL;
    return -1;
}

static int connect_to(struct client *client, const struct client_options *options,
                      struct err *err)
{
    const struct config *const config = &client->config;
    uid_t owner;
    if (foreign(config, &owner))
        return ask_daemon(client, config, options, err) == 0
                   ? 0
                   : refuse_foreign(config, options->command, owner, err);
    struct err why = {0};
    if (open_own(client, config, options, &why) == 0)
        return 0;
    if (why.code != ERR_CONFLICT)
        return err_copy(err, &why);
    if (ask_daemon(client, config, options, err) == 0)
        return 0;
    return err_set(err, ERR_BUSY, "%s, and no daemon answers at %s", why.msg,
                   config->listen);
}

struct client *client_open(const struct client_options *options, struct err *err)
{
    struct client *const client = mem_new(1, sizeof *client);
    curl_global_init(CURL_GLOBAL_DEFAULT);
    if (config_load(options->config, &client->config, err) == 0) {
        client->curl = curl_easy_init();
        if (!client->curl)
            err_set(err, ERR_NO_MEMORY, "curl: cannot start");
        else if (connect_to(client, options, err) == 0)
            return client;
    }
    client_close(client);
    return NULL;
}

void client_close(struct client *client)
{
    if (!client)
        return;
    if (client->curl) /* its connections end before the server does */
        curl_easy_cleanup(client->curl);
    if (client->socket) {
        instance_stop(&client->own);
        unlink(client->socket);
    }
    curl_global_cleanup();
    free(client->socket);
    free(client->base);
    free(client);
}

int client_command(const struct client_options *options, client_fn *ask, const void *ctx)
{
    struct err err = {0};
    struct client *const client = client_open(options, &err);
    const int failed = !client || ask(client, ctx, &err);
    client_close(client);
    return failed ? command_failed(options->command, &err) : EXIT_DONE;
}

void client_print(const json_t *answer, int digits)
{
    json_dumpf(answer, stdout, JSON_REAL_PRECISION(digits));
    putchar('\n');
}

const char *client_text(const json_t *object, const char *key)
{
    const char *const text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

double client_number(const json_t *object, const char *key)
{
    const json_t *const value = json_object_get(object, key);
    return json_is_number(value) ? json_number_value(value) : (double)NAN;
}

char *client_with(struct client *client, char *path, const char *key, const char *value)
{
    if (!value)
        return path;
    char *const escaped = client_escape(client, value);
    char *const longer =
        mem_printf("%s%c%s=%s", path, strchr(path, '?') ? '&' : '?', key, escaped);
    client_text_free(escaped);
    free(path);
    return longer;
}
