/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What kind of connection it is: a protocol where it does not live, one that nothing here knows, one that stays for hours, that is
 * typed into, that only listens while the other side speaks at fixed times. Protocols are told by their bytes, so a wrong port is
 * a fact and no guess; a connection whose beginning was not seen is not judged by what it carries.
 */
#include <errno.h>
#include <math.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/time.h"
#include "detect/detectors.h"
#include "detect/places.h"
#include "detect/popular.h"
#include "detect/regularity.h"
#include "detect/say.h"

#define MAX_PUSHED 8192
#define PUSHES 32
#define PUSHES_LEAST 12
#define PUSH_MERGE_NS NSEC_PER_SEC
#define PUSHED_DB 14
#define HOUR_NS (3600 * NSEC_PER_SEC)
#define ROUNDS 10                  /* question and answer, before it is a conversation */
#define PACE_NS (NSEC_PER_SEC / 4) /* a round; machines that talk to machines are faster */
#define MANY_UNNAMED 16 /* who calls that many addresses is a game, a phone, a peer of many */

/* The other side speaks first and alone: when. */
struct channel_pair {
	struct list lru;
	struct pair *pair;
	uint64_t flow_id, last_ns;
	float gaps[PUSHES];
	uint32_t n; /* ever */
};

struct channels {
	struct pool pairs;
	struct list lru;
	uint64_t evicted;
};

static int start(struct detect *d)
{
	struct channels *c = d->channels = calloc(1, sizeof(*c));

	if (!c)
		return -ENOMEM;
	pool_init(&c->pairs, sizeof(struct channel_pair), MAX_PUSHED);
	list_init(&c->lru);
	return 0;
}

static void stop(struct detect *d)
{
	if (d->channels)
		pool_done(&d->channels->pairs);
	free(d->channels);
	d->channels = NULL;
}

static void forget(struct detect *d, struct pair *p)
{
	if (!p->channel || !d->channels)
		return;
	list_del(&p->channel->lru);
	pool_put(&d->channels->pairs, p->channel);
	p->channel = NULL;
}

static void say(struct detect *d, struct sighting *s, const struct flow *f, enum evidence_id id,
		int db, double measured, const char *what, const char *baseline)
{
	if (db <= 0 || was_said(s->pair, id, db))
		return;
	detect_evidence(d, s->pair, id,
			&(struct evidence_in){ .db = db,
					       .measured = measured,
					       .n = s->pair->flows,
					       .flow_id = f->id,
					       .what = what,
					       .baseline = baseline });
}

/* --- protocols and ports -------------------------------------------------------------------------------------------- */

static bool is_known_peer(const struct sighting *s, const struct flow *f)
{
	return s->pair->peer->fame != FAME_NONE || network_owner(&f->key.dst);
}

/* Ports that firewalls let out, and what belongs there. */
static const char *belongs(uint16_t port)
{
	switch (port) {
	case 53:
		return "DNS";
	case 80:
		return "HTTP";
	case 443:
		return "TLS";
	case 25:
		return "SMTP";
	case 22:
		return "SSH";
	case 123:
		return "NTP";
	default:
		return NULL;
	}
}

static int wrong_port_db(const struct flow *f)
{
	switch (f->app) {
	case APP_HTTP:
		return f->key.dport == 443 || f->key.dport == 53 || f->key.dport == 25 ||
				       f->key.dport == 22
			       ? 10
			       : 0;
	case APP_TLS:
		return f->key.dport == 53 || f->key.dport == 25 || f->key.dport == 22 ? 10
		       : f->key.dport == 80                                           ? 7
										      : 0;
	case APP_SSH:
		return belongs(f->key.dport) && f->key.dport != 22 ? 8 : 0;
	case APP_UNKNOWN:
		if (f->key.dport == 53 || f->key.dport == 123)
			return 10;
		if (f->key.proto != IPPROTO_TCP)
			return 0;
		/* Apps of phones have protocols of their own, and send them where anything may leave. */
		return f->key.dport == 25 || f->key.dport == 22    ? 8
		       : f->key.dport == 443 || f->key.dport == 80 ? 6
								   : 0;
	case APP_DNS:
	case APP_HTTP2:
	case APP_QUIC:
	case APP_SMTP:
	case APP_IMAP:
	case APP_POP3:
	case APP_NTP:
	case APP_STUN:
	case APP_DTLS:
	case APP_OPENVPN:
	case APP_WIREGUARD:
	case APP_TOR:
	case APP_BITTORRENT:
		return 0; /* of homes, or judged elsewhere */
	default:
		return belongs(f->key.dport) && !port_is_home(f->app, f->key.dport) ? 8 : 0;
	}
}

