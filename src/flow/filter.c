/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Text → postfix program. The parser is recursive descent over
 *
 *     any  = all { "or" all }        all  = unary { ["and"] unary }
 *     unary = ("not" | "-") unary | "(" any ")" | term
 *     term = [key ":"] value { "," value }
 *
 * with its depth and length bounded, so hostile text costs no more than its length.
 */
#include "flow/filter.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/human.h"
#include "base/lex.h"
#include "base/time.h"
#include "flow/filter_steps.h"

#define MAX_TEXT 4096
#define MAX_OPS 512
#define MAX_DEPTH 64

struct filter {
	size_t n_ops;
	struct filter_step *ops;
	char text[]; /* what the terms point into */
};

struct parser {
	struct filter *f;
	struct str all, rest;
	unsigned depth;
	struct filter_error *error;
};

__attribute__((format(printf, 3, 4))) static int fail(struct parser *p, const char *at,
						      const char *fmt, ...)
{
	va_list ap;

	p->error->column = (size_t)(at - p->all.p) + 1;
	va_start(ap, fmt);
	vsnprintf(p->error->message, sizeof(p->error->message), fmt, ap);
	va_end(ap);
	return -EINVAL;
}

static int add_op(struct parser *p, struct filter_step op)
{
	struct filter_step *ops;

	if (p->f->n_ops == MAX_OPS) {
		fail(p, p->rest.p, "the filter has more than %d words", MAX_OPS / 2);
		return -E2BIG;
	}
	if (p->f->n_ops % 16 == 0) {
		ops = realloc(p->f->ops, (p->f->n_ops + 16) * sizeof(*ops));
		if (!ops)
			return -ENOMEM;
		p->f->ops = ops;
	}
	p->f->ops[p->f->n_ops++] = op;
	return 0;
}

static void skip_blank(struct parser *p)
{
	while (p->rest.n && (p->rest.p[0] == ' ' || p->rest.p[0] == '\t'))
		p->rest = str_sub(p->rest, 1, p->rest.n);
}

static bool ends_word(char c)
{
	return c == ' ' || c == '\t' || c == '(' || c == ')';
}

/* The next word, without taking it. */
static struct str peek_word(struct parser *p)
{
	size_t n = 0;

	skip_blank(p);
	while (n < p->rest.n && !ends_word(p->rest.p[n]))
		n++;
	return str_sub(p->rest, 0, n);
}

static bool take_word(struct parser *p, struct str word)
{
	if (!str_eq_nocase(peek_word(p), word))
		return false;
	p->rest = str_sub(p->rest, word.n, p->rest.n);
	return true;
}

static bool take_char(struct parser *p, char c)
{
	skip_blank(p);
	if (!p->rest.n || p->rest.p[0] != c)
		return false;
	p->rest = str_sub(p->rest, 1, p->rest.n);
	return true;
}

/* ---- values ---- */

static struct str take_compare(struct str v, enum filter_compare *ret)
{
	bool equal = v.n > 1 && v.p[1] == '=';

	*ret = FILTER_EQUAL;
	if (!v.n || (v.p[0] != '>' && v.p[0] != '<'))
		return v.n && v.p[0] == '=' ? str_sub(v, 1, v.n) : v;
	if (v.p[0] == '>')
		*ret = equal ? FILTER_AT_LEAST : FILTER_GREATER;
	else
		*ret = equal ? FILTER_AT_MOST : FILTER_LESS;
	return str_sub(v, equal ? 2 : 1, v.n);
}

static int parse_ports(struct str v, struct filter_step *op)
{
	struct str from = v, to;
	const char *dash = v.n ? memchr(v.p, '-', v.n) : NULL;

	if (!dash) {
		op->compare = FILTER_EQUAL;
		v = take_compare(v, &op->compare);
		op->to = 0;
		return str_parse_u64(v, &op->from) < 0 || op->from > 65535 ? -EINVAL : 0;
	}
	from.n = (size_t)(dash - v.p);
	to = str_sub(v, from.n + 1, v.n);
	if (str_parse_u64(from, &op->from) < 0 || str_parse_u64(to, &op->to) < 0 ||
	    op->to > 65535 || op->from > op->to)
		return -EINVAL;
	return 0;
}

