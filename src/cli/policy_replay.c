/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `egret policy replay`: what a policy would have decided on recorded traffic, rule by rule, before anything is loaded; and,
 * with --agree, whether that is what was decided then.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/human.h"
#include "base/json.h"
#include "base/log.h"
#include "base/time.h"
#include "cli/cells.h"
#include "cli/cmd.h"
#include "cli/offline.h"
#include "cli/recordings.h"
#include "cli/table.h"
#include "policy/replay.h"

#define MAX_INSIDE 64
#define LAST_DEFAULT (7 * 86400 * NSEC_PER_SEC)
#define REFUSED_ROWS 20
#define DIFFERENCES_SHOWN 20
#define ANSWER_MAX (16U << 20)

static const char usage[] =
	"usage: egret policy replay [OPTION...] POLICY [FILE...]\n\n"
	"Which recorded flows POLICY would let pass and refuse, by rule. FILE: captures, Zeek logs "
	"or egret's\n"
	"records (eve.json), packed or not; without any, what egretd has kept on this host.\n"
	"Exit status: 0 nothing would be refused, 3 something would be, 1 an error.\n\n"
	"  --last DUR      only what is not older (7d without FILE)\n"
	"  --inside CIDR   what counts as ours in captures (may be given again)\n"
	"  --agree         compare with the verdicts in the records; 3 when one differs\n"
	"  --all           every row, not the 20 refused most\n"
	"  --json          one object\n"
	"  -c FILE         egret.conf, for where lists, databases and the history are\n";

struct replay_args {
	const char *config, *policy;
	uint64_t last_ns;
	struct cidr inside[MAX_INSIDE];
	size_t n_inside;
	bool agree, all, json;
	char **files;
	size_t n_files;
};

struct run {
	const struct replay_args *args;
	struct offline *offline;
	struct tally *tally;
	uint64_t compared, differ;
};

/* --- agreement with what was decided then ------------------------------------------------------------------------ */

static bool same_rule(const struct recorded *r, const struct verdict_rule *words)
{
	if (r->told.line != words->line)
		return false;
	return !words->line || str_eq(r->told.text, words->text);
}

static void show_difference(const struct run *run, const struct recorded *r,
			    const struct judgement *v)
{
	char line[256], target[ADDR_TEXT_MAX], address[ADDR_TEXT_MAX], port[16];
	const struct policy *p = run->offline->policy;
	struct str to = recorded_target(r, target), where = recorded_port(r, port);

	printf("%s %.*s to %.*s (%s) port %.*s: recorded %s by %.*s:%u%s, now %s by %s%s\n",
	       r->kind == RECORDED_DROP ? "refusal" : "flow",
	       STR_FMT(r->program.n ? r->program : STR("(unknown)")), STR_FMT(to),
	       addr_format(&r->subject.remote, address), STR_FMT(where),
	       verdict_action_name(r->told.action), STR_FMT(r->told.file), r->told.line,
	       r->told.final ? "" : " (provisional)", verdict_action_name(v->action),
	       offline_line(p, v->rule, line), v->final ? "" : " (provisional)");
}

static void compare(struct run *run, const struct recorded *r)
{
	struct verdict_rule words;
	struct judgement v;

	if (!r->told.action || !r->egress || judge_flow(run->offline->judge, r, &v) < 0)
		return;
	run->compared++;
	policy_rule_words(run->offline->policy, v.rule, &words);
	if (v.action == r->told.action && same_rule(r, &words))
		return;
	if (++run->differ <= DIFFERENCES_SHOWN || run->args->all)
		show_difference(run, r, &v);
}

static void on_recorded(void *ctx, const struct recorded *r)
{
	struct run *run = ctx;

	if (run->args->agree)
		compare(run, r);
	else
		tally_add(run->tally, r);
}

/* --- as tables --------------------------------------------------------------------------------------------------- */

static struct str in(char *text, size_t room, uint64_t n)
{
	if (!n)
		return STR("-");
	snprintf(text, room, "%llu", (unsigned long long)n);
	return str_of(text);
}

static void put_rule_row(const struct run *run, struct table *t, uint16_t rule)
{
	const struct replay_rule *r = tally_rule(run->tally, rule);
	struct verdict_rule words;
	char line[256], text[HUMAN_TEXT_MAX];

	if (!policy_rule_words(run->offline->policy, rule, &words) ||
	    (words.is_implied && !r->sum.flows && !r->sum.attempts))
		return;
	table_cell(t, str_of(offline_line(run->offline->policy, rule, line)));
	table_cell(t, in(text, sizeof(text), r->sum.flows));
	table_cell(t, in(text, sizeof(text), r->sum.attempts));
	table_cell(t, str_of(human_bytes(r->sum.up, text)));
	table_cell(t, str_of(human_bytes(r->sum.down, text)));
	table_cell(t, in(text, sizeof(text), r->unknown));
	table_cell(t, words.text);
}

