/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "api/listen.h"

#include <netdb.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BACKLOG = 1024, HOST_MAX = 256 };

/* Splits "host:port" or "[host]:port". */
static int split(const char *address, char host[static HOST_MAX], const char **port)
{
    const char *const colon = strrchr(address, ':');
    if (!colon || !colon[1])
        return -1;
    const bool bracketed = address[0] == '[' && colon > address && colon[-1] == ']';
    const char *const from = address + bracketed;
    const size_t len = (size_t)(colon - bracketed - from);
    if (len == 0 || len >= HOST_MAX)
        return -1;
    memcpy(host, from, len);
    host[len] = '\0';
    *port = colon + 1;
    return 0;
}

static int listen_at(const struct addrinfo *at)
{
    const int fd =
        socket(at->ai_family, at->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -1;
    const int on = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, at->ai_addr, at->ai_addrlen) || listen(fd, BACKLOG)) {
        close(fd);
        return -1;
    }
    return fd;
}

int listen_open(const char *address, struct err *err)
{
    char host[HOST_MAX];
    const char *port;
    if (split(address, host, &port))
        return err_set(err, ERR_INVALID, "address: must be HOST:PORT, got %s", address);
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
    struct addrinfo *found = NULL;
    const int rc = getaddrinfo(host, port, &hints, &found);
    if (rc)
        return err_set(err, ERR_INVALID, "address: %s, got %s", gai_strerror(rc),
                       address);
    int fd = -1;
    for (const struct addrinfo *at = found; at && fd < 0; at = at->ai_next)
        fd = listen_at(at);
    if (fd < 0)
        err_errno(err, "cannot listen on %s", address);
    freeaddrinfo(found);
    return fd;
}

int listen_port(int fd)
{
    union {
        struct sockaddr any;
        struct sockaddr_in in;
        struct sockaddr_in6 in6;
    } at = {0};
    socklen_t len = sizeof at;
    if (getsockname(fd, &at.any, &len))
        return -1;
    if (at.any.sa_family == AF_INET)
        return ntohs(at.in.sin_port);
    return at.any.sa_family == AF_INET6 ? ntohs(at.in6.sin6_port) : -1;
}
