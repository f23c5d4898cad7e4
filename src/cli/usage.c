/* SPDX-License-Identifier: Apache-2.0 */
/* `egret usage`: what left and what came in over a time, by program, name, country …; `egret cost`: the same answer as money. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "cli/ask_history.h"
#include "cli/cells.h"
#include "cli/cmd.h"
#include "cli/history_words.h"
#include "cli/table.h"
#include "cli/usage_view.h"

#define MAX_REQUEST 16384
#define BY_DEFAULT "app"

static const char help[] =
	"usage: egret usage [OPTION...] [FILTER...]\n\n"
	"Sums what egretd has kept: bytes and flows, what was refused, and what it cost where the "
	"policy has prices.\n"
	"FILTER as everywhere: proc:curl name:*.example.org (see man egret-flows).\n\n"
	"  --by WORDS       up to four of app, user, unit, container, segment, name, domain, "
	"country, asn,\n"
	"                   protocol, direction, rule, verdict; address, port, proto, host, from, "
	"to (app)\n"
	"  --last DUR       the time up to now: 24h (as without), 7d, 4w; or the whole day, week "
	"or month before this one\n"
	"  --from TIME      '2026-11-03 14:00', 2026-11-03, 14:00, yesterday, monday, -2h; "
	"local time\n"
	"  --to TIME        up to, not including\n"
	"  --period PERIOD  the current day, week or month, with a forecast for all of it\n"
	"  --sort KEY       bytes, up, down, flows, cost or last; largest first\n"
	"  --limit N        at most N rows (100)\n"
	"  --json           one object a line, the last with totals\n"
	"  --csv            comma-separated values, with a head line\n";

#define COST_PERIOD "month"

static const char cost_help[] =
	"usage: egret cost [OPTION...] [FILTER...]\n\n"
	"What the traffic of a time cost, by the prices of the policy in force, and how much of "
	"its budgets is used: this\n"
	"month and what it comes to, unless told otherwise. Times are UTC, as bills have them.\n\n"
	"  --by WORDS       as in egret usage (app)\n"
	"  --last month     the whole month before this one; also day, week, or a time: 24h, 7d\n"
	"  --from TIME      2026-11-03, '2026-11-03 14:00', yesterday, monday, -2h\n"
	"  --to TIME        up to, not including\n"
	"  --period PERIOD  the current day, week or month (month), with a forecast\n"
	"  --sort KEY       cost, bytes, up, down, flows or last; largest first\n"
	"  --limit N        at most N rows (100)\n"
	"  --json           one object a line, the last with totals, prices and budgets\n"
	"  --csv            comma-separated values, with a head line\n";

static int show_csv(const struct ask_history *a, const json_t *rows, const json_t *end)
{
	_cleanup_buf_ struct buf notes = BUF_INIT(MAX_REQUEST);

	usage_print_csv(stdout, a->by, rows);
	history_put_end(&notes, end);
	fwrite(notes.p, 1, notes.n, stderr);
	return ask_history_flush();
}

static int shown(int r)
{
	if (r < 0)
		return log_errno(r, "cannot show the answer"), EXIT_FAILURE;
	return ask_history_flush();
}

static int show(const struct ask_history *a, const json_t *rows, const json_t *end)
{
	if (a->form == HISTORY_CSV)
		return show_csv(a, rows, end);
	return shown(usage_print(stdout, a->by, rows, end, terminal_width(stdout)));
}

static int show_cost(const struct ask_history *a, const json_t *rows, const json_t *end)
{
	if (a->form == HISTORY_CSV)
		return show_csv(a, rows, end);
	return shown(cost_print(stdout, a->by, rows, end, terminal_width(stdout)));
}

struct asking {
	const char *help, *sort, *period; /* unless told */
	int (*show)(const struct ask_history *a, const json_t *rows, const json_t *end);
};

static int ask(int argc, char **argv, const struct asking *how)
{
	static const struct option options[] = {
		ASK_HISTORY_OPTIONS,
		{ "by", required_argument, NULL, 'b' },
		{ "sort", required_argument, NULL, 's' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	struct ask_history a = ASK_HISTORY_INIT;
	int o, taken, status = EXIT_USAGE;

	a.by = BY_DEFAULT;
	a.sort = how->sort;
	while ((o = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		taken = ask_history_option(&a, o, optarg);
		if (o == 'b')
			a.by = optarg;
		else if (o == 's')
			a.sort = optarg;
		else if (o == 'h')
			return fputs(how->help, stdout), EXIT_SUCCESS;
		else if (taken <= 0)
			return EXIT_USAGE;
	}
	if (!ask_history_has_time(&a))
		a.when.period = how->period;
	cells_init();
	if (ask_history_ready(&a, argc - optind, argv + optind) == 0)
		status = ask_history_usage(&a, how->show);
	buf_done(&a.filter);
	return status;
}

int cmd_usage(int argc, char **argv)
{
	return ask(argc, argv, &(struct asking){ .help = help, .show = show });
}

int cmd_cost(int argc, char **argv)
{
	/* A month of prices and budgets is one of UTC: only whole ones of these add up to a bill. */
	setenv("TZ", "UTC0", 1);
	return ask(argc, argv, &(struct asking){ cost_help, "cost", COST_PERIOD, show_cost });
}
