/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Beacons: check-ins (detect/checkins.h) too regular for chance. Two streams are tested: all check-ins, and those of the commonest
 * upload size, which finds a beacon among human traffic to the same name.
 */
#include <math.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/hash.h"
#include "base/time.h"
#include "detect/checkins.h"
#include "detect/detectors.h"
#include "detect/regularity.h"

/* A beacon whose sleep lies between nothing and twice the usual has 0.58 and 1.8; one of five check-ins lost, 0.45 and 2. */
#define MUCH_SPREAD 0.45
#define MUCH_LONGER 2.2
#define LEAST_SPAN_S 40
#define LEAST_OF_MODE 9 /* check-ins of the commonest size, to be tested by themselves */
#define MOST_DB 20
#define ENOUGH (-14)   /* log10 p; 20 dB are reached at -12 */
#define MOST_DB_FEW 12 /* a short series of retries is as regular as can be */
#define FEW_GAPS 12
#define FEW_SPAN_S 300
#define MOST_DB_ONE_FLOW 10 /* keep-alives of a connection: many programs have them */

#define NEWS_NS (6 * 3600 * NSEC_PER_SEC)
#define LOOK_NS (12 * 3600 * NSEC_PER_SEC)

/*
 * Check-ins nearer to each other than this share of the longer gaps (their 90th percentile) are one: a question and what comes
 * of it. The longer ones, because three requests a check-in make most gaps short.
 */
#define MERGE_SHARE 0.04
#define MERGE_MOST_S 30

#define UNITS_A_SECOND ((double)(NSEC_PER_SEC / CHECKIN_UNIT_NS))
#define BIN (SIZES_AN_OCTAVE / 24) /* 2.9 % */

static int size_bin(const struct checkin *c)
{
	return c->size / BIN;
}

/* The bin that, with its neighbours, holds most check-ins. The last one's size is not known yet. */
static int modal_bin(const struct checkins *s, size_t *ret_n)
{
	double bins[CHECKINS];
	size_t n = s->n ? s->n - 1U : 0, from = 0, to = 0;
	int best = -1;

	*ret_n = 0;
	for (size_t i = 0; i < n; i++)
		bins[i] = size_bin(&s->ring[i]);
	sort_ascending(bins, n);
	for (size_t i = 0; i < n; i++) {
		while (bins[i] - bins[from] > 1)
			from++;
		while (to < n && bins[to] - bins[i] <= 1)
			to++;
		if (to - from > *ret_n) {
			*ret_n = to - from;
			best = (int)bins[i];
		}
	}
	return best;
}

/*
 * Seconds of silence from the end of each check-in to the start of the next: silence is what has no memory. Of those of one bin,
 * or of all (-1). Check-ins nearer than `merge_s` are taken together.
 */
static size_t gaps_of(const struct checkins *s, int bin, double merge_s, double *gaps)
{
	size_t n = 0, of = bin < 0 ? s->n : s->n - 1U;
	uint32_t end = 0;
	bool any = false;

	for (size_t i = 0; i < of; i++) {
		const struct checkin *c = &s->ring[i];
		double gap = ((double)c->at - end) / UNITS_A_SECOND;

		if (bin >= 0 && abs(size_bin(c) - bin) > 1)
			continue;
		if (any && gap >= merge_s)
			gaps[n++] = gap;
		end = MAX(end, c->end);
		any = true;
	}
	return n;
}

static bool test(const struct checkins *s, int bin, struct regularity *ret)
{
	double gaps[CHECKINS], merge_s = (double)CHECKIN_MERGE_NS / NSEC_PER_SEC;
	size_t n = gaps_of(s, bin, merge_s, gaps);
	double longer;

	if (n < REGULARITY_LEAST)
		return false;
	sort_ascending(gaps, n);
	longer = MERGE_SHARE * gaps[n * 9 / 10];
	if (longer > merge_s) {
		merge_s = fmin(longer, MERGE_MOST_S);
		n = gaps_of(s, bin, merge_s, gaps);
	}
	return regularity(gaps, n, merge_s, ret);
}

/* Was it answered, if not in this flow then in one of its own? */
static uint64_t sender_hash(const struct detect *d, const struct addr *from, const struct addr *to)
{
	struct addr both[2] = { *from, *to };

	return hash_bytes(both, sizeof(both), d->seed) | 1;
}

static bool is_answered(const struct detect *d, const struct pair *p, const struct flow *f)
{
	uint64_t hash = sender_hash(d, &f->key.dst, &f->key.src);

	return p->down || d->beacons->senders[hash % SENDERS] == hash;
}

static void note_sender(struct detect *d, const struct flow *f)
{
	uint64_t hash = sender_hash(d, &f->key.src, &f->key.dst);

	d->beacons->senders[hash % SENDERS] = hash;
}

/* The most that regularity weighs. Of the check-ins, how many opened a connection? */
static int most_db(const struct checkins *s, bool *ret_one_flow)
{
	size_t opened = 0;
	double share;

	for (size_t i = 1; i < s->n; i++)
		opened += s->ring[i].port != s->ring[i - 1].port;
	*ret_one_flow = !opened;
	share = (double)opened / (s->n > 1 ? s->n - 1 : 1);
	return MOST_DB_ONE_FLOW + (int)((MOST_DB - MOST_DB_ONE_FLOW) * fmin(1, 2 * share));
}

