/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `egret policy learn`: a policy from what was recorded. The recording is read again and judged by the text that would be
 * printed; what it would refuse gets a narrow rule of its own, and a text that still refuses something is not printed.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/human.h"
#include "base/log.h"
#include "base/time.h"
#include "cli/cmd.h"
#include "cli/offline.h"
#include "cli/policy_diff.h"
#include "cli/recordings.h"
#include "policy/image.h"
#include "policy/learn.h"

#define MAX_INSIDE 64
#define LAST_DEFAULT (7 * 86400 * NSEC_PER_SEC)
#define ROUNDS 3
#define TEXT_MAX (64U << 20)

static const char usage[] =
	"usage: egret policy learn [OPTION...] [FILE...]\n\n"
	"The smallest readable policy that allows what was recorded, and refuses all else. FILE: "
	"captures, Zeek\n"
	"logs or egret's records (eve.json), packed or not; without any, the history of this "
	"host.\n\n"
	"  --segments      which segment opens flows to which, at which ports, whoever it is; "
	"refuses all other pairs\n"
	"  --policy FILE   segments are those of this policy, not of the one in force\n"
	"  --last DUR      only what is not older (7d without FILE)\n"
	"  --app APP       only rules for this program: a path or name, '*' and '?' allowed\n"
	"  --inside CIDR   what counts as ours in captures (may be given again)\n"
	"  -o FILE         write it there instead of to standard output\n"
	"  -c FILE         egret.conf, for where the history is\n";

struct learn_args {
	const char *config, *app, *output, *policy;
	bool segments;
	uint64_t last_ns;
	struct cidr inside[MAX_INSIDE];
	size_t n_inside;
	char **files;
	size_t n_files;
};

struct run {
	struct learn *learn;
	struct offline offline;
	uint64_t refused, judged;
	struct offline segments; /* the policy that defines them */
};

static void first_time(void *ctx, const struct recorded *r)
{
	struct run *run = ctx;

	learn_add(run->learn, r);
}

static void again(void *ctx, const struct recorded *r)
{
	struct run *run = ctx;
	struct judgement v;

	if (!learn_wants(run->learn, r))
		return;
	run->judged++;
	if (judge_flow(run->offline.judge, r, &v) == 0 && !v.refuses && !v.needs_who)
		return;
	run->refused++;
	learn_refused(run->learn, r);
}

static void put_head(struct buf *head, const struct learn_args *a,
		     const struct recordings_stats *stats, const struct learn *l)
{
	const struct learn_counts *c = learn_counts(l);
	char text[HUMAN_TEXT_MAX];

	buf_puts(head, "# Learned by `egret policy learn`: ");
	if (a->app)
		buf_printf(head, "flows of %s, ", a->app);
	recordings_describe(stats, head);
	if (a->segments)
		buf_puts(head, ", by segments");
	buf_printf(head, ".\n# Allows what was recorded (%s kinds of flows) and nothing else.\n",
		   human_count(c->triples, text));
	if (stats->no_who && !a->segments)
		buf_puts(head,
			 "# Some of it does not say which program it was: those rules are for all "
			 "programs.\n");
	buf_putc(head, '\n');
}

/* Expectations that fail are left out of the next text. */
static bool expects_hold(struct run *run, const struct recordings_stats *stats)
{
	_cleanup_buf_ struct buf unsaid = BUF_INIT(TEXT_MAX);
	unsigned failed = policy_check(run->offline.policy, judge_image(run->offline.judge),
				       (int64_t)(stats->last_ns / NSEC_PER_SEC), &unsaid);

	if (failed)
		learn_expect_less(run->learn);
	return !failed;
}

/* Text that lets all of it pass, proved by judging it. */
static int make_text(struct run *run, const struct learn_args *a, const struct recordings *what,
		     const struct config *config, struct recordings_stats *stats, struct buf *text)
{
	_cleanup_buf_ struct buf head = BUF_INIT(65536);
	int r;

	put_head(&head, a, stats, run->learn);
	for (int round = 0; round < ROUNDS; round++) {
		buf_clear(text);
		r = learn_text(run->learn, buf_str(&head), text);
		if (r < 0)
			return log_errno(r, "too many different flows for a policy");
		r = offline_parse(&run->offline, "learned policy", buf_str(text), config,
				  stats->last_ns);
		if (r < 0)
			return log_errno(r, "the learned policy cannot be read back");
		if (a->segments && !expects_hold(run, stats)) {
			offline_close(&run->offline);
			continue;
		}
		run->refused = run->judged = 0;
		r = recordings_read(what, again, run, stats);
		offline_close(&run->offline);
		if (r < 0)
			return r;
		if (!run->refused)
			return 0;
	}
	log_error("no policy was found that lets pass all of it: %llu flows would be refused",
		  (unsigned long long)run->refused);
	return -EINVAL;
}

static int write_out(const char *path, const struct buf *text)
{
	FILE *f = path ? fopen(path, "we") : stdout;
	int r;

	if (!f)
		return log_errno(errno, "cannot write %s", path);
	r = fwrite(text->p, 1, text->n, f) == text->n && fflush(f) == 0 ? 0 : -errno;
	if (path && fclose(f) != 0 && r == 0)
		r = -errno;
	return r < 0 ? log_errno(r, "cannot write %s", path ? path : "to standard output") : 0;
}

