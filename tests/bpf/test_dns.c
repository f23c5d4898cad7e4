/* SPDX-License-Identifier: Apache-2.0 */
/* The parser that runs in the kernel, built for the host, against the one of user space. */
#include "base/addr.h"
#include "base/cleanup.h"
#include "decode/dns.h"
#include "tests/unit/test.h"

#include "bpf/dns.h"

#define MAX_FOUND 64

static struct {
	struct addr addr[MAX_FOUND];
	uint32_t ttl[MAX_FOUND];
	char name[MAX_FOUND][EG_NAME_MAX];
	size_t n;
} found;

static void eg_dns_found(struct eg_dns_walk *w, const __u8 addr[16], __u32 ttl)
{
	if (found.n == MAX_FOUND)
		return;
	memcpy(found.addr[found.n].b, addr, 16);
	found.ttl[found.n] = ttl;
	assert_true(w->found_len < EG_NAME_MAX);
	memcpy(found.name[found.n], w->name, w->found_len);
	found.name[found.n][w->found_len] = 0;
	found.n++;
}

static size_t walk(const void *bytes, size_t n, bool multicast)
{
	static struct eg_dns_walk w;

	memset(&w, 0xa5, sizeof(w)); /* the scratch buffer holds what the last message left */
	memset(&found, 0, sizeof(found));
	n = MIN(n, sizeof(w.bytes));
	memcpy(w.bytes, bytes, n);
	if (eg_dns_begin(&w, n, multicast))
		for (int i = 0; i < EG_DNS_STEPS && !eg_dns_step(&w); i++)
			;
	return found.n;
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
	assert_string_equal(found.name[0], "www.example.test");
	assert_int_equal(found.addr[0].b[15], 1);
	assert_true(addr_is_v4(&found.addr[0]));
	assert_int_equal(found.ttl[0], 300);
	assert_int_equal(found.addr[1].b[0], 0xfd);
	assert_int_equal(found.ttl[1], 5);
}

/* The owner written out, in other case, is the same name. */
static void test_uncompressed_owner(void **state)
{
	assert_int_equal(WALK(HEADER("\x01") QUESTION A_OF("\x03www\x07"
							   "EXAMPLE\x04tEst\x00",
							   "\x01")),
			 1);
	assert_string_equal(found.name[0], "www.example.test");
}

#define CNAME_TO_CDN                                           \
	"\xc0\x0c\x00\x05\x00\x01\x00\x00\x00\x05\x00\x06\x03" \
	"cdn\xc0\x18"

/* www -> cdn.test -> address; the address belongs to the name that was asked. 0x18 is "test", 0x2e the alias's target. */
static void test_alias(void **state)
{
	assert_int_equal(WALK(HEADER("\x02") QUESTION CNAME_TO_CDN A_OF("\xc0\x2e", "\x07")), 1);
	assert_string_equal(found.name[0], "www.example.test");
	assert_int_equal(found.addr[0].b[15], 7);
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
	assert_string_equal(found.name[0], "printer.local");
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
		if (!found.n || dns_parse((struct str){ m, n }, &d))
			continue;
		for (size_t j = 0; j < found.n; j++)
			assert_true(decoder_has(&d, &found.addr[j], found.name[j]));
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
	assert_int_equal(walk(m, n, false), MAX_FOUND);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plain),         cmocka_unit_test(test_uncompressed_owner),
		cmocka_unit_test(test_alias),         cmocka_unit_test(test_stranger),
		cmocka_unit_test(test_not_an_answer), cmocka_unit_test(test_multicast),
		cmocka_unit_test(test_hostile),       cmocka_unit_test(test_against_decoder),
		cmocka_unit_test(test_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
