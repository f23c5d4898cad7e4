/* SPDX-License-Identifier: Apache-2.0 */
/* Sums by nothing but adding, row by row, and whether history says the same. */
#pragma once

#include "store_rig.h"

#define TOTALS_ROWS 4000

struct total {
	struct store_sum sum;
	char key[1024];
	uint64_t time_ns;
};

struct totals {
	struct total v[3 * TOTALS_ROWS];
	size_t n;
};

static inline void key_text(const struct store_key *k, char text[1024])
{
	size_t n = 0;

	for (size_t i = 0; i < STORE_DIM_COUNT; i++)
		n += (size_t)snprintf(text + n, 1024 - n, "%.*s|", STR_FMT(k->dim[i]));
}

static inline int on_sum(void *ctx, const struct store_sum *s)
{
	struct totals *t = ctx;

	assert_true(t->n < ARRAY_SIZE(t->v));
	t->v[t->n].sum = *s;
	t->v[t->n].time_ns = s->time_ns;
	key_text(s->key, t->v[t->n++].key);
	return 0;
}

static inline int by_time_and_key(const void *a, const void *b)
{
	const struct total *x = a, *y = b;

	if (x->time_ns != y->time_ns)
		return x->time_ns < y->time_ns ? -1 : 1;
	return strcmp(x->key, y->key);
}

/* Row by row, by nothing but adding. `step_ns` 0: one sum over all time. */
static inline void naive(const struct rows *rows, uint64_t step_ns, struct store_span span,
			 struct totals *ret)
{
	struct str rest = buf_str(&rows->bytes);
	struct store_key_scratch scratch;
	struct store_row row;
	struct store_key key;
	char text[1024];

	ret->n = 0;
	while (store_row_decode(&rest, &row) == 1) {
		uint64_t time_ns = step_ns ? row.to_ns - row.to_ns % step_ns : 0;
		struct total *t = ret->v;

		if (row.to_ns < span.from_ns || row.to_ns >= span.to_ns)
			continue;
		store_row_key(&row, &scratch, &key);
		key_text(&key, text);
		while (t < ret->v + ret->n && (t->time_ns != time_ns || strcmp(t->key, text)))
			t++;
		if (t == ret->v + ret->n) {
			*t = (struct total){ .time_ns = time_ns };
			memcpy(t->key, text, sizeof(text));
			ret->n++;
		}
		t->sum.flows += row.flow_id && !row.seq;
		t->sum.up_bytes += row.up_bytes;
		t->sum.down_bytes += row.down_bytes;
		t->sum.up_packets += row.up_packets;
		t->sum.down_packets += row.down_packets;
		t->sum.refused += row.refused_calls + row.refused_packets;
		t->sum.last_ns = MAX(t->sum.last_ns, row.to_ns / NSEC_PER_SEC * NSEC_PER_SEC);
	}
}

static struct totals want, have;

static inline void compare_sums(struct store_reader *r, const struct rows *put,
				enum store_step step, struct store_span span, bool series)
{
	static const uint64_t steps[] = { 60 * NSEC_PER_SEC, HOUR_NS, 24 * HOUR_NS };

	naive(put, series ? steps[step] : 0, span, &want);
	have.n = 0;
	assert_ok(store_read_sums(r, step, span, series, on_sum, &have));
	if (!series)
		for (size_t i = 0; i < have.n; i++)
			have.v[i].time_ns = 0;
	qsort(want.v, want.n, sizeof(want.v[0]), by_time_and_key);
	qsort(have.v, have.n, sizeof(have.v[0]), by_time_and_key);
	assert_int_equal(want.n, have.n);
	for (size_t i = 0; i < want.n; i++) {
		const struct total *a = &want.v[i], *b = &have.v[i];

		assert_string_equal(a->key, b->key);
		assert_int_equal(a->time_ns, b->time_ns);
		assert_int_equal(a->sum.flows, b->sum.flows);
		assert_int_equal(a->sum.up_bytes, b->sum.up_bytes);
		assert_int_equal(a->sum.down_bytes, b->sum.down_bytes);
		assert_int_equal(a->sum.up_packets, b->sum.up_packets);
		assert_int_equal(a->sum.down_packets, b->sum.down_packets);
		assert_int_equal(a->sum.refused, b->sum.refused);
		assert_int_equal(a->sum.last_ns, b->sum.last_ns);
	}
}

static inline void compare_all_sums(struct store_reader *r, const struct rows *put)
{
	struct store_span day = { (T0_S + 86400) * NSEC_PER_SEC,
				  (T0_S + 2 * 86400) * NSEC_PER_SEC };

	for (enum store_step step = 0; step < STORE_STEP_COUNT; step++) {
		compare_sums(r, put, step, rig_all, false);
		compare_sums(r, put, step, rig_all, true);
		compare_sums(r, put, step, day, false);
		compare_sums(r, put, step, day, true);
	}
	assert_int_equal(store_reader_skipped(r), 0);
}

/* Whatever lies in pieces lies in sums, once. */
static inline void assert_sums_agree(void)
{
	struct store_reader *r = rig_reader();
	struct rows got = ROWS_INIT;

	assert_ok(store_read_pieces(r, rig_all, NULL, false, on_row, &got));
	assert_true(got.n > 0 && got.n <= TOTALS_ROWS);
	compare_all_sums(r, &got);
	store_reader_close(r);
	buf_done(&got.bytes);
}
