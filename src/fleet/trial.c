/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a version does: while it waits, which flows it would refuse that pass now; once it is in force, whether refusals
 * jump, or egretd itself is cut off.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/time.h"
#include "fleet/internal.h"
#include "flow/record.h"

#define SAMPLE_S 10    /* off trial: reading all counters is not free */
#define SHADOW_S 86400 /* what it knows of times and lists is worked out anew */
#define OWN_BEFORE_S 3600

/* ---- refusals ---- */

static void into_window(struct follower *f, uint64_t now_s, uint64_t n)
{
	for (uint64_t s = MAX(f->sampled_s + 1, now_s > WINDOW_S ? now_s - WINDOW_S : 0);
	     s <= now_s; s++)
		f->window[s % WINDOW_S] = 0;
	f->window[now_s % WINDOW_S] = (uint32_t)MIN(n, (uint64_t)UINT32_MAX);
}

/* Rules that went have taken their counts with them: then nothing is known of this moment. */
void follower_sample(struct follower *f)
{
	uint64_t now_s = time_now_boot() / NSEC_PER_SEC, total, n;

	if (f->sampled_s && now_s < f->sampled_s + (f->at.on_trial ? 1 : SAMPLE_S))
		return;
	total = guard_refusals(f->cfg.guard);
	n = f->sampled_s && total > f->refusals ? total - f->refusals : 0;
	if (f->at.on_trial) {
		into_window(f, now_s, n);
		f->at.refused_after += n;
	} else if (f->sampled_s) {
		fleet_rate_add(&f->rate, n, now_s - f->sampled_s);
	}
	f->refusals = total;
	f->sampled_s = now_s;
}

void follower_trial_begin(struct follower *f)
{
	memset(f->window, 0, sizeof(f->window));
	f->refusals = guard_refusals(f->cfg.guard);
	f->sampled_s = time_now_boot() / NSEC_PER_SEC;
	f->own_refused[0] = 0;
}

const char *follower_harm(const struct follower *f, char why[WHY_MAX])
{
	uint64_t sum = 0;

	if (f->own_refused[0]) {
		snprintf(why, WHY_MAX, "it refuses egretd itself: %.300s", f->own_refused);
		return why;
	}
	for (size_t i = 0; i < WINDOW_S; i++)
		sum += f->window[i];
	if (sum <= f->at.most)
		return NULL;
	snprintf(why, WHY_MAX, "%" PRIu64 " refusals within a minute, where %.1f were usual", sum,
		 fleet_rate_minute(&f->at.refused_before));
	return why;
}

/* ---- what would be refused ---- */

void follower_shadow_drop(struct follower *f)
{
	f->shadow = policy_image_free(f->shadow);
	f->shadow_made_s = 0;
}

/* Made while a version waits; one that cannot be made is no harm yet: putting it in force will say why. */
void follower_shadow(struct follower *f)
{
	_cleanup_buf_ struct buf messages = BUF_INIT(MESSAGES_MAX);
	int64_t now = follower_now_s(f);
	struct policy_image *img = NULL;

	if (f->shadow_made_s && now >= f->shadow_made_s && now < f->shadow_made_s + SHADOW_S)
		return;
	if (guard_compile(f->cfg.guard, f->taken.policy, &img, &messages) != -EINPROGRESS)
		f->shadow_made_s = now;
	if (img)
		policy_image_free(f->shadow);
	f->shadow = img ? img : f->shadow;
}

/* ---- records ---- */

static void look_at_flow(struct follower *f, const struct flow *flow)
{
	if (!f->shadow || flow->verdict.refused || flow->verdict.would_refuse)
		return;
	f->at.watched++;
	f->at.would_refuse += guard_would(f->cfg.guard, f->shadow, flow);
}

static void look_at_own(struct follower *f, const struct record_drop *d)
{
	const struct verdict_rule *rule = d->rule;

	if (!d->refused || !d->proc || !str_eq(text_str(d->proc->exe), str_of(f->own_exe)))
		return;
	if (!f->at.on_trial) {
		f->own_refused_s = follower_now_s(f);
	} else if (rule && rule->gen == guard_gen(f->cfg.guard) && !f->own_refused[0] &&
		   (!f->own_refused_s || f->own_refused_s < f->at.enforced_s - OWN_BEFORE_S)) {
		snprintf(f->own_refused, sizeof(f->own_refused), "%.*s:%u: %.*s",
			 (int)MIN(rule->file.n, (size_t)100), rule->file.p, rule->line,
			 (int)MIN(rule->text.n, (size_t)200), rule->text.p);
	}
}

void follower_record(struct follower *f, const struct record *r)
{
	if (f && r->type == RECORD_FLOW && r->flow_ends)
		look_at_flow(f, r->flow);
	else if (f && r->type == RECORD_DROP)
		look_at_own(f, r->drop);
}
