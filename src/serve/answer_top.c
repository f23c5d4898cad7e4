/* SPDX-License-Identifier: Apache-2.0 */
/* {"ask":"top"}: sums over all flows, living and just ended, one line a second. */
#include "serve/answer.h"

#include <errno.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "flow/filter.h"
#include "serve/conn.h"

#define MAX_GROUPS 10000

struct look {
	struct conn *conn;
	uint64_t now_ns;
};

int answer_top_begin(struct conn *c)
{
	c->rollup = rollup_free(c->rollup);
	return rollup_new(&c->rollup, c->request.by, MAX_GROUPS);
}

void answer_top_ended(struct conn *c, const struct flow *f, uint64_t now_ns)
{
	if (filter_match(c->request.filter, f, now_ns))
		rollup_flow(c->rollup, f, true);
}

static void look_at(void *ctx, const struct flow *f)
{
	struct look *l = ctx;

	if (filter_match(l->conn->request.filter, f, l->now_ns))
		rollup_flow(l->conn->rollup, f, false);
}

static void put_sums(struct json *j, const struct rollup_row *row)
{
	json_u64(j, "flows", row->flows);
	json_u64(j, "up", row->up_bytes);
	json_u64(j, "down", row->down_bytes);
	json_u64(j, "up_packets", row->up_packets);
	json_u64(j, "down_packets", row->down_packets);
	json_f64(j, "up_rate", row->up_rate);
	json_f64(j, "down_rate", row->down_rate);
}

static void add_row(struct rollup_row *sum, const struct rollup_row *row)
{
	sum->flows += row->flows;
	sum->up_bytes += row->up_bytes;
	sum->down_bytes += row->down_bytes;
	sum->up_packets += row->up_packets;
	sum->down_packets += row->down_packets;
	sum->up_rate += row->up_rate;
	sum->down_rate += row->down_rate;
}

static void put_rows(struct json *j, const struct request *q, const struct rollup_row *rows,
		     size_t n)
{
	struct rollup_row sum = { 0 };

	json_array_begin(j, "rows");
	for (size_t i = 0; i < n; i++) {
		add_row(&sum, &rows[i]);
		if (q->limit && i >= q->limit)
			continue;
		json_object_begin(j, NULL);
		json_str(j, "label", rows[i].label);
		put_sums(j, &rows[i]);
		json_u64(j, "last_ms", rows[i].last_ns / 1000000);
		json_object_end(j);
	}
	json_array_end(j);
	json_object_begin(j, "totals");
	json_u64(j, "groups", n);
	put_sums(j, &sum);
	json_object_end(j);
}

static void put_lost(struct json *j, const struct flow_table_stats *stats)
{
	json_object_begin(j, "lost");
	for (int i = 0; i < LOSS_COUNT; i++)
		if (stats->loss[i])
			json_u64(j, loss_name((enum loss_reason)i), stats->loss[i]);
	json_object_end(j);
}

static void put_findings(struct json *j, const struct answer_source *s)
{
	const struct notice *n = s->notice;

	if (!s->cfg->findings_open)
		return;
	json_object_begin(j, "findings");
	json_u64(j, "open", s->cfg->findings_open(s->cfg->detect_ctx));
	if (n->time_ns) {
		json_object_begin(j, "last");
		json_text(j, "id", n->id);
		json_text(j, "state", n->closed ? "closed" : "open");
		json_text(j, "level", severity_name(n->severity));
		json_text(j, "entity", n->entity);
		json_text(j, "peer", n->peer);
		json_u64(j, "time_ms", n->time_ns / 1000000);
		json_object_end(j);
	}
	json_object_end(j);
}

void answer_top(const struct answer_source *s, struct conn *c)
{
	struct look l = { .conn = c, .now_ns = s->cfg->now() };
	const struct rollup_row *rows;
	struct flow_table_stats stats;
	struct json j;
	size_t n, from;

	rollup_begin(c->rollup, l.now_ns);
	flow_table_each(s->cfg->flows, look_at, &l);
	rows = rollup_rows(c->rollup, c->request.top_sort, &n);
	flow_table_stats(s->cfg->flows, &stats);
	j = JSON_INIT(conn_line_begin(c, &from));
	json_object_begin(&j, NULL);
	json_u64(&j, "time_ms", l.now_ns / 1000000);
	json_text(&j, "by", rollup_key_word(c->request.by));
	json_u64(&j, "flows_now", stats.flows_now);
	put_lost(&j, &stats);
	put_findings(&j, s);
	put_rows(&j, &c->request, rows, n);
	json_object_end(&j);
	buf_putc(&c->out, '\n');
	conn_line_end(c, from, s->lost);
}
