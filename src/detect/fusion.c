/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From evidence to a score. W = prior + sum over groups of min(cap, heaviest + 0.3 x the rest), in decibans: the logarithm of
 * the odds that this pair is hostile. What is known of peer and program is added here, fresh each time, because it changes with
 * everything else that happens on the site.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/time.h"
#include "detect/dossier.h"
#include "detect/prevalence.h"
#include "flow/domain.h"
#include "flow/origin.h"

/*
 * Live: one pair-day in a million is hostile. In a recording that somebody chose to look at, one in ten recordings has a hostile
 * pair, so that the odds are one in ten times its pairs, and never better than one in 2,000: a recording of one flow is no
 * verdict on it.
 */
#define PRIOR_LIVE_DB (-60)
#define PRIOR_FILE_DB (-33)

#define CRITICAL_DB 15
#define HIGH_DB 0
#define MEDIUM_DB (-15)
#define LOW_DB (-25)

#define DAY_NS (86400 * NSEC_PER_SEC)
#define CERTAIN_DB 45     /* a fresh address and port of a feed */
#define COMPARED_LEAST 4  /* programs or machines, or there is nobody to compare with */
#define RARE_HERE_DB 15   /* at most, by what one machine saw */
#define KNOWN_DAYS 5      /* of the last seven, on which others of the fleet had to do with it */
#define GROUP_COUNTS_DB 3 /* from here on a group is one of the two that a finding takes */

static int prior(const struct detect *d)
{
	double pairs = (double)MAX(d->pairs.used, (size_t)1);
	int db;

	if (d->cfg.vantage != DETECT_FILE)
		return PRIOR_LIVE_DB;
	db = -(int)lround(20 + 10 * log10(pairs));
	db = MIN(db, PRIOR_FILE_DB);
	return MAX(db, PRIOR_LIVE_DB);
}

struct sum {
	int heaviest, rest, against; /* against: negative weights, the strongest alone counts */
	bool any;
};

static void add(struct weighed *w, struct sum *sums, const struct evidence *e)
{
	struct sum *s = &sums[evidence_rows[e->id].group];
	size_t at;

	if (!e->db)
		return;
	if (e->db < 0) {
		s->against = MIN(s->against, (int)e->db);
	} else {
		s->rest += MIN(s->heaviest, (int)e->db);
		s->heaviest = MAX(s->heaviest, (int)e->db);
	}
	s->any = true;
	for (at = w->n; at && abs(w->lines[at - 1].db) < abs(e->db); at--)
		if (at < FINDING_EVIDENCE)
			w->lines[at] = w->lines[at - 1];
	if (at < FINDING_EVIDENCE) {
		w->lines[at] = *e;
		w->n += w->n < FINDING_EVIDENCE;
	}
}

static void add_context(struct weighed *w, struct sum *sums, enum evidence_id id, int db,
			double measured, uint64_t n, const char *what, const char *baseline)
{
	struct evidence e = { .id = id, .db = (int16_t)db, .measured = measured, .n = n };

	snprintf(e.what, sizeof(e.what), "%s", what);
	snprintf(e.baseline, sizeof(e.baseline), "%s", baseline ? baseline : "");
	add(w, sums, &e);
}

/* What the fleet knows of the peer: of registrable domains alone, all others are names of one place. */
static bool fleet_knows(const struct detect *d, const struct peer *peer, struct prevalence_row *ret)
{
	if (!d->prevalence || !peer->domain ||
	    domain_of_text(peer->domain).n != text_str(peer->domain).n)
		return false;
	*ret = prevalence_look(d->prevalence, text_str(peer->domain));
	return true;
}

static int rarity_db(double all, double some, int most)
{
	return MIN((int)lround(10 * log10((1 + all) / (1 + some))), most);
}

/*
 * Who else goes there. What a fleet saw takes the place of what this machine saw, unless that finds it ordinary: it is more, and of
 * others. Says nothing while there is nobody to compare with.
 */
static void weigh_rarity(struct detect *d, const struct pair *p, struct weighed *w,
			 struct sum *sums, const struct prevalence_row *fleet)
{
	double all = (double)d->entities.used, some = (double)MAX(p->peer->pairs, 1U);
	int most = evidence_rows[E_RARE].most, db = rarity_db(all, some, MIN(most, RARE_HERE_DB));
	const struct prevalence_head *of = fleet ? prevalence_head(d->prevalence) : NULL;
	bool many_here = all >= COMPARED_LEAST, many = of && of->hosts >= COMPARED_LEAST;
	char what[128];

