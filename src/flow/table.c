/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The flow table itself: finding, making and ending flows, and the passing of time.
 *
 * One look-up touches one or two slots (hash and pointer side by side) and then only the flow that matches. A
 * capture's flow is found by its packets of either direction: the hash is of the sorted pair. A socket's flow is found
 * by (local, remote), so that the two sockets of a conversation within the host stay two flows.
 */
#include "flow/table.h"

#include <endian.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/hash.h"
#include "base/time.h"
#include "decode/quic.h"
#include "flow/machines.h"
#include "flow/nat.h"
#include "flow/proc_stdio.h"

/* Ids begin at the millisecond of the start, with room for 4,096 flows each: a restart does not use one again. */
#define FLOW_ID_START_MASK ((1ULL << 41) - 1)
#define SLOTS_MIN 4096
#define TOUCH_EVERY_NS NSEC_PER_SEC
#define STATS_EVERY_NS (60 * NSEC_PER_SEC)

#define DEFAULT_FLOWS 262144
#define DEFAULT_STREAMS 4096
#define STREAM_BYTES (FLOW_WINDOW_CLIENT + FLOW_WINDOW_SERVER)

int flow_table_new(struct flow_table **ret, const struct flow_config *cfg, struct record_out out)
{
	struct flow_table *t = calloc(1, sizeof(*t));

	if (!t)
		return -ENOMEM;
	t->cfg = *cfg;
	t->out = out;
	if (!t->cfg.max_flows)
		t->cfg.max_flows = DEFAULT_FLOWS;
	if (!t->cfg.max_streams)
		t->cfg.max_streams = DEFAULT_STREAMS;
	t->idle_ns[IDLE_TCP] = cfg->tcp_idle_ns ? cfg->tcp_idle_ns : 300 * NSEC_PER_SEC;
	t->idle_ns[IDLE_TCP_WAIT] = MIN(t->idle_ns[IDLE_TCP], 60 * NSEC_PER_SEC);
	t->idle_ns[IDLE_TCP_OVER] = MIN(t->idle_ns[IDLE_TCP], 5 * NSEC_PER_SEC);
	t->idle_ns[IDLE_UDP] = cfg->udp_idle_ns ? cfg->udp_idle_ns : 60 * NSEC_PER_SEC;
	t->idle_ns[IDLE_ICMP] = MIN(t->idle_ns[IDLE_UDP], 30 * NSEC_PER_SEC);
	t->idle_ns[IDLE_LOG] = 60 * NSEC_PER_SEC;
	for (int i = 0; i < IDLE_CLASSES; i++)
		list_init(&t->idle[i]);
	list_init(&t->all);
	list_init(&t->report);
	list_init(&t->streams_old);
	list_init(&t->tls_waiting);
	pool_init(&t->flows, sizeof(struct flow), t->cfg.max_flows);
	pool_init(&t->nats, sizeof(struct flow_nat), t->cfg.max_flows);
	pool_init(&t->streams, sizeof(struct flow_stream), t->cfg.max_streams);
	t->max_stream_bytes = t->cfg.max_streams * STREAM_BYTES;
	t->seed = hash_random_seed();
	t->ja3 = BUF_INIT(16384);
	t->ja4 = BUF_INIT(16384);
	t->certificate = BUF_INIT(65536);
	t->n_slots = SLOTS_MIN;
	t->slots = calloc(t->n_slots, sizeof(*t->slots));
	t->dns = calloc(1, sizeof(*t->dns));
	t->tls_scratch = malloc(TLS_HELLO_MAX);
	if (!t->slots || !t->dns || !t->tls_scratch) {
		flow_table_free(t);
		return -ENOMEM;
	}
	*ret = t;
	return 0;
}

static void let_go(struct flow_table *t, struct flow *f)
{
	stream_put(t, f);
	intern_put(t->cfg.texts, f->name);
	intern_put(t->cfg.texts, f->ja3);
	intern_put(t->cfg.texts, f->ja4);
	verdict_rule_put(f->verdict.rule);
	translated_let_go(t, f);
	if (f->machine)
		machine_put(t->cfg.machines, f->machine);
	for (size_t i = 0; i < f->n_names; i++)
		name_put(t->cfg.names, f->names[i]);
	if (f->proc)
		proc_put(t->cfg.procs, f->proc);
}

