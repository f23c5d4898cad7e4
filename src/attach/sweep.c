/* SPDX-License-Identifier: Apache-2.0 */
/* The steady beat: drains the ring, reads all counters that moved, ends what was idle, tells of losses. */
#include <errno.h>
#include <poll.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "attach/backstop.h"
#include "attach/gateway.h"
#include "attach/internal.h"
#include "attach/who.h"
#include "base/cleanup.h"
#include "base/time.h"
#include "bpf/host.skel.h"
#include "bpf/sweep.h"
#include "decode/packet.h"

#define UDP_IDLE_NS (60 * NSEC_PER_SEC)
#define DNS_IDLE_NS (10 * NSEC_PER_SEC)
#define HANDSHAKE_IDLE_NS (70 * NSEC_PER_SEC) /* SYN-ACKs are sent for 63 s by default */
#define HANDSHAKE_EVERY_NS (5 * NSEC_PER_SEC)
#define PACKET_SCAN_EVERY_NS (10 * NSEC_PER_SEC)

/* The kernel's side numbers its losses as decode/event.h begins. */
enum {
#define X(id) SAME_##id,
	EG_LOSS_REASONS(X)
#undef X
};
#define X(id)                                            \
	_Static_assert((int)SAME_##id == (int)LOSS_##id, \
		       "losses of bpf/abi.h and decode/event.h differ");
EG_LOSS_REASONS(X)
#undef X

int attach_fd(const struct attach *a)
{
	return ring_buffer__epoll_fd(a->ring);
}

int attach_drain(struct attach *a)
{
	return ring_buffer__consume(a->ring);
}

static void swept(struct attach *a, const struct eg_close *c)
{
	if (!(c->rec.flags & EG_OPEN_SENT))
		attach_open_from(a, c);
	attach_verdict_of(a, c);
	if (c->idle)
		attach_emit_close(a, c, END_TIMEOUT);
	else
		attach_emit_count(a, c);
}

static void on_sock(void *ctx, const void *rec)
{
	struct attach *a = ctx;

	a->n_sockets++;
	swept(a, rec);
}

int attach_sync_clocks(struct attach *a)
{
	return attach_walk(a->iter_socks, sizeof(struct eg_close), on_sock, a);
}

/* A flow that ended when there was no room in the ring to tell. */
static void over(struct attach *a, struct eg_slot *slot, const struct eg_close *c)
{
	if ((c->rec.flags & (EG_KEYED | EG_OPEN_SENT)) == EG_KEYED)
		attach_open_from(a, c);
	attach_on_close(a, c);
	memset(&slot->sock, 0, sizeof(slot->sock));
	__atomic_store_n(&slot->cookie, 0, __ATOMIC_RELEASE);
}

/* A free slot: what was counted on another CPU while its flow was told to be over. */
static void rest_of(struct attach *a, struct eg_slot *slot)
{
	struct eg_counts n;

	if (!__sync_bool_compare_and_swap(&slot->cookie, 0, EG_SLOT_BUSY))
		return;
	eg_take_counts(&slot->sock, &n);
	__atomic_store_n(&slot->cookie, 0, __ATOMIC_RELEASE);
	attach_emit_unreported(a, &n);
}

void attach_sweep_rests(struct attach *a, uint64_t now)
{
	for (size_t i = 0; i < EG_SLOTS; i++) {
		struct eg_slot *slot = &a->slots[i];
		const struct eg_counts *n = &slot->sock.hot.n;

		if (!slot->cookie && (n->tx_packets | n->tx_bytes | n->rx_packets | n->rx_bytes) &&
		    slot->sock.born_ns < now - EG_SLOT_REST_NS)
			rest_of(a, slot);
	}
}

static void sweep_slots(struct attach *a, const struct eg_sweep *w, uint64_t now)
{
	for (size_t i = 0; i < EG_SLOTS; i++) {
		struct eg_slot *slot = &a->slots[i];
		uint64_t cookie = slot->cookie;
		struct eg_close c;

		if (!cookie || cookie == EG_SLOT_BUSY)
			continue;
		a->n_sockets++;
		if (!eg_sweep_sock(&slot->sock, cookie, w, &c))
			continue;
		if (c.rec.flags & EG_OVER) {
			c.rec.time_ns = now;
			over(a, slot, &c);
			continue;
		}
		/* ended while we read: its close tells all of it */
		if (__atomic_load_n(&slot->cookie, __ATOMIC_ACQUIRE) != cookie)
			continue;
		c.rec.time_ns = now;
		swept(a, &c);
	}
}

