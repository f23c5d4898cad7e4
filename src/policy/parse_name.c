/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names of hosts: example.com, *.example.com, **.example.com. Kept in lower case, as A-labels, without the dot at the
 * end. A name with one label needs that dot ("db1."), because a word alone is a segment.
 */
#include <idn2.h>
#include <libpsl.h>
#include <string.h>

#include "base/cleanup.h"
#include "policy/parse.h"

#define NAME_MAX_BYTES 253
#define LABEL_MAX_BYTES 63

enum label_fault { LABEL_OK, LABEL_EMPTY, LABEL_LONG, LABEL_HYPHEN, LABEL_CHAR, LABEL_STAR };

struct name_fault {
	enum label_fault fault;
	unsigned char c;
};

/* Lower-case letters, digits, '-' and '_' in labels of the right length; *ret_upper: there are capitals. */
static struct name_fault check_labels(struct str s, bool *ret_upper, bool *ret_unicode)
{
	size_t label = 0;

	*ret_upper = *ret_unicode = false;
	for (size_t i = 0; i <= s.n; i++) {
		unsigned char c = i < s.n ? (unsigned char)s.p[i] : '.';

		if (c == '.') {
			if (!label)
				return (struct name_fault){ LABEL_EMPTY, c };
			if (label > LABEL_MAX_BYTES)
				return (struct name_fault){ LABEL_LONG, c };
			if (s.p[i - 1] == '-' || s.p[i - label] == '-')
				return (struct name_fault){ LABEL_HYPHEN, c };
			label = 0;
			continue;
		}
		label++;
		if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_')
			continue;
		if (c >= 'A' && c <= 'Z')
			*ret_upper = true;
		else if (c >= 0x80)
			*ret_unicode = true;
		else
			return (struct name_fault){ c == '*' ? LABEL_STAR : LABEL_CHAR, c };
	}
	return (struct name_fault){ LABEL_OK, 0 };
}

/* "https://host:443/path" and "host/path", "host:443". True when told. */
static bool told_url(struct parser *p, const struct lex_token *t)
{
	struct str s = t->text, host;
	const char *scheme = memmem(s.p, s.n, "://", 3);
	const char *port = "";

	if (scheme) {
		if (str_has_prefix_nocase(s, STR("https://")))
			port = " port 443";
		else if (str_has_prefix_nocase(s, STR("http://")))
			port = " port 80";
		s = str_sub(s, (size_t)(scheme - s.p) + 3, s.n);
	}
	host = s;
	for (size_t i = 0; i < host.n; i++)
		if (host.p[i] == '/' || host.p[i] == ':')
			host.n = i;
	if (scheme)
		mistake(p, t, "a destination is a name, not a URL\nwrite 'to %.*s%s'", QUOTED(host),
			port);
	else if (host.n < s.n && s.p[host.n] == ':')
		mistake(p, t, "a name has no port here\nwrite 'to %.*s port %.*s'", QUOTED(host),
			QUOTED(str_sub(s, host.n + 1, s.n)));
	else if (host.n < s.n)
		mistake(p, t, "a name has no path\nwrite 'to %.*s'", QUOTED(host));
	else
		return false;
	return true;
}

static void told_fault(struct parser *p, const struct lex_token *t, struct str name,
		       struct name_fault f)
{
	struct str s = t->text;

	switch (f.fault) {
	case LABEL_EMPTY:
		if (s.p[0] == '.' && s.n > 1)
			mistake(p, t,
				"a name does not begin with a dot\n'*%.*s' is all below it, "
				"'**%.*s' it and all below",
				QUOTED(s), QUOTED(s));
		else
			mistake(p, t, "'%.*s' is no name: a label is missing between dots",
				QUOTED(s));
		return;
	case LABEL_LONG:
		mistake(p, t, "a label of this name is longer than %d", LABEL_MAX_BYTES);
		return;
	case LABEL_HYPHEN:
		mistake(p, t, "a label neither begins nor ends with '-'");
		return;
	case LABEL_STAR:
		if (s.p[0] == '*' && s.n > 1 && s.p[1] != '.' && s.p[1] != '*' &&
		    !memchr(s.p + 1, '*', s.n - 1))
			mistake(p, t, "'*' stands for whole labels\nwrite '*.%.*s'",
				QUOTED(str_sub(s, 1, s.n)));
		else
			mistake(p, t, "'*.' or '**.' may only stand at the beginning of a name");
		return;
	default:
		if (f.c == ';')
			mistake(p, t, "a statement ends with its line, not with ';'");
		else if (f.c == '!')
			mistake(p, t,
				"'!' is not known here\nwhat is to be left out stands behind "
				"'except'");
		else if (f.c < ' ' || f.c == 0x7f)
			mistake(p, t, "'%.*s' is no name: a control character is in it", QUOTED(s));
		else if (f.c == '@')
			mistake(p, t, "a name of a host has no '@'");
		else if (f.c == '$')
			mistake(p, t,
				"there are no variables\nnames for many destinations are made by "
				"'set'");
		else
			mistake(p, t, "'%.*s' is no name: '%c' cannot be in it", QUOTED(s), f.c);
	}
}

