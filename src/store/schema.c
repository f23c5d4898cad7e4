/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What lies in the files of history; docs/history.md says it in words. A change is a further step at the end of a list, and a further
 * snapshot in tests/unit/schema/.
 */
#include "store/db.h"

/*
 * One day of pieces: a star. piece.id is its time: microseconds of Unix time past the day's begin times 1024, and a number that keeps
 * it ascending in the order of writing; `lag` is by how much the piece ended before that (a UDP flow is known to be over a minute
 * later). Times are microseconds before the end (`length`: of the flow so far, `moved`: of the piece, NULL when both are the same).
 * `flow` counts from boot.base and is NULL of what never became one; up_over and down_over are IP bytes less payload; `rare` is NULL or five LEB128 numbers: retransmits,
 * resets, and refused calls, packets, bytes.
 * name.r is the name backwards, so that all names below one lie together; peer.domain is how many bytes at a name's end are its
 * registrable domain. zone: first pieces of flows up to this piece (from the zone before) have flow ids from lo to hi: flow ids
 * grow with time, so this finds one without an index of all. peer.more and chain are lists: further names as LEB128 ids, an ancestor and the id of the next.
 */
static const char *const flows_steps[] = {
	"CREATE TABLE head(id INTEGER PRIMARY KEY, file INTEGER NOT NULL, day INTEGER NOT NULL, "
	"lag INTEGER NOT NULL);"
	"CREATE TABLE text(id INTEGER PRIMARY KEY, t TEXT NOT NULL);"
	"CREATE TABLE name(id INTEGER PRIMARY KEY, r TEXT NOT NULL);"
	"CREATE INDEX name_r ON name(r);"
	"CREATE TABLE boot(id INTEGER PRIMARY KEY, boot INTEGER NOT NULL, base INTEGER NOT NULL);"
	"CREATE TABLE chain(id INTEGER PRIMARY KEY, next INTEGER NOT NULL, pid INTEGER NOT NULL, "
	"exe INTEGER NOT NULL, "
	"comm INTEGER NOT NULL);"
	"CREATE TABLE image(id INTEGER PRIMARY KEY, exe INTEGER NOT NULL, comm INTEGER NOT NULL, "
	"exe_state INTEGER NOT NULL, "
	"uid INTEGER, user INTEGER NOT NULL, cgroup INTEGER NOT NULL, unit INTEGER NOT NULL, "
	"container_id INTEGER NOT NULL, "
	"container_name INTEGER NOT NULL, container_image INTEGER NOT NULL, container_runtime "
	"INTEGER NOT NULL);"
	"CREATE TABLE proc(id INTEGER PRIMARY KEY, image INTEGER NOT NULL, pid INTEGER NOT NULL, "
	"ppid INTEGER NOT NULL, "
	"start INTEGER NOT NULL, args INTEGER NOT NULL, chain INTEGER NOT NULL);"
	"CREATE TABLE place(id INTEGER PRIMARY KEY, segment INTEGER NOT NULL, country TEXT NOT "
	"NULL, asn INTEGER NOT NULL, "
	"org INTEGER NOT NULL);"
	"CREATE TABLE peer(id INTEGER PRIMARY KEY, addr BLOB NOT NULL, name INTEGER NOT NULL, "
	"source INTEGER NOT NULL, "
	"domain INTEGER NOT NULL, more BLOB, place INTEGER NOT NULL);"
	"CREATE INDEX peer_addr ON peer(addr);"
	"CREATE INDEX peer_name ON peer(name);"
	"CREATE TABLE peer_more(name INTEGER NOT NULL, peer INTEGER NOT NULL, PRIMARY KEY(name, "
	"peer)) WITHOUT ROWID;"
	"CREATE TABLE rule(id INTEGER PRIMARY KEY, line INTEGER NOT NULL, file INTEGER NOT NULL, "
	"text INTEGER NOT NULL, "
	"note INTEGER NOT NULL);"
	"CREATE TABLE kind(id INTEGER PRIMARY KEY, proto INTEGER NOT NULL, port INTEGER NOT NULL, "
	"app INTEGER NOT NULL, "
	"direction INTEGER NOT NULL, state INTEGER NOT NULL, end INTEGER NOT NULL, opener_flags "
	"INTEGER NOT NULL, "
	"responder_flags INTEGER NOT NULL, bits INTEGER NOT NULL, ours BLOB NOT NULL, ifindex "
	"INTEGER NOT NULL, "
	"zone INTEGER NOT NULL, boot INTEGER NOT NULL, action INTEGER NOT NULL, rule INTEGER NOT "
	"NULL, ja3 INTEGER NOT NULL, "
	"ja4 INTEGER NOT NULL);"
	"CREATE TABLE piece(id INTEGER PRIMARY KEY, proc INTEGER, peer INTEGER NOT NULL, kind "
	"INTEGER NOT NULL, "
	"sport INTEGER NOT NULL, lag INTEGER NOT NULL, length INTEGER NOT NULL, moved INTEGER, "
	"flow INTEGER, "
	"seq INTEGER NOT NULL, up INTEGER NOT NULL, down INTEGER NOT NULL, up_packets INTEGER NOT "
	"NULL, "
	"down_packets INTEGER NOT NULL, up_over INTEGER NOT NULL, down_over INTEGER NOT NULL, rtt "
	"INTEGER NOT NULL, rare BLOB);"
	"CREATE INDEX piece_peer ON piece(peer);"
	"CREATE INDEX piece_flow ON piece(flow) WHERE seq > 0;"
	"CREATE TABLE zone(id INTEGER PRIMARY KEY, lo INTEGER NOT NULL, hi INTEGER NOT NULL);",
};

