/* SPDX-License-Identifier: Apache-2.0 */
/* UDP, ping and raw sockets, live: peers, fragments, segments, names from DNS answers. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/ip.h>
#include <netinet/ip_icmp.h>
#include <netinet/udp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "bpf/abi.h"
#include "decode/packet.h"
#include "tests/bpf/live.h"

#define PORT 4000

static int server(struct live *l, int family, uint16_t port)
{
	int fd = live_socket(l, THERE, family, SOCK_DGRAM, 0);

	live_bind(fd, THERE, family, port);
	return fd;
}

static void to(int fd, enum live_end end, int family, uint16_t port, const void *p, size_t n)
{
	socklen_t len;
	struct sockaddr_storage a = live_addr(end, family, port, &len);

	assert_int_equal(sendto(fd, p, n, 0, (struct sockaddr *)&a, len), n);
}

/* Takes one datagram and sends it back. */
static void echo(int fd)
{
	static char buf[65536];
	struct sockaddr_storage from;
	socklen_t len = sizeof(from);
	ssize_t n = recvfrom(fd, buf, sizeof(buf), 0, (struct sockaddr *)&from, &len);

	assert_true(n >= 0);
	assert_int_equal(sendto(fd, buf, n, 0, (struct sockaddr *)&from, len), n);
}

static void take(int fd)
{
	static char buf[65536];

	assert_true(recv(fd, buf, sizeof(buf), 0) >= 0);
}

static void test_connected(void **state)
{
	static const int families[] = { AF_INET, AF_INET6 };
	struct live *l = *state;

	for (size_t i = 0; i < 2; i++) {
		int s = server(l, families[i], PORT),
		    c = live_socket(l, HERE, families[i], SOCK_DGRAM, 0);
		struct live_flow *f;
		uint16_t port;

		live_begin(state);
		assert_ok(live_connect(c, THERE, families[i], PORT));
		port = live_port(c);
		for (int n = 0; n < 20; n++) {
			assert_int_equal(send(c, "twenty of these", 15, 0), 15);
			echo(s);
			take(c);
		}
		close(c);
		close(s);
		live_collect(l);
		f = live_find(l, IPPROTO_UDP, port, PORT);
		assert_int_equal(f->opened, 1);
		assert_int_equal(f->closed, 1);
		assert_int_equal(f->end, END_CLOSED);
		assert_int_equal(f->open.pid, getpid());
		assert_int_equal(f->counts.tx_packets, 20);
		assert_int_equal(f->counts.tx_payload, 300);
		assert_int_equal(f->counts.rx_payload, 300);
		assert_int_equal(f->n_chunks[0], 8); /* as the offline reader */
		assert_int_equal(f->n_chunks[1], 4);
		assert_as_on_wire(l, f);
	}
}

static void test_mapped(void **state)
{
	struct live *l = *state;
	int s = server(l, AF_INET, PORT), c = live_socket(l, HERE, AF_INET6, SOCK_DGRAM, 0);
	socklen_t len;
	struct sockaddr_storage a = live_mapped(THERE, PORT, &len);
	struct live_flow *f;

	assert_int_equal(sendto(c, "x", 1, 0, (struct sockaddr *)&a, len), 1);
	echo(s);
	take(c);
	close(c);
	close(s);
	live_collect(l);
	f = live_find(l, IPPROTO_UDP, 0, PORT);
	assert_true(addr_is_v4(&f->key.dst) && addr_is_v4(&f->key.src));
	assert_int_equal(f->closed, 1);
	assert_as_on_wire(l, f);
}

/* One socket, several peers, one after the other and mixed. */
static void test_several_peers(void **state)
{
	struct live *l = *state;
	int s[5], c = live_socket(l, HERE, AF_INET, SOCK_DGRAM, 0);

	for (int i = 0; i < 5; i++)
		s[i] = server(l, AF_INET, PORT + i);
	for (int n = 0; n < 12; n++)
		for (int i = 0; i < 5; i++) {
			to(c, THERE, AF_INET, PORT + i, "0123456789", 10 - i);
			echo(s[i]);
			take(c);
		}
	close(c);
	live_collect(l);
	for (int i = 0; i < 5; i++) {
		struct live_flow *f = live_find(l, IPPROTO_UDP, 0, PORT + i);

		assert_int_equal(f->closed, 1);
		assert_int_equal(f->open.pid, getpid());
		assert_int_equal(f->counts.tx_packets, 12);
		assert_int_equal(f->counts.tx_payload, 12 * (10 - i));
		assert_as_on_wire(l, f);
		close(s[i]);
	}
	assert_int_equal(l->lost[LOSS_MAP_FLOWS], 0);
}

