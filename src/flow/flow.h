/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Facts → flows. The flow table takes every event, whatever its source, keeps one struct flow a conversation, feeds
 * first bytes to the decoders and hands records (flow/record.h) to the next stage. It never reads a clock: time is
 * the event's. All memory is bounded by struct flow_config; what is pushed out is counted as a loss and reported
 * first.
 *
 * Who opened a flow: live, the socket says (accept or not). In a capture: the sender of a SYN, the receiver of a
 * SYN/ACK; without either, the sender of the first packet, unless only that one's port is a service's.
 *
 * Direction. Live: EGRESS when a socket of this host opened it, REPLY when the other side did. In a capture, by
 * `inside`: inside to outside EGRESS, outside to inside INGRESS; both inside or both outside UNKNOWN: nothing left, or
 * it cannot be told from where the capture was taken. Multicast, broadcast and unset addresses count as inside.
 *
 * What a source of events must keep to: for one flow nothing follows its EVENT_CLOSE but EVENT_FACT.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/intern.h"
#include "base/list.h"
#include "decode/appproto.h"
#include "decode/event.h"
#include "decode/random_bytes.h"
#include "flow/icmp.h"
#include "flow/names.h"
#include "flow/proc.h"
#include "flow/verdict.h"

struct record;
struct flow_nat;
struct machine;
struct machine_table;
struct flow_stream;

/* How much of the beginning of each direction the decoders look at, live and offline alike. */
#define FLOW_WINDOW_CLIENT 16384
#define FLOW_WINDOW_SERVER 4096
#define FLOW_WINDOW_TLS_SERVER \
	8192 /* a ServerHello and a certificate: mostly 1 to 3 KiB, with many names 6 */

enum flow_state { FLOW_NEW, FLOW_ESTABLISHED, FLOW_CLOSED };

/* As records.md: egress and reply on a host (who opened it), egress/ingress/forward by `inside` in a capture. */
enum flow_direction { FLOW_DIRECTION_UNKNOWN, FLOW_EGRESS, FLOW_REPLY, FLOW_FORWARD, FLOW_INGRESS };

enum flow_side { TO_SERVER, TO_CLIENT }; /* the opener's packets, the responder's packets */

struct flow_half {
	uint64_t packets, bytes; /* IP packets */
	uint64_t payload;        /* TCP/UDP payload without retransmits */
	uint8_t tcp_flags;       /* union over its packets */
};

#define FLOW_TCP_HOLES 2

/* The sequence numbers of one side; see flow/tcp.c. */
struct flow_tcp {
	uint32_t isn;   /* of its SYN */
	uint32_t next;  /* after the highest byte it sent */
	uint32_t acked; /* the highest acknowledgement it sent */
	uint32_t look;  /* its first byte the decoders still want */
	struct {
		uint32_t from, to;
	} hole[FLOW_TCP_HOLES]; /* below `next`, not seen yet; highest first */
	uint8_t n_holes, seen;
};

_Static_assert(sizeof(struct flow_icmp) <= 2 * sizeof(struct flow_tcp), "a flow must not grow");

/* Where the other side lies. */
struct flow_place {
	char country[3]; /* ISO 3166-1; empty: not known */
	uint32_t asn;    /* 0: not known */
	struct str segment;
	struct str host; /* that saw the flow, in the history of a fleet; empty: this one */
};

/* Plain data; what a later stage needs of a conversation. Decoders' buffers come and go apart. */
struct flow {
	struct event_key key; /* src opened the flow */
	uint64_t last_ns;
	uint64_t touched_ns; /* the table's: when it was last put at the end of its idle list */
	struct flow_half half[2];
	union {
		struct flow_tcp tcp[2];
		struct flow_icmp icmp; /* of ICMP and IPv6-ICMP */
	};
	uint8_t looking;    /* the table's: bit per side whose bytes are still looked at */
	uint8_t look_phase; /* the table's: what the bytes are, see flow/table.h */
	uint8_t idle_class; /* the table's */
	uint8_t flags;      /* the table's */
	uint8_t look_tries; /* the table's: datagrams that did not tell enough */
	uint32_t retransmits, resets, rtt_us;
	struct flow_stream *stream; /* the table's: while first bytes are still joined */
	enum flow_state state;
	enum event_end end;
	enum flow_direction direction;
	enum app_proto app;

	uint64_t id; /* u53, stable for the flow's life, unique in a run */
	uint64_t start_ns;
	struct text *name; /* the best one: sni, quic, http, then dns */
	struct name *names[NAMES_PER_ADDR];
	struct text *ja3, *ja4; /* of its first ClientHello */
	struct proc *proc;      /* NULL: not known (always so in a capture) */
	/* Forwarded: the machine inside, and the ends on the other side of NAT; NULL: not known, or none. */
	struct machine *machine;
	struct flow_nat *nat;
	uint32_t ifindex;
	uint32_t seq; /* flow records written of it so far */
	enum name_source name_source;
	uint8_t n_names;
	uint8_t first; /* enum flow_first: its opener's first payload, while `app` is not known from it */
	bool mid_stream, payload_known, live;
	bool stores;        /* FTP: the client handed a file over (decode/ftp.h) */
	bool forwarded;     /* seen by the gateway; src or dst is a machine inside */
	bool owner_unknown; /* live, but the kernel could not tell */
	struct flow_verdict verdict;

	const struct flow_place *place; /* of flows of the history; NULL: not known */
	void *watched;                  /* of whoever watches; NULL when the flow begins */
	void *kept;                     /* of who keeps history, in the same way (store/keeper.h) */
	uint64_t metered[2]; /* bytes up and down that are in counters already (serve/totals.h) */
	uint64_t quoted;     /* bytes both ways that quotas have looked at (guard/quota.h) */

