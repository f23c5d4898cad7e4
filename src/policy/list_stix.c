// SPDX-License-Identifier: Apache-2.0
/*
 * STIX 2.0 and 2.1 (OASIS): the indicators of a bundle or of a TAXII envelope. Of their patterns those are taken that say one
 * thing, or several with OR between; `ipv4-addr:value = '192.0.2.1'`. What needs two things at once is broader when either
 * is taken alone and is skipped, but an address with its port. Revoked and outdated indicators are skipped.
 */
#include "policy/list_format.h"

#include <errno.h>
#include <jansson.h>

#include "base/cleanup.h"

#define TERMS_MAX 4 /* joined by AND */

struct token {
	enum { TOK_END, TOK_WORD, TOK_TEXT, TOK_SIGN } kind;
	struct str s;
};

struct term {
	struct str path, op;
	struct str values[64];
	size_t n;
};

/* --- patterns (STIX 2.1, chapter 9) ------------------------------------------------------------------------------ */

static struct token next(struct str *rest)
{
	struct str s = *rest;
	size_t i = 0;
	struct token t = { TOK_END, STR_NONE };

	while (s.n && memchr(" \t\r\n", s.p[0], 4))
		s = str_sub(s, 1, s.n);
	if (s.n && s.p[0] == '\'') {
		for (i = 1; i < s.n && s.p[i] != '\''; i++)
			i += s.p[i] == '\\';
		if (i < s.n)
			t = (struct token){ TOK_TEXT, str_sub(s, 1, i - 1) };
		i++;
	} else if (s.n && memchr("[](),=!<>", s.p[0], 9)) {
		i = 1 + (s.n > 1 && s.p[1] == '=' && strchr("!<>=", s.p[0]));
		t = (struct token){ TOK_SIGN, str_sub(s, 0, i) };
	} else if (s.n) {
		/* file:hashes.'SHA-256' and network-traffic:protocols[*] are one word */
		while (i < s.n && !memchr(" \t\r\n", s.p[i], 4) && !memchr("](),=!<>", s.p[i], 8)) {
			if (s.p[i] == '[') {
				while (i < s.n && s.p[i] != ']')
					i++;
			} else if (s.p[i] == '\'') {
				for (i++; i < s.n && s.p[i] != '\'';)
					i++;
			}
			i++;
		}
		i = MIN(i ? i : 1, s.n);
		t = (struct token){ TOK_WORD, str_sub(s, 0, i) };
	}
	*rest = str_sub(s, i, s.n);
	return t;
}

static bool is(struct token t, const char *what)
{
	return t.kind != TOK_TEXT && t.kind != TOK_END && str_eq_nocase(t.s, str_of(what));
}

/* path = 'x' | path IN ('x', 'y'); 0, or -EINVAL. */
static int read_term(struct str *rest, struct token first, struct term *t)
{
	struct token op = next(rest), v;

	*t = (struct term){ .path = first.s, .op = op.s };
	if (first.kind != TOK_WORD || is(first, "NOT") || is(op, "NOT"))
		return -ENOENT;
	v = next(rest);
	if (is(op, "IN") && is(v, "(")) {
		do {
			v = next(rest);
			if (v.kind == TOK_SIGN || v.kind == TOK_END)
				return -EINVAL;
			if (t->n == ARRAY_SIZE(t->values))
				return -ENOENT;
			t->values[t->n++] = v.s;
			v = next(rest);
		} while (is(v, ","));
		return is(v, ")") ? 0 : -EINVAL;
	}
	if (op.kind == TOK_END || v.kind == TOK_END || v.kind == TOK_SIGN)
		return -EINVAL;
	t->values[t->n++] = v.s;
	return is(op, "=") || is(op, "ISSUBSET") || is(op, "==") ? 0 : -ENOENT;
}

static int put_one(struct list_out *o, struct str path, struct str v, struct str note)
{
	int r;

	if (str_eq_nocase(path, STR("ipv4-addr:value")) ||
	    str_eq_nocase(path, STR("ipv6-addr:value")) ||
	    str_eq_nocase(path, STR("network-traffic:dst_ref.value"))) {
		r = list_put_address(o, v, note);
		return r < 0 ? list_put_pattern(o, v, note) : r;
	}
	if (str_eq_nocase(path, STR("domain-name:value")))
		return list_put_pattern(o, v, note);
	if (str_eq_nocase(path, STR("url:value")))
		return list_put_url(o, v, note);
	if (str_has_prefix_nocase(path, STR("file:hashes.")))
		return list_put_hash(o, LIST_HASH, v, note);
	if (str_has_prefix_nocase(path, STR("x509-certificate:hashes.")))
		return list_put_hash(o, LIST_CERT, v, note);
	return -ENOENT;
}

/* An address and a port of one connection: the one thing that takes more than one term. */
static int put_connection(struct list_out *o, const struct term *terms, size_t n, struct str note)
{
	struct list_entry e = { 0 };
	bool address = false;
	uint64_t port = 0;

	for (size_t i = 0; i < n; i++) {
		const struct term *t = &terms[i];

		if (t->n != 1)
			return -ENOENT;
		if (str_eq_nocase(t->path, STR("network-traffic:dst_ref.type")))
			continue;
		if (str_eq_nocase(t->path, STR("network-traffic:dst_ref.value"))) {
			if (address || list_address(t->values[0], &e) < 0)
				return -ENOENT;
			address = true;
		} else if (str_eq_nocase(t->path, STR("network-traffic:dst_port"))) {
			if (str_parse_u64(t->values[0], &port) < 0 || port > 65535)
				return -EINVAL;
		} else {
			return -ENOENT;
		}
	}
	if (!address || !addr_eq(&e.lo, &e.hi))
		return -ENOENT;
	e.port = (uint16_t)port;
	e.note = note;
	return list_put(o, &e);
}

