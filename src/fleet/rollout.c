/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet/rollout.h"

#include "base/cleanup.h"
#include "base/hash.h"

#define HOUR_S 3600

const char *fleet_stage_name(enum fleet_stage s)
{
	static const char *const names[] = { "shadow", "canary", "all" };

	return names[s];
}

unsigned fleet_place(struct str host, uint64_t version)
{
	return (unsigned)(hash_bytes(host.p, host.n, version) % 100);
}

bool fleet_is_canary(const struct fleet_manifest *m, const struct fleet_host *h)
{
	const struct fleet_rollout *r = &m->rollout;

	return r->label.n ? fleet_host_has(h, r->label)
			  : fleet_place(h->name, m->version) < r->canary;
}

static int64_t canary_s(const struct fleet_rollout *r)
{
	return r->canary || r->label.n ? r->for_s : 0;
}

enum fleet_stage fleet_stage_at(const struct fleet_rollout *r, int64_t start_s, int64_t now_s)
{
	return now_s < start_s + r->watch_s                 ? FLEET_SHADOW
	       : now_s < start_s + r->watch_s + canary_s(r) ? FLEET_CANARY
							    : FLEET_ALL;
}

int64_t fleet_turn_s(const struct fleet_manifest *m, const struct fleet_host *h, int64_t start_s)
{
	const struct fleet_rollout *r = &m->rollout;

	return start_s + r->watch_s + (fleet_is_canary(m, h) ? 0 : canary_s(r));
}

int64_t fleet_trial_s(const struct fleet_rollout *r)
{
	return r->for_s ? r->for_s : FLEET_TRIAL_S;
}

int64_t fleet_start_s(int64_t signed_s, int64_t last_asked_s, int64_t now_s)
{
	int64_t start = signed_s ? MAX(signed_s, last_asked_s) : now_s;

	return MIN(start, now_s);
}

void fleet_rate_add(struct fleet_rate *r, uint64_t n, uint64_t seconds)
{
	r->n += n;
	r->seconds += seconds;
	while (r->seconds > HOUR_S) {
		r->n /= 2;
		r->seconds /= 2;
	}
}

double fleet_rate_minute(const struct fleet_rate *r)
{
	return r->seconds ? (double)r->n * 60 / (double)r->seconds : 0;
}

uint64_t fleet_limit(const struct fleet_rollout *r, const struct fleet_rate *before)
{
	double most = fleet_rate_minute(before) * r->times;

	if (!r->times)
		return UINT64_MAX;
	return most > (double)r->over ? (uint64_t)most : r->over;
}
