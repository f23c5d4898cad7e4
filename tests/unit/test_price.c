// SPDX-License-Identifier: Apache-2.0
/* Prices: whose they are, and what they come to; the figures are reckoned by hand. */
#include "test.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "policy/price.h"

#define GB 1000000000ULL
#define TB (1000 * GB)
#define CENT 10000000ULL /* in 10^-9 of a unit */
#define UNIT (100 * CENT)

struct rig {
	struct policy *policy;
	struct price_table *table;
};

static struct rig rig_of(const char *text)
{
	_cleanup_buf_ struct buf messages = BUF_INIT(65536);
	struct rig r = { 0 };

	if (policy_parse(&r.policy, "p.egret", str_of(text), STR_NONE, &messages) < 0)
		fail_msg("%.*s", STR_FMT(buf_str(&messages)));
	assert_ok(price_table_new(&r.table, r.policy, NULL));
	return r;
}

static void rig_done(struct rig *r)
{
	assert_null(price_table_free(r->table));
	policy_free(r->policy);
}

/* --- how much ------------------------------------------------------------------------------------------------------ */

/* The example of the language: 100 GB free, then 9 ct, from 10 TB on 7 ct. */
static void tiers(void **state)
{
	struct rig r = rig_of("price internet = 0.09 USD/GB after 100 GB, 0.07 USD/GB after 10 TB\n"
			      "default allow\n");
	const struct policy_price *p = price_at(r.table, 0);

	assert_int_equal(price_count(r.table), 1);
	assert_string_equal(p->currency, "USD");
	assert_int_equal(price_total(p, 0), 0);
	assert_int_equal(price_total(p, 100 * GB), 0);
	assert_int_equal(price_total(p, 101 * GB), 9 * CENT);
	assert_int_equal(price_total(p, 100 * GB + GB / 2), 9 * CENT / 2);
	assert_int_equal(price_total(p, 10 * TB), 9900 * 9 * CENT);                   /* 891 */
	assert_int_equal(price_total(p, 12 * TB), 9900 * 9 * CENT + 2000 * 7 * CENT); /* 1031 */
	/* a cut within the free allowance, across both borders, and behind the last */
	assert_int_equal(price_cost(p, 0, 99 * GB), 0);
	assert_int_equal(price_cost(p, 99 * GB, 2 * GB), 9 * CENT);
	assert_int_equal(price_cost(p, 9999 * GB, 2 * GB), 16 * CENT);
	assert_int_equal(price_cost(p, 99 * GB, 9902 * GB), 9900 * 9 * CENT + 7 * CENT);
	assert_int_equal(price_cost(p, 20 * TB, GB), 7 * CENT);
	/* one byte: 0.09 / 10^9 is less than the least unit, 0.09 nano; after 12 of them it is one */
	assert_int_equal(price_cost(p, 100 * GB, 1), 0);
	assert_int_equal(price_cost(p, 100 * GB, 11), 0);
	assert_int_equal(price_cost(p, 100 * GB, 12), 1);
	rig_done(&r);
}

/* However a month is cut, the parts add up to it. */
static void parts_add_up(void **state)
{
	struct rig r = rig_of("price any = 0.0123 EUR/GiB after 7 MB, 0.00000001 EUR/TB after 9 MB,"
			      " 1.23456789 EUR/MB after 10 MB\ndefault allow\n");
	const struct policy_price *p = price_at(r.table, 0);
	uint64_t at = 0, sum = 0, share = 0, bytes;

	srandom(7);
	for (unsigned i = 0; i < 100000; i++, at += bytes) {
		bytes = (uint64_t)random() % 300;
		sum += price_cost(p, at, bytes);
	}
	assert_true(at > 10000000);
	assert_int_equal(sum, price_total(p, at));
	for (uint64_t from = 0; from < at; from += 997)
		share += price_share(sum, from, 997, at);
	assert_int_equal(share, sum);
	assert_int_equal(price_share(90, 0, 1, 3), 30);
	assert_int_equal(price_share(100, 0, 1, 3) + price_share(100, 1, 1, 3) +
				 price_share(100, 2, 1, 3),
			 100);
	assert_int_equal(price_share(100, 0, 1, 0), 0);
	rig_done(&r);
}

/* No size is too large, and binary sizes are exact: 1 GiB at a price by the GiB is that price. */
static void ends(void **state)
{
	struct rig r = rig_of("price any = 0.01 EUR/GiB\nprice internet = 1000000 EUR/KB\n"
			      "default allow\n");

	assert_int_equal(price_total(price_at(r.table, 0), 1ULL << 30), CENT);
	assert_int_equal(price_total(price_at(r.table, 0), 3ULL << 29), CENT + CENT / 2);
	assert_int_equal(price_total(price_at(r.table, 1), UINT64_MAX), UINT64_MAX);
	assert_int_equal(price_cost(price_at(r.table, 0), UINT64_MAX, 5), 0);
	rig_done(&r);
}

