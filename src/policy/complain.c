/* SPDX-License-Identifier: Apache-2.0 */
/* Messages about a policy that was parsed, in the form of the parser's own. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/lex.h"
#include "policy/policy.h"

const char *policy_action_name(enum eg_action a)
{
	static const char *const names[] = { "allow", "deny", "reject", "audit" };

	return a >= EG_ALLOW && a <= EG_AUDIT ? names[a - EG_ALLOW] : "?";
}

void policy_complain(const struct policy *p, struct policy_place at, const char *kind,
		     struct buf *messages, const char *fmt, ...)
{
	char message[800];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(message, sizeof(message), fmt, ap);
	va_end(ap);
	if (at.file >= p->n_files || !at.line)
		buf_printf(messages, "%s: %s\n", kind, message);
	else
		lex_show(messages,
			 &(struct lex_spot){ p->files[at.file].p,
					     lex_line(p->sources[at.file], at.line), at.line,
					     at.column, 0 },
			 kind, message);
}

/* One note for all places of a kind. */
struct noted {
	struct policy_place first;
	size_t n;
};

static void note(struct noted *n, bool is, struct policy_place at)
{
	if (!is)
		return;
	if (!n->n++)
		n->first = at;
}

static void say(const struct policy *p, const struct noted *n, const char *what,
		struct buf *messages)
{
	if (n->n == 1)
		policy_complain(p, n->first, "note", messages, "%s", what);
	else if (n->n)
		policy_complain(p, n->first, "note", messages, "%s\nand %zu more", what, n->n - 1);
}

static bool names_label(const struct app_part *parts, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (parts[i].kind == APP_PART_CONTAINER_LABEL)
			return true;
	return false;
}

void policy_note_unenforced(const struct policy *p, struct buf *messages)
{
	struct noted priority = { 0 }, interface = { 0 }, label = { 0 };

	for (size_t i = 0; i < p->n_rules; i++) {
		note(&priority, p->rules[i].priority && !p->n_links, p->rules[i].place);
		note(&label,
		     names_label(p->rules[i].match.containers, p->rules[i].match.n_containers),
		     p->rules[i].place);
	}
	for (size_t i = 0; i < p->n_apps; i++)
		note(&label, names_label(p->apps[i].parts, p->apps[i].n_parts), p->apps[i].place);
	for (size_t i = 0; i < p->n_segments; i++)
		note(&interface, p->segments[i].n_unrouted, p->segments[i].place);
	say(p, &priority,
	    "'priority' does nothing here: the policy names no link, as 'link eth0 100mbit'",
	    messages);
	say(p, &interface,
	    "no route leads to a network by an interface of this segment: now it is nobody's by "
	    "that",
	    messages);
	say(p, &label, "labels of containers are not read yet: no container has this one",
	    messages);
}

void policy_note_unwatched(const struct policy *p, struct buf *messages)
{
	for (size_t i = 0; i < p->n_budgets; i++)
		policy_complain(p, p->budgets[i].place, "warning", messages,
				"a budget needs the history, and none is kept here: nobody warns "
				"of this one\n'store sqlite' in egret.conf keeps one");
}

void policy_note_by_sni(const struct policy *p, struct buf *messages)
{
	struct noted by_sni = { 0 };

	for (size_t i = 0; i < p->n_rules; i++)
		note(&by_sni, p->rules[i].match.by_sni, p->rules[i].place);
	say(p, &by_sni,
	    "'by sni' rests on a name that the program itself writes: any address that takes it is "
	    "reached",
	    messages);
}
