/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Policy in force, live: what a call feels, what leaves, what is told. Policies are texts, compiled as the daemon does it.
 * This program itself is the one that is judged.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/icmp6.h>
#include <netinet/ip.h>
#include <netinet/ip_icmp.h>
#include <netinet/udp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "attach/policy.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/time.h"
#include "bpf/abi.h"
#include "policy/image.h"
#include "tests/bpf/live.h"

#define PORT 4000

/* What a program gets that wants to reach it; UDP is asked about at its first datagram. */
static int dial(struct live *l, int family, int type, uint16_t port)
{
	_cleanup_close_ int fd = live_socket(l, HERE, family, type, 0);
	int r = live_connect(fd, THERE, family, port);

	if (!r && type == SOCK_DGRAM && send(fd, "x", 1, 0) < 0)
		r = -errno;
	return r;
}

static ssize_t say(int fd, enum live_end to, int family, uint16_t port)
{
	socklen_t len;
	struct sockaddr_storage a = live_addr(to, family, port, &len);

	return sendto(fd, "hello", 5, 0, (struct sockaddr *)&a, len) < 0 ? -errno : 0;
}

static struct attach_hits hits_of(struct live *l, size_t rule)
{
	struct attach_hits h[64];
	size_t n = attach_policy_hits(l->attach, h, ARRAY_SIZE(h));

	assert_true(rule < n);
	return h[rule];
}

static struct live_verdict *verdict_of(struct live *l, uint8_t proto, uint16_t rport)
{
	for (size_t i = l->n_verdicts; i-- > 0;)
		if (l->verdicts[i].key.proto == proto && l->verdicts[i].key.dport == rport)
			return &l->verdicts[i];
	fail_msg("no verdict on protocol %u to port %u", proto, rport);
	return NULL;
}

/* --- calls ------------------------------------------------------------------------------------------------------ */

static void test_connect_refused(void **state)
{
	struct live *l = *state;
	struct live_verdict *v;
	uint32_t gen;

	assert_int_equal(dial(l, AF_INET, SOCK_STREAM, PORT), -ECONNREFUSED); /* nobody listens */
	gen = live_load(l, "default deny\n", true);
	assert_int_equal(dial(l, AF_INET, SOCK_STREAM, PORT), -EPERM);
	assert_int_equal(dial(l, AF_INET6, SOCK_STREAM, PORT), -EPERM);
	assert_int_equal(dial(l, AF_INET, SOCK_DGRAM, PORT), -EPERM);
	live_collect(l);
	v = verdict_of(l, IPPROTO_TCP, PORT);
	assert_int_equal(v->v.gen, gen);
	assert_int_equal(v->v.rule, 0);
	assert_int_equal(v->v.action, EG_DENY);
	assert_int_equal(v->v.at, VERDICT_AT_CONNECT);
	assert_true(v->v.refused && v->v.final);
	assert_int_equal(v->v.who.pid, getpid());
	assert_int_equal(l->refused_calls, 2);
	assert_int_equal(l->refused_packets, 1);
	assert_int_equal(l->refused_bytes, 29);
	assert_int_equal(hits_of(l, 0).refused_calls, 2);
	assert_int_equal(hits_of(l, 0).refused_packets, 1);
	assert_int_equal(hits_of(l, 0).verdicts, 3);
	assert_in_range(hits_of(l, 0).last_ns, time_now() - 60 * NSEC_PER_SEC, time_now());
}

static void test_reject_errno(void **state)
{
	struct live *l = *state;
	_cleanup_close_ int fd = live_socket(l, HERE, AF_INET, SOCK_DGRAM, 0);

	live_load(l, "reject port 1-5000\ndefault allow\n", true);
	assert_int_equal(dial(l, AF_INET, SOCK_STREAM, PORT), -ECONNREFUSED);
	assert_int_equal(say(fd, THERE, AF_INET, PORT), -EHOSTUNREACH);
	assert_int_equal(dial(l, AF_INET6, SOCK_DGRAM, 5001), 0);
}

