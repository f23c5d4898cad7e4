/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Merges the records of all inputs by their time and makes events of them. A heap holds one source per input that
 * has a record to offer; the earliest goes first, in ties the input that was added first.
 */
#include "replay/replay.h"

#include <dirent.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/hash.h"
#include "replay/defrag.h"
#include "replay/input.h"
#include "replay/source.h"

#define SOURCES_MAX 4096
#define HEAD 4096 /* bytes that formats see to tell what an input is */

/* The whole list. Adding a format is a file and a line here. */
static const struct format *const formats[] = { &format_pcap, &format_pcapng, &format_zeek };

struct source {
	const struct format *format;
	struct input *in;
	void *reader;
	struct record next;
	size_t number; /* in the order they were added */
	char *path;
};

struct replay {
	struct event_out out;
	replay_error_fn on_error;
	void *error_ctx;
	struct defrag *defrag;
	struct shared shared;
	struct event event;   /* of packets: only what differs is written anew */
	uint64_t done_before; /* bytes of inputs that are closed */
	struct source **sources, **heap;
	size_t n_sources, n_heap, n_added;
	bool running;
};

static struct source *source_free(struct source *s)
{
	if (!s)
		return NULL;
	if (s->reader)
		s->format->close(s->reader);
	input_free(s->in);
	free(s->path);
	free(s);
	return NULL;
}

DEFINE_CLEANUP(struct source, source_free);
DEFINE_CLEANUP(struct replay, replay_free);

static void __attribute__((format(printf, 2, 3))) complain(struct replay *r, const char *fmt, ...)
{
	char text[512];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	if (r->on_error)
		r->on_error(r->error_ctx, text);
}

/* --- packets → events ---------------------------------------------------------------------------------------- */

/* The same for both directions of a conversation: a GRE key, which need not be, is left out. */
static uint64_t zone_of(const struct packet *k)
{
	uint64_t what = k->vlan | (uint64_t)(k->tunnel_id_shared ? k->tunnel_id : 0) << 16;

	return what ? hash_bytes(&what, sizeof(what), 0) | 1 : 0;
}

static void emit_packet(struct replay *r, uint64_t time_ns, uint64_t zone, const struct packet *k,
			uint32_t packets, uint32_t ip_bytes)
{
	struct event *e = &r->event;

	e->type = EVENT_PACKET;
	e->dir = EVENT_DIR_NONE;
	e->time_ns = time_ns;
	e->key = (struct event_key){
		.src = k->src,
		.dst = k->dst,
		.sport = k->sport,
		.dport = k->dport,
		.proto = k->proto,
		.zone = zone,
	};
	e->packet = (struct event_packet){
		.packets = packets,
		.ip_bytes = ip_bytes,
		.seq = k->seq,
		.ack = k->ack,
		.tcp_flags = k->tcp_flags,
		.cut = k->payload.n < k->payload_bytes,
		.payload_bytes = k->payload_bytes,
		.payload = k->payload,
	};
	r->out.on_event(r->out.ctx, e);
}

static void emit_fragments_lost(struct replay *r, const struct defrag_result *d)
{
	struct event e = { .type = EVENT_LOSS, .time_ns = d->time_ns };

	r->shared.stats.fragments_lost += d->fragments;
	e.loss.reason = LOSS_FRAGMENTS;
	e.loss.count = d->fragments;
	if (!d->head) {
		e.loss.unreported.tx_packets = d->packets;
		e.loss.unreported.tx_bytes = d->ip_bytes;
		e.loss.unreported.last_ns = d->time_ns;
	}
	r->out.on_event(r->out.ctx, &e);
}

static void on_datagram(void *ctx, const struct defrag_result *d)
{
	struct replay *r = ctx;
	struct packet k = d->packet;

	if (!d->whole) {
		emit_fragments_lost(r, d);
		if (!d->head)
			return;
		/* Some was sent for sure, even where the header of the first fragment says nothing of it. */
		k.payload_bytes = k.payload_bytes ? k.payload_bytes : 1;
		emit_packet(r, d->time_ns, d->zone, &k, d->packets, d->ip_bytes);
	} else if (d->error != PACKET_OK) {
		r->shared.stats.packet_errors[d->error]++;
	} else if (k.fragment) { /* inside a tunnel that was itself in fragments */
		r->shared.stats.fragments++;
		defrag_add(r->defrag, d->time_ns, zone_of(&k), &k);
	} else {
		emit_packet(r, d->time_ns, zone_of(&k), &k, d->packets, d->ip_bytes);
	}
}

