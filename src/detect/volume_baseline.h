/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is ordinary for an amount of bytes. Pure: no clock, no allocation. Amounts are compared as y = ln(1 + bytes), because
 * uploads spread over powers of ten; the middle is the median and the spread the median of absolute deviations (MAD; F. R. Hampel,
 * "The Influence Curve and its Role in Robust Estimation", 1974), which one large upload among many does not move.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Hours of the week that resemble each other: 24 of working days, 24 of weekends, by UTC. */
#define HOUR_CLASSES 48
#define HOUR_VALUES 28 /* kept of each class */

struct hour_ring {
	uint16_t at[HOUR_CLASSES][HOUR_VALUES]; /* codes */
	uint8_t n[HOUR_CLASSES], next[HOUR_CLASSES];
};

unsigned hour_class(uint64_t hour); /* `hour`: hours since 1970; 0..47 */

/* A byte count in 16 bits, a twentieth of a percent apart; what is more than 1.7e14 is that. */
uint16_t amount_code(double bytes);
double amount_y(uint16_t code); /* ln(1 + bytes) */

void hour_ring_add(struct hour_ring *r, uint64_t hour, double bytes);

struct baseline {
	double median, spread; /* of y; spread at least 0.25 */
	size_t n;              /* values behind it; 0: nothing to compare with */
	unsigned class;        /* of the hour asked for */
	int own_class; /* its values are those of this class alone; else one of each class */
};

/* Of at least 5 values of the hour's own class, else with those of the same hour of other days, else of the newest value of each
 * of at least 20 classes. */
void hour_ring_baseline(const struct hour_ring *r, uint64_t hour, struct baseline *ret);
double baseline_z(const struct baseline *b, double bytes); /* spreads above the median */

/* Counts by powers of two of bytes: what is rare among amounts. */
#define AMOUNT_BINS 32 /* 1 kB and less … 2 TB */
struct amounts {
	uint16_t n[AMOUNT_BINS]; /* halved all together before one overflows */
};
unsigned amount_bin(double bytes);
void amounts_add(struct amounts *a, unsigned bin);
void amounts_move(struct amounts *a, unsigned from, unsigned to); /* one that has grown */
uint32_t amounts_total(const struct amounts *a);
/* Upper end of the bin that 99 of 100 lie in or below, one of bin `but` left out (AMOUNT_BINS: none); 0: there are none. */
double amounts_q99(const struct amounts *a, unsigned but);

/*
 * Cumulative sum of daily amounts (E. S. Page, "Continuous Inspection Schemes", 1954): S = max(0, S + (y - m) / d - 0.5), where m and
 * d are running means of y and |y - m|. A change of one spread a day is told after about 16 days, of four after 3.
 */
#define CUSUM_ALARM 8
#define CUSUM_LEAST_DAYS 7 /* of learning, before it adds up anything */
struct cusum {
	float mean, spread, s;
	uint16_t days;
};
void cusum_day(struct cusum *c, double bytes);
