/* SPDX-License-Identifier: Apache-2.0 */
/* `egret policy`: a table of what can be done with a policy, one file each. */
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "cli/cmd.h"

static const struct verb {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *args, *help;
} verbs[] = {
	{ "check", cmd_policy_check, "[OPTION...] FILE",
	  "every mistake, warning, expectation; loads nothing" },
	{ "load", cmd_policy_load, "[OPTION...] FILE", "put a policy in force, all or nothing" },
	{ "confirm", cmd_policy_confirm, "", "keep a policy that would be rolled back" },
	{ "show", cmd_policy_show, "[OPTION...]",
	  "what is in force, with hits, bytes and last match" },
	{ "diff", cmd_policy_diff, "FILE [RECORDING...]",
	  "what it would change, in words and in effect" },
	{ "learn", cmd_policy_learn, "[RECORDING...]", "a policy that allows what was recorded" },
	{ "replay", cmd_policy_replay, "FILE [RECORDING...]",
	  "which recorded flows it would let pass and refuse" },
	{ "clear", cmd_policy_clear, "", "no policy: nothing is refused, egretd watches on" },
};

static void print_help(FILE *to)
{
	fputs("usage: egret policy COMMAND [ARG...]\n\n"
	      "Decides what may leave: one text file, the first rule that matches decides (man "
	      "egret-policy).\n\n",
	      to);
	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++)
		fprintf(to, "  %-8s %-26s %s\n", verbs[i].name, verbs[i].args, verbs[i].help);
	fputs("\nMore: egret policy COMMAND --help, man egret-policy.\n", to);
}

int cmd_policy(int argc, char **argv)
{
	if (argc < 2) {
		print_help(stderr);
		return EXIT_USAGE;
	}
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h")) {
		print_help(stdout);
		return 0;
	}
	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++)
		if (!strcmp(verbs[i].name, argv[1]))
			return verbs[i].run(argc - 1, argv + 1);
	log_error("no command 'policy %s'; 'egret policy --help' lists them", argv[1]);
	return EXIT_USAGE;
}
