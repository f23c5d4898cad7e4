/* SPDX-License-Identifier: Apache-2.0 */
/* Quotas of rules: whose bytes count, when periods end, what is spent, and what a restart finds. */
#include "flow_rig.h"

#include <errno.h>
#include <jansson.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/calendar.h"
#include "base/json.h"
#include "guard/guard.h"
#include "guard/question.h"

#define START (1767261600ULL * NSEC_PER_SEC) /* 2026-01-01 10:00 UTC */
#define HOUR (3600 * NSEC_PER_SEC)
#define RULE "allow to 192.0.2.9 quota 100kb/hour"

static uint64_t now_ns;
static char folder[64];
static struct buf messages;
static struct rig rig;
static struct guard *guard;

static uint64_t now(void)
{
	return now_ns;
}

static bool words(void *ctx, uint32_t gen, uint16_t rule, struct verdict_rule *ret)
{
	struct guard_rule r;

	if (!guard || !guard_rule(guard, gen, rule, &r))
		return false;
	*ret = (struct verdict_rule){ .text = r.text };
	return true;
}

static void begin(bool with_state)
{
	rig_start(&rig, (struct flow_config){ .max_flows = 100 }, true);
	rig.now = now_ns;
	flow_table_set_verdicts(rig.t, (struct verdict_source){ words, NULL },
				(struct flow_judge){ 0 });
	assert_ok(guard_new(&guard, &(struct guard_config){ .state = with_state ? folder : NULL,
							    .flows = rig.t,
							    .now = now }));
	buf_clear(&messages);
	assert_ok(guard_restore(guard, NULL, GUARD_OFF, &messages));
}

/* A process that ends: in order, or by kill -9, which writes nothing more. */
static void end(bool in_order)
{
	char path[128], copy[128];

	snprintf(path, sizeof(path), "%s/policy", folder);
	snprintf(copy, sizeof(copy), "%s/hidden", folder);
	if (!in_order)
		assert_ok(rename(path, copy));
	guard = guard_free(guard);
	if (!in_order) {
		rmdir(path);
		assert_ok(rename(copy, path));
	}
	rig_stop(&rig);
}

static int set_up(void **state)
{
	now_ns = START;
	setenv("TZ", "UTC0", 1);
	tzset();
	messages = BUF_INIT(1U << 20);
	snprintf(folder, sizeof(folder), "/tmp/egret-test-quota-XXXXXX");
	return mkdtemp(folder) ? 0 : -1;
}

static int tear_down(void **state)
{
	static const char *const left[] = {
		"policy/inforce", "policy/quotas", "policy/quotas.damaged", "policy", "lists", ""
	};
	char path[256];

	buf_done(&messages);
	for (size_t i = 0; i < ARRAY_SIZE(left); i++) {
		snprintf(path, sizeof(path), "%s/%s", folder, left[i]);
		remove(path);
	}
	return access(folder, F_OK) == 0 ? -1 : 0;
}

static int load(const char *text)
{
	const struct policy_file file = { STR("/x/p.egret"), str_of(text) };

	buf_clear(&messages);
	return guard_load(
		guard, &(struct guard_load){ .files = &file, .n_files = 1, .mode = GUARD_ENFORCE },
		&messages);
}

static struct event event_of(enum event_type type, uint16_t port)
{
	return (struct event){ .type = type,
			       .time_ns = now_ns,
			       .key = { .src = rig_addr(S),
					.dst = rig_addr(D),
					.sport = port,
					.dport = 443,
					.proto = IPPROTO_TCP } };
}

/* The first rule of the policy in force has the flow. */
static void judge(uint16_t port, uint16_t rule)
{
	struct event e = event_of(EVENT_VERDICT, port);

	e.verdict = (struct event_verdict){ .cookie = port,
					    .gen = guard_gen(guard),
					    .rule = rule,
					    .action = EG_ALLOW,
					    .final = true,
					    .who = { .owner_unknown = true } };
	flow_table_event(rig.t, &e);
}

