/* SPDX-License-Identifier: Apache-2.0 */
/* `egret page`: the address of the page with a token in it, which a browser keeps to itself. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "base/log.h"
#include "base/time.h"
#include "cli/ask.h"
#include "cli/cmd.h"

static const char usage[] =
	"usage: egret page [--change] [--for TIME]\n"
	"       egret page --revoke\n\n"
	"Prints the address of the page, with a token in it that lets look for 12 hours. The token "
	"stands behind the '#',\n"
	"which a browser sends to nobody.\n\n"
	"  --change    it also lets change: load a policy, block, acknowledge (root)\n"
	"  --for TIME  it holds so long, as 8h; at most 30d\n"
	"  --revoke    no token that was ever given holds any more (root)\n"
	"  --json      print egretd's answer\n";

struct page_args {
	bool change, revoke, as_json;
	uint64_t for_s;
};

static void put_request(struct buf *out, const struct page_args *a)
{
	struct json j = JSON_INIT(out);

	json_object_begin(&j, NULL);
	json_text(&j, "ask", "page");
	json_text(&j, "do", a->revoke ? "revoke" : "link");
	if (a->change)
		json_bool(&j, "change", true);
	if (a->for_s)
		json_u64(&j, "for", a->for_s);
	json_object_end(&j);
}

static void print_answer(const struct page_args *a, const json_t *j)
{
	const char *url = json_string_value(json_object_get(j, "url"));
	json_int_t left;
	char text[TIME_TEXT_MAX];

	if (a->revoke) {
		printf("revoked: %lld\n",
		       (long long)json_integer_value(json_object_get(j, "revoked")));
		return;
	}
	left = json_integer_value(json_object_get(j, "until")) -
	       (json_int_t)(time_now() / NSEC_PER_SEC);
	printf("%s\n", url ? url : "");
	fprintf(stderr, "lets %s for %s\n", a->change ? "look and change" : "look",
		duration_format((uint64_t)(left > 0 ? left : 0) * NSEC_PER_SEC, text));
}

static int ask_page(const struct page_args *a)
{
	_cleanup_buf_ struct buf request = BUF_INIT(1024);
	struct client *c;
	struct str line;
	char why[256];
	json_t *j = NULL;

	put_request(&request, a);
	if (ask_daemon(&c, arg_run, buf_str(&request), why) < 0) {
		log_error("%s", why);
		return EXIT_FAILURE;
	}
	if (client_line(c, &line) > 0)
		j = ask_parse(line, why);
	else
		snprintf(why, sizeof(why), "egretd hung up");
	if (!j)
		log_error("%s", why);
	else if (a->as_json)
		printf("%.*s\n", STR_FMT(line));
	else
		print_answer(a, j);
	client_free(c);
	json_decref(j);
	return j ? EXIT_SUCCESS : EXIT_FAILURE;
}

int cmd_page(int argc, char **argv)
{
	static const struct option options[] = {
		{ "change", no_argument, NULL, 'c' }, { "for", required_argument, NULL, 'f' },
		{ "revoke", no_argument, NULL, 'r' }, { "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },   { 0 },
	};
	struct page_args args = { 0 };
	uint64_t ns;
	int o;

	while ((o = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (o) {
		case 'c':
			args.change = true;
			break;
		case 'f':
			if (duration_parse(str_of(optarg), &ns) < 0 || ns < 60 * NSEC_PER_SEC ||
			    ns > 30 * 86400 * NSEC_PER_SEC) {
				log_error("'%s' is no time like 30m or 8h, of 1 minute to 30 days",
					  optarg);
				return EXIT_USAGE;
			}
			args.for_s = ns / NSEC_PER_SEC;
			break;
		case 'r':
			args.revoke = true;
			break;
		case 'j':
			args.as_json = true;
			break;
		case 'h':
			fputs(usage, stdout);
			return 0;
		default:
			return EXIT_USAGE;
		}
	}
	if (optind != argc || (args.revoke && (args.change || args.for_s))) {
		fputs(usage, stderr);
		return EXIT_USAGE;
	}
	return ask_page(&args);
}