/* A connected socket may send elsewhere all the same: that is another flow. */
static void test_sendto_elsewhere(void **state)
{
	struct live *l = *state;
	int a = server(l, AF_INET, PORT), b = server(l, AF_INET, PORT + 1);
	int c = live_socket(l, HERE, AF_INET, SOCK_DGRAM, 0);

	assert_ok(live_connect(c, THERE, AF_INET, PORT));
	for (int i = 0; i < 12; i++) {
		assert_int_equal(send(c, "one", 3, 0), 3);
		to(c, THERE, AF_INET, PORT + 1, "other", 5);
	}
	close(c);
	live_collect(l);
	assert_as_on_wire(l, live_find(l, IPPROTO_UDP, 0, PORT));
	assert_as_on_wire(l, live_find(l, IPPROTO_UDP, 0, PORT + 1));
	assert_int_equal(live_find(l, IPPROTO_UDP, 0, PORT + 1)->counts.tx_packets, 12);
	close(a);
	close(b);
}

/* connect() to another peer ends the first flow. */
static void test_reconnected(void **state)
{
	struct live *l = *state;
	int a = server(l, AF_INET, PORT), b = server(l, AF_INET, PORT + 1);
	int c = live_socket(l, HERE, AF_INET, SOCK_DGRAM, 0);
	struct live_flow *f;

	assert_ok(live_connect(c, THERE, AF_INET, PORT));
	assert_int_equal(send(c, "one", 3, 0), 3);
	assert_ok(live_connect(c, THERE, AF_INET, PORT + 1));
	live_collect(l);
	f = live_find(l, IPPROTO_UDP, 0, PORT);
	assert_int_equal(f->closed, 1);
	assert_int_equal(send(c, "two!", 4, 0), 4);
	echo(b);
	take(c);
	close(c);
	live_collect(l);
	f = live_find(l, IPPROTO_UDP, 0, PORT + 1);
	assert_int_equal(f->closed, 1);
	assert_int_equal(f->counts.tx_payload, 4);
	assert_as_on_wire(l, f);
	close(a);
	close(b);
}

/* More peers than there is room for: the bytes are in the totals of what was not reported. */
static void test_too_many_peers(void **state)
{
	struct live *l = *state;
	int s = server(l, AF_INET, PORT), c = live_socket(l, HERE, AF_INET, SOCK_DGRAM, 0);
	uint64_t packets = 0, bytes = 0;

	for (int i = 0; i < 600; i++)
		to(c, THERE, AF_INET, PORT + i, "flood", 5);
	close(c);
	close(s);
	live_collect(l);
	for (size_t i = 0; i < l->n_flows; i++)
		if (l->flows[i].key.proto == IPPROTO_UDP) {
			packets += l->flows[i].counts.tx_packets;
			bytes += l->flows[i].counts.tx_bytes;
		}
	assert_true(l->lost[LOSS_MAP_FLOWS] > 0);
	assert_int_equal(packets + l->unreported.tx_packets, 600);
	assert_int_equal(bytes + l->unreported.tx_bytes, 600 * 33);
}

static void test_fragments(void **state)
{
	static const int families[] = { AF_INET, AF_INET6 };
	static char block[9000];
	struct live *l = *state;

	for (size_t i = 0; i < 2; i++) {
		int s = server(l, families[i], PORT),
		    c = live_socket(l, HERE, families[i], SOCK_DGRAM, 0);
		struct live_flow *f;
		uint16_t port;

		live_begin(state);
		assert_ok(live_connect(c, THERE, families[i], PORT));
		port = live_port(c);
		for (int n = 0; n < 10; n++) {
			assert_int_equal(send(c, block, sizeof(block), 0), sizeof(block));
			echo(s);
			take(c);
		}
		close(c);
		close(s);
		live_collect(l);
		f = live_find(l, IPPROTO_UDP, port, PORT);
		assert_int_equal(f->counts.tx_packets, 70);
		assert_int_equal(f->counts.tx_payload, 90000);
		assert_int_equal(f->counts.rx_payload, 90000);
		assert_as_on_wire(l, f);
	}
}

