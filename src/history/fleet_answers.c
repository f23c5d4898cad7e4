/* SPDX-License-Identifier: Apache-2.0 */
/* Of a fleet alone: "hosts", how each machine is by its own word; "findings", as each stands now; "cases", what several machines have found alike;
 * "policies", what became of versions of the policy. */
#include <errno.h>
#include <jansson.h>

#include "base/cleanup.h"
#include "base/time.h"
#include "detect/finding.h"
#include "flow/filter.h"
#include "flow/flow.h"
#include "history/fleet.h"
#include "history/verbs.h"

#define QUERY_MAX (1U << 20)

/* ---- lines from rows ---- */

/* Members of a line, in the order of the columns. */
struct member {
	const char *name;
	enum { TEXT, NUMBER, TEXTS } kind;
};

/* Old servers put 64-bit numbers in quotes. */
static uint64_t number_of(const json_t *v)
{
	uint64_t n = 0;

	if (json_is_string(v))
		str_parse_u64(str_of(json_string_value(v)), &n);
	return json_is_integer(v) && json_integer_value(v) > 0 ? (uint64_t)json_integer_value(v)
							       : n;
}

static struct str text_of(const json_t *v)
{
	return (struct str){ json_string_value(v), json_string_length(v) };
}

static void put_member(struct json *j, const struct member *m, const json_t *v)
{
	const json_t *one;
	size_t i;

	if (m->kind == TEXT) {
		json_str(j, m->name, text_of(v));
	} else if (m->kind == NUMBER) {
		json_u64(j, m->name, number_of(v));
	} else {
		json_array_begin(j, m->name);
		json_array_foreach(v, i, one) json_str(j, NULL, text_of(one));
		json_array_end(j);
	}
}

static int put_end(struct answering *a, size_t matched, size_t shown)
{
	end_begin(a);
	json_u64(&a->j, "matched", matched);
	json_u64(&a->j, "shown", shown);
	end_common(a);
	return line_end(a);
}

/* A DateTime has 32 bits. */
static unsigned long seconds(uint64_t ns)
{
	return MIN(ns / NSEC_PER_SEC, (uint64_t)UINT32_MAX);
}

/* ---- hosts ---- */

static const struct member host_members[] = {
	{ "host", TEXT },        { "seen", NUMBER },         { "now", NUMBER },
	{ "version", TEXT },     { "watch", TEXT },          { "policy_mode", TEXT },
	{ "policy_file", TEXT }, { "policy_rules", NUMBER }, { "uptime_s", NUMBER },
	{ "flows", NUMBER },     { "lost", NUMBER },         { "lost_spool", NUMBER },
	{ "waiting", NUMBER },   { "spool_bytes", NUMBER },
};
#define HOST_ASKED 3 /* those before are not columns */

/* Of a machine the filter language knows its name, and nothing else. */
static bool host_passes(struct answering *a, struct str host)
{
	struct store_row of = { .host = host };
	const struct flow *f = a->question->filter ? flow_of_row(a->scan.maker, &of) : NULL;

	return !a->question->filter ||
	       (f && filter_match(a->question->filter, f, a->scan.source->now_ns));
}

int answer_fleet_hosts(struct answering *a)
{
	_cleanup_buf_ struct buf query = BUF_INIT(QUERY_MAX);
	const struct history_question *q = a->question;
	const json_t *rows, *row;
	size_t i, matched = 0, shown = 0;
	json_t *answer;
	int r = 0;

	buf_puts(&query, "SELECT host, toUInt32(max(ts)), toUInt32(now())");
	for (i = HOST_ASKED; i < ARRAY_SIZE(host_members); i++)
		buf_printf(&query, ", argMax(%s, time_us)", host_members[i].name);
	buf_printf(&query,
		   " FROM host WHERE ts >= toDateTime(%lu) AND ts < toDateTime(%lu) GROUP BY host "
		   "ORDER BY host FORMAT JSONCompact",
		   seconds(q->span.from_ns), seconds(q->span.to_ns));
	answer = fleet_json(a->scan.fleet, &query);
	if (!answer)
		return -EREMOTEIO;
	rows = json_object_get(answer, "data");
	json_array_foreach(rows, i, row)
	{
		if (r < 0 || !host_passes(a, text_of(json_array_get(row, 0))) ||
		    matched++ >= q->limit)
			continue;
		line_begin(a);
		for (size_t m = 0; m < ARRAY_SIZE(host_members); m++)
			put_member(&a->j, &host_members[m], json_array_get(row, m));
		r = line_end(a);
		shown++;
	}
	if (r == 0)
		r = put_end(a, matched, shown);
	json_decref(answer);
	return r;
}

