/* SPDX-License-Identifier: Apache-2.0 */
/* `egret flows`: the flows of a running egretd, as a table, as EVE records or as CSV; once or as they end. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/human.h"
#include "base/json.h"
#include "base/log.h"
#include "base/time.h"
#include "cli/ask.h"
#include "cli/cells.h"
#include "cli/cmd.h"
#include "cli/flow_row.h"
#include "cli/flows_csv.h"
#include "cli/table.h"
#include "flow/filter.h"

#define MAX_REQUEST 8192
#define MAX_LINE (1U << 20)
#define FOLLOW_WIDTH 148 /* of a stream that does not go to a terminal */

static const char usage[] =
	"usage: egret flows [OPTION...] [FILTER...]\n\n"
	"Shows the flows egretd sees now. FILTER: words such as proc:curl name:*.example.org "
	"port:443 up:>1mb\n"
	"(all must hold; 'or', 'not' and parentheses work; see man egret-flows).\n\n"
	"  --ended        also those that ended lately\n"
	"  --follow       print each flow when it ends, until interrupted\n"
	"  --sort KEY     start, up, down, bytes, packets or last; largest first (at most 5000)\n"
	"  --limit N      at most N flows\n"
	"  --json         EVE records, one a line\n"
	"  --csv          comma-separated values, with a head line\n";

enum form { FORM_TABLE, FORM_JSON, FORM_CSV };

struct flows_args {
	enum form form;
	bool ended, follow;
	const char *sort;
	uint64_t limit;
	struct buf filter;
};

/* Rows go where the form wants them. */
struct flows_out {
	const struct flows_args *args;
	struct table *table; /* FORM_TABLE, not following */
	struct buf line;
	uint64_t now_ns;
	unsigned width;
};

static const struct table_column columns[] = {
	{ "START" },
	{ "PROGRAM", .elastic = true },
	{ "USER", .elastic = true },
	{ "NAME", .elastic = true },
	{ "FROM" },
	{ "ADDRESS", .elastic = true },
	{ "PORT", .right = true },
	{ "PROTOCOL" },
	{ "UP", .right = true },
	{ "DOWN", .right = true },
	{ "STATE" },
	{ "VERDICT" },
};

/* Widths of a stream, where no row can wait for the widest; the elastic columns share what is left. */
static const unsigned follow_widths[ARRAY_SIZE(columns)] = {
	11, 0, 8, 0, 5, 0, 5, 9, 7, 7, 11, 14
};

static void cells_of(const struct flow_row *r, uint64_t now_ns,
		     char texts[ARRAY_SIZE(columns)][FLOW_ROW_TEXT],
		     struct str cells[ARRAY_SIZE(columns)])
{
	struct str dash = STR("-");

	cells[0] = flow_row_start(r, now_ns, texts[0]);
	cells[1] = r->program;
	cells[2] = r->user.n ? r->user : dash;
	cells[3] = r->name.n ? r->name : dash;
	cells[4] = r->source.n ? r->source : dash;
	cells[5] = r->dest;
	snprintf(texts[6], FLOW_ROW_TEXT, "%d", r->dport);
	cells[6] = r->dport < 0 ? dash : str_of(texts[6]);
	cells[7] = flow_row_proto(r, texts[7]);
	cells[8] = str_of(human_bytes(r->up, texts[8]));
	cells[9] = str_of(human_bytes(r->down, texts[9]));
	cells[10] = flow_row_state(r);
	cells[11] = flow_row_verdict(r, texts[11]);
	if (!cells[11].n)
		cells[11] = dash;
}

static void follow_row(struct flows_out *o, const struct str *cells)
{
	unsigned fixed = 0, share;

	for (size_t i = 0; i < ARRAY_SIZE(columns); i++)
		fixed += follow_widths[i] + 2;
	share = o->width > fixed + 24 ? (o->width - fixed) / 3 : 8;
	buf_clear(&o->line);
	for (size_t i = 0; i < ARRAY_SIZE(columns); i++) {
		cell_put(&o->line, cells[i], follow_widths[i] ? follow_widths[i] : share,
			 columns[i].right);
		buf_puts(&o->line, i + 1 < ARRAY_SIZE(columns) ? "  " : "\n");
	}
	fwrite(o->line.p, 1, o->line.n, stdout);
}

