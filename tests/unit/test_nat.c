/* SPDX-License-Identifier: Apache-2.0 */
/* Translations of addresses and the flows they belong to: found from either side, whichever comes first. */
#include "flow_rig.h"

#include "flow/filter.h"
#include "flow/nat.h"

#define INSIDE "10.0.0.5"
#define SERVER "192.0.2.9"
#define PUBLIC "203.0.113.1"
#define CLIENT "198.51.100.7"

static struct event_key key(const char *src, uint16_t sport, const char *dst, uint16_t dport)
{
	return (struct event_key){ .src = rig_addr(src),
				   .dst = rig_addr(dst),
				   .sport = sport,
				   .dport = dport,
				   .proto = IPPROTO_TCP };
}

static const char *nat_text(const struct flow_nat *n, char text[128])
{
	char a[ADDR_TEXT_MAX], b[ADDR_TEXT_MAX];

	snprintf(text, 128, "%s:%u>%s:%u%s", addr_format(&n->src, a), n->sport,
		 addr_format(&n->dst, b), n->dport, n->before ? " before" : "");
	return text;
}

static void assert_look(struct nat_table *t, struct event_key k, const char *want)
{
	struct flow_nat n;
	char text[128];

	if (want)
		assert_true(nat_table_find(t, &k, &n));
	else
		assert_false(nat_table_find(t, &k, &n));
	if (want)
		assert_string_equal(nat_text(&n, text), want);
}

static void test_either_side(void **state)
{
	struct event_key before = key(INSIDE, 40000, SERVER, 443),
			 after = key(PUBLIC, 61000, SERVER, 443);
	struct nat_table *t;

	assert_ok(nat_table_new(&t, 8));
	nat_table_add(t, &before, &after);
	assert_look(t, before, PUBLIC ":61000>" SERVER ":443");
	assert_look(t, after, INSIDE ":40000>" SERVER ":443 before");
	assert_look(t, key(SERVER, 443, INSIDE, 40000), SERVER ":443>" PUBLIC ":61000");
	assert_look(t, key(SERVER, 443, PUBLIC, 61000), SERVER ":443>" INSIDE ":40000 before");
	assert_look(t, key(INSIDE, 40001, SERVER, 443), NULL);
	before.proto = IPPROTO_UDP;
	assert_look(t, before, NULL);
	nat_table_free(t);
}

/* A port that is given to the next one is no longer the last one's. */
static void test_taken_over(void **state)
{
	struct event_key a = key(INSIDE, 1, SERVER, 443), b = key(INSIDE, 2, SERVER, 443),
			 after = key(PUBLIC, 61000, SERVER, 443);
	struct nat_table *t;

	assert_ok(nat_table_new(&t, 8));
	nat_table_add(t, &a, &after);
	nat_table_add(t, &b, &after);
	assert_look(t, a, NULL);
	assert_look(t, b, PUBLIC ":61000>" SERVER ":443");
	assert_int_equal(nat_table_count(t), 1);
	nat_table_del(t, &a);
	assert_int_equal(nat_table_count(t), 1);
	nat_table_del(t, &b);
	assert_look(t, after, NULL);
	nat_table_add(t, &b, &after);
	nat_table_clear(t);
	assert_look(t, b, NULL);
	assert_int_equal(nat_table_lost(t), 0);
	nat_table_free(t);
}

static void test_full(void **state)
{
	struct nat_table *t;

	assert_ok(nat_table_new(&t, 8));
	for (uint16_t i = 0; i < 100; i++) {
		struct event_key before = key(INSIDE, i, SERVER, 443),
				 after = key(PUBLIC, 1000 + i, SERVER, 443);

		nat_table_add(t, &before, &after);
	}
	assert_int_equal(nat_table_count(t), 8);
	assert_int_equal(nat_table_lost(t), 92);
	assert_look(t, key(INSIDE, 91, SERVER, 443), NULL);
	assert_look(t, key(INSIDE, 92, SERVER, 443), PUBLIC ":1092>" SERVER ":443");
	nat_table_free(t);
}

/* ---- flows ---- */

static void begins(struct rig *g, const char *inside, uint16_t port, const char *other,
		   uint16_t oport, bool inbound)
{
	struct event e = rig_event(g, EVENT_OPEN, IPPROTO_TCP, inside, port, other, oport);

	e.open =
		(struct event_open){ .forwarded = true, .owner_unknown = true, .inbound = inbound };
	flow_table_event(g->t, &e);
}

