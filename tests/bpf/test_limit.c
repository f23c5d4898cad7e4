/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rates, live: who has which bucket. A burst of datagrams that is far over the rate comes out as what a bucket holds, so the
 * bytes that arrive say how many buckets there were.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "attach/policy.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/time.h"
#include "bpf/abi.h"
#include "policy/image.h"
#include "tests/bpf/live.h"

#define PORT 4000
#define DATAGRAM 1000
#define BURST 300
#define BUCKET 25000U /* 200 ms at 1 Mbit/s */
#define SLACK 6000U   /* what empties while the burst is sent, and the packet that goes beyond */

static struct attach_hits hits_of(struct live *l, size_t rule)
{
	struct attach_hits h[8];

	assert_true(rule < attach_policy_hits(l->attach, h, ARRAY_SIZE(h)));
	return h[rule];
}

/* A socket with a large queue, so that only the rate drops. */
static int server(struct live *l, enum live_end end, int family, uint16_t port)
{
	int fd = live_socket(l, end, family, SOCK_DGRAM, 0), size = 4 << 20;

	assert_ok(setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)));
	live_bind(fd, end, family, port);
	return fd;
}

static int client(struct live *l, int family, uint16_t to)
{
	int fd = live_socket(l, HERE, family, SOCK_DGRAM, 0);

	assert_ok(live_connect(fd, THERE, family, to));
	return fd;
}

/* Like a full queue's, a drop is no error for who sends. */
static void burst(int fd)
{
	char bytes[DATAGRAM] = { 0 };

	for (int i = 0; i < BURST; i++)
		assert_int_equal(send(fd, bytes, sizeof(bytes), 0), DATAGRAM);
}

/* Payload that arrived. */
static size_t got(int fd)
{
	char bytes[2 * DATAGRAM];
	size_t n = 0;
	ssize_t r;

	while ((r = recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT)) > 0)
		n += (size_t)r;
	return n;
}

#define assert_buckets(bytes, n) \
	assert_in_range(bytes, (n) * (BUCKET - SLACK), (n) * (BUCKET + SLACK))

static void test_one_for_all(void **state)
{
	struct live *l = *state;
	_cleanup_close_ int at = server(l, THERE, AF_INET, PORT), a = client(l, AF_INET, PORT),
			    b = client(l, AF_INET, PORT);
	struct attach_hits h;
	size_t n, first;

	live_load(l, "allow port 4000 limit 1mbit\ndefault deny\n", true);
	burst(a);
	first = got(at);
	burst(b);
	n = first + got(at);
	assert_buckets(n, 1);
	h = hits_of(l, 0);
	assert_int_equal(h.limited_packets, 2 * BURST - n / DATAGRAM);
	assert_int_equal(h.limited_bytes, h.limited_packets * (DATAGRAM + 28));
	assert_int_equal(h.refused_packets, 0);
	live_collect(l);
	/* what was dropped did not leave, and is in no flow */
	assert_int_equal(live_find(l, IPPROTO_UDP, live_port(a), PORT)->counts.tx_packets,
			 first / DATAGRAM);
	assert_as_on_wire(l, live_find(l, IPPROTO_UDP, live_port(a), PORT));
}

static void test_down_is_apart(void **state)
{
	struct live *l = *state;
	_cleanup_close_ int at = server(l, THERE, AF_INET, PORT + 1),
			    a = client(l, AF_INET, PORT + 1);
	struct sockaddr_storage peer;
	socklen_t len = sizeof(peer);
	char bytes[DATAGRAM];
	int size = 4 << 20;

	assert_ok(setsockopt(a, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)));
	live_load(l, "allow port 4001 limit 1mbit\ndefault deny\n", true);
	burst(a);
	assert_true(recvfrom(at, bytes, sizeof(bytes), 0, (struct sockaddr *)&peer, &len) > 0);
	assert_buckets(got(at) + DATAGRAM, 1);
	for (int i = 0; i < BURST; i++)
		assert_int_equal(sendto(at, bytes, sizeof(bytes), 0, (struct sockaddr *)&peer, len),
				 DATAGRAM);
	assert_buckets(got(a), 1);
	live_collect(l);
	/* it came, whoever has it now */
	assert_int_equal(live_find(l, IPPROTO_UDP, live_port(a), PORT + 1)->counts.rx_packets,
			 BURST);
}

