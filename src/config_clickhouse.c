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

/* Settings go to another process line by line. */
static bool has_control(struct str value)
{
	for (size_t i = 0; i < value.n; i++)
		if ((unsigned char)value.p[i] < ' ')
			return true;
	return false;
}

static const char *check_path(struct str value)
{
	return value.n && value.p[0] == '/' && !has_control(value)
		       ? NULL
		       : "a path that begins with '/' is expected here";
}

/* A path, or the name of a systemd credential. */
static const char *check_secret(struct str value)
{
	if (value.n && !memchr(value.p, '/', value.n) && !has_control(value))
		return NULL;
	return check_path(value) ? "a path that begins with '/', or the name of a systemd "
				   "credential, is expected here"
				 : NULL;
}

static const char *check_user(struct str value)
{
	return value.n && !memchr(value.p, ':', value.n) && !has_control(value)
		       ? NULL
		       : "a name without ':' is expected here";
}

#define TEXT(field) \
	offsetof(struct ship_settings, field), sizeof(((struct ship_settings *)0)->field)

static const struct option options[] = {
	{ "url", ship_check_url, TEXT(url) }, /* and more_urls */
	{ "database", ship_check_word, TEXT(database) },
	{ "user", check_user, TEXT(user) },
	{ "password-file", check_secret, TEXT(password_file) },
	{ "ca", check_path, TEXT(ca) },
	{ "certificate", check_path, TEXT(certificate) },
	{ "key", check_secret, TEXT(key) },
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

/* Where the next address has its place; NULL, and a mistake is told: there are too many, or it is there already. */
static char *place_of_url(struct lex *lex, const struct lex_token *t, struct ship_settings *s)
{
	for (size_t i = 0; i < SHIP_URLS_MAX; i++) {
		const char *is = ship_url(s, i);

		if (!is)
			return i ? s->more_urls[i - 1] : s->url;
		if (str_eq(t->text, str_of(is))) {
			lex_complain(lex, t, "error", "this address is named twice");
			return NULL;
		}
	}
	lex_complain(lex, t, "error", "at most %d addresses", SHIP_URLS_MAX);
	return NULL;
}

static void take_value(struct lex *lex, const struct option *o, struct ship_settings *ret)
{
	char *place = (char *)ret + o->offset;
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
	else if (o->check != ship_check_url || (place = place_of_url(lex, &t, ret)))
		snprintf(place, o->size, "%.*s", STR_FMT(t.text));
}

static bool all_https(const struct ship_settings *s)
{
	for (size_t i = 0; ship_url(s, i); i++)
		if (!str_has_prefix(str_of(ship_url(s, i)), STR("https://")))
			return false;
	return true;
}

static void check_whole(struct lex *lex, const struct lex_token *at, const struct ship_settings *s)
{
	if (!s->url[0])
		lex_complain(lex, at, "error",
			     "'url' is missing: where ClickHouse is, as \"https://HOST:8443\"");
	else if (s->password_file[0] && !s->user[0])
		lex_complain(lex, at, "error", "'password-file' needs a 'user'");
	else if (s->ca[0] && !all_https(s))
		lex_complain(lex, at, "error", "'ca' belongs to https://HOST:PORT");
	else if (!s->certificate[0] != !s->key[0])
		lex_complain(lex, at, "error", "'certificate' and 'key' belong together");
	else if (s->certificate[0] && !all_https(s))
		lex_complain(lex, at, "error", "'certificate' belongs to https://HOST:PORT");
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
		if (!o)
			unknown(lex, &t);
		else
			do
				take_value(lex, o, ret);
			while (o->check == ship_check_url && lex->n_errors == errors &&
			       lex_peek(lex).kind == LEX_STRING);
	}
}
