/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private to serve/: one client of the control socket. Lines go into a bounded queue and leave when the socket takes
 * them; a line that finds no room is lost, counted, and the client is told the number as soon as there is room again.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/list.h"
#include "base/loop.h"
#include "serve/request.h"
#include "serve/rights.h"

#define CONN_QUEUE_MAX (8U << 20)

struct child;
struct rollup;

struct conn {
	struct list link;
	struct control *control;
	int fd;
	int passed_fd; /* came with a request (SCM_RIGHTS); -1: none */
	struct loop_source *source;
	uint32_t events; /* what the loop watches for */
	struct buf in;   /* the beginning of a request line */
	struct buf out;  /* whole lines; sent up to out_at */
	size_t out_at;
	uint64_t lost;        /* lines not yet told as lost */
	struct rights peer;   /* of whoever is behind it */
	struct rights rights; /* for this request: with the token that it showed */
	bool web;             /* handed over by the process that serves the page */
	bool input_ended;     /* the client will ask nothing more */
	bool closing;         /* to be closed once the queue is empty */
	bool asked;           /* `request` is valid */
	bool busy;            /* an answer of several turns (flows, history) is under way */
	bool waiting;         /* ASK_HISTORY: for its turn */
	struct child *child;  /* ASK_HISTORY: who answers */
	struct request request;
	struct rollup *rollup;          /* ASK_TOP */
	uint64_t shown, matched, after; /* ASK_FLOWS: so far, in all, the last flow id shown */
};

static inline size_t conn_queued(const struct conn *c)
{
	return c->out.n - c->out_at;
}

/* Where to format the next line; conn_line_end() takes it into the queue or throws it away. */
struct buf *conn_line_begin(struct conn *c, size_t *ret_from);
void conn_line_end(struct conn *c, size_t from, uint64_t *total_lost);
/* A line that is already there. */
void conn_line(struct conn *c, struct str line, uint64_t *total_lost);
void conn_error(struct conn *c, const char *text); /* {"error":"…"} */
/* {"error":"…","code":401|403}: 401 when a token could help, 403 when the one who asks is known and may not. */
void conn_refuse(struct conn *c, const char *text);
/* {"error":"…","code":501}: that cannot be asked of this daemon, by nobody. */
void conn_absent(struct conn *c, const char *text);

/* An answer of several turns is complete; the control goes on with what came meanwhile. */
void conn_answered(struct conn *c);

/* Sends what the socket takes. 0; -errno: the client is gone. */
int conn_send(struct conn *c);
/* Asks the loop for what the state of the connection calls for. */
void conn_watch(struct conn *c);
