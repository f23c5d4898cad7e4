/* SPDX-License-Identifier: Apache-2.0 */
/* Echo messages as programs send them, and what is none. */
#include "test.h"

#include <errno.h>

#include "decode/ping.h"
#include "decode/random_bytes.h"

static enum ping_data class_of(const void *p, size_t n)
{
	return ping_data_class((struct str){ p, n });
}

static void fill(uint8_t *to, size_t n, size_t stamp)
{
	for (size_t i = 0; i < n; i++)
		to[i] = (uint8_t)(i < stamp ? 0xc3 * (i + 7) : i);
}

static void pings_are_pings(void **state)
{
	uint8_t b[1400];

	for (size_t n = 32; n <= sizeof(b); n += 8) {
		fill(b, n, 16); /* iputils, Android */
		assert_int_equal(class_of(b, n), PING_PATTERN);
		fill(b, n, 8); /* BSD, macOS */
		assert_int_equal(class_of(b, n), PING_PATTERN);
		memset(b + 8, 0, n - 8); /* fping, BusyBox */
		assert_int_equal(class_of(b, n), PING_PATTERN);
	}
	assert_int_equal(class_of("abcdefghijklmnopqrstuvwabcdefghi", 32), PING_PATTERN);
	fill(b, 24, 24);
	for (size_t i = 24; i < 56; i++) /* ping -p abcd */
		b[i] = i & 1 ? 0xcd : 0xab;
	assert_int_equal(class_of(b, 56), PING_PATTERN);
	assert_int_equal(class_of("", 0), PING_LITTLE);
	fill(b, 31, 31);
	assert_int_equal(class_of(b, 31), PING_LITTLE);
}

static void others_are_not(void **state)
{
	static const char text[] =
		"total 12\ndrwxr-xr-x 2 user user 4096 secrets\n-rw------- 1 user";
	uint8_t b[400];
	uint32_t v = 99;

	assert_int_equal(class_of(text, sizeof(text) - 1), PING_TEXT);
	for (size_t i = 0; i < sizeof(b); i++) {
		v = v * 1664525 + 1013904223;
		b[i] = (uint8_t)(v >> 24);
	}
	assert_int_equal(class_of(b, sizeof(b)), PING_RANDOM);
	assert_int_equal(class_of(b, RANDOM_BYTES_MIN - 1), PING_OTHER);
	/* an IP packet inside */
	fill(b, 84, 16);
	memcpy(b, "\x45\0\0\x54\x1c\x46\x40\0\x40\6\xb1\xe6\x0a\0\0\1\x0a\0\0\2\x9c\x40\0\x16", 24);
	b[40] = 0;
	assert_int_equal(class_of(b, 84), PING_OTHER);
}

static void headers(void **state)
{
	struct ping p;

	assert_ok(ping_parse((struct str){ "\x08\0\1\2\xab\xcd\0\5data", 12 }, false, &p));
	assert_false(p.reply);
	assert_int_equal(p.id, 0xabcd);
	assert_int_equal(p.number, 5);
	assert_str(p.data, "data");
	assert_ok(ping_parse((struct str){ "\x81\0\1\2\xab\xcd\0\5", 8 }, true, &p));
	assert_true(p.reply);
	assert_int_equal(p.data.n, 0);
	assert_err(ping_parse((struct str){ "\x81\0\1\2\xab\xcd\0\5", 8 }, false, &p), -EBADMSG);
	assert_err(ping_parse((struct str){ "\x08\0\1\2\xab\xcd\0\5", 8 }, true, &p), -EBADMSG);
	assert_err(ping_parse((struct str){ "\3\1", 2 }, false, &p), -EBADMSG);
	assert_err(ping_parse((struct str){ "\x08\0\1\2\xab\xcd\0", 7 }, false, &p), -EAGAIN);
	assert_err(ping_parse((struct str){ "", 0 }, false, &p), -EAGAIN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pings_are_pings),
		cmocka_unit_test(others_are_not),
		cmocka_unit_test(headers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
