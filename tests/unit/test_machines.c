/* SPDX-License-Identifier: Apache-2.0 */
/* Who is behind an address: lease files of three servers, what a hostile client may call itself, and who takes whose address. */
#include "flow_rig.h"

#include "decode/leases.h"
#include "flow/filter.h"
#include "flow/machines.h"

#define MAC1 "\x02\0\0\0\0\x01"
#define MAC2 "\x02\0\0\0\0\x02"

static void put_lease(void *ctx, const struct lease *l)
{
	char addr[ADDR_TEXT_MAX], mac[MAC_TEXT_MAX];

	buf_printf(ctx, "%s %s %.*s%s\n", addr_format(&l->addr, addr),
		   l->has_mac ? mac_format(l->mac, mac) : "-", STR_FMT(l->name),
		   l->over ? " over" : "");
}

static void assert_leases(struct str text, const char *want)
{
	_cleanup_buf_ struct buf out = BUF_INIT(1 << 16);

	leases_parse(text, put_lease, &out);
	assert_str(buf_str(&out), want);
}

static void test_dnsmasq(void **state)
{
	assert_leases(STR("1796000000 02:00:00:00:00:01 10.0.0.5 Printer-3 01:02:00:00:00:00:01\n"
			  "0 02:00:00:00:00:02 10.0.0.6 * *\n"
			  "duid 00:01:00:01:2e:00:00:00:02:00:00:00:00:01\n"
			  "1796000000 285212673 fd00::5 nas.lan. 00:01:00:01\n"
			  "1796000000 06-01:02 10.0.0.7 token-ring *\n"),
		      "10.0.0.5 02:00:00:00:00:01 printer-3\n"
		      "10.0.0.6 02:00:00:00:00:02 \n"
		      "fd00::5 - nas.lan\n"
		      "10.0.0.7 - token-ring\n");
}

static void test_kea(void **state)
{
	assert_leases(
		STR("address,hwaddr,client_id,valid_lifetime,expire,subnet_id,fqdn_fwd,fqdn_rev,"
		    "hostname,state,user_context\n"
		    "10.0.0.5,02:00:00:00:00:01,,4000,1796000000,1,0,0,laptop.lan.,0,\n"
		    "10.0.0.6,02:00:00:00:00:02,,4000,1796000000,1,0,0,,2,\n"
		    "10.0.0.7,02:00:00:00:00:03,,0,1796000000,1,0,0,gone,0,\n"),
		"10.0.0.5 02:00:00:00:00:01 laptop.lan\n"
		"10.0.0.6 02:00:00:00:00:02  over\n"
		"10.0.0.7 02:00:00:00:00:03 gone over\n");
	assert_leases(STR("address,duid,valid_lifetime,expire,subnet_id,pref_lifetime,lease_type,"
			  "iaid,prefix_len,fqdn_fwd,fqdn_rev,hostname,hwaddr,state,user_context\r\n"
			  "fd00::9,00:01,4000,1796000000,1,3000,0,1,128,0,0,tv,"
			  "02:00:00:00:00:04,0,\r\n"),
		      "fd00::9 02:00:00:00:00:04 tv\n");
}

static void test_isc(void **state)
{
	assert_leases(STR("# The format of this file is documented in dhcpd.leases(5)\n"
			  "authoring-byte-order little-endian;\n\n"
			  "lease 10.0.0.5 {\n  starts 4 2026/01/01 00:00:00;\n"
			  "  binding state active;\n  next binding state free;\n"
			  "  hardware ethernet 02:00:00:00:00:01;\n"
			  "  client-hostname \"scanner\";\n}\n"
			  "lease 10.0.0.5 {\n  binding state free;\n"
			  "  hardware ethernet 02:00:00:00:00:01;\n}\n"
			  "lease 10.0.0.6 {\n  binding state act"),
		      "10.0.0.5 02:00:00:00:00:01 scanner\n"
		      "10.0.0.5 02:00:00:00:00:01  over\n");
}

static void test_garbage(void **state)
{
	assert_leases(STR("\0\0\0\xff\n1 2\n1 02:00:00:00:00:01 nowhere x *\n-1 a 10.0.0.1 b c\n"
			  "lease {\n}\nlease 10.0.0.300 {\n}\n\n   \n"),
		      "");
	assert_leases(STR("address,\n10.0.0.1\naddress\n"), "10.0.0.1 - \n");
	assert_leases(STR_NONE, "");
}