/* --- whose --------------------------------------------------------------------------------------------------------- */

static uint32_t of(const struct rig *r, const char *address, const char *name, const char *segment,
		   const char *country, uint32_t asn)
{
	struct price_dest d = {
		.name = str_of(name), .segment = str_of(segment), .country = country, .asn = asn
	};
	struct addr a;

	if (address)
		assert_ok(addr_parse(str_of(address), &a));
	d.addr = address ? &a : NULL;
	return price_find(r->table, &d);
}

static void destinations(void **state)
{
	struct rig r = rig_of("segment office = 10.1.0.0/16\n"
			      "segment mixed = 10.0.0.0-11.0.0.0\n"
			      "set cdn = 198.41.0.0/24, *.cdn.example, set more\n"
			      "set more = cdn.example, asn 64501\n"
			      "price set cdn = 0 USD/GB\n"                   /* 0 */
			      "price office = 0.01 USD/GB\n"                 /* 1 */
			      "price country DE, asn 64500 = 0.02 EUR/GB\n"  /* 2 */
			      "price **.shop.example, host. = 0.03 USD/GB\n" /* 3 */
			      "price private = 0.04 USD/GB\n"                /* 4 */
			      "price internet = 0.05 USD/GB\n"               /* 5 */
			      "default allow\n");

	assert_int_equal(price_count(r.table), 6);
	assert_str(price_at(r.table, 2)->name, "country DE, asn 64500");
	assert_int_equal(of(&r, "198.41.0.9", NULL, "internet", "DE", 64500), 0);
	assert_int_equal(of(&r, "64:ff9b::198.41.0.9", NULL, "internet", "", 0), 0);
	assert_int_equal(of(&r, "8.8.8.8", "a.b.cdn.example", "internet", NULL, 0), 0);
	assert_int_equal(of(&r, "8.8.8.8", "cdn.example", "internet", NULL, 0), 0);
	assert_int_equal(of(&r, "8.8.8.8", "xcdn.example", "internet", NULL, 0), 5);
	assert_int_equal(of(&r, "8.8.8.8", NULL, "internet", NULL, 64501), 0);
	assert_int_equal(of(&r, "10.1.2.3", NULL, "office", NULL, 0), 1);
	assert_int_equal(of(&r, "8.8.8.8", NULL, "internet", "DE", 0), 2);
	assert_int_equal(of(&r, "8.8.8.8", NULL, "internet", "FR", 64500), 2);
	assert_int_equal(of(&r, "8.8.8.8", "shop.example", "internet", "FR", 1), 3);
	assert_int_equal(of(&r, "8.8.8.8", "www.shop.example", "internet", "FR", 1), 3);
	assert_int_equal(of(&r, "8.8.8.8", "host", "internet", "FR", 1), 3);
	assert_int_equal(of(&r, "10.200.0.1", NULL, "private", NULL, 0), 4);
	assert_int_equal(of(&r, "8.8.8.8", NULL, "internet", NULL, 0), 5);
	assert_int_equal(of(&r, "127.0.0.1", NULL, "loopback", NULL, 0), PRICE_NONE);
	/* without the address: it might be one of the set's */
	assert_int_equal(of(&r, NULL, "x.example", "internet", NULL, 0), PRICE_UNKNOWN);
	assert_int_equal(of(&r, NULL, "x.cdn.example", "internet", NULL, 0), 0);
	rig_done(&r);
}

/* A sum may know no more than the segment. */
static void without_address(void **state)
{
	struct rig r = rig_of("segment office = 10.1.0.0/16, 192.168.0.0/16\n"
			      "segment mixed = 10.0.0.0-11.0.0.0\n"
			      "segment ours = 8.8.8.0/24\n"
			      "price country DE = 0.02 USD/GB\n"
			      "price private = 0.01 USD/GB\n"
			      "price internet = 0.05 USD/GB\n"
			      "default allow\n");

	assert_int_equal(of(&r, NULL, "x.example", "internet", "DE", 0), 0);
	assert_int_equal(of(&r, NULL, "x.example", "internet", "FR", 0), 2);
	assert_int_equal(of(&r, NULL, "x.example", "private", NULL, 0), 1);
	assert_int_equal(of(&r, NULL, "x.example", "office", NULL, 0), 1);
	assert_int_equal(of(&r, NULL, "x.example", "ours", NULL, 0), 2);
	assert_int_equal(of(&r, NULL, "x.example", "loopback", NULL, 0), PRICE_NONE);
	assert_int_equal(of(&r, NULL, "x.example", "mixed", NULL, 0), PRICE_UNKNOWN);
	assert_int_equal(of(&r, NULL, "x.example", "mixed", "DE", 0), 0);
	assert_int_equal(of(&r, NULL, NULL, NULL, NULL, 0), PRICE_UNKNOWN);
	rig_done(&r);
	r = rig_of("default allow\n");
	assert_int_equal(of(&r, "8.8.8.8", "x.example", "internet", "DE", 1), PRICE_NONE);
	assert_int_equal(of(&r, NULL, "x.example", NULL, NULL, 0), PRICE_NONE);
	rig_done(&r);
}

