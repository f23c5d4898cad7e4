/* SPDX-License-Identifier: Apache-2.0 */
#include "replay_collect.h"

#include <zlib.h>
#include <zstd.h>

#include "base/cleanup.h"

#define MIB (1u << 20)

static const uint64_t SEC = 1000000000;

/* --- pcap ---------------------------------------------------------------------------------------------------- */

static void test_pcap_kinds(void **state)
{
	static const struct {
		uint32_t magic;
		bool big;
		uint64_t ns;
	} kinds[] = { { 0xa1b2c3d4, false, 7000 },
		      { 0xa1b2c3d4, true, 7000 },
		      { 0xa1b23c4d, false, 7 },
		      { 0xa1b23c4d, true, 7 } };

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		_cleanup_buf_ struct buf b = BUF_INIT(MIB);
		_cleanup_free_ struct collect *c = NULL;
		uint8_t frame[64];
		size_t n = udp_frame(frame, 1234, 10);

		pcap_header(&b, kinds[i].magic, 101, kinds[i].big);
		pcap_record(&b, 1700000000, 7, frame, n, n, kinds[i].big);
		pcap_record(&b, 1700000001, 7, frame, 30, n, kinds[i].big);
		c = collect_bytes(&b);
		assert_int_equal(c->n, 2);
		assert_int_equal(c->p[0].time_ns, 1700000000 * SEC + kinds[i].ns);
		assert_int_equal(c->p[0].key.sport, 1234);
		assert_int_equal(c->p[0].key.zone, 0);
		assert_int_equal(c->p[0].packet.ip_bytes, 38);
		assert_int_equal(c->p[0].packet.packets, 1);
		assert_false(c->p[0].packet.cut);
		assert_true(c->p[1].packet.cut);
		assert_int_equal(c->p[1].packet.payload_bytes, 10);
		assert_int_equal(c->p[1].packet.payload.n, 2);
		assert_int_equal(c->stats.packets, 2);
		assert_int_equal(c->stats.bytes, 76);
		assert_int_equal(c->stats.input_bytes, b.n);
		assert_int_equal(c->stats.input_total, b.n);
		assert_int_equal(c->stats.first_ns, c->p[0].time_ns);
		assert_int_equal(c->stats.last_ns, c->p[1].time_ns);
		assert_int_equal(c->stats.inputs_cut + c->stats.blocks_bad, 0);
	}
}

static void test_pcap_kuznetzov(void **state)
{
	_cleanup_buf_ struct buf b = BUF_INIT(MIB);
	_cleanup_free_ struct collect *c = NULL;
	uint8_t frame[64];
	size_t n = udp_frame(frame, 1234, 10);

	pcap_header(&b, 0xa1b2cd34, 101, false);
	for (int i = 0; i < 3; i++) {
		pcap_record(&b, 1700000000, 7, "", 0, n, false);
		b.p[b.n - 8] = (char)n;
		buf_put(&b, "\1\0\0\0\x08\0\0\0", 8);
		buf_put(&b, frame, n);
	}
	c = collect_bytes(&b);
	assert_int_equal(c->n, 3);
	assert_int_equal(c->p[2].packet.payload.n, 10);
}

/* At every length: what is whole is delivered, and that something is missing is said. */
static void test_pcap_cut(void **state)
{
	_cleanup_buf_ struct buf b = BUF_INIT(MIB);
	size_t at = 24;

	pcap_of(&b, 5, 1700000000);
	for (size_t n = 24, whole = 0; n <= b.n; n++) {
		struct buf cut = b;
		_cleanup_free_ struct collect *c = NULL;

		if (whole < 5 && n >= at + 16 + 28 + whole) {
			at += 16 + 28 + whole;
			whole++;
		}
		cut.n = n;
		c = collect_bytes(&cut);
		assert_int_equal(c->n, whole);
		assert_int_equal(c->stats.inputs_cut, n != at);
		assert_int_equal(c->stats.blocks_bad, 0);
	}
}

