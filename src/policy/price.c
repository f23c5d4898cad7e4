/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All destinations of all prices in one table from (kind, value) to the first price that names it: a look-up takes the lowest
 * of what it finds, however many prices there are.
 */
#include "policy/price.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/cleanup.h"
#include "policy/keys.h"
#include "policy/list.h"
#include "policy/owners.h"

#define LAST_S 253402300799 /* of the year 9999 */

enum { KEY_NAME, KEY_BELOW, KEY_COUNTRY, KEY_ASN, KEY_SEGMENT, KEY_SEGMENT_CLASS };

struct price_table {
	const struct policy *p;
	const struct price_lists *lists; /* while it is made */
	struct owners *ranges;
	uint32_t first_range, first_country, first_asn; /* the first price that names addresses … */
	struct keys keys;
	uint32_t any, internet, private; /* the first price for it */
	uint32_t *set_seen;              /* 1 + the price that has gone through a set last */
};

/* --- making it ----------------------------------------------------------------------------------------------------- */

static int add_key(struct price_table *t, uint8_t kind, const void *p, size_t n, uint32_t price)
{
	uint32_t *at = keys_get(&t->keys, kind, p, n);

	if (!at)
		return -ENOMEM;
	*at = MIN(*at, price);
	return 0;
}

/* The name itself, what is below it, or both. */
static int add_name(struct price_table *t, struct str name, bool itself, bool below, uint32_t price)
{
	int r = itself ? add_key(t, KEY_NAME, name.p, name.n, price) : 0;

	return r == 0 && below ? add_key(t, KEY_BELOW, name.p, name.n, price) : r;
}

static int add_range(struct price_table *t, const struct addr *lo, const struct addr *hi,
		     uint32_t price)
{
	t->first_range = MIN(t->first_range, price);
	return owners_add(t->ranges, price, lo, hi);
}

struct pricing {
	struct price_table *t;
	uint32_t price;
};

/* What a list says of ports, paths and fingerprints is of no price. */
static int on_entry(void *ctx, const struct list_entry *e)
{
	struct pricing *p = ctx;

	switch (e->kind) {
	case LIST_RANGE:
		return add_range(p->t, &e->lo, &e->hi, p->price);
	case LIST_NAME:
	case LIST_BELOW:
	case LIST_TREE:
		return add_name(p->t, e->text, e->kind != LIST_BELOW, e->kind != LIST_NAME,
				p->price);
	default:
		return 0;
	}
}

static int add_list(struct price_table *t, const struct policy_list *l, uint32_t price)
{
	struct pricing p = { t, price };
	struct list_report report;
	int r;

	if (!t->lists)
		return 0;
	r = list_load(l, t->lists->cache, t->lists->now_s, (struct list_sink){ on_entry, &p, 0 },
		      &report);
	if (r == -ENOMEM)
		return r;
	if (r < 0 || report.expired)
		buf_printf(t->lists->notes,
			   "the list '%.*s' %s: nothing has the price that is for it\n",
			   STR_FMT(l->name), r < 0 ? "cannot be read" : "has expired");
	return 0;
}

static int add_dests(struct price_table *t, const struct policy_dest *d, size_t n, uint32_t price);

static int add_dest(struct price_table *t, const struct policy_dest *d, uint32_t price)
{
	const struct policy_set *set;
	struct str name;

	switch (d->kind) {
	case DEST_NAME:
	case DEST_BELOW:
	case DEST_TREE:
		return add_name(t, d->name, d->kind != DEST_BELOW, d->kind != DEST_NAME, price);
	case DEST_RANGE:
		return add_range(t, &d->lo, &d->hi, price);
	case DEST_ANY:
		t->any = MIN(t->any, price);
		return 0;
	case DEST_INTERNET:
		t->internet = MIN(t->internet, price);
		return 0;
	case DEST_PRIVATE:
		t->private = MIN(t->private, price);
		return 0;
	case DEST_SEGMENT:
		name = t->p->segments[d->ref].name;
		return add_key(t, KEY_SEGMENT, name.p, name.n, price);
	case DEST_SET:
		/* Sets may share others many times over: each is gone through once a price. */
		if (t->set_seen[d->ref] == price + 1)
			return 0;
		t->set_seen[d->ref] = price + 1;
		set = &t->p->sets[d->ref];
		return add_dests(t, set->members, set->n_members, price);
	case DEST_COUNTRY:
		t->first_country = MIN(t->first_country, price);
		return add_key(t, KEY_COUNTRY, d->country, 2, price);
	case DEST_ASN:
		t->first_asn = MIN(t->first_asn, price);
		return add_key(t, KEY_ASN, &d->ref, sizeof(d->ref), price);
	case DEST_LIST:
		return add_list(t, &t->p->lists[d->ref], price);
	}
	return -EINVAL;
}

