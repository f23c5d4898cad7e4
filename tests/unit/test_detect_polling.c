/* SPDX-License-Identifier: Apache-2.0 */
/* Short connections one after the other. */
#include "detect_rig_flows.h"

static struct flow *poll(struct drig *g, const char *to, enum app_proto app, const char *name,
			 uint64_t up, double length_s, double gap_s)
{
	struct flow *f;

	g->now += (uint64_t)(gap_s * NSEC_PER_SEC);
	f = drig_open(g, to, 443, IPPROTO_TCP, app);
	if (name)
		drig_call(g, f, name, NAME_SNI);
	drig_moves(g, f, TO_SERVER, up, 0.01);
	drig_moves(g, f, TO_CLIENT, 300, length_s);
	drig_moves(g, f, TO_SERVER, 20, 0.01);
	drig_ends(g, f);
	return f;
}

static int polled(int n, const char *to, enum app_proto app, const char *name, uint64_t spread,
		  double length_s, double gap_s)
{
	struct drig *g = drig_new(DETECT_FILE);
	struct flow *f = NULL;
	int db;

	for (int i = 0; i < n; i++) /* gaps of all lengths: nothing regular */
		f = poll(g, to, app, name, 640 + (uint64_t)(i * 7919) % spread, length_s,
			 gap_s * (0.1 + (double)(i * 37 % 20) / 10));
	db = drig_db(g, f, E_POLLING);
	drig_free(g);
	return db;
}

static void test_polling(void **state)
{
	assert_int_equal(polled(11, NEAR, APP_TLS, NULL, 30, 0.1, 3), 0);
	assert_int_equal(polled(14, NEAR, APP_TLS, NULL, 30, 0.1, 5), 7);
	assert_int_equal(polled(20, FAR, APP_HTTP, NULL, 30, 0.1, 3), 10);
	assert_int_equal(polled(30, NEAR, APP_TLS, NULL, 30, 0.1, 3), 14);
	assert_int_equal(polled(30, FAR, APP_TLS, "a.example", 30, 0.1, 3), 0); /* it has a name */
	assert_int_equal(polled(30, FAR, APP_TLS, NULL, 5000, 0.1, 3), 0);      /* of all sizes */
	assert_int_equal(polled(30, FAR, APP_TLS, NULL, 30, 60, 3), 0);         /* long ones */
	assert_int_equal(polled(30, FAR, APP_TLS, NULL, 30, 0.1, 0.3), 0);      /* a page loads */
	assert_int_equal(polled(30, FAR, APP_DNS, NULL, 30, 0.1, 3), 0);
	assert_int_equal(polled(30, "149.154.167.91", APP_TLS, NULL, 30, 0.1, 3), 0);
}

/* A browser opens several at a time. */
static void test_beside(void **state)
{
	struct drig *g = drig_new(DETECT_FILE);
	struct flow *f[4];

	for (int i = 0; i < 10; i++) {
		for (int k = 0; k < 4; k++) {
			f[k] = drig_open(g, FAR, 443, IPPROTO_TCP, APP_TLS);
			drig_moves(g, f[k], TO_SERVER, 640, 0.01);
		}
		for (int k = 0; k < 4; k++)
			drig_moves(g, f[k], TO_SERVER, 1, 1);
		for (int k = 0; k < 4; k++) {
			drig_moves(g, f[k], TO_CLIENT, 300, 0.1);
			drig_ends(g, f[k]);
		}
		g->now += 5 * NSEC_PER_SEC;
	}
	assert_int_equal(drig_db(g, f[0], E_POLLING), 0);
	drig_free(g);
}

/* A flood of addresses called once does not push out one that is called again and again. */
static void test_flood(void **state)
{
	struct drig *g = drig_new(DETECT_FILE);
	char to[32];
	struct flow *f = NULL;

	for (int i = 0; i < 30; i++) {
		f = poll(g, FAR, APP_TLS, NULL, 640, 0.1, 3);
		for (int k = 0; k < 600; k++) {
			snprintf(to, sizeof(to), "203.%d.%d.%d", 1 + i, k / 200, 1 + k % 200);
			poll(g, to, APP_TLS, NULL, 640, 0.1, 0);
		}
	}
	f = poll(g, FAR, APP_TLS, NULL, 640, 0.1, 3);
	assert_int_equal(drig_db(g, f, E_POLLING), 14);
	drig_free(g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_polling),
		cmocka_unit_test(test_beside),
		cmocka_unit_test(test_flood),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
