/* SPDX-License-Identifier: Apache-2.0 */
/* `egret status`: what egretd watches, how much it saw, and what it lost, each loss with what it means. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/human.h"
#include "base/log.h"
#include "base/time.h"
#include "cli/ask.h"
#include "cli/cells.h"
#include "cli/cmd.h"

static const char usage[] = "usage: egret status [--json | --metrics]\n\n"
			    "Shows what the running egretd watches, how much it saw, and what it "
			    "lost; with --metrics as\n"
			    "Prometheus reads it, for node_exporter's textfile collector.\n"
			    "Exit status: 0, or 1 when no egretd answers.\n";

static uint64_t number(const json_t *j, const char *key)
{
	json_int_t v = json_integer_value(json_object_get(j, key));

	return v > 0 ? (uint64_t)v : 0;
}

/* A text of the answer, safe for the terminal; "-" when there is none. Valid until the next call. */
static const char *text(const json_t *j, const char *key, struct buf *out)
{
	const json_t *v = json_object_get(j, key);

	buf_clear(out);
	if (json_is_string(v) && json_string_length(v))
		cell_put_all(out, (struct str){ json_string_value(v), json_string_length(v) });
	else
		buf_putc(out, '-');
	return out->failed ? "-" : out->p;
}

static void print_gateway(const json_t *g, struct buf *safe)
{
	const json_t *nat = json_object_get(g, "nat"), *machines = json_object_get(g, "machines");

	printf("gateway    what is forwarded is counted and judged, too\n");
	if (json_object_get(nat, "problem"))
		printf("           addresses after NAT are not known: %s\n",
		       text(nat, "problem", safe));
	if (json_object_get(machines, "problem"))
		printf("           leases are not read: %s\n", text(machines, "problem", safe));
}

static void print_watching(const json_t *j, struct buf *safe)
{
	const char *cgroup = json_string_value(json_object_get(j, "cgroup"));
	char up[TIME_TEXT_MAX];

	printf("egretd     %s", text(j, "version", safe));
	printf(" on %s, pid %llu, for %s\n", text(j, "host", safe),
	       (unsigned long long)number(j, "pid"),
	       duration_format(number(j, "uptime_s") * NSEC_PER_SEC, up));
	if (cgroup && strcmp(cgroup, "/"))
		printf("watching   %s\n", text(j, "cgroup", safe));
	else
		printf("watching   %s\n", cgroup ? "the whole host" : text(j, "watch", safe));
	if (!strcmp(json_string_value(json_object_get(j, "watch")) ?: "", "gateway"))
		print_gateway(json_object_get(j, "gateway"), safe);
	printf("records    %s\n", text(j, "eve", safe));
}

static void print_ipfix(const json_t *j, struct buf *safe)
{
	const json_t *p = json_object_get(j, "ipfix");
	char a[HUMAN_TEXT_MAX];

	if (!p)
		return;
	printf("ipfix      %s: %s flow records sent", text(p, "to", safe),
	       human_count(number(p, "flows"), a));
	if (number(p, "waiting_bytes"))
		printf(", %s wait", human_bytes(number(p, "waiting_bytes"), a));
	puts(json_is_false(json_object_get(p, "reachable")) ? ", cannot be reached" : "");
}

/* Of a fleet's policy: what this host took, and how it stands with it. */
static void print_fleet(const json_t *f, struct buf *safe)
{
	static const char *const mistakes[] = { "away", "problem", "trouble", "stepped_back_why" };

	if (!f)
		return;
	printf("           from %s: ", text(f, "from", safe));
	if (json_object_get(f, "version"))
		printf("version %llu, ", (unsigned long long)number(f, "version"));
	if (json_object_get(f, "group"))
		printf("group %s, ", text(f, "group", safe));
	if (json_object_get(f, "stage"))
		printf("stage %s, ", text(f, "stage", safe));
	printf("%s\n", text(f, "state", safe));
	for (size_t i = 0; i < ARRAY_SIZE(mistakes); i++)
		if (json_object_get(f, mistakes[i]))
			printf("           %s\n", text(f, mistakes[i], safe));
}

static void print_policy(const json_t *j, struct buf *safe)
{
	const json_t *p = json_object_get(j, "policy");
	const char *mode = json_string_value(json_object_get(p, "mode"));

	if (!mode)
		return; /* an older egretd */
	printf("policy     %s", text(p, "mode", safe));
	if (json_object_get(p, "file"))
		printf(": %s, %llu rules", text(p, "file", safe),
		       (unsigned long long)number(p, "n_rules"));
	if (number(p, "n_blocks"))
		printf(", %llu of them dated", (unsigned long long)number(p, "n_blocks"));
	if (json_is_true(json_object_get(p, "pinned")))
		printf(", goes on without egretd");
	putchar('\n');
	print_fleet(json_object_get(p, "fleet"), safe);
	if (json_object_get(p, "confirm_by"))
		printf("           waits to be confirmed until %s\n", text(p, "confirm_by", safe));
	if (json_object_get(p, "problem"))
		printf("           %s\n", text(p, "problem", safe));
	if (number(p, "lists_failing"))
		printf("           %llu lists cannot be downloaded: 'egret policy show' says why\n",
		       (unsigned long long)number(p, "lists_failing"));
}

