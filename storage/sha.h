/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sha.h -- SHA-256 over fields, each with its length, so that no two lists of
 * fields make the same bytes.
 */
#ifndef STORAGE_SHA_H
#define STORAGE_SHA_H

#include <stddef.h>
#include <stdint.h>
#include <nettle/sha2.h>

struct sha {
    struct sha256_ctx state;
};

void sha_begin(struct sha *sha);
void sha_bytes(struct sha *sha, const void *bytes, size_t len);
void sha_text(struct sha *sha, const char *text);
void sha_int(struct sha *sha, int64_t value);
void sha_end(struct sha *sha, unsigned char out[static SHA256_DIGEST_SIZE]);

/* Plain SHA-256, as sha256sum(1) prints it. */
void sha_plain(const void *bytes, size_t len,
               unsigned char out[static SHA256_DIGEST_SIZE]);

#endif
