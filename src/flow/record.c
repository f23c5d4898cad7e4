/* SPDX-License-Identifier: Apache-2.0 */
/* The way out of the flow stage, and the words that records use for what a flow is. */
#include <netinet/in.h>
#include <stdio.h>

#include "flow/table.h"

/* Time is now unless the record says otherwise. */
void record_emit(struct flow_table *t, struct record *r)
{
	if (!r->time_ns)
		r->time_ns = t->now_ns;
	t->out.on_record(t->out.ctx, r);
}

void record_flow(struct flow_table *t, struct flow *f, bool ends)
{
	struct record r = { .type = RECORD_FLOW, .flow = f, .flow_ends = ends };

	judged_capture(t, f);
	record_emit(t, &r);
	f->seq++;
}

const char *flow_direction_name(enum flow_direction d)
{
	switch (d) {
	case FLOW_EGRESS:
		return "egress";
	case FLOW_REPLY:
		return "reply";
	case FLOW_FORWARD:
		return "forward";
	case FLOW_INGRESS:
		return "ingress";
	case FLOW_DIRECTION_UNKNOWN:
		break;
	}
	return NULL;
}

const char *flow_end_name(enum event_end e)
{
	switch (e) {
	case END_TIMEOUT:
		return "timeout";
	case END_FIN:
		return "tcp_fin";
	case END_RESET:
		return "tcp_reset";
	case END_CLOSED:
		return "closed";
	case END_FAILED:
		return "failed";
	case END_SHUTDOWN:
		return "shutdown";
	case END_FORCED:
		return "forced";
	case END_NONE:
		break;
	}
	return NULL;
}

const char *flow_state_name(enum flow_state s)
{
	switch (s) {
	case FLOW_NEW:
		return "new";
	case FLOW_ESTABLISHED:
		return "established";
	case FLOW_CLOSED:
		break;
	}
	return "closed";
}

const char *flow_proto_name(uint8_t proto, char text[8])
{
	switch (proto) {
	case IPPROTO_TCP:
		return "TCP";
	case IPPROTO_UDP:
		return "UDP";
	case IPPROTO_ICMP:
		return "ICMP";
	case IPPROTO_ICMPV6:
		return "IPv6-ICMP";
	case IPPROTO_SCTP:
		return "SCTP";
	case IPPROTO_UDPLITE:
		return "UDPLite";
	case IPPROTO_DCCP:
		return "DCCP";
	case IPPROTO_IGMP:
		return "IGMP";
	case IPPROTO_GRE:
		return "GRE";
	case IPPROTO_ESP:
		return "ESP";
	case IPPROTO_AH:
		return "AH";
	case IPPROTO_PIM:
		return "PIM";
	case 89:
		return "OSPF";
	case 112:
		return "VRRP";
	default:
		snprintf(text, 8, "%u", proto);
		return text;
	}
}

bool flow_icmp_is_asked(uint8_t proto, uint16_t type)
{
	static const uint8_t v4[] = { 0, 8, 9, 10, 13, 14, 15, 16, 17, 18 };
	static const uint8_t v6[] = { 128, 129, 130, 131, 133, 134, 135, 136, 139, 140, 144, 145 };

	return type < 256 && (proto == IPPROTO_ICMP ? memchr(v4, type, sizeof(v4))
						    : memchr(v6, type, sizeof(v6)));
}

bool flow_proto_has_ports(uint8_t proto)
{
	return proto == IPPROTO_TCP || proto == IPPROTO_UDP || proto == IPPROTO_SCTP ||
	       proto == IPPROTO_UDPLITE || proto == IPPROTO_DCCP;
}
