/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files that say whether they are whole: a line of a word and a checksum, then what it is the checksum of. Written beside
 * their place, synced and renamed, so that a crash leaves the old or the new, never a part.
 */
#include "guard/sealed.h"

#include <errno.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "decode/digest.h"

#define HEX (2 * SHA256_SIZE)

static int checksum(struct str bytes, char hex[HEX + 1])
{
	uint8_t sum[SHA256_SIZE];
	int r = digest_sha256(bytes, sum);

	for (size_t i = 0; r == 0 && i < SHA256_SIZE; i++)
		snprintf(hex + 2 * i, 3, "%02x", sum[i]);
	return r;
}

int sealed_write(const char *folder, const char *name, const char *word, const struct buf *body)
{
	_cleanup_close_ int dir = file_open_folder(folder);
	char hex[HEX + 1], head[64 + HEX];
	int r = dir < 0 ? dir : body->failed ? -ENOMEM : checksum(buf_str(body), hex);

	if (r < 0)
		return r;
	snprintf(head, sizeof(head), "%s%s\n", word, hex);
	return file_replace(dir, name, str_of(head), buf_str(body));
}

int sealed_open(const char *word, struct str *text)
{
	char hex[HEX + 1];
	struct str line;
	int r;

	if (!str_cut(text, '\n', &line) || line.n != str_of(word).n + HEX ||
	    !str_has_prefix(line, str_of(word)))
		return -EBADMSG;
	r = checksum(*text, hex);
	if (r < 0)
		return r;
	return str_eq(str_sub(line, str_of(word).n, HEX), str_of(hex)) ? 0 : -EBADMSG;
}
