/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records of the ring buffer to events. The kernel's side wrote them: their layout is trusted, but not the texts and
 * bytes that came from packets and processes.
 */
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "attach/internal.h"
#include "base/log.h"
#include "base/time.h"
#include "decode/packet.h"

void attach_emit(struct attach *a, const struct event *e)
{
	a->events++;
	a->out.on_event(a->out.ctx, e);
}

void attach_key(struct event_key *ret, const struct eg_key *k, uint64_t zone)
{
	memcpy(ret->src.b, k->local, 16);
	memcpy(ret->dst.b, k->remote, 16);
	ret->sport = k->lport;
	ret->dport = k->rport;
	ret->proto = k->proto;
	ret->zone = zone;
}

static void fill_owner(struct event_open *o, const struct eg_owner *owner, uint32_t flags)
{
	o->pid = owner->pid;
	o->proc_start_ns = owner->start_ns;
	o->uid = owner->uid;
	o->gid = owner->gid;
	o->cgroup_id = owner->cgroup_id;
	o->inbound = flags & EG_INBOUND;
	o->mid_stream = flags & EG_MIDSTREAM;
	o->forwarded = flags & EG_FORWARDED;
	o->owner_unknown = !(flags & EG_OWNED);
}

static void fill_names(struct attach *a, struct event_open *o, const __u64 names[EG_ADDR_NAMES])
{
	struct attach_name *slot[EVENT_NAMES_MAX];

	_Static_assert(EVENT_NAMES_MAX >= EG_ADDR_NAMES, "names of an address");
	for (size_t i = 0; i < EG_ADDR_NAMES && names[i]; i++) {
		bool clash = false;

		/* the cache is direct-mapped: two names of one address may want the same slot */
		slot[o->n_names] = &a->names[names[i] % ATTACH_NAMES];
		for (size_t j = 0; j < o->n_names; j++)
			clash |= slot[j] == slot[o->n_names];
		if (clash)
			continue;
		o->names[o->n_names] = attach_name(a, names[i]);
		if (o->names[o->n_names].n)
			o->n_names++;
	}
}

void attach_fill_open(struct attach *a, struct event_open *to, const struct eg_open *o,
		      const char *comm)
{
	to->cookie = o->cookie;
	to->ifindex = o->ifindex;
	fill_owner(to, &o->owner, o->rec.flags);
	if (comm)
		to->comm = (struct str){ comm, strnlen(comm, 16) };
	fill_names(a, to, o->names);
}

void attach_emit_open(struct attach *a, const struct eg_open *o, const char *comm)
{
	struct event e = { .type = EVENT_OPEN, .time_ns = attach_unix(a, o->rec.time_ns) };

	held_open(a, o);
	attach_key(&e.key, &o->key, o->zone);
	attach_fill_open(a, &e.open, o, comm);
	attach_emit(a, &e);
}

void attach_open_from(struct attach *a, const struct eg_close *c)
{
	struct eg_open o = {
		.rec = c->rec,
		.key = c->key,
		.zone = c->zone,
		.cookie = c->cookie,
		.owner = c->owner,
	};
	uint64_t names[EG_ADDR_NAMES] = { 0 };

	attach_names_of(a, o.key.remote, names);
	memcpy(o.names, names, sizeof(o.names));
	attach_emit_open(a, &o, NULL);
}

static void fill_counts(struct attach *a, struct event_counts *n, const struct eg_close *c)
{
	n->tx_packets = c->n.tx_packets;
	n->tx_bytes = c->n.tx_bytes;
	n->rx_packets = c->n.rx_packets;
	n->rx_bytes = c->n.rx_bytes;
	n->tx_payload = c->tx_payload;
	n->rx_payload = c->rx_payload;
	n->retransmits = c->retransmits;
	n->rtt_us = c->rtt_us;
	n->tx_tcp_flags = c->tx_tcp;
	n->rx_tcp_flags = c->rx_tcp;
	n->last_ns = attach_unix_of_tick(a, c->last_tick);
}

void attach_emit_count(struct attach *a, const struct eg_close *c)
{
	struct event e = { .type = EVENT_COUNT, .time_ns = attach_unix(a, c->rec.time_ns) };

	attach_key(&e.key, &c->key, c->zone);
	fill_counts(a, &e.count, c);
	attach_emit(a, &e);
}

