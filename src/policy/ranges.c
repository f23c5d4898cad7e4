/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/ranges.h"

#include <errno.h>
#include <string.h>

#define DIGIT 16
#define DIGITS_MAX 8
#define RADIX_LEAST 2048 /* below, the counters cost more than they save */

int ranges_add(struct ranges *r, uint32_t atom, u128 lo, u128 hi)
{
	struct ranges_of *of;

	if (atom >= r->n_atoms) {
		uint32_t n = r->n_atoms ? r->n_atoms : 64;
		struct ranges_of *to;

		while (n <= atom)
			n *= 2;
		to = realloc(r->of, n * sizeof(*to));
		if (!to)
			return -ENOMEM;
		memset(to + r->n_atoms, 0, (n - r->n_atoms) * sizeof(*to));
		r->of = to;
		r->n_atoms = n;
	}
	of = &r->of[atom];
	if (of->n == of->cap) {
		size_t cap = of->cap ? of->cap + of->cap / 2 : 4;
		void *to = realloc(of->wide,
				   cap * (r->wide ? sizeof(*of->wide) : sizeof(*of->narrow)));

		if (!to)
			return -ENOMEM;
		of->wide = to;
		of->cap = cap;
	}
	if (r->wide)
		of->wide[of->n++] = (struct range128){ lo, hi };
	else
		of->narrow[of->n++] = (uint64_t)lo << 32 | (uint64_t)hi;
	r->total++;
	return 0;
}

void ranges_done(struct ranges *r)
{
	for (uint32_t i = 0; i < r->n_atoms; i++)
		free(r->of[i].wide);
	free(r->of);
	*r = (struct ranges){ .wide = r->wide };
}

/* --- sorting ------------------------------------------------------------------------------------------------------ */