static void deliver_frame(struct replay *r, const struct record *rec)
{
	struct packet k;
	enum packet_error e;

	r->shared.stats.packets++;
	r->shared.stats.bytes += rec->wire;
	e = packet_parse(rec->link, rec->bytes, rec->wire, &k);
	if (e != PACKET_OK) {
		r->shared.stats.packet_errors[e]++;
		return;
	}
	if (k.fragment) {
		r->shared.stats.fragments++;
		defrag_add(r->defrag, rec->time_ns, zone_of(&k), &k);
		return;
	}
	defrag_expire(r->defrag, rec->time_ns);
	emit_packet(r, rec->time_ns, zone_of(&k), &k, 1, k.ip_bytes);
}

/* --- the merge ----------------------------------------------------------------------------------------------- */

static bool before(const struct source *a, const struct source *b)
{
	if (a->next.time_ns != b->next.time_ns)
		return a->next.time_ns < b->next.time_ns;
	return a->number < b->number;
}

static void sift_down(struct replay *r, size_t at)
{
	struct source *s = r->heap[at];

	for (;;) {
		size_t child = 2 * at + 1;

		if (child >= r->n_heap)
			break;
		if (child + 1 < r->n_heap && before(r->heap[child + 1], r->heap[child]))
			child++;
		if (!before(r->heap[child], s))
			break;
		r->heap[at] = r->heap[child];
		at = child;
	}
	r->heap[at] = s;
}

static void count_input(struct replay *r)
{
	uint64_t done = r->done_before;

	for (size_t i = 0; i < r->n_heap; i++)
		done += input_done(r->heap[i]->in);
	r->shared.stats.input_bytes = done;
}

/* The source has no more: tells when that was not a proper end, and gives its memory and descriptor back. */
static void finish_source(struct replay *r, struct source *s)
{
	int e = input_error(s->in);

	if (e == -EBADMSG)
		complain(r, "%s: the compressed data is cut or broken; what came before was read",
			 s->path);
	else if (e < 0)
		complain(r, "%s: %s; what came before was read", s->path, strerror(-e));
	r->done_before += input_done(s->in);
	source_free(s);
}

static void begin_run(struct replay *r)
{
	r->running = true;
	for (size_t i = 0; i < r->n_sources; i++) {
		struct source *s = r->sources[i];

		if (s->format->next(s->reader, &s->next))
			r->heap[r->n_heap++] = s;
		else
			finish_source(r, s);
	}
	r->n_sources = 0; /* the heap owns them now */
	for (size_t i = r->n_heap / 2; i-- > 0;)
		sift_down(r, i);
}

static void deliver(struct replay *r, struct source *s)
{
	const struct record *rec = &s->next;

	if (rec->time_ns < r->shared.stats.first_ns || !r->shared.stats.first_ns)
		r->shared.stats.first_ns = rec->time_ns;
	if (rec->time_ns > r->shared.stats.last_ns)
		r->shared.stats.last_ns = rec->time_ns;
	if (s->format->deliver)
		s->format->deliver(s->reader, rec, r->out);
	else
		deliver_frame(r, rec);
}

int replay_run(struct replay *r, size_t budget)
{
	if (!r->running)
		begin_run(r);
	for (; budget && r->n_heap; budget--) {
		struct source *s = r->heap[0];

		deliver(r, s);
		if (!s->format->next(s->reader, &s->next)) {
			finish_source(r, s);
			r->heap[0] = r->heap[--r->n_heap];
		}
		if (r->n_heap > 1)
			sift_down(r, 0);
	}
	count_input(r);
	if (r->n_heap)
		return 1;
	defrag_flush(r->defrag);
	return 0;
}

/* --- opening ------------------------------------------------------------------------------------------------- */

static int open_reader(struct source *s, struct shared *shared)
{
	struct input_view *v = input_view(s->in);
	struct str head;

	input_fill(s->in, HEAD);
	head = (struct str){ (const char *)v->p, v->n < HEAD ? v->n : HEAD };
	for (size_t i = 0; i < ARRAY_SIZE(formats); i++) {
		if (!formats[i]->is(head))
			continue;
		s->format = formats[i];
		return s->format->open(&s->reader, s->in, shared);
	}
	return -EBADMSG;
}

