/* SPDX-License-Identifier: Apache-2.0 */
#include "store/db.h"

#include <errno.h>
#include <inttypes.h>
#include <sys/stat.h>

#include "base/time.h"

#define PATH_SIZE 512
#define BUSY_MS 2000
#define CACHE_KIB_READ 8192
#define CACHE_KIB_WRITE 32768
#define LONGEST_VALUE (64 << 20) /* the sums of one minute or day */

int db_errno(int rc)
{
	switch (rc & 0xff) {
	case SQLITE_OK:
	case SQLITE_ROW:
	case SQLITE_DONE:
		return 0;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
	case SQLITE_ERROR: /* tables are not those that were made */
	case SQLITE_SCHEMA:
		return -EBADMSG;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
	case SQLITE_PROTOCOL:
		return -EBUSY;
	case SQLITE_FULL:
		return -ENOSPC;
	case SQLITE_READONLY:
	case SQLITE_PERM:
		return -EROFS;
	case SQLITE_CANTOPEN:
	case SQLITE_AUTH:
		return -EACCES;
	case SQLITE_NOMEM:
		return -ENOMEM;
	case SQLITE_IOERR:
		return -EIO;
	case SQLITE_INTERRUPT:
		return -EINTR;
	default: /* SQLITE_CONSTRAINT, MISMATCH, TOOBIG, RANGE, MISUSE */
		return -EINVAL;
	}
}

int db_exec(sqlite3 *db, const char *sql)
{
	return db_errno(sqlite3_exec(db, sql, NULL, NULL, NULL));
}

int db_prepare(sqlite3 *db, const char *sql, sqlite3_stmt **ret)
{
	return db_errno(sqlite3_prepare_v3(db, sql, -1, SQLITE_PREPARE_PERSISTENT, ret, NULL));
}

int db_step_done(sqlite3_stmt *s)
{
	int rc = sqlite3_step(s);

	sqlite3_reset(s);
	return rc == SQLITE_ROW ? 0 : db_errno(rc);
}

int db_number(sqlite3 *db, const char *sql, int64_t *ret)
{
	_cleanup_stmt_ sqlite3_stmt *s = NULL;
	int r = db_prepare(db, sql, &s), rc;

	if (r < 0)
		return r;
	rc = sqlite3_step(s);
	*ret = rc == SQLITE_ROW ? sqlite3_column_int64(s, 0) : 0;
	return db_errno(rc);
}

struct str db_bytes(sqlite3_stmt *s, int column)
{
	const char *p = sqlite3_column_blob(s, column);
	int n = sqlite3_column_bytes(s, column);

	return p && n > 0 ? (struct str){ p, (size_t)n } : STR_NONE;
}

sqlite3 *db_close(sqlite3 *db)
{
	sqlite3_close_v2(db);
	return NULL;
}

sqlite3 *db_close_finished(sqlite3 *db)
{
	if (db)
		sqlite3_exec(db, "PRAGMA journal_mode=DELETE", NULL, NULL, NULL);
	return db_close(db);
}

/* One step and its number are one transaction. */
static int take_steps(sqlite3 *db, const struct db_schema *schema, size_t from, size_t to)
{
	char sql[64];
	int r = 0;

	for (size_t v = from; r == 0 && v < to; v++) {
		r = db_exec(db, "BEGIN IMMEDIATE");
		if (r < 0)
			return r;
		r = db_exec(db, schema->steps[v]);
		snprintf(sql, sizeof(sql), "PRAGMA user_version=%zu", v + 1);
		if (r == 0)
			r = db_exec(db, sql);
		r = r == 0 ? db_exec(db, "COMMIT") : r;
		if (r < 0)
			sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
	}
	return r;
}

/* Nothing that somebody else put into a file is run: only our own statements over its tables. */
static void harden(sqlite3 *db)
{
	sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	sqlite3_db_config(db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
	sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, NULL);
	sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_VIEW, 0, NULL);
	sqlite3_limit(db, SQLITE_LIMIT_LENGTH, LONGEST_VALUE);
	sqlite3_limit(db, SQLITE_LIMIT_ATTACHED, 0);
	sqlite3_exec(db, "PRAGMA automatic_index=OFF", NULL, NULL,
		     NULL); /* ours are there; others hide that one is missing */
	sqlite3_busy_timeout(db, BUSY_MS);
}

