/* SPDX-License-Identifier: Apache-2.0 */
/* Rules and expectations: selectors, `except`, and then what modifies the rule. */
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "policy/parse.h"

static void take_app_selector(struct parser *p, struct policy_terms *t)
{
	take_app_list(p, t);
}

static void take_user_selector(struct parser *p, struct policy_terms *t)
{
	take_users(p, t, false);
}

static void take_group_selector(struct parser *p, struct policy_terms *t)
{
	take_users(p, t, true);
}

static void take_units(struct parser *p, struct policy_terms *t, enum app_part_kind kind)
{
	p->parts.n = 0;
	do
		take_unit(p, &p->parts, kind);
	while (!p->failed && p->parts.n < PARSE_VALUES_MAX && more_values(p));
	t->units = vec_take(p, &p->parts, sizeof(struct app_part), &t->n_units);
}

static void take_unit_selector(struct parser *p, struct policy_terms *t)
{
	take_units(p, t, APP_PART_UNIT);
}

static void take_cgroup_selector(struct parser *p, struct policy_terms *t)
{
	take_units(p, t, APP_PART_CGROUP);
}

static void take_container_selector(struct parser *p, struct policy_terms *t)
{
	enum app_part_kind kind = APP_PART_EXE; /* none yet */

	p->parts.n = 0;
	do
		take_container(p, &p->parts, &kind);
	while (!p->failed && p->parts.n < PARSE_VALUES_MAX && more_values(p));
	t->containers = vec_take(p, &p->parts, sizeof(struct app_part), &t->n_containers);
}

static void take_from_selector(struct parser *p, struct policy_terms *t)
{
	take_dests(p, IN_FROM, &t->from, &t->n_from);
}

static void take_to_selector(struct parser *p, struct policy_terms *t)
{
	take_dests(p, IN_TO, &t->to, &t->n_to);
	if (!is_word(&p->tok, "by"))
		return;
	next(p);
	if (take_word(p, "sni"))
		t->by_sni = true;
	else
		mistake(p, &p->tok, "'sni' is expected here\nto NAME by sni");
}

static void take_during_selector(struct parser *p, struct policy_terms *t)
{
	p->numbers.n = 0;
	do {
		struct lex_token at = p->tok;

		if (at.kind != LEX_WORD || memchr(at.text.p, ':', at.text.n)) {
			mistake(p, &at,
				"the name of a schedule is expected here\nschedule working = "
				"mon-fri 08:00-18:00");
			return;
		}
		*(uint32_t *)vec_add(p, &p->numbers, sizeof(uint32_t)) =
			symbol_use(p, SYMBOL_SCHEDULE, at.text, place_of(p, &at), false);
		next(p);
	} while (!p->failed && p->numbers.n < PARSE_VALUES_MAX && more_values(p));
	t->during = vec_take(p, &p->numbers, sizeof(uint32_t), &t->n_during);
}

static const struct selector {
	const char *word;
	unsigned kind; /* two of one kind cannot stand in one rule */
	void (*take)(struct parser *p, struct policy_terms *t);
} selectors[] = {
	{ "app", 1, take_app_selector },
	{ "user", 2, take_user_selector },
	{ "group", 4, take_group_selector },
	{ "unit", 8, take_unit_selector },
	{ "cgroup", 8, take_cgroup_selector },
	{ "container", 16, take_container_selector },
	{ "from", 32, take_from_selector },
	{ "to", 64, take_to_selector },
	{ "port", 128, take_ports },
	{ "speaking", 256, take_protocols },
	{ "during", 512, take_during_selector },
};

/* After a mistake in values: on to the next selector or modifier, so that it is looked at, too. */
static void skip_values(struct parser *p)
{
	while (!at_end(&p->tok)) {
		for (const char *const *w = selector_words; *w; w++)
			if (is_word(&p->tok, *w))
				return;
		for (const char *const *w = modifier_words; *w; w++)
			if (is_word(&p->tok, *w))
				return;
		next(p);
	}
}

