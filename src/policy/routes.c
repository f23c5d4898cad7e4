/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/routes.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/ipv6_route.h>
#include <linux/route.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/hash.h"
#include "policy/policy.h"

struct route {
	char interface[32];
	uint8_t network[16];
	unsigned bits;
	bool v4;
};

static bool read_v4(const char *line, struct route *ret)
{
	uint32_t network, flags, mask;

	if (sscanf(line, "%31s %x %*x %x %*d %*d %*d %x", ret->interface, &network, &flags,
		   &mask) != 4 ||
	    !mask || !(flags & RTF_UP) || (flags & RTF_REJECT))
		return false;
	memcpy(ret->network, &network, 4); /* as it lies in memory, printed as a number */
	ret->bits = (unsigned)__builtin_popcount(mask);
	ret->v4 = true;
	return true;
}

static bool read_v6(const char *line, struct route *ret)
{
	unsigned bits, flags, byte;
	char network[33];

	if (sscanf(line, "%32s %x %*s %*x %*s %*x %*x %*x %x %31s", network, &bits, &flags,
		   ret->interface) != 4 ||
	    !bits || bits > 128 || strlen(network) != 32 || !(flags & RTF_UP) ||
	    (flags & (RTF_REJECT | RTF_LOCAL | RTF_ANYCAST | RTF_CACHE)))
		return false;
	for (int i = 0; i < 16; i++) {
		if (sscanf(network + 2 * i, "%2x", &byte) != 1)
			return false;
		ret->network[i] = (uint8_t)byte;
	}
	ret->bits = bits;
	ret->v4 = false;
	return ret->network[0] != 0xff &&
	       !(ret->network[0] == 0xfe && (ret->network[1] & 0xc0) == 0x80);
}

static void range_of(const struct route *r, struct addr *lo, struct addr *hi)
{
	size_t n = r->v4 ? 4 : 16;
	uint8_t first[16], last[16];

	for (size_t i = 0; i < n; i++) {
		unsigned kept = r->bits > 8 * i ? r->bits - 8 * (unsigned)i : 0;
		uint8_t rest = kept >= 8 ? 0 : (uint8_t)(0xff >> kept);

		first[i] = r->network[i] & (uint8_t)~rest;
		last[i] = first[i] | rest;
	}
	*lo = r->v4 ? addr_from_v4(first) : addr_from_v6(first);
	*hi = r->v4 ? addr_from_v4(last) : addr_from_v6(last);
}

static int read_routes(const char *path, bool (*read)(const char *line, struct route *ret),
		       struct str interface,
		       void (*fn)(void *ctx, const struct addr *lo, const struct addr *hi),
		       void *ctx)
{
	_cleanup_fclose_ FILE *f = fopen(path, "re");
	char line[512];
	int n = 0;

	if (!f)
		return -errno;
	while (fgets(line, sizeof(line), f)) {
		struct addr lo, hi;
		struct route r;

		if (!read(line, &r) || !str_eq(interface, str_of(r.interface)))
			continue;
		range_of(&r, &lo, &hi);
		fn(ctx, &lo, &hi);
		n++;
	}
	return n;
}

int routes_by(struct str interface,
	      void (*fn)(void *ctx, const struct addr *lo, const struct addr *hi), void *ctx)
{
	int n4 = read_routes("/proc/net/route", read_v4, interface, fn, ctx);
	int n6 = read_routes("/proc/net/ipv6_route", read_v6, interface, fn, ctx);

	if (n4 < 0 && n6 < 0)
		return n4;
	return (n4 > 0 ? n4 : 0) + (n6 > 0 ? n6 : 0);
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
