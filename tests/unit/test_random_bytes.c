/* SPDX-License-Identifier: Apache-2.0 */
/* First payloads: what is random is said to be, and how rarely anything else. Dice with a fixed seed. */
#include "test.h"

#include <netinet/in.h>
#include <zlib.h>

#include "base/cleanup.h"
#include "decode/appproto.h"
#include "decode/random_bytes.h"
#include "replay/replay.h"

#define ROUNDS 4000
#define ROUNDS_DEFLATE 200 /* which is slow */

static uint64_t dice;

static uint32_t roll(uint32_t below)
{
	dice ^= dice << 13;
	dice ^= dice >> 7;
	dice ^= dice << 17;
	return (uint32_t)((dice * 0x2545f4914f6cdd1dULL >> 32) % below);
}

typedef size_t (*make_fn)(uint8_t *to, size_t n);

static size_t make_random(uint8_t *to, size_t n)
{
	for (size_t i = 0; i < n; i++)
		to[i] = (uint8_t)roll(256);
	return n;
}

/* A length in front, as of 2 bytes: the rest is ciphertext. */
static size_t make_framed(uint8_t *to, size_t n)
{
	to[0] = (uint8_t)(n >> 8);
	to[1] = (uint8_t)n;
	return 2 + make_random(to + 2, n - 2);
}

static size_t make_base64(uint8_t *to, size_t n)
{
	static const char set[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

	for (size_t i = 0; i < n; i++)
		to[i] = (uint8_t)set[roll(64)];
	return n;
}

static const char words[] =
	"Every stage is a function of the facts before it, and what cannot be kept is counted by a "
	"reason.\r\nThe quick brown fox jumps over the lazy dog; 0123456789 {\"id\": 17, \"ok\": "
	"true}\r\n";

static size_t make_text(uint8_t *to, size_t n)
{
	uint32_t at = roll(sizeof(words) - 1);

	for (size_t i = 0; i < n; i++)
		to[i] = (uint8_t)words[(at + i) % (sizeof(words) - 1)];
	return n;
}

static size_t put_varint(uint8_t *to, uint64_t v)
{
	size_t n = 0;

	for (; v > 127; v >>= 7)
		to[n++] = (uint8_t)(v | 128);
	to[n++] = (uint8_t)v;
	return n;
}

/* Tag, value: numbers of any size, doubles, names, now and then an identifier of 16 random bytes. */
static size_t make_protobuf(uint8_t *to, size_t n)
{
	size_t at = 0;
	uint32_t field = 1, len;
	double d;

	while (at < n) {
		switch (roll(8)) {
		case 0:
		case 1:
		case 2:
			to[at++] = (uint8_t)(field << 3);
			at += put_varint(to + at, roll(1u << (1 + roll(30))));
			break;
		case 3:
			to[at++] = (uint8_t)(field << 3 | 1);
			d = roll(100000) / 7.0;
			memcpy(to + at, &d, 8);
			at += 8;
			break;
		case 4:
			to[at++] = (uint8_t)(field << 3 | 2);
			to[at++] = 16;
			at += make_random(to + at, 16);
			break;
		default:
			len = 4 + roll(20);
			to[at++] = (uint8_t)(field << 3 | 2);
			to[at++] = (uint8_t)len;
			at += make_text(to + at, len);
		}
		field = field % 15 + 1;
	}
	return n;
}

static size_t make_code(uint8_t *to, size_t n)
{
	static uint8_t image[1 << 16];
	static size_t have;

	if (!have) {
		_cleanup_fclose_ FILE *f = fopen("/proc/self/exe", "re");

		assert_non_null(f);
		have = fread(image, 1, sizeof(image), f);
		assert_true(have > 16384);
	}
	memcpy(to, image + 4096 + roll((uint32_t)(have - 4096 - n)), n);
	return n;
}

static size_t make_deflated(uint8_t *to, size_t n, int window_bits)
{
	_cleanup_free_ uint8_t *plain = malloc(n * 8);
	z_stream z = { 0 };

	assert_non_null(plain);
	make_protobuf(plain, n * 8 - 64);
	assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, window_bits, 8, Z_DEFAULT_STRATEGY), Z_OK);
	z.next_in = plain;
	z.avail_in = (uInt)(n * 8 - 64);
	z.next_out = to;
	z.avail_out = (uInt)n;
	deflate(&z, Z_FINISH);
	n -= z.avail_out;
	deflateEnd(&z);
	return n;
}

