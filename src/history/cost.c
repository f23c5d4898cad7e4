/* SPDX-License-Identifier: Apache-2.0 */
#include "history/cost.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/human.h"
#include "base/time.h"
#include "history/cover.h"
#include "policy/price.h"

#define MONTHS_MAX 64
#define DAY_NS (86400 * NSEC_PER_SEC)

struct month {
	uint64_t from_ns, to_ns;
	uint64_t *bytes; /* by price: all that left under it */
};

struct costs {
	const struct policy *policy;
	struct price_table *prices;
	size_t n_prices, n_months;
	struct month months[MONTHS_MAX];
	struct month *counting;
	uint64_t unpriced; /* bytes whose price only their address would tell */
};

struct costs *costs_free(struct costs *c)
{
	if (!c)
		return NULL;
	for (size_t i = 0; i < c->n_months; i++)
		free(c->months[i].bytes);
	price_table_free(c->prices);
	free(c);
	return NULL;
}
DEFINE_CLEANUP(struct costs, costs_free);

static uint32_t price_of(const struct costs *c, const struct portion *p)
{
	const struct str *d = p->key->dim;
	struct price_dest dest = { .segment = d[STORE_DIM_SEGMENT] };
	char country[3] = "";
	struct addr addr;
	uint64_t asn;

	if (p->row)
		dest.addr = p->row->key_is_ours_dst ? &p->row->key.src : &p->row->key.dst;
	else if (addr_parse(d[STORE_DIM_NAME], &addr) == 0)
		dest.addr = &addr;
	if (!p->row && !dest.addr)
		dest.name = d[STORE_DIM_NAME];
	else if (p->row)
		dest.name = p->row->peer.name;
	if (str_parse_u64(str_sub(d[STORE_DIM_ASN], 2, d[STORE_DIM_ASN].n), &asn) == 0)
		dest.asn = (uint32_t)asn;
	if (d[STORE_DIM_COUNTRY].n == 2) {
		memcpy(country, d[STORE_DIM_COUNTRY].p, 2);
		dest.country = country;
	}
	return price_find(c->prices, &dest);
}

static int count(void *ctx, const struct portion *p)
{
	struct costs *c = ctx;
	uint32_t price = price_of(c, p);

	if (price == PRICE_UNKNOWN)
		c->unpriced += p->sum.up;
	else if (price != PRICE_NONE)
		c->counting->bytes[price] += p->sum.up;
	return 0;
}

static int read_month(struct costs *c, struct scan *s, uint64_t at)
{
	struct month *m = &c->months[c->n_months];
	int64_t from, to;

	price_month((int64_t)(at / NSEC_PER_SEC), &from, &to);
	*m = (struct month){ (uint64_t)from * NSEC_PER_SEC, (uint64_t)to * NSEC_PER_SEC,
			     calloc(c->n_prices, sizeof(uint64_t)) };
	if (!m->bytes)
		return -ENOMEM;
	c->n_months++;
	c->counting = m;
	return scan_all(s, (struct store_span){ m->from_ns, m->to_ns }, count, c);
}

int costs_new(struct costs **ret, struct scan *s)
{
	_cleanup_(costs_freep) struct costs *c = NULL;
	uint64_t at = s->question->span.from_ns;
	uint64_t end = MIN(s->question->span.to_ns, s->source->now_ns + 1);
	int r;

	*ret = NULL;
	if (!s->source->policy || !s->source->policy->n_prices)
		return 0;
	c = calloc(1, sizeof(*c));
	if (!c)
		return -ENOMEM;
	r = price_table_new(&c->prices, s->source->policy,
			    &(struct price_lists){ s->source->lists,
						   (int64_t)(s->source->now_ns / NSEC_PER_SEC),
						   &s->notes });
	if (r < 0)
		return r;
	c->policy = s->source->policy;
	c->n_prices = price_count(c->prices);
	s->by_address = price_needs_addresses(c->prices);
	for (; r == 0 && at < end && c->n_months < MONTHS_MAX; at = cover_month_end(at))
		r = read_month(c, s, at);
	if (r == 0)
		*ret = TAKE_PTR(c);
	return r;
}

bool costs_slot(struct costs *c, const struct portion *p, uint32_t *ret)
{
	uint32_t price = price_of(c, p);

	if (price == PRICE_NONE || price == PRICE_UNKNOWN)
		return false;
	for (size_t i = 0; i < c->n_months; i++) {
		if (p->time_ns < c->months[i].from_ns || p->time_ns >= c->months[i].to_ns)
			continue;
		*ret = (uint32_t)(i * c->n_prices) + price;
		return true;
	}
	return false;
}

/* Bytes of one price and month, all of it grown by `factor`. */
static uint64_t cost_of(const struct costs *c, const struct group_cost *g, double factor)
{
	const struct policy_price *p = price_at(c->prices, g->slot % (uint32_t)c->n_prices);
	uint64_t whole = c->months[g->slot / c->n_prices].bytes[g->slot % c->n_prices];
	uint64_t bytes = MIN(g->bytes, whole); /* the row may be newer than what was counted */

	whole = (uint64_t)((double)whole * factor);
	bytes = (uint64_t)((double)bytes * factor);
	return price_share(price_total(p, whole), 0, MIN(bytes, whole), whole);
}

