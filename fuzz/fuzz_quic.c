// SPDX-License-Identifier: Apache-2.0
/*
 * Two ways in. First byte even: datagrams of one client, each after two bytes of length. Odd: frames are what the
 * fuzzer cannot reach behind the AEAD, so the bytes are sealed here as the payload of a version 1 Initial, and read.
 */
#include <errno.h>
#include <openssl/evp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "decode/quic.h"
#include "decode/quic_internal.h"
#include "decode/tls.h"

#define HEADER_SIZE 22 /* as built below; two bytes of length, four of number */
#define PAYLOAD_MAX 4096

static void use(struct quic *q, struct str datagram)
{
	struct quic_result r;
	struct tls_hello h;
	size_t need;

	quic_is_initial(datagram);
	if (quic_client_datagram(q, datagram, &r) < 0)
		return;
	if (r.crypto.n > TLS_HELLO_MAX)
		abort();
	tls_hello_parse(r.crypto, TLS_OVER_QUIC, &h, &need);
}

static void datagrams(struct quic *q, struct str s)
{
	while (s.n > 2) {
		size_t n = (size_t)(uint8_t)s.p[0] << 8 | (uint8_t)s.p[1];

		use(q, str_sub(s, 2, n));
		s = str_sub(s, 2 + n, s.n);
	}
}

/* Seals `payload` as a client would. Returns the packet's size. */
static size_t seal(struct str payload, uint8_t *p)
{
	static const uint8_t start[] = { 0xc3, 0,   0,   0,   1,   8,   'f', 'u',
					 'z',  'z', 'f', 'u', 'z', 'z', 0,   0 };
	struct str dcid = { (const char *)start + 6, 8 };
	struct quic_version v = quic_version(1);
	struct quic_keys k;
	uint8_t mask[5];
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	size_t length = 4 + payload.n + QUIC_TAG_SIZE;
	int n;

	if (!ctx || quic_keys_derive(&v, dcid, &k) < 0)
		abort();
	memcpy(p, start, sizeof(start));
	p[16] = (uint8_t)(0x40 | length >> 8);
	p[17] = (uint8_t)length;
	memset(p + 18, 0, 4);
	if (EVP_EncryptInit_ex(ctx, EVP_aes_128_gcm(), NULL, k.key, k.iv) != 1 ||
	    EVP_EncryptUpdate(ctx, NULL, &n, p, HEADER_SIZE) != 1 ||
	    EVP_EncryptUpdate(ctx, p + HEADER_SIZE, &n, (const uint8_t *)payload.p,
			      (int)payload.n) != 1 ||
	    EVP_EncryptFinal_ex(ctx, p + HEADER_SIZE + payload.n, &n) != 1 ||
	    EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, QUIC_TAG_SIZE,
				p + HEADER_SIZE + payload.n) != 1)
		abort();
	EVP_CIPHER_CTX_free(ctx);
	if (quic_header_mask(&k, p + HEADER_SIZE, mask) < 0)
		abort();
	p[0] ^= mask[0] & 0x0f;
	for (size_t i = 0; i < 4; i++)
		p[18 + i] ^= mask[1 + i];
	return HEADER_SIZE + payload.n + QUIC_TAG_SIZE;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t packet[HEADER_SIZE + PAYLOAD_MAX + QUIC_TAG_SIZE];
	struct str s = { (const char *)data, size };
	struct quic *q;

	if (!size || quic_new(&q) < 0)
		return 0;
	s = str_sub(s, 1, PAYLOAD_MAX);
	if (!(data[0] & 1)) {
		datagrams(q, s);
	} else if (s.n >= 8) {
		size_t n = seal(s, packet);
		struct quic_result r;

		if (quic_client_datagram(q, (struct str){ (const char *)packet, n }, &r) ==
		    -EBADMSG)
			abort(); /* sealed correctly, so it has to open */
		use(q, (struct str){ (const char *)packet, n / 2 });
	}
	quic_free(q);
	return 0;
}
