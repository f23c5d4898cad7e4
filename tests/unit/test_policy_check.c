/* SPDX-License-Identifier: Apache-2.0 */
/* What is said about a policy (policy_check) and about a flow under it (policy_explain). */
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "policy/image.h"
#include "test.h"

#define NOW 1790000000

struct rig {
	struct policy *p;
	struct policy_image *img;
	struct buf messages;
	unsigned failed;
};

static int load_list(void *ctx, const struct policy_list *l, struct list_sink sink,
		     struct list_report *report)
{
	struct list_entry e = { .kind = LIST_RANGE };

	if (!str_eq(l->name, STR("bad")))
		return 0;
	assert_ok(addr_parse(STR("198.51.100.77"), &e.lo));
	e.hi = e.lo;
	return sink.on_entry(sink.ctx, &e);
}

static void check(struct rig *r, const char *text)
{
	struct compile_config cfg = { .from_s = NOW,
				      .to_s = NOW + 10 * 86400,
				      .load_list = load_list };

	*r = (struct rig){ .messages = BUF_INIT(1 << 20) };
	if (policy_parse(&r->p, "test", str_of(text), STR_NONE, &r->messages) < 0 ||
	    policy_compile(&r->img, r->p, &cfg, &r->messages) < 0)
		fail_msg("%s", r->messages.p);
	buf_clear(&r->messages);
	r->failed = policy_check(r->p, r->img, NOW, &r->messages);
	buf_putc(&r->messages, 0);
}

static void done(struct rig *r)
{
	policy_image_free(r->img);
	policy_free(r->p);
	buf_done(&r->messages);
}

/* Some text is in what is said; none: nothing of the kind. */
static void says(const char *text, const char *words)
{
	struct rig r;

	check(&r, text);
	if (!strstr(r.messages.p, words))
		fail_msg("\"%s\" is not in: %s", words, r.messages.p);
	done(&r);
}

static void never_says(const char *text, const char *words)
{
	struct rig r;

	check(&r, text);
	if (strstr(r.messages.p, words))
		fail_msg("%s", r.messages.p);
	done(&r);
}

#define NEVER "can never match"

static void test_shadowed(void **state)
{
	says("deny user 7\nallow user 7 port 443\ndefault deny\n",
	     "test:2:1: warning: this rule can never match: line 1 takes");
	says("allow to 10.0.0.0/9\ndeny user 3\nallow to 10.128.0.0/9\ndeny to 10.0.0.0/8\ndefault "
	     "deny\n",
	     "test:4:1: warning: this rule can never match: lines 1, 3 take");
	never_says(
		"allow to 10.0.0.0/9\nallow to 10.129.0.0/16\ndeny to 10.0.0.0/8\ndefault deny\n",
		NEVER);
	says("deny app \"/usr/**\"\nallow app \"/usr/bin/*\" to example.org\ndefault deny\n",
	     NEVER);
	never_says("deny app \"/usr/*\"\nallow app \"/usr/bin/*\" to example.org\ndefault deny\n",
		   NEVER);
	says("app a = tree of \"/a\", unit u\ndeny app a\nallow unit u port 5\ndefault deny\n",
	     NEVER);
	says("deny group 5, 6\nallow group 6 user 1\ndefault deny\n", NEVER);
	never_says("deny group 6 user 1\nallow group 5, 6\ndefault deny\n", NEVER);
	says("deny except user 7\nallow user 8 port 1\ndefault deny\n", NEVER);
	says("deny speaking ssh\nallow speaking ssh to example.org\ndefault deny\n", NEVER);
	says("list none = file \"x\"\nallow to list none\ndefault deny\n",
	     "this rule matches nothing now: list 'none' is empty or absent");
	says("app none = container name \"x\"\nallow except to any\ndefault deny\n",
	     "nothing is all that it asks for");
	/* Loopback is taken by rules that name it alone. */
	never_says("deny to any\nallow to 127.0.0.1\ndefault deny\n", NEVER);
	says("deny to 127.0.0.0/8\nallow to 127.0.0.1\ndefault deny\n", NEVER);
}