	if (many_here && db <= 0)
		return;
	if (many) {
		all = of->hosts;
		some = fleet->hosts ?: of->least - 1;
		db = rarity_db(all, some, most);
		if (fleet->hosts)
			snprintf(what, sizeof(what),
				 "%.0f of %.0f machines of the fleet contacted it within %u days",
				 some, all, of->days);
		else
			snprintf(what, sizeof(what),
				 "fewer than %u of %.0f machines of the fleet contacted it within "
				 "%u days",
				 of->least, all, of->days);
	} else {
		snprintf(what, sizeof(what), "%u of %.0f %s here ever contacted it", p->peer->pairs,
			 all, p->entity->is_program ? "programs" : "machines");
	}
	if ((many || many_here) && db > 0)
		add_context(w, sums, E_RARE, db, some, (uint64_t)all, what, NULL);
}

/* Since when, and by what name. What others of the fleet have contacted for days is not new, wherever it comes first now. */
static void weigh_novelty(struct detect *d, const struct pair *p, struct weighed *w,
			  struct sum *sums, const struct prevalence_row *fleet)
{
	const struct peer *peer = p->peer;
	uint64_t site = detect_since(d, d->started_ns), age = detect_since(d, peer->first_ns);
	bool outside = addr_class(&peer->addr) == ADDR_INTERNET ||
		       (d->cfg.vantage == DETECT_FILE && p->direction == FLOW_EGRESS);
	char what[128], baseline[128], days[TIME_TEXT_MAX];

	/* New to a site that has been watched for longer than that. */
	if (peer->first_ns > d->started_ns + DAY_NS && age < 30 * DAY_NS &&
	    !(fleet && fleet->days >= KNOWN_DAYS)) {
		snprintf(what, sizeof(what), "first seen here %s ago", duration_format(age, days));
		snprintf(baseline, sizeof(baseline), "this site has been watched for %s",
			 duration_format(site, days));
		add_context(w, sums, E_NEW_PEER, age < 7 * DAY_NS ? 6 : 3,
			    (double)age / NSEC_PER_SEC, 1, what, baseline);
	}
	if (!peer->domain)
		add_context(w, sums, E_UNNAMED, outside ? 4 : 2, 0, 1,
			    "it has no name that anybody here asked for", NULL);
	else if (peer->fame == FAME_NONE)
		add_context(w, sums, E_UNNAMED, 2, 0, 1,
			    "its name is not among the 10,000 best known", NULL);
}

/* By fame. */
static const struct {
	int db;
	const char *words;
} popularity[] = {
	[FAME_FLEET] = { -10, "what a quarter of the fleet's machines contact, for days" },
	[FAME_KNOWN] = { -15, "among the 10,000 best known domains" },
	[FAME_CORE] = { -25, "what machines ask for unasked" },
};

static void weigh_popularity(const struct pair *p, struct weighed *w, struct sum *sums)
{
	uint8_t fame = p->peer->fame;
	char what[128];

	if (p->learned)
		add_context(w, sums, E_LEARNED, evidence_rows[E_LEARNED].most, 0, p->flows,
			    "learned as ordinary here during the first day", NULL);
	if (fame == FAME_NONE || !p->peer->domain)
		return;
	snprintf(what, sizeof(what), "%.*s is %s", STR_FMT(text_str(p->peer->domain)),
		 popularity[fame].words);
	add_context(w, sums, E_POPULAR, popularity[fame].db, 0, 1, what, NULL);
}

static enum exe_origin where_from(struct detect *d, const struct pair *p)
{
	if (!d->cfg.origin)
		return ORIGIN_UNKNOWN;
	if (p->proc)
		return origin_of_proc(d->cfg.origin, p->proc, d->now_ns);
	return p->entity->exe ? origin_of_path(d->cfg.origin, text_str(p->entity->exe), d->now_ns)
			      : ORIGIN_UNKNOWN;
}

/* A package vouches for its program, but not for what an interpreter runs or a tool is told to carry. */
static bool is_vouched_for(enum program_class c)
{
	return c != PROGRAM_SHELL && c != PROGRAM_INTERPRETER && c != PROGRAM_RELAY &&
	       c != PROGRAM_TRANSFER;
}

