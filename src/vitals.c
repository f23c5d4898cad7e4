/* SPDX-License-Identifier: Apache-2.0 */
#include "vitals.h"

#include <stdio.h>
#include <unistd.h>

#include "attach/attach.h"
#include "base/json.h"
#include "base/time.h"
#include "config.h"
#include "fleet/follower.h"
#include "flow/flow.h"
#include "guard/guard.h"
#include "inside.h"
#include "outputs.h"
#include "policy/policy.h"
#include "sentry/sentry.h"
#include "serve/page.h"
#include "serve/totals.h"
#include "shipper.h"
#include "store/keeper.h"

void vitals_probe(struct vitals *v)
{
	v->n_features = features_probe(v->features, VITALS_FEATURES);
}

/* ---- status ---- */

static void put_maps(struct attach *a, struct json *j)
{
	struct attach_map maps[ATTACH_MAPS];
	size_t n = attach_maps(a, maps);

	json_object_begin(j, "maps");
	for (size_t i = 0; i < n; i++) {
		json_object_begin(j, maps[i].name);
		json_u64(j, "entries", maps[i].entries);
		json_u64(j, "max", maps[i].capacity);
		json_object_end(j);
	}
	json_object_end(j);
}

static void put_features(const struct vitals *v, struct json *j)
{
	json_array_begin(j, "features");
	for (size_t i = 0; i < v->n_features; i++) {
		const struct feature *f = &v->features[i];
		bool there = f->state == FEATURE_YES;

		json_object_begin(j, NULL);
		json_text(j, "name", f->name);
		if (f->state != FEATURE_NO_RIGHTS) /* then it was not tried */
			json_bool(j, "there", there);
		json_text(j, "text", there ? f->used_for : f->lost ?: "egret cannot watch without it");
		if (!there) {
			json_text(j, "remedy", f->remedy);
			json_text(j, "since", f->since);
		}
		if (f->detail[0])
			json_text(j, "detail", f->detail);
		json_object_end(j);
	}
	json_array_end(j);
}

static void put_feed(void *ctx, const struct feed_health *f)
{
	struct json *j = ctx;

	json_object_begin(j, NULL);
	json_text(j, "kind", f->kind);
	json_str(j, "name", f->name);
	json_str(j, "from", f->from);
	json_u64(j, "entries", f->entries);
	if (f->age_s >= 0)
		json_u64(j, "age_s", (uint64_t)f->age_s);
	json_bool(j, "expired", f->expired);
	if (f->problem.n)
		json_str(j, "problem", f->problem);
	json_object_end(j);
}

void vitals_status(void *ctx, struct json *j)
{
	const struct vitals *v = ctx;
	struct attach_stats stats;

	attach_stats(v->attach, &stats);
	json_text(j, "version", EGRET_VERSION);
	json_text(j, "host", v->host);
	json_text(j, "watch", v->config->gateway ? "gateway" : "host");
	json_text(j, "cgroup", v->config->cgroup);
	outputs_status(v->outputs, j);
	json_u64(j, "pid", (uint64_t)getpid());
	json_u64(j, "uptime_s", (time_now() - v->started_ns) / NSEC_PER_SEC);
	json_u64(j, "events", stats.events);
	json_u64(j, "kernel_bytes", stats.bpf_bytes);
	json_bool(j, "backstop", v->config->backstop);
	json_text(j, "pin", v->pin);
	if (v->inside) {
		json_object_begin(j, "gateway");
		inside_status(v->inside, j);
		json_object_end(j);
	}
	json_object_begin(j, "policy");
	guard_status(v->guard, j);
	if (v->follower) {
		json_object_begin(j, "fleet");
		follower_status(v->follower, j);
		json_object_end(j);
	}
	json_object_end(j);
	json_object_begin(j, "page");
	json_bool(j, "on", v->config->page.on);
	if (v->page)
		page_status(v->page, j);
	json_object_end(j);
	json_object_begin(j, "history");
	keeper_status(v->keeper, KEEPER_HISTORY, j);
	json_object_end(j);
	if (v->shipper) {
		json_object_begin(j, "clickhouse");
		keeper_status(v->keeper, KEEPER_FLEET, j);
		shipper_status(v->shipper, j);
		json_object_end(j);
	}
	json_object_begin(j, "detect");
	if (v->sentry)
		sentry_status(v->sentry, j);
	json_object_end(j);
	json_array_begin(j, "feeds");
	guard_each_list(v->guard, put_feed, j);
	if (v->sentry)
		sentry_each_feed(v->sentry, put_feed, j);
	json_array_end(j);
	put_maps(v->attach, j);
	put_features(v, j);
}

