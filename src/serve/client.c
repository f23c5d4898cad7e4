/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/client.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"

#define LINE_MAX_BYTES (16U << 20)
#define READ_BYTES 65536

struct client {
	int fd;
	bool ended;
	struct buf in;
	size_t taken;   /* bytes of `in` that belong to lines already given out */
	size_t scanned; /* up to here there is no newline */
};

struct client *client_free(struct client *c)
{
	if (!c)
		return NULL;
	if (c->fd >= 0)
		close(c->fd);
	buf_done(&c->in);
	free(c);
	return NULL;
}
DEFINE_CLEANUP(struct client, client_free);

static int send_all(int fd, const char *p, size_t n)
{
	while (n) {
		ssize_t sent = send(fd, p, n, MSG_NOSIGNAL);

		if (sent < 0 && errno == EINTR)
			continue;
		if (sent < 0)
			return -errno;
		p += sent;
		n -= (size_t)sent;
	}
	return 0;
}

/* The file goes with the first byte of the request. */
static int send_first(int fd, struct str request, int passed)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	struct iovec iov = { (void *)request.p, 1 };
	struct msghdr m = { .msg_iov = &iov,
			    .msg_iovlen = 1,
			    .msg_control = &control,
			    .msg_controllen = sizeof(control) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &passed, sizeof(int));
	return sendmsg(fd, &m, MSG_NOSIGNAL) == 1 ? 0 : -errno;
}

static int send_request(int fd, struct str request, int passed)
{
	int r = passed >= 0 ? send_first(fd, request, passed) : 0;

	if (r == 0)
		r = send_all(fd, request.p + (passed >= 0), request.n - (passed >= 0));
	return r < 0 ? r : send_all(fd, "\n", 1);
}

int client_new(struct client **ret, const char *run, struct str request_line)
{
	return client_new_with(ret, run, request_line, -1);
}

int client_new_with(struct client **ret, const char *run, struct str request_line, int fd)
{
	_cleanup_close_ int connection = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	int n;

	if (connection < 0)
		return -errno;
	n = snprintf(to.sun_path, sizeof(to.sun_path), "%s/egret.sock", run);
	if (n < 0 || (size_t)n >= sizeof(to.sun_path))
		return -ENAMETOOLONG;
	if (connect(connection, (struct sockaddr *)&to, sizeof(to)) < 0)
		return -errno;
	return client_new_over(ret, TAKE_FD(connection), request_line, fd);
}

int client_new_over(struct client **ret, int connection, struct str request_line, int fd)
{
	_cleanup_(client_freep) struct client *c = calloc(1, sizeof(*c));
	int r;

	if (!c) {
		close(connection);
		return -ENOMEM;
	}
	c->in = BUF_INIT(LINE_MAX_BYTES);
	c->fd = connection;
	r = send_request(c->fd, request_line, fd);
	/* EPIPE: refused with a reason, which is there to be read. */
	if (r < 0 && r != -EPIPE)
		return r;
	*ret = TAKE_PTR(c);
	return 0;
}

int client_fd(const struct client *c)
{
	return c->fd;
}

void client_set_nonblocking(struct client *c)
{
	fcntl(c->fd, F_SETFL, fcntl(c->fd, F_GETFL) | O_NONBLOCK);
}

static bool find_line(struct client *c, struct str *ret)
{
	const char *end = NULL;

	if (c->in.n > c->scanned)
		end = memchr(c->in.p + c->scanned, '\n', c->in.n - c->scanned);
	if (!end) {
		c->scanned = c->in.n;
		return false;
	}
	*ret = (struct str){ c->in.p + c->taken, (size_t)(end - c->in.p) - c->taken };
	c->taken = c->scanned = (size_t)(end - c->in.p) + 1;
	return true;
}

/* 1: something came, 0: end, -EAGAIN, -errno. */
static int read_more(struct client *c)
{
	char *at;
	ssize_t n;

	buf_drop_front(&c->in, c->taken);
	c->scanned -= c->taken;
	c->taken = 0;
	at = buf_reserve(&c->in, READ_BYTES);
	if (!at)
		return -EMSGSIZE;
	do
		n = recv(c->fd, at, READ_BYTES, 0);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == ECONNRESET ? 0 : -errno;
	c->in.n += (size_t)n;
	return n > 0;
}

int client_line(struct client *c, struct str *ret)
{
	while (!find_line(c, ret)) {
		int r = c->ended ? 0 : read_more(c);

		c->ended |= r == 0;
		if (r <= 0)
			return r; /* a line without its end is none */
	}
	return 1;
}
