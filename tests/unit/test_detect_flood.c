/* SPDX-License-Identifier: Apache-2.0 */
/* Somebody who fills the tables: they stay as large as they are, what is a case stays, what comes is looked at all the same. */
#include "test.h"

#include "core_rig.h"

#define KEPT 40

/* A million peers seen once each, past a table of 8,192: cases stay, memory stays, what went is counted. */
static void test_flood_of_peers(void **state)
{
	struct rig r = { 0 };
	struct detect_stats st, before = { 0 };
	struct pair *kept[KEPT];
	struct entity *e;
	char name[48];

	rig_config(&r, (struct detect_config){ .vantage = DETECT_HOST, .max_pairs = 8192 });
	for (int i = 0; i < KEPT; i++) {
		snprintf(name, sizeof(name), "kept%d.example", i);
		kept[i] = make_case(&r, rig_program(&r, "/opt/agent"), name);
	}
	e = rig_program(&r, "/opt/flood");
	for (uint32_t i = 0; i < 1000000; i++) {
		struct addr a = addr_from_v4(&(uint32_t){ htonl(0x0b000000 + i) });
		struct peer *peer = peer_of_addr(r.d, &a, 443, IPPROTO_TCP);

		assert_non_null(peer);
		assert_non_null(pair_of(r.d, e, peer));
		if (i == 300000)
			detect_stats(r.d, &before);
	}
	detect_stats(r.d, &st);
	assert_int_equal(st.pairs, 8192);
	assert_true(st.peers <= 131072);
	assert_int_equal(st.evicted_pairs, 1000000 + KEPT - 8192);
	assert_true(st.evicted_peers > 800000);
	assert_int_equal(st.memory_bytes, before.memory_bytes);
	assert_int_equal(st.cases_open, KEPT);
	assert_int_equal(st.no_room, 0);
	for (int i = 0; i < KEPT; i++) {
		struct str domain = text_str(kept[i]->peer->domain);

		snprintf(name, sizeof(name), "kept%d.example", i);
		assert_str(domain, name);
		assert_int_equal(kept[i]->dossier->state, CASE_OPEN);
	}
	rig_free(&r);
}

/* As many pairs as peers: each new one has to push out both. */
static void test_flood_of_pairs_and_peers(void **state)
{
	struct rig r;
	struct detect_stats st;
	struct entity *e;
	struct pair *p;

	rig_new(&r, DETECT_HOST, 0);
	p = make_case(&r, rig_program(&r, "/opt/agent"), "kept.example");
	e = rig_program(&r, "/opt/flood");
	for (uint32_t i = 0; i < 400000; i++) {
		struct addr a = addr_from_v4(&(uint32_t){ htonl(0x0b000000 + i) });
		struct peer *peer = peer_of_addr(r.d, &a, 443, IPPROTO_TCP);

		assert_non_null(peer);
		assert_non_null(pair_of(r.d, e, peer));
	}
	detect_stats(r.d, &st);
	assert_int_equal(st.no_room, 0);
	assert_int_equal(p->dossier->state, CASE_OPEN);
	assert_str(text_str(p->peer->domain), "kept.example");
	rig_free(&r);
}

/* Spoofed sources: entities that each have a pair. Those that come are looked at all the same. */
static void test_flood_of_entities(void **state)
{
	struct rig r;
	struct detect_stats st;
	struct pair *p;

	rig_new(&r, DETECT_GATEWAY, 0);
	p = make_case(&r, rig_machine(&r, 0x0a000001), "kept.example");
	for (uint32_t i = 0; i < 200000; i++) {
		struct entity *e = rig_machine(&r, 0x0b000000 + i);

		assert_non_null(e);
		assert_non_null(rig_pair(&r, e, "victim.example"));
	}
	detect_stats(r.d, &st);
	assert_int_equal(st.entities, 16384);
	assert_true(st.evicted_entities > 180000);
	assert_int_equal(p->dossier->state, CASE_OPEN);
	assert_int_equal(p->entity->addr.b[15], 1);
	rig_free(&r);
}