static void test_host_names(void **state)
{
	static const struct {
		const char *name, *want;
	} names[] = {
		{ "Printer", "printer" },
		{ "a", "a" },
		{ "3com.lan.", "3com.lan" },
		{ "a-b-1", "a-b-1" },
		{ "1234", "1234" },
		{ "-a", "" },
		{ "a-", "" },
		{ "a-.b", "" },
		{ "a..b", "" },
		{ "a..", "" },
		{ ".", "" },
		{ "*", "" },
		{ "a_b", "" },
		{ "a b", "" },
		{ "a\x1b[31m", "" },
		{ "caf\xc3\xa9", "" },
		{ "10.0.0.1", "" },
		{ "10.1", "" },
		{ "a;reboot", "" },
	};
	char ret[HOST_NAME_MAX_BYTES], longest[300];

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		assert_str(((struct str){ ret, host_name_copy(str_of(names[i].name), ret) }),
			   names[i].want);
	memset(longest, 'a', sizeof(longest));
	assert_int_equal(host_name_copy((struct str){ longest, 63 }, ret), 63);
	assert_int_equal(host_name_copy((struct str){ longest, 64 }, ret), 0);
	for (size_t i = 50; i < sizeof(longest); i += 50)
		longest[i] = '.';
	assert_int_equal(host_name_copy((struct str){ longest, 253 }, ret), 253);
	assert_int_equal(host_name_copy((struct str){ longest, 254 }, ret), 0);
}

/* ---- the table ---- */

static struct intern *texts;
static struct machine_table *table;

static int start(void **state)
{
	assert_ok(intern_new(&texts, 1000));
	assert_ok(machine_table_new(&table, texts, 4));
	return 0;
}

static int stop(void **state)
{
	table = machine_table_free(table);
	assert_int_equal(intern_count(texts), 0);
	texts = intern_free(texts);
	return 0;
}

static void on_lease(void *ctx, const struct lease *l)
{
	machine_table_lease(table, l);
}

static void leases(const char *text)
{
	machine_table_leases_begin(table);
	leases_parse(str_of(text), on_lease, NULL);
	machine_table_leases_end(table);
}

static void neighbour(const char *addr, const char *mac)
{
	struct addr a = rig_addr(addr);

	machine_table_neighbour(table, &a, (const uint8_t *)mac);
}

static struct machine *get(const char *addr)
{
	struct addr a = rig_addr(addr);

	return machine_table_get(table, &a);
}

static void assert_machine(const struct machine *m, const char *want)
{
	char mac[MAC_TEXT_MAX], text[128];

	snprintf(text, sizeof(text), "%s %s %s", m->name ? m->name->p : "-",
		 m->has_mac ? mac_format(m->mac, mac) : "-", machine_source(m) ?: "-");
	assert_string_equal(text, want);
}

/* A flow comes first, then what the kernel and the server know; the flow sees it. */
static void test_learned_later(void **state)
{
	struct machine *m = get("10.0.0.5"), *six = get("fd00::5");

	assert_machine(m, "- - -");
	neighbour("10.0.0.5", MAC1);
	assert_machine(m, "- 02:00:00:00:00:01 neighbour");
	leases("1 02:00:00:00:00:01 10.0.0.5 printer *\n");
	assert_machine(m, "printer 02:00:00:00:00:01 dhcp");
	/* an address that nobody leased, of the same machine */
	assert_machine(six, "- - -");
	neighbour("fd00::5", MAC1);
	assert_machine(six, "printer 02:00:00:00:00:01 dhcp");
	leases("1 02:00:00:00:00:01 10.0.0.5 scanner *\n");
	assert_machine(six, "scanner 02:00:00:00:00:01 dhcp");
	leases("");
	assert_machine(m, "- 02:00:00:00:00:01 neighbour");
	assert_ptr_equal(m, get("10.0.0.5"));
	machine_put(table, m);
	machine_put(table, m);
	machine_put(table, six);
}

/* Another MAC address at the same address: old flows keep who it was, new ones do not inherit the name. */
static void test_taken_over(void **state)
{
	struct machine *before, *after;

	leases("1 02:00:00:00:00:01 10.0.0.5 printer *\n");
	neighbour("10.0.0.5", MAC1);
	before = get("10.0.0.5");
	neighbour("10.0.0.5", MAC2);
	after = get("10.0.0.5");
	assert_machine(before, "printer 02:00:00:00:00:01 dhcp");
	assert_machine(after, "- 02:00:00:00:00:02 neighbour");
	leases("1 02:00:00:00:00:02 10.0.0.5 intruder *\n");
	assert_machine(before, "printer 02:00:00:00:00:01 dhcp");
	assert_machine(after, "intruder 02:00:00:00:00:02 dhcp");
	machine_put(table, before);
	machine_put(table, after);
	neighbour("10.0.0.5", NULL);
	assert_int_equal(machine_table_count(table), 0);
}

