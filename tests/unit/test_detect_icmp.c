/* SPDX-License-Identifier: Apache-2.0 */
/* Tunnels in pings, and pings that look like them. */
#include "detect_rig_flows.h"

/* One echo message with what the flow table notes of it. */
static void ping(struct drig *g, struct flow *f, enum flow_side side, uint16_t size,
		 enum ping_data kind, bool differs)
{
	struct flow_icmp *i = &f->icmp;

	i->varied[side] += i->seen[side] && i->last[side] != size;
	i->seen[side]++;
	i->last[side] = size;
	i->largest[side] = MAX(i->largest[side], size);
	i->kinds[side] |= (uint8_t)(1 << kind);
	i->differing += differs;
	drig_moves(g, f, side, size + 28U, side == TO_SERVER ? 0.5 : 0.02);
}

static void test_tunnel(void **state)
{
	struct drig *g = drig_new(DETECT_FILE);
	struct flow *f = drig_open(g, FAR, 0, IPPROTO_ICMP, APP_UNDECIDED);

	for (int i = 0; i < 30; i++) {
		ping(g, f, TO_SERVER, (uint16_t)(52 + i * 37 % 700), PING_RANDOM, false);
		ping(g, f, TO_CLIENT, (uint16_t)(60 + i * 91 % 900), PING_RANDOM, true);
	}
	assert_int_equal(drig_db(g, f, E_ICMP_ANSWERS), evidence_rows[E_ICMP_ANSWERS].most);
	assert_true(drig_db(g, f, E_ICMP_DATA) >= 16);
	drig_ends(g, f);
	drig_finish(g);
	assert_int_equal(g->told, 1);
	assert_true(g->worst >= SEVERITY_HIGH);
	assert_int_equal(g->class, CLASS_C2);
	drig_free(g);
}

/* A tunnel that says little, in a flow of its own each minute: what is over counts with what is now. */
static void test_slow_tunnel(void **state)
{
	struct drig *g = drig_new(DETECT_FILE);
	struct flow *f = NULL;

	for (int i = 0; i < 24; i++) {
		f = drig_open(g, FAR, 0, IPPROTO_ICMP, APP_UNDECIDED);
		ping(g, f, TO_SERVER, 64, PING_OTHER, false);
		ping(g, f, TO_CLIENT, 64, PING_OTHER, true);
		drig_ends(g, f);
		g->now += 60 * NSEC_PER_SEC;
	}
	assert_int_equal(drig_db(g, f, E_ICMP_ANSWERS), 30);
	drig_free(g);
}

static void pings(uint16_t size, uint16_t answered, enum ping_data kind, int n, int sizes)
{
	struct drig *g = drig_new(DETECT_FILE);
	struct flow *f = drig_open(g, FAR, 0, IPPROTO_ICMP, APP_UNDECIDED);

	for (int i = 0; i < n; i++) {
		uint16_t more = (uint16_t)(i % sizes * 100);

		ping(g, f, TO_SERVER, size + more, kind, false);
		/* Cut by who answers: it differs, in one size. */
		ping(g, f, TO_CLIENT, answered + more, kind, answered != size);
	}
	drig_ends(g, f);
	drig_finish(g);
	assert_int_equal(drig_db(g, f, E_ICMP_ANSWERS), 0);
	assert_true(drig_db(g, f, E_ICMP_DATA) <= 8);
	assert_int_equal(g->told, 0);
	drig_free(g);
}

static void test_pings(void **state)
{
	pings(56, 56, PING_PATTERN, 3600, 1);    /* an hour of ping */
	pings(1400, 1400, PING_PATTERN, 500, 1); /* ping -s 1400 */
	pings(1400, 64, PING_PATTERN, 500, 1);   /* the same, to a resolver that mirrors 64 bytes */
	pings(28, 28, PING_TEXT, 500, 1);        /* a monitor that signs its pings */
	pings(100, 100, PING_PATTERN, 100, 10);  /* a sweep of sizes: which fit through? */
	pings(12, 12, PING_LITTLE, 2000, 1);     /* fping */
}

/* A flood has more on its way than are remembered: answers to no question, all of one size. */
static void test_flood(void **state)
{
	struct drig *g = drig_new(DETECT_FILE);
	struct flow *f = drig_open(g, FAR, 0, IPPROTO_ICMP, APP_UNDECIDED);

	for (int i = 0; i < 500; i++) {
		ping(g, f, TO_SERVER, 56, PING_PATTERN, false);
		ping(g, f, TO_CLIENT, 56, PING_PATTERN, false);
		f->icmp.unasked++;
	}
	assert_int_equal(drig_db(g, f, E_ICMP_ANSWERS), 0);
	drig_free(g);
}

/* Of a log there are sums alone. */
static void test_log(void **state)
{
	struct drig *g = drig_new(DETECT_FILE);
	struct flow *f = drig_open(g, FAR, 0, IPPROTO_ICMP, APP_UNDECIDED);

	f->half[TO_SERVER] =
		(struct flow_half){ .packets = 4000, .bytes = 400000, .payload = 300000 };
	f->half[TO_CLIENT] =
		(struct flow_half){ .packets = 4000, .bytes = 4000000, .payload = 3900000 };
	drig_ends(g, f);
	assert_int_equal(drig_db(g, f, E_ICMP_ANSWERS), 14);
	drig_free(g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tunnel), cmocka_unit_test(test_slow_tunnel),
		cmocka_unit_test(test_pings),  cmocka_unit_test(test_flood),
		cmocka_unit_test(test_log),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
