/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/check.h"

#include <string.h>

#define STEPS_A_RULE 50000U
#define STEPS_ALL 12000000
#define SHOWN_MAX 4

struct shadow {
	const struct policy *p;
	const struct regions *r;
	const struct eg_row *info;
	uint32_t row;         /* which is asked about */
	bool by_name;         /* it is met by a name */
	bool *takes;          /* by rule: it takes some of it */
	const bool *left_out; /* by rule: not to be looked at; NULL: none */
	uint32_t budget;
	bool boxes; /* there is a flow that it would take */
};

static const struct policy_rule *rule_of(const struct shadow *s, uint32_t row)
{
	return &s->p->rules[s->info[row].rule];
}

static bool subset(const struct regions *r, const uint64_t *a, const uint64_t *b, enum dim d)
{
	for (uint32_t i = 0; i < r->words[d]; i++)
		if (a[i] & ~b[i])
			return false;
	return true;
}

/* Whenever the rule asked about is in force, this one is. */
static bool lasts(const struct policy_rule *mine, const struct policy_rule *theirs)
{
	if (theirs->until_s && (!mine->until_s || mine->until_s > theirs->until_s))
		return false;
	for (size_t i = 0; i < theirs->n_except; i++)
		if (theirs->except[i].n_during)
			return false;
	return !theirs->match.n_during ||
	       (theirs->match.n_during == mine->match.n_during &&
		!memcmp(theirs->match.during, mine->match.during,
			mine->match.n_during * sizeof(*mine->match.during)));
}

/* Whether a name that satisfies a rule of the one way satisfies one of the other way, too (eg_names_word()). */
static bool way_implies(const struct policy_rule *mine, const struct policy_rule *theirs)
{
	bool their_deny = theirs->action != EG_ALLOW, my_deny = mine->action != EG_ALLOW;

	if (mine->match.by_sni)
		return theirs->match.by_sni || their_deny;
	return !theirs->match.by_sni && (their_deny || !my_deny);
}

static enum met how_met(void *ctx, uint32_t row)
{
	struct shadow *s = ctx;
	const struct regions *r = s->r;
	const struct policy_rule *mine = rule_of(s, s->row), *theirs = rule_of(s, row);
	const uint64_t *all = r->all + r->at[DIM_NAME];
	bool same_way = (mine->action == EG_ALLOW) == (theirs->action == EG_ALLOW);

	if (!lasts(mine, theirs) || (s->left_out && s->left_out[s->info[row].rule]))
		return MET_NEVER;
	/* What it excepts by name must be excepted here, too. */
	if (!subset(r, all, row_and(r, row, DIM_NAME), DIM_NAME) &&
	    !(same_way &&
	      subset(r, row_and(r, s->row, DIM_NAME), row_and(r, row, DIM_NAME), DIM_NAME)))
		return MET_NEVER;
	if (s->by_name && way_implies(mine, theirs) &&
	    subset(r, row_or(r, s->row, DIM_NAME), row_or(r, row, DIM_NAME), DIM_NAME))
		return MET_DEST;
	return MET_BY_BOX;
}

static bool on_hit(void *ctx, uint32_t row)
{
	struct shadow *s = ctx;

	s->takes[s->info[row].rule] = true;
	return true;
}

/* 1: this much is not taken (or it was not found out). */
static int on_box(void *ctx, struct box *b)
{
	struct shadow *s = ctx;
	struct walk w = { .to = s->row,
			  .met = how_met,
			  .on_hit = on_hit,
			  .ctx = s,
			  .budget = MIN(s->budget, STEPS_A_RULE) };
	uint32_t had = w.budget;
	int e;

	/* The rows of a rule take nothing from each other. */
	while (w.to && s->info[w.to - 1].rule == s->info[s->row].rule)
		w.to--;
	s->boxes = true;
	e = box_walk(s->r, b, &w);
	s->budget -= had - w.budget;
	return e != 1;
}

static int on_dest(struct shadow *s, struct box *b)
{
	return box_each_app(s->r, b, s->row, rule_of(s, s->row)->match.n_apps, on_box, s);
}

static int each_dest(struct shadow *s, struct box *b)
{
	_cleanup_free_ struct box *at = NULL;
	const struct regions *r = s->r;
	bool names = false;
	int e = box_new(&at, r, b);

	if (e < 0)
		return e;
	s->by_name = false;
	if (box_narrow(r, at, DIM_ADDR, row_or(r, s->row, DIM_ADDR)))
		e = on_dest(s, at);
	for (uint32_t i = 0; i < r->words[DIM_NAME]; i++)
		names |= row_or(r, s->row, DIM_NAME)[i];
	s->by_name = true;
	if (e == 0 && names)
		e = on_dest(s, b);
	return e;
}

static int each_group(struct shadow *s, struct box *b)
{
	uint64_t groups = s->r->group_or[s->row];
	int e = 0;

	if (s->r->any_group[s->row])
		return each_dest(s, b);
	for (uint32_t i = 0; i < EG_GIDS_MAX && e == 0; i++) {
		if (!(groups >> i & 1))
			continue;
		b->group_must = 1ULL << i;
		e = each_dest(s, b);
	}
	return e;
}

