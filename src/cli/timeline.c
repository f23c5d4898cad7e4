/* SPDX-License-Identifier: Apache-2.0 */
/* `egret timeline`: when it left, as a chart in the terminal. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "base/log.h"
#include "base/time.h"
#include "cli/ask_history.h"
#include "cli/cells.h"
#include "cli/chart.h"
#include "cli/cmd.h"
#include "cli/table.h"
#include "cli/timeline_view.h"

#define MAX_REQUEST 16384
#define STEP_MAX 86400

static const char help[] =
	"usage: egret timeline [OPTION...] [FILTER...]\n\n"
	"Draws what left and what came in over a time. FILTER as everywhere: proc:curl "
	"name:*.example.org.\n\n"
	"  --app PROGRAM    only of this program: name or path, with * and ?\n"
	"  --by WORDS       a row for each: up to two of the words of egret usage\n"
	"  --step DUR       a point for so long (1m to 1d); else as fits the screen\n"
	"  --last DUR       the time up to now: 24h (as without), 7d, 4w\n"
	"  --from TIME      '2026-11-03 14:00', 2026-11-03, 14:00, yesterday, monday, -2h; "
	"local time\n"
	"  --to TIME        up to, not including\n"
	"  --period PERIOD  the current day, week or month\n"
	"  --limit N        the N largest rows (8), the others as one\n"
	"  --json           one object a row, the last says what the points are\n"
	"  --csv            comma-separated values, with a head line\n";

struct timeline_args {
	struct ask_history ask;
	const char *app;
	uint64_t step_s;
};

/* The program is one more word of the filter, and holds whatever else is said. */
static int add_app(struct timeline_args *a)
{
	struct buf all = BUF_INIT(a->ask.filter.max);

	if (strchr(a->app, '"')) {
		log_error("--app %s: a name with \" in it cannot be asked for", a->app);
		return -EINVAL;
	}
	buf_printf(&all, "proc:\"%s\"", a->app);
	if (a->ask.filter.n)
		buf_printf(&all, " (%.*s)", STR_FMT(buf_str(&a->ask.filter)));
	buf_done(&a->ask.filter);
	a->ask.filter = all;
	return 0;
}

static int show(const struct timeline_args *a, const json_t *rows, const json_t *end)
{
	_cleanup_buf_ struct buf notes = BUF_INIT(MAX_REQUEST);
	int r = 0;

	if (a->ask.form == HISTORY_TABLE) {
		r = timeline_print(stdout, a->ask.by, rows, end, terminal_width(stdout));
	} else {
		timeline_print_csv(stdout, a->ask.by, rows, end);
		history_put_end(&notes, end);
		fwrite(notes.p, 1, notes.n, stderr);
	}
	if (r < 0)
		return log_errno(r, "cannot show the answer"), EXIT_FAILURE;
	return ask_history_flush();
}

static int run(const struct timeline_args *a)
{
	_cleanup_buf_ struct buf request = BUF_INIT(MAX_REQUEST);
	struct json j = JSON_INIT(&request);
	json_t *rows = NULL, *end = NULL;
	uint64_t step = a->step_s;
	int status = EXIT_FAILURE;

	if (!step && a->ask.form == HISTORY_TABLE)
		step = chart_step(a->ask.span.from, a->ask.span.to,
				  timeline_room(terminal_width(stdout)));
	ask_history_begin(&j, &a->ask, "timeline");
	json_u64(&j, "step", step);
	json_object_end(&j);
	if (a->ask.form == HISTORY_JSON)
		status = ask_history_print(buf_str(&request));
	else if (ask_history_gather(buf_str(&request), &rows, &end) == 0)
		status = show(a, rows, end);
	json_decref(rows);
	json_decref(end);
	return status;
}

static int take_step(struct timeline_args *a, const char *arg)
{
	uint64_t ns;

	if (duration_parse(str_of(arg), &ns) == 0 && ns % (60 * NSEC_PER_SEC) == 0 &&
	    ns >= 60 * NSEC_PER_SEC && ns <= STEP_MAX * NSEC_PER_SEC) {
		a->step_s = ns / NSEC_PER_SEC;
		return 0;
	}
	log_error("--step %s: it is whole minutes, from 1m to 1d", arg);
	return -EINVAL;
}

/* -1: go on; else the exit status. */
static int parse_args(int argc, char **argv, struct timeline_args *a)
{
	static const struct option options[] = {
		ASK_HISTORY_OPTIONS,
		{ "app", required_argument, NULL, 'a' },
		{ "by", required_argument, NULL, 'b' },
		{ "step", required_argument, NULL, 's' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	int o, taken;

	while ((o = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		taken = ask_history_option(&a->ask, o, optarg);
		if (o == 'a')
			a->app = optarg;
		else if (o == 'b')
			a->ask.by = optarg;
		else if (o == 's')
			taken = take_step(a, optarg) < 0 ? -EINVAL : 1;
		else if (o == 'h')
			return fputs(help, stdout), EXIT_SUCCESS;
		if (taken < 0 || (!taken && o == '?'))
			return EXIT_USAGE;
	}
	if (ask_history_ready(&a->ask, argc - optind, argv + optind) < 0 ||
	    (a->app && add_app(a) < 0))
		return EXIT_USAGE;
	return -1;
}

int cmd_timeline(int argc, char **argv)
{
	struct timeline_args a = { .ask = ASK_HISTORY_INIT };
	int status = parse_args(argc, argv, &a);

	cells_init();
	if (status < 0)
		status = run(&a);
	buf_done(&a.ask.filter);
	return status;
}
