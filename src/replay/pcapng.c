/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pcapng (draft-ietf-opsawg-pcapng): any number of sections, each in its own byte order, and of interfaces, each with
 * its own link type and clock. Blocks carry their length at both ends; one that does not, or cannot be, is counted and
 * reading goes on at the next place where both ends agree.
 */
#include "replay/source.h"

#include <errno.h>
#include <stdlib.h>

#include "base/time.h"
#include "replay/bytes.h"
#include "replay/input.h"
#include "replay/replay.h"

enum block_type {
	BLOCK_INTERFACE = 1,
	BLOCK_PACKET_OLD = 2,
	BLOCK_PACKET_SIMPLE = 3,
	BLOCK_NAMES = 4,
	BLOCK_STATISTICS = 5,
	BLOCK_PACKET = 6,
	BLOCK_SECTION = 0x0a0d0d0a, /* reads the same in both byte orders */
};

#define BYTE_ORDER_MAGIC 0x1a2b3c4d
#define BLOCK_MIN 12
#define BLOCK_MAX (16u << 20)
#define BLOCK_HELD (INPUT_NEED_MAX - 16) /* larger ones are read over, whatever they are */
#define INTERFACES_MAX 4096

#define OPTION_END 0
#define OPTION_TSRESOL 9
#define OPTION_TSOFFSET 14

struct interface {
	uint64_t offset_ns;
	uint32_t snaplen;
	uint16_t link;
	uint8_t resolution; /* as in if_tsresol */
};

struct pcapng {
	struct input *in;
	struct input_view *view;
	struct replay_stats *stats;
	struct interface *interfaces;
	size_t n_interfaces, cap_interfaces;
	uint64_t last_ns; /* simple packets have no time of their own */
	size_t taken;     /* of the last block, to be stepped over */
	bool swapped;
};

struct packet_head {
	uint32_t interface, captured, wire;
	uint64_t stamp;
	size_t at; /* of the data in the block */
	bool has_stamp;
};

static bool pcapng_is(struct str head)
{
	const uint8_t *p = (const uint8_t *)head.p;

	return head.n >= 12 && get32(p, false) == BLOCK_SECTION &&
	       (get32(p + 8, false) == BYTE_ORDER_MAGIC || get32(p + 8, true) == BYTE_ORDER_MAGIC);
}

static int pcapng_open(void **ret, struct input *in, struct shared *shared)
{
	struct pcapng *c = calloc(1, sizeof(*c));

	if (!c)
		return -ENOMEM;
	c->in = in;
	c->view = input_view(in);
	c->stats = &shared->stats;
	*ret = c;
	return 0;
}

static void pcapng_close(void *reader)
{
	struct pcapng *c = reader;

	if (c)
		free(c->interfaces);
	free(c);
}

/* Units of the interface's clock → ns. Only ever wrong for a wrong file, and then harmlessly. */
static uint64_t stamp_ns(const struct interface *i, uint64_t stamp)
{
	unsigned exponent = i->resolution & 0x7f;
	uint64_t ns;

	if (i->resolution & 0x80) {
		uint64_t below = exponent < 64 ? ((uint64_t)1 << exponent) - 1 : UINT64_MAX;

		ns = exponent < 64 ? (stamp >> exponent) * NSEC_PER_SEC : 0;
		if (exponent < 128)
			ns += (uint64_t)(((unsigned __int128)(stamp & below) * NSEC_PER_SEC) >>
					 exponent);
	} else {
		ns = stamp;
		for (; exponent < 9; exponent++)
			ns *= 10;
		for (; exponent > 9 && ns; exponent--)
			ns /= 10;
	}
	return ns + i->offset_ns;
}

static void read_options(const struct pcapng *c, const uint8_t *p, size_t n, struct interface *ret)
{
	while (n >= 4) {
		uint16_t code = get16(p, c->swapped), length = get16(p + 2, c->swapped);
		size_t padded = (length + 3u) & ~3u;

		if (code == OPTION_END || length > n - 4)
			return;
		if (code == OPTION_TSRESOL && length >= 1)
			ret->resolution = p[4];
		else if (code == OPTION_TSOFFSET && length >= 8)
			ret->offset_ns = get64(p + 4, c->swapped) * NSEC_PER_SEC;
		if (padded > n - 4)
			return;
		p += 4 + padded;
		n -= 4 + padded;
	}
}

static bool add_interface(struct pcapng *c, const uint8_t *block, size_t length)
{
	struct interface i = { .resolution = 6 };

	if (length < BLOCK_MIN + 8 || c->n_interfaces == INTERFACES_MAX)
		return false;
	if (c->n_interfaces == c->cap_interfaces) {
		size_t cap = c->cap_interfaces ? 2 * c->cap_interfaces : 8;
		struct interface *more = realloc(c->interfaces, cap * sizeof(*more));

		if (!more)
			return false;
		c->interfaces = more;
		c->cap_interfaces = cap;
	}
	i.link = get16(block + 8, c->swapped);
	i.snaplen = get32(block + 12, c->swapped);
	read_options(c, block + 16, length - BLOCK_MIN - 8, &i);
	c->interfaces[c->n_interfaces++] = i;
	return true;
}

/* False: a block of no packet, or one that says of itself what cannot be. */
static bool packet_head(const struct pcapng *c, uint32_t type, const uint8_t *p, size_t length,
			struct packet_head *ret)
{
	bool s = c->swapped;

