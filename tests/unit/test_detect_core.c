/* SPDX-License-Identifier: Apache-2.0 */
/* From evidence to findings: weights, cases, warm-up, budget, exceptions; and tables under a flood. */
#include "test.h"

#include <errno.h>

#include "base/cleanup.h"
#include "core_rig.h"

static struct weighed weigh(struct rig *r, const struct pair *p)
{
	struct weighed w;

	fusion_weigh(r->d, p, &w);
	return w;
}

/* --- weights -------------------------------------------------------------------------------------------------------- */

static void test_evidence_gives_way_to_heavier(void **state)
{
	struct rig r;
	struct pair *p;

	rig_new(&r, DETECT_HOST, 0);
	p = rig_pair(&r, rig_machine(&r, 0x0a000001), "example.net");
	rig_say(&r, p, E_REGULAR, 10);
	rig_say(&r, p, E_REGULAR, 7);
	assert_int_equal(p->dossier->n, 1);
	assert_int_equal(p->dossier->evidence[0]->db, 10);
	rig_say(&r, p, E_REGULAR, 12);
	assert_int_equal(p->dossier->evidence[0]->db, 12);
	rig_say(&r, p, E_LISTED, 0); /* 0: what the row says */
	assert_int_equal(p->dossier->evidence[1]->db, evidence_rows[E_LISTED].most);
	detect_retract(r.d, p, E_REGULAR);
	assert_int_equal(p->dossier->n, 1);
	assert_int_equal(p->dossier->evidence[0]->id, E_LISTED);
	detect_retract(r.d, p, E_REGULAR); /* nothing any more */
	assert_int_equal(p->dossier->n, 1);
	rig_free(&r);
}

/* W = prior + sum of min(cap, heaviest + 0.3 x rest): the numbers by hand. */
static void test_groups_and_caps(void **state)
{
	struct rig r;
	struct pair *p;

	rig_new(&r, DETECT_HOST, 0);
	p = rig_pair(&r, rig_machine(&r, 0x0a000001), "example.net");
	/* rarity: one machine is nothing to compare with; a name that few know: 2 */
	rig_say(&r, p, E_REGULAR, 15);
	assert_int_equal(weigh(&r, p).score_db, -60 + 15 + 2);
	rig_say(&r, p, E_ONE_SIZE, 3);
	rig_say(&r, p, E_STEADY, 4);
	assert_int_equal(weigh(&r, p).score_db, -60 + 15 + 2 + 3 + 4);
	rig_say(&r, p, E_REGULAR, 60); /* over the group's 20 */
	assert_int_equal(weigh(&r, p).score_db, -60 + 20 + 2 + 3 + 4);
	/* one group: 15 + 0.3 x (10 + 6) = 19.8 → 19 */
	rig_say(&r, p, E_DGA_WORDS, 15);
	rig_say(&r, p, E_DGA_NX, 10);
	rig_say(&r, p, E_DGA_NAME, 6);
	assert_int_equal(weigh(&r, p).score_db, -60 + 20 + 2 + 3 + 4 + 19);
	rig_say(&r, p, E_DGA_NX, 25); /* 25 + 0.3 x 21, capped at 25 */
	assert_int_equal(weigh(&r, p).score_db, -60 + 20 + 2 + 3 + 4 + 25);
	assert_string_equal(weigh(&r, p).detector, "beacon");
	assert_int_equal(weigh(&r, p).class, CLASS_C2);
	rig_free(&r);
}

static void test_rarity(void **state)
{
	struct rig r;
	struct pair *p;

	rig_new(&r, DETECT_HOST, 0);
	p = rig_pair(&r, rig_machine(&r, 0x0a000001), "example.net");
	for (uint32_t i = 2; i <= 9; i++)
		rig_pair(&r, rig_machine(&r, 0x0a000000 + i), "everybody.example");
	rig_say(&r, p, E_REGULAR, 20);
	/* 1 of 9: 10 log10(10 / 2) = 7; 7 + 0.3 x 2 */
	assert_int_equal(weigh(&r, p).score_db, -60 + 20 + 7);
	for (uint32_t i = 2; i <= 5; i++)
		rig_pair(&r, rig_machine(&r, 0x0a000000 + i), "example.net");
	/* 5 of 9: 10 log10(10 / 6) = 2 */
	assert_int_equal(weigh(&r, p).score_db, -60 + 20 + 2);
	rig_free(&r);
}

