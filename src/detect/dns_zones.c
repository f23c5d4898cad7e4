/* SPDX-License-Identifier: Apache-2.0 */
#include "detect/dns_zones.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

#define MAX_ZONES 65536
#define MAX_NAMES 16384
#define MAX_LONG 8192
#define BUCKETS 32768
#define CANDIDATES 8
#define LONG_FROM 16 /* names that were new before a zone is worth a day's and a week's memory */
#define TOUCH_AFTER_S 4

int zones_init(struct zones *z, struct intern *texts)
{
	z->texts = texts;
	list_init(&z->zone_lru);
	list_init(&z->names_lru);
	list_init(&z->more_lru);
	pool_init(&z->zones, sizeof(struct zone), MAX_ZONES);
	pool_init(&z->names, sizeof(struct zone_names), MAX_NAMES);
	pool_init(&z->more, sizeof(struct zone_long), MAX_LONG);
	z->buckets = calloc(BUCKETS, sizeof(*z->buckets));
	return z->buckets ? 0 : -ENOMEM;
}

static void more_free(struct zones *z, struct zone_long *m)
{
	m->zone->names->more = NULL;
	list_del(&m->lru);
	pool_put(&z->more, m);
}

static void names_free(struct zones *z, struct zone_names *n)
{
	if (n->more)
		more_free(z, n->more);
	n->zone->names = NULL;
	list_del(&n->lru);
	pool_put(&z->names, n);
}

static void zone_free(struct zones *z, struct zone *zone)
{
	struct zone **at = &z->buckets[zone->hash % BUCKETS];

	while (*at != zone)
		at = &(*at)->next;
	*at = zone->next;
	if (zone->names)
		names_free(z, zone->names);
	list_del(&zone->lru);
	intern_put(z->texts, zone->domain);
	pool_put(&z->zones, zone);
}

void zones_done(struct zones *z)
{
	while (z->buckets && !list_empty(&z->zone_lru))
		zone_free(z, container_of(z->zone_lru.next, struct zone, lru));
	pool_done(&z->zones);
	pool_done(&z->names);
	pool_done(&z->more);
	free(z->buckets);
}

/* --- who has to go --------------------------------------------------------------------------------------------------- */

/* What was said to it counts half with each idle day. */
static uint32_t worth(const struct zone *zone, uint32_t now_s)
{
	uint32_t idle = now_s > zone->last_s ? (now_s - zone->last_s) / DNS_DAY_S : 0;

	return idle < 32 ? zone->bytes >> idle : 0;
}

/*
 * The least of the few idlest. The others go to the end of the queue: else a few that are idle and great would stand in front for
 * ever, and what is being filled behind them would be the least.
 */
#define LEAST(head, type, zone_of)                                                                 \
	({                                                                                         \
		type *least_ = NULL;                                                               \
		for (int i_ = 0; i_ < CANDIDATES && !list_empty(head); i_++) {                     \
			type *at_ = container_of((head)->next, type, lru);                         \
			list_del(&at_->lru);                                                       \
			list_push_back(head, &at_->lru);                                           \
			if (!least_ || worth(zone_of(at_), now_s) < worth(zone_of(least_), now_s)) \
				least_ = at_;                                                      \
		}                                                                                  \
		least_;                                                                            \
	})
#define ITSELF(x) (x)
#define ITS_ZONE(x) ((x)->zone)

static void evict_zone(struct zones *z, uint32_t now_s)
{
	struct zone *zone = LEAST(&z->zone_lru, struct zone, ITSELF);

	if (!zone)
		return;
	zone_free(z, zone);
	z->evicted++;
}

static void evict_names(struct zones *z, uint32_t now_s)
{
	struct zone_names *n = LEAST(&z->names_lru, struct zone_names, ITS_ZONE);

	if (!n)
		return;
	names_free(z, n);
	z->evicted++;
}

static void evict_more(struct zones *z, uint32_t now_s)
{
	struct zone_long *m = LEAST(&z->more_lru, struct zone_long, ITS_ZONE);

	if (!m)
		return;
	more_free(z, m);
	z->evicted++;
}

/* --- finding --------------------------------------------------------------------------------------------------------- */

struct zone *zones_find(const struct zones *z, uint64_t hash, uint32_t entity_id)
{
	struct zone *zone = z->buckets[hash % BUCKETS];

