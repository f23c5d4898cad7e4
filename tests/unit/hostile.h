/* SPDX-License-Identifier: Apache-2.0 */
/* What decoder tests share: hex in, and inputs made hostile in memory of exactly their size, for the sanitizers. */
#pragma once

#include "test.h"

static inline unsigned int hostile_nibble(char c)
{
	return c <= '9' ? (unsigned int)(c - '0') : (unsigned int)((c | 0x20) - 'a' + 10);
}

/* Bytes of a hex text, in memory that the caller frees. */
static inline struct str from_hex(const char *hex)
{
	size_t n = strlen(hex) / 2;
	char *p = malloc(n ? n : 1);

	assert_non_null(p);
	for (size_t i = 0; i < n; i++)
		p[i] = (char)(hostile_nibble(hex[2 * i]) << 4 | hostile_nibble(hex[2 * i + 1]));
	return (struct str){ p, n };
}

/* fn() on every prefix of s, and on s with each byte changed in three ways. */
static inline void hostile_variants(struct str s, void (*fn)(struct str))
{
	static const unsigned char flips[] = { 0x01, 0x80, 0xff };

	for (size_t n = 0; n <= s.n; n++) {
		char *p = malloc(n ? n : 1);

		assert_non_null(p);
		if (n)
			memcpy(p, s.p, n);
		fn((struct str){ p, n });
		for (size_t i = 0; n == s.n && i < n * sizeof(flips); i++) {
			p[i / sizeof(flips)] ^= (char)flips[i % sizeof(flips)];
			fn((struct str){ p, n });
			p[i / sizeof(flips)] ^= (char)flips[i % sizeof(flips)];
		}
		free(p);
	}
	fn(STR_NONE);
}
