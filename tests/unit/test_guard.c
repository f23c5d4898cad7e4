/* SPDX-License-Identifier: Apache-2.0 */
/* The guard without a kernel: what a load accepts, what stays in force when it does not, and what a restart finds. */
#include "flow_rig.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/json.h"
#include "guard/answer.h"
#include "guard/bundle.h"
#include "guard/guard.h"
#include "guard/question.h"
#include "policy/locate.h"

#define START (1767225600ULL * NSEC_PER_SEC) /* 2026-01-01 */

static uint64_t now_ns;
static char folder[64], policy_path[128];
static struct buf messages;

static uint64_t now(void)
{
	return now_ns;
}

static struct guard *start(bool with_state, struct flow_table *flows)
{
	struct guard *g;

	assert_ok(guard_new(&g, &(struct guard_config){ .state = with_state ? folder : NULL,
							.flows = flows,
							.whole_host = flows,
							.now = now }));
	return g;
}

static int set_up(void **state)
{
	now_ns = START;
	messages = BUF_INIT(1U << 20);
	snprintf(folder, sizeof(folder), "/tmp/egret-test-guard-XXXXXX");
	if (!mkdtemp(folder))
		return -1;
	snprintf(policy_path, sizeof(policy_path), "%s/p.egret", folder);
	return 0;
}

static int tear_down(void **state)
{
	static const char *const left[] = { "policy/inforce",
					    "policy/before",
					    "policy/inforce.damaged",
					    "p.egret",
					    "policy",
					    "lists",
					    "" };
	char path[256];

	buf_done(&messages);
	for (size_t i = 0; i < ARRAY_SIZE(left); i++) {
		snprintf(path, sizeof(path), "%s/%s", folder, left[i]);
		remove(path);
	}
	return access(folder, F_OK) == 0 ? -1 : 0;
}

