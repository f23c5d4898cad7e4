/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names by (client, address), each with up to four answers, newest first. Entries sit in one list by last use of any
 * kind; a full table drops the oldest that is not valid any more, else the oldest.
 */
#include "flow/names.h"

#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/hash.h"
#include "base/list.h"
#include "base/pool.h"
#include "base/time.h"
#include "decode/dns.h"

/* Programs use addresses longer than the resolver told them to. */
#define GRACE_NS (3600 * NSEC_PER_SEC)

struct entry {
	struct addr client, addr; /* client unset: everybody */
	struct entry *next;       /* of the same bucket */
	struct list by_age;
	uint64_t hash;
	uint8_t n;
	struct name *names[NAMES_PER_ADDR];
};

struct name_table {
	struct intern *texts;
	struct entry **buckets;
	size_t n_buckets; /* a power of two */
	struct list by_age;
	struct pool entries, names;
	uint64_t lost, seed;
};

int name_table_new(struct name_table **ret, struct intern *texts, size_t max)
{
	struct name_table *t = calloc(1, sizeof(*t));

	if (!t)
		return -ENOMEM;
	t->texts = texts;
	t->n_buckets = 1024;
	t->buckets = calloc(t->n_buckets, sizeof(*t->buckets));
	if (!t->buckets) {
		free(t);
		return -ENOMEM;
	}
	list_init(&t->by_age);
	pool_init(&t->entries, sizeof(struct entry), max ? max : 1);
	/* Flows may hold names whose entry is gone. */
	pool_init(&t->names, sizeof(struct name), 2 * (max ? max : 1) + NAMES_PER_ADDR);
	t->seed = hash_random_seed();
	*ret = t;
	return 0;
}

void name_put(struct name_table *t, struct name *n)
{
	if (!n || --n->refs)
		return;
	intern_put(t->texts, n->asked);
	for (int i = 0; i < n->n_chain; i++)
		intern_put(t->texts, n->chain[i]);
	pool_put(&t->names, n);
}

static void entry_del(struct name_table *t, struct entry *e)
{
	struct entry **at = &t->buckets[e->hash & (t->n_buckets - 1)];

	while (*at != e)
		at = &(*at)->next;
	*at = e->next;
	list_del(&e->by_age);
	for (int i = 0; i < e->n; i++)
		name_put(t, e->names[i]);
	pool_put(&t->entries, e);
}

struct name_table *name_table_free(struct name_table *t)
{
	if (!t)
		return NULL;
	while (!list_empty(&t->by_age))
		entry_del(t, container_of(t->by_age.next, struct entry, by_age));
	pool_done(&t->entries);
	pool_done(&t->names);
	free(t->buckets);
	free(t);
	return NULL;
}

static uint64_t entry_hash(const struct name_table *t, const struct addr *client,
			   const struct addr *addr)
{
	struct addr both[2] = { *client, *addr };

	return hash_bytes(both, sizeof(both), t->seed);
}

static struct entry *entry_find(const struct name_table *t, const struct addr *client,
				const struct addr *addr)
{
	uint64_t hash = entry_hash(t, client, addr);

	for (struct entry *e = t->buckets[hash & (t->n_buckets - 1)]; e; e = e->next)
		if (e->hash == hash && addr_eq(&e->addr, addr) && addr_eq(&e->client, client))
			return e;
	return NULL;
}

static void buckets_grow(struct name_table *t)
{
	size_t n = t->n_buckets * 4;
	struct entry **buckets = calloc(n, sizeof(*buckets));

	if (!buckets)
		return; /* longer chains, nothing worse */
	list_for_each(it, &t->by_age) {
		struct entry *e = container_of(it, struct entry, by_age);

		e->next = buckets[e->hash & (n - 1)];
		buckets[e->hash & (n - 1)] = e;
	}
	free(t->buckets);
	t->buckets = buckets;
	t->n_buckets = n;
}

static bool is_over(const struct name *n, uint64_t now_ns)
{
	return n->expires_ns < now_ns && now_ns - n->expires_ns > GRACE_NS;
}

static bool entry_is_over(const struct entry *e, uint64_t now_ns)
{
	for (int i = 0; i < e->n; i++)
		if (!is_over(e->names[i], now_ns))
			return false;
	return true;
}

static void make_room(struct name_table *t, uint64_t now_ns)
{
	struct entry *oldest = container_of(t->by_age.next, struct entry, by_age);

	if (!entry_is_over(oldest, now_ns))
		t->lost++;
	entry_del(t, oldest);
}

