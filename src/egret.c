/* SPDX-License-Identifier: Apache-2.0 */
/* The command line: a table of subcommands and nothing else. */
#include <errno.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "cli/cmd.h"
#include "cli/console.h"

const char *arg_run = "/run/egret";

static int cmd_help(int argc, char **argv);

static const struct command {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *args, *help;
	bool far; /* may be asked with --console */
} commands[] = {
	{ "top", cmd_top, "[FILTER...]",
	  "live view of what leaves, by program, user, unit, container, name" },
	{ "flows", cmd_flows, "[FILTER...]", "the flows of a running egretd, now or of a time",
	  true },
	{ "usage", cmd_usage, "[OPTION...] [FILTER...]",
	  "what left in a time, by program, name, country, and what it cost", true },
	{ "cost", cmd_cost, "[OPTION...] [FILTER...]",
	  "what a month cost by the policy's prices, and how budgets stand", true },
	{ "segments", cmd_segments, "[OPTION...] [FILTER...]",
	  "which segment opened flows to which, and what was refused", true },
	{ "timeline", cmd_timeline, "[OPTION...] [FILTER...]", "when it left, as a chart", true },
	{ "who", cmd_who, "[OPTION...] ADDRESS|NAME", "everything known of an address or a name",
	  true },
	{ "status", cmd_status, "", "what egretd watches, how much it saw, what it lost", true },
	{ "exec", cmd_exec, "[--json FILE] -- CMD [ARG...]",
	  "run a command and show what it contacted" },
	{ "read", cmd_read, "[--json] FILE...",
	  "the same for captures and Zeek logs, without privileges" },
	{ "findings", cmd_findings, "[OPTION...] [FILTER...]",
	  "what should worry you: exfiltration, command and control", true },
	{ "finding", cmd_finding, "ID", "everything behind one of them", true },
	{ "ack", cmd_ack, "ID --benign [OPTION...]", "this is ordinary here, until a day" },
	{ "intel", cmd_intel, "COMMAND [ARG...]", "feeds of what others call bad", true },
	{ "explain", cmd_explain, "[DETECTOR]", "what a detector sees, and what it cannot" },
	{ "policy", cmd_policy, "COMMAND [ARG...]", "check, load, show and try out what may leave",
	  true },
	{ "block", cmd_block, "[OPTION...] [DEST...]", "refuse something at once, for a while" },
	{ "unblock", cmd_unblock, "[OPTION...] [DEST...]", "take that away again" },
	{ "quota", cmd_quota, "[--json]", "what rules have used of their quotas", true },
	{ "why", cmd_why, "[OPTION...] DEST", "would this leave, and which line decides", true },
	{ "disarm", cmd_disarm, "", "nothing is refused any more, with or without egretd" },
	{ "fleet", cmd_fleet, "status [OPTION...]", "the machines that send to one ClickHouse",
	  true },
	{ "page", cmd_page, "[OPTION...]", "the address of the page, with a token in it" },
	{ "doctor", cmd_doctor, "", "what this kernel offers and what is lost without the rest" },
	{ "help", cmd_help, "[COMMAND]", "this list, or how to use one command" },
};

static void print_help(FILE *to)
{
	fputs("usage: egret [--run DIR | --console URL] COMMAND [ARG...]\n\n"
	      "egret tells what leaves this machine and who sent it, decides what may, and notices "
	      "what "
	      "should not have.\n\n",
	      to);
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		fprintf(to, "  %-9s %-30s %s\n", commands[i].name, commands[i].args,
			commands[i].help);
	fputs("\n  --run DIR         folder of egretd's control socket (/run/egret)\n"
	      "  --console URL     ask a console of a fleet (egretd --console), or the page of any "
	      "egretd\n"
	      "  --token-file FILE a token that 'egret page' made there\n"
	      "  --ca FILE         whom to trust with its certificate, instead of the system's "
	      "list\n"
	      "  --version         print the version\n"
	      "\nMore: egret help COMMAND, man egret.\n",
	      to);
}

static const struct command *find_command(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		if (!strcmp(commands[i].name, name))
			return &commands[i];
	log_error("no command '%s'; 'egret help' lists them", name);
	return NULL;
}

static int cmd_help(int argc, char **argv)
{
	char *help_argv[] = { argc > 1 ? argv[1] : NULL, (char[]){ "--help" }, NULL };
	const struct command *c;

	if (argc < 2 || !strcmp(argv[1], "help")) {
		print_help(stdout);
		return 0;
	}
	c = find_command(argv[1]);
	return c ? c->run(2, help_argv) : EXIT_USAGE;
}

/* $EGRET_CONSOLE stands for --console wherever that may be; $EGRET_TOKEN_FILE for --token-file. */
static int use_console(const struct command *c, struct console_settings *s, bool here)
{
	char why[CONSOLE_WHY_MAX];

	if (!s->url && c->far && !here)
		s->url = getenv("EGRET_CONSOLE");
	if (!s->url || !s->url[0])
		return 0;
	if (!c->far) {
		log_error("%s: not over a console: on the machine itself", c->name);
		return -EINVAL;
	}
	if (!s->token_file)
		s->token_file = getenv("EGRET_TOKEN_FILE");
	if (console_use(s, why) == 0)
		return 0;
	log_error("%s", why);
	return -EINVAL;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "run", required_argument, NULL, 'r' },
		{ "console", required_argument, NULL, 'c' },
		{ "token-file", required_argument, NULL, 't' },
		{ "ca", required_argument, NULL, 'a' },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ 0 },
	};
	struct console_settings console = { 0 };
	const struct command *c;
	bool here = false;
	int o;

	while ((o = getopt_long(argc, argv, "+hV", options, NULL)) != -1) {
		switch (o) {
		case 'r':
			arg_run = optarg;
			here = true;
			break;
		case 'c':
			console.url = optarg;
			break;
		case 't':
			console.token_file = optarg;
			break;
		case 'a':
			console.ca = optarg;
			break;
		case 'h':
			print_help(stdout);
			return 0;
		case 'V':
			puts("egret " EGRET_VERSION);
			return 0;
		default:
			return EXIT_USAGE;
		}
	}
	if (optind == argc) {
		print_help(stderr);
		return EXIT_USAGE;
	}
	c = find_command(argv[optind]);
	if (!c)
		return EXIT_USAGE;
	if (here && console.url) {
		log_error("--run and --console exclude each other");
		return EXIT_USAGE;
	}
	if (use_console(c, &console, here) < 0)
		return EXIT_FAILURE;
	argc -= optind;
	argv += optind;
	optind = 0; /* GNU: start afresh, for the command's own options */
	return c->run(argc, argv);
}
