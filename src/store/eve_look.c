/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a record says that neither the flow nor the packet holds: names of network interfaces. They are asked for again and
 * again, so answers are kept in a small direct-mapped cache; a slot taken by another interface is only a slower answer,
 * never a wrong one.
 */
#include "store/eve_parts.h"

#include <net/if.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/time.h"

#define IFACE_SLOTS 64
#define IFACE_KEEP_NS (10 * NSEC_PER_SEC) /* interfaces are renamed and their numbers used again */

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