/* A file anybody may write, or no file at all, is what intruders run; what a package brought is not. */
static void weigh_program(struct detect *d, const struct pair *p, struct weighed *w,
			  struct sum *sums)
{
	struct str exe = text_str(p->entity->exe);
	enum evidence_id id;
	char what[128];

	if (!p->entity->is_program)
		return;
	switch (where_from(d, p)) {
	case ORIGIN_MEMFD:
		id = E_MEMFD;
		snprintf(what, sizeof(what), "the program runs from memory, without a file");
		break;
	case ORIGIN_DELETED:
		id = E_DELETED_FILE;
		snprintf(what, sizeof(what), "the program's file was deleted");
		break;
	case ORIGIN_TEMP:
		id = E_TEMP_FILE;
		snprintf(what, sizeof(what), "%.*s lies where anybody may write",
			 (int)MIN(exe.n, (size_t)80), exe.p ?: "");
		break;
	case ORIGIN_PACKAGE:
		if (!is_vouched_for(p->entity->class))
			return;
		id = E_PACKAGED;
		snprintf(what, sizeof(what), "the program belongs to an installed package");
		break;
	default:
		return;
	}
	add_context(w, sums, id, evidence_rows[id].most, 0, 1, what, NULL);
}

static int of_group(const struct sum *s, int cap)
{
	return MIN(cap, s->heaviest + s->rest * 3 / 10);
}

static enum severity severity_of(const struct weighed *w)
{
	enum severity s = w->score_db >= CRITICAL_DB ? SEVERITY_CRITICAL
			  : w->score_db >= HIGH_DB   ? SEVERITY_HIGH
			  : w->score_db >= MEDIUM_DB ? SEVERITY_MEDIUM
			  : w->score_db >= LOW_DB    ? SEVERITY_LOW
						     : SEVERITY_NONE;

	/* What is itself the finding needs no second witness; all else is for the log until it has one. */
	if (w->alone && s < SEVERITY_MEDIUM)
		s = SEVERITY_MEDIUM;
	if (w->certain && s < SEVERITY_HIGH)
		s = SEVERITY_HIGH;
	if (w->alone)
		return s;
	return w->groups < 2 && s > SEVERITY_LOW ? SEVERITY_LOW : s;
}

static bool is_context(enum evidence_id id)
{
	return !*evidence_rows[id].detector;
}

void fusion_weigh(struct detect *d, const struct pair *p, struct weighed *ret)
{
	struct sum sums[GROUP_COUNT] = { 0 };
	const struct dossier *file = p->dossier;
	struct prevalence_row known, *fleet = fleet_knows(d, p->peer, &known) ? &known : NULL;
	int firm = 0, soft = 0, against = 0;

	*ret = (struct weighed){ 0 };
	for (unsigned i = 0; file && i < file->n; i++) {
		const struct evidence *e = file->evidence[i];
		const struct evidence_row *row = &evidence_rows[e->id];

		add(ret, sums, e);
		if (!row->alone || e->db < row->most)
			continue;
		ret->alone = true;
		ret->certain |= e->db >= CERTAIN_DB || (row->group != GROUP_INTEL && e->db >= 40);
	}
	weigh_rarity(d, p, ret, sums, fleet);
	weigh_novelty(d, p, ret, sums, fleet);
	weigh_program(d, p, ret, sums);
	weigh_popularity(p, ret, sums);
	for (int g = 0; g < GROUP_COUNT; g++) {
		int db = of_group(&sums[g], evidence_caps[g]);

		ret->groups += db >= GROUP_COUNTS_DB;
		/* That a name is known to everybody does not make a shell or a known bad address ordinary. */
		if (g == GROUP_CHANNEL || g == GROUP_IDENTITY || g == GROUP_INTEL)
			firm += db + sums[g].against;
		else
			soft += MAX(db, 0);
		if (g != GROUP_CHANNEL && g != GROUP_IDENTITY && g != GROUP_INTEL)
			against += sums[g].against;
	}
	ret->score_db = prior(d) + firm + MAX(soft + against, 0);
	for (size_t i = 0; i < ret->n && !ret->detector; i++) {
		if (is_context(ret->lines[i].id) || ret->lines[i].db <= 0)
			continue;
		ret->detector = evidence_rows[ret->lines[i].id].detector;
		ret->class = evidence_rows[ret->lines[i].id].class;
	}
	ret->severity = ret->detector ? severity_of(ret) : SEVERITY_NONE;
}