static void write_policy(const char *text)
{
	FILE *f = fopen(policy_path, "w");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static int load(struct guard *g, const char *text, struct guard_load l)
{
	const struct policy_file file = { STR("/x/p.egret"), str_of(text) };

	buf_clear(&messages);
	l.files = &file;
	l.n_files = 1;
	if (!l.mode)
		l.mode = GUARD_ENFORCE;
	return guard_load(g, &l, &messages);
}

#define LOAD(g, text, ...) load((g), (text), (struct guard_load){ __VA_ARGS__ })

static bool said(const char *what)
{
	return messages.n && strstr(messages.p, what);
}

/* What `egret why` says of an address: the rule's text. */
static const char *decides(struct guard *g, const char *to)
{
	static char rule[256];
	struct question q = { .has_port = true, .port = 443 };
	struct buf out = BUF_INIT(1U << 20);
	struct json j = JSON_INIT(&out);
	char error[256] = "";
	json_t *got;

	snprintf(q.to, sizeof(q.to), "%s", to);
	json_object_begin(&j, NULL);
	if (guard_why(g, &q, &j, error) < 0)
		json_text(&j, "error", error);
	json_object_end(&j);
	got = json_loadb(out.p, out.n, 0, NULL);
	assert_non_null(got);
	snprintf(rule, sizeof(rule), "%s",
		 error[0] ? error
			  : json_string_value(
				    json_object_get(json_object_get(got, "rule"), "text")));
	json_decref(got);
	buf_done(&out);
	return rule;
}

static void test_loads_and_names_rules(void **state)
{
	struct guard *g = start(false, NULL);
	struct guard_rule rule;
	uint32_t first;

	assert_int_equal(guard_mode(g), GUARD_OFF);
	assert_string_equal(decides(g, "192.0.2.1"), "no policy is in force");
	assert_ok(LOAD(g, "# a comment\ndeny to 192.0.2.1\ndefault allow\n"));
	first = guard_gen(g);
	assert_int_equal(guard_mode(g), GUARD_ENFORCE);
	assert_true(guard_rule(g, first, 0, &rule));
	assert_str(rule.text, "deny to 192.0.2.1");
	assert_str(rule.file, "/x/p.egret");
	assert_int_equal(rule.line, 2);
	assert_true(guard_rule(g, first, 1, &rule) && rule.is_default);
	assert_true(guard_rule(g, first, 2, &rule) && rule.is_implied);
	assert_false(guard_rule(g, first, 3, &rule));
	assert_string_equal(decides(g, "192.0.2.1"), "deny to 192.0.2.1");
	assert_string_equal(decides(g, "192.0.2.2"), "default allow");

	/* Records of the policy before still find their words. */
	assert_ok(LOAD(g, "deny to 192.0.2.9\ndefault allow\n"));
	assert_int_not_equal(guard_gen(g), first);
	assert_true(guard_rule(g, first, 0, &rule));
	assert_str(rule.text, "deny to 192.0.2.1");
	for (int i = 0; i < 10; i++)
		assert_ok(LOAD(g, "default allow\n"));
	assert_false(guard_rule(g, first, 0, &rule));
	guard_free(g);
}

static void test_a_mistake_changes_nothing(void **state)
{
	struct guard *g = start(true, NULL);
	uint32_t gen;

	assert_ok(LOAD(g, "deny to 192.0.2.1\ndefault allow\n"));
	gen = guard_gen(g);
	assert_err(LOAD(g, "deny to set nothing\ndefault allow\n"), -EINVAL);
	assert_true(said("p.egret:1:"));
	assert_err(LOAD(g, "default allow\nexpect deny to 192.0.2.1\n"), -EINVAL);
	assert_true(said("expect"));
	assert_int_equal(guard_gen(g), gen);
	assert_string_equal(decides(g, "192.0.2.1"), "deny to 192.0.2.1");
	assert_ok(LOAD(g, "default allow\nexpect deny to 192.0.2.1\n", .force = true));
	assert_string_equal(decides(g, "192.0.2.1"), "default allow");
	guard_free(g);
}

static void test_rolls_back(void **state)
{
	struct guard *g = start(true, NULL);

	assert_ok(LOAD(g, "deny to 192.0.2.1\ndefault allow\n"));
	assert_err(guard_confirm(g), -ENOENT);
	assert_ok(LOAD(g, "deny to 192.0.2.2\ndefault allow\n", .confirm_s = 60));
	now_ns += 59 * NSEC_PER_SEC;
	guard_tick(g);
	assert_string_equal(decides(g, "192.0.2.2"), "deny to 192.0.2.2");
	/* Another that waits too does not become what is gone back to. */
	assert_ok(LOAD(g, "deny to 192.0.2.3\ndefault allow\n", .confirm_s = 60));
	assert_ok(guard_block(g, STR("deny to 192.0.2.7"), 0, STR(""), &messages));
	now_ns += 60 * NSEC_PER_SEC;
	guard_tick(g);
	assert_string_equal(decides(g, "192.0.2.1"), "deny to 192.0.2.1");
	assert_string_equal(decides(g, "192.0.2.3"), "default allow");
	assert_string_equal(decides(g, "192.0.2.7"), "deny to 192.0.2.7"); /* nobody's policy */

	assert_ok(LOAD(g, "deny to 192.0.2.4\ndefault allow\n", .confirm_s = 60));
	assert_ok(guard_confirm(g));
	now_ns += 100 * NSEC_PER_SEC;
	guard_tick(g);
	assert_string_equal(decides(g, "192.0.2.4"), "deny to 192.0.2.4");
	guard_free(g);
}

static void test_rolls_back_to_none(void **state)
{
	struct guard *g = start(true, NULL);

	assert_ok(LOAD(g, "default deny\n", .confirm_s = 5));
	now_ns += 5 * NSEC_PER_SEC;
	guard_tick(g);
	assert_int_equal(guard_mode(g), GUARD_OFF);
	assert_int_equal(guard_gen(g), 0);
	guard_free(g);
}

static struct guard *restart(struct guard *g, const char *conf, enum guard_mode mode)
{
	guard_free(g);
	g = start(true, NULL);
	buf_clear(&messages);
	guard_restore(g, conf, mode, &messages);
	return g;
}

static void test_a_restart_finds_it_again(void **state)
{
	struct guard *g = start(true, NULL);

	assert_ok(LOAD(g, "deny to 192.0.2.1\ndefault allow\n", .mode = GUARD_WATCH));
	assert_ok(guard_block(g, STR("deny to 192.0.2.7"), 3600, STR("why not"), &messages));
	g = restart(g, NULL, GUARD_OFF);
	assert_int_equal(messages.n, 0);
	assert_int_equal(guard_mode(g), GUARD_WATCH);
	assert_string_equal(decides(g, "192.0.2.1"), "deny to 192.0.2.1");
	assert_string_equal(decides(g, "192.0.2.7"),
			    "deny to 192.0.2.7 until @1767229200 as \"why not\"");
	guard_clear(g);
	g = restart(g, NULL, GUARD_OFF);
	assert_int_equal(guard_mode(g), GUARD_OFF);
	guard_free(g);
}

static void test_a_deadline_survives_a_restart(void **state)
{
	struct guard *g = start(true, NULL);

	assert_ok(LOAD(g, "deny to 192.0.2.1\ndefault allow\n"));
	assert_ok(LOAD(g, "deny to 192.0.2.2\ndefault allow\n", .confirm_s = 60));
	now_ns += 30 * NSEC_PER_SEC;
	g = restart(g, NULL, GUARD_OFF);
	assert_string_equal(decides(g, "192.0.2.2"), "deny to 192.0.2.2");
	now_ns += 30 * NSEC_PER_SEC;
	guard_tick(g);
	assert_string_equal(decides(g, "192.0.2.1"), "deny to 192.0.2.1");

	assert_ok(LOAD(g, "deny to 192.0.2.3\ndefault allow\n", .confirm_s = 60));
	now_ns += 90 * NSEC_PER_SEC; /* it was away when the time came */
	g = restart(g, NULL, GUARD_OFF);
	assert_true(said("rolled back"));
	assert_string_equal(decides(g, "192.0.2.1"), "deny to 192.0.2.1");
	guard_free(g);
}

static void test_damage_is_set_aside(void **state)
{
	struct guard *g = start(true, NULL);
	char path[256];
	FILE *f;

	assert_ok(LOAD(g, "deny to 192.0.2.1\ndefault allow\n"));
	guard_free(g);
	snprintf(path, sizeof(path), "%s/policy/inforce", folder);
	for (long at = 0; at < 100; at += 33) {
		f = fopen(path, "r+");
		assert_non_null(f);
		fseek(f, at, SEEK_SET);
		fputc('\a', f);
		fclose(f);
		g = start(true, NULL);
		buf_clear(&messages);
		write_policy("deny to 192.0.2.5\ndefault allow\n");
		assert_ok(guard_restore(g, policy_path, GUARD_WATCH, &messages));
		assert_true(said("damaged"));
		assert_string_equal(decides(g, "192.0.2.5"), "deny to 192.0.2.5");
		guard_free(g);
	}
	assert_ok(truncate(path, 20));
	g = start(true, NULL);
	buf_clear(&messages);
	assert_ok(guard_restore(g, NULL, GUARD_OFF, &messages));
	assert_true(said("damaged"));
	assert_int_equal(guard_mode(g), GUARD_OFF);
	guard_free(g);
}

/* What egret.conf names is read again; what was loaded by hand stays. */
static void test_conf_and_command(void **state)
{
	struct guard *g = start(true, NULL);

	write_policy("deny to 192.0.2.1\ndefault allow\n");
	assert_ok(guard_restore(g, policy_path, GUARD_ENFORCE, &messages));
	assert_string_equal(decides(g, "192.0.2.1"), "deny to 192.0.2.1");
	write_policy("deny to 192.0.2.2\ndefault allow\n");
	g = restart(g, policy_path, GUARD_ENFORCE);
	assert_string_equal(decides(g, "192.0.2.2"), "deny to 192.0.2.2");

	write_policy("deny to 192.0.2.3\n nonsense here\n");
	buf_clear(&messages);
	assert_err(guard_reload(g, &messages), -EINVAL);
	assert_string_equal(decides(g, "192.0.2.2"), "deny to 192.0.2.2");
	g = restart(g, policy_path, GUARD_ENFORCE);
	assert_true(said("what was in force before stays"));
	assert_string_equal(decides(g, "192.0.2.2"), "deny to 192.0.2.2");
	write_policy("deny to 192.0.2.4\ndefault allow\n");
	assert_ok(guard_reload(g, &messages));
	assert_string_equal(decides(g, "192.0.2.4"), "deny to 192.0.2.4");

	assert_ok(LOAD(g, "deny to 192.0.2.9\ndefault allow\n"));
	g = restart(g, policy_path, GUARD_WATCH);
	assert_string_equal(decides(g, "192.0.2.9"), "deny to 192.0.2.9");
	assert_int_equal(guard_mode(g), GUARD_ENFORCE);
	guard_clear(g);
	g = restart(g, policy_path, GUARD_WATCH);
	assert_string_equal(decides(g, "192.0.2.4"), "deny to 192.0.2.4");
	assert_int_equal(guard_mode(g), GUARD_WATCH);
	g = restart(g, NULL, GUARD_OFF); /* egret.conf says "off" now */
	assert_int_equal(guard_mode(g), GUARD_OFF);
	guard_free(g);
}

static void test_dated_rules(void **state)
{
	struct guard *g = start(true, NULL);

	assert_ok(guard_block(g, STR("deny to 192.0.2.7"), 60, STR(""), &messages));
	assert_int_equal(guard_mode(g), GUARD_ENFORCE);
	assert_string_equal(decides(g, "192.0.2.7"), "deny to 192.0.2.7 until @1767225660");
	assert_string_equal(decides(g, "192.0.2.8"), "default allow");
	assert_ok(guard_block(g, STR("reject to 192.0.2.8"), 120, STR(""), &messages));
	now_ns += 60 * NSEC_PER_SEC;
	assert_string_equal(decides(g, "192.0.2.7"),
			    "default allow"); /* the image knows by itself */
	guard_tick(g);
	assert_int_equal(guard_unblock(g, STR("deny to 192.0.2.7"), &messages), 0);
	assert_int_equal(guard_unblock(g, STR("reject to 192.0.2.8"), &messages), 1);
	assert_int_equal(guard_mode(g), GUARD_OFF);

	assert_ok(LOAD(g, "allow to 192.0.2.7\ndefault allow\n"));
	assert_ok(guard_block(g, STR("deny to 192.0.2.7"), 0, STR(""), &messages));
	assert_ok(guard_block(g, STR("deny to 192.0.2.8"), 0, STR(""), &messages));
	assert_string_equal(decides(g, "192.0.2.7"), "deny to 192.0.2.7");
	assert_int_equal(guard_unblock(g, STR_NONE, &messages), 2);
	assert_string_equal(decides(g, "192.0.2.7"), "allow to 192.0.2.7");
	guard_free(g);
}

static void test_dated_rules_are_one_rule(void **state)
{
	static const char *const bad[] = {
		"",
		"allow to any",
		"deny to any\ndefault allow",
		"default deny",
		"deny to 192.0.2.1 \\",
		"include \"/etc/passwd\"",
		"set x = 192.0.2.1",
		"deny to 192.0.2.1 # comment",
		"deny to 192.0.2.1 until 2030-01-01",
		"deny to 192.0.2.1 as \"x\"",
		"deny to",
		"audit to 192.0.2.1",
		"resolvers none",
	};
	struct guard *g = start(false, NULL);

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		buf_clear(&messages);
		assert_err(guard_block(g, str_of(bad[i]), 0, STR(""), &messages), -EINVAL);
		assert_true(said("error"));
	}
	assert_err(guard_block(g, STR("deny to 192.0.2.1"), 0, STR("a \" b"), &messages), -EINVAL);
	assert_err(guard_block(g, STR("deny to 192.0.2.1"), 0, STR("a\nb"), &messages), -EINVAL);
	assert_int_equal(guard_mode(g), GUARD_OFF);
	guard_free(g);
}

