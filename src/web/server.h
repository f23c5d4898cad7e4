/* SPDX-License-Identifier: Apache-2.0 */
/* Private to web/: the process's state, a connection, and one request on it. */
#pragma once

#include <microhttpd.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/list.h"
#include "web/check.h"
#include "web/hub.h"
#include "web/limit.h"
#include "web/route.h"
#include "web/session.h"

#define WEB_FDS 8
#define CALLS_MAX 64 /* questions to the daemon at once */
#define TOKEN_MAX SESSION_TOKEN_MAX

struct loop;
struct loop_source;
struct server;
struct upstream;

/* One listening socket. */
struct place {
	struct server *server;
	struct MHD_Daemon *mhd;
	struct check_place check;
	bool client_ca; /* certificates of clients are asked for and count */
	char listened[64];
};

struct server {
	struct loop *loop;
	int channel, wake_fd;
	bool given[WEB_FDS]; /* which of serve/page.h came along */
	struct place tcp, local;
	struct list links;
	struct list queue; /* of calls that wait until fewer are with the daemon */
	struct hubs hubs;
	struct limit limit;
	struct sessions sessions;
	size_t n_calls;
	struct buf openapi;
};

/* How long a connection may be at what it does before it is cut off: link_deadline() in web.c. */
enum link_phase {
	LINK_FRESH,   /* its first head is not whole */
	LINK_IDLE,    /* after a request: nothing, or a head that is not whole */
	LINK_BODY,    /* a body that is not whole */
	LINK_WAITING, /* for the daemon */
	LINK_SENDING,
	LINK_LIVE, /* a live view: as long as it takes what is sent */
};

struct link {
	struct list link;
	struct server *server;
	int fd;
	enum link_phase phase;
	uint64_t since_ns;
	struct call *call; /* the request under way, NULL: none */
};

struct call {
	struct place *place;
	struct link *conn;
	struct MHD_Connection *mhd;
	char *uri;
	struct str path, query;
	const struct web_route *route; /* NULL: not of the API */
	bool begun, asked, suspended, body_too_large;
	bool queued;
	struct list queue;
	struct buf body, members, file;
	char token[TOKEN_MAX];
	struct upstream *up;
	/* the answer */
	unsigned status; /* 0: not known yet */
	const char *type;
	struct buf answer;
	char cookie[192];
	uint64_t rows, lost;
	bool live;
	struct hub_stream stream;
	/* WEB_LINES: `answer` is sent as it grows, until it is over; cut: it lacks its end */
	bool flows, over, cut;
	struct loop_source *hang_up; /* a live view is left as soon as its client is gone */
};

void link_set(struct link *l, enum link_phase phase);

/* call.c: what MHD calls back */
struct call *call_new(struct place *p, const char *uri);
struct call *call_free(struct call *c);
enum MHD_Result call_go_on(struct call *c, const char *method, const char *data, size_t *size);
/* An answer, or words for the client, and the connection goes on if it waits. */
void call_fail(struct call *c, unsigned status, const char *words);
void call_done(struct call *c, unsigned status);
const char *call_header(const struct call *c, const char *name);
void call_wake(void *call);

/* question.c: from a call that is fine so far to the daemon and back */
void question_ask(struct call *c);
void question_over(struct call *c);   /* it needs the daemon no longer, wherever it was */
void question_next(struct server *s); /* those that wait, as far as there is room */

/* reply.c */
enum MHD_Result reply_send(struct call *c);
enum MHD_Result reply_page(struct call *c); /* the embedded page */
