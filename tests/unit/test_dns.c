// SPDX-License-Identifier: Apache-2.0
#include "hostile.h"

#include <errno.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "decode/dns.h"

static struct dns_message m; /* too large for the stack */

/* A message under construction. */
static struct buf b;

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

static void put16(unsigned int v)
{
	buf_putc(&b, (char)(v >> 8));
	buf_putc(&b, (char)v);
}

static void put32(unsigned int v)
{
	put16(v >> 16);
	put16(v & 0xffff);
}

static void put_header(unsigned int flags, unsigned int qd, unsigned int an)
{
	put16(0x1234);
	put16(flags);
	put16(qd);
	put16(an);
	put16(0);
	put16(0);
}

static void put_name(const char *dotted)
{
	struct str rest = str_of(dotted), label;

	while (str_cut(&rest, '.', &label)) {
		buf_putc(&b, (char)label.n);
		buf_put_str(&b, label);
	}
	buf_putc(&b, 0);
}

static void put_question(const char *name, unsigned int type)
{
	put_name(name);
	put16(type);
	put16(1);
}

/* An answer whose owner is the question's name. */
static void put_answer(unsigned int type, struct str rdata)
{
	put16(0xc00c);
	put16(type);
	put16(1);
	put32(300);
	put16((unsigned int)rdata.n);
	buf_put_str(&b, rdata);
}

static void a_query(void **state)
{
	put_header(0x0100, 1, 0);
	put_question("WwW.Example.COM", DNS_AAAA);
	assert_ok(dns_parse(buf_str(&b), &m));
	assert_int_equal(m.id, 0x1234);
	assert_false(m.response);
	assert_true(m.recursion_desired);
	assert_int_equal(m.n_questions, 1);
	assert_str(m.questions[0].name, "www.example.com");
	assert_int_equal(m.questions[0].type, DNS_AAAA);
	assert_int_equal(m.questions[0].class, 1);
	assert_false(m.cut);
	assert_true(dns_is_message(buf_str(&b)));
}

struct rdata_case {
	unsigned int type;
	struct str rdata;
	const char *text;
};

#define CASE(type, lit, text)                        \
	{                                            \
		type, { lit, sizeof(lit) - 1 }, text \
	}

static const struct rdata_case cases[] = {
	CASE(DNS_A, "\xc0\x00\x02\x01", "192.0.2.1"),
	CASE(DNS_AAAA, "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01", "2001:db8::1"),
	CASE(DNS_A, "\xc0\x00\x02", "c00002"),
	CASE(DNS_CNAME,
	     "\x03"
	     "CDN"
	     "\xc0\x0c",
	     "cdn.a.example"),
	CASE(DNS_NS, "\x02ns\xc0\x0e", "ns.example"),
	CASE(DNS_PTR, "\xc0\x0c", "a.example"),
	CASE(DNS_DNAME, "\0", "."),
	CASE(DNS_MX, "\0\x0a\x02mx\0", "10 mx"),
	CASE(DNS_SRV, "\0\0\0\x05\x13\xc4\x03sip\0", "0 5 5060 sip"),
	CASE(DNS_TXT, "\x0bv=spf1 -all", "v=spf1 -all"),
	CASE(DNS_TXT,
	     "\x01"
	     "a"
	     "\x03"
	     "b\\\xff",
	     "\"a\" \"b\\092\\255\""),
	CASE(DNS_TXT, "\0", ""),
	CASE(DNS_TXT,
	     "\x05"
	     "abc",
	     "05616263"),
	CASE(DNS_SOA, "\x02ns\0\x04root\0\0\0\0\x01\0\0\0\x02\0\0\0\x03\0\0\0\x04\0\0\0\x05",
	     "ns root 1 2 3 4 5"),
	CASE(DNS_CAA, "\0\x05issueletsencrypt.org", "0 issue \"letsencrypt.org\""),
	CASE(DNS_HTTPS,
	     "\0\x01\0\0\x01\0\x06\x02h3\x02h2\0\x04\0\x08\x68\x10\x84\xe5\x68\x10\x85\xe5\0\x06\0"
	     "\x10"
	     "\x26\x06\x47\0\0\0\0\0\0\0\0\0\x68\x10\x84\xe5",
	     "1 . alpn=h3,h2 ipv4hint=104.16.132.229,104.16.133.229 ipv6hint=2606:4700::6810:84e5"),
	CASE(DNS_SVCB,
	     "\0\x10\x03"
	     "svc\0\0\0\0\x02\0\x03\0\x02\0\0\0\x03\0\x02\x01\xbb\x02\x9a\0\x01x",
	     "16 svc mandatory=port no-default-alpn port=443 key666=x"),
	CASE(DNS_SVCB, "\0\x01\0\0\x04\0\x03\x01\x02\x03",
	     "0001000004000301020"
	     "3"),
	CASE(DNS_HTTPS,
	     "\0\0\x03"
	     "web\0",
	     "0 web"),
	CASE(10, "\x00\xff\x10", "00ff10"),
};

