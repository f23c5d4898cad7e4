/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The policy image: a compiled policy as flat, position-independent bytes. src/policy/ makes it, policy_eval.h reads it,
 * in the kernel and in user space alike. Offsets are in bytes from the start; every table starts on a page, no row
 * crosses one. Integers are in the machine's order, addresses in it are host-order numbers.
 *
 * A policy's rules become rows: bit i of every vector is row i, and the lowest row that holds decides. A rule is one
 * row, or several with the same action (an `except` of several selectors). The last row is the default and always holds.
 *
 * A source is something known of a flow, as a class. For each class of each source there are two vectors of
 * `words` words: AND (rows this class does not rule out) and, in sources that belong to a group, OR (rows whose
 * alternative this class satisfies). A row holds when every AND says so, and in each group at least one OR:
 *
 *     who  = exe | script | trees | cgroup | container      `app A, B`; rules without `app` stand in exe's OR
 *     dest = addr | names                                   `to X, Y`; rules without `to` stand in addr's OR
 *     grp  = groups                                         `group G`; rules without stand in class 0
 */
#pragma once

#include <linux/types.h>

#define EG_IMAGE_MAGIC 0x3130696c6f706765ULL /* "egpoli01" */
#define EG_IMAGE_PAGE 4096
#define EG_ROWS_MAX 4096
#define EG_WORDS_MAX 64 /* always a power of two */
#define EG_TREES_MAX 64
#define EG_GIDS_MAX 64
#define EG_FACT_NAMES 8 /* names that DNS gave one address, as the evaluator takes them */
#define EG_LABELS_MAX 16
#define EG_PROBES_MAX \
	32 /* of the table of names: the compiler makes it larger rather than longer to search */
#define EG_PATH_STEPS \
	1024 /* bytes of a path that the automaton reads; longer paths match nothing */

enum eg_source {
	EG_SRC_EXE,    /* class by the path automaton */
	EG_SRC_SCRIPT, /* the same automaton on the script's path; class 0: no script */
	EG_SRC_TREE,   /* "class" is the id of a tree, 0..63; a set */
	EG_SRC_CGROUP, /* class by the automaton of cgroup paths; AND also carries `unit`, `cgroup` selectors */
	EG_SRC_CONTAINER, /* class told by user space; may be unknown; AND also carries `container` selectors */
	EG_SRC_USER,
	EG_SRC_GROUP, /* "class" is 0 (always) or 1 + id of a group, 1..64; a set */
	EG_SRC_FROM,  /* class of the local address */
	EG_SRC_ADDR,  /* class of the remote address */
	EG_SRC_NAME,  /* a set (DNS), and the visible name, which may be unknown */
	EG_SRC_PORT,
	EG_SRC_APP, /* application protocol; may be unknown */
	EG_SRC_COUNT
};

/*
 * Every source has these first two classes; only what may be unknown uses them. 2 is "none of those that rules name".
 * ANY: may be anything. AND is the union of all classes; OR is the rows for which one class satisfies OR and AND both.
 *      In EG_SRC_NAME, AND is the union of all OR instead (its AND of all is never asked for).
 * ALL: holds whatever it is: the intersection of all classes.
 */
#define EG_CLASS_ANY 0
#define EG_CLASS_ALL 1
#define EG_CLASS_NONE 2

enum eg_action { EG_ALLOW = 1, EG_DENY, EG_REJECT, EG_AUDIT };

#define EG_ROW_LOG 1
#define EG_ROW_QUIET 2
#define EG_ROW_ALERT 4
#define EG_ROW_IMPLIED \
	8 /* not written by anybody: loopback, DNS to trusted resolvers, the default left out */
#define EG_ROW_FIRM 16  /* enforced in watch mode, too (`egret block`) */
#define EG_ROW_LIMIT 32 /* what passes by it has a rate: `limit_of` its rule */
#define EG_ROW_HIGH 64  /* `priority high` */
#define EG_ROW_LOW 128
struct eg_row {
	__u16 rule; /* index of the rule in the policy; the default: their number */
	__u8 action;
	__u8 flags;
};

/* Rows that a flow's kind lets take part. */
enum eg_scope {
	EG_SCOPE_ANY,
	EG_SCOPE_LOOPBACK, /* only rules that name loopback, and the implied allow */
	EG_SCOPE_RESOLVER, /* DNS to a trusted resolver: only rules that name it, and the implied allow */
	EG_SCOPE_COUNT
};

/* Flags of address classes and name classes. */
#define EG_IS_LOOPBACK 1
#define EG_IS_RESOLVER 2
#define EG_IS_DOH 4 /* a known server of DNS over HTTPS */
#define EG_IS_INTERNET 8

/* Ports are one number space of (group, port). */
enum eg_port_group {
	EG_PORTS_TCP,
	EG_PORTS_UDP,
	EG_PORTS_ICMP,
	EG_PORTS_ICMP6,
	EG_PORTS_OTHER,
	EG_PORTS_PROTO,
	EG_PORTS_NONE
};
/* OTHER: protocols with ports besides TCP and UDP; PROTO: the protocol's number as port; NONE: a fragment without ports.
 * ICMP: the type as port. */
#define EG_PORT_KEY(group, port) ((__u32)(group) << 16 | (port))

