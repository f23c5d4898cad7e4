/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When rows are in force: the moments at which that changes, between the times of the configuration. A schedule holds
 * when the local calendar says so, whatever the clock does on the days when it is put forward or back; so the moments are
 * looked for (each hour that a schedule names, and each change of the clock), and what holds then is asked of the
 * calendar.
 */
#include "policy/compile.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#define MOMENTS_MAX 60000 /* the evaluator finds one of 65,536 */
#define STEP 43200        /* no day is shorter, whatever is done to the clock */

bool schedule_holds(const struct policy_schedule *s, int64_t unix_s)
{
	time_t t = (time_t)unix_s;
	struct tm tm;
	int day, minute;

	if (!localtime_r(&t, &tm))
		return false;
	day = (tm.tm_wday + 6) % 7;
	minute = tm.tm_hour * 60 + tm.tm_min;
	for (size_t i = 0; i < s->n_parts; i++) {
		const struct schedule_part *p = &s->parts[i];
		bool over_night = p->to_min <= p->from_min;

		if ((p->days >> day & 1) && minute >= p->from_min &&
		    (over_night || minute < p->to_min))
			return true;
		if (over_night && (p->days >> (day + 6) % 7 & 1) && minute < p->to_min)
			return true;
	}
	return false;
}

struct moments {
	int64_t *p;
	size_t n, cap;
	int64_t from, to;
	bool failed;
};

static void add_moment(struct moments *m, int64_t at)
{
	if (at <= m->from || at > m->to || (m->n && m->p[m->n - 1] == at))
		return;
	if (m->n == m->cap) {
		size_t cap = m->cap ? m->cap * 2 : 256;
		int64_t *to = realloc(m->p, cap * sizeof(*to));

		if (!to) {
			m->failed = true;
			return;
		}
		m->p = to;
		m->cap = cap;
	}
	m->p[m->n++] = at;
}

/* A minute of that day's wall clock may come once, twice or not at all. */
static void add_minute(struct moments *m, const struct tm *day, unsigned minute)
{
	for (int dst = 0; dst < 2; dst++) {
		struct tm tm = *day;
		time_t t;

		tm.tm_hour = (int)(minute / 60);
		tm.tm_min = (int)(minute % 60);
		tm.tm_sec = 0;
		tm.tm_isdst = dst;
		t = mktime(&tm);
		if (t != (time_t)-1)
			add_moment(m, t);
	}
}

static long offset_at(int64_t at)
{
	time_t t = (time_t)at;
	struct tm tm;

	return localtime_r(&t, &tm) ? tm.tm_gmtoff : 0;
}

/* The second at which the clock is changed between the two. */
static void add_clock_change(struct moments *m, int64_t lo, int64_t hi)
{
	long before = offset_at(lo);

	if (offset_at(hi) == before)
		return;
	while (hi - lo > 1) {
		int64_t mid = lo + (hi - lo) / 2;

		if (offset_at(mid) == before)
			lo = mid;
		else
			hi = mid;
	}
	add_moment(m, hi);
}

static void add_schedule(struct moments *m, const struct policy_schedule *s)
{
	for (int64_t at = m->from - 2 * STEP; at < m->to + 2 * STEP && !m->failed; at += STEP) {
		time_t t = (time_t)at;
		struct tm tm;

		if (!localtime_r(&t, &tm))
			continue;
		for (size_t i = 0; i < s->n_parts; i++) {
			add_minute(m, &tm, s->parts[i].from_min);
			add_minute(m, &tm, s->parts[i].to_min);
		}
		add_minute(m, &tm, 0);
		add_clock_change(m, at, at + STEP);
	}
}