static void wrong_port(struct detect *d, struct sighting *s, const struct flow *f)
{
	int db = wrong_port_db(f);
	const char *home = belongs(f->key.dport);
	char what[128], baseline[128];

	if (!db || !home)
		return;
	/* People put servers of their own where firewalls let them out. */
	if (f->name && name_kind(f->name) != NAME_DYNAMIC)
		db -= 2;
	if (!is_outside(f))
		db /= 2;
	if (is_known_peer(s, f))
		db /= 2;
	snprintf(what, sizeof(what), "%s on port %u",
		 f->app == APP_UNKNOWN ? "an unknown protocol" : app_name(f->app), f->key.dport);
	snprintf(baseline, sizeof(baseline), "what belongs there is %s", home);
	say(d, s, f, E_WRONG_PORT, db, f->key.dport, what, baseline);
}

static void odd_port(struct detect *d, struct sighting *s, const struct flow *f)
{
	bool named = f->name && name_kind(f->name) != NAME_DYNAMIC;
	char what[128];
	int db;

	if (belongs(f->key.dport) || port_is_home(f->app, f->key.dport) || is_known_peer(s, f))
		return;
	switch (f->app) {
	case APP_TLS:
		db = named ? 6 : 8;
		break;
	case APP_IRC:
		db = 6; /* beside what IRC is told for */
		break;
	case APP_HTTP:
		db = named ? 2 : 4;
		break;
	case APP_SSH:
	case APP_FTP:
	case APP_SMTP:
	case APP_RDP:
	case APP_SMB:
		db = 3;
		break;
	default:
		return;
	}
	if (!is_outside(f))
		db /= 2;
	snprintf(what, sizeof(what), "%s on port %u, where it has no home", app_name(f->app),
		 f->key.dport);
	say(d, s, f, E_ODD_PORT, db, f->key.dport, what, NULL);
}

/* A connection that FTP opened beside its own carries a file, and no protocol. */
static bool is_side_of_known(const struct sighting *s)
{
	return s->pair->app == APP_FTP || s->pair->app == APP_SIP;
}

static int unknown_db(const struct sighting *s, const struct flow *f, bool text, bool random)
{
	const struct entity *e = s->pair->entity;
	bool calls_many = !e->is_program && e->unnamed > MANY_UNNAMED && e->unnamed > e->named;
	bool named = f->name && name_kind(f->name) != NAME_DYNAMIC;

	if (f->key.proto != IPPROTO_TCP) {
		/* Games and calls: many addresses, any port. */
		if (calls_many || f->key.dport < 1024)
			return 0;
		if (!is_outside(f))
			return text ? 5 : 3;
		return named ? 2 : text ? 6 : 3;
	}
	if (!is_outside(f))
		return named ? 2 : text ? 5 : 4;
	if (named)
		return text || random ? 6 : 4;
	return calls_many ? 3 : text ? 12 : random ? 9 : 7;
}

static void unknown(struct detect *d, struct sighting *s, const struct flow *f)
{
	bool text = f->first == FIRST_TEXT, random = f->first == FIRST_RANDOM;
	char what[128];
	int db;

	if (f->app != APP_UNKNOWN || port_has_service(f->key.dport) || belongs(f->key.dport) ||
	    is_known_peer(s, f) || is_side_of_known(s))
		return;
	db = unknown_db(s, f, text, random);
	snprintf(what, sizeof(what), "a protocol that nothing here knows, on %s port %u%s",
		 f->key.proto == IPPROTO_TCP ? "TCP" : "UDP", f->key.dport,
		 text     ? ", in plain text"
		 : random ? ", encrypted from its first byte on"
			  : "");
	say(d, s, f, E_UNKNOWN_PROTOCOL, db, f->key.dport, what,
	    f->name ? NULL : "an address without a name");
}