void vitals_host(const struct vitals *v, const struct flow_table_stats *flows,
		 struct store_host *ret)
{
	const struct policy *p = guard_policy(v->guard, guard_gen(v->guard));
	struct store_stats st;

	keeper_stats(v->keeper, KEEPER_FLEET, &st);
	*ret = (struct store_host){ .time_ns = time_now(),
				    .version = STR(EGRET_VERSION),
				    .watch = v->config->gateway ? STR("gateway") : STR("host"),
				    .policy_mode = str_of(guard_mode_name(guard_mode(v->guard))),
				    .uptime_s = (time_now() - v->started_ns) / NSEC_PER_SEC,
				    .flows = flows->flows_total,
				    .lost_spool = flows->loss[LOSS_SPOOL_DROP],
				    .waiting = st.waiting,
				    .spool_bytes = st.disk_bytes };
	if (p && p->n_files) {
		ret->policy_file = p->files[0];
		ret->policy_rules = (uint32_t)p->n_rules;
	}
	for (int i = 0; i < LOSS_COUNT; i++)
		ret->lost += flows->loss[i];
}

/* ---- metrics ---- */

#define LABEL_MAX 200

static const char *rule_label(const struct guard_rule *r, char label[LABEL_MAX])
{
	if (r->is_block)
		snprintf(label, LABEL_MAX, "block");
	else if (r->line)
		snprintf(label, LABEL_MAX, "%.*s:%u", (int)(r->file.n < 150 ? r->file.n : 150),
			 r->file.p, r->line);
	else
		snprintf(label, LABEL_MAX, "%s", r->is_implied ? "implied" : "default");
	return label;
}

static void on_hits(void *ctx, const struct guard_hits *h)
{
	const struct guard_rule *r = &h->rule;
	char label[LABEL_MAX];

	rule_label(r, label);
	totals_verdict(ctx, str_of(label), policy_action_name(h->action), r->text, h->verdicts);
}

static void metric_of_rule(struct metrics_out *m, enum metric id, const struct guard_rule *r,
			   uint64_t bytes)
{
	char label[LABEL_MAX];

	metric_begin(m, id);
	metric_label(m, "rule", str_of(rule_label(r, label)));
	metric_u64(m, bytes);
}

static bool has_rate(const struct guard_hits *h)
{
	return h->limited_packets || (h->rule.rule && h->rule.rule->limit_bits);
}

static void on_limited(void *ctx, const struct guard_hits *h)
{
	if (has_rate(h))
		metric_of_rule(ctx, METRIC_LIMITED, &h->rule, h->limited_packets);
}

static void on_limited_bytes(void *ctx, const struct guard_hits *h)
{
	if (has_rate(h))
		metric_of_rule(ctx, METRIC_LIMITED_BYTES, &h->rule, h->limited_bytes);
}

static void on_quota_used(void *ctx, const struct guard_quota *q)
{
	metric_of_rule(ctx, METRIC_QUOTA_USED, &q->rule, q->used_bytes);
}

static void on_quota_limit(void *ctx, const struct guard_quota *q)
{
	metric_of_rule(ctx, METRIC_QUOTA_LIMIT, &q->rule, q->limit_bytes);
}

struct budgets_out {
	struct metrics_out *m;
	enum metric id;
};

static void metric_budget(void *ctx, const struct guard_budget *b)
{
	struct budgets_out *o = ctx;

	if (o->id == METRIC_BUDGET_FORECAST && b->forecast < 0)
		return;
	metric_begin(o->m, o->id);
	metric_label(o->m, "budget", str_of(b->name));
	metric_label(o->m, "currency", str_of(b->currency));
	metric_f64(o->m, o->id == METRIC_BUDGET_LIMIT  ? b->of
			 : o->id == METRIC_BUDGET_USED ? b->used
						       : b->forecast);
}

