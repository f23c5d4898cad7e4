/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/addr.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/host.h"
#include "base/human.h"
#include "base/intern.h"
#include "base/json.h"
#include "base/lex.h"
#include "base/loop.h"
#include "base/pool.h"
#include "base/time.h"
#include "test.h"

static void test_str(void **state)
{
	struct str rest = STR("a,,b"), part;
	uint64_t v;

	assert_true(str_eq_nocase(STR("ExAmple"), STR("eXaMPLE")));
	assert_false(str_eq_nocase(STR("a"), STR("ab")));
	assert_str(str_trim(STR(" \t x y \r\n")), "x y");
	assert_true(str_cut(&rest, ',', &part));
	assert_str(part, "a");
	assert_true(str_cut(&rest, ',', &part));
	assert_str(part, "");
	assert_true(str_cut(&rest, ',', &part));
	assert_str(part, "b");
	assert_false(str_cut(&rest, ',', &part));
	assert_ok(str_parse_u64(STR("18446744073709551615"), &v));
	assert_int_equal(v, UINT64_MAX);
	assert_err(str_parse_u64(STR("18446744073709551616"), &v), -ERANGE);
	assert_err(str_parse_u64(STR("-1"), &v), -EINVAL);
	assert_err(str_parse_u64(STR(""), &v), -EINVAL);
}

static void test_glob(void **state)
{
	static const struct {
		const char *pattern, *text;
		bool match;
	} cases[] = {
		{ "*.example.org", "www.EXAMPLE.org", true },
		{ "*.example.org", "example.org", false },
		{ "/usr/bin/apt*", "/usr/bin/apt-get", true },
		{ "a?c", "abc", true },
		{ "a?c", "ac", false },
		{ "", "", true },
		{ "*", "", true },
		{ "a*b*c", "axxbyyc", true },
		{ "a*b*c", "axxbyy", false },
		{ "*aaaaaaaaaaaaaaaaaaaaaaaab", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
		  false },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_int_equal(str_glob(str_of(cases[i].pattern), str_of(cases[i].text)),
				 cases[i].match);
}

static void test_buf_stops_at_its_maximum(void **state)
{
	_cleanup_buf_ struct buf b = BUF_INIT(8);

	buf_puts(&b, "1234567");
	assert_false(b.failed);
	buf_puts(&b, "89");
	assert_true(b.failed);
	assert_str(buf_str(&b), "1234567");
	buf_puts(&b, "8");
	assert_int_equal(b.n, 7); /* nothing follows a gap */
	buf_clear(&b);
	buf_printf(&b, "%d", 42);
	assert_str(buf_str(&b), "42");
	buf_drop_front(&b, 1);
	assert_str(buf_str(&b), "2");
}

static void test_json(void **state)
{
	_cleanup_buf_ struct buf b = BUF_INIT(4096);
	struct json j = JSON_INIT(&b);

	json_object_begin(&j, NULL);
	json_str(&j, "s", STR("a\"\\\n\x01\x7f\xc3\xa9\xff\xed\xa0\x80\xc2\x9b"));
	json_u64(&j, "u", UINT64_MAX);
	json_i64(&j, "i", -5);
	json_bool(&j, "b", true);
	json_f64(&j, "f", 0.5);
	json_f64(&j, "n", 0.0 / 0.0);
	json_text(&j, "absent", NULL);
	json_array_begin(&j, "a");
	json_u64(&j, NULL, 0);
	json_object_begin(&j, NULL);
	json_object_end(&j);
	json_array_end(&j);
	json_object_end(&j);
	assert_str(buf_str(&b),
		   "{\"s\":"
		   "\"a\\\"\\\\\\u000a\\u0001\\u007f\xc3\xa9\\ufffd\\ufffd\\ufffd\\ufffd\\u009b\","
		   "\"u\":18446744073709551615,\"i\":-5,\"b\":true,\"f\":0.5,\"n\":null,\"a\":[0,{}"
		   "]}");
}

static void test_addr(void **state)
{
	static const struct {
		const char *text;
		enum addr_class class;
	} cases[] = {
		{ "8.8.8.8", ADDR_INTERNET },
		{ "10.1.2.3", ADDR_PRIVATE },
		{ "172.31.255.255", ADDR_PRIVATE },
		{ "172.32.0.1", ADDR_INTERNET },
		{ "100.64.0.1", ADDR_PRIVATE },
		{ "127.0.0.53", ADDR_LOOPBACK },
		{ "169.254.169.254", ADDR_LINK_LOCAL },
		{ "224.0.0.251", ADDR_MULTICAST },
		{ "255.255.255.255", ADDR_MULTICAST },
		{ "0.0.0.0", ADDR_RESERVED },
		{ "203.0.113.7", ADDR_RESERVED },
		{ "::1", ADDR_LOOPBACK },
		{ "fd00::1", ADDR_PRIVATE },
		{ "fe80::1", ADDR_LINK_LOCAL },
		{ "ff02::fb", ADDR_MULTICAST },
		{ "2606:4700::1111", ADDR_INTERNET },
		{ "2001:db8::1", ADDR_RESERVED },
	};
	char text[ADDR_TEXT_MAX];
	struct addr a;
	struct cidr c;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_ok(addr_parse(str_of(cases[i].text), &a));
		assert_string_equal(addr_format(&a, text), cases[i].text);
		assert_int_equal(addr_class(&a), cases[i].class);
	}
	assert_err(addr_parse(STR("1.2.3"), &a), -EINVAL);
	assert_err(addr_parse(STR("1.2.3.4.5"), &a), -EINVAL);
	assert_ok(cidr_parse(STR("10.0.0.0/8"), &c));
	assert_ok(addr_parse(STR("10.255.0.1"), &a));
	assert_true(cidr_has(&c, &a));
	assert_ok(addr_parse(STR("11.0.0.1"), &a));
	assert_false(cidr_has(&c, &a));
	assert_ok(cidr_parse(STR("fd00::/8"), &c));
	assert_false(cidr_has(&c, &a));
	assert_err(cidr_parse(STR("10.0.0.0/33"), &c), -EINVAL);
}

