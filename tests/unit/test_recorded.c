/* SPDX-License-Identifier: Apache-2.0 */
/* Policies against recorded traffic: records read back, judged, learned from; two policies compared. */
#include "test.h"

#include <netinet/in.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "policy/diff.h"
#include "policy/history.h"
#include "policy/learn.h"
#include "policy/replay.h"

/* --- a recording ------------------------------------------------------------------------------------------------- */

struct line {
	const char *program, *unit, *name, *source, *ip, *proto, *app;
	unsigned port, uid, id, seq;
	bool ended;
	unsigned up;
	const char *more; /* within "egret" */
};

static struct str line_of(struct buf *b, struct line l)
{
	const char *slash = l.program ? strrchr(l.program, '/') : NULL;

	buf_clear(b);
	buf_printf(
		b,
		"{\"timestamp\":\"2026-01-02T03:05:00.000000+0000\",\"flow_id\":%u,\"event_type\":"
		"\"flow\",\"src_ip\":\"10.0.0.5\",\"src_port\":40000,\"dest_ip\":\"%s\",\"dest_"
		"port\":%u,"
		"\"proto\":\"%s\",\"app_proto\":\"%s\",\"host\":\"h\",\"flow\":{\"bytes_toserver\":"
		"%u,"
		"\"bytes_toclient\":100,\"start\":\"2026-01-02T03:04:05.678901+0000\"%s},",
		l.id ? l.id : 7, l.ip, l.port ? l.port : 443, l.proto ? l.proto : "TCP",
		l.app ? l.app : "tls", l.up ? l.up : 1000,
		l.ended ? ",\"reason\":\"tcp_fin\"" : "");
	if (l.program)
		buf_printf(b,
			   "\"process\":{\"pid\":1,\"name\":\"%s\",\"executable\":\"%s\","
			   "\"ancestors\":[{"
			   "\"pid\":2,\"name\":\"agent\",\"executable\":\"/opt/"
			   "agent\"}]},\"user\":{\"id\":"
			   "\"%u\",\"group\":{\"id\":\"100\"}},",
			   slash + 1, l.program, l.uid);
	if (l.unit)
		buf_printf(b, "\"service\":{\"name\":\"%s\"},\"cgroup\":\"/system.slice/%s\",",
			   l.unit, l.unit);
	buf_printf(b, "\"egret\":{\"direction\":\"egress\",\"vantage\":\"host\",\"seq\":%u", l.seq);
	if (l.name)
		buf_printf(b, ",\"name\":\"%s\",\"name_source\":\"%s\",\"names\":[\"%s\"]", l.name,
			   l.source ? l.source : "sni", l.name);
	buf_printf(b, "%s%s}}", l.more ? "," : "", l.more ? l.more : "");
	assert_false(b->failed);
	return buf_str(b);
}

struct seen {
	uint64_t flows, up, down, calls, records;
	struct learn *learn;
	struct judge *judge;
	struct tally *tally;
	struct effect *effect;
	uint64_t refused, undecided;
};

static void on_recorded(void *ctx, const struct recorded *r)
{
	struct seen *s = ctx;
	struct judgement v;

	s->records++;
	s->flows += r->flows;
	s->up += r->up;
	s->down += r->down;
	s->calls += r->calls;
	if (s->learn)
		learn_add(s->learn, r);
	if (s->tally)
		tally_add(s->tally, r);
	if (s->effect)
		effect_add(s->effect, r);
	if (s->judge && r->egress) {
		assert_ok(judge_flow(s->judge, r, &v));
		s->refused += v.refuses;
		s->undecided += v.needs_who;
	}
}

static struct history *open_history(struct seen *s)
{
	struct history *h;

	assert_ok(
		history_new(&h, &(struct history_config){ .on_recorded = on_recorded, .ctx = s }));
	return h;
}

static struct policy *parse(const char *text)
{
	struct buf messages = BUF_INIT(1 << 20);
	struct policy *p;
	int r = policy_parse(&p, "test.egret", str_of(text), STR_NONE, &messages);

	if (r < 0)
		print_error("%s\n%s", text, messages.p);
	assert_int_equal(r, 0);
	buf_done(&messages);
	return p;
}

static struct judge *make_judge(const struct policy *p)
{
	struct buf messages = BUF_INIT(1 << 20);
	struct judge *j;

	assert_ok(
		judge_new(&j, p, &(struct judge_config){ .enforce = true }, 1767322800, &messages));
	buf_done(&messages);
	return j;
}

