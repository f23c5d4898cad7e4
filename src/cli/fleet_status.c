/* SPDX-License-Identifier: Apache-2.0 */
/* `egret fleet status`: how the machines are that send to one ClickHouse, as each told it last. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/human.h"
#include "base/log.h"
#include "base/time.h"
#include "cli/ask_history.h"
#include "cli/cells.h"
#include "cli/console.h"
#include "cli/fleet.h"
#include "cli/table.h"

#define CONSOLE_HOSTS_MAX 10000 /* a console gives at most so many */
#define LATE_S 180 /* a machine tells each minute, by batches of 5 seconds to a minute */

/* Columns of the answer. `seen` and `now` are Unix seconds of the server's clock. */
enum {
	HOST,
	SEEN,
	NOW,
	VERSION,
	WATCH,
	MODE,
	POLICY,
	RULES,
	UPTIME,
	FLOWS,
	LOST,
	LOST_SPOOL,
	WAITING,
	SPOOL,
	COLUMNS
};
static const char *const keys[COLUMNS] = { "host",     "seen",        "now",         "version",
					   "watch",    "policy_mode", "policy_file", "policy_rules",
					   "uptime_s", "flows",       "lost",        "lost_spool",
					   "waiting",  "spool_bytes" };

static void put_query(struct buf *out, uint64_t last_ns)
{
	buf_puts(out, "SELECT host, toUInt32(max(ts)), toUInt32(now())");
	for (int i = VERSION; i < COLUMNS; i++)
		buf_printf(out, ", argMax(%s, time_us)", keys[i]);
	buf_printf(out,
		   " FROM host WHERE ts >= now() - %llu GROUP BY host ORDER BY host FORMAT "
		   "JSONCompact",
		   (unsigned long long)(last_ns / NSEC_PER_SEC));
}

/* ---- as a table ---- */

static uint64_t silent_s(const json_t *row)
{
	uint64_t seen = fleet_number(row, SEEN), now = fleet_number(row, NOW);

	return now > seen ? now - seen : 0;
}

static struct str policy_cell(const json_t *row, char out[160])
{
	struct str file = fleet_text(row, POLICY), mode = fleet_text(row, MODE);
	const char *slash = file.n ? memrchr(file.p, '/', file.n) : NULL;
	size_t from = slash ? (size_t)(slash - file.p) + 1 : 0;

	file = str_sub(file, from, MIN(file.n, (size_t)80));
	if (!file.n)
		return mode;
	snprintf(out, 160, "%.*s: %.*s, %llu rules", (int)MIN(mode.n, (size_t)16),
		 mode.p ? mode.p : "", STR_FMT(file), (unsigned long long)fleet_number(row, RULES));
	return str_of(out);
}

static void put_row(struct table *t, const json_t *row)
{
	char since[TIME_TEXT_MAX], up[TIME_TEXT_MAX], policy[160], a[HUMAN_TEXT_MAX],
		b[HUMAN_TEXT_MAX], c[HUMAN_TEXT_MAX];

	table_cell(t, fleet_text(row, HOST));
	table_cell(t, silent_s(row) > LATE_S
			      ? str_of(duration_format(silent_s(row) * NSEC_PER_SEC, since))
			      : STR("now"));
	table_cell(t, fleet_text(row, VERSION));
	table_cell(t, fleet_text(row, WATCH));
	table_cell(t, policy_cell(row, policy));
	table_cell(t, str_of(duration_format(fleet_number(row, UPTIME) * NSEC_PER_SEC, up)));
	table_cell(t, str_of(human_count(fleet_number(row, FLOWS), a)));
	table_cell(t, str_of(human_count(fleet_number(row, LOST), b)));
	table_cell(t, str_of(human_count(fleet_number(row, WAITING), c)));
}

static void print_table(const json_t *rows)
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
		lost += fleet_number(row, LOST) > 0;
	}
	table_print(t, stdout, terminal_width(stdout));
	table_free(t);
	printf("%zu machines, %llu of them silent, %llu with losses\n", json_array_size(rows),
	       (unsigned long long)late, (unsigned long long)lost);
}

static void print_json(const json_t *rows)
{
	const json_t *row;
	size_t i;

	json_array_foreach(rows, i, row)
	{
		json_t *o = json_object();

		for (int k = 0; k < COLUMNS; k++)
			json_object_set_new(
				o, keys[k],
				k == HOST || (k >= VERSION && k <= POLICY)
					? json_stringn(fleet_text(row, (size_t)k).p ?: "",
						       fleet_text(row, (size_t)k).n)
					: json_integer((json_int_t)fleet_number(row, (size_t)k)));
		json_dumpf(o, stdout, JSON_COMPACT);
		putchar('\n');
		json_decref(o);
	}
}

/* The rows of a console as those of ClickHouse: {"data":[[…],…]}. NULL: told. */
static json_t *ask_console(const struct fleet_ask *a)
{
	json_t *rows = NULL, *end = NULL, *data = json_array(), *row;
	char request[128];
	size_t i;
	int r;

	snprintf(request, sizeof(request),
		 "{\"ask\":\"history\",\"do\":\"hosts\",\"last\":%llu,\"limit\":%d}",
		 (unsigned long long)(a->last_ns / NSEC_PER_SEC), CONSOLE_HOSTS_MAX);
	r = ask_history_gather(str_of(request), &rows, &end);
	json_array_foreach(rows, i, row)
	{
		json_t *values = json_array();

		for (int k = 0; k < COLUMNS; k++)
			json_array_append(values, json_object_get(row, keys[k]) ?: json_null());
		json_array_append_new(data, values);
	}
	if (r == 0 && json_integer_value(json_object_get(end, "matched")) > CONSOLE_HOSTS_MAX)
		log_warn("these are the first %d of %lld machines", CONSOLE_HOSTS_MAX,
			 (long long)json_integer_value(json_object_get(end, "matched")));
	json_decref(rows);
	json_decref(end);
	if (r == 0)
		return json_pack("{s:o}", "data", data);
	json_decref(data);
	return NULL;
}

int fleet_status(const struct fleet_ask *a)
{
	_cleanup_buf_ struct buf query = BUF_INIT(4096);
	json_t *answer;

	put_query(&query, a->last_ns);
	answer = console_used() ? ask_console(a) : fleet_query(a, buf_str(&query));
	if (!answer)
		return EXIT_FAILURE;
	if (a->as_json)
		print_json(json_object_get(answer, "data"));
	else
		print_table(json_object_get(answer, "data"));
	json_decref(answer);
	return EXIT_SUCCESS;
}