/* What ordinarily stays within a network, or that people have given up. */
static void stray(struct detect *d, struct sighting *s, const struct flow *f)
{
	char what[128];
	int db;

	if (!is_outside(f))
		return;
	snprintf(what, sizeof(what), "%s to the Internet", app_name(f->app));
	switch (f->app) {
	case APP_RDP:
	case APP_VNC:
		say(d, s, f, E_REMOTE_CONTROL, evidence_rows[E_REMOTE_CONTROL].most, f->key.dport,
		    what, "whoever is there sees this one's screen, or shows his");
		return;
	case APP_SOCKS:
	case APP_SMB:
		db = 10;
		break;
	case APP_LDAP:
	case APP_IRC:
	case APP_TELNET:
		db = 8;
		break;
	default:
		return;
	}
	say(d, s, f, E_STRAY, db, f->key.dport, what, NULL);
}

/* Once a flow, when its protocol is known; a flow that ends before that had none. */
static void judge(struct detect *d, struct sighting *s, const struct flow *f)
{
	if (s->judged)
		return;
	s->judged = true;
	if (addr_is_broadcast(&f->key.dst) || f->mid_stream || !flow_proto_has_ports(f->key.proto))
		return;
	wrong_port(d, s, f);
	odd_port(d, s, f);
	unknown(d, s, f);
	stray(d, s, f);
}

static void flow(struct detect *d, struct sighting *s, const struct flow *f)
{
	if (f->app != APP_UNDECIDED)
		judge(d, s, f);
}

/* --- what is pushed down at fixed times ----------------------------------------------------------------------------- */

/* Of the idlest few the one with the least: what came once goes before what comes back. */
static void evict(struct detect *d)
{
	struct channel_pair *worst = NULL;
	int seen = 0;

	list_for_each(it, &d->channels->lru) {
		struct channel_pair *h = container_of(it, struct channel_pair, lru);

		if (!worst || h->n < worst->n)
			worst = h;
		if (++seen == 8)
			break;
	}
	if (!worst)
		return;
	forget(d, worst->pair);
	d->channels->evicted++;
}

static struct channel_pair *pushed_get(struct detect *d, struct pair *p)
{
	struct channels *c = d->channels;

	if (!p->channel) {
		if (c->pairs.used >= c->pairs.max)
			evict(d);
		p->channel = pool_get(&c->pairs);
		if (!p->channel)
			return NULL;
		p->channel->pair = p;
		list_init(&p->channel->lru);
	}
	list_del(&p->channel->lru);
	list_push_back(&c->lru, &p->channel->lru);
	return p->channel;
}

static void weigh_pushed(struct detect *d, struct sighting *s, const struct flow *f,
			 struct channel_pair *c)
{
	char what[128], baseline[128], every[TIME_TEXT_MAX];
	struct regularity r;
	double gaps[PUSHES];
	size_t n = MIN(c->n, (uint32_t)PUSHES);

	for (size_t i = 0; i < n; i++)
		gaps[i] = c->gaps[i];
	if (!regularity(gaps, n, (double)PUSH_MERGE_NS / NSEC_PER_SEC, &r))
		return;
	snprintf(what, sizeof(what),
		 "%u times it was spoken to and did not answer, every %s ± %.0f %%", c->n + 1,
		 duration_format((uint64_t)(r.median_s * NSEC_PER_SEC), every), 100 * r.jitter);
	snprintf(baseline, sizeof(baseline), "traffic at random times this regular: p = 1e%.0f",
		 fmax(r.log10_p, -99));
	say(d, s, f, E_PUSHED, (int)lround(fmin(-2 * r.log10_p - 4, PUSHED_DB)), r.median_s, what,
	    baseline);
}

static void data(struct detect *d, struct sighting *s, const struct flow *f, enum flow_side side,
		 uint64_t bytes, uint64_t time_ns)
{
	struct channel_pair *c;

	(void)bytes;
	if (!s->judged && f->app != APP_UNDECIDED)
		judge(d, s, f);
	if (side != TO_CLIENT || s->up || f->app > APP_UNKNOWN || f->key.proto != IPPROTO_TCP ||
	    is_side_of_known(s))
		return;
	c = pushed_get(d, s->pair);
	if (!c)
		return;
	if (c->flow_id != f->id) {
		c->flow_id = f->id;
		c->n = 0;
	} else if (time_ns < c->last_ns + PUSH_MERGE_NS) {
		return;
	} else {
		c->gaps[c->n++ % PUSHES] = (float)(time_ns - c->last_ns) / (float)NSEC_PER_SEC;
		if (c->n >= PUSHES_LEAST && c->n % 4 == 0)
			weigh_pushed(d, s, f, c);
	}
	c->last_ns = time_ns;
}

