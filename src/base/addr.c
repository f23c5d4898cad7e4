/* SPDX-License-Identifier: Apache-2.0 */
#include "base/addr.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>

#include "base/cleanup.h"

bool addr_is_unset(const struct addr *a)
{
	static const uint8_t zero[16];

	return !memcmp(a->b + (addr_is_v4(a) ? 12 : 0), zero, addr_is_v4(a) ? 4 : 16);
}

static bool in_prefix(const uint8_t *a, const uint8_t *prefix, unsigned bits)
{
	unsigned whole = bits / 8, rest = bits % 8;

	for (unsigned i = 0; i < whole; i++) /* most differ in the first byte */
		if (a[i] != prefix[i])
			return false;
	return !rest || !((a[whole] ^ prefix[whole]) >> (8 - rest));
}

struct block {
	uint8_t prefix[16];
	uint8_t bits;
	enum addr_class class;
};

/* First match wins; a range that is special inside another stands before it. */
static const struct block v4_blocks[] = {
	{ { 127 }, 8, ADDR_LOOPBACK },
	{ { 10 }, 8, ADDR_PRIVATE },
	{ { 172, 16 }, 12, ADDR_PRIVATE },
	{ { 192, 168 }, 16, ADDR_PRIVATE },
	{ { 100, 64 }, 10, ADDR_PRIVATE },
	{ { 169, 254 }, 16, ADDR_LINK_LOCAL },
	{ { 255, 255, 255, 255 }, 32, ADDR_MULTICAST },
	{ { 224 }, 4, ADDR_MULTICAST },
	{ { 0 }, 8, ADDR_RESERVED },
	{ { 192, 0, 0 }, 24, ADDR_RESERVED },
	{ { 192, 0, 2 }, 24, ADDR_RESERVED },
	{ { 198, 18 }, 15, ADDR_RESERVED },
	{ { 198, 51, 100 }, 24, ADDR_RESERVED },
	{ { 203, 0, 113 }, 24, ADDR_RESERVED },
	{ { 240 }, 4, ADDR_RESERVED },
};

static const struct block v6_blocks[] = {
	{ { [15] = 1 }, 128, ADDR_LOOPBACK },
	{ { 0xfc }, 7, ADDR_PRIVATE },
	{ { 0xfe, 0x80 }, 10, ADDR_LINK_LOCAL },
	{ { 0xff }, 8, ADDR_MULTICAST },
	{ { 0x20, 0x01, 0x0d, 0xb8 }, 32, ADDR_RESERVED },
	{ { 0x3f, 0xff }, 20, ADDR_RESERVED },
	{ { 0x01 }, 64, ADDR_RESERVED },
	{ { 0 }, 128, ADDR_RESERVED },
};

static enum addr_class class_in(const struct block *blocks, size_t n, const uint8_t *bytes)
{
	for (size_t i = 0; i < n; i++)
		if (in_prefix(bytes, blocks[i].prefix, blocks[i].bits))
			return blocks[i].class;
	return ADDR_INTERNET;
}

enum addr_class addr_class(const struct addr *a)
{
	if (addr_is_v4(a))
		return class_in(v4_blocks, ARRAY_SIZE(v4_blocks), a->b + 12);
	return class_in(v6_blocks, ARRAY_SIZE(v6_blocks), a->b);
}

int addr_block(size_t i, struct addr *ret_lo, struct addr *ret_hi)
{
	bool v4 = i < ARRAY_SIZE(v4_blocks);
	const struct block *block;
	unsigned first = v4 ? 12 : 0;

	if (!v4 && i - ARRAY_SIZE(v4_blocks) >= ARRAY_SIZE(v6_blocks))
		return -ENOENT;
	block = v4 ? &v4_blocks[i] : &v6_blocks[i - ARRAY_SIZE(v4_blocks)];
	*ret_lo = v4 ? addr_from_v4(block->prefix) : addr_from_v6(block->prefix);
	*ret_hi = *ret_lo;
	for (unsigned bit = block->bits; bit < (v4 ? 32 : 128); bit++)
		ret_hi->b[first + bit / 8] |= (uint8_t)(0x80 >> bit % 8);
	return 0;
}

bool addr_is_nat64(const struct addr *a)
{
	static const uint8_t prefix[12] = { 0, 0x64, 0xff, 0x9b };

	return !memcmp(a->b, prefix, sizeof(prefix));
}

const char *addr_class_name(enum addr_class c)
{
	static const char *const names[] = { "internet",   "private",   "loopback",
					     "link-local", "multicast", "reserved" };

	return names[c];
}

char *addr_format(const struct addr *a, char text[ADDR_TEXT_MAX])
{
	if (addr_is_v4(a))
		inet_ntop(AF_INET, a->b + 12, text, ADDR_TEXT_MAX);
	else
		inet_ntop(AF_INET6, a->b, text, ADDR_TEXT_MAX);
	return text;
}

int addr_parse(struct str s, struct addr *ret)
{
	char text[ADDR_TEXT_MAX];
	uint8_t bytes[16];

	if (!s.n || s.n >= sizeof(text))
		return -EINVAL;
	memcpy(text, s.p, s.n);
	text[s.n] = 0;
	if (inet_pton(AF_INET, text, bytes) == 1)
		*ret = addr_from_v4(bytes);
	else if (inet_pton(AF_INET6, text, bytes) == 1)
		*ret = addr_from_v6(bytes);
	else
		return -EINVAL;
	return 0;
}

int cidr_parse(struct str s, struct cidr *ret)
{
	const char *slash = s.n ? memchr(s.p, '/', s.n) : NULL;
	size_t n = slash ? (size_t)(slash - s.p) : s.n;
	uint64_t bits, most;
	struct cidr c;
	int r;

	r = addr_parse(str_sub(s, 0, n), &c.addr);
	if (r < 0)
		return r;
	most = addr_is_v4(&c.addr) ? 32 : 128;
	bits = most;
	if (slash && (str_parse_u64(str_sub(s, n + 1, s.n), &bits) < 0 || bits > most))
		return -EINVAL;
	c.bits = (uint8_t)(bits + 128 - most);
	*ret = c;
	return 0;
}

bool cidr_has(const struct cidr *c, const struct addr *a)
{
	return in_prefix(a->b, c->addr.b, c->bits);
}

char *addr_range_format(const struct addr *lo, const struct addr *hi,
			char text[ADDR_RANGE_TEXT_MAX])
{
	char end[ADDR_TEXT_MAX];
	unsigned bits = 0;
	size_t n;

	n = strlen(addr_format(lo, text));
	if (addr_eq(lo, hi))
		return text;
	while (bits < 128 && !((lo->b[bits / 8] ^ hi->b[bits / 8]) >> (7 - bits % 8) & 1))
		bits++;
	for (unsigned i = bits; i < 128; i++)
		if ((lo->b[i / 8] >> (7 - i % 8) & 1) || !(hi->b[i / 8] >> (7 - i % 8) & 1)) {
			snprintf(text + n, ADDR_RANGE_TEXT_MAX - n, "-%s", addr_format(hi, end));
			return text;
		}
	snprintf(text + n, ADDR_RANGE_TEXT_MAX - n, "/%u", addr_is_v4(lo) ? bits - 96 : bits);
	return text;
}
