/* SPDX-License-Identifier: Apache-2.0 */
/*
 * EVENT_PACKET: which flow, which direction of it, its counters, and on to the decoders. The hottest path of an
 * offline run: nothing here allocates but a new flow.
 */
#include <netinet/in.h>

#include "decode/packet.h"
#include "flow/table.h"

/* Ports from 1024 on that clients do not choose at random (IANA, and what is seen). */
static bool is_service(uint16_t port)
{
	static const uint16_t known[] = {
		1080, 1194, 1433, 1521, 1883, 1900, 2049,  2375,  2376,  3128, 3306,
		3389, 4500, 5060, 5061, 5222, 5353, 5355,  5432,  5671,  5672, 5900,
		5984, 6379, 6443, 6667, 6697, 8000, 8008,  8080,  8086,  8088, 8443,
		8883, 8888, 9000, 9090, 9092, 9200, 11211, 27017, 51820,
	};

	if (port < 1024)
		return port != 0;
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (known[i] == port)
			return true;
	return false;
}

/* ICMP messages that answer another; `asked` is what they answer. */
static bool is_icmp_answer(uint8_t proto, uint16_t type, uint16_t asked)
{
	if (proto == IPPROTO_ICMP)
		return (type == 0 && asked == 8) || (type == 9 && asked == 10) ||
		       (type == 14 && asked == 13) || (type == 16 && asked == 15) ||
		       (type == 18 && asked == 17);
	return (type == 129 && asked == 128) || (type == 131 && asked == 130) ||
	       (type == 134 && asked == 133) || (type == 136 && asked == 135) ||
	       (type == 145 && asked == 144);
}

/* The first packet of a flow: was it sent by the side that answers? */
static bool is_answer(const struct event *e)
{
	const struct event_key *k = &e->key;
	uint8_t flags = e->packet.tcp_flags;

	if (addr_class(&k->dst) == ADDR_MULTICAST)
		return false;
	switch (k->proto) {
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		return is_icmp_answer(k->proto, k->sport, k->dport);
	case IPPROTO_TCP:
		if (flags & TCP_SYN)
			return flags & TCP_ACK;
		break;
	case IPPROTO_UDP:
	case IPPROTO_SCTP:
		break;
	default:
		return false;
	}
	return is_service(k->sport) && !is_service(k->dport);
}

static struct flow *first_packet(struct flow_table *t, const struct event *e,
				 enum flow_side *ret_side)
{
	bool live = e->dir != EVENT_DIR_NONE;
	bool swap = live ? false : is_answer(e);
	struct flow *f = flow_create(t, e, swap);

	if (!f)
		return NULL;
	*ret_side = live ? (e->dir == EVENT_DIR_TX ? TO_SERVER : TO_CLIENT)
			 : (swap ? TO_CLIENT : TO_SERVER);
	if (!live && e->key.proto == IPPROTO_TCP && !(e->packet.tcp_flags & TCP_SYN)) {
		f->mid_stream = true;
		f->state = FLOW_ESTABLISHED;
		flow_set_class(t, f, IDLE_TCP);
	}
	return f;
}

/* Has the flow that the packet's addresses name been over before it? */
static bool is_another(const struct flow_table *t, const struct flow *f, enum flow_side side,
		       const struct event *e, enum event_end *ret_end)
{
	*ret_end = flow_idle_end(f);
	if (flow_idle_since(t, f, e->time_ns))
		return true;
	return f->key.proto == IPPROTO_TCP && tcp_starts_anew(f, side, &e->packet);
}

static void count(struct flow *f, enum flow_side side, const struct event *e)
{
	struct flow_half *h = &f->half[side];

	h->packets += e->packet.packets;
	h->bytes += e->packet.ip_bytes;
	if (e->time_ns > f->last_ns)
		f->last_ns = e->time_ns;
	/* Both have spoken. */
	if (f->state == FLOW_NEW && f->key.proto != IPPROTO_TCP && f->half[!side].packets)
		f->state = FLOW_ESTABLISHED;
}

/* The opener's first bytes, where nothing is known to come before them. */
static void first_payload(struct flow *f, const struct event_packet *p)
{
	const struct flow_tcp *s = &f->tcp[TO_SERVER];

	if (f->first != FIRST_NONE || f->mid_stream || !p->payload.n ||
	    (f->app != APP_UNDECIDED && f->app != APP_UNKNOWN))
		return;
	if (f->key.proto == IPPROTO_TCP &&
	    (!(s->seen & SEEN_SYN) || p->seq + !!(p->tcp_flags & TCP_SYN) != s->isn + 1))
		return;
	f->first = first_bytes_class(p->payload);
}

void packet_event(struct flow_table *t, const struct event *e)
{
	const struct event_packet *p = &e->packet;
	enum flow_side side;
	enum event_end end;
	struct flow *f = flow_find(t, e, &side);
	enum app_proto before;
	uint32_t fresh = 0;

	t->stats.packets += p->packets;
	t->stats.bytes += p->packets ? p->ip_bytes : 0;
	if (f && is_another(t, f, side, e, &end)) {
		flow_end(t, f, end);
		f = NULL;
	}
	if (!f)
		f = first_packet(t, e, &side);
	if (!f)
		return;
	before = f->app;
	if (p->packets)
		count(f, side, e);
	if (f->key.proto == IPPROTO_TCP) {
		tcp_packet(t, f, side, e, &fresh);
		if (p->payload_bytes && f->looking & 1 << side)
			payload_segment(t, f, side, e, fresh);
	} else if (f->key.proto == IPPROTO_UDP) {
		if (p->packets)
			f->half[side].payload += p->payload_bytes;
		fresh = p->payload_bytes;
		if (p->payload.n && f->look_phase != LOOK_NONE)
			payload_datagram(t, f, side, p);
	} else {
		fresh = p->ip_bytes;
		if (f->key.proto == IPPROTO_ICMP || f->key.proto == IPPROTO_ICMPV6)
			icmp_message(f, side, p);
	}
	if (side == TO_SERVER && (f->key.proto == IPPROTO_TCP || f->key.proto == IPPROTO_UDP))
		first_payload(f, p);
	/* Pieces of payload that the kernel copied come again as counters. */
	if (fresh && p->packets && t->watch.on_data)
		t->watch.on_data(t->watch.ctx, f, side, fresh, e->time_ns);
	flow_touch(t, f);
	if (f->app != before && t->on_app)
		t->on_app(t->on_app_ctx, f);
}

void flow_table_watch(struct flow_table *t, struct flow_watch w)
{
	t->watch = w;
}

void flow_table_on_app(struct flow_table *t, void (*fn)(void *ctx, const struct flow *f), void *ctx)
{
	t->on_app = fn;
	t->on_app_ctx = ctx;
}
