/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Verdicts to events. Those that let pass come with the notice of their flow, its counters or its end; refusals come as
 * records of their own or, in a flood, as sums that each sweep takes (bpf/refuse.h). Connections that are refused while
 * they are open are ended here, so that their programs notice.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "attach/internal.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "bpf/host.skel.h"
#include "bpf/policy_image.h"

#define RULE_MANY 0xffff /* of the row for what had no room: any rule */
#define CLEAN_AFTER 3    /* sweeps after a swap: nobody adds to sums of the old policy any more */

_Static_assert((int)VERDICT_AT_CONNECT == EG_AT_CONNECT && (int)VERDICT_AT_SEND == EG_AT_SEND &&
		       (int)VERDICT_AT_PACKET == EG_AT_PACKET &&
		       (int)VERDICT_AT_BACKSTOP == EG_AT_BACKSTOP,
	       "places of bpf/abi.h and decode/event.h differ");

static void fill(struct attach *a, struct event *e, const struct eg_open *o, const char *comm)
{
	struct event_verdict *v = &e->verdict;
	struct str visible;

	e->type = EVENT_VERDICT;
	e->time_ns = attach_unix(a, o->rec.time_ns);
	attach_key(&e->key, &o->key, o->zone);
	v->cookie = o->cookie;
	v->gen = o->judged.gen;
	v->rule = o->judged.rule;
	v->action = o->judged.action;
	v->final = o->judged.flags & EG_JUDGED_FINAL;
	v->refused = o->judged.flags & EG_JUDGED_REFUSES;
	v->would_refuse = (o->judged.flags & EG_JUDGED_WOULD) || v->action == EG_AUDIT;
	v->visible = o->judged.visible;
	v->app = o->judged.app;
	/* out of the cache first: names of the address may take its place there */
	visible = o->visible_name ? attach_name(a, o->visible_name) : STR_NONE;
	visible.n = MIN(visible.n, sizeof(a->visible));
	if (visible.n)
		memcpy(a->visible, visible.p, visible.n);
	v->visible_name = (struct str){ a->visible, visible.n };
	attach_fill_open(a, &v->who, o, comm);
}

static void emit_verdict(struct attach *a, const struct eg_open *o)
{
	struct event e = { 0 };

	fill(a, &e, o, NULL);
	e.verdict.at = VERDICT_AT_PACKET;
	attach_emit(a, &e);
}

void attach_emit_verdict(struct attach *a, const struct eg_open *o)
{
	if (o->judged.gen && (o->judged.flags & EG_JUDGED_FINAL))
		emit_verdict(a, o);
}

void attach_verdict_of(struct attach *a, const struct eg_close *c)
{
	struct eg_open o = {
		.rec = c->rec,
		.key = c->key,
		.zone = c->zone,
		.cookie = c->cookie,
		.owner = c->owner,
		.visible_name = c->visible_name,
		.judged = c->judged,
	};
	uint64_t names[EG_ADDR_NAMES] = { 0 };

	/* a refusal has its own record, or is in a sum */
	if (!c->judged.gen || (c->judged.flags & (EG_JUDGED_TOLD | EG_JUDGED_REFUSES)))
		return;
	attach_names_of(a, o.key.remote, names);
	memcpy(o.names, names, sizeof(o.names));
	/* Of a flow that ends without having said enough, what let it pass so far. */
	if ((c->judged.flags & EG_JUDGED_FINAL) ||
	    ((c->idle || c->rec.type == EG_REC_CLOSE) &&
	     (c->judged.action == EG_ALLOW || c->judged.action == EG_AUDIT)))
		emit_verdict(a, &o);
}

/* --- ending connections ------------------------------------------------------------------------------------------ */
static void condemn(struct attach *a, const struct eg_open *o)
{
	if (o->key.proto != IPPROTO_TCP || !a->iter_tcp || (o->rec.flags & EG_FORWARDED))
		return;
	a->condemn = true;
	for (size_t i = 0; i < a->n_condemned; i++)
		if (a->condemned[i] == o->owner.pid)
			return;
	if (a->n_condemned < ARRAY_SIZE(a->condemned))
		a->condemned[a->n_condemned++] = o->owner.pid;
}

