/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What first payloads say, in the real kernel: the verifier takes the code, packets of every kind go through it, flights are
 * kept between packets and lost when others push them out, GSO packets are walked. And what it costs.
 */
#include "../unit/first_make.h"

#include <errno.h>
#include <linux/bpf.h>
#include <net/ethernet.h>
#include <netinet/in.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "base/cleanup.h"
#include "tests/bpf/first.skel.h"

#define PACKET_MAX 3600 /* a test run makes linear packets of a page at most */

static struct first_bpf *skel;

static int setup(void **state)
{
	int r;

	skel = first_bpf__open();
	assert_non_null(skel);
	skel->rodata->name_key = EG_NAME_KEY;
	bpf_map__set_max_entries(skel->maps.eg_ring, 4096);
	r = first_bpf__load(skel);
	if (r == -EPERM || r == -EACCES) {
		print_message("cannot load: %s\n", strerror(-r));
		exit(77);
	}
	assert_ok(r);
	return 0;
}

static int teardown(void **state)
{
	first_bpf__destroy(skel);
	return 0;
}

static struct {
	uint8_t proto;
	uint16_t dport, gso_size, gso_segs;
	uint32_t repeat, ns;
	bool mptcp; /* a mapping of MPTCP among the options */
} how;

static void be16(uint8_t *p, size_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

/* One packet with this payload of the flow `cookie`; what was seen is in skel->bss->seen. */
static void show(uint64_t cookie, uint32_t seq, struct str payload)
{
	static uint8_t frame[ETH_HLEN + 64 + PACKET_MAX];
	struct __sk_buff ctx = { .gso_segs = how.gso_segs, .gso_size = how.gso_size };
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .ctx_in = &ctx,
		    .ctx_size_in = sizeof(ctx), .repeat = how.repeat ? (int)how.repeat : 1);
	uint8_t *ip = frame + ETH_HLEN, *t = ip + 20;
	size_t head = how.proto != IPPROTO_TCP ? 8 : how.mptcp ? 44 : 20;

	assert_true(payload.n <= PACKET_MAX);
	memset(frame, 0, ETH_HLEN + 64);
	frame[12] = 8;
	ip[0] = 0x45;
	be16(ip + 2, 20 + head + payload.n);
	ip[8] = 64;
	ip[9] = how.proto;
	memcpy(ip + 12, "\x0a\x09\0\1\x0a\x09\0\2", 8);
	be16(t, 40000);
	be16(t + 2, how.dport);
	if (how.proto == IPPROTO_TCP) {
		be16(t + 4, seq >> 16);
		be16(t + 6, seq & 0xffff);
		t[12] = how.mptcp ? 0xb0 : 0x50;
		memcpy(t + 20, "\1\1\x1e\x14", 4);
		t[13] = 0x18;
	} else {
		be16(t + 4, 8 + payload.n);
	}
	memcpy(t + head, payload.p, payload.n);
	opts.data_size_in = (__u32)(ETH_HLEN + 20 + head + payload.n);
	skel->bss->cookie = cookie;
	assert_ok(bpf_prog_test_run_opts(bpf_program__fd(skel->progs.look), &opts));
	assert_int_equal(opts.retval, 1);
	how.ns = opts.duration;
}

static void use(uint8_t proto, uint16_t dport)
{
	memset(&how, 0, sizeof(how));
	how.proto = proto;
	how.dport = dport;
	skel->bss->seen.begun = 0;
}

static void forget(uint64_t cookie)
{
	static uint8_t frame[64];
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .data_size_in = sizeof(frame),
		    .repeat = 1);

	skel->bss->cookie = cookie;
	frame[12] = 8;
	frame[14] = 0x45;
	assert_ok(bpf_prog_test_run_opts(bpf_program__fd(skel->progs.forget), &opts));
}

#define assert_seen(vis, application)                               \
	do {                                                        \
		assert_int_equal(skel->bss->seen.visible, vis);     \
		assert_int_equal(skel->bss->seen.app, application); \
	} while (0)
#define assert_named(text, application)                                                        \
	do {                                                                                   \
		assert_seen(EG_VISIBLE_NAME, application);                                     \
		assert_str(((struct str){ skel->bss->seen.name, skel->bss->seen.len }), text); \
	} while (0)

static uint64_t hash_of(const char *name)
{
	uint64_t h = 0;

	for (size_t n = strlen(name); n--;)
		h = eg_name_hash_byte(h, EG_NAME_KEY, (uint8_t)name[n]);
	return h;
}

