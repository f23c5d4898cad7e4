/* SPDX-License-Identifier: Apache-2.0 */
/* `egret ack`: a finding is ordinary here. What it covers is kept and shown, but not told; dated, listed, and over one day. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "base/log.h"
#include "base/time.h"
#include "cli/ask_policy.h"
#include "cli/cmd.h"
#include "cli/table.h"

static const char usage[] =
	"usage: egret ack ID --benign [--scope exe+peer|exe|peer] [--detector NAME] [--for TIME] "
	"[--note TEXT]\n"
	"       egret ack --benign [--exe PATH] [--peer DOMAIN|ADDRESS:PORT] [--detector NAME] …\n"
	"       egret ack --list\n"
	"       egret ack --remove NUMBER\n\n"
	"Declares a finding ordinary: what the scope covers is kept and shown as acknowledged, and "
	"told no "
	"more, until its\ntime is over (30d unless --for says so).\n\n"
	"  --scope S        what of the finding: its program and its peer (exe+peer), or one of "
	"them\n"
	"  --detector NAME  only what this detector finds\n"
	"  --list           the exceptions there are, with their numbers\n";

struct ack_args {
	const char *id, *scope, *exe, *peer, *detector, *note;
	uint64_t for_s, remove;
	bool benign, list;
};

static json_t *request(const struct ack_args *a)
{
	_cleanup_buf_ struct buf out = BUF_INIT(8192);
	struct json j = JSON_INIT(&out);

	json_object_begin(&j, NULL);
	json_text(&j, "ask", "detect");
	json_text(&j, "do", a->list ? "exceptions" : a->remove ? "unack" : "ack");
	if (a->remove)
		json_u64(&j, "number", a->remove);
	json_text(&j, "id", a->id);
	json_text(&j, "entity", a->exe);
	json_text(&j, "peer", a->peer);
	json_text(&j, "detector", a->detector);
	json_text(&j, "note", a->note);
	if (a->scope && strcmp(a->scope, "exe+peer"))
		json_text(&j, "class", strcmp(a->scope, "exe") ? "peer" : "entity");
	if (a->for_s)
		json_u64(&j, "for", a->for_s);
	json_object_end(&j);
	return policy_request_send(buf_str(&out), -1);
}

static const char *word(const json_t *j, const char *key)
{
	const char *s = json_string_value(json_object_get(j, key));

	return s && *s ? s : "-";
}

static int print_list(const json_t *answer)
{
	static const struct table_column columns[] = { { "NUMBER", .right = true },
						       { "PROGRAM", .elastic = true },
						       { "PEER", .elastic = true },
						       { "DETECTOR" },
						       { "UNTIL" },
						       { "NOTE", .elastic = true } };
	const json_t *all = json_object_get(answer, "exceptions"), *e;
	struct table *t;
	size_t i;

	if (!json_array_size(all)) {
		puts("no exceptions");
		return EXIT_SUCCESS;
	}
	if (table_new(&t, columns, ARRAY_SIZE(columns)) < 0)
		return EXIT_FAILURE;
	json_array_foreach(all, i, e)
	{
		char n[24];

		snprintf(n, sizeof(n), "%lld", json_integer_value(json_object_get(e, "number")));
		table_cell(t, str_of(n));
		table_cell(t, str_of(word(e, "entity")));
		table_cell(t, str_of(word(e, "peer")));
		table_cell(t, str_of(word(e, "detector")));
		table_cell(t, json_is_true(json_object_get(e, "over"))
				      ? STR("over")
				      : str_sub(str_of(word(e, "until")), 0, 19));
		table_cell(t, str_of(word(e, "note")));
	}
	table_print(t, stdout, terminal_width(stdout));
	table_free(t);
	return EXIT_SUCCESS;
}

static int run(const struct ack_args *a)
{
	json_t *answer = request(a);
	int status;

	if (!answer)
		return EXIT_FAILURE;
	if (a->list) {
		status = print_list(answer);
	} else {
		status =
			json_is_true(json_object_get(answer, "done")) ? EXIT_SUCCESS : EXIT_FAILURE;
		if (status)
			log_error("%s", word(answer, "messages"));
		else if (a->remove)
			puts("taken away");
		else
			printf("acknowledged: %s to %s%s%s\n", word(answer, "entity"),
			       word(answer, "peer"), a->detector ? ", " : "",
			       a->detector ? a->detector : "");
	}
	json_decref(answer);
	return status;
}

static bool is_complete(const struct ack_args *a)
{
	if (a->list || a->remove)
		return !a->id && !a->benign;
	if (!a->benign || (a->scope && !a->id))
		return false;
	return a->id || a->exe || a->peer || a->detector;
}

int cmd_ack(int argc, char **argv)
{
	static const struct option options[] = {
		{ "benign", no_argument, NULL, 'b' },
		{ "scope", required_argument, NULL, 's' },
		{ "exe", required_argument, NULL, 'e' },
		{ "peer", required_argument, NULL, 'p' },
		{ "detector", required_argument, NULL, 'd' },
		{ "note", required_argument, NULL, 'n' },
		{ "for", required_argument, NULL, 'f' },
		{ "list", no_argument, NULL, 'l' },
		{ "remove", required_argument, NULL, 'r' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	struct ack_args a = { 0 };
	uint64_t ns;
	int o;

	while ((o = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (o) {
		case 'b':
			a.benign = true;
			break;
		case 's':
			a.scope = optarg;
			if (strcmp(optarg, "exe+peer") && strcmp(optarg, "exe") &&
			    strcmp(optarg, "peer")) {
				log_error("--scope is exe+peer, exe or peer");
				return EXIT_USAGE;
			}
			break;
		case 'e':
			a.exe = optarg;
			break;
		case 'p':
			a.peer = optarg;
			break;
		case 'd':
			a.detector = optarg;
			break;
		case 'n':
			a.note = optarg;
			break;
		case 'f':
			if (duration_parse(str_of(optarg), &ns) < 0 || ns < NSEC_PER_SEC) {
				log_error("'%s' is no time like 24h or 30d", optarg);
				return EXIT_USAGE;
			}
			a.for_s = ns / NSEC_PER_SEC;
			break;
		case 'l':
			a.list = true;
			break;
		case 'r':
			if (str_parse_u64(str_of(optarg), &a.remove) < 0 || !a.remove) {
				log_error("'%s' is no number that 'egret ack --list' shows",
					  optarg);
				return EXIT_USAGE;
			}
			break;
		case 'h':
			fputs(usage, stdout);
			return EXIT_SUCCESS;
		default:
			return EXIT_USAGE;
		}
	}
	if (optind < argc)
		a.id = argv[optind++];
	if (optind < argc || !is_complete(&a)) {
		fputs(usage, stderr);
		return EXIT_USAGE;
	}
	return run(&a);
}
