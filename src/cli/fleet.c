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
#include "cli/cells.h"
#include "cli/cmd.h"
#include "cli/fleet_policy.h"
#include "config.h"
#include "store/clickhouse_http.h"

#define CONFIG_FILE "/etc/egret/egret.conf"
#define ANSWER_MAX (256U << 20)
#define LAST_NS (7 * 86400 * NSEC_PER_SEC)

static const char usage[] =
	"usage: egret fleet status [--last TIME] [--config FILE] [--json]\n\n"
	"Shows the machines whose egretd sends to ClickHouse, as each told it last: version, "
	"policy "
	"in force, what it\n"
	"lost, what waits in its spool. Asks the ClickHouse that `store clickhouse` of egret.conf "
	"names.\n\n"
	"  --last TIME      those that told anything in this time (7d)\n"
	"  --config FILE    another egret.conf (" CONFIG_FILE ")\n"
	"  --json           one JSON object a machine\n\n"
	"Exit status: 0, or 1 when ClickHouse does not answer.\n";

static const struct {
	const char *word;
	int (*run)(const struct fleet_ask *a);
} verbs[] = {
	{ "status", fleet_status },
};

/* ---- asking ---- */

uint64_t fleet_number(const json_t *row, size_t column)
{
	const json_t *v = json_array_get(row, column);
	uint64_t n = 0;

	if (json_is_string(v))
		str_parse_u64(str_of(json_string_value(v)), &n);
	return json_is_integer(v) && json_integer_value(v) > 0 ? (uint64_t)json_integer_value(v)
							       : n;
}

struct str fleet_text(const json_t *row, size_t column)
{
	const json_t *v = json_array_get(row, column);

	return (struct str){ json_string_value(v), json_string_length(v) };
}

static json_t *ask(const struct ship_settings *s, struct str query)
{
	char why[SHIP_WHY_MAX] = "out of memory";
	struct clickhouse_http *h = NULL;
	json_t *answer = NULL;
	int r = clickhouse_http_new(&h, s, ANSWER_MAX);

	if (r == 0)
		do {
			r = clickhouse_http_login(h, why);
			if (r == 0)
				r = clickhouse_http_post(h, query.p, STR_NONE, "", why);
		} while (r < 0 && clickhouse_http_next(h));
	if (r == 0)
		answer = json_loadb(clickhouse_http_answer(h).p ?: "", clickhouse_http_answer(h).n,
				    0, NULL);
	if (r < 0)
		log_error("%s: %s", s->url, why);
	else if (!json_is_array(json_object_get(answer, "data")))
		log_error("%s: what answers there is not ClickHouse", s->url);
	clickhouse_http_free(h);
	return answer;
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

json_t *fleet_query(const struct fleet_ask *a, struct str query)
{
	struct config c;
	json_t *answer = read_config(a->config, &c) < 0 ? NULL : ask(&c.clickhouse, query);

	if (json_is_array(json_object_get(answer, "data")))
		return answer;
	json_decref(answer);
	return NULL;
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
	int o;

	cells_init();
	if (argc > 1 && !strcmp(argv[1], "policy"))
		return cmd_fleet_policy(argc - 1, argv + 1);
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
		if (!strcmp(argv[optind], verbs[i].word))
			return verbs[i].run(&a);
	fputs(usage, stderr);
	return EXIT_USAGE;
}
