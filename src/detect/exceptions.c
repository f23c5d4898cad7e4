/* SPDX-License-Identifier: Apache-2.0 */
/* `egret ack`: what the user has declared ordinary, until when. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "detect/state.h"
#include "flow/filter.h"

struct exceptions {
	struct exception all[EXCEPTIONS_MAX];
	size_t n;
};

int exceptions_new(struct detect *d)
{
	d->exceptions = calloc(1, sizeof(*d->exceptions));
	return d->exceptions ? 0 : -ENOMEM;
}

void exceptions_free(struct detect *d)
{
	free(d->exceptions);
	d->exceptions = NULL;
}

int detect_except(struct detect *d, const struct exception *e)
{
	struct exceptions *x = d->exceptions;

	if (!e->entity[0] && !e->peer[0] && !e->detector[0])
		return -EINVAL;
	for (size_t i = 0; i < x->n; i++)
		if (!strcmp(x->all[i].entity, e->entity) && !strcmp(x->all[i].peer, e->peer) &&
		    !strcmp(x->all[i].detector, e->detector)) {
			x->all[i] = *e;
			return 0;
		}
	if (x->n == EXCEPTIONS_MAX)
		return -E2BIG;
	x->all[x->n++] = *e;
	return 0;
}

bool detect_unexcept(struct detect *d, size_t i)
{
	struct exceptions *x = d->exceptions;

	if (i >= x->n)
		return false;
	memmove(x->all + i, x->all + i + 1, (x->n - i - 1) * sizeof(*x->all));
	x->n--;
	return true;
}

const struct exception *detect_exceptions(const struct detect *d, size_t *ret_n)
{
	*ret_n = d->exceptions->n;
	return d->exceptions->all;
}

static bool is(const char *said, struct str one, struct str other)
{
	return !said[0] || str_eq(str_of(said), one) || (other.n && str_eq(str_of(said), other));
}

bool exceptions_cover(const struct detect *d, const struct finding *f)
{
	for (size_t i = 0; i < d->exceptions->n; i++) {
		const struct exception *e = &d->exceptions->all[i];

		if (d->now_ns < e->until_ns && is(e->entity, f->entity, f->exe) &&
		    is(e->peer, f->peer, f->name) &&
		    is(e->detector, str_of(f->detector ?: ""), STR_NONE))
			return true;
	}
	return false;
}

static void put(struct state_out *o, const char *s)
{
	state_str(o, str_of(s));
}

static void get(struct state_in *in, char *to, size_t room)
{
	struct str s = state_get_str(in);

	snprintf(to, room, "%.*s", STR_FMT(s));
}

void exceptions_save(struct detect *d, struct state_out *o)
{
	state_u64(o, d->exceptions->n);
	for (size_t i = 0; i < d->exceptions->n; i++) {
		const struct exception *e = &d->exceptions->all[i];

		put(o, e->entity);
		put(o, e->peer);
		put(o, e->detector);
		put(o, e->note);
		put(o, e->by);
		state_u64(o, e->since_ns);
		state_u64(o, e->until_ns);
	}
}

int exceptions_load(struct detect *d, struct state_in *in)
{
	uint64_t n = state_get_most(in, EXCEPTIONS_MAX - d->exceptions->n);

	for (uint64_t i = 0; i < n && !in->bad; i++) {
		struct exception e = { 0 };

		get(in, e.entity, sizeof(e.entity));
		get(in, e.peer, sizeof(e.peer));
		get(in, e.detector, sizeof(e.detector));
		get(in, e.note, sizeof(e.note));
		get(in, e.by, sizeof(e.by));
		e.since_ns = state_get_u64(in);
		e.until_ns = state_get_u64(in);
		if (!in->bad)
			d->exceptions->all[d->exceptions->n++] = e;
	}
	return 0;
}

/* A flow that says of itself what the finding says; texts that filters read stand in for the interned ones. */
#define TEXT_ROOM 512
struct text_like {
	struct text t;
	char room[TEXT_ROOM];
};

static struct text *text_like(struct text_like *to, struct str s)
{
	struct text *t = &to->t;

	if (!s.n || s.n >= TEXT_ROOM)
		return NULL;
	*t = (struct text){ .refs = 1, .n = (uint32_t)s.n };
	memcpy(t->p, s.p, s.n);
	t->p[s.n] = 0;
	return t;
}

bool finding_match(const struct finding *f, const struct filter *filter)
{
	struct text_like name, exe, user;
	struct proc proc = { .refs = 1, .exe_state = EXE_FILE };
	struct flow flow = {
		.key = { .src = f->source, .dst = f->addr, .dport = f->port, .proto = f->proto },
		.start_ns = f->first_ns,
		.last_ns = f->last_ns,
		.direction = FLOW_EGRESS,
		.state = FLOW_ESTABLISHED,
		.payload_known = true
	};

	flow.half[TO_SERVER] = (struct flow_half){ .bytes = f->up, .payload = f->up };
	flow.half[TO_CLIENT] = (struct flow_half){ .bytes = f->down, .payload = f->down };
	flow.name = text_like(&name, f->name.n ? f->name : f->peer);
	flow.name_source = NAME_DNS;
	if (f->proc)
		proc = *f->proc;
	proc.exe = text_like(&exe, f->exe);
	proc.user = text_like(&user, f->user);
	if (!f->has_source)
		flow.proc = &proc;
	return filter_match(filter, &flow, f->last_ns);
}
