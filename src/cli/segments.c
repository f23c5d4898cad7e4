/* SPDX-License-Identifier: Apache-2.0 */
/* `egret segments`: which segment opened flows to which, how much they moved, and what was refused. */
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "cli/ask_history.h"
#include "cli/cells.h"
#include "cli/cmd.h"
#include "cli/history_words.h"
#include "cli/segments_view.h"
#include "cli/table.h"
#include "cli/usage_view.h"

#define MAX_REQUEST 16384
#define BY "from,to"

static const char help[] =
	"usage: egret segments [OPTION...] [FILTER...]\n\n"
	"Who opens flows to whom, segment by segment: a line for each that began some, a column "
	"for "
	"each they went to;\n"
	"bytes both ways, flows, and what was refused. Segments are those of the policy in force, "
	"else classes of\n"
	"addresses (internet, private, loopback …).\n"
	"FILTER as everywhere: port:5432 verdict:deny (see man egret-flows).\n\n"
	"  --last DUR       the time up to now: 24h (as without), 7d, 4w\n"
	"  --from TIME      '2026-11-03 14:00', 2026-11-03, 14:00, yesterday, monday, -2h; "
	"local time\n"
	"  --to TIME        up to, not including\n"
	"  --period PERIOD  the current day, week or month\n"
	"  --json           a pair a line, the last with totals\n"
	"  --csv            comma-separated values, a pair a line, with a head line\n";

static int show(const struct ask_history *a, const json_t *rows, const json_t *end)
{
	_cleanup_buf_ struct buf out = BUF_INIT(MAX_REQUEST);
	int r = 0;

	if (a->form == HISTORY_TABLE)
		r = segments_print(stdout, rows, terminal_width(stdout));
	else
		usage_print_csv(stdout, BY, rows);
	if (r < 0)
		return log_errno(r, "cannot show the answer"), EXIT_FAILURE;
	if (a->form == HISTORY_TABLE) {
		buf_puts(&out, "\ntotal: ");
		history_put_totals(&out, json_object_get(end, "totals"));
		buf_putc(&out, '\n');
	}
	history_put_end(&out, end);
	fwrite(out.p, 1, out.n, a->form == HISTORY_TABLE ? stdout : stderr);
	return ask_history_flush();
}

int cmd_segments(int argc, char **argv)
{
	static const struct option options[] = {
		ASK_HISTORY_OPTIONS,
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	struct ask_history a = ASK_HISTORY_INIT;
	int o, status = EXIT_USAGE;

	a.by = BY;
	a.limit = 10000;
	while ((o = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		if (o == 'h')
			return fputs(help, stdout), EXIT_SUCCESS;
		if (o == 'l')
			return log_error("egret segments shows all pairs: --limit is for egret "
					 "usage --by " BY),
			       EXIT_USAGE;
		if (ask_history_option(&a, o, optarg) <= 0)
			return EXIT_USAGE;
	}
	cells_init();
	if (ask_history_ready(&a, argc - optind, argv + optind) == 0)
		status = ask_history_usage(&a, show);
	buf_done(&a.filter);
	return status;
}
