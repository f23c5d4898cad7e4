/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How well the beacon detector finds beacons, and how often it is wrong: synthetic check-ins with a fixed seed through the whole of
 * detection. The cells and what has to be reached are those of the design's head-to-head (Moran-Bartlett at p < 1e-9); what is
 * printed as p has to be reached by random traffic about as often as it says.
 */
#include "test.h"

#include <math.h>

#include "detect/checkins.h"
#include "detect/dossier.h"
#include "detect_rig.h"

#define RUNS 200
#define HOUR 3600.0
#define DAY (24 * HOUR)

static uint64_t seed;

static double uniform(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return ((double)(seed >> 11) + 0.5) / 9007199254740992.0;
}

static double exponential(double mean)
{
	return -mean * log(uniform());
}

struct sent {
	double at;
	uint64_t up;
};

struct traffic {
	struct sent *at;
	size_t n, max;
};

static void add(struct traffic *t, double at, uint64_t up)
{
	if (t->n == t->max) {
		t->max = t->max ? 2 * t->max : 4096;
		t->at = realloc(t->at, t->max * sizeof(*t->at));
		assert_non_null(t->at);
	}
	t->at[t->n++] = (struct sent){ at, up };
}

static int by_time(const void *a, const void *b)
{
	const struct sent *x = a, *y = b;

	return (x->at > y->at) - (x->at < y->at);
}

static uint64_t any_size(void)
{
	return (uint64_t)exp(5 + 4 * uniform()); /* 150 to 8,000 bytes */
}

static void beacon(struct traffic *t, double every, double jitter, double loss, double off_from,
		   double off_to, double until)
{
	for (double at = every * uniform(); at < until;
	     at += every * (1 + jitter * (2 * uniform() - 1)))
		if (uniform() >= loss && !(at >= off_from && at < off_to))
			add(t, at, uniform() < 0.95 ? 806 : any_size());
}

/* Nine hours of sessions: some minutes of clicks, each a few requests, then something else. */
static void human(struct traffic *t)
{
	for (double at = 8 * HOUR + exponential(600); at < 17 * HOUR; at += exponential(1200))
		for (int clicks = 1 + (int)exponential(6); clicks-- > 0; at += exponential(25)) {
			double k = at;

			for (int n = 1 + (int)exponential(2); n-- > 0; k += exponential(3))
				add(t, k, any_size());
		}
}

static void poisson(struct traffic *t, double mean, double until, bool one_size)
{
	for (double at = exponential(mean); at < until; at += exponential(mean))
		add(t, at, one_size ? 517 : any_size());
}

/* Nothing comes sooner than `from`. */
static void pareto(struct traffic *t, double from, double until)
{
	for (double at = 0; at < until; at += from * pow(uniform(), -1 / 1.2))
		add(t, at, any_size());
}

static void bursty(struct traffic *t, double until)
{
	for (double at = exponential(600); at < until; at += exponential(600))
		for (int n = 2 + (int)(8 * uniform()); n-- > 0; at += 1.5 + exponential(4))
			add(t, at, any_size());
}

/* One pair's traffic; the best p it came to, as a power of ten: as it is printed, and before it is corrected for many tests. */
static double run(struct rig *r, uint32_t src, struct traffic *t, double *ret_raw)
{
	struct addr a = addr_from_v4(&(uint32_t){ htonl(src) });
	double best = 0;

	qsort(t->at, t->n, sizeof(*t->at), by_time);
	for (size_t i = 0; i < t->n; i++)
		rig_checkin(r, src, 0xc6336407, "a.beacon-quality.net",
			    RIG_START + (uint64_t)(t->at[i].at * 1e9), t->at[i].up);
	if (t->n)
		best = beacon_log10_p(pair_of(r->d, entity_of_addr(r->d, &a),
					      peer_of_domain(r->d, STR("beacon-quality.net"))),
				      ret_raw);
	t->n = 0;
	return best;
}

enum others { ALONE, AMONG_HUMAN };

