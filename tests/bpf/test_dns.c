/* SPDX-License-Identifier: Apache-2.0 */
/* The parser that runs in the kernel, built for the host, against the one of user space. */
#include "base/addr.h"
#include "base/cleanup.h"
#include "decode/dns.h"
#include "tests/unit/test.h"

#include "bpf/dns.h"

#define KEY 0x123456789abcdefULL

static struct eg_dns_walk found;

static size_t walk(const void *bytes, size_t n, bool multicast)
{
	memset(&found, 0xa5,
	       sizeof(found)); /* the scratch buffer holds what the last message left */
	n = MIN(n, sizeof(found.bytes));
	memcpy(found.bytes, bytes, n);
	found.key = KEY;
	if (!eg_dns_begin(&found, n, multicast))
		return 0;
	for (int i = 0; i < EG_DNS_STEPS && !eg_dns_step(&found); i++)
		;
	return found.n_found;
}

/* By the plain rule of name_hash.h, from the last byte to the first. */
static uint64_t hash_of(const char *name, size_t n)
{
	uint64_t h = 0;

	while (n--)
		h = eg_name_hash_byte(h, KEY, name[n]);
	return h;
}

static void assert_found_name(const char *name)
{
	size_t n = strlen(name);

	assert_int_equal(found.found_len, n);
	assert_memory_equal(found.name, name, n);
	assert_true(found.found_hash == hash_of(name, n));
}

#define HEADER(answers) "\x12\x34\x81\x80\x00\x01\x00" answers "\x00\x00\x00\x00"
#define QUESTION  \
	"\x03"    \
	"WwW\x07" \
	"eXample\x04test\x00\x00\x01\x00\x01"
#define A_OF(owner, d) owner "\x00\x01\x00\x01\x00\x00\x01\x2c\x00\x04\x0a\x00\x00" d
#define AAAA_OF(owner, d)                                                                        \
	owner "\x00\x1c\x00\x01\x00\x00\x00\x05\x00\x10\xfd\x00\x00\x00\x00\x00\x00\x00\x00\x00" \
	      "\x00\x00\x00\x00\x00" d
#define WALK(lit) walk(lit, sizeof(lit) - 1, false)

static void test_plain(void **state)
{
	assert_int_equal(
		WALK(HEADER("\x02") QUESTION A_OF("\xc0\x0c", "\x01") AAAA_OF("\xc0\x0c", "\x02")),
		2);
	assert_found_name("www.example.test");
	assert_int_equal(found.found[0][15], 1);
	assert_true(addr_is_v4((struct addr *)found.found[0]));
	assert_int_equal(found.found_ttl[0], 300);
	assert_int_equal(found.found[1][0], 0xfd);
	assert_int_equal(found.found_ttl[1], 5);
}

/* The owner written out, in other case, is the same name. */
static void test_uncompressed_owner(void **state)
{
	assert_int_equal(WALK(HEADER("\x01") QUESTION A_OF("\x03www\x07"
							   "EXAMPLE\x04tEst\x00",
							   "\x01")),
			 1);
	assert_found_name("www.example.test");
}

#define CNAME_TO_CDN                                           \
	"\xc0\x0c\x00\x05\x00\x01\x00\x00\x00\x05\x00\x06\x03" \
	"cdn\xc0\x18"

/* www -> cdn.test -> address; the address belongs to the name that was asked. 0x18 is "test", 0x2e the alias's target. */
static void test_alias(void **state)
{
	assert_int_equal(WALK(HEADER("\x02") QUESTION CNAME_TO_CDN A_OF("\xc0\x2e", "\x07")), 1);
	assert_found_name("www.example.test");
	assert_int_equal(found.found[0][15], 7);
}

/* Sixteen aliases in a row, then one too many. */
static void test_long_chain(void **state)
{
	static const char to[] = "\xc0\x0c\x00\x05\x00\x01\x00\x00\x00\x05\x00\x03\x01";

	for (size_t links = 1; links <= 16; links++) {
		char m[1024];
		size_t n = sizeof(HEADER("\x00") QUESTION) - 1, at = 12;

		memcpy(m, HEADER("\x00") QUESTION, n);
		m[7] = links + 1;
		for (size_t i = 0; i < links; i++) {
			memcpy(m + n, to, sizeof(to) - 1);
			m[n] = (char)(0xc0 | at >> 8);
			m[n + 1] = at;
			at = n + 12;
			n += sizeof(to) - 1;
			m[n++] = 'a' + i;
			m[n++] = 0;
			m[at - 1] = 3;
		}
		memcpy(m + n, A_OF("\xc0\x0c", "\x09"), 16);
		m[n] = (char)(0xc0 | at >> 8);
		m[n + 1] = at;
		assert_int_equal(walk(m, n + 16, false), links < EG_DNS_CHAIN);
	}
}

/* 200 addresses, each with an owner written out, and 510 by pointers: none is lost. */
static void test_many(void **state)
{
	static const char owner[] = "\x03www\x07"
				    "example\x04test\x00";
	static char m[EG_DNS_MAX];
	size_t n = sizeof(HEADER("\x00") QUESTION) - 1;

	memcpy(m, HEADER("\x00") QUESTION, n);
	m[7] = (char)200;
	for (int i = 0; i < 200; i++) {
		memcpy(m + n, owner, sizeof(owner) - 1);
		n += sizeof(owner) - 1;
		memcpy(m + n, A_OF("", "\x00"), 14);
		m[n + 13] = i;
		n += 14;
	}
	assert_int_equal(walk(m, n, false), 200);
	for (int i = 0; i < 200; i++)
		assert_int_equal(found.found[i][15], i);
}