static void test_two_groups(void **state)
{
	struct rig r;
	struct pair *p;

	rig_new(&r, DETECT_HOST, 0);
	p = rig_pair(&r, rig_machine(&r, 0x0a000001), "example.net");
	rig_say(&r, p, E_LISTED, 45);
	/* A group by itself, but a row that may stand alone. */
	assert_true(weigh(&r, p).alone);
	assert_int_equal(weigh(&r, p).severity, SEVERITY_HIGH);
	detect_retract(r.d, p, E_LISTED);
	/* The same weight of one that may not. */
	rig_say(&r, p, E_LISTED_PRINT, 45);
	assert_int_equal(weigh(&r, p).groups, 1);
	assert_int_equal(weigh(&r, p).score_db, -60 + 45 + 2);
	assert_int_equal(weigh(&r, p).severity, SEVERITY_LOW);
	rig_say(&r, p, E_ONE_SIZE, 3);
	assert_int_equal(weigh(&r, p).groups, 2);
	assert_int_equal(weigh(&r, p).severity, SEVERITY_MEDIUM);
	rig_free(&r);
}

static void test_alone_and_certain(void **state)
{
	struct rig r;
	struct pair *p;

	rig_new(&r, DETECT_HOST, 0);
	p = rig_pair(&r, rig_machine(&r, 0x0a000001), "example.net");
	rig_say(&r, p, E_LISTED, 35); /* not at its full weight */
	assert_false(weigh(&r, p).alone);
	rig_say(&r, p, E_LISTED, 36);
	assert_true(weigh(&r, p).alone);
	assert_false(weigh(&r, p).certain);
	assert_int_equal(weigh(&r, p).score_db, -60 + 36 + 2); /* of itself low */
	assert_int_equal(weigh(&r, p).severity, SEVERITY_MEDIUM);
	rig_say(&r, p, E_LISTED, 45);
	assert_true(weigh(&r, p).certain);
	assert_int_equal(weigh(&r, p).severity, SEVERITY_HIGH);
	rig_free(&r);
}

/* A known name speaks for timing and volume, not for a shell or a listed address. */
static void test_popularity(void **state)
{
	struct rig r;
	struct pair *p;

	rig_new(&r, DETECT_HOST, 0);
	p = rig_pair(&r, rig_machine(&r, 0x0a000001), "google.com");
	assert_int_not_equal(p->peer->fame, 0);
	rig_say(&r, p, E_REGULAR, 20);
	assert_int_equal(weigh(&r, p).score_db, -60); /* never below nothing */
	rig_say(&r, p, E_LISTED, 45);
	assert_int_equal(weigh(&r, p).score_db, -60 + 45);
	p->learned = true;
	assert_int_equal(weigh(&r, p).score_db, -60 + 45);
	rig_free(&r);
}

static void test_context_alone_is_no_finding(void **state)
{
	struct rig r;
	struct pair *p;

	rig_new(&r, DETECT_HOST, 0);
	p = rig_pair(&r, rig_machine(&r, 0x0a000001), "example.net");
	assert_int_equal(weigh(&r, p).severity, SEVERITY_NONE);
	assert_null(weigh(&r, p).detector);
	rig_free(&r);
}

/* A recording: -(20 + 10 log10 pairs), between -33 and -60. */
static void test_prior_of_a_recording(void **state)
{
	static const struct {
		unsigned pairs;
		int db;
	} want[] = { { 1, -33 }, { 20, -33 }, { 100, -40 }, { 1000, -50 }, { 20000, -60 } };
	struct rig r;
	unsigned n = 1;
	char name[32];
	struct pair *p;

	rig_new(&r, DETECT_FILE, 0);
	p = rig_pair(&r, rig_machine(&r, 0x0a000001), "example.net");
	rig_say(&r, p, E_REGULAR, 20);
	for (size_t i = 0; i < ARRAY_SIZE(want); i++) {
		for (; n < want[i].pairs; n++) {
			snprintf(name, sizeof(name), "n%u.example", n);
			rig_pair(&r, p->entity, name);
		}
		assert_int_equal(weigh(&r, p).score_db, want[i].db + 20 + 2);
	}
	rig_free(&r);
}