static struct entry *entry_get(struct name_table *t, const struct addr *client,
			       const struct addr *addr, uint64_t now_ns)
{
	static const struct addr everybody;
	struct entry *e;

	if (!client)
		client = &everybody;
	e = entry_find(t, client, addr);
	if (e) {
		list_del(&e->by_age);
		list_push_back(&t->by_age, &e->by_age);
		return e;
	}
	while (!(e = pool_get(&t->entries))) {
		if (list_empty(&t->by_age))
			return NULL;
		make_room(t, now_ns);
	}
	e->client = *client;
	e->addr = *addr;
	e->hash = entry_hash(t, client, addr);
	e->next = t->buckets[e->hash & (t->n_buckets - 1)];
	t->buckets[e->hash & (t->n_buckets - 1)] = e;
	list_push_back(&t->by_age, &e->by_age);
	if (t->entries.used > t->n_buckets)
		buckets_grow(t);
	return e;
}

static bool same_chain(const struct name *n, const struct str *chain, size_t n_chain)
{
	if (n->n_chain != n_chain)
		return false;
	for (size_t i = 0; i < n_chain; i++)
		if (!str_eq(text_str(n->chain[i]), chain[i]))
			return false;
	return true;
}

static void to_front(struct entry *e, int at)
{
	struct name *n = e->names[at];

	for (; at > 0; at--)
		e->names[at] = e->names[at - 1];
	e->names[0] = n;
}

static struct name *name_new(struct name_table *t, struct str asked, const struct str *chain,
			     size_t n_chain)
{
	struct name *n = pool_get(&t->names);

	if (!n)
		return NULL;
	n->refs = 1;
	n->asked = intern_get(t->texts, asked);
	if (!n->asked) {
		pool_put(&t->names, n);
		return NULL;
	}
	for (size_t i = 0; i < n_chain; i++) {
		struct text *link = intern_get(t->texts, chain[i]);

		if (!link)
			break;
		n->chain[n->n_chain++] = link;
	}
	return n;
}

/* `chain` NULL: not known; then a name that is there keeps the one it has. */
static void entry_add(struct name_table *t, struct entry *e, struct str asked,
		      const struct str *chain, size_t n_chain, enum name_source source,
		      uint64_t expires_ns)
{
	struct name *n;

	for (int i = 0; i < e->n; i++) {
		n = e->names[i];
		if (!str_eq(text_str(n->asked), asked) || (chain && !same_chain(n, chain, n_chain)))
			continue;
		n->expires_ns = MAX(n->expires_ns, expires_ns);
		to_front(e, i);
		return;
	}
	n = name_new(t, asked, chain, n_chain);
	if (!n) {
		t->lost++;
		return;
	}
	n->source = source;
	n->expires_ns = expires_ns;
	if (e->n == NAMES_PER_ADDR)
		name_put(t, e->names[--e->n]);
	e->names[e->n++] = n;
	to_front(e, e->n - 1);
}

/* The record of this owner and kind; NULL: none. */
static const struct dns_record *find_cname(const struct dns_message *m, struct str owner)
{
	for (size_t i = 0; i < m->n_answers && i < DNS_MAX_ANSWERS; i++)
		if (m->answers[i].type == DNS_CNAME && str_eq_nocase(m->answers[i].name, owner))
			return &m->answers[i];
	return NULL;
}

/* The side of hosts that ask over one family for addresses of the other; no host has this address. */
static const struct addr other_family = { .b = { 0xff } };

/*
 * A host with both families mostly asks over IPv4 and connects over IPv6, from an address that never asked anything:
 * such answers count for every asker of the other family too, after its own.
 */
static void learn_addr(struct name_table *t, const struct addr *client, const struct addr *addr,
		       struct str asked, const struct str *chain, size_t n_chain, uint64_t now_ns,
		       uint64_t expires_ns)
{
	struct entry *e = entry_get(t, client, addr, now_ns);

	if (e)
		entry_add(t, e, asked, chain, n_chain, NAME_DNS, expires_ns);
	if (client && client != &other_family && addr_is_v4(client) != addr_is_v4(addr))
		learn_addr(t, &other_family, addr, asked, chain, n_chain, now_ns, expires_ns);
}

