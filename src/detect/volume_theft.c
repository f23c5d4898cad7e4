/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Uploads too small to be seen by their size. Programs that steal passwords first ask a public service for their own address, then
 * hand over what they found: by FTP, by mail, to a bot's or an anonymous share's interface. Each step is ordinary; that the second
 * follows the first, from one machine, within an hour, hardly ever is. A browser that asks (pages do) is told by HTTP/2, by QUIC
 * or by its user agent, and counts for less.
 */
#include <netinet/in.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "base/human.h"
#include "detect/popular.h"
#include "detect/volume.h"

#define SOON_NS (600 * NSEC_PER_SEC)
#define LATER_NS (3600 * NSEC_PER_SEC)
#define SUBMITTED_LEAST \
	600 /* bytes sent over a connection that handed mail in: more than greetings */
#define POST_LEAST 20000

enum handed { BY_FTP, BY_MAIL, BY_SEALED_MAIL, TO_SERVICE, BY_HTTP };

static const struct {
	const char *what;
	int8_t plain, browser; /* weight by who asked for its address */
	bool soon;             /* within minutes, not within the hour */
} ways[] = {
	[BY_FTP] = { "handed a file over by FTP", 24, 6, false },
	[BY_MAIL] = { "handed mail in, in the clear, with a password", 24, 6, false },
	[BY_SEALED_MAIL] = { "handed mail in, and reads none", 20, 6, true },
	[TO_SERVICE] = { "sent to a place where things are left for others", 22, 8, false },
	[BY_HTTP] = { "sent a form or file by HTTP", 12, 0, true },
};

/* --- asking for one's own address ----------------------------------------------------------------------------------- */

static const struct peer_class_row *lookup_of(const struct flow *f)
{
	const struct peer_class_row *row = f->name ? peer_class_of(text_str(f->name)) : NULL;

	return row && row->class == PEER_LOOKUP ? row : NULL;
}

static bool as_browsers_do(const struct record *r)
{
	static const char gecko[] = "Gecko";

	if (r->type == RECORD_QUIC)
		return true;
	if (r->type == RECORD_HTTP) {
		struct str ua = r->http->request.user_agent;

		return str_has_prefix(ua, STR("Mozilla/5.0")) &&
		       memmem(ua.p, ua.n, gecko, sizeof(gecko) - 1);
	}
	for (unsigned i = 0; i < r->tls->n_alpns; i++)
		if (str_eq(r->tls->alpns[i], STR("h2")))
			return true;
	return false;
}

static void asked(struct detect *d, struct entity *e, const struct peer_class_row *row, bool plain)
{
	struct entity_volume *v = volume_of(d, e);

	if (!v)
		return;
	plain = e->is_program ? e->class != PROGRAM_BROWSER : plain;
	/* The first of a few counts, and the plain one before one that a browser may have sent. */
	if (v->lookup && d->now_ns - v->lookup_ns < SOON_NS && (v->lookup_plain || !plain))
		return;
	v->lookup = row;
	v->lookup_ns = d->now_ns;
	v->lookup_plain = plain;
}

static void say_handed(struct detect *d, struct pair *p, enum handed how, const struct flow *f)
{
	const struct entity_volume *v = p->entity->volume;
	char what[128], baseline[128], ago[TIME_TEXT_MAX];
	uint64_t gap;
	int db;

	if (!v || !v->lookup)
		return;
	gap = MAX(f->start_ns, v->lookup_ns) - v->lookup_ns;
	db = v->lookup_plain ? ways[how].plain : ways[how].browser;
	if (gap > (ways[how].soon ? SOON_NS : LATER_NS) || !db)
		return;
	if (how == BY_HTTP && !p->peer->domain)
		db += 4;
	snprintf(what, sizeof(what), "asked %s for its own address and %s later %s",
		 v->lookup->domain, duration_format(gap, ago), ways[how].what);
	snprintf(baseline, sizeof(baseline), "%s",
		 v->lookup_plain ? "it did not ask as a browser does" : "a browser may have asked");
	detect_evidence(d, p, E_LOOKUP_UPLOAD,
			&(struct evidence_in){ .db = db,
					       .measured = (double)gap / NSEC_PER_SEC,
					       .n = 1,
					       .flow_id = f->id,
					       .what = what,
					       .baseline = baseline });
}

/* --- when a flow begins --------------------------------------------------------------------------------------------- */

static bool is_mail_reading(const struct flow *f)
{
	switch (f->key.dport) {
	case 110:
	case 143:
	case 993:
	case 995:
		return f->key.proto == IPPROTO_TCP;
	default:
		return f->app == APP_IMAP || f->app == APP_POP3;
	}
}

void theft_flow(struct detect *d, const struct sighting *s, const struct flow *f)
{
	const struct peer_class_row *row = s->place;
	struct pair *p = s->pair;

	if (p->entity->volume && is_mail_reading(f))
		p->entity->volume->reads_mail = true;
	if (row && row->class == PEER_LOOKUP) {
		/* A log may tell of no more than this. */
		if (!p->entity->volume || !p->entity->volume->lookup)
			asked(d, p->entity, row, false);
		return;
	}
}

/* --- mail ----------------------------------------------------------------------------------------------------------- */

static bool sends_mail_for_a_living(const struct entity *e)
{
	return e->class == PROGRAM_MAIL || e->class == PROGRAM_MTA;
}

static void say_mail(struct detect *d, struct pair *p, const struct flow *f, bool clear)
{
	if (sends_mail_for_a_living(p->entity) || p->entity->volume->reads_mail)
		return;
	if (!clear && p->peer->fame != FAME_NONE)
		return;
	detect_evidence(d, p, E_MAIL_SENT,
			&(struct evidence_in){
				.db = clear ? 8 : 4,
				.n = 1,
				.flow_id = f->id,
				.what = clear ? "mail handed in without encryption, with a password"
					      : "mail handed in by what reads none" });
	say_handed(d, p, clear ? BY_MAIL : BY_SEALED_MAIL, f);
}

