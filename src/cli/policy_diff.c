/* SPDX-License-Identifier: Apache-2.0 */
/* `egret policy diff`: a policy against the one in force, statement by statement and in effect on recorded traffic. */
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
#include "cli/offline.h"
#include "cli/policy_diff.h"
#include "cli/recordings.h"
#include "cli/table.h"

#define MAX_INSIDE 64
#define LAST_DEFAULT (7 * 86400 * NSEC_PER_SEC)
#define CHANGED_ROWS 20

static const char usage[] =
	"usage: egret policy diff [OPTION...] POLICY [FILE...]\n\n"
	"What POLICY would change: its statements against those in force, and the recorded flows "
	"whose verdict\n"
	"would be another. FILE: captures, Zeek logs or egret's records; without any, the history "
	"of this host.\n"
	"Exit status: 0 no difference, 3 there is one, 1 an error.\n\n"
	"  --against FILE  compare with this policy, not with the one in force\n"
	"  --no-traffic    only the statements\n"
	"  --last DUR      only what is not older (7d without FILE)\n"
	"  --inside CIDR   what counts as ours in captures (may be given again)\n"
	"  --all           every row, not the first 20\n"
	"  --json          one object\n"
	"  -c FILE         egret.conf, for where lists, databases and the history are\n";

struct diff_args {
	const char *config, *policy, *against;
	uint64_t last_ns;
	struct cidr inside[MAX_INSIDE];
	size_t n_inside;
	bool no_traffic, all, json;
	char **files;
	size_t n_files;
};

/* --- statements -------------------------------------------------------------------------------------------------- */

static void put_where(char text[300], struct str file, uint32_t line)
{
	const char *slash = file.n ? memrchr(file.p, '/', file.n) : NULL;

	if (slash)
		file = str_sub(file, (size_t)(slash + 1 - file.p), file.n);
	snprintf(text, 300, "%.*s:%u", STR_FMT(file), line);
}

static size_t print_statements(const struct policy_diff *d)
{
	const struct diff_line *lines;
	char from[300], to[300];
	size_t n, different = 0;

	lines = policy_diff_lines(d, &n);
	for (size_t i = 0; i < n; i++) {
		const struct diff_line *l = &lines[i];

		if (l->kind == DIFF_SAME)
			continue;
		different++;
		put_where(from, l->old_file, l->old_line);
		put_where(to, l->new_file, l->new_line);
		if (l->kind == DIFF_CHANGED)
			printf("changed  %s\n  -  %.*s\n  +  %.*s\n", to, STR_FMT(l->old_text),
			       STR_FMT(l->new_text));
		else if (l->kind == DIFF_MOVED)
			printf("moved    %s, was %s\n     %.*s\n", to, from, STR_FMT(l->new_text));
		else if (l->kind == DIFF_ADDED)
			printf("added    %s\n  +  %.*s\n", to, STR_FMT(l->new_text));
		else
			printf("removed  %s\n  -  %.*s\n", from, STR_FMT(l->old_text));
	}
	if (!different)
		puts("The statements are the same.");
	return different;
}

/* --- effect ------------------------------------------------------------------------------------------------------ */

static void print_changed(struct effect *e, bool to_refused, const struct policy *p, bool all)
{
	static const struct table_column columns[] = {
		{ "PROGRAM", .elastic = true }, { "TO", .elastic = true },
		{ "PORT", .right = true },      { "FLOWS", .right = true },
		{ "ATTEMPTS", .right = true },  { "RULE" },
	};
	const struct replay_who *const *rows;
	char line[256], text[HUMAN_TEXT_MAX];
	size_t n, more;
	struct table *t;

	rows = effect_changed(e, to_refused, all ? 0 : CHANGED_ROWS, &n, &more);
	if (!n || table_new(&t, columns, ARRAY_SIZE(columns)) < 0)
		return;
	printf("\n%s:\n",
	       to_refused ? "Passed before, would be refused" : "Refused before, would pass");
	for (size_t i = 0; i < n; i++) {
		table_cell(t, rows[i]->program);
		table_cell(t, rows[i]->target);
		table_cell(t, rows[i]->port);
		table_cell(t, str_of(human_count(rows[i]->sum.flows, text)));
		table_cell(t, str_of(human_count(rows[i]->sum.attempts, text)));
		table_cell(t, str_of(offline_line(p, rows[i]->rule, line)));
	}
	table_print(t, stdout, terminal_width(stdout));
	table_free(t);
	if (more)
		printf("(%zu more; --all shows them)\n", more);
}

