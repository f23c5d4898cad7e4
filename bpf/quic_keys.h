/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Keys of QUIC's Initial packets from a connection id (RFC 9001 section 5, RFC 9369), and the protection they take off: of
 * the header, and of the payload without its tag. Pure, see flight.h.
 */
#pragma once

#include "aes.h"
#include "sha256.h"

#define EG_QUIC_V1 1
#define EG_QUIC_V2 0x6b3343cf
#define EG_QUIC_TAG 16

/* SHA-256 behind the HMAC pads of the salts: inner, outer; by version. */
static const __u32 eg_quic_salt_in[2][8] = {
	{
		0x2d5eed97,
		0x70d71abf,
		0x4c9b8799,
		0xc4eb86b0,
		0xe9b16e41,
		0xd04322f6,
		0xf73a0cb2,
		0x9e23a203,
	},
	{
		0x9f201982,
		0x7e771bd0,
		0x601a8795,
		0x5d7ab60d,
		0x2ff30d4b,
		0x72201a09,
		0x6eaa0d12,
		0xca4e4d6b,
	},
};

static const __u32 eg_quic_salt_out[2][8] = {
	{
		0x0d3d813d,
		0xcffa6f1f,
		0x7dbcb03e,
		0x923042dc,
		0xd15a45f6,
		0x55ab0325,
		0xf3c23aab,
		0x37426939,
	},
	{
		0xbb153200,
		0x003bcf3a,
		0xf99876d1,
		0xf698c9aa,
		0x804d4d49,
		0x7a379cfe,
		0xc1eb346e,
		0xadaf299f,
	},
};

/* "tls13 client in"; then "tls13 quic key", iv, hp of version 1, and those of version 2: padded, as SHA-256 takes them. */
static const __u32 eg_quic_label[7][16] = {
	{
		0x00200f74,
		0x6c733133,
		0x20636c69,
		0x656e7420,
		0x696e0001,
		0x80000000,
		0x00000000,
		0x00000000,
		0x00000000,
		0x00000000,
		0x00000000,
		0x00000000,
		0x00000000,
		0x00000000,
		0x00000000,
		0x000002a0,
	},
	{
		0x00100e74,
		0x6c733133,
		0x20717569,
		0x63206b65,
		0x79000180,
		0x00000000,
		0x00000000,
		0x00000000,
		0x00000000,
		0x00000000,
		0x00000000,
		0x00000000,
		0x00000000,
		0x00000000,
		0x00000000,
		0x00000298,
	},
	{
		0x000c0d74,
		0x6c733133,
		0x20717569,
		0x63206976,
		0x00018000,
		0x00000000,
		0x00000000,
		0x00000000,
		0x00000000,
		0x00000000,
		0x00000000,
		0x00000000,
		0x00000000,
		0x00000000,
		0x00000000,
		0x00000290,
	},
	{
		0x00100d74,
		0x6c733133,
		0x20717569,
		0x63206870,
		0x00018000,
		0x00000000,
		0x00000000,
		0x00000000,
		0x00000000,
		0x00000000,
		0x00000000,
		0x00000000,
		0x00000000,
		0x00000000,
		0x00000000,
		0x00000290,
	},
	{
		0x00101074,
		0x6c733133,
		0x20717569,
		0x63763220,
		0x6b657900,
		0x01800000,
		0x00000000,
		0x00000000,
		0x00000000,
		0x00000000,
		0x00000000,
		0x00000000,
		0x00000000,
		0x00000000,
		0x00000000,
		0x000002a8,
	},
	{
		0x000c0f74,
		0x6c733133,
		0x20717569,
		0x63763220,
		0x69760001,
		0x80000000,
		0x00000000,
		0x00000000,
		0x00000000,
		0x00000000,
		0x00000000,
		0x00000000,
		0x00000000,
		0x00000000,
		0x00000000,
		0x000002a0,
	},
	{
		0x00100f74,
		0x6c733133,
		0x20717569,
		0x63763220,
		0x68700001,
		0x80000000,
		0x00000000,
		0x00000000,
		0x00000000,
		0x00000000,
		0x00000000,
		0x00000000,
		0x00000000,
		0x00000000,
		0x00000000,
		0x000002a0,
	},
};

/* --- keys ------------------------------------------------------------------------------------------------------- */
static __always_inline void eg_words(__u32 *to, const __u32 *from, int n)
{
	int i;

	for (i = 0; i < n; i++)
		to[i] = from[i];
}

/* The digest in eg_first.hash becomes the message of HMAC's outer half, whose state is `outer`. */
static __always_inline void eg_hmac_outer(struct eg_first *w, const __u32 *outer)
{
	int i;

	eg_words(w->pad, w->hash, 8);
	w->pad[8] = 0x80000000;
	for (i = 9; i < 15; i++)
		w->pad[i] = 0;
	w->pad[15] = (64 + 32) * 8;
	eg_words(w->hash, outer, 8);
	eg_sha256_block(w);
}

static __always_inline void eg_hmac_half(struct eg_first *w, __u32 pad, __u32 *to)
{
	int i;

	for (i = 0; i < 16; i++)
		w->pad[i] = (i < 8 ? w->key[i & 7] : 0) ^ pad;
	eg_words(w->hash, eg_sha256_start, 8);
	eg_sha256_block(w);
	eg_words(to, w->hash, 8);
}

