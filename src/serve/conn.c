/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/conn.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "base/json.h"

#define KEEP_BYTES (256U << 10) /* an empty queue larger than this gives its memory back */

/* {"lost":n} stands where the lost lines would have stood. */
static void tell_lost(struct conn *c)
{
	struct json j = JSON_INIT(&c->out);
	uint64_t lost = c->lost;

	if (!lost || conn_queued(c) > CONN_QUEUE_MAX / 2)
		return;
	c->lost = 0;
	json_object_begin(&j, NULL);
	json_u64(&j, "lost", lost);
	json_object_end(&j);
	buf_putc(&c->out, '\n');
}

struct buf *conn_line_begin(struct conn *c, size_t *ret_from)
{
	/* Bytes already sent are taken off the front when they are most of the buffer: each byte moves at most once. */
	if (c->out_at > c->out.n / 2) {
		buf_drop_front(&c->out, c->out_at);
		c->out_at = 0;
	}
	tell_lost(c);
	*ret_from = c->out.n;
	return &c->out;
}

void conn_line_end(struct conn *c, size_t from, uint64_t *total_lost)
{
	/* After a loss nothing is taken in until half of the queue is gone: losses come in runs, not line by line. */
	if (c->out.failed || conn_queued(c) > CONN_QUEUE_MAX || c->lost) {
		c->out.n = from;
		c->out.failed = false;
		c->lost++;
		(*total_lost)++;
	}
}

void conn_line(struct conn *c, struct str line, uint64_t *total_lost)
{
	size_t from;

	buf_put_str(conn_line_begin(c, &from), line);
	conn_line_end(c, from, total_lost);
}

void conn_error(struct conn *c, const char *text)
{
	struct json j = JSON_INIT(&c->out);

	json_object_begin(&j, NULL);
	json_text(&j, "error", text);
	json_object_end(&j);
	buf_putc(&c->out, '\n');
}

static void error_with_code(struct conn *c, const char *text, unsigned code)
{
	struct json j = JSON_INIT(&c->out);

	json_object_begin(&j, NULL);
	json_text(&j, "error", text);
	json_u64(&j, "code", code);
	json_object_end(&j);
	buf_putc(&c->out, '\n');
}

void conn_refuse(struct conn *c, const char *text)
{
	error_with_code(c, text, c->rights.read ? 403 : 401);
}

void conn_absent(struct conn *c, const char *text)
{
	error_with_code(c, text, 501);
}

int conn_send(struct conn *c)
{
	tell_lost(c);
	while (conn_queued(c)) {
		ssize_t n = send(c->fd, c->out.p + c->out_at, conn_queued(c),
				 MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN ? 0 : -errno;
		c->out_at += (size_t)n;
	}
	c->out_at = 0;
	if (c->out.cap > KEEP_BYTES)
		buf_done(&c->out);
	else
		buf_clear(&c->out);
	return 0;
}

void conn_watch(struct conn *c)
{
	uint32_t events = 0;

	/* While an answer is under way further requests wait in the socket. */
	if (!c->input_ended && !c->closing && !c->busy)
		events |= EPOLLIN;
	if (conn_queued(c) || (c->busy && !c->child && !c->waiting) || c->closing || c->lost)
		events |= EPOLLOUT;
	if (events != c->events && loop_set_events(c->source, events) == 0)
		c->events = events;
}