static void test_each_flow(void **state)
{
	struct live *l = *state;
	_cleanup_close_ int at = server(l, THERE, AF_INET, PORT + 2),
			    a = client(l, AF_INET, PORT + 2), b = client(l, AF_INET, PORT + 2);

	live_load(l, "allow port 4002 limit 1mbit each flow\ndefault deny\n", true);
	burst(a);
	burst(b);
	assert_buckets(got(at), 2);
}

/* Several peers of one socket are several flows, and one bucket of their host. */
static void test_peers(void **state)
{
	struct live *l = *state;
	_cleanup_close_ int one = server(l, THERE, AF_INET, PORT + 3),
			    two = server(l, THERE, AF_INET, PORT + 4),
			    a = live_socket(l, HERE, AF_INET, SOCK_DGRAM, 0);
	char bytes[DATAGRAM] = { 0 };

	for (int round = 0; round < 2; round++) {
		live_load(l,
			  round ? "allow port 4003, 4004 limit 1mbit each flow\ndefault deny\n"
				: "allow port 4003, 4004 limit 1mbit each host\ndefault deny\n",
			  true);
		for (int i = 0; i < BURST; i++)
			for (uint16_t k = 0; k < 2; k++) {
				socklen_t len;
				struct sockaddr_storage to =
					live_addr(THERE, AF_INET, PORT + 3 + k, &len);

				assert_int_equal(sendto(a, bytes, sizeof(bytes), 0,
							(struct sockaddr *)&to, len),
						 DATAGRAM);
			}
		assert_buckets(got(one) + got(two), 1 + (unsigned int)round);
	}
}

static void test_each_host_and_segment(void **state)
{
	struct live *l = *state;
	_cleanup_close_ int four = server(l, THERE, AF_INET, PORT + 5),
			    six = server(l, THERE, AF_INET6, PORT + 6),
			    a = client(l, AF_INET, PORT + 5), b = client(l, AF_INET6, PORT + 6);
	struct pollfd there = { six, POLLIN, 0 };

	/* until its neighbour is known, IPv6 holds packets back */
	assert_int_equal(send(b, "x", 1, 0), 1);
	assert_int_equal(poll(&there, 1, 5000), 1);
	got(six);
	live_load(l, "allow port 4005, 4006 limit 1mbit each host\ndefault deny\n", true);
	burst(a);
	burst(b);
	assert_buckets(got(four) + got(six), 2);
	/* both are in one segment; then in two, which no rule tells apart */
	live_load(l,
		  "segment lab = 10.99.0.0/24, fd99::/64\n"
		  "allow port 4005, 4006 limit 1mbit each segment\ndefault deny\n",
		  true);
	burst(a);
	burst(b);
	assert_buckets(got(four) + got(six), 1);
	live_load(l,
		  "segment old = 10.99.0.0/24\nsegment new = fd99::/64\n"
		  "allow from segment old, segment new port 4005, 4006 limit 1mbit each segment\n"
		  "default deny\n",
		  true);
	burst(a);
	burst(b);
	assert_buckets(got(four) + got(six), 2);
}

/* --- who sends ---------------------------------------------------------------------------------------------------- */

struct sender {
	const char *exe; /* NULL: this program */
	uid_t uid;
	uint16_t port;
};

static int send_as(void *arg)
{
	const struct sender *s = arg;
	char command[128];

	if (s->uid && setuid(s->uid))
		return 1;
	snprintf(command, sizeof(command),
		 "exec 3> /dev/udp/10.99.0.2/%u; for i in {1..%d}; do printf %%%dd 0 >&3; done",
		 s->port, BURST, DATAGRAM);
	execl(s->exe ? s->exe : "/bin/bash", "bash", "-c", command, NULL);
	return 2;
}

static void send_by(struct live *l, const char *exe, uid_t uid, uint16_t port)
{
	struct sender s = { exe, uid, port };

	assert_int_equal(live_run(l, send_as, &s), 0);
	live_collect(l);
}

