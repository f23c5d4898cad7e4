/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Flows of sockets: who opened them (EVENT_OPEN), what the kernel counted (EVENT_COUNT, EVENT_CLOSE). A log's
 * EVENT_CLOSE, which is the whole flow at once, is handled here too: it differs only in staying for its facts.
 */
#include <netinet/in.h>

#include "base/time.h"
#include "flow/machines.h"
#include "flow/table.h"

/* How long a name holds that came with a socket and not with a DNS message of its own. */
#define KERNEL_NAME_NS (300 * NSEC_PER_SEC)

static enum flow_side local_side(const struct flow *f)
{
	return f->flags & FLOW_LOCAL_IS_DST ? TO_CLIENT : TO_SERVER;
}

void live_learn_names(struct flow_table *t, const struct event *e, const struct event_open *o)
{
	for (size_t i = o->n_names < EVENT_NAMES_MAX ? o->n_names : EVENT_NAMES_MAX; i-- > 0;)
		name_table_add(t->cfg.names, NULL, &e->key.dst, o->names[i], NAME_DNS, e->time_ns,
			       e->time_ns + KERNEL_NAME_NS);
}

static void own(struct flow_table *t, struct flow *f, const struct event *e)
{
	const struct event_open *o = &e->open;
	struct proc *p;

	if (o->ifindex)
		f->ifindex = o->ifindex;
	if (o->cookie)
		f->cookie = o->cookie;
	/* A socket may be passed on: whoever took it up last is the one who uses it. */
	if (!o->owner_unknown && t->cfg.procs) {
		p = proc_ref(proc_table_find(t->cfg.procs, o, e->time_ns));
		if (p && f->proc)
			proc_put(t->cfg.procs, f->proc);
		if (p)
			f->proc = p;
	}
	f->owner_unknown = !f->proc && !o->forwarded;
}

void live_open(struct flow_table *t, const struct event *e)
{
	const struct event_open *o = &e->open;
	enum flow_side side;
	struct flow *f = flow_find(t, e, &side);

	if (f && f->cookie && o->cookie && f->cookie != o->cookie) {
		flow_end(t, f, END_CLOSED);
		f = NULL;
	}
	live_learn_names(t, e, o);
	if (!f) {
		f = flow_create(t, e, o->inbound);
		if (!f)
			return;
	} else if (o->inbound != !!(f->flags & FLOW_LOCAL_IS_DST)) {
		flow_orient_live(t, f);
	}
	if (o->forwarded) {
		flow_set_forwarded(t, f);
		translated_find(t, f);
		if (t->cfg.machines && !f->machine)
			f->machine = machine_table_get(t->cfg.machines, &e->key.src);
	}
	f->mid_stream |= o->mid_stream;
	if (o->mid_stream && f->key.proto == IPPROTO_TCP)
		f->state = FLOW_ESTABLISHED;
	own(t, f, e);
	if (!f->n_names)
		facts_dns_names(t, f);
	if (f->proc && t->watch.on_open)
		t->watch.on_open(t->watch.ctx, f);
}

static void set_half(struct flow_table *t, struct flow_half *h, uint64_t packets, uint64_t bytes,
		     uint64_t payload, uint8_t flags)
{
	/* Counters only grow; what an older notice still says is in the newer one. */
	if (packets > h->packets) {
		t->stats.packets += packets - h->packets;
		h->packets = packets;
	}
	if (bytes > h->bytes) {
		t->stats.bytes += bytes - h->bytes;
		h->bytes = bytes;
	}
	if (payload != UINT64_MAX && payload > h->payload)
		h->payload = payload;
	h->tcp_flags |= flags;
}

static uint64_t moved(const struct flow *f, enum flow_side side)
{
	return flow_proto_has_ports(f->key.proto) ? f->half[side].payload : f->half[side].bytes;
}

static void set_counts(struct flow_table *t, struct flow *f, enum flow_side local,
		       const struct event_counts *c)
{
	uint64_t before[2] = { moved(f, TO_SERVER), moved(f, TO_CLIENT) };

	set_half(t, &f->half[local], c->tx_packets, c->tx_bytes, c->tx_payload, c->tx_tcp_flags);
	set_half(t, &f->half[!local], c->rx_packets, c->rx_bytes, c->rx_payload, c->rx_tcp_flags);
	f->payload_known = c->tx_payload != UINT64_MAX && c->rx_payload != UINT64_MAX;
	if (c->retransmits > f->retransmits)
		f->retransmits = c->retransmits;
	if (c->rtt_us)
		f->rtt_us = c->rtt_us;
	if (c->last_ns > f->last_ns)
		f->last_ns = c->last_ns;
	if (f->state == FLOW_NEW && f->half[TO_SERVER].packets && f->half[TO_CLIENT].packets)
		f->state = FLOW_ESTABLISHED;
	f->flags |= FLOW_COUNTED;
	for (enum flow_side side = TO_SERVER; f->live && t->watch.on_data && side <= TO_CLIENT;
	     side++)
		if (moved(f, side) > before[side])
			t->watch.on_data(t->watch.ctx, f, side, moved(f, side) - before[side],
					 f->last_ns);
}

void live_count(struct flow_table *t, const struct event *e)
{
	enum flow_side side;
	struct flow *f = flow_find(t, e, &side);

	if (!f)
		f = flow_create(t, e, false);
	if (!f)
		return;
	set_counts(t, f, local_side(f), &e->count);
	flow_touch(t, f);
}

/* Refused, or never answered: then it was no conversation. */
static enum event_end close_reason(const struct flow *f, enum event_end told)
{
	if (f->key.proto == IPPROTO_TCP && !f->half[TO_CLIENT].packets && !f->mid_stream &&
	    (told == END_CLOSED || told == END_TIMEOUT || told == END_NONE))
		return END_FAILED;
	return told == END_NONE ? END_CLOSED : told;
}

static void close_log(struct flow_table *t, struct flow *f, enum flow_side side,
		      const struct event *e)
{
	f->flags |= FLOW_LOG;
	if (!(f->flags & FLOW_COUNTED) || e->time_ns < f->start_ns)
		f->start_ns = e->time_ns;
	if (e->close.app != APP_UNDECIDED && f->app == APP_UNDECIDED)
		f->app = e->close.app;
	set_counts(t, f, side, &e->close.counts);
	f->end = e->close.end;
	payload_stop(t, f);
	flow_set_class(t, f, IDLE_LOG);
}

void live_close(struct flow_table *t, const struct event *e)
{
	enum flow_side side = TO_SERVER;
	struct flow *f = flow_find(t, e, &side);

	if (!f)
		f = flow_create(t, e, false);
	if (!f)
		return;
	if (!f->live) {
		close_log(t, f, side, e);
		return;
	}
	set_counts(t, f, local_side(f), &e->close.counts);
	if (e->close.app != APP_UNDECIDED && f->app == APP_UNDECIDED)
		f->app = e->close.app;
	if (e->close.end == END_RESET)
		f->resets++;
	flow_end(t, f, close_reason(f, e->close.end));
}