static int parse_value(struct parser *p, struct filter_step *op, struct str v)
{
	static const char *const wanted[] = {
		[FILTER_ADDR] = "an address or network, as 10.0.0.0/8",
		[FILTER_PORT] = "a port, or a range as 8000-8100",
		[FILTER_COUNT] = "a number, as 5 or >100",
		[FILTER_SIZE] = "a size, as >1mb or <=64kib",
		[FILTER_DURATION] = "a duration, as >5m or <250ms",
	};
	enum filter_kind kind = op->key ? op->key->kind : FILTER_TEXT;
	struct str number = v;
	int r = 0;

	op->text = v;
	if (!v.n)
		return fail(p, v.p, "a value is missing here");
	if (kind == FILTER_COUNT || kind == FILTER_SIZE || kind == FILTER_DURATION)
		number = take_compare(v, &op->compare);
	if (kind == FILTER_ADDR)
		r = cidr_parse(v, &op->cidr);
	else if (kind == FILTER_PORT)
		r = parse_ports(v, op);
	else if (kind == FILTER_COUNT)
		r = str_parse_u64(number, &op->from);
	else if (kind == FILTER_SIZE)
		r = size_parse(number, &op->from);
	else if (kind == FILTER_DURATION)
		r = duration_parse(number, &op->from);
	return r < 0 ? fail(p, v.p, "%s is expected here", wanted[kind]) : 0;
}

/* One value: quoted (then blanks, commas and parentheses are text), or up to a comma or the word's end. */
static int take_value(struct parser *p, struct str *ret)
{
	const char *end;
	size_t n = 0;

	if (p->rest.n && p->rest.p[0] == '"') {
		end = memchr(p->rest.p + 1, '"', p->rest.n - 1);
		if (!end)
			return fail(p, p->rest.p, "the quote is never closed");
		n = (size_t)(end - p->rest.p);
		*ret = str_sub(p->rest, 1, n - 1);
		p->rest = str_sub(p->rest, n + 1, p->rest.n);
		return 0;
	}
	while (n < p->rest.n && !ends_word(p->rest.p[n]) && p->rest.p[n] != ',')
		n++;
	*ret = str_sub(p->rest, 0, n);
	p->rest = str_sub(p->rest, n, p->rest.n);
	return 0;
}

static int unknown_key(struct parser *p, struct str key)
{
	const char *words[64] = { 0 };
	const char *near;

	for (size_t i = 0; i < MIN(n_filter_keys, ARRAY_SIZE(words) - 1); i++)
		words[i] = filter_key_table[i].key;
	near = lex_nearest(key, words);
	if (near)
		return fail(p, key.p, "unknown key '%.*s'; did you mean '%s'?",
			    (int)MIN(key.n, (size_t)40), key.p, near);
	return fail(p, key.p, "unknown key '%.*s'", (int)MIN(key.n, (size_t)40), key.p);
}

/* "key:" in front of the values, when there is one. An IPv6 address as a bare word is no key: it holds two colons. */
static int take_key(struct parser *p, const struct filter_key **ret)
{
	struct str word = peek_word(p), key = word;
	const char *colon = word.n ? memchr(word.p, ':', word.n) : NULL;
	struct addr addr;

	*ret = NULL;
	if (!colon || word.p[0] == '"' || addr_parse(word, &addr) == 0)
		return 0;
	key.n = (size_t)(colon - word.p);
	for (size_t i = 0; i < n_filter_keys; i++)
		if (str_eq_nocase(key, str_of(filter_key_table[i].key)))
			*ret = &filter_key_table[i];
	if (!*ret)
		return unknown_key(p, key);
	p->rest = str_sub(p->rest, key.n + 1, p->rest.n);
	return 0;
}

static int parse_term(struct parser *p)
{
	const struct filter_key *key;
	struct str value = STR_NONE;
	int r = take_key(p, &key);

	for (size_t n = 0; r == 0; n++) {
		struct filter_step op = { .op = FILTER_TERM, .key = key };

		r = take_value(p, &value);
		if (r == 0)
			r = parse_value(p, &op, value);
		if (r == 0)
			r = add_op(p, op);
		if (r == 0 && n)
			r = add_op(p, (struct filter_step){ .op = FILTER_OR });
		if (r < 0 || !p->rest.n || p->rest.p[0] != ',')
			break;
		p->rest = str_sub(p->rest, 1, p->rest.n);
	}
	return r;
}

