/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one kind of thing that enters the pipeline: something happened, at a time. attach/ makes events from the
 * kernel's ring buffers and counters, replay/ from captures and logs; nothing after them knows which it was.
 * An event and all it points to is only valid during the call that hands it on.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/str.h"
#include "decode/appproto.h"
#include "decode/stdio.h"

struct dns_message;
struct http_request;

enum event_type {
	EVENT_PACKET, /* a packet, or live a piece of payload (then it counts 0 packets) */
	EVENT_OPEN,   /* live: a socket began or took up a flow, and who it belongs to */
	EVENT_COUNT,  /* counters of a flow, absolute since its start */
	EVENT_CLOSE,  /* the flow is over, its last counters */
	EVENT_PROC,   /* a process began, became another program, or ended */
	EVENT_FACT,   /* a fact that somebody else decoded (Zeek) */
	EVENT_VERDICT, /* live: policy decided on a flow, or on a call or packet that never became one */
	EVENT_NAT,  /* live: conntrack translates addresses or ports of a connection */
	EVENT_LOSS, /* something was not seen; never silent */
	EVENT_TICK, /* time passed, nothing else */
};

/* Which way, seen from the socket (live). A capture does not know: EVENT_DIR_NONE. */
enum event_dir { EVENT_DIR_NONE, EVENT_DIR_TX, EVENT_DIR_RX };

/*
 * Live, src is always the local end and dst the remote end of the socket, whichever way the packet went; in a
 * capture src sent this packet. `zone` keeps apart what may reuse addresses: the network namespace cookie live,
 * a hash of the Zeek uid, the tunnel and VLAN of a capture, else 0.
 */
struct event_key {
	struct addr src, dst;
	uint16_t sport, dport; /* host order; ICMP as in struct packet */
	uint8_t proto;
	uint64_t zone;
};

static inline void event_key_reverse(struct event_key *k)
{
	*k = (struct event_key){ .src = k->dst,
				 .dst = k->src,
				 .sport = k->dport,
				 .dport = k->sport,
				 .proto = k->proto,
				 .zone = k->zone };
}

struct event_packet {
	uint32_t
		packets; /* 1 in a capture, 0 for a piece of payload (counters come by EVENT_COUNT) */
	uint32_t ip_bytes; /* of those packets */
	uint32_t seq, ack;
	uint8_t tcp_flags;
	bool cut;               /* payload is shorter than payload_bytes */
	uint32_t payload_bytes; /* as sent */
	struct str payload;     /* as captured; ICMP: the message with its header */
};

#define EVENT_NAMES_MAX 4

struct event_open {
	/* Names that DNS answers seen by the kernel gave the remote address, newest first; lower case, no dot at the end. */
	struct str names[EVENT_NAMES_MAX];
	uint8_t n_names;
	uint64_t cookie; /* of the socket; 0 unknown */
	uint32_t pid;    /* thread group, in the initial pid namespace; 0: the kernel itself */
	uint64_t proc_start_ns; /* start of that process, CLOCK_BOOTTIME */
	uint32_t uid, gid;
	uint64_t cgroup_id;
	struct str comm; /* only a help for people when the executable is not known */
	uint32_t ifindex;
	bool inbound;    /* the other side opened it (accept) */
	bool mid_stream; /* was open before egret looked */
	bool forwarded;  /* the gateway's: between two others, no socket of this host */
	bool owner_unknown;
};

/* tx: local to remote, rx: remote to local. All absolute since the flow's start. */
struct event_counts {
	uint64_t tx_packets, tx_bytes, rx_packets, rx_bytes; /* IP packets */
	uint64_t tx_payload,
		rx_payload; /* TCP/UDP payload without retransmits; UINT64_MAX: not known */
	uint32_t retransmits, rtt_us; /* 0: not known */
	uint8_t tx_tcp_flags, rx_tcp_flags;
	uint64_t last_ns; /* the newest packet */
};

