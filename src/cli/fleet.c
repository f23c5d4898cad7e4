/* SPDX-License-Identifier: Apache-2.0 */
/* `egret fleet status`: how the machines are that send to one ClickHouse, as each told it last. */
#include <errno.h>
#include <getopt.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/human.h"
#include "base/log.h"
#include "base/time.h"
#include "cli/cells.h"
#include "cli/cmd.h"
#include "cli/table.h"
#include "config.h"
#include "store/clickhouse_http.h"

#define CONFIG_FILE "/etc/egret/egret.conf"
#define ANSWER_MAX (256U << 20)
#define LAST_NS (7 * 86400 * NSEC_PER_SEC)
#define LATE_S 180 /* a machine tells each minute, by batches of 5 seconds to a minute */

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

/* Old servers put 64-bit numbers in quotes. */
static uint64_t number(const json_t *row, int column)
{
	const json_t *v = json_array_get(row, (size_t)column);
	uint64_t n = 0;

	if (json_is_string(v))
		str_parse_u64(str_of(json_string_value(v)), &n);
	return json_is_integer(v) && json_integer_value(v) > 0 ? (uint64_t)json_integer_value(v)
							       : n;
}

static struct str text(const json_t *row, int column)
{
	const json_t *v = json_array_get(row, (size_t)column);

	return (struct str){ json_string_value(v), json_string_length(v) };
}

/* ---- as a table ---- */

static uint64_t silent_s(const json_t *row)
{
	uint64_t seen = number(row, SEEN), now = number(row, NOW);

	return now > seen ? now - seen : 0;
}

static struct str policy_cell(const json_t *row, char out[160])
{
	struct str file = text(row, POLICY), mode = text(row, MODE);
	const char *slash = file.n ? memrchr(file.p, '/', file.n) : NULL;
	size_t from = slash ? (size_t)(slash - file.p) + 1 : 0;

	file = str_sub(file, from, MIN(file.n, (size_t)80));
	if (!file.n)
		return mode;
	snprintf(out, 160, "%.*s: %.*s, %llu rules", (int)MIN(mode.n, (size_t)16),
		 mode.p ? mode.p : "", STR_FMT(file), (unsigned long long)number(row, RULES));
	return str_of(out);
}

static void put_row(struct table *t, const json_t *row)
{
	char since[TIME_TEXT_MAX], up[TIME_TEXT_MAX], policy[160], a[HUMAN_TEXT_MAX],
		b[HUMAN_TEXT_MAX], c[HUMAN_TEXT_MAX];

	table_cell(t, text(row, HOST));
	table_cell(t, silent_s(row) > LATE_S
			      ? str_of(duration_format(silent_s(row) * NSEC_PER_SEC, since))
			      : STR("now"));
	table_cell(t, text(row, VERSION));
	table_cell(t, text(row, WATCH));
	table_cell(t, policy_cell(row, policy));
	table_cell(t, str_of(duration_format(number(row, UPTIME) * NSEC_PER_SEC, up)));
	table_cell(t, str_of(human_count(number(row, FLOWS), a)));
	table_cell(t, str_of(human_count(number(row, LOST), b)));
	table_cell(t, str_of(human_count(number(row, WAITING), c)));
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
		lost += number(row, LOST) > 0;
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
					? json_stringn(text(row, k).p ?: "", text(row, k).n)
					: json_integer((json_int_t)number(row, k)));
		json_dumpf(o, stdout, JSON_COMPACT);
		putchar('\n');
		json_decref(o);
	}
}

/* ---- asking ---- */

static json_t *ask(const struct ship_settings *s, uint64_t last_ns)
{
	_cleanup_buf_ struct buf query = BUF_INIT(4096);
	char why[SHIP_WHY_MAX] = "out of memory";
	struct clickhouse_http *h = NULL;
	json_t *answer = NULL;
	int r = clickhouse_http_new(&h, s, ANSWER_MAX);

	put_query(&query, last_ns);
	if (r == 0)
		r = clickhouse_http_login(h, why);
	if (r == 0)
		r = clickhouse_http_post(h, query.p, STR_NONE, "", why);
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

static int run(const char *file, uint64_t last_ns, bool as_json)
{
	_cleanup_buf_ struct buf messages = BUF_INIT(1U << 20);
	struct config c;
	json_t *answer, *rows;
	int r = config_read(&c, file, false, &messages);

	if (messages.n)
		fwrite(messages.p, 1, messages.n, stderr);
	if (r < 0 && r != -EINVAL)
		log_errno(r, "cannot read %s", file);
	if (r < 0)
		return EXIT_FAILURE;
	if (!c.clickhouse.url[0]) {
		log_error("%s has no statement 'store clickhouse'", file);
		return EXIT_FAILURE;
	}
	answer = ask(&c.clickhouse, last_ns);
	rows = json_object_get(answer, "data");
	if (!json_is_array(rows)) {
		json_decref(answer);
		return EXIT_FAILURE;
	}
	if (as_json)
		print_json(rows);
	else
		print_table(rows);
	json_decref(answer);
	return EXIT_SUCCESS;
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
	const char *file = CONFIG_FILE;
	uint64_t last_ns = LAST_NS;
	bool as_json = false;
	int o;

	cells_init();
	optind = 0;
	while ((o = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (o) {
		case 'l':
			if (duration_parse(str_of(optarg), &last_ns) < 0) {
				log_error("--last: a time is expected, as 24h");
				return EXIT_USAGE;
			}
			break;
		case 'c':
			file = optarg;
			break;
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
	if (optind + 1 != argc || strcmp(argv[optind], "status")) {
		fputs(usage, stderr);
		return EXIT_USAGE;
	}
	return run(file, last_ns, as_json);
}
