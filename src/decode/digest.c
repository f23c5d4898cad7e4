// SPDX-License-Identifier: Apache-2.0
#include "decode/digest.h"

#include <errno.h>
#include <openssl/evp.h>

#define HMAC_BLOCK 64
#define HMAC_TEXT_MAX 128

struct engine {
	EVP_MD *md;
	EVP_MD_CTX *ctx;
};

static _Thread_local struct engine sha256, sha1, md5;

static int engine_get(struct engine *e, const char *name)
{
	if (e->ctx)
		return 0;
	if (!e->md)
		e->md = EVP_MD_fetch(NULL, name, NULL);
	if (!e->md)
		return -EOPNOTSUPP;
	e->ctx = EVP_MD_CTX_new();
	return e->ctx ? 0 : -ENOMEM;
}

static int digest(struct engine *e, const char *name, struct str bytes, uint8_t *ret)
{
	int r = engine_get(e, name);

	if (r < 0)
		return r;
	if (EVP_DigestInit_ex(e->ctx, e->md, NULL) != 1 ||
	    EVP_DigestUpdate(e->ctx, bytes.p, bytes.n) != 1 ||
	    EVP_DigestFinal_ex(e->ctx, ret, NULL) != 1)
		return -EOPNOTSUPP;
	return 0;
}

int digest_sha256(struct str bytes, uint8_t ret[SHA256_SIZE])
{
	return digest(&sha256, "SHA256", bytes, ret);
}

int digest_sha1(struct str bytes, uint8_t ret[SHA1_SIZE])
{
	return digest(&sha1, "SHA1", bytes, ret);
}

int digest_md5(struct str bytes, uint8_t ret[MD5_SIZE])
{
	return digest(&md5, "MD5", bytes, ret);
}

/* By hand: an EVP_MAC has to be fetched, created and freed for every key, at several times the hashing itself. */
int digest_hmac(struct str key, struct str a, struct str b, uint8_t ret[SHA256_SIZE])
{
	uint8_t block[HMAC_BLOCK + HMAC_TEXT_MAX];
	int r;

	if (key.n > HMAC_BLOCK || a.n > HMAC_TEXT_MAX || b.n > HMAC_TEXT_MAX - a.n)
		return -EINVAL;
	memset(block, 0x36, HMAC_BLOCK);
	for (size_t i = 0; i < key.n; i++)
		block[i] ^= (uint8_t)key.p[i];
	if (a.n)
		memcpy(block + HMAC_BLOCK, a.p, a.n);
	if (b.n)
		memcpy(block + HMAC_BLOCK + a.n, b.p, b.n);
	r = digest_sha256((struct str){ (char *)block, HMAC_BLOCK + a.n + b.n }, ret);
	if (r < 0)
		return r;
	for (size_t i = 0; i < HMAC_BLOCK; i++)
		block[i] ^= 0x36 ^ 0x5c;
	memcpy(block + HMAC_BLOCK, ret, SHA256_SIZE);
	return digest_sha256((struct str){ (char *)block, HMAC_BLOCK + SHA256_SIZE }, ret);
}
