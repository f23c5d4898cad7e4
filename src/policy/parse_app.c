/* SPDX-License-Identifier: Apache-2.0 */
/* Who a program is: patterns of paths, trees, units, cgroups, containers. */
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "policy/parse.h"

#define PATTERN_MAX 1024

static struct app_part *add_part(struct parser *p, struct vec *parts, enum app_part_kind kind,
				 struct str pattern)
{
	struct app_part *a = vec_add(p, parts, sizeof(*a));

	a->kind = kind;
	a->pattern = pattern;
	if (parts->n == PARSE_VALUES_MAX)
		mistake(p, &p->tok, "more than %d values", PARSE_VALUES_MAX);
	return a;
}

/* Patterns of paths know '*', '**' and '?'; what shells know besides is taken literally, and that is said. */
bool check_path_pattern(struct parser *p, const struct lex_token *t)
{
	struct str s = t->text;

	if (s.n > PATTERN_MAX) {
		mistake(p, t, "a pattern is at most %d bytes long", PATTERN_MAX);
	} else if (s.p[0] == '~' || memchr(s.p, '$', s.n)) {
		mistake(p, t,
			"'~' and '$' stand for nothing here\nwrite the whole path, as "
			"\"/home/*/bin/tool\"");
	} else if (s.p[0] != '/' && !str_has_prefix(s, STR("**/"))) {
		mistake(p, t,
			"a program is told by its whole path\nas \"/usr/bin/%.*s\", or \"**/%.*s\" "
			"for any folder",
			QUOTED(s), QUOTED(s));
	} else if (memmem(s.p, s.n, "//", 2) || memmem(s.p, s.n, "/../", 4) ||
		   memmem(s.p, s.n, "/./", 3)) {
		mistake(p, t,
			"a path has no '//', '/./' or '/../' here\nno program is ever found under "
			"such a path");
	} else if (s.p[s.n - 1] == '/') {
		mistake(p, t,
			"this is a folder\nwrite \"%.*s*\" for the programs in it, \"%.*s**\" for "
			"all below",
			QUOTED(s), QUOTED(s));
	} else {
		if (memchr(s.p, '[', s.n) || memchr(s.p, '{', s.n))
			complain(
				p, place_of(p, t), "warning",
				"'[' and '{' are taken literally\npatterns know '*', '**' and '?'");
		return true;
	}
	return false;
}

static void take_path(struct parser *p, struct vec *parts, enum app_part_kind kind)
{
	struct lex_token t = p->tok;
	struct str pattern;

	if (take_string(p, &pattern, "the path of a program") && check_path_pattern(p, &t))
		add_part(p, parts, kind, pattern);
}

/* A pattern in quotes or as a word. */
static bool take_pattern(struct parser *p, struct str *ret, const char *what)
{
	struct lex_token t = p->tok;
	bool ok =
		(t.kind == LEX_WORD || t.kind == LEX_STRING) && t.text.n && t.text.n <= PATTERN_MAX;

	if (ok)
		*ret = t.text;
	else
		mistake(p, &t, "%s is expected here", what);
	if (!at_end(&p->tok))
		next(p);
	return ok;
}

static struct str with_suffix(struct parser *p, struct str unit)
{
	char text[PATTERN_MAX + 16];

	/* As systemctl does it. */
	if (memchr(unit.p, '.', unit.n) || memchr(unit.p, '*', unit.n))
		return unit;
	snprintf(text, sizeof(text), "%.*s.service", STR_FMT(unit));
	return arena_str(p, str_of(text));
}

void take_unit(struct parser *p, struct vec *parts, enum app_part_kind kind)
{
	struct lex_token t = p->tok;
	struct str s;

	if (kind == APP_PART_UNIT) {
		if (!take_pattern(p, &s, "the name of a unit"))
			return;
		if (memchr(s.p, '/', s.n))
			mistake(p, &t,
				"the name of a unit has no '/'\na path of a cgroup: cgroup "
				"\"%.*s\"",
				QUOTED(s));
		else
			add_part(p, parts, kind, with_suffix(p, s));
	} else if (take_string(p, &s, "the path of a cgroup")) {
		if (s.p[0] != '/')
			mistake(p, &t,
				"the path of a cgroup begins with '/'\nas \"/system.slice/**\"");
		else
			add_part(p, parts, kind, s);
	}
}

void take_container(struct parser *p, struct vec *parts, enum app_part_kind *kind)
{
	static const char *const words[] = { "name", "image", "label", NULL };
	struct lex_token t;
	struct str s;
	int i;

	if (p->tok.kind == LEX_WORD || *kind == APP_PART_EXE) {
		i = take_choice(p, words, "'name', 'image' or 'label'");
		if (i < 0) {
			while (!at_end(&p->tok) && p->tok.kind != LEX_COMMA)
				next(p);
			return;
		}
		*kind = (enum app_part_kind)(APP_PART_CONTAINER_NAME + i);
	}
	t = p->tok;
	if (!take_string(p, &s, "a pattern"))
		return;
	if (*kind == APP_PART_CONTAINER_LABEL && !memchr(s.p, '=', s.n))
		mistake(p, &t, "a label is written \"key=value\"\nas \"%.*s=*\"", QUOTED(s));
	else
		add_part(p, parts, *kind, s);
}

