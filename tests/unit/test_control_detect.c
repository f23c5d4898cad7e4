/* SPDX-License-Identifier: Apache-2.0 */
/* What the control socket is asked of detection, and what live views are told of it. */
#include "test.h"

#include "control_rig.h"

static struct detect_request asked;
static bool asked_filter;

static struct finding finding(const char *id, enum finding_state state)
{
	struct finding f = { .state = state,
			     .severity = SEVERITY_HIGH,
			     .class = CLASS_C2,
			     .detector = "beacon",
			     .time_ns = T0,
			     .entity = STR("/tmp/.x (root)"),
			     .exe = STR("/tmp/.x"),
			     .peer = STR("c2.example"),
			     .explain = STR("often") };

	snprintf(f.id, sizeof(f.id), "%s", id);
	return f;
}

static void give_findings(void *ctx, const struct detect_request *q, const struct filter *filter,
			  struct finding_out to)
{
	struct finding f = finding("aaaa", FINDING_OPEN);

	asked = *q;
	asked_filter = filter;
	for (int i = 0; i < 3; i++)
		to.on_finding(to.ctx, &f);
}

static void answer_detect(void *ctx, const struct detect_request *q, struct json *j)
{
	asked = *q;
	json_bool(j, "done", true);
}

static uint64_t two_open(void *ctx)
{
	return 2;
}

static void serve_detect(void)
{
	struct control_config cfg = config();

	fx.control = control_free(fx.control);
	cfg.findings = give_findings;
	cfg.detect = answer_detect;
	cfg.findings_open = two_open;
	assert_ok(control_new(&fx.control, &cfg));
}

static void test_findings(void **state)
{
	struct client *c;
	json_t *j;

	assert_error("{\"ask\":\"findings\"}", "nothing is detected here");
	assert_error("{\"ask\":\"detect\",\"do\":\"exceptions\"}", "nothing is detected here");
	serve_detect();
	c = ask("{\"ask\":\"findings\",\"filter\":\"proc:x\",\"limit\":2,\"last\":3600,\"low\":"
		"true,"
		"\"class\":\"c2\",\"detector\":\"beacon\",\"level\":\"high\",\"id\":\"aaaa\"}");
	for (int i = 0; i < 2; i++) {
		j = next(c);
		assert_string_equal(json_string_value(json_object_get(j, "event_type")), "alert");
		assert_string_equal(
			json_string_value(json_object_get(
				json_object_get(json_object_get(j, "egret"), "finding"), "id")),
			"aaaa");
		json_decref(j);
	}
	j = next(c);
	assert_true(json_is_true(json_object_get(j, "end")));
	assert_int_equal(json_integer_value(json_object_get(j, "matched")), 3);
	assert_int_equal(json_integer_value(json_object_get(j, "shown")), 2);
	json_decref(j);
	client_free(c);
	assert_true(asked_filter && asked.low);
	assert_int_equal(asked.last_s, 3600);
	assert_string_equal(asked.class, "c2");
	assert_string_equal(asked.detector, "beacon");
	assert_string_equal(asked.level, "high");
	assert_string_equal(asked.id, "aaaa");
	assert_error("{\"ask\":\"findings\",\"last\":-1}", "last");
	assert_error("{\"ask\":\"findings\",\"low\":7}", "low");
	assert_error("{\"ask\":\"findings\",\"id\":\"0123456789abcdef\"}", "id"); /* too long */
	assert_error("{\"ask\":\"findings\",\"note\":\"x\"}", "note");
	assert_error("{\"ask\":\"findings\",\"filter\":\"nonsense:x\"}", "");
}

static void test_detect_requests(void **state)
{
	struct client *c;
	json_t *j;

	serve_detect();
	c = ask("{\"ask\":\"detect\",\"do\":\"ack\",\"id\":\"aaaa\",\"entity\":\"/usr/bin/"
		"x\",\"peer\":\"p\","
		"\"note\":\"why\",\"for\":86400,\"class\":\"peer\"}");
	j = next(c);
	assert_true(json_is_true(json_object_get(j, "done")));
	json_decref(j);
	client_free(c);
	assert_int_equal(asked.verb, DETECT_DO_ACK);
	assert_string_equal(asked.entity, "/usr/bin/x");
	assert_string_equal(asked.note, "why");
	assert_int_equal(asked.seconds, 86400);
	assert_error("{\"ask\":\"detect\",\"do\":\"learn\"}", "not known");
	assert_error("{\"ask\":\"detect\",\"do\":7}", "not known");
	assert_error("{\"ask\":\"detect\",\"do\":\"unack\",\"number\":\"x\"}", "number");
	assert_error("{\"ask\":\"detect\",\"do\":\"intel-add\",\"confidence\":101}", "confidence");
	for (enum detect_verb v = 0; v < DETECT_VERB_COUNT; v++)
		assert_int_equal(detect_verb_changes(v), v != DETECT_DO_EXCEPTIONS &&
								 v != DETECT_DO_INTEL_LIST &&
								 v != DETECT_DO_INTEL_CHECK);
}

static void tell(const char *id, enum finding_state state)
{
	struct finding f = finding(id, state);

	control_record(
		fx.control,
		&(struct record){ .type = RECORD_FINDING, .time_ns = fx.now_ns, .finding = &f });
}

static void test_top_tells_of_findings(void **state)
{
	struct client *c = ask("{\"ask\":\"top\",\"by\":\"host\"}");
	json_t *j = next(c), *last;

	assert_null(json_object_get(j, "findings")); /* nothing is detected here */
	json_decref(j);
	client_free(c);
	serve_detect();
	c = ask("{\"ask\":\"top\",\"by\":\"host\"}");
	j = next(c);
	assert_int_equal(number(j, "findings", "open"), 2);
	assert_null(json_object_get(json_object_get(j, "findings"), "last"));
	json_decref(j);
	tell("aaaa", FINDING_OPEN);
	tell("bbbb", FINDING_CLOSED); /* of another: no news */
	j = next(c);
	last = json_object_get(json_object_get(j, "findings"), "last");
	assert_string_equal(json_string_value(json_object_get(last, "id")), "aaaa");
	assert_string_equal(json_string_value(json_object_get(last, "state")), "open");
	assert_string_equal(json_string_value(json_object_get(last, "level")), "high");
	assert_string_equal(json_string_value(json_object_get(last, "entity")), "/tmp/.x (root)");
	assert_string_equal(json_string_value(json_object_get(last, "peer")), "c2.example");
	assert_int_equal(json_integer_value(json_object_get(last, "time_ms")), T0 / 1000000);
	json_decref(j);
	tell("aaaa", FINDING_CLOSED);
	j = next(c);
	last = json_object_get(json_object_get(j, "findings"), "last");
	assert_string_equal(json_string_value(json_object_get(last, "state")), "closed");
	json_decref(j);
	client_free(c);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_findings),
		TEST(test_detect_requests),
		TEST(test_top_tells_of_findings),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