/*
 * One month of sums. `now` has the last minutes, row by row; when a minute is over it becomes one row of `sum` (store/sum_code.h), and
 * so on: the minutes of an hour that is over are added up to an hour, its hours to a day; `rolled` says that this was done. What comes
 * late is a further row of the same time. All rows not rolled are to be added. `mark`: pieces of that day's file up to this id are in.
 */
static const char *const sums_steps[] = {
	"CREATE TABLE text(id INTEGER PRIMARY KEY, t TEXT NOT NULL);"
	"CREATE TABLE key(id INTEGER PRIMARY KEY, dims BLOB NOT NULL);"
	"CREATE TABLE now(time INTEGER NOT NULL, key INTEGER NOT NULL, flows INTEGER NOT NULL, up "
	"INTEGER NOT NULL, "
	"down INTEGER NOT NULL, up_packets INTEGER NOT NULL, down_packets INTEGER NOT NULL, "
	"refused INTEGER NOT NULL, "
	"last INTEGER NOT NULL, PRIMARY KEY(time, key)) WITHOUT ROWID;"
	"CREATE TABLE sum(id INTEGER PRIMARY KEY, step INTEGER NOT NULL, time INTEGER NOT NULL, "
	"rolled INTEGER NOT NULL, "
	"data BLOB NOT NULL);"
	"CREATE INDEX sum_time ON sum(step, time);"
	"CREATE INDEX sum_rolled ON sum(step, time) WHERE rolled = 0;"
	"CREATE TABLE mark(day INTEGER NOT NULL, file INTEGER NOT NULL, id INTEGER NOT NULL, "
	"PRIMARY KEY(day, file)) WITHOUT ROWID;",
};

static const char *const findings_steps[] = {
	"CREATE TABLE finding(id TEXT PRIMARY KEY, time INTEGER NOT NULL, record TEXT NOT NULL);"
	"CREATE INDEX finding_time ON finding(time);",
};

#define STEPS(list) ARRAY_SIZE(list), list

const struct db_schema db_flows = { "flows", 0x65677231, STEPS(flows_steps) };
const struct db_schema db_sums = { "sums", 0x65677232, STEPS(sums_steps) };
const struct db_schema db_findings = { "findings", 0x65677233, STEPS(findings_steps) };
