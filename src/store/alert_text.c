/* SPDX-License-Identifier: Apache-2.0 */
#include "store/alert_text.h"

#include <stdio.h>
#include <unistd.h>

#include "base/time.h"
#include "flow/record.h"

#define FACILITY 4 /* security and authorization */
/* RFC 5612: the number for what has none of its own. */
#define SD_ID "egret@32473"

static enum severity of_level(uint8_t level)
{
	return level ? (enum severity)level : SEVERITY_LOW; /* the same four words */
}

static void of_drop(struct alert_facts *a, const struct record *r, char proto[8])
{
	const struct record_drop *d = r->drop;
	const struct event_key *k = r->flow ? &r->flow->key : &d->key;

	a->kind = r->type == RECORD_DROP ? "drop" : "alert";
	a->class = "policy";
	a->severity = r->type == RECORD_ALERT && d->rule ? of_level(d->rule->alert) : SEVERITY_LOW;
	a->proc = d->proc;
	a->blocked = d->refused;
	if (d->rule) {
		a->rule = d->rule->text;
		a->message = d->rule->alert_text.n && r->type == RECORD_ALERT ? d->rule->alert_text
									      : d->rule->text;
	}
	if (d->visible_name.n)
		a->name = d->visible_name;
	else if (r->flow && r->flow->name)
		a->name = text_str(r->flow->name);
	else if (d->n_names)
		a->name = text_str(d->names[0]->asked);
	if (d->summary)
		return;
	if (!addr_is_unset(&k->src))
		a->src = &k->src;
	a->dst = &k->dst;
	a->sport = k->sport;
	a->dport = k->dport;
	a->proto = flow_proto_name(k->proto, proto);
}

static void of_finding(struct alert_facts *a, const struct finding *f, char proto[8])
{
	static const char *const states[] = { "open", "update", "closed" };

	a->kind = "finding";
	a->class = finding_class_name(f->class) ?: "policy";
	a->detector = f->detector;
	a->state = states[f->state];
	a->id = str_of(f->id);
	a->message = f->explain;
	a->response = f->response;
	a->severity = f->severity;
	a->score_db = f->score_db;
	a->proc = f->proc;
	a->program = f->exe;
	a->user = f->user;
	a->peer = f->peer;
	a->name = f->name;
	if (f->has_source)
		a->src = &f->source;
	if (addr_is_unset(&f->addr))
		return;
	a->dst = &f->addr;
	a->dport = f->port;
	a->proto = flow_proto_name(f->proto, proto);
}

bool alert_facts_of(struct alert_facts *ret, const struct record *r, char proto[8])
{
	*ret = (struct alert_facts){ .time_ns = r->time_ns };
	if (r->type == RECORD_FINDING)
		of_finding(ret, r->finding, proto);
	else if (r->type == RECORD_ALERT || r->type == RECORD_DROP)
		of_drop(ret, r, proto);
	else
		return false;
	if (ret->proc && !ret->program.n)
		ret->program = ret->proc->exe ? text_str(ret->proc->exe) : proc_name(ret->proc);
	if (ret->proc && !ret->user.n)
		ret->user = text_str(ret->proc->user);
	return true;
}

static unsigned priority(enum severity s)
{
	static const unsigned levels[] = { 5, 5, 4, 3, 2 }; /* notice … critical */

	return levels[s];
}

/*
 * One character of a text somebody else chose, its bytes taken off the front. Control characters, which would break the line or
 * move the cursor of who reads it, become blanks; what is not UTF-8, as all three forms want it, U+FFFD.
 */
static void put_clean(struct buf *out, struct str *s, const char *escaped)
{
	unsigned char c = (unsigned char)s->p[0];
	size_t n = str_utf8(*s);
	bool is_c1 = n == 2 && c == 0xc2 && (unsigned char)s->p[1] < 0xa0;

	if (!n)
		buf_puts(out, "\xef\xbf\xbd");
	else if (c < ' ' || c == 0x7f || is_c1)
		buf_putc(out, ' ');
	else if (strchr(escaped, c))
		buf_printf(out, "\\%c", c);
	else
		buf_put(out, s->p, n);
	*s = str_sub(*s, n ? n : 1, s->n);
}

static void put_escaped(struct buf *out, struct str s, const char *escaped)
{
	while (s.n)
		put_clean(out, &s, escaped);
}

/* At most `most` bytes of it, whole characters. */
static void put_start(struct buf *out, struct str s, size_t most, const char *escaped)
{
	size_t end = s.n > most ? s.n - most : 0;

	while (s.n && s.n - (str_utf8(s) ?: 1) >= end)
		put_clean(out, &s, escaped);
}

static void put_param(struct buf *out, const char *name, struct str v)
{
	if (!v.n)
		return;
	buf_printf(out, " %s=\"", name);
	put_escaped(out, v, "\"\\]");
	buf_putc(out, '"');
}

