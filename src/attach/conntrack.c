/* SPDX-License-Identifier: Apache-2.0 */
#include "attach/conntrack.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <libmnl/libmnl.h>
#include <libnetfilter_conntrack/libnetfilter_conntrack.h>
#include <linux/netfilter/nf_conntrack_tcp.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/time.h"

#define ROOM (8 << 20)              /* of the socket of notices */
#define AT_ONCE 16384               /* notices read in one go */
#define DUMP_AT_ONCE 64             /* buffers of what there is already */
#define BUFFER (32U << 10)          /* a dump fills one of these */
#define AGAIN_NS (5 * NSEC_PER_SEC) /* no dump sooner after the last */
#define SETTING "/proc/sys/net/netfilter/nf_conntrack_events"

struct conntrack {
	struct event_out out;
	struct mnl_socket *notices, *dump;
	uint64_t zone, translated, dumped_ns;
	uint32_t seq;
	bool dump_due, dumping, asked_once;
	char problem[160];
	char buffer[BUFFER];
};

static void emit(struct conntrack *c, struct event *e)
{
	e->time_ns = time_now();
	c->out.on_event(c->out.ctx, e);
}

/* Notices were lost: all is asked for again. */
static void overrun(struct conntrack *c)
{
	emit(c, &(struct event){ .type = EVENT_LOSS,
				 .loss = { .reason = LOSS_CONNTRACK, .count = 1 } });
	c->dump_due = true;
}

/* ---- what a message says ---- */

static struct addr addr_of(const struct nf_conntrack *ct, enum nf_conntrack_attr_grp grp, bool v4)
{
	union nfct_attr_grp_addr a = { 0 };

	nfct_get_attr_grp(ct, grp, &a);
	return v4 ? addr_from_v4(&a.ip) : addr_from_v6(a.ip6);
}

static bool has_ports(uint8_t proto)
{
	return proto == IPPROTO_TCP || proto == IPPROTO_UDP || proto == IPPROTO_SCTP ||
	       proto == IPPROTO_UDPLITE || proto == IPPROTO_DCCP;
}

/* Of ICMP only what is asked is followed; the type that answers it is the next one, but for the oldest. */
static void put_icmp(struct event_key *k, uint8_t type)
{
	k->sport = type;
	k->dport = k->proto == IPPROTO_ICMP && type == 8 ? 0 : type + 1;
}

/* As the opener sends it, and as it arrives: the answers' way, turned round. False: not IP, or not whole. */
static bool keys_of(const struct conntrack *c, const struct nf_conntrack *ct,
		    struct event_key *ret_before, struct event_key *ret_after)
{
	uint8_t family = nfct_get_attr_u8(ct, ATTR_ORIG_L3PROTO);
	bool v4 = family == AF_INET;

	if ((!v4 && family != AF_INET6) || !nfct_attr_is_set(ct, ATTR_ORIG_L4PROTO))
		return false;
	*ret_before = *ret_after = (struct event_key){
		.proto = nfct_get_attr_u8(ct, ATTR_ORIG_L4PROTO),
		.zone = c->zone,
	};
	if (!nfct_attr_grp_is_set(ct, ATTR_GRP_ORIG_ADDR_SRC) ||
	    !nfct_attr_grp_is_set(ct, ATTR_GRP_REPL_ADDR_SRC))
		return false;
	ret_before->src = addr_of(ct, ATTR_GRP_ORIG_ADDR_SRC, v4);
	ret_before->dst = addr_of(ct, ATTR_GRP_ORIG_ADDR_DST, v4);
	ret_after->src = addr_of(ct, ATTR_GRP_REPL_ADDR_DST, v4);
	ret_after->dst = addr_of(ct, ATTR_GRP_REPL_ADDR_SRC, v4);
	if (has_ports(ret_before->proto)) {
		ret_before->sport = ntohs(nfct_get_attr_u16(ct, ATTR_ORIG_PORT_SRC));
		ret_before->dport = ntohs(nfct_get_attr_u16(ct, ATTR_ORIG_PORT_DST));
		ret_after->sport = ntohs(nfct_get_attr_u16(ct, ATTR_REPL_PORT_DST));
		ret_after->dport = ntohs(nfct_get_attr_u16(ct, ATTR_REPL_PORT_SRC));
	} else if (nfct_attr_is_set(ct, ATTR_ICMP_TYPE)) {
		put_icmp(ret_before, nfct_get_attr_u8(ct, ATTR_ICMP_TYPE));
		put_icmp(ret_after, nfct_get_attr_u8(ct, ATTR_ICMP_TYPE));
	}
	return true;
}

static bool same_ends(const struct event_key *a, const struct event_key *b)
{
	return addr_eq(&a->src, &b->src) && addr_eq(&a->dst, &b->dst) && a->sport == b->sport &&
	       a->dport == b->dport;
}

static int on_message(const struct nlmsghdr *h, void *data)
{
	struct event e = { .type = EVENT_NAT };
	struct conntrack *c = data;
	struct nf_conntrack *ct;

	if (NFNL_SUBSYS_ID(h->nlmsg_type) != NFNL_SUBSYS_CTNETLINK)
		return MNL_CB_OK;
	ct = nfct_new();
	if (!ct) {
		overrun(c);
		return MNL_CB_OK;
	}
	if (nfct_nlmsg_parse(h, ct) >= 0 && keys_of(c, ct, &e.key, &e.nat.after)) {
		bool begins = NFNL_MSG_TYPE(h->nlmsg_type) != IPCTNL_MSG_CT_DELETE &&
			      !same_ends(&e.key, &e.nat.after);

		e.nat.change = begins ? NAT_BEGINS : NAT_ENDS;
		c->translated += begins && !c->dumping;
		emit(c, &e);
	}
	nfct_destroy(ct);
	return MNL_CB_OK;
}

