/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "base/cleanup.h"
#include "flow/flow.h"
#include "store/row.h"
#include "store/sums.h"

static struct str either(struct str a, struct str b)
{
	return a.n ? a : b;
}

static struct str rule_words(const struct store_rule *r, struct store_key_scratch *scratch)
{
	if (r->text.n || !r->line)
		return r->text;
	snprintf(scratch->rule, sizeof(scratch->rule), "%.*s:%u", (int)MIN(r->file.n, (size_t)256),
		 r->file.p, r->line);
	return str_of(scratch->rule);
}

static struct str asn_word(uint32_t asn, struct store_key_scratch *scratch)
{
	if (!asn)
		return STR_NONE;
	snprintf(scratch->asn, sizeof(scratch->asn), "AS%u", asn);
	return str_of(scratch->asn);
}

void store_row_key(const struct store_row *row, struct store_key_scratch *scratch,
		   struct store_key *ret)
{
	const struct flow_verdict verdict = { .action = row->rule.action,
					      .would_refuse = row->rule.would_refuse };
	const struct store_who *who = &row->who;
	const struct addr *there = row->key_is_ours_dst ? &row->key.src : &row->key.dst;
	struct str *d = ret->dim;

	d[STORE_DIM_APP] = either(who->exe, who->comm);
	d[STORE_DIM_USER] = who->user;
	d[STORE_DIM_UNIT] = who->unit;
	d[STORE_DIM_CONTAINER] = either(who->container_name, who->container_id);
	d[STORE_DIM_SEGMENT] = row->peer.segment;
	d[STORE_DIM_NAME] = row->peer.name;
	if (!row->peer.name.n && !addr_is_unset(there))
		d[STORE_DIM_NAME] = str_of(addr_format(
			row->key_is_ours_dst ? &row->key.src : &row->key.dst, scratch->address));
	d[STORE_DIM_DOMAIN] = row->peer.domain;
	d[STORE_DIM_COUNTRY] = str_of(row->peer.country);
	d[STORE_DIM_ASN] = asn_word(row->peer.asn, scratch);
	d[STORE_DIM_PROTOCOL] = str_of(app_name((enum app_proto)row->app));
	d[STORE_DIM_DIRECTION] = str_of(flow_direction_name((enum flow_direction)row->direction));
	d[STORE_DIM_RULE] = rule_words(&row->rule, scratch);
	d[STORE_DIM_VERDICT] = str_of(flow_verdict_word(&verdict));
}
