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

bool domain_split(struct str name, struct str *ret_label, struct str *ret_suffix)
{
	struct str domain = domain_of(name);
	const char *dot = domain.n ? memchr(domain.p, '.', domain.n) : NULL;
	char text[256];

	if (!dot)
		return false;
	*ret_label = str_sub(domain, 0, (size_t)(dot - domain.p));
	*ret_suffix = str_sub(domain, ret_label->n + 1, domain.n);
	memcpy(text, ret_suffix->p, ret_suffix->n);
	text[ret_suffix->n] = 0;
	return psl_is_public_suffix2(suffixes, text, PSL_TYPE_ANY | PSL_TYPE_NO_STAR_RULE);
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
