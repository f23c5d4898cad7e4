/* SPDX-License-Identifier: Apache-2.0 */
/* TLS libraries that change, are borrowed, or are nobody else's. */
#include "detect_rig_flows.h"

#include "base/buf.h"

#define DAY_S 86400.0
#define OWN "t13d1714h2_5b57614c22b0_3d5424432f57"
#define OTHER "t13d1516h2_8daaf6152771_e5627efa2ab1"

static const struct record_tls none;

static struct flow *shake(struct drig *g, struct proc *proc, const char *from, const char *to,
			  const char *ja4, double after_s)
{
	struct flow *f;

	g->now += (uint64_t)(after_s * NSEC_PER_SEC);
	f = drig_open(g, to, 443, IPPROTO_TCP, APP_TLS);
	f->key.src = drig_addr(from);
	f->proc = proc;
	f->ja4 = intern_get(g->texts, str_of(ja4));
	drig_tells(g, (struct record){ .type = RECORD_TLS, .flow = f, .tls = &none });
	drig_ends(g, f);
	return f;
}

static struct proc program(struct drig *g, const char *exe)
{
	return (struct proc){ .refs = 1000,
			      .pid = 7,
			      .exe = intern_get(g->texts, str_of(exe)),
			      .exe_state = EXE_FILE };
}

/* A fleet of others, so that no fingerprint is everybody's. */
static void others(struct drig *g, int n, int each)
{
	char from[32], to[32], ja4[40];

	for (int i = 0; i < n; i++)
		for (int k = 0; k < each; k++) {
			snprintf(from, sizeof(from), "10.0.1.%d", i);
			snprintf(to, sizeof(to), "203.0.115.%d", k % 7);
			snprintf(ja4, sizeof(ja4), "t13d0%d12h2_000000000000_000000000000", k % 3);
			shake(g, NULL, from, to, ja4, 60);
		}
}

static void test_new_print(void **state)
{
	struct drig *g = drig_new(DETECT_HOST);
	struct proc p = program(g, "/usr/bin/agent");
	struct flow *f = NULL;

	others(g, 5, 40);
	for (int i = 0; i < 60; i++)
		shake(g, &p, ME, FAR, OWN, DAY_S / 6);
	f = shake(g, &p, ME, "203.0.114.10", OTHER, 60);
	assert_int_equal(drig_db(g, f, E_NEW_PRINT), 0); /* an update, perhaps */
	shake(g, &p, ME, FAR, OWN, 3600);
	f = shake(g, &p, ME, "203.0.114.10", OTHER, 3600);
	assert_int_equal(drig_db(g, f, E_NEW_PRINT), evidence_rows[E_NEW_PRINT].most);
	drig_free(g);
}

static void test_update(void **state)
{
	struct drig *g = drig_new(DETECT_HOST);
	struct proc p = program(g, "/usr/bin/agent");
	struct flow *f = NULL;

	others(g, 5, 40);
	for (int i = 0; i < 60; i++)
		shake(g, &p, ME, FAR, OWN, DAY_S / 6);
	for (int i = 0; i < 60; i++)
		f = shake(g, &p, ME, FAR, OTHER, DAY_S / 20);
	assert_int_equal(drig_db(g, f, E_NEW_PRINT), 0);
	drig_free(g);
}

static int borrow(const char *exe, int by_browser)
{
	struct drig *g = drig_new(DETECT_HOST);
	struct proc browser = program(g, "/usr/lib/firefox/firefox"), p = program(g, exe);
	int db;

	others(g, 5, 40);
	for (int i = 0; i < by_browser; i++)
		shake(g, &browser, ME, "203.0.114.10", OTHER, 60);
	db = drig_db(g, shake(g, &p, ME, FAR, OTHER, 60), E_BORROWED_PRINT);
	drig_free(g);
	return db;
}

static void test_borrowed(void **state)
{
	assert_int_equal(borrow("/usr/bin/python3.11", 200), 10);
	assert_int_equal(borrow("/opt/chat/chat", 200), 4); /* perhaps it has a browser inside */
	assert_int_equal(borrow("/usr/bin/python3.11", 10), 0);
	assert_int_equal(borrow("/usr/lib/firefox/firefox-bin", 200), 0);
}

