/* SPDX-License-Identifier: Apache-2.0 */
#include "attach/neighbours.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <libmnl/libmnl.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>

#define ROOM (1 << 20)
#define AT_ONCE 4096
#define BUFFER 32768
#define HAS_MAC (NUD_PERMANENT | NUD_REACHABLE | NUD_STALE | NUD_DELAY | NUD_PROBE)

struct neighbours {
	neighbour_fn fn;
	void *ctx;
	struct mnl_socket *nl;
	bool again;
	char buffer[BUFFER];
};

static int on_message(const struct nlmsghdr *h, void *data)
{
	const struct ndmsg *m = mnl_nlmsg_get_payload(h);
	const struct neighbours *n = data;
	const uint8_t *mac = NULL;
	bool v4 = m->ndm_family == AF_INET, known = false;
	struct addr addr;
	struct nlattr *a;

	if ((h->nlmsg_type != RTM_NEWNEIGH && h->nlmsg_type != RTM_DELNEIGH) ||
	    (!v4 && m->ndm_family != AF_INET6))
		return MNL_CB_OK;
	mnl_attr_for_each(a, h, sizeof(*m))
	{
		const void *p = mnl_attr_get_payload(a);
		size_t len = mnl_attr_get_payload_len(a);

		if (mnl_attr_get_type(a) == NDA_LLADDR && len == 6)
			mac = p;
		if (mnl_attr_get_type(a) != NDA_DST || len != (v4 ? 4 : 16))
			continue;
		addr = v4 ? addr_from_v4(p) : addr_from_v6(p);
		known = true;
	}
	if (!(m->ndm_state & HAS_MAC) || h->nlmsg_type == RTM_DELNEIGH)
		mac = NULL;
	if (known)
		n->fn(n->ctx, (uint32_t)m->ndm_ifindex, &addr, mac);
	return MNL_CB_OK;
}

/* The answer comes on the same socket, between the notices. */
static void ask(struct neighbours *n)
{
	char request[MNL_NLMSG_HDRLEN + MNL_ALIGN(sizeof(struct ndmsg))] = { 0 };
	struct nlmsghdr *h = mnl_nlmsg_put_header(request);

	h->nlmsg_type = RTM_GETNEIGH;
	h->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	mnl_nlmsg_put_extra_header(h, sizeof(struct ndmsg));
	n->again = mnl_socket_sendto(n->nl, h, h->nlmsg_len) < 0;
}

int neighbours_new(struct neighbours **ret, neighbour_fn fn, void *ctx)
{
	struct neighbours *n = calloc(1, sizeof(*n));
	int room = ROOM, error;

	if (!n)
		return -ENOMEM;
	n->fn = fn;
	n->ctx = ctx;
	n->nl = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (!n->nl || mnl_socket_bind(n->nl, RTMGRP_NEIGH, MNL_SOCKET_AUTOPID) < 0) {
		error = -errno;
		neighbours_free(n);
		return error;
	}
	setsockopt(mnl_socket_get_fd(n->nl), SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room));
	ask(n);
	*ret = n;
	return 0;
}

struct neighbours *neighbours_free(struct neighbours *n)
{
	if (!n)
		return NULL;
	if (n->nl)
		mnl_socket_close(n->nl);
	free(n);
	return NULL;
}

void neighbours_read(struct neighbours *n)
{
	if (n->again)
		ask(n);
	for (int i = 0; i < AT_ONCE; i++) {
		ssize_t got = mnl_socket_recvfrom(n->nl, n->buffer, sizeof(n->buffer));

		if (got >= 0)
			mnl_cb_run(n->buffer, (size_t)got, 0, 0, on_message, n);
		else if (errno == ENOBUFS)
			n->again = true;
		else if (errno != EINTR)
			return;
	}
}
