/* SPDX-License-Identifier: Apache-2.0 */
/* Budgets in force: what is told of an answer of the history, how often, and what a restart finds of it. */
#include "test.h"

#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/json.h"
#include "base/time.h"
#include "guard/guard.h"
#include "guard/internal.h"

#define START (1767261600ULL * NSEC_PER_SEC) /* 2026-01-01 10:00 UTC */
#define JANUARY 1767225600
#define FEBRUARY 1769904000

static uint64_t now_ns;
static char folder[64];
static struct buf messages;
static struct guard *guard;

static uint64_t now(void)
{
	return now_ns;
}

static void begin(void)
{
	assert_ok(guard_new(&guard, &(struct guard_config){
					    .state = folder, .now = now, .keeps_history = true }));
}

static int set_up(void **state)
{
	now_ns = START;
	messages = BUF_INIT(1U << 20);
	snprintf(folder, sizeof(folder), "/tmp/egret-test-budget-XXXXXX");
	return mkdtemp(folder) ? 0 : -1;
}

static int tear_down(void **state)
{
	static const char *const left[] = { "policy/inforce",
					    "policy/quotas",
					    "policy/budgets",
					    "policy/budgets.damaged",
					    "policy",
					    "lists",
					    "" };
	char path[128];

	buf_done(&messages);
	for (size_t i = 0; i < ARRAY_SIZE(left); i++) {
		snprintf(path, sizeof(path), "%s/%s", folder, left[i]);
		remove(path);
	}
	return access(folder, F_OK) == 0 ? -1 : 0;
}

/* What the guard logs of an answer: what stands on standard error meanwhile. */
static const char *logged(const char *answer, bool *ret_taken)
{
	static char text[4096];
	int fd = memfd_create("log", MFD_CLOEXEC), saved = dup(STDERR_FILENO);
	ssize_t n;

	dup2(fd, STDERR_FILENO);
	*ret_taken = budgets_take(guard, str_of(answer));
	dup2(saved, STDERR_FILENO);
	n = pread(fd, text, sizeof(text) - 1, 0);
	text[n > 0 ? n : 0] = 0;
	close(fd);
	close(saved);
	return text;
}

static const char *answer_of(const char *state, const char *used, long from)
{
	static char text[1024];

	snprintf(text, sizeof(text),
		 "{\"app\":\"x\",\"up\":1}\n"
		 "{\"end\":true,\"budgets\":[{\"budget\":\"cloud\",\"text\":\"cloud = 50 "
		 "USD/month\","
		 "\"file\":\"/x/p.egret\",\"line\":3,\"currency\":\"USD\",\"of\":50,\"used\":%s,"
		 "\"forecast\":77.5,\"from\":%ld,\"to\":%ld,\"state\":\"%s\"}]}\n",
		 used, from, from + 31 * 86400, state);
	return text;
}

static const char *told(const char *state, const char *used, long from)
{
	bool taken;
	const char *text = logged(answer_of(state, used, from), &taken);

	assert_true(taken);
	return text;
}

static void test_each_once_a_month(void **state)
{
	begin();
	assert_string_equal(told("ok", "1", JANUARY), "");
	assert_non_null(
		strstr(told("ahead", "12.345", JANUARY),
		       "/x/p.egret:3: the budget 'cloud' will be passed: 12.35 of 50.00 USD "
		       "are used, 77.50 USD by 2026-02-01 00:00 UTC"));
	assert_string_equal(told("ahead", "13", JANUARY), "");
	assert_string_equal(told("ok", "13", JANUARY), "");
	assert_string_equal(told("ahead", "14", JANUARY), "");
	assert_non_null(strstr(told("over", "50.1", JANUARY),
			       "/x/p.egret:3: the budget 'cloud' is passed: 50.10 of 50.00 USD are "
			       "used, until 2026-02-01 00:00 UTC"));
	assert_string_equal(told("over", "60", JANUARY), "");
	assert_string_equal(told("ahead", "60", JANUARY), "");
	assert_string_equal(told("ok", "1", FEBRUARY), "");
	assert_non_null(strstr(told("over", "51", FEBRUARY), "is passed"));
	guard = guard_free(guard);
}

