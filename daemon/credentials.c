/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "daemon/credentials.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "base/text.h"

static char *path_of(const struct config *config)
{
    const char *const name = config->credentials;
    const char *const folder = getenv("CREDENTIALS_DIRECTORY");
    if (strchr(name, '/'))
        return mem_text(name);
    if (folder)
        return mem_printf("%s/%s", folder, name);
    const char *const slash = strrchr(config->path, '/');
    return mem_printf("%.*s%s", slash ? (int)(slash - config->path) + 1 : 0, config->path,
                      name);
}

/* The text without the blanks around it, cut in place. */
static char *trim(char *text)
{
    while (isspace((unsigned char)*text))
        text++;
    size_t len = strlen(text);
    while (len && isspace((unsigned char)text[len - 1]))
        text[--len] = '\0';
    return text;
}

static int take_line(struct credentials *out, char *line, struct err *err)
{
    const struct {
        const char *key;
        char *place;
    } keys[] = {{"user", out->user}, {"password", out->password}, {"token", out->token}};
    char *const text = trim(line);
    char *const equals = strchr(text, '=');
    if (!*text || *text == '#')
        return 0;
    if (!equals)
        return err_set(err, ERR_INVALID, "must be \"key = value\" or a comment");
    *equals = '\0';
    const char *const key = trim(text), *const value = trim(equals + 1);
    const size_t len = strlen(value);
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        if (strcmp(keys[i].key, key))
            continue;
        if (*keys[i].place)
            return err_set(err, ERR_INVALID, "%s: given twice", key);
        /* What a header cannot carry is of no use. */
        if (len == 0 || len >= CREDENTIAL_MAX || !text_is_utf8(value, len) ||
            (i == 0 && strchr(value, ':')))
            return err_set(err, ERR_INVALID, "%s: must have 1..%d bytes of UTF-8%s", key,
                           CREDENTIAL_MAX - 1, i == 0 ? " without a colon" : "");
        memcpy(keys[i].place, value, len + 1);
        return 0;
    }
    return err_set(err, ERR_INVALID, "key must be one of user, password and token");
}

static int check(struct credentials *out, const char *path, struct err *err)
{
    if (*out->user && !*out->password)
        return err_set(err, ERR_INVALID, "%s: password: is missing", path);
    if (*out->password && !*out->user)
        return err_set(err, ERR_INVALID, "%s: user: is missing", path);
    if (!*out->user && !*out->token)
        return err_set(err, ERR_INVALID,
                       "%s: must have user and password, or a token, or both", path);
    out->given = true;
    out->api = (struct api_credentials){
        .user = *out->user ? out->user : NULL,
        .password = *out->user ? out->password : NULL,
        .token = *out->token ? out->token : NULL,
    };
    return 0;
}

static int read_lines(struct credentials *out, FILE *file, const char *path,
                      struct err *err)
{
    char line[2 * CREDENTIAL_MAX + 32];
    for (int number = 1; fgets(line, sizeof line, file); number++) {
        struct err why = {0};
        if (!strchr(line, '\n') && !feof(file))
            err_set(&why, ERR_INVALID, "too long");
        else
            take_line(out, line, &why);
        if (why.code)
            return err_set(err, why.code, "%s: line %d: %s", path, number, why.msg);
    }
    return ferror(file) ? err_errno(err, "%s", path) : check(out, path, err);
}

int credentials_load(const struct config *config, struct credentials *out,
                     struct err *err)
{
    *out = (struct credentials){0};
    if (!strcmp(config->credentials, "none"))
        return 0;
    char *const path = path_of(config);
    FILE *const file = fopen(path, "re");
    struct stat info;
    int result = -1;
    if (!file || fstat(fileno(file), &info))
        err_errno(err, "credentials: %s", path);
    else if (info.st_mode & S_IRWXO)
        err_set(err, ERR_INVALID, "credentials: %s: is open to others; type  chmod o= %s",
                path, path);
    else
        result = read_lines(out, file, path, err);
    if (file)
        fclose(file);
    free(path);
    return result;
}
