/* SPDX-License-Identifier: Apache-2.0 */
#include "store/clickhouse_table.h"

#include <errno.h>

#include "base/cleanup.h"
#include "store/leb.h"

enum kind { U8, U16, U32, U64, ADDR, TEXT, TEXTS, U32S };

/*
 * C(column, kind), in the order in which store/clickhouse_row.c appends values. All tables begin with ts, host and boot; ts is a
 * DateTime, 32 bits of seconds.
 */
/* clang-format off */
#define WHO(C) \
	C(pid, U32) C(uid, U32) C(user, TEXT) C(exe, TEXT) C(comm, TEXT) C(unit, TEXT) \
	C(container_name, TEXT) C(container_image, TEXT)
#define ENDS(C) \
	C(proto, U8) C(our_ip, ADDR) C(our_port, U16) C(peer_ip, ADDR) C(peer_port, U16)
#define PEER(C) \
	C(name, TEXT) C(name_source, TEXT) C(domain, TEXT) C(segment, TEXT) C(country, TEXT) \
	C(asn, U32)
#define RULE(C) \
	C(action, TEXT) C(would_refuse, U8) C(refused, U8) C(rule_file, TEXT) C(rule_line, U32) \
	C(rule_text, TEXT) C(rule_note, TEXT)

#define FLOW(C) \
	C(flow_id, U64) C(seq, U32) C(ends, U8) C(start_us, U64) C(from_us, U64) C(to_us, U64) \
	ENDS(C) C(zone, U64) C(inbound, U8) C(forwarded, U8) \
	C(up_bytes, U64) C(down_bytes, U64) C(up_packets, U64) C(down_packets, U64) \
	C(payload_known, U8) C(up_payload, U64) C(down_payload, U64) \
	C(opener_flags, U8) C(responder_flags, U8) C(retransmits, U32) C(resets, U32) \
	C(rtt_us, U32) C(state, U8) C(end, U8) C(direction, U8) C(mid_stream, U8) \
	C(ifindex, U32) C(app, TEXT) \
	WHO(C) C(ppid, U32) C(proc_start_us, U64) C(exe_state, U8) C(args, TEXTS) C(cgroup, TEXT) \
	C(container_id, TEXT) C(container_runtime, TEXT) C(ancestor_pids, U32S) \
	C(ancestor_exes, TEXTS) \
	PEER(C) C(names, TEXTS) C(as_org, TEXT) RULE(C) C(ja3, TEXT) C(ja4, TEXT)
#define NAME(C) \
	C(time_us, U64) C(flow_id, U64) C(resolver_ip, ADDR) C(resolver_port, U16) C(name, TEXT) \
	C(type, TEXT) C(rcode, TEXT) C(answers, TEXTS) C(ttl, U32) WHO(C)
#define VERDICT(C) \
	C(flow_id, U64) C(seq, U32) C(from_us, U64) C(to_us, U64) ENDS(C) C(inbound, U8) \
	C(forwarded, U8) C(app, TEXT) C(calls, U64) C(packets, U64) C(bytes, U64) \
	WHO(C) PEER(C) RULE(C)
#define FINDING(C) \
	C(time_us, U64) C(id, TEXT) C(state, TEXT) C(level, TEXT) C(class, TEXT) \
	C(detector, TEXT) C(score_db, U32) C(acked, U8) C(entity, TEXT) C(peer, TEXT) \
	C(name, TEXT) C(peer_ip, ADDR) C(record, TEXT)
#define HOST(C) \
	C(time_us, U64) C(version, TEXT) C(watch, TEXT) C(policy_mode, TEXT) C(policy_file, TEXT) \
	C(policy_rules, U32) C(uptime_s, U64) C(flows, U64) C(lost, U64) C(lost_spool, U64) \
	C(waiting, U64) C(spool_bytes, U64)

#define POLICY(C) \
	C(time_us, U64) C(version, U64) C(group_name, TEXT) C(stage, TEXT) C(state, TEXT) \
	C(reason, TEXT) C(policy_file, TEXT) C(rules, U32) C(refused_before_hour, U64) \
	C(refused_after_hour, U64) C(watched, U64) C(would_refuse, U64)