/* What stood between two ORs. */
static int put_terms(struct list_out *o, const struct term *terms, size_t n, struct str note)
{
	int r = 0, last = -ENOENT;

	if (n != 1)
		return n ? put_connection(o, terms, n, note) : -EINVAL;
	for (size_t i = 0; i < terms->n && o->r >= 0; i++) {
		r = put_one(o, terms->path, terms->values[i], note);
		if (r < 0)
			return r;
		last = 0;
	}
	return last;
}

/* First whether it can be taken at all (with no sink), then once more to hand it on: all of a pattern or nothing. */
static int walk_pattern(struct list_out *o, struct str rest, struct str note)
{
	struct term terms[TERMS_MAX];
	bool inside = false, joined = false;
	size_t n = 0;
	int r;

	for (;;) {
		struct token t = next(&rest);

		if (t.kind == TOK_END)
			return inside || rest.n || joined ? -EINVAL : 0;
		if (is(t, "[")) {
			if (inside)
				return -EINVAL;
			inside = true;
			joined = false;
		} else if (is(t, "]") || (inside && is(t, "OR"))) {
			if (!inside)
				return -EINVAL;
			r = put_terms(o, terms, n, note);
			if (r < 0 || o->r < 0)
				return r;
			n = 0;
			inside = !is(t, "]");
		} else if (!inside && is(t, "OR") && !joined) {
			joined = true;
		} else if (!inside) {
			return -ENOENT; /* AND, FOLLOWEDBY, WITHIN, parentheses: more than one thing */
		} else if (is(t, "AND") && n && n < TERMS_MAX) {
			continue;
		} else {
			if (n == TERMS_MAX)
				return -ENOENT;
			r = read_term(&rest, t, &terms[n]);
			if (r < 0)
				return r;
			n++;
		}
	}
}

static int ignore(void *ctx, const struct list_entry *e)
{
	return 0;
}

static int put_pattern(struct list_out *o, struct str pattern, struct str note)
{
	struct list_report none = { 0 };
	struct list_out dry = { .sink = { ignore, NULL }, .report = &none };
	int r = walk_pattern(&dry, pattern, note);

	return r < 0 ? r : none.entries ? walk_pattern(o, pattern, note) : -EINVAL;
}

/* --- objects ----------------------------------------------------------------------------------------------------- */

static struct str text_of(const json_t *o, const char *key)
{
	const json_t *v = json_object_get(o, key);

	return v && json_is_string(v) ? (struct str){ json_string_value(v), json_string_length(v) }
				      : STR_NONE;
}

static bool is_out_of_date(const json_t *v, int64_t now_s)
{
	int64_t until;

	if (!now_s)
		return false;
	until = list_time(text_of(v, "valid_until"));
	return (until && until <= now_s) || list_time(text_of(v, "valid_from")) > now_s;
}

static bool is_benign(const json_t *v)
{
	const json_t *types = json_object_get(v, "indicator_types");

	for (size_t i = 0; i < json_array_size(types); i++) {
		const char *s = json_string_value(json_array_get(types, i));

		if (s && !strcmp(s, "benign"))
			return true;
	}
	return false;
}

static uint8_t confidence_of(const json_t *v)
{
	const json_t *c = json_object_get(v, "confidence");
	json_int_t n = json_is_integer(c) ? json_integer_value(c) : 0;

	return (uint8_t)(n < 0 ? 0 : MIN(n, (json_int_t)100));
}

static void indicator(struct list_out *o, const json_t *v)
{
	struct str pattern = text_of(v, "pattern"), type = text_of(v, "pattern_type");
	int r;

	if (json_is_true(json_object_get(v, "revoked")) || is_out_of_date(v, o->sink.now_s) ||
	    is_benign(v) || (type.n && !str_eq(type, STR("stix")))) {
		list_skip(o);
		return;
	}
	o->confidence = confidence_of(v);
	o->seen_s = list_time(text_of(v, "valid_from"));
	r = put_pattern(o, pattern, text_of(v, "name"));
	if (r == -ENOENT)
		list_skip(o);
	else if (r < 0)
		list_bad(o, pattern, "is a pattern that cannot be read");
}

static int object(struct list_out *o, struct str text)
{
	json_t *v = json_loadb(text.p, text.n, JSON_DECODE_ANY, NULL);

	if (!json_is_object(v))
		list_bad(o, text, "is not a JSON object");
	else if (str_eq(text_of(v, "type"), STR("indicator")))
		indicator(o, v);
	else
		list_skip(o);
	json_decref(v);
	return 0;
}

static int stix_parse(struct list_out *o, struct str text)
{
	static const char *const keys[] = { "objects", NULL };
	int r = list_json_each(o, text, keys, object);

	if (r == -EINVAL)
		list_bad(o, str_sub(text, 0, 40), "begins what is not whole JSON");
	return r;
}

static unsigned stix_score(struct str head)
{
	static const char word[] = "\"objects\"";

	head = str_trim(head);
	if (!head.n || (head.p[0] != '{' && head.p[0] != '['))
		return 0;
	return memmem(head.p, head.n, word, sizeof(word) - 1) ? 1000 : 0;
}

const struct list_reader list_stix = { LIST_STIX, stix_score, stix_parse };
