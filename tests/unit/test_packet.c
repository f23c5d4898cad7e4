/* SPDX-License-Identifier: Apache-2.0 */
#include "packet_frames.h"

struct want {
	const char *name;
	uint16_t link;
	void (*build)(struct frame *f);
	uint8_t proto;
	uint16_t sport, dport;
	uint32_t ip_bytes, payload; /* with 30 bytes of payload */
	uint16_t vlan;
	uint8_t tunnels;
	uint32_t id;
};

#define TCP4 IPPROTO_TCP, 40000, 443, 74, 30
#define UDP6 IPPROTO_UDP, 5000, 53, 78, 30

static const struct want cases[] = {
	{ "ethernet", 1, b_ethernet, TCP4 },
	{ "ethernet v6", 1, b_ethernet6, UDP6 },
	{ "vlan", 1, b_vlan, TCP4, .vlan = 100 },
	{ "qinq", 1, b_qinq, TCP4, .vlan = 100 },
	{ "priority tag", 1, b_priority_tag, TCP4 },
	{ "snap", 1, b_snap, TCP4 },
	{ "pppoe", 1, b_pppoe, TCP4 },
	{ "pppoe v6", 1, b_pppoe6, UDP6 },
	{ "mpls", 1, b_mpls, TCP4 },
	{ "mpls v6", 1, b_mpls6, UDP6 },
	{ "pseudowire", 1, b_pseudowire, TCP4 },
	{ "pseudowire without control word", 1, b_pseudowire_bare, TCP4 },
	{ "pseudowire that looks like IPv4", 1, b_pseudowire_four, TCP4 },
	{ "sll", 113, b_sll, TCP4 },
	{ "sll vlan", 113, b_sll_vlan, TCP4, .vlan = 100 },
	{ "sll2", 276, b_sll2, UDP6 },
	{ "null little", 0, b_null_little, TCP4 },
	{ "null big", 0, b_null_big, TCP4 },
	{ "loop", 108, b_null_big, TCP4 },
	{ "null darwin", 0, b_null6_darwin, UDP6 },
	{ "null openbsd", 0, b_null6_big, UDP6 },
	{ "ppp", 9, b_ppp, TCP4 },
	{ "ppp compressed", 9, b_ppp_compressed, UDP6 },
	{ "c-hdlc", 104, b_c_hdlc, TCP4 },
	{ "raw v4", 101, b_raw4, TCP4 },
	{ "raw v6", 101, b_raw6, UDP6 },
	{ "raw 12", 12, b_raw4, TCP4 },
	{ "raw 14", 14, b_raw6, UDP6 },
	{ "link ipv4", 228, b_raw4, TCP4 },
	{ "link ipv6", 229, b_raw6, UDP6 },
	{ "gre", 1, b_gre, TCP4, .tunnels = 1 },
	{ "gre csum key seq ethernet", 1, b_gre_all, TCP4, .tunnels = 1, .id = 77 },
	{ "erspan 2", 1, b_erspan, TCP4, .tunnels = 1 },
	{ "vxlan", 1, b_vxlan, TCP4, .tunnels = 1, .id = 256 },
	{ "vxlan on 8472", 1, b_vxlan_linux, UDP6, .tunnels = 1, .id = 42 },
	{ "geneve", 1, b_geneve, TCP4, .tunnels = 1, .id = 7 },
	{ "ip in ip", 1, b_ipip, TCP4, .tunnels = 1 },
	{ "6in4", 1, b_6in4, UDP6, .tunnels = 1 },
	{ "4in6", 1, b_4in6, TCP4, .tunnels = 1 },
	{ "etherip", 1, b_etherip, TCP4, .tunnels = 1 },
	{ "gre in vxlan", 101, b_gre_in_vxlan, TCP4, .tunnels = 2, .id = 42 },
	{ "v6 extension headers", 1, b_extensions, IPPROTO_UDP, 5000, 53, 130, 30 },
	{ "ah", 1, b_ah4, IPPROTO_TCP, 40000, 443, 98, 30 },
	{ "sctp", 1, b_sctp, IPPROTO_SCTP, 1000, 2905, 62, 0 },
	{ "udplite", 1, b_udplite, IPPROTO_UDPLITE, 5000, 53, 58, 30 },
	{ "echo", 1, b_echo, IPPROTO_ICMP, 8, 0, 58, 38 },
	{ "echo reply", 1, b_echo_reply, IPPROTO_ICMP, 0, 8, 58, 38 },
	{ "unreachable", 1, b_unreachable, IPPROTO_ICMP, 3, 4, 58, 38 },
	{ "neighbour", 1, b_neighbour, IPPROTO_ICMPV6, 136, 135, 78, 38 },
	{ "esp", 1, b_esp, IPPROTO_ESP, 0, 0, 50, 0 },
};

