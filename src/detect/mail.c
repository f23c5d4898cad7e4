/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Mail from where no mail comes from: many servers in an hour by something that is none itself (spam), long lists of recipients, and
 * letters handed in by a program that is no mail program, in clear text. What mail is encrypted says no more than its volume.
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/hash.h"
#include "base/time.h"
#include "detect/detectors.h"
#include "detect/popular.h"
#include "detect/say.h"

#define MAX_SENDERS 4096
#define SENDER_BUCKETS 1024
#define SERVERS 64 /* an hour, counted; more are as good as these */
#define SERVERS_SOME 10
#define SERVERS_MANY 25
#define HOUR_NS (3600 * NSEC_PER_SEC)
#define RECIPIENTS 8
#define YEAR_2016_S 1451606400ULL
#define KNOWN_SERVERS 512 /* a ring: addresses that take mail */

struct sender {
	struct list lru;
	struct sender *next;
	uint32_t entity; /* id */
	uint64_t since_ns;
	uint32_t servers[SERVERS]; /* hashes of addresses, since then */
	uint32_t n;
};

struct mail_watch {
	struct pool senders;
	struct list lru;
	struct sender *buckets[SENDER_BUCKETS];
	struct addr servers[KNOWN_SERVERS];
	uint32_t n_servers;
	uint64_t evicted;
};

static int start(struct detect *d)
{
	struct mail_watch *m = d->mail = calloc(1, sizeof(*m));

	if (!m)
		return -ENOMEM;
	pool_init(&m->senders, sizeof(struct sender), MAX_SENDERS);
	list_init(&m->lru);
	return 0;
}

static void stop(struct detect *d)
{
	if (d->mail)
		pool_done(&d->mail->senders);
	free(d->mail);
	d->mail = NULL;
}

static void unlink_sender(struct mail_watch *m, struct sender *s)
{
	struct sender **at = &m->buckets[s->entity % SENDER_BUCKETS];

	while (*at != s)
		at = &(*at)->next;
	*at = s->next;
	list_del(&s->lru);
	pool_put(&m->senders, s);
}

static struct sender *sender_of(struct mail_watch *m, const struct entity *e)
{
	struct sender **bucket = &m->buckets[e->id % SENDER_BUCKETS], *s = *bucket;

	while (s && s->entity != e->id)
		s = s->next;
	if (s) {
		list_del(&s->lru);
		list_push_back(&m->lru, &s->lru);
		return s;
	}
	if (m->senders.used >= m->senders.max) {
		unlink_sender(m, container_of(m->lru.next, struct sender, lru));
		m->evicted++;
	}
	s = pool_get(&m->senders);
	if (!s)
		return NULL;
	s->entity = e->id;
	s->next = *bucket;
	*bucket = s;
	list_init(&s->lru);
	list_push_back(&m->lru, &s->lru);
	return s;
}

static bool takes_mail(const struct mail_watch *m, const struct addr *a)
{
	for (uint32_t i = 0; i < MIN(m->n_servers, (uint32_t)KNOWN_SERVERS); i++)
		if (addr_eq(&m->servers[i], a))
			return true;
	return false;
}

/* An MTA: by its program, or as an address by taking mail itself. */
static bool is_mta(const struct detect *d, const struct entity *e)
{
	return e->is_program ? e->class == PROGRAM_MTA : takes_mail(d->mail, &e->addr);
}

static void say(struct detect *d, struct sighting *s, const struct flow *f, enum evidence_id id,
		int db, uint64_t n, const char *what, const char *baseline)
{
	if (was_said(s->pair, id, db ? db : evidence_rows[id].most))
		return;
	detect_evidence(d, s->pair, id,
			&(struct evidence_in){ .db = db,
					       .measured = (double)n,
					       .n = n,
					       .flow_id = f->id,
					       .what = what,
					       .baseline = baseline });
}

static bool count_server(struct detect *d, struct sender *s, const struct addr *a)
{
	uint32_t hash = (uint32_t)hash_bytes(a, sizeof(*a), d->seed);

	if (d->now_ns - s->since_ns > HOUR_NS) {
		s->since_ns = d->now_ns;
		s->n = 0;
	}
	for (uint32_t i = 0; i < s->n; i++)
		if (s->servers[i] == hash)
			return false;
	if (s->n < SERVERS)
		s->servers[s->n++] = hash;
	return true;
}

static void flow(struct detect *d, struct sighting *s, const struct flow *f)
{
	struct sender *sender;
	char what[128];

	if (f->key.proto != IPPROTO_TCP || f->key.dport != 25 || !is_outside(f) ||
	    is_mta(d, s->pair->entity))
		return;
	sender = sender_of(d->mail, s->pair->entity);
	if (!sender || !count_server(d, sender, &f->key.dst) || sender->n < SERVERS_SOME)
		return;
	snprintf(what, sizeof(what), "it called port 25 of %u mail servers within an hour",
		 sender->n);
	say(d, s, f, E_SPAM, sender->n < SERVERS_MANY ? 14 : 0, sender->n, what,
	    "programs hand mail to one server, the one of their own");
}

static void letter(struct detect *d, struct sighting *s, const struct flow *f,
		   const struct smtp_envelope *m)
{
	const struct entity *e = s->pair->entity;
	char what[128];

	if (!is_outside(f) || is_mta(d, e) || e->class == PROGRAM_MAIL)
		return;
	if (m->n_rcpt >= RECIPIENTS) {
		snprintf(what, sizeof(what), "one letter for %s%u recipients",
			 m->n_rcpt == SMTP_MAX_RCPT ? "more than " : "", m->n_rcpt);
		say(d, s, f, E_BULK_MAIL, 0, m->n_rcpt, what, NULL);
	}
}

static void record(struct detect *d, struct sighting *s, const struct record *r)
{
	struct mail_watch *m = d->mail;

	if (r->type != RECORD_SMTP)
		return;
	if (!takes_mail(m, &r->flow->key.dst))
		m->servers[m->n_servers++ % KNOWN_SERVERS] = r->flow->key.dst;
	if (s && s->pair)
		letter(d, s, r->flow, r->smtp);
}

static size_t memory(const struct detect *d)
{
	return pool_bytes(&d->mail->senders) + sizeof(*d->mail);
}

const struct detector detect_mail = {
	.name = "mail",
	.start = start,
	.stop = stop,
	.flow = flow,
	.record = record,
	.memory = memory,
};
