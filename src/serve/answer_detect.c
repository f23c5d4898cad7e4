/* SPDX-License-Identifier: Apache-2.0 */
/* {"ask":"findings"}: a record a line, then {"end":true}; {"ask":"detect"}: one object made by whoever detects. */
#include "base/cleanup.h"
#include "base/json.h"
#include "flow/record.h"
#include "serve/answer.h"
#include "serve/conn.h"

struct listing {
	const struct answer_source *s;
	struct conn *c;
	uint64_t shown, matched;
};

static void put_finding(void *ctx, const struct finding *f)
{
	struct listing *l = ctx;
	struct record r = { .type = RECORD_FINDING, .time_ns = f->time_ns, .finding = f };
	struct buf *out;
	size_t from;

	l->matched++;
	if (l->c->request.limit && l->shown >= l->c->request.limit)
		return;
	l->shown++;
	out = conn_line_begin(l->c, &from);
	eve_format(&l->s->cfg->format, &r, out);
	conn_line_end(l->c, from, l->s->lost);
}

void answer_findings(const struct answer_source *s, struct conn *c)
{
	struct listing l = { s, c };
	struct json j;
	size_t from;

	if (!s->cfg->findings) {
		conn_error(c, "nothing is detected here");
		return;
	}
	s->cfg->findings(s->cfg->detect_ctx, &c->request.detect, c->request.filter,
			 (struct finding_out){ put_finding, &l });
	j = JSON_INIT(conn_line_begin(c, &from));
	json_object_begin(&j, NULL);
	json_bool(&j, "end", true);
	json_u64(&j, "matched", l.matched);
	json_u64(&j, "shown", l.shown);
	json_object_end(&j);
	buf_putc(&c->out, '\n');
	conn_line_end(c, from, s->lost);
}

void answer_detect(const struct answer_source *s, struct conn *c)
{
	const struct detect_request *q = &c->request.detect;
	struct json j;
	size_t from;

	if (!s->cfg->detect) {
		conn_error(c, "nothing is detected here");
		return;
	}
	if (detect_verb_changes(q->verb) && !c->rights.change) {
		conn_refuse(c, "not allowed: only root and egretd's own user may change that");
		return;
	}
	j = JSON_INIT(conn_line_begin(c, &from));
	json_object_begin(&j, NULL);
	s->cfg->detect(s->cfg->detect_ctx, q, &j);
	json_object_end(&j);
	buf_putc(&c->out, '\n');
	conn_line_end(c, from, s->lost);
}
