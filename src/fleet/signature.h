/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Signatures of minisign (https://jedisct1.github.io/minisign/): Ed25519 over the BLAKE2b-512 of a file, and once more over
 * signature and trusted comment. egret verifies; it never signs and knows no private key. The arithmetic is libsodium's.
 */
#pragma once

#include <stdint.h>

#include "base/str.h"

#define FLEET_SIGNATURE_MAX 4096 /* bytes of the text */
#define FLEET_KEY_NAME_MAX 17

struct fleet_key {
	uint8_t id[8], key[32];
};

/* "RWQ…", the second line of minisign.pub. 0; -EINVAL. */
int fleet_key_parse(struct str text, struct fleet_key *ret);
/* As minisign prints it: 16 digits. Returns `text`. */
char *fleet_key_name(const uint8_t id[8], char text[FLEET_KEY_NAME_MAX]);

struct fleet_signature {
	uint8_t id[8], file[64], all[64];
	struct str comment; /* the trusted one; into the text */
};

/* 0; -EINVAL with a reason. Proves nothing yet. */
int fleet_signature_parse(struct str text, struct fleet_signature *ret, const char **why);

/* That one of the keys signed `file`, and the comment: its index; -EKEYREJECTED or -EINVAL with a reason. */
int fleet_signature_verify(const struct fleet_signature *s, struct str file,
			   const struct fleet_key *keys, size_t n_keys, const char **why);

/* When it was signed, as minisign notes in the trusted comment ("timestamp:UNIX"); 0: it is not said. */
int64_t fleet_signature_time(const struct fleet_signature *s);