static void open_flow(uint16_t port)
{
	struct event e = event_of(EVENT_OPEN, port);

	e.open = (struct event_open){ .cookie = port, .owner_unknown = true };
	flow_table_event(rig.t, &e);
}

/* All it has moved since it began, half of it each way. */
static void count(uint16_t port, uint64_t bytes)
{
	struct event e = event_of(EVENT_COUNT, port);

	e.count = (struct event_counts){ .tx_packets = 1,
					 .tx_bytes = bytes / 2,
					 .rx_packets = 1,
					 .rx_bytes = bytes - bytes / 2,
					 .last_ns = now_ns };
	flow_table_event(rig.t, &e);
}

static void tick(void)
{
	now_ns += NSEC_PER_SEC;
	guard_tick(guard);
}

static void take_used(void *ctx, const struct guard_quota *q)
{
	uint64_t *used = ctx;

	*used = *used == UINT64_MAX ? q->used_bytes : *used + q->used_bytes;
}

/* Of all rules together; UINT64_MAX: none has a quota. */
static uint64_t used(void)
{
	uint64_t n = UINT64_MAX;

	guard_each_quota(guard, take_used, &n);
	return n;
}

/* The verdict of the image in force. */
static const char *verdict(void)
{
	static char action[32];
	struct question q = { .to = D, .has_port = true, .port = 443 };
	struct buf out = BUF_INIT(1U << 20);
	struct json j = JSON_INIT(&out);
	char error[256] = "";
	json_t *got;

	json_object_begin(&j, NULL);
	assert_ok(guard_why(guard, &q, &j, error));
	json_object_end(&j);
	got = json_loadb(out.p, out.n, 0, NULL);
	assert_non_null(got);
	snprintf(action, sizeof(action), "%s",
		 json_string_value(json_object_get(got, "verdict")) ?: "-");
	json_decref(got);
	buf_done(&out);
	return action;
}

static void test_used_up_until_the_period_ends(void **state)
{
	begin(false);
	assert_ok(load(RULE "\ndefault allow\n"));
	assert_non_null(strstr(messages.p, "no state folder"));
	assert_int_equal(used(), 0);
	open_flow(1);
	judge(1, 0);
	count(1, 60000);
	tick();
	assert_int_equal(used(), 60000);
	tick();
	assert_int_equal(used(), 60000);
	assert_string_equal(verdict(), "allow");
	count(1, 100000);
	tick();
	assert_int_equal(used(), 100000);
	assert_string_equal(verdict(), "deny");

	/* What it moves up to the end is the old hour's. */
	now_ns = START + HOUR - 2 * NSEC_PER_SEC;
	tick();
	assert_string_equal(verdict(), "deny");
	count(1, 170000);
	tick();
	assert_int_equal(used(), 0);
	assert_string_equal(verdict(), "allow");
	judge(1, 0);
	count(1, 170010);
	tick();
	assert_int_equal(used(), 10);
	end(true);
}

static void test_what_comes_then(void **state)
{
	static const struct {
		const char *then, *verdict;
	} rows[] = { { "", "deny" },
		     { " then deny", "deny" },
		     { " then reject", "reject" },
		     { " then audit", "audit" },
		     { " then limit 1mbit", "allow" } };
	char text[256];

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		begin(false);
		snprintf(text, sizeof(text), RULE "%s\ndefault deny\n", rows[i].then);
		assert_ok(load(text));
		open_flow(1);
		judge(1, 0);
		count(1, 200000);
		tick();
		assert_int_equal(used(), 200000);
		assert_string_equal(verdict(), rows[i].verdict);
		/* An expectation is about what the rules say. */
		snprintf(text, sizeof(text), RULE "%s\ndefault deny\nexpect allow to 192.0.2.9\n",
			 rows[i].then);
		assert_ok(load(text));
		assert_string_equal(verdict(), rows[i].verdict);
		end(true);
	}
}

