// SPDX-License-Identifier: Apache-2.0
#include "hostile.h"

#include <errno.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "decode/ftp.h"
#include "decode/mail.h"

static void an_envelope(void **state)
{
	struct str s = STR("EHLO client.example\r\nMAIL FROM:<a@b.example> SIZE=10\r\n"
			   "rcpt to: <c@d.example>\r\nRCPT TO:e@f.example\r\nDATA\r\n"
			   "RCPT TO:<no@body.example>\r\n.\r\n");
	struct smtp_envelope e;

	assert_ok(smtp_client_parse(s, &e));
	assert_str(e.helo, "client.example");
	assert_str(e.mail_from, "a@b.example");
	assert_int_equal(e.n_rcpt, 2);
	assert_str(e.rcpt_to[0], "c@d.example");
	assert_str(e.rcpt_to[1], "e@f.example");
	assert_true(e.data);
	assert_false(e.starttls);
}

static void a_password_in_the_clear(void **state)
{
	struct smtp_envelope e;

	assert_ok(smtp_client_parse(
		STR("EHLO a\r\nauth login dXNlcg==\r\ncGFzcw==\r\n"
		    "MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\n"),
		&e));
	assert_true(e.auth);
	assert_true(e.data);
	/* What comes behind STARTTLS is not read. */
	assert_ok(smtp_client_parse(STR("EHLO a\r\nSTARTTLS\r\nAUTH LOGIN x\r\n"), &e));
	assert_false(e.auth);
}

static void files_handed_over_by_ftp(void **state)
{
	assert_true(ftp_client_stores(STR("USER a\r\nPASS b\r\nPASV\r\nSTOR x.html\r\n")));
	assert_true(ftp_client_stores(STR("USER a\nappe x\n")));
	assert_true(ftp_client_stores(STR("STOU\r\n")));
	assert_false(ftp_client_stores(STR("USER a\r\nSTOR half")));
	assert_false(ftp_client_stores(STR("USER STOR\r\nRETR STOR\r\nSTORE x\r\n")));
	assert_false(ftp_client_stores(STR("USER a\r\n\x16\x03\x01\r\nSTOR x\r\n")));
	assert_false(ftp_client_stores(STR("")));
}

static void an_envelope_that_goes_on(void **state)
{
	struct smtp_envelope e;

	assert_err(smtp_client_parse(STR("HELO x\r\nMAIL FROM:<>\r\nRCPT TO:<h"), &e), -EAGAIN);
	assert_str(e.helo, "x");
	assert_non_null(e.mail_from.p);
	assert_int_equal(e.mail_from.n, 0);
	assert_int_equal(e.n_rcpt, 0);
	assert_err(smtp_client_parse(STR(""), &e), -EAGAIN);
	assert_err(smtp_client_parse(STR("EH"), &e), -EAGAIN);
	assert_err(smtp_client_parse(STR("EHLO half"), &e), -EAGAIN);
}

static void authentication_is_stepped_over(void **state)
{
	struct str s =
		STR("EHLO a\r\nAUTH LOGIN\r\ndXNlcg==\r\ncGFzcw==\r\nMAIL FROM:<x@y>\r\nRSET\r\n"
		    "MAIL FROM:<z@y>\r\nRCPT TO:<q@y>\r\nQUIT\r\n");
	struct smtp_envelope e;

	assert_ok(smtp_client_parse(s, &e));
	assert_str(e.mail_from, "z@y");
	assert_int_equal(e.n_rcpt, 1);
	assert_true(e.data);
}

static void more_recipients_than_kept(void **state)
{
	struct buf text = BUF_INIT(4096);
	struct smtp_envelope e;

	buf_puts(&text, "HELO x\r\nMAIL FROM:<a@b>\r\n");
	for (int i = 0; i < 40; i++)
		buf_puts(&text, "RCPT TO:<a@b>\r\n");
	assert_err(smtp_client_parse(buf_str(&text), &e), -EAGAIN);
	assert_int_equal(e.n_rcpt, SMTP_MAX_RCPT);
	buf_done(&text);
}

