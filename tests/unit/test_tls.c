// SPDX-License-Identifier: Apache-2.0
#include "hostile.h"

#include <errno.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "decode/appproto.h"
#include "decode/tls.h"

static struct buf b;
static char scratch[TLS_HELLO_MAX];

static int start(void **state)
{
	b = BUF_INIT(1 << 20);
	return 0;
}

static int stop(void **state)
{
	buf_done(&b);
	return 0;
}

static void put16(struct buf *to, unsigned int v)
{
	buf_putc(to, (char)(v >> 8));
	buf_putc(to, (char)v);
}

static void put_ext(struct buf *to, unsigned int type, struct str body)
{
	put16(to, type);
	put16(to, (unsigned int)body.n);
	buf_put_str(to, body);
}

/* The example of JA4.md: a Chrome hello, its lists in the order sent, with GREASE where Chrome has it. */
static const unsigned int chrome_ciphers[] = { 0x0a0a, 0x1301, 0x1302, 0x1303, 0xc02b, 0xc02f,
					       0xc02c, 0xc030, 0xcca9, 0xcca8, 0xc013, 0xc014,
					       0x009c, 0x009d, 0x002f, 0x0035 };

static void put_chrome_extensions(struct buf *e)
{
	put_ext(e, 0x3a3a, STR_NONE);
	put_ext(e, 0x001b, STR("\2\0\2"));
	put_ext(e, 0x0000, STR("\0\x0e\0\0\x0bWww.Example"));
	put_ext(e, 0x0033, STR("\0\0"));
	put_ext(e, 0x0010, STR("\0\x0c\2h2\x08http/1.1"));
	put_ext(e, 0x4469, STR("\0\3\2h2"));
	put_ext(e, 0x0017, STR_NONE);
	put_ext(e, 0x002d, STR("\1\1"));
	put_ext(e, 0x000d, STR("\0\x10\4\3\x08\4\4\1\5\3\x08\5\5\1\x08\6\6\1"));
	put_ext(e, 0x0005, STR("\1\0\0\0\0"));
	put_ext(e, 0x0023, STR_NONE);
	put_ext(e, 0x0012, STR_NONE);
	put_ext(e, 0x002b, STR("\6\x5a\x5a\3\4\3\3"));
	put_ext(e, 0xff01, STR("\0"));
	put_ext(e, 0x000b, STR("\1\0"));
	put_ext(e, 0x000a, STR("\0\x08\x7a\x7a\0\x1d\0\x17\0\x18"));
	put_ext(e, 0x0015, STR("\0\0\0"));
}

/* A handshake message with these lists. */
static void put_hello(struct buf *to, unsigned int version, const unsigned int *ciphers, size_t n,
		      struct str extensions)
{
	size_t body = 2 + 32 + 1 + 2 + 2 * n + 2 + (extensions.p ? 2 + extensions.n : 0);

	buf_putc(to, 1);
	buf_putc(to, 0);
	put16(to, (unsigned int)body);
	put16(to, version);
	for (int i = 0; i < 32; i++)
		buf_putc(to, (char)i);
	buf_putc(to, 0);
	put16(to, (unsigned int)(2 * n));
	for (size_t i = 0; i < n; i++)
		put16(to, ciphers[i]);
	put16(to, 0x0100);
	if (extensions.p) {
		put16(to, (unsigned int)extensions.n);
		buf_put_str(to, extensions);
	}
}

static void put_chrome(struct buf *to)
{
	struct buf e = BUF_INIT(4096);

	put_chrome_extensions(&e);
	put_hello(to, 0x0303, chrome_ciphers, ARRAY_SIZE(chrome_ciphers), buf_str(&e));
	buf_done(&e);
}

static void put_record(struct buf *to, struct str fragment)
{
	buf_put(to, "\x16\3\1", 3);
	put16(to, (unsigned int)fragment.n);
	buf_put_str(to, fragment);
}

