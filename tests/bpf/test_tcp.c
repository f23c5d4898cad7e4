/* SPDX-License-Identifier: Apache-2.0 */
/* TCP, live: every way a connection can begin and end, counted as on the wire. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "bpf/abi.h"
#include "decode/packet.h"
#include "tests/bpf/live.h"

#define PORT 4000

struct pair {
	int listener, client, server; /* client: watched */
	uint16_t port;
};

static struct pair connected(struct live *l, int family)
{
	struct pair p = { .listener = live_listen(l, THERE, family, PORT) };

	p.client = live_socket(l, HERE, family, SOCK_STREAM, 0);
	assert_ok(live_connect(p.client, THERE, family, PORT));
	p.server = live_accept(p.listener);
	p.port = live_port(p.client);
	return p;
}

static void say(int from, int to, const char *text)
{
	char buf[4096];
	size_t n = 0;

	assert_int_equal(send(from, text, strlen(text), 0), strlen(text));
	while (n < strlen(text)) {
		ssize_t r = recv(to, buf + n, sizeof(buf) - n, 0);

		assert_true(r > 0);
		n += r;
	}
	assert_memory_equal(buf, text, n);
}

/* Waits until the peer's FIN or reset was read. */
static void drain(int fd)
{
	char buf[4096];

	while (recv(fd, buf, sizeof(buf), 0) > 0)
		;
}

static struct live_flow *closed_as(struct live *l, uint16_t port, enum event_end end)
{
	struct live_flow *f;

	live_collect(l);
	f = live_find(l, IPPROTO_TCP, port, 0);
	assert_int_equal(f->closed, 1);
	assert_int_equal(f->end, end);
	assert_as_on_wire(l, f);
	assert_int_equal(l->lost[LOSS_RING_FLOW] + l->lost[LOSS_MAP_SOCKETS] +
				 l->lost[LOSS_MAP_HANDSHAKE],
			 0);
	return f;
}

static void close_in_order(struct live *l, int family, bool client_first)
{
	struct pair p = connected(l, family);
	struct live_flow *f;

	say(p.client, p.server, "GET / HTTP/1.1\r\nHost: example.test\r\n\r\n");
	say(p.server, p.client, "HTTP/1.1 204 No Content\r\n\r\n");
	close(client_first ? p.client : p.server);
	drain(client_first ? p.server : p.client);
	close(client_first ? p.server : p.client);
	close(p.listener);
	f = closed_as(l, p.port, END_FIN);
	assert_int_equal(f->opened, 1);
	assert_false(f->open.inbound);
	assert_false(f->open.owner_unknown);
	assert_int_equal(f->open.pid, getpid());
	assert_int_equal(f->counts.tx_payload, 38);
	assert_int_equal(f->counts.rx_payload, 27);
	assert_true(f->counts.rtt_us > 0);
	assert_int_equal(f->n_bytes[0], 38);
	assert_int_equal(f->n_bytes[1], 27);
	assert_memory_equal(f->bytes[0], "GET / HTTP", 10);
}

static void test_client_first_v4(void **state)
{
	close_in_order(*state, AF_INET, true);
}

static void test_client_first_v6(void **state)
{
	close_in_order(*state, AF_INET6, true);
}

static void test_server_first_v4(void **state)
{
	close_in_order(*state, AF_INET, false);
}

static void test_server_first_v6(void **state)
{
	close_in_order(*state, AF_INET6, false);
}

static void test_mapped(void **state)
{
	struct live *l = *state;
	int listener = live_listen(l, THERE, AF_INET, PORT),
	    c = live_socket(l, HERE, AF_INET6, SOCK_STREAM, 0), s;
	struct live_flow *f;
	socklen_t len;
	struct sockaddr_storage a = live_mapped(THERE, PORT, &len);
	uint16_t port;

	assert_ok(connect(c, (struct sockaddr *)&a, len));
	s = live_accept(listener);
	port = live_port(c);
	say(c, s, "over IPv4 all the same");
	close(s);
	close(c);
	close(listener);
	f = closed_as(l, port, END_FIN);
	assert_true(addr_is_v4(&f->key.src));
	assert_true(addr_is_v4(&f->key.dst));
}

static void test_reset(void **state)
{
	for (int client = 0; client < 2; client++) {
		struct live *l = *state;
		struct pair p = connected(l, AF_INET);
		struct linger now = { 1, 0 };

		say(p.client, p.server, "hello");
		assert_ok(setsockopt(client ? p.client : p.server, SOL_SOCKET, SO_LINGER, &now,
				     sizeof(now)));
		close(client ? p.client : p.server);
		drain(client ? p.server : p.client);
		close(client ? p.server : p.client);
		close(p.listener);
		closed_as(l, p.port, END_RESET);
	}
}

