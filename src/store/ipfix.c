/* SPDX-License-Identifier: Apache-2.0 */
#include "store/ipfix.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "base/list.h"
#include "base/pool.h"
#include "base/time.h"
#include "flow/record.h"
#include "store/ipfix_msg.h"
#include "store/outlet.h"

#define QUEUE_MAX (1U << 20)
#define FLUSH_AT (64U << 10)
#define MESSAGE_MAX 1400 /* also over TCP: a message that is lost takes few flows with it */
#define TEMPLATES_EVERY_NS (60 * NSEC_PER_SEC)
#define TEMPLATES_EVERY_MESSAGES 500
#define LIVING_MAX 65536
#define BUCKETS 4096

/* A flow that was told while it lived: what has been told of it. */
struct living {
	struct list link;
	uint64_t id, to_ns;
	uint64_t packets[2], bytes[2];
};

struct ipfix {
	struct sink sink;
	struct outlet *out;
	const char *to;
	uint64_t sent; /* records, since the start */
	uint32_t domain;
	uint32_t sequence; /* data records sent before, on this connection (UDP: ever) */
	bool stream;
	uint64_t templates_ns; /* when they were sent last */
	unsigned messages;     /* since then */
	struct buf message;    /* being filled */
	size_t set_at;         /* the last set in it */
	uint16_t set_id;
	uint32_t records; /* in it */
	uint64_t *lost;
	struct pool pool;
	struct list living[BUCKETS];
};

static struct ipfix *ipfix_of(struct sink *s)
{
	return container_of(s, struct ipfix, sink);
}

static int parse_target(struct outlet_target *t, const char *to)
{
	int r = outlet_target_parse(t, str_of(to));

	return r == 0 && t->kind != OUTLET_UDP && t->kind != OUTLET_TCP ? -EINVAL : r;
}

bool ipfix_target_ok(const char *to)
{
	struct outlet_target t;

	return parse_target(&t, to) == 0;
}

/* ---- messages ---- */

static void begin_message(struct ipfix *s)
{
	buf_clear(&s->message);
	ipfix_put_header(&s->message, s->domain);
	s->set_id = 0;
	s->records = 0;
}

static void end_message(struct ipfix *s)
{
	if (s->records)
		outlet_put(s->out, buf_str(&s->message), s->records);
	if (outlet_waiting(s->out) >= FLUSH_AT && outlet_is_well(s->out))
		outlet_flush(s->out); /* a burst is not held back for the next second */
	begin_message(s);
}

/* The set and the message have these lengths now. */
static void set_lengths(struct ipfix *s)
{
	ipfix_set_u16(s->message.p + s->set_at + 2, (uint16_t)(s->message.n - s->set_at));
	ipfix_set_u16(s->message.p + 2, (uint16_t)s->message.n);
}

static bool add_record(struct ipfix *s, const struct ipfix_piece *p)
{
	size_t before = s->message.n, set_at = s->set_at,
	       most = MIN((size_t)MESSAGE_MAX, outlet_datagram_max(s->out));
	uint16_t id = ipfix_template_of(p->flow), set_id = s->set_id;

	if (id != s->set_id) {
		s->set_at = before;
		s->set_id = id;
		ipfix_put_set(&s->message, id);
	}
	ipfix_put_record(&s->message, p);
	if (!s->message.failed && s->message.n <= most) {
		s->records++;
		set_lengths(s);
		return true;
	}
	s->message.failed = false;
	s->message.n = before;
	s->set_at = set_at;
	s->set_id = set_id;
	return false;
}

static void tell_piece(struct ipfix *s, const struct ipfix_piece *p)
{
	if (add_record(s, p))
		return;
	end_message(s);
	if (!add_record(s, p))
		++*s->lost;
}

/* ---- what was told already ---- */

static struct list *bucket(struct ipfix *s, uint64_t id)
{
	return &s->living[id * 0x9e3779b97f4a7c15ULL >> 52];
}

static struct living *find(struct ipfix *s, uint64_t id)
{
	list_for_each(it, bucket(s, id)) {
		struct living *l = container_of(it, struct living, link);

		if (l->id == id)
			return l;
	}
	return NULL;
}

static void forget(struct ipfix *s, struct living *l)
{
	list_del(&l->link);
	pool_put(&s->pool, l);
}

static struct living *remember(struct ipfix *s, const struct flow *f)
{
	struct living *l = pool_get(&s->pool);

	if (!l)
		return NULL;
	l->id = f->id;
	l->to_ns = f->start_ns;
	list_push_back(bucket(s, f->id), &l->link);
	return l;
}

static struct ipfix_piece piece_of(const struct flow *f, const struct living *l, bool ends)
{
	struct ipfix_piece p = { .flow = f, .ends = ends, .from_ns = l ? l->to_ns : f->start_ns };

	p.to_ns = MAX(f->last_ns, p.from_ns);
	for (int i = 0; i < 2; i++) {
		p.packets[i] = f->half[i].packets - (l ? l->packets[i] : 0);
		p.bytes[i] = f->half[i].bytes - (l ? l->bytes[i] : 0);
	}
	return p;
}