/* What was forgotten to make room, and what that costs. */
static const struct {
	const char *key, *meaning;
} evictions[] = {
	{ "entities", "idle programs or machines were forgotten: to detection they are new when "
		      "they come back" },
	{ "peers", "idle peers were forgotten: they are new when they come back" },
	{ "pairs", "idle pairs were forgotten: their timing and volume begin anew" },
	{ "dossiers", "evidence that had come to nothing was forgotten" },
};

static void print_detect(const json_t *j, struct buf *safe)
{
	const json_t *d = json_object_get(j, "detect"), *evicted = json_object_get(d, "evicted"),
		     *intel = json_object_get(d, "intel"), *fleet = json_object_get(d, "fleet");
	char a[HUMAN_TEXT_MAX], b[HUMAN_TEXT_MAX], c[HUMAN_TEXT_MAX];

	if (!json_is_object(d))
		return; /* an older egretd */
	if (!json_object_size(d)) {
		puts("findings   off");
		return;
	}
	printf("findings   %s open", human_count(number(d, "findings"), a));
	if (number(d, "held_back"))
		printf(", %s held back", human_count(number(d, "held_back"), a));
	if (json_is_true(json_object_get(d, "learning")))
		printf(", learning until %s", text(d, "learning_until", safe));
	printf("; %s pairs in %s\n", human_count(number(d, "pairs"), a),
	       human_bytes(number(d, "memory_bytes"), b));
	if (number(intel, "feeds"))
		printf("feeds      %s, %s indicators, %s met so far\n",
		       human_count(number(intel, "feeds"), a),
		       human_count(number(intel, "indicators"), b),
		       human_count(number(intel, "matched"), c));
	if (json_object_size(fleet))
		printf("fleet      %s machines say what is rare: %s domains that %s or more of "
		       "them contact\n",
		       human_count(number(fleet, "hosts"), a),
		       human_count(number(fleet, "domains"), b),
		       human_count(number(fleet, "least"), c));
	if (json_object_get(intel, "problem"))
		printf("           %s ('egret intel list' says more)\n",
		       text(intel, "problem", safe));
	for (size_t i = 0; i < ARRAY_SIZE(evictions); i++)
		if (number(evicted, evictions[i].key))
			printf("  %-14s %12s  %s\n", evictions[i].key,
			       human_count(number(evicted, evictions[i].key), a),
			       evictions[i].meaning);
	if (number(d, "no_room"))
		printf("  %-14s %12s  flows, pairs or evidence that detection had no room for\n",
		       "no room", human_count(number(d, "no_room"), a));
}

static void print_history(const json_t *j, struct buf *safe)
{
	const json_t *h = json_object_get(j, "history");
	char a[HUMAN_TEXT_MAX], b[HUMAN_TEXT_MAX];

	if (!json_is_object(h))
		return; /* an older egretd */
	if (!json_object_size(h)) {
		puts("history    off");
		return;
	}
	printf("history    %s pieces of flows written, %s on disk",
	       human_count(number(h, "rows"), a), human_bytes(number(h, "disk_bytes"), b));
	if (json_object_get(h, "oldest"))
		printf(", since %.10s", text(h, "oldest", safe));
	putchar('\n');
	if (json_object_get(h, "problem"))
		printf("           %s\n", text(h, "problem", safe));
	if (number(h, "damaged"))
		printf("           %s damaged files were set aside in %s\n",
		       human_count(number(h, "damaged"), a), text(h, "dir", safe));
}

static void print_clickhouse(const json_t *j, struct buf *safe)
{
	const json_t *c = json_object_get(j, "clickhouse");
	char a[HUMAN_TEXT_MAX];

	if (!c)
		return;
	printf("clickhouse %s: %s rows sent", text(c, "url", safe),
	       human_count(number(c, "sent_rows"), a));
	printf(", %s wait", human_count(number(c, "waiting"), a));
	printf(", spool %s", human_bytes(number(c, "disk_bytes"), a));
	printf(" of %s\n", human_bytes(number(c, "spool_max_bytes"), a));
	if (json_object_get(c, "send_problem"))
		printf("           %s\n", text(c, "send_problem", safe));
	if (json_object_get(c, "fleet_problem"))
		printf("           nothing is heard of the fleet: %s\n",
		       text(c, "fleet_problem", safe));
	if (json_object_get(c, "problem"))
		printf("           %s\n", text(c, "problem", safe));
}