static void check_case(const struct want *w, const struct packet *k)
{
	bool v6 = w->ip_bytes == 78 || w->ip_bytes == 130;
	struct addr src =
		v6 ? addr_from_v6((uint8_t[]){ V6_A }) : addr_from_v4((uint8_t[]){ V4_A });
	struct addr dst =
		v6 ? addr_from_v6((uint8_t[]){ V6_B }) : addr_from_v4((uint8_t[]){ V4_B });

	assert_true(addr_eq(&k->src, &src));
	assert_true(addr_eq(&k->dst, &dst));
	assert_int_equal(k->v6, v6);
	assert_int_equal(k->proto, w->proto);
	assert_int_equal(k->sport, w->sport);
	assert_int_equal(k->dport, w->dport);
	assert_int_equal(k->ip_bytes, w->ip_bytes);
	assert_int_equal(k->payload_bytes, w->payload);
	assert_int_equal(k->payload.n, w->payload);
	assert_int_equal(k->vlan, w->vlan);
	assert_int_equal(k->tunnel_depth, w->tunnels);
	assert_int_equal(k->tunnel_id, w->id);
	assert_false(k->fragment);
	if (w->proto == IPPROTO_TCP) {
		assert_int_equal(k->seq, 0x01020304);
		assert_int_equal(k->ack, 0x05060708);
		assert_int_equal(k->tcp_flags, TCP_PSH | TCP_ACK);
	}
	if (w->proto == IPPROTO_ICMP || w->proto == IPPROTO_ICMPV6) { /* with its header */
		assert_int_equal((uint8_t)k->payload.p[0], w->sport);
		assert_int_equal(k->payload.p[8], 'x');
	} else if (w->payload) {
		assert_int_equal(k->payload.p[0], 'x');
	}
}

static void test_encapsulations(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct packet k;
		struct frame f;

		start(&f, 30);
		cases[i].build(&f);
		print_message("%s\n", cases[i].name);
		assert_int_equal(packet_parse(cases[i].link, bytes(&f), (uint32_t)length(&f), &k),
				 PACKET_OK);
		check_case(&cases[i], &k);
	}
}

/* A block of exactly n bytes, so that ASan sees a read behind it. */
static enum packet_error parse_exact(uint16_t link, const uint8_t *p, size_t n, size_t wire,
				     struct packet *ret)
{
	_cleanup_free_ uint8_t *copy = malloc(n ? n : 1);
	enum packet_error e;

	assert_non_null(copy);
	memcpy(copy, p, n);
	e = packet_parse(link, (struct str){ (char *)copy, n }, (uint32_t)wire, ret);
	if (e == PACKET_OK && ret->payload.n) {
		assert_true((const uint8_t *)ret->payload.p >= copy);
		assert_true((const uint8_t *)ret->payload.p + ret->payload.n <= copy + n);
		assert_true(ret->payload.n <= ret->payload_bytes);
	}
	return e;
}

/* Cut by the snaplen at every length: once the ports are there the flow and all lengths are as in the whole. */
static void test_every_prefix(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		bool whole_seen = false;
		struct packet k;
		struct frame f;

		start(&f, 30);
		cases[i].build(&f);
		for (size_t n = 0; n <= length(&f); n++) {
			enum packet_error e =
				parse_exact(cases[i].link, f.room + f.at, n, length(&f), &k);
			bool whole = e == PACKET_OK && k.proto == cases[i].proto &&
				     k.sport == cases[i].sport && k.dport == cases[i].dport &&
				     k.tunnel_depth == cases[i].tunnels;

			assert_true(e == PACKET_OK || e == PACKET_TRUNCATED || e == PACKET_NOT_IP);
			assert_false(whole_seen && !whole);
			if (whole && n + 16 >= length(&f))
				assert_int_equal(k.ip_bytes, cases[i].ip_bytes);
			whole_seen |= whole && cases[i].sport;
			parse_exact(cases[i].link, f.room + f.at, n, n, &k);
		}
	}
}

static void test_every_byte_wrong(void **state)
{
	static const uint8_t wrong[] = { 0x00, 0xff, 0x7f, 0x80, 0x01 };

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct packet k;
		struct frame f;

		start(&f, 30);
		cases[i].build(&f);
		for (size_t at = f.at; at < sizeof(f.room) - 30; at++) {
			uint8_t kept = f.room[at];

			for (size_t j = 0; j < sizeof(wrong); j++) {
				f.room[at] = wrong[j];
				parse_exact(cases[i].link, f.room + f.at, length(&f), length(&f),
					    &k);
			}
			f.room[at] = kept;
		}
	}
}