static bool is_closing(const struct attach *a, uint64_t cookie)
{
	for (size_t i = 0; i < a->n_closing; i++)
		if (a->closing[i] == cookie)
			return true;
	return false;
}

/* A walk over a hash skips entries when others are deleted meanwhile: what is over is only remembered here. */
static void on_peer(void *ctx, const void *rec)
{
	struct attach *a = ctx;
	const struct eg_close *c = rec;
	bool closed = is_closing(a, c->cookie);

	a->n_peers++;
	if (!closed && !c->idle) {
		swept(a, c);
		return;
	}
	if (!(c->rec.flags & EG_OPEN_SENT))
		attach_open_from(a, c);
	if (a->n_over == a->room_over) {
		size_t room = a->room_over ? 2 * a->room_over : 256;
		struct attach_over *over = realloc(a->over, room * sizeof(*over));

		if (!over)
			return; /* idle again at the next sweep */
		a->over = over;
		a->room_over = room;
	}
	a->over[a->n_over++] = (struct attach_over){
		.key = { .cookie = c->cookie, .key = c->key },
		.end = closed ? END_CLOSED : END_TIMEOUT,
	};
}

static void close_peers(struct attach *a, uint64_t now)
{
	int fd = bpf_map__fd(a->skel->maps.eg_peers);

	for (size_t i = 0; i < a->n_over; i++) {
		struct eg_close c = { .rec = { .time_ns = now } };
		struct eg_peer p;

		if (bpf_map_lookup_and_delete_elem(fd, &a->over[i].key, &p))
			continue;
		eg_fill_peer(&c, &a->over[i].key, &p);
		attach_emit_close(a, &c, a->over[i].end);
	}
	a->n_over = 0;
}

/* Inbound handshakes that never got a child: a scan, a flood, a peer that vanished. */
static void expire_handshakes(struct attach *a, uint64_t now)
{
	uint64_t before = attach_tick(a, now > HANDSHAKE_IDLE_NS ? now - HANDSHAKE_IDLE_NS : 0);

	for (size_t i = 0; i < EG_HANDSHAKES; i++) {
		struct eg_handshake *h = &a->handshakes[i];
		struct eg_close c = { .rec = { .time_ns = now } };
		uint64_t tag = h->tag;

		if (!tag || h->last_tick >= before ||
		    !__sync_bool_compare_and_swap(&h->tag, tag, 0))
			continue;
		c.rec.flags = (h->flags & EG_OWNED) | EG_INBOUND | EG_KEYED;
		c.key = h->key;
		c.zone = h->zone;
		c.n = h->n;
		c.last_tick = h->last_tick;
		c.owner = h->owner;
		c.tx_tcp = h->tx_tcp;
		c.rx_tcp = h->rx_tcp;
		attach_open_from(a, &c);
		attach_emit_close(a, &c, END_FAILED);
	}
}

static int tell_losses(struct attach *a)
{
	int n_cpus = libbpf_num_possible_cpus();
	_cleanup_free_ struct eg_loss *per_cpu = NULL;
	struct eg_loss now = { 0 };
	uint32_t zero = 0;

	if (n_cpus < 0)
		return n_cpus;
	per_cpu = calloc(n_cpus, sizeof(*per_cpu));
	if (!per_cpu)
		return -ENOMEM;
	if (bpf_map_lookup_elem(bpf_map__fd(a->skel->maps.eg_losses), &zero, per_cpu))
		return -errno;
	for (int cpu = 0; cpu < n_cpus; cpu++)
		for (size_t i = 0; i < EG_LOSS_COUNT; i++) {
			struct eg_counts *to = &now.unreported[i], *n = &per_cpu[cpu].unreported[i];

			now.lost[i] += per_cpu[cpu].lost[i];
			to->tx_packets += n->tx_packets;
			to->tx_bytes += n->tx_bytes;
			to->rx_packets += n->rx_packets;
			to->rx_bytes += n->rx_bytes;
		}
	for (size_t i = 0; i < EG_LOSS_COUNT; i++) {
		struct event e = { .type = EVENT_LOSS, .time_ns = time_now() };

		e.loss.reason = i;
		e.loss.count = now.lost[i] - a->lost.lost[i];
		e.loss.unreported.tx_packets =
			now.unreported[i].tx_packets - a->lost.unreported[i].tx_packets;
		e.loss.unreported.tx_bytes =
			now.unreported[i].tx_bytes - a->lost.unreported[i].tx_bytes;
		e.loss.unreported.rx_packets =
			now.unreported[i].rx_packets - a->lost.unreported[i].rx_packets;
		e.loss.unreported.rx_bytes =
			now.unreported[i].rx_bytes - a->lost.unreported[i].rx_bytes;
		if (e.loss.count | e.loss.unreported.tx_packets | e.loss.unreported.tx_bytes |
		    e.loss.unreported.rx_packets | e.loss.unreported.rx_bytes)
			attach_emit(a, &e);
	}
	a->lost = now;
	return 0;
}

