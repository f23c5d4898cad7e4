/* SPDX-License-Identifier: Apache-2.0 */
#include "decode/random_bytes.h"

#include <stdint.h>

#include "base/cleanup.h"
#include "decode/http.h"

#define LEADING 6
#define IN_A_ROW 20
#define DEVIATIONS 4
#define CHI_SQUARE_15 37.7 /* 15 degrees of freedom: one in 1,000 random payloads is above */

struct sums {
	uint32_t bits, printable, text, longest, pairs, nibbles[16];
};

static bool is_printable(uint8_t c)
{
	return c >= 0x20 && c <= 0x7e;
}

/* How often each value occurs says all but how long the runs are. */
static struct sums sum(struct str s)
{
	static const uint8_t bits[16] = { 0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4 };
	uint16_t seen[256] = { 0 };
	struct sums r = { 0 };
	uint32_t run = 0;

	for (size_t i = 0; i < s.n; i++) {
		uint8_t c = (uint8_t)s.p[i];

		seen[c]++;
		run = is_printable(c) ? run + 1 : 0;
		r.longest = MAX(r.longest, run);
	}
	for (uint32_t c = 0; c < 256; c++) {
		uint32_t n = seen[c];

		if (!n)
			continue;
		r.bits += n * (bits[c >> 4] + bits[c & 15]);
		r.nibbles[c >> 4] += n;
		r.pairs += n * (n - 1) / 2;
		if (is_printable((uint8_t)c))
			r.printable += n;
	}
	r.text = r.printable + seen['\t'] + seen['\n'] + seen['\r'];
	return r;
}

/*
 * Of n random bytes the expected number of equal pairs is n(n-1)/512, its variance that times 255/256: is this more than
 * DEVIATIONS standard deviations above?
 */
static bool repeats(uint32_t pairs, size_t n)
{
	double all = (double)n * (double)(n - 1) / 512, over = pairs - all;

	return over > 0 && over * over > DEVIATIONS * DEVIATIONS * all;
}

/* The upper halves of bytes, where texts and small numbers crowd: chi-square of 16 equal cells. */
static bool leans(const uint32_t nibbles[16], size_t n)
{
	uint64_t squares = 0;

	for (size_t i = 0; i < 16; i++)
		squares += (uint64_t)nibbles[i] * nibbles[i];
	return (double)squares * 16 / (double)n - (double)n > CHI_SQUARE_15;
}

static bool is_tls(struct str s)
{
	const uint8_t *b = (const uint8_t *)s.p;

	return s.n >= 3 && b[0] >= 0x14 && b[0] <= 0x17 && b[1] == 3 && b[2] <= 9;
}

/* gzip, zlib, zstd, xz, bzip2, lz4, zip, PNG, JPEG, Java's objects */
static bool has_magic(struct str s)
{
	static const struct str magics[] = {
		STR("\x1f\x8b"),
		STR("\x78\x01"),
		STR("\x78\x5e"),
		STR("\x78\x9c"),
		STR("\x78\xda"),
		STR("\x28\xb5\x2f\xfd"),
		STR("\xfd"
		    "7zXZ"),
		STR("BZh"),
		STR("\x04\x22\x4d\x18"),
		STR("PK\x03\x04"),
		STR("\x89PNG"),
		STR("\xff\xd8\xff"),
		STR("\xac\xed\x00\x05"),
	};

	for (size_t i = 0; i < ARRAY_SIZE(magics); i++)
		if (str_has_prefix(s, magics[i]))
			return true;
	return false;
}

static bool printable_front(struct str s)
{
	for (size_t i = 0; i < LEADING; i++)
		if (!is_printable((uint8_t)s.p[i]))
			return false;
	return true;
}

enum flow_first first_bytes_class(struct str s)
{
	struct sums r;
	uint64_t bits;

	if (!s.n)
		return FIRST_NONE;
	s = str_sub(s, 0, RANDOM_BYTES_MAX);
	r = sum(s);
	if (r.text * 20 >= s.n * 19)
		return FIRST_TEXT;
	bits = (uint64_t)r.bits * 10;
	if (s.n < RANDOM_BYTES_MIN || bits <= 34 * s.n || bits >= 46 * s.n || printable_front(s) ||
	    r.printable * 2 > s.n || r.longest > IN_A_ROW || is_tls(s) || http_is_request(s) ||
	    has_magic(s) || repeats(r.pairs, s.n) || leans(r.nibbles, s.n))
		return FIRST_BINARY;
	return FIRST_RANDOM;
}

const char *flow_first_name(enum flow_first v)
{
	static const char *const names[] = { NULL, "text", "binary", "random" };

	return (size_t)v < ARRAY_SIZE(names) ? names[v] : NULL;
}
