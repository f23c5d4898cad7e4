/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One row of history: a piece of a flow, that is what it moved since the piece before it (the first: since it began). Sums over
 * any time are sums over pieces; a flow is its pieces by `flow_id` and `boot`. Plain data; texts are borrowed and empty where
 * nothing is known. Times are kept to the microsecond.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"
#include "decode/event.h"

#define STORE_NAMES_MAX 8     /* further names of the other side */
#define STORE_ANCESTORS_MAX 8 /* nearest first, the parent included */

/* Who: one process image. */
struct store_who {
	uint32_t pid, ppid;
	uint64_t start_ns; /* Unix; with pid the identity of the process */
	bool has_uid;
	uint32_t uid;
	struct str exe, comm, args, user; /* args NUL-separated, already redacted */
	uint8_t exe_state;                /* enum exe_state */
	struct str cgroup, unit;
	struct str container_id, container_name, container_image, container_runtime;
	size_t n_ancestors;
	struct {
		uint32_t pid;
		struct str exe, comm;
	} ancestors[STORE_ANCESTORS_MAX];
};

/* To whom, and under which name. */
struct store_peer {
	struct str name;     /* the best one */
	uint8_t name_source; /* enum name_source */
	size_t n_names;
	struct str names[STORE_NAMES_MAX];
	struct str domain;  /* registrable domain of `name` */
	struct str segment; /* segment of the policy it lies in, else "internet" or "private" */
	char country[3];    /* ISO 3166-1, empty: not known */
	uint32_t asn;       /* 0: not known */
	struct str as_org;
};

struct store_rule {
	uint8_t action; /* EG_ALLOW …; 0: never judged */
	bool would_refuse, refused;
	uint32_t line; /* 0: nobody wrote it */
	struct str file, text, note;
};

struct store_row {
	struct str host; /* the machine, in the history of a fleet; empty: this one */
	uint64_t boot;   /* which run of egretd: flow ids are unique within it */
	uint64_t
		flow_id; /* 0: what was refused before it became a flow; such a row is whole and moved nothing */
	uint32_t seq;            /* pieces of this flow before this one */
	bool ends;               /* the last piece */
	uint64_t start_ns;       /* of the flow */
	uint64_t from_ns, to_ns; /* of this piece */
	struct event_key key;    /* src opened the flow */
	bool key_is_ours_dst;    /* the other side opened it: "up" is to src */
	uint64_t up_bytes, down_bytes, up_packets, down_packets; /* of this piece */
	uint64_t up_payload, down_payload;
	bool payload_known;
	uint8_t tcp_flags[2];                 /* opener's, responder's: so far */
	uint32_t retransmits, resets, rtt_us; /* so far */
	uint8_t state, end, direction;        /* enum flow_state, event_end, flow_direction */
	uint16_t app;                         /* enum app_proto */
	bool mid_stream;
	bool forwarded; /* seen by the gateway */
	uint32_t ifindex;
	uint64_t refused_calls, refused_packets, refused_bytes; /* of this piece */
	bool has_who;
	struct store_who who;
	struct store_peer peer;
	struct store_rule rule;
	struct str ja3, ja4;
};

#define STORE_ANSWERS_MAX 16

/* One answer of DNS: what was asked, what came. */
struct store_name {
	uint64_t boot, flow_id, time_ns;
	struct addr resolver;
	uint16_t port;
	uint16_t type;
	uint8_t rcode;
	struct str name;
	uint32_t ttl; /* the least of the answers; 0: none came */
	size_t n_answers;
	struct str answers[STORE_ANSWERS_MAX]; /* as text */
	bool has_who;
	struct store_who who;
};

/* A finding as it stands now: `record` is its EVE record, the others are what it is looked for by. */
struct store_finding {
	uint64_t boot, time_ns;
	struct str id, state, level, class, detector, entity, peer, name;
	int32_t score_db;
	bool acked;
	struct addr addr; /* of the peer; may be unset */
	struct str record;
};

/* What became of a version of the fleet's policy on a machine, and what it did there. */
struct store_policy {
	uint64_t boot, time_ns, version;
	struct str group, stage, state, reason, file;
	uint32_t rules;
	uint64_t before_hour, after_hour; /* refusals */
	uint64_t watched, would_refuse;   /* flows, while it was not in force */
};

/* How a machine is, once a minute: for who looks after many. */
struct store_host {
	uint64_t boot, time_ns;
	struct str version, watch, policy_mode, policy_file;
	uint32_t policy_rules;
	uint64_t uptime_s, flows;      /* flows: since the start */
	uint64_t lost, lost_spool;     /* of all reasons; of them, what did not reach ClickHouse */
	uint64_t waiting, spool_bytes; /* rows */
};
