/* SPDX-License-Identifier: Apache-2.0 */
/* For the tests of replay/: files made here, and an output that keeps what came. */
#pragma once

#include "test.h"

#include <unistd.h>

#include "base/buf.h"
#include "replay/replay.h"

#define COLLECT_MAX 4096

struct collected {
	uint64_t time_ns;
	struct event_key key;
	struct event_packet packet;
	char payload[64]; /* its beginning */
};

struct collect {
	size_t n; /* packets */
	uint64_t n_close, n_fact, n_loss, lost, unreported_packets, unreported_bytes;
	uint64_t sum_packets, sum_bytes;
	bool unordered; /* a packet came before one of an earlier time */
	uint64_t last_ns;
	struct replay_stats stats;
	char complaint[512];
	int added; /* what replay_add() said */
	struct collected p[COLLECT_MAX];
	void (*on_event)(struct collect *c, const struct event *e); /* of a test's own */
};

static void collect_packet(struct collect *c, const struct event *e)
{
	struct collected *p = &c->p[c->n < COLLECT_MAX ? c->n : COLLECT_MAX - 1];
	size_t n = e->packet.payload.n;

	c->n++;
	p->time_ns = e->time_ns;
	p->key = e->key;
	p->packet = e->packet;
	p->packet.payload.p = NULL;
	memset(p->payload, 0, sizeof(p->payload));
	if (n)
		memcpy(p->payload, e->packet.payload.p,
		       n < sizeof(p->payload) ? n : sizeof(p->payload) - 1);
	c->sum_packets += e->packet.packets;
	c->sum_bytes += e->packet.ip_bytes;
}

static void collect_event(void *ctx, const struct event *e)
{
	struct collect *c = ctx;

	c->unordered |= e->time_ns < c->last_ns;
	c->last_ns = e->time_ns;
	if (e->type == EVENT_PACKET)
		collect_packet(c, e);
	c->n_close += e->type == EVENT_CLOSE;
	c->n_fact += e->type == EVENT_FACT;
	if (e->type == EVENT_LOSS) {
		c->n_loss++;
		c->lost += e->loss.count;
		c->unreported_packets += e->loss.unreported.tx_packets;
		c->unreported_bytes += e->loss.unreported.tx_bytes;
	}
	if (c->on_event)
		c->on_event(c, e);
}

static void collect_complaint(void *ctx, const char *message)
{
	struct collect *c = ctx;

	snprintf(c->complaint, sizeof(c->complaint), "%s", message);
}

static struct collect *collect_new(void)
{
	struct collect *c = calloc(1, sizeof(*c));

	assert_non_null(c);
	return c;
}

/* Reads the inputs to their end, `budget` records at a time. */
static void collect_run(struct collect *c, const char *const paths[], size_t n, size_t budget)
{
	struct replay *r = NULL;
	int more;

	assert_ok(replay_new(&r, (struct event_out){ collect_event, c }, collect_complaint, c));
	for (size_t i = 0; i < n; i++)
		c->added = replay_add(r, paths[i]);
	do {
		more = replay_run(r, budget);
	} while (more > 0);
	assert_int_equal(more, 0);
	c->stats = *replay_stats(r);
	replay_free(r);
}

static void collect_file(struct collect *c, const char *path)
{
	collect_run(c, &path, 1, 100);
}

/* A file of the test's own, gone at the end of the program's folder in /tmp. `path` gets its name. */
static void write_temp(const struct buf *b, const char *suffix, char path[64])
{
	FILE *f;
	int fd;

	assert_false(b->failed);
	snprintf(path, 64, "/tmp/egret-test-XXXXXX%s", suffix);
	fd = mkstemps(path, (int)strlen(suffix));
	assert_true(fd >= 0);
	f = fdopen(fd, "w");
	assert_non_null(f);
	assert_int_equal(fwrite(b->p, 1, b->n, f), b->n);
	assert_int_equal(fclose(f), 0);
}

static struct collect *collect_bytes(const struct buf *b)
{
	struct collect *c = collect_new();
	char path[64];

	write_temp(b, "", path);
	collect_file(c, path);
	unlink(path);
	return c;
}

/* --- frames and pcap files ----------------------------------------------------------------------------------- */

static inline void put16(struct buf *b, uint16_t v, bool big)
{
	uint8_t p[2] = { (uint8_t)v, (uint8_t)(v >> 8) };

	buf_putc(b, (char)p[big]);
	buf_putc(b, (char)p[!big]);
}

static inline void put32(struct buf *b, uint32_t v, bool big)
{
	put16(b, (uint16_t)(big ? v >> 16 : v), big);
	put16(b, (uint16_t)(big ? v : v >> 16), big);
}

/* Raw IPv4 UDP from 10.0.0.1 to 10.0.0.2, `payload` bytes of 'x'. Source port tells frames apart. */
static inline size_t udp_frame(uint8_t *p, uint16_t sport, size_t payload)
{
	size_t n = 28 + payload;
	const uint8_t head[28] = { 0x45,
				   0,
				   (uint8_t)(n >> 8),
				   (uint8_t)n,
				   0,
				   1,
				   0,
				   0,
				   64,
				   17,
				   0,
				   0,
				   10,
				   0,
				   0,
				   1,
				   10,
				   0,
				   0,
				   2,
				   (uint8_t)(sport >> 8),
				   (uint8_t)sport,
				   0,
				   53,
				   (uint8_t)((n - 20) >> 8),
				   (uint8_t)(n - 20),
				   0,
				   0 };

	memcpy(p, head, sizeof(head));
	memset(p + sizeof(head), 'x', payload);
	return n;
}

static inline void pcap_header(struct buf *b, uint32_t magic, uint32_t link, bool big)
{
	put32(b, magic, big);
	put16(b, 2, big);
	put16(b, 4, big);
	put32(b, 0, big);
	put32(b, 0, big);
	put32(b, 65535, big);
	put32(b, link, big);
}

static inline void pcap_record(struct buf *b, uint32_t sec, uint32_t frac, const void *p, size_t n,
			       size_t wire, bool big)
{
	put32(b, sec, big);
	put32(b, frac, big);
	put32(b, (uint32_t)n, big);
	put32(b, (uint32_t)wire, big);
	buf_put(b, p, n);
}

/* A raw IP capture of n UDP frames, one a second, source ports 1000, 1001, … */
static inline void pcap_of(struct buf *b, size_t n, uint32_t first_sec)
{
	pcap_header(b, 0xa1b2c3d4, 101, false);
	for (size_t i = 0; i < n; i++) {
		uint8_t frame[256];
		size_t length = udp_frame(frame, (uint16_t)(1000 + i), i % 100);

		pcap_record(b, first_sec + (uint32_t)i, 5, frame, length, length, false);
	}
}
