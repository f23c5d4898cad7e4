/* SPDX-License-Identifier: Apache-2.0 */
#include "store/pieces.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "base/hash.h"
#include "store/dim.h"
#include "store/leb.h"

#define PATH_SIZE 512
#define NAME_MAX_BYTES 512
#define ZONE_PIECES 4096

struct pieces {
	sqlite3 *db;
	char path[PATH_SIZE];
	int64_t day, file, last_id, lag;
	struct dim dims[PIECE_DIM_COUNT];
	sqlite3_stmt *insert, *begin, *commit, *set_lag, *insert_more, *find_boot, *insert_boot,
		*set_base, *insert_zone;
	uint64_t boot, boot_base; /* of the last row */
	int64_t boot_id;
	struct {
		uint64_t lo, hi;
		unsigned n;
	} zone; /* since the last one that was written */
};

char *day_file_name(int64_t day, char text[DAY_NAME_MAX])
{
	time_t s = (time_t)(day * 86400);
	struct tm tm;

	if (!gmtime_r(&s, &tm) || !strftime(text, DAY_NAME_MAX, "flows-%Y-%m-%d.db", &tm))
		text[0] = 0;
	return text;
}

bool day_file_parse(const char *name, int64_t *ret_day)
{
	char back[DAY_NAME_MAX];
	struct tm tm = { 0 };
	const char *end;
	time_t s;

	end = strptime(name, "flows-%Y-%m-%d.db", &tm);
	if (!end || *end)
		return false;
	s = timegm(&tm);
	*ret_day = (int64_t)s / 86400;
	return s >= 0 && !strcmp(day_file_name(*ret_day, back), name);
}

/* ---- opening ---- */

static int open_head(struct pieces *p)
{
	char sql[160];
	int r = db_number(p->db, "SELECT file FROM head WHERE id = 1", &p->file);

	if (r == 0 && !p->file) {
		p->file = (int64_t)(hash_random_seed() >> 2) | 1;
		snprintf(sql, sizeof(sql),
			 "INSERT INTO head(id, file, day, lag) VALUES(1, %" PRId64 ", %" PRId64
			 ", 0)",
			 p->file, p->day);
		r = db_exec(p->db, sql);
	}
	if (r == 0)
		r = db_number(p->db, "SELECT lag FROM head WHERE id = 1", &p->lag);
	if (r == 0)
		r = db_number(p->db, "SELECT max(id) FROM piece", &p->last_id);
	return r;
}

/* What the last zone does not cover: nothing, or less than one. */
static int open_zone(struct pieces *p)
{
	_cleanup_stmt_ sqlite3_stmt *s = NULL;
	int r, rc;

	r = db_prepare(p->db,
		       "SELECT count(*), min(flow + base), max(flow + base) FROM piece JOIN kind "
		       "ON kind.id = piece.kind "
		       "JOIN boot ON boot.id = kind.boot WHERE piece.id > (SELECT ifnull(max(id), "
		       "0) FROM zone) AND seq = 0 "
		       "AND flow IS NOT NULL",
		       &s);
	if (r < 0)
		return r;
	rc = sqlite3_step(s);
	if (rc == SQLITE_ROW) {
		p->zone.n = (unsigned)sqlite3_column_int(s, 0);
		p->zone.lo = p->zone.n ? (uint64_t)sqlite3_column_int64(s, 1) : UINT64_MAX;
		p->zone.hi = (uint64_t)sqlite3_column_int64(s, 2);
	}
	return db_errno(rc);
}

static int prepare(struct pieces *p)
{
	static const char insert[] =
		"INSERT INTO piece(" PIECE_COLUMNS ") VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, "
		"?, ?, ?, ?, ?, ?)";
	const struct {
		const char *sql;
		sqlite3_stmt **to;
	} all[] = {
		{ insert, &p->insert },
		{ "BEGIN IMMEDIATE", &p->begin },
		{ "COMMIT", &p->commit },
		{ "UPDATE head SET lag = ? WHERE id = 1", &p->set_lag },
		{ "INSERT OR IGNORE INTO peer_more(name, peer) VALUES(?, ?)", &p->insert_more },
		{ "SELECT id, base FROM boot WHERE boot = ?", &p->find_boot },
		{ "INSERT INTO boot(boot, base) VALUES(?, 0)", &p->insert_boot },
		{ "UPDATE boot SET base = ? WHERE id = ?", &p->set_base },
		{ "INSERT INTO zone(id, lo, hi) VALUES(?, ?, ?)", &p->insert_zone },
	};
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(all); i++)
		r = db_prepare(p->db, all[i].sql, all[i].to);
	return r;
}

