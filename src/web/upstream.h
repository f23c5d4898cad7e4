/* SPDX-License-Identifier: Apache-2.0 */
/* A request to the daemon, made over the channel (serve/page.h) for one HTTP client; answer lines come through callbacks. */
#pragma once

#include "base/str.h"

struct loop;
struct upstream;

struct upstream_out {
	void (*line)(void *ctx, struct str line); /* borrowed; may free the upstream */
	void (*end)(void *ctx);                   /* no more will come; may free it, too */
	void *ctx;
};

/* `asker_fd`: the HTTP client's socket, -1: nobody's; `file_fd`: goes along with the request, -1: nothing. Both stay the
 * caller's. -errno: the daemon is gone or busy. */
int upstream_new(struct upstream **ret, struct loop *loop, int channel, int asker_fd,
		 struct str request, int file_fd, struct upstream_out out);
struct upstream *upstream_free(struct upstream *u);
void upstream_ask_no_more(struct upstream *u); /* the daemon hangs up after its answer */
/* No lines come while it is held. Letting it go may call back at once. */
void upstream_hold(struct upstream *u);
void upstream_let_go(struct upstream *u);
