/* SPDX-License-Identifier: Apache-2.0 */
/* `egret intel`: the feeds of egretd, and what they say. */
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/human.h"
#include "base/json.h"
#include "base/log.h"
#include "base/time.h"
#include "cli/ask_policy.h"
#include "cli/cmd.h"
#include "cli/table.h"

#define WAIT_MS 200
#define WAIT_TIMES 600

static const char usage[] =
	"usage: egret intel add NAME FILE|URL [--class CLASS] [--format FORMAT] [--confidence N] "
	"[--expire TIME]\n"
	"       egret intel list [--json]\n"
	"       egret intel check INDICATOR [--json]\n"
	"       egret intel stats [--json]\n"
	"       egret intel remove NAME\n"
	"       egret intel refresh\n\n"
	"Feeds of addresses, names, URLs, TLS fingerprints and certificates that others call bad, "
	"in all formats that\n"
	"lists of a policy have. A new feed is built at once and compared with what was met in the "
	"last week.\n\n"
	"  --class CLASS    what it lists: c2 (unless given), malware, phishing, tor, scanner, "
	"suspicious, doh, vpn,\n"
	"                   mining; allow: what it lists takes back what the others say\n"
	"  --format FORMAT  auto (unless given), plain, hosts, adblock, rpz, csv, stix, misp\n"
	"  --confidence N   1 to 100: how far it is to be believed\n"
	"  --expire TIME    what is older is left out (14d, 4w)\n"
	"  --nowait        add, remove: return before the new snapshot is in place\n";

struct intel_args {
	const char *verb, *class, *format;
	uint64_t confidence, expire_s;
	bool json, no_wait;
	char **words;
	int n_words;
};

static json_t *send_request(const char *verb, const struct intel_args *a)
{
	_cleanup_buf_ struct buf out = BUF_INIT(8192);
	struct json j = JSON_INIT(&out);
	char full[PATH_MAX];

	json_object_begin(&j, NULL);
	json_text(&j, "ask", "detect");
	json_text(&j, "do", verb);
	if (!strcmp(verb, "intel-add")) {
		/* The daemon has a working folder of its own. */
		bool is_url = strstr(a->words[1], "://");

		if (!is_url && !realpath(a->words[1], full)) {
			log_errno(errno, "cannot find %s", a->words[1]);
			return NULL;
		}
		json_text(&j, "name", a->words[0]);
		json_text(&j, "source", is_url ? a->words[1] : full);
		json_text(&j, "class", a->class);
		json_text(&j, "format", a->format);
		if (a->confidence)
			json_u64(&j, "confidence", a->confidence);
		if (a->expire_s)
			json_u64(&j, "for", a->expire_s);
	} else if (!strcmp(verb, "intel-remove")) {
		json_text(&j, "name", a->words[0]);
	} else if (!strcmp(verb, "intel-check")) {
		json_text(&j, "indicator", a->words[0]);
	}
	json_object_end(&j);
	return policy_request_send(buf_str(&out), -1);
}

static uint64_t number(const json_t *j, const char *key)
{
	json_int_t v = json_integer_value(json_object_get(j, key));

	return v > 0 ? (uint64_t)v : 0;
}

static const char *word(const json_t *j, const char *key)
{
	const char *s = json_string_value(json_object_get(j, key));

	return s && *s ? s : "-";
}

static void cell_count(struct table *t, const json_t *j, const char *key)
{
	char text[HUMAN_TEXT_MAX];

	table_cell(t, str_of(human_count(number(j, key), text)));
}

static int print_list(const json_t *answer)
{
	static const struct table_column columns[] = { { "NAME" },
						       { "CLASS" },
						       { "ENTRIES", .right = true },
						       { "BAD", .right = true },
						       { "AGE", .right = true },
						       { "FROM", .elastic = true },
						       { "STATE", .elastic = true } };
	const json_t *feeds = json_object_get(answer, "feeds"), *f;
	char age[TIME_TEXT_MAX];
	struct table *t;
	size_t i;

	if (!json_array_size(feeds)) {
		puts("no feeds: 'egret intel add NAME FILE|URL' adds one");
		return EXIT_SUCCESS;
	}
	if (table_new(&t, columns, ARRAY_SIZE(columns)) < 0)
		return EXIT_FAILURE;
	json_array_foreach(feeds, i, f)
	{
		const char *state = json_is_true(json_object_get(f, "expired")) ? "expired"
				    : json_is_true(json_object_get(f, "built")) ? "in use"
										: "not built yet";

		table_cell(t, str_of(word(f, "name")));
		table_cell(t, str_of(word(f, "class")));
		cell_count(t, f, "entries");
		cell_count(t, f, "bad");
		table_cell(t,
			   json_object_get(f, "age_s")
				   ? str_of(duration_format(number(f, "age_s") * NSEC_PER_SEC, age))
				   : STR("-"));
		table_cell(t, str_of(json_object_get(f, "url") ? word(f, "url") : word(f, "file")));
		table_cell(t, str_of(json_object_get(f, "problem") ? word(f, "problem") : state));
	}
	table_print(t, stdout, terminal_width(stdout));
	table_free(t);
	return EXIT_SUCCESS;
}

static int print_stats(const json_t *answer)
{
	static const char *const keys[] = { "indicators", "addresses", "ranges", "names",
					    "urls",       "hashes",    "allowed" };
	char text[HUMAN_TEXT_MAX];

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		printf("%-12s %s\n", keys[i], human_count(number(answer, keys[i]), text));
	printf("%-12s %zu\n", "feeds", json_array_size(json_object_get(answer, "feeds")));
	printf("%-12s %s\n", "file", human_bytes(number(answer, "file_bytes"), text));
	printf("%-12s %s contacts of the last week are listed\n", "matched",
	       human_count(number(answer, "matched"), text));
	if (json_is_true(json_object_get(answer, "building")))
		puts("a new snapshot is being built");
	if (json_object_get(answer, "problem"))
		printf("problem      %s\n", word(answer, "problem"));
	return EXIT_SUCCESS;
}

