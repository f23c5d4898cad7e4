/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The end of parsing: symbols become indices, and what can only be seen of the whole policy is checked: words that
 * nothing defines, definitions that contain themselves, sets of names behind `from`, a missing `default`. Also the
 * resolvers of this system.
 */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "policy/parse.h"

/* --- what is not defined ------------------------------------------------------------------------------------------ */

static const struct symbol *defined_as(struct parser *p, enum symbol_kind kind, struct str name)
{
	const struct symbol *s = symbol_at(p, symbol_get(p, kind, name));

	return s->def == POLICY_ANON ? NULL : s;
}

/* A word alone behind `to` or `from`. */
static void told_bare(struct parser *p, const struct symbol_use *use, struct str name)
{
	static const struct {
		enum symbol_kind kind;
		const char *word;
	} others[] = { { SYMBOL_SET, "set" }, { SYMBOL_LIST, "list" }, { SYMBOL_APP, "app" } };
	static const char *const words[] = { "any",  "internet", "private", "set",
					     "list", "country",  "asn",     NULL };
	struct advice a;

	for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
		const struct symbol *s = defined_as(p, others[i].kind, name);

		if (!s)
			continue;
		complain(p, use->place, "error",
			 "'%.*s' is no segment\nit is the %s of line %u: write '%s %.*s'",
			 QUOTED(name), others[i].word, s->place.line, others[i].word, QUOTED(name));
		return;
	}
	if (advise_symbol(p, &a, SYMBOL_SEGMENT, name)[0] || advise(&a, name, words)[0])
		complain(p, use->place, "error", "unknown segment '%.*s'%s", QUOTED(name), a.text);
	else
		complain(p, use->place, "error",
			 "unknown segment '%.*s'\na host's name of one label is written with a "
			 "dot: '%.*s.'",
			 QUOTED(name), QUOTED(name));
}

static void told_unknown(struct parser *p, const struct symbol_use *use)
{
	struct symbol s = *symbol_at(p, use->symbol);
	const char *kind = symbol_kind_name(s.kind);
	const struct symbol *other = NULL;
	struct advice a;

	if (use->bare) {
		told_bare(p, use, s.name);
		return;
	}
	for (int k = SYMBOL_APP; k <= SYMBOL_SCHEDULE && !other; k++)
		other = defined_as(p, (enum symbol_kind)k, s.name);
	if (other)
		complain(p, use->place, "error", "unknown %s '%.*s'\n'%.*s' is a %s (line %u)",
			 kind, QUOTED(s.name), QUOTED(s.name), symbol_kind_name(other->kind),
			 other->place.line);
	else
		complain(p, use->place, "error", "unknown %s '%.*s'%s", kind, QUOTED(s.name),
			 advise_symbol(p, &a, s.kind, s.name));
}

static void check_uses(struct parser *p)
{
	const struct symbol_use *uses = (const struct symbol_use *)p->uses.p;

	for (size_t i = 0; i < p->uses.n && !p->failed; i++) {
		const struct symbol *s = symbol_at(p, uses[i].symbol);

		if (s->def != POLICY_ANON)
			continue;
		p->unknown = true;
		if (p->shown < PARSE_SHOWN_MAX) {
			told_unknown(p, &uses[i]);
		} else {
			p->errors++;
			p->hidden++;
		}
	}
}

/* --- symbols to indices ------------------------------------------------------------------------------------------- */

static void resolve_dests(struct parser *p, struct policy_dest *d, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (d[i].kind == DEST_SEGMENT || d[i].kind == DEST_SET || d[i].kind == DEST_LIST)
			d[i].ref = symbol_at(p, d[i].ref)->def;
}

static void resolve_terms(struct parser *p, struct policy_terms *t)
{
	for (size_t i = 0; i < t->n_apps; i++)
		t->apps[i] = symbol_at(p, t->apps[i])->def;
	for (size_t i = 0; i < t->n_during; i++)
		t->during[i] = symbol_at(p, t->during[i])->def;
	resolve_dests(p, t->from, t->n_from);
	resolve_dests(p, t->to, t->n_to);
}

