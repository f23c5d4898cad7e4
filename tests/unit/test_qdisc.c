/* SPDX-License-Identifier: Apache-2.0 */
/* How a link's queue is cut: rates that add up, and waiting that is bounded in time. */
#include "attach/qdisc.h"
#include "base/cleanup.h"
#include "base/time.h"
#include "bpf/priority_abi.h"
#include "test.h"

static const uint64_t rates[] = { 64000,      1000000,     20000000,    100000000,
				  1000000000, 40000000000, 100000000000 };

/* Milliseconds that `bytes` take on the link. */
static double ms(const struct qdisc_plan *p, uint64_t bytes)
{
	return (double)bytes * 1000 / (double)p->rate;
}

static void test_rates(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(rates); i++) {
		struct qdisc_plan p;
		uint64_t sum = 0;

		qdisc_plan(&p, rates[i], 1500);
		assert_in_range(p.rate * 8, rates[i] * 97 / 100, rates[i] * 98 / 100);
		for (int k = 0; k < QDISC_CLASSES; k++) {
			sum += p.classes[k].rate;
			assert_int_equal(p.classes[k].priority, k);
			assert_true(p.classes[k].rate >= p.rate / 20 - 1);
			assert_true(p.classes[k].rate > 0);
		}
		assert_in_range(sum, p.rate - QDISC_CLASSES, p.rate);
	}
}

static void test_waiting(void **state)
{
	static const double most[QDISC_CLASSES] = { 10, 20, 50 };
	struct qdisc_plan p;

	qdisc_plan(&p, 20000000, 1500);
	for (int k = 0; k < QDISC_CLASSES; k++) {
		assert_true(ms(&p, p.classes[k].limit) <= most[k]);
		assert_true(ms(&p, p.classes[k].limit) > most[k] * 0.5);
	}
	assert_true(ms(&p, p.burst) < 2.1);
	assert_true(ms(&p, p.packet) < 1.1);
	assert_in_range(p.packet, 1514 + 4, 2600); /* with room for a tag, and cut below two */

	/* slow: a few packets of full size fit all the same */
	qdisc_plan(&p, 64000, 9000);
	assert_int_equal(p.packet, 9064);
	assert_int_equal(p.quantum, 9064);
	for (int k = 0; k < QDISC_CLASSES; k++)
		assert_int_equal(p.classes[k].limit, 8 * 9064);

	/* fast: large segments go whole */
	qdisc_plan(&p, 1000000000, 1500);
	assert_in_range(p.packet, 65536 + 14, 200000);
	qdisc_plan(&p, 100000000000, 1500);
	assert_int_equal(p.classes[2].limit, 64U << 20);
}

static void test_ours(void **state)
{
	assert_true(qdisc_is_ours(EG_LINK_ROOT, "htb"));
	assert_false(qdisc_is_ours(EG_LINK_ROOT, "prio"));
	assert_false(qdisc_is_ours(0x80010000, "htb"));
	assert_false(qdisc_is_ours(0, "noqueue"));
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_rates),
					    cmocka_unit_test(test_waiting),
					    cmocka_unit_test(test_ours) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
