/* SPDX-License-Identifier: Apache-2.0 */
/* Verdicts of the kernel become records: words of rules, refusals, floods whose sums are exact, alerts. */
#include "flow_rig.h"

#include "store/eve.h"

enum { ALLOW = 1, DENY, REJECT, AUDIT };

#define DENY_RULE 3
#define ALERT_RULE 4
#define QUIET_RULE 5
#define LOG_RULE 6

static unsigned asked;

static bool words(void *ctx, uint32_t gen, uint16_t rule, struct verdict_rule *ret)
{
	char text[32];

	asked++;
	if (gen != 7)
		return false;
	snprintf(text, sizeof(text), "rule %u", rule);
	*ret = (struct verdict_rule){ .action = rule == LOG_RULE ? ALLOW : DENY,
				      .line = 10U + rule,
				      .file = STR("p.egret"),
				      .text = str_of(text),
				      .note = STR("why not") };
	if (rule == ALERT_RULE) {
		ret->alert = 3;
		ret->alert_text = STR("known bad");
	}
	ret->quiet = rule == QUIET_RULE;
	ret->log = rule == LOG_RULE;
	/* Only lent: the next question overwrites it. */
	snprintf(ctx, 64, "%s", text);
	ret->text = str_of(ctx);
	return true;
}

struct live {
	struct rig g;
	char scratch[64];
};

static void start(struct live *l)
{
	rig_start(&l->g, (struct flow_config){ 0 }, true);
	asked = 0;
	flow_table_set_verdicts(l->g.t, (struct verdict_source){ words, l->scratch },
				(struct flow_judge){ 0 });
}

static struct event_open owner(uint32_t pid, const char *comm)
{
	struct event_open o = {
		.pid = pid, .proc_start_ns = pid * 1000, .uid = 33, .comm = str_of(comm)
	};

	/* No such process in /proc: what the notice says is all there is. */
	o.proc_start_ns = 1;
	return o;
}

static struct event verdict(struct live *l, uint16_t sport, uint16_t rule, uint8_t action)
{
	struct event e = rig_event(&l->g, EVENT_VERDICT, IPPROTO_TCP, S, sport, D, 443);

	e.verdict = (struct event_verdict){ .gen = 7,
					    .rule = rule,
					    .action = action,
					    .final = true,
					    .refused = action != ALLOW,
					    .at = VERDICT_AT_CONNECT,
					    .calls = action != ALLOW,
					    .who = owner(4000000, "curl") };
	return e;
}

static void open_flow(struct live *l, uint16_t sport)
{
	struct event e = rig_event(&l->g, EVENT_OPEN, IPPROTO_TCP, S, sport, D, 443);

	e.open = owner(4000000, "curl");
	e.open.cookie = sport;
	flow_table_event(l->g.t, &e);
}

static void refused_connect_is_a_record_and_no_flow(void **state)
{
	struct live l;
	struct event e;

	start(&l);
	e = verdict(&l, 0, DENY_RULE, DENY);
	e.verdict.who.names[0] = STR("api.example.com");
	e.verdict.who.n_names = 1;
	flow_table_event(l.g.t, &e);
	rig_expect(&l.g, "drop connect 1/0/0 by curl to api.example.com [rule 3]\n");
	/* The source is asked once for each rule. */
	flow_table_event(l.g.t, &e);
	assert_int_equal(asked, 1);
	rig_expect(&l.g, "drop connect 1/0/0 by curl to api.example.com [rule 3]\n");
	/* Of a policy that nobody remembers, the action is still told. */
	e.verdict.gen = 6;
	flow_table_event(l.g.t, &e);
	rig_expect(&l.g, "drop connect 1/0/0 by curl to api.example.com\n");
	rig_finish(&l.g);
	rig_expect(&l.g, "");
	rig_stop(&l.g);
}

static void flow_keeps_the_latest_verdict(void **state)
{
	struct live l;
	struct event e;

	start(&l);
	open_flow(&l, 5000);
	e = verdict(&l, 5000, LOG_RULE, ALLOW);
	e.verdict.final = false;
	flow_table_event(l.g.t, &e);
	rig_expect(&l.g, "");
	e.verdict.final = true;
	flow_table_event(l.g.t, &e);
	rig_expect(&l.g, "flow 10.0.0.1:5000>192.0.2.9:443 0/0 by curl new\n"); /* `log` */
	flow_table_event(l.g.t, &e);
	rig_expect(&l.g, "");
	/* A new policy cuts it off: two packets were dropped, then three more. */
	e = verdict(&l, 5000, DENY_RULE, DENY);
	e.verdict.at = VERDICT_AT_PACKET;
	e.verdict.calls = 0;
	e.verdict.packets = 2;
	e.verdict.bytes = 300;
	flow_table_event(l.g.t, &e);
	e.verdict.packets = 3;
	flow_table_event(l.g.t, &e);
	rig_expect(&l.g, "drop 10.0.0.1:5000>192.0.2.9:443 packet 0/2/300 by curl [rule 3]\n"
			 "drop 10.0.0.1:5000>192.0.2.9:443 packet 0/3/300 by curl [rule 3]\n");
	/* Another socket with the same ends is not this flow. */
	e.verdict.cookie = 77;
	flow_table_event(l.g.t, &e);
	rig_expect(&l.g, "drop packet 0/3/300 by curl [rule 3]\n");
	rig_finish(&l.g);
	rig_stop(&l.g);
}