/* One fingerprint for all: a proxy's, and nobody's. */
static void test_proxy(void **state)
{
	struct drig *g = drig_new(DETECT_HOST);
	struct proc browser = program(g, "/usr/lib/firefox/firefox"),
		    p = program(g, "/usr/bin/python3.11");
	struct proc more[3] = { program(g, "/usr/bin/a"), program(g, "/usr/bin/b"),
				program(g, "/usr/bin/c") };
	struct flow *f = NULL;

	for (int i = 0; i < 300; i++)
		shake(g, &browser, ME, "203.0.114.10", OTHER, 60);
	for (int i = 0; i < 3; i++)
		shake(g, &more[i], ME, "203.0.114.11", OTHER, 60);
	f = shake(g, &p, ME, FAR, OTHER, 60);
	assert_int_equal(drig_db(g, f, E_BORROWED_PRINT), 0);
	drig_free(g);
}

static void test_rare(void **state)
{
	struct drig *g = drig_new(DETECT_FILE);
	struct flow *f;

	others(g, 6, 50);
	f = shake(g, NULL, ME, FAR, OWN, 3600);
	assert_int_equal(drig_db(g, f, E_RARE_PRINT), evidence_rows[E_RARE_PRINT].most);
	f = shake(g, NULL, "10.0.1.1", "203.0.114.12", "t13d0012h2_000000000000_000000000000", 60);
	assert_int_equal(drig_db(g, f, E_RARE_PRINT), 0);
	drig_free(g);
}

static int old(const char *ja4, const char *name, uint64_t year)
{
	struct drig *g = drig_new(DETECT_FILE);
	struct flow *f;
	int db;

	g->now = (year - 1970) * 31556952 * NSEC_PER_SEC;
	if (year > 2023)
		detect_tick(g->d, g->now);
	else
		g->d->now_ns = g->now;
	f = drig_open(g, FAR, 443, IPPROTO_TCP, APP_TLS);
	if (name)
		drig_call(g, f, name, NAME_SNI);
	f->ja4 = intern_get(g->texts, str_of(ja4));
	drig_tells(g, (struct record){ .type = RECORD_TLS, .flow = f, .tls = &none });
	db = drig_db(g, f, E_OLD_TLS);
	drig_free(g);
	return db;
}

static void test_old(void **state)
{
	assert_int_equal(old("t10i070600_c50f5591e341_1a3805c3aa63", NULL, 2024), 12);
	assert_int_equal(old("t10d070600_c50f5591e341_1a3805c3aa63", "old.example", 2024), 4);
	assert_int_equal(old("ts3i070000_c50f5591e341_1a3805c3aa63", NULL, 2024), 12);
	assert_int_equal(old("t12i070600_c50f5591e341_1a3805c3aa63", NULL, 2024), 0);
	assert_int_equal(old("t10i070600_c50f5591e341_1a3805c3aa63", NULL, 2017), 6);
	assert_int_equal(old("t10i070600_c50f5591e341_1a3805c3aa63", NULL, 2012), 0);
}

/* What a program has worn for a week is known after a restart. */
static void test_kept(void **state)
{
	struct drig *g = drig_new(DETECT_HOST), *after;
	struct buf file = BUF_INIT(1 << 20);
	struct proc p = program(g, "/usr/bin/agent"), again;
	struct flow *f;

	others(g, 5, 40);
	for (int i = 0; i < 60; i++)
		shake(g, &p, ME, FAR, OWN, DAY_S / 6);
	assert_ok(detect_save(g->d, &file));

	after = drig_new(DETECT_HOST);
	after->d = detect_free(after->d);
	assert_ok(detect_new(
		&after->d, &(struct detect_config){ .vantage = DETECT_HOST, .texts = after->texts },
		(struct finding_out){ drig_on_finding, after }));
	assert_ok(detect_load(after->d, buf_str(&file)));
	after->now = g->now;
	again = program(after, "/usr/bin/agent");
	shake(after, &again, ME, "203.0.114.10", OTHER, 60);
	shake(after, &again, ME, FAR, OWN, 3600);
	f = shake(after, &again, ME, "203.0.114.10", OTHER, 3600);
	assert_int_equal(drig_db(after, f, E_NEW_PRINT), evidence_rows[E_NEW_PRINT].most);
	buf_done(&file);
	drig_free(g);
	drig_free(after);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_new_print), cmocka_unit_test(test_update),
		cmocka_unit_test(test_borrowed),  cmocka_unit_test(test_proxy),
		cmocka_unit_test(test_rare),      cmocka_unit_test(test_old),
		cmocka_unit_test(test_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