/* 0: all that this row would take is taken. */
static int row_taken(struct shadow *s)
{
	_cleanup_free_ struct box *b = NULL;
	const struct regions *r = s->r;
	int e = box_new(&b, r, NULL);

	if (e < 0)
		return e;
	for (unsigned d = 0; d < DIM_COUNT; d++)
		if (d != DIM_NAME && !box_narrow(r, b, d, row_and(r, s->row, d)))
			return 0; /* it takes nothing */
	box_only(r, b, DIM_NAME, EG_CLASS_NONE);
	b->tree_not = r->tree_not[s->row];
	b->group_not = r->group_not[s->row];
	return each_group(s, b);
}

/* All rows of a rule, which begin with this one. */
static bool rule_taken(struct shadow *s, uint32_t first)
{
	bool taken = true;

	s->boxes = false;
	for (s->row = first;
	     taken && s->row < s->r->head->n_rows && s->info[s->row].rule == s->info[first].rule;
	     s->row++)
		taken = row_taken(s) == 0;
	return taken;
}

/* Of the rules that take something, those are left that are needed. */
static void keep_needed(struct shadow *s, uint32_t first, size_t rule)
{
	_cleanup_free_ bool *left_out = calloc(s->p->n_rules + 1, sizeof(*left_out));
	_cleanup_free_ bool *takes = calloc(s->p->n_rules + 1, sizeof(*takes));
	bool *all = s->takes;

	if (!left_out || !takes)
		return;
	for (size_t i = 0; i < rule; i++)
		left_out[i] = !all[i];
	s->left_out = left_out;
	s->takes = takes;
	for (size_t i = rule; i-- > 0;) {
		if (!all[i])
			continue;
		left_out[i] = true;
		if (rule_taken(s, first))
			all[i] = false;
		else
			left_out[i] = false;
	}
	s->left_out = NULL;
	s->takes = all;
}

/* A list that the rule goes to and that holds nothing; SIZE_MAX: there is none. */
static size_t empty_list(const struct shadow *s, const struct policy_terms *t)
{
	for (size_t i = 0; i < t->n_to; i++) {
		const struct list_report *report;

		if (t->to[i].kind != DEST_LIST)
			continue;
		report = policy_image_list(s->r->img, t->to[i].ref);
		if (!report || !report->entries)
			return t->to[i].ref;
	}
	return SIZE_MAX;
}

static void say_empty(const struct shadow *s, size_t rule, struct buf *messages)
{
	size_t list = empty_list(s, &s->p->rules[rule].match);

	if (list != SIZE_MAX)
		policy_complain(s->p, s->p->rules[rule].place, "warning", messages,
				"this rule matches nothing now: list '%.*s' is empty or absent",
				STR_FMT(s->p->lists[list].name));
	else
		policy_complain(s->p, s->p->rules[rule].place, "warning", messages,
				"this rule can never match: nothing is all that it asks for");
}

static void say(const struct shadow *s, size_t rule, struct buf *messages)
{
	const struct policy *p = s->p;
	struct policy_place at = p->rules[rule].place;
	char lines[160] = "";
	size_t n = 0, len = 0, many = 0;

	for (size_t i = 0; i < rule; i++)
		many += s->takes[i];
	for (size_t i = 0; i < rule && n < SHOWN_MAX; i++) {
		struct policy_place from = p->rules[i].place;

		if (!s->takes[i])
			continue;
		len += (size_t)snprintf(lines + len, sizeof(lines) - len, "%s%s%.*s%s%u",
					n ? ", " : "", from.file == at.file ? "" : "(",
					from.file == at.file ? 0 : 40, p->files[from.file].p,
					from.file == at.file ? "" : ") ", from.line);
		len = MIN(len, sizeof(lines) - 1);
		n++;
	}
	if (many > n)
		policy_complain(
			p, at, "warning", messages,
			"this rule can never match: lines %s and %zu more take all that it would",
			lines, many - n);
	else
		policy_complain(p, at, "warning", messages,
				"this rule can never match: line%s %s take%s all that it would",
				many == 1 ? "" : "s", lines, many == 1 ? "s" : "");
}

void check_shadowed(const struct policy *p, const struct policy_image *img, const struct regions *r,
		    int64_t now_s, struct buf *messages)
{
	_cleanup_free_ bool *takes = calloc(p->n_rules + 1, sizeof(*takes));
	struct shadow s = {
		.p = p,
		.r = r,
		.info = (const struct eg_row *)(img->bytes + r->head->row_info),
		.takes = takes,
		.budget = STEPS_ALL,
	};
	uint32_t row = 0;

	for (size_t rule = 0; takes && rule < p->n_rules; rule++) {
		memset(takes, 0, p->n_rules * sizeof(*takes));
		if (rule_taken(&s, row) &&
		    !(p->rules[rule].until_s && p->rules[rule].until_s <= now_s)) {
			if (s.boxes) {
				keep_needed(&s, row, rule);
				say(&s, rule, messages);
			} else {
				say_empty(&s, rule, messages);
			}
		}
		while (row < r->head->n_rows && s.info[row].rule == rule)
			row++;
	}
	if (!s.budget)
		policy_complain(
			p, (struct policy_place){ 0 }, "note", messages,
			"this policy is too large to look for all rules that can never match");
}
