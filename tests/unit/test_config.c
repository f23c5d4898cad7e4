/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "base/cleanup.h"
#include "config.h"
#include "test.h"

static void test_empty_is_valid(void **state)
{
	_cleanup_buf_ struct buf messages = BUF_INIT(4096);
	struct config c;

	assert_ok(config_parse(&c, "e", STR("\n# nothing\n"), &messages));
	assert_int_equal(messages.n, 0);
	assert_string_equal(c.cgroup, "/");
	assert_string_equal(c.run, "/run/egret");
	assert_string_equal(c.eve, "/var/log/egret/eve.json");
	assert_int_equal(c.n_inside, 0);
	assert_string_equal(c.policy, "/etc/egret/policy.egret");
	assert_false(c.policy_given || c.enforce || c.backstop);
	assert_true(!c.geo_country[0] && !c.geo_asn[0]);
}

static void test_policy_statements(void **state)
{
	_cleanup_buf_ struct buf messages = BUF_INIT(4096);
	struct config c;

	assert_ok(config_parse(&c, "e",
			       STR("policy \"/x/p.egret\" enforce\nbackstop on\n"
				   "geo country \"/x/c.mmdb\"\ngeo asn \"/x/a.mmdb\"\n"),
			       &messages));
	assert_str(buf_str(&messages), "");
	assert_string_equal(c.policy, "/x/p.egret");
	assert_true(c.policy_given && c.enforce && c.backstop);
	assert_string_equal(c.geo_country, "/x/c.mmdb");
	assert_string_equal(c.geo_asn, "/x/a.mmdb");
	assert_ok(config_parse(&c, "e", STR("policy \"/x/p.egret\"\n"), &messages));
	assert_true(c.policy_given && !c.enforce);
	assert_ok(
		config_parse(&c, "e", STR("policy \"/x/p.egret\" watch\npolicy off\n"), &messages));
	assert_false(c.policy[0]);
}

#define KEY "RWR615Mj17YiW7b2rz746iHefEK4888GT7Ky4eBUSrCWJ6EnLDTUHiEJ"

static void test_follow(void **state)
{
	_cleanup_buf_ struct buf messages = BUF_INIT(4096);
	struct config c;

	assert_ok(config_parse(&c, "e",
			       STR("policy from \"https://p.example/fleet.bundle\" {\n key \"" KEY
				   "\"\n labels \"prod, web\" every 30s\n ca \"/ca.pem\"\n}\n"),
			       &messages));
	assert_string_equal(c.follow.from, "https://p.example/fleet.bundle");
	assert_string_equal(c.follow.labels[1], "web");
	assert_string_equal(c.follow.ca, "/ca.pem");
	assert_int_equal(c.follow.n_keys, 1);
	assert_int_equal(c.follow.n_labels, 2);
	assert_int_equal(c.follow.every_s, 30);
	assert_false(config_has_policy(&c));
	assert_ok(config_parse(&c, "e", STR("policy from \"/srv\" { key " KEY " }\n"), &messages));
	assert_int_equal(c.follow.every_s, 300);
	assert_int_equal(messages.n, 0);
}

static void test_follow_mistakes(void **state)
{
	static const struct {
		const char *text, *says;
	} wrong[] = {
		{ "policy from", "is expected here" },
		{ "policy from \"http://p.example/b\" { key " KEY " }", "https://HOST" },
		{ "policy from \"/srv\"", "'{' is expected" },
		{ "policy from \"/srv\" { }", "'key' is missing" },
		{ "policy from \"/srv\" { key RWQ }", "public key of minisign" },
		{ "policy from \"/srv\" { key " KEY " key " KEY " key " KEY " key " KEY " key " KEY
		  " }",
		  "at most 4 keys" },
		{ "policy from \"/srv\" { key " KEY " labels \"a b\" }", "labels of letters" },
		{ "policy from \"/srv\" { key " KEY " every 0s }", "from 1s to 1d" },
		{ "policy from \"/srv\" { key " KEY " every 2d }", "from 1s to 1d" },
		{ "policy from \"/srv\" { key " KEY " ca \"/x\" }", "'ca' belongs to" },
		{ "policy from \"/srv\" { kye " KEY " }", "did you mean 'key'" },
		{ "policy from \"/srv\" { key " KEY " }\npolicy \"/x\"", "from one place" },
		{ "policy \"/x\"\npolicy from \"/srv\" { key " KEY " }", "from one place" },
	};

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		_cleanup_buf_ struct buf messages = BUF_INIT(4096);
		struct config c;

		if (config_parse(&c, "e", str_of(wrong[i].text), &messages) != -EINVAL)
			fail_msg("%s is taken", wrong[i].text);
		if (!strstr(messages.p, wrong[i].says))
			fail_msg("%s: %s", wrong[i].text, messages.p);
	}
}