/* Sixteen lines a pair: the seventeenth takes the place of the lightest, when it is heavier. */
static void test_lines_of_a_dossier(void **state)
{
	struct detect_stats st;
	struct rig r;
	struct pair *p;

	rig_new(&r, DETECT_HOST, 0);
	p = rig_pair(&r, rig_machine(&r, 0x0a000001), "example.net");
	for (int i = 0; i < DOSSIER_EVIDENCE; i++)
		rig_say(&r, p, (enum evidence_id)i, i == 3 ? 1 : 5);
	rig_say(&r, p, (enum evidence_id)DOSSIER_EVIDENCE, 1);
	assert_int_equal(p->dossier->n, DOSSIER_EVIDENCE);
	assert_int_equal(p->dossier->evidence[3]->id, 3);
	rig_say(&r, p, (enum evidence_id)DOSSIER_EVIDENCE, 2);
	assert_int_equal(p->dossier->n, DOSSIER_EVIDENCE);
	assert_int_equal(p->dossier->evidence[3]->id, DOSSIER_EVIDENCE);
	assert_int_equal(p->dossier->evidence[3]->db, 2);
	detect_stats(r.d, &st);
	assert_int_equal(st.no_room, 2);
	rig_free(&r);
}

/* --- cases ---------------------------------------------------------------------------------------------------------- */

static void test_life_of_a_case(void **state)
{
	struct rig r;
	struct pair *p;
	char id[FINDING_ID_MAX];

	rig_new(&r, DETECT_HOST, 0);
	p = make_case(&r, rig_program(&r, "/opt/agent"), "example.net");
	assert_int_equal(r.n, 1);
	assert_int_equal(r.told[0].state, FINDING_OPEN);
	assert_int_equal(r.told[0].severity, SEVERITY_MEDIUM);
	assert_int_equal(r.told[0].score_db, -15);
	assert_int_equal(r.told[0].entities, 1);
	assert_int_equal(r.told[0].n_flows, 1);
	assert_string_equal(r.told[0].peer, "example.net");
	assert_string_equal(r.told[0].explain,
			    "/opt/agent (uid 1000) to example.net: what was seen; what was seen; "
			    "its name is not among the 10,000 best known");
	assert_int_equal(strlen(r.told[0].id), 8);
	memcpy(id, r.told[0].id, sizeof(id));

	rig_say(&r, p, E_LISTED_PRINT, 44); /* +4 dB, no new group */
	assert_int_equal(r.n, 1);
	rig_say(&r, p, E_LISTED_PRINT, 45);
	assert_int_equal(r.n, 2);
	assert_int_equal(r.told[1].state, FINDING_UPDATE);
	assert_string_equal(r.told[1].id, id);
	rig_say(&r, p, E_STEADY, 4); /* a new group */
	assert_int_equal(r.n, 3);
	rig_pass(&r, 23 * HOUR);
	rig_say(&r, p, E_STEADY, 2); /* nothing new, and not a day yet */
	assert_int_equal(r.n, 3);
	rig_pass(&r, 2 * HOUR);
	rig_say(&r, p, E_STEADY, 2); /* a day after it was told last */
	assert_int_equal(r.n, 4);
	assert_int_equal(r.told[3].state, FINDING_UPDATE);

	rig_pass(&r, DAY - MINUTE);
	assert_int_equal(r.n, 4);
	rig_pass(&r, 2 * MINUTE); /* a quiet day */
	assert_int_equal(r.n, 5);
	assert_int_equal(r.told[4].state, FINDING_CLOSED);
	assert_string_equal(r.told[4].id, id);
	rig_pass(&r, DAY);
	assert_int_equal(r.n, 5);

	rig_say(&r, p, E_STEADY, 2); /* back again, if with less */
	assert_int_equal(r.n, 6);
	assert_int_equal(r.told[5].state, FINDING_OPEN);
	assert_string_not_equal(r.told[5].id, id);
	rig_free(&r);
}

