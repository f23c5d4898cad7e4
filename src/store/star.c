/* SPDX-License-Identifier: Apache-2.0 */
#include "store/star.h"

#include <errno.h>

#include "store/leb.h"

#define KEPT_BYTES (128U << 20)

struct chain {
	uint32_t pid;
	uint64_t next;
	struct str exe, comm;
};

struct peer {
	struct addr addr;
	struct store_peer peer;
};

struct boot {
	uint64_t boot, base;
};

int star_open(struct star *d, sqlite3 *db, int64_t day)
{
	static const char *const sql[] = {
#define X(id, table, columns, n) "SELECT " columns " FROM " table " WHERE id = ?",
		PIECE_DIMS(X)
#undef X
	};
	int r;

	*d = (struct star){ .db = db, .day = day };
	r = db_prepare(db, "SELECT boot, base FROM boot WHERE id = ?", &d->boot);

	for (size_t i = 0; r == 0 && i < PIECE_DIM_COUNT; i++)
		r = db_prepare(db, sql[i], &d->dims[i]);
	return r;
}

void star_close(struct star *d)
{
	for (size_t i = 0; i < PIECE_DIM_COUNT; i++) {
		sqlite3_finalize(d->dims[i]);
		shelf_done(&d->shelves[i]);
	}
	sqlite3_finalize(d->boot);
	shelf_done(&d->boots);
	arena_done(&d->arena);
}

uint64_t star_ns(int64_t us)
{
	return us > 0 && (uint64_t)us < UINT64_MAX / NSEC_PER_USEC ? (uint64_t)us * NSEC_PER_USEC
								   : 0;
}

/* The row of a dimension, or -EBADMSG; reset the statement after use. */
static int look_up(sqlite3_stmt *s, int64_t id)
{
	int rc;

	sqlite3_bind_int64(s, 1, id);
	rc = sqlite3_step(s);
	if (rc == SQLITE_ROW)
		return 0;
	sqlite3_reset(s);
	return db_errno(rc) ?: -EBADMSG;
}

/* What was found is kept under its id. */
static int keep(struct shelf *shelf, int64_t id, void *v)
{
	return shelf_put(shelf, (uint64_t)id, v) ? 0 : -EBADMSG;
}

static int text_of(struct star *d, int64_t id, struct str *ret)
{
	struct shelf *shelf = &d->shelves[PIECE_DIM_TEXT];
	struct str *t = shelf_get(shelf, (uint64_t)id);
	int r;

	*ret = STR_NONE;
	if (!id)
		return 0;
	if (!t) {
		r = look_up(d->dims[PIECE_DIM_TEXT], id);
		if (r < 0)
			return r;
		t = arena_get(&d->arena, sizeof(*t));
		r = t && arena_text(&d->arena, db_bytes(d->dims[PIECE_DIM_TEXT], 0), t)
			    ? keep(shelf, id, t)
			    : -ENOMEM;
		sqlite3_reset(d->dims[PIECE_DIM_TEXT]);
		if (r < 0)
			return r;
	}
	*ret = *t;
	return 0;
}

/* Texts that columns of a row name by id; the row must not be stepped on meanwhile. */
static int texts_of(struct star *d, sqlite3_stmt *s, int column, struct str *const *to, size_t n)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < n; i++)
		r = text_of(d, sqlite3_column_int64(s, column + (int)i), to[i]);
	return r;
}

static int name_of(struct star *d, int64_t id, struct str *ret)
{
	struct shelf *shelf = &d->shelves[PIECE_DIM_NAME];
	struct str *t = shelf_get(shelf, (uint64_t)id), back;
	int r;

	*ret = STR_NONE;
	if (!id)
		return 0;
	if (!t) {
		r = look_up(d->dims[PIECE_DIM_NAME], id);
		if (r < 0)
			return r;
		back = db_bytes(d->dims[PIECE_DIM_NAME], 0);
		t = arena_get(&d->arena, sizeof(*t));
		r = t && arena_text(&d->arena, back, t) ? keep(shelf, id, t) : -ENOMEM;
		sqlite3_reset(d->dims[PIECE_DIM_NAME]);
		if (r < 0)
			return r;
		for (size_t i = 0, k = t->n; i + 1 < k; i++) {
			char *p = (char *)t->p, c = p[i];

			p[i] = p[--k];
			p[k] = c;
		}
	}
	*ret = *t;
	return 0;
}

