/* SPDX-License-Identifier: Apache-2.0 */
#include "detect/peer_class.h"

#include <string.h>

/* Before, at or behind the row, without asking for the row's length. */
static int compare(struct str name, const char *domain)
{
	for (size_t i = 0; i < name.n; i++)
		if (name.p[i] != domain[i])
			return (unsigned char)name.p[i] - (unsigned char)domain[i];
	return domain[name.n] ? -1 : 0;
}

static const struct peer_class_row *find(struct str name)
{
	size_t lo = 0, hi = n_peer_class_rows;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		int r = compare(name, peer_class_rows[mid].domain);

		if (!r)
			return &peer_class_rows[mid];
		if (r < 0)
			hi = mid;
		else
			lo = mid + 1;
	}
	return NULL;
}

const struct peer_class_row *peer_class_of(struct str name)
{
	while (name.n) {
		const struct peer_class_row *row = find(name);
		const char *dot;

		if (row)
			return row;
		dot = memchr(name.p, '.', name.n);
		if (!dot)
			break;
		name = str_sub(name, (size_t)(dot + 1 - name.p), name.n);
	}
	return NULL;
}

const char *peer_class_name(enum peer_class c)
{
	static const char *const names[] = {
#define X(id, name) name,
		PEER_CLASSES(X)
#undef X
	};

	return names[c];
}

bool peer_class_takes_uploads(enum peer_class c)
{
	return c != PEER_NONE && c != PEER_LOOKUP && c != PEER_DYNAMIC_DNS;
}