struct flow_table *flow_table_free(struct flow_table *t)
{
	if (!t)
		return NULL;
	list_for_each(it, &t->all)
		let_go(t, container_of(it, struct flow, all));
	stream_free_all(t);
	t->drops = drops_free(t);
	verdict_rules_done(&t->rules);
	nat_table_free(t->nat);
	pool_done(&t->nats);
	pool_done(&t->streams);
	pool_done(&t->flows);
	buf_done(&t->ja3);
	buf_done(&t->ja4);
	buf_done(&t->certificate);
	free(t->slots);
	free(t->dns);
	free(t->tls_scratch);
	free(t);
	return NULL;
}

/* --- finding ------------------------------------------------------------------------------------------------------ */

struct hash_key {
	struct addr a, b;
	uint16_t aport, bport;
	uint8_t proto, live;
	uint8_t pad[2];
	uint64_t zone;
};
_Static_assert(sizeof(struct hash_key) == 48, "hashed as bytes: no holes");

static bool addr_port_less(const struct addr *a, uint16_t aport, const struct addr *b,
			   uint16_t bport)
{
	uint64_t x[2], y[2];

	memcpy(x, a, 16);
	memcpy(y, b, 16);
	if (x[0] != y[0])
		return be64toh(x[0]) < be64toh(y[0]);
	if (x[1] != y[1])
		return be64toh(x[1]) < be64toh(y[1]);
	return aport < bport;
}

static uint64_t key_hash(const struct flow_table *t, const struct event_key *k, bool live)
{
	struct hash_key h = { .proto = k->proto, .live = live, .zone = k->zone };

	if (live || addr_port_less(&k->src, k->sport, &k->dst, k->dport)) {
		h.a = k->src;
		h.b = k->dst;
		h.aport = k->sport;
		h.bport = k->dport;
	} else {
		h.a = k->dst;
		h.b = k->src;
		h.aport = k->dport;
		h.bport = k->sport;
	}
	return hash_bytes(&h, sizeof(h), t->seed);
}

static bool key_is(const struct event_key *k, const struct event_key *e)
{
	return k->sport == e->sport && k->dport == e->dport && k->proto == e->proto &&
	       k->zone == e->zone && addr_eq(&k->src, &e->src) && addr_eq(&k->dst, &e->dst);
}

static bool key_is_reversed(const struct event_key *k, const struct event_key *e)
{
	return k->sport == e->dport && k->dport == e->sport && k->proto == e->proto &&
	       k->zone == e->zone && addr_eq(&k->src, &e->dst) && addr_eq(&k->dst, &e->src);
}

/* Does the event belong to the flow, and if so, to which direction of it? */
static bool flow_is(const struct flow *f, const struct event *e, bool live,
		    enum flow_side *ret_side)
{
	if (f->live != live)
		return false;
	if (live) {
		bool local_is_dst = f->flags & FLOW_LOCAL_IS_DST;

		*ret_side = (e->dir == EVENT_DIR_TX) != local_is_dst ? TO_SERVER : TO_CLIENT;
		return local_is_dst ? key_is_reversed(&f->key, &e->key) : key_is(&f->key, &e->key);
	}
	*ret_side = TO_SERVER;
	if (key_is(&f->key, &e->key))
		return true;
	*ret_side = TO_CLIENT;
	return key_is_reversed(&f->key, &e->key);
}

/* Only a close may leave it open: a log's has no direction, and sockets' may have none. */
static bool event_is_live(const struct flow_table *t, const struct event *e)
{
	return e->dir != EVENT_DIR_NONE || e->type == EVENT_OPEN || e->type == EVENT_COUNT ||
	       e->type == EVENT_VERDICT || e->type == EVENT_NAT ||
	       (e->type == EVENT_CLOSE && t->cfg.procs);
}

