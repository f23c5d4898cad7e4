/* SPDX-License-Identifier: Apache-2.0 */
#include "arguments.h"

#include <getopt.h>
#include <stddef.h>
#include <stdio.h>

#include "base/log.h"

static const char usage[] =
	"usage: egretd [--console | --collector] [--config FILE] [-T] [--foreground] "
	"[--verbose]\n\n"
	"Watches what leaves this host, and decides what may when there is a policy. Without\n"
	"--foreground it goes to the background once it watches.\n\n"
	"  --console      watch nothing: serve page and API over the ClickHouse that `store\n"
	"                 clickhouse` names, for all hosts; needs no rights\n"
	"  --collector    watch nothing: take the batches of other machines where the statement\n"
	"                 `collector` says, join them and send them on; needs no rights\n"
	"  --config FILE  configuration (" ARGUMENTS_DEFAULT_CONFIG
	" when it is there, else the defaults)\n"
	"  -T             test the configuration and its policy, and exit\n"
	"  --foreground   stay\n"
	"  --verbose      say more\n"
	"  --version\n\n"
	"SIGHUP reads the policy again and reopens eve.json. SIGTERM and SIGINT end it: a policy "
	"that "
	"is enforced stays\n"
	"in force (egret disarm removes it), nothing else is left behind.\n";

int arguments_parse(int argc, char **argv, struct arguments *a)
{
	static const struct option options[] = {
		{ "console", no_argument, NULL, 'C' },
		{ "collector", no_argument, NULL, 'L' },
		{ "config", required_argument, NULL, 'c' },
		{ "foreground", no_argument, NULL, 'f' },
		{ "verbose", no_argument, NULL, 'v' },
		{ "version", no_argument, NULL, 'V' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	int o;

	while ((o = getopt_long(argc, argv, "c:Tfvh", options, NULL)) != -1) {
		switch (o) {
		case 'c':
			a->config = optarg;
			break;
		case 'C':
			a->console = true;
			break;
		case 'L':
			a->collector = true;
			break;
		case 'T':
			a->test = true;
			break;
		case 'f':
			a->foreground = true;
			break;
		case 'v':
			log_set_level(LOG_DEBUG);
			break;
		case 'V':
			puts("egretd " EGRET_VERSION);
			return 0;
		case 'h':
			fputs(usage, stdout);
			return 0;
		default:
			return 2;
		}
	}
	if (optind == argc && !(a->console && a->collector))
		return -1;
	fputs(usage, stderr);
	return 2;
}
