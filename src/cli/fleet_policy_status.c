/* SPDX-License-Identifier: Apache-2.0 */
/* `egret fleet policy status`: what became of each version of the policy on the machines that send to one ClickHouse. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/human.h"
#include "base/time.h"
#include "cli/fleet.h"
#include "cli/table.h"

/* Columns of both answers: what a version came to, and the machines where it failed. */
enum { VERSION, TOOK, TRIAL, KEPT, BACK, REFUSED, BEFORE, AFTER, WATCHED, WOULD, COLUMNS };
static const char *const keys[COLUMNS] = { "version",
					   "took",
					   "on_trial",
					   "kept",
					   "stepped_back",
					   "refused",
					   "refused_before_hour",
					   "refused_after_hour",
					   "watched",
					   "would_refuse" };

/* The newest word of each machine on each version counts. */
static void put_newest(struct buf *out, uint64_t last_ns)
{
	buf_printf(
		out,
		" FROM (SELECT version, host, argMax(state, time_us) AS s, argMax(reason, time_us) "
		"AS why, argMax(refused_before_hour, time_us) AS b, argMax(refused_after_hour, "
		"time_us) AS a, max(watched) AS w, max(would_refuse) AS r FROM policy WHERE ts >= "
		"now() - %llu GROUP BY version, host)",
		(unsigned long long)(last_ns / NSEC_PER_SEC));
}

static void put_versions(struct buf *out, uint64_t last_ns)
{
	buf_puts(out,
		 "SELECT version, countIf(s = 'took'), countIf(s = 'enforced'), countIf(s = "
		 "'kept'), countIf(s = 'stepped-back'), countIf(s = 'refused'), sum(b), sum(a), "
		 "sum(w), sum(r)");
	put_newest(out, last_ns);
	buf_puts(out, " GROUP BY version ORDER BY version DESC FORMAT JSONCompact");
}

static void put_failures(struct buf *out, uint64_t last_ns)
{
	buf_puts(out, "SELECT version, host, s, why");
	put_newest(out, last_ns);
	buf_puts(out,
		 " WHERE s = 'stepped-back' OR s = 'refused' ORDER BY version DESC, host FORMAT "
		 "JSONCompact");
}

static void print_versions(const json_t *rows)
{
	static const struct table_column columns[] = {
		{ "VERSION", .right = true },      { "WAITS", .right = true },
		{ "ON TRIAL", .right = true },     { "KEPT", .right = true },
		{ "STEPPED BACK", .right = true }, { "REFUSED", .right = true },
		{ "BEFORE/H", .right = true },     { "AFTER/H", .right = true },
		{ "WATCHED", .right = true },      { "WOULD REFUSE", .right = true },
	};
	char text[HUMAN_TEXT_MAX];
	struct table *t;
	const json_t *row;
	size_t i;

	_Static_assert(ARRAY_SIZE(columns) == COLUMNS, "a title each");
	if (table_new(&t, columns, COLUMNS) < 0)
		return;
	json_array_foreach(rows, i, row)
	{
		for (size_t k = 0; k < COLUMNS; k++)
			table_cell(t, str_of(human_count(fleet_number(row, k), text)));
	}
	table_print(t, stdout, terminal_width(stdout));
	table_free(t);
}

static void print_failures(const json_t *rows)
{
	static const struct table_column columns[] = {
		{ "VERSION", .right = true },
		{ "HOST", .elastic = true },
		{ "WHAT" },
		{ "WHY", .elastic = true },
	};
	char text[HUMAN_TEXT_MAX];
	struct table *t;
	const json_t *row;
	size_t i;

	if (!json_array_size(rows) || table_new(&t, columns, ARRAY_SIZE(columns)) < 0)
		return;
	json_array_foreach(rows, i, row)
	{
		table_cell(t, str_of(human_count(fleet_number(row, 0), text)));
		for (size_t k = 1; k < ARRAY_SIZE(columns); k++)
			table_cell(t, fleet_text(row, k));
	}
	putchar('\n');
	table_print(t, stdout, terminal_width(stdout));
	table_free(t);
}

static json_t *failures_of(const json_t *failures, uint64_t version)
{
	static const char *const names[] = { "host", "state", "reason" };
	json_t *all = json_array(), *o;
	const json_t *row;
	size_t i;

	json_array_foreach(failures, i, row)
	{
		if (fleet_number(row, 0) != version)
			continue;
		o = json_object();
		for (size_t k = 0; k < ARRAY_SIZE(names); k++) {
			struct str s = fleet_text(row, k + 1);

			json_object_set_new(o, names[k], json_stringn(s.p ? s.p : "", s.n));
		}
		json_array_append_new(all, o);
	}
	return all;
}

static void print_json(const json_t *versions, const json_t *failures)
{
	const json_t *row;
	size_t i;

	json_array_foreach(versions, i, row)
	{
		json_t *o = json_object();

		for (size_t k = 0; k < COLUMNS; k++)
			json_object_set_new(o, keys[k],
					    json_integer((json_int_t)fleet_number(row, k)));
		json_object_set_new(o, "failures",
				    failures_of(failures, fleet_number(row, VERSION)));
		json_dumpf(o, stdout, JSON_COMPACT);
		putchar('\n');
		json_decref(o);
	}
}

int fleet_policies(const struct fleet_ask *a)
{
	_cleanup_buf_ struct buf one = BUF_INIT(4096), two = BUF_INIT(4096);
	json_t *versions, *failures;
	int status = EXIT_FAILURE;

	put_versions(&one, a->last_ns);
	put_failures(&two, a->last_ns);
	versions = fleet_query(a, buf_str(&one));
	failures = versions ? fleet_query(a, buf_str(&two)) : NULL;
	if (failures) {
		const json_t *rows = json_object_get(versions, "data"),
			     *failed = json_object_get(failures, "data");

		status = EXIT_SUCCESS;
		if (a->as_json) {
			print_json(rows, failed);
		} else if (!json_array_size(rows)) {
			puts("no machine has told of a version of the policy in this time");
		} else {
			print_versions(rows);
			print_failures(failed);
		}
	}
	json_decref(failures);
	json_decref(versions);
	return status;
}