static int tune(sqlite3 *db, const struct db_schema *schema, enum db_mode mode)
{
	char sql[256];

	if (mode == DB_READ) {
		snprintf(sql, sizeof(sql), "PRAGMA cell_size_check=ON; PRAGMA cache_size=-%d",
			 CACHE_KIB_READ);
		return db_exec(db, sql);
	}
	/* Page size, kind and vacuum only count before the first table is made. */
	snprintf(sql, sizeof(sql),
		 "PRAGMA page_size=8192; PRAGMA auto_vacuum=%s; PRAGMA journal_mode=WAL; PRAGMA "
		 "synchronous=NORMAL; "
		 "PRAGMA cache_size=-%d; PRAGMA journal_size_limit=16777216; PRAGMA "
		 "temp_store=MEMORY; "
		 "PRAGMA secure_delete=OFF; PRAGMA cell_size_check=ON",
		 schema == &db_flows ? "NONE" : "INCREMENTAL", CACHE_KIB_WRITE);
	return db_exec(db, sql);
}

static int check(sqlite3 *db, const struct db_schema *schema, enum db_mode mode, size_t version,
		 char error[DB_ERROR_MAX])
{
	int64_t have = 0, id = 0, tables = 0;
	char sql[64];
	int r;

	r = db_number(db, "SELECT count(*) FROM sqlite_schema", &tables);
	if (r == 0)
		r = db_number(db, "PRAGMA user_version", &have);
	if (r == 0)
		r = db_number(db, "PRAGMA application_id", &id);
	if (r < 0)
		return r;
	if (mode == DB_WRITE && !tables && !have && !id) {
		snprintf(sql, sizeof(sql), "PRAGMA application_id=%" PRIu32,
			 schema->application_id);
		r = db_exec(db, sql);
	} else if (id != schema->application_id) {
		snprintf(error, DB_ERROR_MAX, "is not a file of %s", schema->name);
		return -EBADMSG;
	}
	if (have > (int64_t)schema->n_steps) {
		snprintf(error, DB_ERROR_MAX,
			 "was written by a newer egret (version %" PRId64
			 " of %s, this one knows %zu)",
			 have, schema->name, schema->n_steps);
		return -EPROTO;
	}
	if (have < 0 || (mode == DB_READ && have < (int64_t)version)) {
		snprintf(error, DB_ERROR_MAX,
			 "is of version %" PRId64
			 " of %s: egretd brings it up to %zu when it starts",
			 have, schema->name, version);
		return have <= 0 ? -EBADMSG : -EPROTO;
	}
	return r == 0 && mode == DB_WRITE ? take_steps(db, schema, (size_t)have, version) : r;
}

static int open_at(sqlite3 **ret, const char *path, const struct db_schema *schema,
		   enum db_mode mode, size_t version, char error[DB_ERROR_MAX])
{
	int flags =
		mode == DB_READ ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
	sqlite3 *db = NULL;
	int r;

	error[0] = 0;
	r = db_errno(sqlite3_open_v2(path, &db, flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_NOFOLLOW,
				     NULL));
	if (r == 0) {
		sqlite3_extended_result_codes(db, 1);
		harden(db);
		r = tune(db, schema, mode);
	}
	if (r == 0)
		r = check(db, schema, mode, version, error);
	if (r < 0) {
		if (!error[0])
			snprintf(error, DB_ERROR_MAX, "%s", db ? sqlite3_errmsg(db) : "no memory");
		db_close(db);
		return r;
	}
	*ret = db;
	return 0;
}

int db_open(sqlite3 **ret, const char *path, const struct db_schema *schema, enum db_mode mode,
	    char error[DB_ERROR_MAX])
{
	return open_at(ret, path, schema, mode, schema->n_steps, error);
}

int db_open_at(sqlite3 **ret, const char *path, const struct db_schema *schema, size_t version,
	       char error[DB_ERROR_MAX])
{
	return open_at(ret, path, schema, DB_WRITE, version, error);
}

int db_set_aside(const char *path, uint64_t now_ns)
{
	static const char *const tails[] = { "", "-wal" };
	char from[PATH_SIZE], to[PATH_SIZE];
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(tails); i++) {
		snprintf(from, sizeof(from), "%s%s", path, tails[i]);
		snprintf(to, sizeof(to), "%s.damaged-%" PRIu64 "%s", path,
			 (uint64_t)(now_ns / NSEC_PER_SEC), tails[i]);
		if (rename(from, to) < 0 && errno != ENOENT)
			r = -errno;
	}
	snprintf(from, sizeof(from), "%s-shm", path);
	unlink(from);
	return r;
}
