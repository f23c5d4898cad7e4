/* SPDX-License-Identifier: Apache-2.0 */
/* What the parser makes of right policies; wrong ones are in tests/golden/policy/. */
#include <errno.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/time.h"
#include "policy/policy.h"
#include "test.h"

static struct policy *parse(const char *text)
{
	_cleanup_buf_ struct buf messages = BUF_INIT(1 << 20);
	struct policy *p = NULL;

	if (policy_parse(&p, "p.egret", str_of(text), STR_NONE, &messages) < 0)
		fail_msg("%s", messages.p);
	assert_int_equal(messages.n, 0);
	return p;
}

static void refuse(const char *text, const char *message)
{
	_cleanup_buf_ struct buf messages = BUF_INIT(1 << 20);
	struct policy *p = NULL;

	assert_err(policy_parse(&p, "p.egret", str_of(text), STR_NONE, &messages), -EINVAL);
	assert_null(p);
	if (!strstr(messages.p, message))
		fail_msg("wanted %s in\n%s", message, messages.p);
}

static void assert_addr(const struct addr *a, const char *want)
{
	char text[ADDR_TEXT_MAX];

	assert_string_equal(addr_format(a, text), want);
}

static const char whole[] =
	"resolvers 192.0.2.53, fd00::53\n"
	"segment office   = 10.1.0.0/16, fd00:1::/64\n"
	"segment servers  = 10.2.0.0/16\n"
	"segment lab      = interface veth-lab              # everything that enters through it\n"
	"set     metadata = 169.254.169.254, fd00:ec2::254\n"
	"app     apt      = \"/usr/bin/apt*\", \"/usr/lib/apt/methods/*\"\n"
	"app     backup   = unit restic.service\n"
	"app     shop     = container image \"registry.local/shop*\"\n"
	"app     agent    = tree of \"/opt/agent/bin/run\"    # this program and all it starts\n"
	"list    feodo    = file \"lists.d/feodo.csv\"  format auto  expire 14d\n"
	"list    ads      = url \"https://lists.example.net/hosts.txt\"  refresh 24h  expire 3d\n"
	"schedule working = mon-fri 08:00-18:00\n"
	"price   internet = 0.09 USD/GB after 100 GB, 0.07 USD/GB after 10 TB\n"
	"response c2      = on finding beacon severity >= high deny subject for 1h\n"
	"deny    to list feodo                                  alert high \"known C2\"\n"
	"deny    to set metadata  except user root\n"
	"deny    speaking dot, doh, quic\n"
	"allow   app apt          to packages.example.org, *.mirror.example.org   port 80, 443\n"
	"allow   user www-data    to api.stripe.com                 port 443\n"
	"allow   app backup       to *.s3.amazonaws.com             port 443   limit 50mbit   "
	"quota "
	"200gb/month\n"
	"audit   app agent        to internet                       port 443\n"
	"allow   from office      to servers                        port 5432/tcp\n"
	"reject  from office      to servers\n"
	"allow   from office      to internet                       port 80, 443  during working  "
	"limit "
	"20mbit each host\n"
	"allow   port ntp         to set ntp-servers                until 2027-01-31\n"
	"default deny\n"
	"expect allow  app apt to packages.example.org port 443\n"
	"expect deny   from office to 10.2.3.4 port 22/tcp\n"
	"expect deny   user www-data to set metadata port 80\n"
	"set ntp-servers = 192.0.2.123\n";

