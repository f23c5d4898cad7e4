/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What may speak against a peer, or for it. Weights are decibans: ten times the decimal logarithm of how much likelier
 * the observation is when the traffic is hostile than when it is not (I. J. Good, "Probability and the Weighing of
 * Evidence", 1950). They are added up, within a group no further than its cap: what is said twice in other words does not
 * count twice. The rows stand in evidence.c and nowhere else; docs/detection.md prints them, a test compares the two.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* X(identifier, name, cap in decibans) */
#define EVIDENCE_GROUPS(X)          \
	X(TIMING, "timing", 20)     \
	X(SIZES, "sizes", 3)        \
	X(SCHEDULE, "schedule", 4)  \
	X(RARITY, "rarity", 25)     \
	X(IDENTITY, "identity", 20) \
	X(NAMING, "naming", 12)     \
	X(VOLUME, "volume", 20)     \
	X(DNS, "dns", 40)           \
	X(DGA, "dga", 25)           \
	X(CHANNEL, "channel", 40)   \
	X(INTEL, "intel", 45)       \
	X(ORDINARY, "ordinary", 0) /* speaks for the peer: weights are negative */

enum evidence_group {
#define X(id, name, cap) GROUP_##id,
	EVIDENCE_GROUPS(X)
#undef X
		GROUP_COUNT
};

/* What a finding is about: the class people filter by and `response` statements name. */
enum finding_class { CLASS_NONE, CLASS_C2, CLASS_EXFIL, CLASS_INTEL, CLASS_POLICY };
const char *finding_class_name(enum finding_class c); /* NULL for none */

enum evidence_id {
	/* beacon */
	E_REGULAR,
	E_ONE_SIZE,
	E_STEADY,
	/* channel */
	E_WRONG_PORT,
	E_ODD_PORT,
	E_UNKNOWN_PROTOCOL,
	E_STRAY,
	E_REMOTE_CONTROL,
	E_LONG,
	E_INTERACTIVE,
	E_PUSHED,
	/* dga */
	E_DGA_NX,
	E_DGA_WORDS,
	E_DGA_NAME,
	/* dns */
	E_DNS_INFO,
	E_DNS_DOWN,
	E_DNS_RESOLVER,
	/* doh */
	E_DOH,
	E_ECH,
	/* execution */
	E_EXECUTION,
	E_TOOL_UPLOAD,
	E_ONE_LINER,
	/* fingerprint */
	E_NEW_PRINT,
	E_BORROWED_PRINT,
	E_RARE_PRINT,
	E_OLD_TLS,
	/* http */
	E_HTTP_ADDRESS,
	E_HTTP_AGENT,
	E_HTTP_GATE,
	E_HTTP_REGULAR,
	E_HTTP_PATH,
	/* icmp */
	E_ICMP_ANSWERS,
	E_ICMP_DATA,
	/* intel */
	E_LISTED,
	E_LISTED_TOR,
	E_LISTED_PLACE,
	E_LISTED_PRINT,
	/* mail */
	E_SPAM,
	E_BULK_MAIL,
	/* naming */
	E_NO_SNI,
	E_NOT_ASKED,
	E_NAME_MISMATCH,
	E_NAME_IS_ADDRESS,
	E_DYNAMIC_NAME,
	E_ADDRESS_ASKED,
	E_CERTIFICATE,
	/* p2p */
	E_P2P,
	/* polling */
	E_POLLING,
	/* rawsock */
	E_PACKET_SOCKET,
	E_RAW_PROTOCOL,
	/* shell */
	E_SHELL_SOCKET,
	E_SHELL_RELAY,
	/* tor */
	E_TOR,
	E_MADE_UP_NAME,
	/* volume */
	E_BURST,
	E_NEW_UPLOAD,
	E_DRIP,
	E_CHUNKS,
	E_OFF_HOURS,
	E_STAGED,
	E_DESTINATION,
	E_DROP_SITE,
	E_FTP_UPLOAD,
	E_MAIL_SENT,
	E_LOOKUP_UPLOAD,
	/* fusion: what is known of peer and program */
	E_RARE,
	E_NEW_PEER,
	E_UNNAMED,
	E_TEMP_FILE,
	E_DELETED_FILE,
	E_MEMFD,
	E_PACKAGED,
	E_POPULAR,
	E_LEARNED,
	E_SHARED_HOSTING,
	EVIDENCE_COUNT
};

struct evidence_row {
	const char *word;     /* in records, and what `egret ack` may name */
	const char *detector; /* who gives it; "" for what fusion.c knows of peer and program */
	enum evidence_group group;
	enum finding_class class;
	bool alone;         /* at its full weight it needs no second group beside it */
	int8_t most;        /* decibans; where a detector scales it, the most it gives */
	const char *attack; /* MITRE ATT&CK techniques, comma-separated; "" none */
	const char *means;
	const char *from; /* where the weight comes from */
};

extern const struct evidence_row evidence_rows[EVIDENCE_COUNT];
extern const int evidence_caps[GROUP_COUNT];
const char *evidence_group_name(enum evidence_group g);
