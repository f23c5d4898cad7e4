/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON lines of Zeek, without a tree: one walk over the line, which keeps the members we know and steps over the rest.
 * A line that is no object to its end is refused; what is stepped over is only checked as far as its brackets go.
 */
#include "replay/zeek_scan.h"

#include <errno.h>

#include "base/cleanup.h"

#define JSON_DEPTH_MAX 4 /* of objects whose members we look for; any depth is stepped over */

struct scan {
	char *p, *end;
};

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static char peek(struct scan *s)
{
	while (s->p < s->end && is_blank(*s->p))
		s->p++;
	return s->p < s->end ? *s->p : 0;
}

static bool take(struct scan *s, char c)
{
	if (peek(s) != c)
		return false;
	s->p++;
	return true;
}

static size_t put_utf8(char *p, uint32_t c)
{
	if (c < 0x80) {
		p[0] = (char)c;
		return 1;
	}
	if (c < 0x800) {
		p[0] = (char)(0xc0 | c >> 6);
		p[1] = (char)(0x80 | (c & 0x3f));
		return 2;
	}
	if (c < 0x10000) {
		p[0] = (char)(0xe0 | c >> 12);
		p[1] = (char)(0x80 | (c >> 6 & 0x3f));
		p[2] = (char)(0x80 | (c & 0x3f));
		return 3;
	}
	p[0] = (char)(0xf0 | c >> 18);
	p[1] = (char)(0x80 | (c >> 12 & 0x3f));
	p[2] = (char)(0x80 | (c >> 6 & 0x3f));
	p[3] = (char)(0x80 | (c & 0x3f));
	return 4;
}

static int32_t hex4(const char *p, const char *end)
{
	int32_t v = 0;

	if (end - p < 4)
		return -1;
	for (int i = 0; i < 4; i++) {
		if (zeek_hex(p[i]) < 0)
			return -1;
		v = v << 4 | zeek_hex(p[i]);
	}
	return v;
}

/* After "\u": how far it reached; *out gets UTF-8, which is never longer than the escape. */
static char *unescape_unicode(char *p, char *end, char **out)
{
	int32_t c = hex4(p, end), low;

	if (c < 0)
		return NULL;
	p += 4;
	if (c >= 0xd800 && c < 0xdc00 && end - p >= 6 && p[0] == '\\' && p[1] == 'u') {
		low = hex4(p + 2, end);
		if (low >= 0xdc00 && low < 0xe000) {
			c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
			p += 6;
		}
	}
	*out += put_utf8(*out, (uint32_t)c);
	return p;
}

/* Behind the opening quote. Escapes are undone in place, so the text may end before the closing quote did. */
static bool string(struct scan *s, struct str *ret)
{
	static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
	char *start = s->p, *out, *p;

	for (p = s->p; p < s->end && *p != '"' && *p != '\\'; p++)
		;
	for (out = p; p < s->end && *p != '"';) {
		const char *known;

		if (*p != '\\') {
			*out++ = *p++;
			continue;
		}
		if (++p == s->end)
			return false;
		if (*p == 'u') {
			p = unescape_unicode(p + 1, s->end, &out);
			if (!p)
				return false;
			continue;
		}
		known = *p ? strchr(from, *p) : NULL;
		if (!known)
			return false;
		*out++ = to[known - from];
		p++;
	}
	if (p == s->end)
		return false;
	s->p = p + 1;
	*ret = (struct str){ start, (size_t)(out - start) };
	return true;
}

/* Past a string whose text is not wanted (or not yet). */
static bool skip_string(struct scan *s)
{
	for (; s->p < s->end; s->p++) {
		if (*s->p == '"') {
			s->p++;
			return true;
		}
		if (*s->p == '\\' && ++s->p == s->end)
			return false;
	}
	return false;
}

/* Past an array or object, whatever is inside; only brackets are counted. */
static bool skip_nested(struct scan *s)
{
	size_t depth = 0;

	while (s->p < s->end) {
		char c = *s->p++;

		if (c == '"') {
			if (!skip_string(s))
				return false;
		} else if (c == '[' || c == '{') {
			depth++;
		} else if ((c == ']' || c == '}') && !--depth) {
			return true;
		}
	}
	return false;
}

/* A number, true, false or null. */
static bool scalar(struct scan *s, struct str *ret)
{
	char *start = s->p;

	while (s->p < s->end && *s->p != ',' && *s->p != '}' && *s->p != ']' && !is_blank(*s->p))
		s->p++;
	*ret = (struct str){ start, (size_t)(s->p - start) };
	if (str_eq(*ret, STR("null")))
		*ret = STR_NONE;
	return s->p > start;
}

static bool is_stream(struct str key)
{
	static const struct str streams[] = { STR("conn"), STR("dns"),  STR("ssl"),
					      STR("http"), STR("quic"), STR("zeek") };

	for (size_t i = 0; i < ARRAY_SIZE(streams); i++)
		if (str_eq(key, streams[i]))
			return true;
	return false;
}

static bool object(struct scan *s, struct zeek_line *ret, bool in_id, unsigned depth);

static bool member(struct scan *s, struct zeek_line *ret, struct str key, bool in_id,
		   unsigned depth)
{
	enum zeek_field f = ZF_NONE;
	struct str value;
	char c = peek(s), *start = s->p;

	if (in_id) {
		char full[9] = "id.";

		if (key.n == 6) {
			memcpy(full + 3, key.p, 6);
			f = zeek_field_of(full, sizeof(full));
		}
	} else {
		f = zeek_field_of(key.p, key.n);
	}
	if (c == '"') {
		s->p++;
		if (f == ZF_NONE)
			return skip_string(s);
		if (!string(s, &value))
			return false;
	} else if (c == '{') {
		bool id = str_eq(key, STR("id"));

		if (depth == JSON_DEPTH_MAX || in_id || (!id && !is_stream(key)))
			return skip_nested(s);
		if (!id)
			ret->wrapper = key;
		return object(s, ret, id, depth + 1);
	} else if (c == '[') {
		if (!skip_nested(s))
			return false;
		value = (struct str){ start, (size_t)(s->p - start) };
	} else if (!scalar(s, &value)) {
		return false;
	}
	if (f != ZF_NONE)
		ret->f[f] = value;
	return true;
}

static bool object(struct scan *s, struct zeek_line *ret, bool in_id, unsigned depth)
{
	if (!take(s, '{'))
		return false;
	if (take(s, '}'))
		return true;
	do {
		struct str key;

		if (!take(s, '"') || !string(s, &key) || !take(s, ':') ||
		    !member(s, ret, key, in_id, depth))
			return false;
	} while (take(s, ','));
	return take(s, '}');
}

int zeek_scan_json(char *line, size_t n, struct zeek_line *ret)
{
	struct scan s = { line, line + n };

	memset(ret, 0, sizeof(*ret));
	return object(&s, ret, false, 0) ? 0 : -EBADMSG;
}

bool zeek_json_list_next(struct str *list, struct str *ret)
{
	struct scan s = { (char *)(uintptr_t)list->p, (char *)(uintptr_t)list->p + list->n };
	bool ok;

	while (peek(&s) == '[' || peek(&s) == ',')
		s.p++;
	if (s.p == s.end || *s.p == ']')
		return false;
	if (*s.p == '"') {
		s.p++;
		ok = string(&s, ret);
	} else {
		ok = scalar(&s, ret);
	}
	*list = (struct str){ s.p, ok ? (size_t)(s.end - s.p) : 0 };
	return ok;
}