/* --- records read back ------------------------------------------------------------------------------------------- */

static void take_recorded(void *ctx, const struct recorded *r)
{
	const struct policy_subject *s = &r->subject;
	char text[ADDR_TEXT_MAX], port[16];

	assert_int_equal(r->time_ns, 1767323045678901000ULL); /* date -d 2026-01-02T03:04:05Z +%s */
	assert_true(r->egress && r->who_known && r->ended);
	assert_str(s->exe, "/usr/bin/curl");
	assert_int_equal(s->n_ancestors, 2);
	assert_str(s->ancestors[1], "/opt/agent");
	assert_true(s->uid_known);
	assert_int_equal(s->uid, 1000);
	assert_int_equal(s->gids[0], 100);
	assert_string_equal(addr_format(&s->remote, text), "192.0.2.9");
	assert_int_equal(s->proto, IPPROTO_TCP);
	assert_str(recorded_port(r, port), "443/tcp");
	assert_int_equal(s->app, EG_APP_TLS);
	assert_int_equal(s->visible, EG_VISIBLE_NAME);
	assert_str(s->visible_name, "api.example.com");
	assert_int_equal(s->n_names, 1);
	assert_int_equal(r->told.action, EG_DENY);
	assert_true(r->told.refused && r->told.final);
	assert_int_equal(r->told.line, 12);
	(*(int *)ctx)++;
}

static void a_record_is_what_was_written(void **state)
{
	struct buf b = BUF_INIT(65536);
	int n = 0;
	struct history *h;

	assert_ok(history_new(&h,
			      &(struct history_config){ .on_recorded = take_recorded, .ctx = &n }));
	history_line(
		h, line_of(&b, (struct line){
				       .program = "/usr/bin/curl",
				       .uid = 1000,
				       .name = "api.example.com",
				       .ip = "192.0.2.9",
				       .ended = true,
				       .more = "\"verdict\":\"deny\",\"rule\":{\"file\":\"p\","
					       "\"line\":12,\"text\":\"deny\"},\"refused\":{}" }));
	assert_int_equal(n, 1);
	/* What is no flow, or no record, or half of one. */
	history_line(h, STR("{\"event_type\":\"dns\",\"x\":"));
	history_line(h, STR(""));
	history_line(h, STR("{\"event_type\":\"flow\"}"));
	history_line(h,
		     STR("{\"event_type\":\"flow\",\"proto\":\"TCP\",\"dest_ip\":\"300.1.1.1\"}"));
	history_line(h, STR("not JSON"));
	history_line(h, STR("{\"event_type\":\"flow\",\"dest_ip\""));
	assert_int_equal(history_stats(h)->bad, 4);
	assert_int_equal(n, 1);
	history_free(h);
	buf_done(&b);
}

static void long_flows_count_once(void **state)
{
	struct buf b = BUF_INIT(65536);
	struct seen s = { 0 };
	struct history *h = open_history(&s);
	struct line l = { .program = "/usr/bin/a", .ip = "192.0.2.9", .id = 100, .up = 500 };

	history_line(h, line_of(&b, l));
	l.seq = 1;
	l.up = 700;
	history_line(h, line_of(&b, l));
	l.id = 101; /* another flow in between */
	l.seq = 0;
	l.up = 10;
	l.ended = true;
	history_line(h, line_of(&b, l));
	l.id = 100;
	l.seq = 2;
	l.up = 900;
	history_line(h, line_of(&b, l));
	assert_int_equal(s.flows, 2);
	assert_int_equal(s.up, 910);
	assert_int_equal(history_stats(h)->flows, 2);
	/* A refusal before it became a flow, and sums of many. */
	history_line(
		h, STR("{\"timestamp\":\"2026-01-02T03:05:00.000000+0000\",\"event_type\":\"drop\","
		       "\"dest_ip\":\"192.0.2.1\",\"dest_port\":25,\"proto\":\"TCP\",\"drop\":{"
		       "\"reason\":"
		       "\"connect\",\"calls\":3},\"egret\":{\"direction\":\"egress\",\"verdict\":"
		       "\"deny\"}}"));
	history_line(
		h, STR("{\"timestamp\":\"2026-01-02T03:05:00.000000+0000\",\"event_type\":\"drop\","
		       "\"drop\":{\"reason\":\"connect\",\"calls\":40,\"summary\":true}}"));
	assert_int_equal(s.calls, 3);
	assert_int_equal(history_stats(h)->refusals, 1);
	assert_int_equal(history_stats(h)->summed_calls, 40);
	assert_int_equal(history_stats(h)->bad, 0);
	history_free(h);
	buf_done(&b);
}