static void test_shadowed_by_name(void **state)
{
	says("deny to **.example.org\nallow to a.example.org\ndefault deny\n", NEVER);
	says("allow to *.example.org\nallow to a.example.org\ndefault deny\n", NEVER);
	/* What refuses is content with less than what allows. */
	never_says("allow to *.example.org\ndeny to a.example.org\ndefault deny\n", NEVER);
	never_says("allow to a.example.org by sni\nallow to a.example.org\ndefault deny\n", NEVER);
	never_says("allow to a.example.org\nallow to a.example.org by sni\ndefault deny\n", NEVER);
	says("deny to *.example.org\nallow to a.example.org by sni\ndefault deny\n", NEVER);
	never_says("deny to *.example.org except to a.example.org\nallow to a.example.org\ndefault "
		   "deny\n",
		   NEVER);
	/* The name may be met at an address that is not taken. */
	never_says("deny to 10.0.0.0/8\nallow to a.example.org, 10.1.1.1\ndefault deny\n", NEVER);
	says("deny to any\nallow to a.example.org\ndefault deny\n", NEVER);
}

static void test_shadowed_by_time(void **state)
{
	static const char *const schedules =
		"schedule t = mon 08:00-10:00\nschedule u = mon 07:00-11:00\n";
	_cleanup_buf_ struct buf text = BUF_INIT(4096);

	buf_printf(&text, "%sdeny during t\nallow user 7\ndefault deny\n", schedules);
	never_says(text.p, NEVER);
	buf_clear(&text);
	buf_printf(&text, "%sdeny during t\nallow user 7 during t\ndefault deny\n", schedules);
	says(text.p, NEVER);
	never_says("deny until 2030-01-01\nallow user 7\ndefault deny\n", NEVER);
	never_says("deny until 2030-01-01\nallow user 7 until 2031-01-01\ndefault deny\n", NEVER);
	says("deny until 2030-01-01\nallow user 7 until 2029-01-01\ndefault deny\n", NEVER);
	says("deny until 2026-01-01\nallow user 7\ndefault deny\n",
	     "its 'until' ended 2026-01-02 00:00");
	never_says("deny until 2026-01-01\nallow user 7\ndefault deny\n", NEVER);
}

/* Lines of expectations that fail, as "7 9 ". */
static void failing(const char *text, const char *want)
{
	_cleanup_buf_ struct buf got = BUF_INIT(1024);
	struct str rest, line;
	struct rig r;
	unsigned n = 0;

	check(&r, text);
	rest = str_of(r.messages.p);
	while (str_cut(&rest, '\n', &line)) {
		if (!memmem(line.p, line.n, ": error: ", 9))
			continue;
		n++;
		line = str_sub(line, strlen("test:"), line.n);
		for (size_t i = 0; i < line.n && line.p[i] != ':'; i++)
			buf_putc(&got, line.p[i]);
		buf_putc(&got, ' ');
	}
	if (strcmp(got.p ? got.p : "", want) || n != r.failed)
		fail_msg("failed: %s (%u), not %s\n%s", got.p ? got.p : "", r.failed, want,
			 r.messages.p);
	done(&r);
}

static void test_expectations(void **state)
{
	failing("list bad = file \"x\"\n"
		"app apt = \"/usr/bin/apt*\"\n"
		"app agent = tree of \"/opt/run\"\n"
		"deny to list bad\n"
		"deny speaking dot, doh, quic\n"
		"allow app apt to packages.example.org port 443\n"
		"audit app agent to internet\n"
		"reject to 10.0.0.0/8\n"
		"default deny\n"
		"expect allow app apt to packages.example.org port 443\n" /* an ordinary flow: no list, no QUIC */
		"expect allow app \"/usr/bin/apt-get\" to packages.example.org port 443\n"
		"expect allow app apt to packages.example.org port 80\n"
		"expect allow app apt to www.example.org port 443\n"
		"expect deny app apt port 80\n" /* started by the agent it is audited */
		"expect deny app apt\n"         /* not to packages.example.org */
		"expect deny to 10.1.2.3\n"     /* reject will do */
		"expect reject to 10.1.2.3\n"   /* DoT is denied */
		"expect audit app agent to 203.0.114.7\n"
		"expect audit app \"/opt/run\" to 203.0.114.7\n"
		"expect deny app \"/opt/run\" to 203.0.114.7\n"
		"expect deny to list bad\n"
		"expect deny user 7\n" /* may be apt or the agent */
		"expect allow to 127.0.0.1\n"
		"expect deny to 127.0.0.1\n",
		"12 13 14 15 17 20 22 24 ");
}