static void test_learn(void **state)
{
	_cleanup_buf_ struct buf messages = BUF_INIT(4096);
	struct config c;

	assert_ok(config_parse(&c, "e", STR(""), &messages));
	assert_int_equal(c.learn_ns, 24 * 3600 * 1000000000ULL);
	assert_ok(config_parse(&c, "e", STR("learn 0s\n"), &messages));
	assert_int_equal(c.learn_ns, 0);
	assert_ok(config_parse(&c, "e", STR("learn 7d\n"), &messages));
	assert_int_equal(c.learn_ns, 7 * 86400 * 1000000000ULL);
	assert_err(config_parse(&c, "e", STR("learn 31d\n"), &messages), -EINVAL);
	assert_err(config_parse(&c, "e", STR("learn\n"), &messages), -EINVAL);
	assert_err(config_parse(&c, "e", STR("learn soon\n"), &messages), -EINVAL);
}

static void test_all_statements(void **state)
{
	_cleanup_buf_ struct buf messages = BUF_INIT(4096);
	struct config c;

	assert_ok(config_parse(&c, "e",
			       STR("watch host\ncgroup \"/test\" # mine\nrun \"/tmp/r\"\n"
				   "state \"/tmp/s\"\neve off\ninside 10.0.0.0/8, \\\n fd00::/8\n"
				   "page off\npolicy off\nstore off\n"),
			       &messages));
	assert_str(buf_str(&messages), "");
	assert_string_equal(c.cgroup, "/test");
	assert_string_equal(c.eve, "");
	assert_int_equal(c.n_inside, 2);
}

static void test_ipfix(void **state)
{
	static const char *const bad[] = {
		"ipfix\n",
		"ipfix udp\n",
		"ipfix \"udp://collector:4739\"\n",
		"ipfix \"tls://192.0.2.1:4740\"\n",
		"ipfix \"udp://192.0.2.1:4739\" domain\n",
		"ipfix \"udp://192.0.2.1:4739\" domain 4294967296\n",
		"ipfix \"udp://192.0.2.1:4739\" 7\n",
	};
	_cleanup_buf_ struct buf messages = BUF_INIT(4096);
	struct config c;

	assert_ok(config_parse(&c, "e", STR(""), &messages));
	assert_string_equal(c.ipfix, "");
	assert_ok(config_parse(&c, "e", STR("ipfix \"udp://192.0.2.1:4739\"\n"), &messages));
	assert_string_equal(c.ipfix, "udp://192.0.2.1:4739");
	assert_int_equal(c.ipfix_domain, 1);
	assert_ok(config_parse(&c, "e", STR("ipfix \"tcp://[2001:db8::1]:4739\" domain 7\n"),
			       &messages));
	assert_int_equal(c.ipfix_domain, 7);
	assert_ok(config_parse(&c, "e", STR("ipfix off\n"), &messages));
	assert_string_equal(c.ipfix, "");
	assert_str(buf_str(&messages), "");
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		buf_clear(&messages);
		assert_err(config_parse(&c, "e", str_of(bad[i]), &messages), -EINVAL);
		assert_non_null(strstr(messages.p, "e:1:"));
	}
}