static void resolve_all(struct parser *p)
{
	struct policy_rule *rules = (struct policy_rule *)p->rules.p;
	struct policy_expect *expects = (struct policy_expect *)p->expects.p;
	struct policy_set *sets = (struct policy_set *)p->sets.p;
	struct policy_app *apps = (struct policy_app *)p->apps.p;
	struct policy_price *prices = (struct policy_price *)p->prices.p;
	struct policy_budget *budgets = (struct policy_budget *)p->budgets.p;

	for (size_t i = 0; i < p->rules.n; i++) {
		resolve_terms(p, &rules[i].match);
		for (size_t k = 0; k < rules[i].n_except; k++)
			resolve_terms(p, &rules[i].except[k]);
	}
	for (size_t i = 0; i < p->expects.n; i++)
		resolve_terms(p, &expects[i].match);
	for (size_t i = 0; i < p->sets.n; i++)
		resolve_dests(p, sets[i].members, sets[i].n_members);
	for (size_t i = 0; i < p->prices.n; i++)
		resolve_dests(p, prices[i].to, prices[i].n_to);
	for (size_t i = 0; i < p->budgets.n; i++)
		resolve_dests(p, budgets[i].to, budgets[i].n_to);
	for (size_t i = 0; i < p->apps.n; i++)
		for (size_t k = 0; k < apps[i].n_parts; k++)
			if (apps[i].parts[k].kind == APP_PART_APP)
				apps[i].parts[k].app = symbol_at(p, apps[i].parts[k].app)->def;
}

/* --- what definitions contain -------------------------------------------------------------------------- */

/*
 * Sets and apps as graphs, walked in depth without recursion: somebody may nest them as deep as he likes. The state of a
 * node is 0 unseen, 1 on the way, 2 done; then its height and what it holds are known.
 */
struct walk {
	struct parser *p;
	bool apps;
	uint8_t *state;
	struct node {
		unsigned height;
		bool no_ranges; /* names, countries, systems are in it */
	} * nodes;
	struct frame {
		uint32_t node;
		size_t at;
	} * stack;
	size_t depth;
};

static const struct policy_app *app_at(const struct walk *w, uint32_t node)
{
	return (const struct policy_app *)w->p->apps.p + node;
}

static const struct policy_set *set_at(const struct walk *w, uint32_t node)
{
	return (const struct policy_set *)w->p->sets.p + node;
}

static struct str name_of(const struct walk *w, uint32_t node)
{
	return w->apps ? app_at(w, node)->name : set_at(w, node)->name;
}

static struct policy_place place_of_node(const struct walk *w, uint32_t node)
{
	return w->apps ? app_at(w, node)->place : set_at(w, node)->place;
}

/* The next definition that `node` contains from member *at on; POLICY_ANON at the end. */
static uint32_t next_inner(const struct walk *w, uint32_t node, size_t *at)
{
	if (w->apps) {
		const struct policy_app *a = app_at(w, node);

		while (*at < a->n_parts) {
			const struct app_part *part = &a->parts[(*at)++];

			if (part->kind == APP_PART_APP)
				return part->app;
		}
	} else {
		const struct policy_set *s = set_at(w, node);

		while (*at < s->n_members) {
			const struct policy_dest *d = &s->members[(*at)++];

			if (d->kind == DEST_SET)
				return d->ref;
		}
	}
	return POLICY_ANON;
}

static void told_circle(const struct walk *w, uint32_t node)
{
	const char *kind = w->apps ? "app" : "set";
	uint32_t by = w->stack[w->depth - 1].node;

	if (by == node)
		complain(w->p, place_of_node(w, node), "error", "%s '%.*s' contains itself", kind,
			 QUOTED(name_of(w, node)));
	else
		complain(w->p, place_of_node(w, node), "error",
			 "%s '%.*s' contains itself\nby way of '%.*s' (line %u)", kind,
			 QUOTED(name_of(w, node)), QUOTED(name_of(w, by)),
			 place_of_node(w, by).line);
}

static bool has_no_range(const struct policy_set *s)
{
	for (size_t i = 0; i < s->n_members; i++)
		if (s->members[i].kind != DEST_RANGE && s->members[i].kind != DEST_SET)
			return true;
	return false;
}