/* Where a verdict was taken. */
enum verdict_at { VERDICT_AT_CONNECT, VERDICT_AT_SEND, VERDICT_AT_PACKET, VERDICT_AT_BACKSTOP };

/* Numbers are those of bpf/policy_image.h; what a rule's index means is the policy's of that generation. */
struct event_verdict {
	uint64_t cookie; /* 0: of no socket */
	uint32_t gen;
	uint16_t rule;
	uint8_t action;    /* EG_ALLOW … */
	bool final;        /* false: a fact is still to come */
	bool refused;      /* packets or calls were refused */
	bool would_refuse; /* watch mode or audit: let pass */
	bool summary; /* of refusals that had no room for a record each: `calls`, `packets`, `bytes` since the last */
	enum verdict_at at;
	uint8_t visible, app;           /* enum eg_visible, EG_APP_* */
	uint64_t calls, packets, bytes; /* refused */
	struct str visible_name;        /* what the flow said of itself: SNI, Host; may be empty */
	struct event_open who; /* the owner, and names of the remote address, as in EVENT_OPEN */
};

enum event_end {
	END_NONE, /* still open */
	END_TIMEOUT,
	END_FIN,
	END_RESET,
	END_CLOSED,   /* the socket was closed (UDP, raw) */
	END_FAILED,   /* never got an answer, or the connection was refused */
	END_SHUTDOWN, /* egret or the capture ended first */
	END_FORCED,   /* pushed out of a full table */
};

struct event_close {
	struct event_counts counts;
	enum event_end end;
	enum app_proto app; /* told by a log; APP_UNDECIDED: not told */
};

enum proc_change {
	PROC_FORK,
	PROC_EXEC,
	PROC_EXIT,
	PROC_SEEN /* found in /proc at start */,
	PROC_PACKET_SOCKET
};

struct event_proc {
	enum proc_change change;
	uint32_t pid, ppid;
	uint64_t start_ns, parent_start_ns; /* CLOCK_BOOTTIME; with pid the identity of a process */
	uint32_t uid, gid;
	uint64_t cgroup_id;
	uint32_t exe_dev_major, exe_dev_minor;
	uint64_t exe_inode;
	bool exe_deleted; /* the file had no link left */
	bool exe_memfd;   /* it never had one */
	struct str comm;
	struct str
		exe; /* path as the kernel resolved it, in the process's own mount namespace; may be empty */
	struct str args; /* NUL-separated, perhaps cut */
	bool args_cut;
	struct str cgroup;     /* path below the cgroup2 mount; empty: not told, ask cgroup_id */
	uint16_t packet_proto; /* PROC_PACKET_SOCKET: ethertype asked for, 0 unknown */
	struct stdio stdio[STDIO_COUNT]; /* PROC_EXEC, PROC_SEEN */
};

/* What a Zeek log line says. `uid` joins the lines of one connection. */
enum fact_kind { FACT_DNS, FACT_TLS, FACT_HTTP };

struct event_fact {
	enum fact_kind kind;
	const struct dns_message *dns;
	struct str sni, ja3, ja4, alpn, tls_version; /* FACT_TLS; the version is the one chosen */
	struct str ja3s, subject, issuer;            /* of the server; names as the log has them */
	struct str fingerprint;                      /* hex SHA-1 or SHA-256 of its certificate */
	enum { FACT_UNKNOWN, FACT_YES, FACT_NO } covers_sni; /* its names, the SNI */
	bool quic; /* FACT_TLS from quic.log or over UDP */
	const struct http_request *http;
	uint16_t http_status; /* 0 unknown */
};

enum nat_change {
	NAT_BEGINS,
	NAT_ENDS,    /* or: it is known that there is none */
	NAT_UNKNOWN, /* notices were lost: what was told before may be over; no key */
};

/* The key is what the opener sends; src opened it. ICMP as in struct packet, and 0 where a protocol has no ports. */
struct event_nat {
	enum nat_change change;
	struct event_key after; /* NAT_BEGINS: what arrives */
};