/* ---- the session of who loads it ---- */

static void open_flow(struct rig *r, const char *local, uint16_t lport, const char *remote,
		      uint16_t rport, bool inbound)
{
	flow_table_event(r->t,
			 &(struct event){ .type = EVENT_OPEN,
					  .time_ns = r->now,
					  .key = { .src = rig_addr(local),
						   .dst = rig_addr(remote),
						   .sport = lport,
						   .dport = rport,
						   .proto = IPPROTO_TCP },
					  .open = { .inbound = inbound, .owner_unknown = true } });
}

static void test_a_session_is_not_cut(void **state)
{
	struct rig r = { 0 };
	struct guard *g;

	rig_start(&r, (struct flow_config){ .max_flows = 100 }, true);
	g = start(false, r.t);
	open_flow(&r, "10.0.0.1", 22, "10.9.9.9", 50000, true);
	assert_ok(LOAD(g, "default deny\n", .session = "10.9.9.9 50000 10.0.0.1 22")); /* a reply */
	guard_clear(g);

	/* Its beginning was not seen: nobody knows that it is a reply. */
	assert_err(LOAD(g, "default deny\n", .session = "10.9.9.9 50001 10.0.0.1 22"), -EINVAL);
	assert_true(said("your own session") && said("p.egret:1:"));
	assert_int_equal(guard_mode(g), GUARD_OFF);
	assert_ok(LOAD(g, "default deny\n", .session = "10.9.9.9 50001 10.0.0.1 22",
		       .mode = GUARD_WATCH));
	assert_ok(LOAD(g, "allow to 10.9.9.9\ndefault deny\n",
		       .session = "10.9.9.9 50001 10.0.0.1 22"));

	/* This host opened it. */
	open_flow(&r, "10.0.0.1", 40000, "10.9.9.8", 22, false);
	assert_err(LOAD(g, "deny to 10.9.9.8\ndefault allow\n"), -EINVAL);
	assert_true(said("10.9.9.8 port 22") && said("deny to 10.9.9.8"));
	assert_ok(LOAD(g, "deny to 10.9.9.8\ndefault allow\n", .force = true));
	guard_free(g);
	rig_stop(&r);
}