/* HMAC's key is the digest in eg_first.hash. */
static __always_inline void eg_hmac_key(struct eg_first *w)
{
	eg_words(w->key, w->hash, 8);
	eg_hmac_half(w, 0x36363636, w->inner);
	eg_hmac_half(w, 0x5c5c5c5c, w->outer);
}

/* HKDF-Expand-Label of one block. */
static __always_inline void eg_hkdf_label(struct eg_first *w, const __u32 *label)
{
	eg_words(w->pad, label, 16);
	eg_words(w->hash, w->inner, 8);
	eg_sha256_block(w);
	eg_hmac_outer(w, w->outer);
}

/* eg_first.keys from the connection id of `len` bytes in eg_first.pad, as a block of SHA-256. */
static __always_inline void eg_quic_derive(struct eg_first *w, int v2)
{
	__u32 i = !!v2, label = v2 ? 4 : 1;

	eg_words(w->hash, eg_quic_salt_in[i], 8);
	eg_sha256_block(w);
	eg_hmac_outer(w, eg_quic_salt_out[i]);
	eg_hmac_key(w);
	eg_hkdf_label(w, eg_quic_label[0]);
	eg_hmac_key(w);
	eg_hkdf_label(w, eg_quic_label[label]);
	eg_words(w->keys.key, w->hash, 4);
	eg_hkdf_label(w, eg_quic_label[label + 1]);
	eg_words(w->keys.iv, w->hash, 3);
	eg_hkdf_label(w, eg_quic_label[label + 2]);
	eg_words(w->keys.hp, w->hash, 4);
}

/* What the keys of `version` are derived from: the flight's connection id, or the packet's. */
EG_ONCE int eg_quic_keys_for(struct eg_first *w, __u32 version, int kept)
{
	__u32 n, i, c;

	if (!w)
		return 0;
	n = kept ? w->kept.n_dcid : w->quic.dcid_len;
	for (i = 0; i < 16; i++)
		w->pad[i] = 0;
	for (i = 0; i < EG_CID_MAX; i++) {
		c = kept ? w->kept.dcid[i] : EG_AT(w, w->quic.dcid_at + i);
		if (i < n)
			w->pad[i / 4] |= c << (24 - 8 * (i & 3));
	}
	w->pad[n / 4 & 15] |= 0x80U << (24 - 8 * (n & 3));
	w->pad[15] = (64 + n) * 8;
	eg_quic_derive(w, version == EG_QUIC_V2);
	return 0;
}

/* --- protection ------------------------------------------------------------------------------------------------- */

/* The next 16 bytes of the payload, decrypted where they lie, or encrypted again. */
static int eg_quic_block(__u32 i, struct eg_first **ctx)
{
	struct eg_first *w = *ctx;
	struct eg_quic_packet *q = &w->quic;
	__u32 at = q->data_at + 16 * q->blocks, k, x;

	if (at + EG_QUIC_TAG >= q->end)
		return 1;
	w->block[0] = w->keys.iv[0];
	w->block[1] = w->keys.iv[1];
	w->block[2] = w->keys.iv[2] ^ q->number;
	w->block[3] = 2 + q->blocks++;
	eg_aes_block(w);
	for (k = 0; k < 4; k++) {
		x = w->block[k];
		EG_AT(w, at) ^= x >> 24;
		EG_AT(w, at + 1) ^= x >> 16;
		EG_AT(w, at + 2) ^= x >> 8;
		EG_AT(w, at + 3) ^= x;
		at += 4;
	}
	return 0;
}

/* As many blocks as were decrypted are made what they were. */
static __always_inline void eg_quic_reseal(struct eg_first *w)
{
	__u32 n = w->quic.blocks;

	w->quic.blocks = 0;
	EG_LOOP(n, eg_quic_block, &w);
}

static __always_inline int eg_quic_frame_known(__u8 type)
{
	return type <= 3 || type == 6 || type == 0x1c;
}

/* 0: eg_first.keys are not its keys, as far as reserved bits and the first frame tell; the datagram is as before. */
static __always_inline int eg_quic_unseal(struct eg_first *w)
{
	struct eg_quic_packet *q = &w->quic;
	__u32 i, n;

	for (i = 0; i < 4; i++)
		w->block[i] = eg_at32(w, q->number_at + 4 + 4 * i);
	eg_words(w->schedule, w->keys.hp, 4);
	eg_aes_expand(w);
	eg_aes_block(w);
	q->blocks = 0;
	n = EG_AT(w, q->at) ^ (w->block[0] >> 24 & 15);
	if (n & 0x0c)
		return 0;
	n = (n & 3) + 1;
	q->number =
		(eg_at32(w, q->number_at) ^ (w->block[0] << 8 | w->block[1] >> 24)) >> (32 - 8 * n);
	q->data_at = q->number_at + n;
	eg_words(w->schedule, w->keys.key, 4);
	eg_aes_expand(w);
	EG_LOOP(1, eg_quic_block, &w);
	if (!eg_quic_frame_known(EG_AT(w, q->data_at))) {
		eg_quic_reseal(w);
		return 0;
	}
	EG_LOOP(2 * EG_FIRST_MAX / 16, eg_quic_block, &w);
	return 1;
}
