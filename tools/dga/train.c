// SPDX-License-Identifier: Apache-2.0
/* Fits the tables: a logistic by AdaGrad over the same features that are scored, and shares of word shapes. */
#include "tools/dga/dga.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"

enum { EPOCHS = 3 };
static const double RATE = 0.05, RIDGE = 1e-3, SMALL_WEIGHT = 2;

struct sample {
	const struct name *name;
	double weight;
	bool made;
};

static void step(float *w, float *g, const struct sample *s)
{
	uint16_t f[DGA_FEATURES_MAX];
	size_t n = dga_features(name_label(s->name), name_suffix(s->name), f);
	double z = 0, err;

	for (size_t i = 0; i < n; i++)
		z += (double)w[f[i]];
	err = ((s->made ? 1.0 : 0.0) - 1 / (1 + exp_of(-z))) * s->weight;
	for (size_t i = 0; i < n; i++) {
		double slope = err - RIDGE * (double)w[f[i]];

		g[f[i]] += (float)(slope * slope);
		w[f[i]] += (float)(RATE * slope / (1e-3 + sqrt((double)g[f[i]])));
	}
}

static size_t samples_max(const struct data *d)
{
	return d->n_families * FAMILY_NAMES + d->benign[TRAIN].n + d->benign[TRAIN_SMALL].n;
}

/* Families weigh the same, and together as much as what people chose: the score is then a likelihood ratio. */
static size_t samples_of(const struct data *d, size_t without, struct sample *ret)
{
	double chosen =
		(double)d->benign[TRAIN].n + SMALL_WEIGHT * (double)d->benign[TRAIN_SMALL].n;
	size_t n = 0, families = 0;

	for (size_t i = 0; i < d->n_families; i++)
		families += i != without && d->families[i].made == MADE_AT_RANDOM;
	for (size_t i = 0; i < d->n_families; i++) {
		const struct names *f = &d->families[i].names;

		if (i == without || d->families[i].made != MADE_AT_RANDOM)
			continue;
		for (size_t k = 0; k < f->n; k++)
			ret[n++] =
				(struct sample){ &f->v[k], chosen / (double)families / (double)f->n,
						 true };
	}
	for (enum benign set = TRAIN; set <= TRAIN_SMALL; set++)
		for (size_t k = 0; k < d->benign[set].n; k++)
			ret[n++] = (struct sample){ &d->benign[set].v[k],
						    set == TRAIN ? 1 : SMALL_WEIGHT, false };
	return n;
}

static int8_t rounded(double v, int most)
{
	v = v > most ? most : v < -most ? -most : v;
	return (int8_t)(v < 0 ? v - 0.5 : v + 0.5);
}

static int fit_ngrams(struct model *m, const struct data *d, size_t without)
{
	float *w = calloc(DGA_TABLE_SIZE, sizeof(*w)), *g = calloc(DGA_TABLE_SIZE, sizeof(*g));
	struct sample *s = calloc(samples_max(d), sizeof(*s));
	struct dice dice = { 0x7a11 };
	int r = w && g && s ? 0 : -ENOMEM;
	size_t n = r < 0 ? 0 : samples_of(d, without, s);

	for (int epoch = 0; epoch < EPOCHS; epoch++) {
		for (size_t i = n; i > 1; i--) {
			size_t j = dice_below(&dice, (uint32_t)i);
			struct sample t = s[i - 1];

			s[i - 1] = s[j];
			s[j] = t;
		}
		for (size_t i = 0; i < n; i++)
			step(w, g, &s[i]);
	}
	for (size_t i = 0; r == 0 && i < DGA_TABLE_SIZE; i++)
		m->ngrams[i] = rounded((double)w[i] * DGA_NAT, 127);
	free(w);
	free(g);
	free(s);
	return r;
}

/* Shares of shapes (dga_word_cell()), and of what they are made of where there are two words or more. */
struct shapes {
	double cell[DGA_CELLS];
	double several, count[4], shortest[2], hyphens[2];
};

static void shapes_add(struct shapes *to, const struct names *of, const uint8_t *filter,
		       double weight)
{
	for (size_t i = 0; i < of->n; i++) {
		unsigned cell = dga_word_cell(name_label(&of->v[i]), filter), at = cell - 1;

		to->cell[cell] += weight;
		if (!cell || (at >> 1 & 3) == 0)
			continue;
		to->several += weight;
		to->count[at >> 1 & 3] += weight;
		to->shortest[at & 1] += weight;
		to->hyphens[at >> 3] += weight;
	}
}

