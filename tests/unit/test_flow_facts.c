/* SPDX-License-Identifier: Apache-2.0 */
/* What the flow table keeps of payloads beside protocols: the opener's first bytes, what pings carry. */
#include "flow_rig.h"

#include "replay/replay.h"

static const struct flow_config defaults;

/* Bytes that look like nothing. */
static struct str noise(char to[400])
{
	uint32_t v = 12345;

	for (size_t i = 0; i < 400; i++) {
		v = v * 1664525 + 1013904223;
		to[i] = (char)(v >> 24);
	}
	to[0] = (char)0xe1;
	return (struct str){ to, 400 };
}

static void keep(void *ctx, const struct flow *f)
{
	*(struct flow *)ctx = *f;
}

/* The one flow there is. */
static struct flow only(struct rig *g)
{
	struct flow f = { 0 };
	struct flow_table_stats stats;

	flow_table_stats(g->t, &stats);
	assert_int_equal(stats.flows_now, 1);
	flow_table_each(g->t, keep, &f);
	return f;
}

static void end(struct rig *g)
{
	rig_finish(g);
	rig_stop(g);
}

static void the_openers_first_payload_is_looked_at(void **state)
{
	char bytes[400];
	struct rig g;
	struct rig_tcp c = rig_tcp(&g, 40000, 7777);

	rig_start(&g, defaults, false);
	rig_connect(&c);
	assert_int_equal(only(&g).first, FIRST_NONE);
	rig_send(&c, 1, STR("what the other side says does not count"));
	assert_int_equal(only(&g).first, FIRST_NONE);
	rig_send(&c, 0, noise(bytes));
	assert_int_equal(only(&g).first, FIRST_RANDOM);
	rig_send(&c, 0, STR("nor does what follows, of the opener itself"));
	assert_int_equal(only(&g).first, FIRST_RANDOM);
	end(&g);
}

static void bytes_in_the_middle_are_not_first(void **state)
{
	char bytes[400];
	struct rig g;
	struct rig_tcp c = rig_tcp(&g, 40000, 7777);

	rig_start(&g, defaults, false);
	rig_send(&c, 0, noise(bytes)); /* no SYN was seen */
	assert_int_equal(only(&g).first, FIRST_NONE);
	end(&g);

	c = rig_tcp(&g, 40000, 7777);
	rig_start(&g, defaults, false);
	rig_connect(&c);
	c.seq[0] += 10; /* a segment is missing before it */
	rig_send(&c, 0, noise(bytes));
	assert_int_equal(only(&g).first, FIRST_NONE);
	end(&g);
}

static void known_protocols_have_none(void **state)
{
	struct rig g;
	struct rig_tcp c = rig_tcp(&g, 40000, 80);

	rig_start(&g, defaults, false);
	rig_connect(&c);
	rig_send(&c, 0, STR("GET / HTTP/1.1\r\nHost: a.example\r\n\r\n"));
	assert_int_equal(only(&g).app, APP_HTTP);
	assert_int_equal(only(&g).first, FIRST_NONE);
	end(&g);
}

static void datagrams_too(void **state)
{
	char bytes[400];
	struct rig g;

	rig_start(&g, defaults, false);
	rig_udp(&g, S, 5000, D, 7777, noise(bytes));
	assert_int_equal(only(&g).first, FIRST_RANDOM);
	rig_udp(&g, S, 5000, D, 7777, STR("text"));
	assert_int_equal(only(&g).first, FIRST_RANDOM);
	end(&g);
	rig_start(&g, defaults, false);
	rig_udp(&g, S, 5000, D, 7777, STR("just some text"));
	assert_int_equal(only(&g).first, FIRST_TEXT);
	end(&g);
}

/* --- pings --------------------------------------------------------------------------------------------------------- */

#define DATA_MAX 200

/* An echo request of S, or D's reply; live: seen by the kernel, which counts apart. */
static void echo(struct rig *g, bool reply, uint16_t number, struct str data, bool live)
{
	struct event e = live || !reply ? rig_event(g, EVENT_PACKET, IPPROTO_ICMP, S, 8, D, 0)
					: rig_event(g, EVENT_PACKET, IPPROTO_ICMP, D, 0, S, 8);
	char message[8 + DATA_MAX] = { reply ? 0 : 8,       0,           0, 0, 0x12, 0x34,
				       (char)(number >> 8), (char)number };

	assert_true(data.n <= DATA_MAX);
	memcpy(message + 8, data.p, data.n);
	if (live)
		e.dir = reply ? EVENT_DIR_RX : EVENT_DIR_TX;
	e.packet = (struct event_packet){ .packets = !live,
					  .ip_bytes = 28 + (uint32_t)data.n,
					  .payload_bytes = 8 + (uint32_t)data.n,
					  .payload = { message, 8 + data.n } };
	flow_table_event(g->t, &e);
	g->now += NSEC_PER_MSEC;
}

static const struct str windows = { "abcdefghijklmnopqrstuvwabcdefghi", 32 };