/* --- judging ----------------------------------------------------------------------------------------------------- */

static struct judgement judge_line(const char *policy, struct line l)
{
	struct buf b = BUF_INIT(65536);
	struct policy *p = parse(policy);
	struct judge *j = make_judge(p);
	struct str text = line_of(&b, l);
	json_t *json = json_loadb(text.p, text.n, 0, NULL);
	struct recorded r;
	struct judgement v;

	assert_non_null(json);
	assert_ok(recorded_of_record(&r, json));
	assert_ok(judge_flow(j, &r, &v));
	json_decref(json);
	judge_free(j);
	policy_free(p);
	buf_done(&b);
	return v;
}

static void what_hangs_on_the_program_is_said(void **state)
{
	static const char policy[] = "allow app \"/usr/bin/curl\" to any port 443\n"
				     "allow to any port 80\n"
				     "deny app \"/usr/bin/wget\" to any port 53/udp\n"
				     "allow to any port 53\n"
				     "deny to 192.0.2.0/24 port 25 except user 0\n"
				     "allow to any port 25\n"
				     "default deny\n";
	struct line l = { .ip = "192.0.2.9", .port = 443 };

	assert_true(judge_line(policy, l).needs_who);
	l.port = 80;
	assert_false(judge_line(policy, l).needs_who);
	l.port = 22;
	assert_false(judge_line(policy, l).needs_who);
	assert_true(judge_line(policy, l).refuses);
	l.port = 53;
	assert_false(judge_line(policy, l).needs_who); /* TCP: wget's rule is for UDP */
	l.proto = "UDP";
	assert_true(judge_line(policy, l).needs_who);
	l.proto = NULL;
	l.port = 25;
	assert_true(judge_line(policy, l).needs_who); /* unless it was root */
	l.ip = "198.51.100.1";
	assert_false(judge_line(policy, l).needs_who);
	/* And known programs leave no doubt. */
	l = (struct line){ .ip = "192.0.2.9", .program = "/usr/bin/wget" };
	assert_false(judge_line(policy, l).needs_who);
	assert_true(judge_line(policy, l).refuses);
	l.program = "/usr/bin/curl";
	assert_false(judge_line(policy, l).refuses);
}

static void names_hold_as_in_the_kernel(void **state)
{
	static const char policy[] = "allow to *.example.com port 443\ndefault deny\n";
	struct line l = { .ip = "192.0.2.9", .program = "/usr/bin/a", .name = "api.example.com" };

	assert_false(judge_line(policy, l).refuses);
	l.source = "dns";
	l.app = "unknown"; /* nothing visible: the DNS name will do */
	assert_false(judge_line(policy, l).refuses);
	l.app = "tls"; /* a hello that nobody could read */
	assert_true(judge_line(policy, l).refuses);
	l.more = "\"ja4\":\"t13\""; /* that was read, and had no SNI */
	assert_false(judge_line(policy, l).refuses);
	l.more = "\"ja4\":\"t13\",\"visible\":\"unreadable\"";
	assert_true(judge_line(policy, l).refuses);
	l = (struct line){ .ip = "192.0.2.9", .program = "/usr/bin/a", .name = "evil.test" };
	assert_true(judge_line(policy, l).refuses);
}

static void rules_of_a_day_hold_on_that_day(void **state)
{
	static const char policy[] = "deny to any until 2026-01-01\nallow to any\n";
	static const char later[] = "deny to any until 2026-01-31\nallow to any\n";
	struct line l = { .ip = "192.0.2.9", .program = "/usr/bin/a" };

	assert_false(judge_line(policy, l).refuses);
	assert_true(judge_line(later, l).refuses);
}

