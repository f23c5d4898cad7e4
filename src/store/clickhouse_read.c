/* SPDX-License-Identifier: Apache-2.0 */
#include "store/clickhouse_read.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "base/hash.h"
#include "base/time.h"
#include "decode/appproto.h"
#include "flow/names.h"
#include "flow/verdict.h"
#include "store/leb.h"

#define TEXT_MAX (1U << 20)
#define PARTS_MAX 65536U
#define PENDING_MAX (16U << 20) /* of a row that is not whole yet */

const char *clickhouse_column_name(enum clickhouse_column c)
{
	static const char *const names[COLUMN_COUNT] = {
#define X(id, name) [COLUMN_##id] = name,
		CLICKHOUSE_COLUMNS(X)
#undef X
			[COLUMN_CALLS] = "calls",
		[COLUMN_PACKETS] = "packets",
		[COLUMN_BYTES] = "bytes",
	};

	return names[c];
}

/* ---- values ---- */

struct taking {
	struct str in;
	bool is_short, is_bad;
	struct clickhouse_piece *p;
	struct addr our, peer;
	uint16_t our_port, peer_port;
};

static struct str take_bytes(struct taking *t, size_t n)
{
	struct str s = str_sub(t->in, 0, n);

	if (s.n < n) {
		t->is_short = true;
		return STR_NONE;
	}
	t->in = str_sub(t->in, n, t->in.n);
	return n ? s : STR_NONE;
}

static uint64_t take_number(struct taking *t, size_t bytes)
{
	struct str s = take_bytes(t, bytes);
	uint64_t v = 0;

	for (size_t i = s.n; i--;)
		v = v << 8 | (uint8_t)s.p[i];
	return v;
}

static uint64_t take_us(struct taking *t)
{
	uint64_t us = take_number(t, 8);

	t->is_bad = t->is_bad || us > UINT64_MAX / NSEC_PER_USEC;
	return us * NSEC_PER_USEC;
}

static size_t take_count(struct taking *t, size_t most)
{
	uint64_t n = 0;

	if (!leb_take(&t->in, &n)) {
		t->is_bad = t->is_bad || t->in.n >= LEB_MAX;
		t->is_short = true;
		return 0;
	}
	t->is_bad = t->is_bad || n > most;
	return t->is_bad ? 0 : n;
}

static struct str take_text(struct taking *t)
{
	return take_bytes(t, take_count(t, TEXT_MAX));
}

static void take_addr(struct taking *t, struct addr *ret)
{
	struct str s = take_bytes(t, sizeof(ret->b));

	if (s.n)
		memcpy(ret->b, s.p, sizeof(ret->b));
}

/* ---- columns ---- */

static uint8_t action_of(struct str word)
{
	for (uint8_t a = 1; verdict_action_name(a); a++)
		if (str_eq(word, str_of(verdict_action_name(a))))
			return a;
	return 0;
}

static uint8_t source_of(struct str word)
{
	for (int s = NAME_DNS; s <= NAME_HOSTS; s++)
		if (str_eq(word, str_of(name_source_name((enum name_source)s))))
			return (uint8_t)s;
	return NAME_NONE;
}

static void take_names(struct taking *t, struct store_peer *p)
{
	size_t n = take_count(t, PARTS_MAX);

	for (size_t i = 0; i < n && !t->is_short && !t->is_bad; i++) {
		struct str s = take_text(t);

		if (p->n_names < STORE_NAMES_MAX)
			p->names[p->n_names++] = s;
	}
}

/* An ancestor's executable or, where that is not known, what it is called: paths begin with '/'. */
static void take_ancestors(struct taking *t, struct store_who *w, bool pids)
{
	size_t n = take_count(t, PARTS_MAX);

	for (size_t i = 0; i < n && !t->is_short && !t->is_bad; i++) {
		uint64_t pid = pids ? take_number(t, 4) : 0;
		struct str s = pids ? STR_NONE : take_text(t);

		if (i >= STORE_ANCESTORS_MAX)
			continue;
		if (pids)
			w->ancestors[i].pid = (uint32_t)pid;
		else if (s.n && s.p[0] == '/')
			w->ancestors[i].exe = s;
		else
			w->ancestors[i].comm = s;
		w->n_ancestors = i + 1;
	}
}

