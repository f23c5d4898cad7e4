/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows of a fleet's ClickHouse, asked for in columns and read from RowBinary, which holds them as clickhouse_row.h wrote them. A question
 * names what each column of its answer is; what it does not ask for is empty in the row. Blocks: for processes that may.
 */
#pragma once

#include "store/clickhouse_http.h"
#include "store/row.h"

/* X(identifier, column of the table `flow`) */
#define CLICKHOUSE_COLUMNS(X)                     \
	X(HOST, "host")                           \
	X(BOOT, "boot")                           \
	X(FLOW_ID, "flow_id")                     \
	X(SEQ, "seq")                             \
	X(ENDS, "ends")                           \
	X(START, "start_us")                      \
	X(FROM, "from_us")                        \
	X(TO, "to_us")                            \
	X(PROTO, "proto")                         \
	X(OUR_IP, "our_ip")                       \
	X(OUR_PORT, "our_port")                   \
	X(PEER_IP, "peer_ip")                     \
	X(PEER_PORT, "peer_port")                 \
	X(ZONE, "zone")                           \
	X(INBOUND, "inbound")                     \
	X(FORWARDED, "forwarded")                 \
	X(UP, "up_bytes")                         \
	X(DOWN, "down_bytes")                     \
	X(UP_PACKETS, "up_packets")               \
	X(DOWN_PACKETS, "down_packets")           \
	X(PAYLOAD_KNOWN, "payload_known")         \
	X(UP_PAYLOAD, "up_payload")               \
	X(DOWN_PAYLOAD, "down_payload")           \
	X(OPENER_FLAGS, "opener_flags")           \
	X(RESPONDER_FLAGS, "responder_flags")     \
	X(RETRANSMITS, "retransmits")             \
	X(RESETS, "resets")                       \
	X(RTT, "rtt_us")                          \
	X(STATE, "state")                         \
	X(END, "end")                             \
	X(DIRECTION, "direction")                 \
	X(MID_STREAM, "mid_stream")               \
	X(IFINDEX, "ifindex")                     \
	X(APP, "app")                             \
	X(PID, "pid")                             \
	X(UID, "uid")                             \
	X(USER, "user")                           \
	X(EXE, "exe")                             \
	X(COMM, "comm")                           \
	X(UNIT, "unit")                           \
	X(CONTAINER_NAME, "container_name")       \
	X(CONTAINER_IMAGE, "container_image")     \
	X(PPID, "ppid")                           \
	X(PROC_START, "proc_start_us")            \
	X(EXE_STATE, "exe_state")                 \
	X(ARGS, "args")                           \
	X(CGROUP, "cgroup")                       \
	X(CONTAINER_ID, "container_id")           \
	X(CONTAINER_RUNTIME, "container_runtime") \
	X(ANCESTOR_PIDS, "ancestor_pids")         \
	X(ANCESTOR_EXES, "ancestor_exes")         \
	X(NAME, "name")                           \
	X(NAME_SOURCE, "name_source")             \
	X(DOMAIN, "domain")                       \
	X(SEGMENT, "segment")                     \
	X(COUNTRY, "country")                     \
	X(ASN, "asn")                             \
	X(NAMES, "names")                         \
	X(AS_ORG, "as_org")                       \
	X(ACTION, "action")                       \
	X(WOULD_REFUSE, "would_refuse")           \
	X(REFUSED, "refused")                     \
	X(RULE_FILE, "rule_file")                 \
	X(RULE_LINE, "rule_line")                 \
	X(RULE_TEXT, "rule_text")                 \
	X(RULE_NOTE, "rule_note")                 \
	X(JA3, "ja3")                             \
	X(JA4, "ja4")

enum clickhouse_column {
#define X(id, name) COLUMN_##id,
	CLICKHOUSE_COLUMNS(X)
#undef X
		COLUMNS_OF_FLOW, /* so many; those behind are of other tables, or reckoned */
	COLUMN_CALLS = COLUMNS_OF_FLOW,
	COLUMN_PACKETS,
	COLUMN_BYTES,
	COLUMN_FLOWS,  /* UInt64: flows that began */
	COLUMN_BUCKET, /* UInt32, Unix seconds: what a sum is of begins then */
	COLUMN_COUNT,
};
const char *clickhouse_column_name(enum clickhouse_column c); /* in `flow` */

struct clickhouse_piece {
	struct store_row
		row; /* its texts live until the callback returns; `boot` is one of all machines' runs */
	uint64_t flows, bucket_ns;
};
/* Other than 0 ends the reading, which then returns that. */
typedef int (*clickhouse_piece_fn)(void *ctx, const struct clickhouse_piece *p);

/*
 * Asks `query`, without a FORMAT, whose answer has these columns in this order. 0; what `fn` returned; -EIO and why; -EBADMSG: an answer that is none.
 */
int clickhouse_read(struct clickhouse_http *h, struct str query, const uint8_t *columns, size_t n,
		    clickhouse_piece_fn fn, void *ctx, char why[SHIP_WHY_MAX]);

/* One row of RowBinary off the front of *in. 1: read; 0: not all of it is there; -EBADMSG: no such row. Pure. */
int clickhouse_take_row(struct str *in, const uint8_t *columns, size_t n,
			struct clickhouse_piece *ret);