/* Of several words, the shape's parts are taken as independent: an unknown family has them in another mixture. */
static double share_of(const struct shapes *s, unsigned cell)
{
	unsigned at = cell - 1;

	if (!cell || (at >> 1 & 3) == 0)
		return s->cell[cell];
	return s->count[at >> 1 & 3] * s->shortest[at & 1] * s->hyphens[at >> 3] /
	       (s->several * s->several + 1e-9);
}

static void fit_cells(struct model *m, const struct data *d, size_t without)
{
	struct shapes made = { 0 }, chosen = { 0 };
	double families = 0;

	for (size_t i = 0; i < d->n_families; i++)
		families += i != without && d->families[i].made == MADE_OF_WORDS;
	for (size_t i = 0; i < d->n_families; i++) {
		const struct family *f = &d->families[i];

		if (i != without && f->made == MADE_OF_WORDS)
			shapes_add(&made, &f->names, d->filter, 1 / (double)f->names.n / families);
	}
	shapes_add(&chosen, &d->benign[TRAIN], d->filter, 1 / (double)d->benign[TRAIN].n);
	/* One name in a thousand of prior on both sides. */
	for (unsigned i = 0; i < DGA_CELLS; i++)
		m->cells[i] = rounded(DGA_NAT * log_of((share_of(&made, i) + 1e-3) /
						       (share_of(&chosen, i) + 1e-3)),
				      127);
}

int model_score(const struct model *m, const struct data *d, enum dga_kind kind,
		const struct name *n)
{
	uint16_t f[DGA_FEATURES_MAX];
	size_t k;
	int sum = 0;

	if (kind == DGA_WORDS)
		return m->cells[dga_word_cell(name_label(n), d->filter)];
	k = dga_features(name_label(n), name_suffix(n), f);
	for (size_t i = 0; i < k; i++)
		sum += m->ngrams[f[i]];
	return sum > DGA_SCORE_MAX ? DGA_SCORE_MAX : sum < -DGA_SCORE_MAX ? -DGA_SCORE_MAX : sum;
}

/* --- the bars: what people's names come to that were not trained on --- */

static int highest_first(const void *a, const void *b)
{
	return *(const int16_t *)b - *(const int16_t *)a;
}

int page_peak(const int16_t *steps, size_t n, unsigned group, struct dice *dice)
{
	int sum = 0, peak = 0;

	for (unsigned i = 0; i < group; i++) {
		sum += steps[dice_below(dice, (uint32_t)n)];
		sum = sum > 0 ? sum : 0;
		peak = sum > peak ? sum : peak;
	}
	return peak;
}

enum { PEAK_MAX = 3 * DGA_NAT * DGA_WINDOW_NAMES + 1 };

/* The least sum that at most a share p of the groups comes to. */
static int bar_of(const uint32_t *peaks, double p)
{
	double above = 0;

	for (int sum = PEAK_MAX - 1; sum > 0; sum--) {
		above += peaks[sum];
		if (above > p * GROUPS)
			return sum + 1;
	}
	return 1;
}

static int set_bars(struct model *m, const struct data *d, enum dga_kind kind,
		    const struct names *of)
{
	int16_t *scores = calloc(of->n + 1, sizeof(*scores)),
		*steps = calloc(of->n + 1, sizeof(*steps));
	uint32_t *peaks = calloc(PEAK_MAX, sizeof(*peaks));
	struct dga_bars *bars = &m->bars[kind];
	struct dice dice = { 0xba25 };
	int r = scores && steps && peaks ? 0 : -ENOMEM, b;

	if (r == 0 && of->n >= 1000) {
		for (size_t i = 0; i < of->n; i++) {
			scores[i] = (int16_t)model_score(m, d, kind, &of->v[i]);
			steps[i] = (int16_t)dga_step(kind, scores[i]);
		}
		for (int i = 0; i < GROUPS; i++)
			peaks[page_peak(steps, of->n, 10, &dice)]++;
		qsort(scores, of->n, sizeof(*scores), highest_first);
#define RAISE(bar, to) (b = (to), (bar) = (int16_t)(b > (bar) ? b : (bar)))
		RAISE(bars->rare, bar_of(peaks, 1e-3));
		RAISE(bars->rarest, bar_of(peaks, 5e-6));
		RAISE(bars->odd, scores[of->n / 100] + 1);
		RAISE(bars->oddest, scores[of->n / 1000] + 1);
#undef RAISE
	}
	if (bars->rarest <= bars->rare)
		bars->rarest = bars->rare + 1;
	free(scores);
	free(steps);
	free(peaks);
	return r;
}