/* What is known of a node when all that it contains is done. */
static void finish(struct walk *w, uint32_t node)
{
	struct node *n = &w->nodes[node];
	uint32_t inner;
	size_t at = 0;

	w->state[node] = 2;
	n->no_ranges = !w->apps && has_no_range(set_at(w, node));
	while ((inner = next_inner(w, node, &at)) != POLICY_ANON) {
		n->height = MAX(n->height, w->nodes[inner].height + 1);
		n->no_ranges |= w->nodes[inner].no_ranges;
	}
	if (n->height == POLICY_NESTED_MAX)
		complain(w->p, place_of_node(w, node), "error",
			 "definitions are nested more than %d deep", POLICY_NESTED_MAX);
}

static void walk_from(struct walk *w, uint32_t node)
{
	w->stack[0] = (struct frame){ node, 0 };
	w->depth = 1;
	w->state[node] = 1;
	while (w->depth) {
		struct frame *top = &w->stack[w->depth - 1];
		uint32_t inner = next_inner(w, top->node, &top->at);

		if (inner == POLICY_ANON) {
			finish(w, top->node);
			w->depth--;
		} else if (w->state[inner] == 1) {
			told_circle(w, inner);
		} else if (!w->state[inner]) {
			w->state[inner] = 1;
			w->stack[w->depth++] = (struct frame){ inner, 0 };
		}
	}
}

/* `from` takes addresses: what a set of names holds is no place of ours. */
static void check_terms(struct walk *w, const struct policy_terms *t)
{
	for (size_t i = 0; i < t->n_from; i++)
		if (t->from[i].kind == DEST_SET && w->nodes[t->from[i].ref].no_ranges)
			complain(w->p, t->from[i].place, "error",
				 "'from' takes addresses\nthis set has names, countries or systems "
				 "in it");
}

static void check_from(struct walk *w)
{
	const struct policy_rule *rules = (const struct policy_rule *)w->p->rules.p;
	const struct policy_expect *expects = (const struct policy_expect *)w->p->expects.p;

	for (size_t i = 0; i < w->p->rules.n; i++) {
		check_terms(w, &rules[i].match);
		for (size_t k = 0; k < rules[i].n_except; k++)
			check_terms(w, &rules[i].except[k]);
	}
	for (size_t i = 0; i < w->p->expects.n; i++)
		check_terms(w, &expects[i].match);
}

static void check_nesting(struct parser *p, bool apps)
{
	size_t n = apps ? p->apps.n : p->sets.n;
	struct walk w = { .p = p, .apps = apps };

	if (!n)
		return;
	w.state = calloc(n, 1);
	w.nodes = calloc(n, sizeof(*w.nodes));
	w.stack = calloc(n, sizeof(*w.stack));
	p->failed |= !w.state || !w.nodes || !w.stack;
	for (uint32_t i = 0; i < n && !p->failed; i++)
		if (!w.state[i])
			walk_from(&w, i);
	if (!apps && !p->failed)
		check_from(&w);
	free(w.state);
	free(w.nodes);
	free(w.stack);
}

/* --- the default ---------------------------------------------------------------------------------------------------- */

static void check_default(struct parser *p)
{
	const struct str *source = (const struct str *)p->sources.p;
	struct policy_place at = { .file = 0, .line = 1, .column = 1 };

	if (p->policy->has_fallback || p->no_text)
		return;
	for (size_t i = 0; i + 1 < source->n; i++)
		at.line += source->p[i] == '\n';
	complain(p, at, "warning",
		 "the policy has no 'default': what no rule names is allowed\nsay so: 'default "
		 "allow', or 'default deny'");
}

/* --- resolvers of this system ---------------------------------------------------------------------------------------- */

#define RESOLV_MAX (64U << 10)

