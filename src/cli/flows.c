/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `egret flows`: the flows of a running egretd, as a table, as EVE records or as CSV; once or as they end. With a time, the flows it
 * has kept.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "base/log.h"
#include "base/time.h"
#include "cli/ask.h"
#include "cli/ask_history.h"
#include "cli/cells.h"
#include "cli/cmd.h"
#include "cli/console.h"
#include "cli/csv.h"
#include "cli/flows_csv.h"
#include "cli/flows_table.h"
#include "cli/history_words.h"
#include "cli/table.h"

#define MAX_REQUEST 16384
#define MAX_LINE (1U << 20)
#define FOLLOW_WIDTH 148 /* of a stream that does not go to a terminal */

static const char usage[] =
	"usage: egret flows [OPTION...] [FILTER...]\n\n"
	"Shows the flows egretd sees now; with a time, those it has kept of then, newest first.\n"
	"FILTER: words such as proc:curl name:*.example.org port:443 up:>1mb\n"
	"(all must hold; 'or', 'not' and parentheses work; see man egret-flows).\n\n"
	"  --ended          also those that ended lately\n"
	"  --follow         print each flow when it ends, until interrupted\n"
	"  --sort KEY       start, up, down, bytes, packets or last; largest first (at most 5000)\n"
	"  --last DUR       kept flows of the time up to now: 90m, 24h, 7d, 4w\n"
	"  --from TIME      '2026-11-03 14:00', 2026-11-03, 14:00, yesterday, monday, -2h; "
	"local time\n"
	"  --to TIME        up to, not including\n"
	"  --period PERIOD  the current day, week or month\n"
	"  --after PLACE    the next page of kept flows, as the page before says\n"
	"  --limit N        at most N flows (all; 100 of those kept)\n"
	"  --json           EVE records, one a line\n"
	"  --csv            comma-separated values, with a head line\n";

struct flows_args {
	struct ask_history ask;
	bool ended, follow, past;
	const char *after;
};

/* Rows go where the form wants them. */
struct flows_out {
	const struct flows_args *args;
	struct table *table; /* HISTORY_TABLE, not following */
	struct buf line, end;
	uint64_t now_ns;
	enum flows_table_from from;
	unsigned width;
};

static void show_row(struct flows_out *o, const json_t *record)
{
	if (o->args->ask.form == HISTORY_CSV) {
		flows_csv_row(&o->line, record);
		csv_print(&o->line, stdout);
	} else if (o->table) {
		flows_table_add(o->table, record, o->now_ns, o->from);
	} else {
		flows_stream_row(&o->line, record, time_now(), o->width);
		fwrite(o->line.p, 1, o->line.n, stdout);
	}
	if (o->args->follow)
		fflush(stdout);
}

static void make_request(struct buf *out, const struct flows_args *a)
{
	struct json j = JSON_INIT(out);

	if (a->past) {
		ask_history_begin(&j, &a->ask, "flows");
		json_text(&j, "after", a->after);
		json_object_end(&j);
		return;
	}
	json_object_begin(&j, NULL);
	json_text(&j, "ask", a->follow ? "events" : "flows");
	json_str(&j, "filter", buf_str(&a->ask.filter));
	if (a->follow) {
		json_array_begin(&j, "types");
		json_text(&j, NULL, "flow");
		json_array_end(&j);
	} else {
		json_u64(&j, "limit", a->ask.limit);
		json_bool(&j, "ended", a->ended);
		json_text(&j, "sort", a->ask.sort);
	}
	json_object_end(&j);
}

static void take_end(struct flows_out *o, const json_t *end)
{
	uint64_t matched = history_number(end, "matched"), shown = history_number(end, "shown");
	const char *next = json_string_value(json_object_get(end, "next"));

	if (shown < matched)
		buf_printf(&o->end, "(%llu of %llu flows)\n", (unsigned long long)shown,
			   (unsigned long long)matched);
	if (!o->args->past)
		return;
	if (next)
		buf_printf(&o->end, "(%llu flows; for the next say the same with --after %.80s)\n",
			   (unsigned long long)shown, next);
	history_put_end(&o->end, end);
}

