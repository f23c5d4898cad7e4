/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Answers of the history against a naive reference: rows by dice, of which some are in files and some in the overlay, questions by
 * dice, and a reference that looks at every row. Then what no question may do.
 */
#include "history_rig.h"

/* ---- usage ---- */

struct grouped {
	char by[4][16];
	size_t n_by;
	json_t *groups; /* label → number of its place in v */
	struct reference v[20000], all;
	size_t n;
};

static void group_row(void *ctx, const struct store_row *r)
{
	struct grouped *g = ctx;
	char name[2048] = "", text[512];
	json_t *at;

	for (size_t i = 0; i < g->n_by; i++) {
		label(r, g->by[i], text);
		strcat(strcat(name, text), "\n");
	}
	at = json_object_get(g->groups, name);
	if (!at) {
		assert_true(g->n < ARRAY_SIZE(g->v));
		at = json_integer((json_int_t)g->n++);
		json_object_set_new(g->groups, name, at);
	}
	reference_add(&g->v[json_integer_value(at)], r);
	reference_add(&g->all, r);
}

static const char *const dims[] = { "app",     "user",    "unit", "container", "segment",   "name",
				    "domain",  "country", "asn",  "protocol",  "direction", "rule",
				    "verdict", "address", "port", "proto" };

static size_t dice_by(char by[4][16], size_t most, char *text)
{
	size_t n = 1 + dice((uint32_t)most);

	text[0] = 0;
	for (size_t i = 0; i < n; i++) {
		/* One dimension twice is nothing that a person asks for. */
		snprintf(by[i], 16, "%s", dims[(dice(4) * 4 + i) % ARRAY_SIZE(dims)]);
		strcat(strcat(text, i ? "," : ""), by[i]);
	}
	return n;
}

static void dice_span(uint64_t *from_s, uint64_t *to_s)
{
	uint64_t a = T0_S + dice(DAYS * 86400),
		 b = dice(3) ? T0_S + dice(DAYS * 86400) : T0_S + DAYS * 86400;
	static const uint32_t steps[] = { 1, 60, 3600, 86400 };
	uint32_t step = steps[dice(4)];

	*from_s = MIN(a, b) / step * step;
	*to_s = MAX(a, b) / step * step;
	*to_s += *to_s == *from_s ? step : 0;
}

/* What was answered for: the span that was asked for, or where sums answer whole buckets of at most an hour around it. */
static void answered_span(const struct answer *a, uint64_t *from_s, uint64_t *to_s)
{
	uint64_t from = number(a->end, "from"), to = number(a->end, "to");
	bool sums = strcmp(word(a->end, "source"), "flows") != 0;

	if (from > *from_s || to < *to_s || from + (sums ? 60 : 1) <= *from_s ||
	    to >= *to_s + (sums ? 60 : 1))
		fail_msg("asked for %lu to %lu, answered for %lu to %lu from %s", *from_s, *to_s,
			 from, to, word(a->end, "source"));
	*from_s = from;
	*to_s = to;
}

static const char *filter_text(size_t i, char text[128])
{
	const char *at = strstr(filters[i].text, "PROTOCOL");

	if (at)
		snprintf(text, 128, "%.*s%s", (int)(at - filters[i].text), filters[i].text,
			 app_name((enum app_proto)2));
	else
		snprintf(text, 128, "%s", filters[i].text);
	return text;
}

