/* SPDX-License-Identifier: Apache-2.0 */
/* `egret quota`: what rules have used of their quotas, and what comes of it. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/human.h"
#include "cli/ask_policy.h"
#include "cli/cells.h"
#include "cli/cmd.h"
#include "cli/table.h"

#define WHEN_MAX 32

static const char usage[] =
	"usage: egret quota [--json]\n\n"
	"Shows the rules of the policy in force that have a quota: what is used of it, when the "
	"period ends, when it\n"
	"runs out if it goes on like this, and what the rule does then.\n\n"
	"  --json   egretd's answer as it is\n";

static struct str text_of(const json_t *j, const char *key)
{
	const json_t *v = json_object_get(j, key);

	return (struct str){ json_string_value(v), json_string_length(v) };
}

static int64_t number(const json_t *j, const char *key)
{
	return (int64_t)json_integer_value(json_object_get(j, key));
}

static struct str bytes_cell(const json_t *j, const char *key, char text[HUMAN_TEXT_MAX])
{
	int64_t n = number(j, key);

	return str_of(human_bytes(n > 0 ? (uint64_t)n : 0, text));
}

static struct str time_cell(int64_t unix_s, char text[WHEN_MAX])
{
	time_t t = (time_t)unix_s;
	struct tm tm = { 0 };

	if (!localtime_r(&t, &tm) || !strftime(text, WHEN_MAX, "%F %T", &tm))
		return STR("-");
	return str_of(text);
}

static struct str state_cell(const json_t *q, bool watches, char text[64])
{
	struct str state = text_of(q, "state"), then = text_of(q, "then");

	if (!str_eq(state, STR("spent")))
		return state;
	snprintf(text, 64, "spent \xe2\x86\x92 %s%.20s", watches ? "would " : "",
		 then.n ? then.p : "-");
	return str_of(text);
}

static void quota_row(struct table *t, const json_t *q, bool watches)
{
	char used[HUMAN_TEXT_MAX], of[HUMAN_TEXT_MAX], left[HUMAN_TEXT_MAX];
	char ends[WHEN_MAX], out[WHEN_MAX], state[64], rule[512];
	struct str file = text_of(q, "file"), said = text_of(q, "state");

	snprintf(rule, sizeof(rule), "%.*s:%lld", (int)MIN(file.n, sizeof(rule) - 32),
		 file.p ? file.p : "", (long long)number(q, "line"));
	table_cell(t, str_of(rule));
	table_cell(t, bytes_cell(q, "used", used));
	table_cell(t, bytes_cell(q, "of", of));
	table_cell(t, bytes_cell(q, "left", left));
	table_cell(t, time_cell(number(q, "ends"), ends));
	table_cell(t, json_object_get(q, "runs_out") ? time_cell(number(q, "runs_out"), out)
		      : str_eq(said, STR("spent"))   ? STR("it has")
						     : STR("not before it ends"));
	table_cell(t, state_cell(q, watches, state));
}

static void print_answer(const json_t *j)
{
	static const struct table_column columns[] = {
		{ "RULE", .elastic = true },
		{ "USED", .right = true },
		{ "OF", .right = true },
		{ "LEFT", .right = true },
		{ "PERIOD ENDS" },
		{ "RUNS OUT" },
		{ "STATE" },
	};
	const json_t *quotas = json_object_get(j, "quotas"), *q;
	bool watches = str_eq(text_of(j, "mode"), STR("watch"));
	struct table *t;
	size_t i;

	if (!json_array_size(quotas)) {
		puts("no rule of the policy in force has a quota");
		return;
	}
	if (table_new(&t, columns, ARRAY_SIZE(columns)) < 0)
		return;
	json_array_foreach(quotas, i, q) quota_row(t, q, watches);
	table_print(t, stdout, terminal_width(stdout));
	table_free(t);
}

static int run(bool as_json)
{
	json_t *j = policy_request_send(STR("{\"ask\":\"policy\",\"do\":\"quota\"}"), -1);

	if (!j)
		return EXIT_FAILURE;
	if (as_json) {
		json_dumpf(j, stdout, JSON_COMPACT);
		putchar('\n');
	} else {
		print_answer(j);
	}
	json_decref(j);
	return EXIT_SUCCESS;
}

int cmd_quota(int argc, char **argv)
{
	static const struct option options[] = {
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	bool as_json = false;
	int o;

	cells_init();
	optind = 0;
	while ((o = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (o) {
		case 'j':
			as_json = true;
			break;
		case 'h':
			fputs(usage, stdout);
			return EXIT_SUCCESS;
		default:
			return EXIT_USAGE;
		}
	}
	if (optind < argc) {
		fputs(usage, stderr);
		return EXIT_USAGE;
	}
	return run(as_json);
}
