/* SPDX-License-Identifier: Apache-2.0 */
/* Definitions of destinations: resolvers, segment, set, list. */
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/time.h"
#include "policy/parse.h"
#include "policy/routes.h"

static bool is_name(struct str s)
{
	bool letter = false;

	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];

		letter |= (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
		      c == '-' || c == '_'))
			return false;
	}
	return s.n && s.n <= 63 && letter;
}

bool take_name(struct parser *p, enum symbol_kind kind, struct vec *all, size_t size,
	       struct definition *ret)
{
	struct lex_token t = p->tok;
	const char *what = symbol_kind_name(kind);
	struct symbol *s;

	*ret = (struct definition){ .all = all, .size = size, .place = place_of(p, &t) };
	if (t.kind == LEX_EQUALS || at_end(&t)) {
		mistake(p, &t, "the name of the %s is expected here", what);
		return false;
	}
	if (t.kind != LEX_WORD || !is_name(t.text)) {
		mistake(p, &t, "a name is made of letters, digits, '-' and '_'");
		return false;
	}
	/* Responses are never named where another word could stand. */
	if (kind != SYMBOL_RESPONSE && reserved_word(t.text)) {
		mistake(p, &t, "'%.*s' is a word of the language and cannot be a name",
			QUOTED(t.text));
		return false;
	}
	s = symbol_at(p, symbol_get(p, kind, t.text));
	if (s->def != POLICY_ANON) {
		mistake(p, &t, "%s '%.*s' is defined twice\nfirst in line %u%s%s", what,
			QUOTED(t.text), s->place.line, s->place.file == p->file ? "" : " of ",
			s->place.file == p->file
				? ""
				: ((const struct str *)p->files.p)[s->place.file].p);
	} else if (all->n >= PARSE_DEFINITIONS_MAX) {
		mistake(p, &t, "the policy defines more than %d of this kind: %s",
			PARSE_DEFINITIONS_MAX, what);
		return false;
	} else {
		s->def = (uint32_t)all->n;
		s->place = ret->place;
	}
	ret->name = t.text;
	ret->index = all->n;
	vec_add(p, all, size); /* also when the rest is wrong: others may refer to it */
	next(p);
	if (p->tok.kind != LEX_EQUALS) {
		mistake(p, &p->tok, "'=' is expected after the name\n%s %.*s = …", what,
			QUOTED(t.text));
		return false;
	}
	next(p);
	return true;
}

void define(const struct definition *d, const void *value)
{
	if (d->index < d->all->n)
		memcpy(d->all->p + d->index * d->size, value, d->size);
}

void parse_resolvers(struct parser *p)
{
	struct policy *policy = p->policy;
	static const char *const words[] = { "system", "none", NULL };
	struct lex_token t = p->tok;
	struct advice a;

	if (policy->resolver_place.line)
		mistake(p, &t, "'resolvers' is said twice\nfirst in line %u",
			policy->resolver_place.line);
	policy->resolver_place = place_of(p, &t);
	if (take_word(p, "system")) {
		policy->resolver_mode = RESOLVERS_SYSTEM;
	} else if (take_word(p, "none")) {
		policy->resolver_mode = RESOLVERS_NONE;
	} else if (t.kind == LEX_WORD && advise(&a, t.text, words)[0]) {
		mistake(p, &t, "system, none or addresses are expected here, not '%.*s'%s",
			QUOTED(t.text), a.text);
	} else {
		policy->resolver_mode = RESOLVERS_GIVEN;
		take_dests(p, IN_RESOLVERS, &policy->resolvers, &policy->n_resolvers);
		for (size_t i = 0; i < policy->n_resolvers; i++)
			if (!addr_eq(&policy->resolvers[i].lo, &policy->resolvers[i].hi))
				complain(p, policy->resolvers[i].place, "error",
					 "a resolver is one address, not a network");
	}
}

void parse_set(struct parser *p)
{
	struct policy_set set = { 0 };
	struct definition d;

	if (!take_name(p, SYMBOL_SET, &p->sets, sizeof(set), &d))
		return;
	set.name = d.name;
	set.place = d.place;
	take_dests(p, IN_SET, &set.members, &set.n_members);
	define(&d, &set);
}

bool take_interface(struct parser *p, const char *example, struct str *ret)
{
	struct lex_token t = p->tok;
	bool ok = (t.kind == LEX_WORD || t.kind == LEX_STRING) && t.text.n && t.text.n <= 15;

	*ret = t.text;
	if (!ok)
		mistake(p, &t, "the name of an interface is expected here\nas %s", example);
	if (!at_end(&p->tok))
		next(p);
	return ok;
}

struct routed {
	struct parser *p;
	struct policy_place place;
};