/* ---- findings ---- */

#define LEVEL_NUMBER \
	"multiIf(lv = 'critical', 4, lv = 'high', 3, lv = 'medium', 2, lv = 'low', 1, 0)"

/* As each stands now, with names that no column has: 18.16 would take an alias inside the sums. */
static void put_standing(struct buf *out, const struct history_question *q)
{
	buf_printf(out,
		   "(SELECT host, id, argMax(record, time_us) AS rec, argMax(level, time_us) AS "
		   "lv, argMax(detector, time_us) AS det, "
		   "argMax(class, time_us) AS cl, argMax(state, time_us) AS st, argMax(score_db, "
		   "time_us) AS db, argMax(acked, time_us) AS ack, "
		   "argMax(entity, time_us) AS who, argMax(if(name = '', peer, name), time_us) AS "
		   "whom, argMax(peer_ip, time_us) AS ip, "
		   "argMax(name, time_us) AS nm, min(time_us) AS since, max(time_us) AS last "
		   "FROM finding WHERE ts >= toDateTime(%lu) AND ts < toDateTime(%lu) GROUP BY "
		   "host, id)",
		   seconds(q->span.from_ns), seconds(q->span.to_ns));
}

static int put_conditions(struct answering *a, struct buf *out)
{
	const struct history_question *q = a->question;
	const struct {
		const char *column, *value;
	} texts[] = { { "id", q->id }, { "cl", q->class }, { "det", q->detector } };
	enum severity least = q->low || q->id[0] ? SEVERITY_NONE : SEVERITY_MEDIUM;

	if (q->level[0] && severity_parse(str_of(q->level), &least) < 0) {
		snprintf(a->error, sizeof(a->error),
			 "\"level\" is none of low, medium, high, critical");
		return -EINVAL;
	}
	buf_printf(out, " WHERE " LEVEL_NUMBER " >= %d", (int)least);
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		if (!texts[i].value[0])
			continue;
		buf_printf(out, " AND %s = ", texts[i].column);
		fleet_put_text(out, str_of(texts[i].value));
	}
	return 0;
}

/* A finding as the filter language knows flows: its machine, program, and the other side. */
static bool passes(struct answering *a, const json_t *row)
{
	const struct history_question *q = a->question;
	struct str entity = text_of(json_array_get(row, 2)), ip = text_of(json_array_get(row, 4));
	struct store_row of = { .host = text_of(json_array_get(row, 1)),
				.peer.name = text_of(json_array_get(row, 3)),
				.direction = FLOW_EGRESS };
	const struct flow *f;

	if (!q->filter)
		return true;
	of.has_who = entity.n;
	if (entity.n && entity.p[0] == '/')
		of.who.exe = entity;
	else
		of.who.comm = entity;
	addr_parse(ip, &of.key.dst);
	f = flow_of_row(a->scan.maker, &of);
	return f && filter_match(q->filter, f, a->scan.source->now_ns);
}

