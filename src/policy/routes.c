/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/routes.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/hash.h"
#include "policy/policy.h"

#define TRIES 8

struct network {
	struct addr lo, hi;
	bool here; /* leads by the interface that is asked about */
};

struct networks {
	struct network *p;
	size_t n, room;
	uint32_t ifindex;
	int failed;
};

/* One way of several (RTA_MULTIPATH) is enough. */
static bool leads_here(const struct nlattr *ways, uint32_t ifindex)
{
	const struct rtnexthop *way = mnl_attr_get_payload(ways);
	int left = mnl_attr_get_payload_len(ways);

	for (; RTNH_OK(way, left); left -= RTNH_ALIGN(way->rtnh_len), way = RTNH_NEXT(way))
		if ((uint32_t)way->rtnh_ifindex == ifindex)
			return true;
	return false;
}

static bool is_wanted(const struct network *n)
{
	const uint8_t *b = n->lo.b;

	return b[0] != 0xff && !(b[0] == 0xfe && (b[1] & 0xc0) == 0x80);
}

static void set_range(struct network *n, const uint8_t *dst, size_t size, unsigned bits)
{
	uint8_t first[16], last[16];

	for (size_t i = 0; i < size; i++) {
		unsigned kept = bits > 8 * i ? bits - 8 * (unsigned)i : 0;
		uint8_t rest = kept >= 8 ? 0 : (uint8_t)(0xff >> kept);

		first[i] = dst[i] & (uint8_t)~rest;
		last[i] = first[i] | rest;
	}
	n->lo = size == 4 ? addr_from_v4(first) : addr_from_v6(first);
	n->hi = size == 4 ? addr_from_v4(last) : addr_from_v6(last);
}

static int on_route(const struct nlmsghdr *head, void *ctx)
{
	const struct rtmsg *m = mnl_nlmsg_get_payload(head);
	size_t size = m->rtm_family == AF_INET ? 4 : 16;
	struct networks *all = ctx;
	struct network net = { 0 };
	uint32_t table = m->rtm_table;
	const uint8_t *dst = NULL;
	struct nlattr *a;

	mnl_attr_for_each(a, head, sizeof(*m))
	{
		size_t n = mnl_attr_get_payload_len(a);

		if (mnl_attr_get_type(a) == RTA_DST && n == size)
			dst = mnl_attr_get_payload(a);
		else if (mnl_attr_get_type(a) == RTA_OIF && n == 4)
			net.here |= mnl_attr_get_u32(a) == all->ifindex;
		else if (mnl_attr_get_type(a) == RTA_TABLE && n == 4)
			table = mnl_attr_get_u32(a);
		else if (mnl_attr_get_type(a) == RTA_MULTIPATH)
			net.here |= leads_here(a, all->ifindex);
	}
	if (head->nlmsg_type != RTM_NEWROUTE || table != RT_TABLE_MAIN ||
	    m->rtm_type != RTN_UNICAST || (m->rtm_flags & RTM_F_CLONED) || !m->rtm_dst_len || !dst)
		return MNL_CB_OK;
	set_range(&net, dst, size, m->rtm_dst_len);
	if (!is_wanted(&net))
		return MNL_CB_OK;
	if (all->n == all->room) {
		size_t room = all->room ? 2 * all->room : 64;
		struct network *more = reallocarray(all->p, room, sizeof(*more));

		if (!more) {
			all->failed = -ENOMEM;
			return MNL_CB_ERROR;
		}
		all->p = more;
		all->room = room;
	}
	all->p[all->n++] = net;
	return MNL_CB_OK;
}

