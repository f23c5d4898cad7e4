/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How soon tunnels in names are found, and that what looks like them is not: the shapes that known tools make and those that
 * ordinary programs make, with fixed dice, through the whole of detection; and captures of tools. Prints the table.
 */
#include "test.h"

#include <time.h>

#include "dns_rig.h"
#include "pipeline.h"
#include "replay/replay.h"

#define WITHIN 150 /* queries */

struct shape {
	const char *name;
	void (*next)(struct asked *a, unsigned i);
	double gap_s;
	unsigned most; /* queries */
	unsigned within;
};

static const struct shape tunnels[] = {
	{ "iodine NULL", iodine_null, 0.1, 500, WITHIN },
	{ "iodine TXT", iodine_txt, 0.1, 500, WITHIN },
	{ "iodine CNAME", iodine_cname, 0.1, 500, WITHIN },
	{ "iodine MX", iodine_mx, 0.1, 500, WITHIN },
	{ "iodine A", iodine_a, 0.1, 500, WITHIN },
	{ "iodine, idle", iodine_idle, 4, 500, WITHIN },
	{ "dnscat2", dnscat2, 1, 500, WITHIN },
	{ "dnscat2, idle", dnscat2_idle, 1, 500, WITHIN },
	{ "dnscat2 without a domain", dnscat2_direct, 1, 500, WITHIN },
	{ "dns2tcp TXT", dns2tcp_txt, 0.2, 500, WITHIN },
	{ "dns2tcp KEY", dns2tcp_key, 0.2, 500, WITHIN },
	{ "ozymandns", ozymandns, 0.2, 500, WITHIN },
	{ "DNSExfiltrator", dnsexfiltrator, 0.2, 500, WITHIN },
	{ "AndIodine MX", andiodine, 0.2, 500, WITHIN },
	{ "Cobalt Strike A, TXT", cobalt_strike, 5, 500, WITHIN },
	{ "made-up suffix", made_up_suffix, 1, 500, WITHIN },
	{ "made-up suffixes", made_up_suffixes, 1, 500, WITHIN },
	/* 0.05 bytes of data a second: a name of 8 letters, 5 bytes, each 100 s. */
	{ "0.05 B/s, A", drip, 100, 7 * 864, 864 },
	{ "4 letters each minute, A", drip_short, 60, 7 * 1440, 7 * 1440 },
	{ "0.025 B/s, A", drip, 200, 7 * 432, 7 * 432 },
};

static const struct shape ordinary[] = {
	{ "browsing", browsing, 2, 20000, 0 },
	{ "content network", cdn_hashes, 2, 10000, 0 },
	{ "file reputation", antivirus, 1, 10000, 0 },
	{ "advertising", advertising, 10, 5000, 0 },
	{ "block lists", block_lists, 0.5, 10000, 0 },
	{ "reverse look-ups", reverse, 0.5, 10000, 0 },
	{ "mail policies", mail_policies, 1, 10000, 0 },
	{ "ACME", acme, 5, 5000, 0 },
	{ "crawler", crawler, 1, 10000, 0 },
	{ "inventory", inventory, 1, 20000, 0 },
};

/* Queries until something of medium or above is found; 0: nothing was. */
static unsigned play(const struct shape *s, double *ret_seconds, struct heaviest *ret)
{
	struct rig r;
	struct asked a;
	unsigned found = 0;

	dice = 88172645463325252ULL;
	rig_new(&r, DETECT_FILE, 0);
	for (unsigned i = 0; i < s->most && !found; i++) {
		s->next(&a, i);
		rig_ask(&r, CLIENT, RESOLVER, &a,
			RIG_START + (uint64_t)(i * s->gap_s * NSEC_PER_SEC));
		if (i % 10 && i > 300)
			continue;
		*ret = rig_heaviest(&r);
		*ret_seconds = i * s->gap_s;
		if (ret->severity >= SEVERITY_MEDIUM)
			found = i + 1;
	}
	rig_free(&r);
	return found;
}

static void test_tunnels(void **state)
{
	struct heaviest h;
	double seconds;
	int missed = 0;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(tunnels); i++) {
		unsigned n = play(&tunnels[i], &seconds, &h);
		bool ok = n && n <= tunnels[i].within;

		print_message("%-26s %5u queries %8.0f s  %+d dB  %s\n", tunnels[i].name, n,
			      seconds, h.score, ok ? h.peer : "MISSED");
		missed += !ok;
	}
	assert_int_equal(missed, 0);
}

static void test_ordinary(void **state)
{
	struct heaviest h;
	double seconds;
	int wrong = 0;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(ordinary); i++) {
		unsigned n = play(&ordinary[i], &seconds, &h);

		print_message("%-26s %5u queries  %s %s\n", ordinary[i].name, ordinary[i].most,
			      severity_name(h.severity) ?: "nothing", h.explain);
		wrong += !!n;
	}
	assert_int_equal(wrong, 0);
}

/* --- captures -------------------------------------------------------------------------------------------------------- */

struct reading {
	struct pipeline *pipeline;
	struct replay *replay;
	struct detect *d;
	unsigned queries, found;
	uint64_t first_ns, found_ns;
	struct heaviest heaviest;
};