/* Evidence of small weight about everything: what is a case, or would be one, stays. */
static void test_flood_of_evidence(void **state)
{
	struct rig r;
	struct detect_stats st;
	struct pair *open, *held, *p;
	struct entity *e;
	char name[48];

	rig_new(&r, DETECT_HOST, DETECT_WARM_UP_NS);
	open = make_case(&r, rig_program(&r, "/opt/agent"), "open.example");
	held = noisy(&r, rig_program(&r, "/opt/agent"), "held.example", 24);
	assert_int_equal(held->dossier->held, HELD_WARM_UP);
	e = rig_program(&r, "/opt/flood");
	for (int i = 0; i < 60000; i++) {
		snprintf(name, sizeof(name), "n%d.example", i);
		p = rig_pair(&r, e, name);
		for (int k = 0; k < 7; k++)
			rig_say(&r, p, (enum evidence_id)k, 1);
	}
	detect_stats(r.d, &st);
	assert_true(st.dossiers <= 16384);
	assert_true(st.evicted_dossiers >= 60000 - 16384);
	assert_int_equal(st.no_room, 0);
	assert_non_null(open->dossier);
	assert_int_equal(open->dossier->state, CASE_OPEN);
	assert_int_equal(open->dossier->n, 2);
	assert_non_null(held->dossier);
	assert_int_equal(held->dossier->n, 3);
	/* And there is room for what is said of it next. */
	rig_say(&r, open, E_STEADY, 4);
	assert_int_equal(open->dossier->n, 3);
	rig_free(&r);
}

/* Flows that live hold their pairs, whatever comes. */
static void test_flood_beside_living_flows(void **state)
{
	struct rig r = { 0 };
	struct flow_watch watch;
	struct flow flows[64];
	struct entity *e;

	rig_config(&r, (struct detect_config){ .vantage = DETECT_HOST, .max_pairs = 1024 });
	watch = detect_watch(r.d);
	for (uint32_t i = 0; i < 64; i++) {
		flows[i] = (struct flow){ .id = i + 1,
					  .start_ns = T0,
					  .last_ns = T0,
					  .direction = FLOW_EGRESS,
					  .app = APP_SSH,
					  .payload_known = true,
					  .key = { .proto = IPPROTO_TCP, .dport = 22 } };
		flows[i].key.src = addr_from_v4(&(uint32_t){ htonl(0x0a000001) });
		flows[i].key.dst = addr_from_v4(&(uint32_t){ htonl(0x5db80000 + i) });
		watch.on_data(watch.ctx, &flows[i], TO_SERVER, 100, T0);
		assert_non_null(((struct sighting *)flows[i].watched)->pair);
	}
	e = rig_program(&r, "/opt/flood");
	for (uint32_t i = 0; i < 20000; i++) {
		struct addr a = addr_from_v4(&(uint32_t){ htonl(0x0b000000 + i) });

		assert_non_null(pair_of(r.d, e, peer_of_addr(r.d, &a, 443, IPPROTO_TCP)));
	}
	for (uint32_t i = 0; i < 64; i++) {
		struct pair *p = ((struct sighting *)flows[i].watched)->pair;

		assert_true(addr_eq(&p->addr, &flows[i].key.dst));
		watch.on_data(watch.ctx, &flows[i], TO_CLIENT, 50, T0 + NSEC_PER_SEC);
		detect_record(r.d, &(struct record){ .type = RECORD_FLOW,
						     .time_ns = T0 + NSEC_PER_SEC,
						     .flow = &flows[i],
						     .flow_ends = true });
		assert_null(flows[i].watched);
		assert_int_equal(p->watching, 0);
		assert_int_equal(p->up, 100);
		assert_int_equal(p->down, 50);
	}
	rig_free(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_flood_of_peers),
		cmocka_unit_test(test_flood_of_pairs_and_peers),
		cmocka_unit_test(test_flood_of_entities),
		cmocka_unit_test(test_flood_of_evidence),
		cmocka_unit_test(test_flood_beside_living_flows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
