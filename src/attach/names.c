/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names travel as hashes; their texts are in maps of the kernel's side and, once asked for, in a small cache here. Names
 * that user space knows are put in by the kernel's own hand, as those of an answer.
 */
#include <errno.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "attach/internal.h"
#include "attach/policy.h"
#include "base/cleanup.h"
#include "bpf/dns.h"
#include "bpf/host.skel.h"

#define RESOLVER_LOCAL 1  /* as in bpf/learn.h */
#define HOSTS_TTL_S 3600U /* of a name without a time of its own */

struct str attach_name(struct attach *a, uint64_t hash)
{
	struct attach_name *n = &a->names[hash % ATTACH_NAMES];
	struct eg_name found;

	if (n->hash == hash)
		return (struct str){ n->text, n->len };
	if (bpf_map_lookup_elem(bpf_map__fd(a->skel->maps.eg_names), &hash, &found) &&
	    bpf_map_lookup_elem(bpf_map__fd(a->skel->maps.eg_names_seen), &hash, &found))
		return STR_NONE; /* pushed out by newer names */
	if (!found.len || found.len > sizeof(n->text))
		return STR_NONE;
	n->hash = hash;
	n->len = found.len;
	memcpy(n->text, found.text, found.len);
	return (struct str){ n->text, n->len };
}

uint8_t attach_names_of(struct attach *a, const uint8_t addr[16], uint64_t names[EG_ADDR_NAMES])
{
	uint64_t now = attach_mono_ns(), before = UINT64_MAX;
	struct eg_addr_names found;
	uint8_t n = 0;

	if (bpf_map_lookup_elem(bpf_map__fd(a->skel->maps.eg_addr_names), addr, &found))
		return 0;
	for (; n < EG_ADDR_NAMES; n++) {
		uint64_t best = 0;

		for (uint32_t i = 0; i < EG_NAMES_OF_ADDR; i++) {
			uint64_t rank = eg_name_rank(&found, i, now);

			if (rank > best && rank < before)
				best = rank;
		}
		if (!best)
			break;
		names[n] = found.hash[best & (EG_NAMES_OF_ADDR - 1)];
		before = best;
	}
	return n;
}

/* As bpf/dns.h takes a name from a message: lower case, no dot at the end, nothing that host names do not have. */
static int take_name(struct eg_dns_walk *w, struct str name, uint64_t key)
{
	uint64_t pow = 1;

	if (name.n && name.p[name.n - 1] == '.')
		name.n--;
	if (!name.n || name.n >= EG_NAME_MAX - 2)
		return -EINVAL;
	for (size_t i = 0; i < name.n; i++) {
		unsigned char c = name.p[i];

		if (c <= ' ' || c > '~' || c == '\\')
			return -EINVAL;
		if (c >= 'A' && c <= 'Z')
			c |= 0x20;
		w->name[i] = (char)c;
		w->found_hash = eg_mod61(w->found_hash + eg_mul61(c + 1, pow));
		pow = eg_mul61(pow, key);
	}
	w->found_len = name.n;
	return 0;
}

int attach_name_told(struct attach *a, const struct addr *addr, struct str name, uint64_t ttl_s)
{
	_cleanup_free_ struct eg_dns_walk *w = calloc(1, sizeof(*w));
	LIBBPF_OPTS(bpf_test_run_opts, opts);
	uint32_t zero = 0;
	int r;

	if (!w)
		return -ENOMEM;
	/* lists of names to be led nowhere, as some keep in /etc/hosts, would push others out */
	if (addr_is_unset(addr) || addr_class(addr) == ADDR_LOOPBACK)
		return 0;
	r = take_name(w, name, a->skel->rodata->name_key);
	if (r)
		return r;
	w->trusted = 1;
	w->n_found = 1;
	memcpy(w->found[0], addr->b, sizeof(w->found[0]));
	w->found_ttl[0] = ttl_s ? MIN(ttl_s, (uint64_t)INT32_MAX) : HOSTS_TTL_S;
	if (bpf_map_update_elem(bpf_map__fd(a->skel->maps.eg_told), &zero, w, BPF_ANY) ||
	    bpf_prog_test_run_opts(bpf_program__fd(a->skel->progs.eg_names_tell), &opts))
		return -errno;
	return 0;
}

/* --- resolvers ---------------------------------------------------------------------------------------------------- */

static bool has_address(const struct ifaddrs *all, const struct addr *addr)
{
	for (const struct ifaddrs *i = all; i; i = i->ifa_next) {
		struct addr own;

		if (!i->ifa_addr)
			continue;
		if (i->ifa_addr->sa_family == AF_INET)
			own = addr_from_v4(&((struct sockaddr_in *)i->ifa_addr)->sin_addr);
		else if (i->ifa_addr->sa_family == AF_INET6)
			own = addr_from_v6(&((struct sockaddr_in6 *)i->ifa_addr)->sin6_addr);
		else
			continue;
		if (addr_eq(&own, addr))
			return true;
	}
	return false;
}

static int set_netns(struct attach *a)
{
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	uint64_t cookie;
	socklen_t len = sizeof(cookie);

	if (fd < 0 || getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &len))
		return -errno;
	a->skel->bss->who_netns = cookie;
	return 0;
}

static bool listed(const struct addr *resolvers, size_t n, const struct addr *addr)
{
	for (size_t i = 0; i < n; i++)
		if (addr_eq(&resolvers[i], addr))
			return true;
	return false;
}

static void drop_others(int fd, const struct addr *resolvers, size_t n)
{
	struct addr key, next;
	bool more = !bpf_map_get_next_key(fd, NULL, &key);

	for (; more; key = next) {
		more = !bpf_map_get_next_key(fd, &key, &next);
		if (!listed(resolvers, n, &key))
			bpf_map_delete_elem(fd, &key);
	}
}

int attach_resolvers(struct attach *a, const struct addr *resolvers, size_t n)
{
	int fd = bpf_map__fd(a->skel->maps.eg_resolvers), r = set_netns(a);
	struct ifaddrs *own = NULL;

	if (r)
		return r;
	drop_others(fd, resolvers, n);
	if (getifaddrs(&own))
		return -errno;
	for (size_t i = 0; !r && i < n; i++) {
		bool local = addr_class(&resolvers[i]) == ADDR_LOOPBACK ||
			     has_address(own, &resolvers[i]);
		uint32_t how = local ? RESOLVER_LOCAL : 0;

		if (bpf_map_update_elem(fd, &resolvers[i], &how, BPF_ANY))
			r = -errno;
	}
	freeifaddrs(own);
	return r;
}