static void test_only_what_the_rule_has(void **state)
{
	begin(false);
	open_flow(1);
	count(1, 500000);
	assert_ok(load("allow to 192.0.2.1\n" RULE "\ndefault allow\n"));
	judge(1, 1);
	count(1, 500100); /* what was before it is nobody's */
	open_flow(2);
	judge(2, 0);
	count(2, 90000); /* another rule's */
	open_flow(3);
	judge(3, 1);
	count(3, 300);
	tick();
	assert_int_equal(used(), 400);
	/* Other rules before it, and flows of the generation before: it is the same quota. */
	assert_ok(load("deny to 192.0.2.77\ndeny to 192.0.2.78\n" RULE "\ndefault allow\n"));
	assert_int_equal(used(), 400);
	count(3, 350);
	tick();
	assert_int_equal(used(), 450);
	/* Gone and come again, also by `egret policy clear`. */
	assert_ok(load("default allow\n"));
	assert_int_equal(used(), UINT64_MAX);
	tick();
	assert_ok(guard_clear(guard));
	assert_ok(load(RULE "\ndefault allow\n"));
	assert_int_equal(used(), 450);
	/* Two alike are two; another text is another. */
	assert_ok(load(RULE "\n" RULE "\ndefault allow\n"));
	judge(3, 1);
	count(3, 360);
	tick();
	assert_int_equal(used(), 460);
	assert_ok(load("allow to 192.0.2.9 quota 200kb/hour\ndefault allow\n"));
	assert_int_equal(used(), 0);
	end(true);
}

static void ends(void *ctx, const struct flow *f)
{
	guard_flow_ended(guard, f);
}

static void test_an_end_counts(void **state)
{
	begin(false);
	assert_ok(load(RULE "\ndefault allow\n"));
	open_flow(1);
	judge(1, 0);
	count(1, 1000);
	tick();
	count(1, 2500);
	flow_table_each(rig.t, ends, NULL);
	assert_int_equal(used(), 2500);
	tick();
	assert_int_equal(used(), 2500);
	end(true);
}

/* The socket outlives the process, and its counters with it. */
static void restart_with(bool in_order, uint64_t bytes)
{
	end(in_order);
	now_ns += 10 * NSEC_PER_SEC;
	begin(true);
	rig.now = START;
	{
		struct event e = event_of(EVENT_OPEN, 1);

		e.time_ns = START;
		e.open = (struct event_open){ .cookie = 1, .owner_unknown = true };
		flow_table_event(rig.t, &e);
	}
	count(1, bytes);
}

static void restarts(bool in_order)
{
	begin(true);
	assert_ok(load(RULE "\ndefault allow\n"));
	open_flow(1);
	judge(1, 0);
	count(1, 60000);
	tick();
	restart_with(in_order, 60000);
	tick();
	assert_int_equal(used(), 60000);
	judge(1, 0);
	count(1, 60500);
	tick();
	assert_int_equal(used(), 60500);
	/* What it moved in between is known only by what was counted before. */
	restart_with(in_order, 101000);
	assert_int_equal(used(), 60500);
	tick();
	assert_int_equal(used(), 101000);
	assert_string_equal(verdict(), "deny");
	restart_with(in_order, 101000);
	assert_int_equal(used(), 101000);
	assert_string_equal(verdict(), "deny");
	/* Away when the period ended. */
	end(in_order);
	now_ns += HOUR;
	begin(true);
	assert_string_equal(verdict(), "allow");
	assert_int_equal(used(), 0);
	end(true);
}

static void test_a_restart_counts_on(void **state)
{
	restarts(true);
}

static void test_kill_counts_on(void **state)
{
	restarts(false);
}

