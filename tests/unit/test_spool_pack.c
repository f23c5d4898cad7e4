// SPDX-License-Identifier: Apache-2.0
/* Packing of batches: what was packed is there again; cut, damaged and lying input is refused, whole. */
#include <zlib.h>

#include "base/buf.h"
#include "store/spool_pack.h"
#include "store_rig.h"

#define CHECKSUM_N 16 /* ClickHouse's, which is not looked at */
#define SIZE_AT 21    /* of the rows, unpacked, in a block's head */

/* Rows that pack a little. */
static void make_rows(struct buf *out, size_t n)
{
	for (size_t i = 0; i < n; i++)
		buf_putc(out, (char)(dice(4) ? 'a' + i % 7 : dice(256)));
}

static struct buf gzip(struct str rows)
{
	struct buf out = BUF_INIT(1 << 25);
	z_stream z = { .next_in = (Bytef *)(uintptr_t)rows.p, .avail_in = (uInt)rows.n };

	assert_int_equal(deflateInit2(&z, 1, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
	z.next_out = (Bytef *)buf_reserve(&out, deflateBound(&z, rows.n));
	z.avail_out = (uInt)deflateBound(&z, rows.n);
	assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
	out.n = z.total_out;
	deflateEnd(&z);
	return out;
}

static void assert_unpacks(struct str body, struct str rows)
{
	_cleanup_buf_ struct buf out = BUF_INIT(1 << 25);

	buf_puts(&out, "before");
	assert_ok(spool_unpack(&out, body));
	assert_str(str_sub(buf_str(&out), 0, 6), "before");
	assert_true(str_eq(str_sub(buf_str(&out), 6, out.n), rows));
}

/* What cannot be unpacked leaves what was there, and a buffer that goes on working. */
static void assert_refused(struct str body, int why)
{
	_cleanup_buf_ struct buf out = BUF_INIT(1 << 25);

	buf_puts(&out, "before");
	assert_err(spool_unpack(&out, body), why);
	assert_str(buf_str(&out), "before");
	buf_puts(&out, "after");
	assert_str(buf_str(&out), "beforeafter");
}

static void test_there_and_back(void **state)
{
	static const size_t sizes[] = { 1, 531, 1 << 20, 5000000 };

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		_cleanup_buf_ struct buf rows = BUF_INIT(1 << 25), body = BUF_INIT(1 << 25),
					 again = BUF_INIT(1 << 25);

		make_rows(&rows, sizes[i]);
		assert_ok(spool_pack(&body, buf_str(&rows)));
		assert_true(body.n < sizes[i] + 64);
		assert_false(spool_is_gzip(buf_str(&body)));
		assert_unpacks(buf_str(&body), buf_str(&rows));
		assert_ok(spool_pack(&again, buf_str(&rows)));
		assert_true(str_eq(buf_str(&again), buf_str(&body)));
	}
	assert_unpacks(STR_NONE, STR_NONE);
}

/* Blocks behind each other are one body. */
static void test_blocks_in_a_row(void **state)
{
	_cleanup_buf_ struct buf body = BUF_INIT(1 << 20);

	assert_ok(spool_pack(&body, STR("one, ")));
	assert_ok(spool_pack(&body, STR("two")));
	assert_unpacks(buf_str(&body), STR("one, two"));
}

static void test_gzip_of_an_earlier_egretd(void **state)
{
	_cleanup_buf_ struct buf rows = BUF_INIT(1 << 25), body = { 0 };

	make_rows(&rows, 3000000);
	body = gzip(buf_str(&rows));
	assert_true(spool_is_gzip(buf_str(&body)));
	assert_unpacks(buf_str(&body), buf_str(&rows));
	for (size_t n = 2; n < body.n; n += 1 + body.n / 50)
		assert_refused(str_sub(buf_str(&body), 0, n), -EBADMSG);
	buf_putc(&body, 'x'); /* something behind its end */
	assert_refused(buf_str(&body), -EBADMSG);
}

static void test_cut(void **state)
{
	_cleanup_buf_ struct buf rows = BUF_INIT(1 << 25), body = BUF_INIT(1 << 25);

	make_rows(&rows, 3000);
	assert_ok(spool_pack(&body, buf_str(&rows)));
	for (size_t n = 1; n < body.n; n++)
		assert_refused(str_sub(buf_str(&body), 0, n), -EBADMSG);
}

/* The frame has a checksum: a wrong bit is seen, or is one that says nothing. */
static void test_damaged(void **state)
{
	_cleanup_buf_ struct buf rows = BUF_INIT(1 << 20), body = BUF_INIT(1 << 20);
	size_t harmless = 0;

	make_rows(&rows, 300);
	assert_ok(spool_pack(&body, buf_str(&rows)));
	for (size_t bit = CHECKSUM_N * 8; bit < 8 * body.n; bit++) {
		_cleanup_buf_ struct buf out = BUF_INIT(1 << 20);

		body.p[bit / 8] ^= (char)(1 << bit % 8);
		if (spool_unpack(&out, buf_str(&body)) == 0) {
			assert_true(str_eq(buf_str(&out), buf_str(&rows)));
			harmless++;
		}
		body.p[bit / 8] ^= (char)(1 << bit % 8);
	}
	assert_true(harmless < body.n / 8);
	assert_unpacks(buf_str(&body), buf_str(&rows));
}

static void test_lies_about_its_size(void **state)
{
	static const uint32_t sizes[] = { 0, 1, 299, 301, SPOOL_BLOCK_MAX + 1, UINT32_MAX };
	_cleanup_buf_ struct buf rows = BUF_INIT(1 << 20), body = BUF_INIT(1 << 20);

	make_rows(&rows, 300);
	assert_ok(spool_pack(&body, buf_str(&rows)));
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		memcpy(body.p + SIZE_AT, &sizes[i], sizeof(sizes[i]));
		assert_refused(buf_str(&body), -EBADMSG);
	}
}