static size_t make_gzip(uint8_t *to, size_t n)
{
	return make_deflated(to, n, 15 + 16);
}

static size_t make_raw_deflate(uint8_t *to, size_t n)
{
	return make_deflated(to, n, -15);
}

static double rate(make_fn make, size_t n, enum flow_first want)
{
	uint8_t bytes[4096];
	size_t hits = 0;
	size_t rounds = make == make_gzip || make == make_raw_deflate ? ROUNDS_DEFLATE : ROUNDS;

	dice = 0x9e3779b97f4a7c15ULL;
	for (size_t i = 0; i < rounds; i++) {
		size_t len = make(bytes, n);

		hits += first_bytes_class((struct str){ (char *)bytes, len }) == want;
	}
	return (double)hits / (double)rounds;
}

#define UNBOUNDED 2

/* Least share of what is random, and most of what is not, that is called so; at three lengths. */
static void rates_are_what_they_are_said_to_be(void **state)
{
	static const struct {
		const char *what;
		make_fn make;
		bool random;
		double bound[3];
	} rows[] = {
		{ "random", make_random, true, { 0.98, 0.99, 0.99 } },
		{ "random behind a length", make_framed, true, { 0.98, 0.99, 0.99 } },
		{ "base64", make_base64, false, { 0, 0, 0 } },
		{ "text", make_text, false, { 0, 0, 0 } },
		{ "protobuf", make_protobuf, false, { 0.04, 0, 0 } },
		{ "machine code", make_code, false, { 0.003, 0, 0 } },
		{ "gzip", make_gzip, false, { 0, 0, 0 } },
		{ "deflate without a header",
		  make_raw_deflate,
		  false,
		  { UNBOUNDED, UNBOUNDED, UNBOUNDED } },
	};
	static const size_t lengths[3] = { RANDOM_BYTES_MIN, 256, 1400 };

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		for (size_t k = 0; k < 3; k++) {
			double r = rate(rows[i].make, lengths[k], FIRST_RANDOM);

			print_message("%-25s %4zu bytes: %.4f called random\n", rows[i].what,
				      lengths[k], r);
			if (rows[i].random)
				assert_true(r >= rows[i].bound[k]);
			else
				assert_true(r <= rows[i].bound[k]);
		}
	assert_true(rate(make_text, 40, FIRST_TEXT) == 1);
	assert_true(rate(make_base64, 40, FIRST_TEXT) == 1);
}

static enum flow_first class_of(const char *bytes, size_t n)
{
	return first_bytes_class((struct str){ bytes, n });
}

static void edges(void **state)
{
	char random[RANDOM_BYTES_MIN + 64];

	dice = 88172645463325252ULL;
	make_random((uint8_t *)random, sizeof(random));
	random[0] = (char)0xee;
	assert_int_equal(class_of("", 0), FIRST_NONE);
	assert_int_equal(class_of("a", 1), FIRST_TEXT);
	assert_int_equal(class_of("\0", 1), FIRST_BINARY);
	assert_int_equal(class_of(random, sizeof(random)), FIRST_RANDOM);
	assert_int_equal(class_of(random, RANDOM_BYTES_MIN), FIRST_RANDOM);
	assert_int_equal(class_of(random, RANDOM_BYTES_MIN - 1), FIRST_BINARY);
	memcpy(random, "\x16\3\1", 3);
	assert_int_equal(class_of(random, sizeof(random)), FIRST_BINARY);
	memcpy(random, "\x1f\x8b\x08", 3);
	assert_int_equal(class_of(random, sizeof(random)), FIRST_BINARY);
	memcpy(random, "HELLO!", 6);
	assert_int_equal(class_of(random, sizeof(random)), FIRST_BINARY);
	memcpy(random, "HELLO\xee", 6);
	assert_int_equal(class_of(random, sizeof(random)), FIRST_RANDOM);
	memcpy(random + 10, "twenty-one characters", 21);
	assert_int_equal(class_of(random, sizeof(random)), FIRST_BINARY);
	assert_null(flow_first_name(FIRST_NONE));
	assert_string_equal(flow_first_name(FIRST_RANDOM), "random");
}

