/* SPDX-License-Identifier: Apache-2.0 */
/* DNS messages: each becomes a record, and answers become names for the flows that follow them. */
#include "flow/table.h"

static bool is_multicast(const struct addr *a)
{
	return addr_class(a) == ADDR_MULTICAST;
}

/*
 * Who may use the names of a response? Live everybody on this host; in a capture the one it was sent to. A response
 * nobody asked for (sent by the opener) is only believed of mDNS, whose answers go to the group.
 */
static void learn(struct flow_table *t, struct flow *f, enum flow_side side,
		  const struct dns_message *m)
{
	const struct addr *to = side == TO_CLIENT ? &f->key.src : &f->key.dst;

	if (side == TO_SERVER && f->app != APP_MDNS)
		return;
	if (f->live || is_multicast(to))
		to = NULL;
	name_table_learn(t->cfg.names, to, m, t->now_ns);
}

/* `side` sent it. */
void dns_message_known(struct flow_table *t, struct flow *f, enum flow_side side,
		       const struct dns_message *m)
{
	struct record r = { .type = RECORD_DNS, .flow = f, .dns = m };

	if (m->response)
		learn(t, f, side, m);
	record_emit(t, &r);
}

static enum app_proto app_of_ports(const struct event_key *k)
{
	if (k->dport == 5353 || k->sport == 5353)
		return APP_MDNS;
	return k->dport == 5355 || k->sport == 5355 ? APP_LLMNR : APP_DNS;
}

/* False: it was no DNS message. */
bool dns_datagram(struct flow_table *t, struct flow *f, enum flow_side side, struct str bytes)
{
	if (dns_parse(bytes, t->dns) < 0)
		return false;
	if (f->app == APP_UNDECIDED)
		f->app = app_of_ports(&f->key);
	dns_message_known(t, f, side, t->dns);
	return true;
}

/* Messages over TCP, each behind its length (RFC 1035 4.2.2); gives the bytes that are done with. */
size_t dns_frames(struct flow_table *t, struct flow *f, enum flow_side side, struct str head,
		  bool *ret_bad)
{
	size_t at = 0;

	while (head.n - at >= 2) {
		const uint8_t *p = (const uint8_t *)head.p + at;
		size_t n = (size_t)p[0] << 8 | p[1];

		if (head.n - at - 2 < n)
			break;
		if (dns_parse(str_sub(head, at + 2, n), t->dns) < 0) {
			*ret_bad = true;
			return head.n;
		}
		dns_message_known(t, f, side, t->dns);
		at += 2 + n;
	}
	return at;
}
