/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/learn.h"

#include <errno.h>
#include <libpsl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/hash.h"
#include "policy/learn_parts.h"

#define ITEMS_MAX (1U << 18)
#define TEXTS_MAX (1U << 20)
#define FIRST_SLOTS 1024
#define PEOPLE_FROM 1000 /* users below are the system's */

int learn_new(struct learn **ret, const char *only_app)
{
	struct learn *l = calloc(1, sizeof(*l));

	if (!l)
		return -ENOMEM;
	l->only_app = only_app;
	l->n_slots = FIRST_SLOTS;
	l->items = calloc(l->n_slots, sizeof(*l->items));
	if (!l->items || intern_new(&l->texts, TEXTS_MAX) < 0 ||
	    who_table_new(&l->triples, ITEMS_MAX) < 0) {
		learn_free(l);
		return -ENOMEM;
	}
	*ret = l;
	return 0;
}

struct learn *learn_free(struct learn *l)
{
	if (!l)
		return NULL;
	free(l->items);
	zones_free(l->zones);
	who_table_free(l->triples);
	intern_free(l->texts);
	free(l);
	return NULL;
}

const struct learn_counts *learn_counts(const struct learn *l)
{
	return &l->counts;
}

struct text *learn_registered_domain(struct learn *l, const struct text *name)
{
	static const psl_ctx_t *suffixes;
	const char *at;

	if (!suffixes)
		suffixes = psl_latest(NULL);
	if (!suffixes)
		suffixes = psl_builtin();
	at = suffixes ? psl_registrable_domain(suffixes, name->p) : NULL;
	return at ? intern_get(l->texts, str_of(at)) : NULL;
}

bool learn_wants(const struct learn *l, const struct recorded *r)
{
	struct str only = str_of(l->only_app);

	if (!r->egress || r->kind != RECORDED_FLOW || r->told.refused ||
	    addr_class(&r->subject.remote) == ADDR_LOOPBACK)
		return false;
	return !l->only_app || str_glob(only, r->program) ||
	       (r->subject.exe.n && str_glob(only, r->subject.exe));
}

/* --- one item ---------------------------------------------------------------------------------------------------- */

static struct text *keep(struct learn *l, struct str s)
{
	struct text *t = s.n ? intern_get(l->texts, s) : NULL;

	if (s.n && !t)
		l->failed = -E2BIG;
	return t;
}

/* What the language can write as a name. */
static bool is_name(struct str s)
{
	size_t label = 0;
	struct addr a;

	if (!s.n || s.n > 253 || addr_parse(s, &a) == 0)
		return false;
	for (size_t i = 0; i <= s.n; i++) {
		char c = i < s.n ? s.p[i] : '.';

		if (c == '.') {
			if (!label || label > 63 || s.p[i - 1] == '-' || s.p[i - label] == '-')
				return false;
			label = 0;
		} else if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
			   c == '_') {
			label++;
		} else {
			return false;
		}
	}
	return true;
}

/* A name with one label is written with a dot behind it: a word alone is a segment. */
static struct text *keep_name(struct learn *l, struct str name)
{
	char text[256];

	if (memchr(name.p, '.', name.n))
		return keep(l, name);
	snprintf(text, sizeof(text), "%.*s.", STR_FMT(name));
	return keep(l, str_of(text));
}

/* As rules are satisfied: by a DNS name that nothing visible contradicts, by the visible name alone, by the address. */
static void set_to(struct learn *l, struct item *it, const struct policy_subject *s)
{
	char text[ADDR_TEXT_MAX];
	struct str name = STR_NONE;

	it->addr = s->remote;
	it->kind = TO_NAME;
	if (s->visible == EG_VISIBLE_NAME && is_name(s->visible_name)) {
		it->kind = TO_NAME_BY_SNI;
		name = s->visible_name;
		for (size_t i = 0; i < s->n_names; i++)
			if (str_eq(s->names[i], name))
				it->kind = TO_NAME;
	} else if (s->visible == EG_VISIBLE_NONE || s->visible == EG_VISIBLE_UNKNOWN) {
		for (size_t i = 0; i < s->n_names && !name.n; i++)
			if (is_name(s->names[i]))
				name = s->names[i];
	}
	if (name.n && !it->exact) {
		it->to = keep_name(l, name);
		return;
	}
	it->kind = TO_ADDRESS;
	it->to = keep(l, str_of(addr_format(&s->remote, text)));
}

