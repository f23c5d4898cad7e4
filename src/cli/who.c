/* SPDX-License-Identifier: Apache-2.0 */
/* `egret who`: everything that is known of an address or a name. */
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "base/log.h"
#include "base/time.h"
#include "cli/ask_history.h"
#include "cli/cells.h"
#include "cli/cmd.h"
#include "cli/table.h"
#include "cli/who_view.h"

#define MAX_REQUEST 16384
#define LAST_DEFAULT "30d" /* as long as single flows are kept, unless egret.conf says otherwise */

static const char help[] =
	"usage: egret who [OPTION...] ADDRESS|NAME\n\n"
	"Everything egretd has kept of an address, or of a name and what lies below it: names and "
	"where they came\n"
	"from, country and network, programs and users, ports and protocols, rules, findings, "
	"when, "
	"the last flows.\n\n"
	"  --last DUR       the time up to now (30d)\n"
	"  --from TIME      '2026-11-03 14:00', 2026-11-03, 14:00, yesterday, monday, -2h; "
	"local time\n"
	"  --to TIME        up to, not including\n"
	"  --period PERIOD  the current day, week or month\n"
	"  --json           one object\n";

static int show(void *ctx, struct str text, const json_t *read)
{
	return who_print(stdout, read, time_now(), terminal_width(stdout));
}

static int run(const struct ask_history *a, const char *what)
{
	_cleanup_buf_ struct buf request = BUF_INIT(MAX_REQUEST);
	struct json j = JSON_INIT(&request);

	ask_history_begin(&j, a, "who");
	json_text(&j, "what", what);
	json_object_end(&j);
	if (a->form == HISTORY_JSON)
		return ask_history_print(buf_str(&request));
	return ask_history_send(buf_str(&request), show, NULL) < 0 ? EXIT_FAILURE
								   : ask_history_flush();
}

int cmd_who(int argc, char **argv)
{
	static const struct option options[] = {
		{ "last", required_argument, NULL, 'L' },
		{ "from", required_argument, NULL, 'F' },
		{ "to", required_argument, NULL, 'T' },
		{ "period", required_argument, NULL, 'P' },
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	struct ask_history a = ASK_HISTORY_INIT;
	int o;

	while ((o = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		if (o == 'h')
			return fputs(help, stdout), EXIT_SUCCESS;
		if (ask_history_option(&a, o, optarg) <= 0)
			return EXIT_USAGE;
	}
	if (optind + 1 != argc) {
		fputs(help, stderr);
		return EXIT_USAGE;
	}
	if (!ask_history_has_time(&a))
		a.when.last = LAST_DEFAULT;
	cells_init();
	if (ask_history_ready(&a, 0, NULL) < 0)
		return EXIT_USAGE;
	return run(&a, argv[optind]);
}
