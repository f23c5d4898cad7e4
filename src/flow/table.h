/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private to the .c files of the flow table. An event goes
 *
 *     table.c ─► packet.c ─► tcp.c (sequence numbers, state)
 *        │          └─► payload.c ─► stream.c (joining) and facts.c, http_facts.c, dns_facts.c (bytes → records)
 *        ├─► live.c (sockets: open, count, close)
 *        ├─► translated.c (NAT)
 *        ├─► judged.c (policy's verdicts) ─► drops.c (what was refused, floods summed up)
 *        └─► facts.c (somebody else's)
 *
 * and records leave through record.c alone.
 */
#pragma once

#include "base/buf.h"
#include "base/list.h"
#include "base/pool.h"
#include "decode/dns.h"
#include "decode/tls.h"
#include "decode/tls_server.h"
#include "flow/flow.h"
#include "flow/record.h"

/*
 * Idle lists. Each holds flows with one time-out, in the order they were last touched; a flow goes to the back at most
 * once a second, so the front is the idlest to within that second.
 */
enum idle_class {
	IDLE_TCP,
	IDLE_TCP_WAIT, /* unanswered, or both sides sent FIN and one of them has no ACK */
	IDLE_TCP_OVER, /* closed; stragglers still belong to it */
	IDLE_UDP,      /* and all that is none of the others */
	IDLE_ICMP,
	IDLE_LOG,  /* from a log line: facts may follow until its end is past */
	IDLE_LIVE, /* no time-out, the kernel says when it is over */
	IDLE_CLASSES
};

enum {
	FLOW_LOCAL_IS_DST = 1, /* live: the responder is the local end */
	FLOW_LOG = 2,          /* made from EVENT_CLOSE or EVENT_FACT of a capture */
	FLOW_COUNTED = 4,      /* live or log: has had counters */
	FLOW_RTT_DONE = 8,
	FLOW_ENDING = 16, /* its end was decided, only stragglers may come */
};

enum { /* flow_tcp.seen */
       SEEN_NEXT = 1,
       SEEN_SYN = 2,
       SEEN_FIN = 4,
       SEEN_ACK = 8,
       SEEN_LOOK = 16,
       SEEN_CUT = 32, /* bytes the decoders wanted are missing for good */
};

enum look_phase {
	LOOK_NONE,       /* nothing more is wanted */
	LOOK_DETECT,     /* what is it? */
	LOOK_TLS,        /* a ClientHello, also within another protocol */
	LOOK_TLS_SERVER, /* what is answered to it */
	LOOK_HTTP,
	LOOK_SMTP,
	LOOK_INNER, /* something that may turn to TLS */
	LOOK_SSH,
	LOOK_DNS,  /* every message: over UDP, or framed over TCP */
	LOOK_QUIC, /* datagrams */
	LOOK_DTLS,
};

#define STREAM_RANGES 8
#define DNS_FRAME_MAX (2 + 65535)
#define HTTP_PENDING 8

struct stream_side {
	char *p;
	uint32_t cap, n_ranges;
	struct {
		uint32_t from, to;
	} range[STREAM_RANGES]; /* what is there, by offset from flow_tcp.look, apart and in order */
};

struct http_pending { /* a request whose response is awaited; texts follow each other in `heads` */
	uint64_t time_ns;
	uint32_t n_method, n_url, n_host, n_user_agent;
	uint8_t minor;
	bool complete;
};

/* A ClientHello whose answer is awaited; its texts follow each other in `heads`. */
struct tls_held {
	struct list link; /* in flow_table.tls_waiting, oldest first; linked while held */
	uint64_t time_ns;
	uint32_t n_sni, n_ja3_string, n_ja4_raw;
	uint16_t version;
	uint8_t n_alpns, n_alpn[16];
	bool ech;
	char ja3[JA3_HASH_MAX], ja4[JA4_MAX];
};

/* What a flow holds while its first bytes are not all there. Oldest first in flow_table.streams. */
struct flow_stream {
	struct list link;
	struct flow *flow;
	struct stream_side side[2];
	struct quic *quic;
	uint32_t need;     /* no use to parse before so many bytes are there */
	bool tunnel;       /* HTTP CONNECT: another protocol follows */
	uint8_t n_pending; /* HTTP requests */
	struct http_pending pending[HTTP_PENDING];
	struct tls_held tls;
	struct buf heads; /* of the requests, or of the hello: never both */
};

struct slot {
	uint64_t hash;
	struct flow *flow;
};

struct drops;
struct nat_table;

struct flow_table {
	struct flow_config cfg;
	struct record_out out;
	uint64_t now_ns; /* the newest event's time: never goes back */
	uint64_t idle_ns[IDLE_CLASSES];
	uint64_t next_stats_ns, next_tick_ns, seed, next_id;

	struct slot *slots; /* open addressing, linear; at most 3/4 full */
	size_t n_slots, n_flows;
	struct flow *recent; /* the last one found */
	struct pool flows;
	struct list idle[IDLE_CLASSES], all, report;

	struct pool streams;
	struct list streams_old, tls_waiting; /* oldest first */
	size_t stream_bytes, max_stream_bytes;

	struct verdict_rules rules;
	struct flow_judge judge;
	struct drops *drops; /* NULL until something is refused */

	struct nat_table *nat; /* NULL until something is translated */
	struct pool nats;      /* of flows */

	void (*on_app)(void *ctx, const struct flow *f); /* NULL: nobody asks */
	void *on_app_ctx;
	struct flow_watch watch; /* on_data NULL: nobody does */
	struct flow_table_stats stats;
	struct dns_message *dns;
	char *tls_scratch;
	struct tls_hello hello;
	struct buf ja3, ja4, certificate;
};

/* table.c */
struct flow *flow_find(struct flow_table *t, const struct event *e, enum flow_side *ret_side);
/* Its direction then follows from its addresses. */
void flow_set_forwarded(struct flow_table *t, struct flow *f);
struct flow *flow_create(struct flow_table *t, const struct event *e, bool swap);
void flow_touch(struct flow_table *t, struct flow *f);
void flow_set_class(struct flow_table *t, struct flow *f, enum idle_class c);
void flow_end(struct flow_table *t, struct flow *f, enum event_end end);
bool flow_idle_since(const struct flow_table *t, const struct flow *f, uint64_t now_ns);
enum event_end flow_idle_end(const struct flow *f);

/* packet.c */
void packet_event(struct flow_table *t, const struct event *e);

/* tcp.c */
void tcp_packet(struct flow_table *t, struct flow *f, enum flow_side side, const struct event *e,
		uint32_t *ret_fresh);
bool tcp_starts_anew(const struct flow *f, enum flow_side side, const struct event_packet *p);

/* live.c */
void live_open(struct flow_table *t, const struct event *e);
void live_count(struct flow_table *t, const struct event *e);
void live_close(struct flow_table *t, const struct event *e);
void flow_orient_live(struct flow_table *t, struct flow *f);

void live_learn_names(struct flow_table *t, const struct event *e, const struct event_open *o);

/* judged.c */
void judged_event(struct flow_table *t, const struct event *e);
void judged_capture(struct flow_table *t, struct flow *f);

/* drops.c: true when this one gets a record of its own; else it is summed up until the next drops_tick() */
bool drops_take(struct flow_table *t, const struct event *e, struct verdict_rule *rule,
		const struct proc *p);
void drops_tick(struct flow_table *t); /* once a second: what was summed up */
void drops_finish(struct flow_table *t);
struct drops *drops_free(struct flow_table *t);

/* translated.c */
void translated_event(struct flow_table *t, const struct event *e);
void translated_find(struct flow_table *t, struct flow *f);
void translated_swap(struct flow *f); /* its ends change sides */
void translated_let_go(struct flow_table *t, struct flow *f);

/* payload.c */
void payload_segment(struct flow_table *t, struct flow *f, enum flow_side side,
		     const struct event *e, uint32_t fresh);
void payload_datagram(struct flow_table *t, struct flow *f, enum flow_side side,
		      const struct event_packet *p);
void payload_gap(struct flow_table *t, struct flow *f, enum flow_side side, uint32_t acked);
void payload_end(struct flow_table *t, struct flow *f); /* the flow is over: what is known now? */
void payload_stop(struct flow_table *t, struct flow *f);
void payload_no_more(struct flow_table *t,
		     struct flow *f); /* what is there is all that is waited for */

/* stream.c */
struct flow_stream *stream_get(struct flow_table *t, struct flow *f); /* NULL: counted as lost */
void stream_put(struct flow_table *t, struct flow *f);
struct quic *stream_quic(struct flow_table *t, struct flow *f);
bool stream_insert(struct flow_table *t, struct flow *f, enum flow_side side, uint32_t off,
		   struct str bytes, uint32_t max);
struct str stream_head(const struct flow *f, enum flow_side side);
void stream_drop(struct flow *f, enum flow_side side, uint32_t n);
uint32_t stream_gap_end(const struct flow *f, enum flow_side side);
void stream_free_all(struct flow_table *t);

/* facts.c, dns_facts.c, http_facts.c, tls_facts.c: what was read becomes names and records */
struct text *facts_keep(struct flow_table *t, struct str s);
void facts_smtp(struct flow_table *t, struct flow *f, const struct smtp_envelope *m);
void facts_ssh(struct flow_table *t, struct flow *f, const struct record_ssh *s);
void facts_event(struct flow_table *t, const struct event *e);
void facts_name(struct flow_table *t, struct flow *f, struct str name, enum name_source source);
void facts_dns_names(struct flow_table *t, struct flow *f); /* those of the responder's address */

bool dns_datagram(struct flow_table *t, struct flow *f, enum flow_side side, struct str bytes);
size_t dns_frames(struct flow_table *t, struct flow *f, enum flow_side side, struct str head,
		  bool *ret_bad);
void dns_message_known(struct flow_table *t, struct flow *f, enum flow_side side,
		       const struct dns_message *m);

/* A hello over QUIC or DTLS: name, fingerprints and record at once. */
void tls_hello_known(struct flow_table *t, struct flow *f, const struct tls_hello *h,
		     const char *quic_version);
/*
 * A hello over TCP: the flow has its name and fingerprints at once, the record waits for the answer until
 * tls_answered(), tls_flush() or tls_tick(). False: it could not be held, and was written.
 */
bool tls_hello_hold(struct flow_table *t, struct flow *f, const struct tls_hello *h);
bool tls_is_held(const struct flow *f);
void tls_answered(struct flow_table *t, struct flow *f, const struct tls_server *s);
void tls_flush(struct flow_table *t, struct flow *f); /* a hello that got no answer */
void tls_tick(struct flow_table *t);
void tls_gquic(struct flow_table *t, struct flow *f, struct str sni, struct str ua,
	       const char *version);
void tls_log(struct flow_table *t, struct flow *f, const struct event_fact *fact);

size_t http_client(struct flow_table *t, struct flow *f, struct str head, bool more);
size_t http_server(struct flow_table *t, struct flow *f, struct str head, bool more);
void http_flush(struct flow_table *t, struct flow *f); /* requests that got no response */

/* record.c */
void record_flow(struct flow_table *t, struct flow *f, bool ends);
void record_emit(struct flow_table *t, struct record *r);
