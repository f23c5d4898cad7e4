/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The only layout that the kernel's side and user space share: values of maps and records of the ring buffer.
 * Includes nothing but linux/types.h; no pointers, enums, bit-fields or bool. Addresses are 16 bytes, IPv4
 * v4-mapped; ports are in host order; times are CLOCK_MONOTONIC nanoseconds where not said otherwise,
 * ticks are the kernel's jiffies.
 */
#pragma once

#include <linux/types.h>

/* Raised with every change of layout or meaning: it is part of the path that state is pinned under. */
#define EGRET_ABI 7

/*
 * How many first bytes of a flow user space gets to see; the offline reader keeps to the same numbers so that a
 * capture and a live host show the same names and protocols.
 */
#define EG_OPENER_WINDOW \
	16384 /* TCP: opener to responder (a ClientHello may be larger than a segment) */
#define EG_RESPONDER_WINDOW 4096 /* TCP: the other way */
#define EG_TLS_RESPONDER_WINDOW \
	8192 /* TLS: its hello and certificate, mostly 1 to 3 KiB; less where that shows */
#define EG_CHUNK_MAX 4096      /* of one record */
#define EG_UDP_OPENER_MAX 8    /* UDP: datagrams from the opener … */
#define EG_UDP_RESPONDER_MAX 4 /* … and back … */
#define EG_UDP_BYTES_MAX 2048  /* … and of each so many bytes */
#define EG_ECHO_MAX 64 /* ICMP echo: messages of each side, until the opener has sent so many … */
#define EG_ECHO_BYTES_MAX 128  /* … and of each so many bytes, the header included */
#define EG_HTTP_BYTES_MAX 2048 /* later requests and answers of a kept-alive HTTP connection */

#define EG_ADDR_NAMES 4 /* names of an address that a record carries */
#define EG_NAME_MAX 256 /* of a name's text, with its NUL */
#define EG_PATH_MAX 1024
#define EG_ARGS_MAX 1024
#define EG_CGROUP_MAX 512

/* Least time a DNS answer stays in force, and what is added to its TTL: programs keep addresses longer. */
#define EG_NAME_TTL_MIN_NS 60000000000ULL
#define EG_NAME_GRACE_NS 30000000000ULL

struct eg_key {
	__u8 local[16];
	__u8 remote[16];
	__u16 lport,
		rport; /* ICMP: at the sender's end the type, at the other the type that answers it, or the code */
	__u8 proto;
	__u8 pad[3];
};
_Static_assert(sizeof(struct eg_key) == 40, "abi");

struct eg_owner {
	__u64 start_ns; /* of the process, CLOCK_BOOTTIME */
	__u64 cgroup_id;
	__u32 pid; /* thread group, initial pid namespace; 0: the kernel itself */
	__u32 uid, gid;
	__u32 pad;
};
_Static_assert(sizeof(struct eg_owner) == 32, "abi");

struct eg_counts {
	__u64 tx_packets, tx_bytes, rx_packets, rx_bytes;
};
_Static_assert(sizeof(struct eg_counts) == 32, "abi");

/* How far first bytes of one direction were handed on. TCP: offsets from the first byte after the SYN. */
struct eg_window {
	__u32 isn;
	__u32 next; /* contiguous so far; UDP: datagrams so far */
	__u32 end;
};

