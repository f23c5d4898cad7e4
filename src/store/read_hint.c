/* SPDX-License-Identifier: Apache-2.0 */
#include "store/read_hint.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/addr.h"
#include "store/arena.h"
#include "store/db.h"

#define LOOKED_UP_MAX 65536 /* pieces taken one by one; above, a span is read as a whole */
#define PEERS_MAX 4096      /* peers looked up one by one */
#define NAME_TEXT_MAX 512

/* ---- sets and lists ---- */

bool id_set_has(const struct id_set *s, int64_t id)
{
	return id >= 0 && (size_t)id / 64 < s->n_words && s->bits[id / 64] >> (id % 64) & 1;
}

static int id_set_add(struct id_set *s, int64_t id)
{
	size_t words = s->n_words ? s->n_words : 64;
	uint64_t *bits;

	if (id < 0 || id >= SHELF_MAX)
		return -EBADMSG;
	while (words <= (size_t)id / 64)
		words *= 2;
	if (words > s->n_words) {
		bits = reallocarray(s->bits, words, sizeof(*bits));
		if (!bits)
			return -ENOMEM;
		memset(bits + s->n_words, 0, (words - s->n_words) * sizeof(*bits));
		s->bits = bits;
		s->n_words = words;
	}
	s->n += !id_set_has(s, id);
	s->bits[id / 64] |= 1ULL << (id % 64);
	return 0;
}

void id_set_done(struct id_set *s)
{
	free(s->bits);
	*s = (struct id_set){ 0 };
}

static int id_list_add(struct id_list *l, int64_t id)
{
	if (l->n == LOOKED_UP_MAX)
		return -E2BIG;
	if (l->n == l->cap) {
		size_t cap = l->cap ? 2 * l->cap : 256;
		int64_t *v = reallocarray(l->v, cap, sizeof(*v));

		if (!v)
			return -ENOMEM;
		l->v = v;
		l->cap = cap;
	}
	l->v[l->n++] = id;
	return 0;
}

static int by_id(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

static void id_list_sort(struct id_list *l)
{
	size_t n = 0;

	if (!l->n)
		return;
	qsort(l->v, l->n, sizeof(*l->v), by_id);
	for (size_t i = 1; i < l->n; i++)
		if (l->v[i] != l->v[n])
			l->v[++n] = l->v[i];
	l->n = n + 1;
}

void id_list_done(struct id_list *l)
{
	free(l->v);
	*l = (struct id_list){ 0 };
}

/* The first column of all rows. */
static int add_ids(sqlite3_stmt *s, struct id_set *to)
{
	int rc = SQLITE_DONE, r = 0;

	while (r == 0 && (rc = sqlite3_step(s)) == SQLITE_ROW)
		r = id_set_add(to, sqlite3_column_int64(s, 0));
	sqlite3_reset(s);
	return r < 0 ? r : db_errno(rc);
}

static int list_ids(sqlite3_stmt *s, struct id_list *to)
{
	int rc = SQLITE_DONE, r = 0;

	while (r == 0 && (rc = sqlite3_step(s)) == SQLITE_ROW)
		r = id_list_add(to, sqlite3_column_int64(s, 0));
	sqlite3_reset(s);
	return r < 0 ? r : db_errno(rc);
}

/* ---- peers ---- */

bool hint_names_peer(const struct store_hint *h)
{
	return h->name.n || h->name_below.n || h->peer;
}

/* Peers of the names from `lo` to `hi`, both backwards. */
static int peers_of_names(sqlite3 *db, struct str lo, struct str hi, struct id_set *to)
{
	static const char *const all[] = {
		"SELECT peer.id FROM name JOIN peer ON peer.name = name.id WHERE r >= ? AND r <= ?",
		"SELECT peer FROM name JOIN peer_more ON peer_more.name = name.id WHERE r >= ? AND "
		"r <= ?",
	};
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(all); i++) {
		_cleanup_stmt_ sqlite3_stmt *s = NULL;

		r = db_prepare(db, all[i], &s);
		if (r < 0)
			break;
		sqlite3_bind_text(s, 1, lo.p, (int)lo.n, SQLITE_STATIC);
		sqlite3_bind_text(s, 2, hi.p, (int)hi.n, SQLITE_STATIC);
		r = add_ids(s, to);
	}
	return r;
}

/* Names lie backwards: those below example.org begin with "gro.elpmaxe.", and end before "gro.elpmaxe/". */
static int peers_below(sqlite3 *db, struct str name, bool itself, bool below, struct id_set *to)
{
	char back[NAME_TEXT_MAX + 1], end[NAME_TEXT_MAX + 1];
	size_t n = MIN(name.n, (size_t)NAME_TEXT_MAX);
	int r = 0;

	for (size_t i = 0; i < n; i++)
		back[n - 1 - i] = name.p[i];
	memcpy(end, back, n);
	back[n] = '.';
	end[n] = '.' + 1;
	if (itself)
		r = peers_of_names(db, (struct str){ back, n }, (struct str){ back, n }, to);
	if (r == 0 && below)
		r = peers_of_names(db, (struct str){ back, n + 1 }, (struct str){ end, n + 1 }, to);
	return r;
}

