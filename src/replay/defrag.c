/* SPDX-License-Identifier: Apache-2.0 */
#include "replay/defrag.h"

#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/hash.h"
#include "base/list.h"
#include "base/pool.h"
#include "base/time.h"

#define DATAGRAMS_MAX 1024
#define BUCKETS 2048
#define PIECES_MAX 2048 /* of 2 KiB: 4 MiB */
#define PIECE_DATA 2016
#define FRAGMENTS_MAX 256 /* of one datagram; 64 KiB in fragments of the smallest IPv6 MTU are 53 */
#define DATAGRAM_MAX 65535
#define WAIT_NS (30 * NSEC_PER_SEC)

/* One run of bytes. A fragment longer than PIECE_DATA is several; only a piece that was cut is longer than its data. */
struct piece {
	struct piece *next; /* by offset */
	uint16_t offset, length, captured;
	uint16_t from, to; /* of the fragment it is part of */
	uint8_t data[PIECE_DATA];
};

struct key {
	struct addr src, dst;
	uint64_t zone;
	uint32_t id;
	uint32_t proto; /* IPv4 only; IPv6 identifies by addresses and id */
};

struct datagram {
	struct list age; /* in defrag.oldest, by arrival of the first */
	struct datagram *chain;
	struct key key;
	uint64_t first_ns, last_ns;
	uint32_t fragments, ip_bytes;
	uint32_t total;    /* length by the last fragment; 0: not seen */
	uint32_t received; /* bytes covered by pieces */
	uint8_t proto;     /* what the first fragment says follows */
	bool any_head;     /* the first fragment came: base and proto are its */
	bool head_parsed;  /* and its ports could be read: head is set */
	bool poisoned;     /* will never be whole; kept to take in what still comes */
	struct packet base, head;
	struct piece *pieces, *last;
};

struct defrag {
	struct defrag_out out;
	uint64_t seed;
	struct pool datagrams, pieces;
	struct list oldest;
	struct datagram *buckets[BUCKETS];
	uint8_t joined[DATAGRAM_MAX];
};

DEFINE_CLEANUP(struct defrag, defrag_free);

int defrag_new(struct defrag **ret, struct defrag_out out)
{
	_cleanup_(defrag_freep) struct defrag *d = calloc(1, sizeof(*d));

	if (!d)
		return -ENOMEM;
	d->out = out;
	d->seed = hash_random_seed();
	pool_init(&d->datagrams, sizeof(struct datagram), DATAGRAMS_MAX);
	pool_init(&d->pieces, sizeof(struct piece), PIECES_MAX);
	list_init(&d->oldest);
	*ret = TAKE_PTR(d);
	return 0;
}

struct defrag *defrag_free(struct defrag *d)
{
	if (!d)
		return NULL;
	pool_done(&d->datagrams);
	pool_done(&d->pieces);
	free(d);
	return NULL;
}

static struct datagram **bucket_of(struct defrag *d, const struct key *key)
{
	return &d->buckets[hash_bytes(key, sizeof(*key), d->seed) % BUCKETS];
}

static void drop_pieces(struct defrag *d, struct datagram *g)
{
	while (g->pieces) {
		struct piece *p = g->pieces;

		g->pieces = p->next;
		pool_put(&d->pieces, p);
	}
	g->last = NULL;
}

static void poison(struct defrag *d, struct datagram *g)
{
	g->poisoned = true;
	drop_pieces(d, g);
}

/* What was captured, up to the first byte that was not. */
static struct str join(struct defrag *d, const struct datagram *g)
{
	size_t n = 0;

	for (const struct piece *p = g->pieces; p; p = p->next) {
		memcpy(d->joined + n, p->data, p->captured);
		n += p->captured;
		if (p->captured < p->length)
			break;
	}
	return (struct str){ (const char *)d->joined, n };
}

static void fill_result(struct defrag *d, struct datagram *g, bool whole, struct defrag_result *ret)
{
	*ret = (struct defrag_result){
		.time_ns = g->last_ns,
		.zone = g->key.zone,
		.whole = whole,
		.head = g->head_parsed,
		.fragments = g->fragments,
		.packets = g->fragments,
		.ip_bytes = g->ip_bytes,
		.packet = g->head_parsed ? g->head : g->base,
	};
	if (whole) {
		ret->packet = g->base;
		ret->packet.payload_bytes = g->total;
		ret->error = packet_parse_transport(&ret->packet, g->proto, join(d, g));
	}
	if (ret->packet.tunnel_depth > g->base.tunnel_depth) { /* the fragments were the tunnel's */
		ret->packets = 1;
		ret->ip_bytes = ret->packet.ip_bytes;
	}
}

/* Takes the datagram out and reports it. */
static void finish(struct defrag *d, struct datagram *g, bool whole)
{
	struct datagram **at = bucket_of(d, &g->key);
	struct defrag_result result;

	fill_result(d, g, whole, &result);
	while (*at != g)
		at = &(*at)->chain;
	*at = g->chain;
	list_del(&g->age);
	drop_pieces(d, g);
	pool_put(&d->datagrams, g);
	d->out.on_datagram(d->out.ctx, &result);
}

static struct datagram *oldest(struct defrag *d)
{
	return list_empty(&d->oldest) ? NULL : container_of(d->oldest.next, struct datagram, age);
}