/* A few bytes that become many: not beyond what the caller allows. */
static void test_bombs(void **state)
{
	_cleanup_buf_ struct buf rows = BUF_INIT(1 << 25), body = BUF_INIT(1 << 25), packed = { 0 };
	struct buf small = BUF_INIT(4 << 20);

	memset(buf_reserve(&rows, 16 << 20), 0, 16 << 20);
	rows.n = 16 << 20;
	assert_ok(spool_pack(&body, buf_str(&rows)));
	assert_true(body.n < 10000);
	assert_err(spool_unpack(&small, buf_str(&body)), -E2BIG);
	assert_int_equal(small.n, 0);
	packed = gzip(buf_str(&rows));
	assert_err(spool_unpack(&small, buf_str(&packed)), -E2BIG);
	assert_int_equal(small.n, 0);
	buf_done(&small);
}

static void test_no_room(void **state)
{
	_cleanup_buf_ struct buf rows = BUF_INIT(1 << 20), body = BUF_INIT(1000);

	make_rows(&rows, 100000);
	buf_puts(&body, "head");
	assert_err(spool_pack(&body, buf_str(&rows)), -ENOMEM);
	assert_err(spool_pack(&body, (struct str){ rows.p, (size_t)SPOOL_BLOCK_MAX + 1 }), -E2BIG);
	assert_str(buf_str(&body), "head");
	assert_false(body.failed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_there_and_back),
		cmocka_unit_test(test_blocks_in_a_row),
		cmocka_unit_test(test_gzip_of_an_earlier_egretd),
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_damaged),
		cmocka_unit_test(test_lies_about_its_size),
		cmocka_unit_test(test_bombs),
		cmocka_unit_test(test_no_room),
	};

	return cmocka_run_group_tests(tests, rig_setup, rig_teardown);
}
