/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a connection calls its peer, held against what DNS told this entity of that address: TLS straight to an address, names that
 * nobody asked for, names of somebody else, names anybody may have, certificates that only vouch for themselves. One such thing
 * is odd, no more; it counts beside timing and what the connection carries.
 */
#include <math.h>
#include <netinet/in.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "base/hash.h"
#include "base/time.h"
#include "detect/detectors.h"
#include "detect/places.h"
#include "detect/popular.h"
#include "detect/say.h"
#include "detect/volume.h"
#include "flow/domain.h"

#define MINUTE_NS (60 * NSEC_PER_SEC)
#define ASKED_FOR (10 * MINUTE_NS) /* how long "what is my address?" sheds light on what follows */
#define AUTHORITY_SLOTS 256        /* a power of two */
#define NAMES_VISIBLE 3 /* flows with a name from which on a missing one says something */
#define NAMES_USUAL 8
#define WARM_UP_NS (30 * MINUTE_NS) /* live: names asked for before egret began are not known */

static void say(struct detect *d, struct sighting *s, const struct flow *f, enum evidence_id id,
		int db, const char *what, const char *baseline)
{
	if (was_said(s->pair, id, db ? db : evidence_rows[id].most))
		return;
	detect_evidence(d, s->pair, id,
			&(struct evidence_in){ .db = db,
					       .n = s->pair->flows,
					       .flow_id = f->id,
					       .what = what,
					       .baseline = baseline });
}

static bool is_warm(const struct detect *d)
{
	return d->cfg.vantage == DETECT_FILE || detect_since(d, d->started_ns) >= WARM_UP_NS;
}

/* Nobody needs names to reach these, or they are how names are reached. */
static bool goes_by_address(const struct flow *f)
{
	return addr_is_public_resolver(&f->key.dst) || network_owner(&f->key.dst) ||
	       addr_is_broadcast(&f->key.dst) || f->key.dport == 853;
}

/* Of this entity's connections, how surprising is one without a name? It calls many addresses: not at all. */
static int surprise(const struct entity *e, int most)
{
	if (e->named < NAMES_VISIBLE)
		return most / 2;
	return e->unnamed > e->named + NAMES_USUAL ? most / 3 : most;
}

/* --- the hello ------------------------------------------------------------------------------------------------------ */

static void no_name(struct detect *d, struct sighting *s, const struct flow *f, bool alpn)
{
	const struct entity *e = s->pair->entity;
	char baseline[128];

	if (goes_by_address(f))
		return;
	if (f->n_names || f->name) {
		/* Somebody knows the name, and does not tell the server: nothing that follows it has to do. */
		if (is_outside(f) && s->pair->peer->fame == FAME_NONE)
			say(d, s, f, E_NO_SNI, 3,
			    "its TLS hello does not say the name it was found by", NULL);
		return;
	}
	if (!is_outside(f)) {
		/* Whoever offers HTTP/2 is a browser, or knows what it does. */
		say(d, s, f, E_NO_SNI, alpn ? 3 : 4, "TLS straight to an address, without a name",
		    NULL);
		return;
	}
	if (!is_warm(d))
		return;
	snprintf(baseline, sizeof(baseline),
		 "%u other connections of it went to names it had asked for", e->named);
	say(d, s, f, E_NO_SNI, surprise(e, 6),
	    "TLS straight to an address that no DNS answer gave it",
	    e->named ? baseline : "no DNS of it is seen here");
}

static bool is_of_domain(struct str domain, const struct text *name)
{
	return name && str_eq_nocase(domain, domain_of_text(name));
}

/* Is the name one of those that DNS gave for the address, or of their owners? */
static bool dns_agrees(const struct flow *f)
{
	struct str domain = domain_of_text(f->name);

	for (unsigned i = 0; i < f->n_names; i++) {
		if (is_of_domain(domain, f->names[i]->asked))
			return true;
		for (unsigned k = 0; k < f->names[i]->n_chain; k++)
			if (is_of_domain(domain, f->names[i]->chain[k]))
				return true;
	}
	return false;
}

