/* SPDX-License-Identifier: Apache-2.0 */
/* `egret block` and `egret unblock`: a dated rule in front of all others, said in a few words. */
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "base/log.h"
#include "base/time.h"
#include "cli/ask_policy.h"
#include "cli/cmd.h"

#define RULE_MAX 1024

static const char usage_block[] =
	"usage: egret block [OPTION...] [DEST...]\n\n"
	"Refuses at once what goes to DEST, or what a program or user sends, before all rules of "
	"the policy. DEST is\n"
	"what 'to' takes: a name, *.name, an address, a network. Needs no policy.\n\n"
	"  --app PROGRAM   path of the program; a name alone stands for any path that ends in it\n"
	"  --user NAME     user name or number\n"
	"  --for TIME      take it away after so long (30m, 1h, 7d)\n"
	"  --note TEXT     kept with the rule, shown in records\n"
	"  --reject        answer with an error instead of silence\n";

static const char usage_unblock[] =
	"usage: egret unblock [--app PROGRAM] [--user NAME] [--reject] [DEST...]\n"
	"       egret unblock --rule TEXT\n"
	"       egret unblock --all\n\n"
	"Takes a rule away that 'egret block' with the same words put in force, the rule with this "
	"text as 'egret\n"
	"policy show' prints it, or all.\n";

struct block_args {
	const char *app, *user, *note, *rule;
	uint64_t for_s;
	bool reject, all;
	char **dests;
	int n_dests;
};

static const struct option options[] = {
	{ "app", required_argument, NULL, 'a' },
	{ "user", required_argument, NULL, 'u' },
	{ "for", required_argument, NULL, 'f' },
	{ "note", required_argument, NULL, 'n' },
	{ "rule", required_argument, NULL, 'r' },
	{ "reject", no_argument, NULL, 'x' },
	{ "all", no_argument, NULL, 'A' },
	{ "help", no_argument, NULL, 'h' },
	{ 0 },
};

static bool is_path(const char *s)
{
	return strchr(s, '/') != NULL;
}

/* What a person says for a program, as a pattern of the policy. */
static int put_app(struct buf *out, const char *app)
{
	char full[PATH_MAX];

	if (strpbrk(app, "\"\n")) {
		log_error("a program's path has no quotes");
		return -1;
	}
	if (!is_path(app))
		buf_printf(out, " app \"**/%s\"", app);
	else if (app[0] == '/' || app[0] == '*')
		buf_printf(out, " app \"%s\"", app);
	else if (realpath(app, full) && !strpbrk(full, "\"\n"))
		buf_printf(out, " app \"%s\"", full);
	else
		return log_errno(ENOENT, "cannot find %s", app);
	return 0;
}

/* The rule's text; the same words give the same text, by which it is taken away again. */
static int put_rule(struct buf *out, const struct block_args *a)
{
	if (a->rule) {
		buf_puts(out, a->rule);
		return 0;
	}
	buf_puts(out, a->reject ? "reject" : "deny");
	if (a->app && put_app(out, a->app) < 0)
		return -1;
	if (a->user)
		buf_printf(out, " user %s", a->user);
	for (int i = 0; i < a->n_dests; i++)
		buf_printf(out, "%s%s", i ? ", " : " to ", a->dests[i]);
	if (out->failed || strchr(out->p, '\n')) {
		log_error("too many or too long words for one rule");
		return -1;
	}
	return 0;
}

static int send_request(const char *verb, const struct block_args *a)
{
	_cleanup_buf_ struct buf request = BUF_INIT(8192), rule = BUF_INIT(RULE_MAX);
	struct json j = JSON_INIT(&request);
	const char *mode;
	json_t *answer;
	int status;

	if (!a->all && put_rule(&rule, a) < 0)
		return EXIT_USAGE;
	policy_request_begin(&j, verb);
	if (a->all)
		json_bool(&j, "all", true);
	else
		json_str(&j, "rule", buf_str(&rule));
	if (a->for_s)
		json_u64(&j, "for", a->for_s);
	json_text(&j, "note", a->note);
	json_object_end(&j);
	answer = policy_request_send(buf_str(&request), -1);
	if (!answer)
		return EXIT_FAILURE;
	status = policy_request_print(answer);
	mode = json_string_value(json_object_get(answer, "mode"));
	if (!status && !a->all)
		printf("%s: %s%s\n", verb[0] == 'b' ? "in force" : "taken away", rule.p,
		       mode && !strcmp(mode, "watch") && verb[0] == 'b'
			       ? " (the policy is in watch mode, this rule is not)"
			       : "");
	json_decref(answer);
	return status;
}

static int usage_error(const char *text)
{
	fputs(text, stderr);
	return EXIT_USAGE;
}

/* -1: go on; else the exit status. */
static int parse(int argc, char **argv, struct block_args *a, const char *usage)
{
	uint64_t ns;
	int o;

	while ((o = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (o) {
		case 'a':
			a->app = optarg;
			break;
		case 'u':
			a->user = optarg;
			break;
		case 'n':
			a->note = optarg;
			break;
		case 'r':
			a->rule = optarg;
			break;
		case 'f':
			if (duration_parse(str_of(optarg), &ns) < 0 || ns < NSEC_PER_SEC) {
				log_error("'%s' is no time like 30m or 1h", optarg);
				return EXIT_USAGE;
			}
			a->for_s = ns / NSEC_PER_SEC;
			break;
		case 'x':
			a->reject = true;
			break;
		case 'A':
			a->all = true;
			break;
		case 'h':
			fputs(usage, stdout);
			return EXIT_SUCCESS;
		default:
			return EXIT_USAGE;
		}
	}
	a->dests = argv + optind;
	a->n_dests = argc - optind;
	return -1;
}

int cmd_block(int argc, char **argv)
{
	struct block_args a = { 0 };
	int r = parse(argc, argv, &a, usage_block);

	if (r >= 0)
		return r;
	if (a.all || a.rule || (!a.app && !a.user && !a.n_dests))
		return usage_error(usage_block);
	return send_request("block", &a);
}

int cmd_unblock(int argc, char **argv)
{
	struct block_args a = { 0 };
	int r = parse(argc, argv, &a, usage_unblock);
	bool words;

	if (r >= 0)
		return r;
	words = a.app || a.user || a.n_dests || a.reject;
	if (a.for_s || a.note || a.all + !!a.rule + words != 1)
		return usage_error(usage_unblock);
	return send_request("unblock", &a);
}
