/* SPDX-License-Identifier: Apache-2.0 */
#include "store/ipfix_msg.h"

#include <netinet/in.h>

#include "base/cleanup.h"
#include "base/time.h"
#include "flow/flow.h"
#include "flow/nat.h"

#define VERSION 10
#define SET_TEMPLATES 2
#define FIRST_TEMPLATE 256
#define VARIABLE 65535
#define REVERSE_PEN 29305
#define TEXT_MAX 128 /* of a user's or protocol's name */

/* Numbers of IANA's "IPFIX Information Elements". */
enum element {
	IE_OCTETS = 1,
	IE_PACKETS = 2,
	IE_PROTOCOL = 4,
	IE_TCP_FLAGS = 6,
	IE_SOURCE_PORT = 7,
	IE_SOURCE_V4 = 8,
	IE_INGRESS_IF = 10,
	IE_DEST_PORT = 11,
	IE_DEST_V4 = 12,
	IE_EGRESS_IF = 14,
	IE_SOURCE_V6 = 27,
	IE_DEST_V6 = 28,
	IE_ICMP_V4 = 32,
	IE_IP_VERSION = 60,
	IE_DIRECTION = 61,
	IE_APPLICATION = 96,
	IE_END_REASON = 136,
	IE_ICMP_V6 = 139,
	IE_FLOW_ID = 148,
	IE_START_MS = 152,
	IE_END_MS = 153,
	IE_NAT_SOURCE_V4 = 225,
	IE_NAT_DEST_V4 = 226,
	IE_NAT_SOURCE_PORT = 227,
	IE_NAT_DEST_PORT = 228,
	IE_FIREWALL_EVENT = 233,
	IE_BIFLOW_DIRECTION = 239,
	IE_NAT_SOURCE_V6 = 281,
	IE_NAT_DEST_V6 = 282,
	IE_USER = 371,
};

struct field {
	uint16_t element, length;
	bool reverse;
};

/*
 * Where they differ, rows of both families and of flows with ports and of ICMP stand side by side: holds() says which hold. What was
 * not translated has no row of NAT.
 */
enum { ALL, V4 = 1, V6 = 2, PORTS = 4, ICMP = 8, NAT = 16 };
static const struct row {
	struct field field;
	unsigned only;
} rows[] = {
	{ { IE_START_MS, 8 }, ALL },
	{ { IE_END_MS, 8 }, ALL },
	{ { IE_SOURCE_V4, 4 }, V4 },
	{ { IE_DEST_V4, 4 }, V4 },
	{ { IE_SOURCE_V6, 16 }, V6 },
	{ { IE_DEST_V6, 16 }, V6 },
	{ { IE_SOURCE_PORT, 2 }, PORTS },
	{ { IE_DEST_PORT, 2 }, PORTS },
	{ { IE_ICMP_V4, 2 }, V4 | ICMP },
	{ { IE_ICMP_V6, 2 }, V6 | ICMP },
	{ { IE_PROTOCOL, 1 }, ALL },
	{ { IE_IP_VERSION, 1 }, ALL },
	{ { IE_OCTETS, 8 }, ALL },
	{ { IE_PACKETS, 8 }, ALL },
	{ { IE_TCP_FLAGS, 1 }, PORTS },
	{ { IE_OCTETS, 8, true }, ALL },
	{ { IE_PACKETS, 8, true }, ALL },
	{ { IE_TCP_FLAGS, 1, true }, PORTS },
	{ { IE_END_REASON, 1 }, ALL },
	{ { IE_BIFLOW_DIRECTION, 1 }, ALL },
	{ { IE_DIRECTION, 1 }, ALL },
	{ { IE_INGRESS_IF, 4 }, ALL },
	{ { IE_EGRESS_IF, 4 }, ALL },
	{ { IE_FIREWALL_EVENT, 1 }, ALL },
	{ { IE_FLOW_ID, 8 }, ALL },
	{ { IE_APPLICATION, VARIABLE }, ALL },
	{ { IE_USER, VARIABLE }, ALL },
	{ { IE_NAT_SOURCE_V4, 4 }, V4 | NAT },
	{ { IE_NAT_DEST_V4, 4 }, V4 | NAT },
	{ { IE_NAT_SOURCE_V6, 16 }, V6 | NAT },
	{ { IE_NAT_DEST_V6, 16 }, V6 | NAT },
	{ { IE_NAT_SOURCE_PORT, 2 }, PORTS | NAT },
	{ { IE_NAT_DEST_PORT, 2 }, PORTS | NAT },
};

