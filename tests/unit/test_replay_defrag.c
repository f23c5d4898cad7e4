/* SPDX-License-Identifier: Apache-2.0 */
#include "replay_collect.h"

#include <netinet/in.h>

#include "base/cleanup.h"
#include "decode/packet.h"
#include "replay/defrag.h"

#define SEC 1000000000ull

struct results {
	size_t n;
	struct defrag_result last;
	size_t whole, fragments;
	uint64_t bytes;
	char payload[65536];
};

static void on_datagram(void *ctx, const struct defrag_result *d)
{
	struct results *r = ctx;

	r->n++;
	r->last = *d;
	r->whole += d->whole;
	r->fragments += d->fragments;
	r->bytes += d->ip_bytes;
	if (d->packet.payload.n)
		memcpy(r->payload, d->packet.payload.p, d->packet.payload.n);
}

struct fixture {
	struct defrag *d;
	struct results r;
	uint8_t datagram[65536]; /* UDP header and bytes that tell their place */
	size_t n;
};

static struct fixture *setup(size_t payload)
{
	struct fixture *x = calloc(1, sizeof(*x));

	assert_non_null(x);
	x->n = 8 + payload;
	for (size_t i = 0; i < x->n; i++)
		x->datagram[i] = (uint8_t)(i * 7 + (i >> 8));
	memcpy(x->datagram, "\x13\x88\x00\x35", 4);
	x->datagram[4] = (uint8_t)(x->n >> 8);
	x->datagram[5] = (uint8_t)x->n;
	assert_ok(defrag_new(&x->d, (struct defrag_out){ on_datagram, &x->r }));
	return x;
}

static void teardown(struct fixture *x)
{
	defrag_free(x->d);
	free(x);
}

static struct packet fragment(const struct fixture *x, uint32_t id, size_t from, size_t n, bool v6)
{
	struct packet k = {
		.v6 = v6, .fragment = true, .frag_proto = IPPROTO_UDP, .proto = IPPROTO_UDP
	};

	k.src.b[15] = 1;
	k.dst.b[15] = 2;
	k.frag_id = id;
	k.frag_offset = (uint16_t)from;
	k.more_fragments = from + n < x->n;
	k.payload = (struct str){ (const char *)x->datagram + from, n };
	k.payload_bytes = (uint32_t)n;
	k.ip_bytes = (uint32_t)n + (v6 ? 48 : 20);
	return k;
}

static void add(struct fixture *x, uint64_t time_ns, uint32_t id, size_t from, size_t n)
{
	struct packet k = fragment(x, id, from, n, false);

	defrag_add(x->d, time_ns, 0, &k);
}

static void assert_whole(const struct fixture *x, uint32_t fragments)
{
	const struct defrag_result *d = &x->r.last;

	assert_int_equal(x->r.n, 1);
	assert_true(d->whole);
	assert_int_equal(d->error, PACKET_OK);
	assert_int_equal(d->fragments, fragments);
	assert_int_equal(d->packets, fragments);
	assert_int_equal(d->packet.sport, 5000);
	assert_int_equal(d->packet.dport, 53);
	assert_int_equal(d->packet.payload_bytes, x->n - 8);
	assert_int_equal(d->packet.payload.n, x->n - 8);
	assert_memory_equal(x->r.payload, x->datagram + 8, x->n - 8);
}

static void test_every_order(void **state)
{
	static const size_t orders[][4] = {
		{ 0, 1, 2, 3 }, { 3, 2, 1, 0 }, { 2, 0, 3, 1 }, { 1, 3, 0, 2 }
	};

	for (size_t i = 0; i < ARRAY_SIZE(orders); i++)
		for (int v6 = 0; v6 < 2; v6++) {
			struct fixture *x = setup(5000);

			for (size_t j = 0; j < 4; j++) {
				size_t from = orders[i][j] * 1480;
				struct packet k =
					fragment(x, 9, from, MIN(x->n - from, (size_t)1480), v6);

				assert_int_equal(x->r.n, 0);
				defrag_add(x->d, SEC + j, 77, &k);
			}
			assert_whole(x, 4);
			assert_int_equal(x->r.last.ip_bytes, x->n + 4 * (v6 ? 48 : 20));
			assert_int_equal(x->r.last.time_ns, SEC + 3);
			assert_int_equal(x->r.last.zone, 77);
			teardown(x);
		}
}

