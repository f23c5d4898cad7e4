/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/rights.h"

#include <arpa/inet.h>
#include <errno.h>
#include <grp.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "serve/socket.h"

#define MAX_GROUPS 256

union address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

static bool is_loopback(const union address *a)
{
	if (a->any.sa_family == AF_INET)
		return ntohl(a->v4.sin_addr.s_addr) >> 24 == 127;
	return IN6_IS_ADDR_LOOPBACK(&a->v6.sin6_addr);
}

/* A socket that serves both families shows IPv4 as ::ffff:a.b.c.d; the other end is a plain IPv4 socket. */
static void unmap(union address *a)
{
	struct sockaddr_in v4 = { .sin_family = AF_INET };

	if (a->any.sa_family != AF_INET6 || !IN6_IS_ADDR_V4MAPPED(&a->v6.sin6_addr))
		return;
	v4.sin_port = a->v6.sin6_port;
	memcpy(&v4.sin_addr, &a->v6.sin6_addr.s6_addr[12], 4);
	a->v4 = v4;
}

static void put_end(const union address *a, __be16 *port, __be32 *bytes)
{
	if (a->any.sa_family == AF_INET) {
		*port = a->v4.sin_port;
		memcpy(bytes, &a->v4.sin_addr, 4);
	} else {
		*port = a->v6.sin6_port;
		memcpy(bytes, &a->v6.sin6_addr, 16);
	}
}

static bool is_established(int fd)
{
	struct tcp_info info;
	socklen_t size = sizeof(info);

	return getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) == 0 &&
	       info.tcpi_state == TCP_ESTABLISHED;
}

/* The socket that is bound to `here` and connected to `there`. 0; -errno. */
static int ask_kernel(const union address *here, const union address *there,
		      struct inet_diag_msg *ret)
{
	_cleanup_close_ int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
	struct {
		struct nlmsghdr head;
		struct inet_diag_req_v2 ask;
	} q = {
		.head = { .nlmsg_len = sizeof(q),
			  .nlmsg_type = SOCK_DIAG_BY_FAMILY,
			  .nlmsg_flags = NLM_F_REQUEST },
		.ask = { .sdiag_family = (__u8)here->any.sa_family,
			 .sdiag_protocol = IPPROTO_TCP,
			 .idiag_states = 1U << TCP_ESTABLISHED,
			 .id.idiag_cookie = { INET_DIAG_NOCOOKIE, INET_DIAG_NOCOOKIE } },
	};
	union {
		struct nlmsghdr head;
		char bytes[4096];
	} answer;
	ssize_t n;

	put_end(here, &q.ask.id.idiag_sport, q.ask.id.idiag_src);
	put_end(there, &q.ask.id.idiag_dport, q.ask.id.idiag_dst);
	if (fd < 0 || send(fd, &q, sizeof(q), 0) != sizeof(q))
		return -errno;
	n = recv(fd, &answer, sizeof(answer), 0); /* the kernel answered within send() */
	if (n < 0)
		return -errno;
	if (!NLMSG_OK(&answer.head, (size_t)n) || answer.head.nlmsg_type != SOCK_DIAG_BY_FAMILY ||
	    answer.head.nlmsg_len < NLMSG_LENGTH(sizeof(*ret)))
		return -ENOENT;
	memcpy(ret, NLMSG_DATA(&answer.head), sizeof(*ret));
	return 0;
}

/*
 * Whose the other end of a loopback connection is. Of a socket that no process holds any more, and of one that only waits for
 * the end, the kernel says user 0: only one in full life with an inode counts. Our end is looked at last: while it stands, no
 * other socket can have had the same two ends.
 */
static int loopback_user(int fd, const union address *ours, const union address *theirs, uid_t *ret)
{
	struct inet_diag_msg m;
	int r = ask_kernel(theirs, ours, &m);

	if (r < 0)
		return r;
	if (m.idiag_state != TCP_ESTABLISHED || !m.idiag_inode || !is_established(fd))
		return -ENOTCONN;
	*ret = m.idiag_uid;
	return 0;
}

static bool user_in_group(const struct passwd *p)
{
	const struct group *g;
	gid_t groups[MAX_GROUPS], wanted;
	int n = MAX_GROUPS;

	g = getgrnam(CONTROL_GROUP);
	if (!g)
		return false;
	wanted = g->gr_gid;
	if (getgrouplist(p->pw_name, p->pw_gid, groups, &n) < 0)
		return false;
	for (int i = 0; i < n; i++)
		if (groups[i] == wanted)
			return true;
	return false;
}

static void name_user(struct rights *r, const char *way, uid_t uid, const struct passwd *p)
{
	if (p)
		snprintf(r->how, sizeof(r->how), "%s user %s", way, p->pw_name);
	else
		snprintf(r->how, sizeof(r->how), "%s user %u", way, uid);
}

static void rights_of_user(struct rights *r, uid_t uid)
{
	const struct passwd *p = getpwuid(uid);

	name_user(r, "loopback", uid, p);
	r->change = uid == 0 || uid == geteuid();
	r->read = r->change || (p && user_in_group(p));
}

static void rights_of_unix(int fd, struct rights *r)
{
	struct ucred who;
	socklen_t size = sizeof(who);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &size) < 0)
		return;
	name_user(r, "socket", who.uid, getpwuid(who.uid));
	r->read = control_socket_may_ask(fd);
	r->change = control_socket_may_change(fd);
}

void rights_of_peer(int fd, struct rights *ret)
{
	union address ours, theirs;
	socklen_t n = sizeof(ours), m = sizeof(theirs);
	uid_t uid;

	*ret = (struct rights){ 0 };
	memset(&ours, 0, sizeof(ours));
	memset(&theirs, 0, sizeof(theirs));
	if (getsockname(fd, &ours.any, &n) < 0)
		return;
	if (ours.any.sa_family == AF_UNIX) {
		rights_of_unix(fd, ret);
		return;
	}
	if ((ours.any.sa_family != AF_INET && ours.any.sa_family != AF_INET6) ||
	    getpeername(fd, &theirs.any, &m) < 0)
		return;
	unmap(&ours);
	unmap(&theirs);
	if (is_loopback(&ours) && is_loopback(&theirs) &&
	    loopback_user(fd, &ours, &theirs, &uid) == 0)
		rights_of_user(ret, uid);
}
