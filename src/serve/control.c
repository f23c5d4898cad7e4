/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The clients of the control socket and what each is owed. Everything runs in the daemon's loop: a client costs a piece
 * of work a turn (a page of flows, a pass over the table a second, a copy of a record), never a wait.
 *
 * A connection is closed only from its own callback or by control_free(), so whoever walks the list of connections to
 * append lines need not fear that it changes.
 */
#include "serve/control.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/time.h"
#include "detect/detect.h"
#include "flow/filter.h"
#include "flow/record.h"
#include "serve/answer.h"
#include "serve/conn.h"
#include "serve/recent.h"
#include "serve/rights.h"
#include "serve/socket.h"
#include "serve/totals.h"
#include "serve/tokens.h"

#define MAX_CLIENTS 64
#define MAX_ADOPTED 128
#define RECENT_FLOWS 1000
#define LINE_MAX_BYTES (2U << 20)

struct control {
	struct control_config cfg;
	struct control_socket socket;
	struct loop_source *listener, *timer;
	bool paused; /* out of descriptors: nobody is let in before the next second */
	struct list conns;
	size_t n_conns, n_adopted, n_events;
	size_t n_tops[2]; /* of the socket, of the page */
	struct recent *recent;
	struct answer_children children;
	struct notice notice;
	struct buf line; /* one record as text, for all who want it */
	struct totals *totals;
	uint64_t started_ns;
	uint64_t lost;
};

static struct answer_source source_of(struct control *c)
{
	return (struct answer_source){
		.cfg = &c->cfg,
		.notice = &c->notice,
		.recent = c->recent,
		.lost = &c->lost,
		.clients = c->n_conns,
		.totals = c->totals,
		.started_ns = c->started_ns,
	};
}

/* ---- one connection ---- */

/* What the connection was answered with so far is over. */
static void forget_request(struct conn *k)
{
	if (!k->asked)
		return;
	k->control->n_tops[k->web] -= k->request.ask == ASK_TOP;
	k->control->n_events -= k->request.ask == ASK_EVENTS;
	k->rollup = rollup_free(k->rollup);
	answer_history_forget(k);
	request_done(&k->request);
	k->asked = k->busy = false;
}

static void conn_free(struct conn *k)
{
	struct control *c = k->control;
	bool held_place = k->child, was_web = k->web;

	forget_request(k);
	loop_remove(k->source);
	close(k->fd);
	if (k->passed_fd >= 0)
		close(k->passed_fd);
	buf_done(&k->in);
	buf_done(&k->out);
	list_del(&k->link);
	c->n_conns--;
	c->n_adopted -= was_web;
	free(k);
	if (held_place) {
		struct answer_source s = source_of(c);

		answer_history_next(&s, &c->children, &c->conns);
	}
}

/* What a console cannot answer, whoever asks, in words; NULL: it can. */
static const char *absent(const struct control_config *cfg, enum ask ask)
{
	if (cfg->flows)
		return NULL;
	switch (ask) {
	case ASK_FLOWS:
	case ASK_TOP:
	case ASK_EVENTS:
		return "a console has no living flows: ask the machine, or the history (--last)";
	case ASK_POLICY:
	case ASK_WHY:
		return "a console has no policy of its own: ask the machine";
	case ASK_DETECT:
		return "a console detects nothing itself: ask the machine";
	default:
		return NULL;
	}
}

static int begin_answer(struct control *c, struct conn *k)
{
	struct answer_source s = source_of(c);
	int r;

	switch (k->request.ask) {
	case ASK_STATUS:
		answer_status(&s, k);
		break;
	case ASK_METRICS:
		answer_metrics(&s, k);
		break;
	case ASK_POLICY:
		answer_policy(&s, k);
		break;
	case ASK_WHY:
		answer_why(&s, k);
		break;
	case ASK_DETECT:
		answer_detect(&s, k);
		break;
	case ASK_FINDINGS:
		if (c->cfg.flows)
			answer_findings(&s, k);
		else
			answer_history(&s, &c->children, k);
		break;
	case ASK_HISTORY:
		answer_history(&s, &c->children, k);
		break;
	case ASK_PAGE:
		answer_page(&s, k);
		break;
	case ASK_KEYS:
		answer_keys(&s, k);
		break;
	case ASK_RIGHTS:
		answer_rights(&s, k);
		break;
	case ASK_FLOWS:
		k->shown = k->matched = k->after = 0;
		k->busy = true;
		break;
	case ASK_TOP:
		c->n_tops[k->web]++;
		r = answer_top_begin(k);
		if (r < 0)
			return r;
		answer_top(&s, k);
		break;
	case ASK_EVENTS:
		c->n_events++;
		break;
	}
	return 0;
}

