// SPDX-License-Identifier: Apache-2.0
/*
 * A client's Initial packets: walks the packets of a datagram, opens each, and puts CRYPTO bytes where they belong.
 * One flow holds keys for one Destination Connection ID and one version at a time. Bounds: 16 KiB of CRYPTO bytes,
 * RANGES_MAX runs of them, PACKETS_MAX packets a datagram, and one packet that does not open ends the datagram.
 */
#include "decode/quic_internal.h"

#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"

#define RANGES_MAX 96
#define PACKETS_MAX 8
#define PACKET_MAX 9216   /* a jumbo frame */
#define CLIENT_DCID_MIN 8 /* RFC 9000 7.2 */

struct range {
	uint16_t from, to;
};

struct quic {
	uint32_t version; /* of the keys; 0: none yet */
	uint8_t n_dcid, n_ranges;
	uint8_t dcid[QUIC_CID_MAX]; /* which the keys came from */
	struct quic_keys keys;
	struct range ranges[RANGES_MAX]; /* ordered, apart from each other */
	char crypto[QUIC_CRYPTO_MAX];
};

_Static_assert(sizeof(struct quic) <= 18 * 1024, "one for each QUIC handshake under way");

/* The plain part of a long header. */
struct packet {
	uint32_t version;
	struct quic_version v;
	bool initial;
	struct str dcid;
	struct str whole; /* from the first byte to the end of the payload, as far as captured */
	size_t number_at; /* offset of the packet number */
	bool cut;
};

int quic_new(struct quic **ret)
{
	struct quic *q = calloc(1, sizeof(*q));

	if (!q)
		return -ENOMEM;
	*ret = q;
	return 0;
}

struct quic *quic_free(struct quic *q)
{
	free(q);
	return NULL;
}

/* One packet off the front of *rest: 0, or -EBADMSG when it is no long header of a version with known keys. */
static int read_packet(struct str *rest, struct packet *p)
{
	struct cursor c = cursor_of(*rest);
	uint8_t first = cursor_u8(&c);
	uint64_t length;

	p->version = cursor_u32(&c);
	p->v = quic_version(p->version);
	if (!(first & 0x80) || !p->v.salt)
		return -EBADMSG;
	p->initial = (first >> 4 & 3) == (p->v.v2 ? 1 : 0);
	if ((first >> 4 & 3) == (p->v.v2 ? 0 : 3))
		return -EBADMSG; /* Retry: comes from servers only, and has no length */
	p->dcid = cursor_str(&c, cursor_u8(&c));
	cursor_take(&c, cursor_u8(&c)); /* source connection id */
	if (p->dcid.n > QUIC_CID_MAX)
		return -EBADMSG;
	if (p->initial) {
		length = quic_varint(&c);
		if (length > c.n)
			return -EBADMSG;
		cursor_take(&c, length);
	}
	length = quic_varint(&c);
	if (c.bad || length < 4 + QUIC_SAMPLE_SIZE)
		return -EBADMSG;
	p->number_at = rest->n - c.n;
	p->cut = length > c.n;
	p->whole = str_sub(*rest, 0, p->number_at + (p->cut ? c.n : length));
	*rest = str_sub(*rest, p->whole.n, rest->n);
	return 0;
}

bool quic_is_initial(struct str datagram)
{
	struct str rest = datagram;
	struct packet p;
	uint32_t version;

	if (gquic_is_initial(datagram, &version))
		return true;
	return read_packet(&rest, &p) == 0 && p.initial && ((uint8_t)datagram.p[0] & 0x40) &&
	       p.dcid.n >= CLIENT_DCID_MIN && p.whole.n - p.number_at >= 4 + QUIC_SAMPLE_SIZE;
}

