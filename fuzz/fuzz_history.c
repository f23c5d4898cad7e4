/* SPDX-License-Identifier: Apache-2.0 */
/*
 * egret's own records read back, from a file that somebody may have written to: any line, judged by a policy, learned
 * from; and what was learned has to be a policy again.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "policy/diff.h"
#include "policy/history.h"
#include "policy/learn.h"
#include "policy/replay.h"

static const char text[] =
	"resolvers none\nallow app \"/usr/bin/*\" to *.example.com port 443\n"
	"deny user 0 to 10.0.0.0/8\nallow unit x to any speaking dns\ndefault deny\n";

struct run {
	struct tally *tally;
	struct learn *learn;
};

static void on_recorded(void *ctx, const struct recorded *r)
{
	struct run *run = ctx;

	tally_add(run->tally, r);
	learn_add(run->learn, r);
}

static void must_parse(struct str learned)
{
	struct buf messages = BUF_INIT(1 << 20);
	struct policy *p = NULL;

	if (policy_parse(&p, "learned", learned, STR_NONE, &messages) < 0) {
		fprintf(stderr, "%.*s\n%s\n", STR_FMT(learned), messages.p);
		abort();
	}
	policy_free(p);
	buf_done(&messages);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct policy *policy;
	static struct judge *judge;
	struct buf out = BUF_INIT(1 << 20);
	struct str rest = { (const char *)data, size }, line;
	struct run run;
	struct history *h;

	if (!judge) {
		struct buf messages = BUF_INIT(1 << 16);

		if (policy_parse(&policy, "p", str_of(text), STR_NONE, &messages) < 0 ||
		    judge_new(&judge, policy, &(struct judge_config){ 0 }, 1700000000, &messages) <
			    0)
			abort();
		buf_done(&messages);
	}
	if (tally_new(&run.tally, judge) < 0 || learn_new(&run.learn, NULL) < 0 ||
	    history_new(&h, &(struct history_config){ .on_recorded = on_recorded, .ctx = &run }) <
		    0)
		abort();
	while (str_cut(&rest, '\n', &line))
		history_line(h, line);
	if (learn_text(run.learn, STR_NONE, &out) == 0)
		must_parse(buf_str(&out));
	buf_done(&out);
	history_free(h);
	learn_free(run.learn);
	tally_free(run.tally);
	return 0;
}