static void record_data(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		buf_clear(&b);
		put_header(0x8180, 1, 1);
		put_question("a.example", cases[i].type);
		put_answer(cases[i].type, cases[i].rdata);
		assert_ok(dns_parse(buf_str(&b), &m));
		assert_int_equal(m.n_answers, 1);
		assert_str(m.answers[0].name, "a.example");
		assert_int_equal(m.answers[0].ttl, 300);
		assert_str(m.answers[0].rdata, cases[i].text);
		assert_false(m.cut);
		assert_true(dns_is_message(buf_str(&b)));
	}
}

static void addresses_and_ech(void **state)
{
	put_header(0x8180, 1, 3);
	put_question("a.example", DNS_A);
	put_answer(DNS_A, STR("\x01\x02\x03\x04"));
	put_answer(DNS_CNAME, STR("\xc0\x0c"));
	put_answer(DNS_HTTPS, STR("\0\x01\0\0\x05\0\x04\x01\x02\x03\xff"));
	assert_ok(dns_parse(buf_str(&b), &m));
	assert_true(m.answers[0].has_addr && addr_is_v4(&m.answers[0].addr));
	assert_int_equal(m.answers[0].addr.b[15], 4);
	assert_false(m.answers[1].has_addr || m.answers[1].ech);
	assert_true(m.answers[2].ech);
	assert_str(m.answers[2].rdata, "1 . ech=AQID/w==");
}

static void odd_octets_are_escaped(void **state)
{
	put_header(0x0100, 1, 0);
	buf_put(&b,
		"\x06"
		"a.b\\ \xc3\x03-_z\0\0\x10\0\x01",
		16);
	assert_ok(dns_parse(buf_str(&b), &m));
	assert_str(m.questions[0].name, "a\\046b\\092\\032\\195.-_z");
}

static void the_root(void **state)
{
	put_header(0x0100, 1, 0);
	put_question("", DNS_NS);
	assert_ok(dns_parse(buf_str(&b), &m));
	assert_str(m.questions[0].name, ".");
}

static void several_questions(void **state)
{
	put_header(0, 6, 0);
	for (int i = 0; i < 6; i++)
		put_question("q.local", 255);
	assert_ok(dns_parse(buf_str(&b), &m));
	assert_int_equal(m.n_questions, DNS_MAX_QUESTIONS);
	assert_true(m.cut);
}

static void pointers_that_do_not_lead_back(void **state)
{
	static const struct str loops[] = {
		{ "\xc0\x0c\0\x01\0\x01", 6 }, /* to itself */
		{ "\x01"
		  "a\xc0\x0c\0\x01\0\x01",
		  8 },                         /* round and round */
		{ "\xc0\x20\0\x01\0\x01", 6 }, /* forward */
		{ "\xc0\x02\0\x01\0\x01", 6 }, /* into the header */
		{ "\x41"
		  "a\0\0\x01\0\x01",
		  7 }, /* reserved label type */
	};

	for (size_t i = 0; i < ARRAY_SIZE(loops); i++) {
		buf_clear(&b);
		put_header(0x0100, 1, 0);
		buf_put_str(&b, loops[i]);
		assert_err(dns_parse(buf_str(&b), &m), -EBADMSG);
		assert_false(dns_is_message(buf_str(&b)));
	}
}

