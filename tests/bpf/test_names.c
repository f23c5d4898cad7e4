/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rules by name: whose answers count, which names stay, and for how long. THERE is the resolver; what HERE may connect to
 * hangs on what it answers. A connect() that is let pass goes to nobody and is left alone.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "attach/internal.h"
#include "attach/policy.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "bpf/host.skel.h"
#include "policy/image.h"
#include "tests/bpf/live.h"

#define PASSED 0
#define REFUSED 1
#define PORT 4100

static int asker, answerer; /* UDP: HERE, and THERE at port 53 */

static void set_policy(struct live *l, const char *rules)
{
	struct compile_config cfg = { .name_key = attach_name_key(l->attach),
				      .enforce = true,
				      .to_s = INT32_MAX };
	_cleanup_buf_ struct buf messages = BUF_INIT(1 << 20);
	struct policy_image *image = NULL;
	struct policy *p = NULL;
	char error[256] = "";
	uint32_t gen;
	size_t n;

	if (policy_parse(&p, "test", str_of(rules), STR_NONE, &messages) ||
	    policy_compile(&image, p, &cfg, &messages))
		fail_msg("%s", messages.p);
	policy_image_bytes(image, &n);
	if (attach_policy_load(l->attach, policy_image_bytes(image, &n), n, &gen, error))
		fail_msg("%s", error);
	policy_image_free(image);
	policy_free(p);
}

static void trust(struct live *l, const char *resolver)
{
	struct addr a;

	assert_ok(addr_parse(str_of(resolver), &a));
	assert_ok(attach_resolvers(l->attach, &a, 1));
}

/* --- messages --------------------------------------------------------------------------------------------------- */

static size_t put_name(uint8_t *to, const char *name)
{
	size_t n = 0;

	while (*name) {
		size_t k = strcspn(name, ".");

		to[n++] = k;
		memcpy(to + n, name, k);
		n += k;
		name += k + (name[k] == '.');
	}
	to[n++] = 0;
	return n;
}

static size_t put_question(uint8_t *m, const char *name, int answers)
{
	size_t n = 12;

	memset(m, 0, n);
	m[0] = 0x12;
	m[2] = answers ? 0x81 : 0x01;
	m[3] = answers ? 0x80 : 0;
	m[5] = 1;
	m[7] = answers;
	n += put_name(m + n, name);
	memcpy(m + n, "\0\1\0\1", 4);
	return n + 4;
}

static size_t put_answer(uint8_t *m, const char *name, const char *addr)
{
	static const uint8_t fixed[] = { 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 1, 0, 4 };
	size_t n = put_question(m, name, 1);

	memcpy(m + n, fixed, sizeof(fixed));
	assert_int_equal(inet_pton(AF_INET, addr, m + n + sizeof(fixed)), 1);
	return n + sizeof(fixed) + 4;
}

static void wait_for_answer(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	uint8_t m[512];

	assert_int_equal(poll(&p, 1, 2000), 1);
	assert_true(recv(fd, m, sizeof(m), 0) > 0);
}

/* HERE asks, THERE answers. */
static void resolve(const char *name, const char *addr)
{
	socklen_t len, from_len = sizeof(struct sockaddr_storage);
	struct sockaddr_storage to = live_addr(THERE, AF_INET, 53, &len), from;
	uint8_t m[512];
	size_t n = put_question(m, name, 0);

	assert_int_equal(sendto(asker, m, n, 0, (struct sockaddr *)&to, len), n);
	assert_true(recvfrom(answerer, m, sizeof(m), 0, (struct sockaddr *)&from, &from_len) > 0);
	n = put_answer(m, name, addr);
	assert_int_equal(sendto(answerer, m, n, 0, (struct sockaddr *)&from, from_len), n);
	wait_for_answer(asker);
}

static int dial(struct live *l, const char *addr)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(PORT) };
	int fd = live_socket(l, HERE, AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), r;

	inet_pton(AF_INET, addr, &a.sin_addr);
	r = connect(fd, (struct sockaddr *)&a, sizeof(a)) ? errno : 0;
	close(fd);
	assert_true(!r || r == EINPROGRESS || r == EPERM);
	return r == EPERM ? REFUSED : PASSED;
}

/* --- tests ------------------------------------------------------------------------------------------------------ */

static int begin(void **state)
{
	struct live *l = *state;

	live_begin(state);
	if (asker)
		close(asker);
	if (answerer)
		close(answerer);
	asker = live_socket(l, HERE, AF_INET, SOCK_DGRAM, 0);
	answerer = live_socket(l, THERE, AF_INET, SOCK_DGRAM, 0);
	live_bind(answerer, THERE, AF_INET, 53);
	trust(l, "10.99.0.2");
	set_policy(l, "resolvers 10.99.0.2\nallow to **.good.test\ndefault deny\n");
	return 0;
}