/* --- what a connection has been when it is over, or after a while --------------------------------------------------- */

/* Made to stay open. */
static bool stays(enum app_proto app)
{
	switch (app) {
	case APP_SSH:
	case APP_OPENVPN:
	case APP_WIREGUARD:
	case APP_MQTT:
	case APP_IMAP:
	case APP_RDP:
	case APP_VNC:
	case APP_SIP:
	case APP_STUN:
	case APP_NTP:
	case APP_DNS:
	case APP_SMB:
	case APP_LDAP:
	case APP_POSTGRES:
	case APP_MYSQL:
	case APP_REDIS:
	case APP_SNMP:
	case APP_SYSLOG:
	case APP_BITTORRENT:
		return true;
	default:
		return false;
	}
}

static void weigh_age(struct detect *d, struct sighting *s, const struct flow *f)
{
	uint64_t age = f->last_ns > f->start_ns ? f->last_ns - f->start_ns : 0;
	char what[128], text[TIME_TEXT_MAX];
	bool known, home;
	double db;

	if (age < HOUR_NS || stays(f->app) || is_known_peer(s, f) || !s->up + !s->down == 2 ||
	    !flow_proto_has_ports(f->key.proto))
		return;
	db = 3 + 2 * log2((double)age / HOUR_NS);
	/* Push services of all kinds keep TLS and QUIC open; what is older than the recording was named before. */
	known = f->app != APP_UNKNOWN && f->app != APP_UNDECIDED;
	home = port_is_home(f->app, f->key.dport) && known;
	if (home && f->name)
		return;
	if (known || f->mid_stream)
		db = fmin(db / 2, home || f->mid_stream ? 4 : 8);
	if (f->key.proto != IPPROTO_TCP && f->app != APP_UNKNOWN)
		db /= 2;
	snprintf(what, sizeof(what), "one connection lasts for %s", duration_format(age, text));
	say(d, s, f, E_LONG, (int)lround(fmin(db, evidence_rows[E_LONG].most)),
	    (double)age / NSEC_PER_SEC, what, NULL);
}

static void weigh_turns(struct detect *d, struct sighting *s, const struct flow *f)
{
	uint32_t rounds = MIN(s->bursts[TO_SERVER], s->bursts[TO_CLIENT]);
	uint64_t age = f->last_ns > f->start_ns ? f->last_ns - f->start_ns : 0;
	bool odd_tls = f->app == APP_TLS && !port_is_home(APP_TLS, f->key.dport) && !f->name;
	char what[128];
	bool ordered;

	if ((f->app != APP_UNKNOWN && !odd_tls) || f->key.proto != IPPROTO_TCP || rounds < ROUNDS ||
	    age / rounds < PACE_NS || is_known_peer(s, f) || port_has_service(f->key.dport) ||
	    f->mid_stream)
		return;
	/* Commands come down and are short; what they bring goes up and is longer. TLS records are never short. */
	ordered = s->small[TO_CLIENT] * 10 >= s->bursts[TO_CLIENT] * 8 && s->up >= 2 * s->down;
	if (!ordered && s->answered * 10 < rounds * 7)
		return;
	snprintf(what, sizeof(what),
		 ordered ? "%u times something short came down and more went up"
			 : "%u times short messages went to and fro",
		 rounds);
	say(d, s, f, E_INTERACTIVE,
	    odd_tls   ? 4
	    : ordered ? 10
		      : 5,
	    rounds, what, "a protocol that nothing here knows");
}

static void report(struct detect *d, struct sighting *s, const struct flow *f, bool ends)
{
	if (addr_is_broadcast(&f->key.dst))
		return;
	if (f->app != APP_UNDECIDED || (ends && f->payload_known))
		judge(d, s, f);
	weigh_age(d, s, f);
	weigh_turns(d, s, f);
}

static size_t memory(const struct detect *d)
{
	return pool_bytes(&d->channels->pairs);
}

const struct detector detect_channel = {
	.name = "channel",
	.start = start,
	.stop = stop,
	.flow = flow,
	.data = data,
	.report = report,
	.forget = forget,
	.memory = memory,
};