static void test_each_user(void **state)
{
	struct live *l = *state;
	_cleanup_close_ int at = server(l, THERE, AF_INET, PORT + 7);

	live_load(l, "allow port 4007 limit 1mbit each user\ndefault deny\n", true);
	send_by(l, NULL, 0, PORT + 7);
	send_by(l, NULL, 0, PORT + 7);
	send_by(l, NULL, 65534, PORT + 7);
	/* bash takes its time: root's bucket has emptied a little in between */
	assert_in_range(got(at), 2 * BUCKET - 2 * SLACK, 3 * BUCKET - SLACK);
	send_by(l, NULL, 12345, PORT + 7);
	assert_buckets(got(at), 1);
}

static void test_each_app(void **state)
{
	struct live *l = *state;
	_cleanup_close_ int at = server(l, THERE, AF_INET, PORT + 8);
	char copy[64];
	size_t first;

	snprintf(copy, sizeof(copy), "/tmp/egret-test-limit-%d", getpid());
	live_tool((const char *const[]){ "cp", "/bin/bash", copy, NULL });
	live_load(l, "allow port 4008 limit 1mbit each app\ndefault deny\n", true);
	send_by(l, NULL, 0, PORT + 8);
	first = got(at);
	send_by(l, copy, 0, PORT + 8);
	unlink(copy);
	assert_buckets(first, 1);
	assert_buckets(got(at), 1);
}

/* --- what has no rate --------------------------------------------------------------------------------------------- */

static void test_swap(void **state)
{
	struct live *l = *state;
	_cleanup_close_ int at = server(l, THERE, AF_INET, PORT + 9),
			    a = client(l, AF_INET, PORT + 9);

	live_load(l, "allow port 4009 limit 1mbit\ndefault deny\n", true);
	burst(a);
	assert_buckets(got(at), 1);
	/* the same text again: the bucket is as full as it was */
	live_load(l, "allow port 4009 limit 1mbit\ndefault allow\n", true);
	burst(a);
	assert_in_range(got(at), 0, SLACK);
	live_load(l, "allow port 4009\ndefault deny\n", true);
	burst(a);
	assert_int_equal(got(at), BURST * DATAGRAM);
	live_load(l, "allow port 4009 limit 1mbit as \"again\"\ndefault deny\n", true);
	burst(a);
	assert_buckets(got(at), 1);
	assert_ok(attach_policy_clear(l->attach));
	burst(a);
	assert_int_equal(got(at), BURST * DATAGRAM);
}

static void test_watch_and_audit(void **state)
{
	struct live *l = *state;
	_cleanup_close_ int at = server(l, THERE, AF_INET, PORT + 10),
			    a = client(l, AF_INET, PORT + 10);

	live_load(l, "allow port 4010 limit 1mbit\ndefault deny\n", false);
	burst(a);
	assert_int_equal(got(at), BURST * DATAGRAM);
	live_load(l, "audit port 4010 limit 1mbit\ndefault deny\n", true);
	burst(a);
	assert_buckets(got(at), 1);
}

/* What comes in of flows that others began is no rule's. */
static void test_inbound(void **state)
{
	struct live *l = *state;
	_cleanup_close_ int at = server(l, HERE, AF_INET, PORT + 11),
			    a = live_socket(l, THERE, AF_INET, SOCK_DGRAM, 0);

	live_load(l, "allow to any limit 1mbit\ndefault deny\n", true);
	assert_ok(live_connect(a, HERE, AF_INET, PORT + 11));
	burst(a);
	assert_int_equal(got(at), BURST * DATAGRAM);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup(f, live_begin_clear)
	const struct CMUnitTest tests[] = {
		TEST(test_one_for_all),
		TEST(test_down_is_apart),
		TEST(test_each_flow),
		TEST(test_peers),
		TEST(test_each_host_and_segment),
		TEST(test_each_user),
		TEST(test_each_app),
		TEST(test_swap),
		TEST(test_watch_and_audit),
		TEST(test_inbound),
	};

	return cmocka_run_group_tests(tests, live_setup, live_teardown);
}