/* ---- structure ---- */

static int parse_any(struct parser *p);

static int parse_unary(struct parser *p)
{
	int r;

	skip_blank(p);
	if (!p->rest.n)
		return fail(p, p->rest.p, "a condition is missing here");
	if (++p->depth > MAX_DEPTH)
		return fail(p, p->rest.p, "nested deeper than %d", MAX_DEPTH);
	if (take_word(p, STR("not")) || take_char(p, '-')) {
		r = parse_unary(p);
		if (r == 0)
			r = add_op(p, (struct filter_step){ .op = FILTER_NOT });
	} else if (take_char(p, '(')) {
		const char *open = p->rest.p - 1;

		r = parse_any(p);
		if (r == 0 && !take_char(p, ')'))
			r = fail(p, open, "this '(' is never closed");
	} else if (p->rest.p[0] == ')') {
		r = fail(p, p->rest.p, "a condition is missing before this ')'");
	} else {
		r = parse_term(p);
	}
	p->depth--;
	return r;
}

static bool at_end_of_all(struct parser *p)
{
	skip_blank(p);
	return !p->rest.n || p->rest.p[0] == ')' || str_eq_nocase(peek_word(p), STR("or"));
}

static int parse_all(struct parser *p)
{
	int r = parse_unary(p);

	while (r == 0 && !at_end_of_all(p)) {
		take_word(p, STR("and"));
		r = parse_unary(p);
		if (r == 0)
			r = add_op(p, (struct filter_step){ .op = FILTER_AND });
	}
	return r;
}

static int parse_any(struct parser *p)
{
	int r = parse_all(p);

	while (r == 0 && take_word(p, STR("or"))) {
		r = parse_all(p);
		if (r == 0)
			r = add_op(p, (struct filter_step){ .op = FILTER_OR });
	}
	return r;
}

int filter_parse(struct str text, struct filter **ret, struct filter_error *reterr)
{
	struct parser p = { .error = reterr };
	int r;

	if (!str_trim(text).n) {
		*ret = NULL;
		return 0;
	}
	if (text.n > MAX_TEXT) {
		*reterr = (struct filter_error){ 1, "the filter is longer than 4 KiB" };
		return -E2BIG;
	}
	p.f = calloc(1, sizeof(*p.f) + text.n);
	if (!p.f)
		return -ENOMEM;
	memcpy(p.f->text, text.p, text.n);
	p.all = p.rest = (struct str){ p.f->text, text.n };
	r = parse_any(&p);
	skip_blank(&p);
	if (r == 0 && p.rest.n)
		r = fail(&p, p.rest.p, "no '(' belongs to this ')'");
	if (r < 0) {
		filter_free(p.f);
		return r;
	}
	*ret = p.f;
	return 0;
}

struct filter *filter_free(struct filter *f)
{
	if (f)
		free(f->ops);
	free(f);
	return NULL;
}

/* ---- matching ---- */

/* A bare word is found anywhere in the text; with '*' or '?' it is a pattern for the whole of it. */
static bool has_word(struct str text, struct str word)
{
	if (memchr(word.p, '*', word.n) || memchr(word.p, '?', word.n))
		return str_glob(word, text);
	for (size_t i = 0; i + word.n <= text.n; i++)
		if (str_has_prefix_nocase(str_sub(text, i, text.n), word))
			return true;
	return false;
}

static bool match_number(const struct filter_step *op, uint64_t v)
{
	if (op->to)
		return v >= op->from && v <= op->to;
	switch (op->compare) {
	case FILTER_EQUAL:
		return v == op->from;
	case FILTER_GREATER:
		return v > op->from;
	case FILTER_LESS:
		return v < op->from;
	case FILTER_AT_LEAST:
		return v >= op->from;
	case FILTER_AT_MOST:
		return v <= op->from;
	}
	return false;
}

