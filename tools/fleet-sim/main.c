/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Simulated hosts for a real cluster: what N agents would send, through the real encoder, packing and HTTP. Prints what each host sent, a
 * line a host, so that it can be compared with what the cluster says; how it went on stderr. The same options send the same flows.
 */
#include "sim.h"

#include <curl/curl.h>
#include <getopt.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "base/cleanup.h"

static const char usage[] =
	"usage: fleet-sim --url URL [options]      of a ClickHouse, or of a collector\n"
	"  in real time: batches of each host every 5 s\n"
	"    --rate N           pieces of flows a second, of all hosts together (1000)\n"
	"    --seconds N        for so long (60)\n"
	"  or a span of past days, as fast as it goes\n"
	"    --fill N           so many pieces\n"
	"    --days N           spread over so many days (7)\n"
	"    --end UNIX         that end then (now)\n"
	"  both\n"
	"    --hosts N          (20)\n"
	"    --workers N        threads, each with its part of the hosts (2)\n"
	"    --seed N           (1)\n"
	"    --database NAME --user NAME --password-file FILE --ca FILE --certificate FILE --key "
	"FILE\n";

enum option_id {
	HOSTS = 1,
	WORKERS,
	SEED,
	RATE,
	SECONDS,
	FILL,
	DAYS,
	END,
	URL,
	DATABASE,
	USER,
	PASSWORD,
	CA,
	CERTIFICATE,
	KEY
};

static const struct option longopts[] = {
	{ "hosts", required_argument, NULL, HOSTS },
	{ "workers", required_argument, NULL, WORKERS },
	{ "seed", required_argument, NULL, SEED },
	{ "rate", required_argument, NULL, RATE },
	{ "seconds", required_argument, NULL, SECONDS },
	{ "fill", required_argument, NULL, FILL },
	{ "days", required_argument, NULL, DAYS },
	{ "end", required_argument, NULL, END },
	{ "url", required_argument, NULL, URL },
	{ "database", required_argument, NULL, DATABASE },
	{ "user", required_argument, NULL, USER },
	{ "password-file", required_argument, NULL, PASSWORD },
	{ "ca", required_argument, NULL, CA },
	{ "certificate", required_argument, NULL, CERTIFICATE },
	{ "key", required_argument, NULL, KEY },
	{ 0 },
};

static uint64_t number(const char *text, uint64_t least, uint64_t most)
{
	uint64_t n = 0;

	if (str_parse_u64(str_of(text), &n) < 0 || n < least || n > most) {
		fprintf(stderr, "fleet-sim: '%s' is no number from %" PRIu64 " to %" PRIu64 "\n",
			text, least, most);
		exit(2);
	}
	return n;
}

#define COPY(to, text) snprintf((to), sizeof(to), "%s", (text))

static void take_option(struct options *o, int c)
{
	switch ((enum option_id)c) {
	case HOSTS:
		o->hosts = (unsigned)number(optarg, 1, 1000000);
		break;
	case WORKERS:
		o->workers = (unsigned)number(optarg, 1, WORKERS_MAX);
		break;
	case SEED:
		o->seed = number(optarg, 0, UINT64_MAX);
		break;
	case RATE:
		o->rate = (double)number(optarg, 1, 10000000);
		break;
	case SECONDS:
		o->seconds = (unsigned)number(optarg, 5, 1000000);
		break;
	case FILL:
		o->fill = number(optarg, 1, UINT64_MAX);
		break;
	case DAYS:
		o->days = (unsigned)number(optarg, 1, 3650);
		break;
	case END:
		o->end_ns = number(optarg, 4000ULL * 86400, UINT32_MAX) * NSEC_PER_SEC;
		break;
	case URL:
		COPY(o->to.url, optarg);
		break;
	case DATABASE:
		COPY(o->to.database, optarg);
		break;
	case USER:
		COPY(o->to.user, optarg);
		break;
	case PASSWORD:
		COPY(o->to.password_file, optarg);
		break;
	case CA:
		COPY(o->to.ca, optarg);
		break;
	case CERTIFICATE:
		COPY(o->to.certificate, optarg);
		break;
	case KEY:
		COPY(o->to.key, optarg);
		break;
	}
}