/* Texts stand as they are in a file or a pipe; a terminal is not given what it could obey. */
static void print_csv(struct flows_out *o)
{
	size_t n = o->line.n - 1;

	if (o->width) {
		cell_put_all(&o->line, (struct str){ o->line.p, n });
		buf_drop_front(&o->line, n + 1);
		buf_putc(&o->line, '\n');
	}
	fwrite(o->line.p, 1, o->line.n, stdout);
}

static void show_row(struct flows_out *o, const json_t *record)
{
	char texts[ARRAY_SIZE(columns)][FLOW_ROW_TEXT];
	struct str cells[ARRAY_SIZE(columns)];
	struct flow_row row;

	if (o->args->form == FORM_CSV) {
		flows_csv_row(&o->line, record);
		print_csv(o);
		return;
	}
	flow_row_read(&row, record);
	cells_of(&row, o->args->follow ? time_now() : o->now_ns, texts, cells);
	if (o->args->follow) {
		follow_row(o, cells);
		return;
	}
	for (size_t i = 0; i < ARRAY_SIZE(columns); i++) {
		buf_clear(&o->line);
		cell_put_all(&o->line, cells[i]);
		table_cell(o->table, buf_str(&o->line));
	}
}

static void make_request(struct buf *out, const struct flows_args *a)
{
	struct json j = JSON_INIT(out);

	json_object_begin(&j, NULL);
	json_text(&j, "ask", a->follow ? "events" : "flows");
	json_str(&j, "filter", buf_str(&a->filter));
	if (a->follow) {
		json_array_begin(&j, "types");
		json_text(&j, NULL, "flow");
		json_array_end(&j);
	} else {
		json_u64(&j, "limit", a->limit);
		json_bool(&j, "ended", a->ended);
		json_text(&j, "sort", a->sort);
	}
	json_object_end(&j);
}

/* 1: go on; 0: that was the last line; -1: an error, which was told. */
static int take_line(struct flows_out *o, struct str line)
{
	char why[256];
	json_t *j;

	/* EVE records are passed on as they are. */
	if (o->args->form == FORM_JSON && str_has_prefix(line, STR("{\"timestamp\""))) {
		fwrite(line.p, 1, line.n, stdout);
		putchar('\n');
		return 1;
	}
	j = ask_parse(line, why);
	if (!j) {
		log_error("%s", why);
		return -1;
	}
	if (json_object_get(j, "end")) {
		json_int_t matched = json_integer_value(json_object_get(j, "matched"));
		json_int_t shown = json_integer_value(json_object_get(j, "shown"));

		if (shown < matched)
			fprintf(stderr, "(%lld of %lld flows)\n", (long long)shown,
				(long long)matched);
		json_decref(j);
		return 0;
	}
	if (json_object_get(j, "lost"))
		log_warn("%lld records were lost: this end was too slow",
			 (long long)json_integer_value(json_object_get(j, "lost")));
	else
		show_row(o, j);
	json_decref(j);
	return 1;
}

static void show_head(struct flows_out *o)
{
	struct str cells[ARRAY_SIZE(columns)];

	if (o->args->form == FORM_CSV) {
		flows_csv_head(&o->line);
		fwrite(o->line.p, 1, o->line.n, stdout);
	}
	if (o->args->form != FORM_TABLE || !o->args->follow)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(columns); i++)
		cells[i] = str_of(columns[i].title);
	follow_row(o, cells);
}

