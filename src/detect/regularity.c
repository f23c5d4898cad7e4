/* SPDX-License-Identifier: Apache-2.0 */
#include "detect/regularity.h"

#include <math.h>

/*
 * Random gaps lose their longest ones as breaks, and what is left looks more regular than it is. This much the mean of s of
 * exponential gaps cut off at 6 medians is below that of whole ones: (0.5772 / 0.5437), by integration; it also makes the tail
 * right, tests/quality/beacon.c.
 */
#define CUT_OFF 1.062
#define EULER 0.5772156649

/* psi and its derivative: the recurrence up to 8, then the asymptotic series (DLMF 5.11.2, 5.15.8). */
static double digamma(double x)
{
	double r = 0, i;

	for (; x < 8; x++)
		r -= 1 / x;
	i = 1 / (x * x);
	return r + log(x) - 0.5 / x -
	       i * (1.0 / 12 - i * (1.0 / 120 - i * (1.0 / 252 - i * (1.0 / 240 - i / 132))));
}

static double trigamma(double x)
{
	double r = 0, i;

	for (; x < 8; x++)
		r += 1 / (x * x);
	i = 1 / (x * x);
	return r + 1 / x + i / 2 + i / x * (1.0 / 6 - i * (1.0 / 30 - i * (1.0 / 42 - i / 30)));
}

/* The shape of the gamma distribution with this s: a start for Newton, and the jitter. */
static double shape_of(double s)
{
	return (3 - s + sqrt((s - 3) * (s - 3) + 24 * s)) / (12 * s);
}

static double log10_normal(double x)
{
	if (x > -30)
		return log10(0.5 * erfc(-x * M_SQRT1_2));
	return (-x * x / 2 - log(-x * sqrt(2 * M_PI)) + log1p(-1 / (x * x))) / M_LN10;
}

double regularity_log10_lower(double s, double c)
{
	double v = shape_of(s), t, w, u;

	/* K'(t) = s, with t = c (1 - v) */
	for (int i = 0; i < 12; i++) {
		double off = digamma(c * v) - log(c) - digamma(v) - s;
		double slope = c * trigamma(c * v) - trigamma(v);
		double to = v - off / slope;

		if (to <= 0)
			to = v / 2;
		if (fabs(to - v) <= 1e-10 * v)
			break;
		v = to;
	}
	t = c * (1 - v);
	w = t * s - (c * lgamma(v) + lgamma(c) - lgamma(c * v) - t * log(c));
	w = copysign(sqrt(2 * fmax(w, 0)), t);
	u = t * sqrt(fmax(trigamma(v) / c - trigamma(c * v), 0));
	/* In the middle the formula is 0 / 0. */
	if (fabs(w) < 1e-3 || u == 0)
		return -M_LN2 / M_LN10;
	return fmin(log10_normal(w + log(u / w) / w), 0);
}

/* Shell's, with the gaps of Ciura (2001): at most 127 values, most often. */
void sort_ascending(double *x, size_t n)
{
	static const size_t steps[] = { 57, 23, 10, 4, 1 };

	for (size_t k = 0; k < sizeof(steps) / sizeof(*steps); k++) {
		size_t step = steps[k];

		for (size_t i = step; i < n; i++) {
			double v = x[i];
			size_t at = i;

			for (; at >= step && x[at - step] > v; at -= step)
				x[at] = x[at - step];
			x[at] = v;
		}
	}
}

bool regularity(double *gaps, size_t n, double merge_s, struct regularity *ret)
{
	double sum = 0, logs = 0, s;
	size_t c = 0;

	*ret = (struct regularity){ 0 };
	if (!n)
		return false;
	sort_ascending(gaps, n);
	ret->median_s = n % 2 ? gaps[n / 2] : (gaps[n / 2 - 1] + gaps[n / 2]) / 2;
	for (; c < n && gaps[c] <= REGULARITY_BREAK * ret->median_s; c++) {
		/* Never quite 0, whose logarithm would be the whole sum. */
		double y = fmax(gaps[c] - merge_s, 0) + 1e-3 * merge_s;

		sum += y;
		logs += log(y);
	}
	ret->gaps = c;
	ret->breaks = n - c;
	if (c < REGULARITY_LEAST || ret->breaks > 1 + n / 24)
		return false;
	s = fmax(log(sum / (double)c) - logs / (double)c, 1e-9);
	/* Most traffic is burstier than chance, and the formula is the dear part. */
	ret->log10_p = CUT_OFF * s < EULER ? regularity_log10_lower(CUT_OFF * s, (double)c) : 0;
	ret->spread = 1 / sqrt(shape_of(s));
	ret->long_gap = gaps[n * 9 / 10] / ret->median_s;
	/* Of the whole gap, not of what is left when the merge interval is off. */
	ret->jitter = ret->spread * sum / (sum + (double)c * merge_s);
	return true;
}

int regularity_weight(double log10_p)
{
	return (int)lround(fmin(-3 * log10_p - 6, 1000));
}