static int chain_of(struct star *d, int64_t id, const struct chain **ret)
{
	struct shelf *shelf = &d->shelves[PIECE_DIM_CHAIN];
	sqlite3_stmt *s = d->dims[PIECE_DIM_CHAIN];
	struct chain *c = shelf_get(shelf, (uint64_t)id);
	int r = 0;

	if (!c) {
		r = look_up(s, id);
		if (r < 0)
			return r;
		c = arena_get(&d->arena, sizeof(*c));
		if (c) {
			c->next = (uint64_t)sqlite3_column_int64(s, 0);
			c->pid = (uint32_t)sqlite3_column_int64(s, 1);
			r = texts_of(d, s, 2, (struct str *[]){ &c->exe, &c->comm }, 2);
		}
		sqlite3_reset(s);
		if (!c || r < 0)
			return c ? r : -ENOMEM;
		r = keep(shelf, id, c);
	}
	*ret = c;
	return r;
}

static int image_of(struct star *d, int64_t id, const struct store_who **ret)
{
	struct shelf *shelf = &d->shelves[PIECE_DIM_IMAGE];
	sqlite3_stmt *s = d->dims[PIECE_DIM_IMAGE];
	struct store_who *w = shelf_get(shelf, (uint64_t)id);
	int r = 0;

	if (!w) {
		r = look_up(s, id);
		if (r < 0)
			return r;
		w = arena_get(&d->arena, sizeof(*w));
		if (w) {
			memset(w, 0, sizeof(*w));
			w->exe_state = (uint8_t)sqlite3_column_int(s, 2);
			w->has_uid = sqlite3_column_type(s, 3) == SQLITE_INTEGER;
			w->uid = (uint32_t)sqlite3_column_int64(s, 3);
			r = texts_of(d, s, 0, (struct str *[]){ &w->exe, &w->comm }, 2);
			if (r == 0)
				r = texts_of(d, s, 4,
					     (struct str *[]){ &w->user, &w->cgroup, &w->unit,
							       &w->container_id, &w->container_name,
							       &w->container_image,
							       &w->container_runtime },
					     7);
		}
		sqlite3_reset(s);
		if (!w || r < 0)
			return w ? r : -ENOMEM;
		r = keep(shelf, id, w);
	}
	*ret = w;
	return r;
}

static int proc_fill(struct star *d, sqlite3_stmt *s, struct store_who *w)
{
	int64_t next = sqlite3_column_int64(s, 5);
	const struct store_who *image;
	const struct chain *c;
	int r = image_of(d, sqlite3_column_int64(s, 0), &image);

	if (r < 0)
		return r;
	*w = *image;
	w->pid = (uint32_t)sqlite3_column_int64(s, 1);
	w->ppid = (uint32_t)sqlite3_column_int64(s, 2);
	w->start_ns = star_ns(sqlite3_column_int64(s, 3));
	r = text_of(d, sqlite3_column_int64(s, 4), &w->args);
	while (r == 0 && next && w->n_ancestors < STORE_ANCESTORS_MAX) {
		r = chain_of(d, next, &c);
		if (r < 0)
			break;
		w->ancestors[w->n_ancestors].pid = c->pid;
		w->ancestors[w->n_ancestors].exe = c->exe;
		w->ancestors[w->n_ancestors++].comm = c->comm;
		next = (int64_t)c->next;
	}
	return r;
}