static void test_closed_cases_are_kept_a_month(void **state)
{
	struct detect_stats st;
	struct rig r;

	rig_new(&r, DETECT_HOST, 0);
	make_case(&r, rig_machine(&r, 0x0a000001), "example.net");
	rig_say(&r, rig_pair(&r, rig_machine(&r, 0x0a000001), "low.example"), E_REGULAR, 10);
	rig_pass(&r, DAY + MINUTE);
	detect_stats(r.d, &st);
	assert_int_equal(st.cases_open, 0);
	assert_int_equal(st.dossiers, 2);
	rig_pass(&r, 6 * DAY);
	detect_stats(r.d, &st);
	assert_int_equal(st.dossiers, 1); /* what was never a case goes after a week */
	r.n = 0;
	detect_each(r.d, false, (struct finding_out){ rig_told, &r });
	assert_int_equal(r.n, 1);
	assert_int_equal(r.told[0].state, FINDING_CLOSED);
	rig_pass(&r, 25 * DAY);
	detect_stats(r.d, &st);
	assert_int_equal(st.dossiers, 0);
	rig_free(&r);
}

static void test_one_peer_of_several(void **state)
{
	struct rig r;
	struct pair *first, *second;

	rig_new(&r, DETECT_HOST, 0);
	first = make_case(&r, rig_machine(&r, 0x0a000001), "example.net");
	second = make_case(&r, rig_machine(&r, 0x0a000002), "example.net");
	make_case(&r, rig_machine(&r, 0x0a000002), "other.example");
	assert_int_equal(r.n, 3);
	assert_int_equal(r.told[1].state, FINDING_UPDATE);
	assert_string_equal(r.told[1].id, r.told[0].id);
	assert_int_equal(r.told[1].entities, 2);
	assert_int_equal(r.told[2].state, FINDING_OPEN);
	assert_string_not_equal(r.told[2].id, r.told[0].id);
	assert_int_equal(r.told[2].entities, 1);
	/* The first falls silent: the case goes on under its id until the other does. */
	rig_pass(&r, 12 * HOUR);
	rig_say(&r, second, E_ONE_SIZE, 3);
	rig_pass(&r, 13 * HOUR);
	assert_int_equal(first->dossier->state, CASE_CLOSED);
	assert_int_equal(r.n, 5);
	assert_int_equal(r.told[3].state, FINDING_UPDATE);
	assert_string_equal(r.told[3].id, r.told[0].id);
	assert_int_equal(r.told[3].entities, 1);
	assert_int_equal(r.told[4].state, FINDING_CLOSED); /* that of the other peer */
	rig_pass(&r, 12 * HOUR);
	assert_int_equal(r.n, 6);
	assert_int_equal(r.told[5].state, FINDING_CLOSED);
	assert_string_equal(r.told[5].id, r.told[0].id);
	rig_free(&r);
}

/* A recording is told at its end, and only what still is a finding then. */
static void test_recording(void **state)
{
	struct rig r;
	struct pair *p, *q;
	char name[32];

	rig_new(&r, DETECT_FILE, 0);
	p = make_case(&r, rig_machine(&r, 0x0a000001), "example.net");
	q = rig_pair(&r, p->entity, "other.example");
	rig_say(&r, q, E_ONE_SIZE, 3);
	rig_say(&r, q, E_LISTED_PRINT, 14); /* -33 + 14 + 3 + 2: medium by 1 dB */
	assert_int_equal(q->dossier->state, CASE_OPEN);
	assert_int_equal(r.n, 0);
	/* So many pairs make the prior -46. */
	for (uint32_t i = 2; i <= 400; i++) {
		snprintf(name, sizeof(name), "n%u.example", i);
		rig_pair(&r, p->entity, name);
	}
	detect_finish(r.d, r.now_ns + HOUR);
	assert_int_equal(r.n, 1);
	assert_int_equal(r.told[0].state, FINDING_OPEN);
	assert_string_equal(r.told[0].peer, "example.net");
	assert_int_equal(q->dossier->state, CASE_NONE);
	rig_free(&r);
}

/* --- the first day -------------------------------------------------------------------------------------------------- */