/* Addresses of a network; IPv4 lies as four bytes. */
static int peers_of_network(sqlite3 *db, const struct addr *a, unsigned bits, struct id_set *to)
{
	_cleanup_stmt_ sqlite3_stmt *s = NULL;
	struct addr lo = *a, hi = *a;
	bool v4 = addr_is_v4(a) && (!bits || bits >= 96);
	int skip = v4 ? 12 : 0, r;

	for (unsigned i = bits ? bits : 128; i < 128; i++) {
		lo.b[i / 8] &= (uint8_t) ~(0x80 >> i % 8);
		hi.b[i / 8] |= (uint8_t)(0x80 >> i % 8);
	}
	r = db_prepare(db, "SELECT id FROM peer WHERE addr >= ? AND addr <= ?", &s);
	if (r < 0)
		return r;
	sqlite3_bind_blob(s, 1, lo.b + skip, 16 - skip, SQLITE_STATIC);
	sqlite3_bind_blob(s, 2, hi.b + skip, 16 - skip, SQLITE_STATIC);
	return add_ids(s, to);
}

int hint_peers(sqlite3 *db, const struct store_hint *h, struct id_set *ret, int64_t *ret_one)
{
	int r = 0;

	*ret_one = 0;
	if (h->name.n)
		r = peers_below(db, h->name, true, false, ret);
	if (r == 0 && h->name_below.n)
		r = peers_below(db, h->name_below, true, true, ret);
	if (r == 0 && h->peer)
		r = peers_of_network(db, h->peer, h->peer_bits, ret);
	for (size_t i = 0; r == 0 && ret->n == 1 && i < ret->n_words; i++)
		if (ret->bits[i])
			*ret_one = (int64_t)(64 * i) + __builtin_ctzll(ret->bits[i]);
	return r;
}

/* ---- programs ---- */

static bool is_named(struct str path, struct str name)
{
	return path.n >= name.n && str_eq(str_sub(path, path.n - name.n, name.n), name) &&
	       (path.n == name.n || path.p[path.n - name.n - 1] == '/');
}

/* There are few images; their processes are found by reading through them once. */
int hint_procs(sqlite3 *db, const struct store_hint *h, struct id_set *ret)
{
	_cleanup_(id_set_done) struct id_set images = { 0 };
	_cleanup_stmt_ sqlite3_stmt *s = NULL, *procs = NULL;
	int r, rc = SQLITE_DONE;

	r = db_prepare(db,
		       "SELECT image.id, exe.t, comm.t FROM image LEFT JOIN text exe ON exe.id = "
		       "image.exe "
		       "LEFT JOIN text comm ON comm.id = image.comm",
		       &s);
	while (r == 0 && (rc = sqlite3_step(s)) == SQLITE_ROW)
		if (is_named(db_bytes(s, 1), h->exe_name) || str_eq(db_bytes(s, 2), h->exe_name))
			r = id_set_add(&images, sqlite3_column_int64(s, 0));
	r = r < 0 ? r : db_errno(rc);
	if (r == 0)
		r = db_prepare(db, "SELECT id, image FROM proc", &procs);
	while (r == 0 && (rc = sqlite3_step(procs)) == SQLITE_ROW)
		if (id_set_has(&images, sqlite3_column_int64(procs, 1)))
			r = id_set_add(ret, sqlite3_column_int64(procs, 0));
	return r < 0 ? r : db_errno(rc);
}

/* ---- pieces ---- */

int hint_pieces_of_peers(sqlite3 *db, const struct id_set *peers, int64_t from_id, int64_t to_id,
			 struct id_list *ret)
{
	_cleanup_stmt_ sqlite3_stmt *s = NULL;
	int r;

	if (peers->n > PEERS_MAX)
		return -E2BIG;
	r = db_prepare(db, "SELECT id FROM piece WHERE peer = ? AND id >= ? AND id < ?", &s);
	for (size_t i = 0; r == 0 && i < 64 * peers->n_words; i++) {
		if (!id_set_has(peers, (int64_t)i))
			continue;
		sqlite3_bind_int64(s, 1, (int64_t)i);
		sqlite3_bind_int64(s, 2, from_id);
		sqlite3_bind_int64(s, 3, to_id);
		r = list_ids(s, ret);
	}
	if (r == 0)
		id_list_sort(ret);
	return r;
}

/* Its first piece lies in a zone whose flow ids surround it, or after the last zone; the others have an index. */
int hint_pieces_of_flow(sqlite3 *db, const struct store_hint *h, int64_t from_id, int64_t to_id,
			struct id_list *ret)
{
	static const char *const all[] = {
		"SELECT piece.id FROM boot JOIN piece ON piece.flow = ?1 - boot.base WHERE "
		"piece.seq > 0 "
		"AND piece.id >= ?2 AND piece.id < ?3",
		"WITH span(a, b) AS (SELECT (SELECT ifnull(max(id), -1) FROM zone p WHERE p.id < "
		"zone.id), zone.id FROM zone "
		"WHERE ?1 BETWEEN lo AND hi UNION ALL SELECT ifnull(max(id), -1), "
		"0x7fffffffffffffff FROM zone) "
		"SELECT piece.id FROM span CROSS JOIN piece CROSS JOIN boot WHERE piece.id > "
		"span.a AND piece.id <= span.b "
		"AND piece.id >= ?2 AND piece.id < ?3 AND piece.seq = 0 AND piece.flow = ?1 - "
		"boot.base",
	};
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(all); i++) {
		_cleanup_stmt_ sqlite3_stmt *s = NULL;

		r = db_prepare(db, all[i], &s);
		if (r < 0)
			return r;
		sqlite3_bind_int64(s, 1, (int64_t)h->flow_id);
		sqlite3_bind_int64(s, 2, from_id);
		sqlite3_bind_int64(s, 3, to_id);
		r = list_ids(s, ret);
	}
	if (r == 0)
		id_list_sort(ret);
	return r;
}
