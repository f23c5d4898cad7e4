/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Flows of realistic shape, the same for every program that is measured: a host with 60 programs, of which a few talk to everything
 * (Zipf over 8,000 names) and most to a handful; daemons that live on, and processes that make a flow or two; long flows in
 * pieces; scans of addresses without a name. All by one seed.
 */
#pragma once

#include <math.h>
#include <netinet/in.h>
#include <stdio.h>

#include "base/time.h"
#include "flow/flow.h"
#include "store/row.h"

#define BENCH_NAMES 8000
#define BENCH_DOMAINS 3000
#define BENCH_PROGRAMS 60
#define BENCH_END_S 1767139200ULL /* 2025-12-31 00:00 UTC: the last flow ends before */

struct bench {
	uint64_t seed, flows, n, first_ns, length_ns, last_id;
	double cumulated[BENCH_NAMES];
	char names[BENCH_NAMES][32];
	unsigned domain_at[BENCH_NAMES], domains[BENCH_NAMES];
	char exe[BENCH_PROGRAMS][40], unit[BENCH_PROGRAMS][40], user[8][16], rule[12][48],
		args[512][96];
	struct store_row row;
};

static uint64_t bench_dice(struct bench *b)
{
	b->seed ^= b->seed << 13;
	b->seed ^= b->seed >> 7;
	b->seed ^= b->seed << 17;
	return b->seed;
}

static double bench_part(struct bench *b)
{
	return (double)(bench_dice(b) >> 11) / 9007199254740992.0;
}

