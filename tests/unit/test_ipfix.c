/* SPDX-License-Identifier: Apache-2.0 */
/* IPFIX: what a message says byte by byte, flows told in pieces, bounds. Real collectors: tests/e2e/ipfix.py. */
#include "test.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/time.h"
#include "decode/packet.h"
#include "flow/nat.h"
#include "flow/record.h"
#include "store/ipfix.h"
#include "store/ipfix_msg.h"

#define START_NS (1767225600 * NSEC_PER_SEC)

/* Offsets in a record of an IPv4 flow with ports, in the order of the template. */
enum {
	AT_START = 0,
	AT_END = 8,
	AT_SRC = 16,
	AT_SPORT = 24,
	AT_PROTO = 28,
	AT_OCTETS = 30,
	AT_PACKETS = 38,
	AT_FLAGS = 46,
	AT_R_OCTETS = 47,
	AT_R_PACKETS = 55,
	AT_REASON = 64,
	AT_BIFLOW = 65,
	AT_DIRECTION = 66,
	AT_IN = 67,
	AT_OUT = 71,
	AT_EVENT = 75,
	AT_ID = 76,
	AT_APP = 84
};

static uint64_t number(const void *p, size_t n)
{
	const uint8_t *b = p;
	uint64_t v = 0;

	while (n--)
		v = v << 8 | *b++;
	return v;
}

static struct flow flow_make(void)
{
	struct flow f = { .key = { .src = addr_from_v4("\x0a\x00\x00\x05"),
				   .dst = addr_from_v4("\xc0\x00\x02\x01"),
				   .sport = 40000,
				   .dport = 443,
				   .proto = IPPROTO_TCP },
			  .id = 0x123456789abcULL,
			  .start_ns = START_NS,
			  .last_ns = START_NS + 5 * NSEC_PER_SEC,
			  .direction = FLOW_EGRESS,
			  .ifindex = 3,
			  .app = APP_TLS,
			  .live = true,
			  .end = END_FIN };

	f.half[TO_SERVER] =
		(struct flow_half){ .packets = 10, .bytes = 1000, .tcp_flags = TCP_SYN | TCP_ACK };
	f.half[TO_CLIENT] =
		(struct flow_half){ .packets = 20, .bytes = 5000000000ULL, .tcp_flags = TCP_ACK };
	return f;
}

static void test_record(void **state)
{
	struct flow f = flow_make();
	struct ipfix_piece p = { .flow = &f,
				 .from_ns = f.start_ns,
				 .to_ns = f.last_ns,
				 .packets = { 10, 20 },
				 .bytes = { 1000, 5000000000ULL },
				 .ends = true };
	_cleanup_buf_ struct buf b = BUF_INIT(4096);

	ipfix_put_record(&b, &p);
	assert_int_equal(ipfix_template_of(&f), 256);
	assert_int_equal(b.n, AT_APP + 1 + 3 + 1);
	assert_int_equal(number(b.p + AT_START, 8), 1767225600000);
	assert_int_equal(number(b.p + AT_END, 8), 1767225605000);
	assert_memory_equal(b.p + AT_SRC, "\x0a\x00\x00\x05\xc0\x00\x02\x01", 8);
	assert_int_equal(number(b.p + AT_SPORT, 4), 40000U << 16 | 443);
	assert_memory_equal(b.p + AT_PROTO, "\x06\x04", 2);
	assert_int_equal(number(b.p + AT_OCTETS, 8), 1000);
	assert_int_equal(number(b.p + AT_PACKETS, 8), 10);
	assert_int_equal(b.p[AT_FLAGS], TCP_SYN | TCP_ACK);
	assert_int_equal(number(b.p + AT_R_OCTETS, 8), 5000000000ULL);
	assert_int_equal(number(b.p + AT_R_PACKETS, 8), 20);
	assert_int_equal(b.p[AT_REASON], 3);
	assert_int_equal(b.p[AT_BIFLOW], 1);
	assert_int_equal(b.p[AT_DIRECTION], 1);
	assert_int_equal(number(b.p + AT_IN, 4), 0);
	assert_int_equal(number(b.p + AT_OUT, 4), 3);
	assert_int_equal(b.p[AT_EVENT], 2);
	assert_int_equal(number(b.p + AT_ID, 8), 0x123456789abcULL);
	assert_memory_equal(b.p + AT_APP, "\x03tls\x00", 5);
}

