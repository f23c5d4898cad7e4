/* SPDX-License-Identifier: Apache-2.0 */
#include "detect/peer_class.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

static int by_domain(const void *key, const void *row)
{
	const struct str *name = key;
	const char *domain = ((const struct peer_class_row *)row)->domain;
	size_t n = strlen(domain);
	int r = memcmp(name->p, domain, MIN(name->n, n));

	return r ? r : (name->n > n) - (name->n < n);
}

const struct peer_class_row *peer_class_of(struct str name)
{
	while (name.n) {
		const struct peer_class_row *row =
			bsearch(&name, peer_class_rows, n_peer_class_rows, sizeof(*row), by_domain);
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
