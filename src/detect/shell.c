/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shells whose input and output is a connection that this host opened: by descriptors, not by names of tools or words of
 * command lines. Three ways to it:
 *
 *     exec     the new image has the flow's socket at 0 and 1, or (of a shell's own flow) its commands have
 *     looks    a shell that opened the flow itself may have put it there since: /proc is asked, a few times and then once a minute
 *     relays   nc, socat, openssl … with a flow, and a shell that is joined to one in both directions (detect/shell_join.h)
 *
 * Living flows of shells and relays are kept in a list of WATCHED_MAX; nobody else's costs more than a look at a small table.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/time.h"
#include "detect/engine.h"
#include "detect/shell_join.h"
#include "flow/proc_stdio.h"

#define WATCHED_MAX 256
#define WAITING_MAX 64
#define WAIT_NS (10 * NSEC_PER_SEC) /* for the notice of a flow whose socket a shell has already */
#define LOOKS_A_BEAT 16
#define LATER_NS (60 * NSEC_PER_SEC)
#define CLASSES 512 /* a power of two */

/* After a flow began: when it is looked at. */
static const uint64_t looks_ns[] = { 0,
				     300 * NSEC_PER_MSEC,
				     700 * NSEC_PER_MSEC,
				     1500 * NSEC_PER_MSEC,
				     3 * NSEC_PER_SEC,
				     10 * NSEC_PER_SEC };

struct watched {
	struct flow *flow;
	uint64_t opened_ns, next_ns;
	uint32_t looks;
	bool relay; /* else a shell's */
	bool said;  /* once is enough */
	bool read;  /* a program had it as input … */
	uint32_t
		written; /* and so many had it as output and error output since; without that, so many at all */
};

struct shells {
	struct watched at[WATCHED_MAX];
	size_t n;
	struct {
		struct proc *proc; /* a reference */
		uint64_t until_ns;
	} waiting[WAITING_MAX];
	size_t n_waiting;
	struct {
		uint64_t hash;
		uint8_t class; /* enum program_class + 1; 0: empty */
	} classes[CLASSES];
};

static int start(struct detect *d)
{
	d->shells = calloc(1, sizeof(*d->shells));
	return d->shells ? 0 : -ENOMEM;
}

static void stop(struct detect *d)
{
	for (size_t i = 0; d->shells && i < d->shells->n_waiting; i++)
		proc_put(d->cfg.procs, d->shells->waiting[i].proc);
	free(d->shells);
	d->shells = NULL;
}

static size_t memory(const struct detect *d)
{
	return sizeof(*d->shells);
}

/* gawk opens connections by itself and runs commands on both ends of pipes; it belongs with the relays. */
static enum program_class class_of_name(struct str exe)
{
	struct str base = exe;

	for (size_t i = exe.n; i-- > 0;)
		if (exe.p[i] == '/') {
			base = str_sub(exe, i + 1, exe.n);
			break;
		}
	if (str_glob(STR("gawk*"), base) || str_eq(base, STR("awk")))
		return PROGRAM_RELAY;
	return program_class(exe);
}

static enum program_class class_of(struct shells *s, const struct proc *p)
{
	size_t i;

	if (!p || !p->exe)
		return PROGRAM_UNKNOWN;
	i = p->exe->hash & (CLASSES - 1);
	if (!s->classes[i].class || s->classes[i].hash != p->exe->hash) {
		s->classes[i].hash = p->exe->hash;
		s->classes[i].class = (uint8_t)(class_of_name(text_str(p->exe)) + 1);
	}
	return (enum program_class)(s->classes[i].class - 1);
}

static bool is_shell(struct shells *s, const struct proc *p)
{
	return class_of(s, p) == PROGRAM_SHELL;
}

/* --- what is watched ------------------------------------------------------------------------------------------------ */

static struct watched *find(struct shells *s, const struct flow *f)
{
	for (size_t i = 0; i < s->n; i++)
		if (s->at[i].flow == f)
			return &s->at[i];
	return NULL;
}

/* The one that was looked at most often gives way, the oldest of those. */
static struct watched *make_room(struct detect *d)
{
	struct shells *s = d->shells;
	struct watched *worst = &s->at[0];

	if (s->n < WATCHED_MAX)
		return &s->at[s->n++];
	for (size_t i = 1; i < s->n; i++)
		if (s->at[i].looks > worst->looks ||
		    (s->at[i].looks == worst->looks && s->at[i].flow->id < worst->flow->id))
			worst = &s->at[i];
	d->stats.evicted_shells++;
	return worst;
}

static struct watched *watch(struct detect *d, struct flow *f, bool relay)
{
	struct watched *w = find(d->shells, f);

	if (!w) {
		w = make_room(d);
		*w = (struct watched){ .flow = f, .opened_ns = d->now_ns, .next_ns = d->now_ns };
	}
	w->relay = relay;
	return w;
}

static void over(struct detect *d, const struct flow *f)
{
	struct watched *w = d->shells->n ? find(d->shells, f) : NULL;

	if (w)
		*w = d->shells->at[--d->shells->n];
}

