/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/who_view.h"

#include <errno.h>

#include "base/cleanup.h"
#include "base/human.h"
#include "cli/cells.h"
#include "cli/finding_json.h"
#include "cli/findings.h"
#include "cli/console.h"
#include "cli/flows_table.h"
#include "cli/history_words.h"
#include "cli/table.h"
#include "cli/timeline_view.h"
#include "cli/when.h"

#define TEXT_MAX (4U << 20)
#define CELL_MAX 65536

/* --- head -------------------------------------------------------------------------------------------------------- */

static void put_pair(struct buf *out, const char *word, const json_t *fact)
{
	if (!json_is_integer(fact) && !json_string_length(fact))
		return;
	buf_printf(out, "  %-9s ", word);
	history_put_fact(out, fact);
	buf_putc(out, '\n');
}

/* "AS64500 Example Org" */
static void put_as(struct buf *out, const json_t *a)
{
	const json_t *asn = json_object_get(a, "asn"), *org = json_object_get(a, "as_org");

	if (!json_is_integer(asn) && !json_string_length(asn))
		return;
	buf_puts(out, json_is_integer(asn) ? "  network   AS" : "  network   ");
	history_put_fact(out, asn);
	if (json_string_length(org)) {
		buf_putc(out, ' ');
		history_put_fact(out, org);
	}
	buf_putc(out, '\n');
}

static void put_head(struct buf *out, const json_t *a)
{
	char first[WHEN_TEXT], last[WHEN_TEXT];

	history_put_fact(out, json_object_get(a, "what"));
	buf_putc(out, '\n');
	put_pair(out, "country", json_object_get(a, "country"));
	put_as(out, a);
	put_pair(out, "domain", json_object_get(a, "domain"));
	put_pair(out, "segment", json_object_get(a, "segment"));
	if (history_number(a, "first"))
		buf_printf(out, "  seen      %s to %s\n",
			   when_format((time_t)history_number(a, "first"), first),
			   when_format((time_t)history_number(a, "last"), last));
	buf_puts(out, "  in all    ");
	history_put_totals(out, a);
	buf_putc(out, '\n');
}

/* --- sections ---------------------------------------------------------------------------------------------------- */

enum kind { TEXT, BYTES, COUNT, WHEN };

struct section {
	const char *key, *title;
	size_t n;
	struct table_column columns[6];
	struct {
		const char *key;
		enum kind kind;
	} facts[6];
};

/* What tables are made of: the member of the answer, columns and what stands in them. */
static const struct section sections[] = {
	{ "names",
	  "Names",
	  4,
	  { { "NAME", .elastic = true }, { "FROM" }, { "FIRST" }, { "LAST" } },
	  { { "name", TEXT }, { "source", TEXT }, { "first", WHEN }, { "last", WHEN } } },
	{ "addresses",
	  "Addresses",
	  5,
	  { { "ADDRESS", .elastic = true },
	    { "FLOWS", .right = true },
	    { "UP", .right = true },
	    { "DOWN", .right = true },
	    { "LAST" } },
	  { { "address", TEXT },
	    { "flows", COUNT },
	    { "up", BYTES },
	    { "down", BYTES },
	    { "last", WHEN } } },
	{ "apps",
	  "Programs",
	  6,
	  { { "PROGRAM", .elastic = true },
	    { "USER", .elastic = true },
	    { "FLOWS", .right = true },
	    { "UP", .right = true },
	    { "DOWN", .right = true },
	    { "LAST" } },
	  { { "app", TEXT },
	    { "user", TEXT },
	    { "flows", COUNT },
	    { "up", BYTES },
	    { "down", BYTES },
	    { "last", WHEN } } },
	{ "ports",
	  "Ports",
	  6,
	  { { "PORT", .right = true },
	    { "PROTO" },
	    { "PROTOCOL" },
	    { "FLOWS", .right = true },
	    { "UP", .right = true },
	    { "DOWN", .right = true } },
	  { { "port", TEXT },
	    { "proto", TEXT },
	    { "protocol", TEXT },
	    { "flows", COUNT },
	    { "up", BYTES },
	    { "down", BYTES } } },
	{ "rules",
	  "Rules",
	  4,
	  { { "RULE", .elastic = true },
	    { "VERDICT" },
	    { "FLOWS", .right = true },
	    { "REFUSED", .right = true } },
	  { { "rule", TEXT }, { "verdict", TEXT }, { "flows", COUNT }, { "refused", COUNT } } },
};

