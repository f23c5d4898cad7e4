/* SPDX-License-Identifier: Apache-2.0 */
/* `egret usage`: what left and what came in over a time, by program, name, country …, with what it cost. */
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
	"  --last DUR       the time up to now: 24h (as without), 7d, 4w\n"
	"  --from TIME      '2026-11-03 14:00', 2026-11-03, 14:00, yesterday, monday, -2h; "
	"local time\n"
	"  --to TIME        up to, not including\n"
	"  --period PERIOD  the current day, week or month, with a forecast for all of it\n"
	"  --sort KEY       bytes, up, down, flows, cost or last; largest first\n"
	"  --limit N        at most N rows (100)\n"
	"  --json           one object a line, the last with totals\n"
	"  --csv            comma-separated values, with a head line\n";

static int show(const struct ask_history *a, const json_t *rows, const json_t *end)
{
	_cleanup_buf_ struct buf notes = BUF_INIT(MAX_REQUEST);
	int r = 0;

	if (a->form == HISTORY_TABLE) {
		r = usage_print(stdout, a->by, rows, end, terminal_width(stdout));
	} else {
		usage_print_csv(stdout, a->by, rows);
		history_put_end(&notes, end);
		fwrite(notes.p, 1, notes.n, stderr);
	}
	if (r < 0)
		return log_errno(r, "cannot show the answer"), EXIT_FAILURE;
	return ask_history_flush();
}

int cmd_usage(int argc, char **argv)
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
	while ((o = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		taken = ask_history_option(&a, o, optarg);
		if (o == 'b')
			a.by = optarg;
		else if (o == 's')
			a.sort = optarg;
		else if (o == 'h')
			return fputs(help, stdout), EXIT_SUCCESS;
		else if (taken <= 0)
			return EXIT_USAGE;
	}
	cells_init();
	if (ask_history_ready(&a, argc - optind, argv + optind) == 0)
		status = ask_history_usage(&a, show);
	buf_done(&a.filter);
	return status;
}