static void test_padding_is_no_payload(void **state)
{
	static const uint8_t padding[46] = { 0 };
	struct frame f = { .at = sizeof(f.room) };
	struct packet k;
	uint8_t frame[60];

	udp(&f);
	ip4(&f, IPPROTO_UDP);
	eth(&f, 0x0800);
	memcpy(frame, f.room + f.at, 42);
	memcpy(frame + 42, padding, 18);
	assert_int_equal(packet_parse(1, (struct str){ (char *)frame, 60 }, 60, &k), PACKET_OK);
	assert_int_equal(k.ip_bytes, 28);
	assert_int_equal(k.payload_bytes, 0);
	assert_int_equal(k.payload.n, 0);
}

/* Segmentation left to the card: the headers say 0, the frame says how much. */
static void test_length_zero(void **state)
{
	struct packet k;
	struct frame f;

	start(&f, 3000);
	v4_tcp(&f);
	eth(&f, 0x0800);
	f.room[f.at + 16] = f.room[f.at + 17] = 0;
	assert_int_equal(packet_parse(1, str_sub(bytes(&f), 0, 100), (uint32_t)length(&f), &k),
			 PACKET_OK);
	assert_int_equal(k.ip_bytes, 3044);
	assert_int_equal(k.payload_bytes, 3000);
	assert_int_equal(k.payload.n, 100 - 14 - 44);
	start(&f, 2000);
	v6_udp(&f);
	f.room[f.at + 4] = f.room[f.at + 5] = 0;
	assert_int_equal(packet_parse(229, bytes(&f), (uint32_t)length(&f), &k), PACKET_OK);
	assert_int_equal(k.ip_bytes, 2048);
}

static void test_jumbo(void **state)
{
	struct packet k;
	struct frame f;

	start(&f, 100);
	FRONT(&f, HI(5000), HI(53), 0, 0, 0, 0);
	FRONT(&f, IPPROTO_UDP, 0, 0xc2, 4, 0, 1, 0x11, 0x70);
	ip6(&f, IPPROTO_HOPOPTS);
	f.room[f.at + 4] = f.room[f.at + 5] = 0;
	assert_int_equal(packet_parse(101, bytes(&f), 40 + 70000, &k), PACKET_OK);
	assert_int_equal(k.ip_bytes, 40 + 70000);
	assert_int_equal(k.payload_bytes, 70000 - 16);
	assert_int_equal(k.payload.n, 100);
}

static void test_fragments(void **state)
{
	struct packet k;
	struct frame f;

	start(&f, 30);
	udp(&f);
	ip4(&f, IPPROTO_UDP);
	f.room[f.at + 6] = 0x20;
	assert_int_equal(packet_parse(101, bytes(&f), 58, &k), PACKET_OK);
	assert_true(k.fragment && k.more_fragments);
	assert_int_equal(k.frag_offset, 0);
	assert_int_equal(k.frag_id, 1);
	assert_int_equal(k.frag_proto, IPPROTO_UDP);
	assert_int_equal(k.payload.n, 38);
	assert_int_equal(k.payload_bytes, 38);
	assert_int_equal(k.sport, 0);
	f.room[f.at + 6] = 0x1f;
	f.room[f.at + 7] = 0xff;
	assert_int_equal(packet_parse(101, bytes(&f), 58, &k), PACKET_OK);
	assert_true(k.fragment && !k.more_fragments);
	assert_int_equal(k.frag_offset, 0xfff8);

	start(&f, 40);
	FRONT(&f, IPPROTO_UDP, 0, HI(0x0101), 1, 2, 3, 4);
	ip6(&f, IPPROTO_FRAGMENT);
	assert_int_equal(packet_parse(101, bytes(&f), 88, &k), PACKET_OK);
	assert_true(k.fragment && k.more_fragments);
	assert_int_equal(k.frag_offset, 0x100);
	assert_int_equal(k.frag_id, 0x01020304);
	assert_int_equal(k.ip_bytes, 88);
	assert_int_equal(k.payload.n, 40);
}

static void test_reassembled(void **state)
{
	struct packet k = { .v6 = true, .fragment = true, .payload_bytes = 48, .ip_bytes = 500 };
	struct frame f;

	start(&f, 30);
	udp(&f);
	FRONT(&f, IPPROTO_UDP, 0, 1, 4, 0, 0, 0, 0);
	assert_int_equal(packet_parse_transport(&k, IPPROTO_DSTOPTS, bytes(&f)), PACKET_OK);
	assert_int_equal(k.proto, IPPROTO_UDP);
	assert_int_equal(k.sport, 5000);
	assert_int_equal(k.payload.n, 30);
	assert_int_equal(k.ip_bytes, 500);
	assert_false(k.fragment);
	k = (struct packet){ .payload_bytes = 4000 };
	start(&f, 30);
	tcp(&f);
	assert_int_equal(packet_parse_transport(&k, IPPROTO_TCP, bytes(&f)), PACKET_OK);
	assert_int_equal(k.payload.n, 30);
	assert_int_equal(k.payload_bytes, 4000 - 24);
}

