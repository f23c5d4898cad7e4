/* SPDX-License-Identifier: Apache-2.0 */
/* Names of connections against names of addresses, and certificates. */
#include "detect_rig_flows.h"

static void browse(struct drig *g, int n)
{
	char name[64], to[32];

	for (int i = 0; i < n; i++) {
		struct flow *f;

		snprintf(name, sizeof(name), "www.site%d.example", i);
		snprintf(to, sizeof(to), "203.0.115.%d", i + 1);
		f = drig_open(g, to, 443, IPPROTO_TCP, APP_TLS);
		drig_names(g, f, name);
		drig_call(g, f, name, NAME_SNI);
		drig_moves(g, f, TO_SERVER, 500, 0.2);
		drig_tells(g, (struct record){
				      .type = RECORD_TLS,
				      .flow = f,
				      .tls = &(struct record_tls){ .sni = text_str(f->name) } });
		drig_ends(g, f);
		assert_int_equal(drig_db(g, f, E_NO_SNI), 0);
		assert_int_equal(drig_db(g, f, E_NOT_ASKED), 0);
		assert_int_equal(drig_db(g, f, E_NAME_MISMATCH), 0);
	}
}

static struct flow *hello(struct drig *g, const char *to, const char *sni, struct record_tls tls)
{
	struct flow *f = drig_open(g, to, 443, IPPROTO_TCP, APP_TLS);
	struct addr a;

	tls.sni = str_of(sni);
	if (sni && addr_parse(tls.sni, &a) < 0)
		drig_call(g, f, sni, NAME_SNI);
	drig_tells(g, (struct record){ .type = RECORD_TLS, .flow = f, .tls = &tls });
	return f;
}

static void test_no_name(void **state)
{
	struct drig *g = drig_new(DETECT_FILE);

	/* Nobody is seen to ask for names: little is said. */
	assert_int_equal(drig_db(g, hello(g, FAR, NULL, (struct record_tls){ 0 }), E_NO_SNI), 3);
	browse(g, 10);
	assert_int_equal(
		drig_db(g, hello(g, "203.0.114.10", NULL, (struct record_tls){ 0 }), E_NO_SNI), 6);
	assert_int_equal(drig_db(g, hello(g, NEAR, NULL, (struct record_tls){ 0 }), E_NO_SNI), 4);
	assert_int_equal(drig_db(g, hello(g, "8.8.8.8", NULL, (struct record_tls){ 0 }), E_NO_SNI),
			 0);
	assert_int_equal(
		drig_db(g, hello(g, "149.154.167.91", NULL, (struct record_tls){ 0 }), E_NO_SNI),
		0);
	drig_free(g);
}

static void test_names(void **state)
{
	struct drig *g = drig_new(DETECT_FILE);
	struct flow *f;

	f = hello(g, FAR, "cdn.nowhere.example", (struct record_tls){ 0 });
	assert_int_equal(drig_db(g, f, E_NOT_ASKED), 0); /* DNS is not visible */
	browse(g, 12);
	f = hello(g, "203.0.114.11", "www.never-asked.example", (struct record_tls){ 0 });
	assert_int_equal(drig_db(g, f, E_NOT_ASKED), 4);
	f = hello(g, "203.0.114.12", "203.0.114.12", (struct record_tls){ 0 });
	assert_int_equal(drig_db(g, f, E_NAME_IS_ADDRESS), 4);

	f = drig_open(g, "203.0.114.13", 443, IPPROTO_TCP, APP_TLS);
	drig_names(g, f, "evil.other-owner.example");
	drig_call(g, f, "www.front.example", NAME_SNI);
	drig_tells(g, (struct record){
			      .type = RECORD_TLS,
			      .flow = f,
			      .tls = &(struct record_tls){ .sni = STR("www.front.example") } });
	assert_int_equal(drig_db(g, f, E_NAME_MISMATCH), evidence_rows[E_NAME_MISMATCH].most);
	drig_free(g);
}

