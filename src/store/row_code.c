/* SPDX-License-Identifier: Apache-2.0 */
/* One list of fields, walked in the same way to write and to read, so that the two cannot differ. */
#include "store/row_code.h"

#include <errno.h>

#include "store/pen.h"

/* Each walk becomes three, one that reads and the two of a pen, without a call or a question a field. */
#define WALK PEN

struct walk {
	bool writes;
	struct pen out;
	struct str in;
	bool bad;
};

WALK uint64_t number(struct walk *w, uint64_t v)
{
	if (w->writes)
		pen_number(&w->out, v);
	else if (!leb_take(&w->in, &v))
		w->bad = true;
	return w->bad ? 0 : v;
}

WALK void bytes(struct walk *w, void *p, size_t n)
{
	if (w->writes) {
		pen_bytes(&w->out, p, n);
	} else if (w->in.n < n) {
		w->bad = true;
	} else {
		memcpy(p, w->in.p, n);
		w->in = str_sub(w->in, n, w->in.n);
	}
}

WALK void text(struct walk *w, struct str *s)
{
	uint64_t n = number(w, s->n);

	if (w->writes) {
		pen_bytes(&w->out, s->p, s->n);
	} else if (n > w->in.n) {
		w->bad = true;
	} else {
		*s = n ? str_sub(w->in, 0, n) : STR_NONE;
		w->in = str_sub(w->in, n, w->in.n);
	}
}

/* A field of any integer type; what does not fit its type was not written by us. */
#define NUMBER(w, field)                                \
	do {                                            \
		uint64_t n_ = number(w, (field));       \
		(field) = (__typeof__(field))n_;        \
		(w)->bad = (w)->bad || (field) != (n_); \
	} while (0)

#define COUNT(w, field, most)            \
	do {                             \
		NUMBER(w, field);        \
		if ((field) > (most)) {  \
			(w)->bad = true; \
			(field) = 0;     \
		}                        \
	} while (0)

WALK void walk_who(struct walk *w, struct store_who *p)
{
	NUMBER(w, p->pid);
	NUMBER(w, p->ppid);
	NUMBER(w, p->start_ns);
	NUMBER(w, p->has_uid);
	NUMBER(w, p->uid);
	NUMBER(w, p->exe_state);
	text(w, &p->exe);
	text(w, &p->comm);
	text(w, &p->args);
	text(w, &p->user);
	text(w, &p->cgroup);
	text(w, &p->unit);
	text(w, &p->container_id);
	text(w, &p->container_name);
	text(w, &p->container_image);
	text(w, &p->container_runtime);
	COUNT(w, p->n_ancestors, STORE_ANCESTORS_MAX);
	for (size_t i = 0; i < p->n_ancestors; i++) {
		NUMBER(w, p->ancestors[i].pid);
		text(w, &p->ancestors[i].exe);
		text(w, &p->ancestors[i].comm);
	}
}

WALK void walk_peer(struct walk *w, struct store_peer *p)
{
	text(w, &p->name);
	NUMBER(w, p->name_source);
	COUNT(w, p->n_names, STORE_NAMES_MAX);
	for (size_t i = 0; i < p->n_names; i++)
		text(w, &p->names[i]);
	text(w, &p->domain);
	text(w, &p->segment);
	bytes(w, p->country, sizeof(p->country));
	p->country[2] = 0;
	NUMBER(w, p->asn);
	text(w, &p->as_org);
}

WALK void walk_rule(struct walk *w, struct store_rule *r)
{
	NUMBER(w, r->action);
	NUMBER(w, r->would_refuse);
	NUMBER(w, r->refused);
	NUMBER(w, r->line);
	text(w, &r->file);
	text(w, &r->text);
	text(w, &r->note);
}

WALK void walk_key(struct walk *w, struct event_key *k)
{
	bytes(w, &k->src, sizeof(k->src));
	bytes(w, &k->dst, sizeof(k->dst));
	NUMBER(w, k->sport);
	NUMBER(w, k->dport);
	NUMBER(w, k->proto);
	NUMBER(w, k->zone);
}

/* Enumerations are numbers here; who looks names up by them checks the range, as for every other flow. */
WALK void walk_row(struct walk *w, struct store_row *r)
{
	text(w, &r->host);
	NUMBER(w, r->boot);
	NUMBER(w, r->flow_id);
	NUMBER(w, r->seq);
	NUMBER(w, r->ends);
	NUMBER(w, r->start_ns);
	NUMBER(w, r->from_ns);
	NUMBER(w, r->to_ns);
	walk_key(w, &r->key);
	NUMBER(w, r->key_is_ours_dst);
	NUMBER(w, r->up_bytes);
	NUMBER(w, r->down_bytes);
	NUMBER(w, r->up_packets);
	NUMBER(w, r->down_packets);
	NUMBER(w, r->up_payload);
	NUMBER(w, r->down_payload);
	NUMBER(w, r->payload_known);
	bytes(w, r->tcp_flags, sizeof(r->tcp_flags));
	NUMBER(w, r->retransmits);
	NUMBER(w, r->resets);
	NUMBER(w, r->rtt_us);
	NUMBER(w, r->state);
	NUMBER(w, r->end);
	NUMBER(w, r->direction);
	NUMBER(w, r->app);
	NUMBER(w, r->mid_stream);
	NUMBER(w, r->forwarded);
	NUMBER(w, r->ifindex);
	NUMBER(w, r->refused_calls);
	NUMBER(w, r->refused_packets);
	NUMBER(w, r->refused_bytes);
	NUMBER(w, r->has_who);
	if (r->has_who)
		walk_who(w, &r->who);
	walk_peer(w, &r->peer);
	walk_rule(w, &r->rule);
	text(w, &r->ja3);
	text(w, &r->ja4);
}

