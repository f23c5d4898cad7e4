/* SPDX-License-Identifier: Apache-2.0 */
#include "web/upstream.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/loop.h"
#include "serve/client.h"

struct upstream {
	struct client *client;
	struct loop_source *source;
	struct upstream_out out;
	bool busy, dead; /* in a callback; freed within it */
	bool held;
};

struct upstream *upstream_free(struct upstream *u)
{
	if (!u)
		return NULL;
	u->dead = true;
	if (u->busy)
		return NULL; /* on_readable() does it */
	loop_remove(u->source);
	client_free(u->client);
	free(u);
	return NULL;
}

static void on_readable(void *ctx, int fd, uint32_t events)
{
	struct upstream *u = ctx;
	struct str line;
	int r = 1;

	u->busy = true;
	while (!u->dead && !u->held && (r = client_line(u->client, &line)) > 0)
		u->out.line(u->out.ctx, line);
	if (!u->dead && !u->held && r != -EAGAIN) {
		loop_remove(u->source);
		u->source = NULL;
		u->out.end(u->out.ctx);
	}
	u->busy = false;
	if (u->dead)
		upstream_free(u);
}

void upstream_ask_no_more(struct upstream *u)
{
	shutdown(client_fd(u->client), SHUT_WR);
}

void upstream_hold(struct upstream *u)
{
	if (!u->held && loop_set_events(u->source, 0) == 0)
		u->held = true;
}

/* Lines may lie here already, of which the socket says nothing any more. */
void upstream_let_go(struct upstream *u)
{
	if (!u->held || loop_set_events(u->source, EPOLLIN) < 0)
		return;
	u->held = false;
	on_readable(u, client_fd(u->client), EPOLLIN);
}

/* The daemon gets its end of the connection, and the socket of whoever asks. */
static int hand_over(int channel, int end, int asker_fd)
{
	int fds[2] = { end, asker_fd };
	size_t n = asker_fd < 0 ? 1 : 2;
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(fds))];
	} room = { 0 };
	struct iovec iov = { (char[]){ 'c' }, 1 };
	struct msghdr m = { .msg_iov = &iov,
			    .msg_iovlen = 1,
			    .msg_control = &room,
			    .msg_controllen = CMSG_SPACE(n * sizeof(int)) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(n * sizeof(int));
	memcpy(CMSG_DATA(c), fds, n * sizeof(int));
	return sendmsg(channel, &m, MSG_NOSIGNAL | MSG_DONTWAIT) == 1 ? 0 : -errno;
}

int upstream_new(struct upstream **ret, struct loop *loop, int channel, int asker_fd,
		 struct str request, int file_fd, struct upstream_out out)
{
	struct upstream *u = calloc(1, sizeof(*u));
	int ends[2], r;

	if (!u)
		return -ENOMEM;
	u->out = out;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0) {
		r = -errno;
		free(u);
		return r;
	}
	r = hand_over(channel, ends[1], asker_fd);
	close(ends[1]);
	if (r < 0)
		close(ends[0]);
	else
		r = client_new_over(&u->client, ends[0], request, file_fd);
	if (r == 0) {
		client_set_nonblocking(u->client);
		r = loop_add_io(loop, client_fd(u->client), EPOLLIN, on_readable, u, &u->source);
	}
	if (r < 0)
		upstream_free(u);
	else
		*ret = u;
	return r;
}