/* Exit status 3: it is listed, as with grep turned round: a script that asks wants to know. */
static int print_hits(const json_t *answer, const char *indicator)
{
	const json_t *hits = json_object_get(answer, "hits"), *h;
	size_t i;

	if (json_object_get(answer, "problem"))
		printf("%s\n", word(answer, "problem"));
	json_array_foreach(hits, i, h) printf(
		"%s: %s as %s by feed %s%s%s, confidence %llu, %s %.10s, weighs %lld dB%s\n",
		indicator, word(h, "kind"), word(h, "class"), word(h, "feed"),
		json_object_get(h, "note") ? ": " : "",
		json_object_get(h, "note") ? word(h, "note") : "",
		(unsigned long long)number(h, "confidence"),
		json_is_true(json_object_get(h, "dated")) ? "last seen" : "in a feed of",
		word(h, "seen"), json_integer_value(json_object_get(h, "weight_db")),
		json_is_true(json_object_get(h, "cancelled")) ? " (taken back by an allow feed)"
							      : "");
	if (!json_array_size(hits) && !json_object_get(answer, "problem"))
		printf("%s: not listed\n", indicator);
	return json_array_size(hits) ? EXIT_DIFFERS : EXIT_SUCCESS;
}

/* Until the snapshot is in place, then what it came to. */
static int wait_until_built(const struct intel_args *a)
{
	for (int i = 0; i < WAIT_TIMES; i++) {
		json_t *answer = send_request("intel-list", a);
		bool building = json_is_true(json_object_get(answer, "building"));

		if (!answer)
			return EXIT_FAILURE;
		if (!building) {
			print_list(answer);
			printf("\n%llu contacts of the last week are listed%s\n",
			       (unsigned long long)number(answer, "matched"),
			       number(answer, "matched") ? ": 'egret findings --detector intel'"
							 : "");
		}
		json_decref(answer);
		if (!building)
			return EXIT_SUCCESS;
		nanosleep(&(struct timespec){ .tv_nsec = WAIT_MS * 1000000L }, NULL);
	}
	puts("still being built: 'egret intel list' shows when it is in use");
	return EXIT_SUCCESS;
}

static int change(const char *verb, const struct intel_args *a)
{
	json_t *answer = send_request(verb, a);
	int status;

	if (!answer)
		return EXIT_FAILURE;
	status = policy_request_print(answer);
	json_decref(answer);
	return status || a->no_wait ? status : wait_until_built(a);
}

static int ask(const char *verb, const struct intel_args *a)
{
	json_t *answer = send_request(verb, a);
	int status;

	if (!answer)
		return EXIT_FAILURE;
	if (a->json) {
		json_dumpf(answer, stdout, JSON_COMPACT);
		putchar('\n');
		status = EXIT_SUCCESS;
	} else if (!strcmp(a->verb, "check")) {
		status = print_hits(answer, a->words[0]);
	} else {
		status = !strcmp(a->verb, "stats") ? print_stats(answer) : print_list(answer);
	}
	json_decref(answer);
	return status;
}

static int run(const struct intel_args *a)
{
	static const struct {
		const char *verb, *ask;
		int words;
		bool changes;
	} verbs[] = {
		{ "add", "intel-add", 2, true },         { "remove", "intel-remove", 1, true },
		{ "refresh", "intel-refresh", 0, true }, { "list", "intel-list", 0, false },
		{ "stats", "intel-list", 0, false },     { "check", "intel-check", 1, false },
	};

	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++)
		if (!strcmp(verbs[i].verb, a->verb) && verbs[i].words == a->n_words)
			return (verbs[i].changes ? change : ask)(verbs[i].ask, a);
	fputs(usage, stderr);
	return EXIT_USAGE;
}

int cmd_intel(int argc, char **argv)
{
	static const struct option options[] = {
		{ "class", required_argument, NULL, 'c' },
		{ "format", required_argument, NULL, 'f' },
		{ "confidence", required_argument, NULL, 'n' },
		{ "expire", required_argument, NULL, 'e' },
		{ "json", no_argument, NULL, 'j' },
		{ "nowait", no_argument, NULL, 'w' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	struct intel_args a = { 0 };
	uint64_t ns;
	int o;

	while ((o = getopt_long(argc, argv, "jh", options, NULL)) != -1) {
		switch (o) {
		case 'c':
			a.class = optarg;
			break;
		case 'f':
			a.format = optarg;
			break;
		case 'n':
			if (str_parse_u64(str_of(optarg), &a.confidence) < 0 || !a.confidence ||
			    a.confidence > 100) {
				log_error("--confidence is a number from 1 to 100");
				return EXIT_USAGE;
			}
			break;
		case 'e':
			if (duration_parse(str_of(optarg), &ns) < 0 || ns < NSEC_PER_SEC) {
				log_error("'%s' is no time like 14d", optarg);
				return EXIT_USAGE;
			}
			a.expire_s = ns / NSEC_PER_SEC;
			break;
		case 'j':
			a.json = true;
			break;
		case 'w':
			a.no_wait = true;
			break;
		case 'h':
			fputs(usage, stdout);
			return EXIT_SUCCESS;
		default:
			return EXIT_USAGE;
		}
	}
	if (optind == argc) {
		fputs(usage, stderr);
		return EXIT_USAGE;
	}
	a.verb = argv[optind++];
	a.words = argv + optind;
	a.n_words = argc - optind;
	return run(&a);
}