	while (zone && (zone->hash != hash || zone->entity_id != entity_id))
		zone = zone->next;
	return zone;
}

struct zone *zones_get(struct zones *z, uint64_t hash, uint32_t entity_id, struct str domain,
		       uint32_t now_s)
{
	struct zone *zone = zones_find(z, hash, entity_id);

	if (zone)
		return zone;
	if (z->zones.used >= z->zones.max)
		evict_zone(z, now_s);
	zone = pool_get(&z->zones);
	if (!zone)
		return NULL;
	zone->domain = domain.n ? intern_get(z->texts, domain) : NULL;
	if (domain.n && !zone->domain) {
		pool_put(&z->zones, zone);
		z->evicted++;
		return NULL;
	}
	zone->hash = hash;
	zone->entity_id = entity_id;
	zone->first_s = zone->last_s = now_s;
	list_init(&zone->lru);
	list_push_back(&z->zone_lru, &zone->lru);
	zone->next = z->buckets[hash % BUCKETS];
	z->buckets[hash % BUCKETS] = zone;
	return zone;
}

static void to_end(struct list *head, struct list *l)
{
	list_del(l);
	list_push_back(head, l);
}

void zones_touch(struct zones *z, struct zone *zone, uint32_t now_s)
{
	if (now_s - zone->last_s < TOUCH_AFTER_S)
		return;
	zone->last_s = now_s;
	to_end(&z->zone_lru, &zone->lru);
	if (!zone->names)
		return;
	to_end(&z->names_lru, &zone->names->lru);
	if (zone->names->more)
		to_end(&z->more_lru, &zone->names->more->lru);
}

struct zone_names *zone_names_get(struct zones *z, struct zone *zone, uint32_t now_s)
{
	struct zone_names *n = zone->names;

	if (n)
		return n;
	if (z->names.used >= z->names.max)
		evict_names(z, now_s);
	n = zone->names = pool_get(&z->names);
	if (!n)
		return NULL;
	n->zone = zone;
	list_init(&n->lru);
	list_push_back(&z->names_lru, &n->lru);
	for (int i = 0; i < 2; i++)
		dns_sample_clear(&n->half[i].names);
	n->half[0].start_s = n->half[1].start_s = n->down_since_s = now_s;
	for (int i = 0; i < zone->n_few; i++)
		dns_sample_add(&n->half[0].names, zone->few[i].hash, zone->few[i].bytes,
			       zone->few[i].traits);
	n->half[0].asked = n->fresh = zone->n_few;
	zone->n_few = 0;
	return n;
}

struct zone_long *zone_long_get(struct zones *z, struct zone *zone, uint32_t now_s)
{
	struct zone_names *n = zone->names;
	struct zone_long *m;

	if (!n || n->more)
		return n ? n->more : NULL;
	if (z->more.used >= z->more.max)
		evict_more(z, now_s);
	m = n->more = pool_get(&z->more);
	if (!m)
		return NULL;
	m->zone = zone;
	list_init(&m->lru);
	list_push_back(&z->more_lru, &m->lru);
	m->day = n->half[n->now];
	dns_sample_merge(&m->day.names, &n->half[!n->now].names);
	m->day.asked += n->half[!n->now].asked;
	m->day.start_s = MIN(n->half[0].start_s, n->half[1].start_s);
	m->week = m->day;
	return m;
}

/* --- names ----------------------------------------------------------------------------------------------------------- */

static void window_clear(struct dns_window *w, uint32_t now_s)
{
	dns_sample_clear(&w->names);
	w->start_s = now_s;
	w->asked = 0;
}

static void turn(struct zone_names *n, uint32_t now_s)
{
	uint32_t old = now_s - n->half[n->now].start_s;

	if (old < DNS_HALF_S)
		return;
	if (old >= 2 * DNS_HALF_S)
		window_clear(&n->half[n->now], now_s);
	n->now ^= 1;
	window_clear(&n->half[n->now], now_s);
	n->weighed = 0; /* the hour is another one */
}

static bool window_add(struct dns_window *w, uint32_t hash, uint8_t bytes, uint8_t traits,
		       uint32_t length_s, uint32_t now_s)
{
	if (now_s - w->start_s >= length_s)
		window_clear(w, now_s);
	return dns_sample_add(&w->names, hash, bytes, traits);
}