static void garbage_in_the_middle(int fill, size_t n_garbage)
{
	_cleanup_buf_ struct buf head = BUF_INIT(MIB), all = BUF_INIT(MIB);
	_cleanup_free_ struct collect *c = NULL;

	pcap_of(&all, 200, 1700000000);
	pcap_of(&head, 50, 1700000000);
	for (size_t i = 0; i < n_garbage; i++)
		buf_putc(&head, (char)(fill < 0 ? (int)(i * 2654435761u >> 13) : fill));
	buf_put(&head, all.p + head.n - n_garbage, all.n - head.n + n_garbage);
	c = collect_bytes(&head);
	assert_int_equal(c->n, 200);
	assert_int_equal(c->stats.blocks_bad, 1);
	assert_int_equal(c->stats.inputs_cut, 0);
	assert_int_equal(c->p[199].key.sport, 1199);
}

static void test_pcap_garbage(void **state)
{
	garbage_in_the_middle(0xff, 100);
	garbage_in_the_middle(0, 33);
	garbage_in_the_middle(0, 64);
	garbage_in_the_middle('A', 1);
	garbage_in_the_middle(-1, 5000);
	garbage_in_the_middle(-1, 300000);
}

/* A length that reaches behind the end of the file is wrong when records go on before that. */
static void test_pcap_wrong_length(void **state)
{
	_cleanup_buf_ struct buf b = BUF_INIT(MIB);
	_cleanup_free_ struct collect *c = NULL;

	pcap_of(&b, 100, 1700000000);
	b.p[24 + 8 + 1] = 0x70; /* of the first record: 28 KiB captured … */
	b.p[24 + 12 + 1] = 0x70;
	c = collect_bytes(&b);
	assert_int_equal(c->n, 99);
	assert_int_equal(c->stats.blocks_bad, 1);
	assert_int_equal(c->stats.inputs_cut, 0);
}

/* Wrong fractions and lengths larger than sent, throughout: a careless writer, not garbage. */
static void test_pcap_careless(void **state)
{
	_cleanup_buf_ struct buf b = BUF_INIT(MIB);
	_cleanup_free_ struct collect *c = NULL;
	uint8_t frame[64];
	size_t n = udp_frame(frame, 1234, 10);

	pcap_header(&b, 0xa1b2c3d4, 101, false);
	for (uint32_t i = 0; i < 20; i++)
		pcap_record(&b, 1700000000 + i * 1000000, 999999999, frame, n, n - 1, false);
	c = collect_bytes(&b);
	assert_int_equal(c->n, 20);
	assert_int_equal(c->stats.blocks_bad, 0);
}

/* --- pcapng -------------------------------------------------------------------------------------------------- */

struct ng {
	struct buf b;
	bool big;
	size_t block; /* where the open block began */
};

static void begin(struct ng *g, uint32_t type)
{
	g->block = g->b.n;
	put32(&g->b, type, g->big);
	put32(&g->b, 0, g->big);
}

static void end(struct ng *g)
{
	struct buf length = BUF_INIT(16);

	while ((g->b.n - g->block) & 3)
		buf_putc(&g->b, 0);
	put32(&length, (uint32_t)(g->b.n - g->block + 4), g->big);
	memcpy(g->b.p + g->block + 4, length.p, 4);
	buf_put(&g->b, length.p, 4);
	buf_done(&length);
}

static void section(struct ng *g)
{
	begin(g, 0x0a0d0d0a);
	put32(&g->b, 0x1a2b3c4d, g->big);
	put16(&g->b, 1, g->big);
	put16(&g->b, 0, g->big);
	put32(&g->b, UINT32_MAX, g->big);
	put32(&g->b, UINT32_MAX, g->big);
	end(g);
}