static void test_expectations_of_names(void **state)
{
	failing("deny to bad.example.org\n"
		"allow user 7 to *.example.org\n"
		"allow user 8 to 192.0.2.0/24\n"
		"default deny\n"
		"expect allow user 7 to a.example.org\n"
		"expect allow user 7 to *.example.org\n" /* bad.example.org is one of them */
		"expect deny user 7 to example.org\n"
		"expect deny user 8 to bad.example.org\n" /* whatever its address */
		"expect deny user 8 to a.example.org\n"   /* which may be in 192.0.2.0/24 */
		"expect deny user 7 to 192.0.2.1\n"       /* without a name */
		"expect deny user 9\n",
		"6 9 ");
}

static void test_expectations_in_time(void **state)
{
	/* NOW is a Monday, 13:33. */
	failing("schedule work = mon-fri 08:00-18:00\nallow during work\nallow user 7 until "
		"2026-01-01\ndefault deny\n"
		"expect allow port 1\nexpect deny port 1\n",
		"6 ");
}

static void test_names_without_resolvers(void **state)
{
	says("resolvers none\nallow to a.example.org\ndefault deny\n", "only 'by sni' could");
	never_says("resolvers none\nallow to a.example.org by sni\ndeny to b.example.org\ndefault "
		   "deny\n",
		   "only 'by sni' could");
	never_says("resolvers 192.0.2.53\nallow to a.example.org\ndefault deny\n",
		   "only 'by sni' could");
}

static void test_writable(void **state)
{
	char folder[] = "/tmp/egret-check-XXXXXX";
	_cleanup_buf_ struct buf text = BUF_INIT(4096);

	if (geteuid() != 0)
		skip();
	assert_non_null(mkdtemp(folder));
	assert_ok(chmod(folder, 0755));
	buf_printf(&text, "app x = \"%s/run\"\nallow app x\ndefault deny\n", folder);
	says(text.p, "/tmp can be written by everybody");
	assert_ok(rmdir(folder));
	never_says("app x = \"/usr/bin/env\"\nallow app x\ndefault deny\n", "can be replaced");
}

/* --- explain -------------------------------------------------------------------------------------------------------------- */

static void on_step(void *ctx, const struct policy_step *step)
{
	buf_printf(ctx, "%zu%s %s\n", step->rule,
		   step->decides    ? "!"
		   : step->possible ? "?"
				    : "",
		   step->why ? step->why : "");
}

static struct buf explain(const struct rig *r, const struct policy_subject *s)
{
	struct buf b = BUF_INIT(1 << 16);

	policy_explain(r->p, r->img, s, on_step, &b);
	return b;
}

static void test_explain(void **state)
{
	static const uint32_t gids[] = { 4 };
	struct policy_subject s = {
		.exe = STR("/usr/bin/curl"),
		.cgroup = STR("/system.slice/x.service"),
		.uid_known = true,
		.uid = 0,
		.gids = gids,
		.n_gids = 1,
		.proto = 6,
		.port = 22,
		.has_ports = true,
		.app = EG_APP_SSH,
		.visible = EG_VISIBLE_NONE,
		.unix_s = NOW,
	};
	_cleanup_buf_ struct buf b = BUF_INIT(1);
	struct rig r;

	check(&r, "schedule night = mon-sun 22:00-23:00\n"
		  "allow port 443\n"
		  "allow app \"/usr/bin/apt*\"\n"
		  "allow user 77777\n"
		  "allow group 5, 6, 7, 8, 9\n"
		  "allow unit nginx\n"
		  "allow container name \"web\"\n"
		  "allow from 10.0.0.0/8\n"
		  "allow to *.example.org, 192.0.2.1-192.0.2.5\n"
		  "allow speaking tls\n"
		  "allow during night\n"
		  "allow until 2020-01-01\n"
		  "allow except user root port 22\n"
		  "allow except to any\n"
		  "deny to internet\n"
		  "default reject\n");
	assert_ok(addr_parse(STR("8.8.4.4"), &s.remote));
	assert_ok(addr_parse(STR("192.0.2.9"), &s.local));
	b = explain(&r, &s);
	assert_string_equal(
		b.p, "0 port is 22/tcp, the rule says 443/tcp, 443/udp, 443/sctp\n"
		     "1 program is /usr/bin/curl, the rule says /usr/bin/apt*\n"
		     "2 user is root, the rule says 77777\n"
		     "3 groups are 4, the rule says 5, 6, 7, 8 and 1 more\n"
		     "4 cgroup is /system.slice/x.service, the rule says unit nginx.service\n"
		     "5 it is in no container, the rule says container name web\n"
		     "6 local address is 192.0.2.9, the rule says 10.0.0.0/8\n"
		     "7 address is 8.8.4.4, no trusted DNS answer gave it a name, the rule says "
		     "*.example.org, "
		     "192.0.2.1-192.0.2.5\n"
		     "8 it speaks ssh, the rule says tls\n"
		     "9 it is Mon 14:13, the rule says during night\n"
		     "10 its 'until' is past\n"
		     "11 its 'except' takes this away: user is root, port is 22/tcp\n"
		     "12 its 'except' takes this away: address is 8.8.4.4, no trusted DNS answer "
		     "gave it a name\n"
		     "13! \n");
	buf_done(&b);
	done(&r);
}

