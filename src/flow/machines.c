/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/machines.h"

#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/hash.h"
#include "base/pool.h"

#define BUCKETS 16384

/* What a lease says; in two chains, by address and by MAC address. */
struct known {
	struct addr addr;
	uint8_t mac[MAC_BYTES];
	bool has_mac;
	struct text *name;
	struct known *of_addr, *of_mac;
	struct list all;
};

struct machine_table {
	struct intern *texts;
	struct pool machines, leases;
	struct machine *buckets[BUCKETS];
	struct known *by_addr[BUCKETS], *by_mac[BUCKETS];
	struct list all_leases; /* the oldest first */
	struct list unused;     /* machines that no flow holds, the oldest first */
	uint64_t seed, lost;
};

int machine_table_new(struct machine_table **ret, struct intern *texts, size_t max)
{
	struct machine_table *t = calloc(1, sizeof(*t));

	if (!t)
		return -ENOMEM;
	t->texts = texts;
	pool_init(&t->machines, sizeof(struct machine), max);
	pool_init(&t->leases, sizeof(struct known), max);
	list_init(&t->all_leases);
	list_init(&t->unused);
	t->seed = hash_random_seed();
	*ret = t;
	return 0;
}

static uint64_t addr_hash(const struct machine_table *t, const struct addr *a)
{
	return hash_bytes(a, sizeof(*a), t->seed);
}

static struct known **bucket_of_addr(struct machine_table *t, const struct addr *a)
{
	return &t->by_addr[addr_hash(t, a) % BUCKETS];
}

static struct known **bucket_of_mac(struct machine_table *t, const uint8_t mac[MAC_BYTES])
{
	return &t->by_mac[hash_bytes(mac, MAC_BYTES, t->seed) % BUCKETS];
}

static bool mac_eq(const uint8_t a[MAC_BYTES], const uint8_t b[MAC_BYTES])
{
	return !memcmp(a, b, MAC_BYTES);
}

/* ---- leases ---- */

static struct known *lease_of(struct machine_table *t, const struct addr *a)
{
	struct known *k = *bucket_of_addr(t, a);

	while (k && !addr_eq(&k->addr, a))
		k = k->of_addr;
	return k;
}

/* The newest that has a name: a chain begins with it. */
static struct known *named_of_mac(struct machine_table *t, const uint8_t mac[MAC_BYTES])
{
	struct known *k = *bucket_of_mac(t, mac);

	while (k && (!k->name || !mac_eq(k->mac, mac)))
		k = k->of_mac;
	return k;
}

static void lease_del(struct machine_table *t, struct known *k)
{
	struct known **at = bucket_of_addr(t, &k->addr);

	while (*at != k)
		at = &(*at)->of_addr;
	*at = k->of_addr;
	at = k->has_mac ? bucket_of_mac(t, k->mac) : NULL;
	while (at && *at != k)
		at = &(*at)->of_mac;
	if (at)
		*at = k->of_mac;
	list_del(&k->all);
	intern_put(t->texts, k->name);
	pool_put(&t->leases, k);
}

void machine_table_leases_begin(struct machine_table *t)
{
	while (!list_empty(&t->all_leases))
		lease_del(t, container_of(t->all_leases.next, struct known, all));
}

void machine_table_lease(struct machine_table *t, const struct lease *lease)
{
	struct known *k = lease_of(t, &lease->addr), **at;

	if (k)
		lease_del(t, k);
	if (lease->over)
		return;
	k = pool_get(&t->leases);
	if (!k) {
		t->lost++;
		return;
	}
	k->addr = lease->addr;
	k->has_mac = lease->has_mac;
	memcpy(k->mac, lease->mac, MAC_BYTES);
	k->name = lease->name.n ? intern_get(t->texts, lease->name) : NULL;
	at = bucket_of_addr(t, &k->addr);
	k->of_addr = *at;
	*at = k;
	if (k->has_mac) {
		at = bucket_of_mac(t, k->mac);
		k->of_mac = *at;
		*at = k;
	}
	list_push_back(&t->all_leases, &k->all);
}