/* Copies `s`, folded. */
static struct str fold(struct parser *p, struct str s)
{
	struct str copy = arena_str(p, s);
	char *c = (char *)copy.p;

	for (size_t i = 0; i < copy.n; i++)
		if (c[i] >= 'A' && c[i] <= 'Z')
			c[i] |= 0x20;
	return copy;
}

static bool to_a_labels(struct parser *p, const struct lex_token *t, struct str s, struct str *ret)
{
	struct str copy = arena_str(p, s);
	char *a = NULL;
	int r;

	if (s.n > 4 * NAME_MAX_BYTES) {
		mistake(p, t, "this name is too long");
		return false;
	}
	r = idn2_to_ascii_8z(copy.p, &a, IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL);
	if (r != IDN2_OK) {
		mistake(p, t, "'%.*s' is no international name: %s", QUOTED(s), idn2_strerror(r));
		return false;
	}
	*ret = arena_str(p, str_of(a));
	idn2_free(a);
	return true;
}

static bool is_public_suffix(struct str name)
{
	static const psl_ctx_t *suffixes;
	char text[NAME_MAX_BYTES + 1];

	if (!suffixes)
		suffixes = psl_latest(NULL);
	if (!suffixes)
		suffixes = psl_builtin();
	if (!suffixes || name.n > NAME_MAX_BYTES)
		return false;
	memcpy(text, name.p, name.n);
	text[name.n] = 0;
	/* Not those of companies: '*.s3.amazonaws.com' is what people have to write. */
	return psl_is_public_suffix2(suffixes, text, PSL_TYPE_ICANN | PSL_TYPE_NO_STAR_RULE);
}

/* Cuts "*." or "**." off. */
static enum dest_kind cut_wildcard(struct str *s)
{
	if (str_has_prefix(*s, STR("**."))) {
		*s = str_sub(*s, 3, s->n);
		return DEST_TREE;
	}
	if (str_has_prefix(*s, STR("*."))) {
		*s = str_sub(*s, 2, s->n);
		return DEST_BELOW;
	}
	return DEST_NAME;
}

bool parse_name(struct parser *p, const struct lex_token *t, struct policy_dest *ret)
{
	struct str s = t->text, whole;
	bool upper, unicode, all_of_it = false;
	struct name_fault f;

	if (memchr(s.p, '/', s.n) || memchr(s.p, ':', s.n))
		if (told_url(p, t))
			return false;
	ret->kind = cut_wildcard(&s);
	if (ret->kind != DEST_NAME && s.n && s.p[s.n - 1] == '!') {
		all_of_it = true;
		s.n--;
	}
	if (s.n > 1 && s.p[s.n - 1] == '.')
		s.n--;
	f = check_labels(s, &upper, &unicode);
	if (f.fault == LABEL_LONG && unicode)
		f.fault = LABEL_OK; /* the A-label counts */
	if (f.fault) {
		told_fault(p, t, s, f);
		return false;
	}
	whole = upper ? fold(p, s) : s;
	if (unicode &&
	    (!to_a_labels(p, t, s, &whole) || (f = check_labels(whole, &upper, &unicode)).fault)) {
		if (f.fault)
			told_fault(p, t, whole, f);
		return false;
	}
	if (whole.n > NAME_MAX_BYTES) {
		mistake(p, t, "this name is longer than %d", NAME_MAX_BYTES);
		return false;
	}
	if (ret->kind != DEST_NAME && !all_of_it && is_public_suffix(whole)) {
		mistake(p, t,
			"'%.*s' is everybody's: under it anyone can have a name\nif you mean it, "
			"write '%.*s!'",
			QUOTED(t->text), QUOTED(t->text));
		return false;
	}
	ret->name = whole;
	return true;
}