static void on_record(void *ctx, const struct record *r)
{
	struct reading *rd = ctx;

	detect_record(rd->d, r);
	if (r->type != RECORD_DNS)
		return;
	rd->queries += !r->dns->response;
	if (!rd->first_ns)
		rd->first_ns = r->time_ns;
	if (rd->found)
		return;
	rd->heaviest = (struct heaviest){ 0 };
	detect_each(rd->d, true, (struct finding_out){ on_each, &rd->heaviest });
	if (rd->heaviest.severity >= SEVERITY_MEDIUM) {
		rd->found = rd->queries;
		rd->found_ns = r->time_ns;
	}
}

static void nothing(void *ctx, const struct finding *f)
{
	(void)ctx;
	(void)f;
}

static void read_capture(const char *name, struct reading *rd)
{
	char path[512];
	int r;

	*rd = (struct reading){ 0 };
	test_data(name, path);
	assert_ok(pipeline_new(&rd->pipeline, &(struct pipeline_config){ 0 },
			       (struct record_out){ on_record, rd }));
	assert_ok(detect_new(&rd->d,
			     &(struct detect_config){ .vantage = DETECT_FILE,
						      .texts = pipeline_texts(rd->pipeline) },
			     (struct finding_out){ nothing, NULL }));
	flow_table_watch(pipeline_flows(rd->pipeline), detect_watch(rd->d));
	assert_ok(replay_new(&rd->replay, pipeline_input(rd->pipeline), NULL, NULL));
	assert_ok(replay_add(rd->replay, path));
	do
		r = replay_run(rd->replay, 1000);
	while (r > 0);
	assert_ok(r);
	flow_table_finish(pipeline_flows(rd->pipeline));
	replay_free(rd->replay);
	detect_free(rd->d);
	pipeline_free(rd->pipeline);
}

static void test_captures(void **state)
{
	static const struct {
		const char *name, *peer; /* NULL: nothing is found */
	} captures[] = {
		{ "ndpi/dns-tunnel-iodine.pcap", "pirate.sea" },
		{ "ndpi/dns_exfiltration.pcap", "192.168.203.167:53" },
		{ "ndpi/bad-dns-traffic.pcap", "skullseclabs.org" },
		{ "ndpi/dns-exf.pcap", NULL }, /* one question says nothing */
		{ "zeek-logs/rita-proxy/dns.log", NULL },
		{ "benign-browsing-ndpi42/chrome.pcap", NULL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(captures); i++) {
		struct reading rd;

		read_capture(captures[i].name, &rd);
		print_message("%-38s %5u queries, found after %u, %.1f s: %s\n", captures[i].name,
			      rd.queries, rd.found,
			      rd.found ? (double)(rd.found_ns - rd.first_ns) / NSEC_PER_SEC : 0,
			      rd.found ? rd.heaviest.peer : "nothing");
		if (!captures[i].peer) {
			assert_int_equal(rd.found, 0);
			continue;
		}
		assert_in_range(rd.found, 1, WITHIN);
		assert_string_equal(rd.heaviest.peer, captures[i].peer);
	}
}

/* --- cost ------------------------------------------------------------------------------------------------------------ */

static uint64_t nanoseconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * NSEC_PER_SEC + (uint64_t)t.tv_nsec;
}

/* The detector alone, by message: the same messages with it and without any detector that looks at them. */
static void test_cost(void **state)
{
	static const struct {
		const char *name;
		void (*next)(struct asked *a, unsigned i);
	} mixes[] = { { "browsing", browsing },
		      { "content network", cdn_hashes },
		      { "dnscat2", dnscat2 } };
	enum { QUERIES = 100000 };
	static struct asked all[QUERIES];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(mixes); i++) {
		struct rig r;
		struct flow f;
		uint64_t began, took;

		dice = 88172645463325252ULL;
		rig_new(&r, DETECT_FILE, 0);
		f = rig_flow(&r, CLIENT, RESOLVER, 53, NULL, RIG_START);
		f.key.proto = IPPROTO_UDP;
		f.app = APP_DNS;
		for (unsigned k = 0; k < QUERIES; k++)
			mixes[i].next(&all[k], k);
		began = nanoseconds();
		for (unsigned k = 0; k < QUERIES; k++) {
			rig_dns_message(&r, &f, &all[k], false, RIG_START + k * 10 * NSEC_PER_MSEC);
			rig_dns_message(&r, &f, &all[k], true, RIG_START + k * 10 * NSEC_PER_MSEC);
		}
		took = (nanoseconds() - began) / (2UL * QUERIES);
		print_message("%-26s %5lu ns a message\n", mixes[i].name, took);
		/* An order of magnitude above what it is: for a test on a busy machine, or one that looks at every byte. */
		assert_in_range(took, 0, 20000);
		rig_end(&r, &f, RIG_START + 2 * 3600 * NSEC_PER_SEC);
		rig_free(&r);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tunnels),
		cmocka_unit_test(test_ordinary),
		cmocka_unit_test(test_captures),
		cmocka_unit_test(test_cost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
