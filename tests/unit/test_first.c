/* SPDX-License-Identifier: Apache-2.0 */
/* What the kernel reads in first payloads, case by case; captures are test_first_data.c's, the real kernel tests/bpf's. */
#include "first_make.h"
#include "hostile.h"
#include "quic_vectors.h"

#include "base/cleanup.h"
#include "bpf/recognise.h"

static struct first_flow f;
static void begin(uint16_t port)
{
	first_begin(&f, 40000, port);
}

#define assert_seen(vis, application)                      \
	do {                                               \
		assert_int_equal(f.seen.visible, vis);     \
		assert_int_equal(f.seen.app, application); \
	} while (0)
#define assert_named(name, application)                    \
	do {                                               \
		assert_seen(EG_VISIBLE_NAME, application); \
		assert_str(first_name(&f), name);          \
	} while (0)

static void whole(struct str s)
{
	begin(443);
	assert_true(first_segment(&f, 0, s));
}

static uint64_t hash_of(const char *name)
{
	uint64_t h = 0;

	for (size_t n = strlen(name); n--;)
		h = eg_name_hash_byte(h, EG_NAME_KEY, (uint8_t)name[n]);
	return h;
}

static void tls_names(void **state)
{
	static const struct {
		const char *sni, *name; /* NULL: unreadable; "": none */
	} cases[] = {
		{ "api.example.com", "api.example.com" },
		{ "API.Example.COM", "api.example.com" },
		{ "example.com.", "example.com" },
		{ "localhost", "localhost" },
		{ "_dns.x-1.example", "_dns.x-1.example" },
		{ "xn--bcher-kva.example", "xn--bcher-kva.example" },
		{ "192.0.2.1", "" },
		{ "2001:db8::1", "" },
		{ "[2001:db8::1]", "" },
		{ "10", "" },
		{ "1.2.3.example", "1.2.3.example" },
		{ "example.com..", NULL },
		{ ".", NULL },
		{ ".example.com", NULL },
		{ "a..example.com", NULL },
		{ "exa mple.com", NULL },
		{ "exa\tmple.com", NULL },
		{ "b\xc3\xbc"
		  "cher.example",
		  NULL },
		{ "*.example.com", NULL },
		{ "good.example:443", NULL },
		{ "abcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcd.example",
		  NULL },
		{ "abcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabc.example",
		  "abcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabc.example" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		whole(hello_for(str_of(cases[i].sni), 300));
		if (!cases[i].name)
			assert_seen(EG_VISIBLE_UNREADABLE, EG_APP_TLS);
		else if (!*cases[i].name)
			assert_seen(EG_VISIBLE_NONE, EG_APP_TLS);
		else
			assert_named(cases[i].name, EG_APP_TLS);
	}
	whole(hello_for(STR("good.example\0.evil.example"), 300));
	assert_seen(EG_VISIBLE_UNREADABLE, EG_APP_TLS);
	whole(hello_for(STR_NONE, 300));
	assert_seen(EG_VISIBLE_NONE, EG_APP_TLS);
}

static void hashes(void **state)
{
	char deep[64];

	whole(hello_for(STR("A.b.example.com."), 300));
	assert_int_equal(f.seen.n_hash, 4);
	assert_true(f.seen.hash[0] == hash_of("a.b.example.com"));
	assert_true(f.seen.hash[1] == hash_of("b.example.com"));
	assert_true(f.seen.hash[2] == hash_of("example.com"));
	assert_true(f.seen.hash[3] == hash_of("com"));
	/* more labels than the table takes: the whole name, and the parents from the top */
	for (size_t i = 0; i < 20; i++) {
		deep[2 * i] = (char)('a' + i);
		deep[2 * i + 1] = i < 19 ? '.' : 0;
	}
	whole(hello_for(str_of(deep), 300));
	assert_int_equal(f.seen.n_hash, EG_LABELS_MAX);
	assert_true(f.seen.hash[0] == hash_of(deep));
	assert_true(f.seen.hash[EG_LABELS_MAX - 1] == hash_of(deep + 2 * 19));
	assert_true(f.seen.hash[1] == hash_of(deep + 2 * 5));
}

/* Every way to cut a hello in two, then in three; in order, the other way round, and with the first part sent again. */
static void split_over_segments(void **state)
{
	struct str s = hello_for(STR("split.example.com"), 260), a, b;

	for (size_t i = 1; i < s.n; i++) {
		a = str_sub(s, 0, i);
		b = str_sub(s, i, s.n);
		begin(443);
		assert_false(first_segment(&f, 0, a));
		assert_int_equal(f.seen.visible, EG_VISIBLE_UNKNOWN);
		assert_false(first_segment(&f, 0, a));
		assert_true(first_segment(&f, i, b));
		assert_named("split.example.com", EG_APP_TLS);
		begin(443);
		assert_false(first_segment(&f, i, b));
		assert_int_equal(f.seen.visible, EG_VISIBLE_UNKNOWN);
		assert_true(first_segment(&f, 0, a));
		assert_named("split.example.com", EG_APP_TLS);
		begin(443);
		assert_false(first_segment(&f, 0, str_sub(s, 0, 1)));
		if (i > 1 && i + 1 < s.n) {
			assert_false(first_segment(&f, i, str_sub(s, i, s.n - i - 1)));
			assert_false(first_segment(&f, 1, str_sub(s, 1, i - 1)));
			assert_true(first_segment(&f, s.n - 1, str_sub(s, s.n - 1, 1)));
			assert_named("split.example.com", EG_APP_TLS);
		}
	}
}

/* More pieces or bytes than are waited for: unreadable, never a pass. */
static void bounds(void **state)
{
	struct str s = hello_for(STR("large.example.com"), 3900);

	assert_true(s.n > 3900 && s.n < 4096);
	for (size_t i = 0; i < 3; i++) {
		begin(443);
		assert_false(first_segment(&f, 0, str_sub(s, 0, 1400)));
		assert_false(first_segment(&f, 1400, str_sub(s, 1400, 1400)));
		assert_true(first_segment(&f, 2800, str_sub(s, 2800, 1400)));
		assert_named("large.example.com", EG_APP_TLS);
	}
	s = hello_for(STR("large.example.com"), 4200);
	whole(s);
	assert_seen(EG_VISIBLE_UNREADABLE, EG_APP_TLS);
	s = hello_for(STR("slow.example.com"), 300);
	begin(443);
	for (size_t i = 0; i < EG_FIRST_PACKETS; i++)
		assert_int_equal(first_segment(&f, i, str_sub(s, i, 1)), i == EG_FIRST_PACKETS - 1);
	assert_int_equal(f.seen.visible, EG_VISIBLE_UNREADABLE);
	begin(443);
	assert_false(first_segment(&f, 0, str_sub(s, 0, 9)));
	assert_true(first_segment(&f, 4096, str_sub(s, 9, 9)));
	assert_int_equal(f.seen.visible, EG_VISIBLE_UNREADABLE);
}

static void split_over_records(void **state)
{
	static uint8_t message[8192];
	struct str s = hello_for(STR("records.example.com"), 300), m, cut;

	memcpy(message, s.p + 5, s.n - 5);
	m = (struct str){ (char *)message, s.n - 5 };
	for (size_t size = 1; size <= m.n; size++) {
		cut = cut_into_records(m, size);
		whole(cut);
		assert_named("records.example.com", EG_APP_TLS);
		/* and over segments: in the middle of a record's header, too */
		for (size_t i = 1; i < cut.n; i += 7) {
			begin(443);
			assert_false(first_segment(&f, 0, str_sub(cut, 0, i)));
			assert_true(first_segment(&f, i, str_sub(cut, i, cut.n)));
			assert_named("records.example.com", EG_APP_TLS);
		}
	}
	/* another record in between */
	cut = cut_into_records(m, 100);
	((char *)cut.p)[105] = 21;
	whole(cut);
	assert_seen(EG_VISIBLE_UNREADABLE, EG_APP_TLS);
	((char *)cut.p)[105] = 22;
	((char *)cut.p)[105 + 3] = 0;
	((char *)cut.p)[105 + 4] = 0;
	whole(cut);
	assert_seen(EG_VISIBLE_UNREADABLE, EG_APP_TLS);
}

/* Extensions as they are in `e`. */
static void with_extensions(const void *e, size_t n)
{
	static uint8_t message[8192], ext[4096];

	memcpy(ext, e, n);
	whole((struct str){
		(char *)hello,
		record(hello, message, handshake(message, (struct bytes){ ext, n }, true)) });
}

#define SNI_A "\0\0\0\x0b\0\x09\0\0\x06"
#define WITH(lit) with_extensions(lit, sizeof(lit) - 1)

static void odd_hellos(void **state)
{
	static uint8_t message[512];
	struct bytes none = { NULL, 0 };

	WITH(SNI_A "a.test");
	assert_named("a.test", EG_APP_TLS);
	/* twice; two names in one; a list that is too short, too long; another type of name; empty */
	WITH(SNI_A "a.test" SNI_A "b.test");
	assert_int_equal(f.seen.visible, EG_VISIBLE_UNREADABLE);
	WITH("\0\0\0\x14\0\x12\0\0\x06"
	     "a.test\0\0\x06"
	     "b.test");
	assert_int_equal(f.seen.visible, EG_VISIBLE_UNREADABLE);
	WITH("\0\0\0\x0b\0\x08\0\0\x06"
	     "a.test");
	assert_int_equal(f.seen.visible, EG_VISIBLE_UNREADABLE);
	WITH("\0\0\0\x0b\0\x09\0\0\x05"
	     "a.test");
	assert_int_equal(f.seen.visible, EG_VISIBLE_UNREADABLE);
	WITH("\0\0\0\x0b\0\x09\1\0\x06"
	     "a.test");
	assert_int_equal(f.seen.visible, EG_VISIBLE_UNREADABLE);
	WITH("\0\0\0\0");
	assert_int_equal(f.seen.visible, EG_VISIBLE_UNREADABLE);
	WITH("\0\0\0\5\0\3\0\0\0");
	assert_int_equal(f.seen.visible, EG_VISIBLE_UNREADABLE);
	/* an extension that says more than there is */
	WITH(SNI_A "a.test\0\x15\0\x09\0");
	assert_int_equal(f.seen.visible, EG_VISIBLE_UNREADABLE);
	/* without any, as before TLS 1.2 */
	whole((struct str){ (char *)hello,
			    record(hello, message, handshake(message, none, false)) });
	assert_seen(EG_VISIBLE_NONE, EG_APP_TLS);
	/* ECH: the name outside is the visible one */
	WITH("\xfe\x0d\0\x04"
	     "inne" SNI_A "a.test");
	assert_named("a.test", EG_APP_TLS);
}

static void dns_over_tls(void **state)
{
	begin(443);
	WITH(SNI_A "a.test\0\x10\0\6\0\4\3dot");
	assert_named("a.test", EG_APP_DOT);
	WITH(SNI_A "a.test\0\x10\0\x0b\0\x09\2h2\1x\3dot");
	assert_named("a.test", EG_APP_DOT);
	WITH(SNI_A "a.test\0\x10\0\5\0\3\2h2");
	assert_named("a.test", EG_APP_TLS);
	WITH(SNI_A "a.test\0\x10\0\5\0\3\3h2");
	assert_int_equal(f.seen.visible, EG_VISIBLE_UNREADABLE);
	begin(853);
	first_segment(&f, 0, hello_for(STR("resolver.example"), 200));
	assert_named("resolver.example", EG_APP_DOT);
}

/* Some servers do not look at the version of the first record; other records never begin a session. */
static void odd_records(void **state)
{
	struct str s = hello_for(STR("odd.example"), 200);

	hello[1] = 0;
	whole(s);
	assert_named("odd.example", EG_APP_UNKNOWN);
	s = hello_for(STR("odd.example"), 200);
	hello[5] = 2;
	whole(s);
	assert_int_equal(f.seen.visible, EG_VISIBLE_UNREADABLE);
	s = hello_for(STR("odd.example"), 200);
	hello[0] = 23;
	whole(s);
	assert_seen(EG_VISIBLE_UNREADABLE, EG_APP_TLS);
	s = hello_for(STR("odd.example"), 200);
	memmove(hello + 6, hello, s.n);
	memcpy(hello, "\x14\3\3\0\1\1", 6);
	whole((struct str){ (char *)hello, s.n + 6 });
	assert_seen(EG_VISIBLE_UNREADABLE, EG_APP_TLS);
}

/* Bytes changed at will: what the kernel names, it names by bytes that are there; nothing is read past its end. */
static void hostile(void **state)
{
	static uint8_t copy[8192];
	struct str s = hello_for(STR("hostile.example.com"), 280);

	memcpy(copy, s.p, s.n);
	srand(3);
	for (int i = 0; i < 100000; i++) {
		size_t n = s.n;

		memcpy(hello, copy, n);
		for (int k = rand() % 5; k >= 0; k--)
			hello[rand() % n] = (uint8_t)rand();
		if (rand() % 4 == 0)
			n = (size_t)rand() % n + 1;
		begin(443);
		first_segment(&f, 0, (struct str){ (char *)hello, n });
		assert_true(f.seen.len <= EG_HOST_MAX);
		if (f.seen.visible == EG_VISIBLE_NAME)
			assert_true(f.seen.n_hash >= 1 && f.seen.n_hash <= EG_LABELS_MAX);
	}
}

/* --- HTTP ------------------------------------------------------------------------------------------------------- */
#define UNREADABLE NULL
#define NONE ""

static void requests(void **state)
{
	static const struct {
		const char *head, *host;
	} cases[] = {
		{ "GET / HTTP/1.1\r\nHost: Example.com\r\n\r\n", "example.com" },
		{ "GET / HTTP/1.1\nHost: example.com\n\n", "example.com" },
		{ "\r\n\r\nGET / HTTP/1.1\r\nHost: example.com\r\n\r\n", "example.com" },
		{ "GET  /a b c HTTP/1.1\r\nAccept: */*\r\nhOST:example.com.:8080 \t\r\n\r\n",
		  "example.com" },
		{ "POST / HTTP/1.1\r\nHost: example.com\r\nContent-Length: 5\r\n\r\nA B C",
		  "example.com" },
		{ "POST / HTTP/1.1\r\nHost: example.com\r\n\r\nGET / of it\r\nHost: "
		  "other.test\r\n\r\n",
		  "example.com" },
		{ "GET / HTTP/1.0\r\n\r\n", NONE },
		{ "GET /\r\n", NONE },
		{ "GET / HTTP/1.1\r\nHost:\r\n\r\n", NONE },
		{ "GET / HTTP/1.1\r\nHost: 192.0.2.1:80\r\n\r\n", NONE },
		{ "GET / HTTP/1.1\r\nHost: [2001:db8::1]:80\r\n\r\n", NONE },
		{ "GET / HTTP/1.1\r\nHost: [2001:db8::1]\r\n\r\n", NONE },
		{ "GET http://Example.com/x HTTP/1.1\r\nHost: example.com\r\n\r\n", "example.com" },
		{ "GET http://example.com:80?x HTTP/1.1\r\n\r\n", "example.com" },
		{ "GET http://example.com/ HTTP/1.1\r\nHost: other.test\r\n\r\n", UNREADABLE },
		{ "GET http://good.test@example.com/ HTTP/1.1\r\nHost: good.test\r\n\r\n",
		  UNREADABLE },
		{ "CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n\r\n",
		  "example.com" },
		{ "CONNECT example.com:443 HTTP/1.1\r\n\r\n", "example.com" },
		{ "CONNECT /x HTTP/1.1\r\nHost: example.com\r\n\r\n", UNREADABLE },
		{ "OPTIONS * HTTP/1.1\r\nHost: example.com\r\n\r\n", "example.com" },
		{ "GET / HTTP/1.1\r\nHost: example.com\r\nHost: other.test\r\n\r\n", UNREADABLE },
		{ "GET / HTTP/1.1\r\nHost: example.com\r\nHost: example.com\r\n\r\n", UNREADABLE },
		{ "GET / HTTP/1.1\r\nHost : example.com\r\n\r\n", UNREADABLE },
		{ "GET / HTTP/1.1\r\n Host: example.com\r\n\r\n", UNREADABLE },
		{ "GET / HTTP/1.1\r\nHost: example.com\r\n .evil.test\r\n\r\n", UNREADABLE },
		{ "GET / HTTP/1.1\r\nX: a\r\n b\r\nHost: example.com\r\n\r\n", UNREADABLE },
		{ "GET / HTTP/1.1\r\nHost: exa\rmple.com\r\n\r\n", UNREADABLE },
		{ "GET / HTTP/1.1\r\nHost: a.test, b.test\r\n\r\n", UNREADABLE },
		{ "GET / HTTP/1.1\r\nHost: a.test/\r\n\r\n", UNREADABLE },
		{ "GET / HTTP/1.1\r\n: x\r\nHost: a.test\r\n\r\n", UNREADABLE },
		{ "GET\t/ HTTP/1.1\r\nHost: a.test\r\n\r\n", UNREADABLE },
		{ "GET / HTTP/1.1\r\nHost: a.test\r\n\r\nGET / HTTP/1.1\r\nHost: A.test\r\n\r\n",
		  "a.test" },
		{ "GET / HTTP/1.1\r\nHost: a.test\r\n\r\nGET / HTTP/1.1\r\nHost: b.test\r\n\r\n",
		  UNREADABLE },
		{ "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n\r\nGET http://b.test/ HTTP/1.1\r\nHost: "
		  "b.test\r\n\r\n",
		  UNREADABLE },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct str s = str_of(cases[i].head);

		begin(80);
		assert_true(first_segment(&f, 0, s));
		if (!cases[i].host    ? f.seen.visible != EG_VISIBLE_UNREADABLE
		    : !*cases[i].host ? f.seen.visible != EG_VISIBLE_NONE
				      : !str_eq(first_name(&f), str_of(cases[i].host))) {
			print_message("%s\nvisible %u, %.*s\n", cases[i].head, f.seen.visible,
				      (int)first_name(&f).n, f.seen.name);
			fail();
		}
		/* cut anywhere: the same, once it is whole */
		for (size_t k = 1; k + 1 < s.n; k++) {
			struct eg_seen want = f.seen;
			struct first_flow two;

			first_begin(&two, 40000, 80);
			if (first_segment(&two, 0, str_sub(s, 0, k)))
				continue;
			assert_true(first_segment(&two, k, str_sub(s, k, s.n)));
			assert_int_equal(two.seen.visible, want.visible);
		}
	}
}

static void long_request(void **state)
{
	static char head[8000];
	size_t n;

	memset(head, 'x', sizeof(head));
	n = (size_t)snprintf(head, sizeof(head), "GET / HTTP/1.1\r\nHost: example.com\r\nCookie: ");
	head[n] = 'x';
	/* the host is in the first 4 KiB, the head's end is not */
	begin(80);
	assert_true(first_segment(&f, 0, (struct str){ head, sizeof(head) }));
	assert_named("example.com", EG_APP_HTTP);
	memcpy(head + 16, "Xost", 4);
	begin(80);
	assert_true(first_segment(&f, 0, (struct str){ head, sizeof(head) }));
	assert_seen(EG_VISIBLE_UNREADABLE, EG_APP_HTTP);
	begin(80);
	assert_true(
		first_segment(&f, 0, STR("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0")));
	assert_seen(EG_VISIBLE_UNREADABLE, EG_APP_HTTP2);
}

/* --- QUIC ------------------------------------------------------------------------------------------------------- */

static bool dgram(struct str s)
{
	return first_datagram(&f, s, s.n);
}

#define ID STR("eightoct")
#define OTHER STR("another-id")
#define ALL 9999

static void quic_published(void **state)
{
	static const struct {
		const char *hex;
		bool readable;
	} cases[] = { { rfc9001_a2, true }, { rfc9369_a2, true }, { draft29, false } };

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct str s = from_hex(cases[i].hex);

		begin(443);
		assert_true(dgram(s));
		if (cases[i].readable)
			assert_named("example.com", EG_APP_QUIC);
		else
			assert_seen(EG_VISIBLE_UNREADABLE, EG_APP_QUIC);
		/* the same again: the same */
		dgram(s);
		assert_int_equal(f.seen.visible,
				 cases[i].readable ? EG_VISIBLE_NAME : EG_VISIBLE_UNREADABLE);
		free((char *)s.p);
	}
}