/* resolution 0: no option; offset likewise. */
static void interface(struct ng *g, uint16_t link, uint32_t snaplen, uint8_t resolution,
		      uint32_t offset)
{
	begin(g, 1);
	put16(&g->b, link, g->big);
	put16(&g->b, 0, g->big);
	put32(&g->b, snaplen, g->big);
	put16(&g->b, 2, g->big); /* if_name, to be stepped over */
	put16(&g->b, 5, g->big);
	buf_put(&g->b, "eth00\0\0", 8);
	if (resolution) {
		put16(&g->b, 9, g->big);
		put16(&g->b, 1, g->big);
		buf_putc(&g->b, (char)resolution);
		buf_put(&g->b, "\0\0", 3);
	}
	if (offset) {
		put16(&g->b, 14, g->big);
		put16(&g->b, 8, g->big);
		put32(&g->b, g->big ? 0 : offset, g->big);
		put32(&g->b, g->big ? offset : 0, g->big);
	}
	put32(&g->b, 0, g->big);
	end(g);
}

static void packet(struct ng *g, uint32_t interface, uint64_t stamp, const void *p, size_t n)
{
	begin(g, 6);
	put32(&g->b, interface, g->big);
	put32(&g->b, (uint32_t)(stamp >> 32), g->big);
	put32(&g->b, (uint32_t)stamp, g->big);
	put32(&g->b, (uint32_t)n, g->big);
	put32(&g->b, (uint32_t)n, g->big);
	buf_put(&g->b, p, n);
	end(g);
}

static void raw_packet(struct ng *g, uint32_t interface, uint64_t stamp, uint16_t sport)
{
	uint8_t frame[128];

	packet(g, interface, stamp, frame, udp_frame(frame, sport, sport % 40));
}

static void build_two_sections(struct ng *g)
{
	uint8_t frame[128] = { 0 };
	size_t n;

	section(g);
	interface(g, 101, 0, 0, 0);          /* raw, microseconds */
	interface(g, 1, 0, 9, 0);            /* Ethernet, nanoseconds */
	interface(g, 101, 0, 0x80 | 10, 0);  /* 1/1024 s */
	interface(g, 101, 0, 3, 1700000000); /* milliseconds after an offset */
	interface(g, 113, 0, 12, 0);         /* cooked, picoseconds */
	raw_packet(g, 0, 1700000000000001, 1000);
	memcpy(frame, "\1\1\1\1\1\1\2\2\2\2\2\2\x08", 14);
	n = udp_frame(frame + 14, 1001, 9);
	packet(g, 1, 1700000001000000001, frame, 14 + n);
	raw_packet(g, 2, (1700000002ull << 10) + 512, 1002);
	raw_packet(g, 3, 3004, 1003);
	memset(frame, 0, 16);
	frame[14] = 8;
	n = udp_frame(frame + 16, 1004, 9);
	packet(g, 4, 1700000004000001000ull, frame, 16 + n); /* 1.7e6 s in ps */
	begin(g, 0x80001234);                                /* nobody's block */
	buf_put(&g->b, "whatever", 8);
	end(g);
}

static void test_pcapng(void **state)
{
	for (int big = 0; big < 2; big++) {
		_cleanup_free_ struct collect *c = NULL;
		struct ng g = { BUF_INIT(MIB), big, 0 };
		uint8_t frame[128];
		size_t n;

		build_two_sections(&g);
		g.big = !big;
		section(&g);
		interface(&g, 101, 40, 0, 0);
		begin(&g, 2); /* the old packet block */
		put16(&g.b, 0, g.big);
		put16(&g.b, 7, g.big);
		put32(&g.b, (uint32_t)(1700000005000000ull >> 32), g.big);
		put32(&g.b, (uint32_t)1700000005000000ull, g.big);
		n = udp_frame(frame, 1005, 20);
		put32(&g.b, 40, g.big);
		put32(&g.b, (uint32_t)n, g.big);
		buf_put(&g.b, frame, 40);
		end(&g);
		begin(&g, 3); /* a simple one: cut by the snaplen, no time */
		put32(&g.b, (uint32_t)n, g.big);
		buf_put(&g.b, frame, 40);
		end(&g);
		raw_packet(&g, 1, 1, 1); /* no such interface in this section */
		c = collect_bytes(&g.b);
		assert_int_equal(c->n, 7);
		for (uint16_t i = 0; i < 6; i++)
			assert_int_equal(c->p[i].key.sport, 1000 + i);
		assert_int_equal(c->p[0].time_ns, 1700000000 * SEC + 1000);
		assert_int_equal(c->p[1].time_ns, 1700000001 * SEC + 1);
		assert_int_equal(c->p[2].time_ns, 1700000002 * SEC + SEC / 2);
		assert_int_equal(c->p[3].time_ns, 1700000003 * SEC + 4000000);
		assert_int_equal(c->p[4].time_ns, 1700000004000001ull);
		assert_int_equal(c->p[5].time_ns, 1700000005 * SEC);
		assert_int_equal(c->p[6].time_ns, 1700000005 * SEC);
		assert_int_equal(c->p[6].packet.payload.n, 12);
		assert_int_equal(c->p[6].packet.payload_bytes, 20);
		assert_int_equal(c->stats.blocks_bad, 1);
		assert_int_equal(c->stats.inputs_cut, 0);
		buf_done(&g.b);
	}
}

