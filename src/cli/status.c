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
#include "decode/event.h"

static const char usage[] =
	"usage: egret status [--json]\n\n"
	"Shows what the running egretd watches, how much it saw, and what it lost.\n"
	"Exit status: 0, or 1 when no egretd answers.\n";

/* For the person who reads it: what is missing now, and what helps. */
static const char *const meanings[LOSS_COUNT] = {
	[LOSS_RING_FLOW] = "openings or ends of flows were told late; their bytes are counted",
	[LOSS_RING_PAYLOAD] = "first bytes were not seen: some flows lack protocol or name",
	[LOSS_RING_DNS] = "DNS messages were not seen: some addresses lack a name",
	[LOSS_RING_PROC] = "process notices were missed: some flows may lack their program",
	[LOSS_MAP_FLOWS] =
		"peers of unconnected sockets without a flow; their bytes are in 'unreported'",
	[LOSS_MAP_SOCKETS] = "sockets without counters: the kernel had no memory for them",
	[LOSS_MAP_HANDSHAKE] = "inbound handshakes whose first packets are not in the counts",
	[LOSS_MAP_JUDGE] = "no buffer to judge with: what could not be judged was refused",
	[LOSS_MAP_WHO] = "programs, paths or groups the kernel had no room for: rules that name "
			 "them do not hold",
	[LOSS_TABLE_FLOWS] = "idle flows were ended early to make room",
	[LOSS_TABLE_STREAMS] = "split hellos or requests were not joined: names may be missing",
	[LOSS_TABLE_NAMES] = "old names were forgotten early",
	[LOSS_TABLE_PROCS] = "processes were not kept: their flows lack a program",
	[LOSS_TABLE_TEXTS] = "texts were left out of records",
	[LOSS_FRAGMENTS] = "fragments were never completed",
	[LOSS_CLIENT_QUEUE] = "a client of the control socket read too slowly and missed records",
	[LOSS_ALERT_SEND] = "alerts did not reach syslog or the journal: does it answer?",
	[LOSS_STORE_QUEUE] = "pieces of flows are not in history: the disk was full or too slow",
	[LOSS_STORE_WRITE] = "pieces of flows are not in history: they could not be written",
	[LOSS_EVE_WRITE] = "records did not get into eve.json: is the disk full?",
};

static const char *meaning_of(const char *name)
{
	for (int i = 0; i < LOSS_COUNT; i++)
		if (!strcmp(loss_name((enum loss_reason)i), name))
			return meanings[i];
	return NULL; /* of a newer egretd */
}

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
	printf("records    %s\n", text(j, "eve", safe));
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
		     *intel = json_object_get(d, "intel");
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
	printf("kernel     %s sockets, %s of ", human_count(number(j, "kernel_sockets"), a),
	       human_count(number(j, "kernel_peers"), b));
	printf("%s peers of unconnected sockets\n", human_count(number(j, "kernel_peers_max"), c));
	printf("clients    %s\n", human_count(number(j, "clients"), a));
}

static void print_losses(const json_t *j, struct buf *safe)
{
	const json_t *unreported = json_object_get(j, "unreported");
	uint64_t lost = number(j, "lost_total");
	char a[HUMAN_TEXT_MAX], b[HUMAN_TEXT_MAX];
	const char *key;
	json_t *v;

	if (!lost) {
		puts("lost       nothing");
		return;
	}
	printf("lost       %s\n", human_count(lost, a));
	json_object_foreach(json_object_get(j, "lost"), key, v)
	{
		const char *meaning = meaning_of(key);

		if (json_integer_value(v) <= 0)
			continue;
		buf_clear(safe);
		cell_put(safe, str_of(key), 14, false);
		printf("  %s %12s  %s\n", safe->p, human_count((uint64_t)json_integer_value(v), a),
		       meaning ? meaning : "");
	}
	if (number(unreported, "bytes_tx") || number(unreported, "bytes_rx"))
		printf("unreported %s up, %s down: counted, but of no flow\n",
		       human_bytes(number(unreported, "bytes_tx"), a),
		       human_bytes(number(unreported, "bytes_rx"), b));
}

static int run(bool as_json)
{
	_cleanup_buf_ struct buf safe = BUF_INIT(4096);
	struct client *c;
	struct str line;
	char why[256];
	json_t *j = NULL;
	int r = ask_daemon(&c, arg_run, STR("{\"ask\":\"status\"}"), why);

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
	else if (as_json)
		printf("%.*s\n", STR_FMT(line));
	if (j && !as_json) {
		print_losses(j, &safe);
		print_watching(j, &safe);
		print_policy(j, &safe);
		print_detect(j, &safe);
		print_history(j, &safe);
		print_counts(j);
	}
	r = j ? EXIT_SUCCESS : EXIT_FAILURE;
	json_decref(j);
	client_free(c);
	return r;
}

int cmd_status(int argc, char **argv)
{
	static const struct option options[] = {
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	bool as_json = false;
	int o;

	cells_init();
	while ((o = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (o) {
		case 'j':
			as_json = true;
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
	return run(as_json);
}