static void tls_in_pieces(void **state)
{
	struct str s = hello_for(STR("Kernel.example.com"), 1900);

	use(IPPROTO_TCP, 443);
	show(1, 1000, s);
	assert_named("kernel.example.com", EG_APP_TLS);
	assert_int_equal(skel->bss->seen.n_hash, 3);
	assert_true(skel->bss->seen.hash[0] == hash_of("kernel.example.com"));
	assert_true(skel->bss->seen.hash[1] == hash_of("example.com"));
	assert_true(skel->bss->seen.hash[2] == hash_of("com"));
	for (size_t at = 1; at < s.n; at += 97) {
		use(IPPROTO_TCP, 443);
		show(100 + at, 0xfffffff0, str_sub(s, 0, at));
		assert_int_equal(skel->bss->seen.visible, EG_VISIBLE_UNKNOWN);
		skel->bss->seen.begun = 1;
		show(100 + at, 0xfffffff0, str_sub(s, 0, at));
		assert_int_equal(skel->bss->seen.visible, EG_VISIBLE_UNKNOWN);
		show(100 + at, 0xfffffff0 + (uint32_t)at, str_sub(s, at, s.n));
		assert_named("kernel.example.com", EG_APP_TLS);
	}
	/* four pieces, the last two the wrong way round */
	use(IPPROTO_TCP, 443);
	show(7, 50, str_sub(s, 0, 1));
	skel->bss->seen.begun = 1;
	show(7, 51, str_sub(s, 1, 499));
	show(7, 50 + 1400, str_sub(s, 1400, s.n));
	assert_int_equal(skel->bss->seen.visible, EG_VISIBLE_UNKNOWN);
	show(7, 50 + 500, str_sub(s, 500, 900));
	assert_named("kernel.example.com", EG_APP_TLS);
}

static void too_large(void **state)
{
	struct str s = hello_for(STR("large.example.com"), 4050);

	use(IPPROTO_TCP, 443);
	show(1, 1, str_sub(s, 0, 2000));
	skel->bss->seen.begun = 1;
	show(1, 2001, str_sub(s, 2000, s.n));
	assert_named("large.example.com", EG_APP_TLS);
	s = hello_for(STR("large.example.com"), 4200);
	use(IPPROTO_TCP, 443);
	show(1, 1, str_sub(s, 0, 2000));
	assert_seen(EG_VISIBLE_UNREADABLE, EG_APP_TLS);
	use(IPPROTO_TCP, 443);
	show(2, 1, str_sub(s, 0, 1000));
	skel->bss->seen.begun = 1;
	show(2, 5000, str_sub(s, 0, 1000));
	assert_seen(EG_VISIBLE_UNREADABLE, EG_APP_UNKNOWN);
}

/* One of several connections of MPTCP: a hello that is not whole, or no hello, may be a part of something. */
static void several_ways(void **state)
{
	struct str s = hello_for(STR("several.example.com"), 600);

	use(IPPROTO_TCP, 443);
	how.mptcp = true;
	show(30, 1, s);
	assert_named("several.example.com", EG_APP_TLS);
	show(31, 1, str_sub(s, 0, 300));
	assert_int_equal(skel->bss->seen.visible, EG_VISIBLE_UNREADABLE);
	show(32, 1, str_sub(s, 300, s.n));
	assert_seen(EG_VISIBLE_UNREADABLE, EG_APP_UNKNOWN);
	how.mptcp = false;
	show(33, 1, str_sub(s, 300, s.n));
	assert_seen(EG_VISIBLE_NONE, EG_APP_UNKNOWN);
}

/* A flow whose beginning was pushed out of the map, or forgotten: unreadable. */
static void pushed_out(void **state)
{
	struct str s = hello_for(STR("lost.example.com"), 600);

	use(IPPROTO_TCP, 443);
	show(10, 1, str_sub(s, 0, 300));
	forget(10);
	skel->bss->seen.begun = 1;
	show(10, 301, str_sub(s, 300, s.n));
	assert_seen(EG_VISIBLE_UNREADABLE, EG_APP_UNKNOWN);
	use(IPPROTO_TCP, 443);
	show(11, 1, str_sub(s, 0, 300));
	for (uint64_t i = 0; i < 3 * bpf_map__max_entries(skel->maps.eg_flights); i++)
		show(1000 + i, 1, str_sub(s, 0, 300));
	skel->bss->seen.begun = 1;
	show(11, 301, str_sub(s, 300, s.n));
	assert_seen(EG_VISIBLE_UNREADABLE, EG_APP_UNKNOWN);
}

