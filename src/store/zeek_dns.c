/* SPDX-License-Identifier: Apache-2.0 */
/* dns.log: a question and its answer are one line, written when the answer comes or the flow ends without one. */
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/list.h"
#include "flow/record.h"
#include "store/zeek_row.h"

#define BUCKETS 1024
#define RDATA_MAX sizeof(((struct dns_message *)0)->arena)

struct waiting {
	struct list flow,
		age; /* of those whose flow falls into the same bucket; of all; oldest first */
	struct event_key key;
	uint64_t flow_id, time_ns;
	uint16_t id, type, class;
	bool truncated, recursion_desired;
	struct str name; /* behind the struct */
	char text[];
};

struct zeek_dns {
	struct lines *to;
	struct list flows[BUCKETS], age;
	size_t n;
};

/* What a line says: a question, and the answer when there is one. */
struct exchange {
	const struct event_key *key;
	uint64_t flow_id, time_ns, rtt_ns; /* rtt_ns UINT64_MAX: the question was not seen */
	uint16_t id;
	bool has_question;
	struct dns_question question;
	bool truncated, recursion_desired;
	const struct dns_message *answer; /* NULL: none came */
};

/* Presentation form back to bytes: odd ones stand there as \DDD (decode/dns.h). Never longer than it was. */
static struct str unescape(struct str s, char *to)
{
	size_t n = 0;

	for (size_t i = 0; i < s.n; i++) {
		const char *p = s.p + i;

		if (p[0] == '\\' && s.n - i >= 4 && p[1] >= '0' && p[1] <= '2' && p[2] >= '0' &&
		    p[2] <= '9' && p[3] >= '0' && p[3] <= '9') {
			to[n++] = (char)((p[1] - '0') * 100 + (p[2] - '0') * 10 + (p[3] - '0'));
			i += 3;
		} else {
			to[n++] = p[0];
		}
	}
	return (struct str){ to, n };
}

static void put_class(struct buf *out, uint16_t class)
{
	static const struct {
		uint16_t class;
		const char *name;
	} names[] = { { 1, "C_INTERNET" },
		      { 3, "C_CHAOS" },
		      { 4, "C_HESIOD" },
		      { 254, "C_NONE" },
		      { 255, "C_ANY" } };
	const char *name = NULL;

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (names[i].class == class)
			name = names[i].name;
	zeek_put_u64(out, class);
	zeek_put_text(out, name);
}

static void put_question(struct buf *out, const struct exchange *x)
{
	char name[DNS_NAME_MAX], type[16];
	const struct dns_question *q = &x->question;

	if (!x->has_question) {
		zeek_unset(out, 5);
		return;
	}
	zeek_put(out, unescape(str_sub(q->name, 0, sizeof(name)), name));
	put_class(out, q->class);
	zeek_put_u64(out, q->type);
	zeek_put_text(out, q->type == 255 ? "*" : dns_type_name(q->type, type));
}

/* As Zeek has them: of MX and SRV the host alone, of SOA the first server, texts behind their length. */
static void put_answer(struct zeek_list *l, const struct dns_record *a)
{
	char room[16 + RDATA_MAX], *text = room + 16;
	const char *blank;
	struct str s = str_sub(a->rdata, 0, RDATA_MAX);

	if (a->type == DNS_TXT) {
		char head[16];
		int n;

		s = unescape(s, text);
		n = snprintf(head, sizeof(head), "TXT %zu ", s.n);
		memcpy(text - n, head, (size_t)n);
		zeek_list_add(l, (struct str){ text - n, (size_t)n + s.n });
		return;
	}
	if (s.n && (a->type == DNS_MX || a->type == DNS_SRV)) {
		blank = memrchr(s.p, ' ', s.n);
		s = blank ? str_sub(s, (size_t)(blank - s.p) + 1, s.n) : s;
	} else if (s.n && a->type == DNS_SOA) {
		blank = memchr(s.p, ' ', s.n);
		s.n = blank ? (size_t)(blank - s.p) : s.n;
	}
	zeek_list_add(l, unescape(s, text));
}

static void put_answers(struct buf *out, const struct dns_message *m)
{
	struct zeek_list l = { .out = out };

	for (unsigned i = 0; m && i < m->n_answers; i++)
		put_answer(&l, &m->answers[i]);
	zeek_list_end(&l);
	l.any = false;
	for (unsigned i = 0; m && i < m->n_answers; i++) {
		char text[24];
		int n = snprintf(text, sizeof(text), "%u.000000", m->answers[i].ttl);

		zeek_list_add(&l, (struct str){ text, (size_t)n });
	}
	zeek_list_end(&l);
}