static void test_damage_is_set_aside(void **state)
{
	char path[128];
	FILE *f;

	begin(true);
	assert_ok(load(RULE "\ndefault allow\n"));
	open_flow(1);
	judge(1, 0);
	count(1, 100000);
	tick();
	end(true);
	snprintf(path, sizeof(path), "%s/policy/quotas", folder);
	f = fopen(path, "r+");
	assert_non_null(f);
	fseek(f, -3, SEEK_END);
	fputc('9', f);
	fclose(f);
	begin(true);
	assert_int_equal(used(), 0);
	assert_string_equal(verdict(), "allow");
	snprintf(path, sizeof(path), "%s/policy/quotas.damaged", folder);
	assert_ok(access(path, F_OK));
	end(true);
}

static void test_the_clock_goes_back(void **state)
{
	begin(false);
	assert_ok(load(RULE "\ndefault allow\n"));
	open_flow(1);
	judge(1, 0);
	count(1, 100000);
	tick();
	now_ns -= 5 * HOUR;
	tick();
	assert_int_equal(used(), 100000);
	assert_string_equal(verdict(), "deny");
	now_ns += HOUR;
	tick();
	assert_int_equal(used(), 0);
	end(true);
}

static void test_bad_quotas(void **state)
{
	begin(false);
	assert_err(load("allow to 192.0.2.9 quota 0mb/hour\ndefault allow\n"), -EINVAL);
	assert_non_null(strstr(messages.p, "p.egret:1:"));
	assert_err(load("allow to 192.0.2.9 quota 1000001tb/month\ndefault allow\n"), -EINVAL);
	assert_non_null(strstr(messages.p, "1,000,000tb at most"));
	assert_ok(load("allow to 192.0.2.9 quota 1000000tb/month\ndefault allow\n"));
	end(true);
}

/* ---- the calendar ---- */

static void expect_period(const char *zone, char period, int64_t at, int64_t from, int64_t to)
{
	int64_t got_from, got_to;

	setenv("TZ", zone, 1);
	tzset();
	calendar_period(period, at, &got_from, &got_to);
	assert_int_equal(got_from, from);
	assert_int_equal(got_to, to);
	/* Neighbours meet. */
	calendar_period(period, to, &got_from, &got_to);
	assert_int_equal(got_from, to);
	calendar_period(period, from - 1, &got_from, &got_to);
	assert_int_equal(got_to, from);
}

static void test_periods(void **state)
{
	static const char *berlin = "CET-1CEST,M3.5.0,M10.5.0/3";

	expect_period("UTC0", 'h', 1767263400, 1767261600, 1767265200);
	expect_period("UTC0", 'd', 1767263400, 1767225600, 1767312000);
	expect_period("UTC0", 'w', 1767263400, 1766966400, 1767571200); /* Monday, 2025-12-29 */
	expect_period("UTC0", 'm', 1767263400, 1767225600, 1769904000);
	/* 2026-03-29 has 23 hours there, 2026-10-25 has 25, March 743. */
	expect_period(berlin, 'd', 1774785600, 1774738800, 1774738800 + 23 * 3600);
	expect_period(berlin, 'd', 1792929600, 1792879200, 1792879200 + 25 * 3600);
	expect_period(berlin, 'm', 1774785600, 1772319600, 1772319600 + 743 * 3600);
	/* The hour that comes twice is two. */
	expect_period(berlin, 'h', 1792888200, 1792886400, 1792890000);
	expect_period(berlin, 'h', 1792891800, 1792890000, 1792893600);
	/* Midnight that is left out, and a zone with a half hour. */
	expect_period("AAA-2BBB,M3.5.0/0,M10.5.0/1", 'd', 1774785600, 1774735200,
		      1774735200 + 23 * 3600);
	expect_period("IST-5:30", 'h', 1767263400, 1767263400, 1767267000);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(test_used_up_until_the_period_ends),
		T(test_what_comes_then),
		T(test_only_what_the_rule_has),
		T(test_an_end_counts),
		T(test_a_restart_counts_on),
		T(test_kill_counts_on),
		T(test_damage_is_set_aside),
		T(test_the_clock_goes_back),
		T(test_bad_quotas),
		T(test_periods),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
