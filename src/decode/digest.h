/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Message digests by OpenSSL for fingerprints and QUIC keys. OpenSSL 3 looks an algorithm up by name on each use
 * unless the caller keeps what it found: one context a thread is kept here, made at the first call and never freed.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

#define SHA256_SIZE 32
#define SHA1_SIZE 20
#define MD5_SIZE 16

int digest_sha256(struct str bytes, uint8_t ret[SHA256_SIZE]); /* 0; -ENOMEM, -EOPNOTSUPP */
int digest_sha1(struct str bytes, uint8_t ret[SHA1_SIZE]);
int digest_md5(struct str bytes, uint8_t ret[MD5_SIZE]); /* -EOPNOTSUPP where policy forbids MD5 */

/* HMAC-SHA256 (RFC 2104) over a ‖ b; `key` at most 64 bytes, a and b together at most 128. */
int digest_hmac(struct str key, struct str a, struct str b, uint8_t ret[SHA256_SIZE]);