static void longest_name(void **state)
{
	for (int n = 127; n <= 128; n++) {
		buf_clear(&b);
		put_header(0x0100, 1, 0);
		for (int i = 0; i < n; i++)
			buf_put(&b, "\1\xff", 2);
		buf_putc(&b, 0);
		put16(1);
		put16(1);
		assert_err(dns_parse(buf_str(&b), &m), n == 127 ? 0 : -EBADMSG);
	}
	buf_clear(&b);
	put_header(0x0100, 1, 0);
	for (int i = 0; i < 4; i++) {
		buf_putc(&b, i == 3 ? 61 : 63);
		for (int j = 0; j < (i == 3 ? 61 : 63); j++)
			buf_putc(&b, 1);
	}
	put_question("", 16);
	assert_ok(dns_parse(buf_str(&b), &m));
	assert_int_equal(m.questions[0].name.n, 250 * 4 + 3);
	assert_true(m.questions[0].name.n <= DNS_NAME_MAX);
}

static void not_dns(void **state)
{
	static const struct str others[] = {
		STR(""),
		STR("\x12\x34\x01\0\0\x01\0\0\0\0"),                             /* short */
		STR("\x12\x34\x01\0\0\0\0\0\0\0\0\0"),                           /* asks nothing */
		STR("\x12\x34\x7f\0\0\x01\0\0\0\0\0\0\0\0\x01\0\x01"),           /* opcode 15 */
		STR("\x12\x34\x01\0\0\x01\0\0\0\0\0\0\0\0\x01\x77\x01"),         /* class */
		STR("\x12\x34\x01\0\0\x01\0\0\0\0\0\0\0\0\0\0\x01"),             /* type 0 */
		STR("\x12\x34\x01\0\xff\xff\xff\xff\xff\xff\xff\xff\0\0\1\0\1"), /* counts */
		STR("GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
	};

	for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
		assert_err(dns_parse(others[i], &m), -EBADMSG);
		assert_false(dns_is_message(others[i]));
	}
}

static void unusual_but_dns(void **state)
{
	/* class CH, TYPE ANY; a refusal without its question; a dynamic update */
	put_header(0x0100, 1, 0);
	put_name("version.bind");
	put16(16);
	put16(3);
	assert_ok(dns_parse(buf_str(&b), &m));

	buf_clear(&b);
	put_header(0x8105, 0, 0);
	assert_ok(dns_parse(buf_str(&b), &m));
	assert_int_equal(m.rcode, 5);

	buf_clear(&b);
	put_header(0x2800, 1, 1);
	put_question("example.org", DNS_SOA);
	put16(0xc00c);
	put16(DNS_A);
	put16(254);
	put32(0);
	put16(0);
	assert_ok(dns_parse(buf_str(&b), &m));
	assert_int_equal(m.opcode, 5);
	assert_int_equal(m.n_answers, 1);
	assert_int_equal(m.answers[0].rdata.n, 0);
	assert_false(m.answers[0].has_addr);
}

static void an_opt_record_is_not_an_answer(void **state)
{
	put_header(0x8180, 1, 2);
	put_question("a", DNS_A);
	buf_put(&b, "\0\0\x29\x04\xd0\0\0\0\0\0\0", 11);
	put_answer(DNS_A, STR("\1\2\3\4"));
	assert_ok(dns_parse(buf_str(&b), &m));
	assert_int_equal(m.n_answers, 1);
	assert_str(m.answers[0].rdata, "1.2.3.4");
}