static void smtp_starttls(void **state)
{
	struct str s = STR("EHLO a\r\nSTARTTLS\r\n\x16\3\1\0\5\1");
	struct smtp_envelope e;

	assert_ok(smtp_client_parse(s, &e));
	assert_true(e.starttls);
	assert_int_equal(e.tls_at, 18);
	assert_int_equal(starttls_offset(s), 18);
}

static void no_smtp(void **state)
{
	static const struct str others[] = { STR("GET / HTTP/1.1\r\n"), STR("USER x\r\n"),
					     STR("EHLO \1\r\n"), STR("XYZ"), STR("\x16\3\1\0") };
	struct smtp_envelope e;

	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		assert_err(smtp_client_parse(others[i], &e), -EBADMSG);
}

static void where_tls_begins(void **state)
{
	static const struct {
		struct str client;
		size_t at;
	} cases[] = {
		{ STR("EHLO a\r\nstarttls\r\nX"), 18 },
		{ STR("NOOP\r\nEHLO a\r\nSTARTTLS\r\n"), 24 },
		{ STR("STLS\r\n\x16"), 6 },
		{ STR("CAPA\r\nSTLS\r\n"), 12 },
		{ STR("AUTH TLS\r\n"), 10 },
		{ STR("FEAT\r\nAUTH SSL\r\n"), 16 },
		{ STR("a1 CAPABILITY\r\na2 StartTLS\r\n"), 28 },
		{ STR(". STARTTLS\r\n"), 12 },
		/* not asked for: message text, an IMAP literal, half a line, other protocols, other words */
		{ STR("EHLO a\r\nDATA\r\nSTARTTLS\r\n"), 0 },
		{ STR("EHLO a\r\nBDAT 10\r\nSTARTTLS\r\n"), 0 },
		{ STR("NOOP\r\nEHLO a\r\nMAIL FROM:<a@b>\r\nDATA\r\nAUTH TLS\r\n"), 0 },
		{ STR("a LOGIN x {13}\r\nb STARTTLS\r\n\r\n"), 0 },
		{ STR("a LOGIN x {13+}\r\nb STARTTLS\r\n\r\nc STARTTLS\r\n"), 43 },
		{ STR("a LOGIN x {99999999999}\r\nb STARTTLS\r\n"), 0 },
		{ STR("EHLO a\r\nSTARTTLS"), 0 },
		{ STR("GET / HTTP/1.1\r\nSTARTTLS\r\n"), 0 },
		{ STR("USER x\r\nAUTH LOGIN\r\n"), 0 },
		{ STR("EHLO STARTTLS\r\n"), 0 },
		{ STR("\1\r\nSTARTTLS\r\n"), 0 },
		{ STR("\r\nSTARTTLS\r\n"), 0 },
		{ STR(""), 0 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_int_equal(starttls_offset(cases[i].client), cases[i].at);
}

static void parse_it(struct str s)
{
	struct smtp_envelope e;

	smtp_client_parse(s, &e);
	assert_true(starttls_offset(s) <= s.n);
}

static void hostile_clients(void **state)
{
	hostile_variants(STR("EHLO a\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nSTARTTLS\r\n\x16"),
			 parse_it);
	hostile_variants(STR("a LOGIN x {13+}\r\nb STARTTLS\r\n\r\nc STARTTLS\r\n"), parse_it);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_envelope),
		cmocka_unit_test(a_password_in_the_clear),
		cmocka_unit_test(files_handed_over_by_ftp),
		cmocka_unit_test(an_envelope_that_goes_on),
		cmocka_unit_test(authentication_is_stepped_over),
		cmocka_unit_test(more_recipients_than_kept),
		cmocka_unit_test(smtp_starttls),
		cmocka_unit_test(no_smtp),
		cmocka_unit_test(where_tls_begins),
		cmocka_unit_test(hostile_clients),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
