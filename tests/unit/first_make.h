/* SPDX-License-Identifier: Apache-2.0 */
/* First payloads for the tests of bpf/first.h: hellos, whole and in records, and Initials of QUIC around them. */
#pragma once

#include "first_rig.h"
#include "test.h"

#include "decode/quic_internal.h"

static uint8_t hello[8192]; /* what the last hello_for() made */

/* --- hellos ----------------------------------------------------------------------------------------------------- */
struct bytes {
	uint8_t *p;
	size_t n;
};

static inline void put(struct bytes *b, const void *p, size_t n)
{
	memcpy(b->p + b->n, p, n);
	b->n += n;
}

static inline void put16(struct bytes *b, unsigned int v)
{
	uint8_t p[2] = { v >> 8, v };

	put(b, p, 2);
}

/* A server_name extension. */
static inline void put_name(struct bytes *b, struct str name)
{
	put16(b, 0);
	put16(b, name.n + 5);
	put16(b, name.n + 3);
	put(b, "", 1);
	put16(b, name.n);
	put(b, name.p, name.n);
}

static inline void put_padding(struct bytes *b, size_t n)
{
	put16(b, 21);
	put16(b, n);
	memset(b->p + b->n, 0, n);
	b->n += n;
}

/* The handshake message around these extensions. */
static inline size_t handshake(uint8_t *p, struct bytes extensions, bool with_extensions)
{
	struct bytes b = { p, 4 };

	put16(&b, 0x0303);
	memset(b.p + b.n, 7, 32);
	b.n += 32;
	put(&b, "\4SESS", 5);
	put16(&b, 4);
	put(&b, "\x13\x01\x13\x02", 4);
	put(&b, "\1\0", 2);
	if (with_extensions) {
		put16(&b, extensions.n);
		put(&b, extensions.p, extensions.n);
	}
	p[0] = 1;
	p[1] = 0;
	p[2] = (b.n - 4) >> 8;
	p[3] = b.n - 4;
	return b.n;
}

static inline size_t record(uint8_t *p, const void *fragment, size_t n)
{
	struct bytes b = { p, 0 };

	put(&b, "\x16\3\1", 3);
	put16(&b, n);
	put(&b, fragment, n);
	return b.n;
}

/* A stream with a hello for `name` (n 0: none), padded to about `size`. */
static inline struct str hello_for(struct str name, size_t size)
{
	static uint8_t message[8192], ext[8192];
	struct bytes e = { ext, 0 };

	put16(&e, 0x2b); /* another extension first */
	put16(&e, 3);
	put(&e, "\2\3\4", 3);
	if (name.n)
		put_name(&e, name);
	if (size > e.n + 60)
		put_padding(&e, size - e.n - 60);
	return (struct str){ (char *)hello, record(hello, message, handshake(message, e, true)) };
}

/* A hello over records of `size` bytes each, the last with what is left. */
static inline struct str cut_into_records(struct str message, size_t size)
{
	static uint8_t out[32768];
	size_t n = 0;

	while (message.n) {
		struct str part = str_sub(message, 0, size);

		n += record(out + n, part.p, part.n);
		message = str_sub(message, part.n, message.n);
	}
	return (struct str){ (char *)out, n };
}

/* A packet of `version` for a connection id, around these frames. Its tag is none: see quic.h. */
static inline size_t seal(uint8_t *p, uint32_t version, struct str dcid, uint32_t number,
			  const void *frames, size_t n)
{
	static struct eg_first w;
	struct bytes b = { p, 0 };
	struct quic_version v = quic_version(version);
	struct quic_keys k;
	uint8_t mask[5];
	size_t at;

	assert_ok(quic_keys_derive(&v, dcid, &k));
	b.p[b.n++] = v.v2 ? 0xd3 : 0xc3;
	put16(&b, version >> 16);
	put16(&b, version & 0xffff);
	b.p[b.n++] = (uint8_t)dcid.n;
	put(&b, dcid.p, dcid.n);
	put(&b, "\0\0", 2); /* source id, token */
	put16(&b, 0x4000 | (4 + n + 16));
	at = b.n;
	put16(&b, number >> 16);
	put16(&b, number & 0xffff);
	put(&b, frames, n);
	memset(b.p + b.n, 0xee, 16);
	/* the kernel's own AES, which the vectors of the RFC have shown to be right */
	for (int i = 0; i < 4; i++)
		w.schedule[i] = (uint32_t)k.key[4 * i] << 24 | k.key[4 * i + 1] << 16 |
				k.key[4 * i + 2] << 8 | k.key[4 * i + 3];
	eg_aes_expand(&w);
	for (size_t i = 0; i < n; i++) {
		if (i % 16 == 0) {
			for (int j = 0; j < 3; j++)
				w.block[j] = (uint32_t)k.iv[4 * j] << 24 | k.iv[4 * j + 1] << 16 |
					     k.iv[4 * j + 2] << 8 | k.iv[4 * j + 3];
			w.block[2] ^= number;
			w.block[3] = 2 + (uint32_t)i / 16;
			eg_aes_block(&w);
		}
		b.p[at + 4 + i] ^= (uint8_t)(w.block[i % 16 / 4] >> (24 - 8 * (i & 3)));
	}
	b.n += 16;
	assert_ok(quic_header_mask(&k, b.p + at + 4, mask));
	b.p[0] ^= mask[0] & 15;
	for (int i = 0; i < 4; i++)
		b.p[at + i] ^= mask[1 + i];
	return b.n;
}

static inline size_t crypto(uint8_t *p, size_t offset, struct str s)
{
	struct bytes b = { p, 0 };

	put(&b, "\6", 1);
	put16(&b, 0x4000 | offset);
	put16(&b, 0x4000 | s.n);
	put(&b, s.p, s.n);
	return b.n;
}

/* A datagram with one Initial that holds [from, to) of the hello for `name`, padded. */
static inline struct str initial(uint32_t version, struct str dcid, uint32_t number,
				 struct str name, size_t from, size_t to)
{
	static uint8_t frames[2048], out[4096];
	struct str s = hello_for(name, 600);
	size_t n;

	memset(frames, 0, sizeof(frames));
	s = str_sub(s, 5, s.n);
	n = crypto(frames, from, str_sub(s, from, to - from));
	if (n < 1150)
		n = 1150;
	return (struct str){ (char *)out, seal(out, version, dcid, number, frames, n) };
}
