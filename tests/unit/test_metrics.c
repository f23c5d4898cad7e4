// SPDX-License-Identifier: Apache-2.0
/* Metrics: their text, and counters that never fall whatever becomes of what they are made of. */
#include "flow_rig.h"

#include "flow/record.h"
#include "serve/rising.h"
#include "serve/totals.h"

/* --- the text --------------------------------------------------------------------------------------------------------- */

static void text_format(void **state)
{
	_cleanup_buf_ struct buf out = BUF_INIT(65536);
	struct metrics_out m = METRICS_OUT(&out);
	char long_text[300];

	memset(long_text, 'x', sizeof(long_text));
	metric_put(&m, METRIC_FLOWS, UINT64_MAX);
	metric_begin(&m, METRIC_MAP_ENTRIES);
	metric_label(&m, "map",
		     STR("a\"b\\c\nd\xff"
			 "e\xc3\xa4"));
	metric_u64(&m, 1);
	metric_begin(&m, METRIC_MAP_ENTRIES);
	metric_label(&m, "map", (struct str){ long_text, sizeof(long_text) });
	metric_u64(&m, 2);
	metric_begin(&m, METRIC_CPU);
	metric_f64(&m, 1.5);
	long_text[128] = '"'; /* cut there */
	long_text[129] = 0;
	buf_putc(&out, 0);
	assert_non_null(strstr(out.p, "# HELP egret_flows_total Flows seen.\n"
				      "# TYPE egret_flows_total counter\n"
				      "egret_flows_total 18446744073709551615\n"
				      "# HELP egret_map_entries "));
	assert_non_null(strstr(out.p, "\negret_map_entries{map=\"a\\\"b\\\\c\\nd\xef\xbf\xbd"
				      "e\xc3\xa4\"} 1\n"
				      "egret_map_entries{map=\"x"));
	assert_non_null(strstr(out.p, long_text));
	assert_non_null(strstr(out.p, "x\"} 2\n"));
	assert_non_null(strstr(out.p, "\nprocess_cpu_seconds_total 1.500000\n"));
}

static void rising(void **state)
{
	struct rising r;

	assert_ok(rising_init(&r, 2));
	rising_at(&r, STR("a"))->value = 7;
	assert_int_equal(rising_at(&r, STR("b"))->value, 0);
	assert_null(rising_at(&r, STR("c")));
	assert_int_equal(rising_at(&r, STR("a"))->value, 7);
	rising_clear(&r);
	assert_int_equal(rising_at(&r, STR("a"))->value, 0);
	rising_done(&r);
}

/* --- rules ------------------------------------------------------------------------------------------------------------ */

static const char *verdicts(struct totals *t)
{
	static struct buf out;
	struct metrics_out m;

	if (!out.max)
		out = BUF_INIT(1U << 20);
	buf_clear(&out);
	m = METRICS_OUT(&out);
	totals_verdicts_put(t, &m);
	buf_putc(&out, 0);
	return out.p;
}

static void one_rule(struct totals *t, const char *label, const char *text, uint64_t hits)
{
	totals_verdict(t, str_of(label), "deny", str_of(text), hits);
}

#define RULE(label, n) "\negret_verdicts_total{rule=\"" label "\",verdict=\"deny\"} " n "\n"

static void rules_over_loads(void **state)
{
	struct totals *t = NULL;

	assert_ok(totals_new(&t));
	totals_verdicts_begin(t);
	one_rule(t, "p:1", "deny to a.example", 5);
	one_rule(t, "p:2", "deny to b.example", 0); /* never decided: not there */
	assert_non_null(strstr(verdicts(t), RULE("p:1", "5")));
	assert_null(strstr(verdicts(t), "p:2"));

	/* a line more in front: the rule is another line, its new hits are that line's */
	totals_verdicts_begin(t);
	one_rule(t, "p:1", "deny to c.example", 1);
	one_rule(t, "p:2", "deny to a.example", 7);
	assert_non_null(strstr(verdicts(t), RULE("p:1", "6")));
	assert_non_null(strstr(verdicts(t), RULE("p:2", "2")));

	/* the rule was taken out, and comes back with its count begun anew */
	totals_verdicts_begin(t);
	totals_verdicts_begin(t);
	one_rule(t, "p:2", "deny to a.example", 3);
	assert_non_null(strstr(verdicts(t), RULE("p:1", "6")));
	assert_non_null(strstr(verdicts(t), RULE("p:2", "5")));
	assert_null(totals_free(t));
}

static void more_rules_than_labels(void **state)
{
	struct totals *t = NULL;
	char label[32], text[64];

	assert_ok(totals_new(&t));
	for (unsigned load = 0; load < 30; load++) {
		totals_verdicts_begin(t);
		for (unsigned i = 0; i < 500; i++) {
			snprintf(label, sizeof(label), "p:%u", i + 1);
			snprintf(text, sizeof(text), "deny to %u.%u.example", load, i);
			one_rule(t, label, text, 1);
		}
	}
	/* 15,000 rules: 8,192 are remembered, then what the others of that pass did before is not known */
	assert_non_null(strstr(verdicts(t), "rule=\"p:400\""));
	assert_null(strstr(verdicts(t), "rule=\"p:401\""));
	assert_non_null(strstr(verdicts(t), "rule=\"other\""));
	assert_non_null(strstr(verdicts(t), RULE("p:1", "30")));
	totals_free(t);
}

