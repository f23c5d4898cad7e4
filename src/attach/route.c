/* SPDX-License-Identifier: Apache-2.0 */
#include "attach/route.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <libmnl/libmnl.h>
#include <linux/rtnetlink.h>

struct route {
	struct mnl_socket *nl;
	uint32_t seq;
};

struct found {
	uint32_t ifindex;
	bool own;
};

int route_new(struct route **ret)
{
	struct route *r = calloc(1, sizeof(*r));
	int error;

	if (!r)
		return -ENOMEM;
	r->nl = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	if (!r->nl || mnl_socket_bind(r->nl, 0, MNL_SOCKET_AUTOPID) < 0) {
		error = -errno;
		route_free(r);
		return error;
	}
	*ret = r;
	return 0;
}

struct route *route_free(struct route *r)
{
	if (!r)
		return NULL;
	if (r->nl)
		mnl_socket_close(r->nl);
	free(r);
	return NULL;
}

static int on_route(const struct nlmsghdr *h, void *data)
{
	const struct rtmsg *m = mnl_nlmsg_get_payload(h);
	struct found *f = data;
	struct nlattr *a;

	if (h->nlmsg_type != RTM_NEWROUTE)
		return MNL_CB_OK;
	f->own = m->rtm_type == RTN_LOCAL;
	mnl_attr_for_each(a, h, sizeof(*m))
	{
		if (mnl_attr_get_type(a) == RTA_OIF && mnl_attr_get_payload_len(a) == 4)
			f->ifindex = mnl_attr_get_u32(a);
	}
	return MNL_CB_STOP;
}

int route_find(struct route *r, const struct addr *a, uint32_t *ret_ifindex, bool *ret_own)
{
	char buffer[4096] = { 0 };
	struct nlmsghdr *h = mnl_nlmsg_put_header(buffer);
	bool v4 = addr_is_v4(a);
	struct found f = { 0 };
	struct rtmsg *m;
	ssize_t n;

	h->nlmsg_type = RTM_GETROUTE;
	h->nlmsg_flags = NLM_F_REQUEST;
	h->nlmsg_seq = ++r->seq;
	m = mnl_nlmsg_put_extra_header(h, sizeof(*m));
	m->rtm_family = v4 ? AF_INET : AF_INET6;
	m->rtm_dst_len = v4 ? 32 : 128;
	mnl_attr_put(h, RTA_DST, v4 ? 4 : 16, a->b + (v4 ? 12 : 0));
	if (mnl_socket_sendto(r->nl, h, h->nlmsg_len) < 0)
		return -errno;
	n = mnl_socket_recvfrom(r->nl, buffer, sizeof(buffer));
	if (n < 0 ||
	    mnl_cb_run(buffer, (size_t)n, r->seq, mnl_socket_get_portid(r->nl), on_route, &f) < 0)
		return -errno;
	*ret_ifindex = f.ifindex;
	*ret_own = f.own;
	return 0;
}