/* As deep as sets may nest: POLICY_NESTED_MAX. */
static int add_dests(struct price_table *t, const struct policy_dest *d, size_t n, uint32_t price)
{
	int r = 0;

	for (size_t i = 0; i < n && r == 0; i++)
		r = add_dest(t, &d[i], price);
	return r;
}

static bool lies_in(const struct addr *a, const struct policy_dest *range)
{
	return memcmp(a, &range->lo, sizeof(*a)) >= 0 && memcmp(a, &range->hi, sizeof(*a)) <= 0;
}

/* Whether all addresses of a range are of one class, which only changes at the ends of the registries' blocks. */
static bool is_of_one_class(const struct policy_dest *range)
{
	enum addr_class class = addr_class(&range->lo);
	struct addr lo, hi;

	for (size_t i = 0; addr_block(i, &lo, &hi) == 0; i++)
		if ((lies_in(&lo, range) && !addr_eq(&lo, &range->lo)) ||
		    (lies_in(&hi, range) && !addr_eq(&hi, &range->hi)))
			return false;
	return class == addr_class(&range->hi);
}

/* The class of segments whose addresses are all of one: of a sum no more than the segment may be known. */
static int add_segment_class(struct price_table *t, const struct policy_segment *s)
{
	enum addr_class class = s->n_ranges ? addr_class(&s->ranges[0].lo) : ADDR_RESERVED;

	for (size_t i = 0; i < s->n_ranges; i++)
		if (addr_class(&s->ranges[i].lo) != class || !is_of_one_class(&s->ranges[i]))
			return 0;
	return s->n_ranges ? add_key(t, KEY_SEGMENT_CLASS, s->name.p, s->name.n, class) : 0;
}

static int fill(struct price_table *t)
{
	const struct policy *p = t->p;
	int r = owners_new(&t->ranges);

	for (size_t i = 0; i < p->n_prices && r == 0; i++)
		r = add_dests(t, p->prices[i].to, p->prices[i].n_to, (uint32_t)i);
	for (size_t i = 0; i < p->n_segments && r == 0; i++)
		r = add_segment_class(t, &p->segments[i]);
	return r == 0 ? owners_seal(t->ranges) : r;
}

DEFINE_CLEANUP(struct price_table, price_table_free);

int price_table_new(struct price_table **ret, const struct policy *p,
		    const struct price_lists *lists)
{
	_cleanup_(price_table_freep) struct price_table *t = calloc(1, sizeof(*t));
	int r;

	if (!t)
		return -ENOMEM;
	t->p = p;
	t->lists = lists;
	t->first_range = t->first_country = t->first_asn = PRICE_NONE;
	t->any = t->internet = t->private = PRICE_NONE;
	keys_init(&t->keys);
	t->set_seen = calloc(p->n_sets + 1, sizeof(*t->set_seen));
	r = t->set_seen ? fill(t) : -ENOMEM;
	t->lists = NULL;
	if (r == 0)
		*ret = TAKE_PTR(t);
	return r;
}

struct price_table *price_table_free(struct price_table *t)
{
	if (!t)
		return NULL;
	owners_free(t->ranges);
	keys_done(&t->keys);
	free(t->set_seen);
	free(t);
	return NULL;
}

size_t price_count(const struct price_table *t)
{
	return t->p->n_prices;
}

const struct policy_price *price_at(const struct price_table *t, uint32_t price)
{
	return &t->p->prices[price];
}

bool price_needs_addresses(const struct price_table *t)
{
	return t->first_range != PRICE_NONE;
}

static void needs(const struct policy *p, uint32_t price, const char *what, struct buf *messages)
{
	if (price != PRICE_NONE)
		policy_complain(
			p, p->prices[price].place, "warning", messages,
			"a price by %s needs a database of them: without it, it is the price "
			"of nothing\nname an .mmdb file in egret.conf",
			what);
}

int price_check(const struct policy *p, bool countries, bool systems, struct buf *messages)
{
	struct price_table *t;
	int r = p->n_prices ? price_table_new(&t, p, NULL) : 0;

	if (r < 0 || !p->n_prices)
		return r;
	needs(p, countries ? PRICE_NONE : t->first_country, "countries", messages);
	needs(p, systems ? PRICE_NONE : t->first_asn, "autonomous systems", messages);
	price_table_free(t);
	return 0;
}

/* --- whose price --------------------------------------------------------------------------------------------------- */

static uint32_t of_name(const struct price_table *t, struct str name)
{
	uint32_t best = keys_find(&t->keys, KEY_NAME, name.p, name.n), below;
	struct str rest = name, label;

	while (str_cut(&rest, '.', &label) && rest.n) {
		below = keys_find(&t->keys, KEY_BELOW, rest.p, rest.n);
		best = MIN(best, below);
	}
	return best;
}

