/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/request_take.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "serve/request.h"

int request_complain(char *error, const char *what, const char *about)
{
	snprintf(error, REQUEST_ERROR_MAX, "%s%s%.100s", what, about ? ": " : "",
		 about ? about : "");
	return -EINVAL;
}

int request_take_text(const char *key, const json_t *v, char *ret, size_t size, char *error)
{
	const char *s = json_string_value(v);
	size_t n = json_string_length(v);

	if (!s || !n)
		return request_complain(error, "a text is expected", key);
	if (n >= size)
		return request_complain(error, "too long", key);
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)s[i] < ' ' || s[i] == 0x7f)
			return request_complain(
				error, "a line without control characters is expected", key);
	memcpy(ret, s, n);
	ret[n] = 0;
	return 1;
}

int request_take_flag(const char *key, const json_t *v, bool *ret, char *error)
{
	if (!json_is_boolean(v))
		return request_complain(error, "neither true nor false", key);
	*ret = json_is_true(v);
	return 1;
}

int request_take_number(const char *key, const json_t *v, int64_t least, int64_t most, int64_t *ret,
			char *error)
{
	if (!json_is_integer(v) || json_integer_value(v) < least || json_integer_value(v) > most)
		return request_complain(error, "no number, or out of range", key);
	*ret = json_integer_value(v);
	return 1;
}
