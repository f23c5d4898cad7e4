/* SPDX-License-Identifier: Apache-2.0 */
/* `egret policy show`: what is in force, rule by rule, and what of it goes on by itself. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/human.h"
#include "base/log.h"
#include "base/time.h"
#include "cli/ask_policy.h"
#include "cli/cells.h"
#include "cli/cmd.h"
#include "cli/table.h"

static const char usage[] =
	"usage: egret policy show [--json | --text]\n\n"
	"Shows the policy in force: each rule with its hits, what it refused, the bytes of its "
	"flows and its last\n"
	"match; dated rules, lists, the mode, and what is accepted but not enforced.\n\n"
	"  --json   egretd's answer as it is\n"
	"  --text   the policy's own text\n";

static struct str text_of(const json_t *j, const char *key)
{
	const json_t *v = json_object_get(j, key);

	return (struct str){ json_string_value(v), json_string_length(v) };
}

static uint64_t number(const json_t *j, const char *key)
{
	json_int_t v = json_integer_value(json_object_get(j, key));

	return v > 0 ? (uint64_t)v : 0;
}

/* "2026-01-02T03:04:05.000000+0000" as "2026-01-02 03:04:05Z"; "-" when there is none. */
static struct str time_cell(const json_t *j, const char *key, char text[24])
{
	struct str s = text_of(j, key);

	if (s.n < 19)
		return STR("-");
	snprintf(text, 24, "%.10s %.8sZ", s.p, s.p + 11);
	return str_of(text);
}

static void print_safe(const char *title, struct str s)
{
	_cleanup_buf_ struct buf safe = BUF_INIT(8192);

	cell_put_all(&safe, s);
	printf("%-10s %s\n", title, safe.failed || !safe.n ? "-" : safe.p);
}

static void print_head(const json_t *j)
{
	const char *mode = json_string_value(json_object_get(j, "mode"));
	char text[24];

	if (mode && !strcmp(mode, "off")) {
		puts("policy     none: nothing is refused");
		return;
	}
	if (json_object_get(j, "file"))
		print_safe("policy", text_of(j, "file"));
	else
		puts("policy     none but dated rules");
	if (json_object_get(j, "origin"))
		print_safe("from", text_of(j, "origin"));
	printf("mode       %s\n", mode && !strcmp(mode, "watch")
					  ? "watch: nothing is refused, records say what would be"
					  : "enforce");
	printf("loaded     %.*s", STR_FMT(time_cell(j, "loaded", text)));
	printf("; times are worked out until %.*s\n",
	       STR_FMT(time_cell(j, "time_line_until", text)));
	if (json_object_get(j, "confirm_by"))
		printf("waits      to be confirmed until %.*s, else it is rolled back ('egret "
		       "policy "
		       "confirm')\n",
		       STR_FMT(time_cell(j, "confirm_by", text)));
	printf("pinned     %s\n", json_is_true(json_object_get(j, "pinned"))
					  ? "yes: goes on without egretd"
					  : "no: ends with egretd");
	if (json_object_get(j, "problem"))
		print_safe("problem", text_of(j, "problem"));
	if (json_object_get(j, "waits"))
		print_safe("waits", text_of(j, "waits"));
}

/* The rule, with a word in front where it does something else now. */
static void rule_cell(struct table *t, const json_t *rule)
{
	const json_t *quota = json_object_get(rule, "quota");
	_cleanup_buf_ struct buf text = BUF_INIT(8192);

	if (str_eq(text_of(quota, "state"), STR("spent"))) {
		buf_printf(&text, "(quota spent: %.*s) ", STR_FMT(text_of(quota, "then")));
		buf_put_str(&text, text_of(rule, "text"));
	}
	table_cell(t, text.n && !text.failed ? buf_str(&text) : text_of(rule, "text"));
}

static void rule_row(struct table *t, const json_t *rule)
{
	char a[HUMAN_TEXT_MAX], b[HUMAN_TEXT_MAX], c[HUMAN_TEXT_MAX], d[HUMAN_TEXT_MAX], when[24];
	char limited[HUMAN_TEXT_MAX];
	uint64_t line = number(rule, "line");
	uint64_t refused = number(rule, "refused_calls") + number(rule, "refused_packets");
	char line_text[HUMAN_TEXT_MAX] = "-";

	if (json_is_true(json_object_get(rule, "block")))
		snprintf(line_text, sizeof(line_text), "block");
	else if (line)
		snprintf(line_text, sizeof(line_text), "%llu", (unsigned long long)line);
	table_cell(t, str_of(line_text));
	table_cell(t, str_of(human_count(number(rule, "hits"), a)));
	table_cell(t, str_of(human_count(refused, b)));
	table_cell(t, str_of(human_count(number(rule, "limited_packets"), limited)));
	table_cell(t, str_of(human_bytes(number(rule, "bytes_up"), c)));
	table_cell(t, str_of(human_bytes(number(rule, "bytes_down"), d)));
	table_cell(t, time_cell(rule, "last", when));
	rule_cell(t, rule);
}

