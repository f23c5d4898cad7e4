/* SPDX-License-Identifier: Apache-2.0 */
/* `egret read`: captures and Zeek logs through the same stages as a live host, on the recorded clock. */
#include <errno.h>
#include <getopt.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/human.h"
#include "base/log.h"
#include "base/time.h"
#include "cli/cmd.h"
#include "cli/confine.h"
#include "cli/contacts.h"
#include "cli/findings.h"
#include "cli/offline.h"
#include "cli/read_feeds.h"
#include "cli/recordings.h"
#include "cli/table.h"
#include "detect/detect.h"
#include "detect/intel_index.h"
#include "flow/domain.h"
#include "flow/filter.h"
#include "flow/record.h"
#include "pipeline.h"
#include "policy/locate.h"
#include "replay/replay.h"
#include "store/eve.h"
#include "store/zeek.h"

#define MAX_CONTACTS 100000
#define SUMMARY_ROWS 50
#define MAX_INSIDE 64
#define MAX_FEEDS 64
#define PACKETS_AT_ONCE 100000

static const char usage[] =
	"usage: egret read [OPTION...] FILE...\n\n"
	"Reads captures (pcap, pcapng) and Zeek logs (conn, dns, ssl, http, quic; TSV or JSON; a "
	"file or a\n"
	"folder of them), plain, gzip or zstd, '-' for standard input; needs no privileges.\n\n"
	"  --json            EVE records on standard output instead of the summary\n"
	"  --zeek DIR        conn.log, dns.log, ssl.log, http.log, quic.log and notice.log in "
	"Zeek's "
	"form in DIR,\n"
	"                    instead of the summary; what is there is not written over\n"
	"  --filter FILTER   only flows that match, such as 'port:443 name:*.example.org'\n"
	"  --policy FILE     judge each flow by this policy: verdict and rule in records and "
	"summary\n"
	"  --inside CIDR     what counts as ours, to tell egress from ingress (may be given "
	"again);\n"
	"                    private addresses unless given\n"
	"  --intel [CLASS=]FILE  a feed that findings are made of, in any format of lists; may be "
	"given again\n"
	"  --low             also findings that are too light to be told\n"
	"  --all             every row of the summary, not the 50 with the most bytes\n"
	"  --no-findings     only what was there, not what to think of it\n"
	"  --quiet           no progress bar\n";

struct reader {
	struct filter *filter;
	struct contacts *contacts;
	struct sink *sink; /* NULL: summary */
	uint64_t flows, matched, write_errors;
	bool readable;           /* at least one input could be opened */
	struct offline offline;  /* --policy */
	struct locator *locator; /* of it */
	struct recorded recorded;
	uint64_t undecided;
	struct detect *detect; /* NULL: --no-findings */
	struct findings *findings;
	bool low; /* findings are asked for at the end, also those that are not told */
};

static bool rule_words(void *ctx, uint32_t gen, uint16_t rule, struct verdict_rule *ret)
{
	struct reader *rd = ctx;

	return policy_rule_words(rd->offline.policy, rule, ret);
}

/* What the policy would say of a flow; nothing where that hangs on a program that no capture knows. */
static void judge(void *ctx, const struct flow *f, struct flow_verdict *ret, uint32_t *ret_gen,
		  uint16_t *ret_rule)
{
	struct reader *rd = ctx;
	struct judgement v;

	*ret = (struct flow_verdict){ .rule = ret->rule };
	recorded_of_flow(&rd->recorded, f);
	if (!rd->recorded.egress || judge_flow(rd->offline.judge, &rd->recorded, &v) < 0)
		return;
	if (v.needs_who) {
		rd->undecided += f->end != END_NONE;
		return;
	}
	ret->action = v.action;
	ret->final = v.final;
	ret->visible = (uint8_t)rd->recorded.subject.visible;
	ret->app = rd->recorded.subject.app;
	ret->would_refuse = v.action != EG_ALLOW;
	*ret_gen = 1;
	*ret_rule = v.rule;
}

static void on_record(void *ctx, const struct record *r)
{
	struct reader *rd = ctx;
	bool last_of_flow = r->type == RECORD_FLOW && r->flow_ends;

	if (r->type == RECORD_STATS)
		return; /* one at the end says it all */
	if (rd->detect)
		detect_record(rd->detect, r);
	rd->flows += last_of_flow;
	if (rd->filter && !(r->flow && filter_match(rd->filter, r->flow, r->time_ns)))
		return;
	rd->matched += last_of_flow;
	if (rd->sink)
		rd->sink->ops->put(rd->sink, r);
	else if (last_of_flow)
		contacts_add(rd->contacts, r->flow);
}