static void sums_by_rule(void **state)
{
	struct buf b = BUF_INIT(65536);
	struct policy *p = parse("allow to *.example.com port 443\ndefault deny\n");
	struct judge *j = make_judge(p);
	struct seen s = { 0 };
	struct history *h = open_history(&s);
	const struct replay_who *const *rows;
	const struct tally_totals *totals;
	size_t n, more;

	assert_ok(tally_new(&s.tally, j));
	for (unsigned i = 0; i < 10; i++)
		history_line(h, line_of(&b, (struct line){ .program = "/usr/bin/a",
							   .ip = "192.0.2.9",
							   .name = "api.example.com",
							   .id = 100 + i,
							   .ended = true }));
	for (unsigned i = 0; i < 5; i++)
		history_line(h, line_of(&b, (struct line){ .program = "/usr/bin/b",
							   .ip = "192.0.2.10",
							   .name = i < 3 ? "x.test" : "y.test",
							   .id = 200 + i,
							   .ended = true }));
	totals = tally_totals(s.tally);
	assert_int_equal(totals->passed.flows, 10);
	assert_int_equal(totals->refused.flows, 5);
	assert_int_equal(tally_rule(s.tally, 0)->sum.flows, 10);
	assert_int_equal(tally_rule(s.tally, 1)->sum.flows, 5);
	rows = tally_refused(s.tally, 1, &n, &more);
	assert_int_equal(n, 1);
	assert_int_equal(more, 1);
	assert_str(rows[0]->program, "b");
	assert_str(rows[0]->target, "x.test");
	assert_str(rows[0]->port, "443/tcp");
	assert_int_equal(rows[0]->sum.flows, 3);
	tally_free(s.tally);
	history_free(h);
	judge_free(j);
	policy_free(p);
	buf_done(&b);
}

/* --- learning ---------------------------------------------------------------------------------------------------- */

struct flow_of_day {
	const char *program, *unit;
	unsigned uid;
	char name[64], ip[32];
	const char *source, *app, *proto;
	unsigned port;
};

/* A day of a small server: a browser, a package manager, a few units, look-ups, addresses without names. */
static size_t make_day(struct flow_of_day *day, size_t room)
{
	static const char *const sites[] = { "example.com", "example.org", "example.net",
					     "wikipedia.org" };
	size_t n = 0;

	for (unsigned i = 0; i < 40; i++) {
		struct flow_of_day *f = &day[n++];

		*f = (struct flow_of_day){ .program =
						   i % 3 ? "/usr/bin/firefox" : "/usr/bin/chromium",
					   .uid = 1000,
					   .source = "sni",
					   .app = "tls",
					   .port = i % 2 ? 443 : 8443 };
		snprintf(f->name, sizeof(f->name), "host%u.%s", i, sites[i % 4]);
		snprintf(f->ip, sizeof(f->ip), "198.51.100.%u", i + 1);
	}
	for (unsigned i = 0; i < 12; i++) {
		struct flow_of_day *f = &day[n++];

		*f = (struct flow_of_day){ .program = i % 2 ? "/usr/lib/apt/methods/http"
							    : "/usr/bin/wget",
					   .source = "http",
					   .app = "http",
					   .port = 80 };
		snprintf(f->name, sizeof(f->name), "mirror%u.debian.org", i / 2);
		snprintf(f->ip, sizeof(f->ip), "203.0.113.%u", i + 1);
	}
	for (unsigned i = 0; i < 20; i++) {
		struct flow_of_day *f = &day[n++];

		*f = (struct flow_of_day){ .program = "/usr/sbin/ntpd",
					   .uid = 101,
					   .app = "ntp",
					   .proto = "UDP",
					   .port = 123 };
		snprintf(f->ip, sizeof(f->ip), "9.9.9.%u", i + 1);
	}
	for (unsigned i = 0; i < 9; i++) {
		static const char *const programs[] = { "/opt/shop/a", "/opt/shop/b",
							"/opt/shop/c" };
		struct flow_of_day *f = &day[n++];

		*f = (struct flow_of_day){ .program = programs[i % 3],
					   .unit = "shop.service",
					   .uid = 33,
					   .app = "pgsql",
					   .port = 5432 };
		snprintf(f->ip, sizeof(f->ip), "10.2.0.%u", i / 3 + 1);
	}
	for (unsigned i = 0; i < 10; i++) {
		struct flow_of_day *f = &day[n++];

		*f = (struct flow_of_day){ .program = i ? "/usr/bin/firefox" : "/usr/bin/wget",
					   .uid = 1000,
					   .app = "dns",
					   .proto = "UDP",
					   .port = 53 };
		snprintf(f->ip, sizeof(f->ip), "10.0.0.53");
	}
	for (unsigned i = 0; i < 9; i++) {
		struct flow_of_day *f = &day[n++];

		*f = (struct flow_of_day){ .program = "/usr/bin/transmission",
					   .uid = 1000,
					   .app = "bittorrent",
					   .port = 20000 + i * 7 };
		snprintf(f->ip, sizeof(f->ip), "5.9.0.%u", i + 1);
	}
	assert_true(n <= room);
	return n;
}

