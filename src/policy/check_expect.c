/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/check.h"

#include <errno.h>
#include <string.h>

#define STEPS 200000

struct expected {
	const struct policy *p;
	const struct policy_image *img;
	const struct regions *r;
	const struct eg_row *info;
	const uint64_t *active; /* rows in force now */
	const struct policy_expect *expect;
	uint32_t row, n_deciding;
	uint32_t wrong; /* the row that decides otherwise */
	int result;     /* of the walks: 0 so far, -E2BIG, or 1: wrong */
};

static bool lets_pass(enum eg_action a)
{
	return a == EG_ALLOW || a == EG_AUDIT;
}

static bool is_as_expected(enum eg_action want, enum eg_action is)
{
	return want == is || (want == EG_DENY && is == EG_REJECT);
}

static enum met how_met(void *ctx, uint32_t row)
{
	struct expected *e = ctx;

	return bit_is_set(e->active, row) ? MET_BY_BOX : MET_NEVER;
}

static bool on_hit(void *ctx, uint32_t row)
{
	struct expected *e = ctx;

	if (is_as_expected(e->expect->action, (enum eg_action)e->info[row].action))
		return true;
	e->wrong = row;
	e->result = 1;
	return false;
}

static int on_box(void *ctx, struct box *b)
{
	struct expected *e = ctx;
	struct walk w = {
		.to = e->n_deciding, .met = how_met, .on_hit = on_hit, .ctx = e, .budget = STEPS
	};
	int r;

	/* Trees that the program itself begins are there; of an ordinary one no other is. */
	if (lets_pass(e->expect->action) && e->expect->match.n_apps) {
		uint64_t begun = 0;

		for (uint32_t class = EG_CLASS_NONE; class < e->r->n[DIM_EXE]; class ++)
			if (bit_is_set(box_set(e->r, b, DIM_EXE), class))
				begun |= e->r->exe_trees[class];
		b->tree_not |= ~(begun | b->tree_must);
	}
	if (!box_tidy(e->r, b))
		return 0;
	r = box_walk(e->r, b, &w);
	if (r == -E2BIG || r == -ENOMEM)
		e->result = r;
	return e->result;
}

/* --- what is left open ---------------------------------------------------------------------------------------------------- */

/* One box for each way of `app`; in an ordinary flow the other ways are not met. */
static int each_app(struct expected *e, struct box *b)
{
	static const enum dim dims[] = { DIM_EXE, DIM_SCRIPT, DIM_CGROUP, DIM_CONTAINER };
	bool ordinary = lets_pass(e->expect->action) && e->expect->match.n_apps;
	const struct regions *r = e->r;
	int x = 0;

	if (!ordinary)
		return box_each_app(r, b, e->row, e->expect->match.n_apps, on_box, e);
	for (size_t i = 0; i < ARRAY_SIZE(dims) + 1 && x == 0; i++) {
		_cleanup_free_ struct box *one = NULL;

		if (box_new(&one, r, b) < 0)
			return -ENOMEM;
		for (size_t k = 0; k < ARRAY_SIZE(dims); k++)
			if (k != i && !(k == 0 && i > 0) &&
			    !(dims[k] == DIM_CGROUP && e->expect->match.n_units) &&
			    !(dims[k] == DIM_CONTAINER && e->expect->match.n_containers))
				box_only(r, one, dims[k], EG_CLASS_NONE);
		if (i < ARRAY_SIZE(dims) &&
		    !box_narrow(r, one, dims[i], row_or(r, e->row, dims[i])))
			continue;
		if (i < ARRAY_SIZE(dims)) {
			x = on_box(e, one);
			continue;
		}
		for (uint32_t t = 0; t < EG_TREES_MAX && x == 0; t++)
			if (r->tree_or[e->row] >> t & 1) {
				_cleanup_free_ struct box *tree = NULL;

				if (box_new(&tree, r, one) < 0)
					return -ENOMEM;
				tree->tree_must |= 1ULL << t;
				x = on_box(e, tree);
			}
	}
	return x;
}