/* ---- machines ---- */

static void learn(struct machine_table *t, struct machine *m)
{
	struct known *k = lease_of(t, &m->addr);
	struct text *name;

	if (k && m->has_mac && k->has_mac && !mac_eq(k->mac, m->mac))
		k = NULL; /* leased to another */
	if ((!k || !k->name) && m->has_mac)
		k = named_of_mac(t, m->mac);
	name = text_ref(k ? k->name : NULL);
	intern_put(t->texts, m->name);
	m->name = name;
}

void machine_table_leases_end(struct machine_table *t)
{
	for (size_t i = 0; i < BUCKETS; i++)
		for (struct machine *m = t->buckets[i]; m; m = m->next)
			learn(t, m);
}

static struct machine **place_of(struct machine_table *t, const struct addr *a)
{
	struct machine **at = &t->buckets[addr_hash(t, a) % BUCKETS];

	while (*at && !addr_eq(&(*at)->addr, a))
		at = &(*at)->next;
	return at;
}

/* Not found any more by its address; it lives on while flows hold it. */
static void unlist(struct machine_table *t, struct machine *m)
{
	struct machine **at = place_of(t, &m->addr);

	*at = m->next;
	m->listed = false;
	if (m->refs)
		return;
	list_del(&m->unused);
	intern_put(t->texts, m->name);
	pool_put(&t->machines, m);
}

static struct machine *machine_new(struct machine_table *t, const struct addr *a)
{
	struct machine *m = pool_get(&t->machines), **at;

	if (!m && !list_empty(&t->unused)) {
		unlist(t, container_of(t->unused.next, struct machine, unused));
		m = pool_get(&t->machines);
	}
	if (!m) {
		t->lost++;
		return NULL;
	}
	m->addr = *a;
	m->listed = true;
	at = place_of(t, a);
	m->next = *at;
	*at = m;
	list_push_back(&t->unused, &m->unused);
	learn(t, m);
	return m;
}

struct machine *machine_table_get(struct machine_table *t, const struct addr *addr)
{
	struct machine *m = *place_of(t, addr) ?: machine_new(t, addr);

	if (m && !m->refs++)
		list_del(&m->unused);
	return m;
}

void machine_put(struct machine_table *t, struct machine *m)
{
	if (!m || --m->refs)
		return;
	list_push_back(&t->unused, &m->unused);
	if (!m->listed) {
		list_del(&m->unused);
		intern_put(t->texts, m->name);
		pool_put(&t->machines, m);
	} else if (!m->neighbour) {
		unlist(t, m);
	}
}

void machine_table_neighbour(struct machine_table *t, const struct addr *addr, const uint8_t *mac)
{
	struct machine *m = *place_of(t, addr);

	if (!mac) {
		if (m)
			m->neighbour = false;
		if (m && !m->refs)
			unlist(t, m);
		return;
	}
	if (m && m->has_mac && !mac_eq(m->mac, mac)) {
		unlist(t, m);
		m = NULL;
	}
	if (!m)
		m = machine_new(t, addr);
	if (!m)
		return;
	m->neighbour = true;
	if (m->has_mac)
		return;
	memcpy(m->mac, mac, MAC_BYTES);
	m->has_mac = true;
	learn(t, m);
}

struct machine_table *machine_table_free(struct machine_table *t)
{
	if (!t)
		return NULL;
	machine_table_leases_begin(t);
	for (size_t i = 0; i < BUCKETS; i++)
		for (struct machine *m = t->buckets[i]; m; m = m->next)
			intern_put(t->texts, m->name);
	pool_done(&t->machines);
	pool_done(&t->leases);
	free(t);
	return NULL;
}

const char *machine_source(const struct machine *m)
{
	return m->name ? "dhcp" : m->has_mac ? "neighbour" : NULL;
}

size_t machine_table_leases(const struct machine_table *t)
{
	return t->leases.used;
}

size_t machine_table_count(const struct machine_table *t)
{
	return t->machines.used;
}

uint64_t machine_table_lost(const struct machine_table *t)
{
	return t->lost;
}
