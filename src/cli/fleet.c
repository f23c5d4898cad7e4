/* SPDX-License-Identifier: Apache-2.0 */
/* `egret fleet`: questions about all machines that send to one ClickHouse. */
#include "cli/fleet.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/time.h"
#include "cli/ask_history.h"
#include "cli/cells.h"
#include "cli/cmd.h"
#include "cli/console.h"
#include "cli/fleet_policy.h"
#include "config.h"
#include "history/answer.h"

#define CONFIG_FILE "/etc/egret/egret.conf"
#define LAST_NS (7 * 86400 * NSEC_PER_SEC)

static const char usage[] =
	"usage: egret fleet status   [--last TIME] [--config FILE] [--json]\n"
	"       egret fleet findings [--last TIME] [--config FILE] [--json]\n"
	"       egret fleet policy   pack | show | try | status ...\n\n"
	"Of all machines whose egretd sends to one ClickHouse, which `store clickhouse` of "
	"egret.conf "
	"names; with\n"
	"egret --console URL that of the console.\n\n"
	"status shows how each is by its own word: version, policy in force, what it lost, what "
	"waits "
	"in its spool.\n"
	"findings shows what they have found, a row a detector and other side: how many machines "
	"show "
	"it, and how\n"
	"many had to do with that name at all.\n"
	"policy is about the policy that hosts take from a publisher: egret fleet policy "
	"--help.\n\n"
	"  --last TIME      those that told anything in this time (7d)\n"
	"  --config FILE    another egret.conf (" CONFIG_FILE ")\n"
	"  --json           one JSON object a row\n\n"
	"Exit status: 0, or 1 when ClickHouse or the console does not answer.\n";

static const struct {
	const char *word;
	const char *question;
	void (*print)(const json_t *rows);
	bool of_policy;
} verbs[] = {
	{ "status", "hosts", fleet_print_hosts },
	{ "findings", "cases", fleet_print_cases },
	{ "status", "policies", fleet_print_policies, true },
};

/* ---- asking ---- */

uint64_t fleet_number(const json_t *row, const char *key)
{
	json_int_t v = json_integer_value(json_object_get(row, key));

	return v > 0 ? (uint64_t)v : 0;
}

struct str fleet_text(const json_t *row, const char *key)
{
	const json_t *v = json_object_get(row, key);

	return (struct str){ json_string_value(v), json_string_length(v) };
}

static int read_config(const char *file, struct config *c)
{
	_cleanup_buf_ struct buf messages = BUF_INIT(1U << 20);
	int r = config_read(c, file, false, &messages);

	if (messages.n)
		fwrite(messages.p, 1, messages.n, stderr);
	if (r < 0 && r != -EINVAL)
		log_errno(r, "cannot read %s", file);
	if (r == 0 && !c->clickhouse.url[0]) {
		log_error("%s has no statement 'store clickhouse'", file);
		r = -EINVAL;
	}
	return r;
}

int fleet_gather(const struct fleet_ask *a, const char *verb, json_t **ret_rows)
{
	json_t *rows = NULL, *end = NULL;
	struct config c;
	char request[160];
	int r;

	snprintf(request, sizeof(request),
		 "{\"ask\":\"history\",\"do\":\"%s\",\"last\":%llu,\"limit\":%d}", verb,
		 (unsigned long long)(a->last_ns / NSEC_PER_SEC), QUESTION_LIMIT_MAX);
	if (console_used()) {
		r = ask_history_gather(str_of(request), &rows, &end);
	} else {
		r = read_config(a->config, &c);
		if (r == 0)
			r = ask_history_gather_of(&(struct history_source){ .fleet = &c.clickhouse,
									    .now_ns = time_now() },
						  str_of(request), &rows, &end);
	}
	if (r == 0 && fleet_number(end, "matched") > fleet_number(end, "shown"))
		log_warn("these are the first %llu of %llu",
			 (unsigned long long)fleet_number(end, "shown"),
			 (unsigned long long)fleet_number(end, "matched"));
	json_decref(end);
	if (r < 0) {
		json_decref(rows);
		return r;
	}
	*ret_rows = rows;
	return 0;
}

static void print_json(const json_t *rows)
{
	const json_t *row;
	size_t i;

	json_array_foreach(rows, i, row)
	{
		json_dumpf(row, stdout, JSON_COMPACT);
		putchar('\n');
	}
}

static int run(const struct fleet_ask *a, const char *question, void (*print)(const json_t *rows))
{
	json_t *rows;

	if (fleet_gather(a, question, &rows) < 0)
		return EXIT_FAILURE;
	if (a->as_json)
		print_json(rows);
	else
		print(rows);
	json_decref(rows);
	return ask_history_flush();
}

int cmd_fleet(int argc, char **argv)
{
	static const struct option options[] = {
		{ "last", required_argument, NULL, 'l' },
		{ "config", required_argument, NULL, 'c' },
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	struct fleet_ask a = { .config = CONFIG_FILE, .last_ns = LAST_NS };
	bool policy = false; /* the second word of `fleet policy status` */
	int o;

	cells_init();
	if (argc > 1 && !strcmp(argv[1], "policy")) {
		if (argc < 3 || strcmp(argv[2], "status"))
			return cmd_fleet_policy(argc - 1, argv + 1);
		argc--;
		argv++;
		policy = true;
	}
	optind = 0;
	while ((o = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (o) {
		case 'l':
			if (duration_parse(str_of(optarg), &a.last_ns) < 0) {
				log_error("--last: a time is expected, as 24h");
				return EXIT_USAGE;
			}
			break;
		case 'c':
			a.config = optarg;
			break;
		case 'j':
			a.as_json = true;
			break;
		case 'h':
			fputs(usage, stdout);
			return EXIT_SUCCESS;
		default:
			return EXIT_USAGE;
		}
	}
	for (size_t i = 0; optind + 1 == argc && i < ARRAY_SIZE(verbs); i++)
		if (verbs[i].of_policy == policy && !strcmp(argv[optind], verbs[i].word))
			return run(&a, verbs[i].question, verbs[i].print);
	fputs(usage, stderr);
	return EXIT_USAGE;
}