static void print_effect(struct effect *e, const struct policy *p,
			 const struct recordings_stats *stats, bool all)
{
	const struct effect_totals *t = effect_totals(e);
	_cleanup_buf_ struct buf what = BUF_INIT(4096);
	char a[HUMAN_TEXT_MAX], b[HUMAN_TEXT_MAX];

	print_changed(e, true, p, all);
	print_changed(e, false, p, all);
	recordings_describe(stats, &what);
	printf("\n%.*s\n%s would be refused that passed before, %s would pass that were "
	       "refused\n",
	       (int)what.n, what.p, human_count(t->refused_now.flows + t->refused_now.attempts, a),
	       human_count(t->passed_now.flows + t->passed_now.attempts, b));
	if (t->other_rule)
		printf("%s are decided the same by another rule\n", human_count(t->other_rule, a));
	if (t->unknown)
		printf("%s cannot be decided without the program or user, which is not recorded\n",
		       human_count(t->unknown, a));
}

static void on_recorded(void *ctx, const struct recorded *r)
{
	effect_add(ctx, r);
}

/* --- the policy before ------------------------------------------------------------------------------------------- */

/* The files of the answer to "text", as daemon and command line agree on. */
static int parse_files(struct offline *ret, const json_t *answer, const struct config *config)
{
	const json_t *files = json_object_get(answer, "files"), *file;
	_cleanup_free_ struct policy_file *parts =
		calloc(json_array_size(files) + 1, sizeof(*parts));
	size_t i;

	if (!parts)
		return log_errno(ENOMEM, "cannot read the policy in force");
	if (!json_array_size(files)) {
		log_error("%s", json_string_value(json_object_get(answer, "error"))
					? json_string_value(json_object_get(answer, "error"))
					: "egretd gave no policy");
		return -ENOENT;
	}
	json_array_foreach(files, i, file)
	{
		const json_t *name = json_object_get(file, "name"),
			     *text = json_object_get(file, "text");

		parts[i].name = (struct str){ json_string_value(name), json_string_length(name) };
		parts[i].text = (struct str){ json_string_value(text), json_string_length(text) };
	}
	return offline_parse_files(ret, parts, json_array_size(files), config, time_now());
}

int policy_open_before(struct offline *ret, const char *path, const struct config *config)
{
	json_t *answer;
	int r;

	if (path)
		return offline_open(ret, path, config, time_now());
	answer = policy_in_force();
	if (!answer)
		return -ENOENT;
	r = parse_files(ret, answer, config);
	json_decref(answer);
	return r;
}

/* --- the command ------------------------------------------------------------------------------------------------- */

static int compare_traffic(const struct diff_args *a, const struct config *config,
			   struct offline *before, struct offline *after, struct effect **ret,
			   struct recordings_stats *stats)
{
	struct recordings what = { .files = a->files,
				   .n_files = a->n_files,
				   .inside = a->n_inside ? a->inside : config->inside,
				   .n_inside = a->n_inside ? a->n_inside : config->n_inside,
				   .config = config };

	if (a->last_ns || !a->n_files)
		what.from_ns = time_now() - (a->last_ns ? a->last_ns : LAST_DEFAULT);
	if (effect_new(ret, before->judge, after->judge) < 0)
		return log_errno(ENOMEM, "cannot start");
	return recordings_read(&what, on_recorded, *ret, stats);
}

static int diff_all(const struct diff_args *a)
{
	struct offline before = { 0 }, after = { 0 };
	struct policy_diff *d = NULL;
	struct effect *e = NULL;
	struct recordings_stats stats = { 0 };
	struct config config;
	size_t different = 0;
	int r;

	r = recordings_config(&config, a->config);
	if (r == 0)
		r = policy_open_before(&before, a->against, &config);
	if (r == 0)
		r = offline_open(&after, a->policy, &config, time_now());
	if (r == 0 && (r = policy_diff_new(&d, before.policy, after.policy)) < 0)
		log_errno(r, "the policies cannot be compared");
	if (r == 0 && !a->no_traffic)
		r = compare_traffic(a, &config, &before, &after, &e, &stats);
	if (r == 0 && a->json) {
		different = policy_diff_json(d, e, after.policy, a->all);
	} else if (r == 0) {
		different = print_statements(d);
		if (e)
			print_effect(e, after.policy, &stats, a->all);
	}
	effect_free(e);
	policy_diff_free(d);
	offline_close(&before);
	offline_close(&after);
	return r < 0 ? EXIT_FAILURE : different ? EXIT_DIFFERS : EXIT_SUCCESS;
}

/* -1: go on; else the exit status. */
static int parse_args(int argc, char **argv, struct diff_args *a)
{
	static const struct option options[] = {
		{ "against", required_argument, NULL, 'g' },
		{ "no-traffic", no_argument, NULL, 'n' },
		{ "last", required_argument, NULL, 'l' },
		{ "inside", required_argument, NULL, 'i' },
		{ "all", no_argument, NULL, 'a' },
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	int o;

	while ((o = getopt_long(argc, argv, "c:h", options, NULL)) != -1) {
		switch (o) {
		case 'g':
			a->against = optarg;
			break;
		case 'n':
			a->no_traffic = true;
			break;
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

int cmd_policy_diff(int argc, char **argv)
{
	struct diff_args args = { .config = "" };
	int status = parse_args(argc, argv, &args);

	cells_init();
	return status >= 0 ? status : diff_all(&args);
}
