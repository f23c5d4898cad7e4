/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Community ID version 1 (github.com/corelight/community-id-spec): base64 of SHA-1 over seed, both addresses, the
 * protocol and both ports, the smaller (address, port) first.
 */
#include <netinet/in.h>
#include <openssl/evp.h>

#include "decode/digest.h"
#include "flow/flow.h"

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
	uint8_t block[40] = { 0 }, digest[SHA1_SIZE];
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
	text[0] = 0;
	if (digest_sha1((struct str){ (char *)block, n }, digest) < 0)
		return;
	text[0] = '1';
	text[1] = ':';
	EVP_EncodeBlock((unsigned char *)text + 2, digest, sizeof(digest));
}