/* Longer than a piece of our memory, as loopback and jumbo frames have them. */
static void test_long_fragments(void **state)
{
	struct fixture *x = setup(60000);

	add(x, SEC, 1, 32768, x->n - 32768);
	add(x, SEC, 1, 0, 32768);
	assert_whole(x, 2);
	teardown(x);
}

static void test_largest(void **state)
{
	struct fixture *x = setup(65507);

	for (size_t from = 0; from < x->n; from += 1280)
		add(x, SEC, 1, from, MIN(x->n - from, (size_t)1280));
	assert_whole(x, 52);
	teardown(x);
}

static void test_copies_are_counted_only(void **state)
{
	struct fixture *x = setup(2000);

	add(x, SEC, 1, 0, 1000);
	add(x, SEC, 1, 0, 1000);
	add(x, SEC, 1, 1000, x->n - 1000);
	assert_whole(x, 3);
	assert_int_equal(x->r.last.ip_bytes, 1020 * 2 + x->n - 1000 + 20);
	teardown(x);
}

/* RFC 5722: no part of it is used, and what comes later belongs to it still. Its bytes count once. */
static void overlap(size_t from, size_t n, int change)
{
	struct fixture *x = setup(4000);
	size_t all = 1496 + 1496 + n + (x->n - 2992) + 4 * 20;

	add(x, SEC, 1, 0, 1496);
	add(x, SEC, 1, 1496, 1496);
	x->datagram[from + 3] = (uint8_t)(x->datagram[from + 3] ^ change);
	add(x, SEC, 1, from, n);
	add(x, SEC, 1, 2992, x->n - 2992);
	assert_int_equal(x->r.n, 0);
	defrag_expire(x->d, 32 * SEC);
	assert_int_equal(x->r.n, 1);
	assert_false(x->r.last.whole);
	assert_true(x->r.last.head);
	assert_int_equal(x->r.last.packet.sport, 5000);
	assert_int_equal(x->r.last.packet.payload.n, 0);
	assert_int_equal(x->r.last.fragments, 4);
	assert_int_equal(x->r.last.ip_bytes, all);
	teardown(x);
}

static void test_overlaps(void **state)
{
	overlap(800, 1000, 0);
	overlap(0, 1496, 1); /* the same place, other bytes */
	overlap(0, 1488, 0);
	overlap(1488, 16, 0);
	overlap(1496, 8, 0);
	overlap(0, 3000, 0);
}

static void test_ends_that_disagree(void **state)
{
	struct fixture *x = setup(3000);
	struct packet k;

	add(x, SEC, 1, 0, 1000);
	k = fragment(x, 1, 1000, 800, false);
	k.more_fragments = false;
	defrag_add(x->d, SEC, 0, &k); /* ends at 1800 … */
	k = fragment(x, 2, 0, 1000, false);
	defrag_add(x->d, SEC, 0, &k);
	k = fragment(x, 2, 2000, 800, false);
	k.more_fragments = true;
	defrag_add(x->d, SEC, 0, &k);
	k = fragment(x, 2, 1000, 800, false);
	k.more_fragments = false; /* … before what is there already */
	defrag_add(x->d, SEC, 0, &k);
	assert_int_equal(x->r.n, 1);
	assert_int_equal(x->r.whole, 1);
	k = fragment(x, 3, 0, 1001, false); /* not a multiple of 8 */
	defrag_add(x->d, SEC, 0, &k);
	k = fragment(x, 4, 65528, 8, false); /* longer than can be */
	k.payload_bytes = 100;
	defrag_add(x->d, SEC, 0, &k);
	defrag_flush(x->d);
	assert_int_equal(x->r.n, 4);
	assert_int_equal(x->r.whole, 1);
	teardown(x);
}

static void test_pieces_missing(void **state)
{
	struct fixture *x = setup(3000);

	add(x, SEC, 1, 1000, 1000);
	add(x, SEC, 1, 2000, x->n - 2000);
	defrag_expire(x->d, 31 * SEC);
	assert_int_equal(x->r.n, 0);
	defrag_expire(x->d, 31 * SEC + 1);
	assert_int_equal(x->r.n, 1);
	assert_false(x->r.last.whole);
	assert_false(x->r.last.head);
	assert_int_equal(x->r.last.packet.sport, 0);
	assert_int_equal(x->r.last.ip_bytes, x->n - 1000 + 40);
	add(x, 40 * SEC, 1, 0, 1000); /* a new datagram now */
	defrag_flush(x->d);
	assert_int_equal(x->r.n, 2);
	assert_true(x->r.last.head);
	assert_int_equal(x->r.last.fragments, 1);
	teardown(x);
}

