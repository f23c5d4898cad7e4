/* SPDX-License-Identifier: Apache-2.0 */
#include "detect/regularity.h"

#include <math.h>
#include <stdlib.h>

/* The series of the lower incomplete gamma function (DLMF 8.7.1), summed as logarithms where it matters. */
double chi2_log10_lower(double x, double df)
{
	double a = df / 2, sum = 1 / a, term = sum, z = x / 2, log_p;

	if (x <= 0)
		return -INFINITY;
	for (int i = 1; i < 2000 && term > sum * 1e-15; i++) {
		term *= z / (a + i);
		sum += term;
	}
	log_p = a * log(z) - z - lgamma(a) + log(sum);
	return log_p < 0 ? log_p / M_LN10 : 0;
}

static int ascending(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

bool regularity(double *gaps, size_t n, double merge_s, struct regularity *ret)
{
	double sum = 0, logs = 0, s, k, b;
	size_t c = 0;

	*ret = (struct regularity){ 0 };
	if (n < REGULARITY_LEAST)
		return false;
	qsort(gaps, n, sizeof(*gaps), ascending);
	ret->median_s = n % 2 ? gaps[n / 2] : (gaps[n / 2 - 1] + gaps[n / 2]) / 2;
	for (; c < n && gaps[c] <= REGULARITY_BREAK * ret->median_s; c++) {
		/* Never quite 0, whose logarithm would be the whole sum. */
		double y = fmax(gaps[c] - merge_s, 0) + 0.05 * merge_s;

		sum += y;
		logs += log(y);
	}
	ret->gaps = c;
	ret->breaks = n - c;
	if (c < REGULARITY_LEAST || 4 * ret->breaks > c)
		return false;
	s = fmax(log(sum / (double)c) - logs / (double)c, 1e-12);
	b = 2 * (double)c * s / (1 + ((double)c + 1) / (6 * (double)c));
	ret->log10_p = chi2_log10_lower(b, (double)c - 1);
	k = (3 - s + sqrt((s - 3) * (s - 3) + 24 * s)) / (12 * s);
	/* Of the whole gap, not of what is left when the merge interval is off. */
	ret->jitter = sum / (double)c / (sum / (double)c + 0.95 * merge_s) / sqrt(k);
	return true;
}