static void test_words(void **state)
{
	static const struct {
		enum event_end end;
		int reason;
	} ends[] = { { END_TIMEOUT, 1 }, { END_FIN, 3 },      { END_RESET, 3 }, { END_CLOSED, 3 },
		     { END_FAILED, 3 },  { END_SHUTDOWN, 4 }, { END_FORCED, 5 } };
	struct flow f = flow_make();
	struct ipfix_piece p = { .flow = &f, .ends = true };
	_cleanup_buf_ struct buf b = BUF_INIT(4096);

	for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
		f.end = ends[i].end;
		buf_clear(&b);
		ipfix_put_record(&b, &p);
		assert_int_equal(b.p[AT_REASON], ends[i].reason);
	}
	p.ends = false;
	f.mid_stream = true;
	f.direction = FLOW_REPLY;
	f.verdict.refused = true;
	buf_clear(&b);
	ipfix_put_record(&b, &p);
	assert_int_equal(b.p[AT_REASON], 2);
	assert_int_equal(b.p[AT_BIFLOW], 0);
	assert_int_equal(b.p[AT_DIRECTION], 0);
	assert_int_equal(number(b.p + AT_IN, 4), 3);
	assert_int_equal(number(b.p + AT_OUT, 4), 0);
	assert_int_equal(b.p[AT_EVENT], 3);
}

static void test_templates(void **state)
{
	static const struct {
		uint16_t id, records;
		uint8_t proto;
		bool v6, nat;
	} kinds[] = { { 256, AT_APP + 2, IPPROTO_TCP, false },
		      { 257, AT_APP + 24 + 2, IPPROTO_UDP, true },
		      { 258, AT_APP - 4 + 2, IPPROTO_ICMP, false },
		      { 259, AT_APP - 4 + 24 + 2, IPPROTO_ICMPV6, true },
		      { 260, AT_APP + 2 + 12, IPPROTO_TCP, false, true },
		      { 261, AT_APP + 24 + 2 + 36, IPPROTO_UDP, true, true },
		      { 262, AT_APP - 4 + 2 + 8, IPPROTO_ICMP, false, true },
		      { 263, AT_APP - 4 + 24 + 2 + 32, IPPROTO_ICMPV6, true, true } };
	struct flow_nat nat = { 0 };
	_cleanup_buf_ struct buf b = BUF_INIT(4096), record = BUF_INIT(4096);
	struct flow f = flow_make();
	const char *at, *end;
	int n = 0;

	ipfix_put_templates(&b);
	assert_int_equal(number(b.p, 2), 2);
	assert_int_equal(number(b.p + 2, 2), b.n);
	for (at = b.p + 4, end = b.p + b.n; at < end; n++) {
		uint64_t fields = number(at + 2, 2), size = 0;

		assert_int_equal(number(at, 2), 256 + n);
		for (at += 4; fields--; at += number(at, 2) & 0x8000 ? 8 : 4)
			size += number(at + 2, 2) == 65535 ? 1 : number(at + 2, 2);
		f.key.proto = kinds[n].proto;
		f.key.src = f.key.dst = kinds[n].v6 ? (struct addr){ { 0x20, 1 } }
						    : addr_from_v4("\x0a\x00\x00\x05");
		f.app = APP_UNDECIDED;
		f.nat = kinds[n].nat ? &nat : NULL;
		buf_clear(&record);
		ipfix_put_record(&record, &(struct ipfix_piece){ .flow = &f });
		assert_int_equal(ipfix_template_of(&f), kinds[n].id);
		assert_int_equal(record.n, size);
		/* The flags of TCP are not in templates of ICMP; of its ports the type and code are left. */
		assert_int_equal(record.n, kinds[n].records);
	}
	assert_int_equal(n, 8);
}

