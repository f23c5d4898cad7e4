/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What dga-train works on: names, split at their public suffix, in sets that stay apart. Everything follows from the input
 * and one fixed seed; no clock, no libm, so that the same input gives the same table to the last bit.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "detect/dga_seq.h"

struct name {
	char text[128]; /* label, NUL, suffix, NUL */
	uint8_t label_n, suffix_n;
};

struct names {
	struct name *v;
	size_t n, max;
};

static inline struct str name_label(const struct name *n)
{
	return (struct str){ n->text, n->label_n };
}

static inline struct str name_suffix(const struct name *n)
{
	return (struct str){ n->text + n->label_n + 1, n->suffix_n };
}

/* --- dice: SplitMix64 (Steele, Lea, Flood 2014) --- */

struct dice {
	uint64_t state;
};
uint64_t dice_next(struct dice *d);
static inline uint32_t dice_below(struct dice *d, uint32_t n)
{
	return (uint32_t)(((dice_next(d) >> 32) * n) >> 32);
}
double exp_of(double x); /* the same everywhere, to 1e-9 */
double log_of(double x);

/* --- sets --- */

enum { FAMILY_NAMES = 1000 }; /* at most, of each family */
enum generator { MADE_AT_RANDOM, MADE_OF_WORDS };

struct family {
	const char *id;
	enum generator made;
	struct names names;
};

/* Those that a person chose. A label is in the first two, the next two or the rest, whatever list it came from. */
enum benign {
	TRAIN,
	TRAIN_SMALL,
	CALIBRATE,
	CALIBRATE_SMALL,
	TEST,
	TEST_SMALL,
	TYPOS,
	UNIVERSITIES,
	DEAD,
	ADS,
	MAILBOXES,
	BENIGN_SETS
};
extern const char *const benign_words[BENIGN_SETS];

struct data {
	struct family *families;
	size_t n_families;
	struct names benign[BENIGN_SETS];
	struct names words;             /* label alone: for generators that put words together */
	uint8_t filter[DGA_WORDS_SIZE]; /* the common ones of them */
	uint64_t read, counted, input_hash;
};

int data_read(struct data *d, FILE *in, const char *suffix_list);
void data_clear(struct data *d);
bool names_add(struct names *to, struct str label, struct str suffix);
void names_unique(struct names *s);
void names_shuffle(struct names *s, struct dice *d);
void typo(struct dice *d, const struct name *of, struct name *ret);

/* families.c: real ones by source and shape, and generators. */
struct family_source {
	const char *id, *source,
		*shape; /* shape: an extended regular expression over the whole name */
	enum generator made;
};
extern const struct family_source family_sources[];
extern const size_t n_family_sources;
size_t n_family_generators(void);
/* Fills f with names of generator i; false: it needs words and there are none. */
bool family_generate(size_t i, const struct names *words, struct family *f);

/* --- fitting --- */

struct model {
	int8_t ngrams[DGA_TABLE_SIZE];
	int8_t cells[DGA_CELLS];
	struct dga_bars bars[DGA_KINDS];
};

enum { GROUPS = 2000000 }; /* drawn for each rate of groups */

/* `without`: a family to leave out, or SIZE_MAX. */
int model_fit(struct model *m, const struct data *d, size_t without);
int model_score(const struct model *m, const struct data *d, enum dga_kind kind,
		const struct name *n);
int model_write(const struct model *m, const struct data *d, FILE *out);
uint64_t table_id(const int8_t *ngrams, const int8_t *cells, const uint8_t *words,
		  const struct dga_bars *bars);

/* How far the sum of a group of steps, drawn from n, comes at its highest. */
int page_peak(const int16_t *steps, size_t n, unsigned group, struct dice *dice);

/* --- evaluation: Markdown to `out`; with `few` one family of eight is left out --- */

int evaluate(const struct data *d, FILE *out, bool few);
