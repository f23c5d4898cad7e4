/* SPDX-License-Identifier: Apache-2.0 */
/* `egret fleet policy status`: what became of each version of the policy on the machines that send to one ClickHouse. */
#include <jansson.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "base/human.h"
#include "cli/cells.h"
#include "cli/fleet.h"
#include "cli/table.h"

static void print_reasons(const json_t *row)
{
	const json_t *one;
	size_t i;

	json_array_foreach(json_object_get(row, "reasons"), i, one)
	{
		_cleanup_buf_ struct buf safe = BUF_INIT(1U << 16);

		cell_put_all(&safe,
			     (struct str){ json_string_value(one), json_string_length(one) });
		printf("version %llu, %.*s\n", (unsigned long long)fleet_number(row, "version"),
		       STR_FMT(buf_str(&safe)));
	}
}

void fleet_print_policies(const json_t *rows)
{
	static const struct table_column columns[] = {
		{ "VERSION", .right = true },      { "WAITS", .right = true },
		{ "ON TRIAL", .right = true },     { "KEPT", .right = true },
		{ "STEPPED BACK", .right = true }, { "REFUSED", .right = true },
		{ "BEFORE/H", .right = true },     { "AFTER/H", .right = true },
		{ "WATCHED", .right = true },      { "WOULD REFUSE", .right = true },
	};
	static const char *const keys[ARRAY_SIZE(columns)] = { "version",
							       "waits",
							       "on_trial",
							       "kept",
							       "stepped_back",
							       "refused",
							       "refused_before_hour",
							       "refused_after_hour",
							       "watched",
							       "would_refuse" };
	char text[HUMAN_TEXT_MAX];
	struct table *t;
	const json_t *row;
	size_t i;

	if (!json_array_size(rows)) {
		puts("no machine has told of a version of the policy in this time");
		return;
	}
	if (table_new(&t, columns, ARRAY_SIZE(columns)) < 0)
		return;
	json_array_foreach(rows, i, row)
	{
		for (size_t k = 0; k < ARRAY_SIZE(columns); k++)
			table_cell(t, str_of(human_count(fleet_number(row, keys[k]), text)));
	}
	table_print(t, stdout, terminal_width(stdout));
	table_free(t);
	json_array_foreach(rows, i, row) print_reasons(row);
}
