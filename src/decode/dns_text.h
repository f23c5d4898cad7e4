/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside the DNS decoder only: names and record data as text, written into the arena of a dns_message. A text that
 * does not fit marks the writer full and is taken back whole: no half names.
 */
#pragma once

#include "decode/cursor.h"
#include "decode/dns.h"

/* One text growing at the end of the arena. */
struct dns_text {
	struct dns_message *m;
	size_t at; /* where this text ends so far */
	bool full;
};

static inline struct dns_text dns_text_start(struct dns_message *m)
{
	return (struct dns_text){ .m = m, .at = m->arena_n };
}

static inline void dns_text_char(struct dns_text *t, char c)
{
	if (t->at < sizeof(t->m->arena))
		t->m->arena[t->at++] = c;
	else
		t->full = true;
}

void dns_text_str(struct dns_text *t, struct str s);
void dns_text_u64(struct dns_text *t, uint64_t v);
void dns_text_octets(struct dns_text *t, struct str s); /* odd octets as \DDD */
void dns_text_hex(struct dns_text *t, struct str s);
struct str
dns_text_end(struct dns_text *t); /* keeps the text in the arena; empty when it was full */

/*
 * The name at *pos of the message, and *pos behind it. 0; -EBADMSG: not a name; -EAGAIN: it goes on behind the
 * bytes. `t` may be NULL to skip it. The name is what t grew by.
 */
int dns_name(struct str msg, size_t *pos, struct dns_text *t);

/* Record data in presentation form into *r (rdata, addr, ech). `pos` and `n` bound it inside `msg`. */
void dns_rdata(struct str msg, size_t pos, size_t n, struct dns_message *m, struct dns_record *r);
