/* SPDX-License-Identifier: Apache-2.0 */
/* A flow record as the tables of `egret flows` and `egret top` show it. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

#define FLOW_ROW_TEXT 24

/* Texts point into the record; empty where the record has none. */
struct flow_row {
	uint64_t id, up, down;
	struct str start, program, user, unit, container, name, source, src, dest, proto, app,
		state, reason;
	struct str verdict; /* allow, deny, reject, audit */
	uint64_t rule_line; /* 0: none */
	bool would;         /* it was let pass, and would not be if the rule were enforced */
	int sport, dport;   /* -1: none */
	bool known;         /* who it belongs to */
};

void flow_row_read(struct flow_row *ret, const json_t *record); /* borrows from the record */

/* What a person would call the other end: its name, else its address. */
struct str flow_row_target(const struct flow_row *r);
/* "tcp/tls", "udp/dns", "icmp" */
struct str flow_row_proto(const struct flow_row *r, char text[FLOW_ROW_TEXT]);
/* How it stands, or how it ended. */
struct str flow_row_state(const struct flow_row *r);
/* "deny 12", "would deny 12", "allow": what policy said, and by which line; empty: nothing. */
struct str flow_row_verdict(const struct flow_row *r, char text[FLOW_ROW_TEXT]);
/* It is cut off, or would be. */
bool flow_row_is_refused(const struct flow_row *r);
/* "12:34:56" in local time; the date as well when it was not today. */
struct str flow_row_start(const struct flow_row *r, uint64_t now_ns, char text[FLOW_ROW_TEXT]);
/* "12:34:56" and "2026-11-03", in local time. */
struct str flow_row_time(const struct flow_row *r, char text[FLOW_ROW_TEXT]);
struct str flow_row_date(const struct flow_row *r, char text[FLOW_ROW_TEXT]);