static void test_answer(void **state)
{
	struct live *l = *state;

	assert_int_equal(dial(l, "10.99.0.20"), REFUSED);
	resolve("www.good.test", "10.99.0.20");
	assert_int_equal(dial(l, "10.99.0.20"), PASSED);
	resolve("GOOD.Test", "10.99.0.21");
	assert_int_equal(dial(l, "10.99.0.21"), PASSED);
	resolve("notgood.test", "10.99.0.22");
	assert_int_equal(dial(l, "10.99.0.22"), REFUSED);
	resolve("good.test.evil.test", "10.99.0.22");
	assert_int_equal(dial(l, "10.99.0.22"), REFUSED);
}

static void test_stranger(void **state)
{
	struct live *l = *state;

	trust(l, "10.99.0.99");
	set_policy(l, "resolvers 10.99.0.99\nallow to **.good.test\nallow to 10.99.0.2 port "
		      "53\ndefault deny\n");
	resolve("www.good.test", "10.99.0.30");
	assert_int_equal(dial(l, "10.99.0.30"), REFUSED);
	/* it becomes a resolver: what it said before stays as it was, what it says now counts */
	trust(l, "10.99.0.2");
	assert_int_equal(dial(l, "10.99.0.30"), REFUSED);
	resolve("www.good.test", "10.99.0.30");
	assert_int_equal(dial(l, "10.99.0.30"), PASSED);
}

/* From the resolver's address and port, but to a socket that never asked it. */
static void test_unasked(void **state)
{
	struct live *l = *state;
	socklen_t len;
	struct sockaddr_storage to = live_addr(HERE, AF_INET, 4001, &len);
	uint8_t m[512];
	size_t n = put_answer(m, "www.good.test", "10.99.0.40");
	int fd = live_socket(l, HERE, AF_INET, SOCK_DGRAM, 0);

	live_bind(fd, HERE, AF_INET, 4001);
	assert_int_equal(sendto(answerer, m, n, 0, (struct sockaddr *)&to, len), n);
	wait_for_answer(fd);
	close(fd);
	assert_int_equal(dial(l, "10.99.0.40"), REFUSED);
}

/* Whoever has a zone of his own can give an address as many names as he likes: those that rules rest on stay. */
static void test_crowd(void **state)
{
	struct live *l = *state;
	char name[64];

	resolve("www.good.test", "10.99.0.50");
	for (int i = 0; i < 40; i++) {
		snprintf(name, sizeof(name), "n%d.other.test", i);
		resolve(name, "10.99.0.50");
	}
	assert_int_equal(dial(l, "10.99.0.50"), PASSED);
	/* and among those without a meaning a new one with a meaning finds its place */
	for (int i = 0; i < 40; i++) {
		snprintf(name, sizeof(name), "n%d.other.test", i);
		resolve(name, "10.99.0.51");
	}
	assert_int_equal(dial(l, "10.99.0.51"), REFUSED);
	resolve("www.good.test", "10.99.0.51");
	assert_int_equal(dial(l, "10.99.0.51"), PASSED);
}

static void expire(struct live *l, const char *addr)
{
	int fd = bpf_map__fd(l->attach->skel->maps.eg_addr_names);
	struct eg_addr_names n;
	struct addr a;

	assert_ok(addr_parse(str_of(addr), &a));
	assert_ok(bpf_map_lookup_elem(fd, &a, &n));
	for (size_t i = 0; i < EG_NAMES_OF_ADDR; i++)
		n.until_s[i] = n.hash[i] ? attach_mono_ns() / 1000000000 : 0;
	assert_ok(bpf_map_update_elem(fd, &a, &n, BPF_EXIST));
}

static int received(int fd, const char *what)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char byte;

	if (poll(&p, 1, 300) != 1)
		return 0;
	assert_int_equal(recv(fd, &byte, 1, 0), 1);
	return byte == *what;
}

/* A name is over for new flows when its time is, but not for the flow that began with it, whatever policy comes. */
static void test_outlives(void **state)
{
	struct live *l = *state;
	int listener = live_listen(l, THERE, AF_INET, PORT), here, there;

	resolve("www.good.test", "10.99.0.2");
	here = live_socket(l, HERE, AF_INET, SOCK_STREAM, 0);
	assert_ok(live_connect(here, THERE, AF_INET, PORT));
	there = live_accept(listener);
	assert_int_equal(send(here, "a", 1, 0), 1);
	assert_true(received(there, "a"));
	usleep(1100000); /* the flow is older than the second in which its name ends */
	expire(l, "10.99.0.2");
	assert_int_equal(dial(l, "10.99.0.2"), REFUSED);
	set_policy(l, "resolvers 10.99.0.2\nallow to **.good.test port 1-5000\ndefault deny\n");
	assert_int_equal(send(here, "b", 1, 0), 1);
	assert_true(received(there, "b"));
	/* and the next policy no longer allows it */
	set_policy(l, "resolvers 10.99.0.2\nallow to **.other.test\ndefault deny\n");
	send(here, "c", 1, 0);
	assert_false(received(there, "c"));
	close(here);
	close(there);
	close(listener);
}