enum kind { TEXT, NUMBER, FLAG, MICROSECONDS, ADDRESS, OTHER };

#define ROW(field) offsetof(struct store_row, field), sizeof(((struct store_row *)0)->field)
#define TAKING(field) offsetof(struct taking, field), sizeof(((struct taking *)0)->field)

/* `bytes` of a number on the wire; where it goes: a field of the row, or (`own`) of what is being taken. */
static const struct {
	uint8_t kind, bytes;
	bool own;
	size_t offset, size;
} kinds[COLUMN_COUNT] = {
	[COLUMN_HOST] = { TEXT, 0, false, ROW(host) },
	[COLUMN_BOOT] = { NUMBER, 8, false, ROW(boot) },
	[COLUMN_FLOW_ID] = { NUMBER, 8, false, ROW(flow_id) },
	[COLUMN_SEQ] = { NUMBER, 4, false, ROW(seq) },
	[COLUMN_ENDS] = { FLAG, 1, false, ROW(ends) },
	[COLUMN_START] = { MICROSECONDS, 8, false, ROW(start_ns) },
	[COLUMN_FROM] = { MICROSECONDS, 8, false, ROW(from_ns) },
	[COLUMN_TO] = { MICROSECONDS, 8, false, ROW(to_ns) },
	[COLUMN_PROTO] = { NUMBER, 1, false, ROW(key.proto) },
	[COLUMN_OUR_IP] = { ADDRESS, 16, true, TAKING(our) },
	[COLUMN_OUR_PORT] = { NUMBER, 2, true, TAKING(our_port) },
	[COLUMN_PEER_IP] = { ADDRESS, 16, true, TAKING(peer) },
	[COLUMN_PEER_PORT] = { NUMBER, 2, true, TAKING(peer_port) },
	[COLUMN_ZONE] = { NUMBER, 8, false, ROW(key.zone) },
	[COLUMN_INBOUND] = { FLAG, 1, false, ROW(key_is_ours_dst) },
	[COLUMN_FORWARDED] = { FLAG, 1, false, ROW(forwarded) },
	[COLUMN_UP] = { NUMBER, 8, false, ROW(up_bytes) },
	[COLUMN_DOWN] = { NUMBER, 8, false, ROW(down_bytes) },
	[COLUMN_UP_PACKETS] = { NUMBER, 8, false, ROW(up_packets) },
	[COLUMN_DOWN_PACKETS] = { NUMBER, 8, false, ROW(down_packets) },
	[COLUMN_PAYLOAD_KNOWN] = { FLAG, 1, false, ROW(payload_known) },
	[COLUMN_UP_PAYLOAD] = { NUMBER, 8, false, ROW(up_payload) },
	[COLUMN_DOWN_PAYLOAD] = { NUMBER, 8, false, ROW(down_payload) },
	[COLUMN_OPENER_FLAGS] = { NUMBER, 1, false, ROW(tcp_flags[0]) },
	[COLUMN_RESPONDER_FLAGS] = { NUMBER, 1, false, ROW(tcp_flags[1]) },
	[COLUMN_RETRANSMITS] = { NUMBER, 4, false, ROW(retransmits) },
	[COLUMN_RESETS] = { NUMBER, 4, false, ROW(resets) },
	[COLUMN_RTT] = { NUMBER, 4, false, ROW(rtt_us) },
	[COLUMN_STATE] = { NUMBER, 1, false, ROW(state) },
	[COLUMN_END] = { NUMBER, 1, false, ROW(end) },
	[COLUMN_DIRECTION] = { NUMBER, 1, false, ROW(direction) },
	[COLUMN_MID_STREAM] = { FLAG, 1, false, ROW(mid_stream) },
	[COLUMN_IFINDEX] = { NUMBER, 4, false, ROW(ifindex) },
	[COLUMN_APP] = { OTHER, 0, false, 0, 0 },
	[COLUMN_PID] = { NUMBER, 4, false, ROW(who.pid) },
	[COLUMN_UID] = { NUMBER, 4, false, ROW(who.uid) },
	[COLUMN_USER] = { TEXT, 0, false, ROW(who.user) },
	[COLUMN_EXE] = { TEXT, 0, false, ROW(who.exe) },
	[COLUMN_COMM] = { TEXT, 0, false, ROW(who.comm) },
	[COLUMN_UNIT] = { TEXT, 0, false, ROW(who.unit) },
	[COLUMN_CONTAINER_NAME] = { TEXT, 0, false, ROW(who.container_name) },
	[COLUMN_CONTAINER_IMAGE] = { TEXT, 0, false, ROW(who.container_image) },
	[COLUMN_PPID] = { NUMBER, 4, false, ROW(who.ppid) },
	[COLUMN_PROC_START] = { MICROSECONDS, 8, false, ROW(who.start_ns) },
	[COLUMN_EXE_STATE] = { NUMBER, 1, false, ROW(who.exe_state) },
	[COLUMN_ARGS] = { TEXT, 0, false, ROW(who.args) },
	[COLUMN_CGROUP] = { TEXT, 0, false, ROW(who.cgroup) },
	[COLUMN_CONTAINER_ID] = { TEXT, 0, false, ROW(who.container_id) },
	[COLUMN_CONTAINER_RUNTIME] = { TEXT, 0, false, ROW(who.container_runtime) },
	[COLUMN_ANCESTOR_PIDS] = { OTHER, 0, false, 0, 0 },
	[COLUMN_ANCESTOR_EXES] = { OTHER, 0, false, 0, 0 },
	[COLUMN_NAME] = { TEXT, 0, false, ROW(peer.name) },
	[COLUMN_NAME_SOURCE] = { OTHER, 0, false, 0, 0 },
	[COLUMN_DOMAIN] = { TEXT, 0, false, ROW(peer.domain) },
	[COLUMN_SEGMENT] = { TEXT, 0, false, ROW(peer.segment) },
	[COLUMN_COUNTRY] = { OTHER, 0, false, 0, 0 },
	[COLUMN_ASN] = { NUMBER, 4, false, ROW(peer.asn) },
	[COLUMN_NAMES] = { OTHER, 0, false, 0, 0 },
	[COLUMN_AS_ORG] = { TEXT, 0, false, ROW(peer.as_org) },
	[COLUMN_ACTION] = { OTHER, 0, false, 0, 0 },
	[COLUMN_WOULD_REFUSE] = { FLAG, 1, false, ROW(rule.would_refuse) },
	[COLUMN_REFUSED] = { FLAG, 1, false, ROW(rule.refused) },
	[COLUMN_RULE_FILE] = { TEXT, 0, false, ROW(rule.file) },
	[COLUMN_RULE_LINE] = { NUMBER, 4, false, ROW(rule.line) },
	[COLUMN_RULE_TEXT] = { TEXT, 0, false, ROW(rule.text) },
	[COLUMN_RULE_NOTE] = { TEXT, 0, false, ROW(rule.note) },
	[COLUMN_JA3] = { TEXT, 0, false, ROW(ja3) },
	[COLUMN_JA4] = { TEXT, 0, false, ROW(ja4) },
	[COLUMN_CALLS] = { NUMBER, 8, false, ROW(refused_calls) },
	[COLUMN_PACKETS] = { NUMBER, 8, false, ROW(refused_packets) },
	[COLUMN_BYTES] = { NUMBER, 8, false, ROW(refused_bytes) },
	[COLUMN_FLOWS] = { OTHER, 0, false, 0, 0 },
	[COLUMN_BUCKET] = { OTHER, 0, false, 0, 0 },
};