/* First payloads of real conversations, of protocols that egret knows. QUIC's is ciphertext, and is found to be. */
struct talk {
	struct event_key key;
};

struct recorded {
	struct talk talks[4096];
	size_t n, known, random, quic, quic_random;
};

static bool same_talk(const struct event_key *a, const struct event_key *b)
{
	return a->proto == b->proto &&
	       ((a->sport == b->sport && a->dport == b->dport && !memcmp(&a->src, &b->src, 16) &&
		 !memcmp(&a->dst, &b->dst, 16)) ||
		(a->sport == b->dport && a->dport == b->sport && !memcmp(&a->src, &b->dst, 16) &&
		 !memcmp(&a->dst, &b->src, 16)));
}

static void on_event(void *ctx, const struct event *e)
{
	struct recorded *r = ctx;
	struct app_input in = { .ip_proto = e->key.proto,
				.sport = e->key.sport,
				.dport = e->key.dport,
				.client = e->packet.payload };
	bool random;
	enum app_proto app;

	if (e->type != EVENT_PACKET || e->packet.payload.n < RANDOM_BYTES_MIN ||
	    (e->key.proto != IPPROTO_TCP && e->key.proto != IPPROTO_UDP))
		return;
	for (size_t i = 0; i < r->n; i++)
		if (same_talk(&r->talks[i].key, &e->key))
			return;
	if (r->n < ARRAY_SIZE(r->talks))
		r->talks[r->n++].key = e->key;
	app = app_detect(&in);
	random = first_bytes_class(e->packet.payload) == FIRST_RANDOM;
	if (app == APP_QUIC) {
		r->quic++;
		r->quic_random += random;
	} else if (app != APP_UNKNOWN && app != APP_UNDECIDED) {
		r->known++;
		r->random += random;
	}
}

static void on_error(void *ctx, const char *message)
{
	fail_msg("%s", message);
}

static void known_protocols_are_not_random(void **state)
{
	static const char *const files[] = { "benign-browsing-ndpi42/chrome.pcap",
					     "pcapplusplus/tls2.pcap",
					     "ndpi/teams.pcap",
					     "ndpi/android.pcap",
					     "ja4-foxio/quic-tls-handshake.pcapng",
					     "ndpi/quic-28.pcap" };
	_cleanup_free_ struct recorded *r = calloc(1, sizeof(*r));
	char path[512];

	assert_non_null(r);
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		struct replay *replay;

		test_data(files[i], path);
		r->n = 0;
		assert_ok(replay_new(&replay, (struct event_out){ on_event, r }, on_error, NULL));
		assert_ok(replay_add(replay, path));
		while (replay_run(replay, 10000) > 0)
			;
		replay_free(replay);
	}
	print_message(
		"%zu conversations of known protocols, %zu of them random; of QUIC %zu of %zu\n",
		r->known, r->random, r->quic_random, r->quic);
	assert_true(r->known >= 300);
	assert_int_equal(r->random, 0);
	assert_true(r->quic_random >= 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rates_are_what_they_are_said_to_be),
		cmocka_unit_test(edges),
		cmocka_unit_test(known_protocols_are_not_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
