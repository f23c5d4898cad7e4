/* SPDX-License-Identifier: Apache-2.0 */
/* What is put comes back, all of it and once, by whatever way it is asked for; and sums are the sums of it. */
#include "store_rig.h"

#define ROWS 4000

/* ---- rows as bytes ---- */

static void test_code(void **state)
{
	_cleanup_buf_ struct buf b = BUF_INIT(1 << 20);
	struct store_row row = dice_row(T0_S * NSEC_PER_SEC, 5), back;
	struct str rest;

	store_row_encode(&row, &b);
	rest = buf_str(&b);
	assert_int_equal(store_row_decode(&rest, &back), 1);
	assert_int_equal(rest.n, 0);
	assert_same_row(&row, &back);
	assert_int_equal(store_row_decode(&rest, &back), 0);
	/* Cut anywhere, or with any byte wrong: refused or read, never beyond its end. */
	for (size_t n = 1; n < b.n; n++) {
		rest = (struct str){ b.p, n };
		assert_err(store_row_decode(&rest, &back), -EBADMSG);
	}
	for (size_t i = 0; i < b.n; i++) {
		b.p[i] ^= 0x55;
		rest = buf_str(&b);
		store_row_decode(&rest, &back);
		b.p[i] ^= 0x55;
	}
}

/* ---- all of it ---- */

/* Pieces over two and a half days, some late, in the order in which they would be put. */
static void put_some(struct store *s, struct rows *put)
{
	uint64_t t = T0_S * NSEC_PER_SEC + 20 * HOUR_NS;

	for (uint32_t i = 0; i < ROWS; i++) {
		struct store_row row;

		t += (uint64_t)dice(100000) * NSEC_PER_MSEC;
		row = dice_row(t - (dice(5) ? 0 : dice(60) * NSEC_PER_SEC),
			       (T0_S * 1000 << 12) + i + 1);
		if (!dice(50))
			row.flow_id = row.seq = 0;
		store_put(s, &row);
		store_row_encode(&row, &put->bytes);
		put->n++;
		if (!dice(200))
			assert_ok(store_flush(s, 5 * NSEC_PER_SEC));
	}
	assert_false(put->bytes.failed);
	rig_now_ns = t;
}

static int by_bytes(const void *a, const void *b)
{
	const struct str *x = a, *y = b;
	int r = memcmp(x->p, y->p, MIN(x->n, y->n));

	return r ? r : (x->n > y->n) - (x->n < y->n);
}

/* The rows for which `take` holds, as bytes, in an order that is theirs alone. */
static size_t sorted(const struct rows *rows, bool (*take)(const struct store_row *),
		     struct str *ret)
{
	struct str rest = buf_str(&rows->bytes);
	struct store_row row;
	size_t n = 0;

	while (rest.n) {
		struct str at = rest;

		assert_int_equal(store_row_decode(&rest, &row), 1);
		if (!take || take(&row))
			ret[n++] = str_sub(at, 0, at.n - rest.n);
	}
	qsort(ret, n, sizeof(*ret), by_bytes);
	return n;
}

static void assert_same_rows(const struct rows *put, const struct rows *got,
			     bool (*take)(const struct store_row *))
{
	static struct str a[ROWS], b[ROWS];
	size_t n = sorted(put, take, a), m = sorted(got, take, b);

	assert_int_equal(n, m);
	for (size_t i = 0; i < n; i++)
		assert_true(str_eq(a[i], b[i]));
}

static struct store_span few = { (T0_S + 30 * 3600) * NSEC_PER_SEC + 5,
				 (T0_S + 47 * 3600) * NSEC_PER_SEC };

static bool in_few(const struct store_row *row)
{
	return row->to_ns >= few.from_ns && row->to_ns < few.to_ns;
}

static bool is_named(const struct store_row *row, struct str name)
{
	bool is = str_eq(row->peer.name, name);

	for (size_t i = 0; i < row->peer.n_names; i++)
		is = is || str_eq(row->peer.names[i], name);
	return is;
}

static bool is_other(const struct store_row *row)
{
	return is_named(row, STR("other2.example.net"));
}

static bool is_below_net(const struct store_row *row)
{
	bool is = false;

	for (size_t i = 0; i < row->peer.n_names; i++)
		is = is || strstr(row->peer.names[i].p, ".example.net");
	return is;
}

static const struct addr *there(const struct store_row *row)
{
	return row->key_is_ours_dst ? &row->key.src : &row->key.dst;
}

static struct addr one = { { [10] = 0xff, [11] = 0xff, 192, 0, 2, 9 } };

static bool is_one(const struct store_row *row)
{
	return addr_eq(there(row), &one);
}

static struct cidr quarter = { { { [10] = 0xff, [11] = 0xff, 192, 0, 2, 8 } }, 126 };

static bool in_quarter(const struct store_row *row)
{
	return cidr_has(&quarter, there(row));
}

static bool is_tool(const struct store_row *row)
{
	return str_eq(row->who.exe, STR("/usr/bin/tool3")) || str_eq(row->who.comm, STR("tool3"));
}

static bool is_flow(const struct store_row *row)
{
	return row->flow_id == (T0_S * 1000 << 12) + 1234;
}

