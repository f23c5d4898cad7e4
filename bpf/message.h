/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Messages that are the same over TCP and UDP: DNS, protocols in ASN.1 (BER), OpenVPN. Pure, see flight.h. */
#pragma once

#include "flight.h"

/* --- ASN.1 (BER), over TCP and UDP ------------------------------------------------------------------------------ */
struct eg_ber {
	__u32 at, end, tag, len;
};

/* Tag and length; 0 when they are not there, or in a form that nobody sends. */
static __always_inline int eg_ber(const struct eg_first *w, struct eg_ber *b)
{
	__u32 n, i;

	if (b->at + 2 > b->end)
		return 0;
	b->tag = EG_AT(w, b->at);
	n = EG_AT(w, b->at + 1);
	b->at += 2;
	b->len = n;
	if (!(n & 0x80))
		return 1;
	if (n < 0x81 || n > 0x84 || b->at + (n & 7) > b->end)
		return 0;
	b->len = 0;
	for (i = 0; i < 4; i++) {
		if (i >= (n & 7))
			break;
		b->len = b->len << 8 | EG_AT(w, b->at + i);
	}
	b->at += n & 7;
	return 1;
}

static __always_inline int eg_ber_number(const struct eg_first *w, struct eg_ber *b, __u32 *ret)
{
	__u32 i, v = 0;

	if (!eg_ber(w, b) || b->tag != 2 || !b->len || b->len > 4 || b->at + b->len > b->end)
		return 0;
	for (i = 0; i < 4; i++)
		if (i < b->len)
			v = v << 8 | EG_AT(w, b->at + i);
	b->at += b->len;
	*ret = v;
	return 1;
}

EG_ONCE int eg_is_ldap(struct eg_first *w, __u32 at, __u32 n, int stream)
{
	struct eg_ber b = { at, at + n, 0, 0 };
	__u32 outer, v;

	if (!w || !eg_ber(w, &b) || b.tag != 0x30)
		return 0;
	outer = b.len;
	if (stream ? outer > 1 << 24 : outer != b.end - b.at)
		return 0;
	if (!eg_ber_number(w, &b, &v) || !eg_ber(w, &b) || b.len + 3 > outer)
		return 0;
	switch (b.tag) {
	case 0x60: /* bind */
		return eg_ber_number(w, &b, &v) && (v == 2 || v == 3) && b.at < b.end &&
		       EG_AT(w, b.at) == 4;
	case 0x63: /* search */
		if (!eg_ber(w, &b) || b.tag != 4 || b.len > n)
			return 0;
		b.at += b.len;
		return b.at + 2 < b.end && eg_at16(w, b.at) == 0x0a01 && EG_AT(w, b.at + 2) <= 2;
	case 0x77: /* extended */
		return b.at + 4 < b.end && EG_AT(w, b.at) == 0x80 && EG_AT(w, b.at + 2) == '1' &&
		       EG_AT(w, b.at + 3) == '.';
	}
	return 0;
}

EG_ONCE int eg_is_kerberos(struct eg_first *w, __u32 at, __u32 n)
{
	struct eg_ber b = { at, at + n, 0, 0 };
	__u32 outer, tag, version, type;

	if (!w || !eg_ber(w, &b))
		return 0;
	outer = b.len;
	tag = b.tag;
	if (!eg_ber(w, &b) || b.tag != 0x30 || b.len >= outer)
		return 0;
	if (!eg_ber(w, &b) || (b.tag != 0xa1 && b.tag != 0xa0) || b.len != 3 ||
	    !eg_ber_number(w, &b, &version) || version != 5)
		return 0;
	if (!eg_ber(w, &b) || b.len != 3 || !eg_ber_number(w, &b, &type))
		return 0;
	return (tag & 0xe0) == 0x60 && type == (tag & 0x1f) &&
	       ((type >= 10 && type <= 15) || type == 30);
}

