/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/tokens.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/log.h"

#define FILE_NAME "tokens"
#define FILE_MAX (256U << 10) /* far more than is ever written */
#define SECRET_BYTES 32

struct token {
	unsigned char hash[SHA256_DIGEST_LENGTH];
	uint64_t until_s;
	bool change;
};

struct tokens {
	char state[256];
	size_t n;
	struct token all[TOKENS_MAX];
};

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool parse_hex(struct str s, unsigned char *ret, size_t n)
{
	if (s.n != 2 * n)
		return false;
	for (size_t i = 0; i < n; i++) {
		int high = digit(s.p[2 * i]), low = digit(s.p[2 * i + 1]);

		if (high < 0 || low < 0)
			return false;
		ret[i] = (unsigned char)(high << 4 | low);
	}
	return true;
}

static bool parse_line(struct str line, struct token *ret)
{
	struct str hash, until;

	if (!str_cut(&line, ' ', &hash) || !parse_hex(hash, ret->hash, sizeof(ret->hash)) ||
	    !str_cut(&line, ' ', &until) || str_parse_u64(until, &ret->until_s) < 0)
		return false;
	ret->change = str_eq(line, STR("c"));
	return ret->change || str_eq(line, STR("r"));
}

static bool parse_file(struct tokens *t, struct str text)
{
	struct str line;

	while (str_cut(&text, '\n', &line))
		if (t->n == TOKENS_MAX || !parse_line(line, &t->all[t->n++])) {
			t->n = 0;
			return false;
		}
	return true;
}

static int read_file(struct tokens *t)
{
	_cleanup_close_ int folder = file_open_folder(t->state);
	_cleanup_buf_ struct buf text = BUF_INIT(FILE_MAX);
	int r = folder < 0 ? folder : file_read(folder, FILE_NAME, &text);

	if (r == -ENOENT)
		return 0;
	if (r < 0 && r != -EBADMSG)
		return log_errno(r, "cannot read %s/" FILE_NAME, t->state);
	if (r == 0 && parse_file(t, buf_str(&text)))
		return 0;
	log_warn("%s/" FILE_NAME " is damaged and was set aside: no token is valid any more",
		 t->state);
	file_set_aside(folder, FILE_NAME);
	return 0;
}

int tokens_new(struct tokens **ret, const char *state)
{
	struct tokens *t = calloc(1, sizeof(*t));
	int r;

	if (!t)
		return -ENOMEM;
	snprintf(t->state, sizeof(t->state), "%s", state);
	r = read_file(t);
	if (r < 0)
		tokens_free(t);
	else
		*ret = t;
	return r;
}

struct tokens *tokens_free(struct tokens *t)
{
	free(t);
	return NULL;
}

static int write_file(const struct tokens *t)
{
	_cleanup_close_ int folder = file_open_folder(t->state);
	_cleanup_buf_ struct buf text = BUF_INIT(FILE_MAX);
	char hex[2 * SHA256_DIGEST_LENGTH + 1];

	if (folder < 0)
		return folder;
	for (size_t i = 0; i < t->n; i++)
		buf_printf(&text, "%s %llu %c\n",
			   str_hex(t->all[i].hash, sizeof(t->all[i].hash), hex),
			   (unsigned long long)t->all[i].until_s, t->all[i].change ? 'c' : 'r');
	return file_replace(folder, FILE_NAME, STR(""), buf_str(&text));
}

/* A place for one more: what is over goes first, else what ends first. */
static void make_room(struct tokens *t, uint64_t now_s)
{
	size_t first = 0, kept = 0;

	for (size_t i = 0; i < t->n; i++)
		if (t->all[i].until_s > now_s)
			t->all[kept++] = t->all[i];
	t->n = kept;
	if (t->n < TOKENS_MAX)
		return;
	for (size_t i = 1; i < t->n; i++)
		if (t->all[i].until_s < t->all[first].until_s)
			first = i;
	t->all[first] = t->all[--t->n];
}

int tokens_make(struct tokens *t, bool change, uint64_t until_s, uint64_t now_s,
		char ret[TOKEN_TEXT_MAX])
{
	unsigned char secret[SECRET_BYTES];
	struct tokens before = *t;
	struct token *k;
	int r;

	if (getrandom(secret, sizeof(secret), 0) != sizeof(secret))
		return -EIO;
	make_room(t, now_s);
	k = &t->all[t->n++];
	*k = (struct token){ .until_s = until_s, .change = change };
	SHA256(secret, sizeof(secret), k->hash);
	r = write_file(t);
	if (r < 0)
		*t = before;
	else
		str_hex(secret, sizeof(secret), ret);
	OPENSSL_cleanse(secret, sizeof(secret));
	return r;
}

bool tokens_check(const struct tokens *t, struct str text, uint64_t now_s, bool *ret_change,
		  uint64_t *ret_until_s)
{
	unsigned char secret[SECRET_BYTES], hash[SHA256_DIGEST_LENGTH];
	const struct token *found = NULL;

	if (!parse_hex(text, secret, sizeof(secret)))
		return false;
	SHA256(secret, sizeof(secret), hash);
	for (size_t i = 0; i < t->n; i++)
		if (CRYPTO_memcmp(hash, t->all[i].hash, sizeof(hash)) == 0)
			found = &t->all[i];
	if (!found || found->until_s <= now_s)
		return false;
	*ret_change = found->change;
	*ret_until_s = found->until_s;
	return true;
}

int tokens_revoke(struct tokens *t, size_t *ret_n)
{
	struct tokens before = *t;
	int r;

	*ret_n = t->n;
	t->n = 0;
	r = before.n ? write_file(t) : 0;
	if (r < 0)
		*t = before;
	return r;
}

size_t tokens_alive(const struct tokens *t, uint64_t now_s)
{
	size_t n = 0;

	for (size_t i = 0; i < t->n; i++)
		n += t->all[i].until_s > now_s;
	return n;
}