static void test_usage(void **state)
{
	static struct grouped g;
	static bool met[4];

	for (unsigned round = 0; round < 100; round++) {
		size_t f = round % ARRAY_SIZE(filters), at, rows;
		char by[128], filter[128], what[512];
		uint64_t from_s, to_s;
		struct answer a;
		json_t *line;

		memset(&g, 0, sizeof(g));
		g.groups = json_object();
		g.n_by = dice_by(g.by, 3, by);
		dice_span(&from_s, &to_s);
		filter_text(f, filter);
		snprintf(what, sizeof(what), "by %s, \"%s\", %lu to %lu", by, filter, from_s, to_s);
		a = ask("{\"do\":\"usage\",\"by\":\"%s\",\"filter\":\"%s\",\"from\":%lu,\"to\":%lu,"
			"\"limit\":10000}",
			by, filter, from_s, to_s);
		met[strlen(word(a.end, "source")) % 4] = true;
		answered_span(&a, &from_s, &to_s);
		each_row(from_s, to_s, filters[f].match, group_row, &g);
		assert_sums(what, json_object_get(a.end, "totals"), &g.all);
		rows = json_array_size(a.lines) - 1;
		if (rows != g.n || rows != number(a.end, "rows"))
			fail_msg("%s: %zu rows, not %zu", what, rows, g.n);
		json_array_foreach(a.lines, at, line)
		{
			char name[2048] = "";
			json_t *found;

			if (line == a.end)
				continue;
			for (size_t i = 0; i < g.n_by; i++)
				strcat(strcat(name, word(line, g.by[i])), "\n");
			found = json_object_get(g.groups, name);
			if (!found)
				fail_msg("%s: there is no %s", what, name);
			assert_sums(what, line, &g.v[json_integer_value(found)]);
		}
		json_decref(g.groups);
		answer_done(&a);
	}
	/* "days", "hours" and "flows" have different lengths modulo 4: each way of answering was met. */
	assert_true(met[strlen("days") % 4] && met[strlen("flows") % 4] &&
		    met[strlen("minutes") % 4]);
}

/* ---- timelines ---- */

struct timed {
	uint64_t start_s, step_s;
	size_t n;
	uint64_t up[5000], down[5000], flows[5000];
};

static void time_row(void *ctx, const struct store_row *r)
{
	struct timed *t = ctx;
	size_t at = (size_t)((r->to_ns / NSEC_PER_SEC - t->start_s) / t->step_s);

	assert_true(at < t->n);
	t->up[at] += r->up_bytes;
	t->down[at] += r->down_bytes;
	t->flows[at] += r->flow_id && !r->seq;
}

static uint64_t point(const json_t *line, const char *key, size_t at)
{
	return (uint64_t)json_integer_value(json_array_get(json_object_get(line, key), at));
}

static void test_timeline(void **state)
{
	static struct timed want, got;

	for (unsigned round = 0; round < 40; round++) {
		size_t f = round % ARRAY_SIZE(filters), n;
		char by[4][16], text[128], filter[128];
		uint64_t from_s, to_s;
		struct answer a;
		json_t *line;

		dice_by(by, 2, text);
		dice_span(&from_s, &to_s);
		filter_text(f, filter);
		a = ask("{\"do\":\"timeline\",\"by\":\"%s\",\"filter\":\"%s\",\"from\":%lu,\"to\":%"
			"lu,\"limit\":3}",
			text, filter, from_s, to_s);
		from_s = number(a.end, "from");
		to_s = number(a.end, "to");
		memset(&want, 0, sizeof(want));
		memset(&got, 0, sizeof(got));
		want.start_s = number(a.end, "start");
		want.step_s = number(a.end, "step");
		want.n = number(a.end, "points");
		assert_true(want.n <= 401 && want.start_s % want.step_s == 0 &&
			    want.start_s <= from_s);
		assert_true(json_array_size(a.lines) <= 5);
		each_row(from_s, to_s, filters[f].match, time_row, &want);
		json_array_foreach(a.lines, n, line) for (size_t i = 0; line != a.end && i < want.n;
							  i++)
		{
			got.up[i] += point(line, "up", i);
			got.down[i] += point(line, "down", i);
			got.flows[i] += point(line, "flows", i);
		}
		for (size_t i = 0; i < want.n; i++)
			if (got.up[i] != want.up[i] || got.down[i] != want.down[i] ||
			    got.flows[i] != want.flows[i])
				fail_msg("by %s, \"%s\", %lu to %lu: point %zu of %zu (step %lu, "
					 "%s): up %lu, not %lu",
					 text, filter, from_s, to_s, i, want.n, want.step_s,
					 word(a.end, "source"), got.up[i], want.up[i]);
		answer_done(&a);
	}
}

/* ---- flows ---- */

struct listed {
	struct reference v[FLOWS + 1];
	uint64_t last_ns[FLOWS + 1];
	size_t n, refusals;
};

static void list_row(void *ctx, const struct store_row *r)
{
	struct listed *l = ctx;

	if (!r->flow_id) {
		l->refusals++;
		return;
	}
	l->n += !l->last_ns[r->flow_id];
	l->last_ns[r->flow_id] = MAX(l->last_ns[r->flow_id], r->to_ns);
	reference_add(&l->v[r->flow_id], r);
}