static int proc_of(struct star *d, int64_t id, const struct store_who **ret)
{
	struct shelf *shelf = &d->shelves[PIECE_DIM_PROC];
	struct store_who *w = shelf_get(shelf, (uint64_t)id);
	int r;

	if (!w) {
		r = look_up(d->dims[PIECE_DIM_PROC], id);
		if (r < 0)
			return r;
		w = arena_get(&d->arena, sizeof(*w));
		r = w ? proc_fill(d, d->dims[PIECE_DIM_PROC], w) : -ENOMEM;
		sqlite3_reset(d->dims[PIECE_DIM_PROC]);
		if (r == 0)
			r = keep(shelf, id, w);
		if (r < 0)
			return r;
	}
	*ret = w;
	return 0;
}

static bool addr_read(struct str s, struct addr *ret)
{
	if (s.n == 4)
		*ret = addr_from_v4(s.p);
	else if (s.n == 16)
		*ret = addr_from_v6(s.p);
	return s.n == 4 || s.n == 16;
}

static int place_fill(struct star *d, int64_t id, struct store_peer *p)
{
	sqlite3_stmt *s = d->dims[PIECE_DIM_PLACE];
	int r = look_up(s, id);
	struct str country;

	if (r < 0)
		return r;
	country = db_bytes(s, 1);
	if (country.n == 2)
		memcpy(p->country, country.p, 2);
	p->asn = (uint32_t)sqlite3_column_int64(s, 2);
	r = text_of(d, sqlite3_column_int64(s, 0), &p->segment);
	if (r == 0)
		r = text_of(d, sqlite3_column_int64(s, 3), &p->as_org);
	sqlite3_reset(s);
	return r;
}

static int peer_fill(struct star *d, sqlite3_stmt *s, struct peer *p)
{
	int64_t domain = sqlite3_column_int64(s, 3);
	struct str more = db_bytes(s, 4);
	uint64_t id;
	int r;

	memset(p, 0, sizeof(*p));
	if (!addr_read(db_bytes(s, 0), &p->addr))
		return -EBADMSG;
	p->peer.name_source = (uint8_t)sqlite3_column_int(s, 2);
	r = name_of(d, sqlite3_column_int64(s, 1), &p->peer.name);
	if (r == 0 && domain > 0 && (uint64_t)domain <= p->peer.name.n)
		p->peer.domain =
			str_sub(p->peer.name, p->peer.name.n - (size_t)domain, (size_t)domain);
	while (r == 0 && p->peer.n_names < STORE_NAMES_MAX && leb_take(&more, &id))
		r = name_of(d, (int64_t)id, &p->peer.names[p->peer.n_names++]);
	return r < 0 ? r : place_fill(d, sqlite3_column_int64(s, 5), &p->peer);
}

static int peer_of(struct star *d, int64_t id, const struct peer **ret)
{
	struct shelf *shelf = &d->shelves[PIECE_DIM_PEER];
	struct peer *p = shelf_get(shelf, (uint64_t)id);
	int r;

	if (!p) {
		r = look_up(d->dims[PIECE_DIM_PEER], id);
		if (r < 0)
			return r;
		p = arena_get(&d->arena, sizeof(*p));
		r = p ? peer_fill(d, d->dims[PIECE_DIM_PEER], p) : -ENOMEM;
		sqlite3_reset(d->dims[PIECE_DIM_PEER]);
		if (r == 0)
			r = keep(shelf, id, p);
		if (r < 0)
			return r;
	}
	*ret = p;
	return 0;
}

static int boot_of(struct star *d, int64_t id, const struct boot **ret)
{
	struct boot *b = shelf_get(&d->boots, (uint64_t)id);
	int r;

	if (!b) {
		r = look_up(d->boot, id);
		if (r < 0)
			return r;
		b = arena_get(&d->arena, sizeof(*b));
		if (b)
			*b = (struct boot){ (uint64_t)sqlite3_column_int64(d->boot, 0),
					    (uint64_t)sqlite3_column_int64(d->boot, 1) };
		sqlite3_reset(d->boot);
		r = b ? keep(&d->boots, id, b) : -ENOMEM;
		if (r < 0)
			return r;
	}
	*ret = b;
	return 0;
}