/* Who is behind the connection, or the token that came along: whichever of the two lets do more. */
static void find_rights(struct conn *k, const struct request *q)
{
	const struct control_config *cfg = &k->control->cfg;
	struct rights *r = &k->rights;
	uint64_t until = 0;
	bool change;

	*r = k->peer;
	if (!k->web)
		return;
	if (q->token[0] && cfg->tokens &&
	    tokens_check(cfg->tokens, str_of(q->token), cfg->now() / NSEC_PER_SEC, &change,
			 &until) &&
	    (!r->read || (change && !r->change))) {
		*r = (struct rights){ .read = true, .change = change, .until_s = until };
		snprintf(r->how, sizeof(r->how), "token");
	}
	if (q->certificate[0] && cfg->trust_certificates && !r->read) {
		*r = (struct rights){ .read = true };
		snprintf(r->how, sizeof(r->how), "certificate %s", q->certificate);
	}
}

static void on_request(struct conn *k, struct str line)
{
	struct control *c = k->control;
	char error[REQUEST_ERROR_MAX];
	struct request q;

	line = str_trim(line);
	if (!line.n)
		return;
	forget_request(k);
	if (request_parse(line, &q, error) < 0) {
		conn_error(k, error);
		return;
	}
	find_rights(k, &q);
	if (!k->rights.read && q.ask != ASK_RIGHTS) {
		request_done(&q);
		conn_refuse(k, "not allowed: this needs a token ('egret page'), or root or a "
			       "member of the "
			       "group egret on this machine");
		return;
	}
	if (absent(&c->cfg, q.ask)) {
		conn_absent(k, absent(&c->cfg, q.ask));
		request_done(&q);
		return;
	}
	if (q.ask == ASK_TOP && c->n_tops[k->web] >= ANSWER_TOPS_MAX) {
		request_done(&q);
		conn_error(k, "too many live views are open already");
		return;
	}
	k->request = q;
	k->asked = true;
	if (begin_answer(c, k) < 0) {
		forget_request(k);
		conn_error(k, "not enough memory");
	}
}

/* Takes whole lines off the input, as long as none of them has begun an answer of several turns. */
static void read_requests(struct conn *k)
{
	const char *end;

	while (!k->busy && !k->closing && k->in.n && (end = memchr(k->in.p, '\n', k->in.n))) {
		size_t n = (size_t)(end - k->in.p);

		on_request(k, (struct str){ k->in.p, n });
		buf_drop_front(&k->in, n + 1);
	}
	if (k->in.n >= REQUEST_MAX && !memchr(k->in.p, '\n', k->in.n)) {
		conn_error(k, "a request is at most 8 KiB");
		k->closing = true;
	}
}

/* A file that comes along belongs to the next request; of several the last stays. */
static void take_passed(struct conn *k, struct msghdr *m)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
		size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		int fd;

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < n; i++) {
			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
			if (k->passed_fd >= 0)
				close(k->passed_fd);
			k->passed_fd = fd;
		}
	}
}

static ssize_t receive_bytes(struct conn *k, char *at)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(4 * sizeof(int))];
	} control;
	struct iovec iov = { at, REQUEST_MAX };
	struct msghdr m = { .msg_iov = &iov,
			    .msg_iovlen = 1,
			    .msg_control = &control,
			    .msg_controllen = sizeof(control) };
	ssize_t n = recvmsg(k->fd, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

	if (n >= 0)
		take_passed(k, &m);
	return n;
}

/* 0; -errno: the client is gone. */
static int receive(struct conn *k)
{
	char *at = buf_reserve(&k->in, REQUEST_MAX);
	ssize_t n;

	if (!at)
		return -ENOMEM;
	n = receive_bytes(k, at);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	k->in.n += (size_t)n;
	k->input_ended = !n;
	read_requests(k);
	/* Whoever only closed its sending side still gets its answer, and a stream until it closes the other. */
	if (k->input_ended && !k->busy && !(k->asked && k->request.ask >= ASK_TOP))
		k->closing = true;
	return 0;
}