static int each_group(struct expected *e, struct box *b)
{
	int x = 0;

	if (e->r->any_group[e->row])
		return each_app(e, b);
	for (uint32_t i = 0; i < EG_GIDS_MAX && x == 0; i++)
		if (e->r->group_or[e->row] >> i & 1) {
			b->group_must = 1ULL << i;
			x = each_app(e, b);
		}
	return x;
}

/* Ports of DNS, or all classes that other ports have. */
static void dns_ports(const struct expected *e, bool dns, uint64_t *set)
{
	const struct eg_image *h = e->r->head;
	const uint32_t *start = (const uint32_t *)(e->img->bytes + h->port_start);
	const uint16_t *class = (const uint16_t *)(e->img->bytes + h->port_class);

	memset(set, 0, e->r->words[DIM_PORT] * 8);
	for (uint32_t i = 0; i < h->n_ports; i++) {
		uint64_t end = i + 1 < h->n_ports ? start[i + 1] : 1ULL << 32;
		uint32_t n = 0;

		for (uint32_t group = EG_PORTS_TCP; group <= EG_PORTS_UDP; group++)
			n += start[i] <= EG_PORT_KEY(group, 53) && EG_PORT_KEY(group, 53) < end;
		if (dns ? n : end - start[i] > n)
			bit_set(set, class[i]);
	}
}

/* The address classes of the box with all of `with` and none of `without` among their flags. */
static bool narrow_flags(const struct expected *e, struct box *b, uint8_t with, uint8_t without)
{
	const uint8_t *flags = e->img->bytes + e->r->head->addr_flags;
	uint64_t *set = box_set(e->r, b, DIM_ADDR), left = 0;

	for (uint32_t class = EG_CLASS_NONE; class < e->r->n[DIM_ADDR]; class ++)
		if ((flags[class] & with) != with || (flags[class] & without))
			bit_clear(set, class);
	for (uint32_t i = 0; i < e->r->words[DIM_ADDR]; i++)
		left |= set[i];
	return left;
}

/* Loopback and resolvers stand apart, as they do for rules. */
static int each_scope(struct expected *e, const struct box *b)
{
	const struct policy_terms *t = &e->expect->match;
	bool loopback = dests_name_loopback(e->p, t->to, t->n_to),
	     resolver = dests_name_resolver(e->p, t->to, t->n_to);
	_cleanup_free_ uint64_t *ports = calloc(e->r->words[DIM_PORT] + 1, 8);
	const struct {
		enum eg_scope scope;
		uint8_t with, without;
		bool is, at_resolver, dns;
	} cases[] = {
		{ EG_SCOPE_ANY, 0, EG_IS_LOOPBACK | EG_IS_RESOLVER, true, false, false },
		{ EG_SCOPE_ANY, EG_IS_RESOLVER, EG_IS_LOOPBACK, true, true, false },
		{ EG_SCOPE_LOOPBACK, EG_IS_LOOPBACK, EG_IS_RESOLVER, loopback, false, false },
		{ EG_SCOPE_LOOPBACK, EG_IS_LOOPBACK | EG_IS_RESOLVER, 0, loopback, true, false },
		{ EG_SCOPE_RESOLVER, EG_IS_RESOLVER, 0, resolver, true, true },
	};
	int x = 0;

	if (!ports)
		return -ENOMEM;
	for (size_t i = 0; i < ARRAY_SIZE(cases) && x == 0; i++) {
		_cleanup_free_ struct box *one = NULL;

		if (!cases[i].is)
			continue;
		if (box_new(&one, e->r, b) < 0)
			return -ENOMEM;
		box_only(e->r, one, DIM_SCOPE, cases[i].scope);
		if (!narrow_flags(e, one, cases[i].with, cases[i].without))
			continue;
		dns_ports(e, cases[i].dns, ports);
		if (cases[i].at_resolver && !box_narrow(e->r, one, DIM_PORT, ports))
			continue;
		x = each_group(e, one);
	}
	return x;
}