/* High by timing and identity, which has nothing yet to be compared with. */
static void test_warm_up(void **state)
{
	struct detect_stats st;
	struct rig r;
	struct pair *p;

	rig_new(&r, DETECT_HOST, DETECT_WARM_UP_NS);
	detect_stats(r.d, &st);
	assert_true(st.warming);
	rig_pass(&r, HOUR);
	p = rig_pair(&r, rig_program(&r, "/opt/agent"), "example.net");
	rig_say(&r, p, E_REGULAR, 20);
	rig_say(&r, p, E_DGA_NX, 24);
	rig_say(&r, p, E_STEADY, 4);
	assert_int_equal(weigh(&r, p).severity, SEVERITY_MEDIUM);
	assert_int_equal(r.n, 0);
	detect_stats(r.d, &st);
	assert_int_equal(st.held_back, 1);
	assert_int_equal(p->dossier->held, HELD_WARM_UP);
	/* What is listed is told at once. */
	make_case(&r, rig_program(&r, "/opt/other"), "listed.example");
	assert_int_equal(r.n, 1);
	rig_pass(&r, 22 * HOUR);
	assert_int_equal(r.n, 1);
	rig_pass(&r, HOUR + MINUTE);
	assert_int_equal(r.n, 2);
	assert_int_equal(r.told[1].state, FINDING_OPEN);
	assert_string_equal(r.told[1].peer, "example.net");
	detect_stats(r.d, &st);
	assert_false(st.warming);
	assert_int_equal(st.held_back, 1);
	rig_free(&r);
}

static void test_learned(void **state)
{
	struct rig r;
	struct pair *ordinary, *late, *twice, *suspect, *listed;

	rig_new(&r, DETECT_HOST, DETECT_WARM_UP_NS);
	ordinary = rig_pair(&r, rig_program(&r, "/opt/agent"), "vendor.example");
	twice = rig_pair(&r, rig_program(&r, "/opt/agent"), "twice.example");
	suspect = rig_pair(&r, rig_program(&r, "/opt/agent"), "suspect.example");
	listed = rig_pair(&r, rig_program(&r, "/opt/agent"), "listed.example");
	rig_pass(&r, 14 * HOUR);
	rig_say(&r, ordinary, E_REGULAR, 20);
	rig_say(&r, listed, E_REGULAR, 20);
	rig_say(&r, listed, E_LISTED_TOR, 4);
	late = rig_pair(&r, rig_program(&r, "/opt/agent"), "late.example");
	rig_say(&r, late, E_REGULAR, 20);
	/* Would have been told, and then was taken back. */
	rig_say(&r, suspect, E_REGULAR, 20);
	rig_say(&r, suspect, E_DGA_NX, 24);
	rig_say(&r, suspect, E_STEADY, 4);
	detect_retract(r.d, suspect, E_DGA_NX);
	assert_int_equal(suspect->dossier->held, HELD_WARM_UP);
	rig_say(&r, twice, E_ONE_SIZE, 3); /* no timing */
	assert_false(ordinary->learned);
	rig_pass(&r, 10 * HOUR + MINUTE);
	assert_true(ordinary->learned);
	assert_false(late->learned);
	assert_false(twice->learned);
	assert_false(suspect->learned);
	assert_false(listed->learned);
	/* It is shown, and weighs. */
	assert_int_equal(weigh(&r, ordinary).score_db, -60 + 20 + 2 - 15);
	/* It is done once. */
	rig_pass(&r, DAY);
	rig_say(&r, late, E_REGULAR, 20);
	rig_pass(&r, DAY);
	assert_false(late->learned);
	rig_free(&r);
}

static void test_without_a_first_day_nothing_is_learned(void **state)
{
	struct rig r;
	struct pair *p;

	rig_new(&r, DETECT_HOST, 0);
	p = rig_pair(&r, rig_program(&r, "/opt/agent"), "vendor.example");
	rig_pass(&r, 14 * HOUR);
	rig_say(&r, p, E_REGULAR, 20);
	rig_pass(&r, DAY);
	assert_false(p->learned);
	rig_free(&r);
}

/* --- the noise budget ----------------------------------------------------------------------------------------------- */

static void keep_openings(struct rig *r)
{
	size_t n = 0;

	for (size_t i = 0; i < r->n; i++)
		if (r->told[i].state == FINDING_OPEN)
			r->told[n++] = r->told[i];
	r->n = n;
}