static void segments(struct live *l)
{
	static char block[10000];
	int s = server(l, AF_INET, PORT), c = live_socket(l, HERE, AF_INET, SOCK_DGRAM, 0),
	    size = 1000;
	struct live_flow *f;

	assert_ok(setsockopt(c, IPPROTO_UDP, UDP_SEGMENT, &size, sizeof(size)));
	assert_ok(live_connect(c, THERE, AF_INET, PORT));
	for (int i = 0; i < 10; i++)
		assert_int_equal(send(c, block, sizeof(block), 0), sizeof(block));
	close(c);
	close(s);
	live_collect(l);
	f = live_find(l, IPPROTO_UDP, 0, PORT);
	assert_as_on_wire(l, f);
}

static void test_segments(void **state)
{
	struct live *l = *state;

	segments(l);
	live_begin(state);
	live_enter(l, HERE);
	live_offload(false);
	segments(l);
	live_enter(l, HERE);
	live_offload(true);
	live_leave(l);
}

/* A server of our own: who bound it owns what comes in; the first packet says that the other side began. */
static void test_inbound(void **state)
{
	struct live *l = *state;
	int s = live_socket(l, HERE, AF_INET, SOCK_DGRAM, 0),
	    c = live_socket(l, THERE, AF_INET, SOCK_DGRAM, 0);
	struct sockaddr_in any = { .sin_family = AF_INET, .sin_port = htons(PORT) };
	struct live_flow *f;

	assert_ok(bind(s, (struct sockaddr *)&any, sizeof(any)));
	for (int i = 0; i < 12; i++) {
		to(c, HERE, AF_INET, PORT, "ask", 3);
		echo(s);
		take(c);
	}
	close(s);
	close(c);
	live_collect(l);
	f = live_find(l, IPPROTO_UDP, PORT, 0);
	assert_true(f->open.inbound);
	assert_int_equal(f->open.pid, getpid());
	assert_int_equal(f->n_chunks[0], 4);
	assert_int_equal(f->n_chunks[1], 8);
	assert_as_on_wire(l, f);
}

static void ping(struct live *l, int type)
{
	struct icmphdr echo_request = { .type = ICMP_ECHO,
					.un.echo.id = htons(77),
					.un.echo.sequence = htons(1) };
	int c = live_socket(l, HERE, AF_INET, type, IPPROTO_ICMP);
	struct live_flow *f;
	uint32_t sum = 0;

	/* a ping socket fills in the sum itself */
	for (size_t i = 0; i < sizeof(echo_request) / 2; i++)
		sum += ((uint16_t *)&echo_request)[i];
	echo_request.checksum = ~(sum + (sum >> 16));
	for (int i = 0; i < 3; i++) {
		to(c, THERE, AF_INET, 0, &echo_request, sizeof(echo_request));
		take(c);
	}
	close(c);
	live_collect(l);
	f = live_find(l, IPPROTO_ICMP, 8, 0);
	assert_int_equal(f->key.sport, 8);
	assert_int_equal(f->key.dport, 0);
	assert_int_equal(f->counts.tx_packets, 3);
	assert_int_equal(f->counts.rx_packets, 3);
	assert_int_equal(f->closed, 1);
	assert_int_equal(f->open.pid, getpid());
	/* the messages themselves, too */
	for (int rx = 0; rx < 2; rx++) {
		assert_int_equal(f->n_chunks[rx], 3);
		assert_int_equal(f->n_bytes[rx], 3 * sizeof(echo_request));
		assert_int_equal(f->bytes[rx][0], rx ? ICMP_ECHOREPLY : ICMP_ECHO);
		assert_memory_equal(f->bytes[rx] + 6, "\0\1", 2);
	}
	assert_as_on_wire(l, f);
}