static void published_ja4(void **state)
{
	struct buf raw = BUF_INIT(4096);
	struct tls_fingerprint f;
	struct tls_hello h;
	size_t need;

	put_chrome(&b);
	assert_ok(tls_hello_parse(buf_str(&b), TLS_OVER_TCP, &h, &need));
	assert_int_equal(h.legacy_version, 0x0303);
	assert_int_equal(h.version, 0x0304);
	assert_str(h.sni, "Www.Example");
	assert_int_equal(h.n_alpns, 2);
	assert_str(h.alpns[1], "http/1.1");
	assert_false(h.ech || h.cut || h.ssl2);
	tls_fingerprint(&h, &f);
	assert_string_equal(f.ja4, "t13d1516h2_8daaf6152771_e5627efa2ab1");
	ja4_raw(&h, &raw);
	assert_str(
		buf_str(&raw),
		"t13d1516h2_002f,0035,009c,009d,1301,1302,1303,c013,c014,c02b,c02c,c02f,c030,cca8,"
		"cca9_0005,000a,000b,000d,0012,0015,0017,001b,0023,002b,002d,0033,4469,ff01_0403,"
		"0804,0401,0503,0805,0501,0806,0601");
	buf_clear(&raw);
	ja3_string(&h, &raw);
	assert_str(
		buf_str(&raw),
		"771,4865-4866-4867-49195-49199-49196-49200-52393-52392-49171-49172-156-157-47-53,"
		"27-0-51-16-17513-23-45-13-5-35-18-43-65281-11-10-21,29-23-24,0");
	/* the same without signature algorithms, as the specification's other example */
	h.n_signatures = 0;
	h.transport = TLS_OVER_QUIC;
	tls_fingerprint(&h, &f);
	assert_string_equal(f.ja4, "q13d1516h2_8daaf6152771_6d807ffa2a79");
	buf_done(&raw);
}

/* Salesforce's own example: the string and its hash. */
static void published_ja3(void **state)
{
	static const uint16_t ciphers[] = {
		47, 53, 5, 10, 49161, 49162, 49171, 49172, 50, 56, 19, 4
	};
	static const uint16_t extensions[] = { 0, 10, 11 };
	struct tls_hello h = { .legacy_version = 769,
			       .version = 769,
			       .n_ciphers = 12,
			       .n_extensions = 3,
			       .n_groups = 3,
			       .groups = { 23, 24, 25 },
			       .n_point_formats = 1 };
	struct buf text = BUF_INIT(1024);
	struct tls_fingerprint f;

	memcpy(h.ciphers, ciphers, sizeof(ciphers));
	memcpy(h.extensions, extensions, sizeof(extensions));
	ja3_string(&h, &text);
	assert_str(buf_str(&text),
		   "769,47-53-5-10-49161-49162-49171-49172-50-56-19-4,0-10-11,23-24-25,0");
	tls_fingerprint(&h, &f);
	assert_string_equal(f.ja3, "ada70206e40642a3e4461f35503241d5");

	h = (struct tls_hello){ .legacy_version = 769,
				.n_ciphers = 11,
				.ciphers = { 4, 5, 10, 9, 100, 98, 3, 6, 19, 18, 99 } };
	buf_clear(&text);
	ja3_string(&h, &text);
	assert_str(buf_str(&text), "769,4-5-10-9-100-98-3-6-19-18-99,,,");
	tls_fingerprint(&h, &f);
	assert_string_equal(f.ja3, "de350869b8c85de67a350c8d186f11e6");
	buf_done(&text);
}

static void ja4_of_odd_hellos(void **state)
{
	static const struct {
		struct str alpn;
		const char *two;
	} alpns[] = {
		{ STR("h2"), "h2" },
		{ STR("http/1.1"), "h1" },
		{ STR("x"), "xx" },
		{ STR("\xab"), "ab" },
		{ STR(" "), "20" },
		{ STR("\xab\xcd"), "ad" },
		{ STR(" a"), "21" },
		{ STR("0\xab"), "3b" },
		{ STR("a "), "60" },
		{ STR("01\xab\xcd"), "3d" },
		{ STR("0\xab\xcd"
		      "1"),
		  "01" },
		{ STR(""), "00" },
	};
	static const struct {
		uint16_t version;
		const char *text;
	} versions[] = { { 0x0304, "13" }, { 0x0303, "12" }, { 0x0302, "11" }, { 0x0301, "10" },
			 { 0x0300, "s3" }, { 0x0002, "s2" }, { 0xfeff, "d1" }, { 0xfefd, "d2" },
			 { 0xfefc, "d3" }, { 0x7f17, "00" } };
	struct tls_fingerprint f;
	struct tls_hello h = { .version = 0x0303, .n_alpns = 1 };

	for (size_t i = 0; i < ARRAY_SIZE(alpns); i++) {
		h.alpns[0] = alpns[i].alpn;
		tls_fingerprint(&h, &f);
		assert_memory_equal(f.ja4, "t12i0000", 8);
		assert_memory_equal(f.ja4 + 8, alpns[i].two, 2);
		assert_string_equal(f.ja4 + 10, "_000000000000_000000000000");
	}
	for (size_t i = 0; i < ARRAY_SIZE(versions); i++) {
		h.version = versions[i].version;
		tls_fingerprint(&h, &f);
		assert_memory_equal(f.ja4 + 1, versions[i].text, 2);
	}
	/* more than 99 of each; only SNI and ALPN leave the hash empty; a cut hello has no fingerprint */
	h = (struct tls_hello){
		.transport = TLS_OVER_DTLS, .version = 0xfefd, .n_ciphers = 200, .n_extensions = 120
	};
	for (unsigned int i = 0; i < 200; i++)
		h.ciphers[i] = (uint16_t)i;
	for (unsigned int i = 0; i < 120; i++)
		h.extensions[i] = (uint16_t)(i % 2 * 16);
	tls_fingerprint(&h, &f);
	assert_memory_equal(f.ja4, "dd2d999900_", 11);
	assert_string_equal(f.ja4 + 23, "_000000000000");
	h.cut = true;
	tls_fingerprint(&h, &f);
	assert_string_equal(f.ja4, "");
	assert_string_equal(f.ja3, "");
}