static void test_findings_and_alerts(void **state)
{
	_cleanup_buf_ struct buf messages = BUF_INIT(4096);
	struct config c;

	assert_ok(config_parse(&c, "e", STR("eve off\n"), &messages));
	assert_true(c.findings); /* on unless said otherwise, and told to nobody else */
	assert_int_equal(c.n_alerts, 0);
	assert_ok(config_parse(
		&c, "e",
		STR("findings off\nalerts journal\nalerts syslog\n"
		    "alerts syslog \"udp://192.0.2.1:514\" from critical\n"
		    "alerts cef \"tcp://[2001:db8::1]:601\" from low\n"
		    "alerts cef \"tls://192.0.2.1:6514\" ca \"/etc/ca.pem\" from high\n"),
		&messages));
	assert_str(buf_str(&messages), "");
	assert_false(c.findings);
	assert_int_equal(c.n_alerts, 5);
	assert_int_equal(c.alerts[0].form, ALERT_JOURNAL);
	assert_int_equal(c.alerts[0].least, SEVERITY_MEDIUM);
	assert_int_equal(c.alerts[1].form, ALERT_SYSLOG);
	assert_string_equal(c.alerts[1].to, "local");
	assert_string_equal(c.alerts[2].to, "udp://192.0.2.1:514");
	assert_int_equal(c.alerts[2].least, SEVERITY_CRITICAL);
	assert_int_equal(c.alerts[3].form, ALERT_CEF);
	assert_int_equal(c.alerts[3].least, SEVERITY_LOW);
	assert_string_equal(c.alerts[4].ca, "/etc/ca.pem");
	assert_int_equal(c.alerts[4].least, SEVERITY_HIGH);
	for (size_t i = 0; i < 11; i++) {
		static const char *const bad[] = {
			"findings maybe\n",
			"findings\n",
			"alerts\n",
			"alerts mail\n",
			"alerts syslog \"localhost\"\n",
			"alerts syslog \"udp://name:514\"\n",
			"alerts syslog from\n",
			"alerts cef local from urgent\n",
			"alerts journal local\n",
			"alerts syslog \"tcp://192.0.2.1:601\" ca \"/etc/ca.pem\"\n",
			"alerts syslog \"tls://192.0.2.1:6514\" ca ca.pem\n",
		};

		buf_clear(&messages);
		assert_err(config_parse(&c, "e", str_of(bad[i]), &messages), -EINVAL);
		assert_non_null(strstr(messages.p, "e:1:"));
	}
	buf_clear(&messages);
	for (size_t i = 0; i <= CONFIG_MAX_ALERTS; i++)
		buf_puts(&messages, "alerts journal\n");
	{
		_cleanup_buf_ struct buf said = BUF_INIT(4096);

		assert_err(config_parse(&c, "e", buf_str(&messages), &said), -EINVAL);
		assert_non_null(strstr(said.p, "at most"));
	}
}

static void test_page(void **state)
{
	static const char *const bad[] = {
		"page\n",
		"page 8710\n",
		"page localhost:8710\n",
		"page 127.0.0.1\n",
		"page 127.0.0.1:0\n",
		"page 127.0.0.1:65536\n",
		"page ::1:8710\n",
		"page [127.0.0.1]:8710\n",
		"page [::1]8710\n",
		"page 0.0.0.0:8710\n",
		"page [::]:8710\n",
		"page 192.0.2.1:8710 tls\n",
		"page 192.0.2.1:8710 tls \"/c\"\n",
		"page 192.0.2.1:8710 tls \"c\" \"/k\"\n",
		"page 192.0.2.1:8710 tls \"/c\" \"/k\" client-ca\n",
		"page off 127.0.0.1:8710\n",
	};
	_cleanup_buf_ struct buf messages = BUF_INIT(4096);
	char text[ADDR_TEXT_MAX];
	struct config c;

	assert_ok(config_parse(&c, "e", STR(""), &messages));
	assert_true(c.page.on);
	assert_string_equal(addr_format(&c.page.addr, text), "127.0.0.1");
	assert_int_equal(c.page.port, 8710);
	assert_ok(config_parse(&c, "e", STR("page off\n"), &messages));
	assert_false(c.page.on);
	assert_ok(config_parse(&c, "e", STR("page [::1]:1\n"), &messages));
	assert_string_equal(addr_format(&c.page.addr, text), "::1");
	assert_int_equal(c.page.port, 1);
	assert_ok(config_parse(
		&c, "e", STR("page 0.0.0.0:443 tls \"/c\" \"/k\" client-ca \"/a\"\n"), &messages));
	assert_str(buf_str(&messages), "");
	assert_string_equal(c.page.cert, "/c");
	assert_string_equal(c.page.key, "/k");
	assert_string_equal(c.page.client_ca, "/a");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		buf_clear(&messages);
		assert_err(config_parse(&c, "e", str_of(bad[i]), &messages), -EINVAL);
		assert_non_null(strstr(messages.p, "e:1:"));
	}
}