static int show_answer(struct flows_out *o, struct client *c)
{
	struct str line;
	int r, went_on;

	show_head(o);
	for (;;) {
		r = client_line(c, &line);
		if (r <= 0) {
			log_error("egretd ended the connection%s%s", r < 0 ? ": " : "",
				  r < 0 ? strerror(-r) : "");
			return EXIT_FAILURE;
		}
		went_on = take_line(o, line);
		if (went_on <= 0)
			break;
		if (o->args->follow)
			fflush(stdout);
	}
	if (went_on == 0 && o->table)
		table_print(o->table, stdout, o->width);
	if (fflush(stdout) == EOF || ferror(stdout))
		return log_errno(errno, "cannot write"), EXIT_FAILURE;
	return went_on < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

static int run(const struct flows_args *a)
{
	_cleanup_buf_ struct buf request = BUF_INIT(MAX_REQUEST);
	struct flows_out o = { .args = a, .line = BUF_INIT(MAX_LINE), .now_ns = time_now() };
	struct client *c;
	char why[256];
	int status;

	make_request(&request, a);
	if (request.failed)
		return log_errno(ENOMEM, "no request"), EXIT_FAILURE;
	if (ask_daemon(&c, arg_run, buf_str(&request), why) < 0) {
		log_error("%s", why);
		return EXIT_FAILURE;
	}
	o.width = terminal_width(stdout);
	if (a->follow && !o.width)
		o.width = FOLLOW_WIDTH;
	if (a->form == FORM_TABLE && !a->follow &&
	    table_new(&o.table, columns, ARRAY_SIZE(columns)) < 0) {
		client_free(c);
		return log_errno(ENOMEM, "no table"), EXIT_FAILURE;
	}
	status = show_answer(&o, c);
	table_free(o.table);
	buf_done(&o.line);
	client_free(c);
	return status;
}

/* A mistake in the filter is found here, before the daemon is asked. */
static int parse_filter(struct flows_args *a, int n, char **words)
{
	struct filter_error error;
	struct filter *f = NULL;

	ask_join_filter(&a->filter, n, words);
	if (!a->filter.failed && filter_parse(buf_str(&a->filter), &f, &error) == 0) {
		filter_free(f);
		return -1;
	}
	if (a->filter.failed)
		log_error("filter: too long");
	else
		log_error("filter, column %zu: %s", error.column, error.message);
	return EXIT_USAGE;
}

/* -1: go on; else the exit status. */
static int parse_args(int argc, char **argv, struct flows_args *a)
{
	static const struct option options[] = {
		{ "ended", no_argument, NULL, 'e' },      { "follow", no_argument, NULL, 'f' },
		{ "sort", required_argument, NULL, 's' }, { "limit", required_argument, NULL, 'l' },
		{ "json", no_argument, NULL, 'j' },       { "csv", no_argument, NULL, 'c' },
		{ "help", no_argument, NULL, 'h' },       { 0 },
	};
	int o;

	while ((o = getopt_long(argc, argv, "fh", options, NULL)) != -1) {
		switch (o) {
		case 'e':
			a->ended = true;
			break;
		case 'f':
			a->follow = true;
			break;
		case 's':
			a->sort = optarg;
			break;
		case 'l':
			if (str_parse_u64(str_of(optarg), &a->limit) < 0) {
				log_error("--limit %s: no number", optarg);
				return EXIT_USAGE;
			}
			break;
		case 'j':
			a->form = FORM_JSON;
			break;
		case 'c':
			a->form = FORM_CSV;
			break;
		case 'h':
			fputs(usage, stdout);
			return EXIT_SUCCESS;
		default:
			return EXIT_USAGE;
		}
	}
	if (a->follow && (a->sort || a->limit || a->ended)) {
		log_error("--follow shows flows as they end: --sort, --limit and --ended do not go "
			  "with it");
		return EXIT_USAGE;
	}
	return parse_filter(a, argc - optind, argv + optind);
}

int cmd_flows(int argc, char **argv)
{
	struct flows_args a = { .filter = BUF_INIT(MAX_REQUEST) };
	int status = parse_args(argc, argv, &a);

	cells_init();
	if (status < 0)
		status = run(&a);
	buf_done(&a.filter);
	return status;
}