static void test_pcapng_cut(void **state)
{
	struct ng g = { BUF_INIT(MIB), false, 0 };

	section(&g);
	interface(&g, 101, 0, 0, 0);
	for (uint16_t i = 0; i < 4; i++)
		raw_packet(&g, 0, 1700000000000000 + i, 1000);
	for (size_t n = 40; n <= g.b.n; n++) {
		size_t head = 28 + 36, whole = n < head ? 0 : (n - head) / 60;
		struct buf cut = g.b;
		_cleanup_free_ struct collect *c = NULL;

		cut.n = n;
		c = collect_bytes(&cut);
		assert_int_equal(c->n, whole);
		assert_int_equal(c->stats.inputs_cut, n != head + whole * 60 && n != 28);
	}
	buf_done(&g.b);
}

static void test_pcapng_garbage(void **state)
{
	for (int fill = 0; fill < 256; fill += 85) {
		struct ng g = { BUF_INIT(MIB), false, 0 };
		_cleanup_free_ struct collect *c = NULL;

		section(&g);
		interface(&g, 101, 0, 0, 0);
		for (uint16_t i = 0; i < 50; i++)
			raw_packet(&g, 0, 1700000000000000 + i, 1000);
		for (int i = 0; i < 777; i++)
			buf_putc(&g.b, (char)fill);
		for (uint16_t i = 0; i < 50; i++)
			raw_packet(&g, 0, 1700000000000050 + i, 1000);
		c = collect_bytes(&g.b);
		assert_int_equal(c->n, 100);
		assert_int_equal(c->stats.blocks_bad, 1);
		assert_int_equal(c->stats.inputs_cut, 0);
		buf_done(&g.b);
	}
}

/* Larger than anything we hold: read over, and what comes after is found. */
static void test_pcapng_long_block(void **state)
{
	struct ng g = { BUF_INIT(8 * MIB), false, 0 };
	_cleanup_free_ struct collect *c = NULL;
	_cleanup_free_ char *zeros = calloc(1, 3 * MIB);

	assert_non_null(zeros);
	section(&g);
	interface(&g, 101, 0, 0, 0);
	begin(&g, 0x0bad);
	buf_put(&g.b, zeros, 3 * MIB);
	end(&g);
	raw_packet(&g, 0, 1700000000000000, 1000);
	c = collect_bytes(&g.b);
	assert_int_equal(c->n, 1);
	assert_int_equal(c->stats.blocks_bad, 0);
	buf_done(&g.b);
}

/* --- packed -------------------------------------------------------------------------------------------------- */

static void gzip_member(struct buf *out, const void *p, size_t n)
{
	z_stream z = { 0 };
	uLong most;

	assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
	most = deflateBound(&z, n);
	assert_non_null(buf_reserve(out, most));
	z.next_in = (Bytef *)(uintptr_t)p;
	z.avail_in = (uInt)n;
	z.next_out = (Bytef *)out->p + out->n;
	z.avail_out = (uInt)most;
	assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
	out->n += z.total_out;
	deflateEnd(&z);
}

