/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * tensors.h -- the list of parameter tensors, and the tables that fill it.
 *
 * Each part of the network describes its tensors once, in a constant table whose sizes
 * are codes into an array of dimensions.  Offsets, names in checkpoints, initial values
 * and weight decay all come from that table.
 */
#ifndef TENSORS_H
#define TENSORS_H

#include <stdbool.h>
#include <stddef.h>

/* How a tensor begins. */
enum init_rule {
    INIT_CONSTANT, /* init_value */
    INIT_NORMAL,   /* standard deviation init_value */
    INIT_UNIFORM,  /* on (-init_value, init_value) */
    INIT_SPREAD,   /* evenly over six from init_value on */
    INIT_LOG,      /* the logarithm of a number uniform on (1e-3, init_value) */
    INIT_LOG_STEP, /* that of a step size, log-uniform over two decades from init_value */
    INIT_RAW_STEP, /* what softplus makes such a step size of */
    INIT_HARMONIC, /* pi times 0, 1, ... init_value - 1, again and again */
};

/* One parameter tensor: its place in the flat array and how it begins. */
struct tensor {
    char name[72]; /* "real.layer0.mixer.wr.w1" */
    size_t offset; /* reals from the start of the flat array */
    size_t rank, shape[2];
    enum init_rule init;
    double init_value;
    bool decay; /* weight decay applies outside preset `paper`: matrices only */
    bool used;  /* false: takes no part (lift with D = 1), has no gradient */
};

/* A row of a table.  Codes count from 1 into the module's dims; 0 is none. */
struct tensor_row {
    const char *name;
    unsigned char rows, columns; /* columns 0: a vector */
    unsigned char fan_in;        /* INIT_UNIFORM: the bound is 1/sqrt(dims[fan_in]) */
    enum init_rule init;
    double value; /* INIT_CONSTANT, INIT_NORMAL and those after INIT_UNIFORM */
};

struct tensors {
    struct tensor *list; /* owned */
    size_t count, size;  /* tensors; reals in all */
};

/* Appends the tensors of a table, named prefix.name, or name where prefix is "". */
void tensors_add(struct tensors *tensors, const char *prefix,
                 const struct tensor_row *table, size_t count, const size_t *dims);
void tensors_fini(struct tensors *tensors);

/* offset[i] of each tensor from the first of the table; returns the reals in all. */
size_t tensors_layout(const struct tensor_row *table, size_t count, const size_t *dims,
                      size_t *offset);

#endif