static void read_and_compare(struct store_reader *r, const struct rows *put,
			     const struct store_hint *hint, bool (*take)(const struct store_row *))
{
	struct rows got = ROWS_INIT;

	for (int newest_first = 0; newest_first < 2; newest_first++) {
		buf_clear(&got.bytes);
		assert_ok(store_read_pieces(r, rig_all, hint, newest_first, on_row, &got));
		assert_same_rows(put, &got, take);
	}
	buf_done(&got.bytes);
}

static void test_pieces(void **state)
{
	struct rows put = ROWS_INIT, got = ROWS_INIT;
	struct store *s = rig_open();
	struct store_reader *r;
	struct store_stats stats;

	put_some(s, &put);
	assert_ok(store_flush(s, 5 * NSEC_PER_SEC));
	r = rig_reader(); /* while it is open for writing */
	read_and_compare(r, &put, NULL, NULL);
	assert_ok(store_read_pieces(r, few, NULL, false, on_row, &got));
	assert_true(got.n > 100 && got.n < ROWS);
	assert_same_rows(&put, &got, in_few);
	read_and_compare(r, &put, &(struct store_hint){ .name = STR("other2.example.net") },
			 is_other);
	read_and_compare(r, &put, &(struct store_hint){ .name_below = STR("example.net") },
			 is_below_net);
	read_and_compare(r, &put, &(struct store_hint){ .peer = &one }, is_one);
	read_and_compare(r, &put, &(struct store_hint){ .peer = &quarter.addr, .peer_bits = 126 },
			 in_quarter);
	read_and_compare(r, &put, &(struct store_hint){ .exe_name = STR("tool3") }, is_tool);
	read_and_compare(r, &put,
			 &(struct store_hint){ .flow_id = (T0_S * 1000 << 12) + 1234, .boot = 7 },
			 is_flow);
	assert_int_equal(store_reader_skipped(r), 0);
	store_reader_close(r);
	store_stats(s, &stats);
	assert_int_equal(stats.rows, ROWS);
	assert_int_equal(stats.lost_queue + stats.lost_write + stats.errors + stats.damaged, 0);
	assert_string_equal(stats.problem, "");
	store_close(s);
	r = rig_reader(); /* and after */
	read_and_compare(r, &put, NULL, NULL);
	store_reader_close(r);
	buf_done(&put.bytes);
	buf_done(&got.bytes);
}

/* What a hint finds is what it means, not more: the caller filters, but reading all would be no index. */
static void test_hints_are_narrow(void **state)
{
	struct rows put = ROWS_INIT, got = ROWS_INIT;
	struct store *s = rig_open();
	struct store_reader *r;

	put_some(s, &put);
	store_close(s);
	r = rig_reader();
	assert_ok(store_read_pieces(r, rig_all, &(struct store_hint){ .peer = &one }, false, on_row,
				    &got));
	assert_true(got.n > 0 && got.n < ROWS / 10);
	got.n = 0;
	assert_ok(store_read_pieces(r, rig_all,
				    &(struct store_hint){ .flow_id = (T0_S * 1000 << 12) + 77 },
				    false, on_row, &got));
	assert_true(got.n <= 1);
	got = (struct rows){ .bytes = got.bytes, .most = 3 };
	assert_int_equal(store_read_pieces(r, rig_all, NULL, true, on_row, &got), 1);
	assert_int_equal(got.n, 3);
	store_reader_close(r);
	buf_done(&put.bytes);
	buf_done(&got.bytes);
}

/* ---- sums ---- */

struct total {
	struct store_sum sum;
	char key[1024];
	uint64_t time_ns;
};

struct totals {
	struct total v[3 * ROWS];
	size_t n;
};

static void key_text(const struct store_key *k, char text[1024])
{
	size_t n = 0;

	for (size_t i = 0; i < STORE_DIM_COUNT; i++)
		n += (size_t)snprintf(text + n, 1024 - n, "%.*s|", STR_FMT(k->dim[i]));
}

static int on_sum(void *ctx, const struct store_sum *s)
{
	struct totals *t = ctx;

	assert_true(t->n < ARRAY_SIZE(t->v));
	t->v[t->n].sum = *s;
	t->v[t->n].time_ns = s->time_ns;
	key_text(s->key, t->v[t->n++].key);
	return 0;
}

static int by_time_and_key(const void *a, const void *b)
{
	const struct total *x = a, *y = b;

	if (x->time_ns != y->time_ns)
		return x->time_ns < y->time_ns ? -1 : 1;
	return strcmp(x->key, y->key);
}

/* Row by row, by nothing but adding. `step_ns` 0: one sum over all time. */
static void naive(const struct rows *rows, uint64_t step_ns, struct store_span span,
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

static void compare_sums(struct store_reader *r, const struct rows *put, enum store_step step,
			 struct store_span span, bool series)
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

static void compare_all_sums(struct store_reader *r, const struct rows *put)
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

static void test_sums(void **state)
{
	struct rows put = ROWS_INIT;
	struct store *s = rig_open();
	struct store_reader *r;

	put_some(s, &put);
	assert_ok(store_flush(s, 5 * NSEC_PER_SEC));
	r = rig_reader();
	compare_all_sums(r, &put);
	store_reader_close(r);
	store_close(s);
	buf_done(&put.bytes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_code),
		cmocka_unit_test_setup_teardown(test_pieces, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_hints_are_narrow, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_sums, rig_setup, rig_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