static void on_network(void *ctx, const struct addr *lo, const struct addr *hi)
{
	const struct routed *r = ctx;
	const struct policy_dest *have = (const struct policy_dest *)(void *)r->p->dests.p;

	for (size_t i = 0; i < r->p->dests.n; i++)
		if (addr_eq(&have[i].lo, lo) && addr_eq(&have[i].hi, hi))
			return; /* a second route to the same */
	add_range(r->p, r->place, lo, hi);
}

static void take_routed(struct parser *p, struct policy_segment *s)
{
	struct routed routed = { p, place_of(p, &p->tok) };
	struct str name;
	int r;

	if (!take_interface(p, "'interface eth1'", &name))
		return;
	*(struct str *)vec_add(p, &p->parts, sizeof(name)) = name;
	r = routes_by(name, on_network, &routed);
	if (r < 0)
		complain(p, routed.place, "error", "the routes by '%.*s' cannot be read: %s",
			 QUOTED(name), strerror(-r));
	s->n_unrouted += r == 0;
}

void parse_segment(struct parser *p)
{
	struct policy_segment s = { 0 };
	struct definition d;

	if (!take_name(p, SYMBOL_SEGMENT, &p->segments, sizeof(s), &d))
		return;
	s.name = d.name;
	s.place = d.place;
	do {
		if (take_word(p, "interface"))
			take_routed(p, &s);
		else if (!take_dest(p, IN_SEGMENT))
			break;
	} while (!p->failed && more_values(p));
	s.ranges = vec_take(p, &p->dests, sizeof(struct policy_dest), &s.n_ranges);
	s.interfaces = vec_take(p, &p->parts, sizeof(struct str), &s.n_interfaces);
	define(&d, &s);
}

/* --- list -------------------------------------------------------------------------------------------------------- */

static void take_list_file(struct parser *p, struct policy_list *l)
{
	struct lex_token t = p->tok;
	char path[PATH_MAX];
	struct str name;

	if (!take_string(p, &name, "the path of the list"))
		return;
	if (path_from_here(p, name, path))
		l->path = arena_str(p, str_of(path));
	else
		mistake(p, &t, "this name is too long");
}

static void take_list_url(struct parser *p, struct policy_list *l)
{
	struct lex_token t = p->tok;

	if (!take_string(p, &l->url, "the URL of the list"))
		return;
	if ((!str_has_prefix(l->url, STR("https://")) || l->url.n == 8) &&
	    (!str_has_prefix(l->url, STR("http://")) || l->url.n == 7))
		mistake(p, &t, "a list is fetched from https://… or http://…");
	for (size_t i = 0; i < l->url.n; i++)
		if ((unsigned char)l->url.p[i] <= ' ') {
			mistake(p, &t, "a URL has no blanks");
			return;
		}
}

static void take_list_option(struct parser *p, struct policy_list *l)
{
	static const char *const words[] = { "format", "refresh", "expire", "optional", NULL };
	static const char *const formats[] = {
#define X(id, name) name,
		LIST_FORMATS(X)
#undef X
			NULL
	};
	struct lex_token t = p->tok;
	int format;

	switch (take_choice(p, words, "'format', 'refresh', 'expire' or 'optional'")) {
	case 0:
		format = take_choice(p, formats, "the format of a list");
		if (format >= 0)
			l->format = (enum list_format)format;
		else if (!at_end(&p->tok))
			next(p);
		return;
	case 1:
		if (take_duration(p, &l->refresh_ns) && l->refresh_ns < 60 * NSEC_PER_SEC)
			mistake(p, &t,
				"a list is fetched once a minute at most\nwrite 'refresh 1m' or "
				"more");
		return;
	case 2:
		take_duration(p, &l->expire_ns);
		return;
	case 3:
		l->optional = true;
		return;
	default:
		while (!at_end(&p->tok))
			next(p);
	}
}

void parse_list(struct parser *p)
{
	struct policy_list l = { 0 };
	struct definition d;
	struct lex_token t;

	if (!take_name(p, SYMBOL_LIST, &p->lists, sizeof(l), &d))
		return;
	l.name = d.name;
	l.place = d.place;
	t = p->tok;
	if (take_word(p, "file"))
		take_list_file(p, &l);
	else if (take_word(p, "url"))
		take_list_url(p, &l);
	else
		mistake(p, &t, "'file' or 'url' is expected here\nas: file \"lists.d/bad.txt\"");
	if (p->errors && !l.path.n && !l.url.n)
		while (!at_end(&p->tok))
			next(p);
	while (!at_end(&p->tok))
		take_list_option(p, &l);
	if (l.path.n && l.refresh_ns)
		complain(p, l.place, "warning",
			 "'refresh' has no effect on a file\nit is read again when it changes");
	if (l.url.n && l.expire_ns && l.refresh_ns > l.expire_ns)
		complain(p, l.place, "warning", "this list expires before it is fetched again");
	define(&d, &l);
}
