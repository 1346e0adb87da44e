/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "model/spec.h"

#include <math.h>

#include "model/frwkv.h"

static int check_range(const char *name, size_t value, size_t least, size_t most,
                       struct err *err)
{
    if (value >= least && value <= most)
        return 0;
    return err_set(err, ERR_INVALID, "%s: must be %zu..%zu, got %zu", name, least, most,
                   value);
}

/* How many series there will be is not known yet: any number that a model may have. */
static int check_network(const struct model_spec *spec, struct err *err)
{
    struct network_config config;
    uint32_t zeros[3] = {0};
    const struct chain alone = {
        .V = chain_wanted(spec) ? 1 : 0, .order = zeros, .near = zeros + 1};
    return frwkv_config(spec, 1, 1, &alone, &config, err)
               ? -1
               : network_check(&config, (size_t)spec->settings.batch, err);
}

int model_spec_check(const struct model_spec *spec, struct err *err)
{
    if (check_range("lookback", spec->lookback, 2, MODEL_LOOKBACK_MAX, err) ||
        check_range("horizon", spec->horizon, 1, MODEL_HORIZON_MAX, err) ||
        check_range("season", spec->season, 0, MODEL_LOOKBACK_MAX, err))
        return -1;
    const double least = spec->integer ? ceil(spec->min) : spec->min;
    const double most = spec->integer ? floor(spec->max) : spec->max;
    if (!(least <= most))
        return err_set(err, ERR_INVALID, "min: must be at most max, got %g and %g%s",
                       spec->min, spec->max, spec->integer ? " (integers)" : "");
    return check_network(spec, err);
}

int spec_check_grid(const struct model_spec *spec, const struct grid *grid,
                    struct err *err)
{
    return model_spec_check(spec, err) ||
                   check_range("series", grid->cols, 1, MODEL_SERIES_MAX, err)
               ? -1
               : 0;
}