static unsigned bench_zipf(struct bench *b, unsigned n)
{
	double want = bench_part(b) * b->cumulated[n - 1];
	unsigned lo = 0, hi = n - 1;

	while (lo < hi) {
		unsigned mid = (lo + hi) / 2;

		if (b->cumulated[mid] < want)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static inline void bench_init(struct bench *b, uint64_t flows, unsigned days)
{
	double sum = 0;

	memset(b, 0, sizeof(*b));
	b->seed = 88172645463325252ULL;
	b->flows = flows;
	b->length_ns = days * 86400ULL * NSEC_PER_SEC;
	b->first_ns = BENCH_END_S * NSEC_PER_SEC - b->length_ns;
	b->last_id = b->first_ns / NSEC_PER_MSEC << 12;
	for (unsigned i = 0; i < BENCH_NAMES; i++) {
		unsigned n;

		sum += 1.0 / (i + 1);
		b->cumulated[i] = sum;
		b->domains[i] = i * 2654435761U % BENCH_DOMAINS;
		n = (unsigned)snprintf(b->names[i], sizeof(b->names[i]), "%s%u.",
				       i % 3 ? "cdn" : "api", i);
		b->domain_at[i] = n;
		snprintf(b->names[i] + n, sizeof(b->names[i]) - n, "site%u.example", b->domains[i]);
	}
	for (unsigned i = 0; i < BENCH_PROGRAMS; i++) {
		snprintf(b->exe[i], sizeof(b->exe[i]), "/usr/%s/program%u",
			 i % 4 ? "bin" : "lib/app", i);
		snprintf(b->unit[i], sizeof(b->unit[i]), "program%u.service", i);
	}
	for (unsigned i = 0; i < 8; i++)
		snprintf(b->user[i], sizeof(b->user[i]), "user%u", i);
	for (unsigned i = 0; i < 12; i++)
		snprintf(b->rule[i], sizeof(b->rule[i]), "allow app program%u to any port 443", i);
	for (unsigned i = 0; i < 512; i++) {
		int n = snprintf(b->args[i], sizeof(b->args[i]), "program%u", i % BENCH_PROGRAMS);

		snprintf(b->args[i] + n + 1, sizeof(b->args[i]) - (size_t)n - 1,
			 "--config=/etc/program/%u.conf", i);
	}
}

static void bench_who(struct bench *b, struct store_who *w, unsigned program)
{
	bool daemon = program % 3 || bench_dice(b) % 2;

	*w = (struct store_who){
		.ppid = 1, .has_uid = true, .uid = 1000 + program % 8, .exe_state = EXE_FILE
	};
	w->exe = str_of(b->exe[program]);
	w->comm = str_sub(w->exe, w->exe.n - 9, 9);
	w->args = (struct str){ b->args[program * 8], sizeof(b->args[0]) };
	while (w->args.n && !w->args.p[w->args.n - 1])
		w->args.n--;
	w->user = str_of(b->user[program % 8]);
	w->cgroup = w->unit = str_of(b->unit[program]);
	w->pid = 1000 + program;
	w->start_ns = b->first_ns;
	if (!daemon) { /* a process of its own for every second flow */
		w->pid = 10000 + (uint32_t)(b->n / 2 % 4000000);
		w->start_ns = b->first_ns + b->n / 2 * NSEC_PER_MSEC;
		w->args.p = b->args[bench_dice(b) % 512];
		w->n_ancestors = 2;
		w->ancestors[0].pid = 900 + program;
		w->ancestors[0].exe = STR("/usr/bin/bash");
		w->ancestors[0].comm = STR("bash");
		w->ancestors[1].pid = 1;
		w->ancestors[1].exe = STR("/usr/lib/systemd/systemd");
		w->ancestors[1].comm = STR("systemd");
	}
}

static void bench_peer(struct bench *b, struct store_row *row, unsigned program)
{
	unsigned name = program < 6 ? bench_zipf(b, BENCH_NAMES)
				    : (program * 331 + bench_zipf(b, 40)) % BENCH_NAMES;
	uint32_t ip = 0x05000000 + name * 977 + (uint32_t)bench_dice(b) % (1 + name % 3);
	struct store_peer *p = &row->peer;
	uint8_t v4[4];

	p->segment = STR("internet");
	if (bench_dice(b) % 100 < 2) { /* nobody asked for a name */
		ip = 0x2d000000 + bench_zipf(b, BENCH_NAMES) * 13;
	} else {
		p->name = str_of(b->names[name]);
		p->domain = str_sub(p->name, b->domain_at[name], p->name.n);
		p->name_source = NAME_SNI;
	}
	for (int i = 0; i < 4; i++)
		v4[i] = (uint8_t)(ip >> 8 * (3 - i));
	memcpy(p->country, (const char *[]){ "US", "DE", "NL", "IE", "FR" }[ip >> 8 & 3], 2);
	p->asn = 64496 + (ip >> 12) % 300;
	p->as_org = STR("Example Networks");
	row->key.dst = addr_from_v4(v4);
}

/* The next flow; its later pieces, if any, by bench_piece(). false: that was all. */
static inline bool bench_next(struct bench *b)
{
	struct store_row *row = &b->row;
	unsigned program = bench_zipf(b, BENCH_PROGRAMS);
	uint64_t size =
		(uint64_t)exp(6.5 + 4.5 * bench_part(b) + 4 * bench_part(b) * bench_part(b));

	if (b->n == b->flows)
		return false;
	memset(row, 0, sizeof(*row));
	row->boot = 1;
	row->flow_id = ++b->last_id;
	row->to_ns =
		b->first_ns + (uint64_t)((double)b->length_ns * (double)b->n / (double)b->flows);
	row->to_ns += bench_dice(b) % NSEC_PER_MSEC;
	row->start_ns = row->from_ns = row->to_ns - (uint64_t)(exp(17 + 7 * bench_part(b)));
	row->ends = true;
	row->key.src = addr_from_v4("\x0a\0\0\x05");
	row->key.sport = (uint16_t)(32768 + bench_dice(b) % 28000);
	row->key.dport =
		(uint16_t[]){ 443, 443, 443, 443, 443, 443, 80, 53, 22, 8443 }[bench_dice(b) % 10];
	row->key.proto = row->key.dport == 53 ? IPPROTO_UDP : IPPROTO_TCP;
	row->key.zone = 4026531840;
	row->app = (uint16_t)(row->key.dport == 53   ? APP_DNS
			      : row->key.dport == 80 ? APP_HTTP
						     : APP_TLS);
	bench_peer(b, row, program);
	row->has_who = true;
	bench_who(b, &row->who, program);
	row->up_bytes = 300 + size / 8;
	row->down_bytes = 400 + size;
	row->up_packets = 5 + size / 3000;
	row->down_packets = 5 + size / 1400;
	row->payload_known = true;
	row->up_payload = row->up_bytes - 52 * row->up_packets % row->up_bytes;
	row->down_payload = row->down_bytes - 52 * row->down_packets % row->down_bytes;
	row->tcp_flags[0] = row->key.proto == IPPROTO_TCP ? 27 : 0;
	row->tcp_flags[1] =
		row->key.proto == IPPROTO_TCP ? (uint8_t[]){ 27, 26, 31 }[bench_dice(b) % 3] : 0;
	row->rtt_us = 5000 + (uint32_t)(bench_dice(b) % 40000);
	row->retransmits = bench_dice(b) % 20 ? 0 : 1;
	row->state = FLOW_CLOSED;
	row->end = row->key.proto == IPPROTO_TCP ? END_FIN : END_TIMEOUT;
	row->direction = FLOW_EGRESS;
	row->ifindex = 2;
	row->rule = (struct store_rule){ .action = 1,
					 .line = 10 + program % 12,
					 .file = STR("/etc/egret/policy.egret"),
					 .text = str_of(b->rule[program % 12]) };
	if (row->app == APP_TLS) {
		row->ja3 = STR("cd08e31494f9531f560d64c695473da9");
		row->ja4 = STR("t13d1516h2_8daaf6152771_e5627efa2ab1");
	}
	b->n++;
	return true;
}