/* Reasons, one list for the enum, the names in `stats` records and the metric labels. */
#define LOSS_REASONS(X)                                                                            \
	X(RING_FLOW, "ring-flow")       /* kernel: no room for a notice of a flow */               \
	X(RING_PAYLOAD, "ring-payload") /* kernel: no room for first bytes of a flow */            \
	X(RING_DNS, "ring-dns")         /* kernel: no room for a DNS message */                    \
	X(RING_PROC, "ring-proc")       /* kernel: no room for a process notice */                 \
	X(MAP_FLOWS, "map-flows")       /* kernel: no entry for a peer of an unconnected socket */ \
	X(MAP_SOCKETS, "map-sockets")   /* kernel: no memory for a socket's counters */            \
	X(MAP_HANDSHAKE, "map-handshake") /* kernel: an inbound handshake's counts overwritten */  \
	X(MAP_JUDGE, "map-judge")         /* kernel: no buffer to judge with: refused */           \
	X(PACKET_UNREAD, "packet-unread") /* kernel: an IP packet whose headers cannot be read */  \
	X(MAP_LIMIT, "map-limit")     /* kernel: no bucket for a rate: a common one was asked */   \
	X(MAP_WHO, "map-who")         /* kernel: a program, a path, a group unknown to policy */   \
	X(TABLE_FLOWS, "table-flows") /* flow table full: the idlest flow was ended early */       \
	X(TABLE_STREAMS, "table-streams")   /* no buffer to join a split hello or request */       \
	X(TABLE_NAMES, "table-names")       /* name cache full: an old name was dropped */         \
	X(TABLE_PROCS, "table-procs")       /* process table full */                               \
	X(TABLE_TEXTS, "table-texts")       /* text table full: a text was left out of records */  \
	X(TABLE_NAT, "table-nat")           /* translations: an old one was forgotten */           \
	X(TABLE_MACHINES, "table-machines") /* machines inside: no room for one, or for a lease */ \
	X(CONNTRACK, "conntrack")           /* conntrack's notices overran */                      \
	X(HAIRPIN,                                                                                 \
	  "hairpin") /* NAT leads back inside: the gateway counts part of it, or nothing */        \
	X(FRAGMENTS, "fragments")       /* fragments never completed, or over the limit */         \
	X(CLIENT_QUEUE, "client-queue") /* a client of the control socket was too slow */          \
	X(EVE_WRITE, "eve-write")       /* a record could not be written */                        \
	X(ALERT_SEND, "alert-send")     /* an alert found no room to wait for its log */           \
	X(IPFIX_SEND, "ipfix-send")     /* a flow found no room to wait for its collector */       \
	X(STORE_QUEUE, "store-queue")   /* history: no room to wait for the disk */                \
	X(STORE_WRITE, "store-write")   /* history: a row that could not be written */             \
	X(SPOOL_DROP, "spool-drop") /* ClickHouse: a row that was given up before it was taken */

enum loss_reason {
#define X(id, name) LOSS_##id,
	LOSS_REASONS(X)
#undef X
		LOSS_COUNT
};

struct event_loss {
	enum loss_reason reason;
	uint64_t count;                 /* more of them since the last such event */
	struct event_counts unreported; /* live: traffic that lost its flow but not its bytes */
};

struct event {
	enum event_type type;
	enum event_dir dir;
	uint64_t time_ns;
	struct event_key key; /* PACKET, OPEN, COUNT, CLOSE, FACT, VERDICT, NAT */
	union {
		struct event_packet packet;
		struct event_open open;
		struct event_counts count;
		struct event_close close;
		struct event_proc proc;
		struct event_fact fact;
		struct event_verdict verdict;
		struct event_nat nat;
		struct event_loss loss;
	};
};

/* Where a source of events delivers them. */
struct event_out {
	void (*on_event)(void *ctx, const struct event *e);
	void *ctx;
};

const char *loss_name(enum loss_reason r);
/* For people: what is missing because of it, and what helps. */
struct loss_words {
	const char *means, *helps;
};
const struct loss_words *loss_words(enum loss_reason r);
