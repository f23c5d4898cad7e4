/* SPDX-License-Identifier: Apache-2.0 */
#include "config_block.h"

#include <stdio.h>
#include <string.h>

#include "base/addr.h"

#define OPTIONS_MAX 16

/* Settings go to other processes line by line. */
bool config_has_control(struct str value)
{
	for (size_t i = 0; i < value.n; i++)
		if ((unsigned char)value.p[i] < ' ')
			return true;
	return false;
}

const char *config_check_path(struct str value)
{
	return value.n && value.p[0] == '/' && !config_has_control(value)
		       ? NULL
		       : "a path that begins with '/' is expected here";
}

const char *config_check_secret(struct str value)
{
	if (value.n && !memchr(value.p, '/', value.n) && !config_has_control(value))
		return NULL;
	return config_check_path(value) ? "a path that begins with '/', or the name of a systemd "
					  "credential, is expected here"
					: NULL;
}

bool config_parse_endpoint(struct str s, struct addr *ret_addr, uint16_t *ret_port)
{
	const char *colon = s.n ? memrchr(s.p, ':', s.n) : NULL;
	size_t n = colon ? (size_t)(colon - s.p) : 0;
	struct str host = str_sub(s, 0, n);
	bool bracket = host.n > 2 && host.p[0] == '[' && host.p[host.n - 1] == ']';
	uint64_t port;

	if (!colon || str_parse_u64(str_sub(s, n + 1, s.n), &port) < 0 || !port ||
	    port > UINT16_MAX)
		return false;
	*ret_port = (uint16_t)port;
	host = bracket ? str_sub(host, 1, host.n - 2) : host;
	return addr_parse(host, ret_addr) == 0 && bracket == !addr_is_v4(ret_addr);
}

static const struct block_option *find(const struct block_option *options, size_t n,
				       const struct lex_token *t)
{
	for (size_t i = 0; i < n; i++)
		if (t->kind == LEX_WORD && str_eq(t->text, str_of(options[i].word)))
			return &options[i];
	return NULL;
}

static void unknown(struct lex *lex, const struct block_option *options, size_t n,
		    const struct lex_token *t)
{
	struct str words[OPTIONS_MAX];
	const char *near;
	size_t at;

	for (size_t i = 0; i < n; i++)
		words[i] = str_of(options[i].word);
	at = lex_nearest_of(t->text, words, n);
	near = at < n ? options[at].word : NULL;
	lex_complain(lex, t, "error",
		     near ? "unknown word; did you mean '%s'?"
			  : "unknown word; '%s' is one that is known",
		     near ? near : options[0].word);
}

static void take_value(struct lex *lex, const struct block_option *o, void *ret)
{
	struct lex_token t = lex_next(lex);
	const char *wrong;

	if (t.kind != LEX_STRING && t.kind != LEX_WORD) {
		lex_complain(lex, &t, "error", "a value for '%s' is expected here", o->word);
		return;
	}
	wrong = o->check ? o->check(t.text) : NULL;
	if (wrong)
		lex_complain(lex, &t, "error", "%s", wrong);
	else if (o->size && t.text.n >= o->size)
		lex_complain(lex, &t, "error", "it is longer than %zu", o->size - 1);
	else if (o->take)
		o->take(lex, &t, ret);
	else
		snprintf((char *)ret + o->offset, o->size, "%.*s", STR_FMT(t.text));
}

bool config_parse_block(struct lex *lex, const struct block_option *options, size_t n, void *ret,
			struct lex_token *ret_at)
{
	struct lex_token at = lex_next(lex), t;
	unsigned errors = lex->n_errors;
	const struct block_option *o;

	*ret_at = at;
	if (at.kind != LEX_OPEN) {
		lex_complain(lex, &at, "error", "'{' is expected here");
		return false;
	}
	while (lex->n_errors == errors) {
		t = lex_next(lex);
		if (t.kind == LEX_CLOSE)
			return true;
		if (t.kind == LEX_NEWLINE || t.kind == LEX_COMMA)
			continue;
		if (t.kind == LEX_END) {
			lex_complain(lex, &at, "error",
				     "the '{' of this statement is never closed");
			return false;
		}
		o = find(options, n, &t);
		if (!o) {
			unknown(lex, options, n, &t);
			return false;
		}
		do
			take_value(lex, o, ret);
		while (o->several && lex->n_errors == errors && lex_peek(lex).kind == LEX_STRING);
	}
	return false;
}