static void print_rules(const struct run *run, unsigned width)
{
	static const struct table_column columns[] = {
		{ "RULE" },
		{ "FLOWS", .right = true },
		{ "ATTEMPTS", .right = true },
		{ "UP", .right = true },
		{ "DOWN", .right = true },
		{ "UNSURE", .right = true },
		{ "TEXT", .elastic = true },
	};
	struct table *t;

	if (table_new(&t, columns, ARRAY_SIZE(columns)) < 0)
		return;
	for (size_t i = 0; i < run->offline->policy->n_rules + 2; i++)
		put_rule_row(run, t, (uint16_t)i);
	table_print(t, stdout, width);
	table_free(t);
}

static void print_refused(const struct run *run, unsigned width)
{
	static const struct table_column columns[] = {
		{ "PROGRAM", .elastic = true },
		{ "TO", .elastic = true },
		{ "PORT", .right = true },
		{ "FLOWS", .right = true },
		{ "ATTEMPTS", .right = true },
		{ "UP", .right = true },
		{ "RULE" },
	};
	const struct replay_who *const *rows;
	char line[256], text[HUMAN_TEXT_MAX];
	size_t n, more;
	struct table *t;

	rows = tally_refused(run->tally, run->args->all ? 0 : REFUSED_ROWS, &n, &more);
	if (!n || table_new(&t, columns, ARRAY_SIZE(columns)) < 0)
		return;
	printf("\nWould be refused:\n");
	for (size_t i = 0; i < n; i++) {
		table_cell(t, rows[i]->program);
		table_cell(t, rows[i]->target);
		table_cell(t, rows[i]->port);
		table_cell(t, in(text, sizeof(text), rows[i]->sum.flows));
		table_cell(t, in(text, sizeof(text), rows[i]->sum.attempts));
		table_cell(t, str_of(human_bytes(rows[i]->sum.up, text)));
		table_cell(t, str_of(offline_line(run->offline->policy, rows[i]->rule, line)));
	}
	table_print(t, stdout, width);
	table_free(t);
	if (more)
		printf("(%zu more; --all shows them)\n", more);
}

static void print_tables(const struct run *run, const struct recordings_stats *stats)
{
	const struct tally_totals *totals = tally_totals(run->tally);
	_cleanup_buf_ struct buf what = BUF_INIT(4096);
	unsigned width = terminal_width(stdout);
	char a[HUMAN_TEXT_MAX], b[HUMAN_TEXT_MAX];

	print_rules(run, width);
	print_refused(run, width);
	recordings_describe(stats, &what);
	printf("\n%.*s\n", (int)what.n, what.p);
	printf("%s would pass, %s would be refused\n", human_count(totals->passed.flows, a),
	       human_count(totals->refused.flows, b));
	if (totals->refused.attempts + totals->passed.attempts)
		printf("of what was refused then: %s attempts would pass, %s would be refused "
		       "again\n",
		       human_count(totals->passed.attempts, a),
		       human_count(totals->refused.attempts, b));
	if (totals->unknown.flows)
		printf("%s flows cannot be decided without the program or user, which is not "
		       "recorded\n",
		       human_count(totals->unknown.flows, a));
	if (totals->others.flows)
		printf("%s flows were opened by the other side: not decided by policy\n",
		       human_count(totals->others.flows, a));
	if (totals->failed)
		printf("%s could not be judged\n", human_count(totals->failed, a));
}

/* --- as JSON ----------------------------------------------------------------------------------------------------- */

static void put_sum(struct json *j, const struct replay_sum *s)
{
	json_u64(j, "flows", s->flows);
	json_u64(j, "attempts", s->attempts);
	json_u64(j, "bytes_up", s->up);
	json_u64(j, "bytes_down", s->down);
}

static void put_named_sum(struct json *j, const char *key, const struct replay_sum *s)
{
	json_object_begin(j, key);
	put_sum(j, s);
	json_object_end(j);
}

static void put_rule(struct json *j, const struct policy *p, uint16_t rule)
{
	struct verdict_rule words;

	policy_rule_words(p, rule, &words);
	if (words.line) {
		json_str(j, "file", words.file);
		json_u64(j, "line", words.line);
	}
	json_str(j, "text", words.text);
	json_text(j, "action", verdict_action_name(words.action));
}

