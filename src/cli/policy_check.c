/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `egret policy check`: everything that can be said of a policy before it is loaded. Messages go to stderr, what it holds
 * to stdout, and whether it could be loaded into the exit status.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/human.h"
#include "base/log.h"
#include "base/time.h"
#include "cli/cmd.h"
#include "cli/recordings.h"
#include "cli/policy_check.h"
#include "policy/image.h"
#include "policy/list.h"

#define MAX_MESSAGES (16U << 20)
#define TIME_LINE_S (8 * 86400) /* as much as egretd works out at once */
#define EXIT_WARNED 1
#define EXIT_UNFIT 2

DEFINE_CLEANUP(struct policy, policy_free);
DEFINE_CLEANUP(struct policy_image, policy_image_free);
DEFINE_CLEANUP(struct geo, geo_free);
#define _cleanup_policy_ _cleanup_(policy_freep)
#define _cleanup_image_ _cleanup_(policy_image_freep)
#define _cleanup_geo_ _cleanup_(geo_freep)

static const char usage[] =
	"usage: egret policy check [OPTION...] FILE\n\n"
	"Tells every mistake of a policy and of the files it includes, and what it holds; '-' is "
	"standard input.\n"
	"Warns of rules that can never match, of lists that are empty or stale, and tells each "
	"'expect' that fails.\n"
	"Nothing is loaded, and no list is fetched.\n\n"
	"  --at TIME       as if it were then: 2027-01-31, 2027-01-31T18:00, ...Z\n"
	"  --config FILE   egret.conf of databases and downloaded lists\n"
	"  --quiet         only messages\n\n"
	"Exit status: 0 all is well, 1 there are warnings, 2 it could not be loaded.\n";

/* Messages of a kind; lines of sources begin with a blank. */
static unsigned count_kind(struct str messages, const char *kind)
{
	struct str line;
	unsigned n = 0;

	while (str_cut(&messages, '\n', &line))
		if (line.n && line.p[0] != ' ' &&
		    (memmem(line.p, line.n, kind, strlen(kind)) ||
		     str_has_prefix(line, str_of(kind + 2))))
			n++;
	return n;
}

static void count_dests(const struct policy_dest *d, size_t n, uint64_t *names, uint64_t *ranges)
{
	for (size_t i = 0; i < n; i++) {
		*names +=
			d[i].kind == DEST_NAME || d[i].kind == DEST_BELOW || d[i].kind == DEST_TREE;
		*ranges += d[i].kind == DEST_RANGE;
	}
}

static void say(uint64_t n, const char *one, const char *many)
{
	char text[HUMAN_TEXT_MAX];

	printf(", %s %s", human_count(n, text), n == 1 ? one : many);
}

static void print_list(const struct policy_list *l, const struct list_report *r, int64_t now_s)
{
	char text[TIME_TEXT_MAX];

	printf("  list %.*s: ", STR_FMT(l->name));
	if (!r || (!r->as_of_s && !r->entries)) {
		puts("absent");
		return;
	}
	printf("%s entries", human_count(r->entries, text));
	if (r->as_of_s && r->as_of_s <= now_s)
		printf(", %s old",
		       duration_format((uint64_t)(now_s - r->as_of_s) * NSEC_PER_SEC, text));
	puts(r->expired ? ", expired" : "");
}

static void print_summary(const char *path, const struct policy *p, const struct policy_image *img,
			  int64_t now_s, unsigned failed)
{
	uint64_t names = 0, ranges = 0;
	char text[HUMAN_TEXT_MAX];

	for (size_t i = 0; i < p->n_sets; i++)
		count_dests(p->sets[i].members, p->sets[i].n_members, &names, &ranges);
	for (size_t i = 0; i < p->n_segments; i++)
		count_dests(p->segments[i].ranges, p->segments[i].n_ranges, &names, &ranges);
	for (size_t i = 0; i < p->n_rules; i++)
		count_dests(p->rules[i].match.to, p->rules[i].match.n_to, &names, &ranges);
	printf("%s: %s %s", path, human_count(p->n_rules, text),
	       p->n_rules == 1 ? "rule" : "rules");
	if (names)
		say(names, "name", "names");
	if (ranges)
		say(ranges, "address or range", "addresses or ranges");
	if (p->n_lists)
		say(p->n_lists, "list", "lists");
	printf(", default %s%s", policy_action_name(p->fallback),
	       p->has_fallback ? "" : " (not said)");
	if (p->n_expects && failed)
		printf(", %u of %zu expectations fail", failed, p->n_expects);
	else if (p->n_expects == 1)
		printf(", the expectation holds");
	else if (p->n_expects)
		printf(", all %zu expectations hold", p->n_expects);
	putchar('\n');
	for (size_t i = 0; i < p->n_lists; i++)
		print_list(&p->lists[i], policy_image_list(img, i), now_s);
}

struct check_args {
	const char *path, *config;
	int64_t at_s;
	bool quiet, lenient;
};