static int open_dims(struct pieces *p)
{
	static const struct {
		const char *table, *columns;
		size_t n;
	} dims[] = {
#define X(id, table, columns, n) { table, columns, n },
		PIECE_DIMS(X)
#undef X
	};
	uint64_t seed = hash_random_seed();
	int r = 0;

	for (size_t i = 0; r == 0 && i < PIECE_DIM_COUNT; i++)
		r = dim_open(&p->dims[i], p->db, dims[i].table, dims[i].columns, dims[i].n, seed);
	return r;
}

int pieces_open(struct pieces **ret, const char *dir, int64_t day, char error[DB_ERROR_MAX])
{
	struct pieces *p = calloc(1, sizeof(*p));
	char name[DAY_NAME_MAX];
	int r;

	if (!p)
		return -ENOMEM;
	p->day = day;
	snprintf(p->path, sizeof(p->path), "%s/%s", dir, day_file_name(day, name));
	r = db_open(&p->db, p->path, &db_flows, DB_WRITE, error);
	if (r == 0) {
		r = open_head(p);
		if (r == 0)
			r = open_zone(p);
		if (r == 0)
			r = prepare(p);
		if (r == 0)
			r = open_dims(p);
		if (r < 0)
			snprintf(error, DB_ERROR_MAX, "%s", sqlite3_errmsg(p->db));
	}
	if (r < 0) {
		pieces_close(p, false);
		return r;
	}
	*ret = p;
	return 0;
}

struct pieces *pieces_close(struct pieces *p, bool finished)
{
	if (!p)
		return NULL;
	for (size_t i = 0; i < PIECE_DIM_COUNT; i++)
		dim_close(&p->dims[i]);
	sqlite3_finalize(p->insert);
	sqlite3_finalize(p->begin);
	sqlite3_finalize(p->commit);
	sqlite3_finalize(p->set_lag);
	sqlite3_finalize(p->insert_more);
	sqlite3_finalize(p->find_boot);
	sqlite3_finalize(p->insert_boot);
	sqlite3_finalize(p->set_base);
	sqlite3_finalize(p->insert_zone);
	if (finished)
		db_close_finished(p->db);
	else
		db_close(p->db);
	free(p);
	return NULL;
}

/* ---- dimensions of a row ---- */

static int put_text(struct pieces *p, struct str s, int64_t *ret)
{
	uint32_t id = 0;
	int r = s.n ? dim_id(&p->dims[PIECE_DIM_TEXT], &DIM_T(s), 1, &id, NULL) : 0;

	*ret = id;
	return r;
}

static int put_name(struct pieces *p, struct str s, int64_t *ret)
{
	char back[NAME_MAX_BYTES];
	uint32_t id = 0;
	int r = 0;

	if (s.n > sizeof(back))
		s.n = sizeof(back);
	for (size_t i = 0; i < s.n; i++)
		back[s.n - 1 - i] = s.p[i];
	if (s.n)
		r = dim_id(&p->dims[PIECE_DIM_NAME], &DIM_T(((struct str){ back, s.n })), 1, &id,
			   NULL);
	*ret = id;
	return r;
}

/* Texts of a row, each once to its id: a list, so that a function names what it needs and looks once whether all went well. */
static int put_texts(struct pieces *p, const struct str *texts, size_t n, struct dim_value *to)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < n; i++) {
		to[i] = DIM_N(0);
		r = put_text(p, texts[i], &to[i].n);
	}
	return r;
}

/* The nearest ancestor points to the next: processes of one shell share all of it. */
static int put_chain(struct pieces *p, const struct store_who *w, int64_t *ret)
{
	uint32_t id = 0;
	int r = 0;

	for (size_t i = w->n_ancestors; r == 0 && i-- > 0;) {
		struct dim_value v[4] = { DIM_N(id), DIM_N(w->ancestors[i].pid) };

		r = put_texts(p, (struct str[]){ w->ancestors[i].exe, w->ancestors[i].comm }, 2,
			      v + 2);
		if (r == 0)
			r = dim_id(&p->dims[PIECE_DIM_CHAIN], v, ARRAY_SIZE(v), &id, NULL);
	}
	*ret = id;
	return r;
}