static void print_rules(const json_t *rules)
{
	static const struct table_column columns[] = {
		{ "LINE", .right = true },
		{ "HITS", .right = true },
		{ "REFUSED", .right = true },
		{ "LIMITED", .right = true },
		{ "UP", .right = true },
		{ "DOWN", .right = true },
		{ "LAST" },
		{ "RULE", .elastic = true },
	};
	struct table *t;
	const json_t *rule;
	size_t i;

	if (!json_array_size(rules) || table_new(&t, columns, ARRAY_SIZE(columns)) < 0)
		return;
	json_array_foreach(rules, i, rule)
	{
		/* Nobody wrote it: of interest once it decided something. */
		if (json_is_true(json_object_get(rule, "implied")) && !number(rule, "hits"))
			continue;
		rule_row(t, rule);
	}
	putchar('\n');
	table_print(t, stdout, terminal_width(stdout));
	table_free(t);
}

static void print_lists(const json_t *lists)
{
	static const struct table_column columns[] = {
		{ "LIST" }, { "ENTRIES", .right = true }, { "AS OF" },
		{ "NEXT" }, { "STATE", .elastic = true }, { "FROM", .elastic = true },
	};
	struct table *t;
	const json_t *l;
	size_t i;

	if (!json_array_size(lists) || table_new(&t, columns, ARRAY_SIZE(columns)) < 0)
		return;
	json_array_foreach(lists, i, l)
	{
		char count[HUMAN_TEXT_MAX], as_of[24], next[24];
		struct str problem = text_of(l, "problem");

		table_cell(t, text_of(l, "name"));
		table_cell(t, str_of(human_count(number(l, "entries"), count)));
		table_cell(t, time_cell(l, "as_of", as_of));
		table_cell(t, time_cell(l, "refresh", next));
		table_cell(t, json_is_true(json_object_get(l, "expired")) ? STR("EXPIRED: empty")
			      : problem.n                                 ? problem
									  : STR("ok"));
		table_cell(t, text_of(l, "from"));
	}
	putchar('\n');
	table_print(t, stdout, terminal_width(stdout));
	table_free(t);
}

static void print_blocks(const json_t *blocks)
{
	_cleanup_buf_ struct buf safe = BUF_INIT(8192);
	const json_t *b;
	size_t i;

	if (json_array_size(blocks))
		puts("\ndated rules, before all others ('egret unblock' takes them away):");
	json_array_foreach(blocks, i, b)
	{
		char until[24];

		buf_clear(&safe);
		cell_put_all(&safe, text_of(b, "rule"));
		if (json_object_get(b, "note")) {
			buf_puts(&safe, "   # ");
			cell_put_all(&safe, text_of(b, "note"));
		}
		printf("  until %-20.*s  %s\n",
		       STR_FMT(json_object_get(b, "until") ? time_cell(b, "until", until)
							   : STR("taken away")),
		       safe.failed ? "-" : safe.p);
	}
}

static void print_links(const json_t *links)
{
	static const struct table_column columns[] = { { "LINK" },
						       { "RATE", .right = true },
						       { "PRIORITIES", .elastic = true } };
	char rate[HUMAN_TEXT_MAX];
	struct table *t;
	const json_t *l;
	size_t i;

	if (!json_array_size(links) || table_new(&t, columns, ARRAY_SIZE(columns)) < 0)
		return;
	json_array_foreach(links, i, l)
	{
		table_cell(t, text_of(l, "interface"));
		table_cell(t, str_of(human_rate((double)number(l, "bits_per_second") / 8, rate)));
		table_cell(t, json_is_true(json_object_get(l, "in_force")) ? STR("in force")
									   : text_of(l, "problem"));
	}
	putchar('\n');
	table_print(t, stdout, terminal_width(stdout));
	table_free(t);
}

static int print_answer(const json_t *j)
{
	const char *notes = json_string_value(json_object_get(j, "not_enforced"));

	print_head(j);
	print_rules(json_object_get(j, "rules"));
	print_lists(json_object_get(j, "lists"));
	print_links(json_object_get(j, "links"));
	print_blocks(json_object_get(j, "blocks"));
	if (notes)
		printf("\naccepted, but not enforced yet:\n%s", notes);
	return EXIT_SUCCESS;
}

static int run(bool as_json, bool as_text)
{
	json_t *j = policy_request_send(as_text ? STR("{\"ask\":\"policy\",\"do\":\"text\"}")
						: STR("{\"ask\":\"policy\",\"do\":\"show\"}"),
					-1);

	if (!j)
		return EXIT_FAILURE;
	if (as_text) {
		fputs(json_string_value(json_object_get(j, "text")) ?: "", stdout);
	} else if (as_json) {
		json_dumpf(j, stdout, JSON_COMPACT);
		putchar('\n');
	} else {
		print_answer(j);
	}
	json_decref(j);
	return EXIT_SUCCESS;
}

int cmd_policy_show(int argc, char **argv)
{
	static const struct option options[] = {
		{ "json", no_argument, NULL, 'j' },
		{ "text", no_argument, NULL, 't' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	bool as_json = false, as_text = false;
	int o;

	cells_init();
	optind = 0;
	while ((o = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (o) {
		case 'j':
			as_json = true;
			break;
		case 't':
			as_text = true;
			break;
		case 'h':
			fputs(usage, stdout);
			return EXIT_SUCCESS;
		default:
			return EXIT_USAGE;
		}
	}
	if (optind < argc || (as_json && as_text)) {
		fputs(usage, stderr);
		return EXIT_USAGE;
	}
	return run(as_json, as_text);
}