static void check_record(const char *what, const json_t *line, struct listed *l)
{
	const json_t *flow = json_object_get(line, "flow");
	bool reply = !strcmp(word(json_object_get(line, "egret"), "direction"), "reply");
	uint64_t id = number(line, "flow_id"),
		 up = number(flow, reply ? "bytes_toclient" : "bytes_toserver"),
		 down = number(flow, reply ? "bytes_toserver" : "bytes_toclient");

	assert_true(id <= FLOWS);
	if (!l->last_ns[id])
		fail_msg("%s: flow %lu is shown again, or is none of them", what, id);
	if (up != l->v[id].up || down != l->v[id].down)
		fail_msg("%s: flow %lu moved %lu and %lu, not %lu and %lu", what, id, up, down,
			 l->v[id].up, l->v[id].down);
	l->last_ns[id] = 0;
	l->n--;
}

/* Page by page: each flow once, the newest first, with what it moved in the span. */
static void test_flows(void **state)
{
	static struct listed l;

	for (unsigned round = 0; round < 60; round++) {
		size_t f = round % ARRAY_SIZE(filters), n, limit = 1 + dice(round % 3 ? 400 : 3000);
		char filter[128], what[512], next[128] = "";
		uint64_t from_s, to_s, before_ns = UINT64_MAX;

		memset(&l, 0, sizeof(l));
		dice_span(&from_s, &to_s);
		filter_text(f, filter);
		snprintf(what, sizeof(what), "flows \"%s\", %lu to %lu, %zu at a time", filter,
			 from_s, to_s, limit);
		each_row(from_s, to_s, filters[f].match, list_row, &l);
		for (size_t page = 0;; page++) {
			struct answer a =
				ask("{\"do\":\"flows\",\"filter\":\"%s\",\"from\":%lu,\"to\":%lu,"
				    "\"limit\":%zu%s%s%s}",
				    filter, from_s, to_s, limit, next[0] ? ",\"after\":\"" : "",
				    next, next[0] ? "\"" : "");
			json_t *line;

			assert_true(page < 20000 &&
				    number(a.end, "shown") == json_array_size(a.lines) - 1);
			json_array_foreach(a.lines, n, line)
			{
				uint64_t id = number(line, "flow_id");

				if (line == a.end)
					continue;
				if (!id) {
					assert_true(l.refusals-- > 0);
					continue;
				}
				assert_true(id <= FLOWS);
				if (l.last_ns[id] > before_ns)
					fail_msg("%s: flow %lu is newer than the one above it",
						 what, id);
				before_ns = l.last_ns[id];
				check_record(what, line, &l);
			}
			snprintf(next, sizeof(next), "%s", word(a.end, "next"));
			answer_done(&a);
			if (!next[0])
				break;
		}
		if (l.n || l.refusals)
			fail_msg("%s: %zu flows and %zu refusals are missing", what, l.n,
				 l.refusals);
	}
}

/* What a flow moved in all decides, not a piece of it. */
static void test_whole_flows(void **state)
{
	static struct listed l;

	memset(&l, 0, sizeof(l));
	each_row(T0_S, T0_S + DAYS * 86400, is_all, list_row, &l);
	for (uint64_t most = 0; most <= 300000; most += 50000) {
		struct answer a =
			ask("{\"do\":\"usage\",\"by\":\"app\",\"filter\":\"up:>%lu\",\"from\":%lu,"
			    "\"to\":%lu}",
			    most, (unsigned long)T0_S, (unsigned long)(T0_S + DAYS * 86400));
		struct reference want = { 0 };
		const json_t *totals = json_object_get(a.end, "totals");

		for (size_t i = 1; i <= FLOWS; i++)
			if (l.v[i].up > most) {
				want.up += l.v[i].up;
				want.down += l.v[i].down;
			}
		if (number(totals, "up") != want.up || number(totals, "down") != want.down)
			fail_msg("up:>%lu: up %lu, not %lu", most, number(totals, "up"), want.up);
		answer_done(&a);
	}
}

/* ---- one ---- */

static bool is_192_0_2_7(const struct store_row *r)
{
	return addr_is_v4(peer_of(r)) && peer_of(r)->b[15] == 7;
}
static bool below_example_net(const struct store_row *r)
{
	return r->peer.n_names > 0;
}

static void sum_row(void *ctx, const struct store_row *r)
{
	reference_add(ctx, r);
}

