/* SPDX-License-Identifier: Apache-2.0 */
/* The words of the language, and what people write in their place. */
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "policy/parse.h"

#define NEAR_MAX 4096 /* definitions that a misspelt name is compared with */

const char *const statement_words[] = { "allow",     "deny",    "reject", "audit",   "default",
					"expect",    "app",     "set",    "segment", "list",
					"schedule",  "include", "price",  "budget",  "response",
					"resolvers", "link",    NULL };
const char *const selector_words[] = { "app",       "user",   "group", "unit", "cgroup",
				       "container", "from",   "to",    "port", "speaking",
				       "during",    "except", NULL };
const char *const modifier_words[] = { "limit", "quota", "priority", "alert", "log",
				       "quiet", "until", "as",       NULL };
const char *const action_words[] = { "allow", "deny", "reject", "audit", NULL };

bool reserved_word(struct str word)
{
	static const char *const others[] = { "any",       "internet", "private", "country",
					      "asn",       "by",       "each",    "then",
					      "interface", "tree",     NULL };
	const char *const *all[] = { statement_words, selector_words, modifier_words, others };

	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		for (const char *const *w = all[i]; *w; w++)
			if (str_eq(word, str_of(*w)))
				return true;
	return false;
}

const char *own_line(struct str word)
{
	for (const char *const *w = statement_words; *w; w++)
		if (str_eq(word, str_of(*w)))
			return "\neach statement stands on a line of its own";
	return "";
}

const char *advise(struct advice *a, struct str word, const char *const *words)
{
	const char *near = NULL;

	for (const char *const *w = words; *w && !near; w++)
		if (str_eq_nocase(word, str_of(*w)))
			near = *w; /* words are in lower case */
	if (!near)
		near = lex_nearest(word, words);
	a->text[0] = 0;
	if (near)
		snprintf(a->text, sizeof(a->text), "\ndid you mean '%s'?", near);
	return a->text;
}

const char *advise_symbol(struct parser *p, struct advice *a, enum symbol_kind kind,
			  struct str name)
{
	const struct symbol *symbols = (const struct symbol *)p->symbols.p, *s;
	struct str names[NEAR_MAX];
	uint32_t which[NEAR_MAX];
	size_t n = 0, at;

	for (uint32_t i = 0; i < p->symbols.n && n < NEAR_MAX; i++)
		if (symbols[i].kind == kind && symbols[i].def != POLICY_ANON) {
			names[n] = symbols[i].name;
			which[n++] = i;
		}
	a->text[0] = 0;
	at = lex_nearest_of(name, names, n);
	if (at == n)
		return a->text;
	s = &symbols[which[at]];
	snprintf(a->text, sizeof(a->text), "\ndid you mean '%.*s' (line %u)?", QUOTED(s->name),
		 s->place.line);
	return a->text;
}

