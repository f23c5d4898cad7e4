/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which amounts are worth saying. Against an address whose hours are known an hour is large by how far it lies above them;
 * against a peer that is new it is large by what new peers get. A recording of less than a day has neither: there a large upload
 * counts for less, and cannot become a finding by itself.
 */
#include <math.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "base/human.h"
#include "detect/volume.h"

#define MB 1e6
#define DAY_NS (86400 * NSEC_PER_SEC)
#define LEAST_PCR 0.4
#define LEAST_HOST (50 * MB)  /* in an hour, to a peer that is not new */
#define LEAST_NET (200 * MB)  /* of a machine, behind which there are many programs */
#define LEAST_NEW (40 * MB)   /* in an hour, to a new peer; less is a day's work on small sites */
#define FULL_NEW (50 * MB)    /* that is full weight */
#define LEAST_Q99 (5 * MB)    /* what new peers get, at least */
#define LEAST_ALONE (50 * MB) /* in a short recording */
#define LEAST_DRIP (100 * MB) /* decayed, half-life 7 days */
#define LEAST_Z 4
#define PEAKS 3        /* what a pair has had within an hour before is its own measure */
#define MANY_USERS 0.1 /* of all here: from then on a new peer is something that was introduced */
#define HISTORY_HOURS 24
#define OFF_HOURS_LEAST 120 /* hours of history before an hour can be an odd one */
#define OFF_HOURS_SHARE 0.005
#define LEAST_CHUNK 65536
#define CHUNK_ALIKE 0.05
#define CHUNKS 8

static const char *size_text(double bytes, char text[HUMAN_TEXT_MAX])
{
	return human_bytes((uint64_t)fmax(bytes, 0), text);
}

static double pcr(double up, double down)
{
	return up + down > 0 ? (up - down) / (up + down) : 0;
}

static uint32_t hour_of(const struct volume_pair *v)
{
	return v->bucket / BUCKETS_AN_HOUR;
}

/* New to a site that had been watched for a day by then. */
static bool is_new_pair(const struct detect *d, const struct pair *p, uint64_t days)
{
	return p->first_ns >= d->started_ns + detect_learns_ns(d) &&
	       d->now_ns - p->first_ns < days * DAY_NS;
}

static bool is_new_here(const struct detect *d, const struct pair *p, uint64_t days)
{
	return p->peer->first_ns >= d->started_ns + detect_learns_ns(d) &&
	       d->now_ns - p->peer->first_ns < days * DAY_NS;
}

static void say(struct detect *d, struct pair *p, enum evidence_id id, int db, double measured,
		uint64_t n, uint64_t flow_id, const char *what, const char *baseline)
{
	detect_evidence(d, p, id,
			&(struct evidence_in){ .db = db,
					       .measured = measured,
					       .n = n,
					       .flow_id = flow_id,
					       .what = what,
					       .baseline = baseline });
}

/* When it happened, and what came before. Never said alone. */
static void say_around(struct detect *d, struct volume_pair *v, double x)
{
	const struct entity_volume *of = v->pair->entity->volume;
	const float *hours = v->pair->entity->hours;
	unsigned hour = hour_of(v) % 24;
	char what[128], size[HUMAN_TEXT_MAX];
	double all = 0, inside = 0;

	for (int i = 0; i < 24; i++)
		all += (double)hours[i];
	if (of->hours >= OFF_HOURS_LEAST && all > 0 &&
	    (double)hours[hour] < OFF_HOURS_SHARE * all) {
		snprintf(what, sizeof(what), "sent between %02u and %02u h UTC, as hardly ever",
			 hour, (hour + 1) % 24);
		say(d, v->pair, E_OFF_HOURS, 0, (double)hours[hour] / all, of->hours, 0, what, "");
	}
	for (uint32_t i = 0; i < INSIDE_HOURS; i++)
		if (i <= 6 && of->inside_hour >= i && of->inside_hour - i + 6 >= hour_of(v))
			inside += (double)of->inside[(of->inside_hour - i) % INSIDE_HOURS];
	if (inside >= 0.8 * x) {
		snprintf(what, sizeof(what),
			 "it had read %s from inside within the six hours before",
			 size_text(inside, size));
		say(d, v->pair, E_STAGED, 0, inside, 1, 0, what, "");
	}
}

