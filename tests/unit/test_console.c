/* SPDX-License-Identifier: Apache-2.0 */
/* A console: a control without flows, and the command line that asks one over HTTPS. */
#include "test.h"

#include "cli/console.h"
#include "control_rig.h"

/* What was asked of the history, in the place of a child that answers. */
static char asked[REQUEST_MAX];

static int give_answer(void *ctx, struct str question, int fd, pid_t *ret_pid)
{
	static const char lines[] = "{\"x\":1}\n{\"end\":true,\"matched\":1,\"shown\":1}\n";
	int ends[2];

	snprintf(asked, sizeof(asked), "%.*s", STR_FMT(question));
	assert_ok(pipe2(ends, O_CLOEXEC | O_NONBLOCK));
	*ret_pid = fork();
	if (*ret_pid == 0)
		_exit(0);
	assert_int_equal(write(ends[1], lines, sizeof(lines) - 1), sizeof(lines) - 1);
	close(ends[1]);
	return ends[0];
}

static int set_up_console(void **state)
{
	struct control_config cfg;
	int r = set_up(state);

	fx.control = control_free(fx.control);
	cfg = config();
	cfg.flows = NULL;
	cfg.texts = NULL;
	cfg.names = NULL;
	cfg.procs = NULL;
	cfg.history = give_answer;
	asked[0] = 0;
	assert_ok(control_new(&fx.control, &cfg));
	return r;
}

