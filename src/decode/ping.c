/* SPDX-License-Identifier: Apache-2.0 */
#include "decode/ping.h"

#include <errno.h>

#include "base/cleanup.h"
#include "decode/random_bytes.h"

#define HEADER 8
#define PERIOD_MAX 16 /* the longest pattern that `ping -p` takes */
#define ALPHABET 23   /* a to w */

int ping_parse(struct str message, bool v6, struct ping *ret)
{
	const uint8_t *b = (const uint8_t *)message.p;
	uint8_t request = v6 ? 128 : 8, reply = v6 ? 129 : 0;

	if (!message.n)
		return -EAGAIN;
	if (b[0] != request && b[0] != reply)
		return -EBADMSG;
	if (message.n < HEADER)
		return -EAGAIN;
	*ret = (struct ping){ .reply = b[0] == reply,
			      .id = (uint16_t)(b[4] << 8 | b[5]),
			      .number = (uint16_t)(b[6] << 8 | b[7]),
			      .data = str_sub(message, HEADER, SIZE_MAX) };
	return 0;
}

/* Each byte is its place, from `from` on; also where a program starts to count behind its time stamp. */
static bool counts_up(struct str s, size_t from)
{
	const uint8_t *b = (const uint8_t *)s.p;

	for (size_t i = from + 1; i < s.n; i++)
		if (b[i] != (uint8_t)(b[i - 1] + 1))
			return false;
	return true;
}

static bool is_alphabet(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] != (char)('a' + i % ALPHABET))
			return false;
	return true;
}

static bool has_period(struct str s, size_t from, size_t period)
{
	for (size_t i = from + period; i < s.n; i++)
		if (s.p[i] != s.p[i - period])
			return false;
	return true;
}

static bool is_pattern(struct str s)
{
	if (is_alphabet(s) || counts_up(s, PING_STAMP))
		return true;
	/* At least twice, else there is nothing to see. */
	for (size_t period = 1; period <= PERIOD_MAX; period++)
		if (s.n >= PING_STAMP + 2 * period && has_period(s, PING_STAMP, period))
			return true;
	return false;
}

enum ping_data ping_data_class(struct str data)
{
	if (data.n < PING_STAMP + 8)
		return data.n >= 8 && is_alphabet(data) ? PING_PATTERN : PING_LITTLE;
	if (is_pattern(data))
		return PING_PATTERN;
	switch (first_bytes_class(data)) {
	case FIRST_TEXT:
		return PING_TEXT;
	case FIRST_RANDOM:
		return PING_RANDOM;
	default:
		return PING_OTHER;
	}
}