/* ---- what comes over the socket ---- */

static json_t *answer(struct guard *g, const struct policy_request *q, int fd)
{
	struct buf out = BUF_INIT(16U << 20);
	struct json j = JSON_INIT(&out);
	json_t *got;

	json_object_begin(&j, NULL);
	guard_answer(g, q, fd, &j);
	json_object_end(&j);
	got = json_loadb(out.p, out.n, 0, NULL);
	assert_non_null(got);
	buf_done(&out);
	return got;
}

static bool done(struct guard *g, const struct policy_request *q, int fd)
{
	json_t *got = answer(g, q, fd);
	bool yes = json_is_true(json_object_get(got, "done"));

	assert_true(yes || json_object_get(got, "messages"));
	json_decref(got);
	return yes;
}

static int memory_file(const char *bytes)
{
	int fd = memfd_create("test", MFD_ALLOW_SEALING);

	assert_ok(fd);
	assert_int_equal(write(fd, bytes, strlen(bytes)), strlen(bytes));
	return fd;
}

static void test_a_bundle_is_not_trusted(void **state)
{
	static const char *const bad[] = {
		"",
		"file",
		"file 1 1",
		"file 1 1\n",
		"file 1 1\nx\n",
		"file 1 5\nx\nabc\n",
		"file 1 3\nx\nabc",
		"file 0 3\n\nabc\n",
		"file 1 18446744073709551615\nx\nabc\n",
		"file 18446744073709551615 1\nx\nabc\n",
		"file 1 3 \nx\nabc\n",
		"file -1 3\nx\nabc\n",
		"FILE 1 3\nx\nabc\n",
		"file 1 3\nx\nabc\nfile",
		"file 1 3\n\n\nabc\n",
		"file                                                                    1 "
		"1\nx\ny\n",
	};
	const struct policy_request q = { .verb = POLICY_DO_LOAD, .enforce = true };
	struct guard *g = start(false, NULL);
	struct policy_file *files;
	size_t n;
	int fd, pipe_fds[2];

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_err(bundle_parse(str_of(bad[i]), &files, &n), -EINVAL);
		fd = memory_file(bad[i]);
		assert_false(done(g, &q, fd));
		close(fd);
	}
	assert_false(done(g, &q, -1));
	assert_ok(pipe(pipe_fds)); /* would be waited for for ever */
	assert_false(done(g, &q, pipe_fds[0]));
	close(pipe_fds[0]);
	close(pipe_fds[1]);
	assert_int_equal(guard_mode(g), GUARD_OFF);

	fd = memory_file("file 8 13\n/x/p.egt\ndefault deny\n\n");
	assert_true(done(g, &q, fd));
	close(fd);
	assert_int_equal(guard_mode(g), GUARD_ENFORCE);
	guard_free(g);
}