static void test_example(void **state)
{
	struct policy *p = parse(whole);
	const struct policy_rule *r = p->rules;

	assert_int_equal(p->n_rules, 11);
	assert_int_equal(p->n_expects, 3);
	assert_int_equal(p->n_apps, 4);
	assert_int_equal(p->n_resolvers, 2);
	assert_int_equal(p->resolver_mode, RESOLVERS_GIVEN);
	assert_addr(&p->resolvers[1].lo, "fd00::53");
	assert_int_equal(p->fallback, EG_DENY);
	assert_true(p->has_fallback);

	assert_int_equal(r[0].action, EG_DENY);
	assert_int_equal(r[0].match.to[0].kind, DEST_LIST);
	assert_str(p->lists[r[0].match.to[0].ref].path, "lists.d/feodo.csv");
	assert_int_equal(p->lists[0].expire_ns, 14 * 86400 * NSEC_PER_SEC);
	assert_str(p->lists[1].url, "https://lists.example.net/hosts.txt");
	assert_int_equal(r[0].alert, LEVEL_HIGH);
	assert_str(r[0].alert_text, "known C2");
	assert_str(r[0].text, "deny to list feodo alert high \"known C2\"");

	assert_int_equal(r[1].n_except, 1);
	assert_int_equal(r[1].except[0].n_users, 1);
	assert_int_equal(r[1].except[0].users[0], 0);
	assert_str(p->sets[r[1].match.to[0].ref].name, "metadata");

	assert_int_equal(r[2].match.n_speaking, 3);
	assert_int_equal(r[2].match.speaking[0], EG_APP_DOT);
	assert_int_equal(r[2].match.speaking[2], EG_APP_QUIC);

	assert_int_equal(p->apps[r[3].match.apps[0]].n_parts, 2);
	assert_str(p->apps[r[3].match.apps[0]].parts[1].pattern, "/usr/lib/apt/methods/*");
	assert_int_equal(r[3].match.to[1].kind, DEST_BELOW);
	assert_str(r[3].match.to[1].name, "mirror.example.org");
	assert_int_equal(r[3].match.n_ports, 6); /* 80 and 443 of TCP, UDP and others */
	assert_int_equal(r[5].limit_bits, 50000000);
	assert_int_equal(r[5].quota_bytes, 200000000000);
	assert_int_equal(r[5].quota_period, 'm');
	assert_int_equal(r[5].quota_then, EG_DENY);
	assert_int_equal(r[7].match.n_ports, 1);
	assert_int_equal(r[7].match.ports[0].group, EG_PORTS_TCP);
	assert_int_equal(r[9].limit_each, EACH_HOST);
	assert_str(p->schedules[r[9].match.during[0]].name, "working");
	assert_int_equal(p->schedules[0].parts[0].days, 0x1f);
	assert_int_equal(p->schedules[0].parts[0].to_min, 1080);
	assert_str(p->prices[0].name, "internet");
	assert_int_equal(p->prices[0].n_to, 1);
	assert_int_equal(p->prices[0].to[0].kind, DEST_INTERNET);
	assert_int_equal(p->prices[0].tiers[0].microcents, 9000000);
	assert_int_equal(p->prices[0].tiers[0].per_bytes, 1000000000);
	assert_int_equal(p->prices[0].tiers[1].after_bytes, 10000000000000);
	assert_int_equal(p->responses[0].least, LEVEL_HIGH);
	assert_true(p->responses[0].deny_subject);
	assert_str(p->segments[2].interfaces[0], "veth-lab");
	policy_free(p);
}

static void test_places(void **state)
{
	struct policy *p = parse("default deny\n\nset x = 192.0.2.1, \\\n   example.com\n");

	assert_int_equal(p->sets[0].place.line, 3);
	assert_int_equal(p->sets[0].place.column, 5);
	assert_int_equal(p->sets[0].members[1].place.line, 4);
	assert_int_equal(p->sets[0].members[1].place.column, 4);
	policy_free(p);
}

static void test_names(void **state)
{
	struct policy *p = parse("allow to EXAMPLE.com., **.b\xc3\xbc"
				 "cher.example, db1., *.com!, "
				 "_dmarc.example.org, 3com.com\ndefault deny\n");
	const struct policy_dest *d = p->rules[0].match.to;

	assert_int_equal(p->rules[0].match.n_to, 6);
	assert_str(d[0].name, "example.com");
	assert_int_equal(d[1].kind, DEST_TREE);
	assert_str(d[1].name, "xn--bcher-kva.example");
	assert_int_equal(d[2].kind, DEST_NAME);
	assert_str(d[2].name, "db1");
	assert_int_equal(d[3].kind, DEST_BELOW);
	assert_str(d[3].name, "com");
	assert_str(d[5].name, "3com.com");
	policy_free(p);
}

