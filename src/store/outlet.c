/* SPDX-License-Identifier: Apache-2.0 */
#include "store/outlet.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/addr.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "base/time.h"
#include "store/outlet_tls.h"

#define RETRY_MAX_NS (60 * NSEC_PER_SEC)
#define FIRST_MAX 4096
#define MTU_HEADERS 48 /* IPv6 and UDP */

struct head {
	uint32_t n, weight;
};

struct outlet {
	struct outlet_config cfg;
	int fd;
	struct outlet_tls *tls; /* of this outlet; NULL: no TLS */
	struct buf first;       /* of this connection */
	struct buf queue;       /* frames behind their heads */
	size_t begun; /* bytes of the first frame that still have to be sent; 0: it was not begun */
	uint64_t wait_ns, retry_ns;
	bool failing; /* said once, until it works again */
};

/* ---- where to ---- */

static int parse_local(struct outlet_target *t, struct str path)
{
	struct sockaddr_un *u = (struct sockaddr_un *)&t->to;

	if (path.n >= sizeof(u->sun_path))
		return -EINVAL;
	u->sun_family = AF_UNIX;
	memcpy(u->sun_path, path.p, path.n);
	t->n = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + path.n + 1);
	t->kind = OUTLET_LOCAL;
	return 0;
}

/* ADDRESS:PORT, [ADDRESS]:PORT */
static int parse_inet(struct outlet_target *t, struct str s, enum outlet_kind kind)
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
	t->kind = kind;
	return 0;
}

int outlet_target_parse(struct outlet_target *ret, struct str to)
{
	static const struct {
		struct str prefix;
		enum outlet_kind kind;
	} kinds[] = { { STR("udp://"), OUTLET_UDP },
		      { STR("tcp://"), OUTLET_TCP },
		      { STR("tls://"), OUTLET_TLS } };

	*ret = (struct outlet_target){ 0 };
	if (str_has_prefix(to, STR("/")))
		return parse_local(ret, to);
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (str_has_prefix(to, kinds[i].prefix))
			return parse_inet(ret, str_sub(to, kinds[i].prefix.n, to.n), kinds[i].kind);
	return -EINVAL;
}

bool outlet_is_well(const struct outlet *o)
{
	return !o->failing;
}

size_t outlet_waiting(const struct outlet *o)
{
	return o->queue.n;
}

bool outlet_is_stream(const struct outlet *o)
{
	return o->cfg.target.kind == OUTLET_TCP || o->cfg.target.kind == OUTLET_TLS;
}

size_t outlet_datagram_max(const struct outlet *o)
{
	int mtu = 0;
	socklen_t n = sizeof(mtu);

	if (o->cfg.target.kind != OUTLET_UDP)
		return SIZE_MAX;
	if (o->fd < 0 || getsockopt(o->fd, IPPROTO_IPV6, IPV6_MTU, &mtu, &n) < 0 || mtu < 576)
		mtu = 576; /* what every host has to take (RFC 1122 3.3.2) */
	return (size_t)mtu - MTU_HEADERS;
}

/* ---- the connection ---- */

static void drop_front(struct outlet *o, size_t n)
{
	buf_drop_front(&o->queue, n);
}

static struct head head_of(const struct outlet *o)
{
	struct head h;

	memcpy(&h, o->queue.p, sizeof(h));
	return h;
}

/* A frame that was begun cannot be taken up on another connection: what follows it can. */
void outlet_hang_up(struct outlet *o)
{
	outlet_tls_end(o->tls);
	if (o->fd >= 0)
		close(o->fd);
	o->fd = -1;
	buf_clear(&o->first);
	if (!o->begun)
		return;
	*o->cfg.lost += head_of(o).weight;
	drop_front(o, sizeof(struct head) + head_of(o).n);
	o->begun = 0;
}