/* Against the entity's own hours. */
static int weigh_hour(const struct detect *d, const struct volume_pair *v, double x,
		      struct baseline *b, double *ret_z)
{
	const struct entity_volume *of = v->pair->entity->volume;
	double least = d->cfg.vantage == DETECT_HOST ? LEAST_HOST : LEAST_NET;

	*b = (struct baseline){ 0 };
	*ret_z = 0;
	if (!of->ring || of->hours < HISTORY_HOURS)
		return 0;
	hour_ring_baseline(of->ring, hour_of(v), b);
	*ret_z = baseline_z(b, x);
	if (x < least || *ret_z < LEAST_Z || x < PEAKS * (double)v->peak)
		return 0;
	return (int)lround(fmin(8 + 2 * (*ret_z - LEAST_Z), evidence_rows[E_BURST].most));
}

static int weigh_new(double x)
{
	if (x < LEAST_NEW)
		return 0;
	return (int)lround(
		fmin(20 + 10 * log10(x / FULL_NEW), (double)evidence_rows[E_BURST].most));
}

static void say_burst(struct detect *d, struct volume_pair *v, double x, uint64_t flow_id)
{
	struct pair *p = v->pair;
	bool new = is_new_pair(d, p, 7);
	struct baseline b;
	double z;
	int by_hour = weigh_hour(d, v, x, &b, &z), by_new = new ? weigh_new(x) : 0;
	char what[128], baseline[128] = "", size[HUMAN_TEXT_MAX], median[HUMAN_TEXT_MAX];

	/* On another day it sent as much: the first time was not what it seemed. */
	if (by_hour <= 0 && !new && v->peak > 0 && x < PEAKS *(double)v->peak)
		detect_retract(d, p, E_BURST);
	if (by_hour <= 0 && by_new <= 0)
		return;
	snprintf(what, sizeof(what), "%s sent within an hour", size_text(x, size));
	if (b.n)
		snprintf(baseline, sizeof(baseline),
			 "it sends %s in such hours%s (median), which is %.1f spreads less",
			 size_text(expm1(b.median), median),
			 b.own_class ? (b.class >= 24 ? " of weekends" : " of working days") : "",
			 z);
	say(d, p, E_BURST, MAX(by_hour, by_new), x, MAX(b.n, (size_t)1), flow_id, what, baseline);
	say_around(d, v, x);
}

/* What new peers get in their first week, of this entity and of all: 99 of 100 no more than that. */
static double ordinary_for_new(const struct detect *d, const struct volume_pair *v, uint32_t *ret_n)
{
	const struct entity_volume *of = v->pair->entity->volume;
	double site = amounts_q99(&d->volumes->new_peers, v->bin);
	double own = amounts_q99(&of->new_peers, v->bin);

	*ret_n = amounts_total(&d->volumes->new_peers);
	if (amounts_total(&of->new_peers) >= 100)
		site = fmax(site, own);
	return fmax(site, LEAST_Q99);
}

static void say_new(struct detect *d, struct volume_pair *v, uint64_t flow_id)
{
	struct pair *p = v->pair;
	double sent = (double)v->week_up, ordinary, users;
	char what[128], baseline[128], size[HUMAN_TEXT_MAX], of[HUMAN_TEXT_MAX];
	uint32_t n;
	int db;

	if (sent < LEAST_NEW || !is_new_pair(d, p, 30))
		return;
	ordinary = ordinary_for_new(d, v, &n);
	db = (int)lround(
		fmin(10 + 5 * log(sent / ordinary), (double)evidence_rows[E_NEW_UPLOAD].most));
	if (!is_new_here(d, p, 30))
		db -= 6;
	users = p->peer->pairs / fmax(MANY_USERS * (double)d->entities.used, 3);
	if (users > 1) {
		detect_retract(d, p, E_NEW_UPLOAD);
		db -= (int)lround(10 * log10(users));
	}
	if (db <= 0)
		return;
	snprintf(what, sizeof(what), "a new peer%s was sent %s in its first week",
		 is_new_here(d, p, 30) ? " of the whole site" : "", size_text(sent, size));
	snprintf(baseline, sizeof(baseline), "99 of 100 new peers are sent no more than %s",
		 size_text(ordinary, of));
	say(d, p, E_NEW_UPLOAD, db, sent, MAX(n, 1U), flow_id, what, baseline);
}

