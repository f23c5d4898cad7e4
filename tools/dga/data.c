// SPDX-License-Identifier: Apache-2.0
#include "tools/dga/dga.h"

#include <errno.h>
#include <libpsl.h>
#include <regex.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"

const char *const benign_words[BENIGN_SETS] = {
	[TRAIN] = "top sites, trained on",
	[TRAIN_SMALL] = "small sites, trained on",
	[CALIBRATE] = "top sites, for the thresholds",
	[CALIBRATE_SMALL] = "small sites, for the thresholds",
	[TEST] = "top sites, unseen",
	[TEST_SMALL] = "small sites, unseen",
	[TYPOS] = "top sites mistyped, unseen",
	[UNIVERSITIES] = "universities",
	[DEAD] = "names people gave to malware",
	[ADS] = "advertisers and trackers (some are generated)",
	[MAILBOXES] = "throw-away mailboxes (some are generated)",
};

uint64_t dice_next(struct dice *d)
{
	uint64_t z = d->state += 0x9e3779b97f4a7c15u;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

double exp_of(double x)
{
	double term = 1, sum = 1;
	int halved = 0;

	if (x < -60)
		return 0;
	if (x > 60)
		x = 60;
	for (; x > 0.25 || x < -0.25; halved++)
		x /= 2;
	for (int i = 1; i < 10; i++)
		sum += term *= x / i;
	while (halved--)
		sum *= sum;
	return sum;
}

double log_of(double x)
{
	double y = 0;

	for (; x > 1.5; y += 0.69314718055994530942)
		x /= 2;
	for (; x < 0.75; y -= 0.69314718055994530942)
		x *= 2;
	x = (x - 1) / (x + 1);
	for (double p = x, k = 1; k < 40; k += 2, p *= x * x)
		y += 2 * p / k;
	return y;
}

bool names_add(struct names *to, struct str label, struct str suffix)
{
	struct name *v;

	if (label.n > DGA_LABEL_MAX || label.n + suffix.n + 2 > sizeof(v->text))
		return false;
	if (to->n == to->max) {
		to->max = to->max ? to->max * 2 : 1024;
		v = realloc(to->v, to->max * sizeof(*v));
		if (!v)
			abort();
		to->v = v;
	}
	v = &to->v[to->n++];
	memset(v, 0, sizeof(*v));
	memcpy(v->text, label.p, label.n);
	if (suffix.n)
		memcpy(v->text + label.n + 1, suffix.p, suffix.n);
	v->label_n = (uint8_t)label.n;
	v->suffix_n = (uint8_t)suffix.n;
	return true;
}

static int by_text(const void *a, const void *b)
{
	return memcmp(((const struct name *)a)->text, ((const struct name *)b)->text,
		      sizeof(((struct name *)0)->text));
}

/* Each label once, in the order of the alphabet. */
void names_unique(struct names *s)
{
	size_t n = 0;

	if (s->n)
		qsort(s->v, s->n, sizeof(*s->v), by_text);
	for (size_t i = 0; i < s->n; i++)
		if (!n || !str_eq(name_label(&s->v[n - 1]), name_label(&s->v[i])))
			s->v[n++] = s->v[i];
	s->n = n;
}

void names_shuffle(struct names *s, struct dice *d)
{
	for (size_t i = s->n; i > 1; i--) {
		size_t j = dice_below(d, (uint32_t)i);
		struct name n = s->v[i - 1];

		s->v[i - 1] = s->v[j];
		s->v[j] = n;
	}
}

/* One slip of the fingers: a letter left out, doubled, swapped with the next, or its neighbour on the keyboard. */
void typo(struct dice *d, const struct name *of, struct name *ret)
{
	static const char rows[] = " qwertyuiop asdfghjkl zxcvbnm ";
	size_t n = of->label_n, i = dice_below(d, (uint32_t)n - 1);
	char label[DGA_LABEL_MAX + 2];
	struct names one = { ret, 0, 1 };
	const char *key;

	memcpy(label, of->text, n);
	switch (dice_below(d, 4)) {
	case 0:
		memmove(label + i, label + i + 1, n - i - 1);
		n--;
		break;
	case 1:
		memmove(label + i + 1, label + i, n - i);
		n++;
		break;
	case 2:
		label[n] = label[i];
		label[i] = label[i + 1];
		label[i + 1] = label[n];
		break;
	default:
		key = strchr(rows, label[i]);
		if (key && *key && key[1] != ' ')
			label[i] = key[1];
	}
	if (n > DGA_LABEL_MAX || !names_add(&one, (struct str){ label, n }, name_suffix(of)))
		*ret = *of;
}

/* --- reading --- */

static const char *const dead_sources[] = {
	"lokibot",
	"agenttesla",
	"apt_kimsuky",
	"apt_transparenttribe",
	"apt_sidewinder",
	"apt_charmingkitten",
	"asyncrat",
	"redline",
	"remcos",
	"njrat",
	NULL,
};

static bool is_dead_source(struct str source)
{
	if (!str_has_prefix(source, STR("maltrail:")))
		return false;
	source = str_sub(source, 9, source.n);
	for (const char *const *s = dead_sources; *s; s++)
		if (str_eq(source, str_of(*s)))
			return true;
	return false;
}

/* A label is in one of five parts by its hash, whatever list it came from: sets that must not meet do not. */
static void put_benign(struct data *d, struct str source, struct str label, struct str suffix)
{
	unsigned part = (unsigned)(hash_bytes(label.p, label.n, 1) % 5);
	bool top = str_eq(source, STR("alexa")) || str_eq(source, STR("cloudflare"));
	enum benign to;

	if (top || str_eq(source, STR("maltrail:formbook")))
		to = (part < 3 ? TRAIN : part == 3 ? CALIBRATE : TEST) + !top;
	else if (part < 4)
		return;
	else if (str_eq(source, STR("universities")))
		to = UNIVERSITIES;
	else if (str_eq(source, STR("ads")))
		to = ADS;
	else if (str_eq(source, STR("mailboxes")))
		to = MAILBOXES;
	else if (is_dead_source(source))
		to = DEAD;
	else
		return;
	names_add(&d->benign[to], label, suffix);
}

static bool split(const psl_ctx_t *psl, const char *name, struct str *ret_label,
		  struct str *ret_suffix)
{
	const char *at = psl_registrable_domain(psl, name), *dot = at ? strchr(at, '.') : NULL;

	if (!dot)
		return false;
	*ret_label = (struct str){ at, (size_t)(dot - at) };
	*ret_suffix = str_of(dot + 1);
	return dga_counts(*ret_label, *ret_suffix);
}

static void put(struct data *d, const regex_t *shapes, const psl_ctx_t *psl, struct str source,
		const char *name)
{
	struct str label, suffix;

	/* Known by what is trained on, not by what is only looked at. */
	if (!str_eq(source, STR("universities")) && !str_eq(source, STR("mailboxes")) &&
	    !str_eq(source, STR("ads"))) {
		d->read++;
		d->input_hash = hash_bytes(source.p, source.n, d->input_hash);
		d->input_hash = hash_bytes(name, strlen(name), d->input_hash);
	}
	if (str_has_prefix(source, STR("words-"))) {
		names_add(&d->words, str_of(name), str_sub(source, 6, source.n));
		if (!str_eq(source, STR("words-35")))
			dga_word_add(d->filter, str_of(name));
		return;
	}
	if (!split(psl, name, &label, &suffix))
		return;
	d->counted++;
	put_benign(d, source, label, suffix);
	for (size_t i = 0; i < n_family_sources; i++)
		if (str_eq(source, str_of(family_sources[i].source)) &&
		    !regexec(&shapes[i], name, 0, NULL, 0))
			names_add(&d->families[i].names, label, suffix);
}

static void finish(struct data *d)
{
	struct dice dice = { 0xe94e7 };
	size_t kept = 0, n;
	struct name slip;

	names_unique(&d->words);
	if (!d->words.n) /* no word list here: the common ones of the table in the tree, and no generators of words */
		memcpy(d->filter, dga_words, sizeof(d->filter));
	for (size_t i = 0; i < BENIGN_SETS; i++)
		names_unique(&d->benign[i]);
	/* What people mistype is theirs, too: one of five is also trained on so. */
	n = d->benign[TRAIN].n;
	for (size_t i = 0; i < n + d->benign[TEST].n; i++) {
		if (i < n && dice_below(&dice, 5))
			continue;
		typo(&dice, i < n ? &d->benign[TRAIN].v[i] : &d->benign[TEST].v[i - n], &slip);
		if (dga_counts(name_label(&slip), name_suffix(&slip)))
			names_add(&d->benign[i < n ? TRAIN : TYPOS], name_label(&slip),
				  name_suffix(&slip));
	}
	for (size_t i = 0; i < BENIGN_SETS; i++)
		names_shuffle(&d->benign[i], &dice);
	for (size_t i = 0; i < n_family_sources; i++) {
		struct family *f = &d->families[i];

		f->id = family_sources[i].id;
		f->made = family_sources[i].made;
		names_unique(&f->names);
		names_shuffle(&f->names, &dice);
		if (f->names.n > FAMILY_NAMES)
			f->names.n = FAMILY_NAMES;
		if (f->names.n >= 30) {
			d->families[kept++] = *f;
			continue;
		}
		fprintf(stderr, "%s: %zu names, left out\n", f->id, f->names.n);
		free(f->names.v);
	}
	for (size_t i = 0; i < n_family_generators(); i++) {
		d->families[kept] = (struct family){ 0 };
		kept += family_generate(i, &d->words, &d->families[kept]);
	}
	d->n_families = kept;
}

int data_read(struct data *d, FILE *in, const char *suffix_list)
{
	psl_ctx_t *psl = psl_load_file(suffix_list);
	regex_t *shapes = calloc(n_family_sources, sizeof(*shapes));
	char line[1024];
	int r = 0;

	*d = (struct data){ .families = calloc(n_family_sources + n_family_generators(),
					       sizeof(*d->families)) };
	if (!psl || !shapes || !d->families)
		r = -ENOENT;
	for (size_t i = 0; !r && i < n_family_sources; i++)
		if (regcomp(&shapes[i], family_sources[i].shape, REG_EXTENDED | REG_NOSUB))
			r = -EINVAL;
	while (!r && fgets(line, sizeof(line), in)) {
		char *tab = strchr(line, '\t'), *end = strchr(line, '\n');

		if (!tab || !end) {
			r = -EBADMSG;
			break;
		}
		*end = 0;
		put(d, shapes, psl, (struct str){ line, (size_t)(tab - line) }, tab + 1);
	}
	if (!r && !d->counted)
		r = -ENODATA;
	if (!r)
		finish(d);
	for (size_t i = 0; shapes && i < n_family_sources; i++)
		regfree(&shapes[i]);
	free(shapes);
	psl_free(psl);
	return r;
}

void data_clear(struct data *d)
{
	for (size_t i = 0; i < BENIGN_SETS; i++)
		free(d->benign[i].v);
	for (size_t i = 0; i < d->n_families; i++)
		free(d->families[i].names.v);
	free(d->families);
	free(d->words.v);
}