static int go_on(struct conn *k)
{
	struct answer_source s = source_of(k->control);
	int r = 0;

	if (k->busy && k->request.ask == ASK_FLOWS && !conn_queued(k)) {
		r = answer_flows(&s, k);
		if (r == 0 && !k->busy) {
			read_requests(k);
			k->closing |= k->input_ended && !k->busy;
		}
	}
	if (r == 0)
		r = conn_send(k);
	answer_history_sent(k);
	return r;
}

void conn_answered(struct conn *k)
{
	struct answer_source s = source_of(k->control);

	read_requests(k);
	k->closing |= k->input_ended && !k->busy;
	conn_watch(k);
	answer_history_next(&s, &k->control->children, &k->control->conns);
}

static void on_conn(void *ctx, int fd, uint32_t events)
{
	struct conn *k = ctx;
	int r = 0;

	if (events & EPOLLIN)
		r = receive(k);
	if (r == 0)
		r = go_on(k);
	if (r < 0 || (events & (EPOLLERR | EPOLLHUP)) ||
	    (k->closing && !conn_queued(k) && !k->busy))
		conn_free(k);
	else
		conn_watch(k);
}

static int conn_new(struct control *c, int fd, struct conn **ret)
{
	struct conn *k = calloc(1, sizeof(*k));
	int r;

	if (!k)
		return -ENOMEM;
	k->control = c;
	k->fd = fd;
	k->passed_fd = -1;
	k->in = BUF_INIT(2 * REQUEST_MAX);
	k->out = BUF_INIT(2 * CONN_QUEUE_MAX + LINE_MAX_BYTES);
	k->events = EPOLLIN;
	r = loop_add_io(c->cfg.loop, fd, k->events, on_conn, k, &k->source);
	if (r < 0) {
		free(k);
		return r;
	}
	list_push_back(&c->conns, &k->link);
	c->n_conns++;
	*ret = k;
	return 0;
}

void control_adopt(struct control *c, int fd, int client_fd)
{
	struct conn *k;

	if (c->n_adopted == MAX_ADOPTED || conn_new(c, fd, &k) < 0) {
		close(fd);
		return;
	}
	k->web = true;
	c->n_adopted++;
	if (client_fd >= 0)
		rights_of_peer(client_fd, &k->peer);
	conn_watch(k);
}

void control_drop_adopted(struct control *c)
{
	list_for_each(it, &c->conns) {
		struct conn *k = container_of(it, struct conn, link);

		if (!k->web)
			continue;
		k->closing = true;
		forget_request(k);
		conn_watch(k);
	}
}

/* ---- all of them ---- */

static void on_connect(void *ctx, int fd, uint32_t events)
{
	struct control *c = ctx;
	_cleanup_close_ int peer = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct conn *k;

	if (peer < 0) {
		/* Without a free descriptor the client waits in the queue; asking again at once would only spin. */
		if ((errno == EMFILE || errno == ENFILE) && loop_set_events(c->listener, 0) == 0) {
			c->paused = true;
			log_warn("no descriptor left for a client of the control socket");
		}
		return;
	}
	if (conn_new(c, peer, &k) < 0)
		return;
	TAKE_FD(peer);
	rights_of_peer(k->fd, &k->peer);
	if (!k->peer.read)
		conn_error(k,
			   "not allowed: only root, egretd's own user and the group egret may ask");
	else if (c->n_conns - c->n_adopted > MAX_CLIENTS)
		conn_error(k, "too many clients");
	k->closing = conn_queued(k) > 0;
	conn_watch(k);
}

static void on_second(void *ctx)
{
	struct control *c = ctx;
	struct answer_source s = source_of(c);

	if (c->paused && loop_set_events(c->listener, EPOLLIN) == 0)
		c->paused = false;
	if (!c->n_tops[0] && !c->n_tops[1])
		return;
	list_for_each(it, &c->conns) {
		struct conn *k = container_of(it, struct conn, link);

		if (k->asked && k->request.ask == ASK_TOP) {
			answer_top(&s, k);
			conn_watch(k);
		}
	}
}

