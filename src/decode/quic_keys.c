// SPDX-License-Identifier: Apache-2.0
/*
 * Versions with their salts, and the three cryptographic steps of an Initial packet (RFC 9001 section 5): keys from
 * the Destination Connection ID, the header's mask, the payload. OpenSSL's objects are found once a thread.
 */
#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "decode/digest.h"
#include "decode/quic_internal.h"

#define SALT_SIZE 20

static const uint8_t salt_v1[SALT_SIZE] = { 0x38, 0x76, 0x2c, 0xf7, 0xf5, 0x59, 0x34,
					    0xb3, 0x4d, 0x17, 0x9a, 0xe6, 0xa4, 0xc8,
					    0x0c, 0xad, 0xcc, 0xbb, 0x7f, 0x0a };
static const uint8_t salt_v2[SALT_SIZE] = { 0x0d, 0xed, 0xe3, 0xde, 0xf7, 0x00, 0xa6,
					    0xdb, 0x81, 0x93, 0x81, 0xbe, 0x6e, 0x26,
					    0x9d, 0xcb, 0xf9, 0xbd, 0x2e, 0xd9 };
static const uint8_t salt_v2_draft[SALT_SIZE] = { 0xa7, 0x07, 0xc2, 0x03, 0xa5, 0x9b, 0x47,
						  0x18, 0x4a, 0x1d, 0x62, 0xca, 0x57, 0x04,
						  0x06, 0xea, 0x7a, 0xe3, 0xe5, 0xd3 };
static const uint8_t salt_draft22[SALT_SIZE] = { 0x7f, 0xbc, 0xdb, 0x0e, 0x7c, 0x66, 0xbb,
						 0xe9, 0x19, 0x3a, 0x96, 0xcd, 0x21, 0x51,
						 0x9e, 0xbd, 0x7a, 0x02, 0x64, 0x4a };
static const uint8_t salt_draft23[SALT_SIZE] = { 0xc3, 0xee, 0xf7, 0x12, 0xc7, 0x2e, 0xbb,
						 0x5a, 0x11, 0xa7, 0xd2, 0x43, 0x2b, 0xb4,
						 0x63, 0x65, 0xbe, 0xf9, 0xf5, 0x02 };
static const uint8_t salt_draft29[SALT_SIZE] = { 0xaf, 0xbf, 0xec, 0x28, 0x99, 0x93, 0xd2,
						 0x4c, 0x9e, 0x97, 0x86, 0xf1, 0x9c, 0x61,
						 0x11, 0xe0, 0x43, 0x90, 0xa8, 0x99 };
static const uint8_t salt_q050[SALT_SIZE] = { 0x50, 0x45, 0x74, 0xef, 0xd0, 0x66, 0xfe,
					      0x2f, 0x9d, 0x94, 0x5c, 0xfc, 0xdb, 0xd3,
					      0xa7, 0xf0, 0xd3, 0xb5, 0x6b, 0x45 };
static const uint8_t salt_t050[SALT_SIZE] = { 0x7f, 0xf5, 0x79, 0xe5, 0xac, 0xd0, 0x72,
					      0x91, 0x55, 0x80, 0x30, 0x4c, 0x43, 0xa2,
					      0x36, 0x7c, 0x60, 0x48, 0x83, 0x10 };
static const uint8_t salt_t051[SALT_SIZE] = { 0x7a, 0x4e, 0xde, 0xf4, 0xe7, 0xcc, 0xee,
					      0x5f, 0xa4, 0x50, 0x6c, 0x19, 0x12, 0x4f,
					      0xc8, 0xcc, 0xda, 0x6e, 0x03, 0x3d };

static bool is_digit(uint32_t c)
{
	return c >= '0' && c <= '9';
}

/* "Q043" and the like: Google's versions are four characters. */
static bool is_google_version(uint32_t v)
{
	return (v >> 24 == 'Q' || v >> 24 == 'T') && (v >> 16 & 255) == '0' &&
	       is_digit(v >> 8 & 255) && is_digit(v & 255);
}

