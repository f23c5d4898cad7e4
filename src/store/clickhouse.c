/* SPDX-License-Identifier: Apache-2.0 */
/* The store of a fleet: rows become batches of the spool, which another process sends (store/ship.h). */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/time.h"
#include "store/clickhouse_row.h"
#include "store/kind.h"
#include "store/spool.h"

#define SENT_NS (600 * NSEC_PER_SEC) /* a server that answered may still lose its disk */
/*
 * A number of a batch is never there twice: not when the folder was emptied, nor when the machine is set back to an earlier state. A
 * collector would take the second one for the first.
 */
#define SECOND_BITS 20
#define DROPS_NS (60 * NSEC_PER_SEC) /* the spool is called full so long after the last drop */

struct clickhouse {
	struct spool *spool; /* NULL: its folder cannot be opened */
	char *dir;
	struct store_config cfg;
	int failed; /* what stands in the way of the disk; 0: nothing */
	uint64_t errors, dropped, dropped_ns;
};

static int try_open(struct clickhouse *c)
{
	/* What tells most of what a person would want to know goes last. */
	static const unsigned ranks[CLICKHOUSE_TABLES] = {
		[CLICKHOUSE_VERDICT] = 1, [CLICKHOUSE_FINDING] = 2, [CLICKHOUSE_POLICY] = 2
	};
	struct spool_config cfg = { .dir = c->dir,
				    .n_kinds = CLICKHOUSE_TABLES,
				    .max_bytes = c->cfg.max_bytes,
				    .sent_ns = SENT_NS,
				    .first_seq = time_now() / NSEC_PER_SEC << SECOND_BITS };

	for (size_t i = 0; i < CLICKHOUSE_TABLES; i++)
		cfg.kinds[i] = (struct spool_kind){ clickhouse_table_name((enum clickhouse_table)i),
						    clickhouse_insert((enum clickhouse_table)i),
						    ranks[i] };
	return spool_open(&c->spool, &cfg);
}

static int note(struct clickhouse *c, int r)
{
	c->errors += r < 0 && r != -EAGAIN;
	c->failed = r == -EAGAIN ? c->failed : r;
	return r;
}

static int clickhouse_open(void **ret, const struct store_config *cfg)
{
	struct clickhouse *c = calloc(1, sizeof(*c));

	if (!c)
		return -ENOMEM;
	c->cfg = *cfg;
	c->dir = strdup(cfg->dir);
	if (!c->dir) {
		free(c);
		return -ENOMEM;
	}
	note(c, try_open(c));
	*ret = c;
	return 0;
}

static void clickhouse_close(void *ctx)
{
	struct clickhouse *c = ctx;

	spool_close(c->spool);
	free(c->dir);
	free(c);
}

/* Where a row of this table goes. 0; -EAGAIN: commit first. */
static int begin(struct clickhouse *c, enum clickhouse_table t, struct buf **ret)
{
	if (!c->spool && note(c, try_open(c)) < 0)
		return -EIO;
	*ret = spool_begin(c->spool, t);
	return *ret ? 0 : -EAGAIN;
}

static bool was_refused(const struct store_row *row)
{
	return row->refused_calls || row->refused_packets ||
	       ((row->rule.would_refuse || row->rule.refused) && row->seq == 0);
}

static int clickhouse_row(void *ctx, const struct store_row *row)
{
	struct clickhouse *c = ctx;
	struct buf *flow = NULL, *verdict = NULL;
	int r = row->flow_id ? begin(c, CLICKHOUSE_FLOW, &flow) : 0;

	if (r == 0 && was_refused(row))
		r = begin(c, CLICKHOUSE_VERDICT, &verdict);
	if (r < 0)
		return r;
	if (flow) {
		clickhouse_put_flow(flow, str_of(c->cfg.host), row);
		r = spool_row(c->spool, CLICKHOUSE_FLOW);
	}
	if (r == 0 && verdict) {
		clickhouse_put_verdict(verdict, str_of(c->cfg.host), row);
		r = spool_row(c->spool, CLICKHOUSE_VERDICT);
	}
	return r;
}

static int clickhouse_name(void *ctx, const struct store_name *name)
{
	struct clickhouse *c = ctx;
	struct buf *out;
	int r = begin(c, CLICKHOUSE_NAME, &out);

	if (r < 0)
		return r;
	clickhouse_put_name(out, str_of(c->cfg.host), name);
	return spool_row(c->spool, CLICKHOUSE_NAME);
}

static int clickhouse_finding(void *ctx, const struct store_finding *f)
{
	struct clickhouse *c = ctx;
	struct buf *out;
	int r = begin(c, CLICKHOUSE_FINDING, &out);

	if (r < 0)
		return r;
	clickhouse_put_finding(out, str_of(c->cfg.host), f);
	return spool_row(c->spool, CLICKHOUSE_FINDING);
}

static int clickhouse_host(void *ctx, const struct store_host *h)
{
	struct clickhouse *c = ctx;
	struct buf *out;
	int r = begin(c, CLICKHOUSE_HOST, &out);

	if (r < 0)
		return r;
	clickhouse_put_host(out, str_of(c->cfg.host), h);
	return spool_row(c->spool, CLICKHOUSE_HOST);
}

static int clickhouse_policy(void *ctx, const struct store_policy *p)
{
	struct clickhouse *c = ctx;
	struct buf *out;
	int r = begin(c, CLICKHOUSE_POLICY, &out);

	if (r < 0)
		return r;
	clickhouse_put_policy(out, str_of(c->cfg.host), p);
	return spool_row(c->spool, CLICKHOUSE_POLICY);
}

static int clickhouse_commit(void *ctx)
{
	struct clickhouse *c = ctx;

	return c->spool ? note(c, spool_commit(c->spool)) : -EIO;
}

static void clickhouse_abort(void *ctx)
{
	struct clickhouse *c = ctx;

	if (c->spool)
		spool_abort(c->spool);
}

static void clickhouse_house(void *ctx, uint64_t now_ns)
{
	struct clickhouse *c = ctx;
	struct spool_stats st;

	if (!c->spool)
		return;
	note(c, spool_keep_house(c->spool, time_now_boot()));
	spool_stats(c->spool, &st);
	if (st.dropped > c->dropped)
		c->dropped_ns = time_now_boot();
	c->dropped = st.dropped;
}

static void clickhouse_health(void *ctx, struct store_health *ret)
{
	struct clickhouse *c = ctx;
	struct spool_stats st = { 0 };

	if (c->spool)
		spool_stats(c->spool, &st);
	*ret = (struct store_health){ .disk_bytes = st.bytes,
				      .errors = c->errors,
				      .waiting = st.waiting,
				      .dropped = st.dropped + st.refused };
	if (c->failed < 0)
		snprintf(ret->problem, sizeof(ret->problem), "the spool cannot be written: %s",
			 strerror(-c->failed));
	else if (c->dropped_ns && time_now_boot() - c->dropped_ns < DROPS_NS)
		snprintf(ret->problem, sizeof(ret->problem),
			 "the spool is full: the oldest batches are dropped");
}

const struct store_kind store_clickhouse = {
	.name = "clickhouse",
	.what = "clickhouse",
	.open = clickhouse_open,
	.row = clickhouse_row,
	.name_answer = clickhouse_name,
	.finding = clickhouse_finding,
	.host = clickhouse_host,
	.policy = clickhouse_policy,
	.commit = clickhouse_commit,
	.abort = clickhouse_abort,
	.keep_house = clickhouse_house,
	.health = clickhouse_health,
	.close = clickhouse_close,
};