static void one_record(void **state)
{
	struct buf m = BUF_INIT(4096);
	struct tls_hello h;
	size_t need = 0;

	put_chrome(&m);
	put_record(&b, buf_str(&m));
	for (size_t n = 0; n < b.n; n++) {
		assert_err(tls_stream_parse(str_sub(buf_str(&b), 0, n), scratch, &h, &need),
			   -EAGAIN);
		assert_true(need > n && need <= b.n);
		if (n > 9)
			assert_int_equal(need, b.n);
	}
	assert_ok(tls_stream_parse(buf_str(&b), scratch, &h, &need));
	assert_str(h.sni, "Www.Example");
	assert_true(h.sni.p > b.p && h.sni.p < b.p + b.n); /* not copied */
	buf_done(&m);
}

static void split_over_records(void **state)
{
	static const size_t sizes[] = { 1, 3, 4, 5, 50, 200 };
	struct buf m = BUF_INIT(4096);
	struct tls_fingerprint f;
	struct tls_hello h;
	size_t need;

	put_chrome(&m);
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		buf_clear(&b);
		for (size_t at = 0; at < m.n; at += sizes[i])
			put_record(&b, str_sub(buf_str(&m), at, sizes[i]));
		for (size_t n = 1; n < b.n; n++) {
			assert_err(tls_stream_parse(str_sub(buf_str(&b), 0, n), scratch, &h, &need),
				   -EAGAIN);
			assert_true(need > n && need <= b.n);
		}
		assert_ok(tls_stream_parse(buf_str(&b), scratch, &h, &need));
		assert_str(h.sni, "Www.Example");
		tls_fingerprint(&h, &f);
		assert_string_equal(f.ja4, "t13d1516h2_8daaf6152771_e5627efa2ab1");
	}
	/* an alert between the records */
	buf_clear(&b);
	put_record(&b, str_sub(buf_str(&m), 0, 50));
	buf_put(&b, "\x15\3\1\0\2\1\0", 7);
	assert_err(tls_stream_parse(buf_str(&b), scratch, &h, &need), -EBADMSG);
	buf_done(&m);
}

static void no_client_hello(void **state)
{
	static const struct str others[] = {
		STR("GET / HTTP/1.1"),
		STR("\x17\3\3\0\1\0"),
		STR("\x16\3\1\0\0"),
		STR("\x16\3\1\xff\xff\1"),
		STR("\x16\3\1\0\x28\2\0\0\x24\3\3"),
		STR("\x16\3\1\0\x28\1\0\xff\xff\3\3"),
		STR("\x16\3\1\0\x28\1\0\0\x24\4\3"),
		STR("\x16\3\1\0\x06\1\0\0\2\3\3"),
		STR("\x80\x2e\2\0\2\0\x15\0\0\0\x10"),
		STR("\x80\x2e\1\7\7\0\x15\0\0\0\x10"),
	};
	struct tls_hello h;
	size_t need;

	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		assert_err(tls_stream_parse(others[i], scratch, &h, &need), -EBADMSG);
}

