/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of policy_check() (image.h). */
#pragma once

#include "policy/compile.h"
#include "policy/region.h"

/* A warning for each app whose program others than root can replace. Looks at the file system. */
void check_writable(const struct policy *p, struct buf *messages);

/*
 * A warning for each rule that can never match because rules before it take all that it would: never a wrong one. Rules
 * are compared over all flows that the image tells apart (region.h). A rule by name is only taken to be covered by
 * rules that ask no name, or ask at least its names in at least its way; a rule with `during` or `until` covers only one
 * that has the same, or ends sooner.
 */
void check_shadowed(const struct policy *p, const struct policy_image *img, const struct regions *r,
		    int64_t now_s, struct buf *messages);

/*
 * An error for each `expect` that does not hold at `now_s`; their number. What an expectation leaves open may be anything:
 * it must hold for all. With these exceptions:
 *  - `to NAME` is a flow to that name, by DNS and by what it shows; `to ADDRESS` one without a name.
 *  - Loopback and DNS to trusted resolvers are meant only when the expectation names them, as with rules.
 *  - `expect allow` and `expect audit` mean ordinary flows: of a protocol that no rule names; with `app`, not at the same
 *    time of another one by script, tree, cgroup or container; to a name at an address of the internet that no rule
 *    singles out. `expect deny` and `reject` mean all of them. `deny` is content with reject.
 */
unsigned check_expects(const struct policy *p, const struct policy_image *img,
		       const struct regions *r, int64_t now_s, struct buf *messages);
