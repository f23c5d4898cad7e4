/* SPDX-License-Identifier: Apache-2.0 */
#include "web/session.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <sys/random.h>

int session_new(struct sessions *s, const char *token, uint64_t until_s, const char **ret_id)
{
	struct session *free_one = &s->all[0];
	unsigned char bytes[(SESSION_TEXT_MAX - 1) / 2];

	if (getrandom(bytes, sizeof(bytes), 0) != sizeof(bytes))
		return -EIO;
	for (size_t i = 1; i < SESSIONS_MAX; i++)
		if (s->all[i].until_s < free_one->until_s)
			free_one = &s->all[i];
	free_one->until_s = until_s;
	snprintf(free_one->token, sizeof(free_one->token), "%s", token);
	*ret_id = str_hex(bytes, sizeof(bytes), free_one->id);
	return 0;
}

const char *session_token(const struct sessions *s, struct str id, uint64_t now_s)
{
	const char *token = NULL;

	if (id.n != SESSION_TEXT_MAX - 1)
		return NULL;
	for (size_t i = 0; i < SESSIONS_MAX; i++)
		if (s->all[i].until_s > now_s && CRYPTO_memcmp(s->all[i].id, id.p, id.n) == 0)
			token = s->all[i].token;
	return token;
}