/* While no room is left to remember it, a living flow waits to be told until it moves again or ends: nothing is lost by that. */
static void tell_flow(struct ipfix *s, const struct flow *f, bool ends)
{
	struct living *l = find(s, f->id);
	struct ipfix_piece p;

	if (!l && !ends)
		l = remember(s, f);
	if (!l && !ends)
		return;
	p = piece_of(f, l, ends);
	if (!ends && !p.packets[TO_SERVER] && !p.packets[TO_CLIENT])
		return;
	tell_piece(s, &p);
	if (ends) {
		if (l)
			forget(s, l);
		return;
	}
	l->to_ns = p.to_ns;
	for (int i = 0; i < 2; i++) {
		l->packets[i] = f->half[i].packets;
		l->bytes[i] = f->half[i].bytes;
	}
}

/* ---- on the way ---- */

static void put_template_message(struct ipfix *s, struct buf *out)
{
	size_t at = out->n;

	ipfix_put_header(out, s->domain);
	ipfix_put_templates(out);
	if (out->failed)
		return;
	ipfix_set_u16(out->p + at + 2, (uint16_t)(out->n - at));
	ipfix_set_u32(out->p + at + 4, (uint32_t)(time_now() / NSEC_PER_SEC));
	ipfix_set_u32(out->p + at + 8, s->sequence);
	s->templates_ns = time_now_boot();
	s->messages = 0;
}

static void opened(void *ctx, struct buf *first)
{
	struct ipfix *s = ctx;

	if (s->stream)
		s->sequence = 0; /* another transport session (RFC 7011 10.4) */
	put_template_message(s, first);
}

static void leaving(void *ctx, char *frame, size_t n)
{
	const struct ipfix *s = ctx;

	ipfix_set_u32(frame + 4, (uint32_t)(time_now() / NSEC_PER_SEC));
	ipfix_set_u32(frame + 8, s->sequence);
}

static void left(void *ctx, uint32_t weight)
{
	struct ipfix *s = ctx;

	s->sequence += weight;
	s->sent += weight;
	s->messages++;
}

/* Collectors over UDP may have come, or lost a datagram, since the templates were sent (RFC 7011 8.4). */
static void repeat_templates(struct ipfix *s)
{
	_cleanup_buf_ struct buf out = BUF_INIT(MESSAGE_MAX);

	if (s->stream || !s->templates_ns ||
	    (time_now_boot() - s->templates_ns < TEMPLATES_EVERY_NS &&
	     s->messages < TEMPLATES_EVERY_MESSAGES))
		return;
	put_template_message(s, &out);
	outlet_put(s->out, buf_str(&out), 0);
}

/* ---- the sink ---- */

static int flush(struct sink *sink)
{
	struct ipfix *s = ipfix_of(sink);

	end_message(s);
	repeat_templates(s);
	return outlet_flush(s->out);
}

static void put(struct sink *sink, const struct record *r)
{
	if (r->type == RECORD_FLOW)
		tell_flow(ipfix_of(sink), r->flow, r->flow_ends);
}

static int reopen(struct sink *sink)
{
	outlet_hang_up(ipfix_of(sink)->out);
	return 0;
}

static void sink_free(struct sink *sink)
{
	struct ipfix *s = ipfix_of(sink);

	flush(sink);
	outlet_free(s->out);
	buf_done(&s->message);
	pool_done(&s->pool);
	free(s);
}

void ipfix_status(struct sink *sink, struct json *j)
{
	struct ipfix *s = ipfix_of(sink);

	json_text(j, "to", s->to);
	json_bool(j, "reachable", outlet_is_well(s->out));
	json_u64(j, "flows", s->sent);
	json_u64(j, "waiting_bytes", outlet_waiting(s->out));
	json_u64(j, "lost", *s->lost);
}

int ipfix_sink_new(struct sink **ret, const char *to, uint32_t domain, uint64_t *lost)
{
	static const struct sink_ops ops = {
		.name = "ipfix", .put = put, .flush = flush, .reopen = reopen, .free = sink_free
	};
	struct ipfix *s = calloc(1, sizeof(*s));
	struct outlet_config out = {
		.what = "flows",
		.name = to,
		.queue_max = QUEUE_MAX,
		.lost = lost,
		.hooks = { opened, leaving, left, s },
	};
	int r;

	if (!s)
		return -ENOMEM;
	r = parse_target(&out.target, to);
	if (r == 0)
		r = outlet_new(&s->out, &out);
	if (r < 0) {
		free(s);
		return r;
	}
	s->sink.ops = &ops;
	s->to = to;
	s->domain = domain;
	s->lost = lost;
	s->stream = outlet_is_stream(s->out);
	s->message = BUF_INIT(MESSAGE_MAX);
	pool_init(&s->pool, sizeof(struct living), LIVING_MAX);
	for (size_t i = 0; i < BUCKETS; i++)
		list_init(&s->living[i]);
	begin_message(s);
	*ret = &s->sink;
	return 0;
}