struct flow *flow_find(struct flow_table *t, const struct event *e, enum flow_side *ret_side)
{
	bool live = event_is_live(t, e);
	uint64_t hash;

	/* Packets come in trains. */
	if (t->recent && flow_is(t->recent, e, live, ret_side))
		return t->recent;
	hash = key_hash(t, &e->key, live);
	for (size_t i = hash & (t->n_slots - 1); t->slots[i].flow; i = (i + 1) & (t->n_slots - 1))
		if (t->slots[i].hash == hash && flow_is(t->slots[i].flow, e, live, ret_side))
			return t->recent = t->slots[i].flow;
	*ret_side = TO_SERVER; /* of the flow that may be made for it */
	return NULL;
}

static void slots_put(struct slot *slots, size_t n, uint64_t hash, struct flow *f)
{
	size_t i = hash & (n - 1);

	while (slots[i].flow)
		i = (i + 1) & (n - 1);
	slots[i] = (struct slot){ hash, f };
}

static bool slots_grow(struct flow_table *t)
{
	size_t n = t->n_slots * 2;
	struct slot *slots = calloc(n, sizeof(*slots));

	if (!slots)
		return false;
	for (size_t i = 0; i < t->n_slots; i++)
		if (t->slots[i].flow)
			slots_put(slots, n, t->slots[i].hash, t->slots[i].flow);
	free(t->slots);
	t->slots = slots;
	t->n_slots = n;
	return true;
}

/* Takes a flow out and moves up what would no longer be found behind the hole (Knuth 6.4 R). */
static void slots_del(struct flow_table *t, const struct flow *f)
{
	size_t mask = t->n_slots - 1, i = f->hash & mask;

	while (t->slots[i].flow != f)
		i = (i + 1) & mask;
	for (size_t j = (i + 1) & mask; t->slots[j].flow; j = (j + 1) & mask) {
		size_t home = t->slots[j].hash & mask;

		if (((j - home) & mask) >= ((j - i) & mask)) {
			t->slots[i] = t->slots[j];
			i = j;
		}
	}
	t->slots[i].flow = NULL;
}

/* --- making and ending -------------------------------------------------------------------------------------------- */

static bool make_room(struct flow_table *t)
{
	/* What is over already only waits for stragglers: writing it now loses nothing. */
	struct list *over =
		list_empty(&t->idle[IDLE_TCP_OVER]) ? &t->idle[IDLE_LOG] : &t->idle[IDLE_TCP_OVER];
	struct flow *idlest = NULL;

	if (!list_empty(over)) {
		flow_end(t, container_of(over->next, struct flow, idle), END_FORCED);
		return true;
	}
	for (int c = 0; c < IDLE_CLASSES; c++) {
		struct flow *f;

		if (list_empty(&t->idle[c]))
			continue;
		f = container_of(t->idle[c].next, struct flow, idle);
		if (!idlest || f->touched_ns < idlest->touched_ns)
			idlest = f;
	}
	if (!idlest)
		return false;
	t->stats.loss[LOSS_TABLE_FLOWS]++;
	flow_end(t, idlest, END_FORCED);
	return true;
}

static bool is_inside(const struct flow_table *t, const struct addr *a)
{
	enum addr_class c = addr_class(a);

	if (c == ADDR_MULTICAST || addr_is_unset(a))
		return true;
	if (!t->cfg.n_inside)
		return c == ADDR_PRIVATE || c == ADDR_LOOPBACK || c == ADDR_LINK_LOCAL;
	for (size_t i = 0; i < t->cfg.n_inside; i++)
		if (cidr_has(&t->cfg.inside[i], a))
			return true;
	return false;
}

static enum flow_direction capture_direction(const struct flow_table *t, const struct flow *f)
{
	bool src = is_inside(t, &f->key.src), dst = is_inside(t, &f->key.dst);

	return src == dst ? FLOW_DIRECTION_UNKNOWN : src ? FLOW_EGRESS : FLOW_INGRESS;
}

