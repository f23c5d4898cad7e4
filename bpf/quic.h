/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The ClientHello in a client's Initial packets, versions 1 (RFC 9000, 9001) and 2 (RFC 9369): every observer can derive
 * their keys. Packets of a datagram are walked, opened, and their CRYPTO frames put where they belong. Pure, see flight.h.
 *
 * Tags are not verified, because that would prove little: the sender is the one who is watched, knows all keys, and can
 * let a packet die on its way (TTL 1). So a flight is not over when a name was read: it is kept, later Initials are read
 * as well, and bytes that say otherwise than before make it unreadable. An Initial that opens neither with the flight's keys
 * nor with those of its own connection id, or with both, is unreadable, too. A new connection id that opens begins anew:
 * after a Retry, or another connection over the same socket.
 */
#pragma once

#include "hello.h"
#include "quic_keys.h"

#define EG_QUIC_PACKETS 8 /* of one datagram */

/* --- frames ----------------------------------------------------------------------------------------------------- */

/* RFC 9000 section 16, from *at on; what is above 32 bits is as good as 32 of them. Past `end`: *at is behind it. */
EG_ONCE __u64 eg_varint(struct eg_first *w, __u32 at)
{
	__u64 v;
	__u32 n, i;

	if (!w)
		return 0;
	v = EG_AT(w, at);
	n = 1U << (v >> 6);
	v &= 0x3f;
	for (i = 1; i < 8; i++)
		if (i < n)
			v = v << 8 | EG_AT(w, at + i);
	return v;
}

static __always_inline __u32 eg_varint_size(const struct eg_first *w, __u32 at)
{
	return 1U << (EG_AT(w, at) >> 6);
}

static int eg_quic_compare(__u32 i, struct eg_first **ctx)
{
	struct eg_first *w = *ctx;
	struct eg_quic_packet *q = &w->quic;
	__u32 at = q->from + i;

	if (at >= q->to)
		return 1;
	if (!(w->kept.got[at / 64 & (EG_FIRST_MAX / 64 - 1)] >> (at & 63) & 1))
		return 0;
	q->bad = EG_AT(w, at) != EG_AT(w, q->walk + i);
	return q->bad != 0;
}

/* Bytes at q->walk are [from, to) of the flight. */
static __always_inline void eg_quic_crypto(struct eg_first *w)
{
	struct eg_quic_packet *q = &w->quic;
	__u32 n = q->to - q->from;

	if (eg_flight_has(w, q->from, q->to)) {
		EG_LOOP(EG_FIRST_MAX, eg_quic_compare, &w);
		if (q->bad)
			return;
	}
	EG_COPY(&w->bytes[q->from & (EG_FIRST_MAX - 1)], n, &EG_AT(w, q->walk));
	if (eg_flight_take(w, q->from, q->to) & EG_TOOK_NEW)
		q->news = 1;
}

/* One frame, or one number of an ACK's ranges, or eight bytes of padding. 1 ends the walk. */
static int eg_quic_frame(__u32 i, struct eg_first **ctx)
{
	struct eg_first *w = *ctx;
	struct eg_quic_packet *q = &w->quic;
	__u32 end = q->end - EG_QUIC_TAG, n;
	__u64 v;
	__u8 type;

	if (q->walk >= end) {
		q->bad |= q->walk > end || q->skip;
		return 1;
	}
	if (q->skip) {
		q->skip--;
		q->walk += eg_varint_size(w, q->walk);
		return 0;
	}
	type = EG_AT(w, q->walk);
	if (!type && q->walk + 8 <= end && !EG_GET8(&EG_AT(w, q->walk))) {
		q->walk += 8;
		return 0;
	}
	q->walk++;
	switch (type) {
	case 0:
	case 1: /* ping */
		return 0;
	case 2: /* ack: largest, delay, how many ranges, the first, the ranges; 3: three counts of ECN behind them */
	case 3:
		q->walk += eg_varint_size(w, q->walk);
		q->walk += eg_varint_size(w, q->walk);
		v = eg_varint(w, q->walk);
		q->walk += eg_varint_size(w, q->walk);
		q->bad |= v > EG_FIRST_MAX;
		q->skip = 1 + 2 * v + (type == 3 ? 3 : 0);
		return q->bad != 0;
	case 6: /* crypto */
		v = eg_varint(w, q->walk);
		q->walk += eg_varint_size(w, q->walk);
		q->bad |= v > EG_FIRST_MAX;
		q->from = v;
		v = eg_varint(w, q->walk);
		q->walk += eg_varint_size(w, q->walk);
		n = v;
		if (v > EG_FIRST_MAX || q->bad || q->walk + n > end) {
			q->bad = 1;
			return 1;
		}
		q->to = q->from + n;
		if (q->taking) {
			q->bad = q->to > EG_FIRST_MAX;
			if (!q->bad && n)
				eg_quic_crypto(w);
		}
		q->walk += n;
		return q->bad != 0;
	case 0x1c: /* close: error, frame, length of the reason */
		q->walk += eg_varint_size(w, q->walk);
		q->walk += eg_varint_size(w, q->walk);
		v = eg_varint(w, q->walk);
		q->walk += eg_varint_size(w, q->walk);
		q->bad |= v > EG_FIRST_MAX;
		q->walk += v & (EG_FIRST_MAX - 1);
		return q->bad != 0;
	}
	q->bad = 1;
	return 1;
}

