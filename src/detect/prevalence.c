/* SPDX-License-Identifier: Apache-2.0 */
#include "detect/prevalence.h"

#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/hash.h"

#define DOMAIN_MAX 255

struct row {
	uint64_t hash;
	struct prevalence_row of;
};

struct prevalence {
	struct prevalence_head head;
	uint64_t seed; /* nobody can make a name that is taken for another */
	struct row rows[];
};

static bool parse_number(struct str field, uint64_t most, uint32_t *ret)
{
	uint64_t n;

	if (str_parse_u64(field, &n) < 0 || n > MIN(most, UINT32_MAX))
		return false;
	*ret = (uint32_t)n;
	return true;
}

/* `most`: of each. The last field is what is left of the line. */
static bool parse_numbers(struct str line, size_t n, const uint64_t *most, uint32_t **ret)
{
	struct str field;

	for (size_t i = 0; i + 1 < n; i++)
		if (!str_cut(&line, '\t', &field) || !parse_number(field, most[i], ret[i]))
			return false;
	return parse_number(line, most[n - 1], ret[n - 1]);
}

static bool parse_head(struct str line, struct prevalence_head *ret)
{
	const uint64_t most[] = { UINT32_MAX, UINT32_MAX, UINT32_MAX, 366 };
	uint32_t time_s, *to[] = { &time_s, &ret->hosts, &ret->least, &ret->days };

	if (!parse_numbers(line, ARRAY_SIZE(to), most, to))
		return false;
	ret->time_s = time_s;
	return ret->least > 0 && ret->days > 0;
}

static bool parse_row(struct prevalence *p, struct str line)
{
	const uint64_t most[] = { p->head.hosts, p->head.days };
	struct row *row = &p->rows[p->head.domains];
	uint32_t *to[] = { &row->of.hosts, &row->of.days };
	struct str domain;

	if (!str_cut(&line, '\t', &domain) || !domain.n || domain.n > DOMAIN_MAX ||
	    !parse_numbers(line, ARRAY_SIZE(to), most, to) || row->of.hosts < p->head.least ||
	    !row->of.days)
		return false;
	row->hash = hash_bytes(domain.p, domain.n, p->seed);
	p->head.domains++;
	return true;
}

static int by_hash(const void *a, const void *b)
{
	uint64_t x = ((const struct row *)a)->hash, y = ((const struct row *)b)->hash;

	return x < y ? -1 : x > y;
}

static size_t lines_of(struct str text)
{
	size_t n = 0;

	for (size_t i = 0; i < text.n; i++)
		n += text.p[i] == '\n';
	return n;
}

static int parse_failed(struct prevalence *p)
{
	free(p);
	return -EBADMSG;
}

int prevalence_parse(struct prevalence **ret, struct str text)
{
	size_t lines = lines_of(text);
	struct prevalence *p;
	struct str line;

	if (text.n > PREVALENCE_BYTES_MAX || !lines || lines - 1 > PREVALENCE_ROWS_MAX ||
	    text.p[text.n - 1] != '\n')
		return -EBADMSG;
	p = calloc(1, sizeof(*p) + (lines - 1) * sizeof(*p->rows));
	if (!p)
		return -ENOMEM;
	p->seed = hash_random_seed();
	if (!str_cut(&text, '\n', &line) || !parse_head(line, &p->head))
		return parse_failed(p);
	while (str_cut(&text, '\n', &line))
		if (!parse_row(p, line))
			return parse_failed(p);
	qsort(p->rows, p->head.domains, sizeof(*p->rows), by_hash);
	*ret = p;
	return 0;
}

struct prevalence *prevalence_free(struct prevalence *p)
{
	free(p);
	return NULL;
}

const struct prevalence_head *prevalence_head(const struct prevalence *p)
{
	return &p->head;
}

struct prevalence_row prevalence_look(const struct prevalence *p, struct str domain)
{
	struct row like = { .hash = hash_bytes(domain.p, domain.n, p->seed) };
	const struct row *found =
		bsearch(&like, p->rows, p->head.domains, sizeof(*p->rows), by_hash);

	return found ? found->of : (struct prevalence_row){ 0 };
}
