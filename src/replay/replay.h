/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Recorded traffic → events, on the recorded clock: pcap and pcapng captures, Zeek logs (TSV and JSON), plain, gzip
 * or zstd, from files or standard input. Several inputs are merged by time. Memory is bounded whatever the input;
 * what cannot be read is counted by reason and the rest is read on.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "decode/event.h"
#include "decode/packet.h"

struct replay;

struct replay_stats {
	uint64_t packets, bytes;                    /* frames read, and their length on the wire */
	uint64_t packet_errors[PACKET_ERROR_COUNT]; /* by reason */
	uint64_t fragments, fragments_lost;
	uint64_t log_lines, log_lines_bad;
	uint64_t blocks_bad; /* capture blocks or records that made no sense */
	uint64_t inputs_cut; /* files that end in the middle of a record */
	uint64_t input_bytes,
		input_total; /* read so far and size of the inputs as stored; total 0: not known */
	uint64_t first_ns, last_ns;
};

/* Human text about an input that could not be opened or read on, e.g. "x.pcap: not a capture …". */
typedef void (*replay_error_fn)(void *ctx, const char *message);

int replay_new(struct replay **ret, struct event_out out, replay_error_fn on_error,
	       void *error_ctx);
struct replay *replay_free(struct replay *r);

/*
 * Opens one input: a file, "-" for standard input, or a folder of Zeek logs. The kind is told from the content.
 * -errno, or -EBADMSG when it is nothing we read (said through on_error). All inputs are opened before the run, so
 * that the reader may confine itself in between.
 */
int replay_add(struct replay *r, const char *path);

/* Reads on for about `budget` packets or lines. 1: more to come, 0: all is read, -errno. */
int replay_run(struct replay *r, size_t budget);

const struct replay_stats *replay_stats(const struct replay *r);
