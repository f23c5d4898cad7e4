/* SPDX-License-Identifier: Apache-2.0 */
/* Private to fleet/. */
#pragma once

#include "base/buf.h"
#include "fleet/follower.h"
#include "fleet/parcel.h"
#include "guard/guard.h"
#include "policy/image.h"

#define MESSAGES_MAX (1U << 20)
#define WHY_MAX 400
#define WINDOW_S 60
#define TRIES_MAX 3 /* trials that ended because egretd was away */

/* Where this host stands; kept beside what was taken. */
struct progress {
	uint64_t version;          /* taken last: an older one is refused */
	int64_t start_s;           /* its roll-out */
	uint64_t in_force, before; /* versions; 0: none of the fleet's */
	int64_t enforced_s;
	bool on_trial;   /* what is in force, which may be older than what was taken last */
	int64_t trial_s; /* so long */
	uint64_t most;   /* refusals in a minute of it; INT64_MAX: any */
	uint64_t tries;
	uint64_t bad; /* this host went back from it */
	char bad_why[WHY_MAX];
	struct fleet_rate refused_before;
	uint64_t refused_after; /* on trial */
	uint64_t watched, would_refuse;
};

/* Bundle and signature, as they came, and what they say. */
struct taken {
	struct buf signature, bundle;
	struct fleet_parcel parcel;      /* points into `bundle` */
	const struct fleet_group *group; /* in `parcel`; NULL: none takes this host */
	struct policy *policy;           /* the group's; NULL: none */
	uint8_t key[8];
};
void taken_done(struct taken *t);

struct follower {
	struct follower_config cfg;
	struct fleet_host host;
	char *folder; /* STATE/fleet; NULL: nothing is kept */
	struct taken taken;
	bool has;
	struct progress at;

	/* asking */
	struct fetch_child *fetch;
	int out_fd; /* what the child writes */
	struct buf
		seen; /* the signature that was dealt with last: what it belongs to is not fetched again */
	uint64_t ask_ns; /* boot */
	unsigned failed; /* times in a row */
	int64_t asked_s; /* Unix: the publisher last had nothing new */
	uint64_t asked, answered;

	/* refusals */
	struct fleet_rate rate;
	uint64_t refusals, sampled_s;
	uint32_t window[WINDOW_S];
	char own_exe[256];
	int64_t own_refused_s;     /* before the trial */
	char own_refused[WHY_MAX]; /* on trial */

	/* a version that waits */
	struct policy_image *shadow;
	int64_t shadow_made_s;

	bool held; /* others went back from it */
	int64_t load_again_s;
	char away[WHY_MAX];    /* why the publisher cannot be asked; empty: it can */
	char problem[WHY_MAX]; /* why what is published is not taken */
	char trouble[WHY_MAX]; /* why what was taken is not put in force */
};

int64_t follower_now_s(const struct follower *f);
/* Said in the log when it is something else than before: then true. And that it is over. */
bool follower_say(char said[WHY_MAX], const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void follower_over(char said[WHY_MAX], const char *what);
enum follow_state {
	FOLLOW_TOOK,
	FOLLOW_ENFORCED,
	FOLLOW_KEPT,
	FOLLOW_STEPPED_BACK,
	FOLLOW_HELD,
	FOLLOW_REFUSED
};
/* For the log, and as a record. */
void follower_tell(struct follower *f, enum follow_state state, uint64_t version,
		   const char *reason);

/* take.c */
int taken_verify(struct follower *f, struct str signature, struct str bundle, struct taken *ret,
		 int64_t *ret_signed_s, char why[WHY_MAX]);

/* remember.c */
int follower_keep(struct follower *f);
void follower_recall(struct follower *f);

/* ask.c */
void follower_ask_tick(struct follower *f);
void follower_ask_done(struct follower *f);

/* others.c: its turn has come, and it is better not to. */
bool follower_is_held(const struct follower *f, struct fleet_others *ret);

/* trial.c */
void follower_sample(struct follower *f);
void follower_trial_begin(struct follower *f);
/* Words when the version on trial does harm; NULL: it does not. */
const char *follower_harm(const struct follower *f, char why[WHY_MAX]);
void follower_shadow_drop(struct follower *f);
void follower_shadow(struct follower *f);