WALK void walk_name(struct walk *w, struct store_name *n)
{
	NUMBER(w, n->boot);
	NUMBER(w, n->flow_id);
	NUMBER(w, n->time_ns);
	bytes(w, &n->resolver, sizeof(n->resolver));
	NUMBER(w, n->port);
	NUMBER(w, n->type);
	NUMBER(w, n->rcode);
	text(w, &n->name);
	NUMBER(w, n->ttl);
	COUNT(w, n->n_answers, STORE_ANSWERS_MAX);
	for (size_t i = 0; i < n->n_answers; i++)
		text(w, &n->answers[i]);
	NUMBER(w, n->has_who);
	if (n->has_who)
		walk_who(w, &n->who);
}

WALK void walk_finding(struct walk *w, struct store_finding *f)
{
	NUMBER(w, f->boot);
	NUMBER(w, f->time_ns);
	text(w, &f->id);
	text(w, &f->state);
	text(w, &f->level);
	text(w, &f->class);
	text(w, &f->detector);
	text(w, &f->entity);
	text(w, &f->peer);
	text(w, &f->name);
	bytes(w, &f->score_db, sizeof(f->score_db));
	NUMBER(w, f->acked);
	bytes(w, &f->addr, sizeof(f->addr));
	text(w, &f->record);
}

WALK void walk_host(struct walk *w, struct store_host *h)
{
	NUMBER(w, h->boot);
	NUMBER(w, h->time_ns);
	text(w, &h->version);
	text(w, &h->watch);
	text(w, &h->policy_mode);
	text(w, &h->policy_file);
	NUMBER(w, h->policy_rules);
	NUMBER(w, h->uptime_s);
	NUMBER(w, h->flows);
	NUMBER(w, h->lost);
	NUMBER(w, h->lost_spool);
	NUMBER(w, h->waiting);
	NUMBER(w, h->spool_bytes);
}

WALK void walk_policy(struct walk *w, struct store_policy *p)
{
	NUMBER(w, p->boot);
	NUMBER(w, p->time_ns);
	NUMBER(w, p->version);
	text(w, &p->group);
	text(w, &p->stage);
	text(w, &p->state);
	text(w, &p->reason);
	text(w, &p->file);
	NUMBER(w, p->rules);
	NUMBER(w, p->before_hour);
	NUMBER(w, p->after_hour);
	NUMBER(w, p->watched);
	NUMBER(w, p->would_refuse);
}

/* ---- frames ---- */

#define FRAME_HEAD sizeof(uint32_t) /* how long what follows is */

/* false: there is no room, and out->failed. */
WALK bool begin_frame(struct walk *w, struct buf *out, const struct walk *counted)
{
	*w = (struct walk){ .writes = true };
	if (!pen_begin(&w->out, out, &counted->out))
		return false;
	w->out.at += FRAME_HEAD;
	return true;
}

WALK void end_frame(const struct walk *w, struct buf *out)
{
	uint32_t n = (uint32_t)((size_t)(w->out.at - out->p) - out->n - FRAME_HEAD);

	out->failed = n > STORE_ROW_MAX;
	if (out->failed)
		return;
	memcpy(out->p + out->n, &n, FRAME_HEAD);
	pen_end(&w->out, out);
}

/* 1: `w` reads the next frame of `rest`. */
static int open_frame(struct walk *w, struct str rest)
{
	uint32_t n;

	if (!rest.n)
		return 0;
	if (rest.n < sizeof(n))
		return -EBADMSG;
	memcpy(&n, rest.p, sizeof(n));
	if (n > STORE_ROW_MAX || n > rest.n - sizeof(n))
		return -EBADMSG;
	*w = (struct walk){ .in = str_sub(rest, sizeof(n), n) };
	return 1;
}

/* It was read to its end, and the next one follows. */
static int close_frame(const struct walk *w, struct str *rest)
{
	uint32_t n;

	if (w->bad || w->in.n)
		return -EBADMSG;
	memcpy(&n, rest->p, sizeof(n));
	*rest = str_sub(*rest, sizeof(n) + n, rest->n);
	return 1;
}

#define CODE(what, walk_it)                                                              \
	void store_##what##_encode(const struct store_##what *v, struct buf *out)        \
	{                                                                                \
		struct walk counted = { .writes = true,                                  \
					.out = { .most = FRAME_HEAD, .counts = true } }, \
			    w;                                                           \
		struct store_##what copy = *v;                                           \
                                                                                         \
		walk_it(&counted, &copy);                                                \
		if (!begin_frame(&w, out, &counted))                                     \
			return;                                                          \
		walk_it(&w, &copy);                                                      \
		end_frame(&w, out);                                                      \
	}                                                                                \
                                                                                         \
	int store_##what##_decode(struct str *rest, struct store_##what *ret)            \
	{                                                                                \
		struct walk w;                                                           \
		int r = open_frame(&w, *rest);                                           \
                                                                                         \
		if (r <= 0)                                                              \
			return r;                                                        \
		memset(ret, 0, sizeof(*ret));                                            \
		walk_it(&w, ret);                                                        \
		return close_frame(&w, rest);                                            \
	}

CODE(row, walk_row)
CODE(name, walk_name)
CODE(finding, walk_finding)
CODE(host, walk_host)
CODE(policy, walk_policy)