static void ssl2_compatible(void **state)
{
	static const char hello[] = "\x80\x28\1\3\1\0\x0f\0\0\0\x10"
				    "\0\0\x39\0\0\x0a\7\0\xc0\0\0\5\0\0\xff"
				    "0123456789abcdef";
	struct str s = { hello, sizeof(hello) - 1 };
	struct tls_fingerprint f;
	struct tls_hello h;
	size_t need;

	for (size_t n = 1; n < s.n; n++)
		assert_err(tls_stream_parse(str_sub(s, 0, n), scratch, &h, &need), -EAGAIN);
	assert_ok(tls_stream_parse(s, scratch, &h, &need));
	assert_true(h.ssl2);
	assert_int_equal(h.version, 0x0301);
	assert_int_equal(h.n_ciphers, 4);
	assert_int_equal(h.ciphers[1], 0x000a);
	tls_fingerprint(&h, &f);
	assert_string_equal(f.ja4, "t10i000000_000000000000_000000000000");
	assert_string_equal(f.ja3, "");
}

static void over_datagrams(void **state)
{
	struct buf e = BUF_INIT(4096), body = BUF_INIT(4096);
	struct tls_fingerprint f;
	struct tls_hello h;

	/* DTLS 1.3 and 1.2 offered: the newer has the smaller number */
	put_ext(&e, 43, STR("\4\xfe\xfd\xfe\xfc"));
	put16(&body, 0xfefd);
	for (int i = 0; i < 32; i++)
		buf_putc(&body, 7);
	buf_put(&body, "\0\4cook\0\2\x13\1\1\0", 12);
	put16(&body, (unsigned int)e.n);
	buf_put_str(&body, buf_str(&e));
	buf_put(&b, "\x16\xfe\xfd\0\0\0\0\0\0\0\0", 11);
	put16(&b, (unsigned int)(12 + body.n));
	buf_put(&b, "\1\0\0", 3);
	buf_putc(&b, (char)body.n);
	buf_put(&b, "\0\0\0\0\0\0\0", 7);
	buf_putc(&b, (char)body.n);
	buf_put_str(&b, buf_str(&body));
	assert_ok(dtls_parse(buf_str(&b), &h));
	assert_int_equal(h.version, 0xfefc);
	assert_int_equal(h.n_ciphers, 1);
	tls_fingerprint(&h, &f);
	assert_memory_equal(f.ja4, "dd3i010100_", 11);
	for (size_t n = 0; n < b.n; n++)
		assert_err(dtls_parse(str_sub(buf_str(&b), 0, n), &h), -EBADMSG);
	b.p[13 + 8] = 1; /* the second fragment of a longer hello */
	assert_err(dtls_parse(buf_str(&b), &h), -EBADMSG);
	buf_done(&e);
	buf_done(&body);
}

static void ech_and_lists_too_long(void **state)
{
	static const unsigned int cipher = 0x1301;
	unsigned int many[300];
	struct buf e = BUF_INIT(65536);
	struct tls_fingerprint f;
	struct tls_hello h;
	size_t need;

	put_ext(&e, 0xfe0d, STR("\0\0\1\0\1"));
	put_ext(&e, 0, STR("\0\4\0\0\1x"));
	put_hello(&b, 0x0303, &cipher, 1, buf_str(&e));
	assert_ok(tls_hello_parse(buf_str(&b), TLS_OVER_QUIC, &h, &need));
	assert_true(h.ech);
	assert_str(h.sni, "x");

	for (unsigned int i = 0; i < 300; i++)
		many[i] = i;
	buf_clear(&b);
	put_hello(&b, 0x0303, many, 300, buf_str(&e));
	assert_ok(tls_hello_parse(buf_str(&b), TLS_OVER_TCP, &h, &need));
	assert_true(h.cut);
	assert_str(h.sni, "x");
	tls_fingerprint(&h, &f);
	assert_string_equal(f.ja4, "");

	/* extensions that say more than there is: the name before them was still sent */
	buf_put(&e, "\0\x17\1\0", 4);
	buf_clear(&b);
	put_hello(&b, 0x0303, &cipher, 1, buf_str(&e));
	assert_ok(tls_hello_parse(buf_str(&b), TLS_OVER_TCP, &h, &need));
	assert_true(h.cut);
	assert_str(h.sni, "x");

	/* none at all */
	buf_clear(&b);
	put_hello(&b, 0x0300, &cipher, 1, STR_NONE);
	assert_ok(tls_hello_parse(buf_str(&b), TLS_OVER_TCP, &h, &need));
	assert_false(h.cut);
	assert_int_equal(h.n_extensions, 0);
	buf_done(&e);
}