/* Takes [from, from + s.n) in; false when all of it was known or there is no room for another run. */
static bool crypto_add(struct quic *q, uint64_t from64, struct str s)
{
	uint16_t from, to;
	size_t i = 0, j;

	if (from64 >= QUIC_CRYPTO_MAX || !s.n)
		return false;
	from = (uint16_t)from64;
	to = (uint16_t)(from + MIN(s.n, (size_t)QUIC_CRYPTO_MAX - from));

	while (i < q->n_ranges && q->ranges[i].to < from)
		i++;
	if (i < q->n_ranges && q->ranges[i].from <= from && q->ranges[i].to >= to)
		return false;
	for (j = i; j < q->n_ranges && q->ranges[j].from <= to; j++)
		;
	if (i == j && q->n_ranges == RANGES_MAX)
		return false;
	memcpy(q->crypto + from, s.p, to - from);
	if (i == j) {
		memmove(q->ranges + i + 1, q->ranges + i, (q->n_ranges - i) * sizeof(*q->ranges));
		q->n_ranges++;
		q->ranges[i] = (struct range){ from, to };
		return true;
	}
	q->ranges[i].from = MIN(from, q->ranges[i].from);
	q->ranges[i].to = MAX(to, q->ranges[j - 1].to);
	memmove(q->ranges + i + 1, q->ranges + j, (q->n_ranges - j) * sizeof(*q->ranges));
	q->n_ranges -= (uint8_t)(j - i - 1);
	return true;
}

static struct str crypto_str(const struct quic *q)
{
	if (!q->n_ranges || q->ranges[0].from)
		return STR_NONE;
	return (struct str){ q->crypto, q->ranges[0].to };
}

/* Most of a client's first datagram is padding: a frame a byte. */
static void skip_padding(struct cursor *c)
{
	static const uint8_t none[16];

	while (c->n >= sizeof(none) && !memcmp(c->p, none, sizeof(none)))
		cursor_take(c, sizeof(none));
	while (c->n && !c->p[0])
		cursor_take(c, 1);
}

static void skip_ack(struct cursor *c, bool ecn)
{
	uint64_t n;

	quic_varint(c); /* largest */
	quic_varint(c); /* delay */
	n = quic_varint(c);
	quic_varint(c); /* first range */
	for (n *= 2; n && !c->bad; n--)
		quic_varint(c);
	for (n = ecn ? 3 : 0; n; n--)
		quic_varint(c);
}

static void skip_close(struct cursor *c)
{
	uint64_t n;

	quic_varint(c); /* error */
	quic_varint(c); /* frame type */
	n = quic_varint(c);
	cursor_take(c, MIN(n, (uint64_t)c->n));
}

struct crypto_frame {
	uint64_t offset;
	struct str data;
};

enum { FRAME_END, FRAME_OTHER, FRAME_CRYPTO };

/* The next frame that an Initial packet may hold (RFC 9000 table 3); anything else ends it. */
static int read_frame(struct cursor *c, enum quic_family family, struct crypto_frame *ret)
{
	bool google = family != QUIC_IETF;
	uint64_t n;
	uint8_t type;

	if (!c->n)
		return FRAME_END;
	type = cursor_u8(c);
	if (type == (google ? 8 : 6)) {
		ret->offset = quic_varint(c);
		n = quic_varint(c);
		if (c->bad)
			return FRAME_END;
		ret->data = cursor_str(c, MIN(n, (uint64_t)c->n));
		return FRAME_CRYPTO;
	}
	if (type == 0)
		skip_padding(c);
	if (type == 0 || type == (google ? 7 : 1))
		return FRAME_OTHER;
	if (google)
		return FRAME_END;
	if (type == 2 || type == 3)
		skip_ack(c, type == 3);
	else if (type == 0x1c)
		skip_close(c);
	else
		return FRAME_END;
	return c->bad ? FRAME_END : FRAME_OTHER;
}

/* Without its tag nothing proves that a packet was opened with the right keys; the hello's own first bytes do. */
static bool begins_hello(struct cursor c, enum quic_family family)
{
	struct crypto_frame f;
	int r;

	while ((r = read_frame(&c, family, &f)) != FRAME_END) {
		if (r != FRAME_CRYPTO || f.offset)
			continue;
		return str_has_prefix(f.data,
				      family == QUIC_GOOGLE_CRYPTO ? STR("CHLO") : STR("\1\0"));
	}
	return false;
}