/* --- what is said --------------------------------------------------------------------------------------------------- */

static void say(struct detect *d, struct flow *f, enum evidence_id id, const struct proc *shell,
		const char *how)
{
	struct pair *p = f->proc ? pair_of_flow(d, f) : NULL;
	struct watched *w = find(d->shells, f);
	char what[128];

	if (!p)
		return;
	if (w)
		w->said = true;
	pair_touch(d, p, f);
	snprintf(what, sizeof(what), "%.*s (pid %u) %s", STR_FMT(proc_name(shell)), shell->pid,
		 how);
	detect_evidence(
		d, p, id,
		&(struct evidence_in){ .measured = 1, .n = 1, .flow_id = f->id, .what = what });
}

static void say_socket(struct detect *d, struct flow *f, const struct proc *shell)
{
	say(d, f, E_SHELL_SOCKET, shell, "has the connection as its input and output");
}

/* --- relays --------------------------------------------------------------------------------------------------------- */

struct search {
	struct detect *d;
	const struct watched *w;
	const struct proc *shell; /* found */
	/* For a chain: the shell that writes to the relay, and whether somebody hands on what the relay writes. */
	const struct proc *writer;
};

static const struct proc *relay_of(const struct search *at)
{
	return at->w->flow->proc;
}

/* `telnet A | sh | telnet B`: another relay with a flow of its own feeds the shell. */
static bool other_relay_feeds(const struct search *at, const struct proc *shell)
{
	const struct shells *s = at->d->shells;

	for (size_t i = 0; i < s->n; i++)
		if (s->at[i].relay && &s->at[i] != at->w && s->at[i].flow->proc &&
		    shell_reads_from(shell, s->at[i].flow->proc))
			return true;
	return false;
}

static void look_at_shell(void *ctx, struct proc *p)
{
	struct search *at = ctx;
	const struct proc *relay = relay_of(at);

	if (at->shell || !is_shell(at->d->shells, p))
		return;
	if (shell_is_child(p, relay)) {
		at->shell = p;
	} else if (shell_writes_to(p, relay)) {
		at->writer = p;
		if (shell_reads_from(p, relay) || other_relay_feeds(at, p))
			at->shell = p;
	}
}

/* `cat fifo | sh | nc … > fifo`: cat opens what nc writes to, and writes to the shell. */
static void look_at_between(void *ctx, struct proc *p)
{
	struct search *at = ctx;
	const struct stdio *out = &relay_of(at)->stdio[1];

	if (at->shell || shell_same_process(p, relay_of(at)) ||
	    !shell_feeds(&p->stdio[1], &at->writer->stdio[0]))
		return;
	if (shell_feeds(out, &p->stdio[0]) || proc_holds(p->pid, p->start_ns, out) > 0)
		at->shell = at->writer;
}

static void look_relay(struct detect *d, struct watched *w)
{
	struct search at = { .d = d, .w = w };

	proc_table_each(d->cfg.procs, look_at_shell, &at);
	if (!at.shell && at.writer && relay_of(&at)->stdio[1].kind == STDIO_PIPE)
		proc_table_each(d->cfg.procs, look_at_between, &at);
	if (at.shell)
		say(d, w->flow, E_SHELL_RELAY, at.shell,
		    "is joined to the connection in both directions");
}

/* A shell that a relay has just started; it may live for milliseconds only. */
static void child_of_relay(struct detect *d, const struct proc *p)
{
	struct shells *s = d->shells;

	for (size_t i = 0; i < s->n; i++)
		if (s->at[i].relay && !s->at[i].said && shell_is_child(p, s->at[i].flow->proc)) {
			say(d, s->at[i].flow, E_SHELL_RELAY, p,
			    "is joined to the connection in both directions");
			return;
		}
}

/* --- shells --------------------------------------------------------------------------------------------------------- */

static void look_shell(struct detect *d, struct watched *w)
{
	const struct proc *p = w->flow->proc;
	struct stdio now[STDIO_COUNT];

	if (p->ended_ns || proc_stdio_now(p->pid, p->start_ns, now) < 0)
		return;
	if (stdio_is_flow(&now[0], w->flow->cookie, &w->flow->key) &&
	    stdio_is_flow(&now[1], w->flow->cookie, &w->flow->key))
		say_socket(d, w->flow, p);
}

/*
 * `exec 5<>/dev/tcp/…; while read x; do $x >&5 2>&5; done <&5`: the commands of such a shell have its connection as output and
 * error output. A script that speaks HTTP that way sends first and then reads.
 */
static void command_of_shell(struct detect *d, struct watched *w, const struct proc *p)
{
	const struct flow *f = w->flow;
	bool in = stdio_is_flow(&p->stdio[0], f->cookie, &f->key);
	bool out = stdio_is_flow(&p->stdio[1], f->cookie, &f->key);
	bool error = stdio_is_flow(&p->stdio[2], f->cookie, &f->key);

	if (in && out) {
		say_socket(d, w->flow, p);
	} else if (in) {
		w->read = true;
		w->written = 0;
	} else if (out && error) {
		w->written++;
		if (w->read || (w->written >= 2 && f->half[TO_CLIENT].payload))
			say(d, w->flow, E_SHELL_SOCKET, p,
			    "runs what comes down the connection, and answers there");
	}
}

