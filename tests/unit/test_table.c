/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cleanup.h"
#include "cli/contacts.h"
#include "cli/table.h"
#include "flow/flow.h"
#include "test.h"

static const struct table_column columns[] = {
	{ "NAME", .elastic = true },
	{ "UP", .right = true },
};

/* What the table looks like, with the rows given as pairs of cells. */
static const char *printed(const char *const *cells, size_t n, unsigned width)
{
	static char text[2048];
	FILE *f = fmemopen(text, sizeof(text), "w");
	struct table *t;

	assert_ok(table_new(&t, columns, ARRAY_SIZE(columns)));
	for (size_t i = 0; i < n; i++)
		table_cell(t, str_of(cells[i]));
	table_print(t, f, width);
	table_free(t);
	fclose(f);
	return text;
}

static void test_columns_are_as_wide_as_their_cells(void **state)
{
	const char *const cells[] = { "a", "1", "bcdefg", "1234" };

	assert_string_equal(printed(cells, 4, 0), "NAME      UP\na          1\nbcdefg  1234\n");
}

static void test_elastic_columns_are_cut_to_fit(void **state)
{
	const char *const cells[] = { "a-very-long-name.example.org", "12" };

	assert_string_equal(printed(cells, 2, 20), "NAME              UP\na-very-long-nam…  12\n");
	assert_string_equal(printed(cells, 2, 5), "NAME      UP\na-very-…  12\n");
}

static void test_nothing_can_drive_the_terminal(void **state)
{
	const char *const cells[] = { "x\033[2J\n\177\302\233y", "1" };

	assert_string_equal(printed(cells, 2, 0), "NAME       UP\nx?[2J???y   1\n");
}

static void test_contacts_sum_and_keep_the_rest(void **state)
{
	struct flow f = { .key = { .proto = 17, .dport = 53 }, .app = APP_DNS };
	struct contacts *c;
	char text[4096];
	FILE *out;

	assert_ok(contacts_new(&c, false, false, 2));
	f.key.src = addr_from_v4("\012\000\000\001");
	for (uint8_t i = 0; i < 4; i++) {
		uint8_t dst[4] = { 192, 0, 2, i };

		f.key.dst = addr_from_v4(dst);
		f.half[TO_SERVER].bytes = 100U * (i + 1U);
		contacts_add(c, &f);
		contacts_add(c, &f);
	}
	assert_int_equal(contacts_count(c), 2);
	out = fmemopen(text, sizeof(text), "w");
	contacts_print(c, out, 1, 0);
	fclose(out);
	contacts_free(c);
	/* The row with the most bytes, then all others in one: 6 flows and 200 + 600 + 800 bytes. */
	assert_non_null(
		strstr(text, "10.0.0.1  -     -     192.0.2.1    53  udp/dns       2   400 B"));
	assert_non_null(
		strstr(text, "(others)  -     -     -             -  -             6  1.6 kB"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_columns_are_as_wide_as_their_cells),
		cmocka_unit_test(test_elastic_columns_are_cut_to_fit),
		cmocka_unit_test(test_nothing_can_drive_the_terminal),
		cmocka_unit_test(test_contacts_sum_and_keep_the_rest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
