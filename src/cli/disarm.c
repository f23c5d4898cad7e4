/* SPDX-License-Identifier: Apache-2.0 */
/* `egret disarm`: nothing is refused any more, whoever put it there and whether egretd runs or not. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "attach/policy.h"
#include "base/log.h"
#include "cli/ask_policy.h"
#include "cli/cmd.h"
#include "serve/client.h"

static const char usage[] =
	"usage: egret disarm\n\n"
	"Takes the policy, all dated rules and everything that any egret pinned out of the kernel. "
	"Works with and\n"
	"without a running egretd; needs root. egretd, if it runs, watches on; at its next start "
	"the policy that\n"
	"egret.conf names, if any, is loaded again.\n";

/* 0: done, or nobody there to ask; else the exit status. */
static int ask_egretd(void)
{
	struct client *c;
	int r = client_new(&c, arg_run, STR("{\"ask\":\"status\"}"));

	if (r == -ENOENT || r == -ECONNREFUSED)
		return 0;
	if (r == 0)
		client_free(c);
	return policy_request_plain("disarm");
}

int cmd_disarm(int argc, char **argv)
{
	char error[256] = "";
	int r;

	if (argc > 1) {
		bool help = !strcmp(argv[1], "--help") || !strcmp(argv[1], "-h");

		fputs(usage, help ? stdout : stderr);
		return help ? 0 : EXIT_USAGE;
	}
	if (ask_egretd())
		return EXIT_FAILURE;
	r = attach_disarm(error);
	if (r < 0) {
		log_error("cannot remove what is pinned: %s%s", error[0] ? error : strerror(-r),
			  r == -EACCES || r == -EPERM ? " (are you root?)" : "");
		return EXIT_FAILURE;
	}
	printf("disarmed: no policy is in force, %d pinned things were removed\n", r);
	return EXIT_SUCCESS;
}
