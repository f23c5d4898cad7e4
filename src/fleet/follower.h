/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A host that takes its policy from a publisher: asks for the bundle, verifies it, keeps it, has it enforced when its turn
 * comes, and goes back by itself when that does harm. Whatever goes wrong, what is in force stays.
 *
 *     server or folder ─► child (no rights) ─► signature, version ─► STATE/fleet/taken ─► turn ─► guard: on trial ─► kept
 *                                                                                                      └──────────► stepped back
 *
 * One thread, the caller's loop. What has to be done is worked out anew each second from what was taken, what is in force
 * and the clock, so that nothing hangs on what was done before a kill.
 */
#pragma once

#include "fleet/rollout.h"
#include "fleet/signature.h"
#include "flow/flow.h"

#define FOLLOW_KEYS_MAX 4

struct follower;
struct guard;
struct json;
struct loop;
struct record;

struct follow_settings {
	char from
		[1024]; /* "https://…", or a path: of the bundle, or of the folder that holds it; empty: off */
	char ca[256]; /* empty: the authorities of the system */
	struct fleet_key keys[FOLLOW_KEYS_MAX];
	size_t n_keys;
	char labels[FLEET_LABELS_MAX][FLEET_NAME_MAX + 1];
	size_t n_labels;
	int64_t every_s;
};

struct follower_config {
	const struct follow_settings *settings; /* borrowed, as all that follows */
	const char *state, *host;
	const char
		*others; /* file that tells of other machines (fleet/rollout.h); NULL: none does */
	struct guard *guard;
	struct loop *loop;      /* NULL: nothing is fetched */
	uint64_t (*now)(void);  /* Unix ns; NULL: the clock */
	struct record_out told; /* RECORD_POLICY */
};

/* After guard_restore(): what was taken before is read. */
int follower_new(struct follower **ret, const struct follower_config *cfg);
struct follower *follower_free(struct follower *f);
/* The others take NULL, who follows nobody. */
void follower_tick(struct follower *f); /* once a second, after guard_tick() */
void follower_ask(struct follower *f);  /* at the next tick */
/* Each record: whether a version on trial refuses egretd itself, and what one that waits would refuse. */
void follower_record(struct follower *f, const struct record *r);
void follower_status(const struct follower *f, struct json *j); /* members of an object */
/* "version 42, group web, on trial": of what is in force. false: nothing of the fleet's is. */
bool follower_version(const struct follower *f, uint64_t *ret_version);

/* What a fetch brought; for the fetch and for tests. 0: taken, or as before; -errno: not, and the reason is kept. */
int follower_offer(struct follower *f, struct str signature, struct str bundle);
