/* SPDX-License-Identifier: Apache-2.0 */
/* Live views that clients share, over a real channel with the daemon's side played here; and tokens. */
#include "test.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/loop.h"
#include "base/time.h"
#include "serve/tokens.h"
#include "web/hub.h"

struct rig {
	struct loop *loop;
	struct hubs hubs;
	int channel[2]; /* ours, the daemon's */
};

static struct rig rig;

static int set_up(void **state)
{
	hubs_init(&rig.hubs);
	return loop_new(&rig.loop) < 0 || socketpair(AF_UNIX, SOCK_SEQPACKET, 0, rig.channel) < 0;
}

static int tear_down(void **state)
{
	hubs_free(&rig.hubs);
	loop_free(rig.loop);
	close(rig.channel[0]);
	close(rig.channel[1]);
	return 0;
}

static void stop(void *ctx)
{
	loop_stop(ctx);
}

static void turn(void)
{
	struct loop_source *timer;

	assert_ok(loop_add_timer(rig.loop, 20 * NSEC_PER_MSEC, stop, rig.loop, &timer));
	assert_ok(loop_run(rig.loop));
	loop_remove(timer);
}

/* The daemon's end of the connection that was handed over last. */
static int taken(void)
{
	char byte, room[CMSG_SPACE(2 * sizeof(int))];
	struct iovec iov = { &byte, 1 };
	struct msghdr m = { .msg_iov = &iov,
			    .msg_iovlen = 1,
			    .msg_control = room,
			    .msg_controllen = sizeof(room) };
	int fd;

	assert_int_equal(recvmsg(rig.channel[1], &m, MSG_DONTWAIT), 1);
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof(fd));
	return fd;
}

static void count_wake(void *ctx)
{
	++*(unsigned *)ctx;
}

static struct hub_stream stream(unsigned *wakes)
{
	return (struct hub_stream){ .wake = count_wake, .ctx = wakes, .until_s = 1000 };
}

static int join(struct hub_stream *s, const char *key, bool is_top)
{
	return hub_join(&rig.hubs,
			&(struct hub_question){ .loop = rig.loop,
						.channel = rig.channel[0],
						.asker_fd = -1,
						.key = str_of(key),
						.request = STR("{\"ask\":\"x\"}"),
						.is_top = is_top },
			s);
}

static const char *heard(struct hub_stream *s)
{
	static char text[65536];
	long n = hub_read(s, text, sizeof(text) - 1);

	text[n > 0 ? n : 0] = 0;
	return n < 0 ? "(end)" : text;
}

static void test_shared(void **state)
{
	unsigned wakes[3] = { 0 };
	struct hub_stream a = stream(&wakes[0]), b = stream(&wakes[1]), c = stream(&wakes[2]);
	int fd;

	assert_ok(join(&a, "k", true));
	fd = taken();
	assert_ok(join(&b, "k", true));
	assert_int_equal(recv(rig.channel[1], &(char){ 0 }, 1, MSG_DONTWAIT),
			 -1); /* nobody was asked again */
	assert_string_equal(heard(&a), "retry: 2000\n\n");
	assert_string_equal(heard(&a), "");
	assert_int_equal(wakes[0], 0);
	assert_int_equal(write(fd, "{\"n\":1}\n", 8), 8);
	turn();
	assert_int_equal(wakes[0], 1);
	assert_int_equal(wakes[1], 0); /* it was not waiting */
	assert_string_equal(heard(&a), "event: top\ndata: {\"n\":1}\n\n");
	assert_string_equal(heard(&b), "retry: 2000\n\nevent: top\ndata: {\"n\":1}\n\n");
	/* who comes later sees the last picture at once; who was slow sees only the newest two */
	assert_int_equal(write(fd, "{\"n\":2}\n{\"n\":3}\n{\"n\":4}\n", 24), 24);
	turn();
	assert_ok(join(&c, "k", true));
	assert_string_equal(heard(&c), "retry: 2000\n\nevent: top\ndata: {\"n\":4}\n\n");
	assert_string_equal(heard(&a),
			    "event: top\ndata: {\"n\":3}\n\nevent: top\ndata: {\"n\":4}\n\n");
	/* the daemon ends: what is there is still heard, then the end */
	close(fd);
	turn();
	assert_string_equal(heard(&b),
			    "event: top\ndata: {\"n\":3}\n\nevent: top\ndata: {\"n\":4}\n\n");
	assert_string_equal(heard(&b), "(end)");
	hub_leave(&rig.hubs, &a);
	hub_leave(&rig.hubs, &b);
	hub_leave(&rig.hubs, &c);
	assert_int_equal(rig.hubs.n, 0);
}