static int open_geo(struct geo **ret, const struct config *config)
{
	char error[256] = "";
	int r;

	if (!config->geo_country[0] && !config->geo_asn[0])
		return 0;
	r = geo_open(ret, config->geo_country[0] ? config->geo_country : NULL,
		     config->geo_asn[0] ? config->geo_asn : NULL, error);
	return r < 0 ? log_errno(r, "%s", error) : 0;
}

/* Lists that this machine does not have are empty: others do. */
static int load_lenient(void *ctx, const struct policy_list *l, struct list_sink sink,
			struct list_report *report)
{
	const struct compile_config *cfg = ctx;
	int r = list_load(l, cfg->list_cache, cfg->from_s, sink, report);

	return r == -ENOENT || r == -EBADMSG ? 0 : r;
}

/* 0, or -errno when it could not be loaded; *ret_failed expectations. */
static int check(const struct check_args *a, const struct config *config, struct buf *messages,
		 struct policy **ret, struct policy_image **ret_img, unsigned *ret_failed)
{
	char lists[sizeof(config->state) + 8];
	struct compile_config cfg = { .from_s = a->at_s,
				      .to_s = a->at_s + TIME_LINE_S,
				      .enforce = true,
				      .list_cache = lists };
	_cleanup_geo_ struct geo *geo = NULL;
	int r;

	snprintf(lists, sizeof(lists), "%s/lists", config->state);
	r = policy_read(ret, a->path, messages);
	if (r < 0)
		return r;
	r = open_geo(&geo, config);
	if (r < 0)
		return r;
	cfg.geo = geo;
	if (a->lenient) {
		cfg.load_list = load_lenient;
		cfg.load_ctx = &cfg;
	}
	r = policy_compile(ret_img, *ret, &cfg, messages);
	if (r < 0)
		return r;
	*ret_failed = policy_check(*ret, *ret_img, a->at_s, messages);
	policy_note_by_sni(*ret, messages);
	policy_note_unenforced(*ret, messages);
	if (!config->store)
		policy_note_unwatched(*ret, messages);
	return 0;
}

struct policy *policy_check_for_others(const char *path, const char *config)
{
	_cleanup_buf_ struct buf messages = BUF_INIT(MAX_MESSAGES);
	_cleanup_policy_ struct policy *policy = NULL;
	_cleanup_image_ struct policy_image *image = NULL;
	struct check_args a = { .path = path,
				.at_s = (int64_t)(time_now() / NSEC_PER_SEC),
				.lenient = true };
	struct config c;
	unsigned failed = 0;
	int r = recordings_config(&c, config);

	if (r == 0)
		r = check(&a, &c, &messages, &policy, &image, &failed);
	fwrite(messages.p ? messages.p : "", 1, messages.n, stderr);
	if (r < 0 && r != -EINVAL && !messages.n)
		log_errno(r, "%s", path);
	/* What a list holds may be known to hosts alone. */
	return r < 0 || (failed && !policy->n_lists) ? NULL : TAKE_PTR(policy);
}

static int run(const struct check_args *a)
{
	_cleanup_buf_ struct buf messages = BUF_INIT(MAX_MESSAGES);
	_cleanup_policy_ struct policy *policy = NULL;
	_cleanup_image_ struct policy_image *image = NULL;
	struct config config;
	unsigned failed = 0, warnings;
	int r;

	if (recordings_config(&config, a->config) < 0)
		return EXIT_UNFIT;
	r = check(a, &config, &messages, &policy, &image, &failed);
	fwrite(messages.p ? messages.p : "", 1, messages.n, stderr);
	if (r < 0 && r != -EINVAL && !messages.n)
		log_errno(r, "%s", a->path);
	if (r < 0)
		return EXIT_UNFIT;
	if (!a->quiet)
		print_summary(a->path, policy, image, a->at_s, failed);
	warnings = count_kind(buf_str(&messages), ": warning: ");
	return failed ? EXIT_UNFIT : warnings ? EXIT_WARNED : 0;
}

int cmd_policy_check(int argc, char **argv)
{
	static const struct option options[] = {
		{ "at", required_argument, NULL, 'a' },
		{ "config", required_argument, NULL, 'c' },
		{ "quiet", no_argument, NULL, 'q' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	struct check_args a = { .config = "", .at_s = (int64_t)(time_now() / NSEC_PER_SEC) };
	int o;

	while ((o = getopt_long(argc, argv, "a:c:qh", options, NULL)) != -1) {
		switch (o) {
		case 'a':
			if (!policy_time_parse(str_of(optarg), false, &a.at_s)) {
				log_error("--at %s: not a time such as 2027-01-31T18:00", optarg);
				return EXIT_USAGE;
			}
			break;
		case 'c':
			a.config = optarg;
			break;
		case 'q':
			a.quiet = true;
			break;
		case 'h':
			fputs(usage, stdout);
			return 0;
		default:
			return EXIT_USAGE;
		}
	}
	if (optind + 1 != argc) {
		fputs(usage, stderr);
		return EXIT_USAGE;
	}
	a.path = argv[optind];
	return run(&a);
}
