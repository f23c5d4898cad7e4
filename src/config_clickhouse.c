/* SPDX-License-Identifier: Apache-2.0 */
#include "config_clickhouse.h"

#include <stdio.h>

#include "base/human.h"

/* What checks a value gives its mistake in words, or NULL. */
struct option {
	const char *word;
	const char *(*check)(struct str value);
	size_t offset, size; /* of the text in the settings; 0: the size of the spool */
};

static const char *check_path(struct str value)
{
	return value.n && value.p[0] == '/' && !memchr(value.p, 0, value.n)
		       ? NULL
		       : "a path that begins with '/' is expected here";
}

/* A path, or the name of a systemd credential. */
static const char *check_secret(struct str value)
{
	if (value.n && !memchr(value.p, '/', value.n) && !memchr(value.p, 0, value.n))
		return NULL;
	return check_path(value) ? "a path that begins with '/', or the name of a systemd "
				   "credential, is expected here"
				 : NULL;
}

static const char *check_user(struct str value)
{
	return value.n && !memchr(value.p, ':', value.n) ? NULL
							 : "a name without ':' is expected here";
}

#define TEXT(field) \
	offsetof(struct ship_settings, field), sizeof(((struct ship_settings *)0)->field)

static const struct option options[] = {
	{ "url", ship_check_url, TEXT(url) },
	{ "database", ship_check_word, TEXT(database) },
	{ "user", check_user, TEXT(user) },
	{ "password-file", check_secret, TEXT(password_file) },
	{ "ca", check_path, TEXT(ca) },
	{ "spool", NULL, 0, 0 },
};
#define OPTIONS (sizeof(options) / sizeof(options[0]))

static const struct option *find(const struct lex_token *t)
{
	for (size_t i = 0; i < OPTIONS; i++)
		if (t->kind == LEX_WORD && str_eq(t->text, str_of(options[i].word)))
			return &options[i];
	return NULL;
}

static void unknown(struct lex *lex, const struct lex_token *t)
{
	const char *words[OPTIONS + 1] = { 0 }, *near;

	for (size_t i = 0; i < OPTIONS; i++)
		words[i] = options[i].word;
	near = lex_nearest(t->text, words);
	lex_complain(lex, t, "error",
		     near ? "unknown word; did you mean '%s'?"
			  : "unknown word; '%s' is one that is known",
		     near ? near : words[0]);
}

static void take_value(struct lex *lex, const struct option *o, struct ship_settings *ret)
{
	struct lex_token t = lex_next(lex);
	const char *wrong;

	if (!o->check) {
		if (t.kind != LEX_WORD || size_parse(t.text, &ret->spool_bytes) < 0 ||
		    ret->spool_bytes < CLICKHOUSE_SPOOL_MIN)
			lex_complain(lex, &t, "error",
				     "a size of at least 100mb is expected here, as 10gb");
		return;
	}
	if (t.kind != LEX_STRING && t.kind != LEX_WORD) {
		lex_complain(lex, &t, "error", "a value for '%s' is expected here", o->word);
		return;
	}
	wrong = o->check(t.text);
	if (wrong)
		lex_complain(lex, &t, "error", "%s", wrong);
	else if (t.text.n >= o->size)
		lex_complain(lex, &t, "error", "it is longer than %zu", o->size - 1);
	else
		snprintf((char *)ret + o->offset, o->size, "%.*s", STR_FMT(t.text));
}

static void check_whole(struct lex *lex, const struct lex_token *at, const struct ship_settings *s)
{
	if (!s->url[0])
		lex_complain(lex, at, "error",
			     "'url' is missing: where ClickHouse is, as \"https://HOST:8443\"");
	else if (s->password_file[0] && !s->user[0])
		lex_complain(lex, at, "error", "'password-file' needs a 'user'");
	else if (s->ca[0] && !str_has_prefix(str_of(s->url), STR("https://")))
		lex_complain(lex, at, "error", "'ca' belongs to https://HOST:PORT");
}

void config_parse_clickhouse(struct lex *lex, struct ship_settings *ret)
{
	struct lex_token at = lex_next(lex), t;
	unsigned errors = lex->n_errors;
	const struct option *o;

	*ret = (struct ship_settings){ .database = "egret", .spool_bytes = CLICKHOUSE_SPOOL_BYTES };
	if (at.kind != LEX_OPEN) {
		lex_complain(lex, &at, "error", "'{' is expected here");
		return;
	}
	while (lex->n_errors == errors) {
		t = lex_next(lex);
		if (t.kind == LEX_CLOSE) {
			check_whole(lex, &at, ret);
			return;
		}
		if (t.kind == LEX_NEWLINE || t.kind == LEX_COMMA)
			continue;
		if (t.kind == LEX_END) {
			lex_complain(lex, &at, "error",
				     "the '{' of this statement is never closed");
			return;
		}
		o = find(&t);
		if (o)
			take_value(lex, o, ret);
		else
			unknown(lex, &t);
	}
}