static void put_structured(struct buf *out, const struct alert_facts *a)
{
	char addr[ADDR_TEXT_MAX], number[16];

	buf_puts(out, "[" SD_ID);
	put_param(out, "id", a->id);
	put_param(out, "state", str_of(a->state));
	put_param(out, "class", str_of(a->class));
	put_param(out, "detector", str_of(a->detector));
	put_param(out, "level", str_of(severity_name(a->severity)));
	if (a->detector) {
		snprintf(number, sizeof(number), "%d", a->score_db);
		put_param(out, "score_db", str_of(number));
	}
	put_param(out, "program", a->program);
	put_param(out, "user", a->user);
	if (a->src)
		put_param(out, "src_ip", str_of(addr_format(a->src, addr)));
	if (a->dst) {
		put_param(out, "dest_ip", str_of(addr_format(a->dst, addr)));
		snprintf(number, sizeof(number), "%u", a->dport);
		put_param(out, "dest_port", str_of(number));
		put_param(out, "proto", str_of(a->proto));
	}
	put_param(out, "name", a->name);
	put_param(out, "peer", a->peer);
	put_param(out, "rule", a->rule);
	put_param(out, "response", a->response);
	put_param(out, "action", a->blocked ? STR("blocked") : STR("allowed"));
	buf_putc(out, ']');
}

static void put_extension(struct buf *out, const char *key, struct str v)
{
	if (!v.n)
		return;
	buf_printf(out, "%s=", key);
	put_escaped(out, v, "=\\");
	buf_putc(out, ' ');
}

static void put_cef(struct buf *out, const struct alert_facts *a)
{
	static const unsigned levels[] = { 1, 3, 5, 8, 10 };
	char addr[ADDR_TEXT_MAX];

	buf_puts(out, "CEF:0|egret|egretd|" EGRET_VERSION "|");
	put_escaped(out, str_of(a->detector ?: a->kind), "|\\");
	buf_putc(out, '|');
	put_start(out, a->message, 256, "|\\");
	buf_printf(out, "|%u|rt=%llu ", levels[a->severity],
		   (unsigned long long)(a->time_ns / NSEC_PER_MSEC));
	put_extension(out, "cat", str_of(a->class));
	put_extension(out, "externalId", a->id);
	put_extension(out, "act", a->blocked ? STR("blocked") : STR("allowed"));
	if (a->src)
		put_extension(out, "src", str_of(addr_format(a->src, addr)));
	if (a->dst) {
		put_extension(out, "dst", str_of(addr_format(a->dst, addr)));
		buf_printf(out, "dpt=%u ", a->dport);
		put_extension(out, "proto", str_of(a->proto));
	}
	put_extension(out, "dhost", a->name);
	put_extension(out, "sproc", a->program);
	put_extension(out, "suser", a->user);
	if (a->rule.n) {
		put_extension(out, "cs1Label", STR("rule"));
		put_extension(out, "cs1", a->rule);
	}
	put_extension(out, "msg", a->message);
}

void alert_put_syslog(struct buf *out, const struct alert_facts *a, const char *host, bool cef)
{
	static const char bom[] = "\xef\xbb\xbf"; /* RFC 5424 6.4: the message is UTF-8 */
	char time[TIME_TEXT_MAX];

	time_format(a->time_ns, time);
	buf_printf(out, "<%u>1 %.26sZ %s egretd %d %s ", FACILITY * 8 + priority(a->severity), time,
		   host && *host ? host : "-", (int)getpid(), a->kind);
	if (cef) {
		buf_puts(out, "- ");
		put_cef(out, a);
		return;
	}
	put_structured(out, a);
	buf_putc(out, ' ');
	buf_puts(out, bom);
	put_escaped(out, a->message, "");
}

static void put_field(struct buf *out, const char *name, struct str v)
{
	if (!v.n)
		return;
	buf_printf(out, "%s=", name);
	put_escaped(out, v, "");
	buf_putc(out, '\n');
}

/* systemd.io/JOURNAL_NATIVE_PROTOCOL: a field a line, as no value of ours holds a line end. */
void alert_put_journal(struct buf *out, const struct alert_facts *a)
{
	char addr[ADDR_TEXT_MAX];

	put_field(out, "MESSAGE", a->message);
	buf_printf(out, "PRIORITY=%u\nSYSLOG_FACILITY=%u\nSYSLOG_IDENTIFIER=egretd\n",
		   priority(a->severity), FACILITY);
	put_field(out, "EGRET_EVENT_TYPE", str_of(a->kind));
	put_field(out, "EGRET_FINDING_ID", a->id);
	put_field(out, "EGRET_STATE", str_of(a->state));
	put_field(out, "EGRET_CLASS", str_of(a->class));
	put_field(out, "EGRET_DETECTOR", str_of(a->detector));
	put_field(out, "EGRET_LEVEL", str_of(severity_name(a->severity)));
	if (a->detector)
		buf_printf(out, "EGRET_SCORE_DB=%d\n", a->score_db);
	put_field(out, "EGRET_PROGRAM", a->program);
	put_field(out, "EGRET_USER", a->user);
	if (a->src)
		put_field(out, "EGRET_SRC_IP", str_of(addr_format(a->src, addr)));
	if (a->dst) {
		put_field(out, "EGRET_DEST_IP", str_of(addr_format(a->dst, addr)));
		buf_printf(out, "EGRET_DEST_PORT=%u\n", a->dport);
		put_field(out, "EGRET_PROTO", str_of(a->proto));
	}
	put_field(out, "EGRET_NAME", a->name);
	put_field(out, "EGRET_PEER", a->peer);
	put_field(out, "EGRET_RULE", a->rule);
	put_field(out, "EGRET_RESPONSE", a->response);
	put_field(out, "EGRET_ACTION", a->blocked ? STR("blocked") : STR("allowed"));
}
