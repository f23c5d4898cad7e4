/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Questions to the history are answered by a process of their own: egretd starts itself with --answer, which reads one question from
 * its standard input and writes lines to its standard output. It has no capability, takes 60 s at most, and dies with whoever
 * started it. What a damaged file does to it, it does to one answer.
 */
#pragma once

#include <stddef.h>
#include <sys/types.h>

#include "base/str.h"

struct policy;
struct ship_settings;

struct answerer_inputs {
	struct str question; /* one JSON object */
	const char *state;   /* folder; the history is in STATE/history */
	const char *host;
	const struct ship_settings
		*fleet; /* a ClickHouse is asked instead of STATE/history; NULL: not so */
	const char *geo_country, *geo_asn; /* .mmdb files; empty: none */
	const struct policy *policy;       /* in force; NULL: none */
	int overlay; /* what is in no file yet (store/keeper.h); -1: nothing; the caller's, before and after */
	int candidate; /* files of a policy to be tried (guard/bundle.h), the same; -1: none */
};

/* The answer's end of a pipe, non-blocking; or -errno. */
int answerer_start(const struct answerer_inputs *in, pid_t *ret_pid);

/* "egretd --answer …": the other side. The exit status. */
int answerer_main(int argc, char **argv);
