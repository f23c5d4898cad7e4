// SPDX-License-Identifier: Apache-2.0
/*
 * Domains are asked for again and again with the same few names, so answers are kept in a small direct-mapped cache; a slot
 * taken by another name is only a slower answer, never a wrong one.
 */
#include "flow/domain.h"

#include <libpsl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

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

#define SUFFIX_SLOTS 256
#define SUFFIX_MAX 24 /* the longest on the list; in Punycode */

/* A rule of its own, or rules for what is below it ("*.ck"). */
static bool is_listed(const char *label)
{
	char below[SUFFIX_MAX + 3];

	snprintf(below, sizeof(below), "x.%s", label);
	return psl_is_public_suffix2(suffixes, label, PSL_TYPE_ANY | PSL_TYPE_NO_STAR_RULE) ||
	       psl_is_public_suffix2(suffixes, below, PSL_TYPE_ANY | PSL_TYPE_NO_STAR_RULE);
}

bool domain_is_public(struct str name)
{
	static struct {
		char label[SUFFIX_MAX + 1];
		bool is;
	} slots[SUFFIX_SLOTS];
	char label[SUFFIX_MAX + 1];
	size_t n = 0;
	uint32_t hash = 0;

	domain_load();
	while (n < name.n && name.p[name.n - n - 1] != '.') {
		if (n == SUFFIX_MAX)
			return false;
		hash = hash * 31 + (uint8_t)name.p[name.n - ++n];
	}
	if (!suffixes || !n)
		return false;
	memcpy(label, name.p + name.n - n, n);
	label[n] = 0;
	hash = (hash ^ hash >> 8) % SUFFIX_SLOTS;
	/* Letters alone, or Punycode: what is not has no need to be looked up. */
	if (strspn(label, "abcdefghijklmnopqrstuvwxyz") != n && strncmp(label, "xn--", 4) != 0)
		return false;
	if (strcmp(slots[hash].label, label) != 0) {
		memcpy(slots[hash].label, label, n + 1);
		slots[hash].is = is_listed(label);
	}
	return slots[hash].is;
}
