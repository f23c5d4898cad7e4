/* SPDX-License-Identifier: Apache-2.0 */
/* Between zeek.c (the lines of a log, in order) and zeek_event.c (what a line says). Private to both. */
#pragma once

#include "decode/dns.h"
#include "decode/event.h"
#include "replay/zeek_scan.h"

enum zeek_log { ZEEK_CONN, ZEEK_DNS, ZEEK_SSL, ZEEK_HTTP, ZEEK_QUIC, ZEEK_OTHER };

enum zeek_log zeek_log_of(struct str path); /* "conn", … */

struct zeek_emitter {
	const struct zeek_tsv *tsv; /* NULL: the lines are JSON */
	struct dns_message *dns; /* big, and only here so that it is not made anew for every line */
	uint64_t *udp_uids;      /* UDP_UIDS, see source.h */
	struct event_out out;
};

/* Hands on what a line says. -EBADMSG: it lacks what makes a flow. */
int zeek_emit(const struct zeek_emitter *z, enum zeek_log log, const struct zeek_line *line);
