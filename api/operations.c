/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Health for whoever watches the process, and the list of routes for whoever looks.
 */
#include "api/handlers.h"

#include <stdlib.h>
#include <string.h>

#include "api/query.h"
#include "api/routes.h"
#include "api/server.h"
#include "base/mem.h"

static const char plain[] = "text/plain; charset=utf-8";

int index_get(struct request *req, struct reply *reply, struct err *err)
{
    if (query_none(req, err))
        return -1;
    struct page page = {0};
    page_add(&page, "frwkvd %s\n\n", req->api->config.version);
    for (size_t r = 0; r < routes_count(); r++) {
        const struct route *const route = routes_at(r);
        page_add(&page, "%-6s %-42s %s\n", route->method, route->pattern, route->help);
    }
    reply_text(reply, 200, plain, page.bytes, page.len);
    return HANDLED;
}

/* Probes may carry parameters against caches, so none are refused here. */
int healthy_get(struct request *req, struct reply *reply, struct err *err)
{
    (void)req;
    (void)err;
    struct page page = {0};
    page_add(&page, "healthy\n");
    reply_text(reply, 200, plain, page.bytes, page.len);
    return HANDLED;
}

int reload_post(struct request *req, struct reply *reply, struct err *err)
{
    const struct api_config *const config = &req->api->config;
    char *report = NULL;
    if (query_none(req, err))
        return -1;
    if (!config->reload)
        return err_set(err, ERR_CONFLICT, "this process has no files to read again");
    if (config->reload(config->reload_ctx, &report, err))
        return -1;
    reply_text(reply, 200, "application/json", report, strlen(report));
    return HANDLED;
}

int ready_get(struct request *req, struct reply *reply, struct err *err)
{
    (void)err;
    struct err why = {0};
    struct page page = {0};
    const int rc = store_ready(req->api->config.store, &why);
    if (rc)
        page_add(&page, "not ready: %s\n", why.msg);
    else
        page_add(&page, "ready\n");
    reply_text(reply, rc ? 503 : 200, plain, page.bytes, page.len);
    reply->retry_after_s = rc ? 2 : 0;
    return HANDLED;
}
