/* SPDX-License-Identifier: Apache-2.0 */
/* Private to store/zeek*.c: one line of a log, column by column, and the lines of each log. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/buf.h"
#include "store/lines.h"

struct event_key;
struct finding;
struct flow;
struct record;
struct ssl_st;

enum zeek_file { ZEEK_CONN, ZEEK_DNS, ZEEK_SSL, ZEEK_HTTP, ZEEK_QUIC, ZEEK_NOTICE, ZEEK_FILES };

/* Names and types of a log's columns as in its head, separated by blanks: what the functions below write, in that order. */
struct zeek_columns {
	const char *path, *fields, *types;
};
extern const struct zeek_columns zeek_columns[ZEEK_FILES];

/* ---- columns: each writes one and the separator behind it ---- */

void zeek_unset(struct buf *out, unsigned n);          /* n columns of which nothing is known */
void zeek_put(struct buf *out, struct str text);       /* no text: unset */
void zeek_put_text(struct buf *out, const char *text); /* NULL: unset */
void zeek_put_u64(struct buf *out, uint64_t v);
void zeek_put_bool(struct buf *out, bool v);
void zeek_put_time(struct buf *out,
		   uint64_t ns); /* a time or an interval: seconds, to the microsecond */
void zeek_put_addr(struct buf *out, const struct addr *a);
void zeek_put_ends(struct buf *out, const struct event_key *k); /* id.orig_h … id.resp_p */
void zeek_put_uid(struct buf *out, uint64_t flow_id); /* "C" and the flow's number in base 62 */
void zeek_end_row(struct buf *out);

/* A column that holds a list: elements, then the end. */
struct zeek_list {
	struct buf *out;
	bool any;
};
void zeek_list_add(struct zeek_list *l, struct str element);
void zeek_list_end(struct zeek_list *l); /* no element: unset */

/* ---- zeek_rows.c ---- */
void zeek_conn_row(struct buf *out, const struct flow *f);
/* RECORD_TLS, RECORD_QUIC; `names`: any SSL object, which is asked how ciphers are called */
void zeek_ssl_row(struct buf *out, const struct record *r, struct ssl_st *names);
void zeek_quic_row(struct buf *out, const struct record *r); /* RECORD_QUIC */
void zeek_http_row(struct buf *out, const struct record *r);
void zeek_notice_row(struct buf *out, const struct finding *f);

/* ---- zeek_dns.c: questions that wait for their answers, up to ZEEK_DNS_WAITING; past it the oldest is written without one ---- */
#define ZEEK_DNS_WAITING 4096
struct zeek_dns;
int zeek_dns_new(struct zeek_dns **ret, struct lines *to);
void zeek_dns_free(struct zeek_dns *d); /* writes those that still wait */
void zeek_dns_message(struct zeek_dns *d, const struct record *r);
void zeek_dns_flow_ends(struct zeek_dns *d, const struct flow *f);