static void test_explain_unknown(void **state)
{
	struct policy_subject s = { .proto = 6,
				    .port = 443,
				    .has_ports = true,
				    .unix_s = NOW,
				    .container_unknown = true,
				    .n_names = 1 };
	_cleanup_buf_ struct buf b = BUF_INIT(1), c = BUF_INIT(1);
	struct rig r;

	check(&r, "deny container name \"web\"\ndeny speaking ssh\nallow to example.org\nallow to "
		  "127.0.0.7\ndefault deny\n");
	assert_ok(addr_parse(STR("8.8.4.4"), &s.remote));
	assert_ok(addr_parse(STR("192.0.2.9"), &s.local));
	s.names[0] = STR("example.org");
	b = explain(&r, &s);
	assert_string_equal(b.p,
			    "0? the protocol is not known yet, the name that it will show is not "
			    "known yet, its container is not "
			    "known yet\n"
			    "1? the protocol is not known yet, the name that it will show is not "
			    "known yet, its container is not "
			    "known yet\n"
			    "2? the protocol is not known yet, the name that it will show is not "
			    "known yet, its container is not "
			    "known yet\n"
			    "3 address is 8.8.4.4, by DNS example.org, the rule says 127.0.0.7\n"
			    "4! \n");
	assert_ok(addr_parse(STR("127.0.0.1"), &s.remote));
	c = explain(&r, &s);
	assert_string_equal(c.p,
			    "0 this is loopback, which the rule does not name\n"
			    "1 this is loopback, which the rule does not name\n"
			    "2 this is loopback, which the rule does not name\n"
			    "3 address is 127.0.0.1, by DNS example.org, the rule says 127.0.0.7\n"
			    "5! \n");
	done(&r);
}

static void test_explain_no_rules(void **state)
{
	struct policy_subject s = { .proto = 6, .port = 443, .has_ports = true, .unix_s = NOW };
	_cleanup_buf_ struct buf b = BUF_INIT(1), c = BUF_INIT(1);
	struct rig r;

	check(&r, "default deny\n");
	assert_ok(addr_parse(STR("8.8.4.4"), &s.remote));
	b = explain(&r, &s);
	assert_string_equal(b.p, "0! \n");
	assert_ok(addr_parse(STR("127.0.0.1"), &s.remote));
	c = explain(&r, &s);
	assert_string_equal(c.p, "1! \n");
	done(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_shadowed),
		cmocka_unit_test(test_shadowed_by_name),
		cmocka_unit_test(test_shadowed_by_time),
		cmocka_unit_test(test_expectations),
		cmocka_unit_test(test_expectations_of_names),
		cmocka_unit_test(test_expectations_in_time),
		cmocka_unit_test(test_names_without_resolvers),
		cmocka_unit_test(test_writable),
		cmocka_unit_test(test_explain),
		cmocka_unit_test(test_explain_unknown),
		cmocka_unit_test(test_explain_no_rules),
	};

	setenv("TZ", "UTC0", 1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