static double span_s(const struct checkins *s)
{
	return ((double)s->ring[s->n - 1].at - s->ring[0].at) / UNITS_A_SECOND;
}

/* The same again is told now and then: its words name how many there were, and a case that nothing is heard of closes. */
static bool is_news(struct detect *d, struct checkins *s, int db)
{
	if (db <= s->said_db && 4 * s->n < 5 * s->said_n && d->now_ns - s->said_ns < NEWS_NS)
		return false;
	s->said_db = (uint8_t)MAX((int)s->said_db, db);
	s->said_n = s->n;
	s->said_ns = d->now_ns;
	return true;
}

static void say_regular(struct detect *d, struct checkins *s, const struct regularity *r,
			const struct flow *f, bool mode, size_t of_mode)
{
	struct pair *p = s->of->pair;
	char what[128], baseline[128], every[TIME_TEXT_MAX];
	bool one_flow;
	int most = most_db(s, &one_flow);
	int db = MIN(regularity_weight(r->log10_p), most);

	if (r->gaps < FEW_GAPS && span_s(s) < FEW_SPAN_S)
		db = MIN(db, MOST_DB_FEW);
	/* Random with a dead time (retries that back off) is more regular than random, too, but its long gaps are longer. */
	if (r->spread > MUCH_SPREAD && r->long_gap > MUCH_LONGER)
		db = MIN(db, MOST_DB / 2);
	/* Datagrams that nobody answers are retries, or a log sent one way. Payload over TCP had a handshake before it. */
	if (f->key.proto != IPPROTO_TCP && !is_answered(d, p, f))
		db /= 2;
	if (db <= 0 || !is_news(d, s, db))
		return;
	snprintf(what, sizeof(what), "%zu %s%s every %s ± %.0f %%", r->gaps + r->breaks + 1,
		 mode ? "of its check-ins, all of one size," : "check-ins",
		 one_flow ? " down one connection" : "",
		 duration_format((uint64_t)(r->median_s * NSEC_PER_SEC), every), 100 * r->jitter);
	snprintf(baseline, sizeof(baseline), "traffic at random times this regular: p = 1e%.0f",
		 fmax(r->log10_p, -99));
	detect_evidence(d, p, E_REGULAR,
			&(struct evidence_in){ .db = db,
					       .measured = r->median_s,
					       .n = r->gaps,
					       .flow_id = f->id,
					       .what = what,
					       .baseline = baseline });
	if (of_mode * 10 < (s->n - 1U) * 9UL || s->n < 12)
		return;
	snprintf(what, sizeof(what), "%zu of %u check-ins sent the same amount", of_mode,
		 s->n - 1U);
	detect_evidence(d, p, E_ONE_SIZE,
			&(struct evidence_in){ .measured = (double)of_mode / (s->n - 1U),
					       .n = s->n - 1U,
					       .what = what });
}

/*
 * A sleep drawn from an exponential distribution beats every test of gaps. It keeps one rate, though, day and night, which
 * people do not: the hourly counts spread no more than chance makes them.
 */
static void say_steady(struct detect *d, struct checkins *s)
{
	uint32_t now = s->ring[s->n - 1].at / (uint32_t)(3600 * UNITS_A_SECOND);
	uint32_t hours = now > s->hour ? MIN(now - s->hour, (uint32_t)STREAM_HOURS) : 0;
	double mean = 0, spread = 0;
	char what[128];
	bool one_flow;

	/* The keep-alive of a connection goes on as long as that is open, whoever sleeps. */
	most_db(s, &one_flow);
	if (hours < 24 || one_flow)
		return;
	for (uint32_t i = 0; i < hours; i++)
		mean += (double)s->counts[i] / hours;
	for (uint32_t i = 0; i < hours; i++)
		spread += (s->counts[i] - mean) * (s->counts[i] - mean) / hours;
	if (mean < 2 || spread > 1.5 * mean)
		return;
	snprintf(what, sizeof(what), "%.1f check-ins in each of %u hours, day and night", mean,
		 hours);
	detect_evidence(
		d, s->of->pair, E_STEADY,
		&(struct evidence_in){ .measured = spread / mean, .n = hours, .what = what });
}

/*
 * Who looks often finds more by chance, if less than in proportion, because looks overlap. With this the best p of a stream is
 * reached about as often as it says: measured from 15 to 1,440 check-ins, tests/quality/beacon.c.
 */
static double log10_looks(uint64_t total)
{
	return log10(2.5 * (1 + log2((double)total / 8) + (double)total / 96));
}

