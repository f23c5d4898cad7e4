// SPDX-License-Identifier: Apache-2.0
/* How good it is on families and names that it has not seen, as Markdown for bench/QUALITY.md. */
#include "tools/dga/dga.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"

static const unsigned group_sizes[] = { 5, 10, 20, 50 };
enum { SIZES = 4, TEN = 1, FAMILY_GROUPS = 4000, FEW = 8 };

/* Steps of the names of one set, for both kinds. */
struct walk {
	int16_t *step[DGA_KINDS];
	uint32_t *order;
	size_t n;
};

static void walk_clear(struct walk *w)
{
	for (enum dga_kind k = 0; k < DGA_KINDS; k++)
		free(w->step[k]);
	free(w->order);
}

static int walk_init(struct walk *w, const struct model *m, const struct data *d,
		     const struct names *of)
{
	*w = (struct walk){ .n = of->n, .order = calloc(of->n + 1, sizeof(*w->order)) };
	for (enum dga_kind k = 0; k < DGA_KINDS; k++) {
		w->step[k] = calloc(of->n + 1, sizeof(*w->step[k]));
		if (!w->step[k] || !w->order)
			return -ENOMEM;
		for (size_t i = 0; i < of->n; i++)
			w->step[k][i] = (int16_t)dga_step(k, model_score(m, d, k, &of->v[i]));
	}
	for (size_t i = 0; i < of->n; i++)
		w->order[i] = (uint32_t)i;
	return 0;
}

/* The highest sum that `names` names may come to without being a hit. */
static void limits_of(const struct dga_bars *bars, int16_t *ret)
{
	for (unsigned n = 1; n <= DGA_WINDOW_NAMES; n++) {
		int sum = 0;

		while (dga_log10_p(bars, sum, n) > -5.30103)
			sum++;
		ret[n] = (int16_t)sum;
	}
}

/* Share of groups of names, each drawn without putting back, that are a hit at any of their names. */
static double hits(struct walk *w, const struct model *m, unsigned group, uint32_t groups,
		   double *ret_by_kind)
{
	int16_t limit[DGA_KINDS][DGA_WINDOW_NAMES + 1];
	uint32_t any = 0, by_kind[DGA_KINDS] = { 0 };
	struct dice dice = { 0xe7a1 + group };

	if (w->n < group)
		return -1;
	for (enum dga_kind k = 0; k < DGA_KINDS; k++)
		limits_of(&m->bars[k], limit[k]);
	for (uint32_t g = 0; g < groups; g++) {
		int sum[DGA_KINDS] = { 0 };
		unsigned hit = 0;

		for (unsigned i = 0; i < group; i++) {
			size_t at = i + dice_below(&dice, (uint32_t)(w->n - i));
			uint32_t pick = w->order[at];

			w->order[at] = w->order[i];
			w->order[i] = pick;
			for (enum dga_kind k = 0; k < DGA_KINDS; k++) {
				sum[k] += w->step[k][pick];
				sum[k] = sum[k] > 0 ? sum[k] : 0;
				hit |= (unsigned)(sum[k] >= limit[k][i + 1]) << k;
			}
		}
		any += hit != 0;
		for (enum dga_kind k = 0; k < DGA_KINDS; k++)
			by_kind[k] += hit >> k & 1;
	}
	for (enum dga_kind k = 0; ret_by_kind && k < DGA_KINDS; k++)
		ret_by_kind[k] = by_kind[k] / (double)groups;
	return any / (double)groups;
}

/* --- one family left out --- */

static int highest_first(const void *a, const void *b)
{
	return *(const int *)b - *(const int *)a;
}

struct sums {
	double names[3], groups[SIZES], half, most, false_hits;
	unsigned n, sized[SIZES];
};

static void name_rates(const struct model *m, const struct data *d, const struct family *f,
		       double ret[3])
{
	const struct names *people = &d->benign[TEST];
	int *scores = calloc(people->n, sizeof(*scores));

	if (!scores)
		abort();
	for (size_t i = 0; i < people->n; i++)
		scores[i] = model_score(m, d, DGA_RANDOM, &people->v[i]);
	qsort(scores, people->n, sizeof(*scores), highest_first);
	for (size_t i = 0, part = 100; i < 3; i++, part *= 10) {
		int bar = scores[people->n / part];
		size_t over = 0;

		for (size_t k = 0; k < f->names.n; k++)
			over += model_score(m, d, DGA_RANDOM, &f->names.v[k]) > bar;
		ret[i] = (double)over / (double)f->names.n;
	}
	free(scores);
}