static void test_over_at_once(void **state)
{
	begin();
	assert_non_null(strstr(told("over", "50", JANUARY), "is passed"));
	assert_string_equal(told("ahead", "50", JANUARY), "");
	guard = guard_free(guard);
}

static void test_restart(void **state)
{
	char path[96];
	int fd;

	begin();
	assert_non_null(strstr(told("ahead", "12", JANUARY), "will be passed"));
	guard = guard_free(guard);
	begin();
	assert_string_equal(told("ahead", "12", JANUARY), "");
	assert_non_null(strstr(told("over", "50", JANUARY), "is passed"));
	guard = guard_free(guard);
	begin();
	assert_string_equal(told("over", "50", JANUARY), "");
	guard = guard_free(guard);
	/* A damaged file costs no more than a second warning. */
	snprintf(path, sizeof(path), "%s/policy/budgets", folder);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	assert_int_equal(pwrite(fd, "x", 1, 60), 1);
	close(fd);
	begin();
	assert_non_null(strstr(told("over", "50", JANUARY), "is passed"));
	guard = guard_free(guard);
}

static void test_what_is_no_answer(void **state)
{
	static const char *const none[] = {
		"", "\n", "{\"error\":\"no\"}\n", "{\"end\":true}\n", "{\"budgets\":7}", "{"
	};
	bool taken;

	begin();
	for (size_t i = 0; i < ARRAY_SIZE(none); i++) {
		assert_string_equal(logged(none[i], &taken), "");
		assert_false(taken);
	}
	guard = guard_free(guard);
}

static void count(void *ctx, const struct guard_budget *b)
{
	unsigned *n = ctx;

	(*n)++;
	assert_string_equal(b->name, "cloud");
	assert_float_equal(b->used, 12.25, 1e-9);
	assert_float_equal(b->forecast, 77.5, 1e-9);
}

static void test_shown(void **state)
{
	_cleanup_buf_ struct buf out = BUF_INIT(1U << 20);
	struct json j = JSON_INIT(&out);
	unsigned n = 0;
	json_t *got;

	begin();
	guard_each_budget(guard, count, &n);
	assert_int_equal(n, 0);
	told("ahead", "12.25", JANUARY);
	guard_each_budget(guard, count, &n);
	assert_int_equal(n, 1);
	json_object_begin(&j, NULL);
	guard_quotas(guard, &j);
	json_object_end(&j);
	got = json_loadb(out.p, out.n, 0, NULL);
	assert_int_equal(json_array_size(json_object_get(got, "quotas")), 0);
	assert_float_equal(json_number_value(json_object_get(
				   json_array_get(json_object_get(got, "budgets"), 0), "used")),
			   12.25, 1e-9);
	json_decref(got);
	guard = guard_free(guard);
}

/* Where no history is kept, loading says so, with the line. */
static void test_without_history(void **state)
{
	const struct policy_file file = { STR("/x/p.egret"),
					  STR("price any = 1 USD/GB\nbudget b = 5 USD/month\n"
					      "default allow\n") };
	struct guard_load l = { .files = &file, .n_files = 1, .mode = GUARD_WATCH };

	assert_ok(guard_new(&guard, &(struct guard_config){ .now = now }));
	assert_ok(guard_load(guard, &l, &messages));
	assert_non_null(strstr(messages.p, "/x/p.egret:2:8: warning: a budget needs the history"));
	guard = guard_free(guard);
	begin();
	buf_clear(&messages);
	assert_ok(guard_load(guard, &l, &messages));
	assert_true(!messages.n || !strstr(messages.p, "budget"));
	guard = guard_free(guard);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_each_once_a_month, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_over_at_once, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_restart, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_what_is_no_answer, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_shown, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_without_history, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