/* Bits of eg_sock.flags, eg_peer.flags and of the records made from them. */
#define EG_KEYED (1U << 0)     /* `key` names a flow that is being counted */
#define EG_OPEN_SENT (1U << 1) /* user space was told of it */
#define EG_INBOUND (1U << 2)   /* the other side began */
#define EG_MIDSTREAM (1U << 3) /* was open before egret looked */
#define EG_OWNED (1U << 4)     /* `owner` is known */
#define EG_CONNECTED (1U << 5) /* one peer only: packets need not be compared with the key */
#define EG_TX_OPEN (1U << 6)   /* first bytes still wanted, local to remote */
#define EG_RX_OPEN (1U << 7)   /* and remote to local */
#define EG_TX_BEGUN (1U << 8)  /* the window's first record was sent */
#define EG_RX_BEGUN (1U << 9)
#define EG_TX_ISN (1U << 10) /* tx.isn is known */
#define EG_RX_ISN (1U << 11)
#define EG_DNS (1U << 12)        /* every message is handed on whole */
#define EG_HTTP (1U << 13)       /* heads of later requests and answers are handed on */
#define EG_HAS_PEERS (1U << 14)  /* eg_peers holds more flows of this socket */
#define EG_MULTI (1U << 15)      /* not connected: compare each packet's peer with the key */
#define EG_CONNECTING (1U << 16) /* connect() was called, no packet yet */
#define EG_KEYING (1U << 17)     /* one CPU is writing the key just now */
#define EG_RAW (1U << 19)        /* raw socket: sees copies of packets that are not its own */
#define EG_QUIC (1U << 18)       /* began with a long header of QUIC */
#define EG_ANSWERED (1U << 21)   /* the next reset out of this socket is counted already (tcp.h) */
#define EG_OVER (1U << 22)       /* ended, and there was no room to tell: the next sweep does */
#define EG_CLOSED_FIRST (1U << 23) /* our FIN went before the peer's came */
#define EG_LOOKED (1U << 24)       /* the connection's health was looked at: `payload` is known */
#define EG_SEEDED (1U << 20)       /* owner comes from the walk over open files at start */
#define EG_AGAIN \
	(1U << 25) /* policy hangs on what datagrams say: each long header of QUIC is looked at */
#define EG_FORWARDED (1U << 26) /* seen by the gateway: of no socket of this host */
#define EG_LIMITED (1U << 27)   /* the flow has a rate: judged.limit */
#define EG_PACED (1U << 28)     /* its TCP was told to send no faster */
#define EG_HIGH (1U << 29)      /* priority of what passes for good (priority.h) */
#define EG_LOW (1U << 30)

/* All that a packet in the middle of a known flow needs and changes. */
struct eg_hot {
	struct eg_counts n;
	__u64 last_tick; /* of the newest packet: the clock itself would cost as much as all the rest (16 ns) */
	__u32 flags;
	__u8 tx_tcp, rx_tcp; /* union of TCP flags */
	__u8 proto;
	__u8 passes; /* low byte of the policy_epoch that lets this flow pass for good; else: ask policy */
	__u32 pid;      /* owner's, compared at each send of a socket that is not connected */
	__u32 peer_tag; /* hash of remote address and port, compared at each datagram */
};
_Static_assert(sizeof(struct eg_hot) == 56, "abi");

/* What a process is, as policy sees it; a socket keeps what its owner was when it connected or sent. */
struct eg_who {
	__u64 exe, script; /* keys of eg_paths; 0: not known, or no script */
	__u64 trees;       /* bit per tree that the process belongs to */
	__u64 groups;      /* bit per group that rules name */
};
_Static_assert(sizeof(struct eg_who) == 32, "abi");

/* The last verdict on a flow. */
#define EG_JUDGED_FINAL 1
#define EG_JUDGED_REFUSES 2 /* packets and calls are refused */
#define EG_JUDGED_WOULD 4   /* would be, were it not for watch mode or audit */
#define EG_JUDGED_TOLD 8    /* user space knows */
#define EG_JUDGED_PAYLOAD \
	16 /* first payload was looked at: visible and app are as good as they get */
