/* SPDX-License-Identifier: Apache-2.0 */
#include "store/clickhouse_row.h"

#include <endian.h>

#include "base/time.h"
#include "decode/appproto.h"
#include "decode/dns.h"
#include "flow/names.h"
#include "flow/verdict.h"
#include "store/pen.h"

/* The columns are those of store/clickhouse_table.c, in their order. */

/* ---- values ---- */

PEN void put_u8(struct pen *out, uint8_t v)
{
	pen_bytes(out, &v, sizeof(v));
}

PEN void put_u16(struct pen *out, uint16_t v)
{
	v = htole16(v);
	pen_bytes(out, &v, sizeof(v));
}

PEN void put_u32(struct pen *out, uint32_t v)
{
	v = htole32(v);
	pen_bytes(out, &v, sizeof(v));
}

PEN void put_u64(struct pen *out, uint64_t v)
{
	v = htole64(v);
	pen_bytes(out, &v, sizeof(v));
}

PEN void put_us(struct pen *out, uint64_t ns)
{
	put_u64(out, ns / NSEC_PER_USEC);
}

PEN void put_c(struct pen *out, const char *s)
{
	pen_text(out, str_of(s));
}

PEN void put_addr(struct pen *out, const struct addr *a)
{
	pen_bytes(out, a->b, sizeof(a->b));
}

/* What was separated by NULs becomes an array. */
PEN void put_parts(struct pen *out, struct str s)
{
	struct str rest = s, one;
	size_t n = 0;

	if (out->counts) { /* the number before a part of n bytes has 1 + n at most */
		out->most += LEB_MAX + 1 + 2 * s.n;
		return;
	}
	while (str_cut(&rest, 0, &one))
		n++;
	pen_number(out, n);
	while (str_cut(&s, 0, &one))
		pen_text(out, one);
}

/* ---- what several tables have ---- */

/* ts is a DateTime: 32 bits of seconds. */
PEN void put_begin(struct pen *out, struct str host, uint64_t boot, uint64_t time_ns)
{
	put_u32(out, (uint32_t)(time_ns / NSEC_PER_SEC));
	pen_text(out, host);
	put_u64(out, boot);
}

PEN void put_ends(struct pen *out, const struct store_row *row)
{
	const struct event_key *k = &row->key;
	bool in = row->key_is_ours_dst;

	put_u8(out, k->proto);
	put_addr(out, in ? &k->dst : &k->src);
	put_u16(out, in ? k->dport : k->sport);
	put_addr(out, in ? &k->src : &k->dst);
	put_u16(out, in ? k->sport : k->dport);
}

/* Nobody is known: zeros and no texts, with uid as the kernel says "none". */
PEN void put_who(struct pen *out, const struct store_who *w)
{
	put_u32(out, w->pid);
	put_u32(out, w->has_uid ? w->uid : UINT32_MAX);
	pen_text(out, w->user);
	pen_text(out, w->exe);
	pen_text(out, w->comm);
	pen_text(out, w->unit);
	pen_text(out, w->container_name);
	pen_text(out, w->container_image);
}

PEN void put_more_who(struct pen *out, const struct store_who *w)
{
	put_u32(out, w->ppid);
	put_us(out, w->start_ns);
	put_u8(out, w->exe_state);
	put_parts(out, w->args);
	pen_text(out, w->cgroup);
	pen_text(out, w->container_id);
	pen_text(out, w->container_runtime);
	pen_number(out, w->n_ancestors);
	for (size_t i = 0; i < w->n_ancestors; i++)
		put_u32(out, w->ancestors[i].pid);
	pen_number(out, w->n_ancestors);
	for (size_t i = 0; i < w->n_ancestors; i++)
		pen_text(out, w->ancestors[i].exe.n ? w->ancestors[i].exe : w->ancestors[i].comm);
}

PEN void put_peer(struct pen *out, const struct store_peer *p)
{
	pen_text(out, p->name);
	put_c(out, name_source_name((enum name_source)p->name_source));
	pen_text(out, p->domain);
	pen_text(out, p->segment);
	put_c(out, p->country);
	put_u32(out, p->asn);
}

PEN void put_rule(struct pen *out, const struct store_rule *r)
{
	put_c(out, verdict_action_name(r->action));
	put_u8(out, r->would_refuse);
	put_u8(out, r->refused);
	pen_text(out, r->file);
	put_u32(out, r->line);
	pen_text(out, r->text);
	pen_text(out, r->note);
}

/* ---- the tables ---- */

