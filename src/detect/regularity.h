/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Are these gaps more regular than chance? The statistic of Moran (1951) and Bartlett (1937) for exponential gaps: s = ln(mean) -
 * mean(ln) is 0 for a clock, about 0.577 (Euler's constant) for events at random times, more for bursts. Its distribution for c
 * exponential gaps is known by its cumulant generating function,
 *
 *     K(t) = c ln G(1 - t/c) + ln G(c) - ln G(c - t) - t ln c        (G: the gamma function; the gaps over their sum are Dirichlet)
 *
 * and the lower tail comes from that by the saddlepoint formula of Lugannani and Rice (1980) in Barndorff-Nielsen's form (1986),
 * right to a few per cent also at 1e-40. Bartlett's chi-square, which is the usual way, is off by a factor of 2 at 1e-3 already.
 * Pure functions.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* Gaps this many times the median are breaks (a laptop asleep, missed runs) and left out. */
#define REGULARITY_BREAK 6
#define REGULARITY_LEAST 7 /* gaps */

struct regularity {
	double log10_p;  /* of random events being at least so regular; <= 0 */
	double jitter;   /* standard deviation over mean, of the gamma distribution that fits */
	double spread;   /* the same of what is left without the merge interval */
	double long_gap; /* nine in ten are shorter, in medians; 3.3 of random ones */
	double median_s;
	size_t gaps, breaks;
};

/*
 * `gaps` in seconds, each at least `merge_s`, which is taken off: what is left of an exponential gap is exponential again.
 * Sorts `gaps`. False: too few of them, or a quarter and more are breaks; the median is there from one gap on.
 */
bool regularity(double *gaps, size_t n, double merge_s, struct regularity *ret);

/* log10 P(S <= s) of c >= 2 exponential gaps. */
double regularity_log10_lower(double s, double c);

void sort_ascending(double *x, size_t n);

/*
 * What such a p weighs, in decibans; not capped. Nearly every beacon comes below 1e-6, and 1 benign pair in 50 does (36 of 2,004 of a
 * day of proxy logs, all of them truly periodic): a likelihood ratio of 17 dB there, less above, because beacons with
 * much jitter are few and pairs are many.
 */
int regularity_weight(double log10_p);