#define EG_JUDGED_BEGUN 32 /* some of it was */
#define EG_JUDGED_HIGH 64  /* its priority, once final and enforced */
#define EG_JUDGED_LOW 128
struct eg_judged {
	__u32 gen; /* of the policy; 0: never judged */
	__u16 rule, row;
	__u8 action;  /* enum eg_action */
	__u8 visible; /* enum eg_visible */
	__u8 app;     /* EG_APP_* */
	__u8 flags;   /* EG_JUDGED_* */
	__u8 tail;    /* EG_TAIL_*, with EG_OVER */
	__u8 epoch;   /* low byte of policy_epoch then; judged again when that moved on */
	__u16 limit;  /* as in the image's limit_of; 0: none */
};
_Static_assert(sizeof(struct eg_judged) == 16, "abi");

/* What is kept of a socket and the flow it carries. Zeroed when free. */
struct eg_sock {
	struct eg_hot hot;
	struct eg_key key;
	struct eg_window tx, rx;
	__u64 zone;
	__u64 owner_start_ns, owner_cgroup_id;
	__u32 uid, gid;
	union {
		__u64 payload
			[2]; /* TCP, tx and rx: as of the last look at its health, about once a second */
		__s64 adjust
			[2]; /* datagrams: payload = bytes - packets x headers + this (fragments) */
	};
	__u32 retransmits, rtt_us;
	__u32 passed; /* when a new owner was last told of, in 256 ticks */
	__u32 ifindex;
	struct eg_who who;
	__u64 born_ns; /* names that were in force then stay the flow's; of a free slot: when it was left */
	__u64 visible_name; /* key of eg_names; 0: none */
	struct eg_judged judged;
};
_Static_assert(sizeof(struct eg_sock) == 248, "abi");

/* A flow that the gateway forwards. */
#define EG_GATE_FLOWS 131072
#define EG_GATE_INSIDE 64 /* interfaces */
struct eg_gate_flow {
	struct eg_sock sock; /* without an owner; last_tick, key, counters as there */
	__u32 top[2];        /* highest sequence number of payload, tx and rx */
	__u32 topped;        /* bit 0, 1: that is known; EG_GATE_PIECES */
	__u32 answers_from; /* interface that answers from inside came in by, rightly; 0: none yet */
	__u64 cookie;       /* a number of its own, as a socket has */
};
_Static_assert(sizeof(struct eg_gate_flow) == 272, "abi");

/*
 * Where it is kept: in the slot picked by the low bits of the socket's cookie, whose first cache line is all that a
 * packet touches. Storage inside the socket, which is the other place for it, costs three lines instead of one (with
 * 1,000 sockets 300 ns a packet more, measured here) and two allocations a connection; it serves the sockets that find
 * their slot taken.
 */
#define EG_SLOTS 131072
#define EG_SLOT_BUSY (~0ULL) /* of nobody: it is being left, or looked through */
#define EG_SLOT_REST_NS \
	1000000000ULL /* a free one stays so: a packet on another CPU may still write there */
struct eg_slot {
	__u64 cookie; /* 0: free; its counts are of no flow. EG_SLOT_BUSY */
	struct eg_sock sock;
};
_Static_assert(sizeof(struct eg_slot) == 256, "four cache lines");

/* One more peer of a socket that is not connected. */
struct eg_peer_key {
	__u64 cookie;
	struct eg_key key;
};
_Static_assert(sizeof(struct eg_peer_key) == 48, "abi");

struct eg_peer {
	struct eg_counts n;
	__u64 last_tick, zone;
	struct eg_owner owner;
	__s64 adjust[2];
	__u32 flags;
	__u16 datagrams[2]; /* handed on, tx and rx */
	__u32 ifindex;
	__u32 pad;
	__u64 born_ns, visible_name; /* as in eg_sock */
	struct eg_judged judged;
};
_Static_assert(sizeof(struct eg_peer) == 144, "abi");

/*
 * SYN, SYN-ACK and the ACK that completes them pass on the listening socket; here their counts wait for the child, with
 * whose the listener is. Two places for each, by a hash of the flow: when both hold strangers the older one is pushed
 * out and counted as lost.
 */
