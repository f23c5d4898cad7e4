/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/explain.h"

#include <pwd.h>
#include <stdarg.h>
#include <time.h>

#include "policy/policy.h"

#define SHOWN_MAX 4 /* of a list; then their number */

void words_add(struct words *w, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(w->p + w->n, sizeof(w->p) - w->n, fmt, ap);
	va_end(ap);
	if (n > 0)
		w->n = MIN(w->n + (size_t)n, sizeof(w->p) - 1);
}

/* Between the items of a list. False: enough are said. */
static bool another(struct words *w, size_t i, size_t n)
{
	if (i == SHOWN_MAX)
		words_add(w, " and %zu more", n - i);
	else if (i)
		words_add(w, ", ");
	return i < SHOWN_MAX;
}

/* From the file alone: no directory service is asked. */
static void add_user(struct words *w, uint32_t uid)
{
	_cleanup_fclose_ FILE *f = fopen("/etc/passwd", "re");
	struct passwd *pw;

	while (f && (pw = fgetpwent(f)))
		if (pw->pw_uid == uid) {
			words_add(w, "%s", pw->pw_name);
			return;
		}
	words_add(w, "%u", uid);
}

static void add_range(struct words *w, const struct addr *lo, const struct addr *hi)
{
	char text[ADDR_RANGE_TEXT_MAX];

	words_add(w, "%s", addr_range_format(lo, hi, text));
}

static void add_dest(const struct policy *p, struct words *w, const struct policy_dest *d)
{
	switch (d->kind) {
	case DEST_NAME:
		words_add(w, "%.*s", STR_FMT(d->name));
		break;
	case DEST_BELOW:
		words_add(w, "*.%.*s", STR_FMT(d->name));
		break;
	case DEST_TREE:
		words_add(w, "**.%.*s", STR_FMT(d->name));
		break;
	case DEST_RANGE:
		add_range(w, &d->lo, &d->hi);
		break;
	case DEST_INTERNET:
		words_add(w, "internet");
		break;
	case DEST_PRIVATE:
		words_add(w, "private");
		break;
	case DEST_ANY:
		words_add(w, "any");
		break;
	case DEST_SEGMENT:
		words_add(w, "segment %.*s", STR_FMT(p->segments[d->ref].name));
		break;
	case DEST_SET:
		words_add(w, "set %.*s", STR_FMT(p->sets[d->ref].name));
		break;
	case DEST_LIST:
		words_add(w, "list %.*s", STR_FMT(p->lists[d->ref].name));
		break;
	case DEST_COUNTRY:
		words_add(w, "country %.2s", d->country);
		break;
	case DEST_ASN:
		words_add(w, "asn %u", d->ref);
		break;
	}
}

static void add_dests(const struct policy *p, struct words *w, const struct policy_dest *d,
		      size_t n)
{
	for (size_t i = 0; i < n && another(w, i, n); i++)
		add_dest(p, w, &d[i]);
}

static void add_part(struct words *w, const struct app_part *part)
{
	static const char *const kinds[] = {
		[APP_PART_EXE] = "",
		[APP_PART_TREE] = "tree of ",
		[APP_PART_UNIT] = "unit ",
		[APP_PART_CGROUP] = "cgroup ",
		[APP_PART_CONTAINER_NAME] = "container name ",
		[APP_PART_CONTAINER_IMAGE] = "container image ",
		[APP_PART_CONTAINER_LABEL] = "container label ",
		[APP_PART_APP] = "",
	};

	words_add(w, "%s%.*s", kinds[part->kind], STR_FMT(part->pattern));
}

static void add_parts(struct words *w, const struct app_part *parts, size_t n)
{
	for (size_t i = 0; i < n && another(w, i, n); i++)
		add_part(w, &parts[i]);
}

static void add_apps(const struct policy *p, struct words *w, const uint32_t *apps, size_t n)
{
	for (size_t i = 0; i < n && another(w, i, n); i++) {
		const struct policy_app *a = &p->apps[apps[i]];

		if (a->name.n)
			words_add(w, "app %.*s", STR_FMT(a->name));
		else
			add_parts(w, a->parts, a->n_parts);
	}
}

static const char *proto_name(uint8_t proto, char text[16])
{
	switch (proto) {
	case 6:
		return "tcp";
	case 17:
		return "udp";
	case 1:
		return "icmp";
	case 58:
		return "icmp6";
	case 33:
		return "dccp";
	case 132:
		return "sctp";
	case 136:
		return "udplite";
	}
	snprintf(text, 16, "protocol %u", proto);
	return text;
}

static void add_port(struct words *w, const struct port_range *r)
{
	static const char *const groups[] = {
		"/tcp", "/udp", "/icmp", "/icmp6", "/sctp", "/ip", ""
	};

	if (r->lo == r->hi)
		words_add(w, "%u%s", r->lo, groups[r->group]);
	else if (r->lo == 0 && r->hi == UINT16_MAX)
		words_add(w, "%s", groups[r->group] + 1);
	else
		words_add(w, "%u-%u%s", r->lo, r->hi, groups[r->group]);
}