static void learn_question(struct name_table *t, const struct addr *client,
			   const struct dns_message *m, struct str asked, uint64_t now_ns)
{
	struct str chain[NAME_CHAIN_MAX], owner = asked;
	uint32_t ttl = UINT32_MAX;
	size_t n_chain = 0;

	/* Twice what is kept: a loop ends here. */
	for (int i = 0; i < 2 * NAME_CHAIN_MAX; i++) {
		const struct dns_record *c = find_cname(m, owner);

		if (!c)
			break;
		owner = c->rdata;
		ttl = MIN(ttl, c->ttl);
		if (n_chain < NAME_CHAIN_MAX)
			chain[n_chain++] = owner;
	}
	/* Only addresses at the end of the chain answer the question; others were not asked for. */
	for (size_t i = 0; i < m->n_answers && i < DNS_MAX_ANSWERS; i++) {
		const struct dns_record *r = &m->answers[i];

		if (r->has_addr && str_eq_nocase(r->name, owner))
			learn_addr(t, client, &r->addr, asked, chain, n_chain, now_ns,
				   now_ns + MIN(ttl, r->ttl) * NSEC_PER_SEC);
	}
}

void name_table_learn(struct name_table *t, const struct addr *client, const struct dns_message *m,
		      uint64_t now_ns)
{
	if (!m->response || m->opcode || m->rcode)
		return;
	for (size_t i = 0; i < m->n_questions && i < DNS_MAX_QUESTIONS; i++)
		learn_question(t, client, m, m->questions[i].name, now_ns);
	if (m->n_questions)
		return;
	/* mDNS does not repeat the question (RFC 6762 6): the owner is what the address is called. */
	for (size_t i = 0; i < m->n_answers && i < DNS_MAX_ANSWERS; i++) {
		const struct dns_record *r = &m->answers[i];

		if (r->has_addr)
			learn_addr(t, client, &r->addr, r->name, NULL, 0, now_ns,
				   now_ns + r->ttl * NSEC_PER_SEC);
	}
}

/* The kernel is told of /etc/hosts, too, and does not say of a name where it came from. */
static bool is_of_hosts(const struct entry *e, struct str name)
{
	for (int i = 0; i < e->n; i++)
		if (e->names[i]->source == NAME_HOSTS &&
		    str_eq_nocase(text_str(e->names[i]->asked), name))
			return true;
	return false;
}

void name_table_add(struct name_table *t, const struct addr *client, const struct addr *addr,
		    struct str name, enum name_source source, uint64_t now_ns, uint64_t expires_ns)
{
	struct entry *e;

	if (!name.n)
		return;
	e = entry_get(t, client, addr, now_ns);
	if (e && (source == NAME_HOSTS || !is_of_hosts(e, name)))
		entry_add(t, e, name, NULL, 0, source, expires_ns);
}

static bool has_text(struct name *const *names, size_t n, const struct text *text)
{
	for (size_t i = 0; i < n; i++)
		if (names[i]->asked == text)
			return true;
	return false;
}

static size_t collect(const struct entry *e, uint64_t now_ns, bool valid,
		      struct name *ret[NAMES_PER_ADDR], size_t n)
{
	for (int i = 0; e && i < e->n && n < NAMES_PER_ADDR; i++) {
		struct name *name = e->names[i];

		if (is_over(name, now_ns) || (name->expires_ns >= now_ns) != valid ||
		    has_text(ret, n, name->asked))
			continue;
		name->refs++;
		ret[n++] = name;
	}
	return n;
}

size_t name_table_find(struct name_table *t, const struct addr *client, const struct addr *addr,
		       uint64_t now_ns, struct name *ret[NAMES_PER_ADDR])
{
	static const struct addr everybody;
	const struct entry *own = client ? entry_find(t, client, addr) : NULL;
	const struct entry *all = entry_find(t, &everybody, addr);
	const struct entry *other = client ? entry_find(t, &other_family, addr) : NULL;
	size_t n;

	n = collect(own, now_ns, true, ret, 0);
	n = collect(all, now_ns, true, ret, n);
	n = collect(other, now_ns, true, ret, n);
	n = collect(own, now_ns, false, ret, n);
	n = collect(all, now_ns, false, ret, n);
	return collect(other, now_ns, false, ret, n);
}

size_t name_table_count(const struct name_table *t)
{
	return t->entries.used;
}

uint64_t name_table_lost(const struct name_table *t)
{
	return t->lost;
}

const char *name_source_name(enum name_source s)
{
	switch (s) {
	case NAME_DNS:
		return "dns";
	case NAME_SNI:
		return "sni";
	case NAME_QUIC:
		return "quic";
	case NAME_HTTP:
		return "http";
	case NAME_HOSTS:
		return "hosts";
	case NAME_NONE:
		break;
	}
	return NULL;
}
