/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What detection costs by itself, with all detectors: per packet of bulk traffic, per flow, per check-in, and its memory with
 * 100,000 pairs that all come back. One row of JSON.
 */
#include <errno.h>
#include <math.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/time.h"
#include "detect/checkins.h"
#include "detect/regularity.h"

#define START (1700000000 * NSEC_PER_SEC)
#define PACKETS 20000000
#define FLOWS 1000000
#define BULK_FLOWS 64
#define PAIRS 100000
#define ROUNDS 12

static struct intern *texts;
static struct detect *d;
static struct flow_watch watch;
static uint64_t next_id = 1;

static void on_finding(void *ctx, const struct finding *f)
{
	++*(uint64_t *)ctx;
}

static void begin(void)
{
	static uint64_t findings;

	if (intern_new(&texts, 4000000) < 0 ||
	    detect_new(&d, &(struct detect_config){ .vantage = DETECT_GATEWAY, .texts = texts },
		       (struct finding_out){ on_finding, &findings }) < 0) {
		fprintf(stderr, "bench-detect: no memory\n");
		exit(1);
	}
	watch = detect_watch(d);
}

static void end(void)
{
	detect_free(d);
	intern_free(texts);
}

static struct flow flow_of(uint32_t src, uint32_t dst, uint64_t time_ns, struct text *name)
{
	struct flow f = { .id = next_id++,
			  .start_ns = time_ns,
			  .last_ns = time_ns,
			  .state = FLOW_ESTABLISHED,
			  .direction = FLOW_EGRESS,
			  .app = APP_TLS,
			  .payload_known = true,
			  .name = name,
			  .name_source = NAME_SNI };

	f.key.proto = IPPROTO_TCP;
	f.key.src = addr_from_v4(&(uint32_t){ htonl(src) });
	f.key.dst = addr_from_v4(&(uint32_t){ htonl(dst) });
	f.key.sport = (uint16_t)(20000 + f.id % 40000);
	f.key.dport = 443;
	return f;
}

static void flow_ends(struct flow *f, uint64_t time_ns)
{
	f->end = END_FIN;
	f->last_ns = time_ns;
	detect_record(
		d, &(struct record){
			   .type = RECORD_FLOW, .time_ns = time_ns, .flow = f, .flow_ends = true });
}

static struct text *name_of(unsigned n)
{
	char name[64];

	snprintf(name, sizeof(name), "www.bench%u.net", n);
	return intern_get(texts, str_of(name));
}

/* CPU time: what others do on this machine changes it least. */
static uint64_t cpu_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * NSEC_PER_SEC + (uint64_t)t.tv_nsec;
}

static double ns_since(uint64_t from, uint64_t n)
{
	return (double)(cpu_now() - from) / (double)n;
}

/* Packets of a few big transfers in turn, one in three of them up. */
static double bulk(void)
{
	struct flow f[BULK_FLOWS];
	uint64_t from;
	double ns;

	begin();
	for (unsigned i = 0; i < BULK_FLOWS; i++)
		f[i] = flow_of(0x0a000001 + i % 8, 0xc6336401 + i, START, name_of(i % 32));
	from = cpu_now();
	for (uint64_t n = 0; n < PACKETS; n++)
		watch.on_data(watch.ctx, &f[n % BULK_FLOWS], n % 3 ? TO_CLIENT : TO_SERVER, 1400,
			      START + n * 10000);
	ns = ns_since(from, PACKETS);
	end();
	return ns;
}

static uint64_t next_random(void)
{
	static uint64_t x = 88172645463325252;

	x ^= x << 13;
	x ^= x >> 7;
	return x ^= x << 17;
}

/* A request and an answer each: new connections of 200 machines to 5,000 names at random. */
static double flows(void)
{
	struct text *names[5000];
	uint64_t from;
	double ns;

	begin();
	for (unsigned i = 0; i < 5000; i++)
		names[i] = name_of(i);
	from = cpu_now();
	for (uint64_t n = 0; n < FLOWS; n++) {
		uint64_t x = next_random(), t = START + n * 3600000;
		struct flow f =
			flow_of(0x0a000001 + x % 200, 0x0b000000 + x % 5000, t, names[x % 5000]);

		watch.on_data(watch.ctx, &f, TO_SERVER, 517 + x % 300, t);
		watch.on_data(watch.ctx, &f, TO_CLIENT, 3000, t + 1000000);
		flow_ends(&f, t + 2000000);
	}
	ns = ns_since(from, FLOWS);
	end();
	return ns;
}

/* A payload each 30 s down one connection. */
static double checkins(void)
{
	struct flow f;
	uint64_t from;
	double ns;

	begin();
	f = flow_of(0x0a000001, 0xc6336401, START, name_of(1));
	from = cpu_now();
	for (uint64_t n = 0; n < FLOWS; n++)
		watch.on_data(watch.ctx, &f, TO_SERVER, 300, START + n * 30 * NSEC_PER_SEC);
	ns = ns_since(from, FLOWS);
	end();
	return ns;
}

/* The test of 128 check-ins alone. */
static double regular(void)
{
	double gaps[CHECKINS - 1], copy[CHECKINS - 1];
	struct regularity r;
	uint64_t from;

	for (unsigned i = 0; i < CHECKINS - 1; i++)
		gaps[i] = 60 * (0.7 + 0.6 * (double)(i * 2654435761U % 1000) / 1000);
	from = cpu_now();
	for (unsigned n = 0; n < 100000; n++) {
		memcpy(copy, gaps, sizeof(copy));
		regularity(copy, CHECKINS - 1, 1, &r);
	}
	return ns_since(from, 100000);
}

static size_t memory(void)
{
	const struct pool *pools[] = { &d->entities,       &d->peers,
				       &d->pairs,          &d->sightings,
				       &d->dossiers,       &d->evidence,
				       &d->beacons->pairs, &d->beacons->streams,
				       &d->beacons->rings };
	size_t n = sizeof(*d) + sizeof(*d->beacons) + 3 * DETECT_BUCKETS * sizeof(void *) +
		   (d->ghosts ? 4U << 20 : 0U);

	for (size_t i = 0; i < sizeof(pools) / sizeof(*pools); i++)
		n += pool_bytes(pools[i]);
	return n + intern_bytes(texts);
}

int main(void)
{
	double packet_ns = bulk(), flow_ns = flows(), checkin_ns = checkins(), test_ns = regular();
	size_t bytes;

	begin();
	for (unsigned round = 0; round < ROUNDS; round++)
		for (unsigned i = 0; i < PAIRS; i++) {
			uint64_t t = START + round * 60 * NSEC_PER_SEC + i * 500000;
			struct text *name = name_of(i);
			struct flow f = flow_of(0x0a000001 + i % 1000, 0x0b000000 + i, t, name);

			watch.on_data(watch.ctx, &f, TO_SERVER, 517, t);
			watch.on_data(watch.ctx, &f, TO_CLIENT, 3000, t + 1000000);
			flow_ends(&f, t + 2000000);
			intern_put(texts, name);
		}
	bytes = memory();
	printf("{\"bulk_ns_per_packet\":%.1f,\"ns_per_flow\":%.0f,\"ns_per_checkin\":%.0f,\"test_"
	       "ns\":%.0f,"
	       "\"pairs\":%zu,\"memory_bytes\":%zu,\"packets\":%d,\"flows\":%d}\n",
	       packet_ns, flow_ns, checkin_ns, test_ns, d->pairs.used, bytes, PACKETS, FLOWS);
	end();
	return packet_ns <= 150 && flow_ns <= 2000 && bytes <= 128UL << 20 ? 0 : 1;
}