/* Captured with a snaplen: what is whole of the front is given, the length is as sent. */
static void test_captured_in_part(void **state)
{
	struct fixture *x = setup(3000);
	struct packet k = fragment(x, 1, 0, 1496, false);

	k.payload.n = 100;
	defrag_add(x->d, SEC, 0, &k);
	add(x, SEC, 1, 1496, x->n - 1496);
	assert_int_equal(x->r.n, 1);
	assert_true(x->r.last.whole);
	assert_int_equal(x->r.last.packet.payload.n, 92);
	assert_int_equal(x->r.last.packet.payload_bytes, 3000);
	teardown(x);
}

/* Same addresses and id, but another zone, protocol (IPv4 only) or family. */
static void test_not_mixed_up(void **state)
{
	struct fixture *x = setup(2000);
	struct packet k = fragment(x, 1, 1000, x->n - 1000, false);

	add(x, SEC, 1, 0, 1000);
	defrag_add(x->d, SEC, 1, &k);
	k.frag_proto = IPPROTO_TCP;
	defrag_add(x->d, SEC, 0, &k);
	assert_int_equal(x->r.n, 0);
	k.frag_proto = IPPROTO_UDP;
	defrag_add(x->d, SEC, 0, &k);
	assert_whole(x, 2);
	teardown(x);
}

/* Far more datagrams, pieces and fragments than fit: all end in a result, and memory stays what it is. */
static void test_flood(void **state)
{
	struct fixture *x = setup(60000);
	size_t fragments = 0;
	uint64_t bytes = 0;

	for (uint32_t id = 0; id < 5000; id++)
		for (size_t i = 0; i < 4; i++) {
			add(x, SEC + id, id, i * 8, 8);
			fragments++;
			bytes += 28;
		}
	for (uint32_t id = 10000; id < 10020; id++)
		for (size_t i = 0; i < 1000; i++) {
			add(x, 2 * SEC, id, i * 16, 8);
			fragments++;
			bytes += 28;
		}
	for (uint32_t id = 20000; id < 20100; id++) {
		add(x, 3 * SEC, id, 0, 50000);
		fragments++;
		bytes += 50020;
	}
	defrag_flush(x->d);
	assert_int_equal(x->r.whole, 0);
	assert_int_equal(x->r.fragments, fragments);
	assert_int_equal(x->r.bytes, bytes);
	teardown(x);
}

/* --- through the whole of replay ------------------------------------------------------------------------------ */

static size_t ip_fragment(uint8_t *out, uint8_t proto, uint16_t id, const uint8_t *p, size_t from,
			  size_t n, bool more)
{
	size_t length = 20 + n, place = from / 8 | (more ? 0x2000 : 0);
	const uint8_t head[20] = { 0x45,
				   0,
				   (uint8_t)(length >> 8),
				   (uint8_t)length,
				   (uint8_t)(id >> 8),
				   (uint8_t)id,
				   (uint8_t)(place >> 8),
				   (uint8_t)place,
				   64,
				   proto,
				   0,
				   0,
				   10,
				   9,
				   9,
				   1,
				   10,
				   9,
				   9,
				   2 };

	memcpy(out, head, sizeof(head));
	memcpy(out + 20, p + from, n);
	return length;
}

static void put_fragment(struct buf *b, uint32_t sec, uint8_t proto, uint16_t id, const uint8_t *p,
			 size_t from, size_t n, bool more)
{
	uint8_t frame[4096];
	size_t length = ip_fragment(frame, proto, id, p, from, n, more);

	pcap_record(b, sec, 0, frame, length, length, false);
}

