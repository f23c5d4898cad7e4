// SPDX-License-Identifier: Apache-2.0
/* Certificates that OpenSSL makes, read by both; then the same bytes made hostile. */
#include "hostile.h"

#include <errno.h>
#include <time.h>

#include "base/cleanup.h"
#include "decode/x509.h"
#include "openssl_make.h"

static void expect_text(struct str name, const char *want)
{
	struct buf b = BUF_INIT(1 << 16);

	x509_name_text(name, &b);
	test_assert_str(buf_str(&b), want, __FILE__, __LINE__);
	buf_done(&b);
}

static int64_t unix_of(const ASN1_TIME *t)
{
	struct tm tm;

	assert_int_equal(ASN1_TIME_to_tm(t, &tm), 1);
	return timegm(&tm);
}

static void one_as_openssl_reads_it(void **state)
{
	struct made m = make_certificate("a.example", "Example CA", "DNS:a.example,DNS:*.b.example",
					 "20240229235959Z", "21000301000000Z");
	struct x509 x;
	struct str name;
	size_t at = 0;

	assert_ok(x509_parse(made_der(&m), &x));
	expect_text(x.subject, "C=DE, O=Example, Inc., CN=a.example");
	expect_text(x.issuer, "CN=Example CA");
	assert_true(str_eq(x.common_name, STR("a.example")));
	assert_true(str_eq(x.serial, STR("\0\xaf\x01\x23\x45\x67\x89\xab\xcd")));
	assert_true(x.has_validity);
	assert_int_equal(x.not_before_s, unix_of(X509_get0_notBefore(m.x509)));
	assert_int_equal(x.not_after_s, unix_of(X509_get0_notAfter(m.x509)));
	assert_int_equal(x.not_after_s, 4107542400);
	assert_false(x.self_issued);
	assert_int_equal(x.n_dns_names, 2);
	assert_true(x509_next_dns_name(&x, &at, &name));
	assert_true(str_eq(name, STR("a.example")));
	assert_true(x509_next_dns_name(&x, &at, &name));
	assert_true(str_eq(name, STR("*.b.example")));
	assert_false(x509_next_dns_name(&x, &at, &name));
	assert_int_equal(x.der.n, m.n);
	made_free(&m);
}

static void times_of_all_years(void **state)
{
	static const char *const times[] = { "19500101000000Z", "19691231235959Z",
					     "19700101000000Z", "20000229120000Z",
					     "20491231235959Z", "20500101000000Z",
					     "99991231235959Z", "00010101000000Z",
					     "19000301000000Z" };

	for (size_t i = 0; i < ARRAY_SIZE(times); i++) {
		struct made m = make_certificate("t", NULL, NULL, times[i], times[i]);
		struct x509 x;

		assert_ok(x509_parse(made_der(&m), &x));
		assert_true(x.has_validity);
		assert_int_equal(x.not_before_s, unix_of(X509_get0_notBefore(m.x509)));
		assert_int_equal(x.not_after_s, x.not_before_s);
		made_free(&m);
	}
}

/* The same certificate with another text for notBefore, of the same length. */
static bool with_time(const struct made *m, const char *from, const char *to, struct x509 *ret)
{
	static char copy[4096];
	char *at;

	assert_int_equal(strlen(from), strlen(to));
	memcpy(copy, m->der, (size_t)m->n);
	at = memmem(copy, (size_t)m->n, from, strlen(from));
	assert_non_null(at);
	memcpy(at, to, strlen(to));
	assert_ok(x509_parse((struct str){ copy, (size_t)m->n }, ret));
	return ret->has_validity;
}

static void odd_times(void **state)
{
	struct made m = make_certificate("t", NULL, NULL, "20500601120000Z", "20500701000000Z");
	struct x509 x;

	assert_true(with_time(&m, "20500601120000Z", "205006011200.5Z", &x));
	assert_int_equal(x.not_before_s, 2537697600);
	assert_true(with_time(&m, "20500601120000Z", "205006011200+01", &x) == false);
	assert_true(with_time(&m, "20500601120000Z", "2050060112+0100", &x) == false);
	assert_false(with_time(&m, "20500601120000Z", "20501301120000Z", &x));
	assert_false(with_time(&m, "20500601120000Z", "20500600120000Z", &x));
	assert_false(with_time(&m, "20500601120000Z", "2050 601120000Z", &x));
	assert_false(with_time(&m, "20500601120000Z", "20500601120000X", &x));
	made_free(&m);
}

