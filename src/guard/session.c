/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lockout: would this policy cut the session of the person who loads it, or another that administers this host? Replies
 * to connections that came in pass by definition; what is left are sessions that this host opened, and those whose
 * beginning nobody saw.
 */
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "base/cleanup.h"
#include "flow/flow.h"
#include "guard/internal.h"
#include "policy/subject.h"

#define SSH_PORT 22

struct session {
	bool given, seen; /* $SSH_CONNECTION, and whether a flow is it */
	struct addr peer, here;
	uint16_t peer_port, port;
};

struct look {
	const struct guard *g;
	const struct built *b;
	struct buf *messages;
	struct session own;
	unsigned cut;
};

static bool take_end(struct str *rest, struct addr *ret_addr, uint16_t *ret_port)
{
	struct str addr, port;
	uint64_t n;

	if (!str_cut(rest, ' ', &addr) || !str_cut(rest, ' ', &port) ||
	    addr_parse(addr, ret_addr) < 0 || str_parse_u64(port, &n) < 0 || n > UINT16_MAX)
		return false;
	*ret_port = (uint16_t)n;
	return true;
}

static bool is_own(const struct session *s, const struct flow *f)
{
	const struct event_key *k = &f->key;

	if (!s->given || k->proto != IPPROTO_TCP)
		return false;
	return (addr_eq(&k->src, &s->peer) && k->sport == s->peer_port &&
		addr_eq(&k->dst, &s->here) && k->dport == s->port) ||
	       (addr_eq(&k->dst, &s->peer) && k->dport == s->peer_port &&
		addr_eq(&k->src, &s->here) && k->sport == s->port);
}

static bool is_session(const struct flow *f)
{
	if (f->key.proto != IPPROTO_TCP || f->state == FLOW_CLOSED)
		return false;
	return f->app == APP_SSH || f->key.dport == SSH_PORT || f->key.sport == SSH_PORT ||
	       (f->proc && str_eq(proc_name(f->proc), STR("sshd")));
}

static bool refuses(const struct eg_verdict *v)
{
	return v->action == EG_DENY || v->action == EG_REJECT;
}

static void complain(struct look *l, const struct eg_verdict *v, const char *whose,
		     const struct addr *peer, uint16_t port)
{
	struct guard_rule rule;
	char text[ADDR_TEXT_MAX];

	l->cut++;
	if (!guard_rule_of(l->b->rules->policy, v->rule, &rule))
		return;
	addr_format(peer, text);
	buf_printf(l->messages, "%.*s:%u: error: this rule would cut %s with %s port %u: %.*s\n",
		   STR_FMT(rule.file), rule.line, whose, text, port, STR_FMT(rule.text));
}

static void on_flow(void *ctx, const struct flow *f)
{
	struct look *l = ctx;
	bool own = is_own(&l->own, f);
	struct recorded r;
	struct eg_verdict v;

	l->own.seen |= own;
	if ((!own && !is_session(f)) || f->direction == FLOW_REPLY)
		return;
	recorded_of_flow(&r, f);
	r.subject.unix_s = guard_now_s(l->g);
	if (policy_judge(l->b->image, &r.subject, &v) == 0 && refuses(&v))
		complain(l, &v, own ? "your own session" : "the SSH session", &f->key.dst,
			 f->key.dport);
}

/* No flow is this session, though every socket of the host should be known: what is known of it is judged. */
static void judge_unseen(struct look *l)
{
	struct policy_subject s = {
		.local = l->own.here,
		.remote = l->own.peer,
		.proto = IPPROTO_TCP,
		.port = l->own.peer_port,
		.has_ports = true,
		.visible = EG_VISIBLE_NONE,
		.app = EG_APP_SSH,
		.unix_s = guard_now_s(l->g),
	};
	struct eg_verdict v;

	if (policy_judge(l->b->image, &s, &v) == 0 && refuses(&v))
		complain(l, &v, "your own session, whose direction is not known,", &l->own.peer,
			 l->own.peer_port);
}

int session_check(const struct guard *g, const struct built *b, const char *session,
		  struct buf *messages)
{
	struct look l = { .g = g, .b = b, .messages = messages };
	struct str rest = str_of(session);

	l.own.given = session && take_end(&rest, &l.own.peer, &l.own.peer_port) &&
		      take_end(&rest, &l.own.here, &l.own.port);
	if (g->cfg.flows)
		flow_table_each(g->cfg.flows, on_flow, &l);
	if (l.own.given && !l.own.seen && g->cfg.whole_host)
		judge_unseen(&l);
	return l.cut ? -EPERM : 0;
}
