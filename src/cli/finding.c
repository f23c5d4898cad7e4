/* SPDX-License-Identifier: Apache-2.0 */
/* `egret findings` and `egret finding ID`: what a running egretd has found, heaviest first. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "base/log.h"
#include "base/time.h"
#include "cli/ask.h"
#include "cli/cells.h"
#include "cli/cmd.h"
#include "cli/console.h"
#include "cli/finding_json.h"
#include "cli/findings.h"
#include "cli/table.h"

#define REQUEST_ROOM 8192

static const char usage[] =
	"usage: egret findings [OPTION...] [FILTER...]\n\n"
	"Shows what egretd has found, heaviest first. FILTER as everywhere: proc:curl "
	"name:*.example.org addr:203.0.113.0/24\n\n"
	"  --last TIME       only what was seen within so long (24h, 7d)\n"
	"  --class CLASS     c2, exfil, intel or policy\n"
	"  --detector NAME   only of this detector\n"
	"  --severity LEVEL  at least low, medium, high or critical\n"
	"  --low             also what is only for the log: too light to be told\n"
	"  --long            everything behind each, as 'egret finding ID' shows it\n"
	"  --json            alert records, one a line\n";

static const char usage_one[] =
	"usage: egret finding [--json] ID\n\n"
	"Shows everything behind a finding: evidence, weights, flows, a plot.\n";

struct findings_args {
	const char *last, *class, *detector, *severity, *id;
	bool low, is_long, json;
	struct buf filter;
};

static int ask(struct client **ret, const struct findings_args *a)
{
	_cleanup_buf_ struct buf request = BUF_INIT(REQUEST_ROOM);
	struct json j = JSON_INIT(&request);
	char why[256];
	uint64_t ns;
	int r;

	json_object_begin(&j, NULL);
	json_text(&j, "ask", "findings");
	if (a->filter.n)
		json_str(&j, "filter", buf_str(&a->filter));
	if (a->last) {
		if (duration_parse(str_of(a->last), &ns) < 0 || ns < NSEC_PER_SEC) {
			log_error("'%s' is no time like 24h or 7d", a->last);
			return -EINVAL;
		}
		json_u64(&j, "last", ns / NSEC_PER_SEC);
	}
	json_text(&j, "class", a->class);
	json_text(&j, "detector", a->detector);
	json_text(&j, "level", a->severity);
	json_text(&j, "id", a->id);
	if (a->low)
		json_bool(&j, "low", true);
	json_u64(&j, "limit", 0);
	json_object_end(&j);
	r = ask_daemon(ret, arg_run, buf_str(&request), why);
	if (r < 0)
		log_error("%s", why);
	return r;
}

/* Behind a console it may be any machine that found it. */
static void put_host(const json_t *record, struct buf *out)
{
	const char *host = json_string_value(json_object_get(record, "host"));

	if (!console_used() || !host)
		return;
	cell_put_all(out, str_of(host));
	buf_puts(out, "  ");
}

static void show_short(const struct finding *f, const json_t *record)
{
	_cleanup_buf_ struct buf out = BUF_INIT(8192);

	put_host(record, &out);
	finding_format_short(f, &out);
	fwrite(out.p, 1, out.n, stdout);
}

static void show_long(const struct finding *f, const json_t *record)
{
	_cleanup_buf_ struct buf out = BUF_INIT(65536);

	put_host(record, &out);
	finding_format(f, &out);
	buf_putc(&out, '\n');
	fwrite(out.p, 1, out.n, stdout);
}

/* How many were shown; -errno after saying why. */
static int show_all(struct client *c, const struct findings_args *a)
{
	struct str line;
	char why[256];
	int shown = 0, r;

	while ((r = client_line(c, &line)) > 0) {
		json_t *j = ask_parse(line, why);
		struct finding_copy copy;
		bool end;

		if (!j) {
			log_error("%s", why);
			return -EBADMSG;
		}
		end = json_is_true(json_object_get(j, "end"));
		if (!end && a->json)
			printf("%.*s\n", STR_FMT(line));
		else if (!end && finding_of_record(&copy, j) == 0)
			(a->is_long ? show_long : show_short)(&copy.f, j);
		json_decref(j);
		if (end)
			return shown;
		shown++;
	}
	log_error("egretd did not finish its answer");
	return -EPIPE;
}

static int run(const struct findings_args *a)
{
	struct client *c;
	int r = ask(&c, a);

	if (r < 0)
		return r == -EINVAL ? EXIT_USAGE : EXIT_FAILURE;
	r = show_all(c, a);
	client_free(c);
	if (r == 0 && a->id)
		log_error("there is no finding %s", a->id);
	else if (r == 0 && !a->json)
		puts("nothing found");
	return r < 0 || (r == 0 && a->id) ? EXIT_FAILURE : EXIT_SUCCESS;
}

int cmd_findings(int argc, char **argv)
{
	static const struct option options[] = {
		{ "last", required_argument, NULL, 't' },
		{ "class", required_argument, NULL, 'c' },
		{ "detector", required_argument, NULL, 'd' },
		{ "severity", required_argument, NULL, 's' },
		{ "low", no_argument, NULL, 'l' },
		{ "long", no_argument, NULL, 'L' },
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	struct findings_args a = { .filter = BUF_INIT(4096) };
	enum severity least;
	int o, r;

	while ((o = getopt_long(argc, argv, "jh", options, NULL)) != -1) {
		switch (o) {
		case 't':
			a.last = optarg;
			break;
		case 'c':
			a.class = optarg;
			break;
		case 'd':
			a.detector = optarg;
			break;
		case 's':
			a.severity = optarg;
			break;
		case 'l':
			a.low = true;
			break;
		case 'L':
			a.is_long = true;
			break;
		case 'j':
			a.json = true;
			break;
		case 'h':
			fputs(usage, stdout);
			return EXIT_SUCCESS;
		default:
			return EXIT_USAGE;
		}
	}
	if (a.severity && severity_parse(str_of(a.severity), &least) < 0) {
		log_error("'%s' is none of low, medium, high, critical", a.severity);
		return EXIT_USAGE;
	}
	ask_join_filter(&a.filter, argc - optind, argv + optind);
	r = run(&a);
	buf_done(&a.filter);
	return r;
}

int cmd_finding(int argc, char **argv)
{
	static const struct option options[] = {
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	struct findings_args a = { .is_long = true };
	int o;

	while ((o = getopt_long(argc, argv, "jh", options, NULL)) != -1) {
		if (o == 'h') {
			fputs(usage_one, stdout);
			return EXIT_SUCCESS;
		}
		if (o != 'j')
			return EXIT_USAGE;
		a.json = true;
	}
	if (optind + 1 != argc) {
		fputs(usage_one, stderr);
		return EXIT_USAGE;
	}
	a.id = argv[optind];
	return run(&a);
}
