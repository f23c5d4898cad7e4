/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The first bytes that one end of a flow sends, put together from its packets: a buffer with a bit for each byte that is
 * there, so that segments and CRYPTO frames may come in any order. Pure: also built by the host compiler. The includer has
 * policy_eval.h, and defines
 *
 *     EG_LOOP(n, fn, ctx)       calls fn(i, ctx) up to n times, until it returns 1
 *     EG_COPY(to, n, from)      copies bytes that do not overlap
 *     EG_ONCE                   how functions are declared that the verifier looks at once only
 *     EG_NAME_KEY               of eg_name_hash_byte()
 *
 * Every function works on struct eg_first, which is too large for a stack; what is written into it stays within it
 * whatever the packet says, because each index is masked.
 */
#pragma once

#include "abi.h"
#include "name_hash.h"
#include "policy_image.h"

#define EG_FIRST_MAX 4096  /* bytes of a hello or a request's head; beyond: unreadable */
#define EG_FIRST_PACKETS 4 /* in so many pieces; more: unreadable */
#define EG_FIRST_PLACE \
	4096 /* in eg_first.bytes: where a datagram, or a hello out of several records, lies */

#define EG_CID_MAX 20

/* What one flow said, as far as its first payload tells. */
struct eg_seen {
	__u8 visible; /* enum eg_visible; UNKNOWN: more bytes are needed */
	__u8 app;     /* EG_APP_*; UNDECIDED: more bytes are needed */
	__u16 len;    /* of the name */
	__u32 n_hash;
	__u64 hash[EG_LABELS_MAX]; /* of the name and its parents, as eg_fact_name() takes them */
	char name[EG_NAME_MAX];    /* lower case */
	__u8 begun; /* set by the caller: eg_first_payload() was called before for this flow */
	__u8 same;  /* this packet says nothing new: the flow stays what it was judged to be */
	__u8 pad[6];
};

/* Keys of QUIC's Initial packets from the client. */
struct eg_quic_keys {
	__u32 key[4], iv[3], hp[4];
};

/* One packet of QUIC as it is taken apart. */
struct eg_quic_packet {
	__u32 at, end; /* in eg_first.bytes */
	__u32 number_at, number_len;
	__u32 version, dcid_at, dcid_len;
	__u32 data_at; /* the payload; its tag ends at `end` */
	__u32 number, blocks;
	__u32 walk, skip; /* over frames */
	__u32 from, to;   /* of the flight: where a frame's bytes belong */
	__u8 bad, taking, news, pad;
};

/* The peer is 0 for TCP, where a socket has one. */
struct eg_flight_key {
	__u64 cookie;
	__u8 remote[16];
	__u32 port;
	__u32 pad;
};

/* What is remembered between packets of one flow, before its bytes. */
struct eg_kept {
	__u64 cookie;
	__u64 got[EG_FIRST_MAX / 64];
	__u32 base;    /* TCP: sequence number of the first byte */
	__u32 packets; /* that brought something */
	__u32 version; /* QUIC: of the keys; 0: none */
	__u8 dead;     /* unreadable for good */
	__u8 n_dcid;
	__u8 dcid[EG_CID_MAX]; /* QUIC: what the keys came from */
	__u8 pad[2];
	struct eg_quic_keys keys;
};

struct eg_flight {
	struct eg_kept kept;
	__u8 bytes[EG_FIRST_MAX];
};

/* Where a parser stands; each uses what it needs. */
struct eg_parse {
	__u32 at, end;
	__u32 name_at, name_len;
	__u32 alpn_at, alpn_end;
	__u32 phase, count, label;
	__u64 hash;
	__u8 bad, names, dot, doq;
	__u8 flag, pad[7];
};

/* Where the walk over a request's head stands. */
struct eg_head {
	__u32 at, end, phase, n;
	__u32 target_at, target_len;
	__u32 host_at, host_len;
	__u8 bad, done, hosts, is_host;
	__u8 is_connect, pad[3];
};

/* The workspace of one packet. The flight begins at `kept`: it is kept from there. */
struct eg_first {
	__u32 busy;
	__u16 port, sport; /* of the destination, of the source */
	struct eg_flight_key id;
	struct eg_parse parse, names, segments;
	struct eg_head head;
	struct eg_quic_keys keys;
	struct eg_quic_packet quic;
	__u32 schedule[44], block[4]; /* AES */
	__u32 hash[8], pad[16];       /* SHA-256: the state, the block */
	__u32 work[8], key[8];
	__u32 inner[8], outer[8]; /* HMAC: the states behind its key */
	struct eg_kept kept;
	/* the flight's, then what is at EG_FIRST_PLACE; the third part is there for the verifier, who cannot add */
	__u8 bytes[3 * EG_FIRST_MAX];
};
_Static_assert(__builtin_offsetof(struct eg_first, bytes) ==
		       __builtin_offsetof(struct eg_first, kept) +
			       __builtin_offsetof(struct eg_flight, bytes),
	       "a flight is a prefix of the workspace");

