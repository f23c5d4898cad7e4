/* SPDX-License-Identifier: Apache-2.0 */
#include "web/hub.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "web/upstream.h"

#define RING 1024
#define RING_BYTES (1U << 20) /* of a hub; one message may be larger */
#define TOP_KEEP 2
#define QUIET_S 15
#define GREETING "retry: 2000\n\n"

struct hub_message {
	unsigned refs;
	size_t n;
	char bytes[];
};

struct hub {
	struct list link;
	struct hubs *hubs;
	struct upstream *up; /* NULL: it is over */
	char *key;
	size_t key_n;
	bool is_top;
	struct list streams;
	struct hub_message *ring[RING];
	uint64_t first, next; /* messages first…next-1 are kept */
	size_t bytes;
	unsigned quiet_s;
};

static void message_unref(struct hub_message *m)
{
	if (m && !--m->refs)
		free(m);
}

static void drop_first(struct hub *h)
{
	struct hub_message *m = h->ring[h->first % RING];

	h->bytes -= m->n;
	h->first++;
	message_unref(m);
}

static void wake(struct hub_stream *s)
{
	if (!s->waiting)
		return;
	s->waiting = false;
	s->wake(s->ctx);
}

static void wake_all(struct hub *h)
{
	list_for_each(it, &h->streams)
		wake(container_of(it, struct hub_stream, link));
}

static void add_message(struct hub *h, struct hub_message *m)
{
	size_t most = h->is_top ? TOP_KEEP : RING;

	while (h->next > h->first && (h->next - h->first >= most || h->bytes + m->n > RING_BYTES))
		drop_first(h);
	h->ring[h->next++ % RING] = m;
	h->bytes += m->n;
	h->quiet_s = 0;
	wake_all(h);
}

/* The event is named after the record; in front of it there are only members of ours. */
static struct str event_name(const struct hub *h, struct str line)
{
	static const char mark[] = "\"event_type\":\"";
	const char *at, *end;

	if (str_has_prefix(line, STR("{\"error\":")))
		return STR("error");
	if (str_has_prefix(line, STR("{\"lost\":")))
		return STR("lost");
	if (h->is_top)
		return STR("top");
	at = memmem(line.p, MIN(line.n, (size_t)256), mark, sizeof(mark) - 1);
	if (!at)
		return STR("message");
	at += sizeof(mark) - 1;
	end = memchr(at, '"', line.n - (size_t)(at - line.p));
	return end ? (struct str){ at, (size_t)(end - at) } : STR("message");
}

static void on_line(void *ctx, struct str line)
{
	struct hub *h = ctx;
	struct str name = event_name(h, line);
	size_t n = line.n + name.n + sizeof("event: \ndata: \n\n") - 1;
	struct hub_message *m = malloc(sizeof(*m) + n + 1);

	if (!m) { /* as if the ring had overflowed: who listens is told */
		while (h->next > h->first)
			drop_first(h);
		h->first = ++h->next;
		wake_all(h);
		return;
	}
	m->refs = 1;
	m->n = n;
	snprintf(m->bytes, n + 1, "event: %.*s\ndata: %.*s\n\n", STR_FMT(name), STR_FMT(line));
	add_message(h, m);
}

static void on_end(void *ctx)
{
	struct hub *h = ctx;

	h->up = upstream_free(h->up);
	wake_all(h);
}

static void hub_free(struct hub *h)
{
	upstream_free(h->up);
	while (h->next > h->first)
		drop_first(h);
	list_del(&h->link);
	h->hubs->n--;
	free(h->key);
	free(h);
}

static int hub_new(struct hubs *all, const struct hub_question *q, struct hub **ret)
{
	struct hub *h;
	int r;

	if (all->n >= HUBS_MAX)
		return -EBUSY;
	h = calloc(1, sizeof(*h));
	if (!h)
		return -ENOMEM;
	h->hubs = all;
	h->is_top = q->is_top;
	h->key = strndup(q->key.p, q->key.n);
	h->key_n = q->key.n;
	list_init(&h->streams);
	list_push_back(&all->all, &h->link);
	all->n++;
	r = h->key ? upstream_new(&h->up, q->loop, q->channel, q->asker_fd, q->request, -1,
				  (struct upstream_out){ on_line, on_end, h })
		   : -ENOMEM;
	if (r < 0)
		hub_free(h);
	else
		*ret = h;
	return r;
}

