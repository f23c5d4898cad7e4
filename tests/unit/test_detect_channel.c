/* SPDX-License-Identifier: Apache-2.0 */
/* Kinds of connection: where a protocol is, how long it stays, who speaks and when. */
#include "detect_rig_flows.h"

#include "detect/places.h"

static struct flow *call(struct drig *g, const char *to, uint16_t port, enum app_proto app)
{
	struct flow *f = drig_open(g, to, port, IPPROTO_TCP, app);

	if (app == APP_TLS)
		f->ja4 = intern_get(g->texts, STR("t13i1516h2_8daaf6152771_e5627efa2ab1"));
	drig_moves(g, f, TO_SERVER, 200, 0.1);
	drig_moves(g, f, TO_CLIENT, 900, 3);
	drig_moves(g, f, TO_SERVER, 40, 0.1);
	return f;
}

static int said(const char *to, uint16_t port, enum app_proto app, enum evidence_id id)
{
	struct drig *g = drig_new(DETECT_FILE);
	int db = drig_db(g, call(g, to, port, app), id);

	drig_free(g);
	return db;
}

static void test_ports(void **state)
{
	assert_int_equal(said(FAR, 443, APP_HTTP, E_WRONG_PORT), 10);
	assert_int_equal(said(NEAR, 443, APP_HTTP, E_WRONG_PORT), 5);
	assert_int_equal(said(FAR, 53, APP_TLS, E_WRONG_PORT), 10);
	assert_int_equal(said(FAR, 53, APP_UNKNOWN, E_WRONG_PORT), 10);
	assert_int_equal(said(FAR, 443, APP_SSH, E_WRONG_PORT), 8);
	assert_int_equal(said(FAR, 4041, APP_TLS, E_ODD_PORT), 8);
	assert_int_equal(said(FAR, 443, APP_TLS, E_ODD_PORT), 0);
	assert_int_equal(said(FAR, 443, APP_TLS, E_WRONG_PORT), 0);
	assert_int_equal(said(FAR, 8443, APP_TLS, E_ODD_PORT), 0);
	assert_int_equal(said(FAR, 80, APP_HTTP, E_WRONG_PORT), 0);
	assert_int_equal(said(FAR, 22, APP_SSH, E_WRONG_PORT), 0);
	assert_int_equal(said(FAR, 53, APP_DNS, E_WRONG_PORT), 0);
	assert_int_equal(said(FAR, 1080, APP_SOCKS, E_STRAY), 10);
	assert_int_equal(said(NEAR, 1080, APP_SOCKS, E_STRAY), 0);
	assert_int_equal(said(FAR, 3389, APP_RDP, E_REMOTE_CONTROL), 8);
	assert_int_equal(said(NEAR, 3389, APP_RDP, E_REMOTE_CONTROL), 0);
}

static int unknown(const char *to, uint16_t port, uint8_t proto, enum flow_first first, bool mid)
{
	struct drig *g = drig_new(DETECT_FILE);
	struct flow *f = drig_open(g, to, port, proto, APP_UNDECIDED);
	int db;

	f->mid_stream = mid;
	drig_moves(g, f, TO_SERVER, 7, 0);
	/* It takes a while until the bytes have told that nobody knows them. */
	drig_moves(g, f, TO_SERVER, 140, 3);
	f->app = APP_UNKNOWN;
	f->first = first;
	drig_moves(g, f, TO_SERVER, 140, 5);
	db = drig_db(g, f, E_UNKNOWN_PROTOCOL);
	drig_free(g);
	return db;
}