static void feed_day(struct history *h, const struct flow_of_day *day, size_t n)
{
	struct buf b = BUF_INIT(65536);

	for (size_t i = 0; i < n; i++)
		history_line(h,
			     line_of(&b, (struct line){ .program = day[i].program,
							.unit = day[i].unit,
							.uid = day[i].uid,
							.name = day[i].name[0] ? day[i].name : NULL,
							.source = day[i].source,
							.ip = day[i].ip,
							.app = day[i].app,
							.proto = day[i].proto,
							.port = day[i].port,
							.id = 1000 + (unsigned)i,
							.ended = true }));
	buf_done(&b);
}

/* The flows of the day that a text refuses, or cannot decide. */
static uint64_t refused_by(const char *text, const struct flow_of_day *day, size_t n)
{
	struct policy *p = parse(text);
	struct seen s = { .judge = make_judge(p) };
	struct history *h = open_history(&s);

	feed_day(h, day, n);
	history_free(h);
	judge_free(s.judge);
	policy_free(p);
	return s.refused + s.undecided;
}

static void learned_policy_allows_the_day_and_is_shorter(void **state)
{
	struct flow_of_day day[256];
	size_t n = make_day(day, ARRAY_SIZE(day));
	struct buf text = BUF_INIT(1 << 20);
	struct seen s = { 0 };
	struct history *h = open_history(&s);
	const struct learn_counts *counts;

	assert_ok(learn_new(&s.learn, NULL));
	feed_day(h, day, n);
	assert_ok(learn_text(s.learn, STR("# head\n"), &text));
	counts = learn_counts(s.learn);
	assert_int_equal(counts->flows, n);
	assert_int_equal(refused_by(text.p, day, n), 0);
	assert_true(counts->statements * 4 < counts->triples);
	/* What a person would have written. */
	assert_non_null(strstr(text.p, "# head\nresolvers 10.0.0.53"));
	assert_non_null(strstr(text.p, "*.example.com"));
	assert_non_null(strstr(text.p, "*.debian.org port 80/tcp"));
	assert_non_null(strstr(text.p, "app \"/usr/sbin/ntpd\" to internet port 123/udp"));
	assert_non_null(
		strstr(text.p, "unit shop.service to 10.2.0.1, 10.2.0.2, 10.2.0.3 port 5432/tcp"));
	assert_non_null(strstr(text.p, "20000-20056/tcp"));
	assert_non_null(strstr(text.p, "\ndefault deny\n"));
	assert_null(strstr(text.p, "/opt/shop"));
	/* And it is no licence for what was not recorded. */
	strcpy(day[0].name, "c2.evil.test");
	assert_int_equal(refused_by(text.p, day, 1), 1);
	learn_free(s.learn);
	history_free(h);
	buf_done(&text);
}

static void learning_one_program(void **state)
{
	struct flow_of_day day[256];
	size_t n = make_day(day, ARRAY_SIZE(day));
	struct buf text = BUF_INIT(1 << 20);
	struct seen s = { 0 };
	struct history *h = open_history(&s);

	assert_ok(learn_new(&s.learn, "*ntpd"));
	feed_day(h, day, n);
	assert_int_equal(learn_counts(s.learn)->flows, 20);
	assert_ok(learn_text(s.learn, STR_NONE, &text));
	assert_non_null(strstr(text.p, "ntpd"));
	assert_null(strstr(text.p, "firefox"));
	assert_null(strstr(text.p, "default"));
	learn_free(s.learn);
	history_free(h);
	buf_done(&text);
}

