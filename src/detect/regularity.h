/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Are these gaps more regular than chance? The test of Moran (1951) and Bartlett (1937) for exponential gaps: s = ln(mean) -
 * mean(ln) is 0 for a clock, 0.577 (Euler's constant) for events at random times, more for bursts. 2 c s / (1 + (c + 1) / 6 c)
 * has a chi-square distribution of c - 1 degrees of freedom when the c gaps are exponential; its lower tail is how likely
 * random events are to be so regular. Pure functions.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* Gaps this many times the median are breaks (a laptop asleep, missed runs) and left out. */
#define REGULARITY_BREAK 6
/* Check-ins closer together than this share of the median, and never less than a second, are one. */
#define REGULARITY_MERGE 0.05
#define REGULARITY_LEAST 7 /* gaps */

struct regularity {
	double log10_p; /* of random events being at least so regular; <= 0 */
	double jitter;  /* standard deviation over mean, of the gamma distribution that fits */
	double median_s;
	size_t gaps, breaks;
};

/*
 * `gaps` in seconds, each at least `merge_s`, which is taken off: what is left of an exponential gap is exponential again.
 * Sorts `gaps`. False: too few of them, or a quarter and more are breaks.
 */
bool regularity(double *gaps, size_t n, double merge_s, struct regularity *ret);

double chi2_log10_lower(double x, double df); /* log10 P(X <= x) */
