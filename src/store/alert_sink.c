/* SPDX-License-Identifier: Apache-2.0 */
#include "store/alert_sink.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/addr.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "flow/record.h"
#include "store/alert_text.h"

#define QUEUE_MAX (256U << 10)
#define LINE_MAX_BYTES 8192

struct target {
	struct sockaddr_storage to;
	socklen_t n;
	int type; /* SOCK_DGRAM, SOCK_STREAM */
};

struct alert_sink {
	struct sink sink;
	struct alert_config cfg;
	const char *host;
	uint64_t *lost;
	struct target target;
	int fd;
	size_t begun; /* bytes of the first frame that are still to be sent; 0: it was not begun */
	struct buf queue; /* frames; of datagrams each behind its length (u32) */
	struct buf line;
	bool failing; /* said once, until it works again */
};

static int parse_unix(struct target *t, const char *path)
{
	struct sockaddr_un *u = (struct sockaddr_un *)&t->to;

	u->sun_family = AF_UNIX;
	snprintf(u->sun_path, sizeof(u->sun_path), "%s", path);
	t->n = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path) + 1);
	t->type = SOCK_DGRAM;
	return 0;
}

/* ADDRESS:PORT, [ADDRESS]:PORT */
static int parse_inet(struct target *t, struct str s, int type)
{
	struct sockaddr_in6 *in = (struct sockaddr_in6 *)&t->to;
	const char *colon = s.n ? memrchr(s.p, ':', s.n) : NULL;
	struct str host = colon ? str_sub(s, 0, (size_t)(colon - s.p)) : STR_NONE;
	struct addr a;
	uint64_t port;

	if (!colon || str_parse_u64(str_sub(s, host.n + 1, s.n), &port) < 0 || !port ||
	    port > 65535)
		return -EINVAL;
	if (host.n > 2 && host.p[0] == '[' && host.p[host.n - 1] == ']')
		host = str_sub(host, 1, host.n - 2);
	if (addr_parse(host, &a) < 0)
		return -EINVAL;
	/* One kind of socket for both: IPv4 is a mapped address to it. */
	in->sin6_family = AF_INET6;
	in->sin6_port = htons((uint16_t)port);
	memcpy(&in->sin6_addr, a.b, 16);
	t->n = sizeof(*in);
	t->type = type;
	return 0;
}

static int parse_target(struct target *t, const struct alert_config *cfg)
{
	struct str to = str_of(cfg->to);

	*t = (struct target){ 0 };
	if (cfg->form == ALERT_JOURNAL)
		return parse_unix(t, "/run/systemd/journal/socket");
	if (!to.n || str_eq(to, STR("local")))
		return parse_unix(t, "/dev/log");
	if (str_has_prefix(to, STR("/")))
		return to.n < sizeof(((struct sockaddr_un *)0)->sun_path) ? parse_unix(t, cfg->to)
									  : -EINVAL;
	if (str_has_prefix(to, STR("udp://")))
		return parse_inet(t, str_sub(to, 6, to.n), SOCK_DGRAM);
	if (str_has_prefix(to, STR("tcp://")))
		return parse_inet(t, str_sub(to, 6, to.n), SOCK_STREAM);
	return -EINVAL;
}

int alert_target_check(const char *to, char why[128])
{
	struct alert_config cfg = { .form = ALERT_SYSLOG };
	struct target t;

	snprintf(cfg.to, sizeof(cfg.to), "%s", to);
	if (strlen(to) < sizeof(cfg.to) && parse_target(&t, &cfg) == 0)
		return 0;
	snprintf(why, 128,
		 "local, a socket's path, udp://ADDRESS:PORT or tcp://ADDRESS:PORT is expected "
		 "here");
	return -EINVAL;
}

/* A frame that was begun cannot be taken up on another connection: what follows it can. */
static void hang_up(struct alert_sink *s)
{
	if (s->fd >= 0)
		close(s->fd);
	s->fd = -1;
	if (!s->begun)
		return;
	buf_drop_front(&s->queue, s->begun);
	s->begun = 0;
	++*s->lost;
}

