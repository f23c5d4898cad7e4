/* SPDX-License-Identifier: Apache-2.0 */
/* What stands behind `to` and `from`, in sets and in segments: one reader, because the words are the same. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/hash.h"
#include "policy/parse.h"

#define IN(where) (1U << (where))
#define PRICED (IN(IN_PRICE) | IN(IN_BUDGET))
#define TAKES_NAMES (IN(IN_TO) | IN(IN_SET) | PRICED)
#define TAKES_SEGMENTS (IN(IN_TO) | IN(IN_FROM) | PRICED)

static const char *where_name(enum dest_where where)
{
	static const char *const names[] = { "'to'",        "'from'",  "a set",   "a segment",
					     "'resolvers'", "a price", "a budget" };

	return names[where];
}

static struct policy_dest *add(struct parser *p, enum dest_kind kind, struct policy_place at)
{
	struct policy_dest *d = vec_add(p, &p->dests, sizeof(*d));

	d->kind = kind;
	d->place = at;
	return d;
}

void add_range(struct parser *p, struct policy_place at, const struct addr *lo,
	       const struct addr *hi)
{
	struct policy_dest *d = add(p, DEST_RANGE, at);

	d->lo = *lo;
	d->hi = *hi;
	if (p->n_ranges++ == PARSE_ENTRIES_MAX)
		complain(p, at, "error",
			 "the policy has more than %u addresses or ranges\nput them into a list",
			 PARSE_ENTRIES_MAX);
}

static void add_name(struct parser *p, const struct lex_token *t, struct policy_place at)
{
	struct policy_dest name = { .place = at };

	if (!parse_name(p, t, &name))
		return;
	*add(p, name.kind, at) = name;
	if (p->n_names++ == PARSE_ENTRIES_MAX)
		complain(p, at, "error", "the policy has more than %u names\nput them into a list",
			 PARSE_ENTRIES_MAX);
}

static bool is_allowed(struct parser *p, const struct lex_token *t, enum dest_where where,
		       unsigned allowed, const char *what)
{
	if (allowed & 1U << where)
		return true;
	mistake(p, t, "%s does not take '%s'\n%s", where_name(where), what,
		TAKES_NAMES & IN(where) ? "" : "it takes addresses and networks of ours");
	return false;
}

/* "set NAME", "list NAME", "segment NAME". */
static void take_reference(struct parser *p, enum symbol_kind kind, enum dest_kind dest)
{
	struct lex_token t = p->tok;

	if (t.kind != LEX_WORD) {
		mistake(p, &t, "the name of a %s is expected here", symbol_kind_name(kind));
		return;
	}
	add(p, dest, place_of(p, &t))->ref = symbol_use(p, kind, t.text, place_of(p, &t), false);
	next(p);
}

static void take_country(struct parser *p)
{
	struct lex_token t = p->tok;
	struct policy_dest *d;

	if (t.kind != LEX_WORD || t.text.n != 2 || ((t.text.p[0] | 0x20) < 'a') ||
	    ((t.text.p[0] | 0x20) > 'z') || ((t.text.p[1] | 0x20) < 'a') ||
	    ((t.text.p[1] | 0x20) > 'z')) {
		mistake(p, &t, "a country is two letters\nas 'country DE' (ISO 3166)");
	} else {
		d = add(p, DEST_COUNTRY, place_of(p, &t));
		d->country[0] = (char)(t.text.p[0] & ~0x20);
		d->country[1] = (char)(t.text.p[1] & ~0x20);
	}
	if (!at_end(&p->tok))
		next(p);
}

static void take_asn(struct parser *p)
{
	struct lex_token t = p->tok;
	struct str s = t.text;
	uint64_t n;

	if (str_has_prefix_nocase(s, STR("AS")))
		s = str_sub(s, 2, s.n);
	if (t.kind != LEX_WORD || str_parse_u64(s, &n) < 0 || !n || n > UINT32_MAX)
		mistake(p, &t,
			"the number of an autonomous system is expected here\nas 'asn 64500'");
	else
		add(p, DEST_ASN, place_of(p, &t))->ref = (uint32_t)n;
	if (!at_end(&p->tok))
		next(p);
}

