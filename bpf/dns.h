/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * DNS answers (RFC 1035) to pairs of name and address, bounded in every way: the message is walked one byte a step by
 * a machine of three phases, so that the verifier sees one step only and a hostile message costs at most
 * EG_DNS_STEPS of them. Pure: also built by the host compiler for unit tests and the fuzzer. The includer sets walk->key
 * and runs eg_dns_step() up to EG_DNS_STEPS times after eg_dns_begin(); then walk->found[] holds addresses of the name
 * in walk->name. Names are numbers here, by name_hash.h: a name's number is known when its last octet was read.
 *
 *   question name -> (type, class) -> { owner name -> type, class, ttl, length -> [CNAME: target name] } ...
 *
 * An address belongs to the name that was asked: its owner is the question or was reached from it by CNAMEs. Without a
 * question (mDNS) records name themselves, and those of the first name with an address are taken. Names with octets that host names do not have are left to user space, which shows them escaped.
 */
#pragma once

#include "abi.h"
#include "name_hash.h"

#define EG_DNS_MAX 8192
#define EG_DNS_STEPS 16384 /* twice the octets: names written out by pointers are walked again */
#define EG_DNS_FOUND 512   /* all that fit: a record has 16 octets at least */
#define EG_DNS_CHAIN 16
#define EG_DNS_HOPS 16

enum { EG_DNS_QUESTION, EG_DNS_OWNER, EG_DNS_TARGET };

/* The message and where the walk stands. Too large for a stack of the kernel's side. */
struct eg_dns_walk {
	__u64 key;       /* of the hash; set by the includer */
	__u64 hash, pow; /* of the name being walked, and the key to the power of its length */
	__u64 found_hash;
	__u64 chain[EG_DNS_CHAIN]; /* the question and its aliases */
	__u32 len, pos, resume, rr_end;
	__u32 answers_left;
	__u32 label_left, name_len, found_len, n_found;
	__u32 phase, hops, n_chain;
	__u32 trusted, gen, class; /* the includer's */
	__u32 jumped, asked;       /* asked: there is a question; else each record names itself */
	__u32 ttl;
	char name[EG_NAME_MAX]; /* of the question; mDNS without one: of the record */
	__u8 found[EG_DNS_FOUND][16];
	__u32 found_ttl[EG_DNS_FOUND];
	__u8 bytes[EG_DNS_MAX];
};

static __always_inline __u8 eg_dns_u8(const struct eg_dns_walk *w, __u32 at)
{
	return w->bytes[at & (EG_DNS_MAX - 1)];
}

static __always_inline __u32 eg_dns_u16(const struct eg_dns_walk *w, __u32 at)
{
	return (__u32)eg_dns_u8(w, at) << 8 | eg_dns_u8(w, at + 1);
}

static __always_inline void eg_dns_name_begin(struct eg_dns_walk *w, __u32 phase)
{
	w->phase = phase;
	w->hash = 0;
	w->pow = 1;
	w->label_left = 0;
	w->name_len = 0;
	w->jumped = 0;
	w->hops = 0;
}

/* One octet of a name's text; 1 when it is not of a host name or too long. */
static __always_inline int eg_dns_text(struct eg_dns_walk *w, __u8 c)
{
	if (c >= 'A' && c <= 'Z')
		c |= 0x20;
	if (w->name_len >= EG_NAME_MAX - 3)
		return 1;
	/* name_hash.h takes a name from its end: forwards that is a sum over powers of the key */
	w->hash = eg_mod61(w->hash + eg_mul61(c + 1, w->pow));
	w->pow = eg_mul61(w->pow, w->key);
	if (w->phase == EG_DNS_QUESTION || (w->phase == EG_DNS_OWNER && !w->asked && !w->n_found))
		w->name[w->name_len & (EG_NAME_MAX - 1)] = c;
	w->name_len++;
	return 0;
}

static __always_inline int eg_dns_in_chain(const struct eg_dns_walk *w)
{
	__u32 i;
	int found = 0;

	for (i = 0; i < EG_DNS_CHAIN; i++)
		found |= i < w->n_chain && w->chain[i] == w->hash;
	return found;
}

static __always_inline int eg_dns_next_record(struct eg_dns_walk *w)
{
	if (!w->answers_left)
		return 1;
	w->answers_left--;
	eg_dns_name_begin(w, EG_DNS_OWNER);
	return 0;
}

static __always_inline void eg_dns_address(struct eg_dns_walk *w, __u32 size)
{
	__u32 i, n = w->n_found & (EG_DNS_FOUND - 1);

	if (w->n_found >= EG_DNS_FOUND)
		return;
	for (i = 0; i < 16; i++)
		w->found[n][i] = size == 16 ? eg_dns_u8(w, w->pos + i)
				 : i >= 12  ? eg_dns_u8(w, w->pos + i - 12)
				 : i >= 10  ? 0xff
					    : 0;
	w->found_ttl[n] = w->ttl;
	w->n_found++;
}