static int put_proc(struct pieces *p, const struct store_row *row, uint32_t *ret)
{
	const struct store_who *w = &row->who;
	struct dim_value image[11], proc[6];
	uint32_t image_id;
	int r;

	r = put_texts(p, (struct str[]){ w->exe, w->comm }, 2, image);
	image[2] = DIM_N(w->exe_state);
	image[3] = w->has_uid ? DIM_N(w->uid) : (struct dim_value){ .type = DIM_NULL };
	if (r == 0)
		r = put_texts(p,
			      (struct str[]){ w->user, w->cgroup, w->unit, w->container_id,
					      w->container_name, w->container_image,
					      w->container_runtime },
			      7, image + 4);
	if (r == 0)
		r = dim_id(&p->dims[PIECE_DIM_IMAGE], image, ARRAY_SIZE(image), &image_id, NULL);
	if (r < 0)
		return r;
	proc[0] = DIM_N(image_id);
	proc[1] = DIM_N(w->pid);
	proc[2] = DIM_N(w->ppid);
	proc[3] = DIM_N(w->start_ns / NSEC_PER_USEC);
	r = put_texts(p, &w->args, 1, proc + 4);
	proc[5] = DIM_N(0);
	if (r == 0)
		r = put_chain(p, w, &proc[5].n);
	return r < 0 ? r : dim_id(&p->dims[PIECE_DIM_PROC], proc, ARRAY_SIZE(proc), ret, NULL);
}

/* IPv4 as four bytes. */
static struct str addr_bytes(const struct addr *a)
{
	return addr_is_v4(a) ? (struct str){ (const char *)a->b + 12, 4 }
			     : (struct str){ (const char *)a->b, 16 };
}

static int put_place(struct pieces *p, const struct store_peer *o, uint32_t *ret)
{
	struct dim_value v[4];
	int r = put_texts(p, &o->segment, 1, v);

	v[1] = DIM_T(str_of(o->country));
	v[2] = DIM_N(o->asn);
	if (r == 0)
		r = put_texts(p, &o->as_org, 1, v + 3);
	return r < 0 ? r : dim_id(&p->dims[PIECE_DIM_PLACE], v, ARRAY_SIZE(v), ret, NULL);
}

static bool ends_in(struct str s, struct str tail)
{
	return tail.n <= s.n && str_eq(str_sub(s, s.n - tail.n, tail.n), tail);
}

static int put_peer(struct pieces *p, const struct store_row *row, uint32_t *ret)
{
	const struct store_peer *o = &row->peer;
	char more[STORE_NAMES_MAX * LEB_MAX];
	int64_t ids[STORE_NAMES_MAX], name;
	struct str packed = { more, 0 };
	struct dim_value v[6];
	uint32_t place;
	bool is_new;
	int r = put_name(p, o->name, &name);

	for (size_t i = 0; r == 0 && i < o->n_names; i++) {
		r = put_name(p, o->names[i], &ids[i]);
		packed.n += leb_put(more + packed.n, (uint64_t)ids[i]);
	}
	if (r == 0)
		r = put_place(p, o, &place);
	if (r < 0)
		return r;
	v[0] = DIM_B(addr_bytes(row->key_is_ours_dst ? &row->key.src : &row->key.dst));
	v[1] = DIM_N(name);
	v[2] = DIM_N(o->name_source);
	v[3] = DIM_N(ends_in(o->name, o->domain) ? o->domain.n : 0);
	v[4] = packed.n ? DIM_B(packed) : (struct dim_value){ .type = DIM_NULL };
	v[5] = DIM_N(place);
	r = dim_id(&p->dims[PIECE_DIM_PEER], v, ARRAY_SIZE(v), ret, &is_new);
	for (size_t i = 0; r == 0 && is_new && i < o->n_names; i++) {
		sqlite3_bind_int64(p->insert_more, 1, ids[i]);
		sqlite3_bind_int64(p->insert_more, 2, *ret);
		r = db_step_done(p->insert_more);
	}
	return r;
}

static int put_rule(struct pieces *p, const struct store_rule *rule, uint32_t *ret)
{
	struct dim_value v[4] = { DIM_N(rule->line) };
	int r;

	*ret = 0;
	if (!rule->line && !rule->text.n)
		return 0;
	r = put_texts(p, (struct str[]){ rule->file, rule->text, rule->note }, 3, v + 1);
	return r < 0 ? r : dim_id(&p->dims[PIECE_DIM_RULE], v, ARRAY_SIZE(v), ret, NULL);
}