static void test_who(void **state)
{
	static const struct {
		const char *what, *kind;
		bool (*match)(const struct store_row *r);
	} asked[] = { { "192.0.2.7", "address", is_192_0_2_7 },
		      { "h3.example.org", "name", is_named_h3 },
		      { "H3.example.ORG", "name", is_named_h3 },
		      { "example.net", "name", below_example_net } };

	for (size_t i = 0; i < ARRAY_SIZE(asked); i++) {
		struct answer a = ask("{\"do\":\"who\",\"what\":\"%s\",\"from\":%lu,\"to\":%lu}",
				      asked[i].what, (unsigned long)T0_S,
				      (unsigned long)(T0_S + DAYS * 86400));
		struct reference want = { 0 };
		uint64_t apps = 0, ports = 0, points = 0;
		json_t *v;
		size_t n;

		each_row(T0_S, T0_S + DAYS * 86400, asked[i].match, sum_row, &want);
		assert_true(want.flows > 5);
		assert_sums(asked[i].what, a.end, &want);
		assert_string_equal(word(a.end, "kind"), asked[i].kind);
		json_array_foreach(json_object_get(a.end, "apps"), n, v) apps += number(v, "up");
		json_array_foreach(json_object_get(json_object_get(a.end, "timeline"), "up"), n, v)
			points += (uint64_t)json_integer_value(v);
		json_array_foreach(json_object_get(a.end, "ports"), n, v) ports += number(v, "up");
		assert_int_equal(apps, want.up);
		assert_int_equal(points, want.up);
		assert_true(ports <= want.up && ports > 0); /* the largest ports alone are listed */
		assert_int_equal(json_array_size(json_object_get(a.end, "flows_recent")), 20);
		answer_done(&a);
	}
}

static void test_flow(void **state)
{
	static struct listed l;

	memset(&l, 0, sizeof(l));
	each_row(T0_S, T0_S + DAYS * 86400, is_all, list_row, &l);
	for (uint64_t id = 1; id <= FLOWS; id += 37) {
		struct answer a = ask("{\"do\":\"flow\",\"id\":%lu}", id);
		uint64_t up = 0;
		json_t *v;
		size_t n;

		json_array_foreach(json_object_get(a.end, "pieces"), n, v) up += number(v, "up");
		assert_int_equal(up, l.v[id].up);
		check_record("flow", a.end, &l);
		answer_done(&a);
	}
}

/* ---- what is no question ---- */

static void test_hostile(void **state)
{
	static const char *const texts[] = {
		"",
		"{",
		"[]",
		"null",
		"{}",
		"{\"do\":1}",
		"{\"do\":\"drop table\"}",
		"{\"do\":\"usage\",\"by\":\"app\",\"by\":\"name\"}",
		"{\"do\":\"usage\",\"by\":\"app,app,app,app,app\"}",
		"{\"do\":\"usage\",\"by\":\"\\u0000\"}",
		"{\"do\":\"usage\",\"by\":\"app\",\"from\":5,\"to\":5}",
		"{\"do\":\"usage\",\"by\":\"app\",\"from\":-1}",
		"{\"do\":\"usage\",\"by\":\"app\",\"from\":1e18}",
		"{\"do\":\"usage\",\"by\":\"app\",\"to\":99999999999999999}",
		"{\"do\":\"usage\",\"by\":\"app\",\"last\":9223372036854775807}",
		"{\"do\":\"usage\",\"by\":\"app\",\"last\":0}",
		"{\"do\":\"usage\",\"by\":\"app\",\"limit\":10001}",
		"{\"do\":\"usage\",\"by\":\"app\",\"sort\":\"colour\"}",
		"{\"do\":\"usage\",\"by\":\"app\",\"filter\":\"(((\"}",
		"{\"do\":\"usage\",\"by\":\"app\",\"colour\":\"red\"}",
		"{\"do\":\"usage\",\"by\":\"app\",\"last\":60,\"from\":5}",
		"{\"do\":\"timeline\",\"by\":\"app,name,user\"}",
		"{\"do\":\"timeline\",\"step\":-1}",
		"{\"do\":\"timeline\",\"limit\":10000}",
		"{\"do\":\"who\"}",
		"{\"do\":\"who\",\"what\":\"\"}",
		"{\"do\":\"flow\"}",
		"{\"do\":\"flow\",\"id\":-1}",
		"{\"do\":\"flow\",\"id\":999999}",
		"{\"do\":\"flows\",\"after\":\"1.2\"}",
		"{\"do\":\"flows\",\"after\":\"a.b.c\"}",
		"{\"do\":\"flows\",\"after\":\"0.0.0\"}",
		"{\"do\":\"flows\",\"after\":\"1.2.3.4\"}",
		"{\"do\":\"replay\"}",
	};
	static char large[QUESTION_MAX + 100] = "{\"do\":\"who\",\"what\":\"";

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		struct answer a = ask_text(str_of(texts[i]));

		if (json_array_size(a.lines) != 1 || !word(a.end, "error")[0])
			fail_msg("%s is answered", texts[i]);
		answer_done(&a);
	}
	memset(large + strlen(large), 'x', sizeof(large) - strlen(large));
	struct answer a = ask_text((struct str){ large, sizeof(large) });
	assert_true(word(a.end, "error")[0]);
	answer_done(&a);
}