static void test_noise_budget(void **state)
{
	struct detect_stats st;
	struct rig r;
	struct entity *e;
	struct pair *heavy;

	rig_new(&r, DETECT_HOST, 0);
	e = rig_program(&r, "/opt/agent");
	noisy(&r, e, "a.example", 20);
	noisy(&r, e, "b.example", 20);
	noisy(&r, e, "c.example", 20);
	assert_int_equal(r.n, 3);
	noisy(&r, e, "d.example", 20);
	heavy = noisy(&r, e, "e.example", 24);
	assert_int_equal(r.n, 3);
	detect_stats(r.d, &st);
	assert_int_equal(st.held_back, 2);
	assert_int_equal(heavy->dossier->held, HELD_BUDGET);
	rig_say(&r, heavy, E_REGULAR, 20); /* it is counted once */
	detect_stats(r.d, &st);
	assert_int_equal(st.held_back, 2);
	/* Other kinds go on. */
	make_case(&r, e, "listed.example");
	assert_int_equal(r.n, 4);
	/* The rest of the day it stays so: kept, and shown when asked for. */
	rig_pass(&r, 23 * HOUR);
	assert_int_equal(r.n, 4);
	r.n = 0;
	detect_each(r.d, false, (struct finding_out){ rig_told, &r });
	assert_int_equal(r.n, 4);
	r.n = 0;
	detect_each(r.d, true, (struct finding_out){ rig_told, &r });
	assert_int_equal(r.n, 6);
	/* The next day's budget: the heaviest first, one a minute. */
	r.n = 0;
	rig_say(&r, heavy, E_ONE_SIZE, 3);
	assert_int_equal(r.n, 0);
	rig_say(&r, rig_pair(&r, e, "d.example"), E_ONE_SIZE, 3);
	rig_pass(&r, 2 * HOUR);
	keep_openings(&r);
	assert_int_equal(r.n, 2);
	assert_string_equal(r.told[0].peer, "e.example");
	assert_string_equal(r.told[1].peer, "d.example");
	rig_free(&r);
}

/* What waited for a place in vain, and then fell silent, is not told any more. */
static void test_budget_forgets_what_fell_silent(void **state)
{
	struct rig r;
	struct entity *e;
	char name[32];

	rig_new(&r, DETECT_HOST, 0);
	e = rig_program(&r, "/opt/agent");
	for (int i = 0; i < 20; i++) {
		snprintf(name, sizeof(name), "n%d.example", i);
		noisy(&r, e, name, 20);
	}
	assert_int_equal(r.n, 3);
	rig_pass(&r, DAY - MINUTE);
	assert_int_equal(r.n, 3);
	rig_pass(&r, 3 * DAY);
	for (size_t i = 3; i < r.n; i++)
		assert_int_equal(r.told[i].state, FINDING_CLOSED);
	rig_free(&r);
}

static void test_budget_grows_with_the_site(void **state)
{
	struct rig r;
	char name[32];

	rig_new(&r, DETECT_GATEWAY, 0);
	for (uint32_t i = 1; i <= 101; i++)
		rig_pair(&r, rig_machine(&r, 0x0a000000 + i), "everybody.example");
	for (int i = 0; i < 10; i++) {
		snprintf(name, sizeof(name), "n%d.example", i);
		noisy(&r, rig_machine(&r, 0x0a000001), name, 20);
	}
	assert_int_equal(r.n, 6);
	rig_free(&r);
}

/* All that the first day held would drown who reads it: the budget holds for that, too. */
static void test_budget_after_warm_up(void **state)
{
	struct rig r;
	struct entity *e;
	char name[32];

	rig_new(&r, DETECT_HOST, DETECT_WARM_UP_NS);
	e = rig_program(&r, "/opt/agent");
	rig_pass(&r, 20 * HOUR);
	for (int i = 0; i < 20; i++) {
		snprintf(name, sizeof(name), "n%d.example", i);
		noisy(&r, e, name, i == 17 ? 24 : 20);
	}
	rig_pass(&r, 5 * HOUR);
	assert_int_equal(r.n, 3);
	assert_string_equal(r.told[0].peer, "n17.example");
	rig_free(&r);
}

/* --- exceptions ----------------------------------------------------------------------------------------------------- */