static void print_json(const struct run *run, const struct recordings_stats *stats)
{
	const struct tally_totals *totals = tally_totals(run->tally);
	const struct policy *p = run->offline->policy;
	_cleanup_buf_ struct buf out = BUF_INIT(ANSWER_MAX);
	struct json j = JSON_INIT(&out);
	const struct replay_who *const *rows;
	size_t n, more;

	json_object_begin(&j, NULL);
	put_named_sum(&j, "passed", &totals->passed);
	put_named_sum(&j, "refused", &totals->refused);
	put_named_sum(&j, "unknown", &totals->unknown);
	put_named_sum(&j, "others", &totals->others);
	json_u64(&j, "failed", totals->failed);
	json_u64(&j, "inputs_failed", stats->inputs_failed);
	json_array_begin(&j, "rules");
	for (size_t i = 0; i < p->n_rules + 2; i++) {
		json_object_begin(&j, NULL);
		put_rule(&j, p, (uint16_t)i);
		put_sum(&j, &tally_rule(run->tally, i)->sum);
		json_u64(&j, "unknown", tally_rule(run->tally, i)->unknown);
		json_object_end(&j);
	}
	json_array_end(&j);
	rows = tally_refused(run->tally, run->args->all ? 0 : REFUSED_ROWS, &n, &more);
	json_array_begin(&j, "top_refused");
	for (size_t i = 0; i < n; i++) {
		json_object_begin(&j, NULL);
		json_str(&j, "program", rows[i]->program);
		json_str(&j, "to", rows[i]->target);
		json_str(&j, "port", rows[i]->port);
		put_sum(&j, &rows[i]->sum);
		json_object_begin(&j, "rule");
		put_rule(&j, p, rows[i]->rule);
		json_object_end(&j);
		json_object_end(&j);
	}
	json_array_end(&j);
	json_u64(&j, "more_refused", more);
	json_object_end(&j);
	printf("%.*s\n", (int)out.n, out.p);
}

/* --- the command ------------------------------------------------------------------------------------------------- */

static int report(const struct run *run, const struct recordings_stats *stats)
{
	char a[HUMAN_TEXT_MAX], b[HUMAN_TEXT_MAX];
	const struct tally_totals *totals;

	if (run->args->agree) {
		printf("%s verdicts compared, %s differ\n", human_count(run->compared, a),
		       human_count(run->differ, b));
		return run->differ ? EXIT_DIFFERS : EXIT_SUCCESS;
	}
	if (run->args->json)
		print_json(run, stats);
	else
		print_tables(run, stats);
	totals = tally_totals(run->tally);
	if (totals->failed || stats->inputs_failed)
		return EXIT_FAILURE;
	return totals->refused.flows || totals->refused.attempts ? EXIT_DIFFERS : EXIT_SUCCESS;
}

static int replay_all(const struct replay_args *a)
{
	struct config config;
	struct recordings what = { .files = a->files,
				   .n_files = a->n_files,
				   .inside = a->inside,
				   .n_inside = a->n_inside,
				   .config = &config };
	struct recordings_stats stats;
	struct offline offline;
	struct run run = { .args = a, .offline = &offline };
	int status = EXIT_FAILURE;

	if (recordings_config(&config, a->config) < 0 ||
	    offline_open(&offline, a->policy, &config, time_now()) < 0)
		return EXIT_FAILURE;
	if (a->last_ns || !a->n_files)
		what.from_ns = time_now() - (a->last_ns ? a->last_ns : LAST_DEFAULT);
	if (!a->n_inside) {
		what.inside = config.inside;
		what.n_inside = config.n_inside;
	}
	if (tally_new(&run.tally, offline.judge) < 0)
		log_errno(ENOMEM, "cannot start");
	else if (recordings_read(&what, on_recorded, &run, &stats) >= 0)
		status = report(&run, &stats);
	tally_free(run.tally);
	offline_close(&offline);
	return status;
}

/* -1: go on; else the exit status. */
static int parse_args(int argc, char **argv, struct replay_args *a)
{
	static const struct option options[] = {
		{ "last", required_argument, NULL, 'l' },
		{ "inside", required_argument, NULL, 'i' },
		{ "agree", no_argument, NULL, 'g' },
		{ "all", no_argument, NULL, 'a' },
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	int o;

	while ((o = getopt_long(argc, argv, "c:h", options, NULL)) != -1) {
		switch (o) {
		case 'l':
			if (duration_parse(str_of(optarg), &a->last_ns) < 0 || !a->last_ns) {
				log_error("--last %s: no duration (as 7d)", optarg);
				return EXIT_USAGE;
			}
			break;
		case 'i':
			if (a->n_inside == MAX_INSIDE ||
			    cidr_parse(str_of(optarg), &a->inside[a->n_inside]) < 0) {
				log_error("--inside %s: not an address or network", optarg);
				return EXIT_USAGE;
			}
			a->n_inside++;
			break;
		case 'g':
			a->agree = true;
			break;
		case 'a':
			a->all = true;
			break;
		case 'j':
			a->json = true;
			break;
		case 'c':
			a->config = optarg;
			break;
		case 'h':
			fputs(usage, stdout);
			return EXIT_SUCCESS;
		default:
			return EXIT_USAGE;
		}
	}
	if (optind == argc) {
		fputs(usage, stderr);
		return EXIT_USAGE;
	}
	a->policy = argv[optind];
	a->files = argv + optind + 1;
	a->n_files = (size_t)(argc - optind - 1);
	return -1;
}

int cmd_policy_replay(int argc, char **argv)
{
	struct replay_args args = { .config = "" };
	int status = parse_args(argc, argv, &args);

	cells_init();
	return status >= 0 ? status : replay_all(&args);
}