	/* the table's own */
	struct list idle, all, report;
	uint64_t hash, cookie, reported_ns, syn_ns;
};

/*
 * "Up" is what leaves our side, "down" what comes in, for people, filters and sums: the opener's packets, but the
 * responder's where the other side opened the flow (REPLY, INGRESS).
 */
static inline enum flow_side flow_up_side(const struct flow *f)
{
	return f->direction == FLOW_REPLY || f->direction == FLOW_INGRESS ? TO_CLIENT : TO_SERVER;
}

static inline const struct flow_half *flow_up(const struct flow *f)
{
	return &f->half[flow_up_side(f)];
}

static inline const struct flow_half *flow_down(const struct flow *f)
{
	return &f->half[!flow_up_side(f)];
}

struct record_out {
	void (*on_record)(void *ctx, const struct record *r);
	void *ctx;
};

struct flow_config {
	size_t max_flows;   /* most flows alive; the idlest is ended early past it; 0: 262,144 */
	size_t max_streams; /* most half-read hellos and requests at once; 0: 4,096 */
	uint64_t report_every_ns; /* flow records of living flows; 0: only at the end */
	uint64_t tcp_idle_ns,
		udp_idle_ns;  /* a capture's flows end after so long; 0: defaults (5 min, 60 s) */
	struct intern *texts; /* borrowed, as the next two */
	struct name_table *names;
	struct proc_table *procs;       /* NULL in a capture */
	struct machine_table *machines; /* NULL: no gateway */
	const struct cidr *inside; /* what counts as ours in a capture; none: private addresses */
	size_t n_inside;
};

/*
 * Policy of a capture: asked of each flow before a record is written of it. Fills `ret` but for its `rule`, which comes
 * from the source of rules by *ret_gen and *ret_rule.
 */
struct flow_judge {
	void (*judge)(void *ctx, const struct flow *f, struct flow_verdict *ret, uint32_t *ret_gen,
		      uint16_t *ret_rule);
	void *ctx;
};

struct flow_table;

int flow_table_new(struct flow_table **ret, const struct flow_config *cfg, struct record_out out);
struct flow_table *
flow_table_free(struct flow_table *t); /* emits nothing: flow_table_finish() first */

/* Where the words of rules come from, and for captures the verdicts. Either may be left out. */
void flow_table_set_verdicts(struct flow_table *t, struct verdict_source source,
			     struct flow_judge judge);

/* Told when the application protocol of a flow has become known from its bytes; must not feed events. */
void flow_table_on_app(struct flow_table *t, void (*fn)(void *ctx, const struct flow *f),
		       void *ctx);

/*
 * Somebody who follows flows while they live: payload that was not seen before moved, at that time (IP bytes where there is no
 * TCP or UDP). Live, in steps of the kernel's counters; never for flows of logs, which are over when they come. What he hangs on
 * flow.watched he frees when the record of the flow's end comes. Must not feed events.
 */
struct flow_watch {
	void (*on_data)(void *ctx, struct flow *f, enum flow_side side, uint64_t bytes,
			uint64_t time_ns);
	/* Live, may be NULL: who has opened it is known; again when its socket is passed on. */
	void (*on_open)(void *ctx, struct flow *f);
	/* Live, may be NULL: a process has become this image by exec, or was found running. */
	void (*on_exec)(void *ctx, struct proc *p, uint64_t time_ns);
	void *ctx;
};
void flow_table_watch(struct flow_table *t, struct flow_watch w);

void flow_table_event(struct flow_table *t, const struct event *e);
void flow_table_finish(struct flow_table *t); /* ends every flow with END_SHUTDOWN */

struct flow_table_stats {
	uint64_t flows_now, flows_total, packets, bytes;
	uint64_t loss[LOSS_COUNT];
	struct event_counts unreported; /* live traffic that lost its flow but not its bytes */
	uint64_t refused_calls, refused_packets, refused_bytes; /* by policy */
	uint64_t memory_bytes; /* of the table itself, names, texts and processes not counted */
};
void flow_table_stats(const struct flow_table *t, struct flow_table_stats *ret);

/* The living flow of a socket that a process has, or NULL. Walks all flows, the newest first: for what is rare. */
struct flow *flow_table_of_socket(struct flow_table *t, const struct stdio *s);

/* Every living flow, oldest first; the callback must not feed events. */
void flow_table_each(struct flow_table *t, void (*fn)(void *ctx, const struct flow *f), void *ctx);

/* Community ID version 1 with seed 0 (github.com/corelight/community-id-spec): "1:…"; empty when OpenSSL has no SHA-1. */
void flow_community_id(const struct flow *f, char text[32]);
const char *flow_direction_name(enum flow_direction d); /* NULL for unknown */
/* EVE flow.reason: "timeout", "tcp_fin", "tcp_reset", "shutdown", "forced"; and two that EVE has no word for:
 * "closed" (the socket was), "failed" (refused, or never answered). NULL for END_NONE. */
const char *flow_end_name(enum event_end e);
const char *flow_state_name(enum flow_state s);
const char *flow_proto_name(uint8_t proto,
			    char text[8]); /* "TCP", "UDP", "ICMP", "IPv6-ICMP" … else the number */
bool flow_proto_has_ports(uint8_t proto);
/* ICMP: the two "ports" of the key are this type and the type that answers it; for all other types, type and code. */
bool flow_icmp_is_asked(uint8_t proto, uint16_t type);