/* "Post" is after NAT, on whichever side of it the flow is seen. */
static void test_nat(void **state)
{
	struct flow_nat nat = { .src = addr_from_v4("\xcb\x00\x71\x05"),
				.dst = addr_from_v4("\xc0\x00\x02\x01"),
				.sport = 61000,
				.dport = 443 };
	struct flow f = flow_make();
	struct ipfix_piece p = { .flow = &f };
	_cleanup_buf_ struct buf b = BUF_INIT(4096);

	f.nat = &nat;
	for (int before = 0; before < 2; before++) {
		const char *inside = "\x0a\x00\x00\x05\xc0\x00\x02\x01",
			   *outside = "\xcb\x00\x71\x05\xc0\x00\x02\x01", *post;

		nat.before = before;
		buf_clear(&b);
		ipfix_put_record(&b, &p);
		post = b.p + b.n - 12;
		assert_memory_equal(b.p + AT_SRC, before ? outside : inside, 8);
		assert_memory_equal(post, before ? inside : outside, 8);
		assert_int_equal(number(b.p + AT_SPORT, 4), (before ? 61000U : 40000U) << 16 | 443);
		assert_int_equal(number(post + 8, 4), (before ? 40000U : 61000U) << 16 | 443);
	}
}

/* What others chose: the name of a user with bytes that are no text, and one that never ends. */
static void test_hostile_names(void **state)
{
	struct {
		struct text text;
		char bytes[300];
	} name = { .text = { .n = 300 } };
	struct proc proc = { .user = &name.text };
	struct flow f = flow_make();
	_cleanup_buf_ struct buf b = BUF_INIT(4096);

	f.proc = &proc;
	memset(name.text.p, 'u', 300);
	ipfix_put_record(&b, &(struct ipfix_piece){ .flow = &f });
	assert_int_equal((uint8_t)b.p[AT_APP + 4], 128);
	assert_int_equal(b.n, AT_APP + 4 + 1 + 128);
	name.text.p[3] = (char)0xff;
	buf_clear(&b);
	ipfix_put_record(&b, &(struct ipfix_piece){ .flow = &f });
	assert_memory_equal(b.p + AT_APP + 4, "\x03uuu", 4);
	assert_int_equal(b.n, AT_APP + 4 + 1 + 3);
}

/* --- over a wire ---------------------------------------------------------------------------------------------------- */

struct wire {
	int fd;
	char to[64];
	struct sink *sink;
	uint64_t lost;
};

static void wire_make(struct wire *w)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
	socklen_t n = sizeof(in);

	w->lost = 0;
	w->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_ok(setsockopt(w->fd, SOL_SOCKET, SO_RCVTIMEO, &(struct timeval){ 5, 0 },
			     sizeof(struct timeval)));
	assert_ok(bind(w->fd, (struct sockaddr *)&in, sizeof(in)));
	assert_ok(getsockname(w->fd, (struct sockaddr *)&in, &n));
	snprintf(w->to, sizeof(w->to), "udp://127.0.0.1:%u", ntohs(in.sin_port));
	assert_ok(ipfix_sink_new(&w->sink, w->to, 9, &w->lost));
}

static void wire_done(struct wire *w)
{
	w->sink->ops->free(w->sink);
	close(w->fd);
}

static void tell(struct wire *w, struct flow *f, bool ends)
{
	w->sink->ops->put(w->sink,
			  &(struct record){ .type = RECORD_FLOW, .flow = f, .flow_ends = ends });
}

/* The next message with data; its head is looked at. */
static size_t take(struct wire *w, char *to, size_t room, uint32_t sequence)
{
	ssize_t n;

	w->sink->ops->flush(w->sink);
	do {
		n = recv(w->fd, to, room, 0);
		assert_true(n > IPFIX_HEADER + IPFIX_SET_HEADER);
		assert_int_equal(number(to, 2), 10);
		assert_int_equal(number(to + 2, 2), n);
		assert_int_equal(number(to + 12, 4), 9);
	} while (number(to + IPFIX_HEADER, 2) == 2); /* templates */
	assert_int_equal(number(to + 8, 4), sequence);
	return (size_t)n;
}

