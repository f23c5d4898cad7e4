/* SPDX-License-Identifier: Apache-2.0 */
/* `egret doctor`: what this kernel offers, what is pinned, what is lost without the rest, and what would help. */
#include <dirent.h>
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "attach/features.h"
#include "base/cleanup.h"
#include "cli/cmd.h"
#include "cli/table.h"
#include "serve/client.h"

#define MAX_FEATURES 64
#define PIN_ROOT "/sys/fs/bpf/egret"

static const char usage[] = "usage: egret doctor\n\n"
			    "Tries what egret needs of this kernel and says what is there, what is "
			    "lost without the rest and what\n"
			    "would help. Run as root: without rights it cannot try. Exit status 1 "
			    "when egret cannot watch here.\n";

static void print_features(const struct feature *features, size_t n)
{
	static const char *const state[] = { "yes", "NO", "no rights to try" };
	const struct table_column columns[] = {
		{ "FEATURE" }, { "HERE" }, { "USED FOR" }, { "DETAIL" }
	};
	struct table *t;

	if (table_new(&t, columns, ARRAY_SIZE(columns)) < 0)
		return;
	for (size_t i = 0; i < n; i++) {
		table_cell(t, str_of(features[i].name));
		table_cell(t, str_of(state[features[i].state]));
		table_cell(t, str_of(features[i].used_for));
		table_cell(t, str_of(features[i].detail));
	}
	table_print(t, stdout, 0);
	table_free(t);
}

/* The features that are not there, in words; true: egret can run all the same. */
static bool print_missing(const struct feature *features, size_t n)
{
	bool can_run = true;

	for (size_t i = 0; i < n; i++) {
		const struct feature *f = &features[i];

		if (f->state == FEATURE_YES)
			continue;
		printf("\n%s: %s\n", f->name, f->lost ? f->lost : "egret cannot watch without it");
		if (f->since)
			printf("  in Linux since %s\n", f->since);
		if (f->remedy)
			printf("  %s\n", f->remedy);
		can_run &= f->lost != NULL;
	}
	return can_run;
}

/* Names below `path`, one a line; how many. */
static int print_pins(const char *path, int depth)
{
	DIR *d = opendir(path);
	struct dirent *e;
	int n = 0;

	while (d && (e = readdir(d))) {
		char below[512];

		if (e->d_name[0] == '.')
			continue;
		snprintf(below, sizeof(below), "%s/%s", path, e->d_name);
		printf("  %s\n", below);
		n++;
		if (e->d_type == DT_DIR && depth < 4)
			n += print_pins(below, depth + 1);
	}
	if (d)
		closedir(d);
	return n;
}

static json_t *ask_status(void)
{
	struct client *c;
	struct str line;
	json_t *j = NULL;
	int r = client_new(&c, arg_run, STR("{\"ask\":\"status\"}"));

	if (r < 0) {
		printf("\negretd: %s (%s/egret.sock: %s)\n",
		       r == -EACCES ? "cannot be asked" : "not running", arg_run, strerror(-r));
		return NULL;
	}
	printf("\negretd: running (%s/egret.sock)\n", arg_run);
	if (client_line(c, &line) > 0)
		j = json_loadb(line.p, line.n, 0, NULL);
	client_free(c);
	return j;
}

static void print_trust(const json_t *policy)
{
	const json_t *all = json_object_get(policy, "resolvers"), *v;
	size_t i;

	printf("DNS answers that name addresses for rules come from:");
	json_array_foreach(all, i, v) printf(" %.64s", json_string_value(v) ?: "?");
	puts(json_array_size(all) ? "" : " nobody; 'to NAME' never holds");
}

/* How the running daemon enforces, and what of that is weaker than it could be. */
static void print_daemon(void)
{
	json_t *j = ask_status();
	const json_t *policy = json_object_get(j, "policy");
	const char *mode = json_string_value(json_object_get(policy, "mode"));

	if (!mode) {
		json_decref(j);
		return;
	}
	printf("policy: %.20s%s\n", mode,
	       json_is_true(json_object_get(policy, "pinned")) ? ", pinned: goes on without egretd"
							       : "");
	print_trust(policy);
	if (!json_is_true(json_object_get(j, "backstop")))
		puts("backstop: off; what packet sockets send is not judged (egret.conf: backstop "
		     "on)");
	else
		puts("backstop: on, at tc egress");
	if (json_object_get(policy, "problem"))
		printf("problem: %.250s\n", json_string_value(json_object_get(policy, "problem")));
	json_decref(j);
}

/* Paths in rules are the host's: a program is only told from another's in the mount namespace of the host. */
static void print_mounts(void)
{
	struct stat here, init;

	if (stat("/proc/self/ns/mnt", &here) < 0 || stat("/proc/1/ns/mnt", &init) < 0)
		puts("mount namespace: cannot be compared with that of process 1");
	else if (here.st_ino != init.st_ino)
		puts("mount namespace: not that of process 1; paths of programs are those of this "
		     "one");
	else
		puts("mount namespace: the host's");
}

int cmd_doctor(int argc, char **argv)
{
	struct feature features[MAX_FEATURES];
	size_t n;
	bool can_run;

	if (argc > 1) {
		fputs(usage, strcmp(argv[1], "--help") ? stderr : stdout);
		return strcmp(argv[1], "--help") ? EXIT_USAGE : 0;
	}
	n = features_probe(features, MAX_FEATURES);
	print_features(features, n);
	can_run = print_missing(features, n);
	printf("\npinned below " PIN_ROOT ":\n");
	if (!print_pins(PIN_ROOT, 0))
		puts("  nothing (what egret attaches now goes away with its process)");
	print_mounts();
	print_daemon();
	printf("\n%s\n", can_run ? "egret can watch this host." : "egret cannot watch this host.");
	return can_run ? EXIT_SUCCESS : EXIT_FAILURE;
}
