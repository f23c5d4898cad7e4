/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rules to rows. "except A B" takes away what A and B both match: what is left is "not A" or "not B", a row each; several
 * `except` multiply. Behind the rules stand the implied allow, which only loopback and DNS to trusted resolvers see, the
 * default, and then the expectations, which never decide.
 */
#include "policy/compile.h"

#include <errno.h>
#include <string.h>

static const struct policy_terms no_terms;

bool terms_have(const struct policy_terms *t, enum term term)
{
	switch (term) {
	case TERM_APP:
		return t->n_apps;
	case TERM_USER:
		return t->n_users;
	case TERM_GROUP:
		return t->n_groups;
	case TERM_UNIT:
		return t->n_units;
	case TERM_CONTAINER:
		return t->n_containers;
	case TERM_FROM:
		return t->n_from;
	case TERM_TO:
		return t->n_to;
	case TERM_PORT:
		return t->n_ports;
	case TERM_SPEAKING:
		return t->n_speaking;
	case TERM_DURING:
		return t->n_during;
	case TERM_COUNT:
		break;
	}
	return false;
}

static struct row *add_row(struct compile *c)
{
	if (c->n_rows == c->cap_rows) {
		size_t cap = c->cap_rows ? c->cap_rows * 2 : 64;
		struct row *to = realloc(c->rows, cap * sizeof(*to));

		if (!to) {
			compile_no_memory(c);
			return NULL;
		}
		c->rows = to;
		c->cap_rows = cap;
	}
	c->rows[c->n_rows] = (struct row){ .match = &no_terms };
	return &c->rows[c->n_rows++];
}

static bool add_negated(struct compile *c, const struct policy_terms *terms, enum term term)
{
	if (c->n_negated == c->cap_negated) {
		size_t cap = c->cap_negated ? c->cap_negated * 2 : 64;
		struct negated *to = realloc(c->negated, cap * sizeof(*to));

		if (!to) {
			compile_no_memory(c);
			return false;
		}
		c->negated = to;
		c->cap_negated = cap;
	}
	c->negated[c->n_negated++] = (struct negated){ terms, term };
	return true;
}

/* The next term that the `except` has, from `from` on; TERM_COUNT: none. */
static unsigned next_term(const struct policy_terms *t, unsigned from)
{
	while (from < TERM_COUNT && !terms_have(t, from))
		from++;
	return from;
}

static bool names_port_53(const struct policy_terms *t)
{
	for (size_t i = 0; i < t->n_ports; i++)
		if (t->ports[i].group != EG_PORTS_ICMP && t->ports[i].group != EG_PORTS_ICMP6 &&
		    t->ports[i].group != EG_PORTS_PROTO && t->ports[i].lo == 53 &&
		    t->ports[i].hi == 53)
			return true;
	for (size_t i = 0; i < t->n_speaking; i++)
		if (t->speaking[i] == EG_APP_DNS)
			return true;
	return false;
}

static struct row row_of_rule(const struct compile *c, size_t rule)
{
	const struct policy *p = c->p;
	const struct policy_rule *r = &p->rules[rule];
	uint8_t instead = c->cfg->instead ? c->cfg->instead[rule] : 0;

	return (struct row){
		.info = { .rule = (uint16_t)rule,
			  .action = instead ? instead : (uint8_t)r->action,
			  .flags = (uint8_t)((r->log ? EG_ROW_LOG : 0) |
					     (r->quiet ? EG_ROW_QUIET : 0) |
					     (r->alert ? EG_ROW_ALERT : 0) |
					     (r->front ? EG_ROW_FIRM : 0) |
					     (r->priority == PRIORITY_HIGH ? EG_ROW_HIGH : 0) |
					     (r->priority == PRIORITY_LOW ? EG_ROW_LOW : 0) |
					     (compile_rate(c, rule) ? EG_ROW_LIMIT : 0)) },
		.match = &r->match,
		.until_s = r->until_s,
		.place = r->place,
		.loopback = dests_name_loopback(p, r->match.to, r->match.n_to),
		.resolver = names_port_53(&r->match) ||
			    dests_name_resolver(p, r->match.to, r->match.n_to),
	};
}

/* False: too many. */
static bool rows_of_rule(struct compile *c, size_t rule)
{
	const struct policy_rule *r = &c->p->rules[rule];
	_cleanup_free_ unsigned *pick = calloc(r->n_except + 1, sizeof(*pick));
	struct row model = row_of_rule(c, rule), *row;
	size_t i;

	if (!pick) {
		compile_no_memory(c);
		return false;
	}
	for (i = 0; i < r->n_except; i++) {
		pick[i] = next_term(&r->except[i], 0);
		if (pick[i] == TERM_COUNT)
			return true; /* all is taken away: the rule holds never */
	}
	for (;;) {
		if (c->n_rows + 2 + c->p->n_expects >= EG_ROWS_MAX)
			return false;
		row = add_row(c);
		if (!row)
			return false;
		*row = model;
		row->first_negated = c->n_negated;
		row->n_negated = r->n_except;
		for (i = 0; i < r->n_except; i++)
			if (!add_negated(c, &r->except[i], pick[i]))
				return false;
		/* The next choice of one term from each. */
		for (i = 0; i < r->n_except; i++) {
			pick[i] = next_term(&r->except[i], pick[i] + 1);
			if (pick[i] < TERM_COUNT)
				break;
			pick[i] = next_term(&r->except[i], 0);
		}
		if (i == r->n_except)
			return true;
	}
}

static void add_own_row(struct compile *c, size_t rule, enum eg_action action, uint8_t flags)
{
	struct row *row = add_row(c);

	if (!row)
		return;
	row->info = (struct eg_row){ (uint16_t)rule, (uint8_t)action, flags };
	row->loopback = row->resolver = true;
}

/* Never in force: only so that policy_check() finds the classes that an expectation speaks of told apart. */
static void add_expect_row(struct compile *c, size_t expect)
{
	struct row *row = add_row(c);

	if (!row)
		return;
	row->info = (struct eg_row){ (uint16_t)(c->p->n_rules + 2 + expect),
				     (uint8_t)c->p->expects[expect].action, 0 };
	row->match = &c->p->expects[expect].match;
	row->place = c->p->expects[expect].place;
}

void compile_rows(struct compile *c)
{
	const struct policy *p = c->p;

	for (size_t rule = 0; rule < p->n_rules && !c->bad; rule++)
		if (!rows_of_rule(c, rule) && !c->bad)
			compile_error(c, p->rules[rule].place,
				      "too many rules: %u rows are taken when this one comes\n"
				      "an 'except' of several selectors takes a row for each, an "
				      "'expect' one; there are "
				      "4,094",
				      (unsigned)c->n_rows);
	if (!c->bad && c->n_rows + 2 + p->n_expects > EG_ROWS_MAX)
		compile_error(c, p->expects[0].place,
			      "too many expectations: at most %u with the rules", EG_ROWS_MAX - 2);
	if (c->bad)
		return;
	c->implied_row = (uint32_t)c->n_rows;
	add_own_row(c, p->n_rules + 1, EG_ALLOW, EG_ROW_IMPLIED);
	c->default_row = (uint32_t)c->n_rows;
	add_own_row(c, p->n_rules, p->fallback, p->has_fallback ? 0 : EG_ROW_IMPLIED);
	for (size_t i = 0; i < p->n_expects; i++)
		add_expect_row(c, i);
	for (c->words = 1; c->words * 64 < c->n_rows;)
		c->words *= 2;
}