static void test_pieces(void **state)
{
	struct flow f = flow_make();
	char m[2048], *r = m + IPFIX_HEADER + IPFIX_SET_HEADER;
	struct wire w;

	wire_make(&w);
	f.end = END_NONE;
	tell(&w, &f, false);
	take(&w, m, sizeof(m), 0);
	assert_int_equal(r[AT_REASON], 2);
	assert_int_equal(number(r + AT_OCTETS, 8), 1000);

	/* Nothing moved: nothing to tell. Then more: only that, from where the last piece ended. */
	tell(&w, &f, false);
	f.half[TO_SERVER].bytes += 50;
	f.half[TO_SERVER].packets++;
	f.last_ns += NSEC_PER_SEC;
	tell(&w, &f, false);
	take(&w, m, sizeof(m), 1);
	assert_int_equal(number(r + AT_OCTETS, 8), 50);
	assert_int_equal(number(r + AT_PACKETS, 8), 1);
	assert_int_equal(number(r + AT_R_OCTETS, 8), 0);
	assert_int_equal(number(r + AT_START, 8), 1767225605000);
	assert_int_equal(number(r + AT_END, 8), 1767225606000);

	/* The end is told although nothing moved any more; the flow is forgotten then. */
	f.end = END_TIMEOUT;
	tell(&w, &f, true);
	take(&w, m, sizeof(m), 2);
	assert_int_equal(r[AT_REASON], 1);
	assert_int_equal(number(r + AT_PACKETS, 8), 0);
	tell(&w, &f, true);
	take(&w, m, sizeof(m), 3);
	assert_int_equal(number(r + AT_OCTETS, 8), 1050);
	assert_int_equal(w.lost, 0);
	wire_done(&w);
}

/* More living flows than are remembered: those without room are told when they end, as a whole. */
static void test_many_living(void **state)
{
	struct flow f = flow_make();
	char m[2048], *r = m + IPFIX_HEADER + IPFIX_SET_HEADER;
	struct wire w;

	wire_make(&w);
	for (unsigned i = 0; i < 65537; i++) {
		f.id = i;
		tell(&w, &f, false);
		if (i % 64 == 0)
			w.sink->ops->flush(w.sink);
		while (recv(w.fd, m, sizeof(m), MSG_DONTWAIT) > 0)
			;
	}
	w.sink->ops->flush(w.sink);
	while (recv(w.fd, m, sizeof(m), MSG_DONTWAIT) > 0)
		;
	f.id = 65536;
	tell(&w, &f, true);
	take(&w, m, sizeof(m), 65536);
	assert_int_equal(number(r + AT_OCTETS, 8), 1000);
	f.id = 65535;
	tell(&w, &f, true);
	take(&w, m, sizeof(m), 65537);
	assert_int_equal(number(r + AT_OCTETS, 8), 0);
	assert_int_equal(w.lost, 0);
	wire_done(&w);
}

/* Nobody takes it, the queue is full: flows are lost, and each of them is counted. */
static void test_bounds(void **state)
{
	struct flow f = flow_make();
	struct wire w = { 0 };

	snprintf(w.to, sizeof(w.to), "tcp://127.0.0.1:1");
	assert_ok(ipfix_sink_new(&w.sink, w.to, 9, &w.lost));
	for (unsigned i = 0; i < 20000; i++) {
		f.id = i;
		tell(&w, &f, true);
	}
	assert_in_range(w.lost, 20000 - (1 << 20) / (AT_APP + 5),
			20000 - (1 << 20) / 2 / (AT_APP + 5));
	w.sink->ops->free(w.sink);
	assert_int_equal(w.lost, 20000);
}

static void test_targets(void **state)
{
	assert_true(ipfix_target_ok("udp://192.0.2.1:4739"));
	assert_true(ipfix_target_ok("tcp://[2001:db8::1]:4739"));
	assert_false(ipfix_target_ok("tls://192.0.2.1:4740"));
	assert_false(ipfix_target_ok("/run/x"));
	assert_false(ipfix_target_ok("udp://collector:4739"));
	assert_false(ipfix_target_ok(""));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_record),        cmocka_unit_test(test_words),
		cmocka_unit_test(test_templates),     cmocka_unit_test(test_nat),
		cmocka_unit_test(test_hostile_names), cmocka_unit_test(test_pieces),
		cmocka_unit_test(test_many_living),   cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_targets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
