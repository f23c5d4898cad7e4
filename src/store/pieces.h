/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private to the SQLite store: one day's file of pieces, as it is written (pieces.c) and read (read_pieces.c). The layout and its
 * units are told in schema.c.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/time.h"
#include "store/db.h"
#include "store/row.h"

#define DAY_US (86400 * INT64_C(1000000))
#define PIECE_ID_SHIFT 10 /* microseconds → piece.id */
#define PIECE_LATE_US \
	(600 * INT64_C(1000000)) /* a piece may end so long before the day whose file is written */
#define PIECE_RARE 5             /* numbers in piece.rare */

enum piece_bits {
	PIECE_MID_STREAM = 1,
	PIECE_PAYLOAD_KNOWN = 2,
	PIECE_OURS_IS_DST = 4,
	PIECE_ENDS = 8,
	PIECE_WOULD_REFUSE = 16,
	PIECE_REFUSED = 32,
	PIECE_FORWARDED = 64,
};

/* X(identifier, table, columns, how many) */
#define PIECE_DIMS(X)                                                                            \
	X(TEXT, "text", "t", 1)                                                                  \
	X(NAME, "name", "r", 1)                                                                  \
	X(CHAIN, "chain", "next, pid, exe, comm", 4)                                             \
	X(IMAGE, "image",                                                                        \
	  "exe, comm, exe_state, uid, user, cgroup, unit, container_id, container_name, "        \
	  "container_image, container_runtime",                                                  \
	  11)                                                                                    \
	X(PROC, "proc", "image, pid, ppid, start, args, chain", 6)                               \
	X(PLACE, "place", "segment, country, asn, org", 4)                                       \
	X(PEER, "peer", "addr, name, source, domain, more, place", 6)                            \
	X(RULE, "rule", "line, file, text, note", 4)                                             \
	X(KIND, "kind",                                                                          \
	  "proto, port, app, direction, state, end, opener_flags, responder_flags, bits, ours, " \
	  "ifindex, zone, boot, action, rule, ja3, ja4",                                         \
	  17)

enum piece_dim {
#define X(id, table, columns, n) PIECE_DIM_##id,
	PIECE_DIMS(X)
#undef X
		PIECE_DIM_COUNT
};

#define PIECE_COLUMNS                                                                        \
	"id, proc, peer, kind, sport, lag, length, moved, flow, seq, up, down, up_packets, " \
	"down_packets, up_over, down_over, rtt, rare"
enum piece_column {
	PIECE_ID,
	PIECE_PROC,
	PIECE_PEER,
	PIECE_KIND,
	PIECE_SPORT,
	PIECE_LAG,
	PIECE_LENGTH,
	PIECE_MOVED,
	PIECE_FLOW,
	PIECE_SEQ,
	PIECE_UP,
	PIECE_DOWN,
	PIECE_UP_PACKETS,
	PIECE_DOWN_PACKETS,
	PIECE_UP_OVER,
	PIECE_DOWN_OVER,
	PIECE_RTT,
	PIECE_RARE_BLOB,
	PIECE_COLUMN_COUNT
};

#define DAY_NAME_MAX 32
/* "flows-2026-01-31.db" of a day since 1970; and back: false, it is not such a name. */
char *day_file_name(int64_t day, char text[DAY_NAME_MAX]);
bool day_file_parse(const char *name, int64_t *ret_day);

struct pieces;

/* The file of one day for writing, made when absent. -errno as in store/db.h, with words. */
int pieces_open(struct pieces **ret, const char *dir, int64_t day, char error[DB_ERROR_MAX]);
/* `finished`: the day is over, nobody will write to it. Not committed: gone. */
struct pieces *pieces_close(struct pieces *p, bool finished);

bool pieces_takes(const struct pieces *p,
		  const struct store_row *row); /* it belongs into this file */
int pieces_begin(struct pieces *p);
int pieces_add(struct pieces *p, const struct store_row *row); /* within begin and commit */
int pieces_commit(
	struct pieces *
		p); /* on failure nothing since begin is there; close it then: it has ids of what is not there */

int64_t pieces_day(const struct pieces *p);
int64_t pieces_file(const struct pieces *p); /* random: which file of this day it is */
int64_t pieces_last_id(const struct pieces *p);
const char *pieces_path(const struct pieces *p);
