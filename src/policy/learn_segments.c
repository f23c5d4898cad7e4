/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The matrix of segments as rules, one for each pair that was seen:
 *
 *     allow between segments       what was seen …
 *     reject between segments      … and nothing else, also not by what follows
 *     allow to and from the rest   the internet, and networks that are in no segment
 *     default deny
 *     expect                       the same once more, for whoever changes a rule
 *
 * Look-ups at resolvers have their rule, too: `reject` names the segment that the resolver is in.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/human.h"
#include "policy/learn_parts.h"
#include "policy/owners.h"
#include "policy/routes.h"

#define SUGGESTIONS_MAX 32

struct zones {
	const struct policy *p;
	struct owners *owners;
	bool expect_less;
};

struct zones *zones_free(struct zones *z)
{
	if (!z)
		return NULL;
	owners_free(z->owners);
	free(z);
	return NULL;
}

int learn_by_segments(struct learn *l, const struct policy *p)
{
	struct zones *z = calloc(1, sizeof(*z));
	int r = z ? owners_new(&z->owners) : -ENOMEM;

	for (size_t i = 0; r == 0 && i < p->n_segments; i++)
		for (size_t k = 0; r == 0 && k < p->segments[i].n_ranges; k++)
			r = owners_add(z->owners, (uint32_t)i, &p->segments[i].ranges[k].lo,
				       &p->segments[i].ranges[k].hi);
	if (r == 0)
		r = owners_seal(z->owners);
	if (r < 0) {
		zones_free(z);
		return r;
	}
	z->p = p;
	l->zones = z;
	return 0;
}

void learn_expect_less(struct learn *l)
{
	l->zones->expect_less = true;
}

/* --- where an address lies ---------------------------------------------------------------------------------------- */

static void network_of(const struct addr *a, struct addr *lo, struct addr *hi)
{
	size_t at = addr_is_v4(a) ? 15 : 8; /* a /24, a /64 */

	*lo = *hi = *a;
	memset(lo->b + at, 0, 16 - at);
	memset(hi->b + at, 0xff, 16 - at);
}

static bool overlaps(const struct policy_dest *r, const struct addr *lo, const struct addr *hi)
{
	return memcmp(&r->lo, hi, sizeof(*hi)) <= 0 && memcmp(lo, &r->hi, sizeof(*lo)) <= 0;
}

/* Its network; where some of that is in a segment, the address alone. */
static struct text *network_text(struct learn *l, const struct addr *a)
{
	const struct policy *p = l->zones->p;
	char text[ADDR_RANGE_TEXT_MAX];
	struct addr lo, hi;
	bool alone = false;

	network_of(a, &lo, &hi);
	for (size_t i = 0; i < p->n_segments; i++)
		for (size_t k = 0; k < p->segments[i].n_ranges; k++)
			alone |= overlaps(&p->segments[i].ranges[k], &lo, &hi);
	return intern_get(l->texts,
			  str_of(alone ? addr_format(a, text) : addr_range_format(&lo, &hi, text)));
}

static struct text *zone_of(struct learn *l, const struct addr *a, bool is_from, bool *ret_segment)
{
	struct addr reached = addr_reached(a);
	uint32_t i = owners_find(l->zones->owners, &reached);
	struct text *t = NULL;

	*ret_segment = i != OWNERS_NONE;
	if (*ret_segment)
		return intern_get(l->texts, l->zones->p->segments[i].name);
	if (!is_from && addr_class(&reached) != ADDR_PRIVATE)
		t = learn_class_text(l, &reached);
	return t ? t : network_text(l, &reached);
}

void learn_set_zones(struct learn *l, struct item *it, const struct policy_subject *s)
{
	char text[ADDR_TEXT_MAX];
	bool from = false, to = false;

	it->kind = TO_ADDRESS;
	it->addr = s->remote;
	if (it->exact) {
		it->to = intern_get(l->texts, str_of(addr_format(&s->remote, text)));
		it->from = intern_get(l->texts, str_of(addr_format(&s->local, text)));
	} else {
		it->to = zone_of(l, &s->remote, false, &to);
		it->from = zone_of(l, &s->local, true, &from);
	}
	it->between = it->exact || (from && to);
	if (!it->to || !it->from)
		l->failed = -E2BIG;
}