/* The frames of a decrypted packet: 0 when they are none, or, taking, when they do not agree with what there was. */
static __always_inline int eg_quic_frames(struct eg_first *w, int taking)
{
	struct eg_quic_packet *q = &w->quic;

	q->walk = q->data_at;
	q->skip = 0;
	q->bad = 0;
	q->taking = taking;
	EG_LOOP(2 * EG_FIRST_MAX, eg_quic_frame, &w);
	return !q->bad && q->walk == q->end - EG_QUIC_TAG && !q->skip;
}

/* --- packets ---------------------------------------------------------------------------------------------------- */
static __always_inline int eg_quic_same_id(const struct eg_first *w)
{
	__u32 i, diff = w->kept.n_dcid ^ w->quic.dcid_len;

	for (i = 0; i < EG_CID_MAX; i++)
		if (i < w->quic.dcid_len)
			diff |= w->kept.dcid[i] ^ EG_AT(w, w->quic.dcid_at + i);
	return !diff;
}

/* Does the packet open with the keys in eg_first.keys? Then it is plain afterwards. */
static __always_inline int eg_quic_opens(struct eg_first *w)
{
	if (!eg_quic_unseal(w))
		return 0;
	if (eg_quic_frames(w, 0))
		return 1;
	eg_quic_reseal(w);
	return 0;
}

/* The flight begins (anew) with this packet, whose keys are in eg_first.keys. */
static __always_inline void eg_quic_begin(struct eg_first *w)
{
	__u32 i;

	eg_flight_clear(w);
	w->kept.version = w->quic.version;
	w->kept.n_dcid = w->quic.dcid_len;
	for (i = 0; i < EG_CID_MAX; i++)
		w->kept.dcid[i] = EG_AT(w, w->quic.dcid_at + i);
	w->kept.keys = w->keys;
}

/* One Initial: 0 when it is unreadable. */
EG_ONCE int eg_quic_initial(struct eg_first *w)
{
	struct eg_quic_packet *q;
	int known = 0, own = 0;

	if (!w)
		return 0;
	q = &w->quic;
	if (w->kept.version) {
		if (w->kept.version == q->version) {
			w->keys = w->kept.keys;
		} else {
			eg_quic_keys_for(w, q->version, 1);
		}
		known = eg_quic_opens(w);
		if (known)
			w->kept.keys = w->keys;
		if (known && w->kept.version == q->version && eg_quic_same_id(w))
			goto take;
		if (known)
			eg_quic_reseal(w);
	}
	if (!w->kept.version || !eg_quic_same_id(w)) {
		eg_quic_keys_for(w, q->version, 0);
		own = eg_quic_opens(w);
	}
	if (known == own)
		return 0;
	if (own) {
		eg_quic_begin(w);
	} else {
		w->keys = w->kept.keys;
		w->kept.version = q->version;
		if (!eg_quic_opens(w))
			return 0;
	}
take:
	return eg_quic_frames(w, 1);
}

enum { EG_QUIC_STOP, EG_QUIC_NEXT, EG_QUIC_INITIAL, EG_QUIC_BAD };

/* Reads the header of the packet at q->at, of a datagram that ends at `limit`; q->end is where the packet does. */
EG_ONCE int eg_quic_header(struct eg_first *w, __u32 limit)
{
	struct eg_quic_packet *q;
	__u32 at, type;
	__u64 v;

	if (!w)
		return 0;
	q = &w->quic;
	at = q->at;
	if (at >= limit || !(EG_AT(w, at) & 0x80))
		return EG_QUIC_STOP; /* padding behind packets; a short header takes all the rest */
	q->version = eg_at32(w, at + 1);
	if (q->version != EG_QUIC_V1 && q->version != EG_QUIC_V2)
		return EG_QUIC_BAD;
	type = EG_AT(w, at) >> 4 & 3;
	if (q->version == EG_QUIC_V2)
		type = (type - 1) & 3;
	q->dcid_len = EG_AT(w, at + 5);
	q->dcid_at = at + 6;
	at += 6 + q->dcid_len;
	if (type == 3 || q->dcid_len > EG_CID_MAX || EG_AT(w, at) > EG_CID_MAX)
		return EG_QUIC_BAD;
	at += 1 + EG_AT(w, at);
	if (!type) { /* a token */
		v = eg_varint(w, at);
		at += eg_varint_size(w, at);
		if (v > limit - q->at)
			return EG_QUIC_BAD;
		at += v;
	}
	v = eg_varint(w, at);
	at += eg_varint_size(w, at);
	q->number_at = at;
	if (at >= limit || v > limit - at || v < 4 + EG_QUIC_TAG)
		return EG_QUIC_BAD;
	q->end = at + v;
	return type ? EG_QUIC_NEXT : EG_QUIC_INITIAL;
}