/* ---- what there is already ---- */

static struct mnl_socket *close_socket(struct mnl_socket *s)
{
	if (s)
		mnl_socket_close(s);
	return NULL;
}

static void give_up(struct conntrack *c, const char *doing, int error)
{
	snprintf(c->problem, sizeof(c->problem),
		 error == EPERM ? "not permitted: following conntrack takes CAP_NET_ADMIN"
		 : error == EINVAL || error == EOPNOTSUPP || error == EPROTONOSUPPORT
			 ? "this kernel has no conntrack that can be asked "
			   "(nf_conntrack_netlink)"
			 : "%s: %s",
		 doing, strerror(error));
	log_warn("gateway: addresses after NAT are not known: %s", c->problem);
	c->notices = close_socket(c->notices);
	c->dump = close_socket(c->dump);
}

static int ask(struct conntrack *c)
{
	char request[MNL_NLMSG_HDRLEN + MNL_ALIGN(sizeof(struct nfgenmsg))] = { 0 };
	struct nlmsghdr *h = mnl_nlmsg_put_header(request);
	struct nfgenmsg *g;

	h->nlmsg_type = NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_GET;
	h->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	h->nlmsg_seq = ++c->seq;
	g = mnl_nlmsg_put_extra_header(h, sizeof(*g));
	g->nfgen_family = AF_UNSPEC;
	g->version = NFNETLINK_V0;
	c->dump_due = false;
	c->dumped_ns = time_now_boot();
	c->dumping = mnl_socket_sendto(c->dump, h, h->nlmsg_len) >= 0;
	return c->dumping ? 0 : -errno;
}

/* A refusal is told as an answer: after it nothing more can be had. */
static void read_dump(struct conntrack *c)
{
	for (int i = 0; c->dumping && i < DUMP_AT_ONCE; i++) {
		ssize_t n = mnl_socket_recvfrom(c->dump, c->buffer, sizeof(c->buffer));
		int r;

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		r = n < 0 ? -1
			  : mnl_cb_run(c->buffer, (size_t)n, c->seq, mnl_socket_get_portid(c->dump),
				       on_message, c);
		if (r == MNL_CB_OK)
			continue;
		c->dumping = false;
		if (r == MNL_CB_STOP)
			c->asked_once = true;
		else if (c->asked_once)
			c->dump_due = true; /* an accident: it worked before */
		else
			give_up(c, "cannot read conntrack", errno);
	}
}

/* ---- what begins and ends ---- */

static void read_notices(struct conntrack *c)
{
	for (int i = 0; i < AT_ONCE; i++) {
		ssize_t n = mnl_socket_recvfrom(c->notices, c->buffer, sizeof(c->buffer));

		if (n >= 0)
			mnl_cb_run(c->buffer, (size_t)n, 0, 0, on_message, c);
		else if (errno == ENOBUFS)
			overrun(c);
		else if (errno != EINTR)
			return;
	}
}

void conntrack_read(struct conntrack *c)
{
	if (!c->notices)
		return;
	if (c->dump_due && !c->dumping && time_now_boot() - c->dumped_ns >= AGAIN_NS) {
		emit(c, &(struct event){ .type = EVENT_NAT, .nat = { .change = NAT_UNKNOWN } });
		ask(c);
	}
	read_dump(c);
	if (c->notices)
		read_notices(c);
}

static int open_sockets(struct conntrack *c)
{
	int room = ROOM, fd;
	socklen_t n = sizeof(c->zone);

	c->notices = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC | SOCK_NONBLOCK);
	c->dump = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (!c->notices || !c->dump)
		return -errno;
	fd = mnl_socket_get_fd(c->notices);
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room)) < 0)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof(room));
	/* a flow bears the number of its namespace, and these are ours */
	if (getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, &c->zone, &n) < 0)
		return -errno;
	if (mnl_socket_bind(c->notices, NF_NETLINK_CONNTRACK_NEW | NF_NETLINK_CONNTRACK_DESTROY,
			    MNL_SOCKET_AUTOPID) < 0 ||
	    mnl_socket_bind(c->dump, 0, MNL_SOCKET_AUTOPID) < 0)
		return -errno;
	return 0;
}

int conntrack_new(struct conntrack **ret, struct event_out out)
{
	struct conntrack *c = calloc(1, sizeof(*c));
	int r;

	if (!c)
		return -ENOMEM;
	c->out = out;
	r = open_sockets(c);
	if (!r)
		r = ask(c);
	if (r < 0)
		give_up(c, "cannot follow conntrack", -r);
	*ret = c;
	return 0;
}

struct conntrack *conntrack_free(struct conntrack *c)
{
	if (!c)
		return NULL;
	close_socket(c->notices);
	close_socket(c->dump);
	free(c);
	return NULL;
}

const char *conntrack_problem(const struct conntrack *c)
{
	_cleanup_fclose_ FILE *f = NULL;

	if (c->problem[0])
		return c->problem;
	f = fopen(SETTING, "re");
	return f && getc(f) == '0' ? "conntrack tells of no connection "
				     "(net.netfilter.nf_conntrack_events is 0)"
				   : NULL;
}

uint64_t conntrack_translated(const struct conntrack *c)
{
	return c->translated;
}
