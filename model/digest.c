/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "model/digest.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static uint64_t mix(uint64_t z)
{
    z += 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

void digest_number(struct digest *digest, uint64_t number)
{
    digest->state = mix(digest->state ^ number);
}

void digest_bytes(struct digest *digest, const void *bytes, size_t len)
{
    const unsigned char *at = bytes;
    digest_number(digest, len);
    for (; len >= 8; len -= 8, at += 8) {
        uint64_t word;
        memcpy(&word, at, sizeof word);
        digest_number(digest, word);
    }
    if (len) {
        uint64_t word = 0;
        memcpy(&word, at, len);
        digest_number(digest, word);
    }
}

void digest_text(struct digest *digest, const char *text)
{
    digest_bytes(digest, text, strlen(text));
}

const char *digest_hex(struct digest digest, char out[static DIGEST_TEXT_SIZE])
{
    snprintf(out, DIGEST_TEXT_SIZE, "%016" PRIx64, digest.state);
    return out;
}