/* A list's addresses and names are priced as a set's are; one that cannot be read is said. */
static void lists(void **state)
{
	_cleanup_buf_ struct buf messages = BUF_INIT(65536), notes = BUF_INIT(4096),
				 text = BUF_INIT(4096);
	struct price_lists where = { .notes = &notes };
	char path[] = "/tmp/egret-price-XXXXXX";
	int fd = mkstemp(path);
	struct rig r = { 0 };

	assert_true(fd >= 0);
	dprintf(fd, "198.41.0.0/24\n2001:db8::/32\ncdn.example\n*.below.example\n");
	close(fd);
	buf_printf(&text,
		   "list cdn = file \"%s\"\nlist gone = file \"%s.gone\" optional\n"
		   "price list gone = 3 USD/GB\nprice list cdn = 0 USD/GB\n"
		   "price internet = 0.05 USD/GB\ndefault allow\n",
		   path, path);
	assert_ok(policy_parse(&r.policy, "p.egret", buf_str(&text), STR_NONE, &messages));
	assert_ok(price_table_new(&r.table, r.policy, &where));
	assert_true(price_needs_addresses(r.table));
	assert_int_equal(of(&r, "198.41.0.9", NULL, "internet", NULL, 0), 1);
	assert_int_equal(of(&r, "198.41.1.9", NULL, "internet", NULL, 0), 2);
	assert_int_equal(of(&r, "2001:db8::9", NULL, "internet", NULL, 0), 1);
	assert_int_equal(of(&r, "8.8.8.8", "cdn.example", "internet", NULL, 0), 1);
	assert_int_equal(of(&r, "8.8.8.8", "x.cdn.example", "internet", NULL, 0), 2);
	assert_int_equal(of(&r, "8.8.8.8", "x.below.example", "internet", NULL, 0), 1);
	assert_int_equal(of(&r, NULL, "x.example", "internet", NULL, 0), PRICE_UNKNOWN);
	assert_str(buf_str(&notes),
		   "the list 'gone' cannot be read: nothing has the price that is for it\n");
	rig_done(&r);
	unlink(path);
}

/* Which prices count for which budget. */
static void budgets(void **state)
{
	static const bool want[3][3] = { { true, true, false },
					 { true, false, false },
					 { false, false, true } };
	struct rig r =
		rig_of("set cdn = 198.41.0.0/24\n"
		       "price set cdn, country DE = 0.01 USD/GB\nprice internet = 0.02 USD/GB\n"
		       "price private = 0.01 EUR/GB\n"
		       "budget all = 50 USD/month\nbudget some = 12.34 USD/month for country DE\n"
		       "budget inside = 1 EUR/month for private\ndefault allow\n");

	assert_int_equal(r.policy->n_budgets, 3);
	assert_int_equal(r.policy->budgets[1].amount, 1234 * CENT);
	assert_str(r.policy->budgets[1].text, "some = 12.34 USD/month for country DE");
	for (size_t i = 0; i < 3; i++)
		for (uint32_t k = 0; k < 3; k++)
			assert_int_equal(
				price_is_of_budget(price_at(r.table, k), &r.policy->budgets[i]),
				want[i][k]);
	rig_done(&r);
}

/* --- months and text ------------------------------------------------------------------------------------------------ */

static void months(void **state)
{
	int64_t from, to;

	price_month(1798761599, &from, &to); /* 2026-12-31T23:59:59Z */
	assert_int_equal(from, 1796083200);  /* 2026-12-01 */
	assert_int_equal(to, 1798761600);    /* 2027-01-01 */
	price_month(1798761600, &from, &to);
	assert_int_equal(from, 1798761600);
	price_month(1709164800, &from, &to); /* 2024-02-29: a leap year */
	assert_int_equal(to - from, 29 * 86400);
	price_month(INT64_MAX, &from, &to);
	assert_true(from < to);
	price_month(INT64_MIN, &from, &to);
	assert_int_equal(from, 0);
}

static void texts(void **state)
{
	char text[PRICE_TEXT_MAX];

	assert_string_equal(price_format(0, text), "0");
	assert_string_equal(price_format(2100000, text), "0.0021");
	assert_string_equal(price_format(100 * UNIT, text), "100");
	assert_string_equal(price_format(1, text), "0.000000001");
	assert_string_equal(price_format(UINT64_MAX, text), "18446744073.709551615");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tiers),
		cmocka_unit_test(parts_add_up),
		cmocka_unit_test(ends),
		cmocka_unit_test(destinations),
		cmocka_unit_test(without_address),
		cmocka_unit_test(lists),
		cmocka_unit_test(budgets),
		cmocka_unit_test(months),
		cmocka_unit_test(texts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
