/* SPDX-License-Identifier: Apache-2.0 */
/* One row a key; adding one is a row and, where needed, a function. docs/filter.md is checked against this table. */
#include "flow/filter_keys.h"

#include <stdio.h>

#include "base/cleanup.h"
#include "flow/domain.h"
#include "flow/machines.h"
#include "flow/nat.h"

static size_t one(struct str s, struct str *ret)
{
	*ret = s;
	return s.n ? 1 : 0;
}

static size_t text(const struct text *t, struct str *ret)
{
	return one(text_str(t), ret);
}

static size_t c_text(const char *c, struct str *ret)
{
	return c ? one(str_of(c), ret) : 0;
}

static const struct workload *workload(const struct flow *f)
{
	return f->proc ? f->proc->workload : NULL;
}

static size_t get_proc(const struct flow *f, struct str ret[FILTER_TEXTS_MAX], char scratch[64])
{
	size_t n;

	if (!f->proc)
		return 0;
	n = one(proc_name(f->proc), ret);
	return n + text(f->proc->exe, ret + n);
}

static size_t get_parent(const struct flow *f, struct str ret[FILTER_TEXTS_MAX], char scratch[64])
{
	size_t n = 0;

	for (const struct proc *p = f->proc ? f->proc->parent : NULL;
	     p && n + 2 <= FILTER_TEXTS_MAX; p = p->parent) {
		n += one(proc_name(p), ret + n);
		n += text(p->exe, ret + n);
	}
	return n;
}

static size_t get_args(const struct flow *f, struct str ret[FILTER_TEXTS_MAX], char scratch[64])
{
	struct str rest = f->proc ? text_str(f->proc->args) : STR_NONE;
	size_t n = 0;

	while (n < FILTER_TEXTS_MAX && str_cut(&rest, 0, &ret[n]))
		n++;
	return n;
}

static size_t get_user(const struct flow *f, struct str ret[FILTER_TEXTS_MAX], char scratch[64])
{
	size_t n;

	if (!f->proc)
		return 0;
	n = text(f->proc->user, ret);
	snprintf(scratch, 64, "%u", f->proc->uid);
	return n + one(str_of(scratch), ret + n);
}

static size_t get_unit(const struct flow *f, struct str ret[FILTER_TEXTS_MAX], char scratch[64])
{
	return workload(f) ? text(workload(f)->unit, ret) : 0;
}

static size_t get_cgroup(const struct flow *f, struct str ret[FILTER_TEXTS_MAX], char scratch[64])
{
	return workload(f) ? text(workload(f)->cgroup, ret) : 0;
}

static size_t get_container(const struct flow *f, struct str ret[FILTER_TEXTS_MAX],
			    char scratch[64])
{
	const struct workload *w = workload(f);
	size_t n;

	if (!w)
		return 0;
	n = text(w->container_name, ret);
	n += text(w->container_id, ret + n);
	return n + text(w->container_image, ret + n);
}

static size_t get_name(const struct flow *f, struct str ret[FILTER_TEXTS_MAX], char scratch[64])
{
	size_t n = text(f->name, ret);

	for (size_t i = 0; i < f->n_names; i++)
		n += text(f->names[i]->asked, ret + n);
	return n;
}

static size_t get_source(const struct flow *f, struct str ret[FILTER_TEXTS_MAX], char scratch[64])
{
	const char *source = name_source_name(f->name_source);

	return c_text(source ? source : "none", ret);
}

static size_t get_machine(const struct flow *f, struct str ret[FILTER_TEXTS_MAX], char scratch[64])
{
	size_t n = f->machine ? text(f->machine->name, ret) : 0;

	if (!f->machine || !f->machine->has_mac)
		return n;
	return n + c_text(mac_format(f->machine->mac, scratch), ret + n);
}

static size_t get_proto(const struct flow *f, struct str ret[FILTER_TEXTS_MAX], char scratch[64])
{
	return c_text(flow_proto_name(f->key.proto, scratch), ret);
}

static size_t get_app(const struct flow *f, struct str ret[FILTER_TEXTS_MAX], char scratch[64])
{
	return c_text(app_name(f->app), ret);
}

static size_t get_dir(const struct flow *f, struct str ret[FILTER_TEXTS_MAX], char scratch[64])
{
	return c_text(flow_direction_name(f->direction), ret);
}

static size_t get_state(const struct flow *f, struct str ret[FILTER_TEXTS_MAX], char scratch[64])
{
	return c_text(flow_state_name(f->state), ret);
}