void costs_weigh(const struct costs *c, struct group *g)
{
	g->cost = 0;
	for (const struct group_cost *x = g->costs; x; x = x->next)
		g->cost += cost_of(c, x, 1);
}

static const char *currency_of(const struct costs *c, const struct group_cost *g)
{
	return price_at(c->prices, g->slot % (uint32_t)c->n_prices)->currency;
}

static void put_number(struct json *j, const char *key, uint64_t amount)
{
	char text[PRICE_TEXT_MAX];

	json_raw(j, key, str_of(price_format(amount, text)));
}

static void put_amount(struct json *j, const char *key, uint64_t amount, const char *currency)
{
	json_object_begin(j, key);
	put_number(j, "amount", amount);
	json_text(j, "currency", currency);
	json_object_end(j);
}

static void put_one(const struct costs *c, struct json *j, const char *key,
		    const struct group_cost *first, const struct group_cost *all, double factor)
{
	const char *currency = currency_of(c, first);
	uint64_t sum = 0;

	for (const struct group_cost *x = all; x; x = x->next)
		if (!strcmp(currency_of(c, x), currency))
			sum += cost_of(c, x, factor);
	put_amount(j, key, sum, currency);
}

static bool came_before(const struct costs *c, const struct group_cost *all,
			const struct group_cost *x)
{
	for (const struct group_cost *y = all; y != x; y = y->next)
		if (!strcmp(currency_of(c, y), currency_of(c, x)))
			return true;
	return false;
}

static void put(const struct costs *c, struct json *j, const struct group_cost *all, double factor)
{
	size_t n = 0;

	for (const struct group_cost *x = all; x; x = x->next)
		n += !came_before(c, all, x);
	if (n == 1)
		put_one(c, j, "cost", all, all, factor);
	if (n < 2)
		return;
	json_array_begin(j, "cost");
	for (const struct group_cost *x = all; x; x = x->next)
		if (!came_before(c, all, x))
			put_one(c, j, NULL, x, all, factor);
	json_array_end(j);
}

void costs_put(const struct costs *c, struct json *j, const struct group_cost *bytes)
{
	if (c)
		put(c, j, bytes, 1);
}

void costs_put_forecast(const struct costs *c, struct json *j, const struct group_cost *bytes,
			double factor)
{
	if (c)
		put(c, j, bytes, factor);
}

void costs_put_prices(const struct costs *c, struct json *j, const struct group_cost *bytes)
{
	if (!c)
		return;
	json_array_begin(j, "prices");
	for (uint32_t i = 0; i < c->n_prices; i++) {
		const struct policy_price *p = price_at(c->prices, i);
		uint64_t up = 0, cost = 0;

		for (const struct group_cost *x = bytes; x; x = x->next) {
			up += x->slot % c->n_prices == i ? x->bytes : 0;
			cost += x->slot % c->n_prices == i ? cost_of(c, x, 1) : 0;
		}
		json_object_begin(j, NULL);
		json_str(j, "price", p->name);
		json_u64(j, "up", up);
		put_amount(j, "cost", cost, p->currency);
		json_object_end(j);
	}
	json_array_end(j);
}

/* ---- budgets ---- */

static uint64_t spent(const struct costs *c, const struct month *m, const struct policy_budget *b,
		      double factor)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < c->n_prices; i++)
		if (price_is_of_budget(price_at(c->prices, i), b))
			sum += price_total(price_at(c->prices, i),
					   (uint64_t)((double)m->bytes[i] * factor));
	return sum;
}

static void put_budget(const struct costs *c, struct json *j, const struct month *m,
		       const struct policy_budget *b, uint64_t now_ns)
{
	uint64_t used = spent(c, m, b, 1), forecast = used;
	/* A day's worth is the least that says something of a month. */
	bool goes_on = now_ns < m->to_ns, can_tell = goes_on && now_ns >= m->from_ns + DAY_NS;

	if (can_tell)
		forecast = spent(c, m, b,
				 (double)(m->to_ns - m->from_ns) / (double)(now_ns - m->from_ns));
	json_object_begin(j, NULL);
	json_str(j, "budget", b->name);
	json_str(j, "text", b->text);
	json_str(j, "file", c->policy->files[b->place.file]);
	json_u64(j, "line", b->place.line);
	json_text(j, "currency", b->currency);
	put_number(j, "of", b->amount);
	put_number(j, "used", used);
	if (can_tell)
		put_number(j, "forecast", forecast);
	json_u64(j, "from", m->from_ns / NSEC_PER_SEC);
	json_u64(j, "to", m->to_ns / NSEC_PER_SEC);
	json_text(j, "state", used >= b->amount ? "over" : forecast > b->amount ? "ahead" : "ok");
	json_object_end(j);
}

void costs_put_budgets(const struct costs *c, struct json *j, uint64_t now_ns)
{
	if (!c || !c->policy->n_budgets || !c->n_months)
		return;
	json_array_begin(j, "budgets");
	for (size_t i = 0; i < c->policy->n_budgets; i++)
		put_budget(c, j, &c->months[c->n_months - 1], &c->policy->budgets[i], now_ns);
	json_array_end(j);
}

void costs_note(const struct costs *c, struct scan *s)
{
	char text[HUMAN_TEXT_MAX];

	if (c && c->unpriced)
		scan_note(s,
			  "%s are not priced: their price hangs on the address, which sums by name "
			  "do not know",
			  human_bytes(c->unpriced, text));
}