#define COLUMN_NAME(column, kind) ", " #column
#define COLUMN_KIND(column, kind) kind,
#define KINDS(COLUMNS) (const uint8_t[]){ U32, TEXT, U64, COLUMNS(COLUMN_KIND) }
#define TABLE(version, COLUMNS) { \
	version, \
	"INSERT INTO " version " (ts, host, boot" COLUMNS(COLUMN_NAME) ") FORMAT RowBinary", \
	KINDS(COLUMNS), \
	sizeof(KINDS(COLUMNS)), \
}
/* clang-format on */

static const struct {
	const char *name, *insert;
	const uint8_t *kinds;
	size_t n;
} tables[CLICKHOUSE_TABLES] = {
	[CLICKHOUSE_FLOW] = TABLE("flow_1", FLOW),
	[CLICKHOUSE_NAME] = TABLE("name_1", NAME),
	[CLICKHOUSE_VERDICT] = TABLE("verdict_1", VERDICT),
	[CLICKHOUSE_FINDING] = TABLE("finding_1", FINDING),
	[CLICKHOUSE_HOST] = TABLE("host_1", HOST),
	[CLICKHOUSE_POLICY] = TABLE("policy_1", POLICY),
};

const char *clickhouse_insert(enum clickhouse_table t)
{
	return tables[t].insert;
}

const char *clickhouse_table_name(enum clickhouse_table t)
{
	return tables[t].name;
}

int clickhouse_table_of(struct str insert)
{
	for (int t = 0; t < CLICKHOUSE_TABLES; t++)
		if (str_eq(insert, str_of(tables[t].insert)))
			return t;
	return -1;
}

/* ---- reading ---- */

static const uint8_t sizes[] = { [U8] = 1, [U16] = 2, [U32] = 4, [U64] = 8, [ADDR] = 16 };

static bool skip(struct str *in, size_t n)
{
	if (in->n < n)
		return false;
	in->p += n;
	in->n -= n;
	return true;
}

/* Not one byte longer than it has to be: ClickHouse reads at most 9, and what it reads differently would shift all that follows. */
static bool take_count(struct str *in, uint64_t max, uint64_t *ret)
{
	size_t before = in->n;
	char shortest[LEB_MAX];

	return leb_take(in, ret) && *ret <= max && leb_put(shortest, *ret) == before - in->n;
}

static bool take_text(struct str *in, struct str *ret)
{
	uint64_t n;

	if (!take_count(in, CLICKHOUSE_ROW_MAX, &n))
		return false;
	*ret = str_sub(*in, 0, n);
	return skip(in, n);
}

static bool skip_texts(struct str *in)
{
	struct str one;
	uint64_t n;

	if (!take_count(in, CLICKHOUSE_PARTS_MAX, &n))
		return false;
	while (n--)
		if (!take_text(in, &one))
			return false;
	return true;
}

static bool skip_value(struct str *in, uint8_t kind)
{
	struct str text;
	uint64_t n;

	switch (kind) {
	case TEXT:
		return take_text(in, &text);
	case TEXTS:
		return skip_texts(in);
	case U32S:
		return take_count(in, CLICKHOUSE_PARTS_MAX, &n) && skip(in, n * sizes[U32]);
	}
	return skip(in, sizes[kind]);
}

/* `in` begins with the row; it is left behind it. */
static bool take_row(enum clickhouse_table t, struct str *in, uint32_t *ret_ts,
		     struct str *ret_host)
{
	const uint8_t *ts = (const uint8_t *)in->p;
	size_t before = in->n;

	if (!skip(in, sizes[U32]) || !take_text(in, ret_host))
		return false;
	*ret_ts = ts[0] | (uint32_t)ts[1] << 8 | (uint32_t)ts[2] << 16 | (uint32_t)ts[3] << 24;
	for (size_t i = 2; i < tables[t].n; i++)
		if (!skip_value(in, tables[t].kinds[i]))
			return false;
	return before - in->n <= CLICKHOUSE_ROW_MAX;
}

int clickhouse_walk(enum clickhouse_table t, struct str bytes, clickhouse_row_fn on_row, void *ctx,
		    uint32_t *ret_rows)
{
	uint32_t rows = 0, ts;
	struct str host;
	int r;

	for (; bytes.n; rows++) {
		if (!take_row(t, &bytes, &ts, &host))
			return -EBADMSG;
		r = on_row ? on_row(ctx, ts, host) : 0;
		if (r)
			return r;
	}
	*ret_rows = rows;
	return 0;
}