static void add_ports(struct words *w, const struct port_range *r, size_t n)
{
	for (size_t i = 0; i < n && another(w, i, n); i++)
		add_port(w, &r[i]);
}

static void add_names(const struct policy_subject *s, struct words *w)
{
	if (s->visible == EG_VISIBLE_NAME)
		words_add(w, ", the name it shows is %.*s", STR_FMT(s->visible_name));
	else if (s->visible == EG_VISIBLE_UNREADABLE)
		words_add(w, ", the name it shows cannot be read");
	if (!s->n_names)
		words_add(w, ", no trusted DNS answer gave it a name");
	for (size_t i = 0; i < s->n_names; i++)
		words_add(w, i ? ", %.*s" : ", by DNS %.*s", STR_FMT(s->names[i]));
}

static void add_container(const struct policy_subject *s, struct words *w)
{
	if (s->container_unknown)
		words_add(w, "its container is not known yet");
	else if (!s->container)
		words_add(w, "it is in no container");
	else
		words_add(w, "container is %.*s of %.*s", STR_FMT(s->container->name),
			  STR_FMT(s->container->image));
}

void explain_fact(const struct policy *p, const struct policy_subject *s, enum term term,
		  uint8_t app, struct words *w)
{
	time_t t = (time_t)s->unix_s;
	char text[ADDR_TEXT_MAX];
	const char *name;
	struct tm tm;

	switch (term) {
	case TERM_APP:
		if (!s->exe.n)
			words_add(w, "program is not known");
		else
			words_add(w, "program is %.*s", STR_FMT(s->exe));
		if (s->script.n)
			words_add(w, " with %.*s", STR_FMT(s->script));
		break;
	case TERM_USER:
		words_add(w, s->uid_known ? "user is " : "user is not known");
		if (s->uid_known)
			add_user(w, s->uid);
		break;
	case TERM_GROUP:
		words_add(w, s->n_gids ? "groups are " : "groups are not known");
		for (size_t i = 0; i < s->n_gids && another(w, i, s->n_gids); i++)
			words_add(w, "%u", s->gids[i]);
		break;
	case TERM_UNIT:
		words_add(w, s->cgroup.n ? "cgroup is %.*s" : "cgroup is not known",
			  STR_FMT(s->cgroup));
		break;
	case TERM_CONTAINER:
		add_container(s, w);
		break;
	case TERM_FROM:
		words_add(w, "local address is %s", addr_format(&s->local, text));
		break;
	case TERM_TO:
		words_add(w, "address is %s", addr_format(&s->remote, text));
		add_names(s, w);
		break;
	case TERM_PORT:
		if (s->has_ports)
			words_add(w, "port is %u/%s", s->port, proto_name(s->proto, text));
		else
			words_add(w, "it is %s without a port", proto_name(s->proto, text));
		break;
	case TERM_SPEAKING:
		name = policy_protocol_name(app);
		words_add(w, name ? "it speaks %s" : "it speaks nothing that is known",
			  name ? name : "");
		break;
	case TERM_DURING:
		if (localtime_r(&t, &tm) && strftime(text, sizeof(text), "%a %H:%M", &tm))
			words_add(w, "it is %s", text);
		break;
	case TERM_COUNT:
		break;
	}
}

void explain_term(const struct policy *p, const struct policy_subject *s,
		  const struct policy_rule *rule, enum term term, uint8_t app, struct words *w)
{
	const struct policy_terms *t = &rule->match;

	explain_fact(p, s, term, app, w);
	words_add(w, ", the rule says ");
	switch (term) {
	case TERM_APP:
		add_apps(p, w, t->apps, t->n_apps);
		break;
	case TERM_USER:
		for (size_t i = 0; i < t->n_users && another(w, i, t->n_users); i++)
			add_user(w, t->users[i]);
		break;
	case TERM_GROUP:
		for (size_t i = 0; i < t->n_groups && another(w, i, t->n_groups); i++)
			words_add(w, "%u", t->groups[i]);
		break;
	case TERM_UNIT:
		add_parts(w, t->units, t->n_units);
		break;
	case TERM_CONTAINER:
		add_parts(w, t->containers, t->n_containers);
		break;
	case TERM_FROM:
		add_dests(p, w, t->from, t->n_from);
		break;
	case TERM_TO:
		add_dests(p, w, t->to, t->n_to);
		words_add(w, t->by_sni ? " by sni" : "");
		break;
	case TERM_PORT:
		add_ports(w, t->ports, t->n_ports);
		break;
	case TERM_SPEAKING:
		for (size_t i = 0; i < t->n_speaking && another(w, i, t->n_speaking); i++)
			words_add(w, "%s", policy_protocol_name(t->speaking[i]) ?: "?");
		break;
	case TERM_DURING:
		for (size_t i = 0; i < t->n_during && another(w, i, t->n_during); i++)
			words_add(w, "during %.*s", STR_FMT(p->schedules[t->during[i]].name));
		break;
	case TERM_COUNT:
		break;
	}
}
