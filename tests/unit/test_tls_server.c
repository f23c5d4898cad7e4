// SPDX-License-Identifier: Apache-2.0
/* Answers of OpenSSL's server, read back; then cut, mixed up and made hostile. */
#include "hostile.h"

#include <errno.h>

#include "base/cleanup.h"
#include "decode/tls_server.h"
#include "openssl_make.h"

static struct made certificate;
static struct buf client, server;
static char scratch[TLS_SERVER_MAX];

static int start(void **state)
{
	certificate = make_certificate("a.example", NULL, "DNS:a.example", "20240101000000Z",
				       "20340101000000Z");
	client = server = BUF_INIT(1 << 20);
	return 0;
}

static int stop(void **state)
{
	made_free(&certificate);
	buf_done(&client);
	buf_done(&server);
	return 0;
}

static int parse(struct str s, struct tls_server *ret)
{
	size_t need = 0;
	int r = tls_server_parse(s, scratch, ret, &need);

	if (r == -EAGAIN)
		assert_true(need > s.n);
	return r;
}

static void tls12_shows_its_certificate(void **state)
{
	struct handshake h = { .version = TLS1_2_VERSION };
	struct tls_server_print print;
	struct tls_server s;

	make_handshake(&certificate, &h, &client, &server);
	assert_ok(parse(buf_str(&server), &s));
	assert_true(s.known && !s.retry && !s.cut);
	assert_int_equal(s.version, 0x0303);
	assert_int_equal(s.cipher, 0xc02c);
	assert_true(str_eq(s.certificate, made_der(&certificate)));
	tls_server_fingerprint(&s, &print);
	assert_string_equal(print.text, "771,49196,65281-11-23");
	assert_int_equal(strlen(print.hash), 32);
}

static void older_versions_too(void **state)
{
	static const int versions[] = { TLS1_VERSION, TLS1_1_VERSION };

	for (size_t i = 0; i < ARRAY_SIZE(versions); i++) {
		struct handshake h = { .version = versions[i] };
		struct tls_server s;

		buf_clear(&server);
		make_handshake(&certificate, &h, &client, &server);
		assert_ok(parse(buf_str(&server), &s));
		assert_int_equal(s.version, versions[i]);
		assert_true(str_eq(s.certificate, made_der(&certificate)));
	}
}

static void tls13_hides_it(void **state)
{
	struct handshake h = { .version = TLS1_3_VERSION };
	struct tls_server_print print;
	struct tls_server s;
	size_t end;

	make_handshake(&certificate, &h, &client, &server);
	assert_ok(parse(buf_str(&server), &s));
	assert_int_equal(s.legacy_version, 0x0303);
	assert_int_equal(s.version, 0x0304);
	assert_int_equal(s.cipher, 0x1302);
	assert_false(s.certificate.n);
	tls_server_fingerprint(&s, &print);
	assert_string_equal(print.text, "771,4866,43-51");
	assert_string_equal(print.hash, "15af977ce25de452b96affa2addb1036");
	/* Nothing behind the hello's record is needed. */
	end = 5 + ((size_t)(uint8_t)server.p[3] << 8 | (uint8_t)server.p[4]);
	assert_ok(parse(str_sub(buf_str(&server), 0, end), &s));
	assert_int_equal(parse(str_sub(buf_str(&server), 0, end - 1), &s), -EAGAIN);
	assert_false(s.known);
}

static void asked_again(void **state)
{
	struct handshake h = { .version = TLS1_3_VERSION, .groups = "P-521" };
	struct tls_server s;
	size_t end;

	make_handshake(&certificate, &h, &client, &server);
	assert_ok(parse(buf_str(&server), &s));
	assert_true(s.known && !s.retry);
	end = 5 + ((size_t)(uint8_t)server.p[3] << 8 | (uint8_t)server.p[4]);
	assert_int_equal(parse(str_sub(buf_str(&server), 0, end), &s), -EAGAIN);
	assert_true(s.known && s.retry);
	assert_int_equal(s.version, 0x0304);
}