static int dump(struct mnl_socket *nl, struct networks *all)
{
	size_t size = MNL_SOCKET_BUFFER_SIZE;
	_cleanup_free_ char *buffer = malloc(size);
	struct nlmsghdr *head;
	struct rtmsg *m;
	ssize_t n;
	int r = MNL_CB_OK;

	if (!buffer)
		return -ENOMEM;
	head = mnl_nlmsg_put_header(buffer);
	head->nlmsg_type = RTM_GETROUTE;
	head->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	head->nlmsg_seq = (uint32_t)time(NULL);
	m = mnl_nlmsg_put_extra_header(head, sizeof(*m));
	m->rtm_family = AF_UNSPEC;
	if (mnl_socket_sendto(nl, head, head->nlmsg_len) < 0)
		return -errno;
	while (r > MNL_CB_STOP) {
		n = mnl_socket_recvfrom(nl, buffer, size);
		if (n < 0)
			return -errno;
		r = mnl_cb_run(buffer, (size_t)n, 0, mnl_socket_get_portid(nl), on_route, all);
	}
	if (all->failed)
		return all->failed;
	return r < 0 ? -errno : 0;
}

/* The larger one first where both begin at the same address. */
static int by_place(const void *a, const void *b)
{
	const struct network *x = a, *y = b;
	int r = memcmp(&x->lo, &y->lo, sizeof(x->lo));

	return r ? r : memcmp(&y->hi, &x->hi, sizeof(x->hi));
}

static int read_all(struct networks *all)
{
	struct mnl_socket *nl = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	int r;

	if (!nl)
		return -errno;
	r = mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID) < 0 ? -errno : dump(nl, all);
	mnl_socket_close(nl);
	if (!r && all->n)
		qsort(all->p, all->n, sizeof(*all->p), by_place);
	return r;
}

static bool is_above(const struct addr *a, const struct addr *b)
{
	return memcmp(a, b, sizeof(*a)) > 0;
}

static struct addr step(struct addr a, int by)
{
	for (int i = 15; i >= 0; i--) {
		a.b[i] = (uint8_t)(a.b[i] + by);
		if (a.b[i] != (by > 0 ? 0 : 0xff))
			break;
	}
	return a;
}

/* The i-th network less what of it leads elsewhere. */
static int tell(const struct networks *all, size_t i,
		void (*fn)(void *ctx, const struct addr *lo, const struct addr *hi), void *ctx)
{
	const struct network *net = &all->p[i];
	struct addr at = net->lo, end;
	int n = 0;

	for (size_t k = i + 1; k < all->n && !is_above(&all->p[k].lo, &net->hi); k++) {
		const struct network *in = &all->p[k];

		if (in->here || is_above(&at, &in->hi) ||
		    (addr_eq(&in->lo, &net->lo) && addr_eq(&in->hi, &net->hi)))
			continue; /* here, too; or in one that was cut out; or the same, by another metric */
		if (is_above(&in->lo, &at)) {
			end = step(in->lo, -1);
			fn(ctx, &at, &end);
			n++;
		}
		if (addr_eq(&in->hi, &net->hi))
			return n;
		at = step(in->hi, 1);
	}
	fn(ctx, &at, &net->hi);
	return n + 1;
}

int routes_by(struct str interface,
	      void (*fn)(void *ctx, const struct addr *lo, const struct addr *hi), void *ctx)
{
	struct networks all = { 0 };
	char name[IF_NAMESIZE];
	int r = 0, n = 0;

	snprintf(name, sizeof(name), "%.*s", STR_FMT(interface));
	all.ifindex = if_nametoindex(name);
	if (!all.ifindex)
		return 0;
	for (int i = 0; i < TRIES; i++) {
		all.n = 0;
		r = read_all(&all);
		if (r != -EINTR) /* else they changed meanwhile */
			break;
	}
	for (size_t i = 0; r == 0 && i < all.n; i++)
		if (all.p[i].here)
			n += tell(&all, i, fn, ctx);
	free(all.p);
	return r < 0 ? r : n;
}

/* The order of routes says nothing. */
static void stamp(void *ctx, const struct addr *lo, const struct addr *hi)
{
	uint64_t *sum = ctx;

	*sum += hash_bytes(hi, sizeof(*hi), hash_bytes(lo, sizeof(*lo), 1));
}

uint64_t routes_stamp(const struct policy *p)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < p->n_segments; i++)
		for (size_t k = 0; k < p->segments[i].n_interfaces; k++) {
			sum = sum * 31 + 1;
			routes_by(p->segments[i].interfaces[k], stamp, &sum);
		}
	return sum;
}
