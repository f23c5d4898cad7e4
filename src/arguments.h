/* SPDX-License-Identifier: Apache-2.0 */
/* The command line of egretd. */
#pragma once

#include <stdbool.h>

#define ARGUMENTS_DEFAULT_CONFIG "/etc/egret/egret.conf"

struct arguments {
	const char *config; /* NULL: not given */
	bool test, foreground, console, collector;
};

/* Prints help, version and mistakes itself. -1: go on; else the exit status. */
int arguments_parse(int argc, char **argv, struct arguments *a);