static void an_ordinary_ping(void **state)
{
	for (int live = 0; live < 2; live++) {
		struct rig g;
		struct flow f;

		rig_start(&g, defaults, live);
		for (uint16_t n = 1; n <= 20; n++) {
			echo(&g, false, n, windows, live);
			if (n != 7) /* one is lost */
				echo(&g, true, n, windows, live);
		}
		f = only(&g);
		assert_int_equal(f.icmp.seen[TO_SERVER], 20);
		assert_int_equal(f.icmp.seen[TO_CLIENT], 19);
		assert_int_equal(f.icmp.varied[TO_SERVER] + f.icmp.varied[TO_CLIENT], 0);
		assert_int_equal(f.icmp.largest[TO_SERVER], 32);
		assert_int_equal(f.icmp.unasked, 0);
		assert_int_equal(f.icmp.differing, 0);
		assert_int_equal(icmp_farthest(&f.icmp, TO_SERVER), PING_PATTERN);
		assert_int_equal(icmp_farthest(&f.icmp, TO_CLIENT), PING_PATTERN);
		end(&g);
	}
}

static void a_tunnel_in_pings(void **state)
{
	static const char said[] =
		"what a shell writes is of any length, and nobody sends it back as it is";
	struct rig g;
	struct flow f;

	rig_start(&g, defaults, false);
	for (uint16_t n = 1; n <= 10; n++) {
		echo(&g, false, n,
		     str_sub(STR("id; uname -a; cat /etc/passwd # to be run there"), 0, 36 + n % 3),
		     false);
		echo(&g, true, n, str_sub((struct str){ said, sizeof(said) - 1 }, 0, 40 + n % 5),
		     false);
	}
	echo(&g, true, 10, STR("once more"), false);
	echo(&g, true, 500, STR("nobody asked"), false);
	f = only(&g);
	assert_int_equal(f.icmp.varied[TO_SERVER], 9);
	assert_int_equal(f.icmp.differing, 10);
	assert_int_equal(f.icmp.unasked, 2);
	assert_int_equal(f.icmp.largest[TO_SERVER], 38);
	assert_int_equal(f.icmp.largest[TO_CLIENT], 44);
	assert_int_equal(icmp_farthest(&f.icmp, TO_CLIENT), PING_TEXT);
	end(&g);
}

static void errors_are_no_pings(void **state)
{
	struct rig g;
	struct event e;
	struct flow f;

	rig_start(&g, defaults, false);
	e = rig_event(&g, EVENT_PACKET, IPPROTO_ICMP, S, 3, D, 1);
	e.packet = (struct event_packet){ .packets = 1,
					  .payload_bytes = 16,
					  .payload = { "\3\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 16 } };
	flow_table_event(g.t, &e);
	f = only(&g);
	assert_int_equal(f.icmp.seen[0] + f.icmp.seen[1], 0);
	end(&g);
}

static void on_event(void *ctx, const struct event *e)
{
	flow_table_event(((struct rig *)ctx)->t, e);
}

static void on_error(void *ctx, const char *message)
{
	fail_msg("%s", message);
}

static void keep_largest(void *ctx, const struct flow *f)
{
	struct flow *to = ctx;

	if (f->key.proto == IPPROTO_ICMP && f->icmp.seen[0] > to->icmp.seen[0])
		*to = *f;
}

static struct flow recorded(const char *name)
{
	struct flow f = { 0 };
	struct replay *r;
	char path[512];
	struct rig g;

	test_data(name, path);
	rig_start(&g, defaults, false);
	assert_ok(replay_new(&r, (struct event_out){ on_event, &g }, on_error, NULL));
	assert_ok(replay_add(r, path));
	while (replay_run(r, 10000) > 0)
		;
	flow_table_each(g.t, keep_largest, &f);
	replay_free(r);
	end(&g);
	return f;
}

static void a_recorded_tunnel(void **state)
{
	struct flow f = recorded("ndpi/icmp-tunnel.pcap");

	print_message("%u requests, %u of another size; %u replies, %u not as asked, %u unasked\n",
		      f.icmp.seen[0], f.icmp.varied[0], f.icmp.seen[1], f.icmp.differing,
		      f.icmp.unasked);
	assert_true(f.icmp.seen[0] > 100);
	assert_true(f.icmp.varied[0] * 10 > f.icmp.seen[0]);
	assert_true(f.icmp.differing + f.icmp.unasked > 50);
	assert_true(f.icmp.largest[0] > 500);
	assert_true(icmp_farthest(&f.icmp, TO_SERVER) >= PING_TEXT);
}

static void a_file_handed_over_by_ftp(void **state)
{
	struct rig g;
	struct rig_tcp c = rig_tcp(&g, 40000, 21);

	rig_start(&g, defaults, false);
	rig_connect(&c);
	rig_send(&c, 1, STR("220 ready\r\n"));
	rig_send(&c, 0, STR("USER a\r\n"));
	rig_send(&c, 1, STR("331 password\r\n"));
	rig_send(&c, 0, STR("PASS b\r\nPASV\r\n"));
	assert_int_equal(only(&g).app, APP_FTP);
	assert_false(only(&g).stores);
	rig_send(&c, 0, STR("STO"));
	assert_false(only(&g).stores);
	rig_send(&c, 0, STR("R x.html\r\n"));
	assert_true(only(&g).stores);
	end(&g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_openers_first_payload_is_looked_at),
		cmocka_unit_test(bytes_in_the_middle_are_not_first),
		cmocka_unit_test(known_protocols_have_none),
		cmocka_unit_test(datagrams_too),
		cmocka_unit_test(an_ordinary_ping),
		cmocka_unit_test(a_tunnel_in_pings),
		cmocka_unit_test(errors_are_no_pings),
		cmocka_unit_test(a_recorded_tunnel),
		cmocka_unit_test(a_file_handed_over_by_ftp),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
