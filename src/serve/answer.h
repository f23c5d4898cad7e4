/* SPDX-License-Identifier: Apache-2.0 */
/* Private to serve/: what each request is answered with. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "serve/control.h"

struct conn;
struct json;
struct rights;
struct recent;
struct totals;

#define ANSWER_TOPS_MAX 8 /* live views at once: each costs a pass over all flows a second */

/* The newest finding that was told, as far as a live view says it. */
struct notice {
	uint64_t time_ns; /* 0: none since the start */
	char id[FINDING_ID_MAX], entity[256], peer[256];
	enum severity severity;
	bool closed;
};

/* What the answers are made from; of the control. */
struct answer_source {
	const struct control_config *cfg;
	const struct notice *notice;
	struct recent *recent; /* NULL: ended flows are not kept */
	uint64_t *lost;        /* lines lost of all clients */
	uint64_t clients;
	struct totals *totals;
	uint64_t started_ns;
};

void answer_status(const struct answer_source *s, struct conn *c);
void answer_metrics(const struct answer_source *s, struct conn *c);
uint64_t answer_resident_bytes(void); /* of this process; 0 when /proc does not tell */

/* {"ask":"rights"}: what whoever asks may do; {"ask":"keys"}: the filter language; {"ask":"page"}: `egret page`. */
void answer_rights(const struct answer_source *s, struct conn *c);
void answer_put_rights(struct json *j, const char *key, const struct rights *r);
void answer_keys(const struct answer_source *s, struct conn *c);
void answer_page(const struct answer_source *s, struct conn *c);

void answer_policy(const struct answer_source *s, struct conn *c);
void answer_why(const struct answer_source *s, struct conn *c);

void answer_detect(const struct answer_source *s, struct conn *c);
void answer_findings(const struct answer_source *s, struct conn *c);

/* Questions to the history that are being answered. */
#define ANSWER_CHILDREN_MAX 4
struct answer_children {
	size_t n;
};
void answer_history(const struct answer_source *s, struct answer_children *all, struct conn *c);
/* Who waits for a place gets one, the first who asked first. */
void answer_history_next(const struct answer_source *s, struct answer_children *all,
			 struct list *conns);
void answer_history_sent(struct conn *c);   /* the client took something: its child may go on */
void answer_history_forget(struct conn *c); /* the client is gone, or asks something else */

/* The next piece of the list of flows; conn.busy is cleared with the last. -ENOMEM. */
int answer_flows(const struct answer_source *s, struct conn *c);

int answer_top_begin(struct conn *c);                           /* -ENOMEM */
void answer_top(const struct answer_source *s, struct conn *c); /* each second */
void answer_top_ended(struct conn *c, const struct flow *f, uint64_t now_ns);
