/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the merge in replay.c sees of an input: records one after the other, each with its time. One row a format in
 * formats[] (replay.c); adding one is a row and a file. Readers count into the stats they are given and never
 * fail on content: what makes no sense is counted and read over.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"
#include "decode/event.h"
#include "replay/replay.h"

struct input;

struct record {
	uint64_t time_ns;
	struct str bytes; /* a frame or a log line, valid until the reader's next `next` */
	uint32_t wire;    /* frames: length before the snaplen */
	uint16_t link;    /* frames: LINKTYPE_ number */
};

#define UDP_UIDS 16384

/* One for all inputs of a replay. */
struct shared {
	struct replay_stats stats;
	/*
	 * ssl.log does not say that a connection was UDP; conn.log and quic.log do, and come first. Zones of the last
	 * such connections, each in the place that its value gives.
	 */
	uint64_t udp_uids[UDP_UIDS];
};

struct format {
	const char *name;
	bool (*is)(struct str head); /* told from the first bytes of the (unpacked) content */
	/* Takes no ownership of the input. -EBADMSG: of this family, but nothing we read. */
	int (*open)(void **ret, struct input *in, struct shared *shared);
	void (*close)(void *reader);
	bool (*next)(void *reader, struct record *ret); /* false: the end */
	/* Logs: makes events of a record. NULL: records are frames. */
	void (*deliver)(void *reader, const struct record *rec, struct event_out out);
};

extern const struct format format_pcap, format_pcapng, format_zeek;

/* A frame longer than this was never captured by anything; the length is wrong. libpcap's limit too. */
#define FRAME_MAX (256u << 10)
/* Nor was one of more than this ever sent, offloads included. */
#define WIRE_MAX (16u << 20)