static void print_counts(const json_t *j)
{
	char a[HUMAN_TEXT_MAX], b[HUMAN_TEXT_MAX], c[HUMAN_TEXT_MAX];

	printf("flows      %s now, %s since the start\n", human_count(number(j, "flows_now"), a),
	       human_count(number(j, "flows_total"), b));
	printf("traffic    %s packets, %s\n", human_count(number(j, "packets"), a),
	       human_bytes(number(j, "bytes"), b));
	printf("memory     %s resident, %s of it flow table; kernel %s\n",
	       human_bytes(number(j, "rss_bytes"), a), human_bytes(number(j, "memory_bytes"), b),
	       human_bytes(number(j, "kernel_bytes"), c));
	printf("clients    %s\n", human_count(number(j, "clients"), a));
}

/* What the kernel's maps hold, and what of the kernel is not there. */
static void print_kernel(const json_t *j, struct buf *safe)
{
	char a[HUMAN_TEXT_MAX], b[HUMAN_TEXT_MAX];
	json_t *v, *maps = json_object_get(j, "maps");
	const char *key, *sep = "maps       ";
	size_t i;

	json_object_foreach(maps, key, v)
	{
		uint64_t entries = number(v, "entries"), max = number(v, "max");

		if (!entries || !max)
			continue;
		buf_clear(safe);
		cell_put_all(safe, str_of(key));
		printf("%s%s %s of %s (%llu %%)", sep, safe->p, human_count(entries, a),
		       human_count(max, b), (unsigned long long)(entries * 100 / max));
		sep = ", ";
	}
	if (json_object_size(maps))
		puts(sep[0] == ',' ? "" : "maps       empty");
	json_array_foreach(json_object_get(j, "features"), i, v)
	{
		if (json_is_true(json_object_get(v, "there")))
			continue;
		printf("kernel     %s %s", json_object_get(v, "there") ? "without" : "not tried:",
		       text(v, "name", safe));
		printf(": %s\n", text(v, "text", safe));
	}
}

/* Lists of the policy and feeds of threat intelligence: their age, and what is wrong. */
static void print_feeds(const json_t *j, struct buf *safe)
{
	char a[HUMAN_TEXT_MAX], age[TIME_TEXT_MAX];
	const json_t *v;
	size_t i;

	json_array_foreach(json_object_get(j, "feeds"), i, v)
	{
		printf("%-10s ", text(v, "kind", safe));
		printf("%s: %s entries", text(v, "name", safe),
		       human_count(number(v, "entries"), a));
		if (json_object_get(v, "age_s"))
			printf(", %s old", duration_format(number(v, "age_s") * NSEC_PER_SEC, age));
		if (json_is_true(json_object_get(v, "expired")))
			printf(", expired");
		if (json_object_get(v, "problem"))
			printf("; %s", text(v, "problem", safe));
		putchar('\n');
	}
}

static void print_losses(const json_t *j, struct buf *safe)
{
	const json_t *unreported = json_object_get(j, "unreported");
	uint64_t lost = number(j, "lost_total");
	char a[HUMAN_TEXT_MAX], b[HUMAN_TEXT_MAX];
	const json_t *v;
	size_t i;

	if (!lost) {
		puts("lost       nothing");
		return;
	}
	printf("lost       %s\n", human_count(lost, a));
	json_array_foreach(json_object_get(j, "losses"), i, v)
	{
		buf_clear(safe);
		cell_put(safe, str_of(json_string_value(json_object_get(v, "reason"))), 14, false);
		printf("  %s %12s", safe->p, human_count(number(v, "lost"), a));
		printf("  %s\n", text(v, "means", safe));
		printf("  %-14s %12s  helps: %s\n", "", "", text(v, "helps", safe));
	}
	if (number(unreported, "bytes_tx") || number(unreported, "bytes_rx"))
		printf("unreported %s up, %s down: counted, but of no flow\n",
		       human_bytes(number(unreported, "bytes_tx"), a),
		       human_bytes(number(unreported, "bytes_rx"), b));
}