static void metric_maps(struct attach *a, struct metrics_out *m)
{
	struct attach_map maps[ATTACH_MAPS];
	size_t n = attach_maps(a, maps);

	for (size_t i = 0; i < 2 * n; i++) {
		const struct attach_map *map = &maps[i % n];

		metric_begin(m, i < n ? METRIC_MAP_ENTRIES : METRIC_MAP_CAPACITY);
		metric_label(m, "map", str_of(map->name));
		metric_u64(m, i < n ? map->entries : map->capacity);
	}
}

static void metric_store(struct keeper *k, struct metrics_out *m)
{
	static const char *const le[STORE_WRITE_STEPS] = { "0.001", "0.005", "0.025", "0.1",
							   "0.5",   "2.5",   "+Inf" };
	struct store_stats st;
	uint64_t n = 0;

	if (!keeper_keeps(k, KEEPER_HISTORY))
		return;
	keeper_stats(k, KEEPER_HISTORY, &st);
	metric_put(m, METRIC_STORE_ROWS, st.rows);
	metric_put(m, METRIC_STORE_QUEUED, st.queued_bytes);
	metric_put(m, METRIC_STORE_DISK, st.disk_bytes);
	metric_put(m, METRIC_STORE_FAILING, st.problem[0] != 0);
	for (size_t i = 0; i < STORE_WRITE_STEPS; i++) {
		n += st.write_steps[i];
		metric_begin_part(m, METRIC_STORE_BATCH, "_bucket");
		metric_label(m, "le", str_of(le[i]));
		metric_u64(m, n);
	}
	metric_begin_part(m, METRIC_STORE_BATCH, "_sum");
	metric_f64(m, (double)st.write_ns_total / NSEC_PER_SEC);
	metric_begin_part(m, METRIC_STORE_BATCH, "_count");
	metric_u64(m, n);
}

/* One family after the other, and so each feed three times. */
struct feeds_out {
	struct metrics_out *m;
	enum metric id;
};

static void metric_feed(void *ctx, const struct feed_health *f)
{
	struct feeds_out *o = ctx;

	if (o->id == METRIC_FEED_AGE && f->age_s < 0)
		return;
	metric_begin(o->m, o->id);
	metric_label(o->m, "kind", str_of(f->kind));
	metric_label(o->m, "feed", f->name);
	metric_u64(o->m, o->id == METRIC_FEED_ENTRIES ? f->entries
			 : o->id == METRIC_FEED_AGE   ? (uint64_t)f->age_s
						      : f->expired || f->problem.n);
}

void vitals_metrics(void *ctx, struct totals *t, struct metrics_out *m)
{
	static const enum metric of_feeds[] = { METRIC_FEED_ENTRIES, METRIC_FEED_AGE,
						METRIC_FEED_FAILING };
	const struct vitals *v = ctx;

	metric_begin(m, METRIC_POLICY_MODE);
	metric_label(m, "mode", str_of(guard_mode_name(guard_mode(v->guard))));
	metric_u64(m, 1);
	totals_verdicts_begin(t);
	guard_each_hits(v->guard, on_hits, t);
	totals_verdicts_put(t, m);
	guard_each_hits(v->guard, on_limited, m);
	guard_each_hits(v->guard, on_limited_bytes, m);
	guard_each_quota(v->guard, on_quota_used, m);
	guard_each_quota(v->guard, on_quota_limit, m);
	for (enum metric id = METRIC_BUDGET_LIMIT; id <= METRIC_BUDGET_FORECAST; id++)
		guard_each_budget(v->guard, metric_budget, &(struct budgets_out){ m, id });
	metric_maps(v->attach, m);
	metric_store(v->keeper, m);
	for (size_t i = 0; i < sizeof(of_feeds) / sizeof(of_feeds[0]); i++) {
		struct feeds_out o = { m, of_feeds[i] };

		guard_each_list(v->guard, metric_feed, &o);
		if (v->sentry)
			sentry_each_feed(v->sentry, metric_feed, &o);
	}
}