static void test_unknown(void **state)
{
	assert_int_equal(unknown(FAR, 8219, IPPROTO_TCP, FIRST_TEXT, false), 12);
	assert_int_equal(unknown(FAR, 8219, IPPROTO_TCP, FIRST_RANDOM, false), 9);
	assert_int_equal(unknown(FAR, 8219, IPPROTO_TCP, FIRST_BINARY, false), 7);
	assert_int_equal(unknown(NEAR, 8219, IPPROTO_TCP, FIRST_BINARY, false), 4);
	assert_int_equal(unknown(FAR, 8219, IPPROTO_TCP, FIRST_TEXT, true),
			 0); /* its beginning was not seen */
	assert_int_equal(unknown(FAR, 27017, IPPROTO_TCP, FIRST_BINARY, false), 0);
	assert_int_equal(unknown("149.154.167.91", 5222, IPPROTO_TCP, FIRST_RANDOM, false), 0);
	assert_int_equal(unknown("149.154.167.91", 8888, IPPROTO_TCP, FIRST_RANDOM, false), 0);
	assert_int_equal(unknown("10.0.0.255", 8888, IPPROTO_UDP, FIRST_TEXT, false), 0);
	assert_int_equal(unknown(FAR, 40123, IPPROTO_UDP, FIRST_BINARY, false), 3);
}

/* Who calls many addresses by number is a peer of many, and no single one of them is odd. */
static void test_many(void **state)
{
	struct drig *g = drig_new(DETECT_FILE);
	char to[32];
	struct flow *f = NULL;

	for (int i = 0; i < 40; i++) {
		snprintf(to, sizeof(to), "203.0.114.%d", 10 + i);
		f = call(g, to, 40000, APP_UNKNOWN);
	}
	assert_int_equal(drig_db(g, f, E_UNKNOWN_PROTOCOL), 3);
	drig_free(g);
}

static void test_pushed(void **state)
{
	struct drig *g = drig_new(DETECT_FILE);
	struct flow *f = drig_open(g, NEAR, 1234, IPPROTO_TCP, APP_UNDECIDED);

	for (int i = 0; i < 240; i++)
		drig_moves(g, f, TO_CLIENT, 32, 30 + (i % 3) * 0.01);
	f->app = APP_UNKNOWN;
	drig_ends(g, f);
	drig_finish(g);
	assert_int_equal(drig_db(g, f, E_PUSHED), evidence_rows[E_PUSHED].most);
	assert_int_equal(drig_db(g, f, E_LONG), 5);
	assert_int_equal(g->told, 1);
	assert_int_equal(g->worst, SEVERITY_MEDIUM);
	drig_free(g);
}

static void test_pushed_at_random(void **state)
{
	struct drig *g = drig_new(DETECT_FILE);
	struct flow *f = drig_open(g, NEAR, 1234, IPPROTO_TCP, APP_UNKNOWN);
	uint32_t x = 1;

	for (int i = 0; i < 100; i++) {
		x = x * 1664525 + 1013904223;
		/* Exponential: seldom regular. */
		drig_moves(g, f, TO_CLIENT, 32,
			   1 - 30 * __builtin_log((x >> 8) / 16777216.0 + 1e-9));
	}
	assert_true(drig_db(g, f, E_PUSHED) <= 4);
	drig_free(g);
}

static struct flow *converse(struct drig *g, double pace_s, uint64_t up, uint64_t down,
			     uint16_t port)
{
	struct flow *f = drig_open(g, FAR, port, IPPROTO_TCP, APP_UNKNOWN);

	for (int i = 0; i < 20; i++) {
		drig_moves(g, f, TO_CLIENT, down, pace_s);
		drig_moves(g, f, TO_SERVER, up, 0.05);
	}
	drig_ends(g, f);
	return f;
}

static void test_turns(void **state)
{
	struct drig *g = drig_new(DETECT_FILE);

	assert_int_equal(drig_db(g, converse(g, 3, 600, 12, 4444), E_INTERACTIVE), 10);
	assert_int_equal(drig_db(g, converse(g, 3, 20, 12, 4445), E_INTERACTIVE), 5);
	assert_int_equal(drig_db(g, converse(g, 0.01, 600, 12, 4446), E_INTERACTIVE),
			 0); /* no person */
	assert_int_equal(drig_db(g, converse(g, 3, 600, 4000, 4447), E_INTERACTIVE),
			 0); /* no commands */
	assert_int_equal(drig_db(g, converse(g, 3, 600, 12, 27017), E_INTERACTIVE),
			 0); /* a database */
	drig_free(g);
}

static int aged(enum app_proto app, double hours, bool mid)
{
	struct drig *g = drig_new(DETECT_FILE);
	struct flow *f = call(g, FAR, 8219, app);
	int db;

	f->mid_stream = mid;
	drig_moves(g, f, TO_SERVER, 10, hours * 3600);
	drig_ends(g, f);
	db = drig_db(g, f, E_LONG);
	drig_free(g);
	return db;
}

