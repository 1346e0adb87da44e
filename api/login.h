/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * login.h -- whether a request knows what it must.
 */
#ifndef LOGIN_H
#define LOGIN_H

#include "api/request.h"

/*
 * authorization: the header's value, or NULL.  Taken are Basic, Bearer and Token (of
 * InfluxDB: the token, or user:password), and the parameters u and p of InfluxDB 1.
 * ERR_DENIED else.
 */
int login_check(const struct request *request, const char *authorization,
                struct err *err);

/* What WWW-Authenticate says with a 401. */
const char *login_challenge(const struct request *request);

#endif