static void say_drip(struct detect *d, struct volume_pair *v, uint64_t flow_id)
{
	struct pair *p = v->pair;
	double week = (double)v->decayed[1];
	char what[128], baseline[128] = "", size[HUMAN_TEXT_MAX], usual[HUMAN_TEXT_MAX];
	int db;

	if (week < LEAST_DRIP || pcr((double)p->up, (double)p->down) < LEAST_PCR)
		return;
	if (is_new_pair(d, p, 30)) {
		db = (int)lround(fmin(20 + 10 * log10(week / LEAST_DRIP),
				      (double)evidence_rows[E_DRIP].most));
		snprintf(what, sizeof(what),
			 "%s sent lately (half of what is a week old counts), to a peer of less "
			 "than 30 days",
			 size_text(week, size));
	} else if (v->cusum.s >= CUSUM_ALARM) {
		db = 14;
		snprintf(what, sizeof(what), "sends more each day than it did: %s lately",
			 size_text(week, size));
		snprintf(baseline, sizeof(baseline), "%s a day in %u days, cumulative sum %.1f",
			 size_text(expm1((double)v->cusum.mean), usual), v->cusum.days,
			 (double)v->cusum.s);
	} else {
		return;
	}
	say(d, p, E_DRIP, db, week, MAX(v->cusum.days, 1U), flow_id, what, baseline);
	say_around(d, v, week);
}

/* No days to compare with: by what the same recording shows. */
static void say_alone(struct detect *d, struct volume_pair *v, double x, double ratio,
		      uint64_t flow_id)
{
	const struct entity_volume *of = v->pair->entity->volume;
	double share = of->total_up > 0 ? (double)v->pair->up / of->total_up : 0;
	char what[128], baseline[128], size[HUMAN_TEXT_MAX];
	bool most = share >= 0.9 && ratio >= 0.8 && v->pair->app != APP_SSH;

	if (d->cfg.vantage != DETECT_FILE || of->hours >= HISTORY_HOURS || x < LEAST_ALONE ||
	    share < 0.5 || v->pair->peer->fame)
		return;
	snprintf(what, sizeof(what), "%s sent within an hour", size_text(x, size));
	snprintf(baseline, sizeof(baseline), "%.0f %% of all that it sent in this recording",
		 fmin(share, 1) * 100);
	say(d, v->pair, E_BURST, most ? 14 : 10, x, 1, flow_id, what, baseline);
	say_around(d, v, x);
}

void volume_look(struct detect *d, struct volume_pair *v, uint64_t flow_id)
{
	double x = volume_hour(v, TO_SERVER), y = volume_hour(v, TO_CLIENT);

	v->unsaid = 0;
	if (!v->pair->entity->volume)
		return;
	v->peak_today = fmaxf(v->peak_today, (float)x);
	if (x >= LEAST_NEW && pcr(x, y) >= LEAST_PCR) {
		say_burst(d, v, x, flow_id);
		say_new(d, v, flow_id);
		say_alone(d, v, x, pcr(x, y), flow_id);
	}
	if ((double)v->decayed[1] >= LEAST_DRIP) {
		say_drip(d, v, flow_id);
		if (pcr((double)v->pair->up, (double)v->pair->down) >= LEAST_PCR)
			say_new(d, v, flow_id);
	}
}

void volume_chunk(struct detect *d, struct volume_pair *v, double bytes)
{
	char what[128], size[HUMAN_TEXT_MAX];

	if (bytes < LEAST_CHUNK)
		return;
	if (v->chunks < UINT16_MAX)
		v->chunks++;
	if (fabs(bytes - (double)v->chunk) <= CHUNK_ALIKE * (double)v->chunk) {
		if (v->alike < UINT16_MAX)
			v->alike++;
		v->chunk += ((float)bytes - v->chunk) / 8;
	} else if (v->alike) {
		v->alike--;
	} else {
		v->chunk = (float)bytes;
	}
	/* A size that many share is worth saying of an upload that already is. */
	if (v->alike < CHUNKS || v->alike * 10 < v->chunks * 8 || !v->pair->dossier ||
	    pcr((double)v->pair->up, (double)v->pair->down) < LEAST_PCR)
		return;
	snprintf(what, sizeof(what), "%u of %u uploads were %s", v->alike + 1U, v->chunks,
		 size_text((double)v->chunk, size));
	say(d, v->pair, E_CHUNKS, 0, (double)v->chunk, v->chunks, 0, what, "within 5 %");
}

/* --- destinations --------------------------------------------------------------------------------------------------- */