static void test_ports_and_addresses(void **state)
{
	struct live *l = *state;

	live_load(
		l,
		"allow to 10.99.0.0/24 port 53/udp, 4001/udp\nallow to fd99::2 port 4002\ndefault "
		"deny\n",
		true);
	assert_int_equal(dial(l, AF_INET, SOCK_DGRAM, 4001), 0);
	assert_int_equal(dial(l, AF_INET, SOCK_DGRAM, 4002), -EPERM);
	assert_int_equal(dial(l, AF_INET6, SOCK_DGRAM, 4001), -EPERM);
	assert_int_equal(dial(l, AF_INET6, SOCK_DGRAM, 4002), 0);
	assert_int_equal(dial(l, AF_INET, SOCK_STREAM, 4001), -EPERM);
}

/* v4-mapped: the same address, the same rule. */
static void test_mapped(void **state)
{
	struct live *l = *state;
	_cleanup_close_ int fd = live_socket(l, HERE, AF_INET6, SOCK_DGRAM, 0);
	socklen_t len;
	struct sockaddr_storage a = live_mapped(THERE, PORT, &len);

	live_load(l, "deny to 10.99.0.2\ndefault allow\n", true);
	assert_int_equal(connect(fd, (struct sockaddr *)&a, len), 0);
	assert_int_equal(send(fd, "x", 1, 0), -1);
	assert_int_equal(errno, EPERM);
	assert_int_equal(sendto(fd, "x", 1, 0, (struct sockaddr *)&a, len), -1);
	assert_int_equal(errno, EPERM);
}

/* --- datagrams without connect() --------------------------------------------------------------------------------- */

static void test_unconnected(void **state)
{
	struct live *l = *state;
	_cleanup_close_ int fd = live_socket(l, HERE, AF_INET, SOCK_DGRAM, 0);

	live_load(l, "allow port 4000-4002\ndefault deny\n", true);
	assert_int_equal(say(fd, THERE, AF_INET, 4009), -EPERM); /* the first of all */
	assert_int_equal(say(fd, THERE, AF_INET, 4000), 0);
	assert_int_equal(say(fd, THERE, AF_INET, 4001), 0);
	for (int i = 0; i < 3; i++)
		assert_int_equal(say(fd, THERE, AF_INET, 4010), -EPERM); /* another peer */
	for (int i = 0; i < 3; i++)
		assert_int_equal(say(fd, THERE, AF_INET, 4000), 0);
	live_collect(l);
	assert_int_equal(live_find(l, IPPROTO_UDP, 0, 4000)->counts.tx_packets, 4);
	assert_int_equal(live_find(l, IPPROTO_UDP, 0, 4001)->counts.tx_packets, 1);
	for (size_t i = 0; i < l->n_flows; i++)
		assert_true(l->flows[i].key.dport < 4009); /* what was refused is no flow */
	assert_int_equal(l->refused_calls + l->refused_packets, 4);
	assert_int_equal(verdict_of(l, IPPROTO_UDP, 4010)->v.action, EG_DENY);
}

/* The peer that began may be answered. */
static void test_answer(void **state)
{
	struct live *l = *state;
	_cleanup_close_ int here = live_socket(l, HERE, AF_INET, SOCK_DGRAM, 0),
			    there = live_socket(l, THERE, AF_INET, SOCK_DGRAM, 0);
	char buf[16];

	live_bind(here, HERE, AF_INET, 4100);
	live_bind(there, THERE, AF_INET, 4200);
	live_load(l, "default deny\n", true);
	assert_int_equal(say(here, THERE, AF_INET, 4200), -EPERM);
	assert_int_equal(say(there, HERE, AF_INET, 4100), 0);
	assert_int_equal(recv(here, buf, sizeof(buf), 0), 5);
	assert_int_equal(say(here, THERE, AF_INET, 4200), 0);
	assert_int_equal(recv(there, buf, sizeof(buf), 0), 5);
	assert_int_equal(say(here, THERE, AF_INET, 4201), -EPERM);
}

