/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The files of a policy in one run of bytes: how the command line hands them to the daemon, and how the daemon keeps
 * them. "file NAME-BYTES TEXT-BYTES\n", name, "\n", text, "\n"; one after the other.
 */
#pragma once

#include "base/buf.h"
#include "policy/policy.h"

#define BUNDLE_FILES_MAX 4096
#define BUNDLE_MAX (POLICY_TEXT_MAX + BUNDLE_FILES_MAX * 512U)

void bundle_put(struct buf *out, const struct policy_file *files, size_t n);
/* The files of a policy that was read. */
void bundle_policy(struct buf *out, const struct policy *p);
/* The files point into `bytes`; the array is the caller's to free. -EINVAL: no bundle; -E2BIG; -ENOMEM. */
int bundle_parse(struct str bytes, struct policy_file **ret, size_t *ret_n);