static void write_line(struct zeek_dns *d, const struct exchange *x)
{
	struct buf *out = lines_begin(d->to);
	const struct dns_message *m = x->answer;
	char rcode[16];

	zeek_put_time(out, x->time_ns);
	zeek_put_uid(out, x->flow_id);
	zeek_put_ends(out, x->key);
	zeek_put_text(out, x->key->proto == IPPROTO_TCP ? "tcp" : "udp");
	zeek_put_u64(out, x->id);
	if (m && x->rtt_ns != UINT64_MAX)
		zeek_put_time(out, x->rtt_ns);
	else
		zeek_unset(out, 1);
	put_question(out, x);
	if (m) {
		zeek_put_u64(out, m->rcode);
		zeek_put_text(out, dns_rcode_name(m->rcode, rcode));
	} else {
		zeek_unset(out, 2);
	}
	zeek_put_bool(out, m && m->authoritative);
	zeek_put_bool(out, x->truncated);
	zeek_put_bool(out, x->recursion_desired);
	zeek_put_bool(out, m && m->recursion_available);
	zeek_unset(out, 1); /* Z */
	put_answers(out, m);
	zeek_unset(out, 1); /* rejected */
	zeek_end_row(out);
	lines_end(d->to);
}

/* ---- questions that wait ---- */

static struct list *bucket(struct zeek_dns *d, uint64_t flow_id)
{
	return &d->flows[flow_id * 0x9e3779b97f4a7c15ULL >> 54];
}

static void drop(struct zeek_dns *d, struct waiting *w)
{
	list_del(&w->flow);
	list_del(&w->age);
	d->n--;
	free(w);
}

static struct waiting *oldest(struct zeek_dns *d)
{
	return container_of(d->age.next, struct waiting, age);
}

static void write_unanswered(struct zeek_dns *d, struct waiting *w)
{
	write_line(d, &(struct exchange){
			      .key = &w->key,
			      .flow_id = w->flow_id,
			      .time_ns = w->time_ns,
			      .id = w->id,
			      .has_question = w->name.n,
			      .question = { w->name, w->type, w->class },
			      .truncated = w->truncated,
			      .recursion_desired = w->recursion_desired,
		      });
	drop(d, w);
}

static void wait_for_answer(struct zeek_dns *d, const struct record *r)
{
	static const struct dns_question none;
	const struct dns_message *m = r->dns;
	const struct dns_question *q = m->n_questions ? &m->questions[0] : &none;
	struct waiting *w = malloc(sizeof(*w) + q->name.n);

	if (!w) {
		(*d->to->lost)++;
		return;
	}
	*w = (struct waiting){
		.key = r->flow->key,
		.flow_id = r->flow->id,
		.time_ns = r->time_ns,
		.id = m->id,
		.type = q->type,
		.class = q->class,
		.truncated = m->truncated,
		.recursion_desired = m->recursion_desired,
		.name = { w->text, q->name.n },
	};
	if (q->name.n)
		memcpy(w->text, q->name.p, q->name.n);
	if (d->n == ZEEK_DNS_WAITING)
		write_unanswered(d, oldest(d));
	list_push_back(bucket(d, w->flow_id), &w->flow);
	list_push_back(&d->age, &w->age);
	d->n++;
}

static struct waiting *question_of(struct zeek_dns *d, const struct record *r)
{
	const struct dns_message *m = r->dns;

	list_for_each(it, bucket(d, r->flow->id)) {
		struct waiting *w = container_of(it, struct waiting, flow);

		if (w->flow_id == r->flow->id && w->id == m->id &&
		    (!m->n_questions || !w->name.n ||
		     (w->type == m->questions[0].type &&
		      str_eq_nocase(w->name, m->questions[0].name))))
			return w;
	}
	return NULL;
}

void zeek_dns_message(struct zeek_dns *d, const struct record *r)
{
	const struct dns_message *m = r->dns;
	struct waiting *w;
	struct exchange x = {
		.key = &r->flow->key,
		.flow_id = r->flow->id,
		.time_ns = r->time_ns,
		.rtt_ns = UINT64_MAX,
		.id = m->id,
		.has_question = m->n_questions,
		.truncated = m->truncated,
		.recursion_desired = m->recursion_desired,
		.answer = m,
	};

	if (!m->response) {
		wait_for_answer(d, r);
		return;
	}
	if (m->n_questions)
		x.question = m->questions[0];
	w = question_of(d, r);
	if (w) {
		x.time_ns = w->time_ns;
		x.rtt_ns = r->time_ns > w->time_ns ? r->time_ns - w->time_ns : 0;
		if (!x.has_question && w->name.n) {
			x.has_question = true;
			x.question = (struct dns_question){ w->name, w->type, w->class };
		}
	}
	write_line(d, &x);
	if (w)
		drop(d, w);
}

void zeek_dns_flow_ends(struct zeek_dns *d, const struct flow *f)
{
	struct list *head = bucket(d, f->id), *next;

	for (struct list *it = head->next; it != head; it = next) {
		struct waiting *w = container_of(it, struct waiting, flow);

		next = it->next;
		if (w->flow_id == f->id)
			write_unanswered(d, w);
	}
}

int zeek_dns_new(struct zeek_dns **ret, struct lines *to)
{
	struct zeek_dns *d = calloc(1, sizeof(*d));

	if (!d)
		return -ENOMEM;
	d->to = to;
	list_init(&d->age);
	for (size_t i = 0; i < BUCKETS; i++)
		list_init(&d->flows[i]);
	*ret = d;
	return 0;
}

void zeek_dns_free(struct zeek_dns *d)
{
	while (d && !list_empty(&d->age))
		write_unanswered(d, oldest(d));
	free(d);
}