static size_t get_ja3(const struct flow *f, struct str ret[FILTER_TEXTS_MAX], char scratch[64])
{
	return text(f->ja3, ret);
}

static size_t get_ja4(const struct flow *f, struct str ret[FILTER_TEXTS_MAX], char scratch[64])
{
	return text(f->ja4, ret);
}

/* What was decided; and "would-deny" where it was not carried out. */
static size_t get_verdict(const struct flow *f, struct str ret[FILTER_TEXTS_MAX], char scratch[64])
{
	size_t n = c_text(verdict_action_name(f->verdict.action), ret);

	if (f->verdict.would_refuse)
		n += c_text("would-deny", ret + n);
	return n;
}

static size_t get_rule(const struct flow *f, struct str ret[FILTER_TEXTS_MAX], char scratch[64])
{
	const struct verdict_rule *r = f->verdict.rule;
	size_t n;

	if (!r)
		return 0;
	n = one(r->text, ret);
	n += one(r->note, ret + n);
	if (!r->line)
		return n;
	snprintf(scratch, 64, "%u", r->line);
	return n + one(str_of(scratch), ret + n);
}

static size_t get_domain(const struct flow *f, struct str ret[FILTER_TEXTS_MAX], char scratch[64])
{
	return f->name ? one(domain_of_text(f->name), ret) : 0;
}

static size_t get_segment(const struct flow *f, struct str ret[FILTER_TEXTS_MAX], char scratch[64])
{
	return f->place ? one(f->place->segment, ret) : 0;
}

static size_t get_host(const struct flow *f, struct str ret[FILTER_TEXTS_MAX], char scratch[64])
{
	return f->place ? one(f->place->host, ret) : 0;
}

static size_t get_country(const struct flow *f, struct str ret[FILTER_TEXTS_MAX], char scratch[64])
{
	return f->place ? one(str_of(f->place->country), ret) : 0;
}

static bool get_asn(const struct flow *f, uint64_t now_ns, uint64_t *ret)
{
	*ret = f->place ? f->place->asn : 0;
	return *ret != 0;
}

static const struct addr *get_addr(const struct flow *f)
{
	return flow_up_side(f) == TO_SERVER ? &f->key.dst : &f->key.src;
}

static const struct addr *get_src(const struct flow *f)
{
	return &f->key.src;
}

/* Our side's end on the other side of NAT. */
static const struct addr *get_nat(const struct flow *f)
{
	if (!f->nat)
		return NULL;
	return flow_up_side(f) == TO_SERVER ? &f->nat->src : &f->nat->dst;
}

static bool get_natport(const struct flow *f, uint64_t now_ns, uint64_t *ret)
{
	if (!f->nat || !flow_proto_has_ports(f->key.proto))
		return false;
	*ret = flow_up_side(f) == TO_SERVER ? f->nat->sport : f->nat->dport;
	return true;
}

static bool get_port(const struct flow *f, uint64_t now_ns, uint64_t *ret)
{
	*ret = f->key.dport;
	return flow_proto_has_ports(f->key.proto);
}

static bool get_pid(const struct flow *f, uint64_t now_ns, uint64_t *ret)
{
	*ret = f->proc ? f->proc->pid : 0;
	return f->proc != NULL;
}

static bool get_up(const struct flow *f, uint64_t now_ns, uint64_t *ret)
{
	*ret = flow_up(f)->bytes;
	return true;
}

static bool get_down(const struct flow *f, uint64_t now_ns, uint64_t *ret)
{
	*ret = flow_down(f)->bytes;
	return true;
}

static bool get_bytes(const struct flow *f, uint64_t now_ns, uint64_t *ret)
{
	*ret = f->half[TO_SERVER].bytes + f->half[TO_CLIENT].bytes;
	return true;
}

static bool get_packets(const struct flow *f, uint64_t now_ns, uint64_t *ret)
{
	*ret = f->half[TO_SERVER].packets + f->half[TO_CLIENT].packets;
	return true;
}

static bool get_refused(const struct flow *f, uint64_t now_ns, uint64_t *ret)
{
	*ret = f->verdict.calls + f->verdict.packets;
	return f->verdict.action != 0;
}

static bool get_age(const struct flow *f, uint64_t now_ns, uint64_t *ret)
{
	uint64_t end = f->state == FLOW_CLOSED ? f->last_ns : MAX(now_ns, f->last_ns);

	*ret = end > f->start_ns ? end - f->start_ns : 0;
	return true;
}

