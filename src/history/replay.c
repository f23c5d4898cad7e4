/* SPDX-License-Identifier: Apache-2.0 */
/* "replay": what another policy would have decided on what is kept, beside the one in force. */
#include <errno.h>

#include "base/cleanup.h"
#include "base/time.h"
#include "flow/flow.h"
#include "history/verbs.h"
#include "policy/diff.h"
#include "policy/geo.h"
#include "policy/judge.h"

#define MAX_MESSAGES (1U << 20)

struct replaying {
	struct answering *a;
	struct effect *effect;
};

static int judge_row(void *ctx, const struct store_row *row)
{
	struct replaying *r = ctx;
	const struct flow *f = flow_of_row(r->a->scan.maker, row);
	struct recorded rec;

	if (!f)
		return -ENOMEM;
	recorded_of_flow(&rec, f);
	rec.flows = row->flow_id && !row->seq;
	rec.seq = row->seq;
	if (!row->flow_id) {
		rec.kind = RECORDED_DROP;
		rec.calls = row->refused_calls;
		rec.packets = row->refused_packets;
	}
	effect_add(r->effect, &rec);
	return 0;
}

/* What is told of mistakes is the answer, too. */
static int put_messages(struct answering *a, const struct buf *messages)
{
	line_begin(a);
	json_bool(&a->j, "done", false);
	json_str(&a->j, "messages", buf_str(messages));
	return line_end(a);
}

static int put_result(struct replaying *r, const struct policy *after, const struct buf *messages)
{
	struct answering *a = r->a;
	struct policy_diff *d = NULL;
	int e = policy_diff_new(&d, a->scan.source->policy, after);

	if (e < 0)
		return e;
	line_begin(a);
	json_bool(&a->j, "done", true);
	policy_diff_put(&a->j, d, r->effect, after, false);
	json_str(&a->j, "messages", messages->n ? buf_str(messages) : STR(""));
	end_common(a);
	e = line_end(a);
	policy_diff_free(d);
	return e;
}

static int try_both(struct answering *a, const struct policy *after, struct geo *geo,
		    struct buf *messages)
{
	const struct history_source *s = a->scan.source;
	const struct judge_config cfg = { .list_cache = s->lists, .geo = geo, .enforce = true };
	int64_t when = (int64_t)(s->now_ns / NSEC_PER_SEC);
	struct judge *was = NULL, *is = NULL;
	struct replaying r = { .a = a };
	struct store_hint hint = { 0 };
	int e = judge_new(&was, s->policy, &cfg, when, messages);

	if (e == 0)
		e = judge_new(&is, after, &cfg, when, messages);
	if (e == 0)
		e = effect_new(&r.effect, was, is);
	if (e == 0)
		e = scan_rows(&a->scan, a->question->span, &hint, false, judge_row, &r);
	e = e == -EINVAL ? put_messages(a, messages) : e == 0 ? put_result(&r, after, messages) : e;
	effect_free(r.effect);
	judge_free(is);
	judge_free(was);
	return e;
}

int answer_replay(struct answering *a)
{
	const struct history_source *s = a->scan.source;
	_cleanup_buf_ struct buf messages = BUF_INIT(MAX_MESSAGES);
	struct policy *after = NULL;
	struct geo *geo = NULL;
	int r;

	if (!s->policy || !s->candidate) {
		snprintf(a->error, sizeof(a->error), "%s",
			 s->policy ? "the policy to be tried does not come along"
				   : "no policy is in force to compare with");
		return -EINVAL;
	}
	r = policy_parse_files(&after, s->candidate, s->n_candidate, STR_NONE, &messages);
	if (r == -EINVAL)
		return put_messages(a, &messages);
	if (r == 0 && (s->geo_country || s->geo_asn))
		r = geo_open(&geo, s->geo_country, s->geo_asn, a->error);
	if (r == 0)
		r = try_both(a, after, geo, &messages);
	geo_free(geo);
	policy_free(after);
	return r;
}
