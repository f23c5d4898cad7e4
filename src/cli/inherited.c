/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/inherited.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/time.h"
#include "flow/names.h"
#include "policy/replay.h"

static bool is_risky(int fd)
{
	int flags = fcntl(fd, F_GETFD), domain = 0;
	socklen_t size = sizeof(domain);

	if (flags < 0 || flags & FD_CLOEXEC ||
	    getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) < 0)
		return false;
	return domain != AF_UNIX && domain != AF_NETLINK;
}

int inherited_sockets(int *fds, int max)
{
	DIR *dir = opendir("/proc/self/fd");
	struct dirent *d;
	uint64_t fd;
	int n = 0;

	if (!dir)
		return log_errno(errno, "cannot list what the command would inherit");
	while ((d = readdir(dir))) {
		if (str_parse_u64(str_of(d->d_name), &fd) < 0 || (int)fd == dirfd(dir) ||
		    !is_risky((int)fd))
			continue;
		if (n == max) {
			closedir(dir);
			log_error("more than %d sockets would be inherited", max);
			return -E2BIG;
		}
		fds[n++] = (int)fd;
	}
	closedir(dir);
	return n;
}

static void take_end(const struct sockaddr_storage *from, struct addr *addr, uint16_t *port)
{
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)from;
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)from;
	bool is_v4 = from->ss_family == AF_INET;

	*addr = is_v4 ? addr_from_v4(&v4->sin_addr) : addr_from_v6(&v6->sin6_addr);
	*port = ntohs(is_v4 ? v4->sin_port : v6->sin6_port);
}

/* What there is of a connection whose beginning nobody saw. false: it is none. */
static bool describe(int fd, struct recorded *r, struct name_table *names)
{
	struct sockaddr_storage local = { 0 }, peer = { 0 };
	socklen_t n_local = sizeof(local), n_peer = sizeof(peer), size = sizeof(int);
	struct name *found[NAMES_PER_ADDR];
	struct policy_subject *s = &r->subject;
	uint16_t lport;
	int proto = 0;

	*r = (struct recorded){ .egress = true, .who_known = true };
	if (getpeername(fd, (struct sockaddr *)&peer, &n_peer) < 0 ||
	    getsockname(fd, (struct sockaddr *)&local, &n_local) < 0 ||
	    getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &proto, &size) < 0 ||
	    (peer.ss_family != AF_INET && peer.ss_family != AF_INET6))
		return false;
	take_end(&local, &s->local, &lport);
	take_end(&peer, &s->remote, &s->port);
	s->proto = (uint8_t)proto;
	s->has_ports = flow_proto_has_ports(s->proto);
	s->visible = EG_VISIBLE_NONE;
	s->app = EG_APP_UNKNOWN;
	s->unix_s = (int64_t)(time_now() / NSEC_PER_SEC);
	s->uid_known = true;
	s->uid = getuid();
	s->n_names = name_table_find(names, NULL, &s->remote, time_now(), found);
	for (size_t i = 0; i < s->n_names; i++) {
		s->names[i] = text_str(found[i]->asked);
		name_put(names, found[i]);
	}
	return true;
}

/* The command as exec() will find it; empty when it will not. */
static void resolve(const char *command, char path[PATH_MAX])
{
	struct str dirs = str_of(getenv("PATH")), dir;
	char tried[PATH_MAX];

	path[0] = 0;
	if (strchr(command, '/')) {
		if (!realpath(command, path))
			path[0] = 0;
		return;
	}
	while (str_cut(&dirs, ':', &dir)) {
		snprintf(tried, sizeof(tried), "%.*s/%s", STR_FMT(dir), command);
		if (access(tried, X_OK) == 0 && realpath(tried, path))
			return;
	}
	path[0] = 0;
}

bool inherited_may_pass(int fd, const struct offline *o, struct name_table *names,
			const char *command)
{
	struct recorded r;
	struct judgement v;
	char path[PATH_MAX], line[256], target[ADDR_TEXT_MAX];
	struct str to;

	if (!describe(fd, &r, names)) {
		log_warn("the socket of descriptor %d is not handed on: it has no peer that could "
			 "be judged",
			 fd);
		return false;
	}
	resolve(command, path);
	r.subject.exe = r.subject.ancestors[0] = str_of(path);
	r.subject.n_ancestors = 1;
	if (judge_flow(o->judge, &r, &v) == 0 && v.final && !v.refuses)
		return true;
	to = recorded_target(&r, target);
	log_warn("the connection of descriptor %d to %.*s is not handed on: %s", fd, STR_FMT(to),
		 offline_line(o->policy, v.rule, line));
	return false;
}
