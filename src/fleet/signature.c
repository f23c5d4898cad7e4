/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet/signature.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>

#define UNTRUSTED STR("untrusted comment: ")
#define TRUSTED STR("trusted comment: ")
#define ALGORITHM 2 /* bytes: "Ed", of a signature over a hash "ED" */

_Static_assert(sizeof(((struct fleet_key *)0)->key) == crypto_sign_PUBLICKEYBYTES, "Ed25519");
_Static_assert(sizeof(((struct fleet_signature *)0)->file) == crypto_sign_BYTES, "Ed25519");

/* Exactly n bytes in base64. */
static bool unpack(struct str text, uint8_t *ret, size_t n)
{
	size_t got;

	/* libsodium 1.0.18 takes some bytes above 127 for others */
	for (size_t i = 0; i < text.n; i++)
		if ((unsigned char)text.p[i] > 127)
			return false;
	return sodium_base642bin(ret, n, text.p, text.n, NULL, &got, NULL,
				 sodium_base64_VARIANT_ORIGINAL) == 0 &&
	       got == n;
}

int fleet_key_parse(struct str text, struct fleet_key *ret)
{
	uint8_t bytes[ALGORITHM + sizeof(*ret)];

	if (!unpack(text, bytes, sizeof(bytes)) || memcmp(bytes, "Ed", ALGORITHM))
		return -EINVAL;
	memcpy(ret, bytes + ALGORITHM, sizeof(*ret));
	return 0;
}

char *fleet_key_name(const uint8_t id[8], char text[FLEET_KEY_NAME_MAX])
{
	for (size_t i = 0; i < 8; i++)
		snprintf(text + 2 * i, 3, "%02X", id[7 - i]);
	return text;
}

static bool take_line(struct str *rest, struct str *ret)
{
	if (!str_cut(rest, '\n', ret))
		return false;
	if (ret->n && ret->p[ret->n - 1] == '\r')
		ret->n--;
	return true;
}

int fleet_signature_parse(struct str text, struct fleet_signature *ret, const char **why)
{
	uint8_t first[ALGORITHM + sizeof(ret->id) + sizeof(ret->file)];
	struct str comment, one, trusted, two;

	*why = "it is no signature of minisign";
	if (text.n > FLEET_SIGNATURE_MAX || !take_line(&text, &comment) ||
	    !take_line(&text, &one) || !take_line(&text, &trusted) || !take_line(&text, &two) ||
	    text.n || !str_has_prefix(comment, UNTRUSTED) || !str_has_prefix(trusted, TRUSTED) ||
	    !unpack(one, first, sizeof(first)) || !unpack(two, ret->all, sizeof(ret->all)))
		return -EINVAL;
	if (memcmp(first, "ED", ALGORITHM)) {
		*why = "it was signed in the old way (minisign -l): sign it without -l";
		return -EINVAL;
	}
	memcpy(ret->id, first + ALGORITHM, sizeof(ret->id));
	memcpy(ret->file, first + ALGORITHM + sizeof(ret->id), sizeof(ret->file));
	ret->comment = str_sub(trusted, TRUSTED.n, trusted.n);
	return 0;
}

static bool signed_by(const struct fleet_signature *s, const uint8_t hash[64],
		      const struct fleet_key *key)
{
	uint8_t all[sizeof(s->file) + FLEET_SIGNATURE_MAX];

	memcpy(all, s->file, sizeof(s->file));
	memcpy(all + sizeof(s->file), s->comment.p, s->comment.n);
	return crypto_sign_verify_detached(s->file, hash, 64, key->key) == 0 &&
	       crypto_sign_verify_detached(s->all, all, sizeof(s->file) + s->comment.n, key->key) ==
		       0;
}

int fleet_signature_verify(const struct fleet_signature *s, struct str file,
			   const struct fleet_key *keys, size_t n_keys, const char **why)
{
	uint8_t hash[64];

	if (sodium_init() < 0 ||
	    crypto_generichash(hash, sizeof(hash), (const uint8_t *)file.p, file.n, NULL, 0) != 0) {
		*why = "libsodium does not work here";
		return -EINVAL;
	}
	*why = "it is not signed by a key that is trusted here";
	for (size_t i = 0; i < n_keys; i++) {
		if (memcmp(keys[i].id, s->id, sizeof(s->id)))
			continue;
		if (signed_by(s, hash, &keys[i]))
			return (int)i;
		*why = "the signature is not that of this file";
	}
	return -EKEYREJECTED;
}

int64_t fleet_signature_time(const struct fleet_signature *s)
{
	struct str rest = s->comment, one;
	uint64_t at;

	while (str_cut(&rest, '\t', &one))
		if (str_has_prefix(one, STR("timestamp:")) &&
		    str_parse_u64(str_sub(one, 10, one.n), &at) == 0 && at <= INT32_MAX * 16LL)
			return (int64_t)at;
	return 0;
}