static void take_other(struct taking *t, enum clickhouse_column c)
{
	struct store_row *row = &t->p->row;
	struct str s;

	switch (c) {
	case COLUMN_APP:
		s = take_text(t);
		row->app = s.n ? (uint16_t)app_parse(s) : APP_UNDECIDED;
		break;
	case COLUMN_ANCESTOR_PIDS:
	case COLUMN_ANCESTOR_EXES:
		take_ancestors(t, &row->who, c == COLUMN_ANCESTOR_PIDS);
		break;
	case COLUMN_NAME_SOURCE:
		row->peer.name_source = source_of(take_text(t));
		break;
	case COLUMN_COUNTRY:
		s = take_text(t);
		if (s.n < sizeof(row->peer.country))
			memcpy(row->peer.country, s.p ?: "", s.n);
		break;
	case COLUMN_NAMES:
		take_names(t, &row->peer);
		break;
	case COLUMN_ACTION:
		row->rule.action = action_of(take_text(t));
		break;
	case COLUMN_FLOWS:
		t->p->flows = take_number(t, 8);
		break;
	case COLUMN_BUCKET:
		t->p->bucket_ns = take_number(t, 4) * NSEC_PER_SEC;
		break;
	default:
		t->is_bad = true;
	}
}

static void take_column(struct taking *t, enum clickhouse_column c)
{
	char *to = kinds[c].own ? (char *)t : (char *)&t->p->row;
	uint64_t v;

	to += kinds[c].offset;
	switch (kinds[c].kind) {
	case TEXT:
		*(struct str *)(void *)to = take_text(t);
		break;
	case ADDRESS:
		take_addr(t, (struct addr *)(void *)to);
		break;
	case NUMBER:
	case FLAG:
	case MICROSECONDS:
		v = kinds[c].kind == MICROSECONDS ? take_us(t) : take_number(t, kinds[c].bytes);
		v = kinds[c].kind == FLAG ? v != 0 : v;
		memcpy(to, &v, kinds[c].size); /* little-endian, as all that egret runs on */
		break;
	default:
		take_other(t, c);
	}
}