void theft_record(struct detect *d, struct sighting *s, const struct record *r)
{
	const struct peer_class_row *row;
	struct entity *e;

	if (!r->flow || (s && s->ignored) || !volume_is_outside(r->flow))
		return;
	if (r->type == RECORD_SMTP && s && s->pair && r->smtp->auth && r->smtp->data &&
	    volume_of(d, s->pair->entity))
		say_mail(d, s->pair, r->flow, true);
	if (r->type != RECORD_TLS && r->type != RECORD_QUIC && r->type != RECORD_HTTP)
		return;
	row = lookup_of(r->flow);
	if (!row)
		return;
	e = s && s->pair ? s->pair->entity : entity_of_flow(d, r->flow);
	if (e)
		asked(d, e, row, !as_browsers_do(r));
}

/* --- FTP ------------------------------------------------------------------------------------------------------------ */

static bool is_sealed(const struct flow *f)
{
	return f->ja3 || f->ja4 || f->app == APP_TLS;
}

static void say_ftp(struct detect *d, struct pair *p, const struct flow *f, uint64_t up)
{
	char what[128], size[HUMAN_TEXT_MAX];

	if (up)
		snprintf(what, sizeof(what), "%s handed over by FTP, not encrypted",
			 human_bytes(up, size));
	else
		snprintf(what, sizeof(what), "a file handed over by FTP (STOR), not encrypted");
	detect_evidence(d, p, E_FTP_UPLOAD,
			&(struct evidence_in){
				.measured = (double)up, .n = 1, .flow_id = f->id, .what = what });
	say_handed(d, p, BY_FTP, f);
}

static void remember(struct entity_volume *v, struct pair *control, const struct flow *f)
{
	v->ftp[v->next_ftp] = (struct ftp_seen){ .pair = control,
						 .server = f->key.dst,
						 .from_ns = f->start_ns,
						 .to_ns = f->last_ns,
						 .up = f->half[TO_SERVER].payload };
	v->next_ftp = (uint8_t)((v->next_ftp + 1) % FTP_KEPT);
}

/* A data connection's other half, the control connection, or the other way round; logs tell of either first. */
static const struct ftp_seen *counterpart(const struct entity_volume *v, const struct flow *f,
					  bool want_control)
{
	for (int i = 0; i < FTP_KEPT; i++) {
		const struct ftp_seen *s = &v->ftp[i];

		if (!s->to_ns || !s->pair == want_control || !addr_eq(&s->server, &f->key.dst))
			continue;
		if (f->start_ns <= s->to_ns + 60 * NSEC_PER_SEC &&
		    s->from_ns <= f->last_ns + 60 * NSEC_PER_SEC)
			return s;
	}
	return NULL;
}

static void ftp_control(struct detect *d, struct pair *p, const struct flow *f)
{
	struct entity_volume *v = volume_of(d, p->entity);
	const struct ftp_seen *data = v ? counterpart(v, f, false) : NULL;

	if (!v)
		return;
	if (f->stores)
		say_ftp(d, p, f, data ? data->up : 0);
	else if (data)
		say_ftp(d, p, f, data->up);
	else
		remember(v, p, f);
}

static void maybe_ftp_data(struct detect *d, struct pair *p, const struct flow *f)
{
	struct entity_volume *v = p->entity->volume;
	const struct ftp_seen *control;

	if (!v || f->app > APP_UNKNOWN || f->key.dport < 1024 || !f->half[TO_SERVER].payload ||
	    f->half[TO_CLIENT].payload || !f->payload_known)
		return;
	control = counterpart(v, f, true);
	if (control)
		say_ftp(d, control->pair, f, f->half[TO_SERVER].payload);
	else
		remember(v, NULL, f);
}

void theft_forget(struct pair *p)
{
	struct entity_volume *v = p->entity->volume;

	for (int i = 0; v && i < FTP_KEPT; i++)
		if (v->ftp[i].pair == p)
			v->ftp[i] = (struct ftp_seen){ 0 };
}

/* --- when it is over ------------------------------------------------------------------------------------------------ */

static bool is_submission(const struct flow *f)
{
	return f->app == APP_SMTP ||
	       (f->app == APP_TLS && (f->key.dport == 465 || f->key.dport == 587));
}

void theft_report(struct detect *d, struct sighting *s, const struct flow *f, bool ends)
{
	struct pair *p = s->pair;
	const struct peer_class_row *row;

	if (f->key.proto != IPPROTO_TCP && f->app != APP_QUIC)
		return;
	if (f->app == APP_FTP && !is_sealed(f) && (ends || f->stores)) {
		ftp_control(d, p, f);
		return;
	}
	if (!ends || !p->entity->volume)
		return;
	maybe_ftp_data(d, p, f);
	if (!p->entity->volume->lookup)
		return;
	if (is_submission(f) && is_sealed(f) && s->up >= SUBMITTED_LEAST)
		say_mail(d, p, f, false);
	row = s->place;
	if (row && (row->class == PEER_BOT || row->class == PEER_HOOK ||
		    (row->class == PEER_ANON_SHARE && s->up >= 8192 && s->up > s->down)))
		say_handed(d, p, TO_SERVICE, f);
	if (f->app == APP_HTTP && p->peer->fame == FAME_NONE && !row && s->up >= POST_LEAST &&
	    s->up > 4 * s->down)
		say_handed(d, p, BY_HTTP, f);
}