static int find_boot(struct pieces *p, uint64_t boot)
{
	int rc, r;

	p->boot = boot;
	p->boot_id = 0;
	p->boot_base = 0;
	sqlite3_bind_int64(p->find_boot, 1, (int64_t)boot);
	rc = sqlite3_step(p->find_boot);
	if (rc == SQLITE_ROW) {
		p->boot_id = sqlite3_column_int64(p->find_boot, 0);
		p->boot_base = (uint64_t)sqlite3_column_int64(p->find_boot, 1);
	}
	sqlite3_reset(p->find_boot);
	if (rc != SQLITE_DONE)
		return db_errno(rc);
	sqlite3_bind_int64(p->insert_boot, 1, (int64_t)boot);
	r = db_step_done(p->insert_boot);
	p->boot_id = sqlite3_last_insert_rowid(p->db);
	return r;
}

/* Flow ids of one run lie close together: they are counted from its first one here. */
static int take_boot(struct pieces *p, const struct store_row *row)
{
	int r = 0;

	if (!p->boot_id || p->boot != row->boot)
		r = find_boot(p, row->boot);
	if (r < 0 || p->boot_base || !row->flow_id)
		return r;
	p->boot_base = row->flow_id;
	sqlite3_bind_int64(p->set_base, 1, (int64_t)p->boot_base);
	sqlite3_bind_int64(p->set_base, 2, p->boot_id);
	return db_step_done(p->set_base);
}

static unsigned bits_of(const struct store_row *row)
{
	return (row->mid_stream ? PIECE_MID_STREAM : 0) |
	       (row->payload_known ? PIECE_PAYLOAD_KNOWN : 0) |
	       (row->key_is_ours_dst ? PIECE_OURS_IS_DST : 0) | (row->ends ? PIECE_ENDS : 0) |
	       (row->rule.would_refuse ? PIECE_WOULD_REFUSE : 0) |
	       (row->rule.refused ? PIECE_REFUSED : 0) | (row->forwarded ? PIECE_FORWARDED : 0);
}

static int put_kind(struct pieces *p, const struct store_row *row, uint32_t *ret)
{
	struct dim_value v[17];
	uint32_t rule;
	int r = put_rule(p, &row->rule, &rule);

	if (r == 0)
		r = take_boot(p, row);
	if (r < 0)
		return r;
	v[0] = DIM_N(row->key.proto);
	v[1] = DIM_N(row->key.dport);
	v[2] = DIM_N(row->app);
	v[3] = DIM_N(row->direction);
	v[4] = DIM_N(row->state);
	v[5] = DIM_N(row->end);
	v[6] = DIM_N(row->tcp_flags[0]);
	v[7] = DIM_N(row->tcp_flags[1]);
	v[8] = DIM_N(bits_of(row));
	v[9] = DIM_B(addr_bytes(row->key_is_ours_dst ? &row->key.dst : &row->key.src));
	v[10] = DIM_N(row->ifindex);
	v[11] = DIM_N(row->key.zone);
	v[12] = DIM_N(p->boot_id);
	v[13] = DIM_N(row->rule.action);
	v[14] = DIM_N(rule);
	r = put_texts(p, (struct str[]){ row->ja3, row->ja4 }, 2, v + 15);
	return r < 0 ? r : dim_id(&p->dims[PIECE_DIM_KIND], v, ARRAY_SIZE(v), ret, NULL);
}

/* ---- pieces ---- */

static int64_t microseconds(uint64_t ns)
{
	return (int64_t)(ns / NSEC_PER_USEC);
}

bool pieces_takes(const struct pieces *p, const struct store_row *row)
{
	int64_t us = microseconds(row->to_ns) - p->day * DAY_US;

	return us < DAY_US && us >= -PIECE_LATE_US;
}

int pieces_begin(struct pieces *p)
{
	return db_step_done(p->begin);
}

static int raise_lag(struct pieces *p, int64_t lag)
{
	p->lag = lag;
	sqlite3_bind_int64(p->set_lag, 1, lag);
	return db_step_done(p->set_lag);
}

static void bind_rare(sqlite3_stmt *s, const struct store_row *row,
		      char packed[PIECE_RARE * LEB_MAX])
{
	const uint64_t v[PIECE_RARE] = { row->retransmits, row->resets, row->refused_calls,
					 row->refused_packets, row->refused_bytes };
	size_t n = 0;
	uint64_t any = 0;

	for (size_t i = 0; i < PIECE_RARE; i++) {
		any |= v[i];
		n += leb_put(packed + n, v[i]);
	}
	if (any)
		sqlite3_bind_blob(s, PIECE_RARE_BLOB + 1, packed, (int)n, SQLITE_STATIC);
	else
		sqlite3_bind_null(s, PIECE_RARE_BLOB + 1);
}