static int by_narrow(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static int by_wide(const void *a, const void *b)
{
	const struct range128 *x = a, *y = b;

	return (x->lo > y->lo) - (x->lo < y->lo);
}

static uint32_t digit_of(const void *item, bool wide, unsigned digit)
{
	u128 key = wide ? ((const struct range128 *)item)->lo : *(const uint64_t *)item >> 32;

	return (uint32_t)(key >> (digit * DIGIT)) & ((1U << DIGIT) - 1);
}

/* One pass: by one digit of `lo`, equal ones in the order they had. */
static void radix_pass(uint8_t *to, const uint8_t *from, size_t n, bool wide, unsigned digit,
		       uint32_t *count)
{
	size_t size = wide ? sizeof(struct range128) : sizeof(uint64_t);
	uint32_t sum = 0;

	for (size_t i = 0; i < 1U << DIGIT; i++) {
		uint32_t c = count[i];

		count[i] = sum;
		sum += c;
	}
	for (size_t i = 0; i < n; i++)
		memcpy(to + size * count[digit_of(from + size * i, wide, digit)]++, from + size * i,
		       size);
}

static int radix_sort(struct ranges_of *of, bool wide)
{
	size_t size = wide ? sizeof(struct range128) : sizeof(uint64_t);
	_cleanup_free_ uint32_t *count = calloc(1U << DIGIT, sizeof(*count));
	uint8_t *to = malloc(of->n * size), *from = (uint8_t *)of->wide, *swap;

	if (!count || !to) {
		free(to);
		return -ENOMEM;
	}
	for (unsigned digit = 0; digit < (wide ? DIGITS_MAX : 2); digit++) {
		memset(count, 0, (1U << DIGIT) * sizeof(*count));
		for (size_t i = 0; i < of->n; i++)
			count[digit_of(from + size * i, wide, digit)]++;
		if (count[digit_of(from, wide, digit)] == of->n)
			continue; /* all alike */
		radix_pass(to, from, of->n, wide, digit, count);
		swap = from;
		from = to;
		to = swap;
	}
	free(to);
	of->wide = (void *)from;
	of->cap = of->n;
	return 0;
}

static int sort_ranges(struct ranges_of *of, bool wide)
{
	size_t i, size = wide ? sizeof(struct range128) : sizeof(uint64_t);

	for (i = 1; i < of->n; i++)
		if (wide ? of->wide[i].lo < of->wide[i - 1].lo : of->narrow[i] < of->narrow[i - 1])
			break;
	if (i >= of->n)
		return 0;
	if (of->n >= RADIX_LEAST)
		return radix_sort(of, wide);
	qsort(of->wide, of->n, size, wide ? by_wide : by_narrow);
	return 0;
}

static struct range128 range_at(const struct ranges *r, uint32_t atom, size_t i)
{
	const struct ranges_of *of = &r->of[atom];

	if (r->wide)
		return of->wide[i];
	return (struct range128){ of->narrow[i] >> 32, of->narrow[i] & UINT32_MAX };
}

/* --- the sweep ---------------------------------------------------------------------------------------------------- */

/* Where an atom's next boundary is. */
struct next {
	u128 at;
	uint32_t atom;
	bool ends;
	size_t i; /* of the range after this one */
	u128 hi;  /* of this one, joined with what it overlaps */
};

struct heap {
	struct next *p;
	size_t n;
};

static void sift_down(struct heap *h, size_t i)
{
	struct next x = h->p[i];

	for (;;) {
		size_t child = 2 * i + 1;

		if (child >= h->n)
			break;
		if (child + 1 < h->n && h->p[child + 1].at < h->p[child].at)
			child++;
		if (h->p[child].at >= x.at)
			break;
		h->p[i] = h->p[child];
		i = child;
	}
	h->p[i] = x;
}

/* Range i of the atom, and all that it touches. False: there is none. */
static bool next_range(const struct ranges *r, struct next *x)
{
	struct range128 a;

	if (x->i >= r->of[x->atom].n)
		return false;
	a = range_at(r, x->atom, x->i++);
	for (; x->i < r->of[x->atom].n; x->i++) {
		struct range128 b = range_at(r, x->atom, x->i);

		if (b.lo > a.hi && b.lo - 1 > a.hi)
			break;
		a.hi = MAX(a.hi, b.hi);
	}
	x->at = a.lo;
	x->hi = a.hi;
	x->ends = false;
	return true;
}

/* From a boundary to the atom's next. False: there is none. */
static bool advance(const struct ranges *r, struct next *x)
{
	u128 most = r->wide ? ~(u128)0 : UINT32_MAX;

	if (x->ends)
		return next_range(r, x);
	if (x->hi == most)
		return false;
	x->at = x->hi + 1;
	x->ends = true;
	return true;
}

static int fill_heap(struct ranges *r, struct heap *h)
{
	h->p = calloc(r->n_atoms + 1, sizeof(*h->p));
	if (!h->p)
		return -ENOMEM;
	for (uint32_t atom = 0; atom < r->n_atoms; atom++) {
		struct next x = { .atom = atom };

		if (!r->of[atom].n)
			continue;
		if (sort_ranges(&r->of[atom], r->wide) < 0)
			return -ENOMEM;
		next_range(r, &x);
		h->p[h->n++] = x;
	}
	for (size_t i = h->n / 2; i-- > 0;)
		sift_down(h, i);
	return 0;
}

int ranges_sweep(struct ranges *r, struct sets *sets, int (*fn)(void *ctx, u128 from, uint32_t set),
		 void *ctx)
{
	struct heap h = { 0 };
	uint32_t set = SETS_EMPTY;
	u128 at = 0;
	int e;

	e = fill_heap(r, &h);
	while (e == 0) {
		while (h.n && h.p[0].at == at) {
			set = sets_toggle(sets, set, h.p[0].atom);
			if (!advance(r, &h.p[0]))
				h.p[0] = h.p[--h.n];
			if (h.n)
				sift_down(&h, 0);
		}
		e = set == SETS_FULL ? -E2BIG : fn(ctx, at, set);
		if (!h.n)
			break;
		at = h.p[0].at;
	}
	free(h.p);
	return e;
}