static void with_name(struct detect *d, struct sighting *s, const struct flow *f)
{
	const struct entity *e = s->pair->entity;
	char what[128], baseline[128];

	if (!is_outside(f) || !domain_of_text(f->name).n || e->named < NAMES_USUAL || !is_warm(d) ||
	    s->pair->peer->fame != FAME_NONE)
		return;
	if (!f->n_names) {
		/* What was asked for before the recording began looks the same: only rare ones tell anything. */
		if (e->unasked * 4 > e->named)
			return;
		snprintf(baseline, sizeof(baseline),
			 "%u other connections of it followed an answer", e->named);
		say(d, s, f, E_NOT_ASKED, 4, "it names a peer that it never asked DNS for",
		    baseline);
		return;
	}
	/* The table keeps four names an address: where it is full, the one in question may have gone. */
	if (f->n_names >= NAMES_PER_ADDR || dns_agrees(f))
		return;
	snprintf(what, sizeof(what), "it says %.80s to an address that DNS gave it as", f->name->p);
	snprintf(baseline, sizeof(baseline), "%.100s", f->names[0]->asked->p);
	say(d, s, f, E_NAME_MISMATCH, 0, what, baseline);
}

static void literal(struct detect *d, struct sighting *s, const struct flow *f, struct str sni)
{
	struct addr a;

	if (addr_parse(sni, &a) < 0 || goes_by_address(f))
		return;
	say(d, s, f, E_NAME_IS_ADDRESS, is_outside(f) ? 4 : 3,
	    "its TLS hello gives an address as the name", "RFC 6066 allows none there");
}

/* --- what kind of name it is ---------------------------------------------------------------------------------------- */

static bool bears_uploads(const struct flow *f)
{
	switch (f->app) {
	case APP_FTP:
	case APP_SMTP:
	case APP_IRC:
		return true;
	case APP_UNKNOWN:
		return f->key.proto == IPPROTO_TCP && !port_has_service(f->key.dport);
	case APP_TLS:
		return !port_is_home(APP_TLS, f->key.dport);
	case APP_HTTP:
		return !f->name;
	default:
		return false;
	}
}

static void flow(struct detect *d, struct sighting *s, const struct flow *f)
{
	struct entity *e = s->pair->entity;
	const struct entity_volume *v = e->volume;
	char what[128], ago[TIME_TEXT_MAX];

	if (!is_outside(f))
		return;
	*(f->n_names ? &e->named : f->name ? &e->unasked : &e->unnamed) += 1;
	if (name_kind(f->name) == NAME_TELLS_ADDRESS)
		return;
	if (name_kind(f->name) == NAME_DYNAMIC) {
		snprintf(what, sizeof(what),
			 "%.60s: a name anybody may have (dynamic DNS, tunnels)", f->name->p);
		say(d, s, f, E_DYNAMIC_NAME, 4, what, NULL);
	}
	/* volume.c notes who asks, and whether as a browser does. */
	if (!v || !v->lookup || !v->lookup_plain || d->now_ns - v->lookup_ns > ASKED_FOR ||
	    s->pair->peer->fame != FAME_NONE || !bears_uploads(f))
		return;
	snprintf(what, sizeof(what), "it asked %s for its own address %s before", v->lookup->domain,
		 duration_format(d->now_ns - v->lookup_ns, ago));
	say(d, s, f, E_ADDRESS_ASKED, 8, what, NULL);
}

/* --- certificates --------------------------------------------------------------------------------------------------- */

/*
 * What public authorities may sign: 398 days since September 2020, 825 since March 2018, 39 months before (CA/Browser Forum
 * Baseline Requirements 6.3.2). Appliances sign for themselves and for ten years; so does every kit for a channel of one's own.
 */
static int validity_db(int64_t days, bool self_issued)
{
	if (days > 36500)
		return self_issued ? 10 : 9; /* the year 9999 */
	if (days > 1830)
		return self_issued ? 7 : 6;
	if (days > 1190)
		return self_issued ? 5 : 3;
	return self_issued ? days > 398 ? 5 : 4 : 0;
}

