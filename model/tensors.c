/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "model/tensors.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"

static size_t elements(const struct tensor_row *row, const size_t *dims)
{
    return dims[row->rows] * (row->columns ? dims[row->columns] : 1);
}

static struct tensor tensor_of(const char *prefix, const struct tensor_row *row,
                               const size_t *dims, size_t offset)
{
    const bool uniform = row->init == INIT_UNIFORM;
    struct tensor tensor = {
        .offset = offset,
        .rank = row->columns ? 2 : 1,
        .shape = {dims[row->rows], row->columns ? dims[row->columns] : 1},
        .init = row->init,
        .init_value = uniform ? 1 / sqrt((double)dims[row->fan_in]) : row->value,
        .decay = row->columns != 0,
        .used = true,
    };
    snprintf(tensor.name, sizeof tensor.name, "%s%s%s", prefix, *prefix ? "." : "",
             row->name);
    return tensor;
}

void tensors_add(struct tensors *tensors, const char *prefix,
                 const struct tensor_row *table, size_t count, const size_t *dims)
{
    tensors->list =
        mem_resize(tensors->list, tensors->count + count, sizeof *tensors->list);
    for (size_t i = 0; i < count; i++) {
        tensors->list[tensors->count++] =
            tensor_of(prefix, &table[i], dims, tensors->size);
        tensors->size += elements(&table[i], dims);
    }
}

void tensors_fini(struct tensors *tensors)
{
    free(tensors->list);
    *tensors = (struct tensors){0};
}

size_t tensors_layout(const struct tensor_row *table, size_t count, const size_t *dims,
                      size_t *offset)
{
    size_t at = 0;
    for (size_t i = 0; i < count; i++) {
        offset[i] = at;
        at += elements(&table[i], dims);
    }
    return at;
}