#define EG_HANDSHAKES 8192
struct eg_handshake {
	__u64 tag; /* hash of key and zone; 0: free */
	__u64 last_tick;
	__u64 zone;
	struct eg_counts n;
	struct eg_key key;
	struct eg_owner owner; /* the listener's */
	__u32 tx_isn, rx_isn;
	__u32 flags; /* EG_OWNED, EG_TX_ISN, EG_RX_ISN */
	__u32 ifindex;
	__u8 tx_tcp, rx_tcp;
	__u8 pad[6];
};
_Static_assert(sizeof(struct eg_handshake) == 152, "abi");

/* A TCP flow whose socket is gone while packets may still come. In sets by the hash of the flow; the oldest gives way. */
#define EG_TAILS 16384
#define EG_TAIL_WAYS 4
#define EG_TAIL_FIN 1   /* the peer's FIN is expected */
#define EG_TAIL_RESET 2 /* a reset ended it: what was under way is answered with another */
#define EG_TAIL_ACK 3   /* the peer may say again what it said: TIME_WAIT answers */
struct eg_tail {
	__u64 tag;
	__u64 cookie;
	__u64 since_ns;
	__u64 answered_ns; /* what has neither payload nor FIN is answered twice a second at most */
	__u32 rcv_nxt;
	__u16 what;
	__u16 stamped; /* an ACK has a timestamp */
};
_Static_assert(sizeof(struct eg_tail) == 40, "abi");

/* Names that DNS, or user space, gave an address; a name's number is its hash (name_hash.h), its text in eg_names. */
#define EG_NAMES_OF_ADDR 8
#define EG_NAME_BUSY (~0ULL) /* one CPU is writing this place just now */
struct eg_addr {
	__u8 addr[16];
};
struct eg_addr_names {
	__u64 hash[EG_NAMES_OF_ADDR]; /* 0: free */
	__u32 until_s[EG_NAMES_OF_ADDR];
	__u32 told[EG_NAMES_OF_ADDR];   /* when last, in 2^16 ns, modulo 2^32 */
	__u8 trusted[EG_NAMES_OF_ADDR]; /* rules rest on it */
};
_Static_assert(sizeof(struct eg_addr_names) == 136, "abi");

/* What a place is worth to a record: trusted names first, then those told of last; 0: nothing, no two are equal. */
static inline __u64 eg_name_rank(const struct eg_addr_names *n, __u32 i, __u64 now_ns)
{
	__u32 age = (__u32)(now_ns >> 16) - n->told[i];

	if (!n->hash[i] || n->hash[i] == EG_NAME_BUSY || n->until_s[i] <= now_ns / 1000000000ULL)
		return 0;
	return (__u64) !!n->trusted[i] << 40 | (__u64)~age << 4 | 8 | i;
}
struct eg_name {
	__u64 judged; /* generation << 16 | class: in one word, because two policies may be asked at a time */
	__u32 len;
	__u32 pad;
	char text[EG_NAME_MAX];
};
_Static_assert(sizeof(struct eg_name) == 272, "abi");

/*
 * What was lost in the kernel, per CPU. The order is that of the first LOSS_ reasons in src/decode/event.h, which
 * src/attach/sweep.c asserts.
 */
#define EG_LOSS_REASONS(X) \
	X(RING_FLOW)       \
	X(RING_PAYLOAD)    \
	X(RING_DNS)        \
	X(RING_PROC)       \
	X(MAP_FLOWS)       \
	X(MAP_SOCKETS)     \
	X(MAP_HANDSHAKE)   \
	X(MAP_JUDGE)       \
	X(PACKET_UNREAD)   \
	X(MAP_LIMIT)
#define EG_LOSS_COUNT 10
#define EG_LOSS_PLACES 16 /* a power of two: the verifier wants a mask */

struct eg_loss {
	__u64 lost[EG_LOSS_PLACES];
	struct eg_counts
		unreported[EG_LOSS_PLACES]; /* traffic that lost its flow but not its bytes */
};