static bool match_term(const struct filter_step *op, const struct flow *f, uint64_t now_ns)
{
	struct str texts[FILTER_TEXTS_MAX];
	char scratch[64];
	uint64_t v;
	size_t n;

	if (op->key && op->key->kind == FILTER_ADDR)
		return op->key->addr(f) && cidr_has(&op->cidr, op->key->addr(f));
	if (op->key && op->key->kind != FILTER_TEXT)
		return op->key->number(f, now_ns, &v) && match_number(op, v);
	n = op->key ? op->key->texts(f, texts, scratch) : filter_word_texts(f, texts, scratch);
	for (size_t i = 0; i < n; i++)
		if (op->key ? str_glob(op->text, texts[i]) : has_word(texts[i], op->text))
			return true;
	return false;
}

bool filter_match(const struct filter *f, const struct flow *flow, uint64_t now_ns)
{
	bool stack[MAX_OPS];
	size_t n = 0;

	if (!f)
		return true;
	for (size_t i = 0; i < f->n_ops; i++) {
		const struct filter_step *op = &f->ops[i];

		if (op->op == FILTER_TERM) {
			stack[n++] = match_term(op, flow, now_ns);
		} else if (op->op == FILTER_NOT) {
			stack[n - 1] = !stack[n - 1];
		} else {
			n--;
			stack[n - 1] = op->op == FILTER_AND ? stack[n - 1] && stack[n]
							    : stack[n - 1] || stack[n];
		}
	}
	return stack[0];
}

const struct filter_key_help *filter_keys(size_t *ret_n)
{
	static struct filter_key_help help[64];

	for (size_t i = 0; i < n_filter_keys; i++)
		help[i] = (struct filter_key_help){ filter_key_table[i].key,
						    filter_key_table[i].help };
	*ret_n = n_filter_keys;
	return help;
}

/* ---- what it asks ---- */

static uint64_t bit_of(const struct filter_key *k)
{
	return k ? FILTER_USES(k - filter_key_table) : FILTER_USES_WORD;
}

uint64_t filter_uses(const struct filter *f)
{
	uint64_t uses = 0;

	for (size_t i = 0; f && i < f->n_ops; i++)
		if (f->ops[i].op == FILTER_TERM)
			uses |= bit_of(f->ops[i].key);
	return uses;
}

uint64_t filter_bit(const char *key)
{
	for (size_t i = 0; i < n_filter_keys; i++)
		if (!strcmp(filter_key_table[i].key, key))
			return bit_of(&filter_key_table[i]);
	return 0;
}

bool filter_any_value(const struct filter *f, const char *key, bool (*is)(struct str value))
{
	for (size_t i = 0; f && i < f->n_ops; i++)
		if (f->ops[i].op == FILTER_TERM && f->ops[i].key &&
		    !strcmp(f->ops[i].key->key, key) && is(f->ops[i].text))
			return true;
	return false;
}

/* A term of this key without which nothing matches: what ORs and negations hold is not required. */
static const struct filter_step *required(const struct filter *f, const char *key)
{
	const struct filter_step *stack[MAX_OPS];
	size_t n = 0;

	for (size_t i = 0; f && i < f->n_ops; i++) {
		const struct filter_step *op = &f->ops[i];

		if (op->op == FILTER_TERM) {
			stack[n++] = op->key && !strcmp(op->key->key, key) ? op : NULL;
		} else if (op->op == FILTER_NOT) {
			stack[n - 1] = NULL;
		} else {
			n--;
			if (op->op == FILTER_OR)
				stack[n - 1] = NULL;
			else if (!stack[n - 1])
				stack[n - 1] = stack[n];
		}
	}
	return n ? stack[0] : NULL;
}

struct str filter_requires(const struct filter *f, const char *key)
{
	const struct filter_step *op = required(f, key);

	if (!op || op->key->kind != FILTER_TEXT || memchr(op->text.p, '*', op->text.n) ||
	    memchr(op->text.p, '?', op->text.n))
		return STR_NONE;
	return op->text;
}

bool filter_requires_addr(const struct filter *f, struct cidr *ret)
{
	const struct filter_step *op = required(f, "addr");

	if (op)
		*ret = op->cidr;
	return op != NULL;
}

const struct filter_step *filter_steps(const struct filter *f, size_t *ret_n)
{
	*ret_n = f ? f->n_ops : 0;
	return f ? f->ops : NULL;
}