/* What several columns make together. */
static void complete(struct taking *t)
{
	struct store_row *row = &t->p->row;
	struct event_key *k = &row->key;
	bool in = row->key_is_ours_dst;

	k->src = in ? t->peer : t->our;
	k->dst = in ? t->our : t->peer;
	k->sport = in ? t->peer_port : t->our_port;
	k->dport = in ? t->our_port : t->peer_port;
	row->has_who = row->who.pid || row->who.exe.n || row->who.comm.n;
	row->who.has_uid = row->has_who && row->who.uid != UINT32_MAX;
	/* Runs of different machines may have the same number. */
	if (row->host.n)
		row->boot ^= hash_bytes(row->host.p, row->host.n, 0);
}

int clickhouse_take_row(struct str *in, const uint8_t *columns, size_t n,
			struct clickhouse_piece *ret)
{
	struct taking t = { .in = *in, .p = ret };

	*ret = (struct clickhouse_piece){ 0 };
	for (size_t i = 0; i < n && !t.is_short && !t.is_bad; i++)
		take_column(&t, (enum clickhouse_column)columns[i]);
	if (t.is_bad)
		return -EBADMSG;
	if (t.is_short)
		return 0;
	complete(&t);
	*in = t.in;
	return 1;
}

/* ---- reading ---- */

struct reading {
	const uint8_t *columns;
	size_t n;
	clickhouse_piece_fn fn;
	void *ctx;
	struct buf pending; /* up to the next whole row */
	int stopped;
};

static bool on_part(void *ctx, struct str part)
{
	struct clickhouse_piece p;
	struct reading *r = ctx;
	struct str rest;
	int got = 1;

	buf_put_str(&r->pending, part);
	if (r->pending.failed) {
		r->stopped = -EBADMSG;
		return false;
	}
	rest = buf_str(&r->pending);
	while (r->stopped == 0 && rest.n &&
	       (got = clickhouse_take_row(&rest, r->columns, r->n, &p)) > 0)
		r->stopped = r->fn(r->ctx, &p);
	if (got < 0)
		r->stopped = got;
	buf_drop_front(&r->pending, r->pending.n - rest.n);
	return r->stopped == 0;
}

int clickhouse_read(struct clickhouse_http *h, struct str query, const uint8_t *columns, size_t n,
		    clickhouse_piece_fn fn, void *ctx, char why[SHIP_WHY_MAX])
{
	_cleanup_buf_ struct buf whole = BUF_INIT(query.n + 32);
	struct reading reading = {
		.columns = columns, .n = n, .fn = fn, .ctx = ctx, .pending = BUF_INIT(PENDING_MAX)
	};
	int r;

	buf_put_str(&whole, query);
	buf_puts(&whole, " FORMAT RowBinary");
	r = clickhouse_http_ask(h, buf_str(&whole), on_part, &reading, why);
	if (reading.stopped)
		r = reading.stopped;
	else if (r == 0 && reading.pending.n)
		r = -EBADMSG;
	if (r == -EBADMSG)
		snprintf(why, SHIP_WHY_MAX, "its answer cannot be read");
	buf_done(&reading.pending);
	return r;
}