EG_ONCE int eg_is_snmp(struct eg_first *w, __u32 at, __u32 n)
{
	struct eg_ber b = { at, at + n, 0, 0 };
	__u32 version;

	if (!w || !eg_ber(w, &b) || b.tag != 0x30 || b.len != b.end - b.at ||
	    !eg_ber_number(w, &b, &version) || !eg_ber(w, &b))
		return 0;
	if (version == 3)
		return b.tag == 0x30 && b.at < b.end && EG_AT(w, b.at) == 2;
	if (b.len > n)
		return 0;
	b.at += b.len;
	return version <= 1 && b.tag == 4 && b.at < b.end && EG_AT(w, b.at) >= 0xa0 &&
	       EG_AT(w, b.at) <= 0xa8;
}

/* --- DNS -------------------------------------------------------------------------------------------------------- */

/* Counts and flags of the header. */
static __always_inline int eg_dns_header(const struct eg_first *w, __u32 at, __u32 n)
{
	__u32 flags = eg_at16(w, at + 2), qd = eg_at16(w, at + 4), an = eg_at16(w, at + 6);

	return n >= 12 && (flags >> 11 & 15) <= 6 && qd <= 32 && an <= 512 &&
	       eg_at16(w, at + 8) <= 512 && eg_at16(w, at + 10) <= 512 &&
	       (qd || an || (flags & 0x8000));
}

static int eg_question_step(__u32 i, struct eg_first **ctx)
{
	struct eg_first *w = *ctx;
	struct eg_parse *q = &w->parse;
	__u32 len = EG_AT(w, q->at);

	if (q->at >= q->end || len > 63) {
		q->bad = 1;
		return 1;
	}
	q->at += 1 + len;
	q->count += 1 + len;
	return !len || q->count > 255;
}

/* One question, a sane class, nothing behind it that the header does not announce. */
EG_ONCE int eg_is_dns(struct eg_first *w, __u32 at, __u32 n)
{
	struct eg_parse *q;
	__u32 flags, class;

	if (!w || n < 12 + 5 || !eg_dns_header(w, at, n))
		return 0;
	q = &w->parse;
	flags = eg_at16(w, at + 2);
	if ((flags & 0x0040) || (flags >> 11 & 15) == 3 || eg_at16(w, at + 4) != 1)
		return 0;
	if (!(flags & 0x8000) && ((flags & 15) || (eg_at16(w, at + 8) && (flags >> 11 & 15) != 5)))
		return 0;
	q->at = at + 12;
	q->end = at + n;
	q->count = 0;
	q->bad = 0;
	EG_LOOP(128, eg_question_step, &w);
	if (q->bad || q->count > 255 || q->at + 4 > q->end || !eg_at16(w, q->at))
		return 0;
	class = eg_at16(w, q->at + 2) & 0x7fff;
	if (class != 1 && class != 3 && class != 4 && class != 254 && class != 255)
		return 0;
	return eg_at16(w, at + 6) || eg_at16(w, at + 8) || eg_at16(w, at + 10) ||
	       q->at + 4 == q->end;
}

/* --- OpenVPN ------------------------------------------------------------------------------------------------------ */
/*
 * P_CONTROL_HARD_RESET_CLIENT_V2 or V3: a session id, then nothing acknowledged and packet id 0; with tls-auth behind a
 * digest, a counter of 1 and a time; with tls-crypt counter and time, then a tag.
 */
static __always_inline int eg_is_openvpn(struct eg_first *w, __u32 at, __u32 n)
{
	static const __u8 digests[] = { 20, 16, 32, 48, 64, 28 };
	__u8 first = EG_AT(w, at);
	__u32 i;

	if (n < 14 || (first != 0x38 && first != 0x50) || !eg_at32(w, at + 1))
		return 0;
	if (n == 14)
		return !eg_at32(w, at + 9) && !EG_AT(w, at + 13);
	for (i = 0; i < sizeof(digests); i++) {
		__u32 d = at + 9 + digests[i];

		if (n == 9U + digests[i] + 13 && eg_at32(w, d) == 1 && !eg_at32(w, d + 8) &&
		    !EG_AT(w, d + 12))
			return 1;
	}
	return ((first == 0x38 && n == 54) || (first == 0x50 && n > 54 + 256)) &&
	       eg_at32(w, at + 9) == 1;
}
EG_APART_AT(eg_is_openvpn)