static void test_replay_of_fragments(void **state)
{
	_cleanup_buf_ struct buf b = BUF_INIT(1u << 20);
	_cleanup_free_ struct collect *c = NULL;
	uint8_t datagram[2048];
	size_t n = udp_frame(datagram, 4242, 1500) - 20; /* only the UDP part is used */

	pcap_header(&b, 0xa1b2c3d4, 101, false);
	put_fragment(&b, 100, 17, 1, datagram + 20, 0, 800, true);
	put_fragment(&b, 101, 17, 1, datagram + 20, 800, n - 800, false);
	put_fragment(&b, 102, 17, 2, datagram + 20, 0, 800, true); /* never completed */
	put_fragment(&b, 103, 17, 3, datagram + 20, 800, 8, true); /* nor is its head known */
	put_fragment(&b, 200, 17, 4, datagram + 20, 0, 800, true);
	c = collect_bytes(&b);
	assert_int_equal(c->stats.fragments, 5);
	assert_int_equal(c->stats.fragments_lost, 3);
	assert_int_equal(c->n_loss, 3);
	assert_int_equal(c->lost, 3);
	assert_int_equal(c->unreported_packets, 1);
	assert_int_equal(c->unreported_bytes, 28);
	assert_int_equal(c->n, 3);
	assert_int_equal(c->p[0].packet.packets, 2);
	assert_int_equal(c->p[0].packet.ip_bytes, n + 40);
	assert_int_equal(c->p[0].packet.payload.n, 1500);
	assert_int_equal(c->p[0].key.sport, 4242);
	assert_false(c->p[0].packet.cut);
	assert_int_equal(c->p[1].packet.packets, 1);
	assert_int_equal(c->p[1].packet.ip_bytes, 820);
	assert_int_equal(c->p[1].key.sport, 4242);
	assert_true(c->p[1].packet.cut);
	assert_int_equal(c->sum_bytes + c->unreported_bytes, n + 40 + 820 + 820 + 28);
}

/* A tunnel in fragments: the packet inside is the flow, counted as the one packet it is. */
static void test_replay_of_a_tunnel_in_fragments(void **state)
{
	_cleanup_buf_ struct buf b = BUF_INIT(1u << 20);
	_cleanup_free_ struct collect *c = NULL;
	uint8_t inner[2048];
	size_t n = udp_frame(inner, 4242, 1500);

	pcap_header(&b, 0xa1b2c3d4, 101, false);
	put_fragment(&b, 100, 4, 1, inner, 800, n - 800, false);
	put_fragment(&b, 101, 4, 1, inner, 0, 800, true);
	c = collect_bytes(&b);
	assert_int_equal(c->n, 1);
	assert_int_equal(c->p[0].packet.packets, 1);
	assert_int_equal(c->p[0].packet.ip_bytes, n);
	assert_int_equal(c->p[0].key.sport, 4242);
	assert_int_equal(c->p[0].key.src.b[15], 1);
	assert_int_equal(c->p[0].packet.payload.n, 1500);
}

/* Fragments in a tunnel that is itself in fragments. */
static void test_replay_of_both(void **state)
{
	_cleanup_buf_ struct buf b = BUF_INIT(1u << 20);
	_cleanup_free_ struct collect *c = NULL;
	uint8_t datagram[2048], inner[2048];
	size_t n = udp_frame(datagram, 4242, 1500) - 20, length;

	pcap_header(&b, 0xa1b2c3d4, 101, false);
	for (uint16_t i = 0; i < 2; i++) {
		length = ip_fragment(inner, 17, 7, datagram + 20, i ? 800 : 0, i ? n - 800 : 800,
				     !i);
		put_fragment(&b, 100, 4, i, inner, 0, 400, true);
		put_fragment(&b, 100, 4, i, inner, 400, length - 400, false);
	}
	c = collect_bytes(&b);
	assert_int_equal(c->n, 1);
	assert_int_equal(c->p[0].key.sport, 4242);
	assert_int_equal(c->p[0].packet.payload.n, 1500);
	assert_int_equal(c->p[0].packet.packets, 2);
	assert_int_equal(c->p[0].packet.ip_bytes, n + 40);
	assert_int_equal(c->stats.fragments_lost, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_order),
		cmocka_unit_test(test_long_fragments),
		cmocka_unit_test(test_largest),
		cmocka_unit_test(test_copies_are_counted_only),
		cmocka_unit_test(test_overlaps),
		cmocka_unit_test(test_ends_that_disagree),
		cmocka_unit_test(test_pieces_missing),
		cmocka_unit_test(test_captured_in_part),
		cmocka_unit_test(test_not_mixed_up),
		cmocka_unit_test(test_flood),
		cmocka_unit_test(test_replay_of_fragments),
		cmocka_unit_test(test_replay_of_a_tunnel_in_fragments),
		cmocka_unit_test(test_replay_of_both),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
