/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/policy_diff.h"

#include <stdio.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "cli/ask_policy.h"

#define ANSWER_MAX (64U << 20)

json_t *policy_in_force(void)
{
	_cleanup_buf_ struct buf request = BUF_INIT(256);
	struct json j = JSON_INIT(&request);

	policy_request_begin(&j, "text");
	json_object_end(&j);
	return policy_request_send(buf_str(&request), -1);
}

size_t policy_diff_json(const struct policy_diff *d, struct effect *e, const struct policy *after,
			bool all)
{
	_cleanup_buf_ struct buf out = BUF_INIT(ANSWER_MAX);
	struct json j = JSON_INIT(&out);
	size_t different;

	json_object_begin(&j, NULL);
	different = policy_diff_put(&j, d, e, after, all);
	json_object_end(&j);
	printf("%.*s\n", (int)out.n, out.p);
	return different;
}