	if (type == BLOCK_PACKET_SIMPLE) {
		if (length < BLOCK_MIN + 4)
			return false;
		*ret = (struct packet_head){ .wire = get32(p + 8, s), .at = 12 };
		ret->captured = ret->wire;
		if (c->n_interfaces && c->interfaces[0].snaplen &&
		    ret->captured > c->interfaces[0].snaplen)
			ret->captured = c->interfaces[0].snaplen;
		if (ret->captured > length - BLOCK_MIN - 4)
			ret->captured = (uint32_t)(length - BLOCK_MIN - 4);
		return ret->wire <= WIRE_MAX;
	}
	if (length < BLOCK_MIN + 20)
		return false;
	*ret = (struct packet_head){
		.interface = type == BLOCK_PACKET ? get32(p + 8, s) : get16(p + 8, s),
		.stamp = (uint64_t)get32(p + 12, s) << 32 | get32(p + 16, s),
		.captured = get32(p + 20, s),
		.wire = get32(p + 24, s),
		.at = 28,
		.has_stamp = true,
	};
	return ret->captured <= length - BLOCK_MIN - 20 && ret->wire <= WIRE_MAX;
}

static bool take_packet(struct pcapng *c, uint32_t type, size_t length, struct record *ret)
{
	const uint8_t *block = c->view->p;
	const struct interface *i;
	struct packet_head h;

	if (!packet_head(c, type, block, length, &h) || h.captured > FRAME_MAX ||
	    h.interface >= c->n_interfaces) {
		c->stats->blocks_bad++;
		return false;
	}
	i = &c->interfaces[h.interface];
	if (h.has_stamp)
		c->last_ns = stamp_ns(i, h.stamp);
	ret->time_ns = c->last_ns;
	ret->bytes = (struct str){ (const char *)block + h.at, h.captured };
	ret->wire = h.wire;
	ret->link = i->link;
	return true;
}

static bool length_possible(uint32_t length)
{
	return length >= BLOCK_MIN && length <= BLOCK_MAX && !(length & 3);
}

/* Is a whole block at p, of which n bytes are there? Both lengths and the type must fit. */
static bool block_at(const struct pcapng *c, const uint8_t *p, size_t n)
{
	uint32_t type = get32(p, c->swapped), length;
	bool swapped = c->swapped;

	if (type == BLOCK_SECTION) {
		swapped = get32(p + 8, false) != BYTE_ORDER_MAGIC;
		if (get32(p + 8, swapped) != BYTE_ORDER_MAGIC)
			return false;
	} else if (type == 0 || type > BLOCK_PACKET) {
		return false;
	}
	length = get32(p + 4, swapped);
	return length_possible(length) && length <= n && get32(p + length - 4, swapped) == length;
}

/* Steps forward to the next block that holds together, or to the end. */
static bool resync(struct pcapng *c)
{
	do {
		input_take(c->view, 1);
		if (!input_need(c->in, c->view, FRAME_MAX) && c->view->n < BLOCK_MIN) {
			input_take(c->view, c->view->n);
			return false;
		}
	} while (!block_at(c, c->view->p, c->view->n));
	c->stats->blocks_bad++;
	return true;
}

/* A section begins: its byte order holds, and the interfaces of the one before are gone. */
static bool begin_section(struct pcapng *c)
{
	bool swapped = get32(c->view->p + 8, false) != BYTE_ORDER_MAGIC;

	if (get32(c->view->p + 8, swapped) != BYTE_ORDER_MAGIC)
		return false;
	c->swapped = swapped;
	c->n_interfaces = 0;
	return true;
}

static bool is_packet(uint32_t type)
{
	return type == BLOCK_PACKET || type == BLOCK_PACKET_SIMPLE || type == BLOCK_PACKET_OLD;
}

enum step { STEP_GO_ON, STEP_PACKET, STEP_END };

static enum step end(struct pcapng *c, bool cut)
{
	c->stats->inputs_cut += cut || input_error(c->in) < 0;
	input_take(c->view, c->view->n);
	return STEP_END;
}

static enum step bad_block(struct pcapng *c)
{
	c->stats->blocks_bad += !resync(c);
	return STEP_GO_ON;
}

/* A length that cannot be held is either of a block nobody needs, or wrong. */
static enum step long_block(struct pcapng *c, uint32_t type, uint32_t length)
{
	c->stats->blocks_bad += is_packet(type);
	return input_skip(c->in, length) ? STEP_GO_ON : end(c, true);
}

static enum step step(struct pcapng *c, struct record *ret)
{
	uint32_t type, length;

	if (!input_need(c->in, c->view, BLOCK_MIN))
		return end(c, c->view->n);
	type = get32(c->view->p, c->swapped);
	if (type == BLOCK_SECTION && !begin_section(c))
		return bad_block(c);
	length = get32(c->view->p + 4, c->swapped);
	if (!length_possible(length))
		return bad_block(c);
	if (length > BLOCK_HELD)
		return long_block(c, type, length);
	if (!input_need(c->in, c->view, length)) {
		/* The end, or a wrong length that only looks like it. */
		return resync(c) ? STEP_GO_ON : end(c, true);
	}
	if (get32(c->view->p + length - 4, c->swapped) != length)
		return bad_block(c);
	c->taken = length;
	if (is_packet(type))
		return take_packet(c, type, length, ret) ? STEP_PACKET : STEP_GO_ON;
	if (type == BLOCK_INTERFACE)
		c->stats->blocks_bad += !add_interface(c, c->view->p, length);
	return STEP_GO_ON;
}

static bool pcapng_next(void *reader, struct record *ret)
{
	struct pcapng *c = reader;
	enum step s;

	do {
		input_take(c->view, c->taken);
		c->taken = 0;
		s = step(c, ret);
	} while (s == STEP_GO_ON);
	return s == STEP_PACKET;
}

const struct format format_pcapng = {
	.name = "pcapng",
	.is = pcapng_is,
	.open = pcapng_open,
	.close = pcapng_close,
	.next = pcapng_next,
};