/* Application protocols that the kernel's side tells by itself, and those that user space tells later. 0: not known yet. */
#define EG_APPS(X)    \
	X(UNDECIDED)  \
	X(UNKNOWN)    \
	X(DNS)        \
	X(MDNS)       \
	X(LLMNR)      \
	X(TLS)        \
	X(HTTP)       \
	X(HTTP2)      \
	X(QUIC)       \
	X(DTLS)       \
	X(SSH)        \
	X(SMTP)       \
	X(IMAP)       \
	X(POP3)       \
	X(FTP)        \
	X(NTP)        \
	X(STUN)       \
	X(RDP)        \
	X(VNC)        \
	X(SMB)        \
	X(SOCKS)      \
	X(BITTORRENT) \
	X(WIREGUARD)  \
	X(OPENVPN)    \
	X(TOR)        \
	X(MQTT)       \
	X(DHCP)       \
	X(NETBIOS)    \
	X(SNMP)       \
	X(SIP)        \
	X(SSDP)       \
	X(SYSLOG)     \
	X(LDAP)       \
	X(KERBEROS)   \
	X(POSTGRES)   \
	X(MYSQL)      \
	X(REDIS)      \
	X(IRC)        \
	X(TELNET)
/* The same numbers as enum app_proto of src/decode/appproto.h, which src/policy asserts; and these, told by the evaluator. */
enum {
#define X(id) EG_APP_##id,
	EG_APPS(X)
#undef X
		EG_APP_DECODED,
	EG_APP_DOT = 240, /* TLS to port 853 or with ALPN "dot" */
	EG_APP_DOQ,       /* QUIC likewise, ALPN "doq" */
	EG_APP_DOH,       /* TLS or QUIC to a known server of DNS over HTTPS */
	EG_APP_DOH_QUIC, /* index of app_class alone: DOH within QUIC, which rules of `quic` mean, too */
	EG_APP_MAX = 256
};

/* Who has a bucket of his own: enum limit_each of src/policy/policy.h. */
enum eg_each {
	EG_EACH_NONE,
	EG_EACH_APP,
	EG_EACH_USER,
	EG_EACH_UNIT,
	EG_EACH_HOST,
	EG_EACH_SEGMENT,
	EG_EACH_FLOW
};

/* `limit RATE [each X]` of one rule. */
struct eg_limit {
	__u64 id;   /* hash of the rule's text: its buckets outlive a swap */
	__u64 rate; /* bytes a second, never 0 */
	__u32 each; /* enum eg_each */
	__u32 pad[3];
};

/* A deterministic automaton over bytes: next = trans[state * n_classes + class_of[byte]]; state 0 is dead, 1 the start. */
struct eg_dfa {
	__u32 class_of; /* u8[256] */
	__u32 trans;    /* u16[n_states * n_classes] */
	__u32 accept;   /* u16[n_states]: class, EG_CLASS_NONE where nothing matches */
	__u32 n_states, n_classes;
};

struct eg_rows {
	__u32 at;        /* row of class c: at + c * 16 * words; AND vector, then OR vector */
	__u32 n_classes; /* a class beyond is EG_CLASS_NONE */
};

struct eg_image {
	__u64 magic;
	__u32 abi;      /* EGRET_ABI */
	__u32 gen;      /* of this load, never 0; set last, by attach */
	__u64 bytes;    /* of the whole image, a multiple of EG_IMAGE_PAGE */
	__u64 name_key; /* of eg_name_hash(): names hashed with another key match nothing */
	__u32 enforce;  /* 0: watch */
	__u32 words, n_rows, n_rules;
	__u32 n_active, n_users, n_gids, n_ports;
	__u32 n4, n6;
	__u32 name_mask;    /* capacity - 1; 0: no names */
	__u32 names_by_sni; /* != 0: some rule rests on the visible name alone */
	__u32 row_info;     /* struct eg_row[n_rows] */
	__u32 scope[EG_SCOPE_COUNT];
	__u32 denylike; /* vector: deny, reject, audit rows: hold also when only the visible name says so */
	__u32 by_sni;      /* vector: rows whose names rest on the visible one alone */
	__u32 passes;      /* vector: allow and audit rows */
	__u32 active_from; /* s64[n_active], Unix seconds, ascending; the first is the least there is */
	__u32 active;      /* vectors of 8 * words each: rows in force from then on */
	struct eg_rows rows[EG_SRC_COUNT];
	__u32 v4_index, v4_start,
		v4_class; /* u32[65537], u32[n4], u16[n4]: ranges begin at start[], the first at 0 */
	__u32 v6_index, v6_start, v6_class; /* u32[65537], u64[n6][2], u16[n6] */
	__u32 addr_flags, name_flags;       /* u8 by class */
	__u32 name_hash, name_class;        /* u64[capacity], 0: free; u16[capacity] */
	__u32 user_uid, user_class;         /* u32[n_users] ascending, u16[n_users] */
	__u32 gid, gid_id;                  /* u32[n_gids] ascending, u8[n_gids] */
	__u32 port_start,
		port_class; /* u32[n_ports] ascending EG_PORT_KEY, the first 0; u16[n_ports] */
	__u32 app_class;    /* u16[EG_APP_MAX] */
	__u32 exe_trees;    /* u64 by exe class: the trees that a program of this class begins */
	struct eg_dfa path, cgroup;
	__u32 has_container; /* != 0: some rule names containers, so that an unknown one matters */
	__u32 asked; /* bit per source: some row hangs on it; others need not be looked at */
	__u32 n_limits;
	__u32 limit_of; /* u16 by rule: 1 + index into `limits`, 0: none; not there without limits */
	__u32 limits;   /* struct eg_limit[n_limits] */
	__u32 addr_segments; /* u64 by address class: bit per segment; not there without `each segment` */
};
