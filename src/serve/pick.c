/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/pick.h"

static void swap(struct picked *a, struct picked *b)
{
	struct picked c = *a;

	*a = *b;
	*b = c;
}

static void sift_down(struct picked *heap, size_t n, size_t i)
{
	for (;;) {
		size_t least = i, kid = 2 * i + 1;

		if (kid < n && heap[kid].key < heap[least].key)
			least = kid;
		if (kid + 1 < n && heap[kid + 1].key < heap[least].key)
			least = kid + 1;
		if (least == i)
			return;
		swap(&heap[i], &heap[least]);
		i = least;
	}
}

void pick_offer(struct pick *p, uint64_t key, const struct flow *flow)
{
	size_t i;

	if (p->n == p->max) {
		if (!p->max || key <= p->heap[0].key)
			return;
		p->heap[0] = (struct picked){ key, flow };
		sift_down(p->heap, p->n, 0);
		return;
	}
	i = p->n++;
	p->heap[i] = (struct picked){ key, flow };
	for (; i && p->heap[i].key < p->heap[(i - 1) / 2].key; i = (i - 1) / 2)
		swap(&p->heap[i], &p->heap[(i - 1) / 2]);
}

void pick_sort(struct pick *p)
{
	for (size_t n = p->n; n > 1; n--) {
		swap(&p->heap[0], &p->heap[n - 1]);
		sift_down(p->heap, n - 1, 0);
	}
}