/* A collector: what it took from agents, and what of it is on. */
static void print_collector(const json_t *j, struct buf *safe)
{
	const json_t *c = json_object_get(j, "collector");
	char up[TIME_TEXT_MAX], a[HUMAN_TEXT_MAX];

	printf("egretd     %s", text(j, "version", safe));
	printf(" on %s, a collector at port %llu, pid %llu, for %s\n", text(j, "host", safe),
	       (unsigned long long)number(c, "port"), (unsigned long long)number(j, "pid"),
	       duration_format(number(j, "uptime_s") * NSEC_PER_SEC, up));
	printf("agents     %llu connected, %llu spools known\n",
	       (unsigned long long)number(c, "connections"),
	       (unsigned long long)number(c, "spools"));
	printf("taken      %s rows", human_count(number(c, "rows"), a));
	printf(" in %s batches", human_count(number(c, "batches"), a));
	printf("; %s more had been taken before\n", human_count(number(c, "batches_again"), a));
	print_clickhouse(j, safe);
	printf("merged     %s batches sent, %s closed ones wait\n",
	       human_count(number(json_object_get(j, "clickhouse"), "sent_batches"), a),
	       human_count(number(c, "waiting_batches"), up));
	if (number(c, "dropped"))
		printf("lost       %s rows\n", human_count(number(c, "dropped"), a));
	if (json_object_get(c, "refused_at"))
		printf("refused    %s", text(c, "refused_at", safe));
	if (json_object_get(c, "refused_last"))
		printf(": %s\n", text(c, "refused_last", safe));
}

/* A console: nothing is watched there, so that all else would be noughts. */
static void print_console(const json_t *j, struct buf *safe)
{
	const json_t *c = json_object_get(j, "clickhouse");
	char a[HUMAN_TEXT_MAX], up[TIME_TEXT_MAX];

	printf("egretd     %s", text(j, "version", safe));
	printf(" on %s, a console, pid %llu, for %s\n", text(j, "host", safe),
	       (unsigned long long)number(j, "pid"),
	       duration_format(number(j, "uptime_s") * NSEC_PER_SEC, up));
	printf("clickhouse %s", text(c, "url", safe));
	printf(", database %s", text(c, "database", safe));
	if (json_is_true(json_object_get(c, "answers")))
		printf(": answers, %s hosts in 24 h", human_count(number(c, "hosts"), a));
	putchar('\n');
	if (json_object_get(c, "problem"))
		printf("           %s\n", text(c, "problem", safe));
	printf("memory     %s resident\n", human_bytes(number(j, "rss_bytes"), a));
	printf("clients    %s\n", human_count(number(j, "clients"), a));
}

enum form { FORM_PEOPLE, FORM_JSON, FORM_METRICS };

static void print_all(const json_t *j)
{
	_cleanup_buf_ struct buf safe = BUF_INIT(4096);

	if (json_is_object(json_object_get(j, "collector"))) {
		print_collector(j, &safe);
		return;
	}
	if (json_is_true(json_object_get(j, "console"))) {
		print_console(j, &safe);
		return;
	}
	print_losses(j, &safe);
	print_watching(j, &safe);
	print_ipfix(j, &safe);
	print_policy(j, &safe);
	print_detect(j, &safe);
	print_feeds(j, &safe);
	print_history(j, &safe);
	print_clickhouse(j, &safe);
	print_counts(j);
	print_kernel(j, &safe);
}

static int run(enum form form)
{
	struct str ask =
		form == FORM_METRICS ? STR("{\"ask\":\"metrics\"}") : STR("{\"ask\":\"status\"}");
	struct client *c;
	struct str line;
	char why[256];
	json_t *j = NULL;
	int r = ask_daemon(&c, arg_run, ask, why);

	if (r < 0) {
		log_error("%s", why);
		return EXIT_FAILURE;
	}
	r = client_line(c, &line);
	if (r <= 0)
		log_error("egretd did not answer%s%s", r < 0 ? ": " : "",
			  r < 0 ? strerror(-r) : "");
	else if (!(j = ask_parse(line, why)))
		log_error("%s", why);
	else if (form == FORM_JSON)
		printf("%.*s\n", STR_FMT(line));
	else if (form == FORM_METRICS)
		fputs(json_string_value(json_object_get(j, "text")) ?: "", stdout);
	else
		print_all(j);
	r = j ? EXIT_SUCCESS : EXIT_FAILURE;
	json_decref(j);
	client_free(c);
	return r;
}

int cmd_status(int argc, char **argv)
{
	static const struct option options[] = {
		{ "json", no_argument, NULL, 'j' },
		{ "metrics", no_argument, NULL, 'm' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	enum form form = FORM_PEOPLE;
	int o;

	cells_init();
	while ((o = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (o) {
		case 'j':
			form = FORM_JSON;
			break;
		case 'm':
			form = FORM_METRICS;
			break;
		case 'h':
			fputs(usage, stdout);
			return EXIT_SUCCESS;
		default:
			return EXIT_USAGE;
		}
	}
	if (optind < argc) {
		fputs(usage, stderr);
		return EXIT_USAGE;
	}
	return run(form);
}
