// SPDX-License-Identifier: Apache-2.0
/*
 * The message frame: header, questions and the answer section; record data is dns_rdata.c, type names dns_names.c.
 * Authority and additional sections are not read, so EDNS never shows. Compression pointers must each lead further
 * to the front, which bounds every name by its own 255 octets and the whole parse by the message's size.
 */
#include "decode/dns.h"

#include <errno.h>

#include "base/cleanup.h"
#include "decode/cursor.h"
#include "decode/dns_text.h"

#define HEADER_SIZE 12
#define NAME_OCTETS_MAX 255
#define CLASS_CACHE_FLUSH 0x8000 /* mDNS: cache-flush, or a unicast answer is wanted (RFC 6762) */

enum { OPCODE_UNASSIGNED = 3, OPCODE_UPDATE = 5, OPCODE_DSO = 6 };

struct header {
	uint16_t id, flags, qd, an, ns, ar;
};

void dns_text_str(struct dns_text *t, struct str s)
{
	if (s.n > sizeof(t->m->arena) - t->at) {
		t->full = true;
		return;
	}
	if (s.n)
		memcpy(t->m->arena + t->at, s.p, s.n);
	t->at += s.n;
}

void dns_text_u64(struct dns_text *t, uint64_t v)
{
	char digits[20];
	size_t i = sizeof(digits);

	do
		digits[--i] = (char)('0' + v % 10);
	while (v /= 10);
	dns_text_str(t, (struct str){ digits + i, sizeof(digits) - i });
}

static void put_escaped(struct dns_text *t, uint8_t c)
{
	dns_text_char(t, '\\');
	dns_text_char(t, (char)('0' + c / 100));
	dns_text_char(t, (char)('0' + c / 10 % 10));
	dns_text_char(t, (char)('0' + c % 10));
}

void dns_text_octets(struct dns_text *t, struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		uint8_t c = (uint8_t)s.p[i];

		if (c < ' ' || c > '~' || c == '\\')
			put_escaped(t, c);
		else
			dns_text_char(t, (char)c);
	}
}

void dns_text_hex(struct dns_text *t, struct str s)
{
	static const char hex[] = "0123456789abcdef";

	for (size_t i = 0; i < s.n && !t->full; i++) {
		dns_text_char(t, hex[(uint8_t)s.p[i] >> 4]);
		dns_text_char(t, hex[(uint8_t)s.p[i] & 15]);
	}
}

struct str dns_text_end(struct dns_text *t)
{
	struct str s = { t->m->arena + t->m->arena_n, t->at - t->m->arena_n };

	if (t->full)
		return STR_NONE;
	t->m->arena_n = t->at;
	return s;
}

static void put_label(struct dns_text *t, const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		uint8_t c = p[i];

		if (c >= 'A' && c <= 'Z')
			c |= 0x20;
		if (c <= ' ' || c > '~' || c == '\\' || c == '.')
			put_escaped(t, c);
		else
			dns_text_char(t, (char)c);
	}
}

int dns_name(struct str msg, size_t *pos, struct dns_text *t)
{
	const uint8_t *b = (const uint8_t *)msg.p;
	size_t at = *pos, limit = *pos, octets = 1;
	bool jumped = false, first = true;

	for (;;) {
		size_t n;

		if (at >= msg.n)
			return -EAGAIN;
		n = b[at];
		if (n >= 0xc0) {
			if (at + 1 >= msg.n)
				return -EAGAIN;
			if (!jumped)
				*pos = at + 2;
			jumped = true;
			at = (n & 0x3f) << 8 | b[at + 1];
			if (at >= limit || at < HEADER_SIZE)
				return -EBADMSG;
			limit = at;
			continue;
		}
		if (n >= 0x40)
			return -EBADMSG;
		at++;
		if (!n)
			break;
		octets += n + 1;
		if (octets > NAME_OCTETS_MAX)
			return -EBADMSG;
		if (n > msg.n - at)
			return -EAGAIN;
		if (t) {
			if (!first)
				dns_text_char(t, '.');
			put_label(t, b + at, n);
		}
		first = false;
		at += n;
	}
	if (t && first)
		dns_text_char(t, '.');
	if (!jumped)
		*pos = at;
	return 0;
}

static bool class_is_sane(uint16_t class)
{
	switch (class & ~CLASS_CACHE_FLUSH) {
	case 1:   /* IN */
	case 3:   /* CH */
	case 4:   /* HS */
	case 254: /* NONE */
	case 255: /* ANY */
		return true;
	default:
		return false;
	}
}

static int read_header(struct str bytes, struct header *h)
{
	struct cursor c = cursor_of(bytes);
	unsigned int opcode;

	h->id = cursor_u16(&c);
	h->flags = cursor_u16(&c);
	h->qd = cursor_u16(&c);
	h->an = cursor_u16(&c);
	h->ns = cursor_u16(&c);
	h->ar = cursor_u16(&c);
	if (c.bad)
		return -EBADMSG;
	opcode = h->flags >> 11 & 15;
	if (opcode > OPCODE_DSO || opcode == OPCODE_UNASSIGNED)
		return -EBADMSG;
	/* No message holds more than 64 KiB: a question is at least 5 bytes of it, a record 11. */
	if (h->qd * 5u + (h->an + h->ns + h->ar) * 11u > UINT16_MAX - HEADER_SIZE)
		return -EBADMSG;
	/* A query without a question is no query; only an error, an EDNS cookie probe or DSO has none. */
	if (!h->qd && !(h->flags & 0x8000) && opcode != OPCODE_DSO && !h->ar && !h->an)
		return -EBADMSG;
	return 0;
}

