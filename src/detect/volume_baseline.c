/* SPDX-License-Identifier: Apache-2.0 */
#include "detect/volume_baseline.h"

#include <math.h>
#include <stdlib.h>

#include "base/cleanup.h"

#define CODES_A_Y 2000.0
#define LEAST_SPREAD 0.25
#define LEAST_OWN 5
#define LEAST_POOLED 20
#define SMALLEST_BIN 10 /* 2^10 bytes */
#define CUSUM_DRIFT 0.5
#define CUSUM_MOST_A_DAY 6 /* so that no single day is an alarm */

unsigned hour_class(uint64_t hour)
{
	uint64_t day = hour / 24,
		 weekday = (day + 4) % 7; /* 1970 began on a Thursday; 0 is Sunday */

	return (unsigned)(hour % 24) + (weekday == 0 || weekday == 6 ? 24 : 0);
}

uint16_t amount_code(double bytes)
{
	double code = bytes > 0 ? round(CODES_A_Y * log1p(bytes)) : 0;

	return (uint16_t)fmin(code, UINT16_MAX);
}

double amount_y(uint16_t code)
{
	return code / CODES_A_Y;
}

void hour_ring_add(struct hour_ring *r, uint64_t hour, double bytes)
{
	unsigned c = hour_class(hour);

	r->at[c][r->next[c]] = amount_code(bytes);
	r->next[c] = (uint8_t)((r->next[c] + 1) % HOUR_VALUES);
	if (r->n[c] < HOUR_VALUES)
		r->n[c]++;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(double *v, size_t n)
{
	qsort(v, n, sizeof(*v), by_value);
	return n % 2 ? v[n / 2] : (v[n / 2 - 1] + v[n / 2]) / 2;
}

static size_t values(const struct hour_ring *r, unsigned class, double *v, size_t n)
{
	for (unsigned i = 0; i < r->n[class]; i++)
		v[n++] = amount_y(r->at[class][i]);
	return n;
}

void hour_ring_baseline(const struct hour_ring *r, uint64_t hour, struct baseline *ret)
{
	double v[HOUR_CLASSES];
	unsigned twin = (hour_class(hour) + 24) % HOUR_CLASSES;
	size_t n = 0;

	_Static_assert(HOUR_CLASSES >= HOUR_VALUES + LEAST_OWN, "v holds each of them");
	*ret = (struct baseline){ .class = hour_class(hour) };
	ret->own_class = r->n[ret->class] >= LEAST_OWN;
	if (ret->own_class) {
		n = values(r, ret->class, v, 0);
	} else if (r->n[twin] >= LEAST_OWN) {
		/* What is done every day at that hour is, on the first weekend, not odd. */
		n = values(r, twin, v, values(r, ret->class, v, 0));
	} else {
		for (unsigned c = 0; c < HOUR_CLASSES; c++)
			if (r->n[c])
				v[n++] = amount_y(
					r->at[c][(r->next[c] + HOUR_VALUES - 1U) % HOUR_VALUES]);
		if (n < LEAST_POOLED)
			return;
	}
	ret->n = n;
	ret->median = median(v, n);
	for (size_t i = 0; i < n; i++)
		v[i] = fabs(v[i] - ret->median);
	ret->spread = fmax(1.4826 * median(v, n), LEAST_SPREAD);
}

double baseline_z(const struct baseline *b, double bytes)
{
	return b->n ? (log1p(bytes) - b->median) / b->spread : 0;
}

unsigned amount_bin(double bytes)
{
	int bin = bytes >= 2 ? (int)ceil(log2(bytes)) - SMALLEST_BIN : 0;

	if (bin < 0)
		return 0;
	return (unsigned)MIN(bin, AMOUNT_BINS - 1);
}

void amounts_add(struct amounts *a, unsigned bin)
{
	if (a->n[bin] == UINT16_MAX)
		for (unsigned i = 0; i < AMOUNT_BINS; i++)
			a->n[i] /= 2;
	a->n[bin]++;
}

void amounts_move(struct amounts *a, unsigned from, unsigned to)
{
	if (from == to)
		return;
	if (a->n[from])
		a->n[from]--;
	amounts_add(a, to);
}

uint32_t amounts_total(const struct amounts *a)
{
	uint32_t n = 0;

	for (unsigned i = 0; i < AMOUNT_BINS; i++)
		n += a->n[i];
	return n;
}

double amounts_q99(const struct amounts *a, unsigned but)
{
	uint32_t total = amounts_total(a), seen = 0;

	if (but < AMOUNT_BINS && a->n[but])
		total--;
	for (unsigned i = 0; i < AMOUNT_BINS; i++) {
		seen += a->n[i] - (i == but && a->n[i] ? 1U : 0U);
		if (total && seen * 100ULL >= total * 99ULL)
			return ldexp(1, (int)i + SMALLEST_BIN);
	}
	return 0;
}

void cusum_day(struct cusum *c, double bytes)
{
	float y = (float)log1p(bytes), off, d;

	if (!c->days) {
		c->mean = y;
		c->spread = 1;
	}
	if (c->days < UINT16_MAX)
		c->days++;
	off = y - c->mean;
	d = fmaxf(c->spread, LEAST_SPREAD);
	if (c->days > CUSUM_LEAST_DAYS)
		c->s = fmaxf(0, c->s + fminf(off / d, CUSUM_MOST_A_DAY) - (float)CUSUM_DRIFT);
	/* Slower while it adds up: a drip must not become what it is compared with. */
	d = c->s > 1 ? 0.02F : c->days <= CUSUM_LEAST_DAYS ? 1.0F / c->days : 0.1F;
	c->mean += d * off;
	c->spread += d * (fabsf(off) - c->spread);
}