/* "nameserver ADDRESS" lines, to p->dests; true when one of them is the local one of systemd-resolved. */
static bool read_resolv(struct parser *p, const char *path)
{
	_cleanup_buf_ struct buf file = BUF_INIT(RESOLV_MAX + 65536);
	struct addr stub, a;
	struct str rest, line;
	char key[FILE_KEY_MAX];
	bool is_stub = false;

	addr_parse(STR("127.0.0.53"), &stub);
	if (read_policy_file(path, true, &file, key) < 0)
		return false;
	rest = buf_str(&file);
	while (str_cut(&rest, '\n', &line)) {
		struct str address;

		line = str_trim(line);
		if (!str_has_prefix(line, STR("nameserver")))
			continue;
		address = str_trim(str_sub(line, strlen("nameserver"), line.n));
		for (size_t i = 0; i < address.n; i++)
			if (address.p[i] == '%' || address.p[i] == ' ' || address.p[i] == '\t')
				address.n = i;
		if (addr_parse(address, &a) < 0)
			continue;
		is_stub |= addr_eq(&a, &stub);
		*(struct policy_dest *)vec_add(p, &p->dests, sizeof(struct policy_dest)) =
			(struct policy_dest){ .kind = DEST_RANGE, .lo = a, .hi = a };
	}
	return is_stub;
}

static void read_system_resolvers(struct parser *p)
{
	struct addr local;

	p->dests.n = 0;
	/* Those that it asks for others have to be reached, too. */
	if (read_resolv(p, "/etc/resolv.conf"))
		read_resolv(p, "/run/systemd/resolve/resolv.conf");
	if (!p->dests.n) { /* as resolv.conf(5) has it */
		addr_parse(STR("127.0.0.1"), &local);
		*(struct policy_dest *)vec_add(p, &p->dests, sizeof(struct policy_dest)) =
			(struct policy_dest){ .kind = DEST_RANGE, .lo = local, .hi = local };
	}
	p->policy->resolvers =
		vec_take(p, &p->dests, sizeof(struct policy_dest), &p->policy->n_resolvers);
}

/* --- budgets --------------------------------------------------------------------------------------------------------- */

/* The first price for this destination; NULL: there is none. */
static const struct policy_price *price_for(const struct parser *p, const struct policy_dest *d)
{
	const struct policy_price *prices = (const struct policy_price *)p->prices.p;

	for (size_t i = 0; i < p->prices.n; i++)
		for (size_t k = 0; k < prices[i].n_to; k++)
			if (policy_same_dest(&prices[i].to[k], d))
				return &prices[i];
	return NULL;
}

static void check_budget_dest(struct parser *p, const struct policy_budget *b,
			      const struct policy_dest *d)
{
	const struct policy_price *price = price_for(p, d);

	if (!price)
		complain(p, d->place, "error",
			 "no price is for this\na budget is for what a price names: price … = "
			 "0.09 %s/GB",
			 b->currency);
	else if (strcmp(price->currency, b->currency))
		complain(p, d->place, "error",
			 "the price for this is in %s, the budget in %s\nthe price is in line %u",
			 price->currency, b->currency, price->place.line);
}

static void check_budgets(struct parser *p)
{
	const struct policy_price *prices = (const struct policy_price *)p->prices.p;
	const struct policy_budget *budgets = (const struct policy_budget *)p->budgets.p;

	for (size_t i = 0; i < p->budgets.n; i++) {
		const struct policy_budget *b = &budgets[i];
		bool any = b->n_to || !b->amount; /* else what is wrong with it was told */

		for (size_t k = 0; k < b->n_to; k++)
			check_budget_dest(p, b, &b->to[k]);
		for (size_t k = 0; k < p->prices.n; k++)
			any |= !strcmp(prices[k].currency, b->currency);
		if (!any && !p->prices.n)
			complain(p, b->place, "error",
				 "a budget needs a price\nas: price internet = 0.09 %s/GB",
				 b->currency);
		else if (!any)
			complain(p, b->place, "error",
				 "no price is in %s\nthe first one is in %s, in line %u",
				 b->currency, prices[0].currency, prices[0].place.line);
	}
}

void resolve(struct parser *p)
{
	check_uses(p);
	check_default(p);
	if (p->policy->resolver_mode == RESOLVERS_SYSTEM)
		read_system_resolvers(p);
	/* With unknown names there are no indices to go by. */
	if (p->failed || p->unknown)
		return;
	resolve_all(p);
	check_nesting(p, true);
	check_nesting(p, false);
	check_budgets(p);
}
