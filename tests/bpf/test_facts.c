/* SPDX-License-Identifier: Apache-2.0 */
/* From the kernel into flows: what the opener's first bytes are like, what pings carry, as from a capture. */
#include <arpa/inet.h>
#include <netinet/ip_icmp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "flow/flow.h"
#include "flow/record.h"
#include "tests/bpf/live.h"

#define PORT 4000

/* A flow table behind the events, and the last record of each flow. */
struct table {
	struct intern *texts;
	struct name_table *names;
	struct proc_table *procs;
	struct flow_table *t;
	struct flow ended[16];
	size_t n;
};

static void on_record(void *ctx, const struct record *r)
{
	struct table *t = ctx;

	if (r->type == RECORD_FLOW && r->flow_ends && t->n < ARRAY_SIZE(t->ended))
		t->ended[t->n++] = *r->flow;
}

static void on_event(void *ctx, const struct event *e)
{
	struct table *t = ctx;

	if (e->type == EVENT_PROC)
		proc_table_event(t->procs, e);
	else
		flow_table_event(t->t, e);
}

static void begin(struct live *l, struct table *t)
{
	struct proc_table_config procs = { 0 };
	struct flow_config cfg = { 0 };

	*t = (struct table){ 0 };
	assert_ok(intern_new(&t->texts, 10000));
	procs.texts = cfg.texts = t->texts;
	assert_ok(name_table_new(&t->names, t->texts, 100));
	assert_ok(proc_table_new(&t->procs, &procs));
	cfg.names = t->names;
	cfg.procs = t->procs;
	assert_ok(flow_table_new(&t->t, &cfg, (struct record_out){ on_record, t }));
	l->also = (struct event_out){ on_event, t };
}

static void end(struct live *l, struct table *t)
{
	live_collect(l);
	l->also = (struct event_out){ 0 };
	flow_table_finish(t->t);
	flow_table_free(t->t);
	proc_table_free(t->procs);
	name_table_free(t->names);
	intern_free(t->texts);
}

static const struct flow *ended(const struct table *t, uint8_t proto, uint16_t sport,
				uint16_t dport)
{
	for (size_t i = 0; i < t->n; i++)
		if (t->ended[i].key.proto == proto && t->ended[i].key.sport == sport &&
		    t->ended[i].key.dport == dport)
			return &t->ended[i];
	fail_msg("no flow of protocol %u, ports %u and %u", proto, sport, dport);
	return NULL;
}

static void noise(uint8_t *to, size_t n)
{
	uint32_t v = 4711;

	for (size_t i = 0; i < n; i++) {
		v = v * 1664525 + 1013904223;
		to[i] = (uint8_t)(v >> 24);
	}
	to[0] = 0xe1;
}

/* One connection whose opener says `bytes`; its port. */
static uint16_t talk(struct live *l, int listener, uint16_t port, const void *bytes, size_t n,
		     bool answer_first)
{
	int c = live_socket(l, HERE, AF_INET, SOCK_STREAM, 0), s;
	char buf[4096];
	uint16_t at;

	assert_ok(live_connect(c, THERE, AF_INET, port));
	s = live_accept(listener);
	at = live_port(c);
	if (answer_first) {
		assert_int_equal(send(s, "\1\2\3\4", 4, 0), 4);
		assert_int_equal(recv(c, buf, sizeof(buf), 0), 4);
	}
	assert_int_equal(send(c, bytes, n, 0), n);
	assert_int_equal(recv(s, buf, n, MSG_WAITALL), n);
	close(c);
	close(s);
	return at;
}

static void test_first(void **state)
{
	static const char text[] = "some words that are of no protocol that is known here\n";
	static const char hello[] = "GET / HTTP/1.1\r\nHost: a.example\r\n\r\n";
	struct live *l = *state;
	int listener = live_listen(l, THERE, AF_INET, PORT);
	uint16_t random, late, words, binary, http, port;
	uint8_t bytes[700];
	struct table t;

	begin(l, &t);
	noise(bytes, sizeof(bytes));
	random = talk(l, listener, PORT, bytes, sizeof(bytes), false);
	late = talk(l, listener, PORT, bytes, sizeof(bytes), true);
	words = talk(l, listener, PORT, text, sizeof(text) - 1, false);
	binary = talk(l, listener, PORT, bytes, 20, false);
	http = talk(l, listener, PORT, hello, sizeof(hello) - 1, false);
	close(listener);
	listener = live_socket(l, HERE, AF_INET, SOCK_DGRAM, 0);
	live_bind(listener, HERE, AF_INET, PORT + 1);
	assert_ok(live_connect(listener, THERE, AF_INET, PORT));
	assert_int_equal(send(listener, bytes, sizeof(bytes), 0), sizeof(bytes));
	port = live_port(listener);
	close(listener);
	end(l, &t);
	assert_int_equal(ended(&t, IPPROTO_TCP, random, PORT)->first, FIRST_RANDOM);
	assert_int_equal(ended(&t, IPPROTO_TCP, random, PORT)->app, APP_UNKNOWN);
	assert_int_equal(ended(&t, IPPROTO_TCP, late, PORT)->first, FIRST_RANDOM);
	assert_int_equal(ended(&t, IPPROTO_TCP, words, PORT)->first, FIRST_TEXT);
	assert_int_equal(ended(&t, IPPROTO_TCP, binary, PORT)->first, FIRST_BINARY);
	assert_int_equal(ended(&t, IPPROTO_TCP, http, PORT)->app, APP_HTTP);
	assert_int_equal(ended(&t, IPPROTO_TCP, http, PORT)->first, FIRST_NONE);
	assert_int_equal(ended(&t, IPPROTO_UDP, port, PORT)->first, FIRST_RANDOM);
}