static void offsets_from_utc(void **state)
{
	struct made m = make_certificate("t", NULL, NULL, "20240101000000Z", "20240101000000Z");
	struct x509 x;

	/* UTCTime "YYMMDDhhmmssZ" has room for minutes only and an offset of "+hh" too little: no time. */
	assert_false(with_time(&m, "240101000000Z", "2401010000+01", &x));
	assert_true(with_time(&m, "240101000000Z", "240101000001Z", &x));
	assert_int_equal(x.not_before_s, 1704067201);
	made_free(&m);
}

static void who_issued(void **state)
{
	struct made m = make_certificate("AsyncRAT Server", NULL, NULL, "20200512184520Z",
					 "99991231235959Z");
	struct x509 x;

	assert_ok(x509_parse(made_der(&m), &x));
	assert_true(x.self_issued);
	assert_int_equal(x.not_after_s, 253402300799);
	assert_int_equal(x.n_dns_names, 0);
	assert_false(x.alt_names.n);
	made_free(&m);
}

static bool covers(const char *cn, const char *alt, const char *name)
{
	struct made m = make_certificate(cn, NULL, alt, "20240101000000Z", "20250101000000Z");
	struct x509 x;
	bool ret;

	assert_ok(x509_parse(made_der(&m), &x));
	ret = x509_covers(&x, str_of(name));
	made_free(&m);
	return ret;
}

