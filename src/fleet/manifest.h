/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a publisher says to a fleet: which policy is for which hosts, and how it is rolled out. The text of the file
 * "manifest"; pure.
 *
 *     egret-fleet 1
 *     version 42
 *     note "block paste sites"
 *     expires 2027-01-31
 *     group web   hosts web-*, www-*  labels prod   policy web.egret
 *     group other                                   policy base.egret watch
 *     rollout watch 1h  canary 10%  for 2h  step-back refusals 3x over 20
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/str.h"

#define FLEET_MANIFEST "manifest" /* its name in a bundle, and in the folder that one is made of */
#define FLEET_MANIFEST_MAX (256U << 10)
#define FLEET_GROUPS_MAX 256
#define FLEET_VALUES_MAX 4096 /* of all groups together */
#define FLEET_NAME_MAX 64     /* of a group, a label */
#define FLEET_NOTE_MAX 200
#define FLEET_LABELS_MAX 32 /* of a host */

/* Names or labels, of which one has to fit: so many of the manifest's values. */
struct fleet_any {
	size_t from, n;
};

/* Terms that are not there fit all. */
struct fleet_group {
	struct str name, policy;
	struct fleet_any hosts, labels;
	bool watch; /* what it would refuse is recorded, nothing is refused */
};

struct fleet_rollout {
	int64_t watch_s;  /* nobody enforces it yet */
	unsigned canary;  /* per cent of hosts that are first */
	struct str label; /* or those with this label; empty: by per cent */
	int64_t for_s;    /* how long the first are alone, and how long each host is on trial */
	unsigned times;   /* so many times the refusals of before are too many; 0: none are */
	uint64_t over;    /* so many a minute never are */
	bool given;
};

struct fleet_manifest {
	uint64_t version;
	struct str note;
	int64_t expires_s; /* Unix; 0: never */
	struct fleet_group *groups;
	size_t n_groups;
	struct fleet_rollout rollout;
	struct str *values; /* of all groups */
	size_t n_values;
};

/* Texts point into `text`. 0; -EINVAL with all mistakes in `messages`, with their lines; -ENOMEM. */
int fleet_manifest_parse(struct fleet_manifest *ret, const char *file, struct str text,
			 struct buf *messages);
void fleet_manifest_done(struct fleet_manifest *m);

/* A host, as it knows itself. */
struct fleet_host {
	struct str name;
	struct str labels[FLEET_LABELS_MAX];
	size_t n_labels;
};
bool fleet_host_has(const struct fleet_host *h, struct str label);
/* The first group that takes it; NULL: none. */
const struct fleet_group *fleet_group_of(const struct fleet_manifest *m,
					 const struct fleet_host *h);

/* Within the bundle, and so within the folder that it was made of: no "..", no "/" in front. */
bool fleet_path_ok(struct str path);
/* Letters, digits, '-', '_', '.': 1 to FLEET_NAME_MAX of them. */
bool fleet_word_ok(struct str s);
