/* SPDX-License-Identifier: Apache-2.0 */
/* Private to the alert sink: what an alert says, and the three forms it is said in. */
#pragma once

#include "base/buf.h"
#include "store/alert_sink.h"

struct record;
struct proc;

struct alert_facts {
	uint64_t time_ns;
	const char *kind;  /* "finding", "alert", "drop" */
	const char *class; /* of a finding, else "policy" */
	const char *detector;
	struct str id, message, response;
	enum severity severity;
	const char *state; /* of a finding */
	int score_db;
	const struct proc *proc;
	struct str program, user, peer, name, rule;
	const struct addr *src, *dst; /* NULL: not one */
	uint16_t sport, dport;
	const char *proto;
	bool blocked;
};

bool alert_facts_of(struct alert_facts *ret, const struct record *r,
		    char proto[8]); /* false: no alert */

void alert_put_syslog(struct buf *out, const struct alert_facts *a, const char *host, bool cef);
void alert_put_journal(struct buf *out, const struct alert_facts *a);