static void requests(void **state)
{
	struct str s = STR("GET /x HTTP/1.1\r\nAccept: */*\r\nHost: Web.example.com:80\r\n\r\n");

	use(IPPROTO_TCP, 80);
	show(20, 1, s);
	assert_named("web.example.com", EG_APP_HTTP);
	show(21, 1, str_sub(s, 0, 35));
	assert_seen(EG_VISIBLE_UNKNOWN, EG_APP_HTTP);
	skel->bss->seen.begun = 1;
	show(21, 36, str_sub(s, 35, s.n));
	assert_named("web.example.com", EG_APP_HTTP);
}

static void protocols(void **state)
{
	static const struct {
		uint8_t proto;
		uint16_t port;
		struct str bytes;
		uint8_t app;
	} cases[] = {
		{ IPPROTO_TCP, 22, STR("SSH-2.0-OpenSSH_9.2\r\n"), EG_APP_SSH },
		{ IPPROTO_TCP, 25, STR("EHLO me\r\n"), EG_APP_SMTP },
		{ IPPROTO_TCP, 143, STR("a1 LOGIN x y\r\n"), EG_APP_IMAP },
		{ IPPROTO_TCP, 6667, STR("NICK me\r\nUSER me 0 * :Me\r\n"), EG_APP_IRC },
		{ IPPROTO_TCP, 6379, STR("*1\r\n$4\r\nPING\r\n"), EG_APP_REDIS },
		{ IPPROTO_TCP, 5432, STR("\0\0\0\x08\x04\xd2\x16\x2f"), EG_APP_POSTGRES },
		{ IPPROTO_TCP, 6881,
		  STR("\x13"
		      "BitTorrent protocol\0\0\0\0\0\0\0\0"),
		  EG_APP_BITTORRENT },
		{ IPPROTO_TCP, 9999, STR("{\"hello\": 1}\r\n"), EG_APP_UNKNOWN },
		{ IPPROTO_UDP, 53,
		  STR("\x12\x34\1\0\0\1\0\0\0\0\0\0\3www\7example\4test\0\0\1\0\1"), EG_APP_DNS },
		{ IPPROTO_UDP, 1900, STR("M-SEARCH * HTTP/1.1\r\nHOST: x\r\n\r\n"), EG_APP_SSDP },
		{ IPPROTO_UDP, 3478,
		  STR("\0\1\0\0\x21\x12\xa4\x42"
		      "123456789012"),
		  EG_APP_STUN },
		{ IPPROTO_UDP, 9, STR("whatever it is"), EG_APP_UNKNOWN },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		use(cases[i].proto, cases[i].port);
		show(40 + i, 1, cases[i].bytes);
		assert_seen(EG_VISIBLE_NONE, cases[i].app);
	}
}

#define ID STR("eightoct")

static struct str keep(struct str s)
{
	static uint8_t copies[4][4096];
	static unsigned int next;
	uint8_t *to = copies[next++ % 4];

	memcpy(to, s.p, s.n);
	return (struct str){ (char *)to, s.n };
}

static void quic(void **state)
{
	for (unsigned int v = 0; v < 2; v++) {
		uint32_t version = v ? EG_QUIC_V2 : EG_QUIC_V1;
		struct str a = keep(initial(version, ID, 0, STR("q.example.com"), 0, 300));
		struct str b = keep(initial(version, ID, 1, STR("q.example.com"), 300, 9999));
		struct str evil = keep(initial(version, ID, 1, STR("e.example.com"), 0, 300));

		use(IPPROTO_UDP, 443);
		show(60 + v, 0, keep(initial(version, ID, 0, STR("one.example.com"), 0, 9999)));
		assert_named("one.example.com", EG_APP_QUIC);
		show(70 + v, 0, a);
		assert_seen(EG_VISIBLE_UNKNOWN, EG_APP_QUIC);
		skel->bss->seen.begun = 1;
		show(70 + v, 0, b);
		assert_named("q.example.com", EG_APP_QUIC);
		forget(70 + v); /* TCP's alone go */
		show(70 + v, 0, b);
		assert_named("q.example.com", EG_APP_QUIC);
		show(70 + v, 0, evil);
		assert_seen(EG_VISIBLE_UNREADABLE, EG_APP_QUIC);
		/* begun, and nothing known */
		show(80 + v, 0, a);
		assert_seen(EG_VISIBLE_UNREADABLE, EG_APP_QUIC);
		/* what is no long header says nothing */
		show(70 + v, 0, STR("\x40 short header"));
		assert_true(skel->bss->seen.same);
	}
}