static void zstd_frame(struct buf *out, const void *p, size_t n)
{
	size_t most = ZSTD_compressBound(n), made;

	assert_non_null(buf_reserve(out, most));
	made = ZSTD_compress(out->p + out->n, most, p, n, 3);
	assert_false(ZSTD_isError(made));
	out->n += made;
}

typedef void (*pack_fn)(struct buf *out, const void *p, size_t n);
static const pack_fn packers[] = { gzip_member, zstd_frame };

static void test_packed(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(packers); i++) {
		_cleanup_buf_ struct buf plain = BUF_INIT(MIB), packed = BUF_INIT(MIB);
		_cleanup_free_ struct collect *c = NULL;

		pcap_of(&plain, 3000, 1700000000);
		packers[i](&packed, plain.p, 1000); /* in two members, cut anywhere */
		packers[i](&packed, plain.p + 1000, plain.n - 1000);
		c = collect_bytes(&packed);
		assert_int_equal(c->n, 3000);
		assert_int_equal(c->stats.inputs_cut, 0);
		assert_int_equal(c->stats.input_bytes, packed.n);
		assert_int_equal(c->stats.input_total, packed.n);
	}
}

static void test_packed_cut(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(packers); i++) {
		_cleanup_buf_ struct buf plain = BUF_INIT(4 * MIB), packed = BUF_INIT(4 * MIB);
		_cleanup_free_ struct collect *c = NULL;

		pcap_of(&plain, 8000, 1700000000);
		for (size_t at = 0; at < plain.n; at += 100000) /* so that a part can be unpacked */
			packers[i](&packed, plain.p + at, MIN(plain.n - at, (size_t)100000));
		packed.n = packed.n * 2 / 3;
		c = collect_bytes(&packed);
		assert_true(c->n > 2000 && c->n < 8000);
		assert_int_equal(c->stats.inputs_cut, 1);
		assert_non_null(strstr(c->complaint, "compressed"));
	}
}

static void test_packed_wrong(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(packers); i++) {
		_cleanup_buf_ struct buf plain = BUF_INIT(MIB), packed = BUF_INIT(MIB);

		pcap_of(&plain, 300, 1700000000);
		packers[i](&packed, plain.p, plain.n);
		for (size_t at = 0; at < packed.n; at += 7) {
			struct collect *c;

			packed.p[at] = (char)~packed.p[at];
			c = collect_bytes(&packed);
			packed.p[at] = (char)~packed.p[at];
			free(c);
		}
	}
}

/* What comes behind the last member is ignored, as gzip itself does. */
static void test_gzip_padding(void **state)
{
	_cleanup_buf_ struct buf plain = BUF_INIT(MIB), packed = BUF_INIT(MIB);
	_cleanup_free_ struct collect *c = NULL;

	pcap_of(&plain, 30, 1700000000);
	gzip_member(&packed, plain.p, plain.n);
	for (int i = 0; i < 512; i++)
		buf_putc(&packed, 0);
	c = collect_bytes(&packed);
	assert_int_equal(c->n, 30);
	assert_int_equal(c->stats.inputs_cut, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pcap_kinds),
		cmocka_unit_test(test_pcap_kuznetzov),
		cmocka_unit_test(test_pcap_cut),
		cmocka_unit_test(test_pcap_garbage),
		cmocka_unit_test(test_pcap_wrong_length),
		cmocka_unit_test(test_pcap_careless),
		cmocka_unit_test(test_pcapng),
		cmocka_unit_test(test_pcapng_cut),
		cmocka_unit_test(test_pcapng_garbage),
		cmocka_unit_test(test_pcapng_long_block),
		cmocka_unit_test(test_packed),
		cmocka_unit_test(test_packed_cut),
		cmocka_unit_test(test_packed_wrong),
		cmocka_unit_test(test_gzip_padding),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
