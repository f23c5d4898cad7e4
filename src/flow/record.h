/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the flow stage hands on: one struct record for each line of records.md. Borrowed, with all it points to, for
 * the length of the callback.
 */
#pragma once

#include <stdint.h>

#include "decode/dns.h"
#include "decode/http.h"
#include "decode/mail.h"
#include "decode/ssh.h"
#include "decode/tls.h"
#include "decode/x509.h"
#include "flow/flow.h"

struct finding;

enum record_type {
	RECORD_FLOW, /* a flow ended, or lives on past the reporting interval */
	RECORD_DNS,
	RECORD_TLS,
	RECORD_QUIC,
	RECORD_HTTP,
	RECORD_SMTP,
	RECORD_SSH,
	RECORD_STATS,
	RECORD_PACKET_SOCKET, /* a process opened a packet socket: its traffic is not seen */
	RECORD_DROP,          /* a call or packet was refused */
	RECORD_ALERT,         /* a rule with `alert` decided */
	RECORD_FINDING,       /* detection: a case opened, grew or closed */
	RECORD_POLICY,        /* what became of a version of the fleet's policy on this host */
};

#define RECORD_CERTIFICATE_TEXT 2048 /* longest name of a certificate; what is longer is cut */

/* The certificate a server sent, and what it says of itself: nothing is verified. */
struct record_certificate {
	const struct x509 *
		x509; /* all of it, for x509_covers() and the like; NULL: from a log, or not readable */
	struct str subject, issuer; /* text; from a log as logged, else as x509_name_text() */
	struct str common_name;     /* of the subject */
	struct str serial;          /* bytes, as encoded */
	bool has_validity;
	int64_t not_before_s, not_after_s; /* Unix seconds */
	bool self_issued;                  /* subject and issuer are the same */
	bool covers_known, covers_sni;     /* its names and the SNI: not known without either */
	bool has_sha1, has_sha256;
	uint8_t sha1[20], sha256[32]; /* of the certificate's DER */
};

struct record_tls { /* TLS and QUIC */
	struct str sni;
	const char
		*version; /* text: what the server chose, else the highest offered; NULL unknown */
	bool version_chosen;      /* by the server */
	const char *quic_version; /* RECORD_QUIC */
	struct str alpns[16];
	uint8_t n_alpns;
	const char *ja3, *ja4;          /* hashes; NULL when not known */
	struct str ja3_string, ja4_raw; /* empty when not known */
	struct str user_agent;          /* gQUIC */
	bool ech;
	/* TLS over TCP: what the server answered. NULL, 0, empty where it is not known */
	bool answered;
	uint16_t cipher;
	struct str server_alpn;
	const char *ja3s; /* hash */
	struct str ja3s_string;
	const struct record_certificate *certificate; /* TLS 1.3 hides it */
};

struct record_http {
	struct http_request request;          /* fields empty when only the response was seen */
	const struct http_response *response; /* NULL: not seen */
};

struct record_ssh {
	struct ssh_banner client, server;
};

/*
 * What was refused, or what an alert is about. Where it belongs to a flow, that is in record.flow; what was refused
 * before it became one (a connect) is described here alone. A summary stands for many, of one rule and program.
 */
struct record_drop {
	struct event_key key; /* src is our end; port 0 and no address where none was chosen yet */
	const struct proc *proc;   /* NULL: not known */
	struct name *const *names; /* of the other side, by DNS */
	size_t n_names;
	struct str visible_name; /* what the flow said of itself; empty: nothing */
	enum name_source visible_source;
	const struct verdict_rule *rule; /* NULL: not known */
	uint8_t action, app;             /* EG_ALLOW …, EG_APP_* */
	enum verdict_at at;
	bool refused, would_refuse;
	bool forwarded;                 /* by the gateway: of no program of this host */
	uint64_t calls, packets, bytes; /* refused: of this record alone */
	bool summary;
	uint64_t since_ns; /* of a summary: the first refusal it stands for */
};

struct record_policy {
	const char *state; /* "took", "enforced", "kept", "stepped-back", "held", "refused" */
	uint64_t version;  /* 0: not known, the signature was not good */
	struct str group, stage, file;
	struct str reason; /* why it was refused or taken back; else what its publisher notes */
	uint32_t rules;
	double before, after;           /* refusals a minute */
	uint64_t watched, would_refuse; /* flows, while it was not in force */
};

struct record {
	enum record_type type;
	uint64_t time_ns;
	const struct flow *flow; /* NULL for stats and packet sockets */
	union {
		const struct dns_message *dns;
		const struct record_tls *tls;
		const struct record_http *http;
		const struct smtp_envelope *smtp;
		const struct record_ssh *ssh;
		const struct flow_table_stats *stats;
		const struct proc *proc;        /* RECORD_PACKET_SOCKET */
		const struct record_drop *drop; /* RECORD_DROP, RECORD_ALERT */
		const struct finding *finding;  /* RECORD_FINDING; detect/finding.h */
		const struct record_policy *policy;
	};
	bool flow_ends; /* RECORD_FLOW: the last one of this flow */
};
