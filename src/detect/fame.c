/* SPDX-License-Identifier: Apache-2.0 */
/* What is known of a domain by others: half the world, or this fleet. */
#include "detect/dns_watch.h"
#include "detect/engine.h"
#include "detect/prevalence.h"

/* Ordinary for a fleet: so many of its machines, a quarter at least, on five days of seven. What comes over all of them in one night is not. */
#define COMMON_HOSTS 20
#define COMMON_SHARE 4
#define COMMON_DAYS 5

static bool is_common(const struct prevalence *p, struct str domain)
{
	struct prevalence_row row = prevalence_look(p, domain);

	return row.hosts >= COMMON_HOSTS &&
	       (uint64_t)row.hosts * COMMON_SHARE >= prevalence_head(p)->hosts &&
	       row.days >= COMMON_DAYS;
}

enum fame detect_fame(const struct detect *d, struct str domain)
{
	enum fame fame = popular_fame(domain);

	if (fame == FAME_NONE && d->prevalence && is_common(d->prevalence, domain))
		return FAME_FLEET;
	return fame;
}

void detect_set_prevalence(struct detect *d, struct prevalence *p)
{
	prevalence_free(d->prevalence);
	d->prevalence = p;
	list_for_each(it, &d->peer_lru) {
		struct peer *peer = container_of(it, struct peer, lru);

		if (peer->domain)
			peer->fame = (uint8_t)detect_fame(d, text_str(peer->domain));
	}
	list_for_each(it, &d->dns->zones.zone_lru) {
		struct zone *zone = container_of(it, struct zone, lru);

		if (zone->is_public && zone->domain)
			zone->fame = (uint8_t)detect_fame(d, text_str(zone->domain));
	}
}
