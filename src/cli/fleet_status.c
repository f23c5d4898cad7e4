/* SPDX-License-Identifier: Apache-2.0 */
/* `egret fleet status`: how the machines are that send to one ClickHouse, as each told it last. */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/human.h"
#include "base/time.h"
#include "cli/cells.h"
#include "cli/fleet.h"
#include "cli/table.h"

#define LATE_S 180 /* a machine tells each minute, by batches of 5 seconds to a minute */

/* `seen` and `now` are Unix seconds of the server's clock. */
static uint64_t silent_s(const json_t *row)
{
	uint64_t seen = fleet_number(row, "seen"), now = fleet_number(row, "now");

	return now > seen ? now - seen : 0;
}

static struct str policy_cell(const json_t *row, char out[160])
{
	struct str file = fleet_text(row, "policy_file"), mode = fleet_text(row, "policy_mode");
	const char *slash = file.n ? memrchr(file.p, '/', file.n) : NULL;
	size_t from = slash ? (size_t)(slash - file.p) + 1 : 0;

	file = str_sub(file, from, MIN(file.n, (size_t)80));
	if (!file.n)
		return mode;
	snprintf(out, 160, "%.*s: %.*s, %llu rules", (int)MIN(mode.n, (size_t)16),
		 mode.p ? mode.p : "", STR_FMT(file),
		 (unsigned long long)fleet_number(row, "policy_rules"));
	return str_of(out);
}

static void put_row(struct table *t, const json_t *row)
{
	char since[TIME_TEXT_MAX], up[TIME_TEXT_MAX], policy[160], a[HUMAN_TEXT_MAX],
		b[HUMAN_TEXT_MAX], c[HUMAN_TEXT_MAX];

	table_cell(t, fleet_text(row, "host"));
	table_cell(t, silent_s(row) > LATE_S
			      ? str_of(duration_format(silent_s(row) * NSEC_PER_SEC, since))
			      : STR("now"));
	table_cell(t, fleet_text(row, "version"));
	table_cell(t, fleet_text(row, "watch"));
	table_cell(t, policy_cell(row, policy));
	table_cell(t, str_of(duration_format(fleet_number(row, "uptime_s") * NSEC_PER_SEC, up)));
	table_cell(t, str_of(human_count(fleet_number(row, "flows"), a)));
	table_cell(t, str_of(human_count(fleet_number(row, "lost"), b)));
	table_cell(t, str_of(human_count(fleet_number(row, "waiting"), c)));
}

void fleet_print_hosts(const json_t *rows)
{
	static const struct table_column columns[] = {
		{ "HOST", .elastic = true },
		{ "SILENT FOR" },
		{ "VERSION" },
		{ "WATCHES" },
		{ "POLICY", .elastic = true },
		{ "UP FOR" },
		{ "FLOWS", .right = true },
		{ "LOST", .right = true },
		{ "WAITING", .right = true },
	};
	uint64_t late = 0, lost = 0;
	struct table *t;
	const json_t *row;
	size_t i;

	if (!json_array_size(rows)) {
		puts("no machine has told anything in this time");
		return;
	}
	if (table_new(&t, columns, ARRAY_SIZE(columns)) < 0)
		return;
	json_array_foreach(rows, i, row)
	{
		put_row(t, row);
		late += silent_s(row) > LATE_S;
		lost += fleet_number(row, "lost") > 0;
	}
	table_print(t, stdout, terminal_width(stdout));
	table_free(t);
	printf("%zu machines, %llu of them silent, %llu with losses\n", json_array_size(rows),
	       (unsigned long long)late, (unsigned long long)lost);
}