static void alerts_once_a_flow(void **state)
{
	struct live l;
	struct event e;

	start(&l);
	open_flow(&l, 5000);
	e = verdict(&l, 5000, ALERT_RULE, DENY);
	e.verdict.refused = false;
	e.verdict.would_refuse = true; /* watch mode */
	e.verdict.calls = 0;
	flow_table_event(l.g.t, &e);
	flow_table_event(l.g.t, &e);
	rig_expect(&l.g, "alert 10.0.0.1:5000>192.0.2.9:443 connect 0/0/0 by curl [rule 4]\n");
	e = verdict(&l, 0, ALERT_RULE, DENY);
	flow_table_event(l.g.t, &e);
	rig_expect(&l.g, "drop connect 1/0/0 by curl [rule 4]\n"
			 "alert connect 1/0/0 by curl [rule 4]\n");
	e = verdict(&l, 0, QUIET_RULE, DENY);
	flow_table_event(l.g.t, &e);
	rig_expect(&l.g, "");
	rig_stop(&l.g);
}

/* --- sums of floods --- */
struct sums {
	uint64_t records, summaries, calls, packets, bytes;
	struct buf line;
	struct eve_format fmt;
};

static void add_up(void *ctx, const struct record *r)
{
	struct sums *s = ctx;

	buf_clear(&s->line);
	eve_format(&s->fmt, r, &s->line);
	assert_true(s->line.n > 2 && s->line.p[s->line.n - 1] == '\n');
	if (r->type != RECORD_DROP)
		return;
	s->records++;
	s->summaries += r->drop->summary;
	s->calls += r->drop->calls;
	s->packets += r->drop->packets;
	s->bytes += r->drop->bytes;
}

static void floods_lose_no_count(void **state)
{
	struct sums s = { .line = BUF_INIT(65536), .fmt = { .vantage = EVE_HOST, .host = "h" } };
	struct flow_config cfg = { 0 };
	uint64_t calls = 0, packets = 0, bytes = 0;
	uint32_t random = 1;
	struct live l;
	struct flow_table_stats stats;

	rig_start(&l.g, cfg, true);
	flow_table_free(l.g.t);
	cfg.texts = l.g.texts;
	cfg.names = l.g.names;
	cfg.procs = l.g.procs;
	assert_ok(flow_table_new(&l.g.t, &cfg, (struct record_out){ add_up, &s }));
	flow_table_set_verdicts(l.g.t, (struct verdict_source){ words, l.scratch },
				(struct flow_judge){ 0 });
	for (int i = 0; i < 200000; i++) {
		struct event e = verdict(&l, 0, 0, DENY);
		char comm[16];

		random = random * 1664525 + 1013904223;
		/* Mostly one program and rule, at times any of many: more than there are places. */
		snprintf(comm, sizeof(comm), "p%u", random >> 28 ? 0 : random >> 12 & 2047);
		e.verdict.rule = 20 + (random >> 29 ? 0 : random >> 4 & 255);
		e.verdict.who = owner(4000000, comm);
		e.verdict.who.pid += random >> 28 ? 0 : 1 + (random >> 12 & 2047);
		if (random & 1) {
			e.verdict.calls = 0;
			e.verdict.packets = 1 + (random >> 8 & 3);
			e.verdict.bytes = 60 * e.verdict.packets;
			e.verdict.at = VERDICT_AT_PACKET;
		}
		if (!(random & 0xff0)) { /* the kernel had to sum up */
			e.verdict.summary = true;
			e.verdict.calls = 1000;
		}
		calls += e.verdict.calls;
		packets += e.verdict.packets;
		bytes += e.verdict.bytes;
		flow_table_event(l.g.t, &e);
		l.g.now += 20 * NSEC_PER_USEC; /* 50,000 a second, for 4 seconds */
	}
	flow_table_finish(l.g.t);
	flow_table_stats(l.g.t, &stats);
	assert_int_equal(s.calls, calls);
	assert_int_equal(s.packets, packets);
	assert_int_equal(s.bytes, bytes);
	assert_int_equal(stats.refused_calls, calls);
	assert_int_equal(stats.refused_packets, packets);
	assert_true(s.summaries > 0);
	/* At most 1,000 in each of five seconds, and the sums that end each. */
	assert_true(s.records <= 5 * (1000 + 513));
	buf_done(&s.line);
	rig_stop(&l.g);
}