void flow_set_forwarded(struct flow_table *t, struct flow *f)
{
	bool src = is_inside(t, &f->key.src), dst = is_inside(t, &f->key.dst);

	f->forwarded = true;
	if (src == dst)
		f->direction = FLOW_FORWARD;
	else
		f->direction = src ? FLOW_EGRESS : FLOW_INGRESS;
}

/* A live flow turns out to be opened by the other side: everything so far changes sides. */
void flow_orient_live(struct flow_table *t, struct flow *f)
{
	struct flow_half half = f->half[0];
	struct flow_tcp tcp = f->tcp[0];
	bool icmp = f->key.proto == IPPROTO_ICMP || f->key.proto == IPPROTO_ICMPV6;

	payload_stop(t, f);
	event_key_reverse(&f->key);
	translated_swap(f);
	f->half[0] = f->half[1];
	f->half[1] = half;
	if (icmp) {
		icmp_swap(&f->icmp);
	} else {
		f->tcp[0] = f->tcp[1];
		f->tcp[1] = tcp;
	}
	f->flags ^= FLOW_LOCAL_IS_DST;
	f->direction = f->flags & FLOW_LOCAL_IS_DST ? FLOW_REPLY : FLOW_EGRESS;
}

static enum idle_class first_class(const struct flow *f)
{
	if (f->live)
		return IDLE_LIVE;
	switch (f->key.proto) {
	case IPPROTO_TCP:
		return f->mid_stream ? IDLE_TCP : IDLE_TCP_WAIT;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		return IDLE_ICMP;
	default:
		return IDLE_UDP;
	}
}

/* Makes a flow of the event's key, `swap`: its dst opened it. NULL: no memory, counted. */
struct flow *flow_create(struct flow_table *t, const struct event *e, bool swap)
{
	struct flow *f = NULL;

	if ((t->n_flows + 1) * 4 > t->n_slots * 3 && !slots_grow(t) && t->n_flows + 1 >= t->n_slots)
		goto lost;
	while (!(f = pool_get(&t->flows)))
		if (!make_room(t))
			goto lost;
	f->key = e->key;
	f->live = event_is_live(t, e);
	f->owner_unknown = f->live && e->type != EVENT_OPEN;
	f->hash = key_hash(t, &f->key, f->live);
	if (swap)
		event_key_reverse(&f->key);
	if (swap && f->live)
		f->flags |= FLOW_LOCAL_IS_DST;
	f->id = t->next_id++;
	f->start_ns = f->last_ns = e->time_ns;
	f->touched_ns = f->reported_ns = t->now_ns;
	f->direction = !f->live ? capture_direction(t, f) : swap ? FLOW_REPLY : FLOW_EGRESS;
	if (f->key.proto == IPPROTO_TCP || f->key.proto == IPPROTO_UDP) {
		f->looking = 1 << TO_SERVER | 1 << TO_CLIENT;
		f->look_phase = LOOK_DETECT;
		f->payload_known = true;
	}
	f->idle_class = first_class(f);
	list_push_back(&t->idle[f->idle_class], &f->idle);
	list_push_back(&t->all, &f->all);
	list_push_back(&t->report, &f->report);
	slots_put(t->slots, t->n_slots, f->hash, f);
	t->n_flows++;
	t->stats.flows_total++;
	facts_dns_names(t, f);
	return f;
lost:
	t->stats.loss[LOSS_TABLE_FLOWS]++;
	return NULL;
}

void flow_touch(struct flow_table *t, struct flow *f)
{
	if (t->now_ns - f->touched_ns < TOUCH_EVERY_NS)
		return;
	f->touched_ns = t->now_ns;
	list_del(&f->idle);
	list_push_back(&t->idle[f->idle_class], &f->idle);
}

void flow_set_class(struct flow_table *t, struct flow *f, enum idle_class c)
{
	if (f->idle_class == c)
		return;
	f->idle_class = c;
	f->touched_ns = t->now_ns;
	list_del(&f->idle);
	list_push_back(&t->idle[c], &f->idle);
}

