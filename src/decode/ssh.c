// SPDX-License-Identifier: Apache-2.0
#include "decode/ssh.h"

#include <errno.h>

#include "decode/text_line.h"

#define LINE_MAX_BYTES 255   /* RFC 4253 4.2, CR LF included */
#define PREFACE_LINES_MAX 64 /* what a server may say before; no limit is specified */

/* "SSH-2.0-software comments": comments are not part of the version. */
static int read_identification(struct str line, struct ssh_banner *ret)
{
	struct str rest = str_sub(line, 4, line.n);
	const char *dash = rest.n ? memchr(rest.p, '-', rest.n) : NULL;

	if (!dash || dash == rest.p || !text_is_plain(line))
		return -EBADMSG;
	ret->proto_version = (struct str){ rest.p, (size_t)(dash - rest.p) };
	for (const char *c = rest.p; c < dash; c++)
		if (*c != '.' && (*c < '0' || *c > '9'))
			return -EBADMSG;
	rest = str_sub(rest, ret->proto_version.n + 1, rest.n);
	ret->software_version = text_word(&rest);
	return 0;
}

int ssh_banner_parse(struct str bytes, struct ssh_banner *ret)
{
	struct str line, prefix = STR("SSH-");

	*ret = (struct ssh_banner){ 0 };
	if (!bytes.n)
		return -EAGAIN;
	for (unsigned int i = 0; i < PREFACE_LINES_MAX; i++) {
		struct str rest = bytes;

		if (!text_line(&rest, &line)) {
			struct str seen = str_sub(bytes, 0, prefix.n);

			/* A first line that cannot become an identification needs no waiting for its end. */
			if (!i && !str_has_prefix(prefix, seen) && !text_is_plain(bytes))
				return -EBADMSG;
			return bytes.n >= LINE_MAX_BYTES ? -EBADMSG : -EAGAIN;
		}
		if (line.n >= LINE_MAX_BYTES || !text_is_plain(line))
			return -EBADMSG;
		if (str_has_prefix(line, prefix))
			return read_identification(line, ret);
		bytes = rest;
	}
	return -EBADMSG;
}