/* Nothing that a console has not is answered as if it were empty. */
static void test_what_a_console_has_not(void **state)
{
	static const char *const lines[][2] = {
		{ "{\"ask\":\"flows\"}", "no living flows" },
		{ "{\"ask\":\"top\"}", "no living flows" },
		{ "{\"ask\":\"events\"}", "no living flows" },
		{ "{\"ask\":\"policy\",\"do\":\"show\"}", "no policy of its own" },
		{ "{\"ask\":\"policy\",\"do\":\"clear\"}", "no policy of its own" },
		{ "{\"ask\":\"why\",\"to\":\"example.org\"}", "no policy of its own" },
		{ "{\"ask\":\"detect\",\"do\":\"ack\",\"id\":\"abc\"}", "detects nothing itself" },
		{ "{\"ask\":\"page\",\"do\":\"link\"}", "the page is off" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		struct client *c = ask(lines[i][0]);
		json_t *j = next(c);

		assert_non_null(
			strstr(json_string_value(json_object_get(j, "error")), lines[i][1]));
		assert_int_equal(json_integer_value(json_object_get(j, "code")),
				 strstr(lines[i][0], "page") ? 0 : 501);
		json_decref(j);
		client_free(c);
	}
}

static void test_status_and_metrics(void **state)
{
	struct client *c = ask("{\"ask\":\"status\"}");
	json_t *j = next(c);

	assert_string_equal(json_string_value(json_object_get(j, "watch")), "test");
	assert_null(json_object_get(j, "flows_now"));
	assert_null(json_object_get(j, "lost_total")); /* 0 would be a promise */
	json_decref(j);
	client_free(c);
	c = ask("{\"ask\":\"metrics\"}");
	j = next(c);
	assert_non_null(strstr(json_string_value(json_object_get(j, "text")), "egret_clients 1"));
	assert_null(strstr(json_string_value(json_object_get(j, "text")), "egret_lost_total"));
	json_decref(j);
	client_free(c);
}

static void test_findings_are_asked_of_the_history(void **state)
{
	struct client *c = ask("{\"ask\":\"findings\",\"filter\":\"name:x\",\"last\":3600,"
			       "\"low\":true,\"limit\":3}");
	json_t *j = next(c);

	assert_int_equal(json_integer_value(json_object_get(j, "x")), 1);
	json_decref(j);
	j = next(c);
	assert_true(json_is_true(json_object_get(j, "end")));
	json_decref(j);
	assert_string_equal(asked, "{\"ask\":\"history\",\"filter\":\"name:x\",\"last\":3600,"
				   "\"low\":true,\"limit\":3,\"do\":\"findings\"}");
	client_free(c);
	asked[0] = 0;
	assert_error("{\"ask\":\"findings\",\"limti\":3}", "limti"); /* looked at before */
	assert_string_equal(asked, "");
}

/* ---- the command line ---- */

static void test_addresses(void **state)
{
	static const char *const good[] = { "https://console.example:8720",
					    "https://[2001:db8::1]:8720", "https://x/egret" };
	static const char *const near[] = { "http://127.0.0.1:8720", "http://localhost:8720",
					    "http://[::1]:8720", "http://LOCALHOST" };
	static const char *const far[] = { "http://console.example:8720", "http://127.evil.example",
					   "http://localhost.example", "http://[::2]:8720",
					   "http://[::1" };
	static const char *const bad[] = { "",           "console.example", "ftp://x",
					   "https://",   "https://u:p@x",   "https://x?a",
					   "https://x y" };

	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		assert_null(console_check_url(str_of(good[i]), true));
	for (size_t i = 0; i < ARRAY_SIZE(near); i++)
		assert_null(console_check_url(str_of(near[i]), true));
	for (size_t i = 0; i < ARRAY_SIZE(far); i++) {
		assert_null(console_check_url(str_of(far[i]), false));
		if (!console_check_url(str_of(far[i]), true))
			fail_msg("a token would go to %s", far[i]);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		if (!console_check_url(str_of(bad[i]), false))
			fail_msg("%s", bad[i]);
}

static const char *explained(long status, const char *body)
{
	static char why[CONSOLE_WHY_MAX];

	console_explain(status, str_of(body), why);
	return why;
}

static void test_answers_that_are_none(void **state)
{
	char large[4096];

	assert_string_equal(explained(429, "{\"error\":\"too many requests; wait a little\"}"),
			    "too many requests; wait a little");
	assert_non_null(strstr(explained(401, "{\"error\":\"not allowed\"}"), "token"));
	assert_non_null(strstr(explained(404, "{\"error\":\"no such path\"}"), "older"));
	assert_non_null(strstr(explained(200, "<html>"), "no egret"));
	assert_non_null(strstr(explained(302, ""), "no egret"));
	assert_non_null(strstr(explained(500, "{\"error\":7}"), "no egret"));
	assert_non_null(strstr(explained(400, "[\"error\"]"), "no egret"));
	snprintf(large, sizeof(large), "{\"error\":\"%03000d\"}", 1);
	assert_int_equal(strlen(explained(400, large)), 200);
}

static int use(const char *url, const char *file, char why[CONSOLE_WHY_MAX])
{
	why[0] = 0;
	return console_use(&(struct console_settings){ .url = url, .token_file = file }, why);
}

static void write_token(const char *path, const char *text, mode_t mode)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	assert_ok(fchmod(fd, mode));
	close(fd);
}

static void test_token_files(void **state)
{
	char path[160], why[CONSOLE_WHY_MAX];

	snprintf(path, sizeof(path), "%s/token", fx.dir);
	assert_err(use("https://x", path, why), -EACCES);
	assert_non_null(strstr(why, "cannot read the token"));
	write_token(path, "abcdef0123\n", 0644);
	assert_err(use("https://x", path, why), -EACCES);
	assert_non_null(strstr(why, "readable by everybody"));
	assert_null(strstr(why, "abcdef0123"));
	write_token(path, "abc\r\nX-Evil: 1", 0600);
	assert_ok(use("https://x", path, why)); /* the first word alone */
	write_token(path, "abc\"def", 0600);
	assert_err(use("https://x", path, why), -EINVAL);
	write_token(path, "", 0600);
	assert_err(use("https://x", path, why), -EINVAL);
	write_token(path, "abcdef0123\n", 0600);
	assert_err(use("http://far.example", path, why), -EINVAL);
	assert_non_null(strstr(why, "https"));
	assert_ok(use("https://x/", path, why));
	assert_true(console_used());
	unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_what_a_console_has_not, set_up_console,
						tear_down),
		cmocka_unit_test_setup_teardown(test_status_and_metrics, set_up_console, tear_down),
		cmocka_unit_test_setup_teardown(test_findings_are_asked_of_the_history,
						set_up_console, tear_down),
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_answers_that_are_none),
		cmocka_unit_test_setup_teardown(test_token_files, set_up_console, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
