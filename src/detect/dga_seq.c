// SPDX-License-Identifier: Apache-2.0
#include "detect/dga_seq.h"

#include <math.h>

#include "base/hash.h"

/* Of an infected client's names this share is the generator's; a table of words knows fewer of people's habits. */
static const double share[DGA_KINDS] = { 0.9, 0.97 };
static const double most = 3;
static const double log10_rare = -3, log10_rarest = -5.30103;

int dga_step(enum dga_kind kind, int score)
{
	double v =
		score < 30 * DGA_NAT ? log1p(share[kind] * expm1((double)score / DGA_NAT)) : most;

	return (int)lrint((v < most ? v : most) * DGA_NAT);
}

double dga_log10_p(const struct dga_bars *bars, int sum, unsigned names)
{
	double slope = (log10_rarest - log10_rare) / (bars->rarest - bars->rare);
	double p = log10_rare + slope * (sum - bars->rare);

	if (names > 10)
		p += log10(names / 10.0);
	return p < 0 ? p : 0;
}

static bool is_new(struct dga_seq *q, struct str label, uint64_t seed)
{
	char text[DGA_LABEL_MAX];
	bool known = true;
	uint64_t h;

	for (size_t i = 0; i < label.n; i++)
		text[i] = label.p[i] >= 'A' && label.p[i] <= 'Z' ? (char)(label.p[i] | 0x20)
								 : label.p[i];
	h = hash_bytes(text, label.n, seed);
	for (int i = 0; i < 2; i++, h >>= 9) {
		uint64_t *word = &q->seen[h >> 6 & 7], bit = (uint64_t)1 << (h & 63);

		known = known && *word & bit;
		*word |= bit;
	}
	return !known;
}

static void keep_example(struct dga_seq *q, struct str label, struct str suffix, int score)
{
	unsigned at = 0;
	char *to;
	size_t n, m;

	for (unsigned i = 1; i < DGA_EXAMPLES; i++)
		if (q->example_score[i] < q->example_score[at])
			at = i;
	if (score <= q->example_score[at])
		return;
	to = q->example[at];
	n = label.n < DGA_EXAMPLE_MAX ? label.n : DGA_EXAMPLE_MAX;
	memcpy(to, label.p, n);
	if (n < DGA_EXAMPLE_MAX)
		to[n++] = '.';
	m = suffix.n < DGA_EXAMPLE_MAX - n ? suffix.n : DGA_EXAMPLE_MAX - n;
	memcpy(to + n, suffix.p, m);
	q->example_n[at] = (uint8_t)(n + m);
	q->example_score[at] = (int8_t)score;
}

static uint8_t weigh(enum dga_kind kind, double log10_p)
{
	static const double each[DGA_KINDS] = { 5, 3 }, top[DGA_KINDS] = { 25, 15 };
	double w = -log10_p * each[kind];

	if (log10_p > log10_rare)
		return 0;
	return (uint8_t)lrint(w < top[kind] ? w : top[kind]);
}

bool dga_seq_nxdomain(struct dga_seq *q, struct str label, struct str suffix, uint64_t now_ns,
		      uint64_t seed, struct dga_verdict *ret)
{
	struct dga_score score;
	int steps[DGA_KINDS], moved = 0;

	if (!dga_counts(label, suffix))
		return false;
	if (!q->names || q->names >= DGA_WINDOW_NAMES ||
	    (now_ns > q->since_ns && now_ns - q->since_ns > DGA_WINDOW_NS))
		*q = (struct dga_seq){ .since_ns = now_ns };
	if (!is_new(q, label, seed)) {
		q->repeated += q->repeated < UINT16_MAX;
		return false;
	}
	q->names++;
	score = dga_score(label, suffix);
	steps[DGA_RANDOM] = dga_step(DGA_RANDOM, score.random);
	steps[DGA_WORDS] = dga_step(DGA_WORDS, score.words);

	*ret = (struct dga_verdict){ .names = q->names };
	for (enum dga_kind k = 0; k < DGA_KINDS; k++) {
		double p;
		uint8_t w;

		q->sum[k] = (int16_t)(q->sum[k] + steps[k] > 0 ? q->sum[k] + steps[k] : 0);
		moved |= q->sum[k];
		p = dga_log10_p(&dga_bars[k], q->sum[k], q->names);
		w = weigh(k, p);
		ret->hit |= p <= log10_rarest;
		if (!k || w > ret->weight) {
			ret->kind = k;
			ret->weight = w;
			ret->log10_p = (float)p;
		}
	}
	if (!moved) /* nothing to show for it any more */
		memset(q->example_score, 0, sizeof(q->example_score));
	keep_example(q, label, suffix, steps[0] > steps[1] ? steps[0] : steps[1]);
	return true;
}

struct str dga_seq_example(const struct dga_seq *q, unsigned i)
{
	if (i >= DGA_EXAMPLES || q->example_score[i] <= 0)
		return STR_NONE;
	return (struct str){ q->example[i], q->example_n[i] };
}

int dga_answered_weight(struct str label, struct str suffix)
{
	int s = dga_score(label, suffix).random;

	if (!dga_counts(label, suffix))
		return 0;
	return s >= dga_bars[DGA_RANDOM].oddest ? 6 : s >= dga_bars[DGA_RANDOM].odd ? 3 : 0;
}
