/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private to the SQLite store: opening a file of history, whatever state it is in, and SQLite's results as -errno:
 *
 *     -EBADMSG damaged, or not a file of ours     -EPROTO written by a newer egret     -EBUSY locked by somebody else
 *     -ENOSPC disk full     -EROFS not writable     -EIO the disk failed     -EINVAL the statement does not fit the data
 *
 * A schema is the list of steps that lead to it; PRAGMA user_version says how many were taken. A step once released is never changed.
 */
#pragma once

#include <sqlite3.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/str.h"

struct db_schema {
	const char *name;
	uint32_t application_id; /* PRAGMA application_id: which of ours it is */
	size_t n_steps;
	const char *const *steps;
};
extern const struct db_schema db_flows, db_sums, db_findings;

enum db_mode {
	DB_READ,  /* only what is there */
	DB_WRITE, /* made when absent, brought up to date, WAL */
};

#define DB_ERROR_MAX 256

/* 0 or -errno, then `error` has words for people. */
int db_open(sqlite3 **ret, const char *path, const struct db_schema *schema, enum db_mode mode,
	    char error[DB_ERROR_MAX]);
/* The same up to step `version` only: what an older egret left behind, for tests of the later steps. */
int db_open_at(sqlite3 **ret, const char *path, const struct db_schema *schema, size_t version,
	       char error[DB_ERROR_MAX]);
sqlite3 *db_close(sqlite3 *db);
/* Of a file that nobody writes to any more: one file again that can be read without writing beside it. */
sqlite3 *db_close_finished(sqlite3 *db);

int db_errno(int rc); /* of a result code; 0 of SQLITE_OK, ROW, DONE */
int db_exec(sqlite3 *db, const char *sql);
int db_prepare(sqlite3 *db, const char *sql, sqlite3_stmt **ret);
int db_step_done(sqlite3_stmt *s); /* of a statement without rows; resets it. 0 or -errno */
int db_number(sqlite3 *db, const char *sql,
	      int64_t *ret); /* the first column of the first row; 0 without one */

/* Moves a damaged file and what lies beside it out of the way: NAME.damaged-SECONDS. */
int db_set_aside(const char *path, uint64_t now_ns);

/* Borrowed until the statement steps; whatever type a damaged file has there. */
struct str db_bytes(sqlite3_stmt *s, int column);

static inline void db_finalizep(sqlite3_stmt **s)
{
	sqlite3_finalize(*s);
}
static inline void db_closep(sqlite3 **db)
{
	db_close(*db);
}
#define _cleanup_stmt_ _cleanup_(db_finalizep)