static int dial(struct alert_sink *s)
{
	s->fd = socket(s->target.to.ss_family, s->target.type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (s->fd < 0)
		return -errno;
	if (connect(s->fd, (struct sockaddr *)&s->target.to, s->target.n) == 0 ||
	    errno == EINPROGRESS)
		return 0;
	return -errno;
}

static int send_datagram(struct alert_sink *s)
{
	uint32_t length;

	memcpy(&length, s->queue.p, sizeof(length));
	if (send(s->fd, s->queue.p + sizeof(length), length, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) {
		if (errno != EMSGSIZE)
			return -errno;
		++*s->lost; /* it never will be short enough: those behind it are not to wait */
	}
	buf_drop_front(&s->queue, sizeof(length) + length);
	return 0;
}

/* 0, or why the connection is none any more: what is sent into one that was hung up is lost without a word. */
static int still_there(int fd)
{
	char c;
	ssize_t n = recv(fd, &c, 1, MSG_PEEK | MSG_DONTWAIT);

	if (n > 0 || (n < 0 && (errno == EAGAIN || errno == ENOTCONN)))
		return 0;
	return n < 0 ? -errno : -EPIPE;
}

/* Octet counting (RFC 6587 3.4.1): "LENGTH FRAME", which may leave in parts. */
static int send_frame(struct alert_sink *s)
{
	const char *blank = memchr(s->queue.p, ' ', s->queue.n);
	uint64_t length = s->begun;
	int r = still_there(s->fd);
	ssize_t n;

	if (r < 0)
		return r;
	if (!s->begun) {
		str_parse_u64((struct str){ s->queue.p, (size_t)(blank - s->queue.p) }, &length);
		length += (size_t)(blank + 1 - s->queue.p);
	}
	n = send(s->fd, s->queue.p, length, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (n < 0)
		return -errno;
	buf_drop_front(&s->queue, (size_t)n);
	s->begun = length - (size_t)n;
	return 0;
}

static void tell(struct alert_sink *s, int r)
{
	if (r < 0 && !s->failing)
		log_errno(r, "alerts cannot be sent to %s, trying again",
			  s->cfg.form == ALERT_JOURNAL ? "the journal" : s->cfg.to);
	s->failing = r < 0;
}

static int flush(struct sink *sink)
{
	struct alert_sink *s = container_of(sink, struct alert_sink, sink);
	int r = 0;

	while (r == 0 && s->queue.n) {
		if (s->fd < 0)
			r = dial(s);
		if (r == 0)
			r = s->target.type == SOCK_DGRAM ? send_datagram(s) : send_frame(s);
	}
	if (r == -EAGAIN || r == -EINPROGRESS || r == -ENOTCONN)
		return 0; /* not connected yet, or it takes no more just now */
	if (r < 0)
		hang_up(s);
	tell(s, r);
	return r;
}

static void enqueue(struct alert_sink *s)
{
	uint32_t length = (uint32_t)s->line.n;

	if (s->line.failed || s->queue.n + s->line.n + 16 > QUEUE_MAX) {
		++*s->lost;
		return;
	}
	if (s->target.type == SOCK_DGRAM)
		buf_put(&s->queue, &length, sizeof(length));
	else
		buf_printf(&s->queue, "%u ", length);
	buf_put_str(&s->queue, buf_str(&s->line));
}

static void put(struct sink *sink, const struct record *r)
{
	struct alert_sink *s = container_of(sink, struct alert_sink, sink);
	struct alert_facts a;
	char proto[8];

	if (!alert_facts_of(&a, r, proto) || a.severity < s->cfg.least)
		return;
	buf_clear(&s->line);
	if (s->cfg.form == ALERT_JOURNAL)
		alert_put_journal(&s->line, &a);
	else
		alert_put_syslog(&s->line, &a, s->host, s->cfg.form == ALERT_CEF);
	enqueue(s);
	flush(sink);
}

static int reopen(struct sink *sink)
{
	hang_up(container_of(sink, struct alert_sink, sink));
	return 0;
}

static void sink_free(struct sink *sink)
{
	struct alert_sink *s = container_of(sink, struct alert_sink, sink);

	flush(sink);
	hang_up(s);
	buf_done(&s->queue);
	buf_done(&s->line);
	free(s);
}

int alert_sink_new(struct sink **ret, const struct alert_config *cfg, const char *host,
		   uint64_t *lost)
{
	static const struct sink_ops ops = {
		.name = "alerts", .put = put, .flush = flush, .reopen = reopen, .free = sink_free
	};
	struct alert_sink *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	if (parse_target(&s->target, cfg) < 0) {
		free(s);
		return -EINVAL;
	}
	s->sink.ops = &ops;
	s->cfg = *cfg;
	s->host = host;
	s->lost = lost;
	s->fd = -1;
	s->queue = BUF_INIT(QUEUE_MAX);
	s->line = BUF_INIT(LINE_MAX_BYTES);
	*ret = &s->sink;
	return 0;
}