static int keep_source(struct replay *r, struct source *s)
{
	struct source **more;

	if (r->n_sources == SOURCES_MAX)
		return -E2BIG;
	more = realloc(r->sources, (r->n_sources + 1) * sizeof(*more));
	if (!more)
		return -ENOMEM;
	r->sources = more;
	more = realloc(r->heap, (r->n_sources + 1) * sizeof(*more));
	if (!more)
		return -ENOMEM;
	r->heap = more;
	s->number = r->n_sources;
	r->sources[r->n_sources++] = s;
	/* With one input of unknown size the whole is not known. */
	if (!r->n_added++ || r->shared.stats.input_total)
		r->shared.stats.input_total =
			input_total(s->in) ? r->shared.stats.input_total + input_total(s->in) : 0;
	return 0;
}

static int add_file(struct replay *r, const char *path)
{
	_cleanup_(source_freep) struct source *s = calloc(1, sizeof(*s));
	int e;

	if (!s)
		return -ENOMEM;
	s->path = strdup(path);
	if (!s->path)
		return -ENOMEM;
	e = input_open(&s->in, path);
	if (e < 0)
		return e;
	e = open_reader(s, &r->shared);
	if (e < 0)
		return e;
	e = keep_source(r, s);
	if (e < 0)
		return e;
	s = NULL;
	return 0;
}

static int is_log(const struct dirent *d)
{
	return d->d_name[0] != '.' && strstr(d->d_name, ".log") != NULL;
}

/* Logs of kinds we do not read (files, x509 …) stand beside those we do, and are passed over. */
static int add_folder(struct replay *r, const char *path)
{
	struct dirent **names = NULL;
	int n = scandir(path, &names, is_log, alphasort), e = n < 0 ? -errno : 0;
	size_t added = 0;

	for (int i = 0; i < n; i++) {
		char file[4096];

		if (e >= 0 && snprintf(file, sizeof(file), "%s/%s", path, names[i]->d_name) <
				      (int)sizeof(file)) {
			int one = add_file(r, file);

			if (one >= 0)
				added++;
			else if (one == -ENOMEM || one == -E2BIG)
				e = one;
			else if (one != -EBADMSG && one != -EISDIR)
				complain(r, "%s: %s", file, strerror(-one));
		}
		free(names[i]);
	}
	free(names);
	if (e >= 0 && !added) {
		complain(r, "%s: no Zeek conn, dns, ssl, http or quic log in this folder", path);
		return -EBADMSG;
	}
	if (e < 0)
		complain(r, "%s: %s", path, strerror(-e));
	return e;
}

int replay_add(struct replay *r, const char *path)
{
	int e;

	if (r->running)
		return -EBUSY;
	e = add_file(r, path);
	if (e == -EISDIR)
		return add_folder(r, path);
	if (e == -EBADMSG)
		complain(r,
			 "%s: neither a capture (pcap, pcapng) nor a Zeek conn, dns, ssl, http or "
			 "quic log",
			 path);
	else if (e < 0)
		complain(r, "%s: %s", path, strerror(-e));
	return e;
}

int replay_new(struct replay **ret, struct event_out out, replay_error_fn on_error, void *error_ctx)
{
	_cleanup_(replay_freep) struct replay *r = calloc(1, sizeof(*r));
	int e;

	if (!r)
		return -ENOMEM;
	r->out = out;
	r->on_error = on_error;
	r->error_ctx = error_ctx;
	e = defrag_new(&r->defrag, (struct defrag_out){ on_datagram, r });
	if (e < 0)
		return e;
	*ret = TAKE_PTR(r);
	return 0;
}

struct replay *replay_free(struct replay *r)
{
	if (!r)
		return NULL;
	for (size_t i = 0; i < r->n_sources; i++)
		source_free(r->sources[i]);
	for (size_t i = 0; i < r->n_heap; i++)
		source_free(r->heap[i]);
	free(r->sources);
	free(r->heap);
	defrag_free(r->defrag);
	free(r);
	return NULL;
}

const struct replay_stats *replay_stats(const struct replay *r)
{
	return &r->shared.stats;
}