/* --- connections -------------------------------------------------------------------------------------------------- */

static void test_inbound_passes(void **state)
{
	struct live *l = *state;
	_cleanup_close_ int listener = live_listen(l, HERE, AF_INET, PORT),
			    client = live_socket(l, THERE, AF_INET, SOCK_STREAM, 0), server = -1;
	char buf[8];

	live_load(l, "default deny\n", true);
	assert_int_equal(live_connect(client, HERE, AF_INET, PORT), 0);
	server = live_accept(listener);
	assert_int_equal(send(server, "hello", 5, 0), 5);
	assert_int_equal(recv(client, buf, sizeof(buf), 0), 5);
}

/* One that is open when the policy comes: its next packet is refused, and the program is told. */
static void test_open_connection(void **state)
{
	struct live *l = *state;
	_cleanup_close_ int listener = live_listen(l, THERE, AF_INET, PORT),
			    client = live_socket(l, HERE, AF_INET, SOCK_STREAM, 0), server = -1;
	char buf[8];

	assert_int_equal(live_connect(client, THERE, AF_INET, PORT), 0);
	server = live_accept(listener);
	assert_int_equal(send(client, "hello", 5, 0), 5);
	assert_int_equal(recv(server, buf, sizeof(buf), 0), 5);
	live_load(l, "default deny\n", true);
	assert_int_equal(send(client, "again", 5, 0), 5); /* into the buffer */
	assert_int_equal(recv(server, buf, sizeof(buf), MSG_DONTWAIT), -1);
	live_enter(l, HERE); /* sockets are ended in the namespace of their process */
	for (int i = 0; i < 100; i++) {
		struct pollfd p = { .fd = client, .events = POLLIN };

		assert_ok(attach_sweep(l->attach));
		if (poll(&p, 1, 20) > 0)
			break;
	}
	live_leave(l);
	assert_int_equal(recv(client, buf, sizeof(buf), MSG_DONTWAIT), -1);
	assert_int_equal(errno, ECONNABORTED);
	live_collect(l);
	assert_true(verdict_of(l, IPPROTO_TCP, PORT)->v.refused);
	assert_true(l->refused_packets >= 1);
}

static void test_listener_was_there(void **state)
{
	struct live *l = *state;
	_cleanup_close_ int listener = live_listen(l, HERE, AF_INET, PORT),
			    client = live_socket(l, THERE, AF_INET, SOCK_STREAM, 0), server = -1;
	char buf[8];

	assert_int_equal(live_connect(client, HERE, AF_INET, PORT), 0);
	server = live_accept(listener);
	live_load(l, "default deny\n", true);
	assert_int_equal(send(server, "hello", 5, 0), 5);
	assert_int_equal(recv(client, buf, sizeof(buf), 0), 5);
}

/* --- names in the first payload ----------------------------------------------------------------------------------- */

static const char request[] = "GET / HTTP/1.1\r\nHost: %s\r\n\r\n";

/* Sends a request for `host`: 1 when it arrived within 200 ms. */
static int ask(struct live *l, const char *host, int *client, int *server, int listener)
{
	struct pollfd p;
	char buf[512];

	if (*client < 0) {
		*client = live_socket(l, HERE, AF_INET, SOCK_STREAM, 0);
		assert_int_equal(live_connect(*client, THERE, AF_INET, PORT), 0);
		*server = live_accept(listener);
	}
	snprintf(buf, sizeof(buf), request, host);
	assert_int_equal(send(*client, buf, strlen(buf), 0), strlen(buf));
	p = (struct pollfd){ .fd = *server, .events = POLLIN };
	return poll(&p, 1, 200) > 0 && recv(*server, buf, sizeof(buf), 0) > 0;
}