/* --- writing ------------------------------------------------------------------------------------------------------- */

static void put_rule(struct buf *out, const struct need *n)
{
	_cleanup_buf_ struct buf rule = BUF_INIT(RULE_MAX);
	char flows[HUMAN_TEXT_MAX], bytes[HUMAN_TEXT_MAX];

	buf_printf(&rule, "allow from %s to %s", n->who->p, n->to->p);
	if (n->ports->n)
		buf_printf(&rule, " port %s", n->ports->p);
	learn_put_wrapped(out, buf_str(&rule));
	buf_printf(out, "   # %s flow%s, %s\n", human_count(n->flows, flows),
		   n->flows == 1 ? "" : "s", human_bytes(n->bytes, bytes));
	out->failed |= rule.failed;
}

static size_t put_rules(struct buf *out, const struct needs *needs, bool between)
{
	size_t n = 0;

	for (size_t i = 0; i < needs->n; i++)
		if (needs->p[i].between == between) {
			put_rule(out, &needs->p[i]);
			n++;
		}
	return n;
}

struct routed {
	const struct policy_dest *range;
	bool found;
};

static void on_network(void *ctx, const struct addr *lo, const struct addr *hi)
{
	struct routed *r = ctx;

	r->found |= addr_eq(lo, &r->range->lo) && addr_eq(hi, &r->range->hi);
}

/* A network that routes made part of the segment: its interface says so better than what it is today. */
static bool is_routed(const struct policy_segment *s, const struct policy_dest *range)
{
	struct routed r = { range, false };

	for (size_t i = 0; i < s->n_interfaces; i++)
		routes_by(s->interfaces[i], on_network, &r);
	return r.found;
}

static void put_segment(struct buf *out, const struct policy_segment *s)
{
	_cleanup_buf_ struct buf line = BUF_INIT(RULE_MAX);
	char text[ADDR_RANGE_TEXT_MAX];
	size_t n = 0;

	buf_printf(&line, "segment %.*s = ", STR_FMT(s->name));
	for (size_t i = 0; i < s->n_ranges; i++)
		if (!is_routed(s, &s->ranges[i]))
			buf_printf(&line, "%s%s", n++ ? ", " : "",
				   addr_range_format(&s->ranges[i].lo, &s->ranges[i].hi, text));
	for (size_t i = 0; i < s->n_interfaces; i++)
		buf_printf(&line, "%sinterface %.*s", n++ ? ", " : "", STR_FMT(s->interfaces[i]));
	learn_put_wrapped(out, buf_str(&line));
	buf_putc(out, '\n');
	out->failed |= line.failed;
}

static bool was_seen(const struct needs *needs, struct str from, struct str to)
{
	for (size_t i = 0; i < needs->n; i++)
		if (needs->p[i].between && str_eq(text_str(needs->p[i].who), from) &&
		    str_eq(text_str(needs->p[i].to), to))
			return true;
	return false;
}

/* "reject from office to lab, servers": all that have addresses, or those that it was never seen to go to. */
static size_t put_reject(struct buf *out, const struct policy *p, const struct needs *unseen_of,
			 const struct policy_segment *from, const char *word)
{
	_cleanup_buf_ struct buf line = BUF_INIT(RULE_MAX);
	size_t n = 0;

	buf_printf(&line, "%s from %.*s to ", word, STR_FMT(from->name));
	for (size_t i = 0; from->n_ranges && i < p->n_segments; i++) {
		const struct policy_segment *to = &p->segments[i];

		if (!to->n_ranges || (unseen_of && was_seen(unseen_of, from->name, to->name)))
			continue;
		buf_printf(&line, "%s%.*s", n++ ? ", " : "", STR_FMT(to->name));
	}
	if (!n)
		return 0;
	learn_put_wrapped(out, buf_str(&line));
	buf_putc(out, '\n');
	out->failed |= line.failed;
	return 1;
}

