/* SPDX-License-Identifier: Apache-2.0 */
/* `egret fleet findings`: what several machines have found alike, a row a detector and other side. */
#include <jansson.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "base/human.h"
#include "base/time.h"
#include "cli/cells.h"
#include "cli/fleet.h"
#include "cli/table.h"

/* "web-1, web-2 …" */
static struct str list_cell(const json_t *row, const char *key, uint64_t of, char out[256])
{
	const json_t *list = json_object_get(row, key), *one;
	size_t i, n = 0;

	out[0] = 0;
	json_array_foreach(list, i, one)
	{
		int w = snprintf(out + n, 256 - n, "%s%.80s", i ? ", " : "",
				 json_string_value(one) ?: "");

		if (w < 0 || (size_t)w >= 256 - n - 4)
			break;
		n += (size_t)w;
	}
	out[n] = 0;
	if (i < of)
		snprintf(out + n, 256 - n, "%s…", n ? " " : "");
	return str_of(out);
}

/* "3 of 40": show it, of those that had to do with it. */
static struct str hosts_cell(const json_t *row, char out[64])
{
	uint64_t all = fleet_number(row, "contacted_by");

	if (all)
		snprintf(out, 64, "%llu of %llu", (unsigned long long)fleet_number(row, "hosts"),
			 (unsigned long long)all);
	else
		snprintf(out, 64, "%llu", (unsigned long long)fleet_number(row, "hosts"));
	return str_of(out);
}

static void put_row(struct table *t, const json_t *row)
{
	char hosts[64], names[256], programs[256], last[TIME_TEXT_MAX];
	uint64_t at = fleet_number(row, "last") * NSEC_PER_SEC, now = time_now();

	table_cell(t, fleet_text(row, "level"));
	table_cell(t, fleet_text(row, "detector"));
	table_cell(t, fleet_text(row, "peer"));
	table_cell(t, hosts_cell(row, hosts));
	table_cell(t, list_cell(row, "some_hosts", fleet_number(row, "hosts"), names));
	table_cell(t, list_cell(row, "programs", 0, programs));
	table_cell(t, str_of(duration_format(now > at ? now - at : 0, last)));
}

void fleet_print_cases(const json_t *rows)
{
	static const struct table_column columns[] = {
		{ "LEVEL" },
		{ "DETECTOR" },
		{ "WITH", .elastic = true },
		{ "HOSTS", .right = true },
		{ "WHICH", .elastic = true },
		{ "PROGRAMS", .elastic = true },
		{ "LAST AGO" },
	};
	struct table *t;
	const json_t *row;
	size_t i;

	if (!json_array_size(rows)) {
		puts("nothing was found in this time");
		return;
	}
	if (table_new(&t, columns, ARRAY_SIZE(columns)) < 0)
		return;
	json_array_foreach(rows, i, row) put_row(t, row);
	table_print(t, stdout, terminal_width(stdout));
	table_free(t);
}