static void test_visible_name(void **state)
{
	struct live *l = *state;
	_cleanup_close_ int listener = live_listen(l, THERE, AF_INET, PORT), client = -1,
			    server = -1, other = -1, other_end = -1;
	struct live_verdict *v;

	live_load(l, "deny to **.bad.test\nallow to 10.99.0.2\ndefault deny\n", true);
	assert_int_equal(ask(l, "good.test", &client, &server, listener), 1);
	assert_int_equal(ask(l, "good.test", &client, &server, listener), 1);
	/* a later request on the same connection */
	assert_int_equal(ask(l, "www.bad.test", &client, &server, listener), 0);
	assert_int_equal(ask(l, "bad.test", &other, &other_end, listener), 0);
	live_collect(l);
	v = verdict_of(l, IPPROTO_TCP, PORT);
	assert_true(v->v.refused);
	assert_int_equal(v->v.rule, 0);
	assert_int_equal(v->v.visible, EG_VISIBLE_NAME);
	assert_string_equal(v->visible, "bad.test");
}

static void test_by_sni(void **state)
{
	struct live *l = *state;
	_cleanup_close_ int listener = live_listen(l, THERE, AF_INET, PORT), client = -1,
			    server = -1, other = -1, other_end = -1;

	live_load(l, "allow to good.test by sni\ndefault deny\n", true);
	assert_int_equal(ask(l, "good.test", &client, &server, listener), 1);
	assert_int_equal(ask(l, "evil.test", &other, &other_end, listener), 0);
}

/* --- others ------------------------------------------------------------------------------------------------------- */

static int ping(struct live *l)
{
	struct icmphdr echo = { .type = ICMP_ECHO };
	_cleanup_close_ int fd = live_socket(l, HERE, AF_INET, SOCK_RAW, IPPROTO_ICMP);
	socklen_t len;
	struct sockaddr_storage a = live_addr(THERE, AF_INET, 0, &len);

	echo.checksum = htons(0xf7ff);
	return sendto(fd, &echo, sizeof(echo), 0, (struct sockaddr *)&a, len) < 0 ? -errno : 0;
}

static void test_icmp(void **state)
{
	struct live *l = *state;

	live_load(l, "allow port icmp\ndefault deny\n", true);
	assert_int_equal(ping(l), 0);
	live_load(l, "allow port 1-65535\ndefault deny\n", true);
	assert_int_equal(ping(l), -EPERM);
}

struct forged {
	struct iphdr ip;
	struct udphdr udp;
	char text[8];
};

/* A datagram whose headers the program wrote. */
static int forge(struct live *l, const char *from, const char *to, uint16_t sport, uint16_t dport,
		 uint16_t frag)
{
	struct forged f = {
		.ip = { .version = 4,
			.ihl = 5,
			.ttl = 64,
			.protocol = IPPROTO_UDP,
			.frag_off = htons(frag) },
		.udp = { .source = htons(sport), .dest = htons(dport), .len = htons(16) },
		.text = "forged",
	};
	_cleanup_close_ int fd = live_socket(l, HERE, AF_INET, SOCK_RAW, IPPROTO_RAW);
	struct sockaddr_in a = { .sin_family = AF_INET };

	inet_pton(AF_INET, from, &f.ip.saddr);
	inet_pton(AF_INET, to, &f.ip.daddr);
	a.sin_addr.s_addr = f.ip.daddr;
	return sendto(fd, &f, sizeof(f), 0, (struct sockaddr *)&a, sizeof(a)) < 0 ? -errno : 0;
}

static void test_raw(void **state)
{
	struct live *l = *state;

	live_load(l, "allow to 10.99.0.2 port 4000/udp\ndefault deny\n", true);
	assert_int_equal(forge(l, "10.99.0.1", "10.99.0.2", 5000, 4000, 0), 0);
	assert_int_equal(forge(l, "10.99.0.1", "10.99.0.2", 5000, 4001, 0), -EPERM);
	assert_int_equal(forge(l, "10.99.0.1", "10.99.0.2", 5000, 4000, 100),
			 -EPERM); /* a later fragment: no ports */
	/* an answer of a resolver that is not one, and a peer that began nothing */
	assert_int_equal(forge(l, "127.0.0.53", "10.99.0.1", 53, 4000, 0), -EPERM);
	assert_int_equal(forge(l, "10.99.0.2", "10.99.0.1", 4000, 4000, 0), -EPERM);
}