/* Without segments there is nothing to learn by; what was seen says which there might be. */
static int need_segments(struct run *run, const struct recordings *what)
{
	static const struct policy none = { 0 };
	_cleanup_buf_ struct buf text = BUF_INIT(65536);
	const struct policy *p = run->segments.policy ? run->segments.policy : &none;
	struct recordings_stats stats;
	int r = learn_by_segments(run->learn, p);

	if (r < 0)
		return log_errno(r, "cannot start");
	if (p->n_segments)
		return 0;
	log_error("no segment is defined: write some into the policy in force, or into a file for "
		  "--policy, as: segment office = 10.1.0.0/24");
	r = recordings_read(what, first_time, run, &stats);
	if (r == 0 && learn_suggest_segments(run->learn, &text) == 0 && text.n)
		fprintf(stderr,
			"The private networks that were seen, to be named and joined:\n%.*s",
			STR_FMT(buf_str(&text)));
	return -ENOENT;
}

static int learn_all(const struct learn_args *a, const struct recordings *what,
		     const struct config *config)
{
	_cleanup_buf_ struct buf text = BUF_INIT(TEXT_MAX);
	struct recordings_stats stats;
	struct run run = { 0 };
	char flows[HUMAN_TEXT_MAX], kinds[HUMAN_TEXT_MAX];
	int r = learn_new(&run.learn, a->app);

	if (r < 0)
		return log_errno(r, "cannot start");
	if (a->segments) {
		policy_open_before(&run.segments, a->policy, config); /* told when there is none */
		r = need_segments(&run, what);
	}
	if (r == 0)
		r = recordings_read(what, first_time, &run, &stats);
	if (r == 0 && !learn_counts(run.learn)->flows) {
		log_error("nothing was recorded that a policy could allow");
		r = -ENODATA;
	}
	if (r == 0)
		r = make_text(&run, a, what, config, &stats, &text);
	if (r == 0)
		r = write_out(a->output, &text);
	if (r == 0)
		fprintf(stderr, "%s flows of %s kinds in %zu statements; judged by it, all pass\n",
			human_count(learn_counts(run.learn)->flows, flows),
			human_count(learn_counts(run.learn)->triples, kinds),
			learn_counts(run.learn)->statements);
	learn_free(run.learn);
	offline_close(&run.segments);
	return r;
}

/* -1: go on; else the exit status. */
static int parse_args(int argc, char **argv, struct learn_args *a)
{
	static const struct option options[] = {
		{ "last", required_argument, NULL, 'l' },
		{ "app", required_argument, NULL, 'a' },
		{ "segments", no_argument, NULL, 's' },
		{ "policy", required_argument, NULL, 'p' },
		{ "inside", required_argument, NULL, 'i' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	int o;

	while ((o = getopt_long(argc, argv, "c:o:h", options, NULL)) != -1) {
		switch (o) {
		case 'l':
			if (duration_parse(str_of(optarg), &a->last_ns) < 0 || !a->last_ns) {
				log_error("--last %s: no duration (as 7d)", optarg);
				return EXIT_USAGE;
			}
			break;
		case 'a':
			a->app = optarg;
			break;
		case 's':
			a->segments = true;
			break;
		case 'p':
			a->policy = optarg;
			break;
		case 'i':
			if (a->n_inside == MAX_INSIDE ||
			    cidr_parse(str_of(optarg), &a->inside[a->n_inside]) < 0) {
				log_error("--inside %s: not an address or network", optarg);
				return EXIT_USAGE;
			}
			a->n_inside++;
			break;
		case 'o':
			a->output = optarg;
			break;
		case 'c':
			a->config = optarg;
			break;
		case 'h':
			fputs(usage, stdout);
			return EXIT_SUCCESS;
		default:
			return EXIT_USAGE;
		}
	}
	if (a->segments && a->app) {
		log_error("--segments is about whoever opens flows: not with --app");
		return EXIT_USAGE;
	}
	if (a->policy && !a->segments) {
		log_error("--policy says whose --segments: it goes with that");
		return EXIT_USAGE;
	}
	a->files = argv + optind;
	a->n_files = (size_t)(argc - optind);
	for (size_t i = 0; i < a->n_files; i++) {
		if (strcmp(a->files[i], "-") != 0)
			continue;
		log_error("'-': what is learned from is read twice, so it has to be a file");
		return EXIT_USAGE;
	}
	return -1;
}

int cmd_policy_learn(int argc, char **argv)
{
	struct learn_args a = { .config = "" };
	struct config config;
	struct recordings what = { .config = &config };
	int status = parse_args(argc, argv, &a);

	if (status >= 0)
		return status;
	if (recordings_config(&config, a.config) < 0)
		return EXIT_FAILURE;
	what.files = a.files;
	what.n_files = a.n_files;
	what.inside = a.n_inside ? a.inside : config.inside;
	what.n_inside = a.n_inside ? a.n_inside : config.n_inside;
	if (a.last_ns || !a.n_files)
		what.from_ns = time_now() - (a.last_ns ? a.last_ns : LAST_DEFAULT);
	return learn_all(&a, &what, &config) < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
