/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Live views that clients share: whoever asks the same question hears from the same request to the daemon. Messages are kept in
 * a short ring; a client takes them at its own pace, and one that is overtaken is told how many it missed. However many
 * listen, a message is in memory once.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "base/str.h"

#define HUBS_MAX 8 /* different questions at once: as many as the daemon answers */

struct hub;
struct hub_message;
struct loop;

struct hubs {
	struct list all;
	size_t n;
};

/* One listener. `wake` is called when hub_read() has something again after it had nothing. */
struct hub_stream {
	struct list link;
	struct hub *hub;
	struct hub_message *now; /* being read, held */
	size_t at;
	uint64_t next; /* message after that */
	bool greeted, waiting;
	uint64_t until_s; /* ends then */
	void (*wake)(void *ctx);
	void *ctx;
};

/* How to ask, when nobody has asked the same yet. */
struct hub_question {
	struct loop *loop;
	int channel, asker_fd;
	struct str key;     /* what makes two questions the same */
	struct str request; /* the whole of it */
	bool is_top;        /* each line replaces the one before, and is called "top" */
};

void hubs_init(struct hubs *h);
void hubs_free(struct hubs *h);
/* Each second: listeners whose time is over are woken to end, quiet ones hear a comment so that dead ones are found. */
void hubs_tick(struct hubs *h, uint64_t now_s);

/* -EBUSY: HUBS_MAX others; -errno of upstream_new(). `s` is the caller's, with wake, ctx and until_s set. */
int hub_join(struct hubs *h, const struct hub_question *q, struct hub_stream *s);
void hub_leave(struct hubs *h, struct hub_stream *s);
/* Up to `max` bytes of text/event-stream. 0: nothing now, `wake` will be called; -1: the end. */
long hub_read(struct hub_stream *s, char *to, size_t max);
