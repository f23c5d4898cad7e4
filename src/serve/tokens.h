/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What `egret page` gives out: 256 random bits that read, or read and change, until a time. Only their SHA-256 is kept
 * (STATE/tokens, mode 0600, a line each: HASH EXPIRES-S r|c), so whoever reads that file can do nothing with it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

#define TOKEN_TEXT_MAX 65 /* 64 hexadecimal digits */
#define TOKENS_MAX 64     /* alive at once; one more takes the place of the one that ends first */
#define TOKEN_LIFE_MAX_S (30ULL * 86400)

struct tokens;

/* `state` need not be there before the first token is made. A file that makes no sense is set aside and logged. */
int tokens_new(struct tokens **ret, const char *state);
struct tokens *tokens_free(struct tokens *t);
/* A new one, written down before it is told. 0; -errno: it is not valid. */
int tokens_make(struct tokens *t, bool change, uint64_t until_s, uint64_t now_s,
		char ret[TOKEN_TEXT_MAX]);
/* In constant time over all. False: no such token, or it is over. */
bool tokens_check(const struct tokens *t, struct str text, uint64_t now_s, bool *ret_change,
		  uint64_t *ret_until_s);
int tokens_revoke(struct tokens *t, size_t *ret_n); /* all */
size_t tokens_alive(const struct tokens *t, uint64_t now_s);