static size_t put_expects(struct buf *out, const struct policy *p, const struct needs *needs,
			  bool all)
{
	size_t n = 0;

	for (size_t i = 0; i < needs->n; i++) {
		const struct need *x = &needs->p[i];
		struct str ports = text_str(x->ports), port;

		if (!x->between)
			continue;
		buf_printf(out, "expect allow from %s to %s", x->who->p, x->to->p);
		if (str_cut(&ports, ',', &port) && port.n)
			buf_printf(out, " port %.*s", STR_FMT(port));
		buf_putc(out, '\n');
		n++;
	}
	for (size_t i = 0; all && i < p->n_segments; i++)
		n += put_reject(out, p, needs, &p->segments[i], "expect reject");
	return n;
}

static int write_text(struct learn *l, const struct needs *needs, struct buf *out)
{
	const struct policy *p = l->zones->p;
	size_t n = 2; /* resolvers, default */

	learn_put_resolvers(l, out);
	for (size_t i = 0; i < p->n_segments; i++, n++)
		put_segment(out, &p->segments[i]);
	buf_puts(out, "\n# ---- between segments: what was seen, and nothing else\n");
	n += put_rules(out, needs, true);
	for (size_t i = 0; i < p->n_segments; i++)
		n += put_reject(out, p, NULL, &p->segments[i], "reject");
	buf_puts(out, "\n# ---- to and from everywhere else\n");
	n += put_rules(out, needs, false);
	buf_puts(out, "\ndefault deny\n\n# ---- what must stay true\n");
	n += put_expects(out, p, needs, !l->zones->expect_less);
	l->counts.statements = n;
	return out->failed ? -E2BIG : 0;
}

int learn_segments_text(struct learn *l, struct str head, struct buf *out)
{
	_cleanup_free_ struct need *array = calloc(l->n_items + 1, sizeof(*array));
	struct needs needs = { .p = array };
	int r;

	if (!array)
		return -ENOMEM;
	for (size_t i = 0; i < l->n_slots; i++) {
		const struct item *it = &l->items[i];

		if (!it->hash)
			continue;
		array[needs.n++] = (struct need){ .who = it->from,
						  .who_kind = WHO_FROM,
						  .to = it->to,
						  .flows = it->flows,
						  .bytes = it->bytes,
						  .port = it->port,
						  .proto = it->proto,
						  .has_ports = it->has_ports,
						  .exact = it->exact,
						  .between = it->between };
	}
	r = learn_join_ports(l, &needs);
	buf_put_str(out, head);
	return r < 0 ? r : write_text(l, &needs, out);
}

/* --- when there are none ------------------------------------------------------------------------------------------- */

static bool is_new(const struct text *const *seen, size_t n, const struct text *t)
{
	for (size_t i = 0; i < n; i++)
		if (seen[i] == t)
			return false;
	return true;
}

/* "segment net-10-1-0 = 10.1.0.0/24" */
static void put_suggestion(struct buf *out, const struct text *network)
{
	size_t n = network->n;

	while (n && network->p[n - 1] != '/')
		n--;
	buf_puts(out, "segment net-");
	for (size_t i = 0; i + 1 < n; i++)
		buf_putc(out, network->p[i] == '.' || network->p[i] == ':' ? '-' : network->p[i]);
	buf_printf(out, " = %s\n", network->p);
}

int learn_suggest_segments(struct learn *l, struct buf *out)
{
	const struct text *seen[SUGGESTIONS_MAX];
	struct cidr cidr;
	size_t n = 0;

	for (size_t i = 0; i < 2 * l->n_slots && n < SUGGESTIONS_MAX; i++) {
		const struct item *it = &l->items[i / 2];
		const struct text *t = i % 2 ? it->to : it->from;

		if (!it->hash || cidr_parse(text_str(t), &cidr) < 0 ||
		    addr_class(&cidr.addr) != ADDR_PRIVATE || !is_new(seen, n, t))
			continue;
		seen[n++] = t;
		put_suggestion(out, t);
	}
	return out->failed ? -ENOMEM : 0;
}