static void test_time(void **state)
{
	char text[TIME_TEXT_MAX];
	uint64_t ns;

	assert_string_equal(time_format(1767323045678901234ULL, text),
			    "2026-01-02T03:04:05.678901+0000");
	assert_string_equal(time_format(0, text), "1970-01-01T00:00:00.000000+0000");
	assert_ok(duration_parse(STR("5m"), &ns));
	assert_int_equal(ns, 300 * NSEC_PER_SEC);
	assert_ok(duration_parse(STR("250ms"), &ns));
	assert_int_equal(ns, 250 * NSEC_PER_MSEC);
	assert_err(duration_parse(STR("5"), &ns), -EINVAL);
	assert_err(duration_parse(STR("99999999999999w"), &ns), -EINVAL);
	assert_string_equal(duration_format(840 * NSEC_PER_MSEC, text), "840 ms");
	assert_string_equal(duration_format(7500 * NSEC_PER_SEC, text), "2 h 5 m");
}

static void test_human(void **state)
{
	char text[HUMAN_TEXT_MAX];
	uint64_t n;

	assert_string_equal(human_bytes(999, text), "999 B");
	assert_string_equal(human_bytes(1234, text), "1.2 kB");
	assert_string_equal(human_bytes(123456789, text), "123 MB");
	assert_string_equal(human_bytes(UINT64_MAX, text), "18.4 EB");
	assert_string_equal(human_count(1234567, text), "1,234,567");
	assert_string_equal(human_count(UINT64_MAX, text), "18,446,744,073,709,551,615");
	assert_ok(size_parse(STR("1mb"), &n));
	assert_int_equal(n, 1000000);
	assert_ok(size_parse(STR("64KiB"), &n));
	assert_int_equal(n, 65536);
	assert_ok(size_parse(STR("7"), &n));
	assert_int_equal(n, 7);
	assert_err(size_parse(STR("1xb"), &n), -EINVAL);
	assert_err(size_parse(STR("999999999999pb"), &n), -EINVAL);
}

static void test_intern(void **state)
{
	struct intern *in;
	struct text *a, *b;

	assert_ok(intern_new(&in, 2));
	a = intern_get(in, STR("same"));
	b = intern_get(in, STR("same"));
	assert_ptr_equal(a, b);
	assert_int_equal(intern_count(in), 1);
	assert_non_null(intern_get(in, STR("two")));
	assert_null(intern_get(in, STR("three"))); /* full */
	intern_put(in, a);
	assert_int_equal(intern_count(in), 2);
	intern_put(in, b);
	assert_int_equal(intern_count(in), 1);
	assert_non_null(intern_get(in, STR("three")));
	intern_free(in);
}

static void test_intern_many(void **state)
{
	static struct text *texts[5000];
	struct intern *in;
	char name[16];

	assert_ok(intern_new(&in, 10000));
	for (size_t i = 0; i < 5000; i++) {
		snprintf(name, sizeof(name), "n%zu", i);
		texts[i] = intern_get(in, str_of(name));
	}
	for (size_t i = 0; i < 5000; i += 2)
		intern_put(in, texts[i]);
	assert_int_equal(intern_count(in), 2500);
	for (size_t i = 1; i < 5000; i += 2) {
		snprintf(name, sizeof(name), "n%zu", i);
		assert_ptr_equal(intern_get(in, str_of(name)), texts[i]);
	}
	intern_free(in);
}

