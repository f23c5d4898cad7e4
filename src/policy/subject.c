/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/subject.h"

#include <errno.h>
#include <netinet/in.h>

#include "base/cleanup.h"
#include "base/time.h"

/* Records, flows and images number these alike. */
_Static_assert((int)EG_APP_TLS == (int)APP_TLS && (int)EG_APP_TELNET == (int)APP_TELNET,
	       "application protocols");
_Static_assert(EG_VISIBLE_NONE == 1 && EG_VISIBLE_NAME == 2 && EG_VISIBLE_UNREADABLE == 3,
	       "words in store/eve_verdict.c");
_Static_assert(EG_ALLOW == 1 && EG_AUDIT == 4, "words in flow/verdict.c");

/* All have what stands for ports but a later fragment, whose flow is of 0 and 0. */
static bool has_ports(uint8_t proto, uint16_t sport, uint16_t dport)
{
	return !flow_proto_has_ports(proto) || sport || dport;
}

static bool has_hello(uint8_t app)
{
	return app == EG_APP_TLS || app == EG_APP_QUIC || app == EG_APP_DTLS || app == EG_APP_TOR;
}

/*
 * What the kernel would have seen of names and protocol in such a flow; `hello`: one was read, `source`: where the best
 * name came from.
 */
static void set_visible(struct policy_subject *s, struct str name, enum name_source source,
			bool hello, bool mid_stream)
{
	if (!flow_proto_has_ports(s->proto)) {
		s->app = EG_APP_UNKNOWN;
		s->visible = EG_VISIBLE_NONE;
	} else if (source == NAME_SNI || source == NAME_QUIC || source == NAME_HTTP) {
		s->visible = EG_VISIBLE_NAME;
		s->visible_name = name;
	} else if (s->app == EG_APP_UNDECIDED) {
		s->visible = EG_VISIBLE_UNKNOWN;
	} else {
		s->visible = has_hello(s->app) && !hello && !mid_stream ? EG_VISIBLE_UNREADABLE
									: EG_VISIBLE_NONE;
	}
}

/* --- a flow ------------------------------------------------------------------------------------------------------ */

static struct str path_of(const struct proc *p)
{
	return p->exe_state == EXE_FILE ? text_str(p->exe) : STR_NONE;
}

static void add_ancestor(struct policy_subject *s, struct str path)
{
	if (s->n_ancestors < POLICY_ANCESTORS_MAX)
		s->ancestors[s->n_ancestors++] = path;
}

static void set_who(struct recorded *r, const struct proc *p)
{
	struct policy_subject *s = &r->subject;
	const struct workload *w = p->workload;

	s->exe = path_of(p);
	for (const struct proc *at = p; at; at = at->parent) {
		struct str rest = text_str(at->was), was;

		add_ancestor(s, path_of(at));
		while (str_cut(&rest, 0, &was))
			add_ancestor(s, was);
	}
	s->uid_known = true;
	s->uid = p->uid;
	r->gids[0] = p->gid;
	s->gids = r->gids;
	s->n_gids = 1;
	r->program = proc_name(p);
	r->user = text_str(p->user);
	if (!w)
		return;
	s->cgroup = text_str(w->cgroup);
	r->unit = text_str(w->unit);
	if (!w->container_id && !w->container_name)
		return;
	r->container.name = text_str(w->container_name);
	r->container.image = text_str(w->container_image);
	s->container = &r->container;
}

void recorded_of_flow(struct recorded *ret, const struct flow *f)
{
	struct policy_subject *s = &ret->subject;

	*ret = (struct recorded){
		.egress = f->direction != FLOW_REPLY && f->direction != FLOW_INGRESS,
		.who_known = f->proc && f->proc->exe_state != EXE_UNKNOWN,
		.time_ns = f->start_ns,
		.flow_id = f->id,
		.flows = 1,
		.up = flow_up(f)->bytes,
		.down = flow_down(f)->bytes,
		.name = text_str(f->name),
		.ended = f->end != END_NONE,
		.mid_stream = f->mid_stream,
	};
	s->local = f->key.src;
	s->remote = f->key.dst;
	s->proto = f->key.proto;
	s->port = flow_proto_has_ports(s->proto) ? f->key.dport : f->key.sport;
	s->has_ports = has_ports(s->proto, f->key.sport, f->key.dport);
	s->app = (uint8_t)f->app;
	s->unix_s = (int64_t)(f->start_ns / 1000000000);
	s->container_unknown = !ret->who_known;
	for (size_t i = 0; i < f->n_names; i++)
		s->names[s->n_names++] = text_str(f->names[i]->asked);
	set_visible(s, ret->name, f->name_source, f->ja3 || f->ja4, f->mid_stream);
	if (f->proc)
		set_who(ret, f->proc);
}

/* --- a line of eve.json ------------------------------------------------------------------------------------------ */

