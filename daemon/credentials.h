/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * credentials.h -- what a request must know, from a file of its own.
 *
 *     # a comment
 *     user = sender
 *     password = what follows the "=" up to the end of the line, blanks around it left out
 *     token = another way in
 *
 * User and password go together; they, the token, or all three.  The file must be closed
 * to others.
 */
#ifndef CREDENTIALS_H
#define CREDENTIALS_H

#include "api/api.h"
#include "base/err.h"
#include "daemon/config.h"

enum { CREDENTIAL_MAX = 256 };

struct credentials {
    bool given; /* false: [server] credentials = none */
    char user[CREDENTIAL_MAX], password[CREDENTIAL_MAX], token[CREDENTIAL_MAX];
    struct api_credentials api; /* points to the texts above */
};

/*
 * Reads the file that the configuration names.  A name without a slash stands for a file
 * in $CREDENTIALS_DIRECTORY (systemd's LoadCredential=) where that is set, else beside
 * the configuration.  "FILE: line 2: password: is missing" and the like.
 */
int credentials_load(const struct config *config, struct credentials *out,
                     struct err *err);

#endif