static void test_refused(void **state)
{
	struct live *l = *state;
	int c = live_socket(l, HERE, AF_INET, SOCK_STREAM, 0);
	struct live_flow *f;

	assert_err(live_connect(c, THERE, AF_INET, PORT + 1), -ECONNREFUSED);
	close(c);
	live_collect(l);
	f = live_find(l, IPPROTO_TCP, 0, PORT + 1);
	assert_int_equal(f->end, END_FAILED);
	assert_as_on_wire(l, f);
	assert_int_equal(f->counts.tx_packets, 1);
	assert_int_equal(f->counts.rx_packets, 1);
}

/* A full queue of connections drops the SYN: nobody answers. */
static void test_no_answer(void **state)
{
	struct live *l = *state;
	int listener = live_socket(l, THERE, AF_INET, SOCK_STREAM, 0), full[2], c;
	struct live_flow *f;
	uint16_t port;

	live_bind(listener, THERE, AF_INET, PORT);
	assert_ok(listen(listener, 0));
	for (size_t i = 0; i < ARRAY_SIZE(full); i++) {
		full[i] = live_socket(l, HERE, AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
		live_connect(full[i], THERE, AF_INET, PORT);
		poll(NULL, 0, 20);
	}
	c = live_socket(l, HERE, AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	assert_err(live_connect(c, THERE, AF_INET, PORT), -EINPROGRESS);
	poll(NULL, 0, 1300); /* one more SYN */
	port = live_port(c);
	close(c);
	close(full[0]);
	close(full[1]);
	close(listener);
	f = closed_as(l, port, END_FAILED);
	assert_int_equal(f->counts.tx_packets, 2);
	assert_int_equal(f->counts.rx_packets, 0);
}

static void test_half_closed(void **state)
{
	struct live *l = *state;
	struct pair p = connected(l, AF_INET);

	say(p.client, p.server, "question");
	shutdown(p.client, SHUT_WR);
	drain(p.server);
	say(p.server, p.client, "a long answer");
	say(p.server, p.client, "in two parts");
	close(p.server);
	drain(p.client);
	close(p.client);
	close(p.listener);
	closed_as(l, p.port, END_FIN);
}

/* The server goes on for a while after the client has left: the stub in FIN_WAIT2 answers data with a reset. */
static void test_data_after_close(void **state)
{
	struct live *l = *state;
	struct pair p = connected(l, AF_INET);

	say(p.client, p.server, "bye");
	close(p.client);
	drain(p.server);
	assert_int_equal(send(p.server, "wait", 4, 0), 4);
	poll(NULL, 0, 20);
	close(p.server);
	close(p.listener);
	closed_as(l, p.port, END_RESET);
}

/* An aborted download: what was under way is answered by more resets. */
static void test_abort(void **state)
{
	static char block[256 * 1024];
	struct live *l = *state;
	struct pair p = connected(l, AF_INET);
	struct live_flow *f;

	say(p.client, p.server, "give me all of it");
	assert_true(send(p.server, block, sizeof(block), MSG_DONTWAIT) > 0);
	assert_true(recv(p.client, block, 1000, 0) > 0);
	close(p.client);
	poll(NULL, 0, 20);
	send(p.server, block, 1000, MSG_DONTWAIT | MSG_NOSIGNAL);
	close(p.server);
	close(p.listener);
	f = closed_as(l, p.port, END_RESET);
	assert_true(f->counts.rx_bytes > 1000);
}

/* Both ends' FINs cross: the device HERE is so slow that our FIN is still queued when the other one comes. */
static void test_crossing(void **state)
{
	static char block[1400];
	struct live *l = *state;
	struct pair p = connected(l, AF_INET);
	int one = 1;

	/* segments of their own: the queue would cut a larger packet after we counted it as one */
	assert_ok(setsockopt(p.client, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)));
	live_enter(l, HERE);
	live_tool((const char *const[]){ "tc", "qdisc", "add", "dev", "eg-here", "root", "tbf",
					 "rate", "200kbit", "burst", "1600", "latency", "2s",
					 NULL });
	live_leave(l);
	assert_int_equal(send(p.client, block, sizeof(block), 0), sizeof(block));
	assert_int_equal(send(p.client, block, sizeof(block), 0), sizeof(block));
	close(p.client);
	shutdown(p.server, SHUT_WR);
	drain(p.server);
	close(p.server);
	close(p.listener);
	poll(NULL, 0, 300);
	live_enter(l, HERE);
	live_tool((const char *const[]){ "tc", "qdisc", "del", "dev", "eg-here", "root", NULL });
	live_leave(l);
	closed_as(l, p.port, END_FIN);
}

static void bulk(struct live *l, int family)
{
	static char block[65536];
	const size_t total = 4 << 20;
	struct pair p = connected(l, family);
	size_t sent = 0, got = 0;
	struct live_flow *f;

	while (got < total) {
		ssize_t n;

		if (sent < total) {
			n = send(p.client, block, MIN(sizeof(block), total - sent), MSG_DONTWAIT);
			sent += n > 0 ? n : 0;
		}
		n = recv(p.server, block, sizeof(block), MSG_DONTWAIT);
		got += n > 0 ? n : 0;
	}
	close(p.client);
	close(p.server);
	close(p.listener);
	f = closed_as(l, p.port, END_FIN);
	assert_int_equal(f->counts.tx_payload, total);
	assert_true(f->n_bytes[0] == 16384);
}

static void test_bulk_offloaded(void **state)
{
	bulk(*state, AF_INET);
	live_begin(state);
	bulk(*state, AF_INET6);
}

static void test_bulk_segmented(void **state)
{
	struct live *l = *state;

	live_enter(l, HERE);
	live_offload(false);
	bulk(l, AF_INET);
	live_begin(state);
	bulk(l, AF_INET6);
	live_enter(l, HERE);
	live_offload(true);
	live_leave(l);
}

static void accepted(struct live *l, int family, bool local_first)
{
	int listener = live_listen(l, HERE, family, PORT),
	    c = live_socket(l, THERE, family, SOCK_STREAM, 0), s;
	struct live_flow *f;

	assert_ok(live_connect(c, HERE, family, PORT));
	s = live_accept(listener);
	say(c, s, "GET / HTTP/1.0\r\n\r\n");
	say(s, c, "HTTP/1.0 200 OK\r\n\r\n");
	close(local_first ? s : c);
	drain(local_first ? c : s);
	close(local_first ? c : s);
	close(listener);
	live_collect(l);
	f = live_find(l, IPPROTO_TCP, PORT, 0);
	assert_int_equal(f->closed, 1);
	assert_true(f->open.inbound);
	assert_int_equal(f->open.pid, getpid());
	assert_as_on_wire(l, f);
	assert_int_equal(f->n_bytes[1], 18);
	assert_int_equal(f->n_bytes[0], 19);
}

static void test_accepted(void **state)
{
	accepted(*state, AF_INET, true);
	live_begin(state);
	accepted(*state, AF_INET, false);
	live_begin(state);
	accepted(*state, AF_INET6, true);
	live_begin(state);
	accepted(*state, AF_INET6, false);
}

/* Connections that nobody accepts, or that end at once: the child has hardly a packet of its own. */
static void test_never_accepted(void **state)
{
	struct live *l = *state;
	int listener = live_listen(l, HERE, AF_INET, PORT),
	    c = live_socket(l, THERE, AF_INET, SOCK_STREAM, 0);
	struct linger now = { 1, 0 };
	struct live_flow *f;

	assert_ok(live_connect(c, HERE, AF_INET, PORT));
	assert_ok(setsockopt(c, SOL_SOCKET, SO_LINGER, &now, sizeof(now)));
	close(c);
	poll(NULL, 0, 20);
	close(listener);
	live_collect(l);
	f = live_find(l, IPPROTO_TCP, PORT, 0);
	assert_true(f->open.inbound);
	assert_int_equal(f->end, END_RESET);
	assert_as_on_wire(l, f);
}

static void test_fast_open(void **state)
{
	struct live *l = *state;
	struct live_flow *f;
	uint16_t port = 0;

	live_enter(l, THERE);
	live_tool((const char *const[]){ "sysctl", "-qw", "net.ipv4.tcp_fastopen=3", NULL });
	live_enter(l, HERE);
	live_tool((const char *const[]){ "sysctl", "-qw", "net.ipv4.tcp_fastopen=3", NULL });
	live_leave(l);
	/* the first connection gets the cookie, the second uses it */
	for (int i = 0; i < 2; i++) {
		int listener = live_listen(l, THERE, AF_INET, PORT), on = 16, s;
		int c = live_socket(l, HERE, AF_INET, SOCK_STREAM, 0);
		socklen_t len;
		struct sockaddr_storage a = live_addr(THERE, AF_INET, PORT, &len);
		char buf[64];

		assert_ok(setsockopt(listener, IPPROTO_TCP, TCP_FASTOPEN, &on, sizeof(on)));
		assert_int_equal(
			sendto(c, "GET /fast", 9, MSG_FASTOPEN, (struct sockaddr *)&a, len), 9);
		s = live_accept(listener);
		assert_int_equal(recv(s, buf, sizeof(buf), 0), 9);
		port = live_port(c);
		close(s);
		drain(c);
		close(c);
		close(listener);
		f = closed_as(l, port, END_FIN);
		assert_int_equal(f->n_bytes[0], 9);
		assert_memory_equal(f->bytes[0], "GET /fast", 9);
		assert_int_equal(f->open.pid, getpid());
	}
	/* data in the SYN: one packet less than a handshake and a segment */
	assert_int_equal(f->counts.tx_payload, 9);
}

/* The socket of the program is MPTCP's; what is on the wire are its subflows, owned by the same process. */
static void test_multipath(void **state)
{
	struct live *l = *state;
	int listener = live_socket(l, THERE, AF_INET, SOCK_STREAM, IPPROTO_MPTCP), c, s;
	struct live_flow *f;

	live_bind(listener, THERE, AF_INET, PORT);
	assert_ok(listen(listener, 4));
	c = live_socket(l, HERE, AF_INET, SOCK_STREAM, IPPROTO_MPTCP);
	assert_ok(live_connect(c, THERE, AF_INET, PORT));
	s = live_accept(listener);
	say(c, s, "over several paths");
	close(c);
	drain(s);
	close(s);
	close(listener);
	poll(NULL, 0, 100);
	live_collect(l);
	f = live_find(l, IPPROTO_TCP, 0, PORT);
	assert_int_equal(f->opened, 1);
	assert_int_equal(f->open.pid, getpid());
	assert_as_on_wire(l, f);
}

/* A ClientHello in several segments: exactly its record is handed on, nothing of what follows. */
static void test_tls_window(void **state)
{
	struct live *l = *state;
	struct pair p = connected(l, AF_INET);
	char hello[3005 + 500] = { 0x16, 3, 1, 3000 >> 8, 3000 & 255, 1, 0, 2996 >> 8, 2996 & 255 };
	struct live_flow *f;

	for (size_t at = 0; at < sizeof(hello); at += 701) {
		char buf[1024];

		assert_true(send(p.client, hello + at, MIN(sizeof(hello) - at, (size_t)701), 0) >
			    0);
		assert_true(recv(p.server, buf, sizeof(buf), 0) > 0);
	}
	close(p.client);
	close(p.server);
	close(p.listener);
	f = closed_as(l, p.port, END_FIN);
	assert_int_equal(f->n_bytes[0], 3005);
}

/* Sends a hello and answers it with `answer` and 9,000 bytes more, `step` at a time: so many bytes are handed on. */
static uint32_t answered(struct live *l, struct str answer, size_t step)
{
	static const char hello[] = { 0x16, 3, 1, 0, 44, 1, 0, 0, 40, 3, 3 };
	struct pair p = connected(l, AF_INET);
	char all[9000 + 4096] = { 0 }, buf[4096];

	memcpy(all, answer.p, answer.n);
	assert_int_equal(send(p.client, hello, sizeof(hello), 0), sizeof(hello));
	assert_true(recv(p.server, buf, sizeof(buf), 0) > 0);
	for (size_t at = 0; at < answer.n + 9000; at += step) {
		size_t n = MIN(answer.n + 9000 - at, step);

		assert_int_equal(send(p.server, all + at, n, 0), n);
		for (size_t got = 0; got < n;) {
			ssize_t r = recv(p.client, buf, sizeof(buf), 0);

			assert_true(r > 0);
			got += (size_t)r;
		}
	}
	close(p.server);
	close(p.client);
	close(p.listener);
	return closed_as(l, p.port, END_FIN)->n_bytes[1];
}

#define RANDOM "0123456789abcdef0123456789abcdef"
#define HELLO "\x16\3\3\0\x2a\2\0\0\x26\3\3" RANDOM "\0\xc0\x2f\0" /* a record of 47 bytes */

/* Of a responder of TLS its hello and its certificate, and no more where that can be told. */
static void test_tls_answers(void **state)
{
	struct live *l = *state;
	/* TLS 1.3, or a resumed session: the header of what follows. */
	struct str secret = STR(HELLO "\x14\3\3\0\1\1\x17\3\3\x10\0"),
		   session = STR(HELLO "\x17\3\3\x10\0 and so on");
	/* A certificate of 3,000 bytes in a record of its own, then one in the hello's, then in records of 1,000. */
	struct str apart = STR(HELLO "\x16\3\3\x10\0\x0b\0\x0f\xfc\0\x0f\xf9\0\x0b\xb8"),
		   within = STR("\x16\3\3\x10\0\2\0\0\x26\3\3" RANDOM
				"\0\xc0\x2f\0\x0b\0\x0f\xfc\0\x0f\xf9\0\x0b\xb8"),
		   cut = STR(HELLO "\x16\3\3\3\xe8\x0b\0\x0f\xfc\0\x0f\xf9\0\x0b\xb8");
	struct str huge = STR(HELLO "\x16\3\3\x10\0\x0b\0\xff\xfc\0\xff\xf9\0\xff\xb8");
	/* Not to be told: the hello alone, a HelloRetryRequest, a ticket, no hello. */
	struct str retry = STR("\x16\3\3\0\x2a\2\0\0\x26\3\3\xcf\x21\xad\x74"
			       "456789abcdef0123456789abcdef\0\x13\1\0\x14\3\3\0\1\1    "),
		   ticket = STR(HELLO "\x16\3\3\0\xf0\4\0\0\xec          "),
		   alert = STR("\x15\3\3\0\2\2\x28 and more of it");

	assert_int_equal(answered(l, secret, 1400), 47 + 5);
	assert_int_equal(answered(l, session, 1400), 47 + 5);
	assert_int_equal(answered(l, apart, 1400), 47 + 15 + 3000);
	assert_int_equal(answered(l, apart, 3500), 47 + 15 + 3000);
	assert_int_equal(answered(l, within, 1400), 47 + 10 + 3000);
	assert_in_range(answered(l, cut, 1400), 47 + 15 + 3000 + 15, 47 + 15 + 3000 + 25);
	assert_int_equal(answered(l, huge, 1400), EG_TLS_RESPONDER_WINDOW);
	assert_int_equal(answered(l, apart, 47), EG_TLS_RESPONDER_WINDOW);
	assert_int_equal(answered(l, retry, 1400), EG_RESPONDER_WINDOW);
	assert_int_equal(answered(l, ticket, 1400), EG_RESPONDER_WINDOW);
	assert_int_equal(answered(l, alert, 1400), EG_RESPONDER_WINDOW);
}

/* Requests after the window: their heads come, the body does not. */
static void test_http_kept_alive(void **state)
{
	static char body[40000];
	struct live *l = *state;
	struct pair p = connected(l, AF_INET);
	struct live_flow *f;
	size_t got = 0;

	memset(body, 'x', sizeof(body));
	say(p.client, p.server, "POST /a HTTP/1.1\r\nHost: a\r\n\r\n");
	assert_int_equal(send(p.client, body, sizeof(body), 0), sizeof(body));
	while (got < sizeof(body))
		got += recv(p.server, body, sizeof(body), 0);
	say(p.client, p.server, "GET /second HTTP/1.1\r\nHost: b.test\r\n\r\n");
	close(p.client);
	close(p.server);
	close(p.listener);
	f = closed_as(l, p.port, END_FIN);
	assert_int_equal(f->n_bytes[0], 16384 + 38);
	assert_memory_equal(f->bytes[0] + 16384, "GET /second", 11);
}

int main(void)
{
#define LIVE_TEST(f) cmocka_unit_test_setup(f, live_begin)
	const struct CMUnitTest tests[] = {
		LIVE_TEST(test_client_first_v4), LIVE_TEST(test_client_first_v6),
		LIVE_TEST(test_server_first_v4), LIVE_TEST(test_server_first_v6),
		LIVE_TEST(test_mapped),          LIVE_TEST(test_reset),
		LIVE_TEST(test_refused),         LIVE_TEST(test_no_answer),
		LIVE_TEST(test_half_closed),     LIVE_TEST(test_data_after_close),
		LIVE_TEST(test_abort),           LIVE_TEST(test_crossing),
		LIVE_TEST(test_bulk_offloaded),  LIVE_TEST(test_bulk_segmented),
		LIVE_TEST(test_accepted),        LIVE_TEST(test_never_accepted),
		LIVE_TEST(test_fast_open),       LIVE_TEST(test_multipath),
		LIVE_TEST(test_tls_window),      LIVE_TEST(test_tls_answers),
		LIVE_TEST(test_http_kept_alive),
	};

	return cmocka_run_group_tests(tests, live_setup, live_teardown);
}
