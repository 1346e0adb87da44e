/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "api/login.h"

#include <nettle/base64.h>
#include <nettle/memops.h>
#include <nettle/sha2.h>
#include <stdlib.h>
#include <string.h>

#include "api/query.h"
#include "api/server.h"
#include "base/mem.h"

/* Takes as long whatever the texts have in common. */
static bool same(const char *given, size_t len, const char *wanted)
{
    const struct {
        size_t len;
        const char *text;
    } sides[] = {{len, given}, {strlen(wanted), wanted}};
    uint8_t digest[2][SHA256_DIGEST_SIZE];
    for (size_t i = 0; i < 2; i++) {
        struct sha256_ctx ctx;
        sha256_init(&ctx);
        sha256_update(&ctx, sides[i].len, (const uint8_t *)sides[i].text);
        sha256_digest(&ctx, sizeof digest[i], digest[i]);
    }
    return memeql_sec(digest[0], digest[1], sizeof digest[0]);
}

/* "user:password". */
static bool is_pair(const struct api_credentials *wanted, const char *given, size_t len)
{
    if (!wanted->user)
        return false;
    char *const pair = mem_printf("%s:%s", wanted->user, wanted->password);
    const bool is = same(given, len, pair);
    free(pair);
    return is;
}

static bool is_basic(const struct api_credentials *wanted, const char *encoded)
{
    struct base64_decode_ctx ctx;
    const size_t len = strlen(encoded);
    size_t decoded_len = BASE64_DECODE_LENGTH(len);
    uint8_t *const decoded = mem_new(decoded_len + 1, 1);
    base64_decode_init(&ctx);
    const bool is = base64_decode_update(&ctx, &decoded_len, decoded, len, encoded) &&
                    base64_decode_final(&ctx) &&
                    is_pair(wanted, (const char *)decoded, decoded_len);
    free(decoded);
    return is;
}

/* What stands behind the scheme, or NULL when it is another one. */
static const char *behind(const char *header, const char *scheme)
{
    const size_t len = strlen(scheme);
    if (!header || strncasecmp(header, scheme, len) || header[len] != ' ')
        return NULL;
    return header + len + strspn(header + len, " ");
}

static bool knows(const struct request *req, const char *header)
{
    const struct api_credentials *const wanted = req->api->config.credentials;
    const char *text;
    if ((text = behind(header, "Basic")))
        return is_basic(wanted, text);
    if ((text = behind(header, "Token")) && is_pair(wanted, text, strlen(text)))
        return true;
    if (text || (text = behind(header, "Bearer")))
        return wanted->token && same(text, strlen(text), wanted->token);
    const char *const user = query_text(req, "u"), *const password = query_text(req, "p");
    if (!user || !password)
        return false;
    char *const pair = mem_printf("%s:%s", user, password);
    const bool is = is_pair(wanted, pair, strlen(pair));
    free(pair);
    return is;
}

int login_check(const struct request *req, const char *authorization, struct err *err)
{
    if (!req->api->config.credentials || req->route->open || knows(req, authorization))
        return 0;
    return err_set(err, ERR_DENIED, "%s",
                   authorization ? "these credentials are not known here"
                                 : "credentials are needed here");
}

const char *login_challenge(const struct request *req)
{
    const struct api_credentials *const wanted = req->api->config.credentials;
    return wanted && wanted->user ? "Basic realm=\"frwkvd\", charset=\"UTF-8\""
                                  : "Bearer realm=\"frwkvd\"";
}