static const unsigned templates[] = { V4 | PORTS,      V6 | PORTS,       V4 | ICMP,
				      V6 | ICMP,       V4 | PORTS | NAT, V6 | PORTS | NAT,
				      V4 | ICMP | NAT, V6 | ICMP | NAT };

static bool holds(const struct row *r, unsigned template)
{
	return (r->only & template) == r->only;
}

/* ---- numbers, most significant byte first ---- */

static void put_number(struct buf *out, uint64_t v, size_t n)
{
	char bytes[8];

	for (size_t i = 0; i < n; i++)
		bytes[i] = (char)(v >> 8 * (n - 1 - i));
	buf_put(out, bytes, n);
}

void ipfix_set_u16(char *at, uint16_t v)
{
	at[0] = (char)(v >> 8);
	at[1] = (char)v;
}

void ipfix_set_u32(char *at, uint32_t v)
{
	ipfix_set_u16(at, (uint16_t)(v >> 16));
	ipfix_set_u16(at + 2, (uint16_t)v);
}

/* ---- head and templates ---- */

void ipfix_put_header(struct buf *out, uint32_t domain)
{
	put_number(out, VERSION, 2);
	put_number(out, 0, 2);
	put_number(out, 0, 8);
	put_number(out, domain, 4);
}

void ipfix_put_set(struct buf *out, uint16_t id)
{
	put_number(out, id, 2);
	put_number(out, 0, 2);
}

void ipfix_put_templates(struct buf *out)
{
	size_t at = out->n;

	ipfix_put_set(out, SET_TEMPLATES);
	for (size_t t = 0; t < ARRAY_SIZE(templates); t++) {
		unsigned n = 0;

		for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
			n += holds(&rows[i], templates[t]);
		put_number(out, FIRST_TEMPLATE + t, 2);
		put_number(out, n, 2);
		for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
			const struct field *f = &rows[i].field;

			if (!holds(&rows[i], templates[t]))
				continue;
			put_number(out, f->element | (f->reverse ? 0x8000 : 0), 2);
			put_number(out, f->length, 2);
			if (f->reverse)
				put_number(out, REVERSE_PEN, 4);
		}
	}
	if (!out->failed)
		ipfix_set_u16(out->p + at + 2, (uint16_t)(out->n - at));
}

uint16_t ipfix_template_of(const struct flow *f)
{
	bool icmp = f->key.proto == IPPROTO_ICMP || f->key.proto == IPPROTO_ICMPV6;

	return (uint16_t)(FIRST_TEMPLATE + !addr_is_v4(&f->key.src) + 2 * icmp +
			  4 * (f->nat != NULL));
}

/* ---- what a record says ---- */

/*
 * The flow's ends before NAT and after it. A flow is seen on one side, and "post" means after: of one that came in through NAT the ends
 * that are seen are those.
 */
static struct flow_nat ends_of(const struct flow *f, bool after)
{
	if (f->nat && f->nat->before != after)
		return *f->nat;
	return (struct flow_nat){
		.src = f->key.src, .dst = f->key.dst, .sport = f->key.sport, .dport = f->key.dport
	};
}

/* RFC 5102 5.11.3 */
static uint8_t end_reason(const struct ipfix_piece *p)
{
	enum { IDLE = 1, ACTIVE = 2, END = 3, FORCED = 4, RESOURCES = 5 };

	if (!p->ends)
		return ACTIVE;
	switch (p->flow->end) {
	case END_TIMEOUT:
		return IDLE;
	case END_SHUTDOWN:
		return FORCED;
	case END_FORCED:
		return RESOURCES;
	default:
		return END;
	}
}

/* IANA "firewallEvent": a flow was deleted, denied, or goes on. */
static uint8_t firewall_event(const struct ipfix_piece *p)
{
	enum { DELETED = 2, DENIED = 3, UPDATE = 5 };

	return p->flow->verdict.refused ? DENIED : p->ends ? DELETED : UPDATE;
}