/* Examples are a look at the names, not a record of them: the first, and the latest. */
static void keep_example(struct zone_names *n, struct str sub)
{
	char *to = n->example[n->n_examples < DNS_EXAMPLES ? n->n_examples++ : DNS_EXAMPLES - 1];

	sub = str_sub(sub, 0, DNS_EXAMPLE_MAX - 1);
	memcpy(to, sub.p, sub.n);
	to[sub.n] = 0;
}

static bool add_few(struct zone *zone, uint32_t hash, uint8_t bytes, uint8_t traits)
{
	for (int i = 0; i < zone->n_few; i++) {
		if (zone->few[i].hash != hash)
			continue;
		zone->few[i].traits |= traits;
		return false;
	}
	zone->few[zone->n_few].hash = hash;
	zone->few[zone->n_few].bytes = bytes;
	zone->few[zone->n_few++].traits = traits;
	zone->bytes += bytes;
	return true;
}

bool zone_add(struct zones *z, struct zone *zone, uint32_t hash, uint8_t bytes, uint8_t traits,
	      struct str sub, uint32_t now_s)
{
	struct zone_names *n = zone->names;
	bool fresh;

	if (!n && zone->n_few < DNS_FEW)
		return add_few(zone, hash, bytes, traits);
	n = zone_names_get(z, zone, now_s);
	if (!n)
		return false;
	turn(n, now_s);
	n->half[n->now].asked++;
	fresh = dns_sample_add(&n->half[n->now].names, hash, bytes, traits);
	if (fresh) {
		n->fresh++;
		n->since++;
		keep_example(n, sub);
	}
	if (n->fresh >= LONG_FROM && zone_long_get(z, zone, now_s)) {
		/* What is new to a half may still not be new to the day, and the other way round. */
		n->since +=
			window_add(&n->more->day, hash, bytes, traits, DNS_DAY_S, now_s) && !fresh;
		window_add(&n->more->week, hash, bytes, traits, DNS_WEEK_S, now_s);
		n->more->day.asked++;
		n->more->week.asked++;
	}
	return fresh;
}

void zone_mark(struct zone *zone, uint32_t hash, uint8_t traits)
{
	struct zone_names *n = zone->names;

	for (int i = 0; i < zone->n_few; i++)
		if (zone->few[i].hash == hash)
			zone->few[i].traits |= traits;
	if (!n)
		return;
	dns_sample_mark(&n->half[0].names, hash, traits);
	dns_sample_mark(&n->half[1].names, hash, traits);
	if (!n->more)
		return;
	dns_sample_mark(&n->more->day.names, hash, traits);
	dns_sample_mark(&n->more->week.names, hash, traits);
}

void zone_remove(struct zone *zone, uint32_t hash)
{
	struct zone_names *n = zone->names;

	for (int i = 0; i < zone->n_few; i++)
		if (zone->few[i].hash == hash)
			zone->few[i--] = zone->few[--zone->n_few];
	if (!n)
		return;
	dns_sample_remove(&n->half[0].names, hash);
	dns_sample_remove(&n->half[1].names, hash);
	if (!n->more)
		return;
	dns_sample_remove(&n->more->day.names, hash);
	dns_sample_remove(&n->more->week.names, hash);
}

bool zone_heard(const struct zone *zone, enum dns_horizon horizon, uint32_t now_s,
		struct dns_heard *ret)
{
	const struct zone_names *n = zone->names;
	const struct dns_window *w;
	uint32_t asked, start_s;

	*ret = (struct dns_heard){ 0 };
	if (!n || (horizon != DNS_HOUR && !n->more))
		return false;
	if (horizon == DNS_HOUR) {
		struct dns_sample both = n->half[0].names;

		dns_sample_merge(&both, &n->half[1].names);
		dns_sample_total(&both, &ret->total);
		asked = n->half[0].asked + n->half[1].asked;
		start_s = MIN(n->half[0].start_s, n->half[1].start_s);
	} else {
		w = horizon == DNS_DAY ? &n->more->day : &n->more->week;
		dns_sample_total(&w->names, &ret->total);
		asked = w->asked;
		start_s = w->start_s;
	}
	ret->asked = ret->total.names > 0 ? asked / ret->total.names : 0;
	ret->for_s = now_s - start_s;
	return ret->total.names > 0;
}