void attach_emit_close(struct attach *a, const struct eg_close *c, enum event_end end)
{
	struct event e = { .type = EVENT_CLOSE, .time_ns = attach_unix(a, c->rec.time_ns) };

	attach_key(&e.key, &c->key, c->zone);
	fill_counts(a, &e.close.counts, c);
	e.close.end = end;
	attach_emit(a, &e);
}

void attach_emit_unreported(struct attach *a, const struct eg_counts *n)
{
	struct event e = { .type = EVENT_LOSS, .time_ns = time_now() };

	e.loss.reason = LOSS_RING_FLOW; /* none was lost: there is no flow to put it in */
	e.loss.unreported.tx_packets = n->tx_packets;
	e.loss.unreported.tx_bytes = n->tx_bytes;
	e.loss.unreported.rx_packets = n->rx_packets;
	e.loss.unreported.rx_bytes = n->rx_bytes;
	attach_emit(a, &e);
}

enum event_end attach_end_of(const struct eg_close *c)
{
	uint8_t flags = c->tx_tcp | c->rx_tcp;
	bool inbound = c->rec.flags & EG_INBOUND;

	if (c->key.proto != IPPROTO_TCP)
		return END_CLOSED;
	if (!(c->rec.flags & EG_MIDSTREAM) && !inbound && !(c->rx_tcp & TCP_SYN))
		return END_FAILED;
	if (flags & TCP_RST)
		return END_RESET;
	return flags & TCP_FIN ? END_FIN : END_TIMEOUT;
}

void attach_on_close(struct attach *a, const struct eg_close *c)
{
	if ((c->rec.flags & EG_HAS_PEERS) && a->n_closing < ATTACH_CLOSING)
		a->closing[a->n_closing++] = c->cookie;
	if (!(c->rec.flags & EG_KEYED))
		return;
	attach_verdict_of(a, c);
	if (c->tail)
		held_add(a, c);
	else
		attach_emit_close(a, c, attach_end_of(c));
}

/* A direction's first bytes come after its SYN, as in a capture: then the stream's start is known. */
static void emit_syn(struct attach *a, const struct event *data, const struct eg_data *d)
{
	struct event e = *data;

	e.packet = (struct event_packet){ .seq = d->isn, .tcp_flags = TCP_SYN };
	attach_emit(a, &e);
}

static void on_data(struct attach *a, const struct eg_data *d, size_t room)
{
	struct event e = { .type = EVENT_PACKET, .time_ns = attach_unix(a, d->rec.time_ns) };

	attach_key(&e.key, &d->key, d->zone);
	e.dir = d->what & EG_DATA_TX ? EVENT_DIR_TX : EVENT_DIR_RX;
	if (d->key.proto == IPPROTO_TCP && (d->what & EG_DATA_FIRST))
		emit_syn(a, &e, d);
	e.packet.seq = d->seq;
	e.packet.ack = d->ack;
	e.packet.tcp_flags = d->tcp_flags & ~TCP_SYN;
	e.packet.payload = (struct str){ (const char *)(d + 1), d->len < room ? d->len : room };
	e.packet.payload_bytes = d->payload_bytes;
	e.packet.cut = e.packet.payload.n < d->payload_bytes;
	attach_emit(a, &e);
}

int attach_on_record(void *ctx, void *data, size_t size)
{
	const struct eg_rec *rec = data;
	struct attach *a = ctx;

	switch (rec->type) {
	case EG_REC_OPEN:
		attach_emit_open(a, data, ((struct eg_open *)data)->comm);
		attach_emit_verdict(a, data);
		break;
	case EG_REC_REFUSAL:
		attach_on_refusal(a, data);
		break;
	case EG_REC_CLOSE:
		attach_on_close(a, data);
		break;
	case EG_REC_TAIL:
		held_tail(a, data);
		break;
	case EG_REC_DATA:
		on_data(a, data, size - sizeof(struct eg_data));
		break;
	case EG_REC_FORK:
		attach_emit_proc(a, data, PROC_FORK);
		break;
	case EG_REC_EXIT:
		attach_emit_proc(a, data, PROC_EXIT);
		break;
	case EG_REC_EXEC: {
		const struct eg_exec *x = data;

		attach_emit_exec(a, x, PROC_EXEC, (struct str){ x->args, x->args_len });
		break;
	}
	case EG_REC_PACKET_SOCKET:
		if (((struct eg_proc *)data)->packet_proto == ~0U)
			a->scan_packet_socks = true;
		else
			attach_emit_proc(a, data, PROC_PACKET_SOCKET);
		break;
	default:
		log_debug("attach: a record of unknown type %u, ignoring", rec->type);
	}
	return 0;
}