/* Of many and large ones the first are handed on, and of those the beginning; all are counted. */
static void test_ping_many(void **state)
{
	struct live *l = *state;
	struct {
		struct icmphdr h;
		char data[1000];
	} m = { .h = { .type = ICMP_ECHO } };
	int c = live_socket(l, HERE, AF_INET, SOCK_DGRAM, IPPROTO_ICMP);
	struct live_flow *f;

	for (int i = 0; i < EG_ECHO_MAX + 20; i++) {
		m.h.un.echo.sequence = htons(i);
		to(c, THERE, AF_INET, 0, &m, sizeof(m));
		take(c);
	}
	close(c);
	live_collect(l);
	f = live_find(l, IPPROTO_ICMP, 8, 0);
	assert_int_equal(f->counts.tx_packets, EG_ECHO_MAX + 20);
	assert_int_equal(f->counts.rx_packets, EG_ECHO_MAX + 20);
	assert_int_equal(f->n_chunks[0], EG_ECHO_MAX);
	assert_int_equal(f->n_chunks[1], EG_ECHO_MAX - 1);
	assert_int_equal(f->n_bytes[0], EG_ECHO_MAX * EG_ECHO_BYTES_MAX);
	assert_as_on_wire(l, f);
}

static void test_ping_socket(void **state)
{
	struct live *l = *state;

	live_enter(l, HERE);
	live_tool((const char *const[]){ "sysctl", "-qw", "net.ipv4.ping_group_range=0 0", NULL });
	live_leave(l);
	ping(l, SOCK_DGRAM);
}

static void test_ping_raw(void **state)
{
	ping(*state, SOCK_RAW);
}

/* A raw socket that listens gets copies of other sockets' packets: they are not its own. */
static void test_raw_copies(void **state)
{
	struct live *l = *state;
	int sniffer = live_socket(l, HERE, AF_INET, SOCK_RAW, IPPROTO_UDP);
	int s = server(l, AF_INET, PORT), c = live_socket(l, HERE, AF_INET, SOCK_DGRAM, 0);
	size_t flows = 0;

	assert_ok(live_connect(c, THERE, AF_INET, PORT));
	assert_int_equal(send(c, "mine", 4, 0), 4);
	echo(s);
	take(c);
	take(sniffer);
	close(sniffer);
	close(c);
	close(s);
	live_collect(l);
	for (size_t i = 0; i < l->n_flows; i++)
		flows += l->flows[i].key.proto == IPPROTO_UDP;
	assert_int_equal(flows, 1);
	assert_as_on_wire(l, live_find(l, IPPROTO_UDP, 0, PORT));
}

/* A whole IP packet by hand (IP_HDRINCL): the flow is what the packet says. */
static void test_raw_header(void **state)
{
	struct live *l = *state;
	int c = live_socket(l, HERE, AF_INET, SOCK_RAW, IPPROTO_RAW);
	struct {
		struct iphdr ip;
		struct udphdr udp;
		char text[4];
	} p = {
		.ip = { .version = 4, .ihl = 5, .ttl = 64, .protocol = IPPROTO_UDP },
		.udp = { .source = htons(1234), .dest = htons(4321), .len = htons(12) },
	};
	struct live_flow *f;

	p.ip.daddr = inet_addr("10.99.0.2");
	to(c, THERE, AF_INET, 0, &p, sizeof(p));
	close(c);
	live_collect(l);
	f = live_find(l, IPPROTO_UDP, 1234, 4321);
	assert_int_equal(f->counts.tx_packets, 1);
	assert_int_equal(f->open.pid, getpid());
	assert_as_on_wire(l, f);
}

/* A protocol of nobody else: what comes in is the raw socket's. */
static void test_raw_protocol(void **state)
{
	struct live *l = *state;
	int c = live_socket(l, HERE, AF_INET, SOCK_RAW, 253),
	    s = live_socket(l, THERE, AF_INET, SOCK_RAW, 253);
	struct live_flow *f;

	to(s, HERE, AF_INET, 0, "hello", 5);
	take(c);
	to(c, THERE, AF_INET, 0, "back", 4);
	close(c);
	close(s);
	live_collect(l);
	f = live_find(l, 253, 0, 0);
	assert_true(f->open.inbound);
	assert_as_on_wire(l, f);
}