static struct str text_at(const json_t *j, const char *key)
{
	const json_t *v = json_object_get(j, key);

	return json_is_string(v) ? (struct str){ json_string_value(v), json_string_length(v) }
				 : STR_NONE;
}

static uint64_t number_at(const json_t *j, const char *key)
{
	json_int_t v = json_integer_value(json_object_get(j, key));

	return v > 0 ? (uint64_t)v : 0;
}

static uint8_t proto_of(struct str s)
{
	static const uint8_t named[] = { IPPROTO_TCP,  IPPROTO_UDP, IPPROTO_ICMP, IPPROTO_ICMPV6,
					 IPPROTO_SCTP, 136,         33,           IPPROTO_IGMP,
					 IPPROTO_GRE,  IPPROTO_ESP, IPPROTO_AH,   IPPROTO_PIM,
					 89,           112 };
	uint64_t n;
	char text[8];

	for (size_t i = 0; i < ARRAY_SIZE(named); i++)
		if (str_eq(s, str_of(flow_proto_name(named[i], text))))
			return named[i];
	return str_parse_u64(s, &n) == 0 && n < 256 ? (uint8_t)n : 0;
}

static enum name_source source_of(struct str s)
{
	for (int i = NAME_DNS; i <= NAME_HOSTS; i++)
		if (str_eq(s, str_of(name_source_name((enum name_source)i))))
			return (enum name_source)i;
	return NAME_NONE;
}

static uint8_t action_of(struct str s)
{
	for (uint8_t a = EG_ALLOW; a <= EG_AUDIT; a++)
		if (str_eq(s, str_of(verdict_action_name(a))))
			return a;
	return 0;
}

static int put_ends(struct recorded *r, const json_t *j)
{
	struct policy_subject *s = &r->subject;

	s->proto = proto_of(text_at(j, "proto"));
	if (!s->proto || addr_parse(text_at(j, "dest_ip"), &s->remote) < 0)
		return -EBADMSG;
	/* A refused connect() may have had no end of its own yet. */
	if (text_at(j, "src_ip").n && addr_parse(text_at(j, "src_ip"), &s->local) < 0)
		return -EBADMSG;
	s->port =
		(uint16_t)number_at(j, flow_proto_has_ports(s->proto) ? "dest_port" : "icmp_type");
	s->has_ports = has_ports(s->proto, (uint16_t)number_at(j, "src_port"), s->port);
	if (text_at(j, "app_proto").n)
		s->app = (uint8_t)app_parse(text_at(j, "app_proto"));
	return 0;
}

static void put_names(struct recorded *r, const json_t *egret)
{
	const json_t *names = json_object_get(egret, "names"), *name;
	struct policy_subject *s = &r->subject;
	enum name_source source = source_of(text_at(egret, "name_source"));
	struct str visible = text_at(egret, "visible");
	size_t i;

	r->name = text_at(egret, "name");
	json_array_foreach(names, i, name)
	{
		if (json_is_string(name) && s->n_names < EG_FACT_NAMES)
			s->names[s->n_names++] =
				(struct str){ json_string_value(name), json_string_length(name) };
	}
	if (!s->n_names && (source == NAME_DNS || source == NAME_HOSTS))
		s->names[s->n_names++] = r->name;
	set_visible(s, r->name, source, text_at(egret, "ja3").n || text_at(egret, "ja4").n,
		    r->mid_stream);
	/* What the verdict knew beats what can be told from the rest. */
	if (str_eq(visible, STR("none")))
		s->visible = EG_VISIBLE_NONE;
	else if (str_eq(visible, STR("unreadable")))
		s->visible = EG_VISIBLE_UNREADABLE;
}

static void put_process(struct recorded *r, const json_t *process, bool is_file)
{
	const json_t *ancestors = json_object_get(process, "ancestors"), *a;
	const json_t *was = json_object_get(process, "was");
	struct policy_subject *s = &r->subject;
	size_t i;

	r->program = text_at(process, "name");
	s->exe = is_file ? text_at(process, "executable") : STR_NONE;
	s->script = text_at(process, "script");
	add_ancestor(s, s->exe);
	json_array_foreach(was, i, a)
	{
		if (json_is_string(a))
			add_ancestor(s,
				     (struct str){ json_string_value(a), json_string_length(a) });
	}
	json_array_foreach(ancestors, i, a)
	{
		add_ancestor(s, text_at(a, "executable"));
	}
}

static void put_user(struct recorded *r, const json_t *user)
{
	struct policy_subject *s = &r->subject;
	uint64_t id;

	r->user = text_at(user, "name");
	if (str_parse_u64(text_at(user, "id"), &id) == 0 && id <= UINT32_MAX) {
		s->uid_known = true;
		s->uid = (uint32_t)id;
	}
	if (str_parse_u64(text_at(json_object_get(user, "group"), "id"), &id) == 0 &&
	    id <= UINT32_MAX) {
		r->gids[0] = (uint32_t)id;
		s->gids = r->gids;
		s->n_gids = 1;
	}
}