static void test_gateway(void **state)
{
	_cleanup_buf_ struct buf messages = BUF_INIT(4096);
	struct config c;

	assert_ok(config_parse(&c, "e",
			       STR("watch gateway\ngateway { inside lan0, lan1.20\n outside wan0\n"
				   " leases \"/a\", \"/b\" }\n"),
			       &messages));
	assert_str(buf_str(&messages), "");
	assert_true(c.gateway);
	assert_int_equal(c.n_gate_inside, 2);
	assert_string_equal(c.gate_inside[1], "lan1.20");
	assert_int_equal(c.n_gate_outside, 1);
	assert_int_equal(c.n_gate_leases, 2);
	assert_string_equal(c.gate_leases[1], "/b");
}

static void test_history(void **state)
{
	_cleanup_buf_ struct buf messages = BUF_INIT(4096);
	struct config c;

	assert_ok(config_parse(&c, "e", STR(""), &messages));
	assert_string_equal(store_kind_name(c.store), "sqlite");
	assert_int_equal(c.keep_flows_ns, 30 * 86400 * NSEC_PER_SEC);
	assert_int_equal(c.keep_rollups_ns, 400 * 86400 * NSEC_PER_SEC);
	assert_int_equal(c.keep_bytes, 20000000000);
	assert_ok(config_parse(&c, "e", STR("store off\n"), &messages));
	assert_null(c.store);
	assert_ok(config_parse(&c, "e",
			       STR("store sqlite\nretention { flows 7d  rollups 52w,\n max_size "
				   "500mb }\nwatch host\n"),
			       &messages));
	assert_string_equal(store_kind_name(c.store), "sqlite");
	assert_int_equal(c.keep_flows_ns, 7 * 86400 * NSEC_PER_SEC);
	assert_int_equal(c.keep_rollups_ns, 364 * 86400 * NSEC_PER_SEC);
	assert_int_equal(c.keep_bytes, 500000000);
	assert_str(buf_str(&messages), "");
}

static void test_clickhouse(void **state)
{
	_cleanup_buf_ struct buf messages = BUF_INIT(4096);
	struct config c;

	assert_ok(config_parse(&c, "e", STR(""), &messages));
	assert_string_equal(c.clickhouse.url, "");
	assert_ok(config_parse(&c, "e", STR("store clickhouse { url \"http://[::1]:8123\" }\n"),
			       &messages));
	assert_string_equal(c.clickhouse.url, "http://[::1]:8123");
	assert_string_equal(c.clickhouse.database, "egret");
	assert_int_equal(c.clickhouse.spool_bytes, 10000000000);
	assert_string_equal(store_kind_name(c.store), "sqlite"); /* beside it */
	assert_ok(
		config_parse(&c, "e",
			     STR("store off\nstore clickhouse {\n url \"https://ch.example:8443\"\n"
				 "database fleet, user egret\n password-file credential\n"
				 "ca \"/x/ca.pem\"  spool 2gb\n}\nwatch host\n"),
			     &messages));
	assert_null(c.store);
	assert_string_equal(c.clickhouse.database, "fleet");
	assert_string_equal(c.clickhouse.user, "egret");
	assert_string_equal(c.clickhouse.password_file, "credential");
	assert_string_equal(c.clickhouse.ca, "/x/ca.pem");
	assert_int_equal(c.clickhouse.spool_bytes, 2000000000);
	assert_null(ship_url(&c.clickhouse, 1));
	assert_ok(
		config_parse(&c, "e",
			     STR("store clickhouse { url \"https://a:1\" \"https://b:2\"\n"
				 "url \"https://c:3\" certificate \"/x/c.pem\" key machine-key }"),
			     &messages));
	assert_string_equal(ship_url(&c.clickhouse, 0), "https://a:1");
	assert_string_equal(ship_url(&c.clickhouse, 1), "https://b:2");
	assert_string_equal(ship_url(&c.clickhouse, 2), "https://c:3");
	assert_null(ship_url(&c.clickhouse, 3));
	assert_null(ship_url(&c.clickhouse, SHIP_URLS_MAX));
	assert_string_equal(c.clickhouse.certificate, "/x/c.pem");
	assert_string_equal(c.clickhouse.key, "machine-key");
	assert_false(c.collector.at.on);
	assert_ok(
		config_parse(&c, "e",
			     STR("collector {\n listen \"[::]:8443\"\n certificate \"/c\", key k\n"
				 "client-ca \"/ca\" wait 5s\n}"),
			     &messages));
	assert_true(c.collector.at.on);
	assert_int_equal(c.collector.at.port, 8443);
	assert_string_equal(c.collector.at.client_ca, "/ca");
	assert_int_equal(c.collector.wait_ns, 5 * NSEC_PER_SEC);
	assert_str(buf_str(&messages), "");
}

