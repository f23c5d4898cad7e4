// SPDX-License-Identifier: Apache-2.0
/*
 * Response policy zones (draft-vixie-dnsop-dns-rpz) as zone files (RFC 1035, section 5): the owner of a record is the
 * trigger, its data the action. Names (`example.com`, `*.example.com`) and addresses of answers (`24.0.2.0.192.rpz-ip`) are
 * taken whatever the action is, but `rpz-passthru.`, which is an exception; triggers on clients and name servers are
 * skipped. A name without a dot at its end is below $ORIGIN, and what is not below the zone is no trigger.
 */
#include "policy/list_format.h"

#include <errno.h>
#include <stdio.h>

#include "base/cleanup.h"

#define LINES_LOOKED_AT 200
#define TOKENS_MAX 8

struct zone {
	struct list_out *o;
	char apex[LIST_NAME_MAX], origin[LIST_NAME_MAX],
		owner[LIST_NAME_MAX]; /* without the dot at the end */
	size_t apex_n, origin_n, owner_n;
	bool has_apex, in_parens;
	bool given; /* this owner was already handed on */
};

static struct str view(const char *p, size_t n)
{
	return (struct str){ p, n };
}

static bool keep(char to[LIST_NAME_MAX], size_t *to_n, struct str s)
{
	if (s.n >= LIST_NAME_MAX)
		return false;
	if (s.n)
		memmove(to, s.p, s.n); /* "$ORIGIN @" is itself */
	*to_n = s.n;
	return true;
}

static bool ends_below(struct str name, struct str zone)
{
	if (!zone.n)
		return true;
	return name.n > zone.n && name.p[name.n - zone.n - 1] == '.' &&
	       str_eq_nocase(str_sub(name, name.n - zone.n, zone.n), zone);
}

/* A name of the file, made absolute, into `to`. */
static bool absolute(const struct zone *z, struct str name, char to[LIST_NAME_MAX], size_t *to_n)
{
	if (str_eq(name, STR("@")))
		return keep(to, to_n, view(z->origin, z->origin_n));
	if (name.n && name.p[name.n - 1] == '.')
		return keep(to, to_n, str_sub(name, 0, name.n - 1));
	if (!z->origin_n)
		return keep(to, to_n, name);
	if (name.n + 1 + z->origin_n >= LIST_NAME_MAX)
		return false;
	/* `to` may be the origin: "$ORIGIN sub" */
	memmove(to + name.n + 1, z->origin, z->origin_n);
	memcpy(to, name.p, name.n);
	to[name.n] = '.';
	*to_n = name.n + 1 + z->origin_n;
	return true;
}

/* "24.0.2.0.192" is 192.0.2.0/24, "48.zz.2.2001" is 2001:2::/48: the words from the last to the first. */
static int put_rpz_ip(struct list_out *o, struct str s)
{
	char text[ADDR_TEXT_MAX + 8];
	struct str bits, words[9];
	bool v6 = false, gap = false;
	size_t n = 0, at = 0;

	if (!str_cut(&s, '.', &bits))
		return -EINVAL;
	while (n < ARRAY_SIZE(words) && str_cut(&s, '.', &words[n]))
		n++;
	for (size_t i = 0; i < n; i++)
		gap = gap || str_eq_nocase(words[i], STR("zz"));
	v6 = gap || n == 8;
	if (s.n || bits.n > 3 || (!v6 && n != 4))
		return -EINVAL;
	/* "zz" is "::": an empty word between two colons, and one colon more where it stands first or last */
	for (size_t i = n; i-- > 0;) {
		bool zz = str_eq_nocase(words[i], STR("zz"));

		if (words[i].n > 4 || at + 8 > ADDR_TEXT_MAX)
			return -EINVAL;
		if (!zz) {
			memcpy(text + at, words[i].p, words[i].n);
			at += words[i].n;
		} else if (i == n - 1) {
			text[at++] = ':';
		}
		if (i || zz)
			text[at++] = v6 ? ':' : '.';
	}
	at += (size_t)snprintf(text + at, sizeof(text) - at, "/%.*s", STR_FMT(bits));
	return list_put_address(o, view(text, at), STR_NONE);
}

static void put_trigger(struct zone *z)
{
	static const char *const others[] = { "rpz-client-ip", "rpz-nsip", "rpz-nsdname" };
	struct str apex = view(z->apex, z->has_apex ? z->apex_n : 0);
	struct str name = view(z->owner, z->owner_n), inner;
	int r;

	if (!ends_below(name, apex)) {
		if (!str_eq_nocase(name, apex))
			list_skip(z->o);
		return;
	}
	inner = str_sub(name, 0, name.n - (apex.n ? apex.n + 1 : 0));
	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		if (ends_below(inner, str_of(others[i]))) {
			list_skip(z->o);
			return;
		}
	if (ends_below(inner, STR("rpz-ip")))
		r = put_rpz_ip(z->o, str_sub(inner, 0, inner.n - strlen(".rpz-ip")));
	else if (str_has_prefix(inner, STR("*.")))
		r = list_put_name(z->o, LIST_BELOW, str_sub(inner, 2, inner.n), 1, STR_NONE);
	else
		r = list_put_name(z->o, LIST_NAME, inner, 1, STR_NONE);
	if (r < 0)
		list_bad(z->o, inner, "is no trigger of a policy zone");
}