static void cut_by_the_snaplen(void **state)
{
	size_t whole;

	put_header(0x8180, 1, 2);
	put_question("a.example", DNS_A);
	put_answer(DNS_A, STR("\1\2\3\4"));
	whole = b.n;
	put_answer(DNS_A, STR("\5\6\7\x08"));
	for (size_t n = whole; n < b.n; n++) {
		assert_ok(dns_parse(str_sub(buf_str(&b), 0, n), &m));
		assert_int_equal(m.n_answers, 1);
		assert_true(m.cut);
		assert_true(dns_is_message(str_sub(buf_str(&b), 0, n)));
	}
	for (size_t n = 12; n < 27; n++) {
		assert_ok(dns_parse(str_sub(buf_str(&b), 0, n), &m));
		assert_int_equal(m.n_questions, 0);
		assert_true(m.cut);
	}
}

static void more_answers_than_kept(void **state)
{
	put_header(0x8180, 1, 200);
	put_question("a", DNS_A);
	for (int i = 0; i < 200; i++)
		put_answer(DNS_A, STR("\1\2\3\4"));
	assert_ok(dns_parse(buf_str(&b), &m));
	assert_int_equal(m.n_answers, DNS_MAX_ANSWERS);
	assert_true(m.cut);
}

static void the_arena_is_bounded(void **state)
{
	static const char zeros[20000];

	put_header(0x8180, 1, 3);
	put_question("a", 10);
	for (int i = 0; i < 3; i++)
		put_answer(10, (struct str){ zeros, sizeof(zeros) });
	assert_ok(dns_parse(buf_str(&b), &m));
	assert_true(m.cut);
	assert_true(m.arena_n <= sizeof(m.arena));
	assert_int_equal(m.answers[2].rdata.n, 0);
}

static void parse_it(struct str s)
{
	struct dns_record *r;

	dns_is_message(s);
	if (dns_parse(s, &m) < 0)
		return;
	assert_true(m.n_questions <= DNS_MAX_QUESTIONS && m.n_answers <= DNS_MAX_ANSWERS);
	for (r = m.answers; r < m.answers + m.n_answers; r++)
		assert_true(r->name.n <= DNS_NAME_MAX && (!r->rdata.n || r->rdata.p >= m.arena));
}

static void hostile_messages(void **state)
{
	put_header(0x8180, 1, ARRAY_SIZE(cases));
	put_question("a.example", DNS_A);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		put_answer(cases[i].type, cases[i].rdata);
	hostile_variants(buf_str(&b), parse_it);
}

static void type_and_rcode_names(void **state)
{
	char text[16];

	assert_string_equal(dns_type_name(DNS_HTTPS, text), "HTTPS");
	assert_string_equal(dns_type_name(65399, text), "TYPE65399");
	assert_string_equal(dns_rcode_name(3, text), "NXDOMAIN");
	assert_string_equal(dns_rcode_name(15, text), "RCODE15");
	assert_int_equal(dns_type_parse(STR("aaaa")), DNS_AAAA);
	assert_int_equal(dns_type_parse(STR("*")), 255);
	assert_int_equal(dns_type_parse(STR("TYPE65")), 65);
	assert_int_equal(dns_type_parse(STR("query-65")), 65);
	assert_int_equal(dns_type_parse(STR("TYPE65536")), 0);
	assert_int_equal(dns_type_parse(STR("NOSUCH")), 0);
	assert_int_equal(dns_type_parse(STR("-")), 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, start, stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_query),
		TEST(record_data),
		TEST(addresses_and_ech),
		TEST(odd_octets_are_escaped),
		TEST(the_root),
		TEST(several_questions),
		TEST(pointers_that_do_not_lead_back),
		TEST(longest_name),
		TEST(not_dns),
		TEST(unusual_but_dns),
		TEST(an_opt_record_is_not_an_answer),
		TEST(cut_by_the_snaplen),
		TEST(more_answers_than_kept),
		TEST(the_arena_is_bounded),
		TEST(hostile_messages),
		TEST(type_and_rcode_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