static void test_mistakes(void **state)
{
	static const struct {
		const char *text, *message;
	} cases[] = {
		{ "wach host", "e:1:1: error: unknown statement; did you mean 'watch'?" },
		{ "store clickhuose { }",
		  "e:1:7: error: unknown word; did you mean 'clickhouse'?" },
		{ "store clickhouse", "e:1:17: error: '{' is expected here" },
		{ "store clickhouse { database x }", "e:1:18: error: 'url' is missing" },
		{ "store clickhouse { url \"http://a\"",
		  "e:1:18: error: the '{' of this statement is" },
		{ "store clickhouse { url \"http://u:p@a\" }",
		  "e:1:24: error: the user does not stand" },
		{ "store clickhouse { ulr \"http://a\" }",
		  "e:1:20: error: unknown word; did you mean 'url'?" },
		{ "store clickhouse { url \"http://a\" spool 1mb }",
		  "e:1:41: error: a size of at least 100mb" },
		{ "store clickhouse { url \"http://a\" ca \"/x\" }",
		  "e:1:18: error: 'ca' belongs to https" },
		{ "store clickhouse { url \"https://a\" \"http://b\" ca \"/x\" }",
		  "e:1:18: error: 'ca' belongs to https" },
		{ "store clickhouse { url \"https://a\" \"https://a\" }",
		  "e:1:36: error: this address is named twice" },
		{ "store clickhouse { url \"http://1\" \"http://2\" \"http://3\" \"http://4\" "
		  "\"http://5\" \"http://6\" \"http://7\" \"http://8\" \"http://9\" }",
		  "e:1:112: error: at most 8 addresses" },
		{ "store clickhouse { url \"https://a\" certificate \"/x\" }",
		  "e:1:18: error: 'certificate' and 'key' belong together" },
		{ "store clickhouse { url \"http://a\" certificate \"/x\" key \"/y\" }",
		  "e:1:18: error: 'certificate' belongs to https" },
		{ "store clickhouse { url \"http://a\" ca \"/x\ty\" }",
		  "e:1:38: error: a path that begins" },
		{ "collector", "e:1:10: error: '{' is expected here" },
		{ "collector { certificate \"/x\" }", "e:1:11: error: 'listen' is missing" },
		{ "collector { listen \"x\" }", "e:1:20: error: an address and a port" },
		{ "collector { listen \"0.0.0.0:1\" client-ca \"/x\" }",
		  "e:1:11: error: 'certificate' and 'key' are missing" },
		{ "collector { listen \"0.0.0.0:1\" certificate \"/x\" key k }",
		  "e:1:11: error: 'client-ca' is missing" },
		{ "collector { wait 1h }", "e:1:18: error: a time from 1s to 10m" },
		{ "collector { lisen \"x\" }",
		  "e:1:13: error: unknown word; did you mean 'listen'" },
		{ "store clickhouse { url \"http://a\" password-file \"/x\" }",
		  "e:1:18: error: 'password-file' needs a 'user'" },
		{ "store clickhouse { url \"http://a\" database \"a;b\" }",
		  "e:1:44: error: a name of letters" },
		{ "watch hots", "e:1:7: error: unknown word; did you mean 'host'?" },
		{ "watch console", "e:1:7: error: this egret can only watch a host or a gateway" },
		{ "watch gateway", "e:1:7: error: a gateway needs the statement gateway {" },
		{ "gateway { inside a }", "e:1:9: error: this has no effect without" },
		{ "watch gateway\ngateway { inside a, a }",
		  "e:2:21: error: this interface is named" },
		{ "watch gateway\ngateway { inside a outside a }",
		  "e:2:28: error: this interface is named twice" },
		{ "watch gateway\ngateway { outside a }", "e:2:9: error: a gateway needs an int" },
		{ "watch gateway\ngateway { inside abcdefghijklmnop }",
		  "e:2:18: error: the name of an interface" },
		{ "watch gateway\ngateway { inside a leases b }",
		  "e:2:27: error: a path in quotes is expected here" },
		{ "watch gateway\ngateway { inside a leases \"/1\", \"/2\", \"/3\", \"/4\", \"/5\" "
		  "}",
		  "e:2:51: error: at most 4 files of leases" },
		{ "gateway lan0", "e:1:9: error: '{' is expected here" },
		{ "\ncgroup test", "e:2:8: error: a path in quotes is expected here" },
		{ "run \"/tmp/x", "e:1:5: error: the string does not end on its line" },
		{ "run \"x\"", "e:1:5: error: a path that begins with '/'" },
		{ "cgroup \"/a/../b\"", "e:1:8: error: a plain path" },
		{ "watch host host", "e:1:12: error: the statement should end here" },
		{ "inside 10.0.0.0/33", "e:1:8: error: an address or network is expected" },
		{ "policy", "e:1:7: error: a path in quotes is expected here" },
		{ "policy on", "e:1:8: error: a path in quotes is expected here" },
		{ "policy \"/x\" enforced",
		  "e:1:13: error: unknown word; did you mean 'enforce'?" },
		{ "backstop yes", "e:1:10: error: unknown word" },
		{ "geo city \"/x\"", "e:1:5: error: unknown word" },
		{ "inside", "e:1:7: error: an address or network is expected" },
		{ "gateway { inside a", "e:1:9: error: the '{' of this statement is never closed" },
		{ "store postgres", "e:1:7: error: unknown word" },
		{ "retention 30d", "e:1:11: error: '{' is expected here" },
		{ "retention { flows 30d",
		  "e:1:11: error: the '{' of this statement is never closed" },
		{ "retention { flows 30m }", "e:1:19: error: a time of at least 1d" },
		{ "retention { max_size 20 }", "e:1:22: error: a size of at least 10mb" },
		{ "retention { flow 30d }", "e:1:13: error: unknown word; did you mean 'flows'?" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_buf_ struct buf messages = BUF_INIT(4096);
		struct config c;

		assert_err(config_parse(&c, "e", str_of(cases[i].text), &messages), -EINVAL);
		if (!strstr(messages.p, cases[i].message))
			fail_msg("for \"%s\":\n%swanted %s", cases[i].text, messages.p,
				 cases[i].message);
	}
}

static void test_all_mistakes_in_one_run(void **state)
{
	_cleanup_buf_ struct buf messages = BUF_INIT(4096);
	struct config c;

	assert_err(config_parse(&c, "e", STR("a\nb\nwatch x\n"), &messages), -EINVAL);
	assert_non_null(strstr(messages.p, "e:1:1"));
	assert_non_null(strstr(messages.p, "e:2:1"));
	assert_non_null(strstr(messages.p, "e:3:7"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_empty_is_valid),
		cmocka_unit_test(test_policy_statements),
		cmocka_unit_test(test_follow),
		cmocka_unit_test(test_follow_mistakes),
		cmocka_unit_test(test_learn),
		cmocka_unit_test(test_all_statements),
		cmocka_unit_test(test_findings_and_alerts),
		cmocka_unit_test(test_page),
		cmocka_unit_test(test_ipfix),
		cmocka_unit_test(test_gateway),
		cmocka_unit_test(test_history),
		cmocka_unit_test(test_clickhouse),
		cmocka_unit_test(test_mistakes),
		cmocka_unit_test(test_all_mistakes_in_one_run),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
