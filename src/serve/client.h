/* SPDX-License-Identifier: Apache-2.0 */
/* The other end of serve/control.h, for the command line: send one request line, read answer lines. */
#pragma once

#include <stddef.h>

#include "base/buf.h"
#include "base/str.h"

struct client;

/* `run` is the folder of the socket (/run/egret). -ENOENT, -ECONNREFUSED: no daemon there; -EACCES: not allowed. */
int client_new(struct client **ret, const char *run, struct str request_line);
/* The same with a file that goes along (SCM_RIGHTS); the caller's. */
int client_new_with(struct client **ret, const char *run, struct str request_line, int fd);
/* The same over a connection that is there already; takes `connection`, also when it fails. */
int client_new_over(struct client **ret, int connection, struct str request_line, int fd);
struct client *client_free(struct client *c);
int client_fd(const struct client *c);
/* The next line without its newline, borrowed until the next call. 1: a line, 0: end, -EAGAIN (non-blocking), -errno. */
int client_line(struct client *c, struct str *ret);
void client_set_nonblocking(struct client *c);