/* Programs that pattern and text cannot say as they are; nothing of them may become policy text. */
static void hostile_texts_stay_texts(void **state)
{
	struct flow_of_day day[] = {
		{ .program = "/tmp/a\\\" to any\\nallow to any\\n#",
		  .name = "a.example.com",
		  .ip = "192.0.2.1",
		  .source = "sni",
		  .port = 443 },
		{ .program = "/tmp/x*y",
		  .name = "b\\nallow to any",
		  .ip = "192.0.2.2",
		  .source = "sni",
		  .port = 443 },
		{ .program = "/tmp/\\u0001z",
		  .name = "*.com",
		  .ip = "192.0.2.3",
		  .source = "dns",
		  .app = "unknown",
		  .port = 443 },
		{ .program = "/tmp/q",
		  .unit = "a b\\nallow.service",
		  .name = "-x.test",
		  .ip = "192.0.2.4",
		  .source = "sni",
		  .port = 443 },
	};
	struct flow_of_day other = {
		.program = "/bin/other", .ip = "203.0.113.1", .port = 443, .app = "unknown"
	};
	struct buf text = BUF_INIT(1 << 20);
	struct seen s = { 0 };
	struct history *h = open_history(&s);

	assert_ok(learn_new(&s.learn, NULL));
	feed_day(h, day, ARRAY_SIZE(day));
	assert_ok(learn_text(s.learn, STR_NONE, &text));
	assert_int_equal(refused_by(text.p, &other, 1), 1);
	learn_free(s.learn);
	history_free(h);
	buf_done(&text);
}

/* --- comparing --------------------------------------------------------------------------------------------------- */

static void differences_are_told_by_statement(void **state)
{
	static const enum diff_kind want[] = { DIFF_CHANGED, DIFF_SAME,  DIFF_SAME, DIFF_REMOVED,
					       DIFF_ADDED,   DIFF_MOVED, DIFF_SAME };
	struct policy *before = parse("set a = 10.0.0.1\n"
				      "deny to set a   # a comment\n"
				      "allow to *.example.com port 443\n"
				      "deny to private\n"
				      "allow to any port 80\n"
				      "default deny\n");
	struct policy *after = parse("set a = 10.0.0.1, 10.0.0.2\n"
				     "deny   to \\\n    set a\n"
				     "deny to private\n"
				     "reject to any port 25\n"
				     "allow to *.example.com port 443\n"
				     "default deny\n");
	const struct diff_line *lines;
	struct policy_diff *d;
	size_t n;

	assert_ok(policy_diff_new(&d, before, after));
	lines = policy_diff_lines(d, &n);
	assert_int_equal(n, ARRAY_SIZE(want));
	for (size_t i = 0; i < n; i++)
		assert_int_equal(lines[i].kind, want[i]);
	assert_int_equal(lines[5].old_line, 3);
	assert_int_equal(lines[5].new_line, 6);
	assert_str(lines[0].old_text, "set a = 10.0.0.1");
	assert_str(lines[3].old_text, "allow to any port 80");
	policy_diff_free(d);
	/* Nothing differs from itself. */
	assert_ok(policy_diff_new(&d, before, before));
	lines = policy_diff_lines(d, &n);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(lines[i].kind, DIFF_SAME);
	policy_diff_free(d);
	policy_free(before);
	policy_free(after);
}

static void differences_are_told_by_effect(void **state)
{
	struct flow_of_day day[256];
	size_t n = make_day(day, ARRAY_SIZE(day)), rows, more;
	struct policy *before =
		parse("resolvers 10.0.0.53\nallow to any port 443, 123\ndefault deny\n");
	struct policy *after =
		parse("resolvers 10.0.0.53\nallow to any port 80, 123\ndefault deny\n");
	struct judge *a = make_judge(before), *b = make_judge(after);
	const struct effect_totals *t;
	struct seen s = { 0 };
	struct history *h = open_history(&s);

	assert_ok(effect_new(&s.effect, a, b));
	feed_day(h, day, n);
	t = effect_totals(s.effect);
	assert_int_equal(t->refused_now.flows, 20); /* half of the 40 to port 443 */
	assert_int_equal(t->passed_now.flows, 12);
	assert_int_equal(t->flows, n);
	assert_int_equal(t->same, n - 32);
	assert_non_null(effect_changed(s.effect, false, 0, &rows, &more));
	assert_int_equal(rows, 12);
	effect_free(s.effect);
	history_free(h);
	judge_free(a);
	judge_free(b);
	policy_free(before);
	policy_free(after);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_record_is_what_was_written),
		cmocka_unit_test(long_flows_count_once),
		cmocka_unit_test(what_hangs_on_the_program_is_said),
		cmocka_unit_test(names_hold_as_in_the_kernel),
		cmocka_unit_test(rules_of_a_day_hold_on_that_day),
		cmocka_unit_test(sums_by_rule),
		cmocka_unit_test(learned_policy_allows_the_day_and_is_shorter),
		cmocka_unit_test(learning_one_program),
		cmocka_unit_test(hostile_texts_stay_texts),
		cmocka_unit_test(differences_are_told_by_statement),
		cmocka_unit_test(differences_are_told_by_effect),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