static void put_cell(struct buf *cell, const json_t *row, const char *key, enum kind kind)
{
	const json_t *fact = json_object_get(row, key);
	char text[HUMAN_TEXT_MAX], when[WHEN_TEXT];

	buf_clear(cell);
	if (kind == WHEN)
		buf_puts(cell, when_format((time_t)history_number(row, key), when));
	else if (kind == BYTES)
		buf_puts(cell, human_bytes(history_number(row, key), text));
	else if (kind == COUNT)
		buf_puts(cell, human_count(history_number(row, key), text));
	else /* an array may hold bare texts */
		history_put_fact(cell, json_is_object(row) ? fact : row);
}

static int print_section(FILE *to, const struct section *s, const json_t *answer, unsigned width)
{
	_cleanup_buf_ struct buf cell = BUF_INIT(CELL_MAX);
	const json_t *rows = json_object_get(answer, s->key), *row;
	struct table *t;
	size_t i;

	if (!json_array_size(rows))
		return 0;
	if (table_new(&t, s->columns, s->n) < 0)
		return -ENOMEM;
	json_array_foreach(rows, i, row)
	{
		for (size_t c = 0; c < s->n; c++) {
			put_cell(&cell, row, s->facts[c].key, s->facts[c].kind);
			table_cell(t, buf_str(&cell));
		}
	}
	fprintf(to, "\n%s\n", s->title);
	table_print(t, to, width);
	table_free(t);
	return 0;
}

static void put_findings(struct buf *out, const json_t *findings)
{
	const json_t *record;
	size_t i;

	if (json_array_size(findings))
		buf_puts(out, "\nFindings\n");
	json_array_foreach(findings, i, record)
	{
		struct finding_copy copy;

		if (finding_of_record(&copy, record) == 0)
			finding_format_short(&copy.f, out);
	}
}

static int print_timeline(FILE *to, const json_t *answer, unsigned width)
{
	const json_t *line = json_object_get(answer, "timeline");
	json_t *series, *end;
	int r;

	if (!history_number(answer, "flows") && !history_number(answer, "refused"))
		return 0;
	series = json_pack("[O]", line);
	end = json_pack("{sOsOsI}", "start", json_object_get(line, "start"), "step",
			json_object_get(line, "step"), "points",
			(json_int_t)json_array_size(json_object_get(line, "up")));
	fputs("\nWhen\n", to);
	r = series && end ? timeline_print(to, NULL, series, end, width) : -ENOMEM;
	json_decref(series);
	json_decref(end);
	return r;
}

static int print_flows(FILE *to, const json_t *flows, uint64_t now_ns, unsigned width)
{
	enum flows_table_from from = console_used() ? FLOWS_FROM_HOST : FLOWS_FROM_DATE;
	const json_t *record;
	struct table *t;
	size_t i;

	if (!json_array_size(flows))
		return 0;
	if (flows_table_new(&t, from) < 0)
		return -ENOMEM;
	json_array_foreach(flows, i, record) flows_table_add(t, record, now_ns, from);
	fputs("\nLast flows\n", to);
	table_print(t, to, width);
	table_free(t);
	return 0;
}

static void print_text(FILE *to, const struct buf *text)
{
	if (text->n)
		fwrite(text->p, 1, text->n, to);
}

int who_print(FILE *to, const json_t *answer, uint64_t now_ns, unsigned width)
{
	_cleanup_buf_ struct buf head = BUF_INIT(TEXT_MAX), findings = BUF_INIT(TEXT_MAX),
				 end = BUF_INIT(TEXT_MAX);
	int r = 0;

	put_head(&head, answer);
	print_text(to, &head);
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(sections); i++)
		r = print_section(to, &sections[i], answer, width);
	put_findings(&findings, json_object_get(answer, "findings"));
	print_text(to, &findings);
	if (r == 0 && json_is_object(json_object_get(answer, "timeline")))
		r = print_timeline(to, answer, width);
	if (r == 0)
		r = print_flows(to, json_object_get(answer, "flows_recent"), now_ns, width);
	buf_putc(&end, '\n');
	history_put_end(&end, answer);
	print_text(to, &end);
	return head.failed || findings.failed || end.failed ? -ENOMEM : r;
}