/*
 * A datagram of n bytes at EG_FIRST_PLACE that begins with a long header of version 1 or 2. What the flight was is in
 * eg_first.kept (version 0: there was none); 1: it is to be kept as it is now.
 */
static __always_inline int eg_quic_datagram(struct eg_first *w, __u32 n, struct eg_seen *seen)
{
	const __u32 limit = EG_FIRST_PLACE + n;
	__u32 i, have, need;
	int what = EG_QUIC_STOP, initials = 0, fresh;

	seen->app = EG_APP_QUIC;
	seen->visible = EG_VISIBLE_UNREADABLE;
	w->quic.at = EG_FIRST_PLACE;
	w->quic.news = 0;
	fresh = !w->kept.version;
	for (i = 0; i < EG_QUIC_PACKETS; i++) {
		what = eg_quic_header(w, limit);
		if (what == EG_QUIC_INITIAL) {
			initials = 1;
			if (!eg_quic_initial(w))
				what = EG_QUIC_BAD;
		}
		if (what != EG_QUIC_NEXT && what != EG_QUIC_INITIAL)
			break;
		w->quic.at = w->quic.end;
	}
	if (what != EG_QUIC_STOP) {
		w->kept.dead = 1;
		w->kept.version = w->quic.version ? w->quic.version : EG_QUIC_V1;
	}
	if (w->kept.dead)
		return 1;
	if (!initials && fresh)
		return 0; /* a connection whose beginning nobody saw */
	w->kept.packets += w->quic.news;
	have = eg_flight_length(w);
	seen->visible = EG_VISIBLE_UNKNOWN;
	need = have >= 4 ? eg_at24(w, 1) + 4 : EG_FIRST_MAX;
	if ((have && EG_AT(w, 0) != 1) || need > EG_FIRST_MAX ||
	    (have < need && w->kept.packets >= EG_FIRST_PACKETS)) {
		seen->visible = EG_VISIBLE_UNREADABLE;
		w->kept.dead = 1;
		return 1;
	}
	if (have < need)
		return 1;
	eg_hello_tell(w, eg_hello_parse(w, 0, need, EG_TLS_BARE), seen);
	if (w->parse.doq || w->port == 853)
		seen->app = EG_APP_DOQ;
	return 1;
}

/* Versions that other decoders know, and that are not read here: drafts, Google's, Facebook's. */
static __always_inline int eg_quic_other(__u32 version)
{
	return (version >> 8 == 0xff0000 && (version & 255) >= 22 && (version & 255) <= 34) ||
	       version == 0x709a50c4 || version == 0xfaceb001 || version == 0xfaceb002 ||
	       version >> 16 == 0x5130 || version >> 16 == 0x5430;
}

enum eg_quic_look { EG_QUIC_NOT, EG_QUIC_READ, EG_QUIC_UNREAD };

/* Is the datagram of n bytes at EG_FIRST_PLACE QUIC, and can it be read? */
static __always_inline int eg_quic_is(const struct eg_first *w, __u32 n)
{
	const __u32 at = EG_FIRST_PLACE;
	__u32 version = eg_at32(w, at + 1);

	if (n < 9)
		return EG_QUIC_NOT;
	if (!(EG_AT(w, at) & 0x80)) /* Google's before it had long headers */
		return (EG_AT(w, at) & 0x0b) == 0x09 && eg_at16(w, at + 9) == 0x5130 && n > 30
			       ? EG_QUIC_UNREAD
			       : EG_QUIC_NOT;
	if (version == EG_QUIC_V1 || version == EG_QUIC_V2)
		return EG_QUIC_READ;
	if (eg_quic_other(version))
		return EG_QUIC_UNREAD;
	/* any other version that a server may speak: as large as a first datagram has to be */
	return (EG_AT(w, at) & 0x40) && version && n >= 1200 && EG_AT(w, at + 5) >= 8 &&
			       EG_AT(w, at + 5) <= EG_CID_MAX
		       ? EG_QUIC_UNREAD
		       : EG_QUIC_NOT;
}