static void resumed_sessions_send_none(void **state)
{
	SSL_SESSION *sessions[2];
	struct handshake h = { .version = TLS1_2_VERSION, .ret_sessions = sessions };
	struct tls_server s;

	make_handshake(&certificate, &h, &client, &server);
	buf_clear(&server);
	h = (struct handshake){ .version = TLS1_2_VERSION, .resume = sessions };
	make_handshake(&certificate, &h, &client, &server);
	assert_ok(parse(buf_str(&server), &s));
	assert_int_equal(s.version, 0x0303);
	assert_false(s.certificate.n);
	SSL_SESSION_free(sessions[0]);
	SSL_SESSION_free(sessions[1]);
}

/* The same answer in every number of bytes: never wrong, and told as soon as it is there. */
static void byte_by_byte(void **state)
{
	struct handshake h = { .version = TLS1_2_VERSION, .fragment = 512 };
	struct tls_server s;
	size_t need = 0, done = 0;

	make_handshake(&certificate, &h, &client, &server);
	for (size_t n = 0; n <= server.n; n++) {
		int r = tls_server_parse((struct str){ server.p, n }, scratch, &s, &need);

		if (r == 0 && !done)
			done = n;
		if (done) {
			assert_ok(r);
			assert_true(str_eq(s.certificate, made_der(&certificate)));
		} else {
			assert_int_equal(r, -EAGAIN);
			assert_true(need > n);
			assert_false(s.certificate.n);
		}
	}
	assert_true(done && done < server.n);
	/* Waiting for what it asks for comes to the same end, and not a byte later. */
	for (size_t n = 0;; n = need) {
		assert_true(n <= done);
		if (tls_server_parse((struct str){ server.p, n }, scratch, &s, &need) == 0)
			break;
	}
	assert_true(str_eq(s.certificate, made_der(&certificate)));
}

static void put_record(struct buf *b, uint8_t type, struct str body)
{
	buf_putc(b, (char)type);
	buf_puts(b, "\3\3");
	buf_putc(b, (char)(body.n >> 8));
	buf_putc(b, (char)body.n);
	buf_put_str(b, body);
}

/* Records of one byte each, and warnings in between. */
static void tiny_records_and_warnings(void **state)
{
	struct handshake h = { .version = TLS1_2_VERSION };
	struct buf tiny = BUF_INIT(1 << 20);
	struct tls_server s;
	struct str rest;

	make_handshake(&certificate, &h, &client, &server);
	put_record(&tiny, 21, STR("\1\x70"));
	for (rest = buf_str(&server); rest.n >= 5 && rest.p[0] == 22;) {
		size_t n = (size_t)(uint8_t)rest.p[3] << 8 | (uint8_t)rest.p[4];

		for (size_t i = 0; i < n; i++)
			put_record(&tiny, 22, str_sub(rest, 5 + i, 1));
		put_record(&tiny, 21, STR("\1\0"));
		rest = str_sub(rest, 5 + n, SIZE_MAX);
	}
	assert_ok(parse(buf_str(&tiny), &s));
	assert_true(str_eq(s.certificate, made_der(&certificate)));
	buf_done(&tiny);
}

static void a_certificate_too_large_is_left_out(void **state)
{
	struct handshake h = { .version = TLS1_2_VERSION };
	struct buf alt = BUF_INIT(1 << 20);
	struct tls_server s;

	buf_puts(&alt, "DNS:a.example");
	for (int i = 0; i < 1000; i++)
		buf_printf(&alt, ",DNS:name-%d.a.example", i);
	made_free(&certificate);
	certificate = make_certificate("a", NULL, alt.p, "20240101000000Z", "20340101000000Z");
	assert_true(certificate.n > TLS_SERVER_MAX);
	make_handshake(&certificate, &h, &client, &server);
	assert_ok(parse(buf_str(&server), &s));
	assert_int_equal(s.version, 0x0303);
	assert_false(s.certificate.n);
	buf_done(&alt);
}

