/* SPDX-License-Identifier: Apache-2.0 */
/* What amounts are ordinary, and what destinations are for: the parts without state. */
#include "test.h"

#include <math.h>

#include "detect/peer_class.h"
#include "detect/volume_baseline.h"

#define MONDAY (1704067200 / 3600) /* 2024-01-01, 0 h */

static void hours_of_the_week(void **state)
{
	assert_int_equal(hour_class(MONDAY), 0);
	assert_int_equal(hour_class(MONDAY + 13), 13);
	assert_int_equal(hour_class(MONDAY + 4 * 24 + 5), 5);
	assert_int_equal(hour_class(MONDAY + 5 * 24 + 5), 29);
	assert_int_equal(hour_class(MONDAY + 6 * 24 + 23), 47);
	assert_int_equal(hour_class(MONDAY + 7 * 24), 0);
}

static void amounts_in_sixteen_bits(void **state)
{
	assert_int_equal(amount_code(0), 0);
	assert_int_equal(amount_code(-1), 0);
	assert_int_equal(amount_code(1e300), UINT16_MAX);
	for (double b = 1; b < 1e13; b *= 3)
		assert_true(fabs(expm1(amount_y(amount_code(b))) / b - 1) < 5e-4);
	assert_int_equal(amount_bin(0), 0);
	assert_int_equal(amount_bin(1024), 0);
	assert_int_equal(amount_bin(1025), 1);
	assert_int_equal(amount_bin(1e30), AMOUNT_BINS - 1);
}

static void what_an_hour_is_compared_with(void **state)
{
	struct hour_ring r = { 0 };
	struct baseline b;

	hour_ring_baseline(&r, MONDAY, &b);
	assert_int_equal(b.n, 0);
	assert_true(baseline_z(&b, 1e9) == 0);
	/* One night each: the pool of all hours. */
	for (unsigned h = 0; h < 24; h++)
		hour_ring_add(&r, MONDAY + h, h == 2 ? 1e9 : 1e6);
	hour_ring_baseline(&r, MONDAY + 2, &b);
	assert_int_equal(b.n, 24);
	assert_false(b.own_class);
	assert_true(baseline_z(&b, 1e9) > 20);
	/* Five nights: Saturday's is compared with the other days', Monday's with its own. */
	for (unsigned d = 1; d < 5; d++)
		hour_ring_add(&r, MONDAY + d * 24 + 2, 1e9);
	hour_ring_baseline(&r, MONDAY + 5 * 24 + 2, &b);
	assert_int_equal(b.n, 5);
	assert_false(b.own_class);
	assert_true(fabs(baseline_z(&b, 1e9)) < 0.1);
	hour_ring_baseline(&r, MONDAY + 7 * 24 + 2, &b);
	assert_true(b.own_class);
	assert_true(b.spread == 0.25);
	/* The oldest goes when there are more than are kept; one among many does not move the middle. */
	for (unsigned d = 0; d < 100; d++)
		hour_ring_add(&r, MONDAY + 3, d == 90 ? 1e12 : 5e5);
	hour_ring_baseline(&r, MONDAY + 3, &b);
	assert_int_equal(b.n, HOUR_VALUES);
	assert_true(fabs(expm1(b.median) - 5e5) < 1000);
}

static void what_new_peers_get(void **state)
{
	struct amounts a = { 0 };

	assert_true(amounts_q99(&a, AMOUNT_BINS) == 0);
	for (int i = 0; i < 995; i++)
		amounts_add(&a, amount_bin(5000));
	for (int i = 0; i < 5; i++)
		amounts_add(&a, amount_bin(1e8));
	assert_int_equal(amounts_total(&a), 1000);
	assert_true(amounts_q99(&a, AMOUNT_BINS) == 8192);
	for (int i = 0; i < 10; i++)
		amounts_move(&a, amount_bin(5000), amount_bin(1e8));
	assert_true(amounts_q99(&a, AMOUNT_BINS) > 1e8);
	/* Itself left out. */
	a = (struct amounts){ 0 };
	amounts_add(&a, 20);
	assert_true(amounts_q99(&a, 20) == 0);
	for (int i = 0; i < 70000; i++)
		amounts_add(&a, 3);
	assert_true(a.n[3] > 30000);
}

static void sums_of_days(void **state)
{
	struct cusum quiet = { 0 }, drip = { 0 };
	unsigned alarm = 0;

	for (unsigned day = 0; day < 365; day++)
		cusum_day(&quiet, 1e6 * exp(sin(day * 2.4)));
	assert_true(quiet.s < CUSUM_ALARM);
	for (unsigned day = 0; day < 60; day++) {
		cusum_day(&drip, (day < 30 ? 1e6 : 3e7) * exp(0.3 * sin(day * 2.4)));
		if (!alarm && drip.s >= CUSUM_ALARM)
			alarm = day;
	}
	assert_in_range(alarm, 31, 36);
}

static void classes_of_destinations(void **state)
{
	for (size_t i = 1; i < n_peer_class_rows; i++)
		assert_true(strcmp(peer_class_rows[i - 1].domain, peer_class_rows[i].domain) < 0);
	for (size_t i = 0; i < n_peer_class_rows; i++) {
		assert_in_range(peer_class_rows[i].class, PEER_NONE + 1, PEER_CLASS_COUNT - 1);
		assert_true(strlen(peer_class_rows[i].reason) > 5);
		assert_ptr_equal(peer_class_of(str_of(peer_class_rows[i].domain)),
				 &peer_class_rows[i]);
	}
	assert_int_equal(peer_class_of(STR("transfer.sh"))->class, PEER_ANON_SHARE);
	assert_int_equal(peer_class_of(STR("a.b.trycloudflare.com"))->class, PEER_TUNNEL);
	assert_int_equal(peer_class_of(STR("checkip.dyndns.org"))->class, PEER_LOOKUP);
	assert_int_equal(peer_class_of(STR("my.dyndns.org"))->class, PEER_DYNAMIC_DNS);
	assert_int_equal(peer_class_of(STR("api.telegram.org"))->class, PEER_BOT);
	assert_int_equal(peer_class_of(STR("bucket.s3.eu-west-1.amazonaws.com"))->class,
			 PEER_OBJECTS);
	assert_null(peer_class_of(STR("nottransfer.sh")));
	assert_null(peer_class_of(STR("com")));
	assert_null(peer_class_of(STR("")));
	assert_null(peer_class_of(STR("example.org")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hours_of_the_week),
		cmocka_unit_test(amounts_in_sixteen_bits),
		cmocka_unit_test(what_an_hour_is_compared_with),
		cmocka_unit_test(what_new_peers_get),
		cmocka_unit_test(sums_of_days),
		cmocka_unit_test(classes_of_destinations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