static struct hub *find(struct hubs *all, struct str key)
{
	list_for_each(it, &all->all) {
		struct hub *h = container_of(it, struct hub, link);

		if (h->up && str_eq(key, (struct str){ h->key, h->key_n }))
			return h;
	}
	return NULL;
}

int hub_join(struct hubs *all, const struct hub_question *q, struct hub_stream *s)
{
	struct hub *h = find(all, q->key);
	int r = h ? 0 : hub_new(all, q, &h);

	if (r < 0)
		return r;
	s->hub = h;
	/* The last picture is there at once; records begin with the next one. */
	s->next = h->is_top && h->next > h->first ? h->next - 1 : h->next;
	list_push_back(&h->streams, &s->link);
	return 0;
}

void hub_leave(struct hubs *all, struct hub_stream *s)
{
	struct hub *h = s->hub;

	if (!h)
		return;
	s->hub = NULL;
	message_unref(s->now);
	s->now = NULL;
	list_del(&s->link);
	if (list_empty(&h->streams))
		hub_free(h);
}

/* The next message, or what takes its place. False: there is none. */
static bool next_message(struct hub_stream *s, char *to, size_t max, size_t *n)
{
	struct hub *h = s->hub;

	if (s->next < h->first && !h->is_top) {
		/* fits: hub_read() begins a message only with room for this */
		*n += (size_t)snprintf(to + *n, max - *n, "event: lost\ndata: {\"lost\":%llu}\n\n",
				       (unsigned long long)(h->first - s->next));
	}
	s->next = MAX(s->next, h->first);
	if (s->next == h->next)
		return false;
	s->now = h->ring[s->next++ % RING];
	s->now->refs++;
	s->at = 0;
	return true;
}

long hub_read(struct hub_stream *s, char *to, size_t max)
{
	size_t n = 0;

	if (!s->greeted && max > sizeof(GREETING)) {
		memcpy(to, GREETING, sizeof(GREETING) - 1);
		n = sizeof(GREETING) - 1;
		s->greeted = true;
	}
	while (n < max) {
		size_t part;

		if (!s->now && (max - n < 96 || !s->hub || !next_message(s, to, max, &n)))
			break;
		part = MIN(max - n, s->now->n - s->at);
		memcpy(to + n, s->now->bytes + s->at, part);
		n += part;
		s->at += part;
		if (s->at == s->now->n) {
			message_unref(s->now);
			s->now = NULL;
		}
	}
	if (n)
		return (long)n;
	if (!s->hub || !s->hub->up || s->until_s == 1)
		return -1;
	s->waiting = true;
	return 0;
}

void hubs_init(struct hubs *h)
{
	list_init(&h->all);
	h->n = 0;
}

void hubs_free(struct hubs *all)
{
	while (!list_empty(&all->all)) {
		struct hub *h = container_of(all->all.next, struct hub, link);

		while (!list_empty(&h->streams)) {
			struct hub_stream *s =
				container_of(h->streams.next, struct hub_stream, link);

			message_unref(s->now);
			s->now = NULL;
			s->hub = NULL;
			list_del(&s->link);
		}
		hub_free(h);
	}
}

static void say_still_here(struct hub *h)
{
	static const char comment[] = ":\n\n";
	struct hub_message *m = malloc(sizeof(*m) + sizeof(comment));

	if (!m)
		return;
	m->refs = 1;
	m->n = sizeof(comment) - 1;
	memcpy(m->bytes, comment, sizeof(comment));
	add_message(h, m);
}

void hubs_tick(struct hubs *all, uint64_t now_s)
{
	list_for_each(it, &all->all) {
		struct hub *h = container_of(it, struct hub, link);

		list_for_each(at, &h->streams) {
			struct hub_stream *s = container_of(at, struct hub_stream, link);

			if (s->until_s > now_s)
				continue;
			s->until_s = 1;
			wake(s);
		}
		if (++h->quiet_s >= QUIET_S && h->up)
			say_still_here(h);
	}
}