/* Records of the ring buffer. Each begins with this. */
#define EG_REC_OPEN 1
#define EG_REC_CLOSE 2
#define EG_REC_TAIL 3
#define EG_REC_DATA 4
#define EG_REC_FORK 5
#define EG_REC_EXEC 6
#define EG_REC_EXIT 7
#define EG_REC_PACKET_SOCKET 8
#define EG_REC_SEEN 9 /* written by the walk over tasks at start, as eg_exec without arguments */
#define EG_REC_REFUSAL 10

struct eg_rec {
	__u32 type;
	__u32 flags; /* EG_* of the flow */
	__u64 time_ns;
};

struct eg_open {
	struct eg_rec rec;
	struct eg_key key;
	__u64 zone, cookie;
	struct eg_owner owner;
	__u32 ifindex;
	__u32 pad;
	char comm[16]; /* empty when the owner is not the one that runs now */
	__u64 names[EG_ADDR_NAMES];
	__u64 visible_name;
	struct eg_judged judged;
};
_Static_assert(sizeof(struct eg_open) == 184, "abi");

/* Where a verdict was taken: enum verdict_at of src/decode/event.h. */
#define EG_AT_CONNECT 0
#define EG_AT_SEND 1
#define EG_AT_PACKET 2
#define EG_AT_BACKSTOP 3

/* Something was refused; type 0 when a sweep writes it: then the sum of what had no record of its own. */
struct eg_refusal {
	struct eg_open open;
	__u64 calls, packets, bytes;
	__u8 at;
	__u8 pad[7];
};
_Static_assert(sizeof(struct eg_refusal) == 216, "abi");

/* What was refused by one rule to one program, and not told of one by one. */
struct eg_refused_key {
	__u32 gen;
	__u32 rule;
	__u64 exe;
};
struct eg_refused {
	__u64 calls, packets, bytes;
	__u64 second; /* in which … */
	__u32 told;   /* … so many records were sent */
	__u32 at;
	struct eg_open open; /* the first of them */
};
#define EG_REFUSED_RECORDS 64 /* a second, of one rule and program */

/* What eg_tell_app() is called with: user space recognised a protocol. */
struct eg_tell {
	struct eg_peer_key key;
	__u32 app;
	__u32 pad;
};

/* Counters of a rule: behind the image, in the same map, so that they are that policy's and no other's. */
struct eg_hit {
	__u64 verdicts;
	__u64 refused_packets, refused_bytes, refused_calls;
	__u64 last_ns;                        /* Unix */
	__u64 limited_packets, limited_bytes; /* dropped, because they were over the rule's rate */
	__u64 pad;
};
_Static_assert(sizeof(struct eg_hit) == 64, "abi");

/*
 * Who shares a rate, and what they have used of it, each direction by itself (limit.h). `id` is the rule's, `of` whose
 * bucket it is.
 */
#define EG_BUCKETS 100000
#define EG_BUCKETS_REST 256 /* for those who find no room */
struct eg_bucket_key {
	__u64 id;
	__u64 of[2];
};
struct eg_meter {
	__u64 end_ns;  /* when all that passed has left at the rule's rate */
	__u64 share;   /* of a flow, bytes a second; 0: not worked out yet */
	__u64 from_ns; /* it was worked out then … */
	__u64 was_ns;  /* … with so much waiting */
};
struct eg_bucket {
	struct eg_meter way[2]; /* rx and tx */
};
_Static_assert(sizeof(struct eg_bucket) == 64, "abi");

/* What one flow has used of its share. In sets by the flow's hash; who finds all busy has no share of his own. */
#define EG_SHARES 65536
#define EG_SHARE_WAYS 4
struct eg_share {
	__u64 tag;
	__u64 end_ns[2];
};
_Static_assert(sizeof(struct eg_share) == 24, "abi");