static int rule_fill(struct star *d, int64_t id, struct store_rule *rule)
{
	sqlite3_stmt *s = d->dims[PIECE_DIM_RULE];
	int r;

	if (!id)
		return 0;
	r = look_up(s, id);
	if (r < 0)
		return r;
	rule->line = (uint32_t)sqlite3_column_int64(s, 0);
	r = texts_of(d, s, 1, (struct str *[]){ &rule->file, &rule->text, &rule->note }, 3);
	sqlite3_reset(s);
	return r;
}

/* What a kind says of a row; flow_id is then what ids are counted from. */
static int kind_fill(struct star *d, sqlite3_stmt *s, struct store_row *row)
{
	unsigned bits = (unsigned)sqlite3_column_int(s, 8);
	const struct boot *boot;
	struct addr ours;
	int r;

	memset(row, 0, sizeof(*row));
	if (!addr_read(db_bytes(s, 9), &ours))
		return -EBADMSG;
	row->key.proto = (uint8_t)sqlite3_column_int(s, 0);
	row->key.dport = (uint16_t)sqlite3_column_int(s, 1);
	row->app = (uint16_t)sqlite3_column_int(s, 2);
	row->direction = (uint8_t)sqlite3_column_int(s, 3);
	row->state = (uint8_t)sqlite3_column_int(s, 4);
	row->end = (uint8_t)sqlite3_column_int(s, 5);
	row->tcp_flags[0] = (uint8_t)sqlite3_column_int(s, 6);
	row->tcp_flags[1] = (uint8_t)sqlite3_column_int(s, 7);
	row->mid_stream = bits & PIECE_MID_STREAM;
	row->payload_known = bits & PIECE_PAYLOAD_KNOWN;
	row->key_is_ours_dst = bits & PIECE_OURS_IS_DST;
	row->ends = bits & PIECE_ENDS;
	row->rule.would_refuse = bits & PIECE_WOULD_REFUSE;
	row->rule.refused = bits & PIECE_REFUSED;
	row->forwarded = bits & PIECE_FORWARDED;
	*(row->key_is_ours_dst ? &row->key.dst : &row->key.src) = ours;
	row->ifindex = (uint32_t)sqlite3_column_int64(s, 10);
	row->key.zone = (uint64_t)sqlite3_column_int64(s, 11);
	row->rule.action = (uint8_t)sqlite3_column_int(s, 13);
	r = boot_of(d, sqlite3_column_int64(s, 12), &boot);
	if (r == 0)
		r = rule_fill(d, sqlite3_column_int64(s, 14), &row->rule);
	if (r == 0)
		r = texts_of(d, s, 15, (struct str *[]){ &row->ja3, &row->ja4 }, 2);
	if (r < 0)
		return r;
	row->boot = boot->boot;
	row->flow_id = boot->base;
	return 0;
}

static int kind_of(struct star *d, int64_t id, const struct store_row **ret)
{
	struct shelf *shelf = &d->shelves[PIECE_DIM_KIND];
	struct store_row *row = shelf_get(shelf, (uint64_t)id);
	int r;

	if (!row) {
		r = look_up(d->dims[PIECE_DIM_KIND], id);
		if (r < 0)
			return r;
		row = arena_get(&d->arena, sizeof(*row));
		r = row ? kind_fill(d, d->dims[PIECE_DIM_KIND], row) : -ENOMEM;
		sqlite3_reset(d->dims[PIECE_DIM_KIND]);
		if (r == 0)
			r = keep(shelf, id, row);
		if (r < 0)
			return r;
	}
	*ret = row;
	return 0;
}

/* ---- rows ---- */

