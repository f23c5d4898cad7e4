/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Community ID version 1 (github.com/corelight/community-id-spec): base64 of SHA-1 over seed, both addresses, the
 * protocol and both ports, the smaller (address, port) first. At most 40 bytes, so SHA-1 (FIPS 180-4) is one block.
 */
#include <netinet/in.h>

#include "flow/flow.h"

static uint32_t rol(uint32_t x, int n)
{
	return x << n | x >> (32 - n);
}

static void sha1_block(const uint8_t block[64], uint8_t ret[20])
{
	uint32_t h[5] = { 0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0 };
	uint32_t a = h[0], b = h[1], c = h[2], d = h[3], e = h[4], w[80];

	for (int i = 0; i < 16; i++)
		w[i] = (uint32_t)block[4 * i] << 24 | (uint32_t)block[4 * i + 1] << 16 |
		       (uint32_t)block[4 * i + 2] << 8 | block[4 * i + 3];
	for (int i = 16; i < 80; i++)
		w[i] = rol(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
	for (int i = 0; i < 80; i++) {
		uint32_t f = i < 20   ? (b & c) | (~b & d)
			     : i < 40 ? b ^ c ^ d
			     : i < 60 ? (b & c) | (b & d) | (c & d)
				      : b ^ c ^ d;
		static const uint32_t k[4] = { 0x5a827999, 0x6ed9eba1, 0x8f1bbcdc, 0xca62c1d6 };
		uint32_t sum = rol(a, 5) + f + e + k[i / 20] + w[i];

		e = d;
		d = c;
		c = rol(b, 30);
		b = a;
		a = sum;
	}
	h[0] += a;
	h[1] += b;
	h[2] += c;
	h[3] += d;
	h[4] += e;
	for (int i = 0; i < 20; i++)
		ret[i] = (uint8_t)(h[i / 4] >> (24 - 8 * (i % 4)));
}

static void base64(const uint8_t *in, size_t n, char *out)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

	for (size_t i = 0; i < n; i += 3) {
		uint32_t v = (uint32_t)in[i] << 16 | (i + 1 < n ? (uint32_t)in[i + 1] << 8 : 0) |
			     (i + 2 < n ? in[i + 2] : 0);

		*out++ = digits[v >> 18];
		*out++ = digits[v >> 12 & 63];
		*out++ = i + 1 < n ? digits[v >> 6 & 63] : '=';
		*out++ = i + 2 < n ? digits[v & 63] : '=';
	}
	*out = 0;
}

/* An ICMP message that nothing answers is not sorted: its two numbers are type and code, not two ends. */
static bool is_one_way_icmp(const struct event_key *k)
{
	static const uint8_t v4[] = { 0, 8, 9, 10, 13, 14, 15, 16, 17, 18 };
	static const uint8_t v6[] = { 128, 129, 130, 131, 133, 134, 135, 136, 139, 140, 144, 145 };

	if (k->proto == IPPROTO_ICMP)
		return !memchr(v4, k->sport, sizeof(v4));
	return k->proto == IPPROTO_ICMPV6 && !memchr(v6, k->sport, sizeof(v6));
}

static bool in_order(const struct event_key *k)
{
	int d = memcmp(&k->src, &k->dst, sizeof(k->src));

	return d < 0 || (d == 0 && k->sport <= k->dport) || is_one_way_icmp(k);
}

static size_t put_addr(uint8_t *to, const struct addr *a)
{
	if (addr_is_v4(a)) {
		memcpy(to, a->b + 12, 4);
		return 4;
	}
	memcpy(to, a->b, 16);
	return 16;
}

void flow_community_id(const struct flow *f, char text[32])
{
	const struct event_key *k = &f->key;
	bool keep = in_order(k);
	uint16_t ports[2] = { keep ? k->sport : k->dport, keep ? k->dport : k->sport };
	uint8_t block[64] = { 0 }, digest[20];
	size_t n = 2; /* the seed, 0 */

	n += put_addr(block + n, keep ? &k->src : &k->dst);
	n += put_addr(block + n, keep ? &k->dst : &k->src);
	block[n++] = k->proto;
	block[n++] = 0;
	if (k->proto == IPPROTO_TCP || k->proto == IPPROTO_UDP || k->proto == IPPROTO_SCTP ||
	    k->proto == IPPROTO_ICMP || k->proto == IPPROTO_ICMPV6) {
		for (int i = 0; i < 2; i++) {
			block[n++] = (uint8_t)(ports[i] >> 8);
			block[n++] = (uint8_t)ports[i];
		}
	}
	block[n] = 0x80;
	block[62] = (uint8_t)(n * 8 >> 8);
	block[63] = (uint8_t)(n * 8);
	sha1_block(block, digest);
	text[0] = '1';
	text[1] = ':';
	base64(digest, sizeof(digest), text + 2);
}
