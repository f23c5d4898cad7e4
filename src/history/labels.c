/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "flow/flow.h"
#include "base/cleanup.h"
#include "history/verbs.h"
#include "policy/locate.h"

/* Copied: the locator's answer lasts until the next question. */
static struct str segment_of(const struct portion *p, const struct addr *a,
			     char text[SEGMENT_TEXT_MAX])
{
	struct str s = locator_find(p->places, a)->segment;
	size_t n = MIN(s.n, (size_t)SEGMENT_TEXT_MAX);

	memcpy(text, s.p, n);
	return (struct str){ text, n };
}

static struct str label_of(const struct portion *p, unsigned dim, struct label_scratch *t)
{
	const struct store_row *row = p->row;

	if (dim < STORE_DIM_COUNT)
		return p->key->dim[dim];
	if (!row)
		return STR_NONE; /* of a time of which only sums are kept: the scan has said so */
	switch (dim) {
	case DIM_ADDRESS:
		return str_of(addr_format(row->key_is_ours_dst ? &row->key.src : &row->key.dst,
					  t->address));
	case DIM_HOST:
		if (row->host.n)
			return row->host;
		return str_of(addr_format(&row->key.src, t->host));
	case DIM_FROM:
		/* a call that was refused before it had an address */
		if (addr_is_unset(&row->key.src))
			return STR("(this host)");
		return segment_of(p, &row->key.src, t->from);
	case DIM_TO:
		return segment_of(p, &row->key.dst, t->to);
	case DIM_PORT:
		if (!flow_proto_has_ports(row->key.proto))
			return STR_NONE;
		snprintf(t->port, sizeof(t->port), "%u", row->key.dport);
		return str_of(t->port);
	default:
		return str_of(flow_proto_name(row->key.proto, t->proto));
	}
}

void labels_of(const struct portion *p, const unsigned *by, size_t n, struct label_scratch *scratch,
	       struct str *ret)
{
	for (size_t i = 0; i < n; i++)
		ret[i] = label_of(p, by[i], scratch);
}

void put_labels(struct json *j, const unsigned *by, size_t n, const struct group *g)
{
	for (size_t i = 0; i < n && !g->is_others; i++)
		json_str(j, question_dim_word(by[i]), g->key[i].p ? g->key[i] : STR(""));
	if (g->is_others)
		json_bool(j, "others", true);
}