/* What may stand behind `app NAME =` and, in quotes, behind `app` in a rule. */
static void take_app_part(struct parser *p, struct vec *parts)
{
	struct lex_token t = p->tok;
	enum app_part_kind kind = APP_PART_EXE;
	struct advice a;
	static const char *const words[] = { "tree", "unit", "cgroup", "container", "app", NULL };

	if (t.kind == LEX_STRING) {
		take_path(p, parts, APP_PART_EXE);
	} else if (take_word(p, "tree")) {
		if (!take_word(p, "of"))
			mistake(p, &p->tok, "'of' is expected here\ntree of \"/path/of/program\"");
		else
			take_path(p, parts, APP_PART_TREE);
	} else if (take_word(p, "unit")) {
		take_unit(p, parts, APP_PART_UNIT);
	} else if (take_word(p, "cgroup")) {
		take_unit(p, parts, APP_PART_CGROUP);
	} else if (take_word(p, "container")) {
		take_container(p, parts, &kind);
	} else if (take_word(p, "app")) {
		t = p->tok;
		if (t.kind == LEX_WORD) {
			uint32_t symbol = symbol_use(p, SYMBOL_APP, t.text, place_of(p, &t), false);

			add_part(p, parts, APP_PART_APP, STR_NONE)->app = symbol;
			next(p);
		} else {
			mistake(p, &t, "the name of an app is expected here");
		}
	} else if (t.kind == LEX_WORD && memchr(t.text.p, '/', t.text.n)) {
		mistake(p, &t, "the path of a program stands in quotes\n\"%.*s\"", QUOTED(t.text));
		next(p);
	} else if (t.kind == LEX_WORD && advise(&a, t.text, words)[0]) {
		mistake(p, &t, "a program is expected here, not '%.*s'%s", QUOTED(t.text), a.text);
		next(p);
	} else {
		mistake(p, &t,
			"a program is expected here\n\"/path\", tree of \"/path\", unit …, cgroup "
			"\"…\", container … or app …");
		if (!at_end(&t))
			next(p);
	}
}

void take_app_parts(struct parser *p, struct app_part **ret, size_t *ret_n)
{
	p->parts.n = 0;
	do {
		unsigned errors = p->errors;

		take_app_part(p, &p->parts);
		while (errors != p->errors && !at_end(&p->tok) && p->tok.kind != LEX_COMMA)
			next(p);
	} while (!p->failed && more_values(p));
	*ret = vec_take(p, &p->parts, sizeof(struct app_part), ret_n);
}

void parse_app(struct parser *p)
{
	struct policy_app app = { 0 };
	struct definition d;

	if (!take_name(p, SYMBOL_APP, &p->apps, sizeof(app), &d))
		return;
	app.name = d.name;
	app.place = d.place;
	take_app_parts(p, &app.parts, &app.n_parts);
	define(&d, &app);
}

/* Behind `app` in a rule: names, and programs written there. */
static uint32_t inline_app(struct parser *p)
{
	struct policy_app app = { .place = place_of(p, &p->tok) };
	unsigned errors = p->errors;
	uint32_t symbol;
	char name[32];

	p->parts.n = 0;
	take_app_part(p, &p->parts);
	while (errors != p->errors && !at_end(&p->tok) && p->tok.kind != LEX_COMMA)
		next(p);
	app.parts = vec_take(p, &p->parts, sizeof(struct app_part), &app.n_parts);
	snprintf(name, sizeof(name), "#%zu", p->apps.n); /* nobody can write this name */
	symbol = symbol_get(p, SYMBOL_APP, arena_str(p, str_of(name)));
	symbol_at(p, symbol)->def = (uint32_t)p->apps.n;
	*(struct policy_app *)vec_add(p, &p->apps, sizeof(app)) = app;
	return symbol;
}

static bool begins_part(const struct lex_token *t)
{
	return t->kind == LEX_STRING || is_word(t, "tree") || is_word(t, "unit") ||
	       is_word(t, "cgroup") || is_word(t, "container") ||
	       (t->kind == LEX_WORD && memchr(t->text.p, '/', t->text.n));
}

void take_app_list(struct parser *p, struct policy_terms *terms)
{
	p->numbers.n = 0;
	do {
		struct lex_token t = p->tok;
		uint32_t symbol;

		if (begins_part(&t)) {
			symbol = inline_app(p);
		} else if (t.kind != LEX_WORD || reserved_word(t.text)) {
			mistake(p, &t,
				"the name of an app is expected here\nor the path of a program in "
				"quotes");
			return;
		} else {
			symbol = symbol_use(p, SYMBOL_APP, t.text, place_of(p, &t), false);
			next(p);
		}
		*(uint32_t *)vec_add(p, &p->numbers, sizeof(symbol)) = symbol;
		if (p->numbers.n == PARSE_VALUES_MAX) {
			mistake(p, &t, "more than %d values", PARSE_VALUES_MAX);
			return;
		}
	} while (!p->failed && more_values(p));
	terms->apps = vec_take(p, &p->numbers, sizeof(uint32_t), &terms->n_apps);
}