static void translate(struct rig *g, struct event_key before, struct event_key after)
{
	struct event e = { .type = EVENT_NAT, .time_ns = g->now, .key = before };

	e.nat.after = after;
	flow_table_event(g->t, &e);
}

static const struct flow *only;

static void on_flow(void *ctx, const struct flow *f)
{
	only = f;
}

static void assert_nat(struct rig *g, const char *want)
{
	char text[128];

	flow_table_each(g->t, on_flow, NULL);
	assert_non_null(only->nat);
	assert_string_equal(nat_text(only->nat, text), want);
}

static bool matches(const char *text)
{
	struct filter_error error;
	struct filter *f;
	bool ret;

	assert_ok(filter_parse(str_of(text), &f, &error));
	ret = filter_match(f, only, 0);
	filter_free(f);
	return ret;
}

/* Out through NAT; the flow first, then the other way round. */
static void test_flow_out(void **state)
{
	struct event_key before = key(INSIDE, 40000, SERVER, 443),
			 after = key(PUBLIC, 61000, SERVER, 443);

	for (int i = 0; i < 2; i++) {
		struct rig g;

		rig_start(&g, (struct flow_config){ 0 }, true);
		if (i)
			translate(&g, before, after);
		begins(&g, INSIDE, 40000, SERVER, 443, false);
		if (!i)
			translate(&g, before, after);
		assert_nat(&g, PUBLIC ":61000>" SERVER ":443");
		assert_true(matches("nat:203.0.113.0/24 natport:61000"));
		assert_false(matches("nat:" SERVER));
		assert_false(matches("natport:40000"));
		/* conntrack forgets sooner than the flow ends */
		flow_table_event(g.t, &(struct event){ .type = EVENT_NAT,
						       .time_ns = g.now,
						       .key = before,
						       .nat = { .change = NAT_ENDS } });
		assert_nat(&g, PUBLIC ":61000>" SERVER ":443");
		rig_stop(&g);
	}
}

/* In through a port of the public address: the flow is seen after it was translated. */
static void test_flow_in(void **state)
{
	struct rig g;

	rig_start(&g, (struct flow_config){ 0 }, true);
	begins(&g, INSIDE, 80, CLIENT, 5555, true);
	translate(&g, key(CLIENT, 5555, PUBLIC, 8080), key(CLIENT, 5555, INSIDE, 80));
	assert_nat(&g, CLIENT ":5555>" PUBLIC ":8080 before");
	assert_true(matches("nat:" PUBLIC " natport:8080"));
	rig_stop(&g);
}

/* What began before egret looked may have its ends the wrong way round, and is found all the same. */
static void test_flow_turned(void **state)
{
	struct rig g;

	rig_start(&g, (struct flow_config){ 0 }, true);
	begins(&g, INSIDE, 80, CLIENT, 5555, false);
	translate(&g, key(CLIENT, 5555, PUBLIC, 8080), key(CLIENT, 5555, INSIDE, 80));
	assert_nat(&g, PUBLIC ":8080>" CLIENT ":5555 before");
	begins(&g, INSIDE, 80, CLIENT, 5555, true);
	assert_nat(&g, CLIENT ":5555>" PUBLIC ":8080 before");
	rig_stop(&g);
}

/* A socket's own flow is none of the gateway's, and a flow without NAT has none. */
static void test_not_forwarded(void **state)
{
	struct rig g;
	struct event e;

	rig_start(&g, (struct flow_config){ 0 }, true);
	e = rig_event(&g, EVENT_OPEN, IPPROTO_TCP, INSIDE, 40000, SERVER, 443);
	e.open.owner_unknown = true;
	flow_table_event(g.t, &e);
	translate(&g, key(INSIDE, 40000, SERVER, 443), key(PUBLIC, 61000, SERVER, 443));
	flow_table_each(g.t, on_flow, NULL);
	assert_null(only->nat);
	assert_false(matches("nat:0.0.0.0/0"));
	begins(&g, INSIDE, 40001, SERVER, 443, false);
	flow_table_each(g.t, on_flow, NULL);
	assert_null(only->nat);
	rig_stop(&g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_either_side),   cmocka_unit_test(test_taken_over),
		cmocka_unit_test(test_full),          cmocka_unit_test(test_flow_out),
		cmocka_unit_test(test_flow_in),       cmocka_unit_test(test_flow_turned),
		cmocka_unit_test(test_not_forwarded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