static int by_time(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

/* --- what holds at a moment --------------------------------------------------------------------------------------- */

static bool any_holds(const bool *holds, const struct policy_terms *t)
{
	for (size_t i = 0; i < t->n_during; i++)
		if (holds[t->during[i]])
			return true;
	return false;
}

static bool in_force(const struct compile *c, const struct row *r, const bool *holds, int64_t at)
{
	if (r->until_s && at >= r->until_s)
		return false;
	if (r->match->n_during && !any_holds(holds, r->match))
		return false;
	for (size_t i = 0; i < r->n_negated; i++) {
		const struct negated *n = &c->negated[r->first_negated + i];

		if (n->term == TERM_DURING && any_holds(holds, n->terms))
			return false;
	}
	return true;
}

static void vector_at(const struct compile *c, const bool *used, bool *holds, int64_t at,
		      uint64_t *v)
{
	for (size_t i = 0; i < c->p->n_schedules; i++)
		holds[i] = used[i] && schedule_holds(&c->p->schedules[i], at);
	memset(v, 0, c->words * 8);
	for (uint32_t row = 0; row <= c->default_row; row++)
		if (in_force(c, &c->rows[row], holds, at))
			bit_set(v, row);
}

static void note_used(const struct policy_terms *t, bool *used)
{
	for (size_t i = 0; i < t->n_during; i++)
		used[t->during[i]] = true;
}

static int all_moments(struct compile *c, struct moments *m, const bool *used)
{
	for (size_t row = 0; row < c->n_rows; row++)
		if (c->rows[row].until_s)
			add_moment(m, c->rows[row].until_s);
	for (size_t i = 0; i < c->p->n_schedules; i++)
		if (used[i])
			add_schedule(m, &c->p->schedules[i]);
	if (m->n)
		qsort(m->p, m->n, sizeof(*m->p), by_time);
	return m->failed ? -ENOMEM : 0;
}

static int fill_line(struct compile *c, const struct moments *m, const bool *used, bool *holds)
{
	size_t room = 64;

	c->active_from = calloc(room, sizeof(*c->active_from));
	c->active = calloc(room * c->words, 8);
	for (size_t i = 0; i <= m->n; i++) {
		int64_t at = i ? m->p[i - 1] : m->from;

		if (c->n_active + 1 >= room) {
			int64_t *from = realloc(c->active_from, 2 * room * sizeof(*from));
			uint64_t *active;

			if (!from)
				return -ENOMEM;
			c->active_from = from;
			active = realloc(c->active, 2 * room * c->words * 8);
			if (!active)
				return -ENOMEM;
			c->active = active;
			room *= 2;
		}
		if (!c->active_from || !c->active)
			return -ENOMEM;
		vector_at(c, used, holds, at, c->active + c->n_active * c->words);
		if (c->n_active && !memcmp(c->active + c->n_active * c->words,
					   c->active + (c->n_active - 1) * c->words, c->words * 8))
			continue;
		c->active_from[c->n_active++] = i ? at : INT64_MIN;
		if (c->n_active > MOMENTS_MAX)
			return -E2BIG;
	}
	return 0;
}

void compile_time(struct compile *c)
{
	struct moments m = { .from = c->cfg->from_s, .to = c->cfg->to_s };
	_cleanup_free_ bool *used = calloc(c->p->n_schedules + 1, 1),
			    *holds = calloc(c->p->n_schedules + 1, 1);
	struct policy_place at = { 0 };
	int r = -ENOMEM;

	for (size_t row = 0; used && row < c->n_rows; row++) {
		note_used(c->rows[row].match, used);
		for (size_t i = 0; i < c->rows[row].n_negated; i++)
			note_used(c->negated[c->rows[row].first_negated + i].terms, used);
	}
	if (used && holds)
		r = all_moments(c, &m, used);
	if (r == 0)
		r = fill_line(c, &m, used, holds);
	free(m.p);
	for (size_t i = 0; r == -E2BIG && i < c->p->n_schedules; i++)
		if (used[i])
			at = c->p->schedules[i].place;
	if (r == -E2BIG)
		compile_error(c, at,
			      "schedules change too often: more than %u times until the policy is "
			      "worked out anew",
			      MOMENTS_MAX);
	else if (r < 0)
		compile_no_memory(c);
}