#define EG_AT(w, i) ((w)->bytes[(i) & (2 * EG_FIRST_MAX - 1)])

/* Eight and four bytes at once, wherever they lie; in the machine's order. */
#ifdef __bpf__
#define EG_GET8(p) (*(const __u64 *)(p))
#else
static inline __u64 eg_get8(const void *p)
{
	__u64 x;

	__builtin_memcpy(&x, p, 8);
	return x;
}
#define EG_GET8(p) eg_get8(p)
#endif

static __always_inline __u32 eg_at16(const struct eg_first *w, __u32 i)
{
	return (__u32)EG_AT(w, i) << 8 | EG_AT(w, i + 1);
}

static __always_inline __u32 eg_at24(const struct eg_first *w, __u32 i)
{
	return eg_at16(w, i) << 8 | EG_AT(w, i + 2);
}

static __always_inline __u32 eg_at32(const struct eg_first *w, __u32 i)
{
	return eg_at16(w, i) << 16 | eg_at16(w, i + 2);
}

EG_ONCE int eg_flight_clear(struct eg_first *w)
{
	if (!w)
		return 0;
	__builtin_memset(&w->kept, 0, sizeof(w->kept));
	return 0;
}

/* Which bits of word `i` lie in [from, to). */
static __always_inline __u64 eg_word_mask(__u32 i, __u32 from, __u32 to)
{
	__u32 lo = i * 64, hi = lo + 64;

	if (lo < from)
		lo = from;
	if (hi > to)
		hi = to;
	if (lo >= hi)
		return 0;
	return (~0ULL << (lo & 63)) & (~0ULL >> (63 - ((hi - 1) & 63)));
}

#define EG_TOOK_NEW 1 /* bytes that were not there before */
#define EG_TOOK_OLD 2 /* bytes that were */

/* [from, to) is there now. */
EG_ONCE int eg_flight_take(struct eg_first *w, __u32 from, __u32 to)
{
	__u32 first = from / 64, i;
	int took = 0;

	if (!w || to > EG_FIRST_MAX || from >= to)
		return 0;
	for (i = 0; i < EG_FIRST_MAX / 64; i++) {
		__u32 word = (first + i) & (EG_FIRST_MAX / 64 - 1);
		__u64 mask = eg_word_mask(word, from, to);

		if (!mask || word < first)
			break;
		if (w->kept.got[word] & mask)
			took |= EG_TOOK_OLD;
		if (~w->kept.got[word] & mask)
			took |= EG_TOOK_NEW;
		w->kept.got[word] |= mask;
	}
	return took;
}

/* Is any of [from, to) there? */
EG_ONCE int eg_flight_has(struct eg_first *w, __u32 from, __u32 to)
{
	__u32 first = from / 64, i;

	if (!w || to > EG_FIRST_MAX || from >= to)
		return 0;
	for (i = 0; i < EG_FIRST_MAX / 64; i++) {
		__u32 word = (first + i) & (EG_FIRST_MAX / 64 - 1);
		__u64 mask = eg_word_mask(word, from, to);

		if (!mask || word < first)
			break;
		if (w->kept.got[word] & mask)
			return 1;
	}
	return 0;
}

/* How many bytes there are from the first on without a hole. */
EG_ONCE int eg_flight_length(struct eg_first *w)
{
	__u32 i;

	if (!w)
		return 0;
	for (i = 0; i < EG_FIRST_MAX / 64; i++)
		if (~w->kept.got[i])
			return i * 64 + eg_lowest(~w->kept.got[i]);
	return EG_FIRST_MAX;
}

/* What has loops or many ways is looked at by the verifier apart, once. */
#define EG_APART(fn)                                        \
	EG_ONCE int fn##_apart(struct eg_first *w, __u32 n) \
	{                                                   \
		return w ? fn(w, n) : 0;                    \
	}
#define EG_APART_AT(fn)                                               \
	EG_ONCE int fn##_apart(struct eg_first *w, __u32 at, __u32 n) \
	{                                                             \
		return w ? fn(w, at, n) : 0;                          \
	}