static void nothing_waits_longer_than_a_second(void **state)
{
	struct live l;

	start(&l);
	for (int i = 0; i < 25; i++) {
		struct event e = verdict(&l, 0, DENY_RULE, DENY);

		flow_table_event(l.g.t, &e);
	}
	buf_clear(&l.g.out);
	rig_wait(&l.g, 2 * NSEC_PER_SEC);
	rig_expect(&l.g, "drop connect 15/0/0 summary by curl [rule 3]\n");
	rig_wait(&l.g, 20 * NSEC_PER_SEC);
	rig_expect(&l.g, "");
	rig_stop(&l.g);
}

/* --- as lines --- */
static void keep_line(void *ctx, const struct record *r)
{
	static const struct eve_format fmt = { .vantage = EVE_HOST, .host = "h" };

	eve_format(&fmt, r, ctx);
}

/* Every kind of line that a verdict makes, in the hands of the schema's own checker. */
static void records_fit_the_schema(void **state)
{
	const char *source = getenv("EGRET_SOURCE");
	struct buf lines = BUF_INIT(1 << 20);
	struct flow_config cfg = { 0 };
	char command[600];
	struct event e;
	struct live l;
	FILE *check;

	if (!source)
		skip();
	rig_start(&l.g, cfg, true);
	flow_table_free(l.g.t);
	cfg.texts = l.g.texts;
	cfg.names = l.g.names;
	cfg.procs = l.g.procs;
	assert_ok(flow_table_new(&l.g.t, &cfg, (struct record_out){ keep_line, &lines }));
	flow_table_set_verdicts(l.g.t, (struct verdict_source){ words, l.scratch },
				(struct flow_judge){ 0 });
	open_flow(&l, 5000);
	e = verdict(&l, 5000, ALERT_RULE, DENY);
	e.verdict.at = VERDICT_AT_PACKET;
	e.verdict.packets = 2;
	e.verdict.bytes = 120;
	e.verdict.visible = 3;
	flow_table_event(l.g.t, &e);
	for (int i = 0; i < 40; i++) {
		e = verdict(&l, 0, ALERT_RULE, DENY);
		e.key.src = (struct addr){ { 0 } };
		e.verdict.app = 5;
		e.verdict.who.names[0] = STR("a.example.com");
		e.verdict.who.names[1] = STR("b.example.com");
		e.verdict.who.n_names = 2;
		flow_table_event(l.g.t, &e);
	}
	e = verdict(&l, 5000, LOG_RULE, ALLOW);
	e.verdict.final = false;
	flow_table_event(l.g.t, &e);
	flow_table_finish(l.g.t);
	assert_false(lines.failed);
	assert_non_null(strstr(lines.p, "\"summary\":true"));
	assert_non_null(strstr(lines.p, "\"event_type\":\"alert\""));
	assert_non_null(strstr(lines.p, "\"provisional\":true"));
	snprintf(command, sizeof(command), "/usr/bin/python3 -B %s/tests/check_schema.py -",
		 source);
	check = popen(command, "w");
	assert_non_null(check);
	assert_int_equal(fwrite(lines.p, 1, lines.n, check), lines.n);
	assert_int_equal(pclose(check), 0);
	buf_done(&lines);
	rig_stop(&l.g);
}

/* --- a capture, judged by the reader --- */
static void judge(void *ctx, const struct flow *f, struct flow_verdict *ret, uint32_t *ret_gen,
		  uint16_t *ret_rule)
{
	ret->action = f->key.dport == 22 ? DENY : ALLOW;
	ret->final = true;
	ret->would_refuse = f->key.dport == 22;
	*ret_gen = 7;
	*ret_rule = f->key.dport == 22 ? DENY_RULE : LOG_RULE;
}

static const struct verdict_rule *last_rule;
static char last_word[16];

static void keep_rule(void *ctx, const struct record *r)
{
	if (r->type != RECORD_FLOW)
		return;
	last_rule = r->flow->verdict.rule;
	snprintf(last_word, sizeof(last_word), "%s", flow_verdict_word(&r->flow->verdict));
	assert_non_null(last_rule);
}

static void captures_are_judged(void **state)
{
	struct flow_config cfg = { 0 };
	struct live l;
	struct rig_tcp c;

	rig_start(&l.g, cfg, false);
	flow_table_free(l.g.t);
	cfg.texts = l.g.texts;
	cfg.names = l.g.names;
	assert_ok(flow_table_new(&l.g.t, &cfg, (struct record_out){ keep_rule, NULL }));
	flow_table_set_verdicts(l.g.t, (struct verdict_source){ words, l.scratch },
				(struct flow_judge){ judge, NULL });
	c = rig_tcp(&l.g, 4000, 22);
	rig_connect(&c);
	rig_close(&c);
	flow_table_finish(l.g.t);
	assert_string_equal(last_word, "would deny");
	rig_stop(&l.g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(refused_connect_is_a_record_and_no_flow),
		cmocka_unit_test(flow_keeps_the_latest_verdict),
		cmocka_unit_test(alerts_once_a_flow),
		cmocka_unit_test(floods_lose_no_count),
		cmocka_unit_test(nothing_waits_longer_than_a_second),
		cmocka_unit_test(captures_are_judged),
		cmocka_unit_test(records_fit_the_schema),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