static void test_show_and_text(void **state)
{
	struct guard *g = start(false, NULL);
	json_t *got;

	assert_ok(LOAD(g, "deny to 192.0.2.1\nallow to any limit 10mbit\ndefault deny\n"));
	assert_ok(guard_block(g, STR("deny to 192.0.2.7"), 60, STR("n"), &messages));
	got = answer(g, &(struct policy_request){ .verb = POLICY_DO_SHOW }, -1);
	assert_string_equal(json_string_value(json_object_get(got, "mode")), "enforce");
	assert_string_equal(json_string_value(json_object_get(got, "file")), "/x/p.egret");
	assert_int_equal(json_array_size(json_object_get(got, "rules")),
			 5); /* block, 2, default, implied */
	assert_int_equal(json_array_size(json_object_get(got, "blocks")), 1);
	assert_null(json_object_get(got, "not_enforced"));
	json_decref(got);
	got = answer(g, &(struct policy_request){ .verb = POLICY_DO_TEXT }, -1);
	assert_string_equal(json_string_value(json_object_get(got, "text")),
			    "# ---- /x/p.egret\ndeny to 192.0.2.1\nallow to any limit 10mbit\n"
			    "default deny\n");
	json_decref(got);
	guard_free(g);
}

/* Segments of records are those of the policy in force. */
static void test_segments(void **state)
{
	struct addr a = addr_from_v4("\x0a\x01\x00\x05");
	struct locator *l;
	struct guard *g;

	assert_ok(locator_new(&l));
	assert_ok(guard_new(&g, &(struct guard_config){ .now = now, .locator = l }));
	assert_str(locator_find(l, &a)->segment, "private");
	assert_ok(LOAD(g, "segment office = 10.1.0.0/16\ndefault allow\n"));
	assert_str(locator_find(l, &a)->segment, "office");
	assert_err(LOAD(g, "segment lab = 10.1.0.0/16\nno policy\n"), -EINVAL);
	assert_str(locator_find(l, &a)->segment, "office");
	assert_ok(LOAD(g, "segment lab = 10.1.0.0/16\ndefault allow\n"));
	assert_str(locator_find(l, &a)->segment, "lab");
	assert_ok(guard_clear(g));
	assert_str(locator_find(l, &a)->segment, "private");
	assert_ok(LOAD(g, "segment lab = 10.1.0.0/16\ndefault allow\n"));
	guard_free(g);
	assert_str(locator_find(l, &a)->segment, "private");
	locator_free(l);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(test_loads_and_names_rules),
		T(test_segments),
		T(test_a_mistake_changes_nothing),
		T(test_rolls_back),
		T(test_rolls_back_to_none),
		T(test_a_restart_finds_it_again),
		T(test_a_deadline_survives_a_restart),
		T(test_damage_is_set_aside),
		T(test_conf_and_command),
		T(test_dated_rules),
		T(test_dated_rules_are_one_rule),
		T(test_a_session_is_not_cut),
		T(test_a_bundle_is_not_trusted),
		T(test_show_and_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