static void test_age(void **state)
{
	assert_int_equal(aged(APP_UNKNOWN, 0.9, false), 0);
	assert_int_equal(aged(APP_UNKNOWN, 2, false), 5);
	assert_int_equal(aged(APP_UNKNOWN, 8, false), 9);
	assert_int_equal(aged(APP_UNKNOWN, 200, false), 12);
	assert_int_equal(aged(APP_UNKNOWN, 8, true), 4); /* who knows what it was called */
	assert_int_equal(aged(APP_TLS, 8, false), 5);
	assert_int_equal(aged(APP_SSH, 8, false), 0);
}

static void test_upload(void **state)
{
	struct drig *g = drig_new(DETECT_FILE);
	struct flow *c = drig_open(g, FAR, 21, IPPROTO_TCP, APP_FTP), *f;

	drig_names(g, c, "ftp.example.net");
	drig_moves(g, c, TO_CLIENT, 100, 0);
	drig_moves(g, c, TO_SERVER, 100, 0.1);
	f = drig_open(g, FAR, 44523, IPPROTO_TCP, APP_UNKNOWN);
	drig_names(g, f, "ftp.example.net");
	f->first = FIRST_TEXT;
	drig_moves(g, f, TO_SERVER, 533, 0.1);
	drig_ends(g, f);
	assert_int_equal(drig_db(g, f, E_UNKNOWN_PROTOCOL), 0); /* a file is no protocol */
	drig_free(g);
}

/* Of one connection alone nothing is made, however odd. */
static void test_alone(void **state)
{
	static const struct {
		uint16_t port;
		enum app_proto app;
	} odd[] = { { 443, APP_HTTP },     { 53, APP_UNKNOWN }, { 4041, APP_TLS },
		    { 8219, APP_UNKNOWN }, { 1080, APP_SOCKS }, { 3389, APP_RDP },
		    { 6667, APP_IRC },     { 445, APP_SMB } };

	for (size_t i = 0; i < ARRAY_SIZE(odd); i++) {
		struct drig *g = drig_new(DETECT_FILE);

		drig_ends(g, call(g, FAR, odd[i].port, odd[i].app));
		drig_finish(g);
		assert_int_equal(g->told, 0);
		drig_free(g);
	}
}

static void test_places(void **state)
{
	struct intern *texts;
	struct addr a;

	assert_ok(intern_new(&texts, 100));
	assert_true(port_is_home(APP_TLS, 443));
	assert_false(port_is_home(APP_TLS, 4041));
	assert_true(port_is_home(APP_BITTORRENT, 51111)); /* goes where it likes */
	assert_true(port_has_service(27017));
	assert_false(port_has_service(8219));
	assert_ok(addr_parse(STR("149.154.167.91"), &a));
	assert_string_equal(network_owner(&a), "Telegram");
	assert_ok(addr_parse(STR("203.0.114.1"), &a));
	assert_null(network_owner(&a));
	assert_false(addr_is_public_resolver(&a));
	assert_ok(addr_parse(STR("2606:4700:4700::1111"), &a));
	assert_true(addr_is_public_resolver(&a));
	assert_ok(addr_parse(STR("192.168.1.255"), &a));
	assert_true(addr_is_broadcast(&a));
	assert_int_equal(name_kind(intern_get(texts, STR("a.b.duckdns.org"))), NAME_DYNAMIC);
	assert_int_equal(name_kind(intern_get(texts, STR("notduckdns.org"))), NAME_ORDINARY);
	assert_int_equal(name_kind(intern_get(texts, STR("api.ipify.org"))), NAME_TELLS_ADDRESS);
	assert_int_equal(name_kind(NULL), NAME_ORDINARY);
	intern_free(texts);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ports),
		cmocka_unit_test(test_unknown),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_pushed),
		cmocka_unit_test(test_pushed_at_random),
		cmocka_unit_test(test_turns),
		cmocka_unit_test(test_age),
		cmocka_unit_test(test_upload),
		cmocka_unit_test(test_alone),
		cmocka_unit_test(test_places),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