static void show_finding(void *ctx, const struct finding *f)
{
	struct reader *rd = ctx;

	if (rd->sink)
		rd->sink->ops->put(rd->sink, &(struct record){ .type = RECORD_FINDING,
							       .time_ns = f->opened_ns,
							       .finding = f });
	else
		findings_add(rd->findings, f);
}

static void on_finding(void *ctx, const struct finding *f)
{
	const struct reader *rd = ctx;

	if (!rd->low)
		show_finding(ctx, f);
}

static void on_error(void *ctx, const char *message)
{
	log_error("%s", message);
}

static void draw_progress(const struct replay_stats *s)
{
	char bar[31], packets[HUMAN_TEXT_MAX];
	unsigned done;

	human_count(s->packets + s->log_lines, packets);
	if (!s->input_total) {
		fprintf(stderr, "\r%s read ", packets);
		return;
	}
	done = (unsigned)(s->input_bytes * 30 / s->input_total);
	for (unsigned i = 0; i < 30; i++)
		bar[i] = i < done ? '#' : '.';
	bar[30] = 0;
	fprintf(stderr, "\r[%s] %3u %%  %s read ", bar,
		(unsigned)(s->input_bytes * 100 / s->input_total), packets);
}

static int run(struct replay *replay, bool progress)
{
	uint64_t drawn = time_now(), now;
	int r;

	while ((r = replay_run(replay, PACKETS_AT_ONCE)) > 0) {
		if (!progress)
			continue;
		now = time_now();
		if (now - drawn > 200 * NSEC_PER_MSEC) {
			draw_progress(replay_stats(replay));
			drawn = now;
		}
	}
	if (progress)
		fputs("\r\033[K", stderr);
	return r;
}

static void say(FILE *to, const char *sep, uint64_t n, const char *what)
{
	char text[HUMAN_TEXT_MAX];

	if (n)
		fprintf(to, "%s%s %s", sep, human_count(n, text), what);
}

/* What was read, and all that was not: nothing is left out in silence. */
static void print_summary(FILE *to, const struct replay_stats *s, const struct reader *rd,
			  const struct flow_table_stats *fs)
{
	char text[TIME_TEXT_MAX];

	fprintf(to, "%s flows", human_count(rd->flows, text));
	if (rd->filter)
		fprintf(to, " (%s match)", human_count(rd->matched, text));
	say(to, ", ", s->packets, "packets");
	if (s->bytes)
		fprintf(to, ", %s", human_bytes(s->bytes, text));
	say(to, ", ", s->log_lines, "log lines");
	if (s->last_ns > s->first_ns && s->first_ns) {
		fprintf(to, ", %s", duration_format(s->last_ns - s->first_ns, text));
		fprintf(to, " from %s", time_format(s->first_ns, text));
	}
	fputc('\n', to);
	for (int e = PACKET_OK + 1; e < PACKET_ERROR_COUNT; e++)
		if (s->packet_errors[e])
			fprintf(to, "packets %s: %s\n", packet_error_name(e),
				human_count(s->packet_errors[e], text));
	if (s->blocks_bad)
		fprintf(to, "damaged records passed over: %s\n", human_count(s->blocks_bad, text));
	if (s->log_lines_bad)
		fprintf(to, "log lines not understood: %s\n", human_count(s->log_lines_bad, text));
	if (s->inputs_cut)
		fprintf(to, "inputs that end in the middle of a record: %s\n",
			human_count(s->inputs_cut, text));
	if (s->fragments_lost)
		fprintf(to, "fragments never completed: %s\n",
			human_count(s->fragments_lost, text));
	for (int i = 0; i < LOSS_COUNT; i++)
		if (fs->loss[i])
			fprintf(to, "lost, %s: %s\n", loss_name(i), human_count(fs->loss[i], text));
	if (rd->undecided)
		fprintf(to, "flows that the policy cannot decide without the program or user: %s\n",
			human_count(rd->undecided, text));
	if (rd->write_errors)
		fprintf(to, "records that could not be written: %s\n",
			human_count(rd->write_errors, text));
}