/* Type and code; of those that are asked and answered the code is 0, and the key has the answer's type in its place. */
static uint16_t icmp_type_code(const struct event_key *k)
{
	return (uint16_t)(k->sport << 8 | (flow_icmp_is_asked(k->proto, k->sport) ? 0 : k->dport));
}

static uint64_t number_of(const struct ipfix_piece *p, const struct field *field)
{
	const struct flow *f = p->flow;
	bool ours = f->direction != FLOW_REPLY; /* opened by this host */

	switch (field->element) {
	case IE_START_MS:
		return p->from_ns / NSEC_PER_MSEC;
	case IE_END_MS:
		return p->to_ns / NSEC_PER_MSEC;
	case IE_SOURCE_PORT:
		return ends_of(f, false).sport;
	case IE_DEST_PORT:
		return ends_of(f, false).dport;
	case IE_NAT_SOURCE_PORT:
		return ends_of(f, true).sport;
	case IE_NAT_DEST_PORT:
		return ends_of(f, true).dport;
	case IE_ICMP_V4:
	case IE_ICMP_V6:
		return icmp_type_code(&f->key);
	case IE_PROTOCOL:
		return f->key.proto;
	case IE_IP_VERSION:
		return addr_is_v4(&f->key.src) ? 4 : 6;
	case IE_OCTETS:
		return p->bytes[field->reverse];
	case IE_PACKETS:
		return p->packets[field->reverse];
	case IE_TCP_FLAGS:
		return f->half[field->reverse].tcp_flags;
	case IE_END_REASON:
		return end_reason(p);
	case IE_BIFLOW_DIRECTION: /* RFC 5103 6.3: by who opened it; arbitrary where its beginning was not seen */
		return f->mid_stream ? 0 : 1;
	case IE_DIRECTION:
		return ours; /* 0 ingress, 1 egress */
	case IE_INGRESS_IF:
		return ours ? 0 : f->ifindex;
	case IE_EGRESS_IF:
		return ours ? f->ifindex : 0;
	case IE_FIREWALL_EVENT:
		return firewall_event(p);
	default:
		return f->id; /* IE_FLOW_ID */
	}
}

/* Variable length (RFC 7011 7). The type is UTF-8: what is none is left out. */
static void put_text(struct buf *out, struct str s)
{
	size_t n = 0, one;

	while (n < s.n && (one = str_utf8(str_sub(s, n, s.n))) && n + one <= TEXT_MAX)
		n += one;
	put_number(out, n, 1);
	buf_put(out, s.p, n);
}

static void put_field(struct buf *out, const struct ipfix_piece *p, const struct field *field)
{
	const struct flow *f = p->flow;

	switch (field->element) {
	case IE_SOURCE_V4:
		buf_put(out, ends_of(f, false).src.b + 12, 4);
		break;
	case IE_DEST_V4:
		buf_put(out, ends_of(f, false).dst.b + 12, 4);
		break;
	case IE_SOURCE_V6:
		buf_put(out, ends_of(f, false).src.b, 16);
		break;
	case IE_DEST_V6:
		buf_put(out, ends_of(f, false).dst.b, 16);
		break;
	case IE_NAT_SOURCE_V4:
		buf_put(out, ends_of(f, true).src.b + 12, 4);
		break;
	case IE_NAT_DEST_V4:
		buf_put(out, ends_of(f, true).dst.b + 12, 4);
		break;
	case IE_NAT_SOURCE_V6:
		buf_put(out, ends_of(f, true).src.b, 16);
		break;
	case IE_NAT_DEST_V6:
		buf_put(out, ends_of(f, true).dst.b, 16);
		break;
	case IE_APPLICATION:
		put_text(out, str_of(app_name(f->app)));
		break;
	case IE_USER:
		put_text(out, f->proc ? text_str(f->proc->user) : STR_NONE);
		break;
	default:
		put_number(out, number_of(p, field), field->length);
	}
}

void ipfix_put_record(struct buf *out, const struct ipfix_piece *p)
{
	unsigned template = templates[ipfix_template_of(p->flow) - FIRST_TEMPLATE];

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (holds(&rows[i], template))
			put_field(out, p, &rows[i].field);
}