/* The fixed part of a record, after its owner. */
static __always_inline int eg_dns_record(struct eg_dns_walk *w)
{
	__u32 type = eg_dns_u16(w, w->pos), class = eg_dns_u16(w, w->pos + 2) & 0x7fff;
	__u32 size = eg_dns_u16(w, w->pos + 8);

	w->ttl = eg_dns_u16(w, w->pos + 4) << 16 | eg_dns_u16(w, w->pos + 6);
	w->pos += 10;
	w->rr_end = w->pos + size;
	if (w->pos > w->len || w->rr_end > w->len)
		return 1;
	if (!w->asked && !w->n_found) {
		w->found_hash = w->hash;
		w->found_len = w->name_len;
	}
	if (class != 1 || (w->asked ? !eg_dns_in_chain(w) : w->hash != w->found_hash))
		goto skip;
	if (type == 5 && w->asked) {
		eg_dns_name_begin(w, EG_DNS_TARGET);
		return 0;
	}
	if ((type == 1 && size == 4) || (type == 28 && size == 16))
		eg_dns_address(w, size);
skip:
	w->pos = w->rr_end;
	return eg_dns_next_record(w);
}

static __always_inline int eg_dns_name_end(struct eg_dns_walk *w)
{
	w->pos = w->jumped ? w->resume : w->pos + 1;
	switch (w->phase) {
	case EG_DNS_QUESTION:
		w->pos += 4;
		w->found_hash = w->hash;
		w->found_len = w->name_len;
		w->chain[0] = w->hash;
		w->n_chain = 1;
		return !w->name_len || eg_dns_next_record(w);
	case EG_DNS_OWNER:
		return eg_dns_record(w);
	default:
		if (w->n_chain < EG_DNS_CHAIN)
			w->chain[w->n_chain++ & (EG_DNS_CHAIN - 1)] = w->hash;
		w->pos = w->rr_end;
		return eg_dns_next_record(w);
	}
}

/* One step; 1 ends the walk. */
static __always_inline int eg_dns_step(struct eg_dns_walk *w)
{
	__u8 c;

	if (w->pos >= w->len || w->pos >= EG_DNS_MAX)
		return 1;
	c = eg_dns_u8(w, w->pos);
	if (w->label_left) {
		if (c <= ' ' || c > '~' || c == '.' || c == '\\')
			return 1;
		w->label_left--;
		w->pos++;
		return eg_dns_text(w, c);
	}
	if (!c)
		return eg_dns_name_end(w);
	if (c >= 0xc0) {
		__u32 to = eg_dns_u16(w, w->pos) & 0x3fff;

		/* backwards only (RFC 1035: a prior occurrence), never into the header */
		if (w->phase == EG_DNS_QUESTION || ++w->hops > EG_DNS_HOPS || to < 12 ||
		    to >= w->pos)
			return 1;
		if (!w->jumped)
			w->resume = w->pos + 2;
		w->jumped = 1;
		w->pos = to;
		/* By far most owners are a pointer to the question: no need to walk it again. */
		if (to == 12 && w->asked && !w->name_len) {
			w->hash = w->chain[0];
			return eg_dns_name_end(w);
		}
		return 0;
	}
	if (c > 63)
		return 1;
	w->label_left = c;
	w->pos++;
	return w->name_len ? eg_dns_text(w, '.') : 0;
}

/* w->bytes holds the first `len` bytes of a message. 0: there is nothing to walk. */
static __always_inline int eg_dns_begin(struct eg_dns_walk *w, __u32 len, int multicast)
{
	__u32 questions, i;

	w->len = len;
	w->pos = 12;
	w->n_chain = 0;
	w->found_len = w->n_found = 0;
	w->found_hash = 0;
	for (i = 0; i < EG_DNS_CHAIN; i++)
		w->chain[i] = 0;
	if (len < 12 || len > EG_DNS_MAX)
		return 0;
	/* a response, a plain query, no error */
	if ((eg_dns_u8(w, 2) & 0xf8) != 0x80 || (eg_dns_u8(w, 3) & 0x0f))
		return 0;
	questions = eg_dns_u16(w, 4);
	w->answers_left = eg_dns_u16(w, 6);
	w->asked = questions == 1;
	if (questions > 1 || (!questions && !multicast))
		return 0;
	if (!w->asked)
		return !eg_dns_next_record(w);
	eg_dns_name_begin(w, EG_DNS_QUESTION);
	return 1;
}