static void no_answers(void **state)
{
	static const struct str none[] = {
		STR("HTTP/1.1 400 Bad Request\r\n"),
		STR("\x15\3\1\0\2\2\x28"),   /* handshake failure */
		STR("\x17\3\3\0\4abcd"),     /* in the middle of a session */
		STR("\x14\3\3\0\1\1"),       /* likewise */
		STR("\x16\3\3\0\4\1\0\0\0"), /* a ClientHello */
		STR("\x16\3\3\0\0"),         /* a record of nothing */
		STR("\x16\2\0\0\4\2\0\0\0"),
		STR("\x16\3\3\0\6\2\0\0\2\3\3"), /* a hello cut short */
	};
	struct tls_server s;

	for (size_t i = 0; i < ARRAY_SIZE(none); i++) {
		assert_int_equal(parse(none[i], &s), -EBADMSG);
		assert_false(s.known);
	}
	assert_int_equal(parse(STR(""), &s), -EAGAIN);
	assert_int_equal(parse(STR("\x16"), &s), -EAGAIN);
}

/* Draft 18, whose ServerHello has no session and no compression; more extensions than there is room for. */
static void odd_hellos(void **state)
{
	struct buf b = BUF_INIT(4096), record = BUF_INIT(4096);
	struct tls_server_print print;
	struct tls_server s;

	buf_put_str(&b, STR("\2\0\0\x2a\x7f\x12"
			    "0123456789abcdef0123456789abcdef\x13\1\0\4\0\x28\0\0"));
	put_record(&record, 22, buf_str(&b));
	assert_ok(parse(buf_str(&record), &s));
	tls_server_fingerprint(&s, &print);
	assert_string_equal(print.text, "32530,4865,40");
	assert_string_equal(print.hash, "b8a8031b301aef7618403061e9f33065");
	buf_clear(&b);
	buf_clear(&record);
	buf_put_str(&b, STR("\2\0\0\xac\3\3"
			    "0123456789abcdef0123456789abcdef\0\x13\1\0\0\x84"));
	for (int i = 0; i < 33; i++) {
		buf_put(&b, "\xff", 1);
		buf_putc(&b, (char)i);
		buf_put(&b, "\0\0", 2);
	}
	put_record(&record, 22, buf_str(&b));
	put_record(&record, 22, STR("\x0e\0\0\0"));
	assert_ok(parse(buf_str(&record), &s));
	assert_true(s.known && s.cut);
	tls_server_fingerprint(&s, &print);
	assert_false(print.text[0] || print.hash[0]);
	buf_done(&b);
	buf_done(&record);
}

static void parse_it(struct str s)
{
	struct tls_server_print print;
	struct tls_server ret;
	int r = parse(s, &ret);

	assert_true(r == 0 || r == -EAGAIN || r == -EBADMSG);
	assert_true(r != 0 || ret.known);
	tls_server_fingerprint(&ret, &print);
	if (ret.certificate.n)
		assert_true(ret.certificate.p >= scratch &&
			    ret.certificate.p + ret.certificate.n <= scratch + sizeof(scratch));
}

static void hostile_answers(void **state)
{
	struct handshake h = { .version = TLS1_2_VERSION, .fragment = 512 };

	make_handshake(&certificate, &h, &client, &server);
	hostile_variants(buf_str(&server), parse_it);
	buf_clear(&server);
	h = (struct handshake){ .version = TLS1_3_VERSION, .groups = "P-521" };
	make_handshake(&certificate, &h, &client, &server);
	hostile_variants(buf_str(&server), parse_it);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, start, stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(tls12_shows_its_certificate),
		TEST(older_versions_too),
		TEST(tls13_hides_it),
		TEST(asked_again),
		TEST(resumed_sessions_send_none),
		TEST(byte_by_byte),
		TEST(tiny_records_and_warnings),
		TEST(a_certificate_too_large_is_left_out),
		TEST(no_answers),
		TEST(odd_hellos),
		TEST(hostile_answers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