static void ignore(void *ctx, const void *rec)
{
}

static int open_netns(uint32_t pid, struct stat *ret)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/%u/ns/net", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0 && fstat(fd, ret)) {
		close(fd);
		return -1;
	}
	return fd;
}

/* The iterator shows the connections of one network namespace: that of the thread which makes it. */
static void end_refused(struct attach *a)
{
	ino_t seen[ARRAY_SIZE(a->condemned) + 1];
	_cleanup_close_ int home = -1;
	struct stat st;
	size_t n = 0;

	home = open_netns(getpid(), &st);
	if (home < 0)
		return;
	attach_walk(a->iter_tcp, 1, ignore, a);
	seen[n++] = st.st_ino;
	for (size_t i = 0; i < a->n_condemned; i++) {
		_cleanup_close_ int ns = a->condemned[i] ? open_netns(a->condemned[i], &st) : -1;
		bool done = ns < 0;

		for (size_t k = 0; !done && k < n; k++)
			done = seen[k] == st.st_ino;
		if (done)
			continue;
		seen[n++] = st.st_ino;
		if (setns(ns, CLONE_NEWNET)) {
			log_debug("attach: refused connections of process %u stay open, without a "
				  "packet: %s",
				  a->condemned[i], strerror(errno));
			continue;
		}
		attach_walk(a->iter_tcp, 1, ignore, a);
		if (setns(home, CLONE_NEWNET))
			log_warn("attach: cannot return to the own network namespace: %s",
				 strerror(errno));
	}
	a->n_condemned = 0;
}

/* --- refusals ---------------------------------------------------------------------------------------------------- */
void attach_on_refusal(struct attach *a, const struct eg_refusal *r)
{
	struct event e = { 0 };

	fill(a, &e, &r->open, r->open.comm);
	e.verdict.at = r->at;
	e.verdict.calls = r->calls;
	e.verdict.packets = r->packets;
	e.verdict.bytes = r->bytes;
	attach_emit(a, &e);
	if (r->packets && (r->open.judged.flags & EG_JUDGED_REFUSES))
		condemn(a, &r->open);
}

static void on_sum(void *ctx, const void *rec)
{
	const struct eg_refusal *r = rec;
	struct attach *a = ctx;
	struct event e = { 0 };

	if (!r->calls && !r->packets)
		return;
	fill(a, &e, &r->open, NULL);
	e.time_ns = attach_unix(a, attach_mono_ns());
	e.verdict.at = r->at;
	e.verdict.summary = true;
	e.verdict.calls = r->calls;
	e.verdict.packets = r->packets;
	e.verdict.bytes = r->bytes;
	if (a->many_rules)
		e.verdict.rule = RULE_MANY;
	attach_emit(a, &e);
	if (r->packets)
		condemn(a, &r->open);
}

/* Sums of policies that are gone, once their last count was taken. */
static void clean(struct attach *a, uint32_t gen)
{
	int fd = bpf_map__fd(a->skel->maps.eg_refused);
	struct eg_refused_key key, next;
	const void *from = NULL;

	while (!bpf_map_get_next_key(fd, from, &next)) {
		if (from && key.gen != gen)
			bpf_map_delete_elem(fd, &key);
		key = next;
		from = &key;
	}
	if (from && key.gen != gen)
		bpf_map_delete_elem(fd, &key);
}

int attach_refuse_tick(struct attach *a)
{
	uint32_t gen = a->skel->bss->policy_gen;
	int r;

	r = attach_walk(a->iter_refused, sizeof(struct eg_refusal), on_sum, a);
	a->many_rules = true;
	if (!r)
		r = attach_walk(a->iter_refused_rest, sizeof(struct eg_refusal), on_sum, a);
	a->many_rules = false;
	if (gen != a->refused_gen) {
		a->refused_gen = gen;
		a->clean_in = CLEAN_AFTER;
	}
	if (a->clean_in && !--a->clean_in)
		clean(a, gen);
	if (a->condemn && a->iter_tcp) {
		a->condemn = false;
		end_refused(a);
	}
	return r;
}
