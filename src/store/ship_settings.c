/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "store/ship.h"

#define FIELD(field)                                                                              \
	{                                                                                         \
		offsetof(struct ship_settings, field), sizeof(((struct ship_settings *)0)->field) \
	}

/* In the order of the text, a line each: none of them may hold a line end. */
static const struct {
	size_t offset, size;
} fields[] = {
	FIELD(url),          FIELD(more_urls[0]), FIELD(more_urls[1]),  FIELD(more_urls[2]),
	FIELD(more_urls[3]), FIELD(more_urls[4]), FIELD(more_urls[5]),  FIELD(more_urls[6]),
	FIELD(database),     FIELD(user),         FIELD(password_file), FIELD(ca),
	FIELD(certificate),  FIELD(key),
};

const char *ship_url(const struct ship_settings *s, size_t i)
{
	const char *url = !i ? s->url : i < SHIP_URLS_MAX ? s->more_urls[i - 1] : "";

	return url[0] ? url : NULL;
}

const char *ship_secret_path(const char *name, char path[SHIP_PATH_MAX])
{
	bool named = name[0] != '/';

	snprintf(path, SHIP_PATH_MAX, "%s%s%s", named ? getenv("CREDENTIALS_DIRECTORY") ?: "" : "",
		 named ? "/" : "", name);
	return path;
}

void ship_settings_put(struct buf *out, const struct ship_settings *s)
{
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++)
		buf_printf(out, "%s\n", (const char *)s + fields[i].offset);
}

int ship_settings_take(struct ship_settings *ret, struct str text)
{
	struct str line;

	*ret = (struct ship_settings){ 0 };
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		if (!str_cut(&text, '\n', &line) || line.n >= fields[i].size)
			return -EINVAL;
		memcpy((char *)ret + fields[i].offset, line.p, line.n);
	}
	return text.n ? -EINVAL : 0;
}