/* False: it cannot be told. */
static bool class_of(const struct price_table *t, const struct price_dest *d, enum addr_class *ret)
{
	struct addr reached;
	uint32_t class;

	if (d->addr) {
		reached = addr_reached(d->addr);
		*ret = addr_class(&reached);
		return true;
	}
	for (class = ADDR_INTERNET; class <= ADDR_RESERVED; class ++)
		if (str_eq(d->segment, str_of(addr_class_name((enum addr_class) class))))
			break;
	if (class > ADDR_RESERVED)
		class = keys_find(&t->keys, KEY_SEGMENT_CLASS, d->segment.p, d->segment.n);
	*ret = (enum addr_class) class;
	return class != KEYS_NONE;
}

uint32_t price_find(const struct price_table *t, const struct price_dest *d)
{
	uint32_t best = MIN(t->any, of_name(t, d->name)), unknown = PRICE_NONE;
	enum addr_class class;

	best = MIN(best, keys_find(&t->keys, KEY_SEGMENT, d->segment.p, d->segment.n));
	if (d->country && d->country[0])
		best = MIN(best, keys_find(&t->keys, KEY_COUNTRY, d->country, 2));
	if (d->asn)
		best = MIN(best, keys_find(&t->keys, KEY_ASN, &d->asn, sizeof(d->asn)));
	if (d->addr)
		best = MIN(best, owners_find(t->ranges, d->addr));
	else
		unknown = t->first_range;
	if (!class_of(t, d, &class)) {
		unknown = MIN(unknown, t->internet);
		unknown = MIN(unknown, t->private);
	} else if (class == ADDR_INTERNET) {
		best = MIN(best, t->internet);
	} else if (class == ADDR_PRIVATE) {
		best = MIN(best, t->private);
	}
	return unknown < best ? PRICE_UNKNOWN : best;
}

/* --- how much ------------------------------------------------------------------------------------------------------ */

__extension__ typedef unsigned __int128 u128;

uint64_t price_total(const struct policy_price *p, uint64_t bytes)
{
	u128 sum = 0;

	for (size_t i = 0; i < p->n_tiers && bytes > p->tiers[i].after_bytes; i++) {
		const struct price_tier *t = &p->tiers[i];
		uint64_t to = i + 1 < p->n_tiers ? MIN(bytes, t[1].after_bytes) : bytes;

		/* a microcent is ten of 10^-9 */
		sum += (u128)(to - t->after_bytes) * t->microcents * 10 / t->per_bytes;
	}
	return sum > UINT64_MAX ? UINT64_MAX : (uint64_t)sum;
}

uint64_t price_cost(const struct policy_price *p, uint64_t before, uint64_t bytes)
{
	uint64_t to = bytes > UINT64_MAX - before ? UINT64_MAX : before + bytes;

	return price_total(p, to) - price_total(p, before);
}

uint64_t price_share(uint64_t cost, uint64_t before, uint64_t bytes, uint64_t whole)
{
	uint64_t from = MIN(before, whole), to = bytes > whole - from ? whole : from + bytes;

	if (!whole)
		return 0;
	return (uint64_t)((u128)cost * to / whole) - (uint64_t)((u128)cost * from / whole);
}

bool price_is_of_budget(const struct policy_price *p, const struct policy_budget *b)
{
	if (strcmp(p->currency, b->currency))
		return false;
	for (size_t i = 0; i < b->n_to; i++)
		for (size_t k = 0; k < p->n_to; k++)
			if (policy_same_dest(&b->to[i], &p->to[k]))
				return true;
	return !b->n_to;
}

void price_month(int64_t unix_s, int64_t *ret_from_s, int64_t *ret_to_s)
{
	time_t at = unix_s < 0 ? 0 : unix_s > LAST_S ? LAST_S : unix_s;
	struct tm tm;

	gmtime_r(&at, &tm);
	tm.tm_mday = 1;
	tm.tm_hour = tm.tm_min = tm.tm_sec = 0;
	*ret_from_s = timegm(&tm);
	tm.tm_mon++;
	*ret_to_s = timegm(&tm);
}

char *price_format(uint64_t cost, char text[PRICE_TEXT_MAX])
{
	int n = snprintf(text, PRICE_TEXT_MAX, "%llu.%09llu",
			 (unsigned long long)(cost / 1000000000),
			 (unsigned long long)(cost % 1000000000));

	while (text[n - 1] == '0')
		n--;
	text[text[n - 1] == '.' ? n - 1 : n] = 0;
	return text;
}