static void forget_all(struct star *d)
{
	for (size_t i = 0; i < PIECE_DIM_COUNT; i++)
		shelf_clear(&d->shelves[i]);
	shelf_clear(&d->boots);
	arena_done(&d->arena);
}

static void rare_fill(struct str packed, struct store_row *row)
{
	uint64_t v[PIECE_RARE] = { 0 };

	for (size_t i = 0; i < PIECE_RARE && leb_take(&packed, &v[i]); i++)
		;
	row->retransmits = (uint32_t)v[0];
	row->resets = (uint32_t)v[1];
	row->refused_calls = v[2];
	row->refused_packets = v[3];
	row->refused_bytes = v[4];
}

static void counts_fill(sqlite3_stmt *s, struct store_row *row)
{
	row->seq = (uint32_t)sqlite3_column_int64(s, PIECE_SEQ);
	row->up_bytes = (uint64_t)sqlite3_column_int64(s, PIECE_UP);
	row->down_bytes = (uint64_t)sqlite3_column_int64(s, PIECE_DOWN);
	row->up_packets = (uint64_t)sqlite3_column_int64(s, PIECE_UP_PACKETS);
	row->down_packets = (uint64_t)sqlite3_column_int64(s, PIECE_DOWN_PACKETS);
	if (row->payload_known) {
		row->up_payload = row->up_bytes - (uint64_t)sqlite3_column_int64(s, PIECE_UP_OVER);
		row->down_payload =
			row->down_bytes - (uint64_t)sqlite3_column_int64(s, PIECE_DOWN_OVER);
	}
	row->rtt_us = (uint32_t)sqlite3_column_int64(s, PIECE_RTT);
}

static void times_fill(const struct star *d, sqlite3_stmt *s, struct store_row *row)
{
	int64_t id = sqlite3_column_int64(s, PIECE_ID), to,
		length = sqlite3_column_int64(s, PIECE_LENGTH), moved = length;

	if (sqlite3_column_type(s, PIECE_MOVED) != SQLITE_NULL)
		moved = sqlite3_column_int64(s, PIECE_MOVED);
	if (__builtin_sub_overflow(d->day * DAY_US + (id >> PIECE_ID_SHIFT),
				   sqlite3_column_int64(s, PIECE_LAG), &to))
		to = 0;
	row->to_ns = star_ns(to);
	row->start_ns = __builtin_sub_overflow(to, length, &length) ? 0 : star_ns(length);
	row->from_ns = __builtin_sub_overflow(to, moved, &moved) ? 0 : star_ns(moved);
}

int star_row(struct star *d, sqlite3_stmt *s, struct store_row *row)
{
	int64_t proc = sqlite3_column_int64(s, PIECE_PROC);
	const struct store_row *kind;
	const struct store_who *who;
	const struct peer *peer;
	int r;

	if (d->arena.bytes > KEPT_BYTES)
		forget_all(d);
	r = kind_of(d, sqlite3_column_int64(s, PIECE_KIND), &kind);
	if (r == 0)
		r = peer_of(d, sqlite3_column_int64(s, PIECE_PEER), &peer);
	if (r < 0)
		return r;
	*row = *kind;
	row->peer = peer->peer;
	*(row->key_is_ours_dst ? &row->key.src : &row->key.dst) = peer->addr;
	row->has_who = proc;
	if (proc) {
		r = proc_of(d, proc, &who);
		if (r < 0)
			return r;
		row->who = *who;
	}
	row->key.sport = (uint16_t)sqlite3_column_int(s, PIECE_SPORT);
	row->flow_id += (uint64_t)sqlite3_column_int64(s, PIECE_FLOW);
	if (sqlite3_column_type(s, PIECE_FLOW) == SQLITE_NULL)
		row->flow_id = 0;
	times_fill(d, s, row);
	counts_fill(s, row);
	rare_fill(db_bytes(s, PIECE_RARE_BLOB), row);
	return 0;
}