static void evaluate(struct detect *d, struct checkins *s, const struct flow *f)
{
	struct regularity all = { 0 }, mode = { 0 };
	size_t of_mode;
	int bin = modal_bin(s, &of_mode);
	bool ok = test(s, -1, &all);
	bool mode_ok = of_mode >= LEAST_OF_MODE && of_mode < s->n - 1U && test(s, bin, &mode);
	struct regularity *best = mode_ok && (!ok || mode.log10_p < all.log10_p) ? &mode : &all;

	s->looked_ns = s->begun_ns;
	if (span_s(s) >= LEAST_SPAN_S && (ok || mode_ok)) {
		s->raw_log10_p = (float)fmin((double)s->raw_log10_p, best->log10_p);
		best->log10_p += log10_looks(s->total) + (ok && mode_ok ? log10(2) : 0);
		best->log10_p = fmin(best->log10_p, 0);
		s->log10_p = (float)fmin((double)s->log10_p, best->log10_p);
		say_regular(d, s, best, f, best == &mode, of_mode);
	}
	say_steady(d, s);
}

/* Often while little is known and something may be won, then one time in 32, or twice a day. */
static bool is_time(const struct checkins *s)
{
	uint64_t n = s->total;
	unsigned every = s->log10_p < ENOUGH && n <= CHECKINS ? 16
			 : n <= 16                            ? 1
			 : n <= 32                            ? 2
			 : n <= 64                            ? 4
			 : n <= 128                           ? 16
							      : 32;

	return n >= REGULARITY_LEAST + 1 &&
	       (n % every == 0 || s->begun_ns > s->looked_ns + LOOK_NS);
}

double beacon_log10_p(const struct pair *p, double *ret_raw)
{
	const struct beacon_pair *of = p->beacon;
	double best = 0;

	*ret_raw = 0;
	for (const struct checkins *s = of ? of->named : NULL; s; s = s->next) {
		best = fmin(best, (double)s->log10_p);
		*ret_raw = fmin(*ret_raw, (double)s->raw_log10_p);
	}
	if (of && of->all) {
		best = fmin(best, (double)of->all->log10_p);
		*ret_raw = fmin(*ret_raw, (double)of->all->raw_log10_p);
	}
	return best;
}

/* --- what it is asked ----------------------------------------------------------------------------------------------- */

/* What keeps itself alive by design, at a fixed interval, and is recognised by its bytes. */
static bool keeps_alive(enum app_proto app)
{
	switch (app) {
	case APP_DNS:
	case APP_NTP:
	case APP_STUN:
	case APP_WIREGUARD:
	case APP_OPENVPN:
	case APP_SNMP:
	case APP_SYSLOG:
	case APP_SIP:
		return true;
	default:
		return false;
	}
}

static void put(struct detect *d, struct checkins *s, const struct flow *f, uint64_t bytes,
		uint64_t time_ns)
{
	if (checkins_put(d, s, time_ns, bytes, f->key.sport) && is_time(s))
		evaluate(d, s, f);
}

static void data(struct detect *d, struct sighting *si, const struct flow *f, enum flow_side side,
		 uint64_t bytes, uint64_t time_ns)
{
	struct beacon_pair *of = si->pair->beacon;
	struct checkins *s = !of ? NULL : f->name ? of->named : of->all;

	if (side != TO_SERVER || keeps_alive(f->app))
		return;
	if (!s || s->name != f->name || !checkin_goes_on(s, time_ns, bytes)) {
		if (!flow_proto_has_ports(f->key.proto))
			return;
		s = checkins_of(d, si->pair, f->name, time_ns);
		if (s)
			put(d, s, f, bytes, time_ns);
		of = si->pair->beacon;
	}
	if (f->name && of && of->all)
		put(d, of->all, f, bytes, time_ns);
}

/* Also of flows that nobody looks at: what comes in may be the answer to what went out. */
static void note_datagrams(struct detect *d, const struct flow *f)
{
	if (f->key.proto == IPPROTO_UDP)
		note_sender(d, f);
}

static void flow(struct detect *d, struct sighting *s, const struct flow *f)
{
	note_datagrams(d, f);
}

static void plot(const struct pair *p, struct finding *f)
{
	const struct checkins *most = p->beacon ? p->beacon->all : NULL;

	for (const struct checkins *s = p->beacon ? p->beacon->named : NULL; s; s = s->next)
		if (!most || s->log10_p < most->log10_p ||
		    (s->log10_p == most->log10_p && s->n > most->n))
			most = s;
	f->plot.what = "seconds from one check-in to the next";
	for (size_t i = 1; most && i < most->n; i++) {
		if (most->n - i > FINDING_PLOT)
			continue;
		f->plot.at[f->plot.n++] =
			(float)((most->ring[i].at - most->ring[i - 1].at) / UNITS_A_SECOND);
	}
}

static size_t memory(const struct detect *d)
{
	const struct beacons *b = d->beacons;

	return sizeof(*b) + pool_bytes(&b->pairs) + pool_bytes(&b->streams) + pool_bytes(&b->rings);
}

const struct detector detect_beacon = {
	.name = "beacon",
	.start = checkins_new,
	.stop = checkins_free,
	.flow = flow,
	.aside = note_datagrams,
	.data = data,
	.forget = checkins_forget,
	.plot = plot,
	.memory = memory,
	.state_version = 1,
	.save = checkins_save,
	.load = checkins_load,
};