/* Removes header protection and opens the payload with `k`: the number of plain bytes, or -EBADMSG. */
static int open_packet(const struct quic_keys *k, const struct packet *p, uint8_t *plain)
{
	const uint8_t *b = (const uint8_t *)p->whole.p;
	struct quic_sealed s = { .cut = p->cut };
	uint8_t first, number[4], mask[5];
	unsigned int n_number;
	int r;

	if (p->whole.n - p->number_at < 4 + QUIC_SAMPLE_SIZE || p->whole.n > PACKET_MAX)
		return -EBADMSG;
	r = quic_header_mask(k, b + p->number_at + 4, mask);
	if (r < 0)
		return r;
	first = b[0] ^ (mask[0] & 0x0f);
	n_number = (first & 3) + 1;
	for (unsigned int i = 0; i < n_number; i++) {
		number[i] = b[p->number_at + i] ^ mask[1 + i];
		s.number = s.number << 8 | number[i];
	}
	s.header[0] = (struct str){ (char *)&first, 1 };
	s.header[1] = str_sub(p->whole, 1, p->number_at - 1);
	s.header[2] = (struct str){ (char *)number, n_number };
	s.payload = str_sub(p->whole, p->number_at + n_number, p->whole.n);
	r = quic_open(k, &s, plain);
	if (r >= 0 && p->cut &&
	    !begins_hello((struct cursor){ plain, (size_t)r, false }, p->v.family))
		return -EBADMSG;
	return r;
}

static int try_dcid(struct quic *q, const struct packet *p, struct str dcid, uint8_t *plain)
{
	struct quic_keys keys;
	int n, r;

	r = quic_keys_derive(&p->v, dcid, &keys);
	if (r < 0)
		return r;
	n = open_packet(&keys, p, plain);
	if (n < 0)
		return n;
	q->keys = keys;
	q->version = p->version;
	q->n_dcid = (uint8_t)dcid.n;
	if (dcid.n)
		memmove(q->dcid, dcid.p, dcid.n);
	return n;
}

/*
 * The keys at hand first: later Initials carry the server's connection id, but the keys stay. Then, for a client that
 * changed to another version (RFC 9368), that version's keys of the same id. Then the packet's own id: the
 * first packet, or the first after a Retry.
 */
static int open_initial(struct quic *q, const struct packet *p, uint8_t *plain)
{
	struct str dcid = { (const char *)q->dcid, q->n_dcid };
	int n = -EBADMSG;

	if (q->version == p->version)
		n = open_packet(&q->keys, p, plain);
	else if (q->version)
		n = try_dcid(q, p, dcid, plain);
	if (n < 0 && !(q->version && str_eq(dcid, p->dcid)))
		n = try_dcid(q, p, p->dcid, plain);
	return n;
}

static bool take_frames(struct quic *q, struct cursor c, enum quic_family family)
{
	struct crypto_frame f;
	bool news = false;
	int r;

	while ((r = read_frame(&c, family, &f)) != FRAME_END)
		if (r == FRAME_CRYPTO)
			news |= crypto_add(q, f.offset, f.data);
	return news;
}

static void fill_result(struct quic *q, uint32_t version, struct quic_result *ret)
{
	*ret = (struct quic_result){ .version = version, .crypto = crypto_str(q) };
	if (str_has_prefix(ret->crypto, STR("CHLO")))
		gquic_tags(ret->crypto, &ret->gquic_sni, &ret->gquic_ua);
}

static int clear_datagram(struct quic *q, struct str datagram, uint32_t version,
			  struct quic_result *ret)
{
	bool news = crypto_add(q, 0, gquic_chlo(datagram));

	q->version = version;
	fill_result(q, version, ret);
	return news ? 0 : -EAGAIN;
}

int quic_client_datagram(struct quic *q, struct str datagram, struct quic_result *ret)
{
	uint8_t plain[PACKET_MAX];
	bool news = false, opened = false;
	struct packet p;
	uint32_t version = 0;

	if (gquic_is_initial(datagram, &version))
		return clear_datagram(q, datagram, version, ret);
	for (unsigned int i = 0; i < PACKETS_MAX && read_packet(&datagram, &p) == 0; i++) {
		int n;

		if (!p.initial)
			continue;
		n = open_initial(q, &p, plain);
		if (n < 0)
			break;
		opened = true;
		version = p.version;
		news |= take_frames(q, (struct cursor){ plain, (size_t)n, false }, p.v.family);
	}
	if (!opened)
		return -EBADMSG;
	fill_result(q, version, ret);
	return news ? 0 : -EAGAIN;
}