/* *seen: kinds so far. False when the next word is no selector. */
static bool take_selector(struct parser *p, struct policy_terms *t, unsigned *seen)
{
	struct lex_token at = p->tok;
	unsigned errors = p->errors;

	for (size_t i = 0; i < ARRAY_SIZE(selectors); i++) {
		const struct selector *s = &selectors[i];

		if (!is_word(&at, s->word))
			continue;
		next(p);
		if (*seen & s->kind && s->kind == 8)
			mistake(p, &at,
				"'unit' and 'cgroup' stand once in a rule\nan app may hold "
				"several: app x = unit a, cgroup \"/b\"");
		else if (*seen & s->kind)
			mistake(p, &at,
				"'%s' stands twice in this rule\nits values are separated by "
				"commas",
				s->word);
		*seen |= s->kind;
		if (p->tok.kind == LEX_EQUALS) {
			mistake(p, &p->tok, "there is no '=' in a rule\nas: %s …", s->word);
			next(p);
		}
		s->take(p, t);
		if (errors != p->errors)
			skip_values(p);
		return true;
	}
	return false;
}

/* A word that is neither selector nor modifier: what it may have been meant to be. */
static void told_word(struct parser *p, bool after_values)
{
	static const char *words[40];
	struct lex_token t = p->tok;
	struct addr address;
	struct advice a;
	uint64_t number;
	size_t n = 0;

	for (const char *const *w = selector_words; *w; w++)
		words[n++] = *w;
	for (const char *const *w = modifier_words; *w; w++)
		words[n++] = *w;
	words[n] = NULL;
	if (t.kind == LEX_STRING)
		mistake(p, &t,
			"a string cannot stand alone\na program: 'app \"/usr/bin/curl\"'; a note: "
			"'as \"…\"'");
	else if (t.kind == LEX_COMMA)
		mistake(p, &t,
			"a selector is expected here, not a comma\ncommas stand between the values "
			"of one selector");
	else if (t.kind == LEX_EQUALS)
		mistake(p, &t, "there is no '=' in a rule\nas: user root");
	else if (t.kind != LEX_WORD)
		mistake(p, &t, "a policy has no braces\nvalues are separated by commas");
	else if (after_values && str_parse_u64(t.text, &number) < 0 &&
		 memchr(t.text.p, '.', t.text.n))
		mistake(p, &t,
			"a comma is missing before '%.*s', or a word\nas: to a.example, b.example "
			"port 443",
			QUOTED(t.text));
	else if (str_parse_u64(t.text, &number) == 0)
		mistake(p, &t, "unknown word '%.*s'\n%s 'port %.*s'?", QUOTED(t.text),
			after_values ? "is a comma missing, or did you mean" : "did you mean",
			QUOTED(t.text));
	else if (addr_parse(t.text, &address) == 0 || memchr(t.text.p, '.', t.text.n))
		mistake(p, &t, "unknown word '%.*s'\ndid you mean 'to %.*s'?", QUOTED(t.text),
			QUOTED(t.text));
	else if (advise_foreign(&a, t.text)[0] || advise(&a, t.text, words)[0])
		mistake(p, &t, "unknown word '%.*s'%s", QUOTED(t.text), a.text);
	else if (memchr(t.text.p, '/', t.text.n) && t.text.p[0] == '/')
		mistake(p, &t, "unknown word '%.*s'\ndid you mean 'app \"%.*s\"'?", QUOTED(t.text),
			QUOTED(t.text));
	else if (is_word(&t, "by"))
		mistake(p, &t, "'by sni' stands behind the names of 'to'\nto NAME by sni");
	else if (reserved_word(t.text))
		mistake(p, &t, "'%.*s' cannot stand here%s", QUOTED(t.text), own_line(t.text));
	else
		mistake(p, &t, "unknown word '%.*s'\n%s", QUOTED(t.text),
			after_values
				? "is a comma missing, or one of 'app', 'user', 'to', 'port' …?"
				: "selectors are app, user, group, unit, container, from, to, "
				  "port, speaking, during");
}

static bool is_modifier(const struct lex_token *t)
{
	for (const char *const *w = modifier_words; *w; w++)
		if (is_word(t, *w))
			return true;
	return false;
}

static void take_except(struct parser *p, struct vec *excepts)
{
	struct policy_terms terms = { 0 };
	struct lex_token at = p->tok;
	unsigned seen = 0;

	next(p);
	while (!at_end(&p->tok) && take_selector(p, &terms, &seen))
		;
	if (!seen)
		mistake(p, &at, "'except' needs a selector\nas: except user root");
	*(struct policy_terms *)vec_add(p, excepts, sizeof(terms)) = terms;
	if (excepts->n > PARSE_EXCEPTS_MAX)
		mistake(p, &at, "more than %d 'except' in one rule\nmake a set of them",
			PARSE_EXCEPTS_MAX);
}