static void names_it_covers(void **state)
{
	static const struct {
		const char *cn, *alt, *name;
		bool covers;
	} cases[] = {
		{ "x", "DNS:www.a.example", "www.a.example", true },
		{ "x", "DNS:www.a.example", "WWW.A.Example.", true },
		{ "x", "DNS:b.example,DNS:www.a.example", "www.a.example", true },
		{ "x", "DNS:www.a.example", "a.example", false },
		{ "x", "DNS:*.a.example", "www.a.example", true },
		{ "x", "DNS:*.a.example", "a.example", false },
		{ "x", "DNS:*.a.example", "v.www.a.example", false },
		{ "x", "DNS:*.a.example", ".a.example", false },
		{ "x", "DNS:*.*.example", "b.a.example", false },
		{ "x", "DNS:w*.a.example", "www.a.example", false },
		{ "x", "DNS:*", "example", false },
		{ "www.a.example", "DNS:b.example", "www.a.example",
		  false }, /* names outrank the CN */
		{ "www.a.example", "IP:192.0.2.1", "www.a.example", true },
		{ "www.a.example", NULL, "www.a.example", true },
		{ "*.a.example", NULL, "www.a.example", true },
		{ NULL, NULL, "www.a.example", false },
		{ "x", "DNS:b.example,IP:192.0.2.1,IP:2001:db8::1", "192.0.2.1", true },
		{ "x", "DNS:b.example,IP:192.0.2.1,IP:2001:db8::1", "2001:db8::1", true },
		{ "x", "DNS:b.example,IP:192.0.2.1,IP:2001:db8::1", "192.0.2.2", false },
		{ "192.0.2.1", NULL, "192.0.2.1", true },
		{ "x", "DNS:b.example", "", false },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		if (covers(cases[i].cn, cases[i].alt, cases[i].name) != cases[i].covers)
			fail_msg("case %zu: %s", i, cases[i].name);
}

/* Every printable type, several attributes in one RDN, an OID without a name. */
static void names_in_all_alphabets(void **state)
{
	X509_NAME *name = X509_NAME_new();
	unsigned char *der = NULL;
	int n;

	X509_NAME_add_entry_by_txt(name, "CN", V_ASN1_BMPSTRING,
				   (const unsigned char *)"\0\xfc\x20\xac", 4, -1, 0);
	X509_NAME_add_entry_by_txt(name, "O", V_ASN1_UNIVERSALSTRING,
				   (const unsigned char *)"\0\1\xf6\0", 4, -1, 0);
	made_name(name, "OU", MBSTRING_UTF8, "\xc3\xa9t\xc3\xa9");
	X509_NAME_add_entry_by_txt(name, "emailAddress", MBSTRING_ASC,
				   (const unsigned char *)"a@b.example", -1, -1, -1);
	X509_NAME_add_entry_by_txt(name, "1.3.6.1.4.1.99999.1", MBSTRING_ASC,
				   (const unsigned char *)"v", -1, -1, 0);
	X509_NAME_add_entry_by_txt(name, "DC", MBSTRING_ASC, (const unsigned char *)"example", -1,
				   -1, 0);
	n = i2d_X509_NAME(name, &der);
	assert_true(n > 2 && n < 128);
	expect_text((struct str){ (const char *)der + 2, (size_t)n - 2 }, /* without its header */
		    "CN=\xc3\xbc\xe2\x82\xac, O=\xf0\x9f\x98\x80, OU=\xc3\xa9t\xc3\xa9 + "
		    "emailAddress=a@b.example, 1.3.6.1.4.1.99999.1=v, DC=example");
	OPENSSL_free(der);
	X509_NAME_free(name);
}

static void no_certificates(void **state)
{
	static const struct str none[] = { STR(""),
					   STR("\x30"),
					   STR("\x30\x80\x30\x80"),
					   STR("\x30\x84\0\0\0\0"),
					   STR("\x30\x03\x02\x01\x05"),
					   STR("\x30\x05\x30\x03\x02\x01\x05"),
					   STR("\x3f\x81\0\x01\0"),
					   STR("not a certificate") };
	struct x509 x;

	for (size_t i = 0; i < ARRAY_SIZE(none); i++)
		assert_int_equal(x509_parse(none[i], &x), -EBADMSG);
}

/* The extension ends behind its OID: there are no names, whatever lies in memory. */
static void alternative_names_without_a_value(void **state)
{
	struct made m = make_certificate("a.example", NULL, "DNS:b.example", "20240101000000Z",
					 "20250101000000Z");
	unsigned char *oid = memmem(m.der, (size_t)m.n, "\x06\x03\x55\x1d\x11", 5);
	struct x509 x;

	assert_non_null(oid);
	oid[-1] = 5;
	assert_ok(x509_parse(made_der(&m), &x));
	assert_int_equal(x.n_dns_names, 0);
	assert_true(x509_covers(&x, STR("a.example")));
	made_free(&m);
}

static void use(struct str s)
{
	struct buf b = BUF_INIT(1 << 16);
	struct x509 x;
	struct str name;
	size_t at = 0;

	if (x509_parse(s, &x) == 0) {
		x509_name_text(x.subject, &b);
		x509_name_text(x.issuer, &b);
		x509_common_name_text(&x, &b);
		x509_covers(&x, STR("www.a.example"));
		x509_covers(&x, STR("192.0.2.1"));
		while (x509_next_dns_name(&x, &at, &name))
			assert_true(name.p >= s.p && name.p + name.n <= s.p + s.n);
		assert_true(x.der.p == s.p && x.der.n <= s.n);
	}
	assert_false(b.failed);
	buf_done(&b);
}

static void hostile_certificates(void **state)
{
	struct made m = make_certificate("www.a.example", "CA", "DNS:*.a.example,IP:192.0.2.1",
					 "20240101000000Z", "20500101000000Z");

	hostile_variants(made_der(&m), use);
	made_free(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_as_openssl_reads_it),
		cmocka_unit_test(times_of_all_years),
		cmocka_unit_test(odd_times),
		cmocka_unit_test(offsets_from_utc),
		cmocka_unit_test(who_issued),
		cmocka_unit_test(names_it_covers),
		cmocka_unit_test(names_in_all_alphabets),
		cmocka_unit_test(no_certificates),
		cmocka_unit_test(alternative_names_without_a_value),
		cmocka_unit_test(hostile_certificates),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