/* 0; 1: the section ends behind the bytes; -EBADMSG. */
static int read_question(struct str bytes, size_t *pos, struct dns_message *m,
			 struct dns_question *q)
{
	struct dns_text t = dns_text_start(m);
	struct cursor c;
	int r;

	r = dns_name(bytes, pos, &t);
	if (r == -EAGAIN)
		return 1;
	if (r < 0)
		return r;
	c = cursor_of(str_sub(bytes, *pos, 4));
	q->type = cursor_u16(&c);
	q->class = cursor_u16(&c);
	if (c.bad || t.full)
		return 1;
	if (!class_is_sane(q->class) || !q->type)
		return -EBADMSG;
	*pos += 4;
	q->name = dns_text_end(&t);
	return 0;
}

static int read_questions(struct str bytes, size_t *pos, const struct header *h,
			  struct dns_message *m)
{
	struct dns_question extra;

	for (unsigned int i = 0; i < h->qd; i++) {
		bool keep = m->n_questions < DNS_MAX_QUESTIONS;
		int r = read_question(bytes, pos, m, keep ? &m->questions[m->n_questions] : &extra);

		if (r < 0 && !i)
			return r;
		if (r) {
			m->cut = true;
			return 1;
		}
		if (keep)
			m->n_questions++;
		else
			m->cut = true;
	}
	return 0;
}

/* The owner of nearly every answer is a pointer to the question: its text is used again. */
static int read_owner(struct str bytes, size_t *pos, struct dns_message *m, struct str *ret)
{
	struct dns_text t = dns_text_start(m);
	int r;

	if (m->n_questions && *pos + 1 < bytes.n && (uint8_t)bytes.p[*pos] == 0xc0 &&
	    (uint8_t)bytes.p[*pos + 1] == HEADER_SIZE) {
		*pos += 2;
		*ret = m->questions[0].name;
		return 0;
	}
	r = dns_name(bytes, pos, &t);
	if (r < 0)
		return r;
	if (t.full)
		return -ENOSPC;
	*ret = dns_text_end(&t);
	return 0;
}

/* 0, or that nothing after this can be read. */
static int read_answer(struct str bytes, size_t *pos, struct dns_message *m)
{
	struct dns_record *r = &m->answers[m->n_answers];
	size_t arena_n = m->arena_n, n;
	struct cursor c;

	*r = (struct dns_record){ 0 };
	if (read_owner(bytes, pos, m, &r->name) < 0)
		return -EBADMSG;
	c = cursor_of(str_sub(bytes, *pos, 10));
	r->type = cursor_u16(&c);
	r->class = cursor_u16(&c);
	r->ttl = cursor_u32(&c);
	n = cursor_u16(&c);
	if (c.bad || n > bytes.n - *pos - 10) {
		m->arena_n = arena_n;
		return -EBADMSG;
	}
	*pos += 10;
	if (r->type == DNS_OPT) {
		m->arena_n = arena_n;
		*pos += n;
		return 0;
	}
	dns_rdata(bytes, *pos, n, m, r);
	*pos += n;
	m->n_answers++;
	return 0;
}

int dns_parse(struct str bytes, struct dns_message *ret)
{
	size_t pos = HEADER_SIZE;
	struct header h;
	int r;

	r = read_header(bytes, &h);
	if (r < 0)
		return r;
	ret->id = h.id;
	ret->response = h.flags >> 15;
	ret->opcode = h.flags >> 11 & 15;
	ret->authoritative = h.flags >> 10 & 1;
	ret->truncated = h.flags >> 9 & 1;
	ret->recursion_desired = h.flags >> 8 & 1;
	ret->recursion_available = h.flags >> 7 & 1;
	ret->rcode = h.flags & 15;
	ret->n_questions = 0;
	ret->n_answers = 0;
	ret->cut = false;
	ret->arena_n = 0;

	r = read_questions(bytes, &pos, &h, ret);
	if (r)
		return MIN(r, 0);
	for (unsigned int i = 0; i < h.an; i++) {
		if (ret->n_answers == DNS_MAX_ANSWERS || read_answer(bytes, &pos, ret) < 0) {
			ret->cut = true;
			break;
		}
	}
	return 0;
}

bool dns_is_message(struct str bytes)
{
	size_t pos = HEADER_SIZE;
	struct header h;

	if (read_header(bytes, &h) < 0 || (h.flags & 0x0040) || h.qd != 1)
		return false;
	/* A query carries no answers and no error, except in updates and mDNS's known answers. */
	if (!(h.flags & 0x8000) &&
	    ((h.flags & 15) || (h.ns && (h.flags >> 11 & 15) != OPCODE_UPDATE)))
		return false;
	for (unsigned int i = 0; i < (unsigned int)h.qd + h.an + h.ns + h.ar; i++) {
		struct cursor c;
		int r = dns_name(bytes, &pos, NULL);

		if (r < 0)
			return r == -EAGAIN && i;
		c = cursor_of(str_sub(bytes, pos, bytes.n));
		if (!cursor_u16(&c) || (!class_is_sane(cursor_u16(&c)) && !i))
			return i && c.bad;
		if (i) {
			cursor_u32(&c);
			cursor_take(&c, cursor_u16(&c));
		}
		if (c.bad)
			return i;
		pos = bytes.n - c.n;
	}
	return pos == bytes.n;
}