static struct quic_version google_version(uint32_t v)
{
	switch (v) {
	case 0x51303530: /* Q050 */
		return (struct quic_version){ QUIC_GOOGLE_CRYPTO, salt_q050, false };
	case 0x54303530: /* T050 */
		return (struct quic_version){ QUIC_GOOGLE_FRAMES, salt_t050, false };
	case 0x54303531: /* T051 */
		return (struct quic_version){ QUIC_GOOGLE_FRAMES, salt_t051, false };
	}
	if (v >= 0x51303234 && v <= 0x51303438) /* Q024 to Q048 */
		return (struct quic_version){ QUIC_GOOGLE_CLEAR, NULL, false };
	return (struct quic_version){ QUIC_NONE, NULL, false };
}

struct quic_version quic_version(uint32_t version)
{
	unsigned int draft = version & 0xff;

	switch (version) {
	case 0x00000001:
		return (struct quic_version){ QUIC_IETF, salt_v1, false };
	case 0x6b3343cf:
		return (struct quic_version){ QUIC_IETF, salt_v2, true };
	case 0x709a50c4: /* version 2 while it was a draft */
		return (struct quic_version){ QUIC_IETF, salt_v2_draft, true };
	case 0xfaceb001: /* mvfst */
		return (struct quic_version){ QUIC_IETF, salt_draft22, false };
	case 0xfaceb002:
		return (struct quic_version){ QUIC_IETF, salt_draft23, false };
	}
	if (is_google_version(version))
		return google_version(version);
	if (version >> 8 != 0xff0000 || draft < 22 || draft > 34)
		return (struct quic_version){ QUIC_NONE, NULL, false };
	return (struct quic_version){ QUIC_IETF,
				      draft < 23   ? salt_draft22
				      : draft < 29 ? salt_draft23
				      : draft < 33 ? salt_draft29
						   : salt_v1,
				      false };
}

const char *quic_version_name(uint32_t version, char text[16])
{
	switch (version) {
	case 0x00000001:
		return "v1";
	case 0x6b3343cf:
		return "v2";
	}
	if (is_google_version(version))
		snprintf(text, 16, "%c%c%c%c", (int)(version >> 24), (int)(version >> 16 & 255),
			 (int)(version >> 8 & 255), (int)(version & 255));
	else if (version >> 8 == 0xff0000)
		snprintf(text, 16, "draft-%02u", version & 255);
	else
		snprintf(text, 16, "0x%08x", version);
	return text;
}

/* HKDF-Expand-Label (RFC 8446 7.1) with no context, for at most one block of output. */
static int expand_label(const uint8_t secret[SHA256_SIZE], const char *label, uint8_t *ret,
			size_t n)
{
	static const char prefix[] = "tls13 ";
	uint8_t info[64], out[SHA256_SIZE];
	size_t n_label = strlen(label), at = 0;
	int r;

	info[at++] = 0;
	info[at++] = (uint8_t)n;
	info[at++] = (uint8_t)(sizeof(prefix) - 1 + n_label);
	memcpy(info + at, prefix, sizeof(prefix) - 1);
	at += sizeof(prefix) - 1;
	memcpy(info + at, label, n_label);
	at += n_label;
	info[at++] = 0;
	info[at++] = 1; /* number of the block, of HKDF-Expand */
	r = digest_hmac((struct str){ (const char *)secret, SHA256_SIZE },
			(struct str){ (const char *)info, at }, STR_NONE, out);
	if (r < 0)
		return r;
	memcpy(ret, out, n);
	return 0;
}

int quic_keys_derive(const struct quic_version *v, struct str dcid, struct quic_keys *ret)
{
	uint8_t initial[SHA256_SIZE], client[SHA256_SIZE];
	int r;

	r = digest_hmac((struct str){ (const char *)v->salt, SALT_SIZE }, dcid, STR_NONE, initial);
	if (r < 0)
		return r;
	r = expand_label(initial, "client in", client, sizeof(client));
	if (r < 0)
		return r;
	r = expand_label(client, v->v2 ? "quicv2 key" : "quic key", ret->key, sizeof(ret->key));
	if (r < 0)
		return r;
	r = expand_label(client, v->v2 ? "quicv2 iv" : "quic iv", ret->iv, sizeof(ret->iv));
	if (r < 0)
		return r;
	return expand_label(client, v->v2 ? "quicv2 hp" : "quic hp", ret->hp, sizeof(ret->hp));
}