/* A resolver of this machine: believed over loopback in this machine's own network namespace, and in no other. */
static void test_local(void **state)
{
	struct live *l = *state;
	struct sockaddr_in at = { .sin_family = AF_INET,
				  .sin_port = htons(53),
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int server = live_socket(l, HERE, AF_INET, SOCK_DGRAM, 0);

	assert_ok(bind(server, (struct sockaddr *)&at, sizeof(at)));
	for (int own = 0; own < 2; own++) {
		struct sockaddr_storage from;
		socklen_t from_len = sizeof(from);
		uint8_t m[512];
		size_t n = put_question(m, "www.good.test", 0);

		if (own)
			live_enter(l, HERE);
		trust(l, "127.0.0.1");
		live_leave(l);
		assert_int_equal(sendto(asker, m, n, 0, (struct sockaddr *)&at, sizeof(at)), n);
		assert_true(recvfrom(server, m, sizeof(m), 0, (struct sockaddr *)&from, &from_len) >
			    0);
		n = put_answer(m, "www.good.test", "10.99.0.65");
		assert_int_equal(sendto(server, m, n, 0, (struct sockaddr *)&from, from_len), n);
		wait_for_answer(asker);
		assert_int_equal(dial(l, "10.99.0.65"), own ? PASSED : REFUSED);
	}
	close(server);
}

static void test_told(void **state)
{
	struct live *l = *state;
	struct addr a;

	assert_ok(addr_parse(STR("10.99.0.60"), &a));
	assert_int_equal(attach_name_told(l->attach, &a, STR("not a name"), 0), -EINVAL);
	assert_int_equal(attach_name_told(l->attach, &a, STR(""), 0), -EINVAL);
	assert_int_equal(dial(l, "10.99.0.60"), REFUSED);
	assert_ok(attach_name_told(l->attach, &a, STR("Box.Good.test."), 0));
	assert_int_equal(dial(l, "10.99.0.60"), PASSED);
}

/* --- over TCP --------------------------------------------------------------------------------------------------- */

static void send_in_parts(int fd, const uint8_t *m, size_t n, size_t first)
{
	int one = 1;

	assert_ok(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)));
	assert_int_equal(send(fd, m, first, 0), first);
	usleep(20000);
	assert_int_equal(send(fd, m + first, n - first, 0), n - first);
	usleep(20000);
}

static size_t put_length(uint8_t *to, const uint8_t *m, size_t n)
{
	to[0] = n >> 8;
	to[1] = n;
	memcpy(to + 2, m, n);
	return n + 2;
}

static void test_stream(void **state)
{
	struct live *l = *state;
	int listener = live_listen(l, THERE, AF_INET, 53), here, there;
	uint8_t m[512], inner[600], out[1200];
	size_t n, first;

	here = live_socket(l, HERE, AF_INET, SOCK_STREAM, 0);
	assert_ok(live_connect(here, THERE, AF_INET, 53));
	there = live_accept(listener);
	/* two messages, cut in the middle of the second */
	n = put_length(out, m, put_answer(m, "a.good.test", "10.99.0.70"));
	first = n + 20;
	n += put_length(out + n, m, put_answer(m, "b.good.test", "10.99.0.71"));
	send_in_parts(there, out, n, first);
	assert_int_equal(dial(l, "10.99.0.70"), PASSED);
	assert_int_equal(dial(l, "10.99.0.71"), PASSED);
	/* a text that looks like a message, where a segment begins with it: it is none */
	n = put_question(m, "zone.evil.test", 1);
	memcpy(m + n, "\xc0\x0c\0\x10\0\1\0\0\0\1\0\xff", 12);
	first = 2 + n + 12;
	n += 12;
	n += put_length(m + n, inner, put_answer(inner, "c.good.test", "10.99.0.72"));
	m[first - 3] = n - (first - 2);
	n = put_length(out, m, n);
	send_in_parts(there, out, n, first);
	assert_int_equal(dial(l, "10.99.0.72"), REFUSED);
	/* and the stream goes on behind it */
	n = put_length(out, m, put_answer(m, "d.good.test", "10.99.0.73"));
	send_in_parts(there, out, n, n / 2);
	assert_int_equal(dial(l, "10.99.0.73"), PASSED);
	close(here);
	close(there);
	close(listener);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup(f, begin)
	const struct CMUnitTest tests[] = {
		TEST(test_answer),   TEST(test_stranger), TEST(test_unasked), TEST(test_crowd),
		TEST(test_outlives), TEST(test_local),    TEST(test_told),    TEST(test_stream),
	};

	return cmocka_run_group_tests(tests, live_setup, live_teardown);
}