struct read_args {
	bool json, all, low, quiet, no_findings;
	const char *policy, *zeek;
	struct cidr inside[MAX_INSIDE];
	size_t n_inside;
	char *feeds[MAX_FEEDS];
	size_t n_feeds;
	struct filter *filter;
};

/* -1: go on; else the exit status. */
static int parse_args(int argc, char **argv, struct read_args *a)
{
	static const struct option options[] = {
		{ "json", no_argument, NULL, 'j' },
		{ "zeek", required_argument, NULL, 'z' },
		{ "filter", required_argument, NULL, 'f' },
		{ "policy", required_argument, NULL, 'p' },
		{ "inside", required_argument, NULL, 'i' },
		{ "intel", required_argument, NULL, 'I' },
		{ "low", no_argument, NULL, 'l' },
		{ "all", no_argument, NULL, 'a' },
		{ "no-findings", no_argument, NULL, 'n' },
		{ "quiet", no_argument, NULL, 'q' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	struct filter_error error;
	int o;

	while ((o = getopt_long(argc, argv, "jf:p:i:anqh", options, NULL)) != -1) {
		switch (o) {
		case 'j':
			a->json = true;
			break;
		case 'z':
			a->zeek = optarg;
			break;
		case 'f':
			filter_free(a->filter);
			a->filter = NULL;
			if (filter_parse(str_of(optarg), &a->filter, &error) < 0) {
				log_error("--filter, column %zu: %s", error.column, error.message);
				return EXIT_USAGE;
			}
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
		case 'I':
			if (a->n_feeds == MAX_FEEDS) {
				log_error("at most %d feeds", MAX_FEEDS);
				return EXIT_USAGE;
			}
			a->feeds[a->n_feeds++] = optarg;
			break;
		case 'l':
			a->low = true;
			break;
		case 'a':
			a->all = true;
			break;
		case 'n':
			a->no_findings = true;
			break;
		case 'q':
			a->quiet = true;
			break;
		case 'h':
			fputs(usage, stdout);
			return 0;
		default:
			return EXIT_USAGE;
		}
	}
	if (optind == argc) {
		fputs(usage, stderr);
		return EXIT_USAGE;
	}
	if (a->json && a->zeek) {
		log_error("--json and --zeek exclude each other");
		return EXIT_USAGE;
	}
	return -1;
}

static int open_sink(struct reader *rd, const struct read_args *a)
{
	struct eve_format format = { .vantage = EVE_FILE, .locator = rd->locator };
	char path[PATH_MAX];
	int r = 0;

	if (a->zeek) {
		r = zeek_sink_new(&rd->sink, a->zeek, &rd->write_errors, path);
		if (r < 0)
			log_errno(r, "--zeek: cannot make %s", path);
	} else if (a->json) {
		r = eve_sink_new(&rd->sink, &format, "-", &rd->write_errors);
		if (r < 0)
			log_errno(r, "cannot write to standard output");
	}
	return r;
}

/* All that is opened, is opened here: inputs first, then the cage. */
static int open_all(struct replay *replay, struct reader *rd, const struct read_args *a, int argc,
		    char **argv)
{
	int r;

	for (int i = optind; i < argc; i++)
		rd->readable |= replay_add(replay, argv[i]) >= 0;
	if (!rd->readable)
		return -ENOENT;
	r = open_sink(rd, a);
	if (r < 0)
		return r;
	OPENSSL_init_crypto(OPENSSL_INIT_LOAD_CONFIG, NULL);
	domain_load();
	/* Lists of a policy whose rules depend on the day are read again when the day comes. */
	if (rd->offline.judge && judge_needs_files(rd->offline.judge)) {
		log_warn("reading without a seccomp filter: the policy's lists are read again for "
			 "each day");
		return 0;
	}
	r = confine_to_open_files();
	if (r < 0)
		log_warn("reading without a seccomp filter: %s", strerror(-r));
	return 0;
}

static int open_policy(struct reader *rd, const char *path)
{
	struct config config;
	int r = recordings_config(&config, "");

	if (r == 0)
		r = offline_open(&rd->offline, path, &config, time_now());
	if (r < 0)
		return r;
	r = locator_new(&rd->locator);
	if (r == 0)
		r = locator_set_policy(rd->locator, rd->offline.policy);
	if (r < 0)
		return log_errno(r, "cannot tell where addresses lie");
	locator_set_geo(rd->locator, rd->offline.geo);
	return 0;
}

/* All that was put is written, or counted as what could not be. */
static void end_sink(struct reader *rd, uint64_t last_ns, const struct flow_table_stats *fs)
{
	int r;

	rd->sink->ops->put(
		rd->sink,
		&(struct record){ .type = RECORD_STATS, .time_ns = last_ns, .stats = fs });
	r = rd->sink->ops->flush(rd->sink);
	if (r < 0)
		log_errno(r, "cannot write all records");
	rd->sink->ops->free(rd->sink);
	rd->sink = NULL;
}

static int read_all(const struct read_args *a, int argc, char **argv)
{
	struct reader rd = { .filter = a->filter, .low = a->low };
	struct pipeline *pipeline = NULL;
	struct replay *replay = NULL;
	struct flow_table_stats fs;
	struct intel_slot *feeds = NULL;
	bool records = a->json || a->zeek; /* instead of the summary */
	int r, status = EXIT_FAILURE;

	r = contacts_new(&rd.contacts, false, a->policy, MAX_CONTACTS);
	if (r == 0)
		r = findings_new(&rd.findings);
	if (r == 0 && a->n_feeds && read_feeds(&feeds, (char **)a->feeds, a->n_feeds) < 0)
		goto failed; /* why was said */
	if (r == 0)
		r = pipeline_new(
			&pipeline,
			&(struct pipeline_config){ .inside = a->inside, .n_inside = a->n_inside },
			(struct record_out){ on_record, &rd });
	if (r == 0 && !a->no_findings)
		r = detect_new(&rd.detect,
			       &(struct detect_config){ .vantage = DETECT_FILE,
							.texts = pipeline_texts(pipeline),
							.intel = feeds },
			       (struct finding_out){ on_finding, &rd });
	if (r == 0) {
		if (rd.detect)
			flow_table_watch(pipeline_flows(pipeline), detect_watch(rd.detect));
		r = replay_new(&replay, pipeline_input(pipeline), on_error, NULL);
	}
	if (r < 0) {
		log_errno(r, "cannot start");
		goto out;
	}
	r = a->policy ? open_policy(&rd, a->policy) : 0;
	if (r < 0)
		goto out;
	if (a->policy)
		pipeline_set_judge(pipeline, (struct verdict_source){ rule_words, &rd },
				   (struct flow_judge){ judge, &rd });
	r = open_all(replay, &rd, a, argc, argv);
	if (r < 0)
		goto out;
	r = run(replay, !a->quiet && isatty(STDERR_FILENO));
	if (r < 0)
		log_errno(r, "reading stopped");
	flow_table_finish(pipeline_flows(pipeline));
	if (rd.detect)
		detect_finish(rd.detect, replay_stats(replay)->last_ns);
	if (a->low)
		detect_each(rd.detect, true, (struct finding_out){ show_finding, &rd });
	flow_table_stats(pipeline_flows(pipeline), &fs);
	if (records) {
		end_sink(&rd, replay_stats(replay)->last_ns, &fs);
	} else {
		contacts_print(rd.contacts, stdout, a->all ? 0 : SUMMARY_ROWS,
			       terminal_width(stdout));
		fputc('\n', stdout);
	}
	print_summary(records ? stderr : stdout, replay_stats(replay), &rd, &fs);
	if (!records && rd.detect)
		findings_print(rd.findings, stdout, terminal_width(stdout));
	r = 0;
	if (!replay_stats(replay)->packets && !replay_stats(replay)->log_lines &&
	    (replay_stats(replay)->blocks_bad || replay_stats(replay)->inputs_cut))
		r = -ENODATA;
out:
	if (r >= 0 && !rd.write_errors)
		status = EXIT_SUCCESS;
failed:
	replay_free(replay);
	if (rd.sink)
		rd.sink->ops->free(rd.sink);
	detect_free(rd.detect);
	intel_slot_free(feeds);
	pipeline_free(pipeline);
	findings_free(rd.findings);
	locator_free(rd.locator);
	offline_close(&rd.offline);
	contacts_free(rd.contacts);
	return status;
}

int cmd_read(int argc, char **argv)
{
	struct read_args args = { 0 };
	int r = parse_args(argc, argv, &args);

	if (r < 0)
		r = read_all(&args, argc, argv);
	filter_free(args.filter);
	return r;
}