int answer_fleet_findings(struct answering *a)
{
	_cleanup_buf_ struct buf query = BUF_INIT(QUERY_MAX);
	size_t i, matched = 0, shown = 0;
	const json_t *rows, *row;
	json_t *answer;
	int r;

	buf_puts(&query,
		 "SELECT rec, host, who, nm, replaceOne(IPv6NumToString(ip), '::ffff:', '') FROM ");
	put_standing(&query, a->question);
	r = put_conditions(a, &query);
	if (r < 0)
		return r;
	buf_puts(&query, " ORDER BY " LEVEL_NUMBER
			 " DESC, db DESC, host, id LIMIT 100000 FORMAT JSONCompact");
	answer = fleet_json(a->scan.fleet, &query);
	if (!answer)
		return -EREMOTEIO;
	rows = json_object_get(answer, "data");
	json_array_foreach(rows, i, row)
	{
		struct str record = str_trim(text_of(json_array_get(row, 0)));

		if (r < 0 || !passes(a, row) || matched++ >= a->question->limit)
			continue;
		shown++;
		buf_put_str(&a->line, record);
		buf_putc(&a->line, '\n');
		r = line_end(a);
	}
	if (r == 0)
		r = put_end(a, matched, shown);
	json_decref(answer);
	return r;
}

int fleet_findings(struct answering *a, store_finding_fn fn, void *ctx)
{
	_cleanup_buf_ struct buf query = BUF_INIT(QUERY_MAX);
	const json_t *row;
	json_t *answer;
	size_t i;
	int r = 0;

	buf_puts(&query, "SELECT rec, id FROM ");
	put_standing(&query, a->question);
	buf_puts(&query, " ORDER BY last DESC LIMIT 100000 FORMAT JSONCompact");
	answer = fleet_json(a->scan.fleet, &query);
	if (!answer)
		return -EREMOTEIO;
	json_array_foreach(json_object_get(answer, "data"), i, row) if (r == 0) r =
		fn(ctx, 0, text_of(json_array_get(row, 1)), text_of(json_array_get(row, 0)));
	json_decref(answer);
	return r;
}

/* ---- cases ---- */

static const struct member case_members[] = {
	{ "peer", TEXT },       { "detector", TEXT },    { "class", TEXT },
	{ "level", TEXT },      { "score", NUMBER },     { "hosts", NUMBER },
	{ "findings", NUMBER }, { "some_hosts", TEXTS }, { "programs", TEXTS },
	{ "first", NUMBER },    { "last", NUMBER },
};

static void put_contacts(struct buf *out, enum fleet_table table, struct store_span span,
			 const json_t *rows)
{
	const json_t *row;
	size_t i;

	buf_printf(out, "SELECT name, host FROM %s PREWHERE ", fleet_table_name(table));
	fleet_put_span(out, table, span);
	buf_puts(out, " AND name IN (");
	json_array_foreach(rows, i, row)
	{
		buf_puts(out, i ? ", " : "");
		fleet_put_text(out, text_of(json_array_get(row, 0)));
	}
	buf_puts(out, ") GROUP BY name, host");
}

/* How many machines had to do with a name at all, by pieces, and by sums where these are gone: what all do is less of a worry. */
static json_t *contacted_by(struct answering *a, const json_t *rows)
{
	_cleanup_buf_ struct buf query = BUF_INIT(QUERY_MAX);
	const json_t *row;
	json_t *answer, *ret = json_object();
	size_t i;

	buf_puts(&query, "SELECT name, uniqExact(host) FROM (");
	put_contacts(&query, FLEET_USAGE_HOUR, a->question->span, rows);
	buf_puts(&query, " UNION ALL ");
	put_contacts(&query, FLEET_FLOW, a->question->span, rows);
	buf_puts(&query, ") GROUP BY name FORMAT JSONCompact");
	answer = json_array_size(rows) ? fleet_json(a->scan.fleet, &query) : NULL;
	json_array_foreach(json_object_get(answer, "data"), i, row) json_object_set(
		ret, json_string_value(json_array_get(row, 0)), json_array_get(row, 1));
	json_decref(answer);
	return ret;
}