/* One word that is neither an address nor a keyword. */
static void take_bare(struct parser *p, enum dest_where where)
{
	struct lex_token t = p->tok;
	bool dotted = memchr(t.text.p, '.', t.text.n) || memchr(t.text.p, '/', t.text.n) ||
		      memchr(t.text.p, ':', t.text.n) || memchr(t.text.p, '*', t.text.n);

	next(p);
	if (dotted && !(TAKES_NAMES & IN(where))) {
		mistake(p, &t, "%s takes addresses and networks, not names", where_name(where));
	} else if (is_word(&t, "*")) {
		mistake(p, &t,
			"'*' is no destination\n'any' is every address; a selector that is left "
			"out matches all");
	} else if (dotted) {
		add_name(p, &t, place_of(p, &t));
	} else if (TAKES_SEGMENTS & IN(where)) {
		add(p, DEST_SEGMENT, place_of(p, &t))->ref =
			symbol_use(p, SYMBOL_SEGMENT, t.text, place_of(p, &t), true);
	} else if (where == IN_SET) {
		mistake(p, &t,
			"'%.*s' is neither an address nor a name\nanother set: 'set %.*s'; a name "
			"with one label: '%.*s.'",
			QUOTED(t.text), QUOTED(t.text), QUOTED(t.text));
	} else {
		mistake(p, &t, "'%.*s' is no address\nas 192.0.2.1, 10.0.0.0/8 or fd00::/8",
			QUOTED(t.text));
	}
}

struct keyword {
	const char *word;
	unsigned where;
	enum dest_kind kind; /* of a word alone */
	void (*take)(struct parser *p);
};

static void take_set(struct parser *p)
{
	take_reference(p, SYMBOL_SET, DEST_SET);
}

static void take_list(struct parser *p)
{
	take_reference(p, SYMBOL_LIST, DEST_LIST);
}

static void take_segment(struct parser *p)
{
	take_reference(p, SYMBOL_SEGMENT, DEST_SEGMENT);
}

static const struct keyword keywords[] = {
	{ "set", TAKES_NAMES | TAKES_SEGMENTS, DEST_SET, take_set },
	{ "list", IN(IN_TO) | PRICED, DEST_LIST, take_list },
	{ "segment", TAKES_SEGMENTS, DEST_SEGMENT, take_segment },
	{ "country", TAKES_NAMES, DEST_COUNTRY, take_country },
	{ "asn", TAKES_NAMES, DEST_ASN, take_asn },
	{ "any", IN(IN_TO) | PRICED, DEST_ANY, NULL },
	{ "internet", IN(IN_TO) | PRICED, DEST_INTERNET, NULL },
	{ "private", IN(IN_TO) | PRICED, DEST_PRIVATE, NULL },
};

/* The word before which a value is missing, if it is one that begins something else. */
static bool told_missing(struct parser *p, const struct lex_token *t, enum dest_where where)
{
	if (at_end(t))
		mistake(p, t, "%s needs a value", where_name(where));
	else if (t->kind == LEX_STRING)
		mistake(p, t, "addresses and names stand without quotes");
	else if (t->kind == LEX_OPEN || t->kind == LEX_CLOSE)
		mistake(p, t, "there are no braces here\nvalues are separated by commas");
	else if (t->kind != LEX_WORD)
		mistake(p, t, "a value is expected here");
	else if ((where == IN_TO || where == IN_FROM) && is_word(t, "port"))
		mistake(p, t, "%s needs a destination\nwithout one it is left out: 'port 443'",
			where_name(where));
	else if ((where == IN_TO || where == IN_FROM) &&
		 (is_word(t, "user") || is_word(t, "app") || is_word(t, "group")))
		mistake(p, t, "%s takes places, not whom\nwrite '%.*s …' without it",
			where_name(where), QUOTED(t->text));
	else if (is_word(t, "not") || is_word(t, "!"))
		mistake(p, t, "there is no '%.*s'\nwhat is to be left out stands behind 'except'",
			QUOTED(t->text));
	else
		return false;
	return true;
}

