/* SPDX-License-Identifier: Apache-2.0 */
/* What who follows a publisher has to know of what is in force, and of what is not yet. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "flow/flow.h"
#include "guard/bundle.h"
#include "guard/internal.h"
#include "policy/subject.h"

bool guard_holds(const struct guard *g, const struct policy *p, enum guard_mode mode)
{
	_cleanup_buf_ struct buf files = BUF_INIT(BUNDLE_MAX);

	bundle_policy(&files, p);
	return g->kept.from_conf && g->kept.mode == mode && !files.failed &&
	       str_eq(buf_str(&files), buf_str(&g->kept.files));
}

bool guard_waits(const struct guard *g)
{
	return g->kept.confirm_by_s != 0;
}

bool guard_by_hand(const struct guard *g)
{
	return g->kept.files.n && !g->kept.from_conf;
}

uint64_t guard_refusals(const struct guard *g)
{
	_cleanup_free_ struct rule_count *counts = NULL;
	size_t n = guard_counts(g, &counts);
	uint64_t sum = 0;

	for (size_t i = 0; counts && i < n; i++)
		sum += counts[i].hits.refused_calls + counts[i].hits.refused_packets;
	return sum;
}

int guard_compile(struct guard *g, const struct policy *p, struct policy_image **ret,
		  struct buf *messages)
{
	struct compile_config cfg = guard_compile_config(g, true, NULL);
	int r = feeds_need(g, p, messages);

	return r < 0 ? r : policy_compile(ret, p, &cfg, messages);
}

bool guard_would(const struct guard *g, const struct policy_image *img, const struct flow *f)
{
	struct recorded r;
	struct eg_verdict v;

	recorded_of_flow(&r, f);
	r.subject.unix_s = guard_now_s(g);
	return r.egress && policy_judge(img, &r.subject, &v) == 0 &&
	       (v.action == EG_DENY || v.action == EG_REJECT);
}

void guard_set_origin(struct guard *g, const char *origin)
{
	snprintf(g->origin, sizeof(g->origin), "%s", origin);
}