/* Words of the names of those that browsers trust, or have trusted. */
static bool authority_is_public(struct str issuer)
{
	static const char *const words[] = {
		"let's encrypt",
		"isrg",
		"digicert",
		"google",
		"sectigo",
		"comodo",
		"globalsign",
		"godaddy",
		"starfield",
		"amazon",
		"microsoft",
		"entrust",
		"geotrust",
		"thawte",
		"verisign",
		"symantec",
		"rapidssl",
		"addtrust",
		"usertrust",
		"startcom",
		"zerossl",
		"ssl.com",
		"ssl corp",
		"buypass",
		"certum",
		"unizeto",
		"quovadis",
		"identrust",
		"digital signature trust",
		"baltimore",
		"cybertrust",
		"swisssign",
		"actalis",
		"trustasia",
		"wotrus",
		"apple",
		"facebook",
		"network solutions",
		"gandi",
		"terena",
		"geant",
		"harica",
		"hellenic",
		"d-trust",
		"t-systems",
		"telesec",
		"deutsche telekom",
		"dfn-verein",
		"certigna",
		"dhimyotis",
		"camerfirma",
		"izenpe",
		"fnmt",
		"netlock",
		"microsec",
		"disig",
		"secom",
		"security communication",
		"twca",
		"taiwan-ca",
		"chunghwa",
		"cfca",
		"gdca",
		"trustcor",
		"hongkong post",
		"trustwave",
		"securetrust",
		"cloudflare",
		"atos",
		"telia",
		"akamai",
		"equifax",
		"rsa data",
		"verizon",
		"trust provider",
		"tuntrust",
		"e-tugra",
		"anf ac",
		"certsign",
		"emsign",
		"naver",
		"itrus",
		"beijing",
		"wosign",
		"trustid",
		"cisco",
		"gts ",
		"network associates",
		"internet2",
		"incommon",
		"cpanel",
		"alphassl",
		"positivessl",
		"lawtrust",
	};

	static struct {
		uint64_t hash;
		bool is;
	} slots[AUTHORITY_SLOTS]; /* there are few authorities, and many words */
	uint64_t hash = hash_bytes(issuer.p, issuer.n, 1);
	size_t at = hash & (AUTHORITY_SLOTS - 1);

	if (!issuer.n)
		return true; /* it is not known */
	if (slots[at].hash == hash)
		return slots[at].is;
	slots[at].hash = hash;
	slots[at].is = false;
	for (size_t i = 0; i < ARRAY_SIZE(words) && !slots[at].is; i++) {
		char glob[40];

		snprintf(glob, sizeof(glob), "*%s*", words[i]);
		slots[at].is = str_glob(str_of(glob), issuer);
	}
	return slots[at].is;
}

static void certificate(struct detect *d, struct sighting *s, const struct flow *f,
			const struct record_certificate *c)
{
	int64_t days = c->has_validity && c->not_after_s > c->not_before_s
			       ? (c->not_after_s - c->not_before_s) / 86400
			       : 0;
	bool self = c->self_issued, unknown = !self && !authority_is_public(c->issuer);
	int db = validity_db(days, self);
	char what[128], lasts[32] = "";

	if (unknown)
		db = MAX(db, 3);
	if (!db)
		return;
	/* It names nobody, and nobody named it. */
	if (!f->name && (self || unknown))
		db += 2;
	if (c->covers_known && !c->covers_sni)
		db += 2;
	/* Printers, cameras and machines of one's own have nothing else. */
	if (!is_outside(f))
		db = MIN(db, 4);
	if (days)
		snprintf(lasts, sizeof(lasts), ", for %lld days", (long long)days);
	snprintf(what, sizeof(what), "its certificate is %s%s%s",
		 self ? "signed by itself" : "of an authority that is not public", lasts,
		 c->covers_known && !c->covers_sni ? ", of another name" : "");
	say(d, s, f, E_CERTIFICATE, db, what, "public authorities sign for 398 days at most");
}

static void hello(struct detect *d, struct sighting *s, const struct flow *f,
		  const struct record_tls *tls)
{
	if (f->mid_stream || f->app == APP_TOR)
		return;
	if (!tls->sni.n)
		no_name(d, s, f, tls->n_alpns);
	else
		literal(d, s, f, tls->sni);
	if (f->name && (f->name_source == NAME_SNI || f->name_source == NAME_QUIC))
		with_name(d, s, f);
	if (tls->certificate)
		certificate(d, s, f, tls->certificate);
}

static void record(struct detect *d, struct sighting *s, const struct record *r)
{
	if (!s || !s->pair)
		return;
	switch (r->type) {
	case RECORD_TLS:
		if (r->flow->key.proto == IPPROTO_TCP) /* DTLS is how calls find their peers */
			hello(d, s, r->flow, r->tls);
		return;
	case RECORD_QUIC:
		hello(d, s, r->flow, r->tls);
		return;
	case RECORD_HTTP:
		if (r->flow->name && r->flow->name_source == NAME_HTTP)
			with_name(d, s, r->flow);
		return;
	default:
		return;
	}
}

const struct detector detect_naming = {
	.name = "naming",
	.flow = flow,
	.record = record,
};