static struct str join(struct str a, struct str b)
{
	static uint8_t both[PACKET_MAX];

	memcpy(both, a.p, a.n);
	memcpy(both + a.n, b.p, b.n);
	return (struct str){ (char *)both, a.n + b.n };
}

static void segments(void **state)
{
	struct str a = keep(initial(EG_QUIC_V1, ID, 0, STR("gso.example.com"), 0, 300));
	struct str b = keep(initial(EG_QUIC_V1, ID, 1, STR("gso.example.com"), 300, 9999));
	struct str evil =
		keep(initial(EG_QUIC_V1, STR("otheroct"), 0, STR("evil.example.com"), 0, 9999));
	static uint8_t many[PACKET_MAX];

	assert_int_equal(a.n, b.n);
	use(IPPROTO_UDP, 443);
	how.gso_size = (uint16_t)a.n;
	how.gso_segs = 2;
	show(90, 0, join(a, b));
	assert_named("gso.example.com", EG_APP_QUIC);
	/* two names in one packet */
	use(IPPROTO_UDP, 443);
	how.gso_size = (uint16_t)a.n;
	how.gso_segs = 2;
	a = keep(initial(EG_QUIC_V1, ID, 0, STR("good.example.com"), 0, 9999));
	show(91, 0, join(a, evil));
	assert_int_equal(skel->bss->seen.visible, EG_VISIBLE_UNREADABLE);
	/* a hello behind datagrams that say nothing */
	memset(many, 0x40, sizeof(many));
	memcpy(many + 2 * evil.n, evil.p, evil.n);
	use(IPPROTO_UDP, 443);
	skel->bss->seen.begun = 1;
	how.gso_size = (uint16_t)evil.n;
	how.gso_segs = 3;
	show(92, 0, (struct str){ (char *)many, 3 * evil.n });
	assert_false(skel->bss->seen.same);
	assert_int_equal(skel->bss->seen.visible, EG_VISIBLE_UNREADABLE);
	/* more of them than are looked into */
	memset(many, 0x80, sizeof(many));
	use(IPPROTO_UDP, 443);
	how.gso_size = 100;
	how.gso_segs = 20;
	show(93, 0, (struct str){ (char *)many, 2000 });
	assert_int_equal(skel->bss->seen.visible, EG_VISIBLE_UNREADABLE);
}

static void cost(void **state)
{
	struct str http =
		STR("GET /some/path HTTP/1.1\r\nHost: www.example.com\r\nUser-Agent: Mozilla/5.0 "
		    "(X11; Linux x86_64) "
		    "AppleWebKit/537.36\r\nAccept: "
		    "text/html,application/xhtml+xml\r\nAccept-Language: en\r\n"
		    "Accept-Encoding: gzip, deflate, br\r\nConnection: keep-alive\r\n\r\n");

	use(IPPROTO_TCP, 443);
	how.repeat = 20000;
	show(200, 1, STR("\xff\xff unknown bytes"));
	print_message("ns a packet: unknown %u", how.ns);
	show(200, 1, hello_for(STR("www.example.com"), 517));
	print_message(", TLS of 517 bytes %u", how.ns);
	show(200, 1, hello_for(STR("www.example.com"), 1900));
	print_message(", of 1900 bytes %u", how.ns);
	show(200, 1, http);
	print_message(", HTTP %u", how.ns);
	use(IPPROTO_UDP, 443);
	how.repeat = 2000;
	show(200, 1, initial(EG_QUIC_V1, ID, 0, STR("www.example.com"), 0, 9999));
	print_message(", QUIC Initial %u", how.ns);
	skel->bss->seen.begun = 1;
	show(200, 1, initial(EG_QUIC_V1, ID, 0, STR("www.example.com"), 0, 9999));
	print_message(", again %u\n", how.ns);
	assert_true(how.ns > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tls_in_pieces), cmocka_unit_test(too_large),
		cmocka_unit_test(pushed_out),    cmocka_unit_test(several_ways),
		cmocka_unit_test(requests),      cmocka_unit_test(protocols),
		cmocka_unit_test(quic),          cmocka_unit_test(segments),
		cmocka_unit_test(cost),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
