/* SPDX-License-Identifier: Apache-2.0 */
#include "store/clickhouse_row.h"

#include <endian.h>

#include "base/time.h"
#include "decode/appproto.h"
#include "decode/dns.h"
#include "flow/names.h"
#include "flow/verdict.h"
#include "store/leb.h"

/* The columns are those of store/clickhouse_table.c, in their order. */

/* ---- values ---- */

static void put_u8(struct buf *out, uint8_t v)
{
	buf_put(out, &v, sizeof(v));
}

static void put_u16(struct buf *out, uint16_t v)
{
	v = htole16(v);
	buf_put(out, &v, sizeof(v));
}

static void put_u32(struct buf *out, uint32_t v)
{
	v = htole32(v);
	buf_put(out, &v, sizeof(v));
}

static void put_u64(struct buf *out, uint64_t v)
{
	v = htole64(v);
	buf_put(out, &v, sizeof(v));
}

static void put_us(struct buf *out, uint64_t ns)
{
	put_u64(out, ns / NSEC_PER_USEC);
}

static void put_count(struct buf *out, uint64_t n)
{
	leb_append(out, n);
}

static void put_text(struct buf *out, struct str s)
{
	put_count(out, s.n);
	buf_put_str(out, s);
}

static void put_c(struct buf *out, const char *s)
{
	put_text(out, str_of(s));
}

static void put_addr(struct buf *out, const struct addr *a)
{
	buf_put(out, a->b, sizeof(a->b));
}

/* What was separated by NULs becomes an array. */
static void put_parts(struct buf *out, struct str s)
{
	struct str rest = s, one;
	size_t n = 0;

	while (str_cut(&rest, 0, &one))
		n++;
	put_count(out, n);
	while (str_cut(&s, 0, &one))
		put_text(out, one);
}

/* ---- what several tables have ---- */

/* ts is a DateTime: 32 bits of seconds. */
static void put_begin(struct buf *out, struct str host, uint64_t boot, uint64_t time_ns)
{
	put_u32(out, (uint32_t)(time_ns / NSEC_PER_SEC));
	put_text(out, host);
	put_u64(out, boot);
}

static void put_ends(struct buf *out, const struct store_row *row)
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
static void put_who(struct buf *out, const struct store_who *w)
{
	put_u32(out, w->pid);
	put_u32(out, w->has_uid ? w->uid : UINT32_MAX);
	put_text(out, w->user);
	put_text(out, w->exe);
	put_text(out, w->comm);
	put_text(out, w->unit);
	put_text(out, w->container_name);
	put_text(out, w->container_image);
}

static void put_more_who(struct buf *out, const struct store_who *w)
{
	put_u32(out, w->ppid);
	put_us(out, w->start_ns);
	put_u8(out, w->exe_state);
	put_parts(out, w->args);
	put_text(out, w->cgroup);
	put_text(out, w->container_id);
	put_text(out, w->container_runtime);
	put_count(out, w->n_ancestors);
	for (size_t i = 0; i < w->n_ancestors; i++)
		put_u32(out, w->ancestors[i].pid);
	put_count(out, w->n_ancestors);
	for (size_t i = 0; i < w->n_ancestors; i++)
		put_text(out, w->ancestors[i].exe.n ? w->ancestors[i].exe : w->ancestors[i].comm);
}

static void put_peer(struct buf *out, const struct store_peer *p)
{
	put_text(out, p->name);
	put_c(out, name_source_name((enum name_source)p->name_source));
	put_text(out, p->domain);
	put_text(out, p->segment);
	put_c(out, p->country);
	put_u32(out, p->asn);
}

static void put_rule(struct buf *out, const struct store_rule *r)
{
	put_c(out, verdict_action_name(r->action));
	put_u8(out, r->would_refuse);
	put_u8(out, r->refused);
	put_text(out, r->file);
	put_u32(out, r->line);
	put_text(out, r->text);
	put_text(out, r->note);
}

/* ---- the tables ---- */

void clickhouse_put_flow(struct buf *out, struct str host, const struct store_row *row)
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
	put_count(out, row->peer.n_names);
	for (size_t i = 0; i < row->peer.n_names; i++)
		put_text(out, row->peer.names[i]);
	put_text(out, row->peer.as_org);
	put_rule(out, &row->rule);
	put_text(out, row->ja3);
	put_text(out, row->ja4);
}

void clickhouse_put_verdict(struct buf *out, struct str host, const struct store_row *row)
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

void clickhouse_put_name(struct buf *out, struct str host, const struct store_name *name)
{
	char text[16];

	put_begin(out, host, name->boot, name->time_ns);
	put_us(out, name->time_ns);
	put_u64(out, name->flow_id);
	put_addr(out, &name->resolver);
	put_u16(out, name->port);
	put_text(out, name->name);
	put_c(out, dns_type_name(name->type, text));
	put_c(out, dns_rcode_name(name->rcode, text));
	put_count(out, name->n_answers);
	for (size_t i = 0; i < name->n_answers; i++)
		put_text(out, name->answers[i]);
	put_u32(out, name->ttl);
	put_who(out, &name->who);
}

void clickhouse_put_finding(struct buf *out, struct str host, const struct store_finding *f)
{
	put_begin(out, host, f->boot, f->time_ns);
	put_us(out, f->time_ns);
	put_text(out, f->id);
	put_text(out, f->state);
	put_text(out, f->level);
	put_text(out, f->class);
	put_text(out, f->detector);
	put_u32(out, (uint32_t)f->score_db);
	put_u8(out, f->acked);
	put_text(out, f->entity);
	put_text(out, f->peer);
	put_text(out, f->name);
	put_addr(out, &f->addr);
	put_text(out, f->record);
}

void clickhouse_put_host(struct buf *out, struct str host, const struct store_host *h)
{
	put_begin(out, host, h->boot, h->time_ns);
	put_us(out, h->time_ns);
	put_text(out, h->version);
	put_text(out, h->watch);
	put_text(out, h->policy_mode);
	put_text(out, h->policy_file);
	put_u32(out, h->policy_rules);
	put_u64(out, h->uptime_s);
	put_u64(out, h->flows);
	put_u64(out, h->lost);
	put_u64(out, h->lost_spool);
	put_u64(out, h->waiting);
	put_u64(out, h->spool_bytes);
}

void clickhouse_put_policy(struct buf *out, struct str host, const struct store_policy *p)
{
	put_begin(out, host, p->boot, p->time_ns);
	put_us(out, p->time_ns);
	put_u64(out, p->version);
	put_text(out, p->group);
	put_text(out, p->stage);
	put_text(out, p->state);
	put_text(out, p->reason);
	put_text(out, p->file);
	put_u32(out, p->rules);
	put_u64(out, p->before_hour);
	put_u64(out, p->after_hour);
	put_u64(out, p->watched);
	put_u64(out, p->would_refuse);
}