/* Cuts the line into words: comments off, a quoted text is one word, parentheses only join lines. */
static size_t words_of(struct zone *z, struct str line, struct str words[TOKENS_MAX])
{
	size_t n = 0, i = 0;

	while (i < line.n && line.p[i] != ';') {
		size_t from = i;
		char c = line.p[i];

		if (c == '(' || c == ')' || c == ' ' || c == '\t') {
			z->in_parens = c == '(' || (z->in_parens && c != ')');
			i++;
			continue;
		}
		if (c == '"') {
			for (i++; i < line.n && line.p[i] != '"'; i++)
				i += line.p[i] == '\\';
			i = MIN(i + 1, line.n);
		} else {
			while (i < line.n && !memchr(" \t;()", line.p[i], 5))
				i++;
		}
		if (n < TOKENS_MAX)
			words[n++] = str_sub(line, from, i - from);
	}
	return n;
}

static bool is_ttl_or_class(struct str w)
{
	return str_eq_nocase(w, STR("IN")) || (w.n && w.p[0] >= '0' && w.p[0] <= '9');
}

static bool is_type(struct str w)
{
	static const struct str types[] = { STR("CNAME"), STR("A"),    STR("AAAA"), STR("TXT"),
					    STR("MX"),    STR("SRV"),  STR("NS"),   STR("SOA"),
					    STR("PTR"),   STR("DNAME") };

	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		if (str_eq_nocase(w, types[i]))
			return true;
	return false;
}

/* words[at] is the type. */
static void record(struct zone *z, struct str type, struct str data)
{
	if (str_eq_nocase(type, STR("SOA"))) {
		/* where no $ORIGIN says it, names are below the zone */
		z->has_apex = keep(z->apex, &z->apex_n, view(z->owner, z->owner_n));
		if (!z->origin_n)
			keep(z->origin, &z->origin_n, view(z->apex, z->apex_n));
	} else if (str_eq_nocase(type, STR("NS")) &&
		   str_eq_nocase(view(z->owner, z->owner_n), view(z->apex, z->apex_n))) {
		return;
	} else if (str_eq_nocase(type, STR("CNAME")) &&
		   (str_eq_nocase(data, STR("rpz-passthru.")) ||
		    str_eq_nocase(data, STR("rpz-passthru")))) {
		list_skip(z->o);
	} else if (!z->given) {
		put_trigger(z);
		z->given = true;
	}
}

static void zone_line(struct zone *z, struct str line, bool blank_first)
{
	struct str words[TOKENS_MAX];
	size_t n = words_of(z, line, words), at = 0;

	if (!n)
		return;
	if (str_eq_nocase(words[0], STR("$ORIGIN")) && n > 1) {
		if (!absolute(z, words[1], z->origin, &z->origin_n))
			list_bad(z->o, words[1], "is too long a name");
		return;
	}
	if (words[0].p[0] == '$')
		return;
	if (!blank_first) {
		at = 1;
		z->given = false;
		if (!absolute(z, words[0], z->owner, &z->owner_n)) {
			z->owner_n = 0;
			list_bad(z->o, words[0], "is too long a name");
			return;
		}
	}
	while (at < n && is_ttl_or_class(words[at]))
		at++;
	if (at >= n || !is_type(words[at])) {
		list_bad(z->o, line, "is not a record of a zone");
		return;
	}
	record(z, words[at], at + 1 < n ? words[at + 1] : STR_NONE);
}

static int rpz_parse(struct list_out *o, struct str text)
{
	struct zone z = { .o = o };
	struct str line;

	while (o->r >= 0 && str_cut(&text, '\n', &line)) {
		bool continued = z.in_parens;
		bool blank_first = line.n && (line.p[0] == ' ' || line.p[0] == '\t');
		struct str words[TOKENS_MAX];

		o->line++;
		line = str_trim(line);
		if (continued)
			words_of(&z, line, words); /* only whether the parentheses end */
		else
			zone_line(&z, line, blank_first);
	}
	return 0;
}

static unsigned rpz_score(struct str head)
{
	struct list_report none = { 0 };
	struct list_out o = { .report = &none };
	struct zone z = { .o = &o };
	unsigned lines = 0, score = 0;
	struct str line, words[TOKENS_MAX];

	while (lines < LINES_LOOKED_AT && str_cut(&head, '\n', &line)) {
		size_t n = words_of(&z, str_trim(line), words), at = 1;

		if (!n || words[0].p[0] == '#')
			continue;
		lines++;
		if (str_eq(words[0], STR("$TTL")) || str_eq(words[0], STR("$ORIGIN")))
			score += LINES_LOOKED_AT;
		while (at < n && is_ttl_or_class(words[at]))
			at++;
		score += at < n && is_type(words[at]);
	}
	return 2 * score > lines ? score : 0;
}

const struct list_reader list_rpz = { LIST_RPZ, rpz_score, rpz_parse };
