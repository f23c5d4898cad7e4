// SPDX-License-Identifier: Apache-2.0
/*
 * The kernel's look at first payloads. First byte: bit 0 datagrams, else segments; bit 1 shuffles; bit 2 the bytes of a
 * datagram are frames, sealed here, because the fuzzer cannot get through AES. Then the port, then pieces: a length of two
 * bytes (segments: before it two bytes of offset), the bytes. Whatever comes, a name is well formed, and TLS names are
 * those that user space reads.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "decode/tls.h"
#include "tests/unit/first_rig.h"

static struct first_flow flow;

static void check(void)
{
	const struct eg_seen *s = &flow.seen;

	if (s->visible > EG_VISIBLE_UNREADABLE)
		abort();
	if (s->visible != EG_VISIBLE_NAME)
		return;
	if (!s->len || s->len > EG_HOST_MAX || !s->n_hash || s->n_hash > EG_LABELS_MAX)
		abort();
	for (unsigned int i = 0; i < s->len; i++)
		if (!strchr("abcdefghijklmnopqrstuvwxyz0123456789-_.", s->name[i]) || !s->name[i])
			abort();
}

/* One whole stream: the two readers must not see two names. */
static void compare(struct str s)
{
	static char scratch[TLS_HELLO_MAX];
	static struct tls_hello h;
	size_t need;

	if (flow.seen.app != EG_APP_TLS || flow.seen.visible != EG_VISIBLE_NAME)
		return;
	if (tls_stream_parse(s, scratch, &h, &need) < 0)
		return;
	if (h.sni.n && h.sni.p[h.sni.n - 1] == '.')
		h.sni.n--;
	if (!str_eq_nocase(first_name(&flow), h.sni))
		abort();
}

/* An Initial of version 1 whose payload is `frames`: its key stream is taken from the reader itself. */
static size_t seal(struct str frames, uint8_t *p)
{
	static const uint8_t start[] = { 0xc0, 0,   0,   0,   1,   8,   'f', 'u',
					 'z',  'z', 'f', 'u', 'z', 'z', 0,   0 };
	static struct eg_first w;
	size_t n = frames.n < 3000 ? frames.n : 3000, length = 1 + n + EG_QUIC_TAG;
	struct eg_first *at = &w;

	memset(&w, 0, sizeof(w));
	memcpy(p, start, sizeof(start));
	p[16] = (uint8_t)(0x40 | length >> 8);
	p[17] = (uint8_t)length;
	p[18] = 0;
	memcpy(p + 19, frames.p, n);
	memset(p + 19 + n, 0x77, EG_QUIC_TAG);
	memcpy(w.bytes, p, 19 + n + EG_QUIC_TAG);
	w.quic.dcid_at = 6;
	w.quic.dcid_len = 8;
	eg_quic_keys_for(&w, EG_QUIC_V1, 0);
	w.quic.data_at = 19;
	w.quic.end = (uint32_t)(19 + n + EG_QUIC_TAG);
	memcpy(w.schedule, w.keys.key, 16);
	eg_aes_expand(&w);
	EG_LOOP(256, eg_quic_block, &at);
	memcpy(w.schedule, w.keys.hp, 16);
	eg_aes_expand(&w);
	for (uint32_t i = 0; i < 4; i++)
		w.block[i] = eg_at32(&w, 18 + 4 + 4 * i);
	eg_aes_block(&w);
	w.bytes[0] ^= w.block[0] >> 24 & 15;
	w.bytes[18] ^= w.block[0] >> 16 & 255;
	memcpy(p, w.bytes, 19 + n + EG_QUIC_TAG);
	return 19 + n + EG_QUIC_TAG;
}

static void datagram(struct str s, int frames)
{
	static uint8_t sealed[4096];

	if (frames) {
		s.n = seal(s, sealed);
		s.p = (const char *)sealed;
	}
	first_datagram(&flow, s, s.n);
	check();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str s = { (const char *)data, size };
	unsigned int how, pieces = 0;

	if (size < 5)
		return 0;
	how = data[0];
	first_begin(&flow, 40000, (uint16_t)(data[1] << 8 | data[2]));
	s = str_sub(s, 3, s.n);
	if (!(how & 3)) {
		first_segment(&flow, 0, s);
		check();
		compare(s);
		return 0;
	}
	while (s.n > 4 && pieces++ < 16) {
		const uint8_t *p = (const uint8_t *)s.p;
		uint32_t off = (uint32_t)(p[0] << 8 | p[1]) & 8191;
		struct str part = str_sub(s, 4, (size_t)(p[2] << 8 | p[3]));

		if (how & 1)
			datagram(part, how & 4);
		else if (first_segment(&flow, off, part))
			pieces = 16;
		check();
		s = str_sub(s, 4 + part.n, s.n);
	}
	return 0;
}
