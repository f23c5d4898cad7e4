/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by the files of the QUIC decoder only: quic.c packets and frames, quic_keys.c cryptography, gquic.c. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "decode/cursor.h"
#include "decode/quic.h"

#define QUIC_CRYPTO_MAX 16384
#define QUIC_CID_MAX 20
#define QUIC_TAG_SIZE 16
#define QUIC_SAMPLE_SIZE 16

enum quic_family {
	QUIC_NONE,
	QUIC_IETF,          /* long header, TLS in CRYPTO frames */
	QUIC_GOOGLE_FRAMES, /* the same packets, but with Google's frame types (T050, T051) */
	QUIC_GOOGLE_CRYPTO, /* and a CHLO instead of TLS (Q050) */
	QUIC_GOOGLE_CLEAR,  /* before Q050: nothing is encrypted at first */
};

struct quic_version {
	enum quic_family family;
	const uint8_t *salt; /* 20 bytes; NULL when nothing is encrypted */
	bool v2;             /* labels and packet types of RFC 9369 */
};

struct quic_version quic_version(uint32_t version);

/* What protects a client's Initial packets. */
struct quic_keys {
	uint8_t key[16], iv[12], hp[16];
};

int quic_keys_derive(const struct quic_version *v, struct str dcid, struct quic_keys *ret);
int quic_header_mask(const struct quic_keys *k, const uint8_t sample[QUIC_SAMPLE_SIZE],
		     uint8_t ret[5]);

/* A sealed payload: the header before it is authenticated in three pieces, as two of them were unmasked. */
struct quic_sealed {
	uint64_t number;
	struct str header[3];
	struct str payload; /* with its tag */
	bool cut;           /* the tag was not captured: decrypts without proof */
};

/* Plain bytes into `ret` (at least payload.n). Their number, or -EBADMSG. */
int quic_open(const struct quic_keys *k, const struct quic_sealed *s, uint8_t *ret);

/* gQUIC before Q050: is this a client's first packet, and where in it lies the CHLO. */
bool gquic_is_initial(struct str datagram, uint32_t *ret_version);
struct str gquic_chlo(struct str datagram);
/* Tags of a CHLO message ("CHLO", then the tag table); empty where it says nothing. */
void gquic_tags(struct str chlo, struct str *ret_sni, struct str *ret_ua);

/* RFC 9000 section 16. */
static inline uint64_t quic_varint(struct cursor *c)
{
	uint64_t v = cursor_u8(c);
	unsigned int more = (1u << (v >> 6)) - 1;

	v &= 0x3f;
	while (more--)
		v = v << 8 | cursor_u8(c);
	return v;
}