int model_fit(struct model *m, const struct data *d, size_t without)
{
	int r = fit_ngrams(m, d, without);

	fit_cells(m, d, without);
	memset(m->bars, 0, sizeof(m->bars));
	for (enum dga_kind kind = 0; r == 0 && kind < DGA_KINDS; kind++) {
		r = set_bars(m, d, kind, &d->benign[CALIBRATE]);
		if (r == 0)
			r = set_bars(m, d, kind, &d->benign[CALIBRATE_SMALL]);
	}
	return r;
}

uint64_t table_id(const int8_t *ngrams, const int8_t *cells, const uint8_t *words,
		  const struct dga_bars *bars)
{
	uint64_t h = hash_bytes(ngrams, DGA_TABLE_SIZE, 0);

	h = hash_bytes(cells, DGA_CELLS, h);
	h = hash_bytes(words, DGA_WORDS_SIZE, h);
	return hash_bytes(bars, DGA_KINDS * sizeof(*bars), h);
}

/* --- writing --- */

#define ROWS(out, type, name, size, v)                                            \
	do {                                                                      \
		fprintf(out, "\nconst " type " " name " = {");                    \
		for (size_t i_ = 0; i_ < (size); i_++)                            \
			fprintf(out, "%s%d,", i_ % 64 ? "" : "\n", (int)(v)[i_]); \
		fprintf(out, "\n};\n");                                           \
	} while (0)

int model_write(const struct model *m, const struct data *d, FILE *out)
{
	fprintf(out,
		"/* SPDX-License-Identifier: Apache-2.0 */\n"
		"/*\n"
		" * Generated by tools/dga/train, not to be edited. Read from shared/data/lists:\n"
		" *   dga/alexa_100k.csv.gz, dga/dga_domains.txt (SuperCowPowers/data_hacking, "
		"MIT)\n"
		" *   cloudflare-top10k.json (MISP/misp-warninglists, CC0-1.0)\n"
		" *   dga/netlab-chinad.txt (360netlab/DGA, MIT)\n"
		" *   dga/test_domains.txt.gz (philarkwright/DGA-Detection, BSD)\n"
		" *   maltrail-domains.csv.xz (stamparm/maltrail, MIT): what tools/dga/families.c "
		"names, and formbook's decoys\n"
		" *   public_suffix_list.dat (MPL-2.0): for splitting names, nothing of it is in "
		"here\n"
		" * and words of Debian's package scowl (english-words.10, .20, .35; SCOWL's own "
		"licence, MIT-like).\n"
		" * %llu lines, hash %016llx; %zu families; table %016llx.\n"
		" */\n"
		"#include \"detect/dga_seq.h\"\n",
		(unsigned long long)d->read, (unsigned long long)d->input_hash, d->n_families,
		(unsigned long long)table_id(m->ngrams, m->cells, d->filter, m->bars));
	fprintf(out, "\nconst struct dga_bars dga_bars[DGA_KINDS] = {\n");
	for (enum dga_kind k = 0; k < DGA_KINDS; k++)
		fprintf(out, "\t{ %d, %d, %d, %d },\n", m->bars[k].rare, m->bars[k].rarest,
			m->bars[k].odd, m->bars[k].oddest);
	fprintf(out, "};\n");
	ROWS(out, "int8_t", "dga_cells[DGA_CELLS]", DGA_CELLS, m->cells);
	ROWS(out, "int8_t", "dga_ngrams[DGA_TABLE_SIZE]", DGA_TABLE_SIZE, m->ngrams);
	ROWS(out, "uint8_t", "dga_words[DGA_WORDS_SIZE]", DGA_WORDS_SIZE, d->filter);
	return ferror(out) || fflush(out) ? -EIO : 0;
}