static bool get_rtt(const struct flow *f, uint64_t now_ns, uint64_t *ret)
{
	*ret = f->rtt_us * 1000ULL;
	return f->rtt_us != 0;
}

const struct filter_key filter_key_table[] = {
	{ "host", "name of the machine that saw the flow (history of a fleet)", FILTER_TEXT,
	  .texts = get_host },
	{ "proc", "program: name or path of the executable", FILTER_TEXT, .texts = get_proc },
	{ "parent", "name or path of any ancestor", FILTER_TEXT, .texts = get_parent },
	{ "args", "any one argument of the program", FILTER_TEXT, .texts = get_args },
	{ "pid", "process id", FILTER_COUNT, .number = get_pid },
	{ "user", "user name or id", FILTER_TEXT, .texts = get_user },
	{ "unit", "systemd unit", FILTER_TEXT, .texts = get_unit },
	{ "container", "container name, id or image", FILTER_TEXT, .texts = get_container },
	{ "cgroup", "cgroup path", FILTER_TEXT, .texts = get_cgroup },
	{ "name", "any name of the other side", FILTER_TEXT, .texts = get_name },
	{ "domain", "registrable domain of its name", FILTER_TEXT, .texts = get_domain },
	{ "source", "where the name came from: dns sni quic http hosts none", FILTER_TEXT,
	  .texts = get_source },
	{ "addr", "address or network of the other side", FILTER_ADDR, .addr = get_addr },
	{ "segment",
	  "where the other side lies: a segment of the policy, internet, private (history)",
	  FILTER_TEXT, .texts = get_segment },
	{ "country", "its country, two letters (history)", FILTER_TEXT, .texts = get_country },
	{ "asn", "number of its autonomous system (history)", FILTER_COUNT, .number = get_asn },
	{ "src", "address or network of the side that opened the flow", FILTER_ADDR,
	  .addr = get_src },
	{ "machine", "name or MAC address of the machine inside (gateway, not in history)",
	  FILTER_TEXT, .texts = get_machine },
	{ "nat", "address or network that NAT gives our side (gateway, not in history)",
	  FILTER_ADDR, .addr = get_nat },
	{ "natport", "port that NAT gives our side", FILTER_PORT, .number = get_natport },
	{ "port", "port of the other side, or a range 8000-8100", FILTER_PORT, .number = get_port },
	{ "proto", "tcp, udp, icmp, ipv6-icmp, sctp or a number", FILTER_TEXT, .texts = get_proto },
	{ "app", "application protocol, as told from the bytes", FILTER_TEXT, .texts = get_app },
	{ "protocol", "the same as app", FILTER_TEXT, .texts = get_app },
	{ "dir", "egress, reply, ingress or forward", FILTER_TEXT, .texts = get_dir },
	{ "state", "new, established or closed", FILTER_TEXT, .texts = get_state },
	{ "verdict", "allow, deny, reject or audit; would-deny where it was only noted",
	  FILTER_TEXT, .texts = get_verdict },
	{ "rule", "the rule that decided: its line, text or note", FILTER_TEXT, .texts = get_rule },
	{ "refused", "calls and packets refused, as >0", FILTER_COUNT, .number = get_refused },
	{ "up", "bytes that left our side, as >1mb", FILTER_SIZE, .number = get_up },
	{ "down", "bytes that came in", FILTER_SIZE, .number = get_down },
	{ "bytes", "bytes both ways", FILTER_SIZE, .number = get_bytes },
	{ "packets", "packets both ways", FILTER_COUNT, .number = get_packets },
	{ "age", "time since the flow began, as >5m", FILTER_DURATION, .number = get_age },
	{ "rtt", "round trip time, as >100ms", FILTER_DURATION, .number = get_rtt },
	{ "ja3", "JA3 hash of the first ClientHello", FILTER_TEXT, .texts = get_ja3 },
	{ "ja4", "JA4 fingerprint of the first ClientHello", FILTER_TEXT, .texts = get_ja4 },
};

const size_t n_filter_keys = ARRAY_SIZE(filter_key_table);

size_t filter_word_texts(const struct flow *f, struct str ret[FILTER_TEXTS_MAX], char scratch[64])
{
	size_t n = get_proc(f, ret, scratch);

	if (f->machine)
		n += text(f->machine->name, ret + n);
	n += get_name(f, ret + n, scratch);
	addr_format(&f->key.dst, scratch);
	return n + one(str_of(scratch), ret + n);
}