/* The answer that is on its way in names the flow that follows, alias and all. */
static void test_names(void **state)
{
	static const char answer[] =
		"\x12\x34\x81\x80\x00\x01\x00\x02\x00\x00\x00\x00"
		"\x03WWW\x04name\x04test\x00\x00\x01\x00\x01"
		"\xc0\x0c\x00\x05\x00\x01\x00\x00\x00\x05\x00\x06\x03"
		"cdn\xc0\x10"
		"\xc0\x2b\x00\x01\x00\x01\x00\x00\x00\x05\x00\x04\x0a\x63\x00\x02";
	struct live *l = *state;
	int s = server(l, AF_INET, 53), c = live_socket(l, HERE, AF_INET, SOCK_DGRAM, 0);
	int listener = live_listen(l, THERE, AF_INET, PORT), t;
	struct sockaddr_storage from;
	socklen_t len = sizeof(from);
	struct live_flow *f;
	char buf[64];

	to(c, THERE, AF_INET, 53, "question", 8);
	assert_int_equal(recvfrom(s, buf, sizeof(buf), 0, (struct sockaddr *)&from, &len), 8);
	assert_int_equal(sendto(s, answer, sizeof(answer) - 1, 0, (struct sockaddr *)&from, len),
			 sizeof(answer) - 1);
	take(c);
	t = live_socket(l, HERE, AF_INET, SOCK_STREAM, 0);
	assert_ok(live_connect(t, THERE, AF_INET, PORT));
	close(t);
	close(c);
	close(s);
	close(listener);
	live_collect(l);
	f = live_find(l, IPPROTO_TCP, 0, PORT);
	assert_int_equal(f->open.n_names, 1);
	assert_string_equal(f->names[0], "www.name.test");
	f = live_find(l, IPPROTO_UDP, 0, 53);
	assert_int_equal(f->n_bytes[1], sizeof(answer) - 1);
	assert_memory_equal(f->bytes[1], answer, sizeof(answer) - 1);
	assert_as_on_wire(l, f);
}

/* A header that says there is more than there is: of no flow, but counted, to the byte. */
static void test_raw_unreadable(void **state)
{
	struct live *l = *state;
	int c = live_socket(l, HERE, AF_INET6, SOCK_RAW, IPPROTO_RAW);
	socklen_t len;
	struct sockaddr_storage a = live_addr(THERE, AF_INET6, 0, &len);
	uint8_t packet[42] = {
		0x60, 0, 0, 0, 0, 2, 0 /* hop-by-hop options, and only two bytes of them */, 64
	};
	const struct in6_addr *there = &((struct sockaddr_in6 *)&a)->sin6_addr;

	assert_int_equal(inet_pton(AF_INET6, "fd99::1", packet + 8), 1);
	memcpy(packet + 24, there, sizeof(*there));
	assert_int_equal(sendto(c, packet, sizeof(packet), 0, (struct sockaddr *)&a, len),
			 sizeof(packet));
	close(c);
	live_collect(l);
	assert_int_equal(l->lost[LOSS_PACKET_UNREAD], 1);
	assert_int_equal(l->unreported.tx_packets, 1);
	assert_int_equal(l->unreported.tx_bytes, sizeof(packet));
}

int main(void)
{
#define LIVE_TEST(f) cmocka_unit_test_setup(f, live_begin)
	const struct CMUnitTest tests[] = {
		LIVE_TEST(test_connected),     LIVE_TEST(test_mapped),
		LIVE_TEST(test_several_peers), LIVE_TEST(test_sendto_elsewhere),
		LIVE_TEST(test_reconnected),   LIVE_TEST(test_too_many_peers),
		LIVE_TEST(test_fragments),     LIVE_TEST(test_segments),
		LIVE_TEST(test_inbound),       LIVE_TEST(test_ping_socket),
		LIVE_TEST(test_ping_raw),      LIVE_TEST(test_ping_many),
		LIVE_TEST(test_raw_copies),    LIVE_TEST(test_raw_header),
		LIVE_TEST(test_raw_protocol),  LIVE_TEST(test_raw_unreadable),
		LIVE_TEST(test_names),
	};

	return cmocka_run_group_tests(tests, live_setup, live_teardown);
}
