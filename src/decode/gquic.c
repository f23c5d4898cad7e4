// SPDX-License-Identifier: Apache-2.0
/*
 * Google's QUIC before the IETF's. Up to Q048 a client's first packet is only hashed, not encrypted: a header of one
 * of two forms, a 12-byte hash, frames; the STREAM frame of stream 1 (a CRYPTO frame from Q047 on) holds the CHLO.
 * The CHLO is "CHLO", the number of tags, and a table of (tag, end offset) before the values, little-endian.
 */
#include "decode/quic_internal.h"

#include "base/cleanup.h"

#define HASH_SIZE 12
#define TAGS_MAX 128

enum {
	FLAG_VERSION = 0x01,
	FLAG_RESET = 0x02,
	FLAG_CID = 0x08,
};

static unsigned int version_number(uint32_t v)
{
	return (v >> 8 & 15) * 10 + (v & 15);
}

/* Public header up to Q043: flags, connection id, version, packet number. */
static bool read_public_header(struct cursor *c, uint8_t flags, uint32_t *ret_version)
{
	static const uint8_t number_size[] = { 1, 2, 4, 6 };

	if (!(flags & FLAG_VERSION) || !(flags & FLAG_CID) || (flags & (FLAG_RESET | 0x80)))
		return false;
	cursor_take(c, 8);
	*ret_version = cursor_u32(c);
	cursor_take(c, number_size[flags >> 4 & 3]);
	return !c->bad && version_number(*ret_version) <= 43;
}

/* Long header of Q044 to Q048: both connection id lengths share a byte, the packet number is not masked. */
static bool read_long_header(struct cursor *c, uint8_t first, uint32_t *ret_version)
{
	uint8_t lengths;

	*ret_version = cursor_u32(c);
	lengths = cursor_u8(c);
	if (lengths != 0x50) /* 8 bytes to the server, none back */
		return false;
	cursor_take(c, 8);
	cursor_take(c, version_number(*ret_version) >= 46 ? (first & 3) + 1 : 4);
	return !c->bad && version_number(*ret_version) >= 44;
}

static bool read_header(struct cursor *c, uint32_t *ret_version)
{
	uint8_t first = cursor_u8(c);
	bool ok;

	if (first & 0x80)
		ok = read_long_header(c, first, ret_version);
	else
		ok = read_public_header(c, first, ret_version);
	if (!ok || quic_version(*ret_version).family != QUIC_GOOGLE_CLEAR)
		return false;
	cursor_take(c, HASH_SIZE);
	if (version_number(*ret_version) < 34)
		cursor_u8(c); /* private flags */
	return !c->bad;
}

bool gquic_is_initial(struct str datagram, uint32_t *ret_version)
{
	struct cursor c = cursor_of(datagram);

	return read_header(&c, ret_version);
}

/* Type 1fdooosS: fin, length present, offset bytes (0, or n+1), stream id bytes (n+1). */
static struct str read_stream_frame(struct cursor *c, uint8_t type, uint32_t version)
{
	unsigned int n_offset = type >> 2 & 7, n_id = (type & 3) + 1;
	size_t n = c->n;

	cursor_take(c, n_id);
	cursor_take(c, n_offset ? n_offset + 1 : 0);
	if (type & 0x20) {
		const uint8_t *b = cursor_take(c, 2);

		if (!b)
			return STR_NONE;
		/* Numbers were little-endian until Q039. */
		n = version_number(version) >= 39 ? (size_t)b[0] << 8 | b[1]
						  : (size_t)b[1] << 8 | b[0];
	}
	return c->bad ? STR_NONE : cursor_str(c, MIN(n, c->n));
}

struct str gquic_chlo(struct str datagram)
{
	struct cursor c = cursor_of(datagram);
	struct str s = STR_NONE;
	uint32_t version;

	if (!read_header(&c, &version))
		return STR_NONE;
	while (c.n) {
		uint8_t type = cursor_u8(&c);

		if (type & 0x80) {
			s = read_stream_frame(&c, type, version);
		} else if (type == 8 && version_number(version) >= 47) {
			uint64_t offset = quic_varint(&c), n = quic_varint(&c);

			s = offset || c.bad ? STR_NONE : cursor_str(&c, MIN(n, (uint64_t)c.n));
		} else if (type == 0 || type == 7) { /* padding, ping */
			continue;
		} else {
			return STR_NONE;
		}
		if (s.n && str_has_prefix(s, STR("CHLO")))
			return s;
	}
	return STR_NONE;
}

static uint32_t le32(const uint8_t *b)
{
	return (uint32_t)b[3] << 24 | (uint32_t)b[2] << 16 | (uint32_t)b[1] << 8 | b[0];
}

void gquic_tags(struct str chlo, struct str *ret_sni, struct str *ret_ua)
{
	struct cursor c = cursor_of(chlo), values;
	size_t n, from = 0;

	*ret_sni = *ret_ua = STR_NONE;
	if (!str_has_prefix(chlo, STR("CHLO")))
		return;
	cursor_take(&c, 4);
	n = cursor_u8(&c);
	n |= (size_t)cursor_u8(&c) << 8;
	cursor_take(&c, 2);
	if (c.bad || n > TAGS_MAX || n * 8 > c.n)
		return;
	values = c;
	cursor_take(&values, n * 8);
	for (; n; n--) {
		const uint8_t *tag = cursor_take(&c, 4), *end = cursor_take(&c, 4);
		size_t to = le32(end);
		struct str value;

		if (to < from || to > values.n)
			return;
		value = (struct str){ (const char *)values.p + from, to - from };
		if (!memcmp(tag, "SNI\0", 4))
			*ret_sni = value;
		else if (!memcmp(tag, "UAID", 4))
			*ret_ua = value;
		from = to;
	}
}