/* The peer's kernel sends back what it got. */
static void ask(int fd, uint16_t number, const void *data, size_t n)
{
	struct {
		struct icmphdr h;
		uint8_t data[1400];
	} m = { .h = { .type = ICMP_ECHO, .un.echo.sequence = htons(number) } };
	struct sockaddr_storage a;
	socklen_t len;

	memcpy(m.data, data, n);
	a = live_addr(THERE, AF_INET, 0, &len);
	assert_int_equal(sendto(fd, &m, sizeof(m.h) + n, 0, (struct sockaddr *)&a, len),
			 sizeof(m.h) + n);
	assert_int_equal(recv(fd, &m, sizeof(m), 0), sizeof(m.h) + n);
}

static void allow_ping_sockets(struct live *l)
{
	live_enter(l, HERE);
	live_tool((const char *const[]){ "sysctl", "-qw", "net.ipv4.ping_group_range=0 0", NULL });
	live_leave(l);
}

static void test_ping(void **state)
{
	struct live *l = *state;
	const struct flow *f;
	uint8_t data[56];
	struct table t;
	int fd;

	allow_ping_sockets(l);
	begin(l, &t);
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)i;
	fd = live_socket(l, HERE, AF_INET, SOCK_DGRAM, IPPROTO_ICMP);
	for (uint16_t i = 1; i <= 10; i++)
		ask(fd, i, data, sizeof(data));
	close(fd);
	end(l, &t);
	f = ended(&t, IPPROTO_ICMP, 8, 0);
	assert_int_equal(f->half[TO_SERVER].packets, 10);
	assert_int_equal(f->icmp.seen[TO_SERVER], 10);
	assert_int_equal(f->icmp.seen[TO_CLIENT], 10);
	assert_int_equal(
		f->icmp.varied[0] + f->icmp.varied[1] + f->icmp.unasked + f->icmp.differing, 0);
	assert_int_equal(f->icmp.largest[TO_SERVER], 56);
	assert_int_equal(icmp_farthest(&f->icmp, TO_SERVER), PING_PATTERN);
	assert_int_equal(icmp_farthest(&f->icmp, TO_CLIENT), PING_PATTERN);
}

/* More than the kernel hands on: nothing is taken for what it is not. */
static void test_ping_of_many_sizes(void **state)
{
	struct live *l = *state;
	const struct flow *f;
	uint8_t data[1200];
	struct table t;
	int fd;

	allow_ping_sockets(l);
	begin(l, &t);
	noise(data, sizeof(data));
	fd = live_socket(l, HERE, AF_INET, SOCK_DGRAM, IPPROTO_ICMP);
	for (uint16_t i = 1; i <= 100; i++)
		ask(fd, i, data, 100 + i * 10);
	close(fd);
	end(l, &t);
	f = ended(&t, IPPROTO_ICMP, 8, 0);
	assert_int_equal(f->half[TO_SERVER].packets, 100);
	assert_int_equal(f->icmp.seen[TO_SERVER], 64);
	assert_int_equal(f->icmp.varied[TO_SERVER], 63);
	assert_int_equal(f->icmp.largest[TO_SERVER], 740);
	assert_int_equal(f->icmp.unasked + f->icmp.differing, 0);
	assert_int_equal(icmp_farthest(&f->icmp, TO_SERVER), PING_RANDOM);
}

int main(void)
{
#define LIVE_TEST(f) cmocka_unit_test_setup(f, live_begin)
	const struct CMUnitTest tests[] = {
		LIVE_TEST(test_first),
		LIVE_TEST(test_ping),
		LIVE_TEST(test_ping_of_many_sizes),
	};

	return cmocka_run_group_tests(tests, live_setup, live_teardown);
}