static void sums_add(struct sums *to, const double names[3], const double groups[SIZES],
		     double false_hits)
{
	for (unsigned s = 0; s < SIZES; s++) {
		to->groups[s] += groups[s] < 0 ? 0 : groups[s];
		to->sized[s] += groups[s] >= 0;
	}
	for (unsigned k = 0; k < 3; k++)
		to->names[k] += names[k];
	to->half += groups[TEN] >= 0.5;
	to->most += groups[TEN] >= 0.9;
	to->false_hits += false_hits;
	to->n++;
}

static int leave_out(const struct data *d, size_t i, FILE *out, struct sums *all,
		     struct sums *published)
{
	static struct model m;
	const struct family *f = &d->families[i];
	double names[3], groups[SIZES], wrong;
	struct walk w = { 0 }, people = { 0 };
	int r = model_fit(&m, d, i);

	if (r == 0)
		r = walk_init(&w, &m, d, &f->names);
	if (r == 0)
		r = walk_init(&people, &m, d, &d->benign[TEST]);
	if (r == 0) {
		name_rates(&m, d, f, names);
		wrong = hits(&people, &m, 10, GROUPS / 2, NULL);
		fprintf(out, "| %s | %s | %zu | %.2f | %.2f | %.2f |", f->id,
			f->made == MADE_OF_WORDS ? "words" : "random", f->names.n, names[0],
			names[1], names[2]);
		for (unsigned s = 0; s < SIZES; s++) {
			groups[s] = hits(&w, &m, group_sizes[s], FAMILY_GROUPS, NULL);
			if (groups[s] < 0)
				fprintf(out, " - |");
			else
				fprintf(out, " %.3f |", groups[s]);
		}
		fprintf(out, " %.1e |\n", wrong);
		sums_add(all, names, groups, wrong);
		if (!strstr(f->id, "-like"))
			sums_add(published, names, groups, wrong);
	}
	walk_clear(&w);
	walk_clear(&people);
	return r;
}

/* --- the table in the tree, on people's names --- */

static void table_model(struct model *ret)
{
	memcpy(ret->ngrams, dga_ngrams, sizeof(ret->ngrams));
	memcpy(ret->cells, dga_cells, sizeof(ret->cells));
	memcpy(ret->bars, dga_bars, sizeof(ret->bars));
}

static int people_row(const struct model *m, const struct data *d, const char *title,
		      const struct names *of, uint32_t groups, FILE *out)
{
	size_t odd = 0, oddest = 0;
	double kinds[DGA_KINDS];
	struct walk w = { 0 };
	int r = walk_init(&w, m, d, of);

	for (size_t i = 0; i < of->n; i++) {
		int s = model_score(m, d, DGA_RANDOM, &of->v[i]);

		odd += s >= m->bars[DGA_RANDOM].odd;
		oddest += s >= m->bars[DGA_RANDOM].oddest;
	}
	if (r == 0) {
		fprintf(out, "| %s | %zu | %.2f %% | %.3f %% |", title, of->n,
			100.0 * (double)odd / (double)of->n,
			100.0 * (double)oddest / (double)of->n);
		for (unsigned s = 0; s < SIZES; s++) {
			double p =
				hits(&w, m, group_sizes[s], s == TEN ? groups : groups / 4, kinds);

			if (s == TEN)
				fprintf(out, " %.1e (%.1e, %.1e) |", p, kinds[DGA_RANDOM],
					kinds[DGA_WORDS]);
			else
				fprintf(out, " %.1e |", p);
		}
		fprintf(out, "\n");
	}
	walk_clear(&w);
	return r;
}

static int by_suffix(const void *a, const void *b)
{
	const struct name *x = a, *y = b;

	return strcmp(x->text + x->label_n + 1, y->text + y->label_n + 1);
}

/* People of one country ask for names of one suffix: the worst suffixes among those with enough unseen names. */
static int suffix_rows(const struct model *m, const struct data *d, uint32_t groups, FILE *out)
{
	enum { WORST = 3, ENOUGH = 150 };
	struct {
		size_t from, n;
		double p;
	} worst[WORST] = { 0 };
	struct names all = { 0 };
	int r = 0;

	for (enum benign set = CALIBRATE; set <= TEST_SMALL; set++)
		for (size_t i = 0; i < d->benign[set].n; i++)
			names_add(&all, name_label(&d->benign[set].v[i]),
				  name_suffix(&d->benign[set].v[i]));
	qsort(all.v, all.n, sizeof(*all.v), by_suffix);
	for (size_t from = 0, to; r == 0 && from < all.n; from = to) {
		struct names one = { all.v + from, 0, 0 };
		struct walk w = { 0 };
		size_t at = WORST;
		double p;

		for (to = from; to < all.n && !by_suffix(&all.v[from], &all.v[to]); to++)
			one.n++;
		if (one.n < ENOUGH)
			continue;
		r = walk_init(&w, m, d, &one);
		p = r < 0 ? 0 : hits(&w, m, 10, groups / 8, NULL);
		walk_clear(&w);
		while (at && p > worst[at - 1].p)
			at--;
		if (at == WORST)
			continue;
		memmove(&worst[at + 1], &worst[at], (WORST - 1 - at) * sizeof(worst[0]));
		worst[at].from = from;
		worst[at].n = one.n;
		worst[at].p = p;
	}
	for (size_t i = 0; r == 0 && i < WORST && worst[i].n; i++) {
		struct names one = { all.v + worst[i].from, worst[i].n, 0 };
		char title[160];

		snprintf(title, sizeof(title), "only .%s, unseen", name_suffix(&one.v[0]).p);
		r = people_row(m, d, title, &one, groups, out);
	}
	free(all.v);
	return r;
}