struct cell {
	const char *what;
	double every, jitter, loss, off_from, off_to, until;
	enum others others;
	double least_9, least_6; /* share of the runs, per cent, with raw p < 1e-9 and p < 1e-6 */
};

static const struct cell cells[] = {
	{ "60 s", 60, 0, .05, 0, 0, DAY, ALONE, 100, 100 },
	{ "60 s ± 30 %", 60, .3, .05, 0, 0, DAY, ALONE, 100, 100 },
	{ "60 s ± 90 %", 60, .9, .05, 0, 0, DAY, ALONE, 53, 95 },
	{ "300 s ± 50 %, 8 h off, 20 % lost", 300, .5, .2, 6 * HOUR, 14 * HOUR, DAY, ALONE, 100,
	  100 },
	{ "60 s ± 30 %, 30 % lost", 60, .3, .3, 0, 0, DAY, ALONE, 100, 100 },
	{ "3600 s ± 30 %, 24 check-ins", 3600, .3, .05, 0, 0, DAY, ALONE, 60, 93 },
	{ "60 s ± 20 %, first hour", 60, .2, .05, 0, 0, HOUR, ALONE, 99, 100 },
	{ "60 s ± 20 %, 15 minutes, none lost", 60, .2, 0, 0, 0, HOUR / 4, ALONE, 95, 95 },
	{ "60 s ± 20 %, 15 minutes, 5 % lost", 60, .2, .05, 0, 0, HOUR / 4, ALONE, 30, 60 },
	{ "300 s ± 10 % among a human's", 300, .1, .05, 0, 0, DAY, AMONG_HUMAN, 100, 100 },
	{ "900 s ± 20 % among a human's", 900, .2, .05, 0, 0, DAY, AMONG_HUMAN, 98, 98 },
};

static void test_finds(void **state)
{
	struct traffic t = { 0 };
	bool short_of = false;

	for (size_t c = 0; c < sizeof(cells) / sizeof(*cells); c++) {
		const struct cell *cell = &cells[c];
		unsigned nine = 0, six = 0, raw_nine = 0, raw_six = 0;

		seed = 0x9e3779b97f4a7c15 + c;
		for (unsigned i = 0; i < RUNS; i++) {
			struct rig r;
			double p, raw = 0;

			rig_new(&r, DETECT_GATEWAY, 0);
			beacon(&t, cell->every, cell->jitter, cell->loss, cell->off_from,
			       cell->off_to, cell->until);
			if (cell->others == AMONG_HUMAN)
				human(&t);
			p = run(&r, 0x0a000001, &t, &raw);
			nine += p < -9;
			six += p < -6;
			raw_nine += raw < -9;
			raw_six += raw < -6;
			rig_free(&r);
		}
		print_message("%-36s p < 1e-9 %5.1f %% (raw %5.1f %%, wanted %3.0f), p < 1e-6 "
			      "%5.1f %% (raw %5.1f %%, wanted %3.0f)\n",
			      cell->what, 100.0 * nine / RUNS, 100.0 * raw_nine / RUNS,
			      cell->least_9, 100.0 * six / RUNS, 100.0 * raw_six / RUNS,
			      cell->least_6);
		short_of |= 100.0 * raw_nine / RUNS < cell->least_9 ||
			    100.0 * raw_six / RUNS < cell->least_6;
	}
	free(t.at);
	assert_false(short_of);
}

static int weight_of(struct rig *r)
{
	int db = 0;

	list_for_each(it, &r->d->dossier_list) {
		const struct dossier *file = container_of(it, struct dossier, link);

		for (unsigned i = 0; i < file->n; i++)
			if (file->evidence[i]->id == E_REGULAR)
				db = file->evidence[i]->db;
	}
	return db;
}

/*
 * Ordinary traffic of a whole day: no finding, and not once p < 1e-4, of which 0.02 are to be expected. A dead time is what the
 * test cannot tell from a beacon with much jitter: it weighs half, but for one run in ten.
 */
