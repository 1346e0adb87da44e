/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * verify.h -- one run over everything that is under a checksum.
 */
#ifndef STORAGE_VERIFY_H
#define STORAGE_VERIFY_H

#include <sqlite3.h>

#include "base/err.h"
#include "storage/storage.h"

struct verify {
    sqlite3 *db;
    store_finding *each;
    void *ctx;
    struct store_verified *verified;
};

/* Tells of what is damaged or cannot be read, and goes on (0); any other failure ends the
 * run (-1). */
int verify_found(struct verify *verify, const struct err *damage, struct err *err);

/* rollups_table.c */
int rollups_verify(struct verify *verify, struct err *err);
/* models_table.c */
int models_verify(struct verify *verify, struct err *err);
/* covariates_table.c */
int covariates_verify(struct verify *verify, struct err *err);
int states_verify(struct verify *verify, struct err *err);
/* issues_table.c: every issue, and the chain from day to day */
int issues_verify(struct verify *verify, struct err *err);

/* calibrations_table.c: every one, and that each stands on the one before */
int calibrations_verify(struct verify *verify, struct err *err);

#endif
