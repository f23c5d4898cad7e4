/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Classic pcap files (draft-ietf-opsawg-pcap): micro- and nanoseconds, both byte orders, and Kuznetzov's variant.
 * Our own reader, here and in pcapng.c, because libpcap refuses a pcapng file with several link types, gives up at the
 * first wrong record, and wants a FILE where we have a confined and unpacking input.
 *
 * Records have no marks. When a header cannot be true, reading goes on at the next place where two headers in a row
 * can be: `believable` is what garbage practically never is, `possible` what a careless writer still gets.
 */
#include "replay/source.h"

#include <errno.h>
#include <stdlib.h>

#include "base/time.h"
#include "replay/bytes.h"
#include "replay/input.h"
#include "replay/replay.h"

#define MAGIC_MICRO 0xa1b2c3d4
#define MAGIC_NANO 0xa1b23c4d
#define MAGIC_KUZNETZOV 0xa1b2cd34

#define FILE_HEADER 24
#define RECORD_HEADER 16
#define RECORD_HEADER_KUZNETZOV 24

#define NEAR_SEC (7u * 86400) /* two neighbours in a file are not further apart */

struct pcap {
	struct input *in;
	struct input_view *view;
	struct replay_stats *stats;
	size_t header; /* of a record */
	size_t taken;  /* of the last record, to be stepped over */
	uint32_t frac_per_sec;
	uint32_t ns_per_frac;
	uint32_t last_sec;
	uint16_t link;
	bool swapped;
	bool lengths_swapped; /* version 2.3 had them in either order */
	bool any;             /* last_sec is set */
};

struct record_header {
	uint32_t sec, frac, captured, wire;
};

static bool magic_known(uint32_t m)
{
	return m == MAGIC_MICRO || m == MAGIC_NANO || m == MAGIC_KUZNETZOV;
}

static bool pcap_is(struct str head)
{
	const uint8_t *p = (const uint8_t *)head.p;

	return head.n >= 4 && (magic_known(get32(p, false)) || magic_known(get32(p, true)));
}

static int pcap_open(void **ret, struct input *in, struct shared *shared)
{
	struct input_view *v = input_view(in);
	struct pcap *c;
	uint32_t magic;

	if (!input_need(in, v, FILE_HEADER))
		return -EBADMSG;
	c = calloc(1, sizeof(*c));
	if (!c)
		return -ENOMEM;
	c->in = in;
	c->view = v;
	c->stats = &shared->stats;
	c->swapped = !magic_known(get32(v->p, false));
	magic = get32(v->p, c->swapped);
	c->frac_per_sec = magic == MAGIC_NANO ? 1000000000 : 1000000;
	c->ns_per_frac = magic == MAGIC_NANO ? 1 : 1000;
	c->header = magic == MAGIC_KUZNETZOV ? RECORD_HEADER_KUZNETZOV : RECORD_HEADER;
	c->lengths_swapped = get16(v->p + 6, c->swapped) <= 3;
	c->link = (uint16_t)get32(v->p + 20,
				  c->swapped); /* above: length of the frame check sequence */
	input_take(v, FILE_HEADER);
	*ret = c;
	return 0;
}

static void pcap_close(void *reader)
{
	free(reader);
}

static struct record_header header_at(const struct pcap *c, const uint8_t *p)
{
	struct record_header h = {
		.sec = get32(p, c->swapped),
		.frac = get32(p + 4, c->swapped),
		.captured = get32(p + 8, c->swapped),
		.wire = get32(p + 12, c->swapped),
	};

	if (c->lengths_swapped && h.captured > h.wire) {
		uint32_t captured = h.wire;

		h.wire = h.captured;
		h.captured = captured;
	}
	return h;
}

static bool possible(const struct record_header *h)
{
	return h->captured <= FRAME_MAX && h->wire <= WIRE_MAX && (h->captured || h->wire);
}

static bool believable(const struct pcap *c, const struct record_header *h)
{
	if (!possible(h) || h->frac >= c->frac_per_sec || h->captured > h->wire)
		return false;
	return !c->any || h->sec - c->last_sec + NEAR_SEC <= 2 * NEAR_SEC;
}

/* The header n bytes on, as far as the input goes: true when it passes, or when the input ends right there. */
static bool next_passes(const struct pcap *c, size_t n, bool strictly)
{
	struct record_header h;

	if (c->view->n == n)
		return true;
	if (c->view->n < n + c->header)
		return false;
	h = header_at(c, c->view->p + n);
	return strictly ? believable(c, &h) : possible(&h);
}

/* Steps forward to where records seem to go on, or to the end. Looks at each place once, in constant time. */
static bool resync(struct pcap *c)
{
	const size_t look = 2 * c->header + FRAME_MAX;

	do {
		struct record_header h;

		input_take(c->view, 1);
		if (!input_need(c->in, c->view, look) && c->view->n < c->header) {
			input_take(c->view, c->view->n);
			return false;
		}
		h = header_at(c, c->view->p);
		if (believable(c, &h) && h.captured &&
		    next_passes(c, c->header + h.captured, true)) {
			c->stats->blocks_bad++;
			return true;
		}
	} while (true);
}

/* Odd but real: one record with a wrong fraction, or nothing captured. What follows it decides. */
static bool odd_is_fine(struct pcap *c, const struct record_header *h)
{
	if (h->captured > FRAME_MAX)
		return false;
	input_need(c->in, c->view, 2 * c->header + h->captured);
	return next_passes(c, c->header + h->captured, false);
}

static bool pcap_next(void *reader, struct record *ret)
{
	struct pcap *c = reader;
	struct record_header h;

	input_take(c->view, c->taken);
	c->taken = 0;
	for (;;) {
		if (!input_need(c->in, c->view, c->header)) {
			c->stats->inputs_cut += c->view->n || input_error(c->in) < 0;
			input_take(c->view, c->view->n);
			return false;
		}
		h = header_at(c, c->view->p);
		if (believable(c, &h) || odd_is_fine(c, &h)) {
			if (input_need(c->in, c->view, c->header + h.captured))
				break;
			/* The end, or a wrong length that only looks like it. */
			if (!resync(c)) {
				c->stats->inputs_cut++;
				return false;
			}
		} else {
			c->stats->blocks_bad += !resync(c);
		}
	}
	c->last_sec = h.sec;
	c->any = true;
	c->taken = c->header + h.captured;
	ret->time_ns = h.sec * NSEC_PER_SEC + (uint64_t)h.frac * c->ns_per_frac;
	ret->bytes = (struct str){ (const char *)c->view->p + c->header, h.captured };
	ret->wire = h.wire;
	ret->link = c->link;
	return true;
}

const struct format format_pcap = {
	.name = "pcap",
	.is = pcap_is,
	.open = pcap_open,
	.close = pcap_close,
	.next = pcap_next,
};