PEN void put_flow(struct pen *out, struct str host, const struct store_row *row)
{
	put_begin(out, host, row->boot, row->to_ns);
	put_u64(out, row->flow_id);
	put_u32(out, row->seq);
	put_u8(out, row->ends);
	put_us(out, row->start_ns);
	put_us(out, row->from_ns);
	put_us(out, row->to_ns);
	put_ends(out, row);
	put_u64(out, row->key.zone);
	put_u8(out, row->key_is_ours_dst);
	put_u8(out, row->forwarded);
	put_u64(out, row->up_bytes);
	put_u64(out, row->down_bytes);
	put_u64(out, row->up_packets);
	put_u64(out, row->down_packets);
	put_u8(out, row->payload_known);
	put_u64(out, row->up_payload);
	put_u64(out, row->down_payload);
	put_u8(out, row->tcp_flags[0]);
	put_u8(out, row->tcp_flags[1]);
	put_u32(out, row->retransmits);
	put_u32(out, row->resets);
	put_u32(out, row->rtt_us);
	put_u8(out, row->state);
	put_u8(out, row->end);
	put_u8(out, row->direction);
	put_u8(out, row->mid_stream);
	put_u32(out, row->ifindex);
	put_c(out, app_name((enum app_proto)row->app));
	put_who(out, &row->who);
	put_more_who(out, &row->who);
	put_peer(out, &row->peer);
	pen_number(out, row->peer.n_names);
	for (size_t i = 0; i < row->peer.n_names; i++)
		pen_text(out, row->peer.names[i]);
	pen_text(out, row->peer.as_org);
	put_rule(out, &row->rule);
	pen_text(out, row->ja3);
	pen_text(out, row->ja4);
}

PEN void put_verdict(struct pen *out, struct str host, const struct store_row *row)
{
	put_begin(out, host, row->boot, row->to_ns);
	put_u64(out, row->flow_id);
	put_u32(out, row->seq);
	put_us(out, row->from_ns);
	put_us(out, row->to_ns);
	put_ends(out, row);
	put_u8(out, row->key_is_ours_dst);
	put_u8(out, row->forwarded);
	put_c(out, app_name((enum app_proto)row->app));
	put_u64(out, row->refused_calls);
	put_u64(out, row->refused_packets);
	put_u64(out, row->refused_bytes);
	put_who(out, &row->who);
	put_peer(out, &row->peer);
	put_rule(out, &row->rule);
}

PEN void put_name(struct pen *out, struct str host, const struct store_name *name)
{
	char text[16];

	put_begin(out, host, name->boot, name->time_ns);
	put_us(out, name->time_ns);
	put_u64(out, name->flow_id);
	put_addr(out, &name->resolver);
	put_u16(out, name->port);
	pen_text(out, name->name);
	put_c(out, dns_type_name(name->type, text));
	put_c(out, dns_rcode_name(name->rcode, text));
	pen_number(out, name->n_answers);
	for (size_t i = 0; i < name->n_answers; i++)
		pen_text(out, name->answers[i]);
	put_u32(out, name->ttl);
	put_who(out, &name->who);
}

PEN void put_finding(struct pen *out, struct str host, const struct store_finding *f)
{
	put_begin(out, host, f->boot, f->time_ns);
	put_us(out, f->time_ns);
	pen_text(out, f->id);
	pen_text(out, f->state);
	pen_text(out, f->level);
	pen_text(out, f->class);
	pen_text(out, f->detector);
	put_u32(out, (uint32_t)f->score_db);
	put_u8(out, f->acked);
	pen_text(out, f->entity);
	pen_text(out, f->peer);
	pen_text(out, f->name);
	put_addr(out, &f->addr);
	pen_text(out, f->record);
}

PEN void put_host(struct pen *out, struct str host, const struct store_host *h)
{
	put_begin(out, host, h->boot, h->time_ns);
	put_us(out, h->time_ns);
	pen_text(out, h->version);
	pen_text(out, h->watch);
	pen_text(out, h->policy_mode);
	pen_text(out, h->policy_file);
	put_u32(out, h->policy_rules);
	put_u64(out, h->uptime_s);
	put_u64(out, h->flows);
	put_u64(out, h->lost);
	put_u64(out, h->lost_spool);
	put_u64(out, h->waiting);
	put_u64(out, h->spool_bytes);
}

PEN void put_policy(struct pen *out, struct str host, const struct store_policy *p)
{
	put_begin(out, host, p->boot, p->time_ns);
	put_us(out, p->time_ns);
	put_u64(out, p->version);
	pen_text(out, p->group);
	pen_text(out, p->stage);
	pen_text(out, p->state);
	pen_text(out, p->reason);
	pen_text(out, p->file);
	put_u32(out, p->rules);
	put_u64(out, p->before_hour);
	put_u64(out, p->after_hour);
	put_u64(out, p->watched);
	put_u64(out, p->would_refuse);
}

#define TABLE(table, kind)                                            \
	void clickhouse_put_##table(struct buf *out, struct str host, \
				    const struct store_##kind *v)     \
	{                                                             \
		struct pen counted = { .counts = true }, pen;         \
                                                                      \
		put_##table(&counted, host, v);                       \
		if (!pen_begin(&pen, out, &counted))                  \
			return;                                       \
		put_##table(&pen, host, v);                           \
		pen_end(&pen, out);                                   \
	}

TABLE(flow, row)
TABLE(verdict, row)
TABLE(name, name)
TABLE(finding, finding)
TABLE(host, host)
TABLE(policy, policy)