static bool wants(const struct conn *k, const struct record *r)
{
	if (!k->asked || k->request.ask != ASK_EVENTS || !(k->request.types & 1U << r->type))
		return false;
	/* A filter is about flows: what is none (statistics, notices) goes to those who did not ask for some flows only. */
	if (r->type == RECORD_FINDING)
		return finding_match(r->finding, k->request.filter);
	return r->flow ? filter_match(k->request.filter, r->flow, r->time_ns) : !k->request.filter;
}

static void send_record(struct control *c, const struct record *r)
{
	buf_clear(&c->line);
	list_for_each(it, &c->conns) {
		struct conn *k = container_of(it, struct conn, link);

		if (!wants(k, r))
			continue;
		if (!c->line.n)
			eve_format(&c->cfg.format, r, &c->line);
		if (!c->line.n) {
			c->lost++;
			return;
		}
		conn_line(k, buf_str(&c->line), &c->lost);
		conn_watch(k);
	}
}

static void send_ended(struct control *c, const struct record *r)
{
	list_for_each(it, &c->conns) {
		struct conn *k = container_of(it, struct conn, link);

		if (k->asked && k->request.ask == ASK_TOP)
			answer_top_ended(k, r->flow, r->time_ns);
	}
}

/* An end is no news, unless it is that of what was the news. */
static void notice(struct control *c, const struct finding *f, uint64_t time_ns)
{
	struct notice *n = &c->notice;

	if (f->state == FINDING_CLOSED) {
		n->closed |= !strcmp(n->id, f->id);
		return;
	}
	*n = (struct notice){ .time_ns = time_ns, .severity = f->severity };
	memcpy(n->id, f->id, sizeof(n->id));
	snprintf(n->entity, sizeof(n->entity), "%.*s", STR_FMT(f->entity));
	snprintf(n->peer, sizeof(n->peer), "%.*s", STR_FMT(f->peer));
}

void control_record(struct control *c, const struct record *r)
{
	totals_record(c->totals, r);
	if (r->type == RECORD_FINDING)
		notice(c, r->finding, r->time_ns);
	if (r->type == RECORD_FLOW && r->flow_ends) {
		if (c->recent)
			recent_add(c->recent, r->flow);
		if (c->n_tops[0] || c->n_tops[1])
			send_ended(c, r);
	}
	if (c->n_events)
		send_record(c, r);
}

uint64_t control_lost(const struct control *c)
{
	return c->lost;
}

/* ---- making and unmaking ---- */

struct control *control_free(struct control *c)
{
	if (!c)
		return NULL;
	c->cfg.history = NULL; /* whoever waits for a place gets none any more */
	while (!list_empty(&c->conns)) {
		struct conn *k = container_of(c->conns.next, struct conn, link);

		conn_send(k); /* what the socket takes without waiting; the daemon is ending */
		conn_free(k);
	}
	loop_remove(c->timer);
	loop_remove(c->listener);
	control_socket_close(&c->socket);
	recent_free(c->recent);
	totals_free(c->totals);
	buf_done(&c->line);
	free(c);
	return NULL;
}
DEFINE_CLEANUP(struct control, control_free);

int control_new(struct control **ret, const struct control_config *cfg)
{
	_cleanup_(control_freep) struct control *c = calloc(1, sizeof(*c));
	struct recent_refs refs = { cfg->texts, cfg->names, cfg->procs };
	int r = 0;

	if (!c)
		return log_errno(ENOMEM, "cannot serve %s", cfg->path);
	c->cfg = *cfg;
	c->line = BUF_INIT(LINE_MAX_BYTES);
	c->socket.fd = -1;
	list_init(&c->conns);
	c->started_ns = cfg->now();
	r = totals_new(&c->totals);
	if (r == 0 && refs.texts && refs.names && refs.procs)
		r = recent_new(&c->recent, RECENT_FLOWS, refs);
	if (r < 0)
		return log_errno(r, "cannot serve %s", cfg->path);
	r = control_socket_open(&c->socket, cfg->path);
	if (r < 0)
		return r; /* the reason was logged */
	r = loop_add_io(cfg->loop, c->socket.fd, EPOLLIN, on_connect, c, &c->listener);
	if (r >= 0)
		r = loop_add_timer(cfg->loop, NSEC_PER_SEC, on_second, c, &c->timer);
	if (r < 0)
		return log_errno(r, "cannot serve %s", cfg->path);
	*ret = TAKE_PTR(c);
	return 0;
}