/* --- programs and findings -------------------------------------------------------------------------------------------- */

static struct rig rig;

static struct flow flow_of(struct proc *p, uint64_t up, uint64_t down)
{
	return (struct flow){ .direction = FLOW_EGRESS,
			      .proc = p,
			      .half = { { .bytes = up }, { .bytes = down } } };
}

static void ended(struct totals *t, struct flow *f)
{
	totals_record(t, &(struct record){ .type = RECORD_FLOW, .flow = f, .flow_ends = true });
}

static double put(struct totals *t, const char *want, unsigned *ret_labels)
{
	_cleanup_buf_ struct buf out = BUF_INIT(1U << 20);
	struct metrics_out m = METRICS_OUT(&out);
	const char *at;

	totals_put(t, rig.t, &m);
	buf_putc(&out, 0);
	*ret_labels = 0;
	for (at = out.p; (at = strstr(at, "direction=\"up\"")); at++)
		++*ret_labels;
	at = strstr(out.p, want);
	return at ? atof(at + strlen(want)) : -1;
}

/* A flow that a second program takes up: each has what was moved while it had it. */
static void taken_up(struct totals *t, struct intern *texts)
{
	struct proc first = { .pid = 1,
			      .exe_state = EXE_FILE,
			      .exe = intern_get(texts, STR("/usr/bin/p0")) };
	struct proc second = { .pid = 2,
			       .exe_state = EXE_FILE,
			       .exe = intern_get(texts, STR("/usr/bin/p1")) };
	struct flow f = flow_of(&first, 700, 7);
	unsigned labels;

	ended(t, &f);
	assert_true(put(t, "{direction=\"up\",app=\"p0\"} ", &labels) == 1700);
	f.proc = &second;
	f.half[0].bytes += 50;
	ended(t, &f);
	assert_true(put(t, "{direction=\"up\",app=\"p0\"} ", &labels) == 1700);
	assert_true(put(t, "{direction=\"up\",app=\"p1\"} ", &labels) == 1051);
	assert_true(put(t, "{direction=\"up\",app=\"other\"} ", &labels) == 50 * 1124.5);
	intern_put(texts, first.exe);
	intern_put(texts, second.exe);
}

static void programs(void **state)
{
	struct intern *texts = NULL;
	struct totals *t = NULL;
	unsigned labels;
	char path[64];

	assert_ok(intern_new(&texts, 100000));
	assert_ok(totals_new(&t));
	rig_start(&rig, (struct flow_config){ 0 }, false);
	/* 150 programs, each larger than those before, a few a look: each is among the first when it comes */
	for (unsigned i = 0; i < 150; i++) {
		struct proc p = { .pid = 1, .exe_state = EXE_FILE };
		struct flow f = flow_of(&p, 1000 + i, 10);

		snprintf(path, sizeof(path), "/usr/bin/p%u", i);
		p.exe = intern_get(texts, str_of(path));
		ended(t, &f);
		if (i % 5 == 4)
			put(t, "x", &labels);
		intern_put(texts, p.exe);
	}
	assert_true(put(t, "{direction=\"up\",app=\"p0\"} ", &labels) == 1000);
	assert_int_equal(labels, 101);
	assert_true(put(t, "{direction=\"up\",app=\"p99\"} ", &labels) == 1099);
	assert_true(put(t, "{direction=\"up\",app=\"p100\"} ", &labels) == -1);
	/* the others: 1100 + … + 1149 */
	assert_true(put(t, "{direction=\"up\",app=\"other\"} ", &labels) == 50 * 1124.5);
	assert_true(put(t, "{direction=\"down\",app=\"other\"} ", &labels) == 500);
	taken_up(t, texts);
	rig_stop(&rig);
	totals_free(t);
	intern_free(texts);
}

static void findings(void **state)
{
	struct finding f = { .state = FINDING_OPEN,
			     .detector = "beacon",
			     .severity = SEVERITY_HIGH };
	struct record r = { .type = RECORD_FINDING, .finding = &f };
	struct totals *t = NULL;
	unsigned labels;

	assert_ok(totals_new(&t));
	rig_start(&rig, (struct flow_config){ 0 }, false);
	totals_record(t, &r);
	totals_record(t, &r);
	f.state = FINDING_UPDATE;
	totals_record(t, &r);
	assert_true(put(t, "egret_findings_total{detector=\"beacon\",severity=\"high\"} ",
			&labels) == 2);
	rig_stop(&rig);
	totals_free(t);
}

/* --- losses in words -------------------------------------------------------------------------------------------------- */

static void losses(void **state)
{
	for (int i = 0; i < LOSS_COUNT; i++) {
		const struct loss_words *w = loss_words((enum loss_reason)i);

		if (!w->means || !w->helps)
			fail_msg("no words for %s", loss_name((enum loss_reason)i));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(text_format),      cmocka_unit_test(rising),
		cmocka_unit_test(rules_over_loads), cmocka_unit_test(more_rules_than_labels),
		cmocka_unit_test(programs),         cmocka_unit_test(findings),
		cmocka_unit_test(losses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