static struct datagram *find_or_begin(struct defrag *d, uint64_t time_ns, uint64_t zone,
				      const struct packet *k)
{
	struct key key = { k->src, k->dst, zone, k->frag_id, k->v6 ? 0 : k->frag_proto };
	struct datagram **at = bucket_of(d, &key), *g;

	for (g = *at; g; g = g->chain)
		if (!memcmp(&g->key, &key, sizeof(key)))
			return g;
	if (d->datagrams.used == DATAGRAMS_MAX)
		finish(d, oldest(d), false);
	g = pool_get(&d->datagrams);
	if (!g)
		return NULL;
	g->key = key;
	g->first_ns = time_ns;
	g->base = *k;
	g->base.payload = STR_NONE;
	g->chain = *at;
	*at = g;
	list_push_back(&d->oldest, &g->age);
	return g;
}

/* Room for one more piece, if need be at the cost of the oldest other datagram. */
static struct piece *new_piece(struct defrag *d, const struct datagram *keep)
{
	struct piece *p;

	while (!(p = pool_get(&d->pieces))) {
		struct datagram *victim = NULL;

		list_for_each(it, &d->oldest) {
			victim = container_of(it, struct datagram, age);
			if (victim != keep && victim->pieces)
				break;
			victim = NULL;
		}
		if (!victim)
			return NULL;
		finish(d, victim, false);
	}
	return p;
}

/* The fragment [from, to) again, byte for byte as far as both were captured? */
static bool is_copy(const struct datagram *g, uint16_t from, uint16_t to, struct str data)
{
	for (const struct piece *p = g->pieces; p; p = p->next) {
		struct str part;

		if (p->from != from || p->to != to)
			continue;
		part = str_sub(data, p->offset - from, p->captured);
		if (memcmp(part.p, p->data, part.n))
			return false;
		if (p->offset + p->length == to)
			return true;
	}
	return false;
}

/* Where [from, to) goes: the piece it follows, NULL for the front. False when it overlaps what is there. */
static bool find_place(const struct datagram *g, uint16_t from, uint16_t to,
		       struct piece **ret_after)
{
	struct piece *after = NULL, *next = g->pieces;

	if (g->last && g->last->offset + g->last->length <= from) { /* in order, as nearly always */
		*ret_after = g->last;
		return true;
	}
	for (; next && next->offset < from; next = next->next)
		after = next;
	if ((after && after->offset + after->length > from) || (next && next->offset < to))
		return false;
	*ret_after = after;
	return true;
}

static bool put_pieces(struct defrag *d, struct datagram *g, uint16_t from, uint16_t to,
		       struct str data, struct piece *after)
{
	for (uint32_t at = from; at < to;) {
		struct piece *p = new_piece(d, g);

		if (!p)
			return false;
		p->captured = (uint16_t)MIN(data.n, (size_t)PIECE_DATA);
		p->offset = (uint16_t)at;
		/* The last one stands for all that was sent and not captured. */
		p->length = data.n > PIECE_DATA ? p->captured : (uint16_t)(to - at);
		p->from = from;
		p->to = to;
		if (p->captured)
			memcpy(p->data, data.p, p->captured);
		data = str_sub(data, p->captured, data.n);
		p->next = after ? after->next : g->pieces;
		*(after ? &after->next : &g->pieces) = p;
		if (!p->next)
			g->last = p;
		after = p;
		at += p->length;
	}
	g->received += (uint32_t)(to - from);
	return true;
}

/* Takes the data in; false when the datagram can no longer become whole. */
static bool take_data(struct defrag *d, struct datagram *g, const struct packet *k)
{
	uint32_t from = k->frag_offset, to = from + k->payload_bytes;
	struct piece *after;

	if (g->fragments > FRAGMENTS_MAX || to > DATAGRAM_MAX ||
	    (k->more_fragments && (k->payload_bytes & 7)) || (g->total && to > g->total))
		return false;
	if (!k->more_fragments) {
		if ((g->total && g->total != to) ||
		    (g->last && to < g->last->offset + g->last->length))
			return false;
		g->total = to;
	}
	if (from == to)
		return true;
	if (!find_place(g, (uint16_t)from, (uint16_t)to, &after))
		return is_copy(g, (uint16_t)from, (uint16_t)to, k->payload);
	return put_pieces(d, g, (uint16_t)from, (uint16_t)to, k->payload, after);
}

static void take_head(struct datagram *g, const struct packet *k)
{
	g->any_head = true;
	g->proto = k->frag_proto;
	g->base = *k;
	g->base.payload = STR_NONE;
	g->head = *k;
	g->head_parsed = packet_parse_transport(&g->head, k->frag_proto, k->payload) == PACKET_OK &&
			 !g->head.fragment;
	g->head.payload = STR_NONE;
}

void defrag_add(struct defrag *d, uint64_t time_ns, uint64_t zone, const struct packet *k)
{
	struct datagram *g;

	defrag_expire(d, time_ns);
	g = find_or_begin(d, time_ns, zone, k);
	if (!g) {
		struct defrag_result lost = { .time_ns = time_ns,
					      .zone = zone,
					      .packet = *k,
					      .fragments = 1,
					      .packets = 1,
					      .ip_bytes = k->ip_bytes };

		lost.packet.payload = STR_NONE;
		d->out.on_datagram(d->out.ctx, &lost);
		return;
	}
	g->last_ns = time_ns;
	g->fragments++;
	g->ip_bytes += k->ip_bytes;
	if (!k->frag_offset && !g->any_head)
		take_head(g, k);
	if (g->poisoned)
		return;
	if (!take_data(d, g, k))
		poison(d, g);
	else if (g->total && g->received == g->total && g->any_head)
		finish(d, g, true);
}

void defrag_expire(struct defrag *d, uint64_t now_ns)
{
	struct datagram *g;

	while ((g = oldest(d)) && now_ns > g->first_ns + WAIT_NS)
		finish(d, g, false);
}

void defrag_flush(struct defrag *d)
{
	struct datagram *g;

	while ((g = oldest(d)))
		finish(d, g, false);
}
