/* SPDX-License-Identifier: Apache-2.0 */
/*
 * IP fragments → datagrams, on the recorded clock. Bounded: 1,024 datagrams, 4 MiB, 30 s; what does not fit pushes out
 * the oldest. Overlapping fragments end a datagram (RFC 5722, done for IPv4 too); exact copies are only counted.
 * Every fragment is part of exactly one result, so that its bytes count once, whole datagram or not.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "decode/packet.h"

struct defrag;

struct defrag_result {
	uint64_t time_ns; /* of the newest fragment */
	uint64_t zone;
	bool whole;
	/*
	 * Whole: the datagram as if it had never been cut, or what packet_parse_transport() said against it. Not whole:
	 * addresses, and if the first fragment was there (`head`) ports and flags; never payload.
	 */
	struct packet packet;
	enum packet_error error;
	bool head;
	uint32_t fragments;
	/* To count: all fragments, by their IP headers; of a tunnel that was in fragments, the one packet inside. */
	uint32_t packets, ip_bytes;
};

struct defrag_out {
	void (*on_datagram)(void *ctx, const struct defrag_result *result);
	void *ctx;
};

int defrag_new(struct defrag **ret, struct defrag_out out);
struct defrag *
defrag_free(struct defrag *d); /* what is incomplete goes unreported: see defrag_flush() */

/* May call `out` any number of times, from inside which it may be called again. k->fragment is set. */
void defrag_add(struct defrag *d, uint64_t time_ns, uint64_t zone, const struct packet *k);

void defrag_expire(struct defrag *d, uint64_t now_ns); /* gives up what waited 30 s */
void defrag_flush(struct defrag *d);                   /* gives up everything */
