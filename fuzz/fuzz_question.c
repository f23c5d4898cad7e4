/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Questions to the history are lines of strangers on the control socket and of browsers behind the page: any bytes are a question or
 * a mistake in words, and what is taken for a question keeps to its bounds.
 */
#include <stdlib.h>

#include "base/time.h"
#include "history/question.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
	if (!holds)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint64_t now_ns = 1764547200 * NSEC_PER_SEC;
	char error[QUESTION_ERROR_MAX];
	struct history_question q;

	if (question_parse((struct str){ (const char *)data, size }, now_ns, &q, error) < 0) {
		must(error[0] && !q.filter);
		return 0;
	}
	must(q.span.from_ns < q.span.to_ns && q.span.from_ns % NSEC_PER_SEC == 0 &&
	     q.span.to_ns % NSEC_PER_SEC == 0);
	must(q.n_by <= QUESTION_BY_MAX && q.limit > 0 && q.limit <= QUESTION_LIMIT_MAX &&
	     q.step_s <= 86400);
	for (size_t i = 0; i < q.n_by; i++)
		must(question_dim_word(q.by[i]));
	question_done(&q);
	return 0;
}
