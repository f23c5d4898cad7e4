/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Why each rule before the deciding one did not. Whether a rule holds is asked of the image, row by row, in the
 * evaluator's own words; only which term it was is looked up in the rule.
 */
#include "policy/explain.h"

#include <string.h>

#include "policy/automaton.h"

/* What the evaluator knows of a subject, for all rows. */
struct asked {
	const struct policy *p;
	const struct policy_image *img;
	const struct policy_subject *s;
	const struct eg_image *head;
	struct eg_facts f;
	struct eg_fold fold;
	uint64_t sure[EG_WORDS_MAX], maybe[EG_WORDS_MAX]; /* rows that hold, that may */
	uint64_t dest[EG_WORDS_MAX];                      /* rows whose `to` may hold */
	uint8_t app, app_index;
	int app_unknown;
};

static void ask(struct asked *a)
{
	struct eg_search search;
	struct eg_said said;

	a->head = eg_image_head(&a->img->pages);
	policy_classify(a->img, a->s, &a->f);
	a->app = eg_app_told(&a->img->pages, a->head, &a->f, &a->app_index, &a->app_unknown);
	eg_fold_facts(&a->img->pages, &a->f, &a->fold, a->app_index, a->app_unknown);
	if (!eg_search_init(&a->img->pages, a->head, a->f.visible_name, &a->fold, &search))
		return;
	eg_fold_masks(a->f.visible, &a->fold);
	for (uint32_t i = 0; i < a->head->words; i++) {
		const struct eg_fold *d = &a->fold;
		uint64_t both = d->and[i] & d -> grp[i];

		eg_names_word(&search, d, i, &said);
		a->sure[i] = both & d->sure_and[i] & said.sure_and & d->who[i] &
			     (d->addr[i] | said.sure_or);
		a->maybe[i] = both & d->maybe_and[i] & said.maybe_and &
			      (d->who[i] | d->who_maybe[i]) & (d->addr[i] | said.maybe_or);
		a->dest[i] = d->addr[i] | said.maybe_or;
	}
}

/* --- whether a term holds -------------------------------------------------------------------------------------------- */

static bool glob_matches(enum glob_kind kind, struct str glob, struct str s)
{
	struct automaton *dfa = NULL;
	struct globs *g = NULL;
	struct sets *sets = NULL;
	bool is = false;

	if (globs_new(&g) == 0 && sets_new(&sets, 16, 16) == 0 &&
	    globs_add(g, kind, glob, 0) == 0 && automaton_new(&dfa, g, sets) == 0)
		is = s.n && automaton_run(dfa, s) != SETS_EMPTY;
	automaton_free(dfa);
	sets_free(sets);
	globs_free(g);
	return is;
}

static bool container_matches(const struct app_part *part, const struct policy_container *c)
{
	if (!c)
		return false;
	if (part->kind == APP_PART_CONTAINER_NAME)
		return glob_matches(GLOB_TEXT, part->pattern, c->name);
	if (part->kind == APP_PART_CONTAINER_IMAGE)
		return glob_matches(GLOB_TEXT, part->pattern, c->image);
	for (size_t i = 0; i < c->n_labels; i++)
		if (glob_matches(GLOB_TEXT, part->pattern, c->labels[i]))
			return true;
	return false;
}

/* `seen`, by set: looked into before. */
static bool in_ranges(const struct policy *p, const struct policy_dest *d, size_t n,
		      const struct addr *a, bool *seen)
{
	for (size_t i = 0; i < n; i++) {
		const struct policy_dest *e = &d[i];

		if (e->kind == DEST_RANGE && memcmp(&e->lo, a, 16) <= 0 &&
		    memcmp(a, &e->hi, 16) <= 0)
			return true;
		if (e->kind == DEST_SEGMENT &&
		    in_ranges(p, p->segments[e->ref].ranges, p->segments[e->ref].n_ranges, a, seen))
			return true;
		if (e->kind != DEST_SET || seen[e->ref])
			continue;
		seen[e->ref] = true;
		if (in_ranges(p, p->sets[e->ref].members, p->sets[e->ref].n_members, a, seen))
			return true;
	}
	return false;
}

static bool from_holds(const struct policy *p, const struct policy_terms *t,
		       const struct addr *local)
{
	_cleanup_free_ bool *seen = calloc(p->n_sets + 1, sizeof(*seen));

	return addr_is_unset(local) || !seen || in_ranges(p, t->from, t->n_from, local, seen);
}

static bool has_number(const uint32_t *p, size_t n, uint32_t x)
{
	for (size_t i = 0; i < n; i++)
		if (p[i] == x)
			return true;
	return false;
}

static bool has_port(const struct policy_terms *t, uint32_t key)
{
	for (size_t i = 0; i < t->n_ports; i++)
		if (EG_PORT_KEY(t->ports[i].group, t->ports[i].lo) <= key &&
		    key <= EG_PORT_KEY(t->ports[i].group, t->ports[i].hi))
			return true;
	return false;
}

