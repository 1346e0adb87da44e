/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/sha.h"

#include <string.h>

void sha_begin(struct sha *sha)
{
    sha256_init(&sha->state);
}

static void put_int(struct sha *sha, uint64_t value)
{
    uint8_t bytes[8];
    for (int i = 0; i < 8; i++)
        bytes[i] = (uint8_t)(value >> (8 * i));
    sha256_update(&sha->state, sizeof bytes, bytes);
}

void sha_bytes(struct sha *sha, const void *bytes, size_t len)
{
    put_int(sha, len);
    if (len > 0)
        sha256_update(&sha->state, len, bytes);
}

void sha_text(struct sha *sha, const char *text)
{
    sha_bytes(sha, text, strlen(text));
}

void sha_int(struct sha *sha, int64_t value)
{
    put_int(sha, (uint64_t)value);
}

void sha_end(struct sha *sha, unsigned char out[static SHA256_DIGEST_SIZE])
{
    sha256_digest(&sha->state, SHA256_DIGEST_SIZE, out);
}

void sha_plain(const void *bytes, size_t len,
               unsigned char out[static SHA256_DIGEST_SIZE])
{
    struct sha256_ctx state;
    sha256_init(&state);
    if (len > 0)
        sha256_update(&state, len, bytes);
    sha256_digest(&state, SHA256_DIGEST_SIZE, out);
}