static void quic_parts(void **state)
{
	begin(443);
	assert_true(dgram(initial(EG_QUIC_V1, ID, 0, STR("one.example"), 0, ALL)));
	assert_named("one.example", EG_APP_QUIC);
	for (int v = 0; v < 2; v++)
		for (int order = 0; order < 2; order++) {
			uint32_t version = v ? EG_QUIC_V2 : EG_QUIC_V1;

			begin(443);
			assert_false(dgram(initial(version, ID, 0, STR("two.example"),
						   order ? 200 : 0, order ? ALL : 200)));
			assert_int_equal(f.seen.visible, EG_VISIBLE_UNKNOWN);
			assert_true(dgram(initial(version, ID, 1, STR("two.example"),
						  order ? 0 : 150, order ? 210 : ALL)));
			assert_named("two.example", EG_APP_QUIC);
		}
	begin(853);
	assert_true(dgram(initial(EG_QUIC_V1, ID, 0, STR("doq.example"), 0, ALL)));
	assert_named("doq.example", EG_APP_DOQ);
}

/* A packet that never arrives may say one thing, the next another: what was read is not forgotten. */
static void quic_contradiction(void **state)
{
	begin(443);
	assert_true(dgram(initial(EG_QUIC_V1, ID, 0, STR("good.example"), 0, ALL)));
	assert_named("good.example", EG_APP_QUIC);
	dgram(initial(EG_QUIC_V1, ID, 0, STR("evil.example"), 0, ALL));
	assert_int_equal(f.seen.visible, EG_VISIBLE_UNREADABLE);
	assert_false(f.seen.same);
	begin(443);
	assert_false(dgram(initial(EG_QUIC_V1, ID, 0, STR("good.example"), 0, 60)));
	assert_true(dgram(initial(EG_QUIC_V1, ID, 1, STR("good.example"), 60, ALL)));
	assert_named("good.example", EG_APP_QUIC);
	dgram(initial(EG_QUIC_V1, ID, 1, STR("evil.example"), 60, ALL));
	assert_int_equal(f.seen.visible, EG_VISIBLE_UNREADABLE);
	/* and so it stays */
	dgram(initial(EG_QUIC_V1, ID, 1, STR("good.example"), 60, ALL));
	assert_int_equal(f.seen.visible, EG_VISIBLE_UNREADABLE);
}