static void test_watch(void **state)
{
	struct live *l = *state;
	struct live_verdict *v;

	live_load(l, "deny port 4000\ndefault allow\n", false);
	assert_int_equal(dial(l, AF_INET, SOCK_DGRAM, 4000), 0);
	{
		_cleanup_close_ int fd = live_socket(l, HERE, AF_INET, SOCK_DGRAM, 0);

		assert_int_equal(say(fd, THERE, AF_INET, 4000), 0);
		live_collect(l);
	}
	v = verdict_of(l, IPPROTO_UDP, 4000);
	assert_true(v->v.would_refuse && !v->v.refused);
	assert_int_equal(v->v.action, EG_DENY);
	assert_int_equal(l->refused_calls + l->refused_packets, 0);
}

/*
 * More refusals than are told of one by one: the sums are exact. Ports of its own: what earlier tests closed may still send
 * something.
 */
static void test_flood(void **state)
{
	struct live *l = *state;
	_cleanup_close_ int fd = live_socket(l, HERE, AF_INET, SOCK_DGRAM, 0);
	const unsigned int n = 20000;
	size_t summaries = 0;

	live_load(l, "deny port 4900-4906\ndefault allow\n", true);
	for (unsigned int i = 0; i < n; i++)
		assert_int_equal(say(fd, THERE, AF_INET, 4900 + i % 7), -EPERM);
	for (unsigned int i = 0; i < 1000; i++)
		assert_int_equal(dial(l, AF_INET, SOCK_STREAM, 4900), -EPERM);
	live_collect(l);
	for (size_t i = 0; i < l->n_verdicts; i++)
		summaries += l->verdicts[i].v.summary;
	assert_true(summaries >= 1 && summaries <= 4);
	assert_true(l->n_verdicts < 1000);
	assert_int_equal(l->refused_calls + l->refused_packets, n + 1000);
	assert_int_equal(hits_of(l, 0).refused_calls + hits_of(l, 0).refused_packets, n + 1000);
}

static void test_allowed_is_told(void **state)
{
	struct live *l = *state;
	_cleanup_close_ int fd = live_socket(l, HERE, AF_INET, SOCK_DGRAM, 0);
	struct live_verdict *v;
	uint32_t gen;

	gen = live_load(l, "deny port 1\nallow port 4000\ndefault deny\n", true);
	assert_int_equal(say(fd, THERE, AF_INET, 4000), 0);
	live_collect(l);
	v = verdict_of(l, IPPROTO_UDP, 4000);
	assert_int_equal(v->v.gen, gen);
	assert_int_equal(v->v.rule, 1);
	assert_int_equal(v->v.action, EG_ALLOW);
	assert_true(v->v.final && !v->v.refused && !v->v.would_refuse);
	assert_int_equal(hits_of(l, 1).verdicts, 1);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup(f, live_begin_clear)
	const struct CMUnitTest tests[] = {
		TEST(test_connect_refused),
		TEST(test_reject_errno),
		TEST(test_ports_and_addresses),
		TEST(test_mapped),
		TEST(test_unconnected),
		TEST(test_answer),
		TEST(test_inbound_passes),
		TEST(test_open_connection),
		TEST(test_listener_was_there),
		TEST(test_visible_name),
		TEST(test_by_sni),
		TEST(test_icmp),
		TEST(test_raw),
		TEST(test_watch),
		TEST(test_flood),
		TEST(test_allowed_is_told),
	};

	return cmocka_run_group_tests(tests, live_setup, live_teardown);
}