bool take_dest(struct parser *p, enum dest_where where)
{
	struct lex_token t = p->tok;
	struct addr lo, hi;
	int r;

	if (told_missing(p, &t, where))
		return false;
	r = parse_address(p, &t, &lo, &hi);
	if (r) {
		next(p);
		if (r > 0)
			add_range(p, place_of(p, &t), &lo, &hi);
		return true;
	}
	for (size_t i = 0; i < ARRAY_SIZE(keywords); i++) {
		const struct keyword *k = &keywords[i];

		if (!is_word(&t, k->word))
			continue;
		next(p);
		if (!is_allowed(p, &t, where, k->where, k->word)) {
			if (k->take && !at_end(&p->tok))
				next(p);
		} else if (k->take) {
			k->take(p);
		} else {
			add(p, k->kind, place_of(p, &t));
		}
		return true;
	}
	take_bare(p, where);
	return true;
}

/* --- duplicates ----------------------------------------------------------------------------------------------------- */

static uint64_t hash_dest(const struct policy_dest *d)
{
	if (d->kind == DEST_NAME || d->kind == DEST_BELOW || d->kind == DEST_TREE)
		return hash_bytes(d->name.p, d->name.n, d->kind);
	if (d->kind == DEST_RANGE)
		return hash_bytes(&d->lo, 2 * sizeof(d->lo), d->kind);
	return hash_bytes(&d->ref, sizeof(d->ref), d->kind);
}

bool policy_same_dest(const struct policy_dest *a, const struct policy_dest *b)
{
	if (a->kind != b->kind)
		return false;
	if (a->kind == DEST_NAME || a->kind == DEST_BELOW || a->kind == DEST_TREE)
		return str_eq(a->name, b->name);
	if (a->kind == DEST_RANGE)
		return addr_eq(&a->lo, &b->lo) && addr_eq(&a->hi, &b->hi);
	return a->ref == b->ref;
}

static void tell_twice(struct parser *p, const struct policy_dest *again,
		       const struct policy_dest *first)
{
	if (again->place.line == first->place.line)
		complain(p, again->place, "warning", "this stands in the list twice");
	else
		complain(p, again->place, "warning",
			 "this stands in the list twice\nfirst in line %u", first->place.line);
}

/* Values that stand twice in one list are left in: they do no harm but may hide a mistake. */
static void warn_duplicates(struct parser *p)
{
	const struct policy_dest *dests = (const struct policy_dest *)p->dests.p;
	size_t n = p->dests.n, cap = 16, at;
	uint32_t *slots;

	while (cap < n * 2)
		cap *= 2;
	slots = n > 1 ? calloc(cap, sizeof(*slots)) : NULL;
	if (!slots) {
		p->failed |= n > 1;
		return;
	}
	for (size_t i = 0; i < n; i++) {
		at = hash_dest(&dests[i]) & (cap - 1);
		while (slots[at] && !policy_same_dest(&dests[slots[at] - 1], &dests[i]))
			at = (at + 1) & (cap - 1);
		if (slots[at])
			tell_twice(p, &dests[i], &dests[slots[at] - 1]);
		else
			slots[at] = (uint32_t)i + 1;
	}
	free(slots);
}

void take_dests(struct parser *p, enum dest_where where, struct policy_dest **ret, size_t *ret_n)
{
	p->dests.n = 0;
	do {
		if (!take_dest(p, where))
			break;
	} while (!p->failed && more_values(p));
	warn_duplicates(p);
	*ret = vec_take(p, &p->dests, sizeof(struct policy_dest), ret_n);
}