static void set_who(struct learn *l, struct item *it, const struct recorded *r)
{
	const struct policy_subject *s = &r->subject;
	char uid[16];

	if (s->container && (r->container.image.n || r->container.name.n)) {
		it->container_is_image = r->container.image.n > 0;
		it->container =
			keep(l, it->container_is_image ? r->container.image : r->container.name);
	}
	if (!it->exact && s->exe.n && s->exe.p[0] == '/')
		it->exe = keep(l, s->exe);
	if (r->unit.n > 8 && str_eq(str_sub(r->unit, r->unit.n - 8, 8), STR(".service")))
		it->unit = keep(l, r->unit);
	if (!s->uid_known)
		return;
	snprintf(uid, sizeof(uid), "%u", s->uid);
	it->user = keep(l, r->user.n ? r->user : str_of(uid));
	it->system_user = s->uid && s->uid < PEOPLE_FROM;
}

static bool same(const struct item *a, const struct item *b)
{
	return a->hash == b->hash && a->exe == b->exe && a->unit == b->unit && a->user == b->user &&
	       a->container == b->container && a->from == b->from && a->to == b->to &&
	       a->kind == b->kind && a->port == b->port && a->proto == b->proto &&
	       a->exact == b->exact;
}

static uint64_t item_hash(const struct item *it)
{
	const void *key[] = { it->exe,
			      it->unit,
			      it->user,
			      it->container,
			      it->from,
			      it->to,
			      (void *)((uintptr_t)it->port << 16 | (uintptr_t)it->proto << 8 |
				       (uintptr_t)it->kind << 1 | it->exact) };

	return hash_bytes(key, sizeof(key), 0) | 1;
}

static bool grow(struct learn *l)
{
	size_t n = l->n_slots * 2;
	struct item *items = calloc(n, sizeof(*items));

	if (!items)
		return false;
	for (size_t i = 0; i < l->n_slots; i++) {
		size_t at = l->items[i].hash & (n - 1);

		if (!l->items[i].hash)
			continue;
		while (items[at].hash)
			at = (at + 1) & (n - 1);
		items[at] = l->items[i];
	}
	free(l->items);
	l->items = items;
	l->n_slots = n;
	return true;
}

static void add(struct learn *l, const struct recorded *r, bool exact)
{
	const struct policy_subject *s = &r->subject;
	struct item it = { .proto = s->proto, .exact = exact };
	size_t at;

	it.has_ports = s->has_ports && flow_proto_has_ports(s->proto);
	it.port = it.has_ports ? s->port : 0;
	if (l->zones) {
		learn_set_zones(l, &it, s);
	} else {
		set_to(l, &it, s);
		set_who(l, &it, r);
	}
	it.hash = item_hash(&it);
	if (l->failed || l->n_items >= ITEMS_MAX || (l->n_items * 2 >= l->n_slots && !grow(l))) {
		l->failed = -E2BIG;
		return;
	}
	for (at = it.hash & (l->n_slots - 1); l->items[at].hash; at = (at + 1) & (l->n_slots - 1))
		if (same(&l->items[at], &it))
			break;
	if (!l->items[at].hash) {
		l->items[at] = it;
		l->n_items++;
	}
	l->items[at].flows += r->flows;
	l->items[at].bytes += r->up + r->down;
}

/* Answers of whoever is asked for names are what names rest on. */
static bool is_look_up(const struct policy_subject *s)
{
	return s->has_ports && s->port == 53 && s->app == EG_APP_DNS;
}

static void add_resolver(struct learn *l, const struct addr *a)
{
	for (size_t i = 0; i < l->n_resolvers; i++)
		if (addr_eq(&l->resolvers[i], a))
			return;
	if (l->n_resolvers < ARRAY_SIZE(l->resolvers))
		l->resolvers[l->n_resolvers++] = *a;
}

void learn_add(struct learn *l, const struct recorded *r)
{
	if (!learn_wants(l, r)) {
		l->counts.left_out += r->flows;
		return;
	}
	l->counts.flows += r->flows;
	who_table_add(l->triples, r, 0);
	l->counts.triples = who_table_count(l->triples);
	if (is_look_up(&r->subject))
		add_resolver(l, &r->subject.remote);
	add(l, r, false);
}

void learn_refused(struct learn *l, const struct recorded *r)
{
	add(l, r, true);
}
