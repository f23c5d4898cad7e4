/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/icmp.h"

#include <netinet/in.h>

#include "base/cleanup.h"
#include "base/hash.h"
#include "flow/flow.h"

#define HEADER 8
#define HASHED 120 /* as much as is handed on live */

static void bump(uint16_t *n)
{
	if (*n < UINT16_MAX)
		(*n)++;
}

static uint32_t hash_of(struct str data, uint32_t bytes)
{
	data = str_sub(data, 0, HASHED);
	return (uint32_t)hash_bytes(data.p, data.n, bytes);
}

static void ask(struct flow_icmp *i, uint32_t id, uint32_t hash)
{
	i->asked[i->next].id = id;
	i->asked[i->next].hash = hash;
	i->waiting |= (uint8_t)(1 << i->next);
	i->next = (i->next + 1) % FLOW_ICMP_ASKED;
}

static void answer(struct flow_icmp *i, uint32_t id, uint32_t hash)
{
	for (int at = 0; at < FLOW_ICMP_ASKED; at++) {
		if (!(i->waiting & 1 << at) || i->asked[at].id != id)
			continue;
		i->waiting &= (uint8_t) ~(1 << at);
		if (i->asked[at].hash != hash)
			bump(&i->differing);
		return;
	}
	bump(&i->unasked);
}

void icmp_message(struct flow *f, int side, const struct event_packet *p)
{
	struct flow_icmp *i = &f->icmp;
	uint32_t bytes, id;
	struct ping ping;
	uint16_t size;

	if (ping_parse(p->payload, f->key.proto == IPPROTO_ICMPV6, &ping) < 0 ||
	    p->payload_bytes < HEADER || ping.reply != (side == TO_CLIENT))
		return;
	bytes = p->payload_bytes - HEADER;
	size = (uint16_t)MIN(bytes, (uint32_t)UINT16_MAX);
	if (i->seen[side] && size != i->last[side])
		bump(&i->varied[side]);
	i->seen[side]++;
	i->last[side] = size;
	i->largest[side] = MAX(i->largest[side], size);
	i->kinds[side] |= (uint8_t)(1 << ping_data_class(ping.data));
	id = (uint32_t)ping.id << 16 | ping.number;
	if (ping.reply)
		answer(i, id, hash_of(ping.data, bytes));
	else
		ask(i, id, hash_of(ping.data, bytes));
}

void icmp_swap(struct flow_icmp *i)
{
	struct flow_icmp was = *i;

	for (int side = 0; side < 2; side++) {
		i->seen[side] = was.seen[!side];
		i->varied[side] = was.varied[!side];
		i->last[side] = was.last[!side];
		i->largest[side] = was.largest[!side];
		i->kinds[side] = was.kinds[!side];
	}
}

enum ping_data icmp_farthest(const struct flow_icmp *i, int side)
{
	enum ping_data v = PING_DATA_COUNT;

	while (v-- > PING_LITTLE)
		if (i->kinds[side] & 1 << v)
			return v;
	return PING_LITTLE;
}
