/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How much likelier a registrable label is when a program made it (a domain generation algorithm, ATT&CK T1568.002) than
 * when a person chose it. Two ways to make names, two scores, because what speaks for one speaks against the other:
 *
 *   random   letters, digits or syllables put together: a logistic over hashed 2- to 4-grams of ^label$, its length, shares
 *            and runs, and its public suffix; trained by AdaGrad (Duchi, Hazan, Singer 2011), kept as 64 KB of int8.
 *   words    common English words put together: the label must be words to its last letter (a Bloom filter of 32 KB
 *            knows them); which of a few dozen shapes it has then is weighed by a table.
 *
 * One name proves nothing: at one false alarm in a thousand a quarter of the names of an unknown family is recognised.
 * Scores are for detect/dga_seq.h to add up. The tables are detect/dga_table.inc, written by tools/dga (see its head);
 * measured by tests/quality/dga.py into bench/QUALITY.md.
 *
 * Pure: no state, no allocation; any bytes may come in.
 */
#pragma once

#include "base/str.h"

#define DGA_NAT 16 /* scores are in 1/16 nat */
#define DGA_LABEL_MAX 63
#define DGA_TABLE_SIZE 65536
#define DGA_WORDS_SIZE 32768 /* bytes of the Bloom filter */
#define DGA_CELLS 17
#define DGA_SCORE_MAX (50 * DGA_NAT) /* of either score, to both sides */

struct dga_score {
	int16_t random; /* log likelihood ratio of a random-looking generator, 1/16 nat */
	int16_t words;  /* of one that puts words together, 1/16 nat */
};

/*
 * Whether a registrable domain says anything about how its name was made. `label` is the one label before `suffix`, its
 * public suffix, both without dots at the ends; case does not matter. Not counted are: no suffix at all (a browser's
 * probes of random single labels, search-suffix leftovers, wpad), reverse zones and names for local use (RFC 6761,
 * RFC 8375 and the like), names with bytes that a host name cannot have (_tcp), labels of less than 4 or more than 63
 * bytes, IDN labels (RFC 5890: what is random in them is Punycode), and customers' names below a hosting or CDN suffix
 * of the private part of the Public Suffix List (cloudfront.net, amazonaws.com: machines name those); customers of
 * dynamic DNS do count. The caller passes suffixes that are on the Public Suffix List by name (not by its default rule "*"):
 * other local suffixes than the common ones are not known here, and a browser's probes with one would count.
 */
bool dga_counts(struct str label, struct str suffix);

/* For labels that count; for others the result is 0, 0. */
struct dga_score dga_score(struct str label, struct str suffix);

/* --- for tools/dga, which trains on exactly what is scored here --- */

#define DGA_FEATURES_MAX 224
/* Indices into the table of n-grams, at most DGA_FEATURES_MAX; the score is the sum of what stands there. */
size_t dga_features(struct str label, struct str suffix, uint16_t ret[DGA_FEATURES_MAX]);

/* The shape of the label as words, < DGA_CELLS; 0: it is not words to the end. */
unsigned dga_word_cell(struct str label, const uint8_t words[DGA_WORDS_SIZE]);
void dga_word_add(uint8_t words[DGA_WORDS_SIZE], struct str word);

extern const int8_t dga_ngrams[DGA_TABLE_SIZE];
extern const uint8_t dga_words[DGA_WORDS_SIZE];
extern const int8_t dga_cells[DGA_CELLS];