/* A lease that was given to another name of the same address, and one that was given back. */
static void test_leases_in_order(void **state)
{
	struct machine *m = get("10.0.0.5");

	leases("lease 10.0.0.5 {\n client-hostname \"one\";\n}\n"
	       "lease 10.0.0.5 {\n client-hostname \"two\";\n}\n");
	assert_machine(m, "two - dhcp");
	assert_int_equal(machine_table_leases(table), 1);
	leases("lease 10.0.0.5 {\n client-hostname \"one\";\n}\n"
	       "lease 10.0.0.5 {\n binding state free;\n}\n");
	assert_machine(m, "- - -");
	assert_int_equal(machine_table_leases(table), 0);
	machine_put(table, m);
}

static void test_full(void **state)
{
	struct machine *held[4];
	char addr[16];

	/* neighbours that no flow asks for make room */
	for (int i = 0; i < 100; i++) {
		snprintf(addr, sizeof(addr), "10.0.1.%d", i);
		neighbour(addr, MAC1);
	}
	assert_int_equal(machine_table_count(table), 4);
	assert_int_equal(machine_table_lost(table), 0);
	for (int i = 0; i < 4; i++) {
		snprintf(addr, sizeof(addr), "10.0.2.%d", i);
		held[i] = get(addr);
		assert_non_null(held[i]);
	}
	assert_null(get("10.0.3.1"));
	assert_int_equal(machine_table_lost(table), 1);
	machine_put(table, NULL);
	for (int i = 0; i < 4; i++)
		machine_put(table, held[i]);
	assert_int_equal(machine_table_count(table), 0);
	leases("1 * 10.0.0.1 a *\n1 * 10.0.0.2 b *\n1 * 10.0.0.3 c *\n1 * 10.0.0.4 d *\n"
	       "1 * 10.0.0.5 e *\n");
	assert_int_equal(machine_table_leases(table), 4);
	assert_int_equal(machine_table_lost(table), 2);
}

/* ---- flows ---- */

static struct flow *only;

static void on_flow(void *ctx, const struct flow *f)
{
	only = (struct flow *)f;
}

static bool matches(const char *text)
{
	struct filter_error error;
	struct filter *f;
	bool ret;

	assert_ok(filter_parse(str_of(text), &f, &error));
	ret = filter_match(f, only, 0);
	filter_free(f);
	return ret;
}

static void test_flow(void **state)
{
	struct flow_config cfg = { .machines = table };
	struct event e;
	struct rig g;

	rig_start(&g, cfg, true);
	neighbour("10.0.0.5", MAC1);
	leases("1 02:00:00:00:00:01 10.0.0.5 printer-3 *\n");
	/* it answers somebody outside: the machine inside is the responder */
	e = rig_event(&g, EVENT_OPEN, IPPROTO_TCP, "10.0.0.5", 80, "198.51.100.7", 5555);
	e.open = (struct event_open){ .forwarded = true, .inbound = true, .owner_unknown = true };
	flow_table_event(g.t, &e);
	flow_table_event(g.t, &e);
	flow_table_each(g.t, on_flow, NULL);
	assert_machine(only->machine, "printer-3 02:00:00:00:00:01 dhcp");
	assert_true(matches("machine:printer*"));
	assert_true(matches("machine:02:00:00:00:00:01"));
	assert_true(matches("printer"));
	assert_false(matches("machine:scanner"));
	rig_stop(&g);
	neighbour("10.0.0.5", NULL);
	assert_int_equal(machine_table_count(table), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_dnsmasq),
		cmocka_unit_test(test_kea),
		cmocka_unit_test(test_isc),
		cmocka_unit_test(test_garbage),
		cmocka_unit_test(test_host_names),
		cmocka_unit_test_setup_teardown(test_learned_later, start, stop),
		cmocka_unit_test_setup_teardown(test_taken_over, start, stop),
		cmocka_unit_test_setup_teardown(test_leases_in_order, start, stop),
		cmocka_unit_test_setup_teardown(test_full, start, stop),
		cmocka_unit_test_setup_teardown(test_flow, start, stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
