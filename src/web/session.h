/* SPDX-License-Identifier: Apache-2.0 */
/*
 * EventSource cannot send a token, but it sends cookies. A session is a random number that stands for a token, for live views
 * alone and until the token ends: whoever gets hold of the cookie (ports of one host share them) can look, and change nothing.
 */
#pragma once

#include <stdint.h>

#include "base/str.h"

#define SESSIONS_MAX 256 /* one more takes the place of the one that ends first */
#define SESSION_TEXT_MAX 65
#define SESSION_TOKEN_MAX 80

struct session {
	char id[SESSION_TEXT_MAX], token[SESSION_TOKEN_MAX];
	uint64_t until_s; /* 0: free */
};

struct sessions {
	struct session all[SESSIONS_MAX];
};

int session_new(struct sessions *s, const char *token, uint64_t until_s,
		const char **ret_id);                                               /* -errno */
const char *session_token(const struct sessions *s, struct str id, uint64_t now_s); /* NULL: none */
