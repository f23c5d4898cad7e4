/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One client's names that do not exist, weighed together: a program that looks for the one registered name among the
 * hundreds its generator makes leaves a row of NXDOMAIN answers, and what no single name proves ten of them do.
 *
 * Page's test (E. S. Page, "Continuous Inspection Schemes", Biometrika 41, 1954): a sum that each new name moves up or
 * down by the log likelihood ratio of its score, and that never falls below 0. One sum for each way of making names
 * (detect/dga_model.h). Not every name of an infected client is its malware's, so the ratio is that of a mixture,
 * ln(1 - q + q e^score), cut off at 3 nat: about as many names as that times three are needed, however odd one is.
 *
 * How rarely names that people chose come to a sum is measured, not computed: in groups of 10 labels drawn from lists of
 * sites that the table was not trained on, the bars stand where 1 in 1,000 and 1 in 200,000 groups do (of the worse of
 * two lists); between and beyond them the logarithm goes on in a line, and n names are n/10 groups. The two ways together
 * are 1 in 100,000: a `hit`. What drawing labels one by one cannot show: people's names that come in rows. So the caller
 * leaves out who asks for others' names (resolvers, mail servers, scanners of logs and of the web), and words weigh less:
 * groups of .co.uk or .biz labels alone, which are English words more often, come to that bar 5 to 20 times as often.
 *
 * Counted is each label once: retries, other suffixes of the same label, AAAA beside A say nothing new, nor do names
 * below one registrable domain. A window ends after DGA_WINDOW_NAMES labels or DGA_WINDOW_NS; the sums begin again.
 * What a label is known again by is a Bloom filter: of the last labels of a window some (at most 1 in 10) are taken for
 * repetitions and missed; they are in `repeated` with the true ones.
 */
#pragma once

#include "detect/dga_model.h"

#define DGA_WINDOW_NAMES 96
#define DGA_WINDOW_NS (24 * 3600 * 1000000000ull)
#define DGA_EXAMPLES 3
#define DGA_EXAMPLE_MAX 36 /* bytes kept of one */

enum dga_kind { DGA_RANDOM, DGA_WORDS, DGA_KINDS };

struct dga_seq { /* all zero: a new one; owns nothing */
	uint64_t seen[8];
	uint64_t since_ns;
	int16_t sum[DGA_KINDS]; /* 1/16 nat */
	uint16_t names, repeated;
	int8_t example_score[DGA_EXAMPLES];
	uint8_t example_n[DGA_EXAMPLES];
	char example[DGA_EXAMPLES][DGA_EXAMPLE_MAX];
};
_Static_assert(sizeof(struct dga_seq) <= 200, "one a client");

struct dga_verdict {
	enum dga_kind kind; /* the way that weighs more */
	uint8_t weight; /* decibans for group "dga", 0: nothing to say; random to 25, words to 15 */
	bool hit;       /* at most 1 in 100,000 groups of people's names comes this far */
	uint16_t names; /* labels counted in this window */
	float log10_p;  /* how rare this is among names that people chose */
};

/*
 * `client` was told at now_ns that label.suffix, or a name below it, does not exist. False: it said nothing (not a name
 * that counts, or one counted before) and ret is not written. `seed` is one for the whole run, from hash_random_seed().
 */
bool dga_seq_nxdomain(struct dga_seq *client, struct str label, struct str suffix, uint64_t now_ns,
		      uint64_t seed, struct dga_verdict *ret);

/* Names that speak most for the verdict, longer ones cut; STR_NONE when there are fewer. They point into the client. */
struct str dga_seq_example(const struct dga_seq *client, unsigned i);

/*
 * Decibans that one name's own score gives when the name does exist and was called, in group "dga": 0, 3 or 6. Weak on
 * purpose, and for random letters only: people do choose such names, one in a hundred or in a thousand.
 */
int dga_answered_weight(struct str label, struct str suffix);

/* --- for tools/dga --- */

struct dga_bars {
	int16_t rare;   /* sum that 1 in 1,000 groups of 10 comes to, 1/16 nat */
	int16_t rarest; /* and 1 in 200,000 */
	int16_t odd;    /* score of a name that 1 in 100 comes to */
	int16_t oddest; /* and 1 in 1,000 */
};
extern const struct dga_bars dga_bars[DGA_KINDS];

int dga_step(enum dga_kind kind, int score); /* what a score adds to the sum */
double dga_log10_p(const struct dga_bars *bars, int sum, unsigned names);