static void test_events_and_losses(void **state)
{
	unsigned wakes = 0;
	struct hub_stream s = stream(&wakes);
	char line[2048];
	int fd, n, lost = 0, got = 0;
	const char *at;

	assert_ok(join(&s, "e", false));
	fd = taken();
	heard(&s);
	n = snprintf(line, sizeof(line),
		     "{\"timestamp\":\"x\",\"event_type\":\"dns\",\"a\":1}\n{\"lost\":7}\n{"
		     "\"error\":\"no\"}\n");
	assert_int_equal(write(fd, line, (size_t)n), n);
	turn();
	assert_string_equal(
		heard(&s),
		"event: dns\ndata: {\"timestamp\":\"x\",\"event_type\":\"dns\",\"a\":1}\n\n"
		"event: lost\ndata: {\"lost\":7}\n\nevent: error\ndata: {\"error\":\"no\"}\n\n");
	/* 3000 records of 1 KiB while it does not read: the ring keeps 1 MiB of them, and the rest is told */
	memset(line, ' ', sizeof(line));
	memcpy(line, "{\"event_type\":\"flow\"}", 21);
	line[1023] = '\n';
	for (int i = 0; i < 3000; i++) {
		assert_int_equal(write(fd, line, 1024), 1024);
		if (i % 50 == 49)
			turn();
	}
	while (*(at = heard(&s))) {
		const char *told = strstr(at, "{\"lost\":");

		lost += told ? atoi(told + 8) : 0;
		for (const char *p = at; (p = strstr(p, "event: flow")); p++)
			got++;
	}
	assert_int_equal(got + lost, 3000);
	assert_in_range(got, 900, 1024);
	/* quiet for long: a comment; over time: the end */
	for (int i = 0; i < 15; i++)
		hubs_tick(&rig.hubs, 10);
	assert_string_equal(heard(&s), ":\n\n");
	assert_string_equal(heard(&s), "");
	wakes = 0;
	hubs_tick(&rig.hubs, 1000);
	assert_int_equal(wakes, 1);
	assert_string_equal(heard(&s), "(end)");
	hub_leave(&rig.hubs, &s);
	close(fd);
}

static void test_so_many(void **state)
{
	struct hub_stream s[HUBS_MAX + 1];
	unsigned wakes = 0;
	char key[8];

	for (unsigned i = 0; i <= HUBS_MAX; i++) {
		s[i] = stream(&wakes);
		snprintf(key, sizeof(key), "k%u", i);
		assert_int_equal(join(&s[i], key, true), i < HUBS_MAX ? 0 : -EBUSY);
		if (i < HUBS_MAX)
			close(taken());
	}
	hub_leave(&rig.hubs, &s[HUBS_MAX]); /* was never in */
	for (unsigned i = 0; i < HUBS_MAX; i++)
		hub_leave(&rig.hubs, &s[i]);
	assert_int_equal(rig.hubs.n, 0);
	close(rig.channel[1]);
	assert_true(join(&s[0], "gone", true) < 0); /* nobody there */
	assert_int_equal(rig.hubs.n, 0);
}

static void test_tokens(void **state)
{
	char folder[] = "/tmp/egret-tokens.XXXXXX", file[64], token[2][TOKEN_TEXT_MAX], text[8192];
	struct tokens *t;
	uint64_t until;
	struct stat st;
	size_t n;
	bool change;
	FILE *f;

	assert_non_null(mkdtemp(folder));
	snprintf(file, sizeof(file), "%s/tokens", folder);
	assert_ok(tokens_new(&t, folder));
	assert_ok(tokens_make(t, false, 100, 1, token[0]));
	assert_ok(tokens_make(t, true, 200, 1, token[1]));
	assert_string_not_equal(token[0], token[1]);
	assert_true(tokens_check(t, str_of(token[0]), 99, &change, &until));
	assert_false(change);
	assert_int_equal(until, 100);
	assert_true(tokens_check(t, str_of(token[1]), 99, &change, &until));
	assert_true(change);
	assert_false(tokens_check(t, str_of(token[0]), 100, &change, &until));
	assert_false(tokens_check(t, STR("0123"), 1, &change, &until));
	assert_false(tokens_check(t, STR_NONE, 1, &change, &until));
	token[0][5] ^= 1;
	assert_false(tokens_check(t, str_of(token[0]), 1, &change, &until));
	token[0][5] ^= 1;
	tokens_free(t);
	/* they outlive the daemon; the secret is in no file, and nobody else reads it */
	assert_ok(stat(file, &st));
	assert_int_equal(st.st_mode & 0777, 0600);
	f = fopen(file, "r");
	assert_non_null(f);
	text[fread(text, 1, sizeof(text) - 1, f)] = 0;
	fclose(f);
	assert_null(strstr(text, token[0]));
	assert_ok(tokens_new(&t, folder));
	assert_true(tokens_check(t, str_of(token[0]), 1, &change, &until));
	/* a 65th takes the place of the one that ends first */
	for (unsigned i = 0; i < TOKENS_MAX - 1; i++)
		assert_ok(tokens_make(t, false, 300, 1, text));
	assert_int_equal(tokens_alive(t, 1), TOKENS_MAX);
	assert_false(tokens_check(t, str_of(token[0]), 1, &change, &until));
	assert_true(tokens_check(t, str_of(token[1]), 1, &change, &until));
	assert_ok(tokens_revoke(t, &n));
	assert_int_equal(n, TOKENS_MAX);
	assert_false(tokens_check(t, str_of(token[1]), 1, &change, &until));
	tokens_free(t);
	/* damaged: set aside, nobody gets in */
	f = fopen(file, "w");
	fputs("zz 1 c\n", f);
	fclose(f);
	assert_ok(tokens_new(&t, folder));
	assert_int_equal(tokens_alive(t, 0), 0);
	tokens_free(t);
	snprintf(text, sizeof(text), "%s.damaged", file);
	assert_ok(unlink(text));
	unlink(file);
	assert_ok(rmdir(folder));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_shared, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_events_and_losses, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_so_many, set_up, tear_down),
		cmocka_unit_test(test_tokens),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
