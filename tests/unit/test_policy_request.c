/* SPDX-License-Identifier: Apache-2.0 */
/* {"ask":"policy"} and {"ask":"why"}: what is taken, and everything else refused in words. */
#include "test.h"

#include <errno.h>
#include <netinet/in.h>

#include "base/cleanup.h"
#include "serve/request.h"

static int parse(const char *line, struct request *q)
{
	char error[REQUEST_ERROR_MAX] = "";
	int r = request_parse(str_of(line), q, error);

	assert_true(r == 0 || error[0]);
	return r;
}

static void test_taken(void **state)
{
	struct request q;

	assert_ok(parse("{\"ask\":\"policy\",\"do\":\"load\",\"mode\":\"enforce\",\"confirm\":60,"
			"\"force\":true,\"session\":\"10.0.0.1 5 10.0.0.2 22\"}",
			&q));
	assert_int_equal(q.ask, ASK_POLICY);
	assert_int_equal(q.policy.verb, POLICY_DO_LOAD);
	assert_true(q.policy.enforce && q.policy.force);
	assert_int_equal(q.policy.seconds, 60);
	assert_string_equal(q.policy.session, "10.0.0.1 5 10.0.0.2 22");
	assert_true(policy_verb_changes(q.policy.verb));

	/* Members in any order, the request first or last. */
	assert_ok(parse("{\"mode\":\"watch\",\"do\":\"load\",\"ask\":\"policy\"}", &q));
	assert_false(q.policy.enforce);
	assert_ok(parse("{\"ask\":\"policy\",\"do\":\"show\"}", &q));
	assert_false(policy_verb_changes(q.policy.verb));
	assert_ok(parse(
		"{\"ask\":\"policy\",\"do\":\"block\",\"rule\":\"deny to x.example\",\"for\":5,"
		"\"note\":\"n\"}",
		&q));
	assert_string_equal(q.policy.rule, "deny to x.example");
	assert_ok(parse("{\"ask\":\"policy\",\"do\":\"unblock\",\"all\":true}", &q));
	assert_ok(parse("{\"ask\":\"policy\",\"do\":\"unblock\",\"rule\":\"deny\"}", &q));

	assert_ok(parse("{\"ask\":\"why\",\"to\":\"x.example\",\"port\":0,\"proto\":\"udp\","
			"\"app\":\"/bin/x\",\"user\":\"root\",\"unit\":\"a\",\"from\":\"::1\","
			"\"address\":\"192.0.2.1\",\"speaking\":\"dns\"}",
			&q));
	assert_int_equal(q.ask, ASK_WHY);
	assert_true(q.why.has_port && q.why.port == 0 && q.why.proto == IPPROTO_UDP);
	assert_string_equal(q.why.address, "192.0.2.1");
	assert_ok(parse("{\"ask\":\"why\",\"to\":\"x\"}", &q));
	assert_true(!q.why.has_port && !q.why.proto && !q.why.app[0]);
}

static void test_refused(void **state)
{
	static const char *const bad[] = {
		"{\"ask\":\"policy\"}",
		"{\"do\":\"show\"}",
		"{\"ask\":\"policy\",\"do\":\"shove\"}",
		"{\"ask\":\"policy\",\"do\":1}",
		"{\"ask\":\"policy\",\"do\":null}",
		"{\"ask\":\"policy\",\"do\":\"show\",\"mode\":\"watch\"}",
		"{\"ask\":\"policy\",\"do\":\"show\",\"limit\":1}",
		"{\"ask\":\"status\",\"do\":\"show\"}",
		"{\"ask\":\"policy\",\"do\":\"load\"}",
		"{\"ask\":\"policy\",\"do\":\"load\",\"mode\":\"off\"}",
		"{\"ask\":\"policy\",\"do\":\"load\",\"mode\":\"watch\",\"confirm\":0}",
		"{\"ask\":\"policy\",\"do\":\"load\",\"mode\":\"watch\",\"confirm\":-1}",
		"{\"ask\":\"policy\",\"do\":\"load\",\"mode\":\"watch\",\"confirm\":1e3}",
		"{\"ask\":\"policy\",\"do\":\"load\",\"mode\":\"watch\",\"confirm\":"
		"9223372036854775807}",
		"{\"ask\":\"policy\",\"do\":\"load\",\"mode\":\"watch\",\"force\":1}",
		"{\"ask\":\"policy\",\"do\":\"load\",\"mode\":\"watch\",\"session\":\"\"}",
		"{\"ask\":\"policy\",\"do\":\"load\",\"mode\":\"watch\",\"rule\":\"deny\"}",
		"{\"ask\":\"policy\",\"do\":\"block\"}",
		"{\"ask\":\"policy\",\"do\":\"block\",\"rule\":\"\"}",
		"{\"ask\":\"policy\",\"do\":\"block\",\"rule\":[\"deny\"]}",
		"{\"ask\":\"policy\",\"do\":\"block\",\"rule\":\"deny\\ndefault allow\"}",
		"{\"ask\":\"policy\",\"do\":\"block\",\"rule\":\"deny\\u0000\"}",
		"{\"ask\":\"policy\",\"do\":\"block\",\"rule\":\"deny\",\"for\":\"1h\"}",
		"{\"ask\":\"policy\",\"do\":\"unblock\"}",
		"{\"ask\":\"policy\",\"do\":\"unblock\",\"all\":false}",
		"{\"ask\":\"policy\",\"do\":\"unblock\",\"all\":true,\"rule\":\"deny\"}",
		"{\"ask\":\"policy\",\"do\":\"show\",\"do\":\"clear\"}",
		"{\"ask\":\"why\"}",
		"{\"ask\":\"why\",\"to\":\"\"}",
		"{\"ask\":\"why\",\"to\":7}",
		"{\"ask\":\"why\",\"to\":\"x\",\"port\":65536}",
		"{\"ask\":\"why\",\"to\":\"x\",\"port\":-1}",
		"{\"ask\":\"why\",\"to\":\"x\",\"proto\":\"spx\"}",
		"{\"ask\":\"why\",\"to\":\"x\",\"proto\":6}",
		"{\"ask\":\"why\",\"to\":\"x\",\"do\":\"show\"}",
		"{\"ask\":\"why\",\"to\":\"x\",\"filter\":\"\"}",
	};
	char longer[4096], text[2048];
	struct request q;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_err(parse(bad[i], &q), -EINVAL);
	memset(text, 'a', sizeof(text));
	snprintf(longer, sizeof(longer), "{\"ask\":\"why\",\"to\":\"%.*s\"}", 256, text);
	assert_err(parse(longer, &q), -EINVAL);
	snprintf(longer, sizeof(longer), "{\"ask\":\"why\",\"to\":\"%.*s\"}", 255, text);
	assert_ok(parse(longer, &q));
	snprintf(longer, sizeof(longer), "{\"ask\":\"policy\",\"do\":\"block\",\"rule\":\"%.*s\"}",
		 1024, text);
	assert_err(parse(longer, &q), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_taken),
		cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
