/* SPDX-License-Identifier: Apache-2.0 */
#include "base/json.h"

#include <math.h>
#include <stdio.h>

/* The comma, the key and `more` bytes of value in one go: most of a record's time is spent here. */
static char *begin(struct json *j, const char *key, size_t more)
{
	size_t n = key ? strlen(key) : 0;
	char *at = buf_reserve(j->out, n + 4 + more);

	if (!at)
		return NULL;
	if (j->comma)
		*at++ = ',';
	if (key) {
		*at++ = '"';
		memcpy(at, key, n);
		at += n;
		*at++ = '"';
		*at++ = ':';
	}
	j->comma = true;
	return at;
}

/* Counts in what was written up to `end`. */
static void commit(struct json *j, char *end)
{
	j->out->n = (size_t)(end - j->out->p);
	*end = 0;
}

static void put_raw(struct json *j, const char *key, const char *p, size_t n)
{
	char *at = begin(j, key, n);

	if (!at)
		return;
	memcpy(at, p, n);
	commit(j, at + n);
}

static void open(struct json *j, const char *key, char c)
{
	put_raw(j, key, &c, 1);
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

static bool is_plain(unsigned char c)
{
	return c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
}

/* One character that may not stand as it is; how many bytes of input it was. */
static size_t escape_one(struct buf *out, const unsigned char *p, size_t n)
{
	size_t len;

	if (*p == '"' || *p == '\\') {
		buf_putc(out, '\\');
		buf_putc(out, (char)*p);
		return 1;
	}
	if (*p < 0x20 || *p == 0x7f) {
		buf_printf(out, "\\u%04x", *p);
		return 1;
	}
	if (n > 1 && *p == 0xc2 && p[1] >= 0x80 && p[1] < 0xa0) {
		/* C1 control characters: a terminal may act on them when records are shown there. */
		buf_printf(out, "\\u%04x", p[1]);
		return 2;
	}
	len = str_utf8((struct str){ (const char *)p, n });
	if (len)
		buf_put(out, p, len);
	else
		buf_puts(out, "\\ufffd");
	return len ? len : 1;
}

void json_str(struct json *j, const char *key, struct str v)
{
	const unsigned char *p = (const unsigned char *)v.p, *end = p + v.n;
	char *at = begin(j, key, v.n + 2);

	if (!at)
		return;
	*at++ = '"';
	while (p < end && is_plain(*p))
		*at++ = (char)*p++;
	commit(j, at);
	while (p < end)
		p += escape_one(j->out, p, (size_t)(end - p));
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
	put_raw(j, key, p, (size_t)(text + sizeof(text) - p));
}

void json_i64(struct json *j, const char *key, int64_t v)
{
	char text[24];

	put_raw(j, key, text, (size_t)snprintf(text, sizeof(text), "%lld", (long long)v));
}

void json_f64(struct json *j, const char *key, double v)
{
	char text[32] = "null";

	if (isfinite(v))
		snprintf(text, sizeof(text), "%.9g", v);
	put_raw(j, key, text, strlen(text));
}

void json_bool(struct json *j, const char *key, bool v)
{
	put_raw(j, key, v ? "true" : "false", v ? 4 : 5);
}

void json_raw(struct json *j, const char *key, struct str v)
{
	put_raw(j, key, v.p, v.n);
}