/* An answer for a name that nobody asked for, and that no alias leads to. */
static void test_stranger(void **state)
{
	assert_int_equal(WALK(HEADER("\x01") QUESTION A_OF("\x05other\x04test\x00", "\x01")), 0);
}

static void test_not_an_answer(void **state)
{
	char m[] = HEADER("\x01") QUESTION A_OF("\xc0\x0c", "\x01");

	m[2] = 0x01; /* a question */
	assert_int_equal(walk(m, sizeof(m) - 1, false), 0);
	m[2] = (char)0x81;
	m[3] = (char)0x83; /* NXDOMAIN */
	assert_int_equal(walk(m, sizeof(m) - 1, false), 0);
	m[3] = (char)0x80;
	m[5] = 2; /* two questions */
	assert_int_equal(walk(m, sizeof(m) - 1, false), 0);
	m[5] = 1;
	assert_int_equal(walk(m, sizeof(m) - 1, false), 1);
}

static void test_multicast(void **state)
{
	static const char m[] =
		"\0\0\x84\0\0\0\0\x01\0\0\0\0"
		"\x07printer\x05local\x00\x00\x01\x80\x01\x00\x00\x00\x78\x00\x04\x0a\x00\x00\x09";

	assert_int_equal(walk(m, sizeof(m) - 1, true), 1);
	assert_found_name("printer.local");
	assert_int_equal(walk(m, sizeof(m) - 1, false), 0);
}

/* Pointers to themselves, past the end, chains of them; lengths that cannot be. */
static void test_hostile(void **state)
{
	char m[] = HEADER("\x01") QUESTION A_OF("\xc0\x0c", "\x01");
	const size_t owner = sizeof(HEADER("\x01") QUESTION) - 1;

	m[owner + 1] = owner;
	assert_int_equal(walk(m, sizeof(m) - 1, false), 0);
	m[owner] = (char)0xff;
	m[owner + 1] = (char)0xff;
	assert_int_equal(walk(m, sizeof(m) - 1, false), 0);
	assert_int_equal(WALK(HEADER("\xff") QUESTION A_OF("\xc0\x0c", "\x01")), 1);
	assert_int_equal(WALK(HEADER("\x01") "\x80\x01\x01\x01"), 0);
	assert_int_equal(WALK(HEADER("\x01") "\x04"
					     "a.b\\\x00\x00\x01\x00\x01" A_OF("\xc0\x0c", "\x01")),
			 0);
}

static bool decoder_has(const struct dns_message *d, const struct addr *a, const char *name)
{
	bool has = false;

	for (size_t i = 0; i < d->n_answers; i++)
		has |= d->answers[i].has_addr && addr_eq(&d->answers[i].addr, a);
	return has && (!d->n_questions || str_eq(d->questions[0].name, str_of(name)));
}

/* Whatever is done to a message: what the kernel takes from it, user space reads there too, by the same name. */
static void test_against_decoder(void **state)
{
	static const char good[] = HEADER("\x03") QUESTION CNAME_TO_CDN A_OF("\xc0\x2e", "\x07")
		AAAA_OF("\xc0\x0c", "\x02");
	static struct dns_message d;
	char m[sizeof(good)];
	size_t agreed = 0;

	srand(1);
	for (int i = 0; i < 200000; i++) {
		size_t n = sizeof(good) - 1;

		memcpy(m, good, n);
		for (int k = rand() % 4; k-- > 0;)
			m[rand() % n] = rand();
		if (rand() % 4 == 0)
			n = rand() % (n + 1);
		walk(m, n, false);
		/* a message broken further on is none to user space; the kernel has taken its first records by then */
		if (!found.n_found || dns_parse((struct str){ m, n }, &d))
			continue;
		assert_true(found.found_len < EG_NAME_MAX);
		found.name[found.found_len] = 0;
		assert_true(found.found_hash == hash_of(found.name, found.found_len));
		for (size_t j = 0; j < found.n_found; j++)
			assert_true(decoder_has(&d, (struct addr *)found.found[j], found.name));
		agreed++;
	}
	assert_true(agreed > 10000);
}

/* The largest work a message can ask for is bounded by the steps, not by the message. */
static void test_bounded(void **state)
{
	static char m[EG_DNS_MAX];
	size_t n = sizeof(HEADER("\x01") QUESTION) - 1;

	memcpy(m, HEADER("\x01") QUESTION, n);
	m[6] = m[7] = (char)0xff;
	while (n + 16 <= sizeof(m)) {
		memcpy(m + n, A_OF("\xc0\x0c", "\x01"), 16);
		n += 16;
	}
	assert_int_equal(walk(m, n, false), (n - 34) / 16);
	assert_in_range(found.n_found, 500, EG_DNS_FOUND);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plain),         cmocka_unit_test(test_uncompressed_owner),
		cmocka_unit_test(test_alias),         cmocka_unit_test(test_stranger),
		cmocka_unit_test(test_long_chain),    cmocka_unit_test(test_many),
		cmocka_unit_test(test_not_an_answer), cmocka_unit_test(test_multicast),
		cmocka_unit_test(test_hostile),       cmocka_unit_test(test_against_decoder),
		cmocka_unit_test(test_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