/* What a destination says by itself, and how much has to be sent to it before it is more than a visit. */
static const struct {
	int8_t db;
	uint32_t least;
} drop_sites[PEER_CLASS_COUNT] = {
	[PEER_ANON_SHARE] = { 5, 16384 }, [PEER_FILE_DROP] = { 2, 65536 },
	[PEER_PASTE] = { 3, 8192 },       [PEER_BOT] = { 4, 0 },
	[PEER_HOOK] = { 6, 0 },           [PEER_TUNNEL] = { 6, 0 },
};

/* What it says when a program of that kind sends there. */
static int unusual(enum program_class program, enum peer_class to)
{
	static const int8_t db[PEER_CLASS_COUNT] = {
		[PEER_ANON_SHARE] = 20, [PEER_HOOK] = 18,   [PEER_TUNNEL] = 14, [PEER_PASTE] = 12,
		[PEER_FILE_DROP] = 12,  [PEER_BOT] = 8,     [PEER_CLOUD] = 10,  [PEER_WEBMAIL] = 4,
		[PEER_CHAT] = 4,        [PEER_OBJECTS] = 6,
	};

	switch (program) {
	case PROGRAM_TRANSFER:
	case PROGRAM_INTERPRETER:
	case PROGRAM_SHELL:
	case PROGRAM_RELAY:
	case PROGRAM_UNKNOWN:
		return db[to];
	case PROGRAM_CLOUD: /* what it is for, but for places without an account */
		return to == PEER_ANON_SHARE || to == PEER_HOOK ? db[to] : 0;
	default:
		return 0;
	}
}

static uint32_t least_up(enum peer_class to)
{
	switch (to) {
	case PEER_CLOUD:
	case PEER_OBJECTS:
	case PEER_WEBMAIL:
	case PEER_CHAT:
		return 1000000;
	case PEER_FILE_DROP:
	case PEER_ANON_SHARE:
		return 8192;
	default:
		return 2048; /* more than a handshake */
	}
}

/* A place for what nobody is to know: there less is much. */
static void say_much(struct detect *d, struct pair *p, const struct peer_class_row *row,
		     uint64_t up, uint64_t flow_id)
{
	double db = 10 + 6 * log10((double)up / MB);
	char what[128], size[HUMAN_TEXT_MAX];

	if (!drop_sites[row->class].db || row->class == PEER_BOT || db < 4)
		return;
	snprintf(what, sizeof(what), "%s sent over one connection", size_text((double)up, size));
	say(d, p, E_BURST, (int)lround(fmin(db, (double)evidence_rows[E_BURST].most)), (double)up,
	    1, flow_id, what, row->reason);
}

static void say_program(struct detect *d, struct pair *p, const struct peer_class_row *row,
			uint64_t up, uint64_t flow_id)
{
	enum program_class program = p->entity->class;
	uint32_t bit = 1U << row->class;
	bool first = !(d->volumes->used[program] & bit) && detect_since(d, d->started_ns) >= DAY_NS;
	int db = unusual(program, row->class);
	char what[128], baseline[128], size[HUMAN_TEXT_MAX];

	if (!p->entity->is_program || up < least_up(row->class))
		return;
	d->volumes->used[program] |= bit;
	if (!db)
		return;
	if (first)
		db += 6;
	snprintf(what, sizeof(what), "a %s sent %s to %s, %s", program_class_name(program),
		 size_text((double)up, size), row->domain, peer_class_name(row->class));
	snprintf(baseline, sizeof(baseline), "%s%s", row->reason,
		 first ? "; none of its kind ever did here" : "");
	say(d, p, E_DESTINATION, db, (double)up, 1, flow_id, what, baseline);
	say_much(d, p, row, up, flow_id);
}

void volume_destination(struct detect *d, const struct sighting *s, const struct flow *f)
{
	const struct peer_class_row *row = s->place;
	struct pair *p = s->pair;
	char what[128];

	say_program(d, p, row, s->up, f->id);
	if (!drop_sites[row->class].db || s->up < drop_sites[row->class].least ||
	    (drop_sites[row->class].least && s->up < s->down) ||
	    p->entity->class == PROGRAM_BROWSER)
		return;
	snprintf(what, sizeof(what), "%s: %s", row->domain, peer_class_name(row->class));
	say(d, p, E_DROP_SITE, drop_sites[row->class].db, (double)s->up, 1, f->id, what,
	    row->reason);
}