/* An overlay that is cut off or wrong is not believed, and ends nothing but the answer. */
static void test_broken_overlay(void **state)
{
	size_t whole = living.n;

	living.n = whole - 3;
	struct answer a = ask_text(STR("{\"do\":\"usage\",\"by\":\"app\",\"from\":1764547200}"));
	assert_true(word(a.end, "error")[0]);
	answer_done(&a);
	living.n = whole;
}

/* Flows of three pieces of 1,000 bytes each, of which only the last one knows name and program, and one is not kept yet. */
static void put_late_names(uint64_t first, uint64_t n, const char *name, const char *exe)
{
	struct store *s = rig_open();

	for (uint64_t id = first; id < first + n; id++) {
		struct store_row row = dice_row(end_ns, id);

		row.key_is_ours_dst = false;
		row.refused_calls = row.refused_packets = 0;
		row.up_bytes = row.down_bytes = 1000;
		row.peer.n_names = 0;
		row.has_who = true;
		for (row.seq = 0; row.seq < 3; row.seq++) {
			bool is_last = row.seq == 2;

			row.to_ns = end_ns - (3 - row.seq) * 60 * NSEC_PER_SEC;
			row.from_ns = row.start_ns = row.to_ns - 1;
			row.ends = is_last;
			row.peer.name = is_last ? str_of(name) : STR_NONE;
			row.who.exe = is_last ? str_of(exe) : STR_NONE;
			if (id == first && is_last)
				store_row_encode(&row, &living);
			else
				store_put(s, &row);
		}
	}
	assert_ok(store_flush(s, 60 * NSEC_PER_SEC));
	store_close(s);
}

/* Comes last: it adds to what is kept. An index finds the last pieces alone; asked for is what the flow moved. */
static void test_late_names(void **state)
{
	static const struct {
		const char *name, *exe;
		uint64_t n;
	} added[] = { { "few.example.org", "/usr/bin/few", 3 },
		      { "many.example.org", "/usr/bin/many", 1200 } };
	char filter[128];
	size_t k;
	json_t *line;

	for (size_t i = 0; i < ARRAY_SIZE(added); i++) {
		put_late_names(FLOWS + 1 + 10 * i, added[i].n, added[i].name, added[i].exe);
		for (unsigned by = 0; by < 4; by++) {
			snprintf(filter, sizeof(filter), "%s:%s%s", by % 2 ? "name" : "proc",
				 by % 2 ? added[i].name : added[i].exe, by < 2 ? "" : " up:>2500");
			struct answer a = ask("{\"do\":\"flows\",\"filter\":\"%s\",\"limit\":2000,"
					      "\"last\":86400}",
					      filter);

			assert_int_equal(number(a.end, "matched"), added[i].n);
			json_array_foreach(a.lines, k, line) if (line != a.end) assert_int_equal(
				number(json_object_get(line, "flow"), "bytes_toserver"), 3000);
			answer_done(&a);
			if (by < 2)
				continue;
			a = ask("{\"do\":\"usage\",\"by\":\"port\",\"filter\":\"%s\",\"last\":"
				"86400}",
				filter);
			assert_int_equal(number(json_object_get(a.end, "totals"), "up"),
					 3000 * added[i].n);
			answer_done(&a);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_usage),      cmocka_unit_test(test_timeline),
		cmocka_unit_test(test_flows),      cmocka_unit_test(test_whole_flows),
		cmocka_unit_test(test_who),        cmocka_unit_test(test_flow),
		cmocka_unit_test(test_hostile),    cmocka_unit_test(test_broken_overlay),
		cmocka_unit_test(test_late_names),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
