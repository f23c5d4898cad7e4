/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is published: the manifest and the files of its policies, in one run of bytes (guard/bundle.h), the manifest first.
 * Read only after its signature was found good.
 */
#pragma once

#include "fleet/manifest.h"
#include "policy/policy.h"

#define FLEET_BUNDLE_MAX (2U << 20)
#define FLEET_BUNDLE_NAME "fleet.bundle"
#define FLEET_SIGNATURE_SUFFIX ".minisig"

struct fleet_parcel {
	struct fleet_manifest manifest;
	struct policy_file *files; /* [0] is the manifest */
	size_t n_files;
};

/* Texts point into `bytes`. 0; -EINVAL with mistakes; -ENOMEM. */
int fleet_parcel_parse(struct fleet_parcel *ret, struct str bytes, struct buf *messages);
void fleet_parcel_done(struct fleet_parcel *p);

/* A group's policy with all it includes; mistakes as policy_parse_files(). The texts are copies. */
int fleet_parcel_policy(const struct fleet_parcel *p, const struct fleet_group *g,
			struct policy **ret, struct buf *messages);