int answer_fleet_cases(struct answering *a)
{
	_cleanup_buf_ struct buf query = BUF_INIT(QUERY_MAX);
	const json_t *rows, *row;
	json_t *answer, *contacts;
	size_t i;
	int r;

	buf_puts(&query, "SELECT whom, det, any(cl), argMax(lv, " LEVEL_NUMBER
			 "), max(db), uniqExact(host) AS k, count(), "
			 "arraySlice(arraySort(groupUniqArray(host)), 1, 10), "
			 "arraySlice(arraySort(groupUniqArray(who)), 1, 10), "
			 "intDiv(min(since), 1000000), intDiv(max(last), 1000000) FROM ");
	put_standing(&query, a->question);
	r = put_conditions(a, &query);
	if (r < 0)
		return r;
	buf_printf(&query,
		   " AND NOT ack GROUP BY whom, det ORDER BY max(" LEVEL_NUMBER
		   ") DESC, k DESC, max(db) DESC LIMIT %lu FORMAT JSONCompact",
		   a->question->limit);
	answer = fleet_json(a->scan.fleet, &query);
	if (!answer)
		return -EREMOTEIO;
	rows = json_object_get(answer, "data");
	contacts = contacted_by(a, rows);
	json_array_foreach(rows, i, row)
	{
		const json_t *contacted =
			json_object_get(contacts, json_string_value(json_array_get(row, 0)));

		if (r < 0)
			break;
		line_begin(a);
		for (size_t m = 0; m < ARRAY_SIZE(case_members); m++)
			put_member(&a->j, &case_members[m], json_array_get(row, m));
		if (contacted)
			json_u64(&a->j, "contacted_by", number_of(contacted));
		r = line_end(a);
	}
	if (r == 0)
		r = put_end(a, json_array_size(rows), json_array_size(rows));
	json_decref(contacts);
	json_decref(answer);
	return r;
}

/* ---- policies ---- */

/* Of each version, in machines, by the newest word of each; refusals an hour are those of all together. */
static const struct member policy_members[] = {
	{ "version", NUMBER },
	{ "waits", NUMBER },
	{ "on_trial", NUMBER },
	{ "kept", NUMBER },
	{ "stepped_back", NUMBER },
	{ "refused", NUMBER },
	{ "refused_before_hour", NUMBER },
	{ "refused_after_hour", NUMBER },
	{ "watched", NUMBER },
	{ "would_refuse", NUMBER },
	{ "reasons", TEXTS },
};

int answer_fleet_policies(struct answering *a)
{
	_cleanup_buf_ struct buf query = BUF_INIT(QUERY_MAX);
	const struct history_question *q = a->question;
	const json_t *rows, *row;
	json_t *answer;
	size_t i;
	int r = 0;

	buf_printf(
		&query,
		"SELECT version, countIf(s IN ('took', 'held')), countIf(s = 'enforced'), "
		"countIf(s = "
		"'kept'), "
		"countIf(s = 'stepped-back'), countIf(s = 'refused'), sum(b), sum(f), sum(w), "
		"sum(d), "
		"arraySlice(arraySort(groupArrayIf(concat(host, ': ', why), s IN ('stepped-back', "
		"'held', 'refused'))), 1, 20) FROM (SELECT version, host, argMax(state, time_us) "
		"AS s, "
		"argMax(reason, time_us) AS why, argMax(refused_before_hour, time_us) AS b, "
		"argMax(refused_after_hour, time_us) AS f, max(watched) AS w, max(would_refuse) AS "
		"d "
		"FROM policy WHERE ts >= toDateTime(%lu) AND ts < toDateTime(%lu) GROUP BY "
		"version, "
		"host) GROUP BY version ORDER BY version DESC LIMIT %lu FORMAT JSONCompact",
		seconds(q->span.from_ns), seconds(q->span.to_ns), q->limit);
	answer = fleet_json(a->scan.fleet, &query);
	if (!answer)
		return -EREMOTEIO;
	rows = json_object_get(answer, "data");
	json_array_foreach(rows, i, row)
	{
		if (r < 0)
			break;
		line_begin(a);
		for (size_t m = 0; m < ARRAY_SIZE(policy_members); m++)
			put_member(&a->j, &policy_members[m], json_array_get(row, m));
		r = line_end(a);
	}
	if (r == 0)
		r = put_end(a, json_array_size(rows), json_array_size(rows));
	json_decref(answer);
	return r;
}