static void bind_counts(sqlite3_stmt *s, const struct store_row *row)
{
	bool known = row->payload_known;

	sqlite3_bind_int64(s, PIECE_UP + 1, (int64_t)row->up_bytes);
	sqlite3_bind_int64(s, PIECE_DOWN + 1, (int64_t)row->down_bytes);
	sqlite3_bind_int64(s, PIECE_UP_PACKETS + 1, (int64_t)row->up_packets);
	sqlite3_bind_int64(s, PIECE_DOWN_PACKETS + 1, (int64_t)row->down_packets);
	sqlite3_bind_int64(s, PIECE_UP_OVER + 1,
			   known ? (int64_t)(row->up_bytes - row->up_payload) : 0);
	sqlite3_bind_int64(s, PIECE_DOWN_OVER + 1,
			   known ? (int64_t)(row->down_bytes - row->down_payload) : 0);
	sqlite3_bind_int64(s, PIECE_RTT + 1, row->rtt_us);
}

static void bind_times(sqlite3_stmt *s, const struct store_row *row, int64_t lag)
{
	int64_t to = microseconds(row->to_ns);

	sqlite3_bind_int64(s, PIECE_LAG + 1, lag);
	sqlite3_bind_int64(s, PIECE_LENGTH + 1, to - microseconds(row->start_ns));
	if (row->from_ns == row->start_ns)
		sqlite3_bind_null(s, PIECE_MOVED + 1);
	else
		sqlite3_bind_int64(s, PIECE_MOVED + 1, to - microseconds(row->from_ns));
}

static int add_to_zone(struct pieces *p, const struct store_row *row)
{
	if (row->seq || !row->flow_id)
		return 0;
	p->zone.lo = MIN(p->zone.lo, row->flow_id);
	p->zone.hi = MAX(p->zone.hi, row->flow_id);
	if (++p->zone.n < ZONE_PIECES)
		return 0;
	sqlite3_bind_int64(p->insert_zone, 1, p->last_id);
	sqlite3_bind_int64(p->insert_zone, 2, (int64_t)p->zone.lo);
	sqlite3_bind_int64(p->insert_zone, 3, (int64_t)p->zone.hi);
	p->zone.n = 0;
	p->zone.lo = UINT64_MAX;
	p->zone.hi = 0;
	return db_step_done(p->insert_zone);
}

int pieces_add(struct pieces *p, const struct store_row *row)
{
	int64_t us = microseconds(row->to_ns) - p->day * DAY_US, id = MAX(us, 0) << PIECE_ID_SHIFT,
		lag;
	uint32_t proc = 0, peer, kind;
	char packed[PIECE_RARE * LEB_MAX];
	sqlite3_stmt *s = p->insert;
	int r;

	r = row->has_who ? put_proc(p, row, &proc) : 0;
	if (r == 0)
		r = put_peer(p, row, &peer);
	if (r == 0)
		r = put_kind(p, row, &kind);
	id = MAX(id, p->last_id + 1);
	lag = (id >> PIECE_ID_SHIFT) - us;
	if (r == 0 && lag > p->lag)
		r = raise_lag(p, lag);
	if (r < 0)
		return r;
	sqlite3_bind_int64(s, PIECE_ID + 1, id);
	if (proc)
		sqlite3_bind_int64(s, PIECE_PROC + 1, proc);
	else
		sqlite3_bind_null(s, PIECE_PROC + 1);
	sqlite3_bind_int64(s, PIECE_PEER + 1, peer);
	sqlite3_bind_int64(s, PIECE_KIND + 1, kind);
	sqlite3_bind_int64(s, PIECE_SPORT + 1, row->key.sport);
	bind_times(s, row, lag);
	if (row->flow_id)
		sqlite3_bind_int64(s, PIECE_FLOW + 1, (int64_t)(row->flow_id - p->boot_base));
	else
		sqlite3_bind_null(s, PIECE_FLOW + 1);
	sqlite3_bind_int64(s, PIECE_SEQ + 1, row->seq);
	bind_counts(s, row);
	bind_rare(s, row, packed);
	r = db_step_done(s);
	if (r < 0)
		return r;
	p->last_id = id;
	return add_to_zone(p, row);
}

int pieces_commit(struct pieces *p)
{
	int r = db_step_done(p->commit);

	if (r < 0)
		sqlite3_exec(p->db, "ROLLBACK", NULL, NULL, NULL);
	return r;
}

int64_t pieces_day(const struct pieces *p)
{
	return p->day;
}

int64_t pieces_file(const struct pieces *p)
{
	return p->file;
}

int64_t pieces_last_id(const struct pieces *p)
{
	return p->last_id;
}

const char *pieces_path(const struct pieces *p)
{
	return p->path;
}
