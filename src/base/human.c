/* SPDX-License-Identifier: Apache-2.0 */
#include "base/human.h"

#include <errno.h>
#include <stdio.h>

#include "base/cleanup.h"

static void scaled(double v, const char *unit, char text[HUMAN_TEXT_MAX])
{
	static const char *const prefix[] = { "", "k", "M", "G", "T", "P", "E" };
	size_t i = 0;

	while (v >= 999.5 && i + 1 < ARRAY_SIZE(prefix)) {
		v /= 1000;
		i++;
	}
	snprintf(text, HUMAN_TEXT_MAX, i && v < 99.95 ? "%.1f %s%s" : "%.0f %s%s", v, prefix[i],
		 unit);
}

char *human_bytes(uint64_t bytes, char text[HUMAN_TEXT_MAX])
{
	scaled((double)bytes, "B", text);
	return text;
}

char *human_rate(double bytes_per_sec, char text[HUMAN_TEXT_MAX])
{
	scaled(bytes_per_sec, "B/s", text);
	return text;
}

char *human_count(uint64_t n, char text[HUMAN_TEXT_MAX])
{
	char digits[24];
	int len = snprintf(digits, sizeof(digits), "%llu", (unsigned long long)n);
	char *out = text;

	for (int i = 0; i < len && out < text + HUMAN_TEXT_MAX - 2; i++) {
		if (i && (len - i) % 3 == 0)
			*out++ = ',';
		*out++ = digits[i];
	}
	*out = 0;
	return text;
}

int size_parse(struct str s, uint64_t *ret_bytes)
{
	static const char letters[] = "kmgtp";
	size_t digits = 0;
	uint64_t v, base = 1000;
	struct str unit;

	while (digits < s.n && s.p[digits] >= '0' && s.p[digits] <= '9')
		digits++;
	if (str_parse_u64(str_sub(s, 0, digits), &v) < 0)
		return -EINVAL;
	unit = str_sub(s, digits, s.n);
	if (unit.n && (unit.p[unit.n - 1] | 0x20) == 'b')
		unit.n--;
	if (unit.n == 2 && (unit.p[1] | 0x20) == 'i') {
		base = 1024;
		unit.n--;
	}
	if (unit.n == 1) {
		const char *at = strchr(letters, unit.p[0] | 0x20);

		if (!at)
			return -EINVAL;
		for (const char *l = letters; l <= at; l++)
			if (__builtin_mul_overflow(v, base, &v))
				return -EINVAL;
	} else if (unit.n) {
		return -EINVAL;
	}
	*ret_bytes = v;
	return 0;
}
