/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * digest.h -- 64 bits that tell one content from another.
 *
 * For finding damage and mix-ups, not for security: every 8 bytes are mixed in with
 * the finaliser of splitmix64 (Steele, Lea, Flood, 2014).  Start with {0}.
 */
#ifndef DIGEST_H
#define DIGEST_H

#include <stddef.h>
#include <stdint.h>

struct digest {
    uint64_t state;
};

void digest_bytes(struct digest *digest, const void *bytes, size_t len);
/* With its length, so that "ab" "c" is not "a" "bc". */
void digest_text(struct digest *digest, const char *text);
void digest_number(struct digest *digest, uint64_t number);

enum { DIGEST_TEXT_SIZE = 17 };
const char *digest_hex(struct digest digest, char out[static DIGEST_TEXT_SIZE]);

#endif