static bool can_be_name(const struct policy_terms *t)
{
	for (size_t i = 0; i < t->n_to; i++)
		if (t->to[i].kind == DEST_NAME || t->to[i].kind == DEST_BELOW ||
		    t->to[i].kind == DEST_TREE || t->to[i].kind == DEST_SET ||
		    t->to[i].kind == DEST_LIST)
			return true;
	return false;
}

/* All of a rule behind its action; false: it is not to be used. */
static bool take_rule(struct parser *p, struct policy_rule *r, struct vec *excepts)
{
	unsigned errors = p->errors, seen = 0;

	while (!at_end(&p->tok) && take_selector(p, &r->match, &seen))
		;
	while (is_word(&p->tok, "except") && excepts->n <= PARSE_EXCEPTS_MAX)
		take_except(p, excepts);
	while (!at_end(&p->tok)) {
		if (is_modifier(&p->tok)) {
			if (!take_modifier(p, r))
				skip_values(p);
			continue;
		}
		for (const char *const *w = selector_words; *w; w++)
			if (is_word(&p->tok, *w)) {
				mistake(p, &p->tok,
					"'%s' stands too late\nselectors stand before 'except', "
					"and that before 'limit', 'log' and the like",
					*w);
				return false;
			}
		if (errors == p->errors)
			told_word(p, seen != 0);
		return false;
	}
	return errors == p->errors;
}

void parse_rule(struct parser *p, enum eg_action action)
{
	struct policy_rule r = { .action = action, .place = place_of(p, &p->action) };
	struct vec excepts = { 0 };

	if (p->policy->has_fallback && !p->in_front)
		mistake(p, &p->action,
			"a rule behind 'default' is never reached\nput it before line %u%s%s",
			p->policy->fallback_place.line,
			p->policy->fallback_place.file == p->file ? "" : " of ",
			p->policy->fallback_place.file == p->file
				? ""
				: ((const struct str *)p->files.p)[p->policy->fallback_place.file]
					  .p);
	if (take_rule(p, &r, &excepts) && r.match.by_sni && !can_be_name(&r.match))
		complain(p, r.place, "error", "'by sni' goes with names, and this rule has none");
	if (p->rules.n == POLICY_RULES_MAX)
		mistake(p, &p->action,
			"the policy has more than %d rules\nsets and lists hold many destinations "
			"in one rule",
			POLICY_RULES_MAX);
	r.except = vec_take(p, &excepts, sizeof(struct policy_terms), &r.n_except);
	vec_free(&excepts);
	r.text = arena_str(p, buf_str(&p->text));
	if (p->rules.n < POLICY_RULES_MAX)
		*(struct policy_rule *)vec_add(p, &p->rules, sizeof(r)) = r;
}

void parse_expect(struct parser *p)
{
	struct policy_expect e = { .place = place_of(p, &p->action) };
	int action = take_choice(p, action_words, "allow, deny, reject or audit");
	unsigned seen = 0;

	if (action < 0)
		return;
	e.action = (enum eg_action)(action + EG_ALLOW);
	while (!at_end(&p->tok)) {
		struct lex_token t = p->tok;

		if (is_word(&t, "during")) {
			mistake(p, &t,
				"an expectation has no time\ngive it to the command: egret policy "
				"check --at");
			return;
		}
		if (is_word(&t, "except") || is_modifier(&t)) {
			mistake(p, &t, "an expectation has selectors only, no '%.*s'",
				QUOTED(t.text));
			return;
		}
		if (!take_selector(p, &e.match, &seen)) {
			told_word(p, seen != 0);
			return;
		}
	}
	if (e.match.by_sni)
		complain(p, e.place, "error", "an expectation has selectors only, no 'by sni'");
	if (!seen)
		complain(p, e.place, "error",
			 "an expectation needs selectors\nas: expect deny user root to 192.0.2.1 "
			 "port 22");
	e.text = arena_str(p, buf_str(&p->text));
	if (p->expects.n == POLICY_RULES_MAX)
		mistake(p, &p->action, "the policy has more than %d expectations",
			POLICY_RULES_MAX);
	else if (p->expects.n < POLICY_RULES_MAX)
		*(struct policy_expect *)vec_add(p, &p->expects, sizeof(e)) = e;
}
