/* SPDX-License-Identifier: Apache-2.0 */
/* IP addresses as 16 bytes, IPv4 v4-mapped (RFC 4291 2.5.5.2): one key, one table, one code path for both. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/str.h"

#define ADDR_TEXT_MAX 46 /* INET6_ADDRSTRLEN */

struct addr {
	uint8_t b[16];
};

/* Where an address lies (RFC 6890 registries). INTERNET is all that is none of the others. */
enum addr_class {
	ADDR_INTERNET,
	ADDR_PRIVATE, /* RFC 1918, ULA (RFC 4193), CGNAT (RFC 6598) */
	ADDR_LOOPBACK,
	ADDR_LINK_LOCAL,
	ADDR_MULTICAST, /* and limited broadcast */
	ADDR_RESERVED,
};

static inline bool addr_is_v4(const struct addr *a)
{
	static const uint8_t mapped[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };

	return !memcmp(a->b, mapped, sizeof(mapped));
}

static inline struct addr addr_from_v4(const void *four_bytes)
{
	struct addr a = { .b = { [10] = 0xff, [11] = 0xff } };

	memcpy(a.b + 12, four_bytes, 4);
	return a;
}

static inline struct addr addr_from_v6(const void *sixteen_bytes)
{
	struct addr a;

	memcpy(a.b, sixteen_bytes, 16);
	return a;
}

static inline bool addr_eq(const struct addr *a, const struct addr *b)
{
	return !memcmp(a, b, sizeof(*a));
}

/* An address of NAT64's well-known prefix (RFC 6052 2.1), by which IPv4 is reached: the IPv4 address; any other: itself. */
bool addr_is_nat64(const struct addr *a);
static inline struct addr addr_reached(const struct addr *a)
{
	return addr_is_nat64(a) ? addr_from_v4(a->b + 12) : *a;
}

bool addr_is_unset(const struct addr *a); /* :: or 0.0.0.0 */
enum addr_class addr_class(const struct addr *a);
const char *addr_class_name(enum addr_class c);
/* The blocks of the registries one by one, IPv4 first: the class changes at their ends and nowhere else. -ENOENT: no more. */
int addr_block(size_t i, struct addr *ret_lo, struct addr *ret_hi);

/* Canonical text (RFC 5952; dotted quad for IPv4), NUL-terminated; returns `text`. */
char *addr_format(const struct addr *a, char text[ADDR_TEXT_MAX]);
int addr_parse(struct str s, struct addr *ret); /* 0 or -EINVAL */
#define ADDR_RANGE_TEXT_MAX (2 * ADDR_TEXT_MAX)
/* "10.0.0.0/8", "10.0.0.1-10.0.0.9", or a single address; returns `text`. */
char *addr_range_format(const struct addr *lo, const struct addr *hi,
			char text[ADDR_RANGE_TEXT_MAX]);

/* An address with a prefix length; IPv4 prefixes count from the mapped /96. */
struct cidr {
	struct addr addr;
	uint8_t bits; /* 0..128 */
};
int cidr_parse(struct str s, struct cidr *ret); /* "10.0.0.0/8", "fd00::/8" or a single address */
bool cidr_has(const struct cidr *c, const struct addr *a);