static void test_ordinary(void **state)
{
	static const char *const what[] = { "at random, 60 s", "human, 9 h", "bursts",
					    "heavy-tailed (Pareto from 1 s)",
					    "heavy-tailed with a dead time of 5 s" };
	struct traffic t = { 0 };
	unsigned wrong = 0;

	for (int kind = 0; kind < 5; kind++) {
		unsigned at_4 = 0, full = 0;
		int most = 0;
		double best = 0;

		seed = 0xd1b54a32d192ed03 + (uint64_t)kind;
		for (unsigned i = 0; i < RUNS; i++) {
			struct rig r;
			double p, raw = 0;
			int db;

			rig_new(&r, DETECT_GATEWAY, 0);
			if (kind == 0)
				poisson(&t, 60, DAY, false);
			else if (kind == 1)
				human(&t);
			else if (kind == 2)
				bursty(&t, DAY);
			else
				pareto(&t, kind == 3 ? 1 : 5, DAY);
			p = run(&r, 0x0a000001, &t, &raw);
			db = weight_of(&r);
			most = db > most ? db : most;
			full += db > 10;
			best = fmin(best, p);
			at_4 += p < -4;
			assert_int_equal(r.findings, 0);
			rig_free(&r);
		}
		print_message("%-36s p < 1e-4 in %u of %d runs, the least 1e%.1f; at most %d dB, "
			      "over 10 dB in %u\n",
			      what[kind], at_4, RUNS, best, most, full);
		assert_in_range(full, 0, kind < 4 ? 0 : RUNS / 10);
		wrong += kind < 4 ? at_4 : 0;
	}
	free(t.at);
	assert_int_equal(wrong, 0);
}

struct random_cell {
	const char *what;
	double mean, until;
	bool one_size;
	unsigned runs;
};

static const struct random_cell random_cells[] = {
	{ "60 s, 15 minutes", 60, HOUR / 4, false, 20000 },
	{ "60 s, 2 hours", 60, 2 * HOUR, false, 10000 },
	{ "60 s, 2 hours, one size", 60, 2 * HOUR, true, 10000 },
	{ "60 s, a day", 60, DAY, false, 1500 },
	{ "3 s, 10 minutes", 3, 600, false, 10000 },
	{ "1 h, 4 days", 3600, 4 * DAY, false, 10000 },
};

/* Printed and observed within a factor of three, where there are enough to tell; never far more often than printed. */
static void test_calibration(void **state)
{
	const char *factor =
		getenv("EGRET_QUALITY_RUNS"); /* more of them, to set the constants by */
	unsigned times = factor ? (unsigned)strtoul(factor, NULL, 10) : 1;
	struct traffic t = { 0 };
	bool off = false;

	for (size_t c = 0; c < sizeof(random_cells) / sizeof(*random_cells); c++) {
		const struct random_cell *cell = &random_cells[c];
		unsigned runs = cell->runs * times, n[5] = { 0 };
		struct rig r;

		seed = 0x2545f4914f6cdd1d + c;
		for (unsigned i = 0; i < runs; i++) {
			double p, raw = 0;

			if (i % 4096 == 0)
				rig_new(&r, DETECT_GATEWAY, 0);
			poisson(&t, cell->mean, cell->until, cell->one_size);
			p = run(&r, 0x0a000001 + i % 4096, &t, &raw);
			for (int k = 1; k < 5; k++)
				n[k] += p <= -k;
			if (i % 4096 == 4095 || i == runs - 1)
				rig_free(&r);
		}
		print_message("random, %-28s of %7u:", cell->what, runs);
		for (int k = 2; k < 5; k++) {
			double want = runs * pow(10, -k), spread = 3 * sqrt(want) + 1;

			print_message("  1e-%d %u times, %.2f of expected", k, n[k], n[k] / want);
			off |= n[k] > 3 * want + spread || n[k] + spread < want / 3;
		}
		print_message("\n");
	}
	free(t.at);
	assert_false(off);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_finds),
		cmocka_unit_test(test_ordinary),
		cmocka_unit_test(test_calibration),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
