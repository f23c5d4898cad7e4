/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records as EVE JSON lines (docs/records: Suricata's EVE outside, ECS for who did it, `egret` for what only egret
 * knows). eve_format() is the only place that knows field names of records; the file, standard output and the control
 * socket all use it.
 */
#pragma once

#include <stdint.h>

#include "base/buf.h"
#include "store/sink.h"

struct locator;
struct record;

enum eve_vantage { EVE_HOST, EVE_GATEWAY, EVE_FILE };

struct eve_format {
	enum eve_vantage vantage;
	const char *host; /* sensor name; NULL: left out */
	struct locator
		*locator; /* where addresses lie (policy/locate.h), borrowed; NULL: left out */
};

/*
 * Appends one line, newline included. When it does not fit, `out` is marked failed and what it held before is whole.
 * Process-wide caches (registered domains, interface names) make it a function for one thread.
 */
void eve_format(const struct eve_format *fmt, const struct record *r, struct buf *out);

/*
 * A sink that appends to `path` ("-": standard output), buffered by 64 KiB; flush() is to be called at least once a
 * second. Records that could not be written are counted in *lost (borrowed, as fmt->host). A full disk costs records,
 * never a torn line: what is kept back is tried again, up to the size of the buffer.
 */
int eve_sink_new(struct sink **ret, const struct eve_format *fmt, const char *path, uint64_t *lost);