/* After a Retry, or for a second connection over the same socket, keys come from another id: all is read anew. */
static void quic_other_id(void **state)
{
	begin(443);
	assert_true(dgram(initial(EG_QUIC_V1, ID, 0, STR("good.example"), 0, ALL)));
	assert_true(dgram(initial(EG_QUIC_V1, OTHER, 0, STR("good.example"), 0, ALL)));
	assert_named("good.example", EG_APP_QUIC);
	assert_true(dgram(initial(EG_QUIC_V1, ID, 0, STR("evil.example"), 0, ALL)));
	assert_named("evil.example", EG_APP_QUIC);
	/* in pieces: not known until it is whole */
	assert_false(dgram(initial(EG_QUIC_V1, OTHER, 0, STR("third.example"), 0, 100)));
	assert_int_equal(f.seen.visible, EG_VISIBLE_UNKNOWN);
	assert_false(dgram(initial(EG_QUIC_V1, OTHER, 0, STR("third.example"), 0, 100)));
	assert_true(dgram(initial(EG_QUIC_V1, OTHER, 1, STR("third.example"), 100, ALL)));
	assert_named("third.example", EG_APP_QUIC);
}

/* Once the server has answered, its id is in the header, and the keys stay. */
static void quic_server_id(void **state)
{
	static uint8_t frames[1200], out[4096];
	struct str s;
	size_t n;

	begin(443);
	assert_true(dgram(initial(EG_QUIC_V1, ID, 0, STR("good.example"), 0, ALL)));
	memcpy(frames, "\2\0\0\0\0\1", 6);
	n = seal(out, EG_QUIC_V1, ID, 1, frames, 1150);
	memcpy(out + 6, "serverid", 8);
	assert_true(dgram((struct str){ (char *)out, n }));
	assert_named("good.example", EG_APP_QUIC);
	s = initial(EG_QUIC_V1, ID, 2, STR("evil.example"), 40, 200);
	memcpy((char *)s.p + 6, "serverid", 8);
	dgram(s);
	assert_int_equal(f.seen.visible, EG_VISIBLE_UNREADABLE);
	/* an id that no keys come from that are known */
	begin(443);
	memcpy((char *)s.p + 6, "serverid", 8);
	assert_true(dgram(s));
	assert_int_equal(f.seen.visible, EG_VISIBLE_UNREADABLE);
	/* the version changes, the hello goes on (RFC 9368) */
	begin(443);
	assert_false(dgram(initial(EG_QUIC_V1, ID, 0, STR("good.example"), 0, 200)));
	s = initial(EG_QUIC_V2, ID, 1, STR("good.example"), 200, ALL);
	memcpy((char *)s.p + 6, "serverid", 8);
	assert_true(dgram(s));
	assert_named("good.example", EG_APP_QUIC);
}

