/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "base/cleanup.h"
#include "base/time.h"
#include "flow/flow.h"
#include "flow/rollup.h"
#include "test.h"

static struct flow flow_to(uint8_t last, uint64_t up, uint64_t down)
{
	uint8_t dst[4] = { 192, 0, 2, last };
	struct flow f = { .half = { { .bytes = up, .packets = 1 }, { .bytes = down } } };

	f.key.dst = addr_from_v4(dst);
	return f;
}

static const struct rollup_row *row(struct rollup *r, const char *label)
{
	size_t n;
	const struct rollup_row *rows = rollup_rows(r, "bytes", &n);

	for (size_t i = 0; i < n; i++)
		if (str_eq(rows[i].label, str_of(label)))
			return &rows[i];
	return NULL;
}

static void test_rates_are_growth(void **state)
{
	struct flow a = flow_to(1, 1000, 50), b = flow_to(1, 300, 0);
	struct rollup *r;

	assert_ok(rollup_new(&r, ROLLUP_ADDRESS, 10));
	rollup_begin(r, 10 * NSEC_PER_SEC);
	rollup_flow(r, &a, false);
	assert_int_equal(row(r, "192.0.2.1")->up_bytes, 1000);
	assert_true(row(r, "192.0.2.1")->up_rate == 0); /* nothing to compare with */

	a.half[TO_SERVER].bytes = 1500;
	rollup_begin(r, 12 * NSEC_PER_SEC);
	rollup_flow(r, &a, false);
	rollup_flow(r, &b, false); /* new: all of it is growth */
	assert_int_equal(row(r, "192.0.2.1")->flows, 2);
	assert_true(row(r, "192.0.2.1")->up_rate == (500 + 300) / 2.0);

	/* b ends between two looks with 100 more: counted once, and in the rate. */
	b.half[TO_SERVER].bytes = 400;
	rollup_flow(r, &b, true);
	rollup_begin(r, 13 * NSEC_PER_SEC);
	rollup_flow(r, &a, false);
	assert_true(row(r, "192.0.2.1")->up_rate == 100);
	assert_int_equal(row(r, "192.0.2.1")->up_bytes, 1900);
	rollup_begin(r, 14 * NSEC_PER_SEC);
	a.half[TO_SERVER].bytes = 1600;
	rollup_flow(r, &a, false);
	assert_true(row(r, "192.0.2.1")->up_rate == 100);
	assert_int_equal(row(r, "192.0.2.1")->down_bytes, 50);
	rollup_free(r);
}

static void test_an_end_between_looks_counts_once(void **state)
{
	struct flow f = flow_to(1, 100, 0);
	struct rollup *r;

	assert_ok(rollup_new(&r, ROLLUP_ADDRESS, 10));
	rollup_begin(r, NSEC_PER_SEC);
	rollup_flow(r, &f, false);
	f.half[TO_SERVER].bytes = 150;
	rollup_begin(r, 2 * NSEC_PER_SEC);
	rollup_flow(r, &f, true);
	assert_int_equal(row(r, "192.0.2.1")->up_bytes, 150);
	assert_int_equal(row(r, "192.0.2.1")->flows, 1);
	assert_true(row(r, "192.0.2.1")->up_rate == 50);
	rollup_free(r);
}

static void test_the_rest_is_summed_never_dropped(void **state)
{
	struct rollup *r;

	assert_ok(rollup_new(&r, ROLLUP_ADDRESS, 2));
	rollup_begin(r, NSEC_PER_SEC);
	for (uint8_t i = 1; i <= 5; i++) {
		struct flow f = flow_to(i, 10U * i, 1);

		rollup_flow(r, &f, true);
	}
	assert_int_equal(row(r, "(others)")->flows, 3);
	assert_int_equal(row(r, "(others)")->up_bytes, 30 + 40 + 50);
	rollup_free(r);
}

static void test_order(void **state)
{
	const struct rollup_row *rows;
	struct rollup *r;
	size_t n;

	assert_ok(rollup_new(&r, ROLLUP_ADDRESS, 10));
	rollup_begin(r, NSEC_PER_SEC);
	for (uint8_t i = 1; i <= 3; i++) {
		struct flow f = flow_to(i, 10U * i, 100U / i);

		rollup_flow(r, &f, true);
	}
	rows = rollup_rows(r, "up", &n);
	assert_int_equal(n, 3);
	assert_str(rows[0].label, "192.0.2.3");
	rows = rollup_rows(r, "down", &n);
	assert_str(rows[0].label, "192.0.2.1");
	rows = rollup_rows(r, "label", &n);
	assert_str(rows[0].label, "192.0.2.1");
	rollup_free(r);
}

static void test_what_has_no_label_says_so(void **state)
{
	static const struct {
		enum rollup_key key;
		const char *label;
	} cases[] = {
		{ ROLLUP_PROGRAM, "(unknown)" }, { ROLLUP_USER, "(unknown)" },
		{ ROLLUP_UNIT, "(unknown)" },    { ROLLUP_CONTAINER, "(unknown)" },
		{ ROLLUP_NAME, "(no name)" },    { ROLLUP_ADDRESS, "192.0.2.1" },
	};
	enum rollup_key key;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct flow f = flow_to(1, 1, 1);
		struct rollup *r;

		assert_ok(rollup_new(&r, cases[i].key, 10));
		rollup_begin(r, NSEC_PER_SEC);
		rollup_flow(r, &f, false);
		assert_non_null(row(r, cases[i].label));
		rollup_free(r);
		assert_ok(rollup_key_parse(str_of(rollup_key_word(cases[i].key)), &key));
		assert_int_equal(key, cases[i].key);
	}
	assert_err(rollup_key_parse(STR("nonsense"), &key), -EINVAL);
}

/* What leaves is "up" also where the other side opened the flow. */
static void test_replies_leave_too(void **state)
{
	struct flow f = flow_to(1, 10, 5000);
	struct rollup *r;

	f.direction = FLOW_REPLY;
	assert_ok(rollup_new(&r, ROLLUP_ADDRESS, 10));
	rollup_begin(r, NSEC_PER_SEC);
	rollup_flow(r, &f, false);
	assert_int_equal(row(r, "192.0.2.1")->up_bytes, 5000);
	assert_int_equal(row(r, "192.0.2.1")->down_bytes, 10);
	rollup_free(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rates_are_growth),
		cmocka_unit_test(test_an_end_between_looks_counts_once),
		cmocka_unit_test(test_the_rest_is_summed_never_dropped),
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_replies_leave_too),
		cmocka_unit_test(test_what_has_no_label_says_so),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