/* `row` is any row of the rule: they differ in what is excepted. What is not known yet may hold. */
static bool may_hold(const struct asked *a, const struct policy_terms *t, enum term term,
		     uint32_t row)
{
	const struct policy_subject *s = a->s;
	bool holds = false;

	switch (term) {
	case TERM_APP:
		return bit_is_set((const uint64_t *)a->fold.who, row) ||
		       bit_is_set((const uint64_t *)a->fold.who_maybe, row);
	case TERM_USER:
		return s->uid_known && has_number(t->users, t->n_users, s->uid);
	case TERM_GROUP:
		for (size_t i = 0; i < s->n_gids; i++)
			holds |= has_number(t->groups, t->n_groups, s->gids[i]);
		return holds;
	case TERM_UNIT:
		for (size_t i = 0; i < t->n_units && !holds; i++)
			holds = glob_matches(t->units[i].kind == APP_PART_UNIT ? GLOB_UNIT
									       : GLOB_CGROUP,
					     t->units[i].pattern, s->cgroup);
		return holds;
	case TERM_CONTAINER:
		for (size_t i = 0; i < t->n_containers && !holds; i++)
			holds = container_matches(&t->containers[i], s->container);
		return holds || s->container_unknown;
	case TERM_FROM:
		return from_holds(a->p, t, &s->local);
	case TERM_TO:
		return bit_is_set(a->dest, row);
	case TERM_PORT:
		return has_port(t, eg_port_key(s->proto, s->port, s->has_ports));
	case TERM_SPEAKING:
		for (size_t i = 0; i < t->n_speaking; i++)
			holds |= app_covers(t->speaking[i], a->app_index);
		return holds || a->app_unknown;
	case TERM_DURING:
		for (size_t i = 0; i < t->n_during; i++)
			holds |= schedule_holds(&a->p->schedules[t->during[i]], s->unix_s);
		return holds;
	case TERM_COUNT:
		break;
	}
	return true;
}

/* --- words ------------------------------------------------------------------------------------------------------------ */

/* All but programs and destinations, of which the rows know only that one of several `except` holds. */
static bool except_may_hold(const struct asked *a, const struct policy_terms *t)
{
	for (unsigned term = 0; term < TERM_COUNT; term++)
		if (term != TERM_APP && term != TERM_TO && terms_have(t, term) &&
		    !may_hold(a, t, term, 0))
			return false;
	return true;
}

static void why_not(const struct asked *a, size_t rule, uint32_t row, struct words *w)
{
	const struct policy_rule *r = &a->p->rules[rule];
	uint8_t flags = eg_read___u8(&a->img->pages, a->head->addr_flags + a->f.addr);

	if (r->until_s && a->s->unix_s >= r->until_s) {
		words_add(w, "its 'until' is past");
		return;
	}
	for (unsigned term = 0; term < TERM_COUNT; term++)
		if (terms_have(&r->match, term) && !may_hold(a, &r->match, term, row)) {
			explain_term(a->p, a->s, r, term, a->app, w);
			return;
		}
	for (size_t i = 0; i < r->n_except; i++) {
		size_t said = 0;

		if (!except_may_hold(a, &r->except[i]))
			continue;
		words_add(w, "its 'except' takes this away: ");
		for (unsigned term = 0; term < TERM_COUNT; term++)
			if (terms_have(&r->except[i], term)) {
				words_add(w, "%s", said++ ? ", " : "");
				explain_fact(a->p, a->s, term, a->app, w);
			}
		return;
	}
	if ((flags & EG_IS_RESOLVER) && a->f.port_53)
		words_add(w, "this is DNS to a trusted resolver, which the rule does not name");
	else if (flags & EG_IS_LOOPBACK)
		words_add(w, "this is loopback, which the rule does not name");
	else
		words_add(w, "not all of what it asks for is so");
}

static void why_unsure(const struct asked *a, size_t rule, struct words *w)
{
	const char *between = "";

	if (a->app_unknown) {
		words_add(w, "the protocol is not known yet");
		between = ", ";
	}
	if (a->s->visible == EG_VISIBLE_UNKNOWN) {
		words_add(w, "%sthe name that it will show is not known yet", between);
		between = ", ";
	}
	if (a->s->container_unknown) {
		words_add(w, "%sits container is not known yet", between);
		between = ", ";
	}
	if (a->f.from == EG_CLASS_ANY)
		words_add(w, "%sits local address is not known yet", between);
}

/* The rows of a rule are neighbours; from *row on, which is moved behind them. */
static void one_rule(const struct asked *a, size_t rule, uint32_t *row, struct policy_step *step,
		     struct words *w)
{
	uint32_t first = *row;
	bool any = false;

	*w = (struct words){ .n = 0 };
	*step = (struct policy_step){ .rule = rule, .why = w->p };
	for (; *row < a->head->n_rows; (*row)++) {
		uint32_t info = eg_read___u32(&a->img->pages, a->head->row_info + 4ULL * *row);

		if ((info & 0xffff) != rule)
			break;
		any = true;
		step->decides |= bit_is_set(a->sure, *row);
		step->possible |= bit_is_set(a->maybe, *row);
	}
	if (step->decides) {
		step->possible = false;
		step->why = NULL;
	} else if (step->possible) {
		why_unsure(a, rule, w);
	} else if (!any) {
		words_add(w, "its 'except' takes everything away");
	} else if (rule < a->p->n_rules) {
		why_not(a, rule, first, w);
	}
}

void policy_explain(const struct policy *p, const struct policy_image *img,
		    const struct policy_subject *s,
		    void (*step)(void *ctx, const struct policy_step *step), void *ctx)
{
	_cleanup_free_ struct asked *a = calloc(1, sizeof(*a));
	struct policy_step one;
	struct words w;
	uint32_t row = 0;

	if (!a)
		return;
	a->p = p;
	a->img = img;
	a->s = s;
	ask(a);
	for (size_t rule = 0; rule < p->n_rules; rule++) {
		one_rule(a, rule, &row, &one, &w);
		step(ctx, &one);
		if (one.decides)
			return;
	}
	/* The implied allow holds or is of no concern here. */
	one_rule(a, p->n_rules + 1, &row, &one, &w);
	if (!one.decides)
		one_rule(a, p->n_rules, &row, &one, &w);
	step(ctx, &one);
}