/* Writes the last record and forgets the flow. `end` counts only when nothing has ended it before. */
void flow_end(struct flow_table *t, struct flow *f, enum event_end end)
{
	payload_end(t, f);
	if (f->end == END_NONE)
		f->end = end;
	if (f->end == END_FIN || f->end == END_RESET || f->end == END_CLOSED)
		f->state = FLOW_CLOSED;
	else if (f->end == END_FAILED)
		f->state = f->half[TO_CLIENT].packets ? FLOW_CLOSED : FLOW_NEW;
	record_flow(t, f, true);
	slots_del(t, f);
	if (t->recent == f)
		t->recent = NULL;
	list_del(&f->idle);
	list_del(&f->all);
	list_del(&f->report);
	t->n_flows--;
	let_go(t, f);
	pool_put(&t->flows, f);
}

/* --- time --------------------------------------------------------------------------------------------------------- */

bool flow_idle_since(const struct flow_table *t, const struct flow *f, uint64_t now_ns)
{
	return f->idle_class != IDLE_LIVE && now_ns > f->last_ns &&
	       now_ns - f->last_ns > t->idle_ns[f->idle_class];
}

enum event_end flow_idle_end(const struct flow *f)
{
	return f->key.proto == IPPROTO_TCP && f->state == FLOW_NEW ? END_FAILED : END_TIMEOUT;
}

static void end_idle(struct flow_table *t, enum idle_class c)
{
	while (!list_empty(&t->idle[c])) {
		struct flow *f = container_of(t->idle[c].next, struct flow, idle);

		if (t->now_ns - f->touched_ns <= t->idle_ns[c])
			break;
		if (c == IDLE_LOG && t->now_ns <= f->last_ns + t->idle_ns[c]) {
			/* A log's flow lies in the future as long as it lasted: look again later. */
			f->touched_ns = t->now_ns;
			list_del(&f->idle);
			list_push_back(&t->idle[c], &f->idle);
			continue;
		}
		/* Moved up at most a second ago: its turn comes within the next. */
		if (!flow_idle_since(t, f, t->now_ns))
			break;
		flow_end(t, f, flow_idle_end(f));
	}
}

static void report_living(struct flow_table *t)
{
	while (!list_empty(&t->report)) {
		struct flow *f = container_of(t->report.next, struct flow, report);

		if (t->now_ns - f->reported_ns < t->cfg.report_every_ns)
			break;
		f->reported_ns = t->now_ns;
		list_del(&f->report);
		list_push_back(&t->report, &f->report);
		/* What only waits for stragglers is written when they had their time. */
		if (f->end == END_NONE && !(f->flags & FLOW_LOG))
			record_flow(t, f, false);
	}
}

static void write_stats(struct flow_table *t)
{
	struct flow_table_stats stats;
	struct record r = { .type = RECORD_STATS, .stats = &stats };

	flow_table_stats(t, &stats);
	record_emit(t, &r);
	t->next_stats_ns = t->now_ns + STATS_EVERY_NS;
}

/* The beat of the table, ten times a second of event time. */
static void tick(struct flow_table *t)
{
	if (!t->next_tick_ns) {
		/* Ids begin where the clock is, so that two runs of a daemon do not use the same ones. */
		t->next_id = (t->now_ns / NSEC_PER_MSEC & FLOW_ID_START_MASK) << 12 | 1;
		t->next_stats_ns = t->now_ns + STATS_EVERY_NS;
	}
	t->next_tick_ns = t->now_ns + NSEC_PER_SEC / 10;
	for (int c = 0; c < IDLE_LIVE; c++)
		end_idle(t, c);
	if (t->cfg.report_every_ns)
		report_living(t);
	drops_tick(t);
	tls_tick(t);
	if (t->now_ns >= t->next_stats_ns)
		write_stats(t);
	if (t->cfg.procs)
		proc_table_tick(t->cfg.procs, t->now_ns);
}