static void versions(void **state)
{
	char text[16];

	assert_string_equal(tls_version_name(0x0304, text), "TLS 1.3");
	assert_string_equal(tls_version_name(0x0300, text), "SSLv3");
	assert_string_equal(tls_version_name(0xfefd, text), "DTLS 1.2");
	assert_string_equal(tls_version_name(0x7f1c, text), "0x7f1c");
}

/* The lists of tor 0.4.8 with OpenSSL 3. */
static struct tls_hello tor_hello(void)
{
	static const uint16_t ciphers[] = { 0x1301, 0x1303, 0x1302, 0xc02b, 0xc02f, 0xcca9,
					    0xcca8, 0xc02c, 0xc030, 0xc00a, 0xc009, 0xc013,
					    0xc014, 0x0033, 0x0039, 0x002f, 0x0035, 0x00ff };
	static const uint16_t extensions[] = { 0, 11, 10, 22, 23, 13, 43, 45, 51 };
	struct tls_hello h = { .legacy_version = 0x0303,
			       .version = 0x0304,
			       .has_signatures = true,
			       .n_ciphers = ARRAY_SIZE(ciphers),
			       .n_extensions = ARRAY_SIZE(extensions) };

	memcpy(h.ciphers, ciphers, sizeof(ciphers));
	memcpy(h.extensions, extensions, sizeof(extensions));
	return h;
}

static void tor_like(void **state)
{
	static const struct str tor[] = { STR("www.4ejv5xq2l7bzt.com"),
					  STR("www.xkq5w3mhhbdzfoy2n4.net"),
					  STR("www.bchtzwqkgmrplvx.com") };
	static const struct str others[] = { STR(""),
					     STR("www.example.com"),
					     STR("www.google.com"),
					     STR("www.4ejv5xq2l7bzt.org"),
					     STR("4ejv5xq2l7bzt.com"),
					     STR("www.a.com"),
					     STR("www.bookings24hours.com"),
					     STR("www.4EJV5XQ2L7BZT.com"),
					     STR("www.4ejv.5xq2l7bzt.com"),
					     STR("www.4ejv5xq2l7bzt4ejv5xq2l7bzt.com"),
					     STR("www.springfieldschools.com") };
	struct tls_hello h = tor_hello();

	for (size_t i = 0; i < ARRAY_SIZE(tor); i++) {
		h.sni = tor[i];
		assert_true(app_tls_is_tor_like(&h));
	}
	for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
		h.sni = others[i];
		assert_false(app_tls_is_tor_like(&h));
	}
	h.sni = tor[0];
	h.n_alpns = 1;
	assert_false(app_tls_is_tor_like(&h));
	h = tor_hello();
	h.sni = tor[0];
	h.extensions[3] = 35;
	assert_false(app_tls_is_tor_like(&h));
}

static void parse_it(struct str s)
{
	struct buf text = BUF_INIT(1 << 16);
	struct tls_fingerprint f;
	struct tls_hello h;
	size_t need = 0;
	int r;

	r = tls_stream_parse(s, scratch, &h, &need);
	if (r == -EAGAIN)
		assert_true(need > s.n);
	if (!r) {
		tls_fingerprint(&h, &f);
		ja3_string(&h, &text);
		ja4_raw(&h, &text);
		app_tls_is_tor_like(&h);
		assert_false(text.failed);
	}
	tls_hello_parse(str_sub(s.n ? s : STR(""), 5, s.n), TLS_OVER_QUIC, &h, &need);
	dtls_parse(s, &h);
	buf_done(&text);
}

static void hostile_hellos(void **state)
{
	struct buf m = BUF_INIT(4096);

	put_chrome(&m);
	put_record(&b, buf_str(&m));
	hostile_variants(buf_str(&b), parse_it);
	buf_clear(&b);
	for (size_t at = 0; at < m.n; at += 100)
		put_record(&b, str_sub(buf_str(&m), at, 100));
	hostile_variants(buf_str(&b), parse_it);
	hostile_variants(STR("\x80\x28\1\3\1\0\x0f\0\0\0\x10\0\0\x39\0\0\x0a\7\0\xc0\0\0\5\0\0\xff"
			     "0123456789abcdef"),
			 parse_it);
	buf_done(&m);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, start, stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(published_ja4),   TEST(published_ja3),      TEST(ja4_of_odd_hellos),
		TEST(one_record),      TEST(split_over_records), TEST(no_client_hello),
		TEST(ssl2_compatible), TEST(over_datagrams),     TEST(ech_and_lists_too_long),
		TEST(versions),        TEST(tor_like),           TEST(hostile_hellos),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
