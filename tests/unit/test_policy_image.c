/* SPDX-License-Identifier: Apache-2.0 */
/* From the text of a policy to its image, and what the evaluator says by it: selectors one by one. */
#include <errno.h>
#include <time.h>

#include "policy/compile.h"
#include "policy_rig.h"

static void test_defaults(void **state)
{
	static const struct {
		const char *text;
		int want;
	} rows[] = { { "default deny\n", EG_DENY },
		     { "default allow\n", EG_ALLOW },
		     { "default reject\n", EG_REJECT },
		     { "default audit\n", EG_AUDIT },
		     { "", EG_ALLOW } };
	struct policy_subject s = subject("198.51.100.7", 443);
	struct eg_verdict v;
	struct rig r;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		compile_with(&r, rows[i].text, NULL);
		v = judge(&r, &s);
		assert_int_equal(v.action, rows[i].want);
		assert_int_equal(v.rule, 0);
		assert_true(v.final);
		assert_int_equal(v.flags, *rows[i].text ? 0 : EG_ROW_IMPLIED);
		assert_int_equal(to(&r, "127.0.0.1", 80), EG_ALLOW);
		assert_int_equal(to(&r, "::1", 80), EG_ALLOW);
		done(&r);
	}
}

static void test_addresses(void **state)
{
	struct rig r;

	compile_with(&r,
		     "set s = 10.0.0.0/8, 192.0.2.5-192.0.2.9, 2001:db8:1::/48\n"
		     "reject to set s except to 10.1.0.0/16\n"
		     "deny to 0.0.0.0/1, 64:ff9b::c633:6407\n"
		     "audit to private\n"
		     "allow to internet\n"
		     "default deny\n",
		     NULL);
	assert_int_equal(to(&r, "10.0.0.0", 1), EG_REJECT);
	assert_int_equal(to(&r, "10.255.255.255", 1), EG_REJECT);
	assert_int_equal(to(&r, "10.1.255.255", 1), EG_DENY);
	assert_int_equal(to(&r, "11.0.0.0", 1), EG_DENY);
	assert_int_equal(to(&r, "192.0.2.4", 1), EG_DENY);
	assert_int_equal(to(&r, "192.0.2.5", 1), EG_REJECT);
	assert_int_equal(to(&r, "192.0.2.9", 1), EG_REJECT);
	assert_int_equal(to(&r, "192.0.2.10", 1), EG_DENY);
	assert_int_equal(to(&r, "192.168.9.9", 1), EG_AUDIT);
	assert_int_equal(to(&r, "172.31.255.255", 1), EG_AUDIT);
	assert_int_equal(to(&r, "172.32.0.0", 1), EG_ALLOW);
	assert_int_equal(to(&r, "198.51.100.7", 1), EG_DENY); /* named by NAT64's prefix */
	assert_int_equal(to(&r, "64:ff9b::192.0.2.5", 1), EG_REJECT);
	assert_int_equal(to(&r, "255.255.255.255", 1), EG_DENY);
	assert_int_equal(to(&r, "2001:db8:1:ffff:ffff:ffff:ffff:ffff", 1), EG_REJECT);
	assert_int_equal(to(&r, "2001:db8:2::", 1), EG_DENY);
	assert_int_equal(to(&r, "2606:4700::1111", 1), EG_ALLOW);
	assert_int_equal(to(&r, "fd00::1", 1), EG_AUDIT);
	assert_int_equal(to(&r, "ff02::1", 1), EG_DENY);
	assert_int_equal(to(&r, "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 1), EG_DENY);
	done(&r);
}

static void test_scopes(void **state)
{
	struct policy_subject s;
	struct rig r;

	compile_with(&r,
		     "resolvers 192.0.2.53, 127.0.0.53\n"
		     "deny to any\n"
		     "deny to 0.0.0.0/0, ::/0\n"
		     "reject to 127.0.0.5 port 25\n"
		     "default deny\n",
		     NULL);
	assert_int_equal(to(&r, "127.0.0.1", 80), EG_ALLOW);
	assert_int_equal(to(&r, "127.0.0.5", 25), EG_REJECT);
	assert_int_equal(to(&r, "127.0.0.5", 26), EG_ALLOW);
	assert_int_equal(to(&r, "127.0.0.53", 53), EG_ALLOW);
	assert_int_equal(to(&r, "192.0.2.53", 53), EG_ALLOW);
	assert_int_equal(to(&r, "192.0.2.53", 54), EG_DENY);
	assert_int_equal(to(&r, "192.0.2.54", 53), EG_DENY);
	s = subject("192.0.2.53", 53);
	s.proto = 17;
	assert_int_equal(action(&r, &s), EG_ALLOW);
	assert_int_equal(judge(&r, &s).rule, r.p->n_rules + 1);
	s.proto = 132;
	assert_int_equal(action(&r, &s), EG_DENY);
	done(&r);

	/* Rules that name them: by the port, by what is spoken, by the one address. */
	compile_with(&r,
		     "resolvers 192.0.2.53\ndeny user 7 port 53/udp\ndeny user 8 speaking "
		     "dns\ndeny user 9 to 192.0.2.53\n"
		     "deny user 10 to 192.0.2.0/24\ndefault deny\n",
		     NULL);
	s = subject("192.0.2.53", 53);
	s.proto = 17;
	s.app = EG_APP_DNS;
	for (s.uid = 7; s.uid < 10; s.uid++)
		assert_int_equal(action(&r, &s), EG_DENY);
	assert_int_equal(action(&r, &s), EG_ALLOW);
	done(&r);
}

static void test_names(void **state)
{
	struct policy_subject s = subject("198.51.100.7", 443);
	struct rig r;

	compile_with(&r,
		     "deny to bad.example.org, *.ads.example.net\n"
		     "allow to *.example.org, exact.example.net except to no.example.org\n"
		     "allow to **.tree.example.com\n"
		     "allow to sni.example.com by sni\n"
		     "default deny\n",
		     NULL);
	s.app = EG_APP_TLS;
	s.n_names = 1;
	s.names[0] = STR("www.example.org");
	assert_int_equal(action(&r, &s), EG_ALLOW); /* TLS without a name in it */
	s.names[0] = STR("a.b.c.example.org");
	assert_int_equal(action(&r, &s), EG_ALLOW);
	s.names[0] = STR("example.org");
	assert_int_equal(action(&r, &s), EG_DENY);
	s.names[0] = STR("notexample.org");
	assert_int_equal(action(&r, &s), EG_DENY);
	s.names[0] = STR("no.example.org");
	assert_int_equal(action(&r, &s), EG_DENY);
	s.names[0] = STR("x.no.example.org");
	assert_int_equal(action(&r, &s), EG_ALLOW);
	s.names[0] = STR("exact.example.net");
	assert_int_equal(action(&r, &s), EG_ALLOW);
	s.names[0] = STR("sub.exact.example.net");
	assert_int_equal(action(&r, &s), EG_DENY);
	s.names[0] = STR("tree.example.com");
	assert_int_equal(action(&r, &s), EG_ALLOW);
	s.names[0] = STR("a.tree.example.com");
	assert_int_equal(action(&r, &s), EG_ALLOW);
	s.names[0] = STR("sni.example.com");
	assert_int_equal(action(&r, &s), EG_DENY);

	/* What is visible: the same, contradicting, a stranger's, unreadable, not there yet. */
	s.names[0] = STR("www.example.org");
	s.visible = EG_VISIBLE_NAME;
	s.visible_name = STR("WWW.example.org.");
	assert_int_equal(action(&r, &s), EG_ALLOW);
	s.visible_name = STR("evil.example.com");
	assert_int_equal(action(&r, &s), EG_DENY);
	s.visible_name = STR("bad.example.org");
	assert_int_equal(judge(&r, &s).rule, 0);
	s.visible_name = STR("sni.example.com");
	assert_int_equal(action(&r, &s), EG_ALLOW);
	s.visible = EG_VISIBLE_UNREADABLE;
	assert_int_equal(action(&r, &s), EG_DENY);
	s.visible = EG_VISIBLE_UNKNOWN;
	assert_int_equal(action(&r, &s), 0);
	assert_true(judge(&r, &s).could_pass && judge(&r, &s).could_drop);
	s.n_names = 0; /* not even DNS told: `by sni` may still let it pass */
	assert_int_equal(action(&r, &s), 0);
	s.visible = EG_VISIBLE_NAME;
	s.visible_name = STR("www.example.org");
	assert_int_equal(action(&r, &s), EG_DENY);
	done(&r);
}

static void test_many_labels(void **state)
{
	struct policy_subject s = subject("198.51.100.7", 443);
	struct rig r;

	compile_with(&r,
		     "deny to *.example.org\nallow to "
		     "a.b.c.d.e.f.g.h.i.j.k.l.m.n.o.p.q.r.example.net\ndefault reject\n",
		     NULL);
	s.n_names = 1;
	s.names[0] = STR("a.b.c.d.e.f.g.h.i.j.k.l.m.n.o.p.q.r.s.t.example.org");
	assert_int_equal(action(&r, &s), EG_DENY);
	s.names[0] = STR("a.b.c.d.e.f.g.h.i.j.k.l.m.n.o.p.q.r.example.net");
	assert_int_equal(action(&r, &s), EG_ALLOW);
	s.names[0] = STR("b.b.c.d.e.f.g.h.i.j.k.l.m.n.o.p.q.r.example.net");
	assert_int_equal(action(&r, &s), EG_REJECT);
	done(&r);
}

static void test_who(void **state)
{
	static const uint32_t gids[] = { 4, 33 };
	struct policy_subject s = subject("198.51.100.7", 443);
	struct rig r;

	compile_with(&r,
		     "app apt = \"/usr/bin/apt*\", \"/usr/lib/**/methods/*\"\n"
		     "app agent = tree of \"/opt/agent/run\"\n"
		     "app both = app apt, unit restic.service\n"
		     "deny app apt user 7\n"
		     "allow app agent\n"
		     "allow app both\n"
		     "reject group 33 except group 5\n"
		     "audit app \"/srv/job.py\"\n"
		     "default deny\n",
		     NULL);
	assert_int_equal(action(&r, &s), EG_DENY);
	s.exe = STR("/usr/bin/apt-get");
	assert_int_equal(action(&r, &s), EG_ALLOW);
	s.uid = 7;
	assert_int_equal(action(&r, &s), EG_DENY);
	s.uid_known = false;
	assert_int_equal(action(&r, &s), EG_ALLOW);
	s.exe = STR("/usr/bin/x/apt");
	assert_int_equal(action(&r, &s), EG_DENY);
	s.exe = STR("/usr/lib/methods/http");
	assert_int_equal(action(&r, &s), EG_ALLOW);
	s.exe = STR("/usr/lib/x/y/methods/http");
	assert_int_equal(action(&r, &s), EG_ALLOW);
	s.exe = STR("/usr/lib/xmethods/http");
	assert_int_equal(action(&r, &s), EG_DENY);
	s.exe = STR_NONE;
	assert_int_equal(action(&r, &s), EG_DENY);
	s.ancestors[0] = STR("/bin/sh");
	s.ancestors[1] = STR("/opt/agent/run");
	s.n_ancestors = 2;
	assert_int_equal(action(&r, &s), EG_ALLOW);
	s.n_ancestors = 0;
	s.exe = STR("/opt/agent/run"); /* the process itself begins the tree */
	assert_int_equal(action(&r, &s), EG_ALLOW);
	s.exe = STR("/usr/bin/python3");
	s.script = STR("/srv/job.py");
	assert_int_equal(action(&r, &s), EG_AUDIT);
	s.gids = gids;
	s.n_gids = 2;
	assert_int_equal(action(&r, &s), EG_REJECT);
	done(&r);
}

static void test_units(void **state)
{
	static const struct {
		const char *cgroup;
		bool in;
	} rows[] = {
		{ "/system.slice/restic.service", true },
		{ "/system.slice/restic.service/sub/x", true },
		{ "/system.slice/sub.slice/restic.service", true },
		{ "/restic.service", true },
		{ "/system.slice/restic.servicex", false },
		{ "/system.slice/xrestic.service", false },
		/* A user may make any cgroup below the own manager's. */
		{ "/user.slice/user-1000.slice/user@1000.service/restic.service", false },
		{ "/system.slice/other.service/restic.service", false },
		{ "restic.service", false },
		{ "", false },
	};
	struct policy_subject s = subject("198.51.100.7", 443);
	struct rig r;

	compile_with(&r,
		     "allow unit restic.service\nreject unit user-*.slice\nreject app cgroup "
		     "\"/a/b*\"\ndefault deny\n",
		     NULL);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		s.cgroup = str_of(rows[i].cgroup);
		if ((action(&r, &s) == EG_ALLOW) != rows[i].in)
			fail_msg("%s", rows[i].cgroup);
	}
	s.cgroup = STR("/user.slice/user-1000.slice/session-1.scope");
	assert_int_equal(action(&r, &s), EG_REJECT);
	s.cgroup = STR("/a/bc/d");
	assert_int_equal(action(&r, &s), EG_REJECT);
	s.cgroup = STR("/a/c/b");
	assert_int_equal(action(&r, &s), EG_DENY);
	done(&r);
}

static void test_containers(void **state)
{
	static const struct str labels[] = { STR("team=a"), STR("env=prod") };
	struct policy_container c = { .name = STR("shop-1"),
				      .image = STR("registry.local/shop:2") };
	struct policy_subject s = subject("198.51.100.7", 443);
	struct eg_verdict v;
	struct rig r;

	compile_with(&r,
		     "app shop = container image \"registry.local/shop*\"\n"
		     "deny container label \"env=prod\"\n"
		     "allow app shop except container name \"shop-2\"\n"
		     "reject container name \"*\"\n"
		     "default deny\n",
		     NULL);
	assert_int_equal(action(&r, &s), EG_DENY);
	assert_int_equal(judge(&r, &s).rule, 3);
	s.container = &c;
	assert_int_equal(action(&r, &s), EG_ALLOW);
	c.name = STR("shop-2");
	assert_int_equal(action(&r, &s), EG_REJECT);
	c.name = STR("shop-1");
	c.labels = labels;
	c.n_labels = 2;
	assert_int_equal(judge(&r, &s).rule, 0);
	s.container_unknown = true;
	v = judge(&r, &s);
	assert_false(v.final);
	assert_true(v.could_pass && v.could_drop);
	assert_int_equal(v.rule, 0);
	assert_int_equal(v.certain_action, EG_DENY);
	assert_true(policy_names_containers(r.img));
	done(&r);
	compile_with(&r, "default deny\n", NULL);
	assert_false(policy_names_containers(r.img));
	assert_int_equal(action(&r, &s), EG_DENY);
	done(&r);
}

static void test_except(void **state)
{
	struct policy_subject s = subject("198.51.100.7", 443);
	struct rig r;

	/* Taken away: what both match. Two of them: what either does. */
	compile_with(&r, "deny to internet except user 7 port 443 except user 8\ndefault allow\n",
		     NULL);
	assert_int_equal(((const struct eg_image *)r.img->bytes)->n_rows, 4);
	s.remote = ip("8.8.8.8");
	assert_int_equal(action(&r, &s), EG_DENY);
	s.uid = 7;
	assert_int_equal(action(&r, &s), EG_ALLOW);
	s.port = 80;
	assert_int_equal(action(&r, &s), EG_DENY);
	s.uid = 8;
	assert_int_equal(action(&r, &s), EG_ALLOW);
	done(&r);
	compile_with(&r, "deny except to any\ndefault allow\n", NULL);
	assert_int_equal(action(&r, &s), EG_ALLOW);
	done(&r);
}

static void test_ports(void **state)
{
	struct policy_subject s = subject("198.51.100.7", 443);
	struct rig r;

	compile_with(&r,
		     "reject port 80, 8000-8100\nreject port 53/udp\nreject port icmp\nreject port "
		     "47/ip\ndefault deny\n",
		     NULL);
	assert_int_equal(to(&r, "198.51.100.7", 80), EG_REJECT);
	assert_int_equal(to(&r, "198.51.100.7", 7999), EG_DENY);
	assert_int_equal(to(&r, "198.51.100.7", 8000), EG_REJECT);
	assert_int_equal(to(&r, "198.51.100.7", 8100), EG_REJECT);
	assert_int_equal(to(&r, "198.51.100.7", 8101), EG_DENY);
	assert_int_equal(to(&r, "198.51.100.7", 53), EG_DENY);
	s.port = 53;
	s.proto = 17;
	assert_int_equal(action(&r, &s), EG_REJECT);
	s.has_ports = false; /* a later fragment */
	assert_int_equal(action(&r, &s), EG_DENY);
	s.has_ports = true;
	s.proto = 132;
	s.port = 80;
	assert_int_equal(action(&r, &s), EG_REJECT);
	s.proto = 1;
	s.port = 8;
	assert_int_equal(action(&r, &s), EG_REJECT);
	s.proto = 58;
	assert_int_equal(action(&r, &s), EG_DENY);
	s.proto = 47;
	s.has_ports = false;
	assert_int_equal(action(&r, &s), EG_REJECT);
	done(&r);
}

static void test_protocols(void **state)
{
	struct policy_subject s = subject("198.51.100.7", 443);
	struct rig r;

	compile_with(&r,
		     "reject speaking dot, doh\naudit speaking tls, quic\nallow speaking "
		     "ssh\ndefault deny\n",
		     NULL);
	assert_int_equal(action(&r, &s), EG_DENY);
	s.app = EG_APP_TLS;
	assert_int_equal(action(&r, &s), EG_AUDIT);
	s.port = 853;
	assert_int_equal(action(&r, &s), EG_REJECT);
	s.port = 443;
	s.visible = EG_VISIBLE_NAME;
	s.visible_name = STR("dns.google");
	assert_int_equal(action(&r, &s), EG_REJECT);
	assert_int_equal(judge(&r, &s).app, EG_APP_DOH);
	s.visible_name = STR("example.org");
	assert_int_equal(action(&r, &s), EG_AUDIT);
	s.remote = ip("9.9.9.9"); /* whatever name it is called by */
	assert_int_equal(action(&r, &s), EG_REJECT);
	s = subject("198.51.100.7", 443);
	s.app = EG_APP_QUIC;
	s.visible = EG_VISIBLE_UNKNOWN; /* may still be a resolver's */
	assert_int_equal(action(&r, &s), 0);
	s.app = EG_APP_SSH;
	assert_int_equal(action(&r, &s), EG_ALLOW);
	s.app = EG_APP_UNDECIDED;
	assert_int_equal(action(&r, &s), 0);
	done(&r);
}

static void test_from(void **state)
{
	struct policy_subject s = subject("198.51.100.7", 443);
	struct rig r;

	compile_with(&r,
		     "segment office = 10.1.0.0/16\nallow from office except from "
		     "10.1.2.3\ndefault deny\n",
		     NULL);
	assert_int_equal(action(&r, &s), EG_DENY);
	s.local = ip("10.1.2.4");
	assert_int_equal(action(&r, &s), EG_ALLOW);
	s.local = ip("10.1.2.3");
	assert_int_equal(action(&r, &s), EG_DENY);
	s.local = ip("0.0.0.0");
	assert_int_equal(action(&r, &s), 0);
	done(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),    cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_scopes),      cmocka_unit_test(test_names),
		cmocka_unit_test(test_many_labels), cmocka_unit_test(test_who),
		cmocka_unit_test(test_units),       cmocka_unit_test(test_containers),
		cmocka_unit_test(test_except),      cmocka_unit_test(test_ports),
		cmocka_unit_test(test_protocols),   cmocka_unit_test(test_from),
	};

	setenv("TZ", "UTC0", 1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