/* Words of iptables, nftables, ufw and of other policies, with ours. */
static const struct {
	const char *word, *advice;
} foreign[] = {
	{ "accept", "the word is 'allow'" },
	{ "permit", "the word is 'allow'" },
	{ "pass", "the word is 'allow'" },
	{ "drop", "the word is 'deny'" },
	{ "block", "the word is 'deny'" },
	{ "disallow", "the word is 'deny'" },
	{ "forbid", "the word is 'deny'" },
	{ "refuse", "the word is 'reject'" },
	{ "monitor", "the word is 'audit'" },
	{ "program", "the word is 'app'" },
	{ "process", "the word is 'app'" },
	{ "exe", "the word is 'app'" },
	{ "binary", "the word is 'app'" },
	{ "uid", "the word is 'user'" },
	{ "gid", "the word is 'group'" },
	{ "service", "the word is 'unit'" },
	{ "dport", "the word is 'port'; source ports are not told apart" },
	{ "--dport", "the word is 'port'" },
	{ "sport", "source ports are not told apart" },
	{ "daddr", "the word is 'to'" },
	{ "dst", "the word is 'to'" },
	{ "host", "the word is 'to'" },
	{ "domain", "the word is 'to'" },
	{ "saddr", "the word is 'from'" },
	{ "src", "the word is 'from'" },
	{ "tcp", "the protocol goes with the port: 'port 443/tcp'" },
	{ "udp", "the protocol goes with the port: 'port 53/udp'" },
	{ "icmp", "write 'port icmp'" },
	{ "proto", "the protocol goes with the port: 'port 443/tcp'" },
	{ "protocol", "what is spoken: 'speaking tls'; below it, with the port: 'port 443/tcp'" },
	{ "not", "what is left out stands behind 'except'" },
	{ "!", "what is left out stands behind 'except'" },
	{ "and", "selectors that stand side by side must all hold" },
	{ "or", "values of a selector are separated by commas; another way is another rule" },
	{ "if", "a rule is its selectors: 'allow user root to example.com'" },
	{ "when", "times are named: 'schedule working = mon-fri 08:00-18:00', 'during working'" },
	{ "out", "a policy is about what leaves: 'out' is left away" },
	{ "outgoing", "a policy is about what leaves: 'outgoing' is left away" },
	{ "in", "a policy is about what leaves: replies pass, what comes in is not decided here" },
	{ "all", "a selector that is left out matches all" },
	{ "any", "a selector that is left out matches all" },
	{ "*", "a selector that is left out matches all" },
	{ "everything", "a selector that is left out matches all" },
	{ "policy", "the default is said so: 'default deny'" },
	{ "table", "this is nftables' language; a rule of a policy: 'deny to 192.0.2.0/24'" },
	{ "chain", "this is nftables' language; a rule of a policy: 'deny to 192.0.2.0/24'" },
	{ "nft", "this is nftables' language; a rule of a policy: 'deny to 192.0.2.0/24'" },
	{ "ip", "addresses stand behind 'to': 'deny to 192.0.2.0/24'" },
	{ "ip6", "addresses stand behind 'to': 'deny to 2001:db8::/32'" },
	{ "iptables",
	  "this is iptables' language; a rule of a policy: 'allow to example.com port 443/tcp'" },
	{ "ip6tables",
	  "this is iptables' language; a rule of a policy: 'allow to example.com port 443/tcp'" },
	{ "-A",
	  "this is iptables' language; a rule of a policy: 'allow to example.com port 443/tcp'" },
	{ "-j", "the action stands first: 'allow …', 'deny …'" },
	{ "-p", "the protocol goes with the port: 'port 443/tcp'" },
	{ "-d", "the word is 'to'" },
	{ "-s", "the word is 'from'" },
	{ "ufw", "a rule begins with its action: 'allow to example.com port 443/tcp'" },
	{ "define", "names for destinations are made so: 'set NAME = …'" },
	{ "let", "names for destinations are made so: 'set NAME = …'" },
	{ "alias", "names for destinations are made so: 'set NAME = …'" },
	{ "timeout", "the word is 'until', with a date" },
	{ "expires", "the word is 'until', with a date" },
	{ "comment", "a note is written 'as \"…\"', a comment behind '#'" },
	{ "rate", "the word is 'limit'" },
	{ "bandwidth", "a rule's rate is its 'limit', that of an interface its 'link'" },
	{ "prio", "the word is 'priority'" },
	{ "qdisc", "the rate of an interface is written so: 'link eth0 100mbit'" },
	{ "//", "a comment begins with '#'" },
	{ "--", "a comment begins with '#'" },
	{ "/*", "a comment begins with '#'" },
	{ ";", "a comment begins with '#'" },
};

const char *advise_foreign(struct advice *a, struct str word)
{
	a->text[0] = 0;
	if (word.n > 1 && (word.p[word.n - 1] == ':' || word.p[word.n - 1] == ';')) {
		struct str bare = str_sub(word, 0, word.n - 1);

		if (reserved_word(bare))
			snprintf(a->text, sizeof(a->text), "\nwrite '%.*s' without '%c'",
				 QUOTED(bare), word.p[word.n - 1]);
		return a->text;
	}
	if (word.n > 2 && (str_has_prefix(word, STR("//")) || str_has_prefix(word, STR("/*"))))
		word.n = 2;
	for (size_t i = 0; i < ARRAY_SIZE(foreign) && !a->text[0]; i++)
		if (str_eq_nocase(word, str_of(foreign[i].word)))
			snprintf(a->text, sizeof(a->text), "\n%s", foreign[i].advice);
	return a->text;
}

/* What word processors and web pages put in the place of plain characters. */
static const struct {
	const char *bytes, *message;
} odd[] = {
	{ "\xe2\x80\x9c", "these are typographic quotes\nwrite \"" },
	{ "\xe2\x80\x9d", "these are typographic quotes\nwrite \"" },
	{ "\xe2\x80\x9e", "these are typographic quotes\nwrite \"" },
	{ "\xc2\xab", "these are typographic quotes\nwrite \"" },
	{ "\xe2\x80\x98", "these are typographic quotes\nwrite \"" },
	{ "\xe2\x80\x99", "these are typographic quotes\nwrite \"" },
	{ "\xc2\xa0", "this word has a no-break space in it\nwrite a plain blank" },
	{ "\xe2\x80\x93", "this is a long dash\nwrite '-'" },
	{ "\xe2\x80\x94", "this is a long dash\nwrite '-'" },
	{ "\xe2\x80\x8b", "this word has an invisible character in it\ntype it anew" },
	{ "\xe2\x80\x8e", "this word has an invisible character in it\ntype it anew" },
	{ "\xe2\x80\xae", "this word has an invisible character in it\ntype it anew" },
	{ "\xef\xbb\xbf", "this word has an invisible character in it\ntype it anew" },
	{ "\xef\xbc\x8c", "this is a wide comma\nwrite ','" },
};

bool odd_characters(struct parser *p, const struct lex_token *t)
{
	if (t->text.n && t->text.p[0] == '\'') {
		mistake(p, t, "a string stands in double quotes\nwrite \"");
		return true;
	}
	for (size_t i = 0; i < ARRAY_SIZE(odd); i++)
		if (memmem(t->text.p, t->text.n, odd[i].bytes, strlen(odd[i].bytes))) {
			mistake(p, t, "%s", odd[i].message);
			return true;
		}
	return false;
}