static void test_exceptions(void **state)
{
	struct exception e = { .entity = "/opt/agent", .peer = "example.net" };
	struct rig r;
	struct pair *p;
	size_t n;

	rig_new(&r, DETECT_HOST, 0);
	assert_err(detect_except(r.d, &(struct exception){ .note = "all" }), -EINVAL);
	e.until_ns = r.now_ns + 2 * HOUR;
	assert_ok(detect_except(r.d, &e));
	p = make_case(&r, rig_program(&r, "/opt/agent"), "example.net");
	assert_int_equal(r.n, 0); /* not told … */
	detect_each(r.d, false, (struct finding_out){ rig_told, &r });
	assert_int_equal(r.n, 1); /* … but kept and shown */
	assert_true(r.told[0].acked);
	make_case(&r, rig_program(&r, "/opt/agent"), "other.example"); /* another peer */
	make_case(&r, rig_program(&r, "/opt/other"), "example.net");   /* another program */
	assert_int_equal(r.n, 3);
	assert_false(r.told[1].acked);
	/* It ends. */
	rig_pass(&r, 3 * HOUR);
	rig_say(&r, p, E_STEADY, 4);
	assert_int_equal(r.n, 4);
	assert_false(r.told[3].acked);
	/* The same again is one, with the new date; each part may be left out. */
	e.until_ns = r.now_ns + 9 * DAY;
	assert_ok(detect_except(r.d, &e));
	detect_exceptions(r.d, &n);
	assert_int_equal(n, 1);
	assert_true(detect_unexcept(r.d, 0));
	assert_false(detect_unexcept(r.d, 0));
	assert_ok(detect_except(
		r.d, &(struct exception){ .detector = "intel", .until_ns = e.until_ns }));
	make_case(&r, rig_program(&r, "/opt/third"), "third.example");
	assert_int_equal(r.n, 4);
	for (unsigned i = 1; i < EXCEPTIONS_MAX; i++) {
		struct exception one = { .until_ns = e.until_ns };

		snprintf(one.peer, sizeof(one.peer), "n%u.example", i);
		assert_ok(detect_except(r.d, &one));
	}
	assert_err(detect_except(r.d, &e), -E2BIG);
	rig_free(&r);
}

/* What the user has declared ordinary costs nothing of the budget. */
static void test_exceptions_cost_no_budget(void **state)
{
	struct rig r;
	struct entity *e;

	rig_new(&r, DETECT_HOST, 0);
	assert_ok(detect_except(
		r.d, &(struct exception){ .entity = "/opt/agent", .until_ns = r.now_ns + DAY }));
	e = rig_program(&r, "/opt/agent");
	for (int i = 0; i < 5; i++)
		noisy(&r, e,
		      (const char *[]){ "a.example", "b.example", "c.example", "d.example",
					"e.example" }[i],
		      20);
	assert_int_equal(r.n, 0);
	noisy(&r, rig_program(&r, "/opt/other"), "f.example", 20);
	assert_int_equal(r.n, 1);
	rig_free(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_evidence_gives_way_to_heavier),
		cmocka_unit_test(test_groups_and_caps),
		cmocka_unit_test(test_rarity),
		cmocka_unit_test(test_two_groups),
		cmocka_unit_test(test_alone_and_certain),
		cmocka_unit_test(test_popularity),
		cmocka_unit_test(test_context_alone_is_no_finding),
		cmocka_unit_test(test_prior_of_a_recording),
		cmocka_unit_test(test_lines_of_a_dossier),
		cmocka_unit_test(test_life_of_a_case),
		cmocka_unit_test(test_closed_cases_are_kept_a_month),
		cmocka_unit_test(test_one_peer_of_several),
		cmocka_unit_test(test_recording),
		cmocka_unit_test(test_warm_up),
		cmocka_unit_test(test_learned),
		cmocka_unit_test(test_without_a_first_day_nothing_is_learned),
		cmocka_unit_test(test_noise_budget),
		cmocka_unit_test(test_budget_forgets_what_fell_silent),
		cmocka_unit_test(test_budget_grows_with_the_site),
		cmocka_unit_test(test_budget_after_warm_up),
		cmocka_unit_test(test_exceptions),
		cmocka_unit_test(test_exceptions_cost_no_budget),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
