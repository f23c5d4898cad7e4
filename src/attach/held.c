/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Closes held back. A TCP closer's socket is gone before the peer's FIN comes, that FIN may come twice, and after a reset
 * more may be under way; the kernel's side tells of such packets in records of their own, and the flow's last counters
 * are only complete with them. A close waits as long as the kernel's stub lives when a FIN is sure to come, else a
 * second; when there are too many the oldest goes first, and when another flow begins between the same ends it goes at once.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "attach/internal.h"
#include "base/cleanup.h"
#include "base/hash.h"
#include "base/time.h"

#define BUCKETS 4096
#define HOLD_FIN_NS (60 * NSEC_PER_SEC) /* net.ipv4.tcp_fin_timeout */
#define HOLD_NS NSEC_PER_SEC            /* just in case: most often nothing comes */

static struct list *bucket(struct attach *a, const struct eg_key *key, uint64_t zone)
{
	return &a->held_by_key[hash_bytes(key, sizeof(*key), zone) % BUCKETS];
}

int held_init(struct attach *a)
{
	a->held = calloc(ATTACH_HELD, sizeof(*a->held));
	a->held_by_key = calloc(BUCKETS, sizeof(*a->held_by_key));
	if (!a->held || !a->held_by_key)
		return -ENOMEM;
	list_init(&a->held_free);
	for (size_t i = 0; i < ARRAY_SIZE(a->held_by_age); i++)
		list_init(&a->held_by_age[i]);
	for (size_t i = 0; i < BUCKETS; i++)
		list_init(&a->held_by_key[i]);
	for (size_t i = 0; i < ATTACH_HELD; i++) {
		list_init(&a->held[i].by_key);
		list_push_back(&a->held_free, &a->held[i].by_age);
	}
	return 0;
}

void held_done(struct attach *a)
{
	free(a->held);
	free(a->held_by_key);
}

/* Waits from now on, for what `tail` says is to be expected. */
static void wait_for(struct attach *a, struct held *h, uint64_t now_ns, uint8_t tail)
{
	bool fin = tail == EG_TAIL_FIN;

	list_del(&h->by_age);
	a->n_expected += fin - (h->close.tail == EG_TAIL_FIN);
	h->close.tail = tail;
	h->until_ns = now_ns + (fin ? HOLD_FIN_NS : HOLD_NS);
	list_push_back(&a->held_by_age[fin], &h->by_age);
}

static void release(struct attach *a, struct held *h)
{
	list_del(&h->by_age);
	list_del(&h->by_key);
	list_push_back(&a->held_free, &h->by_age);
	a->n_held--;
	a->n_expected -= h->close.tail == EG_TAIL_FIN;
	attach_emit_close(a, &h->close, attach_end_of(&h->close));
}

static void release_first(struct attach *a, struct list *ages)
{
	release(a, container_of(ages->next, struct held, by_age));
}

void held_add(struct attach *a, const struct eg_close *c)
{
	struct held *h;

	for (size_t i = 0; list_empty(&a->held_free); i++)
		if (!list_empty(&a->held_by_age[i]))
			release_first(a, &a->held_by_age[i]);
	h = container_of(a->held_free.next, struct held, by_age);
	h->cookie = c->cookie;
	h->close = *c;
	h->close.tail = 0;
	wait_for(a, h, c->rec.time_ns, c->tail);
	list_push_back(bucket(a, &c->key, c->zone), &h->by_key);
	a->n_held++;
}

void held_tail(struct attach *a, const struct eg_tail_rec *t)
{
	list_for_each(it, bucket(a, &t->key, t->zone)) {
		struct held *h = container_of(it, struct held, by_key);

		if (h->cookie != t->cookie)
			continue;
		h->close.n.tx_packets += t->n.tx_packets;
		h->close.n.tx_bytes += t->n.tx_bytes;
		h->close.n.rx_packets += t->n.rx_packets;
		h->close.n.rx_bytes += t->n.rx_bytes;
		h->close.tx_tcp |= t->tx_tcp;
		h->close.rx_tcp |= t->rx_tcp;
		h->close.rec.time_ns = t->rec.time_ns;
		h->close.last_tick = attach_tick(a, t->rec.time_ns);
		wait_for(a, h, t->rec.time_ns, t->what);
		return;
	}
	/* its flow was told to be over, or waits in the kernel until there is room to tell */
	attach_emit_unreported(a, &t->n);
}

void held_open(struct attach *a, const struct eg_open *o)
{
	list_for_each(it, bucket(a, &o->key, o->zone)) {
		struct held *h = container_of(it, struct held, by_key);

		if (h->cookie != o->cookie && h->close.zone == o->zone &&
		    !memcmp(&h->close.key, &o->key, sizeof(o->key))) {
			release(a, h);
			return; /* there is one at most: each goes when the next begins */
		}
	}
}

void held_expire(struct attach *a, uint64_t now_ns)
{
	for (size_t i = 0; i < ARRAY_SIZE(a->held_by_age); i++) {
		struct list *ages = &a->held_by_age[i];

		while (!list_empty(ages) &&
		       container_of(ages->next, struct held, by_age)->until_ns <= now_ns)
			release_first(a, ages);
	}
}
