/* SPDX-License-Identifier: Apache-2.0 */
#include "base/json.h"

#include <math.h>
#include <stdio.h>

static void begin(struct json *j, const char *key)
{
	if (j->comma)
		buf_putc(j->out, ',');
	if (key) {
		size_t n = strlen(key);
		char *at = buf_reserve(j->out, n + 3);

		if (at) {
			at[0] = '"';
			memcpy(at + 1, key, n);
			at[n + 1] = '"';
			at[n + 2] = ':';
			j->out->n += n + 3;
		}
	}
	j->comma = true;
}

static void open(struct json *j, const char *key, char c)
{
	begin(j, key);
	buf_putc(j->out, c);
	j->comma = false;
}

static void close(struct json *j, char c)
{
	buf_putc(j->out, c);
	j->comma = true;
}

void json_object_begin(struct json *j, const char *key)
{
	open(j, key, '{');
}

void json_object_end(struct json *j)
{
	close(j, '}');
}

void json_array_begin(struct json *j, const char *key)
{
	open(j, key, '[');
}

void json_array_end(struct json *j)
{
	close(j, ']');
}

/* Bytes of the well-formed UTF-8 sequence at p (RFC 3629 section 4), 0 when there is none. */
static size_t utf8_len(const unsigned char *p, size_t n)
{
	unsigned char lo = 0x80, hi = 0xbf;
	size_t len;

	if (p[0] < 0x80)
		return 1;
	if (p[0] < 0xc2 || p[0] > 0xf4)
		return 0;
	len = p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
	if (len > n)
		return 0;
	if (p[0] == 0xe0)
		lo = 0xa0;
	else if (p[0] == 0xed)
		hi = 0x9f;
	else if (p[0] == 0xf0)
		lo = 0x90;
	else if (p[0] == 0xf4)
		hi = 0x8f;
	if (p[1] < lo || p[1] > hi)
		return 0;
	for (size_t i = 2; i < len; i++)
		if (p[i] < 0x80 || p[i] > 0xbf)
			return 0;
	return len;
}

static bool is_plain(unsigned char c)
{
	return c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
}

static void escape(struct buf *out, struct str s)
{
	const unsigned char *p = (const unsigned char *)s.p, *end = p + s.n;

	while (p < end) {
		const unsigned char *from = p;
		size_t n;

		while (p < end && is_plain(*p))
			p++;
		if (p > from)
			buf_put(out, from, (size_t)(p - from));
		if (p == end)
			break;
		if (*p == '"' || *p == '\\') {
			buf_putc(out, '\\');
			buf_putc(out, (char)*p++);
		} else if (*p < 0x20 || *p == 0x7f) {
			buf_printf(out, "\\u%04x", *p++);
		} else if ((n = utf8_len(p, (size_t)(end - p)))) {
			buf_put(out, p, n);
			p += n;
		} else {
			buf_puts(out, "\\ufffd");
			p++;
		}
	}
}

void json_str(struct json *j, const char *key, struct str v)
{
	begin(j, key);
	buf_putc(j->out, '"');
	escape(j->out, v);
	buf_putc(j->out, '"');
}

void json_text(struct json *j, const char *key, const char *v)
{
	if (v)
		json_str(j, key, str_of(v));
}

void json_u64(struct json *j, const char *key, uint64_t v)
{
	char text[20], *p = text + sizeof(text);

	do
		*--p = (char)('0' + v % 10);
	while (v /= 10);
	begin(j, key);
	buf_put(j->out, p, (size_t)(text + sizeof(text) - p));
}

void json_i64(struct json *j, const char *key, int64_t v)
{
	begin(j, key);
	buf_printf(j->out, "%lld", (long long)v);
}

void json_f64(struct json *j, const char *key, double v)
{
	begin(j, key);
	if (isfinite(v))
		buf_printf(j->out, "%.9g", v);
	else
		buf_puts(j->out, "null");
}

void json_bool(struct json *j, const char *key, bool v)
{
	begin(j, key);
	buf_puts(j->out, v ? "true" : "false");
}