static void test_addresses(void **state)
{
	struct policy *p =
		parse("set x = 0.0.0.0/0, ::/0, 192.0.2.7, 192.0.2.1-192.0.2.9, fd00::/127, "
		      "country de, asn AS64500\ndefault deny\n");
	const struct policy_dest *d = p->sets[0].members;

	assert_addr(&d[0].lo, "0.0.0.0");
	assert_addr(&d[0].hi, "255.255.255.255");
	assert_addr(&d[1].lo, "::");
	assert_addr(&d[1].hi, "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
	assert_addr(&d[2].lo, "192.0.2.7");
	assert_addr(&d[2].hi, "192.0.2.7");
	assert_addr(&d[3].hi, "192.0.2.9");
	assert_addr(&d[4].hi, "fd00::1");
	assert_string_equal(d[5].country, "DE");
	assert_int_equal(d[6].ref, 64500);
	policy_free(p);
}

static void test_port_kinds(void **state)
{
	struct policy *p = parse("allow port icmp, 8/icmp, 128-129/icmp6, 47/ip, 1-65535/udp, ssh\n"
				 "default deny\n");
	const struct port_range *r = p->rules[0].match.ports;

	assert_int_equal(p->rules[0].match.n_ports, 8);
	assert_int_equal(r[0].group, EG_PORTS_ICMP);
	assert_int_equal(r[0].hi, 65535);
	assert_int_equal(r[1].lo, 8);
	assert_int_equal(r[2].group, EG_PORTS_ICMP6);
	assert_int_equal(r[2].hi, 129);
	assert_int_equal(r[3].group, EG_PORTS_PROTO);
	assert_int_equal(r[4].group, EG_PORTS_UDP);
	assert_int_equal(r[5].lo, 22);
	assert_int_equal(r[7].group, EG_PORTS_OTHER);
	policy_free(p);
}

static void test_apps(void **state)
{
	struct policy *p =
		parse("app all = app tools, app later, cgroup \"/user.slice/**\", unit cron\n"
		      "app later = container name \"web*\"\napp tools = \"/usr/bin/*\"\n"
		      "allow app \"/opt/x\", all, tree of \"/opt/y\" container label \"env=prod\", "
		      "\"role=*\", name \"z\"\n"
		      "default deny\n");
	const struct policy_rule *r = &p->rules[0];
	const struct policy_app *all = &p->apps[r->match.apps[1]];

	assert_int_equal(r->match.n_apps, 3);
	assert_int_equal(p->apps[r->match.apps[0]].name.n, 0);
	assert_str(p->apps[r->match.apps[0]].parts[0].pattern, "/opt/x");
	assert_int_equal(p->apps[r->match.apps[2]].parts[0].kind, APP_PART_TREE);
	assert_str(all->name, "all");
	assert_str(p->apps[all->parts[0].app].name, "tools");
	assert_str(p->apps[all->parts[1].app].name, "later");
	assert_int_equal(all->parts[2].kind, APP_PART_CGROUP);
	assert_str(all->parts[3].pattern, "cron.service");
	assert_int_equal(r->match.n_containers, 3);
	assert_int_equal(r->match.containers[1].kind, APP_PART_CONTAINER_LABEL);
	assert_int_equal(r->match.containers[2].kind, APP_PART_CONTAINER_NAME);
	assert_str(r->text,
		   "allow app \"/opt/x\", all, tree of \"/opt/y\" container label \"env=prod\", "
		   "\"role=*\", name \"z\"");
	policy_free(p);
}

static void test_modifiers(void **state)
{
	struct policy *p;

	setenv("TZ", "Europe/Berlin", 1);
	tzset();
	p = parse("allow to a.example by sni port 443 log until 2027-01-31 as \"why\"\n"
		  "allow port 1 quiet until 2027-01-31T18:00Z\nallow port 2 until @1800000000\n"
		  "audit port 3 quota 1.5gb/day then limit 2mbit alert\n"
		  "deny to internet except port 80 except user 0, 1 group root alert low\ndefault "
		  "reject\n");
	assert_true(p->rules[0].match.by_sni);
	assert_true(p->rules[0].log);
	assert_int_equal(p->rules[0].until_s, 1801436400); /* 2027-02-01 00:00 in Berlin */
	assert_str(p->rules[0].note, "why");
	assert_true(p->rules[1].quiet);
	assert_int_equal(p->rules[1].until_s, 1801418400);
	assert_int_equal(p->rules[2].until_s, 1800000000);
	assert_int_equal(p->rules[3].quota_bytes, 1500000000);
	assert_int_equal(p->rules[3].quota_then_bits, 2000000);
	assert_int_equal(p->rules[3].alert, LEVEL_MEDIUM);
	assert_int_equal(p->rules[4].n_except, 2);
	assert_int_equal(p->rules[4].except[1].n_users, 2);
	assert_int_equal(p->rules[4].except[1].n_groups, 1);
	assert_int_equal(p->rules[4].alert, LEVEL_LOW);
	assert_int_equal(p->fallback, EG_REJECT);
	policy_free(p);
	unsetenv("TZ");
	tzset();
}

static void test_times(void **state)
{
	struct policy *p =
		parse("schedule s = fri-mon 22:00-06:00, tue, wed 00:00-24:00\ndefault deny\n");
	int64_t s;

	assert_int_equal(p->schedules[0].n_parts, 2);
	assert_int_equal(p->schedules[0].parts[0].days, 0x71);
	assert_int_equal(p->schedules[0].parts[0].from_min, 1320);
	assert_int_equal(p->schedules[0].parts[1].days, 0x06);
	assert_int_equal(p->schedules[0].parts[1].to_min, 1440);
	policy_free(p);
	assert_true(policy_time_parse(STR("2027-01-31T00:00:30Z"), false, &s));
	assert_int_equal(s, 1801353630);
	assert_false(policy_time_parse(STR("2027-01-31T24:00"), false, &s));
	assert_false(policy_time_parse(STR("2027-02-29"), false, &s));
	assert_true(policy_time_parse(STR("2028-02-29"), false, &s));
}

static void test_front(void **state)
{
	_cleanup_buf_ struct buf messages = BUF_INIT(4096);
	struct policy *p = NULL;

	assert_ok(policy_parse(&p, "p.egret", STR("allow port 1\ndefault deny\n"),
			       STR("deny to 192.0.2.1 until @1800000000\ndeny to x.example\n"),
			       &messages));
	assert_int_equal(messages.n, 0);
	assert_int_equal(p->n_rules, 3);
	assert_true(p->rules[0].front);
	assert_true(p->rules[1].front);
	assert_false(p->rules[2].front);
	assert_int_equal(p->n_files, 2);
	assert_str(p->files[1], "egret block");
	assert_int_equal(p->rules[1].place.file, 1);
	assert_int_equal(p->rules[1].place.line, 2);
	assert_int_equal(p->rules[2].place.file, 0);
	policy_free(p);
}

#define TEXT(lit)                    \
	{                            \
		lit, sizeof(lit) - 1 \
	}

static void test_given_files(void **state)
{
	static const struct policy_file files[] = {
		{ TEXT("/x/p.egret"),
		  TEXT("include \"d/*.egret\"\ninclude \"/y/z\"\ndefault deny\n") },
		{ TEXT("/x/d/b.egret"), TEXT("allow port 2\n") },
		{ TEXT("/x/d/a.egret"), TEXT("allow port 1\nlist l = file \"l.txt\"\n") },
		{ TEXT("/x/d/e/c.egret"), TEXT("allow port 9\n") },
		{ TEXT("/y/z"), TEXT("allow port 3\n") },
	};
	_cleanup_buf_ struct buf messages = BUF_INIT(4096);
	struct policy *p = NULL;

	assert_ok(policy_parse_files(&p, files, ARRAY_SIZE(files), STR_NONE, &messages));
	assert_int_equal(p->n_rules, 3);
	assert_str(p->lists[0].path, "/x/d/l.txt");
	assert_str(p->files[3], "/y/z");
	policy_free(p);
	p = NULL;
	assert_err(policy_parse_files(&p, files, 2, STR_NONE, &messages), -EINVAL);
	assert_non_null(strstr(messages.p, "'/y/z' cannot be read"));
}

static void test_deep_nesting(void **state)
{
	_cleanup_buf_ struct buf text = BUF_INIT(1 << 20);
	struct policy *p;

	for (int i = 0; i < 60; i++)
		buf_printf(&text, "set s%d = set s%d\n", i, i + 1);
	buf_puts(&text, "set s60 = 192.0.2.1\nallow from set s0\ndefault deny\n");
	p = parse(text.p);
	policy_free(p);
	buf_clear(&text);
	for (int i = 0; i < 20000; i++)
		buf_printf(&text, "set s%d = set s%d\n", i, i + 1);
	buf_puts(&text, "set s20000 = 192.0.2.1\nallow from set s0\ndefault deny\n");
	refuse(text.p, "error: definitions are nested more than 64 deep");
}

static void test_links(void **state)
{
	_cleanup_buf_ struct buf messages = BUF_INIT(4096), text = BUF_INIT(4096);
	struct policy *p = parse("allow port 22 priority high limit 5mbit\n"
				 "audit port 873 priority low alert\n"
				 "allow port 80 priority normal\nallow port 81\n"
				 "link \"wan0\" 20mbit\nlink eth0.100 1.5gbit\ndefault deny\n");

	assert_int_equal(p->n_links, 2);
	assert_str(p->links[0].interface, "wan0");
	assert_int_equal(p->links[0].bits, 20000000);
	assert_str(p->links[1].interface, "eth0.100");
	assert_int_equal(p->links[1].bits, 1500000000);
	assert_int_equal(p->links[1].place.line, 6);
	assert_int_equal(p->rules[0].priority, PRIORITY_HIGH);
	assert_int_equal(p->rules[0].limit_bits, 5000000);
	assert_int_equal(p->rules[1].priority, PRIORITY_LOW);
	assert_int_equal(p->rules[2].priority, PRIORITY_NORMAL);
	assert_int_equal(p->rules[3].priority, PRIORITY_NONE);
	policy_free(p);

	p = parse("allow port 80\nallow port 22 priority high\ndefault deny\n");
	policy_note_unenforced(p, &messages);
	assert_non_null(strstr(messages.p, "p.egret:2:1: note: 'priority' does nothing here"));
	policy_free(p);

	for (int i = 0; i <= POLICY_LINKS_MAX; i++)
		buf_printf(&text, "link e%d 1mbit\n", i);
	buf_puts(&text, "default deny\n");
	refuse(text.p, "p.egret:17:6: error: the policy has more than 16 links");
}

static void test_limits(void **state)
{
	_cleanup_buf_ struct buf text = BUF_INIT(8 << 20), messages = BUF_INIT(1 << 20);
	struct policy *p = NULL;

	for (int i = 0; i <= POLICY_RULES_MAX; i++)
		buf_printf(&text, "allow port %d\n", i + 1);
	buf_puts(&text, "default deny\n");
	refuse(text.p, "p.egret:4095:1: error: the policy has more than 4094 rules");
	buf_clear(&text);
	for (int i = 0; i < 5000; i++)
		buf_puts(&text, "alow port 1\n");
	assert_err(policy_parse(&p, "p", buf_str(&text), STR_NONE, &messages), -EINVAL);
	assert_non_null(strstr(messages.p, "more messages are not shown"));
	buf_clear(&text);
	buf_puts(&text, "allow port 1");
	for (int i = 2; i < 6000; i++)
		buf_printf(&text, ", %d", i);
	refuse(text.p, "error: more than 4096 values");
}

/* A million members, inline, in bounded time and memory. */
static void test_large(void **state)
{
	_cleanup_buf_ struct buf text = BUF_INIT(64 << 20), messages = BUF_INIT(4096);
	struct policy *p = NULL;

	buf_puts(&text, "default deny\nset x = 192.0.2.1");
	for (unsigned i = 0; i < 500000; i++)
		buf_printf(&text, ", 10.%u.%u.%u, h%u.example.com", i >> 16, i >> 8 & 255, i & 255,
			   i);
	assert_false(text.failed);
	assert_ok(policy_parse(&p, "p", buf_str(&text), STR_NONE, &messages));
	assert_int_equal(p->sets[0].n_members, 1000001);
	assert_str(p->sets[0].members[1000000].name, "h499999.example.com");
	policy_free(p);
}

static void test_complain(void **state)
{
	_cleanup_buf_ struct buf messages = BUF_INIT(4096);
	struct policy *p = parse("default deny\nexpect deny port 1\nprice any = 1 USD/TB\n"
				 "segment s = interface nowhere0\n");

	policy_complain(p, p->expects[0].place, "error", &messages, "no %d\nbut so", 1);
	assert_str(buf_str(&messages),
		   "p.egret:2:1: error: no 1\n    2 | expect deny port 1\n      | ^~~~~~ but so\n");
	buf_clear(&messages);
	policy_note_unenforced(p, &messages);
	assert_non_null(strstr(messages.p, "p.egret:4:9: note: no route leads to a network"));
	assert_null(strstr(messages.p, "'price'"));
	assert_int_equal(p->prices[0].tiers[0].microcents, 100000000);
	assert_int_equal(p->prices[0].tiers[0].per_bytes, 1000000000000);
	policy_free(p);
	assert_string_equal(policy_action_name(EG_AUDIT), "audit");
	assert_string_equal(policy_protocol_name(EG_APP_DOH), "doh");
	assert_string_equal(policy_protocol_name(EG_APP_KERBEROS), "krb5");
	assert_null(policy_protocol_name(EG_APP_UNDECIDED));
}

static void test_read(void **state)
{
	_cleanup_buf_ struct buf messages = BUF_INIT(4096);
	char folder[] = "/tmp/egret-parse-XXXXXX", path[64];
	struct policy *p = NULL;

	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/p", folder);
	assert_err(policy_read(&p, path, &messages), -ENOENT);
	assert_non_null(strstr(messages.p, "the policy cannot be read: No such file"));
	assert_err(policy_read(&p, folder, &messages), -EISDIR);
	assert_int_equal(mkfifo(path, 0600), 0);
	buf_clear(&messages);
	buf_printf(&messages, "include \"%s\"\ndefault deny\n", path);
	{
		_cleanup_buf_ struct buf said = BUF_INIT(4096);

		assert_err(policy_parse(&p, "p", buf_str(&messages), STR_NONE, &said), -EINVAL);
		assert_non_null(strstr(said.p, "is not a regular file"));
	}
	unlink(path);
	rmdir(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_example),      cmocka_unit_test(test_places),
		cmocka_unit_test(test_names),        cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_port_kinds),   cmocka_unit_test(test_apps),
		cmocka_unit_test(test_modifiers),    cmocka_unit_test(test_times),
		cmocka_unit_test(test_front),        cmocka_unit_test(test_given_files),
		cmocka_unit_test(test_deep_nesting), cmocka_unit_test(test_limits),
		cmocka_unit_test(test_links),        cmocka_unit_test(test_large),
		cmocka_unit_test(test_complain),     cmocka_unit_test(test_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