static void test_unreadable_tunnel_is_the_flow(void **state)
{
	struct packet k;
	struct frame f;

	start(&f, 0);
	FRONT(&f, 0, 1, 8, 0, 6, 4, 0, 1); /* ARP inside */
	eth(&f, 0x0806);
	FRONT(&f, 8, 0, 0, 0, 0, 0, 42, 0);
	udp_ports(&f, 3333, 4789);
	outer4(&f, IPPROTO_UDP);
	assert_int_equal(packet_parse(101, bytes(&f), (uint32_t)length(&f), &k), PACKET_OK);
	assert_int_equal(k.tunnel_depth, 0);
	assert_int_equal(k.tunnel_id, 0);
	assert_int_equal(k.dport, 4789);
	assert_int_equal(k.ip_bytes, length(&f));
	assert_int_equal(k.payload.n, 30);
}

/* Deeper than the limit: the deepest tunnel that was entered is the flow. Tags have no such way out. */
static void test_too_deep(void **state)
{
	struct packet k;
	struct frame f;

	start(&f, 30);
	v4_tcp(&f);
	for (int i = 0; i < 20; i++)
		ip4(&f, IPPROTO_IPIP);
	assert_int_equal(packet_parse(101, bytes(&f), (uint32_t)length(&f), &k), PACKET_OK);
	assert_int_equal(k.tunnel_depth, PACKET_MAX_DEPTH);
	assert_int_equal(k.proto, IPPROTO_IPIP);
	start(&f, 30);
	v4_tcp(&f);
	FRONT(&f, 0, 1, HI(0x0800));
	for (int i = 0; i < 20; i++)
		FRONT(&f, 0, 1, HI(0x8100));
	eth(&f, 0x8100);
	assert_int_equal(packet_parse(1, bytes(&f), (uint32_t)length(&f), &k), PACKET_TOO_DEEP);
	start(&f, 30);
	udp(&f);
	for (int i = 0; i < 20; i++)
		FRONT(&f, i ? IPPROTO_DSTOPTS : IPPROTO_UDP, 0, 1, 4, 0, 0, 0, 0);
	ip6(&f, IPPROTO_DSTOPTS);
	assert_int_equal(packet_parse(101, bytes(&f), (uint32_t)length(&f), &k), PACKET_TOO_DEEP);
}

static void test_refusals(void **state)
{
	struct packet k;
	struct frame f;

	start(&f, 46);
	eth(&f, 0x0806);
	assert_int_equal(packet_parse(1, bytes(&f), 60, &k), PACKET_NOT_IP);
	start(&f, 46);
	eth(&f, 38); /* 802.2 without SNAP */
	assert_int_equal(packet_parse(1, bytes(&f), 60, &k), PACKET_NOT_IP);
	start(&f, 30);
	b_ethernet(&f);
	assert_int_equal(packet_parse(147, bytes(&f), 88, &k), PACKET_LINK_UNKNOWN);
	f.room[f.at + 14] = 0x44; /* header of 16 bytes */
	assert_int_equal(packet_parse(1, bytes(&f), 88, &k), PACKET_MALFORMED);
	f.room[f.at + 14] = 0x55; /* version 5 */
	assert_int_equal(packet_parse(1, bytes(&f), 88, &k), PACKET_MALFORMED);
	assert_int_equal(packet_parse(1, STR_NONE, 0, &k), PACKET_MALFORMED);
	assert_true(packet_link_known(1));
	assert_true(packet_link_known(276));
	assert_false(packet_link_known(147));
	assert_string_equal(packet_error_name(PACKET_TOO_DEEP), "too-deep");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_encapsulations),
		cmocka_unit_test(test_every_prefix),
		cmocka_unit_test(test_every_byte_wrong),
		cmocka_unit_test(test_padding_is_no_payload),
		cmocka_unit_test(test_length_zero),
		cmocka_unit_test(test_jumbo),
		cmocka_unit_test(test_fragments),
		cmocka_unit_test(test_reassembled),
		cmocka_unit_test(test_unreadable_tunnel_is_the_flow),
		cmocka_unit_test(test_too_deep),
		cmocka_unit_test(test_refusals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