static void add_counts(struct event_counts *sum, const struct event_counts *c)
{
	sum->tx_packets += c->tx_packets;
	sum->tx_bytes += c->tx_bytes;
	sum->rx_packets += c->rx_packets;
	sum->rx_bytes += c->rx_bytes;
	sum->tx_payload += c->tx_payload == UINT64_MAX ? 0 : c->tx_payload;
	sum->rx_payload += c->rx_payload == UINT64_MAX ? 0 : c->rx_payload;
	sum->retransmits += c->retransmits;
	if (c->last_ns > sum->last_ns)
		sum->last_ns = c->last_ns;
}

static void loss_event(struct flow_table *t, const struct event_loss *l)
{
	if (l->reason < LOSS_COUNT)
		t->stats.loss[l->reason] += l->count;
	add_counts(&t->stats.unreported, &l->unreported);
}

static void proc_event(struct flow_table *t, const struct event *e)
{
	struct record r = { .type = RECORD_PACKET_SOCKET };
	struct proc *p;

	if (!t->cfg.procs)
		return;
	p = proc_table_event(t->cfg.procs, e);
	if (p && t->watch.on_exec && (e->proc.change == PROC_EXEC || e->proc.change == PROC_SEEN))
		t->watch.on_exec(t->watch.ctx, p, e->time_ns);
	if (!p || e->proc.change != PROC_PACKET_SOCKET)
		return;
	r.proc = p;
	record_emit(t, &r);
}

void flow_table_event(struct flow_table *t, const struct event *e)
{
	if (e->time_ns > t->now_ns)
		t->now_ns = e->time_ns;
	if (t->now_ns >= t->next_tick_ns)
		tick(t);
	switch (e->type) {
	case EVENT_PACKET:
		packet_event(t, e);
		break;
	case EVENT_OPEN:
		live_open(t, e);
		break;
	case EVENT_COUNT:
		live_count(t, e);
		break;
	case EVENT_CLOSE:
		live_close(t, e);
		break;
	case EVENT_PROC:
		proc_event(t, e);
		break;
	case EVENT_FACT:
		facts_event(t, e);
		break;
	case EVENT_VERDICT:
		judged_event(t, e);
		break;
	case EVENT_NAT:
		translated_event(t, e);
		break;
	case EVENT_LOSS:
		loss_event(t, &e->loss);
		break;
	case EVENT_TICK:
		break;
	}
}

void flow_table_finish(struct flow_table *t)
{
	while (!list_empty(&t->all))
		flow_end(t, container_of(t->all.next, struct flow, all), END_SHUTDOWN);
	drops_finish(t);
	write_stats(t);
}

void flow_table_stats(const struct flow_table *t, struct flow_table_stats *ret)
{
	*ret = t->stats;
	ret->flows_now = t->n_flows;
	ret->loss[LOSS_TABLE_NAMES] += name_table_lost(t->cfg.names);
	if (t->nat)
		ret->loss[LOSS_TABLE_NAT] += nat_table_lost(t->nat);
	if (t->cfg.machines)
		ret->loss[LOSS_TABLE_MACHINES] += machine_table_lost(t->cfg.machines);
	if (t->cfg.procs)
		ret->loss[LOSS_TABLE_PROCS] += proc_table_lost(t->cfg.procs);
	ret->memory_bytes = sizeof(*t) + t->n_slots * sizeof(*t->slots) + pool_bytes(&t->flows) +
			    pool_bytes(&t->nats) + pool_bytes(&t->streams) + t->stream_bytes +
			    sizeof(*t->dns) + TLS_HELLO_MAX;
}

struct flow *flow_table_of_socket(struct flow_table *t, const struct stdio *s)
{
	for (struct list *it = t->all.prev; it != &t->all; it = it->prev) {
		struct flow *f = container_of(it, struct flow, all);

		if (stdio_is_flow(s, f->cookie, &f->key))
			return f;
	}
	return NULL;
}

void flow_table_each(struct flow_table *t, void (*fn)(void *ctx, const struct flow *f), void *ctx)
{
	list_for_each(it, &t->all)
		fn(ctx, container_of(it, struct flow, all));
}
