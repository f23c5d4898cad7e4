/* SPDX-License-Identifier: Apache-2.0 */
/* What the flow table keeps of payloads beside protocols: the opener's first bytes. */
#include "flow_rig.h"

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_openers_first_payload_is_looked_at),
		cmocka_unit_test(bytes_in_the_middle_are_not_first),
		cmocka_unit_test(known_protocols_have_none),
		cmocka_unit_test(datagrams_too),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
