/* SPDX-License-Identifier: Apache-2.0 */
/* What policy decided: `drop` and `alert` records, and what flow records say of their verdict. */
#include "store/eve_parts.h"

#include "base/cleanup.h"
#include "base/hash.h"
#include "flow/record.h"

static void put_filled(struct json *j, const char *key, struct str v)
{
	if (v.n)
		json_str(j, key, v);
}

void eve_put_rule(struct json *j, const struct verdict_rule *r)
{
	if (!r)
		return;
	json_object_begin(j, "rule");
	if (r->line) {
		put_filled(j, "file", r->file);
		json_u64(j, "line", r->line);
	}
	put_filled(j, "text", r->text);
	put_filled(j, "note", r->note);
	json_object_end(j);
}

static void put_refused(struct json *j, uint64_t calls, uint64_t packets, uint64_t bytes)
{
	if (!calls && !packets)
		return;
	json_object_begin(j, "refused");
	if (calls)
		json_u64(j, "calls", calls);
	if (packets) {
		json_u64(j, "pkts", packets);
		json_u64(j, "bytes", bytes);
	}
	json_object_end(j);
}

/* Numbers of enum eg_visible (bpf/policy_eval.h), which src/policy asserts. */
static const char *visible_name(uint8_t v)
{
	static const char *const names[] = { NULL, "none", "name", "unreadable" };

	return v < ARRAY_SIZE(names) ? names[v] : NULL;
}

void eve_put_verdict(struct json *j, const struct flow_verdict *v)
{
	if (!v->action)
		return;
	json_text(j, "verdict", verdict_action_name(v->action));
	json_bool(j, "would_deny", v->would_refuse);
	if (!v->final)
		json_bool(j, "provisional", true);
	eve_put_rule(j, v->rule);
	json_text(j, "visible", visible_name(v->visible));
	put_refused(j, v->calls, v->packets, v->bytes);
}

/* Verdict and rule of a drop or alert, within `egret`. */
void eve_put_drop_egret(struct json *j, const struct record *r)
{
	const struct record_drop *d = r->drop;

	if (!r->flow && !d->summary)
		json_text(j, "direction", flow_direction_name(FLOW_EGRESS));
	if (!r->flow && d->visible_name.n) {
		json_str(j, "name", d->visible_name);
		json_text(j, "name_source", name_source_name(d->visible_source));
	} else if (!r->flow && d->n_names) {
		json_str(j, "name", text_str(d->names[0]->asked));
		json_text(j, "name_source", name_source_name(d->names[0]->source));
	}
	if (!r->flow && d->n_names > !d->visible_name.n) {
		json_array_begin(j, "names");
		for (size_t i = 0; i < d->n_names; i++)
			json_str(j, NULL, text_str(d->names[i]->asked));
		json_array_end(j);
	}
	json_text(j, "verdict", verdict_action_name(d->action));
	json_bool(j, "would_deny", d->would_refuse);
	eve_put_rule(j, d->rule);
}

static const char *at_name(enum verdict_at at)
{
	switch (at) {
	case VERDICT_AT_CONNECT:
		return "connect";
	case VERDICT_AT_SEND:
		return "send";
	case VERDICT_AT_PACKET:
		return "packet";
	case VERDICT_AT_BACKSTOP:
		return "backstop";
	}
	return NULL;
}

void eve_put_drop(struct json *j, const struct record *r)
{
	const struct record_drop *d = r->drop;

	json_object_begin(j, "drop");
	if (d->packets)
		json_u64(j, "len", d->bytes);
	json_text(j, "reason", at_name(d->at));
	if (d->calls)
		json_u64(j, "calls", d->calls);
	if (d->packets)
		json_u64(j, "pkts", d->packets);
	if (d->summary) {
		json_bool(j, "summary", true);
		eve_put_time(j, "since", d->since_ns);
	}
	json_object_end(j);
	json_object_begin(j, "verdict");
	json_text(j, "action", "drop");
	json_object_end(j);
}

/* The same for a rule wherever it stands, as long as its text is the same: what people mute and count by. */
static uint64_t signature_id(const struct verdict_rule *rule)
{
	return (hash_bytes(rule->text.p, rule->text.n, 0) & 0x7fffffff) | 1;
}

void eve_put_alert(struct json *j, const struct record *r)
{
	/* EVE: 1 is the highest. */
	static const uint8_t severity[] = { 3, 3, 2, 1, 1 };
	static const char *const levels[] = { NULL, "low", "medium", "high", "critical" };
	const struct verdict_rule *rule = r->drop->rule;
	uint8_t level = rule->alert < ARRAY_SIZE(levels) ? rule->alert : 0;

	json_object_begin(j, "alert");
	json_text(j, "action", r->drop->refused ? "blocked" : "allowed");
	json_u64(j, "gid", 1);
	json_u64(j, "signature_id", signature_id(rule));
	json_u64(j, "rev", 1);
	json_str(j, "signature", rule->alert_text.n ? rule->alert_text : rule->text);
	json_text(j, "category", "policy");
	json_u64(j, "severity", severity[level]);
	if (levels[level]) {
		json_object_begin(j, "metadata");
		json_array_begin(j, "level");
		json_text(j, NULL, levels[level]);
		json_array_end(j);
		json_object_end(j);
	}
	json_object_end(j);
}

/* The program of a summary: its processes are many, so only what they share. */
void eve_put_program(struct json *j, const struct proc *p)
{
	if (!p)
		return;
	json_object_begin(j, "process");
	json_str(j, "name", proc_name(p));
	if (p->exe && p->exe->n)
		json_str(j, "executable", text_str(p->exe));
	json_object_end(j);
}