/* The class of addresses of the internet that has most of IPv4: what no rule singles out. */
static uint32_t ordinary_address(const struct expected *e)
{
	const struct eg_image *h = e->r->head;
	const uint32_t *start = (const uint32_t *)(e->img->bytes + h->v4_start);
	const uint16_t *class = (const uint16_t *)(e->img->bytes + h->v4_class);
	const uint8_t *flags = e->img->bytes + h->addr_flags;
	_cleanup_free_ uint64_t *many = calloc(e->r->n[DIM_ADDR], sizeof(*many));
	uint32_t best = EG_CLASS_NONE;

	for (uint32_t i = 0; many && i < h->n4; i++)
		if (flags[class[i]] & EG_IS_INTERNET)
			many[class[i]] += (i + 1 < h->n4 ? start[i + 1] : 1ULL << 32) - start[i];
	for (uint32_t c = EG_CLASS_NONE; many && c < e->r->n[DIM_ADDR]; c++)
		if (many[c] > many[best])
			best = c;
	return best;
}

static int each_dest(struct expected *e, const struct box *b)
{
	const struct regions *r = e->r;
	_cleanup_free_ struct box *one = NULL;
	int x = 0;

	if (!e->expect->match.n_to)
		return each_scope(e, b);
	if (box_new(&one, r, b) < 0)
		return -ENOMEM;
	box_only(r, one, DIM_NAME, EG_CLASS_NONE);
	if (box_narrow(r, one, DIM_ADDR, row_or(r, e->row, DIM_ADDR)))
		x = each_scope(e, one);
	if (x)
		return x;
	memcpy(one, b, sizeof(*b) + r->box_words * 8);
	if (lets_pass(e->expect->action))
		box_only(r, one, DIM_ADDR, ordinary_address(e));
	if (box_narrow(r, one, DIM_NAME, row_or(r, e->row, DIM_NAME)))
		x = each_scope(e, one);
	return x;
}

static int check_one(struct expected *e)
{
	const struct regions *r = e->r;
	_cleanup_free_ struct box *b = NULL;
	const uint16_t *app = (const uint16_t *)(e->img->bytes + r->head->app_class);

	if (box_new(&b, r, NULL) < 0)
		return -ENOMEM;
	for (unsigned d = 0; d < DIM_SCOPE; d++)
		if (!box_narrow(r, b, d, row_and(r, e->row, d)))
			return 0;
	if (lets_pass(e->expect->action) && !e->expect->match.n_speaking)
		box_only(r, b, DIM_APP, app[EG_APP_UNKNOWN]);
	return each_dest(e, b);
}

/* --- words ------------------------------------------------------------------------------------------------------------------ */

static void say(const struct expected *e, struct buf *messages)
{
	const struct policy *p = e->p;
	uint16_t rule = e->info[e->wrong].rule;
	struct policy_place at = e->expect->place;

	if (rule < p->n_rules)
		policy_complain(p, at, "error", messages,
				"this does not hold: line %u of %.*s decides, at least in part\nit "
				"says %.*s",
				p->rules[rule].place.line,
				STR_FMT(p->files[p->rules[rule].place.file]),
				STR_FMT(p->rules[rule].text));
	else if (rule == p->n_rules + 1)
		policy_complain(p, at, "error", messages,
				"this does not hold: loopback, and DNS to trusted resolvers, are "
				"allowed unless a rule names "
				"them");
	else
		policy_complain(p, at, "error", messages,
				"this does not hold: there is a part that no rule matches, and the "
				"default is %s",
				policy_action_name((enum eg_action)e->info[e->wrong].action));
}

unsigned check_expects(const struct policy *p, const struct policy_image *img,
		       const struct regions *r, int64_t now_s, struct buf *messages)
{
	struct expected e = {
		.p = p,
		.img = img,
		.r = r,
		.info = (const struct eg_row *)(img->bytes + r->head->row_info),
		.active = (const uint64_t *)(img->bytes + eg_active_at(&img->pages, now_s)),
		.n_deciding = r->head->n_rows - (uint32_t)p->n_expects,
	};
	unsigned failed = 0;

	for (size_t i = 0; i < p->n_expects; i++) {
		e.expect = &p->expects[i];
		e.row = e.n_deciding + (uint32_t)i;
		e.result = 0;
		check_one(&e);
		if (e.result == 1) {
			say(&e, messages);
			failed++;
		} else if (e.result < 0) {
			policy_complain(
				p, e.expect->place, "warning", messages,
				"this could not be worked out: too many rules may decide it");
		}
	}
	return failed;
}