static int dial(struct outlet *o)
{
	const struct outlet_target *t = &o->cfg.target;
	int type = outlet_is_stream(o) ? SOCK_STREAM : SOCK_DGRAM, r;

	if (time_now_boot() < o->retry_ns)
		return -EAGAIN;
	o->fd = socket(t->to.ss_family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (o->fd < 0)
		return -errno;
	if (connect(o->fd, (const struct sockaddr *)&t->to, t->n) < 0 && errno != EINPROGRESS)
		return -errno;
	r = o->tls ? outlet_tls_begin(o->tls, o->fd) : 0;
	if (r == 0 && o->cfg.hooks.opened)
		o->cfg.hooks.opened(o->cfg.hooks.ctx, &o->first);
	return r;
}

/*
 * 0, or why the connection is none any more: what is sent into one that was hung up is lost without a word. What the other side says
 * is not for us.
 */
static int still_there(struct outlet *o)
{
	char said[256];
	ssize_t n;

	if (o->tls)
		return outlet_tls_still_there(o->tls);
	do
		n = recv(o->fd, said, sizeof(said), MSG_DONTWAIT);
	while (n > 0);
	if (n < 0 && (errno == EAGAIN || errno == ENOTCONN))
		return 0;
	return n < 0 ? -errno : -EPIPE;
}

static ssize_t send_bytes(struct outlet *o, const char *p, size_t n)
{
	ssize_t w;

	if (o->tls)
		return outlet_tls_send(o->tls, p, n);
	w = send(o->fd, p, n, MSG_NOSIGNAL | MSG_DONTWAIT);
	return w < 0 ? -errno : w;
}

/* Works again: the next failure is tried again at once. */
static void went_well(struct outlet *o)
{
	o->wait_ns = o->retry_ns = 0;
}

static void wait_longer(struct outlet *o)
{
	if (!outlet_is_stream(o))
		return;
	o->retry_ns = time_now_boot() + o->wait_ns;
	o->wait_ns = o->wait_ns ? MIN(2 * o->wait_ns, RETRY_MAX_NS) : NSEC_PER_SEC;
}

static int send_first(struct outlet *o)
{
	ssize_t n = send_bytes(o, o->first.p, o->first.n);

	if (n > 0)
		buf_drop_front(&o->first, (size_t)n);
	return n < 0 ? (int)n : 0;
}

static int send_frame(struct outlet *o)
{
	struct head h = head_of(o);
	char *frame = o->queue.p + sizeof(h);
	ssize_t n;

	if (!o->begun && o->cfg.hooks.leaving)
		o->cfg.hooks.leaving(o->cfg.hooks.ctx, frame, h.n);
	n = send_bytes(o, frame + (o->begun ? h.n - o->begun : 0), o->begun ?: h.n);
	if (n == -EMSGSIZE) { /* it never will be short enough: those behind it are not to wait */
		*o->cfg.lost += h.weight;
		drop_front(o, sizeof(h) + h.n);
		return 0;
	}
	if (n == -EAGAIN && o->tls)
		o->begun = h.n; /* the same bytes again */
	if (n < 0)
		return (int)n;
	if ((!o->begun || o->begun == h.n) && o->cfg.hooks.left)
		o->cfg.hooks.left(o->cfg.hooks.ctx, h.weight);
	went_well(o);
	o->begun = (o->begun ?: h.n) - (size_t)n;
	if (!o->begun)
		drop_front(o, sizeof(h) + h.n);
	return 0;
}

static void tell(struct outlet *o, int r)
{
	if (r < 0 && !o->failing)
		log_errno(r, "%s cannot be sent to %s, trying again", o->cfg.what, o->cfg.name);
	o->failing = r < 0;
}

int outlet_flush(struct outlet *o)
{
	int r = 0;

	while (r == 0 && (o->queue.n || o->first.n)) {
		r = o->fd < 0 ? dial(o) : 0;
		if (r == 0 && outlet_is_stream(o))
			r = still_there(o);
		if (r == 0)
			r = o->first.n ? send_first(o) : o->queue.n ? send_frame(o) : 0;
	}
	if (r == -EAGAIN || r == -EINPROGRESS || r == -ENOTCONN)
		return 0; /* not connected yet, or it takes no more just now */
	if (r < 0) {
		outlet_hang_up(o);
		wait_longer(o);
	}
	tell(o, r);
	return r;
}

/* ---- the queue ---- */

void outlet_put(struct outlet *o, struct str frame, uint32_t weight)
{
	struct head h = { (uint32_t)frame.n, weight };

	if (o->queue.n + sizeof(h) + frame.n > o->cfg.queue_max ||
	    !buf_reserve(&o->queue, sizeof(h) + frame.n)) {
		o->queue.failed = false;
		*o->cfg.lost += weight;
		return;
	}
	buf_put(&o->queue, &h, sizeof(h));
	buf_put_str(&o->queue, frame);
}

struct outlet *outlet_free(struct outlet *o)
{
	if (!o)
		return NULL;
	outlet_flush(o);
	outlet_hang_up(o);
	while (o->queue.n) {
		*o->cfg.lost += head_of(o).weight;
		drop_front(o, sizeof(struct head) + head_of(o).n);
	}
	outlet_tls_free(o->tls);
	buf_done(&o->first);
	buf_done(&o->queue);
	free(o);
	return NULL;
}

int outlet_new(struct outlet **ret, const struct outlet_config *cfg)
{
	struct outlet *o = calloc(1, sizeof(*o));
	int r = 0;

	if (!o)
		return -ENOMEM;
	o->cfg = *cfg;
	o->fd = -1;
	o->first = BUF_INIT(FIRST_MAX);
	o->queue = BUF_INIT(cfg->queue_max);
	if (cfg->target.kind == OUTLET_TLS)
		r = outlet_tls_new(&o->tls, cfg->ca, &cfg->target);
	if (r < 0) {
		outlet_free(o);
		return r;
	}
	*ret = o;
	return 0;
}
