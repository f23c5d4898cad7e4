/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The daemon's side of the page: it opens what is listened on, runs `egretd --web` (src/web/) as a child without rights, and
 * takes the connections that the child hands over for its HTTP clients.
 *
 * The child has, and nothing else: WEB_FD_CHANNEL, over which it sends one message for each connection it wants to the control
 * (a byte; with it its own end of a socket pair, and the HTTP client's socket where there is one); the listening sockets;
 * a memory file with certificate and key. When it ends it is started again, after 1 s, 2 s, … 60 s.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"

/* Descriptors of the child; a missing one is closed. */
enum web_fd {
	WEB_FD_CHANNEL = 3, /* SOCK_SEQPACKET */
	WEB_FD_TCP,
	WEB_FD_UNIX,
	WEB_FD_TLS, /* texts of certificate, key and the clients' CA, each ended by a NUL; the last may be empty */
	WEB_FD_END,
};

#define PAGE_PORT 8710
#define PAGE_PATH_MAX 256

struct page_settings {
	bool on;
	struct addr addr;
	uint16_t port;
	char cert[PAGE_PATH_MAX], key[PAGE_PATH_MAX]; /* empty: no TLS */
	char client_ca[PAGE_PATH_MAX];                /* empty: no client certificates */
};

struct buf;
struct control;
struct json;
struct loop;
struct page;
struct page_request;
struct tokens;

/* TLS files that cannot be read, or do not belong together, in words into `messages`. 0; -EINVAL. */
int page_check(const struct page_settings *s, struct buf *messages);

struct page_config {
	const struct page_settings *settings;
	const char *run; /* folder of api.sock */
	struct loop *loop;
	struct control *control;
	struct tokens *tokens;
	uint64_t (*now)(void);
};

/*
 * Opens the sockets, while there still is the right to. An address that is taken is logged and seen in the status; the page goes
 * on with what is left. -errno: nothing of it works, logged.
 */
int page_new(struct page **ret, const struct page_config *cfg);
struct page *page_free(struct page *p);         /* ends the child, removes api.sock */
void page_start(struct page *p);                /* the child; from now on it is kept running */
const char *page_problem(const struct page *p); /* NULL: all of it works */
void page_status(const struct page *p, struct json *j);
void page_answer(struct page *p, const struct page_request *q,
		 struct json *j); /* control_config.page */