/* Also what a sweep writes of each flow, then with rec.type 0. */
struct eg_close {
	struct eg_rec rec;
	struct eg_key key;
	__u64 zone, cookie;
	struct eg_counts n;
	__u64 tx_payload, rx_payload; /* ~0: not known */
	__u64 last_tick;
	__u32 retransmits, rtt_us;
	struct eg_owner owner;
	__u8 tx_tcp, rx_tcp;
	__u8 idle; /* a sweep: the flow was idle for so long that it is over */
	__u8 tail; /* EG_TAIL_*: more is to be expected */
	__u32 ifindex;
	__u64 visible_name;
	struct eg_judged judged;
};
_Static_assert(sizeof(struct eg_close) == 200, "abi");

/* Packets of a flow that came or went after its close. */
struct eg_tail_rec {
	struct eg_rec rec;
	struct eg_key key;
	__u64 zone, cookie;
	struct eg_counts n;
	__u8 tx_tcp, rx_tcp;
	__u8 what; /* EG_TAIL_* from now on */
	__u8 pad[5];
};

#define EG_DATA_TX 1
#define EG_DATA_FIRST 2 /* first record of its direction: the byte before offset 0 is the SYN's */
#define EG_DATA_IS_DNS 4

struct eg_data {
	struct eg_rec rec;
	struct eg_key key;
	__u64 zone, cookie;
	__u32 seq, ack, isn;
	__u32 payload_bytes; /* as sent, from `seq` on */
	__u32 len;           /* bytes that follow */
	__u8 what;           /* EG_DATA_* */
	__u8 tcp_flags;
	__u8 pad[2];
};
_Static_assert(sizeof(struct eg_data) == 96, "abi");

struct eg_proc {
	struct eg_rec rec;
	__u32 pid, ppid;
	__u64 start_ns, parent_start_ns;
	__u64 cgroup_id;
	__u32 uid, gid;
	char comm[16];
	__u32 packet_proto; /* EG_REC_PACKET_SOCKET: ethertype; ~0: not known whether it is a packet socket at all */
	__u32 pad;
};
_Static_assert(sizeof(struct eg_proc) == 80, "abi");

/* What a descriptor is; enum stdio_kind of src/decode/stdio.h. */
#define EG_STDIO 3 /* 0, 1 and 2 */
#define EG_STDIO_UNKNOWN 0
#define EG_STDIO_CLOSED 1
#define EG_STDIO_FILE 2
#define EG_STDIO_NULL 3
#define EG_STDIO_TTY 4
#define EG_STDIO_PIPE 5
#define EG_STDIO_INET 6
#define EG_STDIO_UNIX 7
struct eg_stdio {
	/* PIPE: device << 32 ^ inode. TTY: device. INET: cookie, 0 when it has none yet. UNIX: own inode << 32 | peer's */
	__u64 id;
	__u8 remote[16]; /* INET: of the peer; zero: not connected */
	__u16 lport, rport;
	__u8 kind, proto;
	__u8 pad[2];
};
_Static_assert(sizeof(struct eg_stdio) == 32, "abi");

/* Components of paths come leaf first, each with '/' in front; user space turns them round. */
struct eg_exec {
	struct eg_proc proc;
	__u64 inode;
	__u32 dev; /* as the kernel holds it: major << 20 | minor */
	__u32 nlink;
	__u16 path_len, args_len, cgroup_len;
	__u8 args_cut, memfd;
	struct eg_stdio stdio[EG_STDIO];
	char path[EG_PATH_MAX];
	char args[EG_ARGS_MAX];
	char cgroup[EG_CGROUP_MAX];
};

/* One socket found open at start (walk over open files). */
struct eg_seed {
	struct eg_open open;
	__u32 state;
	__u32 type;
};

/* One packet socket found open. */
struct eg_packet_sock {
	struct eg_owner owner;
	__u64 inode;
	__u16 proto;
	__u8 pad[6];
};
