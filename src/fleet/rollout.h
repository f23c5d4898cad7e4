/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a version spreads, without anybody who directs it: each host works out from its own name and the clock what it is to
 * do, and goes back by itself. Pure.
 */
#pragma once

#include "fleet/manifest.h"

#define FLEET_TRIAL_S 600 /* how long a version is on trial where no roll-out says it */

/*
 * SHADOW: nobody enforces it, what it would refuse is counted; CANARY: those who are first enforce it; ALL.
 */
enum fleet_stage { FLEET_SHADOW, FLEET_CANARY, FLEET_ALL };
const char *fleet_stage_name(enum fleet_stage s); /* "shadow", "canary", "all" */

/* 0 to 99: where a host stands in the line. Another for each version, so that not the same hosts are always first. */
unsigned fleet_place(struct str host, uint64_t version);
bool fleet_is_canary(const struct fleet_manifest *m, const struct fleet_host *h);
enum fleet_stage fleet_stage_at(const struct fleet_rollout *r, int64_t start_s, int64_t now_s);
/* When this host is to enforce it. */
int64_t fleet_turn_s(const struct fleet_manifest *m, const struct fleet_host *h, int64_t start_s);
int64_t fleet_trial_s(const struct fleet_rollout *r);

/*
 * When its time began. All hosts agree on when it was signed. Who has asked all along knows better: what was signed
 * hours before it was published cannot have begun before the last time that it was not there yet.
 */
int64_t fleet_start_s(int64_t signed_s, int64_t last_asked_s, int64_t now_s);

/*
 * What became of a version on others, where machines tell it to a ClickHouse: lines VERSION \t STATE \t MACHINES of a stranger.
 * Who still waits goes on waiting when a tenth of those who enforced it went back from it, or more.
 */
struct fleet_others {
	uint64_t enforced, back; /* machines; those who went back are among those who enforced it */
};
void fleet_others_parse(struct str text, uint64_t version, struct fleet_others *ret);
bool fleet_others_warn(const struct fleet_others *o);

/* Refusals over a time; times longer than an hour are cut so that what is old weighs less and less. */
struct fleet_rate {
	uint64_t n, seconds;
};
void fleet_rate_add(struct fleet_rate *r, uint64_t n, uint64_t seconds);
double fleet_rate_minute(const struct fleet_rate *r);
/* So many refusals in a minute are more than a version on trial may cause; UINT64_MAX: it may cause any. */
uint64_t fleet_limit(const struct fleet_rollout *r, const struct fleet_rate *before);