static void quic_odd(void **state)
{
	static uint8_t frames[1200], out[4096], both[8192];
	struct str s;
	size_t n;

	/* acknowledgements and close are no news; the server's id is in the header by then: unreadable with its keys alone */
	begin(443);
	assert_true(dgram(initial(EG_QUIC_V1, ID, 0, STR("good.example"), 0, ALL)));
	memset(frames, 0, sizeof(frames));
	memcpy(frames, "\2\0\0\0\0\x1c\0\0\3why\1", 13);
	n = seal(out, EG_QUIC_V1, ID, 2, frames, 1150);
	assert_true(dgram((struct str){ (char *)out, n }));
	assert_named("good.example", EG_APP_QUIC);
	/* a frame that an Initial must not hold */
	frames[20] = 8;
	n = seal(out, EG_QUIC_V1, ID, 3, frames, 1150);
	dgram((struct str){ (char *)out, n });
	assert_int_equal(f.seen.visible, EG_VISIBLE_UNREADABLE);
	/* another version, as large as a first datagram has to be */
	s = initial(EG_QUIC_V1, ID, 0, STR("good.example"), 0, ALL);
	memcpy((char *)s.p + 1, "\x12\x34\x56\x78", 4);
	((char *)s.p)[1] = 0x5f;
	begin(443);
	assert_true(first_datagram(&f, s, 1200));
	/* behind a packet that is nothing new, another one */
	begin(443);
	s = initial(EG_QUIC_V1, ID, 0, STR("good.example"), 0, ALL);
	n = s.n;
	memcpy(both, s.p, n);
	s = initial(EG_QUIC_V1, OTHER, 0, STR("evil.example"), 0, ALL);
	memcpy(both + n, s.p, s.n);
	assert_true(dgram((struct str){ (char *)both, n + s.n }));
	assert_named("evil.example", EG_APP_QUIC);
	/* cut: not readable */
	begin(443);
	s = initial(EG_QUIC_V1, ID, 0, STR("good.example"), 0, ALL);
	assert_true(dgram(str_sub(s, 0, s.n - 1)));
	assert_int_equal(f.seen.visible, EG_VISIBLE_UNREADABLE);
	/* what was remembered is gone */
	first_shake(&f);
	f.seen.begun = 1;
	s = initial(EG_QUIC_V1, ID, 0, STR("good.example"), 0, ALL);
	memcpy(f.w.bytes + EG_FIRST_PLACE, s.p, s.n);
	eg_datagram_look(&f.w, (uint32_t)s.n, (uint32_t)s.n, 1, &f.seen);
	assert_seen(EG_VISIBLE_UNREADABLE, EG_APP_QUIC);
}