static void parse(struct options *o, int argc, char **argv)
{
	const char *why;
	int c;

	while ((c = getopt_long(argc, argv, "", longopts, NULL)) != -1) {
		if (c == '?') {
			fputs(usage, stderr);
			exit(2);
		}
		take_option(o, c);
	}
	why = optind < argc ? "it takes options alone" : ship_check_url(str_of(o->to.url));
	if (why) {
		fprintf(stderr, "fleet-sim: %s\n%s", why, usage);
		exit(2);
	}
	o->workers = MIN(o->workers, o->hosts);
}

/* Their rates together are the one that was asked for. */
static struct host *make_hosts(const struct options *o)
{
	struct host *hosts = calloc(o->hosts, sizeof(*hosts));
	double sum = 0;

	for (unsigned i = 0; hosts && i < o->hosts; i++) {
		host_init(&hosts[i], i, o);
		sum += hosts[i].weight;
	}
	for (unsigned i = 0; hosts && i < o->hosts; i++)
		hosts[i].rate = o->rate * hosts[i].weight / sum;
	return hosts;
}

static void print_hosts(const struct host *hosts, unsigned n)
{
	printf("host\tpieces\tflows\tup_bytes\tdown_bytes\tnames\ttold\n");
	for (unsigned i = 0; i < n; i++) {
		const struct host *h = &hosts[i];

		printf("%s\t%" PRIu64 "\t%" PRIu64 "\t%" PRIu64 "\t%" PRIu64 "\t%" PRIu64
		       "\t%" PRIu64 "\n",
		       h->name, h->pieces, h->flows, h->up_bytes, h->down_bytes, h->names, h->told);
	}
}

static double cpu_seconds(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
	       (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

/* "key value", a line each: for bench/fleet.py. */
static void print_how(const struct worker *w, unsigned n, double seconds)
{
	uint64_t inserts = 0, bytes = 0, retries = 0, late_ns = 0, insert_ns = 0, insert_ns_max = 0;

	for (unsigned i = 0; i < n; i++) {
		inserts += w[i].inserts;
		bytes += w[i].sent_bytes;
		retries += w[i].retries;
		insert_ns += w[i].insert_ns;
		late_ns = MAX(late_ns, w[i].late_ns_max);
		insert_ns_max = MAX(insert_ns_max, w[i].insert_ns_max);
	}
	fprintf(stderr,
		"seconds %.3f\ncpu %.3f\ninserts %" PRIu64 "\nbody_bytes %" PRIu64
		"\nretries %" PRIu64 "\ninsert_ms %.2f\ninsert_ms_max %.1f\nlate_ms_max %.1f\n",
		seconds, cpu_seconds(), inserts, bytes, retries,
		inserts ? (double)insert_ns / (double)inserts / 1e6 : 0,
		(double)insert_ns_max / 1e6, (double)late_ns / 1e6);
}

static bool run(struct worker *w, unsigned n, void *(*what)(void *))
{
	pthread_t threads[WORKERS_MAX];
	unsigned started = 0;
	bool ok = true;

	while (started < n && pthread_create(&threads[started], NULL, what, &w[started]) == 0)
		started++;
	for (unsigned i = 0; i < started; i++) {
		pthread_join(threads[i], NULL);
		ok = ok && !w[i].failed;
	}
	return ok && started == n;
}

int main(int argc, char **argv)
{
	struct options o = { .to = { .database = "egret" },
			     .hosts = 20,
			     .workers = 2,
			     .seed = 1,
			     .rate = 1000,
			     .seconds = 60,
			     .days = 7,
			     .end_ns = time_now() };
	_cleanup_free_ struct host *hosts = NULL;
	_cleanup_free_ struct worker *workers = NULL;
	uint64_t began_ns = time_now_boot();
	bool ok;

	parse(&o, argc, argv);
	curl_global_init(CURL_GLOBAL_DEFAULT);
	hosts = make_hosts(&o);
	workers = calloc(o.workers, sizeof(*workers));
	for (unsigned i = 0; hosts && workers && i < o.workers; i++) {
		unsigned from = i * o.hosts / o.workers, to = (i + 1) * o.hosts / o.workers;

		if (worker_init(&workers[i], &o, &hosts[from], to - from) < 0)
			return 1;
		workers[i].bench.seed ^= o.seed + i;
	}
	ok = hosts && workers && run(workers, o.workers, o.fill ? run_fill : run_live);
	if (ok) {
		print_hosts(hosts, o.hosts);
		print_how(workers, o.workers, (double)(time_now_boot() - began_ns) / 1e9);
	}
	for (unsigned i = 0; workers && i < o.workers; i++)
		worker_done(&workers[i]);
	curl_global_cleanup();
	return ok ? 0 : 1;
}