static int take_line(void *ctx, struct str text, const json_t *read)
{
	struct flows_out *o = ctx;

	if (json_object_get(read, "end")) {
		take_end(o, read);
		return 0;
	}
	if (json_object_get(read, "lost")) {
		log_warn("%llu records were lost: this end was too slow",
			 (unsigned long long)history_number(read, "lost"));
	} else if (o->args->ask.form == HISTORY_JSON) {
		/* EVE records are passed on as they are. */
		fwrite(text.p, 1, text.n, stdout);
		putchar('\n');
		if (o->args->follow)
			fflush(stdout);
	} else {
		show_row(o, read);
	}
	return 1;
}

static void show_head(struct flows_out *o)
{
	if (o->args->ask.form == HISTORY_CSV) {
		flows_csv_head(&o->line);
		csv_print(&o->line, stdout);
	} else if (o->args->ask.form == HISTORY_TABLE && !o->table) {
		flows_stream_head(&o->line, o->width);
		fwrite(o->line.p, 1, o->line.n, stdout);
	}
}

static int run(const struct flows_args *a)
{
	_cleanup_buf_ struct buf request = BUF_INIT(MAX_REQUEST);
	struct flows_out o = { .args = a,
			       .line = BUF_INIT(MAX_LINE),
			       .end = BUF_INIT(MAX_LINE),
			       .now_ns = time_now(),
			       .from = FLOWS_FROM_START,
			       .width = terminal_width(stdout) };
	int r, status = EXIT_FAILURE;

	if (console_used())
		o.from = FLOWS_FROM_HOST;
	else if (a->past && a->ask.span.from < when_day(time(NULL), 0))
		o.from = FLOWS_FROM_DATE;
	if (a->follow && !o.width)
		o.width = FOLLOW_WIDTH;
	make_request(&request, a);
	if (request.failed ||
	    (a->ask.form == HISTORY_TABLE && !a->follow && flows_table_new(&o.table, o.from) < 0))
		return log_errno(ENOMEM, "no request"), EXIT_FAILURE;
	show_head(&o);
	r = ask_history_send(buf_str(&request), take_line, &o);
	if (r == 0 && o.table)
		table_print(o.table, stdout, o.width);
	if (r == 0)
		status = ask_history_flush();
	if (o.end.n)
		fwrite(o.end.p, 1, o.end.n, stderr);
	table_free(o.table);
	buf_done(&o.line);
	buf_done(&o.end);
	return status;
}

static int check_args(const struct flows_args *a)
{
	if (a->follow && (a->ask.sort || a->ask.limit || a->ended))
		log_error("--follow shows flows as they end: --sort, --limit and --ended do not go "
			  "with it");
	else if (a->past && (a->follow || a->ask.sort || a->ended))
		log_error(
			"kept flows come newest first: --follow, --sort and --ended do not go with "
			"a time");
	else
		return 0;
	return -EINVAL;
}

/* -1: go on; else the exit status. */
static int parse_args(int argc, char **argv, struct flows_args *a)
{
	static const struct option options[] = {
		ASK_HISTORY_OPTIONS,
		{ "ended", no_argument, NULL, 'e' },
		{ "follow", no_argument, NULL, 'f' },
		{ "sort", required_argument, NULL, 's' },
		{ "after", required_argument, NULL, 'A' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	int o;

	while ((o = getopt_long(argc, argv, "fh", options, NULL)) != -1) {
		int taken = ask_history_option(&a->ask, o, optarg);

		if (o == 'e')
			a->ended = true;
		else if (o == 'f')
			a->follow = true;
		else if (o == 's')
			a->ask.sort = optarg;
		else if (o == 'A')
			a->after = optarg;
		else if (o == 'h')
			return fputs(usage, stdout), EXIT_SUCCESS;
		else if (taken <= 0)
			return EXIT_USAGE;
	}
	a->past = ask_history_has_time(&a->ask) || a->after;
	if (check_args(a) < 0 || ask_history_ready(&a->ask, argc - optind, argv + optind) < 0)
		return EXIT_USAGE;
	return -1;
}

int cmd_flows(int argc, char **argv)
{
	struct flows_args a = { .ask = ASK_HISTORY_INIT };
	int status = parse_args(argc, argv, &a);

	cells_init();
	if (status < 0)
		status = run(&a);
	buf_done(&a.ask.filter);
	return status;
}