static int sweep_peers(struct attach *a, uint64_t now)
{
	int r;

	a->skel->bss->sweep_all_peers = a->n_closing > 0;
	a->n_peers = 0;
	r = attach_walk(a->iter_peers, sizeof(struct eg_close), on_peer, a);
	a->n_closing = 0;
	close_peers(a, now);
	return r;
}

static void now_and_then(struct attach *a, uint64_t now)
{
	backstop_tick(a, now);
	limit_tick(a, now);
	shaper_tick(a);
	if (now - a->handshakes_ns > HANDSHAKE_EVERY_NS) {
		a->handshakes_ns = now;
		expire_handshakes(a, now);
	}
	if (a->scan_packet_socks ||
	    (!a->cap_hook && now - a->packet_scan_ns > PACKET_SCAN_EVERY_NS)) {
		a->scan_packet_socks = false;
		a->packet_scan_ns = now;
		attach_scan_packet_socks(a);
	}
}

static uint64_t tick_before(const struct attach *a, uint64_t now, uint64_t idle_ns)
{
	return now > idle_ns ? attach_tick(a, now - idle_ns) : 0;
}

int attach_sweep(struct attach *a)
{
	uint64_t now = attach_mono_ns();
	struct eg_sweep w = {
		.since = a->swept_tick,
		.idle = tick_before(a, now, UDP_IDLE_NS),
		.idle_dns = tick_before(a, now, DNS_IDLE_NS),
	};
	int r;

	attach_clock(a);
	policy_tick(a);
	r = ring_buffer__consume(a->ring);
	if (r < 0)
		return r;
	a->swept_tick = attach_tick(a, now) - 1; /* overlap rather than miss */
	a->skel->bss->sweep_since = w.since;
	a->skel->bss->sweep_idle = w.idle;
	a->skel->bss->sweep_idle_dns = w.idle_dns;
	a->n_sockets = 0;
	sweep_slots(a, &w, now);
	attach_sweep_rests(a, now);
	r = attach_walk(a->iter_socks, sizeof(struct eg_close), on_sock, a);
	if (!r)
		r = sweep_peers(a, now);
	if (!r)
		r = gateway_tick(a, now);
	if (!r)
		r = attach_refuse_tick(a);
	held_expire(a, now);
	now_and_then(a, now);
	who_tick(a);
	return r ? r : tell_losses(a);
}

int attach_settle(struct attach *a, unsigned int ms)
{
	uint64_t until = attach_mono_ns() + ms * NSEC_PER_MSEC;
	int r = ring_buffer__consume(a->ring);

	/* Notices do not wake a reader while little is unread: look every few milliseconds. */
	while (r >= 0 && a->n_expected && attach_mono_ns() < until) {
		poll(NULL, 0, 5);
		r = ring_buffer__consume(a->ring);
	}
	held_expire(a, attach_mono_ns());
	return r < 0 ? r : 0;
}

static uint64_t memory_of(int fd)
{
	char path[64], line[128];
	_cleanup_fclose_ FILE *f = NULL;
	unsigned long long bytes;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "memlock: %llu", &bytes) == 1)
			return bytes;
	return 0;
}

uint64_t attach_ring_used(const struct attach *a)
{
	return __atomic_load_n(a->ring_produced, __ATOMIC_ACQUIRE) -
	       __atomic_load_n(a->ring_consumed, __ATOMIC_ACQUIRE);
}

void attach_stats(const struct attach *a, struct attach_stats *ret)
{
	const struct bpf_object *obj = a->skel->obj;
	struct bpf_program *prog;
	struct bpf_map *map;

	*ret = (struct attach_stats){
		.events = a->events,
		.ring_bytes_used = attach_ring_used(a),
		.map_entries_sockets = a->n_sockets,
		.map_entries_peers = a->n_peers,
		.map_capacity_peers = bpf_map__max_entries(a->skel->maps.eg_peers),
		.held_closes = a->n_held,
	};
	bpf_object__for_each_map(map, obj) ret->bpf_bytes += memory_of(bpf_map__fd(map));
	bpf_object__for_each_program(prog, obj) ret->bpf_bytes += memory_of(bpf_program__fd(prog));
}