static _Thread_local EVP_CIPHER_CTX *ecb, *gcm;

/*
 * A context bound to its cipher once a thread: only keys change afterwards, as naming the cipher again would make
 * OpenSSL free and build everything inside.
 */
static int context_get(EVP_CIPHER_CTX **ctx, const char *name, bool encrypt)
{
	EVP_CIPHER *cipher;
	EVP_CIPHER_CTX *c;
	int ok;

	if (*ctx)
		return 0;
	cipher = EVP_CIPHER_fetch(NULL, name, NULL);
	if (!cipher)
		return -EOPNOTSUPP;
	c = EVP_CIPHER_CTX_new();
	ok = c && EVP_CipherInit_ex2(c, cipher, NULL, NULL, encrypt, NULL) == 1;
	EVP_CIPHER_free(cipher); /* the context holds its own reference */
	if (!ok) {
		EVP_CIPHER_CTX_free(c);
		return c ? -EOPNOTSUPP : -ENOMEM;
	}
	*ctx = c;
	return 0;
}

int quic_header_mask(const struct quic_keys *k, const uint8_t sample[QUIC_SAMPLE_SIZE],
		     uint8_t ret[5])
{
	uint8_t block[QUIC_SAMPLE_SIZE];
	int n, r;

	r = context_get(&ecb, "AES-128-ECB", true);
	if (r < 0)
		return r;
	if (EVP_EncryptInit_ex2(ecb, NULL, k->hp, NULL, NULL) != 1 ||
	    EVP_EncryptUpdate(ecb, block, &n, sample, sizeof(block)) != 1 ||
	    n != (int)sizeof(block))
		return -EBADMSG;
	memcpy(ret, block, 5);
	return 0;
}

static int gcm_start(const struct quic_keys *k, uint64_t number)
{
	uint8_t nonce[12];
	int r;

	memcpy(nonce, k->iv, sizeof(nonce));
	for (size_t i = 0; i < 8; i++)
		nonce[11 - i] ^= (uint8_t)(number >> (8 * i));
	r = context_get(&gcm, "AES-128-GCM", false);
	if (r < 0)
		return r;
	return EVP_DecryptInit_ex2(gcm, NULL, k->key, nonce, NULL) == 1 ? 0 : -EBADMSG;
}

int quic_open(const struct quic_keys *k, const struct quic_sealed *s, uint8_t *ret)
{
	uint8_t tag[QUIC_TAG_SIZE];
	int n = 0, rest, r;
	size_t size = s->payload.n;

	if (!s->cut) {
		if (size < QUIC_TAG_SIZE)
			return -EBADMSG;
		size -= QUIC_TAG_SIZE;
	}
	r = gcm_start(k, s->number);
	if (r < 0)
		return r;
	for (size_t i = 0; i < ARRAY_SIZE(s->header); i++)
		if (EVP_DecryptUpdate(gcm, NULL, &rest, (const uint8_t *)s->header[i].p,
				      (int)s->header[i].n) != 1)
			return -EBADMSG;
	if (size && EVP_DecryptUpdate(gcm, ret, &n, (const uint8_t *)s->payload.p, (int)size) != 1)
		return -EBADMSG;
	if (s->cut)
		return n;
	memcpy(tag, s->payload.p + size, sizeof(tag));
	if (EVP_CIPHER_CTX_ctrl(gcm, EVP_CTRL_AEAD_SET_TAG, sizeof(tag), tag) != 1 ||
	    EVP_DecryptFinal_ex(gcm, ret + n, &rest) != 1)
		return -EBADMSG;
	return n;
}