static int certified(const char *to, const char *sni, struct record_certificate c)
{
	struct drig *g = drig_new(DETECT_FILE);
	int db = drig_db(g, hello(g, to, sni, (struct record_tls){ .certificate = &c }),
			 E_CERTIFICATE);

	drig_free(g);
	return db;
}

static struct record_certificate lasting(int64_t days, bool self, const char *issuer)
{
	return (struct record_certificate){ .has_validity = true,
					    .not_before_s = 1700000000,
					    .not_after_s = 1700000000 + days * 86400,
					    .self_issued = self,
					    .issuer = str_of(issuer) };
}

static void test_certificates(void **state)
{
	struct record_certificate c = lasting(2914502, true, "CN=AsyncRAT Server");

	assert_int_equal(certified(FAR, NULL, c), 12);
	assert_int_equal(certified(FAR, "a.example", c), 10);
	assert_int_equal(certified(NEAR, NULL, c), 4);
	c.covers_known = true;
	assert_int_equal(certified(FAR, "a.example", c), 12); /* of another name */
	c.covers_sni = true;
	assert_int_equal(certified(FAR, "a.example", c), 10);
	assert_int_equal(certified(FAR, "a.example", lasting(3650, true, "CN=a")), 7);
	assert_int_equal(certified(FAR, "a.example", lasting(365, true, "CN=a")), 4);
	assert_int_equal(
		certified(FAR, "a.example", lasting(90, false, "C=US, O=Let's Encrypt, CN=R3")), 0);
	assert_int_equal(
		certified(FAR, "a.example", lasting(397, false, "O=DigiCert Inc, CN=DigiCert TLS")),
		0);
	assert_int_equal(certified(FAR, "a.example", lasting(397, false, "O=Qwert Ltd, CN=Asdf")),
			 3);
	assert_int_equal(certified(FAR, NULL, lasting(397, false, "O=Qwert Ltd, CN=Asdf")), 5);
}

static void test_kinds(void **state)
{
	struct drig *g = drig_new(DETECT_FILE);
	struct flow *f = drig_open(g, FAR, 80, IPPROTO_TCP, APP_HTTP), *up;
	/* As a program asks, and no browser. */
	struct record_http asks = {
		.request = { .method = STR("GET"), .url = STR("/"), .host = STR("api.ipify.org") }
	};

	drig_names(g, f, "api.ipify.org");
	drig_moves(g, f, TO_SERVER, 80, 0);
	drig_tells(g, (struct record){ .type = RECORD_HTTP, .flow = f, .http = &asks });
	drig_ends(g, f);
	up = drig_open(g, "203.0.114.20", 587, IPPROTO_TCP, APP_SMTP);
	drig_names(g, up, "mail.somebody.example");
	drig_moves(g, up, TO_SERVER, 800, 12);
	assert_int_equal(drig_db(g, up, E_ADDRESS_ASKED), 8);
	/* A page that asks where it is read is no upload. */
	f = drig_open(g, "203.0.114.21", 443, IPPROTO_TCP, APP_TLS);
	drig_names(g, f, "www.page.example");
	drig_call(g, f, "www.page.example", NAME_SNI);
	drig_moves(g, f, TO_SERVER, 800, 1);
	assert_int_equal(drig_db(g, f, E_ADDRESS_ASKED), 0);
	/* And an hour later nobody remembers. */
	up = drig_open(g, "203.0.114.22", 587, IPPROTO_TCP, APP_SMTP);
	drig_names(g, up, "mail.other.example");
	drig_moves(g, up, TO_SERVER, 800, 3600);
	assert_int_equal(drig_db(g, up, E_ADDRESS_ASKED), 0);

	f = drig_open(g, "203.0.114.23", 443, IPPROTO_TCP, APP_TLS);
	drig_call(g, f, "somebody.duckdns.org", NAME_SNI);
	drig_moves(g, f, TO_SERVER, 800, 1);
	assert_int_equal(drig_db(g, f, E_DYNAMIC_NAME), 4);
	drig_free(g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_name),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_certificates),
		cmocka_unit_test(test_kinds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
