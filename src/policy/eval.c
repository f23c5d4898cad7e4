/* SPDX-License-Identifier: Apache-2.0 */
/* The evaluator of bpf/policy_eval.h in user space. */
#include <errno.h>

#include "policy/compile.h"

int policy_evaluate(const struct policy_image *img, const struct eg_facts *f,
		    struct eg_verdict *ret)
{
	struct eg_fold fold = { 0 };

	return eg_evaluate(&img->pages, f, &fold, ret) < 0 ? -EINVAL : 0;
}

int policy_judge(const struct policy_image *img, const struct policy_subject *s,
		 struct eg_verdict *ret)
{
	struct eg_facts f;

	policy_classify(img, s, &f);
	return policy_evaluate(img, &f, ret);
}

uint16_t policy_row_rule(const struct policy_image *img, uint16_t row)
{
	const struct eg_image *head = eg_image_head(&img->pages);

	return eg_read___u32(&img->pages, head->row_info + 4ULL * row) & 0xffff;
}