static uint64_t cpu_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void cost(const struct data *d, FILE *out)
{
	const struct names *of = &d->benign[TEST];
	struct dga_seq client = { 0 };
	struct dga_verdict v = { 0 };
	uint64_t at = cpu_ns(), score, seq;
	long check = 0;

	for (int round = 0; round < 10; round++)
		for (size_t i = 0; i < of->n; i++)
			check += dga_score(name_label(&of->v[i]), name_suffix(&of->v[i])).random;
	score = cpu_ns() - at;
	at = cpu_ns();
	for (int round = 0; round < 10; round++)
		for (size_t i = 0; i < of->n; i++)
			check += dga_seq_nxdomain(&client, name_label(&of->v[i]),
						  name_suffix(&of->v[i]), 1, 1, &v);
	seq = cpu_ns() - at;
	fprintf(out,
		"\nCost: %.0f ns of processor a name scored, %.0f ns a name weighed for its client "
		"(%zu B a "
		"client); checksum %ld.\n",
		(double)score / 10 / (double)of->n, (double)seq / 10 / (double)of->n,
		sizeof(client), check);
}

static void print_mean(const char *what, const struct sums *of, FILE *out)
{
	double n = of->n;

	fprintf(out, "| **mean of %u%s** | | | %.3f | %.3f | %.3f |", of->n, what, of->names[0] / n,
		of->names[1] / n, of->names[2] / n);
	for (unsigned s = 0; s < SIZES; s++)
		fprintf(out, " **%.3f** |", of->sized[s] ? of->groups[s] / of->sized[s] : 0);
	fprintf(out, " %.1e |\n", of->false_hits / n);
}

static void print_found(const char *what, const struct sums *of, FILE *out)
{
	double n = of->n;

	fprintf(out,
		"%s found within 10 names: %.1f %% of groups (mean over families); %.1f %% of "
		"families in at least "
		"half of their groups, %.1f %% in at least nine of ten.\n",
		what, 100 * of->groups[TEN] / n, 100 * of->half / n, 100 * of->most / n);
}

int evaluate(const struct data *d, FILE *out, bool few)
{
	static struct model m;
	uint32_t groups = few ? GROUPS / 4 : GROUPS;
	struct sums all = { 0 }, published = { 0 };
	int r = 0;

	table_model(&m);
	fprintf(out, "Table %016llx; input %016llx, %llu lines, %zu families.\n\n",
		(unsigned long long)table_id(dga_ngrams, dga_cells, dga_words, dga_bars),
		(unsigned long long)d->input_hash, (unsigned long long)d->read, d->n_families);
	fprintf(out, "| family left out | made | names | TPR at 1e-2 | 1e-3 | 1e-4 | groups of 5 | "
		     "10 | 20 | 50 | false, of 10 |\n"
		     "|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n");
	for (size_t i = 0; r == 0 && i < d->n_families; i += few ? FEW : 1)
		r = leave_out(d, i, out, &all, &published);
	if (r < 0 || !all.n)
		return r < 0 ? r : -ENODATA;
	print_mean("", &all, out);
	print_mean(" with published names", &published, out);
	fprintf(out, "\n");
	print_found("Unseen families", &all, out);
	print_found("Of them those with published names", &published, out);
	fprintf(out, "\n| names people chose (the table in the tree) | names | odd | oddest | "
		     "false groups of 5 | 10 (random, words) | 20 | 50 |\n"
		     "|---|--:|--:|--:|--:|--:|--:|--:|\n");
	for (enum benign set = TEST; r == 0 && set < BENIGN_SETS; set++)
		if (d->benign[set].n >= 100)
			r = people_row(&m, d, benign_words[set], &d->benign[set], groups, out);
	if (r == 0)
		r = suffix_rows(&m, d, groups, out);
	cost(d, out);
	return r;
}
