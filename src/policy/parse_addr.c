/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Addresses, networks and ranges: "10.0.0.1", "10.0.0.0/8", "10.0.0.1-10.0.0.9", and what people write instead. A word
 * that looks like an address and is none is told here, so that it never becomes a name.
 */
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "policy/parse.h"

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Letters of IPv6, and more than one ':', or one behind an IPv4 address: not "host:443", not "https://…". */
static bool looks_like_v6(struct str s)
{
	const char *colon = memchr(s.p, ':', s.n), *percent = memchr(s.p, '%', s.n);
	struct addr a;

	if (!colon)
		return false;
	if (!memchr(colon + 1, ':', s.n - (size_t)(colon - s.p) - 1))
		return addr_parse(str_sub(s, 0, (size_t)(colon - s.p)), &a) == 0;
	if (percent)
		s.n = (size_t)(percent - s.p);
	for (size_t i = 0; i < s.n; i++)
		if (!is_digit(s.p[i]) && !((s.p[i] | 0x20) >= 'a' && (s.p[i] | 0x20) <= 'f') &&
		    !strchr(":./-[]", s.p[i]))
			return false;
	return true;
}

/* Nobody's name: IPv6, or its last label is a number. */
static bool looks_like_address(struct str s)
{
	size_t i = s.n;

	if (s.p[0] == '[' || looks_like_v6(s))
		return true;
	if (memchr(s.p, '/', s.n) && is_digit(s.p[0]))
		return true;
	while (i && (is_digit(s.p[i - 1]) || s.p[i - 1] == '*'))
		i--;
	return i < s.n && is_digit(s.p[0]) && (!i || s.p[i - 1] == '.' || s.p[i - 1] == '-');
}

/* The first and last address that have `bits` bits in common with `a`. */
static void network_of(const struct addr *a, unsigned bits, struct addr *lo, struct addr *hi)
{
	*lo = *hi = *a;
	for (unsigned i = 0; i < 16; i++) {
		unsigned own = bits > i * 8 ? MIN(bits - i * 8, 8U) : 0;
		uint8_t host = (uint8_t)(0xff >> own);

		lo->b[i] &= (uint8_t)~host;
		hi->b[i] |= host;
	}
}

/* "255.255.0.0" to 16; -1: not a mask. */
static int mask_bits(struct str s)
{
	struct addr mask, lo, hi;

	if (addr_parse(s, &mask) < 0 || !addr_is_v4(&mask))
		return -1;
	for (unsigned bits = 0; bits <= 32; bits++) {
		network_of(
			&(struct addr){ .b = { [10] = 0xff, [11] = 0xff, 0xff, 0xff, 0xff, 0xff } },
			96 + bits, &lo, &hi);
		if (addr_eq(&lo, &mask))
			return (int)bits;
	}
	return -1;
}

static int told(struct parser *p, const struct lex_token *t)
{
	struct str s = t->text;
	const char *colon = memrchr(s.p, ':', s.n), *slash = memchr(s.p, '/', s.n);
	struct str head = slash ? str_sub(s, 0, (size_t)(slash - s.p)) : s;
	struct addr a;
	uint64_t port;

	if (s.p[0] == '[')
		mistake(p, t, "an IPv6 address is written without brackets\nports: 'port 443'");
	else if (memchr(s.p, '%', s.n))
		mistake(p, t, "an address has no interface here\nleave '%%...' away");
	else if (colon && memchr(s.p, ':', s.n) == (void *)colon &&
		 str_parse_u64(str_sub(s, (size_t)(colon - s.p) + 1, s.n), &port) == 0)
		mistake(p, t, "an address has no port here\nwrite '%.*s port %u'",
			(int)(colon - s.p), s.p, (unsigned)MIN(port, (uint64_t)65535));
	else if (slash && addr_parse(head, &a) == 0 && mask_bits(str_sub(s, head.n + 1, s.n)) >= 0)
		mistake(p, t, "a network is written with the length of its prefix\nwrite %.*s/%d",
			QUOTED(head), mask_bits(str_sub(s, head.n + 1, s.n)));
	else if (slash && addr_parse(head, &a) == 0)
		mistake(p, t, "a prefix is 0 to %d bits long", addr_is_v4(&a) ? 32 : 128);
	else if (!memchr(s.p, '.', s.n) && !colon)
		mistake(p, t, "'%.*s' is no address\na port is written 'port %.*s'", QUOTED(s),
			QUOTED(s));
	else if (memchr(s.p, '*', s.n))
		mistake(p, t, "an address has no '*'\nnetworks are written as 10.1.2.0/24");
	else
		mistake(p, t,
			"'%.*s' is no address\nas 192.0.2.1, 10.0.0.0/8, fd00::/8 or "
			"10.0.0.1-10.0.0.9",
			QUOTED(s));
	return -1;
}

static int told_range(struct parser *p, const struct lex_token *t, const struct addr *lo,
		      const struct addr *hi)
{
	if (addr_is_v4(lo) != addr_is_v4(hi))
		mistake(p, t, "a range is of one family\nfrom IPv4 to IPv4, or from IPv6 to IPv6");
	else
		mistake(p, t, "this range goes backwards\nthe lower address stands first");
	return -1;
}

/* The right network in place of one with bits behind its prefix. */
static int told_host_bits(struct parser *p, const struct lex_token *t, const struct addr *net,
			  struct str head)
{
	char text[ADDR_TEXT_MAX];
	size_t at = head.n + 1;

	mistake(p, t,
		"'%.*s' has bits set behind its prefix\nthe network is %s/%.*s, the address %.*s",
		QUOTED(t->text), addr_format(net, text), QUOTED(str_sub(t->text, at, t->text.n)),
		QUOTED(head));
	return -1;
}

int parse_address(struct parser *p, const struct lex_token *t, struct addr *lo, struct addr *hi)
{
	struct str s = t->text, head;
	const char *mark;
	struct cidr net;
	struct addr own;

	if (addr_parse(s, lo) == 0) {
		*hi = *lo;
		return 1;
	}
	if (!is_digit(s.p[0]) && !memchr(s.p, ':', s.n) && s.p[0] != '[')
		return 0;
	mark = memchr(s.p, '/', s.n);
	if (mark && cidr_parse(s, &net) == 0) {
		own = net.addr;
		network_of(&own, net.bits, lo, hi);
		head = str_sub(s, 0, (size_t)(mark - s.p));
		return addr_eq(lo, &own) ? 1 : told_host_bits(p, t, lo, head);
	}
	mark = memchr(s.p, '-', s.n);
	if (mark && addr_parse(str_sub(s, 0, (size_t)(mark - s.p)), lo) == 0 &&
	    addr_parse(str_sub(s, (size_t)(mark - s.p) + 1, s.n), hi) == 0) {
		bool fits = addr_is_v4(lo) == addr_is_v4(hi) && memcmp(lo, hi, sizeof(*lo)) <= 0;

		return fits ? 1 : told_range(p, t, lo, hi);
	}
	return looks_like_address(s) ? told(p, t) : 0;
}