static void commands(struct detect *d, const struct proc *p)
{
	struct shells *s = d->shells;

	for (size_t i = 0; i < s->n; i++)
		if (!s->at[i].relay && !s->at[i].said)
			command_of_shell(d, &s->at[i], p);
}

static struct flow *flow_of(struct detect *d, const struct stdio *s)
{
	struct flow *f = d->flows ? flow_table_of_socket(d->flows, s) : NULL;

	return f && detect_leaves(f) ? f : NULL;
}

static bool leaves(const struct stdio *s)
{
	return s->rport && addr_class(&s->remote) != ADDR_LOOPBACK;
}

static void wait_for_flow(struct detect *d, struct proc *p)
{
	struct shells *s = d->shells;

	if (s->n_waiting == WAITING_MAX) {
		proc_put(d->cfg.procs, s->waiting[0].proc);
		s->waiting[0] = s->waiting[--s->n_waiting];
		d->stats.evicted_shells++;
	}
	s->waiting[s->n_waiting].proc = proc_ref(p);
	s->waiting[s->n_waiting++].until_ns = d->now_ns + WAIT_NS;
}

/* `pty.spawn("sh")`: the interpreter moves the bytes between its own descriptors, the socket, and the shell's terminal. */
static void shell_on_terminal(struct detect *d, const struct proc *p)
{
	const struct proc *parent = p->parent;
	struct stdio now[STDIO_COUNT];
	const struct stdio *socket;
	struct flow *f;

	if (p->stdio[0].kind != STDIO_TTY || !stdio_joined(&p->stdio[0], &p->stdio[1]) || !parent ||
	    class_of(d->shells, parent) != PROGRAM_INTERPRETER || parent->ended_ns ||
	    stdio_joined(&p->stdio[0], &parent->stdio[0]) ||
	    proc_stdio_now(parent->pid, parent->start_ns, now) < 0 ||
	    !shell_on_socket(now, &socket) || !leaves(socket))
		return;
	f = flow_of(d, socket);
	if (f)
		say(d, f, E_SHELL_SOCKET, p, "has the connection behind its terminal");
}

static void exec(struct detect *d, struct proc *p)
{
	enum program_class class = class_of(d->shells, p);
	const struct stdio *socket;
	struct flow *f;

	if (p->stdio[0].kind == STDIO_INET || p->stdio[1].kind == STDIO_INET)
		commands(d, p);
	if (class != PROGRAM_SHELL && class != PROGRAM_INTERPRETER)
		return;
	if (shell_on_socket(p->stdio, &socket) && leaves(socket)) {
		f = flow_of(d, socket);
		if (f && f->proc)
			say_socket(d, f, p);
		else if (!f)
			wait_for_flow(d, p);
		return;
	}
	if (class != PROGRAM_SHELL)
		return;
	child_of_relay(d, p);
	shell_on_terminal(d, p);
}

/* --- flows and time ------------------------------------------------------------------------------------------------- */

static void look_at_waiting(struct detect *d)
{
	struct shells *s = d->shells;

	for (size_t i = 0; i < s->n_waiting;) {
		struct proc *p = s->waiting[i].proc;
		struct flow *f = flow_of(d, &p->stdio[0]);

		if (f && f->proc)
			say_socket(d, f, p);
		if (!f && d->now_ns < s->waiting[i].until_ns) {
			i++;
			continue;
		}
		proc_put(d->cfg.procs, p);
		s->waiting[i] = s->waiting[--s->n_waiting];
	}
}

static void look(struct detect *d, struct watched *w)
{
	w->looks++;
	w->next_ns = w->looks < ARRAY_SIZE(looks_ns) ? w->opened_ns + looks_ns[w->looks]
						     : d->now_ns + LATER_NS;
	if (w->said || !d->cfg.procs)
		return;
	if (w->relay)
		look_relay(d, w);
	else
		look_shell(d, w);
}

static void open(struct detect *d, struct flow *f)
{
	enum program_class class = class_of(d->shells, f->proc);

	if ((class != PROGRAM_SHELL && class != PROGRAM_RELAY) || !f->live || !detect_leaves(f))
		return;
	watch(d, f, class == PROGRAM_RELAY);
}

static void beat(struct detect *d)
{
	struct shells *s = d->shells;
	int looks = 0;

	if (s->n_waiting)
		look_at_waiting(d);
	for (size_t i = 0; i < s->n && looks < LOOKS_A_BEAT; i++)
		if (d->now_ns >= s->at[i].next_ns) {
			look(d, &s->at[i]);
			looks++;
		}
}

const struct detector detect_shell = {
	.name = "shell",
	.start = start,
	.stop = stop,
	.open = open,
	.over = over,
	.exec = exec,
	.beat = beat,
	.memory = memory,
};
