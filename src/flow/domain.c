// SPDX-License-Identifier: Apache-2.0
/*
 * Domains are asked for again and again with the same few names, so answers are kept in a small direct-mapped cache; a slot
 * taken by another name is only a slower answer, never a wrong one.
 */
#include "flow/domain.h"

#include <libpsl.h>
#include <stdbool.h>
#include <stdint.h>

#define DOMAIN_SLOTS 4096 /* a power of two */

static const psl_ctx_t *suffixes;

void domain_load(void)
{
	if (!suffixes)
		suffixes = psl_latest(NULL);
	if (!suffixes)
		suffixes = psl_builtin();
}

/* "3.4" is no domain although the list's default rule would make it one. */
static bool ends_in_number(struct str name)
{
	size_t i = name.n;

	while (i && name.p[i - 1] >= '0' && name.p[i - 1] <= '9')
		i--;
	return i < name.n && (!i || name.p[i - 1] == '.');
}

struct str domain_of(struct str name)
{
	char text[256];
	const char *at;

	domain_load();
	if (!suffixes || !name.n || name.n >= sizeof(text) || memchr(name.p, 0, name.n) ||
	    ends_in_number(name))
		return STR_NONE;
	memcpy(text, name.p, name.n);
	text[name.n] = 0;
	at = psl_registrable_domain(suffixes, text);
	return at ? str_sub(name, (size_t)(at - text), name.n) : STR_NONE;
}

struct str domain_of_text(const struct text *name)
{
	static struct {
		uint64_t hash; /* of a keyed hash function: texts that collide cannot be made */
		uint32_t n, tail;
	} slots[DOMAIN_SLOTS];
	size_t i = name->hash & (DOMAIN_SLOTS - 1);
	struct str text = text_str(name);

	if (!text.n)
		return STR_NONE;
	if (slots[i].hash != name->hash || slots[i].n != text.n) {
		slots[i].tail = (uint32_t)domain_of(text).n;
		slots[i].hash = name->hash;
		slots[i].n = (uint32_t)text.n;
	}
	return str_sub(text, text.n - slots[i].tail, slots[i].tail);
}
