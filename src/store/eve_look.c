/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a record says that neither the flow nor the packet holds: registered domains (public suffix list) and names of
 * network interfaces. Both are asked for again and again with the same few arguments, so answers are kept in small
 * direct-mapped caches; a slot taken by another argument is only a slower answer, never a wrong one.
 */
#include "store/eve_parts.h"

#include <libpsl.h>
#include <net/if.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/time.h"

#define DOMAIN_SLOTS 4096 /* a power of two */
#define IFACE_SLOTS 64
#define IFACE_KEEP_NS (10 * NSEC_PER_SEC) /* interfaces are renamed and their numbers used again */

static const psl_ctx_t *suffixes;

void eve_load_lists(void)
{
	if (!suffixes)
		suffixes = psl_latest(NULL);
	if (!suffixes)
		suffixes = psl_builtin();
}

/* "3.4" is no domain although the list's default rule would make it one. */
static bool ends_in_number(struct str name)
{
	size_t i = name.n;

	while (i && name.p[i - 1] >= '0' && name.p[i - 1] <= '9')
		i--;
	return i < name.n && (!i || name.p[i - 1] == '.');
}

static struct str find_domain(struct str name)
{
	const char *at;

	eve_load_lists();
	if (!suffixes || memchr(name.p, 0, name.n) || ends_in_number(name))
		return STR_NONE;
	at = psl_registrable_domain(suffixes, name.p);
	return at ? str_sub(name, (size_t)(at - name.p), name.n) : STR_NONE;
}

struct str eve_registered_domain(const struct text *name)
{
	static struct {
		uint64_t hash; /* of a keyed hash function: texts that collide cannot be made */
		uint32_t n, tail;
	} slots[DOMAIN_SLOTS];
	size_t i = name->hash & (DOMAIN_SLOTS - 1);
	struct str text = text_str(name);

	if (!text.n)
		return STR_NONE;
	if (slots[i].hash != name->hash || slots[i].n != text.n) {
		slots[i].tail = (uint32_t)find_domain(text).n;
		slots[i].hash = name->hash;
		slots[i].n = (uint32_t)text.n;
	}
	return str_sub(text, text.n - slots[i].tail, slots[i].tail);
}

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif

/* Of the namespace egret runs in; 0 when the kernel does not tell. */
static uint64_t own_zone(void)
{
	static uint64_t cookie;
	static bool asked;
	_cleanup_close_ int fd = -1;
	socklen_t size = sizeof(cookie);

	if (asked)
		return cookie;
	asked = true;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &size) < 0)
		cookie = 0;
	return cookie;
}

const char *eve_iface_name(uint32_t ifindex, uint64_t zone, uint64_t now_ns)
{
	static struct {
		uint32_t ifindex;
		uint64_t until_ns;
		char name[IF_NAMESIZE];
	} slots[IFACE_SLOTS];
	size_t i = ifindex % IFACE_SLOTS;

	/* Numbers of another namespace would be given the names of ours. */
	if (!ifindex || !zone || zone != own_zone())
		return NULL;
	if (slots[i].ifindex != ifindex || now_ns > slots[i].until_ns ||
	    now_ns + IFACE_KEEP_NS < slots[i].until_ns) {
		slots[i].ifindex = ifindex;
		slots[i].until_ns = now_ns + IFACE_KEEP_NS;
		if (!if_indextoname(ifindex, slots[i].name))
			slots[i].name[0] = 0;
	}
	return slots[i].name[0] ? slots[i].name : NULL;
}