static void test_pool(void **state)
{
	struct pool p;
	void *obj[300];

	pool_init(&p, 40, 300);
	for (size_t i = 0; i < 300; i++) {
		obj[i] = pool_get(&p);
		assert_non_null(obj[i]);
		memset(obj[i], 0xff, 40);
	}
	assert_null(pool_get(&p));
	pool_put(&p, obj[7]);
	assert_ptr_equal(pool_get(&p), obj[7]);
	assert_int_equal(*(uint64_t *)obj[7], 0); /* zeroed again */
	pool_done(&p);
}

static void test_lex(void **state)
{
	_cleanup_buf_ struct buf messages = BUF_INIT(4096);
	static const char *const words[] = { "watch", "cgroup", NULL };
	struct lex l;
	struct lex_token t;

	lex_init(&l, "x.conf", STR("a \"b c\" { # no\n d, \\\n e=\"open\n"), &messages);
	assert_int_equal((t = lex_next(&l)).kind, LEX_WORD);
	assert_int_equal((t = lex_next(&l)).kind, LEX_STRING);
	assert_str(t.text, "b c");
	assert_int_equal(lex_next(&l).kind, LEX_OPEN);
	assert_int_equal(lex_next(&l).kind, LEX_NEWLINE);
	t = lex_next(&l);
	assert_int_equal(t.line, 2);
	assert_int_equal(t.column, 2);
	assert_int_equal(lex_next(&l).kind, LEX_COMMA);
	t = lex_next(&l);
	assert_int_equal(t.line, 3);
	lex_complain(&l, &t, "error", "bad %s", "e");
	assert_str(buf_str(&messages), "x.conf:3:2: error: bad e\n    3 |  e=\"open\n      |  ^\n");
	assert_int_equal(l.n_errors, 1);
	assert_int_equal(lex_next(&l).kind, LEX_EQUALS);
	assert_int_equal(lex_next(&l).kind, LEX_BAD);
	assert_string_equal(lex_nearest(STR("wach"), words), "watch");
	assert_null(lex_nearest(STR("zzz"), words));
}

static void stop_after_three(void *ctx)
{
	struct {
		struct loop *l;
		int n;
	} *c = ctx;

	if (++c->n == 3)
		loop_stop(c->l);
}

static void on_signal(void *ctx, int signo)
{
	*(int *)ctx = signo;
}

static void on_pipe(void *ctx, int fd, uint32_t events)
{
	struct loop_source **self = ctx;
	char c;

	assert_true(events & EPOLLIN);
	assert_int_equal(read(fd, &c, 1), 1);
	loop_remove(*self);
	*self = NULL;
}

static void test_loop(void **state)
{
	struct {
		struct loop *l;
		int n;
	} c = { 0 };
	struct loop_source *pipe_source;
	int fds[2], got_signal = 0;

	assert_ok(loop_new(&c.l));
	assert_ok(pipe(fds));
	assert_ok(loop_add_io(c.l, fds[0], EPOLLIN, on_pipe, &pipe_source, &pipe_source));
	assert_ok(loop_add_timer(c.l, NSEC_PER_MSEC, stop_after_three, &c, NULL));
	assert_ok(loop_add_signal(c.l, SIGUSR1, on_signal, &got_signal));
	assert_int_equal(write(fds[1], "xy", 2), 2);
	raise(SIGUSR1);
	assert_ok(loop_run(c.l));
	assert_int_equal(c.n, 3);
	assert_int_equal(got_signal, SIGUSR1);
	assert_null(pipe_source); /* removed itself: the second byte was never asked for */
	loop_free(c.l);
	close(fds[0]);
	close(fds[1]);
}

/* In a namespace of its own, as root alone can make one. */
static void test_host_name(void **state)
{
	char name[HOST_NAME_SIZE];
	pid_t pid;
	int status;

	host_name(name);
	assert_true(name[0] && strlen(name) < sizeof(name));
	pid = fork();
	if (!pid) {
		if (unshare(CLONE_NEWUTS) < 0 || sethostname("WEB-1.Example", 13) < 0)
			_exit(77);
		host_name(name);
		_exit(strcmp(name, "web-1.example") != 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WEXITSTATUS(status) == 77)
		skip();
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_str),    cmocka_unit_test(test_host_name),
		cmocka_unit_test(test_glob),   cmocka_unit_test(test_buf_stops_at_its_maximum),
		cmocka_unit_test(test_json),   cmocka_unit_test(test_addr),
		cmocka_unit_test(test_time),   cmocka_unit_test(test_human),
		cmocka_unit_test(test_intern), cmocka_unit_test(test_intern_many),
		cmocka_unit_test(test_pool),   cmocka_unit_test(test_lex),
		cmocka_unit_test(test_loop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