static void put_place(struct recorded *r, const json_t *j)
{
	const json_t *container = json_object_get(j, "container");

	r->subject.cgroup = text_at(j, "cgroup");
	r->unit = text_at(json_object_get(j, "service"), "name");
	if (!container)
		return;
	r->container.name = text_at(container, "name");
	r->container.image = text_at(json_object_get(container, "image"), "name");
	r->subject.container = &r->container;
}

static void put_told(struct recorded *r, const json_t *egret)
{
	const json_t *rule = json_object_get(egret, "rule");

	r->told.action = action_of(text_at(egret, "verdict"));
	r->told.would_refuse = json_is_true(json_object_get(egret, "would_deny"));
	r->told.final = !json_is_true(json_object_get(egret, "provisional"));
	r->told.refused = json_object_get(egret, "refused") || r->kind == RECORDED_DROP;
	r->told.file = text_at(rule, "file");
	r->told.text = text_at(rule, "text");
	r->told.line = (uint32_t)number_at(rule, "line");
}

static void put_sums(struct recorded *r, const json_t *j)
{
	const json_t *flow = json_object_get(j, "flow"), *drop = json_object_get(j, "drop");
	bool down = !r->egress; /* as flow_up_side() */

	r->flows = r->kind == RECORDED_FLOW;
	r->up = number_at(flow, down ? "bytes_toclient" : "bytes_toserver");
	r->down = number_at(flow, down ? "bytes_toserver" : "bytes_toclient");
	r->ended = text_at(flow, "reason").n > 0;
	r->seq = number_at(json_object_get(j, "egret"), "seq");
	r->calls = number_at(drop, "calls");
	r->packets = number_at(drop, "pkts");
	if (time_parse(flow ? text_at(flow, "start") : text_at(j, "timestamp"), &r->time_ns) < 0)
		r->time_ns = 0;
	r->subject.unix_s = (int64_t)(r->time_ns / 1000000000);
}

int recorded_of_record(struct recorded *ret, const json_t *j)
{
	const json_t *egret = json_object_get(j, "egret"), *process = json_object_get(j, "process");
	struct str type = text_at(j, "event_type"), direction = text_at(egret, "direction");
	struct str note = text_at(egret, "exe_note");
	int r;

	*ret = (struct recorded){ .flow_id = number_at(j, "flow_id") };
	if (str_eq(type, STR("drop")))
		ret->kind = RECORDED_DROP;
	else if (!str_eq(type, STR("flow")))
		return -ENOENT;
	if (json_is_true(json_object_get(json_object_get(j, "drop"), "summary")))
		return -ENOENT;
	ret->egress = !str_eq(direction, STR("reply")) && !str_eq(direction, STR("ingress"));
	ret->mid_stream = json_is_true(json_object_get(egret, "mid_stream"));
	r = put_ends(ret, j);
	if (r < 0)
		return r;
	put_sums(ret, j);
	if (!ret->time_ns)
		return -EBADMSG;
	put_names(ret, egret);
	put_told(ret, egret);
	ret->who_known = process && !text_at(egret, "identity").n;
	ret->subject.container_unknown = !ret->who_known;
	if (process)
		put_process(ret, process, !note.n);
	put_user(ret, json_object_get(j, "user"));
	put_place(ret, j);
	return 0;
}

/* --- words -------------------------------------------------------------------------------------------------------- */

bool policy_rule_words(const struct policy *p, uint16_t rule, struct verdict_rule *ret)
{
	static const char *const defaults[] = { NULL, "default allow", "default deny",
						"default reject", "default audit" };
	const struct policy_rule *r;

	*ret = (struct verdict_rule){ .rule = rule };
	if (rule > p->n_rules) {
		ret->action = EG_ALLOW;
		ret->is_implied = true;
		ret->text = STR("loopback and DNS to trusted resolvers (not written)");
		return rule == p->n_rules + 1;
	}
	if (rule == p->n_rules) {
		ret->action = (uint8_t)p->fallback;
		ret->is_default = true;
		ret->text = str_of(defaults[p->fallback]);
		if (p->has_fallback) {
			ret->file = p->files[p->fallback_place.file];
			ret->line = p->fallback_place.line;
		}
		return true;
	}
	r = &p->rules[rule];
	ret->action = (uint8_t)r->action;
	ret->file = p->files[r->place.file];
	ret->line = r->place.line;
	ret->text = r->text;
	ret->note = r->note;
	ret->alert = (uint8_t)r->alert;
	ret->alert_text = r->alert_text;
	ret->log = r->log;
	ret->quiet = r->quiet;
	return true;
}