static void quic_hostile(void **state)
{
	static uint8_t frames[1300], out[4096], datagram[4096];
	struct str s = initial(EG_QUIC_V1, ID, 0, STR("good.example"), 0, ALL);
	size_t n = s.n;

	memcpy(datagram, s.p, n);
	srand(5);
	for (int i = 0; i < 3000; i++) {
		memcpy(out, datagram, n);
		for (int k = rand() % 3; k >= 0; k--)
			out[rand() % 40] = (uint8_t)rand();
		begin(443);
		dgram((struct str){ (char *)out, (size_t)rand() % n + 1 });
		dgram((struct str){ (char *)datagram, n });
	}
	/* frames of any kind and length */
	for (int i = 0; i < 3000; i++) {
		size_t size;

		for (size_t k = 0; k < sizeof(frames); k++)
			frames[k] = (uint8_t)(rand() % 3 ? rand() % 8 : rand());
		size = seal(out, EG_QUIC_V1, ID, (uint32_t)i, frames, 200 + (size_t)rand() % 1000);
		if (i % 10 == 0)
			begin(443);
		dgram((struct str){ (char *)out, size });
	}
}

/* Each protocol is on one list of those that tell when it is told. */
static void lists(void **state)
{
	unsigned int n[EG_APP_MAX] = { 0 };

#define X(id) n[EG_APP_##id]++;
	EG_APPS_EARLY(X)
	EG_APPS_PORT(X)
	EG_APPS_LATE(X)
#undef X
	for (unsigned int i = EG_APP_UNKNOWN + 1; i < EG_APP_DECODED; i++)
		assert_int_equal(n[i], 1);
	assert_int_equal(n[EG_APP_DOT] + n[EG_APP_DOQ] + n[EG_APP_DOH], 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tls_names),
		cmocka_unit_test(hashes),
		cmocka_unit_test(split_over_segments),
		cmocka_unit_test(bounds),
		cmocka_unit_test(split_over_records),
		cmocka_unit_test(odd_hellos),
		cmocka_unit_test(dns_over_tls),
		cmocka_unit_test(odd_records),
		cmocka_unit_test(hostile),
		cmocka_unit_test(requests),
		cmocka_unit_test(long_request),
		cmocka_unit_test(quic_published),
		cmocka_unit_test(quic_parts),
		cmocka_unit_test(quic_contradiction),
		cmocka_unit_test(quic_other_id),
		cmocka_unit_test(quic_odd),
		cmocka_unit_test(quic_server_id),
		cmocka_unit_test(quic_hostile),
		cmocka_unit_test(lists),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
